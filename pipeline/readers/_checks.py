"""Checks of a raw file.

Every check raises a `SourceFileError` that names the file, what was found and what would be right.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.readers._numbers import are_within

METRES = ("m", "meters", "metres", "meter", "metre")
DBZ = ("dBZ", "dbz", "dBz")
METRES_PER_SECOND = ("m s-1", "m/s", "m s^-1")
DEGREES = (
    "degree",
    "degrees",
    "deg",
    *(f"degree{s}_{direction}" for direction in ("north", "east", "N", "E") for s in ("", "s")),
)
"""Spellings of a unit; the first one is what a message calls right."""
_LARGEST_ZENITH_ANGLE = 5.0
"""Beyond this tilt [degree], range and height differ by more than 0.4 %, half a row at 10 km."""
_CREDIBLE_DBZ = (-120.0, 80.0)
LARGEST_SPEED = 150.0
"""Beyond any fall speed, wind or folding interval [m s-1]; undeclared fill values are far
beyond."""
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


def check_units(raw: xr.Dataset, accepted: Mapping[str, tuple[str, ...]], path: Path) -> None:
    """Checks the units, such as [dBZ], of named variables that the file has, by spellings."""
    for name, spellings in accepted.items():
        if name in raw.variables:
            found = raw[name].attrs.get("units", "none at all")
            if not isinstance(found, str) or found not in spellings:
                raise SourceFileError(
                    f"{path}: '{name}' has units {found!r}; {spellings[0]!r} is right"
                )


def check_stated_units(
    raw: xr.Dataset, accepted: Mapping[str, tuple[str, ...]], path: Path
) -> None:
    """Checks units, such as [m], of variables whose units a file may leave out."""
    stated = {
        name: units
        for name, units in accepted.items()
        if name in raw and "units" in raw[name].attrs
    }
    check_units(raw, stated, path)


def check_zenith(zenith_angles: np.ndarray, path: Path) -> None:
    """Checks that the beam points upwards, by its zenith angles [degree] of any shape.

    NaN and fill values say nothing, and neither does an empty array.
    """
    angles = np.abs(zenith_angles)
    tilt = np.max(angles, where=angles < 360, initial=0.0)
    if tilt > _LARGEST_ZENITH_ANGLE:
        raise SourceFileError(
            f"{path}: the beam points {tilt:.1f} degrees off zenith; at most"
            f" {_LARGEST_ZENITH_ANGLE:.0f} make a curtain"
        )


def check_elevation(raw: xr.Dataset, name: str, path: Path) -> None:
    """Checks that the beam points upwards, by the file's elevation angles [degree] if any."""
    if name in raw.variables:
        check_zenith(90.0 - raw[name].values.astype(np.float64), path)


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


def check_top(height: np.ndarray, path: Path) -> None:
    """Checks that the highest of some heights [m], of any shape, is credible; NaN is skipped.

    Raises:
        SourceFileError: If it is too low, as in km, or too high, as in mm.
    """
    lowest, highest = _CREDIBLE_TOP_M
    top = float(np.fmax.reduce(height, axis=None, initial=-np.inf))
    if height.size and not lowest <= top <= highest:
        raise SourceFileError(
            f"{path}: its heights end at {top:g} m; {lowest:g} to {highest:g} m is right, and"
            " heights in km or mm would look like this"
        )
