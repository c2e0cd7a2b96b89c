"""Checks of a raw file.

Every check raises a `SourceFileError` that names the file, what was found and what would be right.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.readers._numbers import are_within, find_span, is_missing
from blindzone.pipeline.readers._profiles import Fault
from blindzone.pipeline.readers._units import DEGREES, find_factor

_LARGEST_ZENITH_ANGLE = 5.0
"""Beyond this tilt [degree], range and height differ by more than 0.4 %, half a row at 10 km."""
_CREDIBLE_DBZ = (-120.0, 80.0)
LARGEST_SPEED = 150.0
"""Beyond any fall speed, wind or folding interval [m s-1]; undeclared fill values are far
beyond."""
RADAR_TOP_M = (100.0, 40_000.0)
"""Of a radar's highest gate: the highest cloud, of the mesosphere aside, is below 25 km."""
_CREDIBLE_TOP_M = (100.0, 200_000.0)
"""Of the highest level or gate: that of a model, 80 km, is below in km, and that of the least
lidar beyond in mm."""


def check_variables(raw: xr.Dataset, required: tuple[str, ...], kind: str, path: Path) -> None:
    """Checks that a file has the variables of its kind, such as 'a Cloudnet radar file'."""
    absent = [name for name in required if name not in raw.variables]
    if absent:
        raise SourceFileError(
            f"{path}: not {kind}: it lacks {', '.join(absent)} (has"
            f" {sorted(map(str, raw.variables))})"
        )


def check_dims(raw: xr.Dataset, names: tuple[str, ...], dims: tuple[str, ...], path: Path) -> None:
    """Checks the dimensions, such as `(time, range)`, of named variables that the file has."""
    for name in names:
        if name in raw.variables and raw[name].dims != dims:
            raise SourceFileError(
                f"{path}: '{name}' has dimensions {raw[name].dims}; {dims} is right"
            )


def find_off_zenith(
    raw: xr.Dataset, name: str, *, from_horizon: bool = False, dim: str = "time"
) -> Fault | None:
    """Returns the profiles `(time,)` whose beam does not point upwards, by the file's angles.

    Args:
        raw: The file's content.
        name: Variable of the beam's angle from the zenith.
        from_horizon: Whether it is the elevation instead, the angle from the horizon.
        dim: The dimension of profiles in the file.
    """
    angles = read_zenith(raw, name, from_horizon=from_horizon, dim=dim)
    if angles is None:
        return None
    tilted = angles > _LARGEST_ZENITH_ANGLE
    return Fault(
        "off zenith",
        tilted,
        f"the beam points {np.max(angles, where=tilted, initial=0):.1f} degrees off zenith; at most"
        f" {_LARGEST_ZENITH_ANGLE:.0f} make a curtain",
    )


def read_zenith(
    raw: xr.Dataset, name: str, *, from_horizon: bool = False, dim: str = "time"
) -> np.ndarray | None:
    """Returns the angle between beam and zenith [degree] of each profile, `(time,)`, not negative.

    NaN where the file does not say; `None` if it has no such variable. Of a profile with several
    angles it is the largest. For the arguments see `find_off_zenith`.
    """
    if name not in raw.variables:
        return None
    angles = raw[name]
    stated = np.where(is_missing(angles), np.nan, angles.values.astype(np.float64))
    degrees = stated * (find_factor(angles, DEGREES) or 1.0)
    zenith = np.abs(90.0 - degrees if from_horizon else degrees)
    zenith = np.where(zenith < 360, zenith, np.nan)
    if zenith.ndim and angles.dims[0] == dim:
        zenith = zenith.reshape(len(zenith), int(np.prod(zenith.shape[1:])))
    else:
        zenith = np.broadcast_to(zenith.ravel(), (raw.sizes[dim], zenith.size))
    return np.asarray(np.fmax.reduce(zenith, axis=1, initial=np.nan))


def check_credible(
    reflectivity: np.ndarray, name: str, path: Path, limits: tuple[float, float] = _CREDIBLE_DBZ
) -> None:
    """Checks that reflectivity [dBZ] is within limits, by default of any radar; NaN is skipped."""
    lowest, highest = limits
    if are_within(reflectivity, lowest, highest):
        return
    with np.errstate(invalid="ignore"):
        wrong = (reflectivity < lowest) | (reflectivity > highest)
    raise SourceFileError(
        f"{path}: '{name}' holds {int(wrong.sum())} values outside {lowest:.0f} to {highest:.0f}"
        f" dBZ (first: {reflectivity[wrong][0]:g}); an undeclared fill value or linear units would"
        " look like this"
    )


def check_top(
    height: np.ndarray, path: Path, limits: tuple[float, float] = _CREDIBLE_TOP_M
) -> None:
    """Checks that the highest of some heights [m], of any shape, is credible; NaN is skipped.

    Raises:
        SourceFileError: If it is too low, as in km, or too high, as in mm.
    """
    lowest, highest = limits
    _, top = find_span(height)
    if height.size and not lowest <= top <= highest:
        raise SourceFileError(
            f"{path}: its heights end at {top:g} m; {lowest:g} to {highest:g} m is right, and"
            " heights in km or mm would look like this"
        )
