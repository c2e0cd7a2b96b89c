"""The canonical curtain: what every reader returns and every later step takes.

A curtain is an `xarray.Dataset` with

- dimensions `(time, height)`;
- `time`: `datetime64[ns]` [UTC], strictly increasing, native profile times (a gap stays a gap);
- `height`: float64 [m] above the radar, strictly increasing;
- `reflectivity` `(time, height)`: float32 [dBZ] equivalent reflectivity factor, NaN where there is no echo;
- `detection_status` `(time, height)`: int8, a `DetectionStatus` for every pixel;
- optionally `doppler_velocity` `(time, height)`: float32 [m s-1], positive away from the radar;
- scalar coordinates `latitude` [degrees_north], `longitude` [degrees_east], `altitude` [m] of the radar
  above mean sea level.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import xarray as xr

from blindzone.pipeline.errors import CurtainError

DIMS = ("time", "height")
SITE_COORDINATES = ("latitude", "longitude", "altitude")
FIELD_NAMES = ("reflectivity", "doppler_velocity")


class DetectionStatus(IntEnum):
    """What is known of one pixel; the codes are stored in archives, so they never change meaning."""

    NO_DATA = 0
    """The radar delivered nothing here."""
    NO_ECHO = 1
    """The radar looked and saw nothing."""
    ECHO = 2
    """Hydrometeor echo."""
    CLUTTER_REMOVED = 3
    """Echo that a quality rule took for clutter or insects; its reflectivity was removed."""
    UNTRUSTED = 4
    """Below the lowest trusted gate: whatever was measured is kept, and used neither to train nor to score."""


def check_curtain(curtain: xr.Dataset, *, where: str = "curtain") -> None:
    """Checks that a dataset is a canonical curtain.

    Args:
        curtain: The dataset to check.
        where: What to call it in the message: a file, or a source and day.

    Raises:
        CurtainError: With the first rule that it breaks, what was found, and what would be right.
    """
    for name in ("time", "height", *SITE_COORDINATES):
        if name not in curtain.coords:
            raise CurtainError(
                f"{where}: a curtain needs the coordinate '{name}'; it has {sorted(map(str, curtain.coords))}"
            )
    for name in ("reflectivity", "detection_status"):
        if name not in curtain.data_vars:
            raise CurtainError(
                f"{where}: a curtain needs the variable '{name}'; it has {sorted(map(str, curtain.data_vars))}"
            )
    for name in ("reflectivity", "detection_status", "doppler_velocity"):
        if name in curtain and curtain[name].dims != DIMS:
            raise CurtainError(f"{where}: '{name}' has dimensions {curtain[name].dims}; {DIMS} is right")
    _check_increasing(curtain["time"].values, "time", where)
    _check_increasing(curtain["height"].values, "height", where)
    _check_values(curtain, where)


def _check_increasing(values: np.ndarray, name: str, where: str) -> None:
    if values.size == 0:
        raise CurtainError(f"{where}: '{name}' is empty; a curtain needs at least one profile and one gate")
    if np.any(np.isnat(values) if values.dtype.kind == "M" else ~np.isfinite(values)):
        raise CurtainError(f"{where}: '{name}' has missing values; every profile and gate needs its {name}")
    steps = np.diff(values)
    wrong = np.flatnonzero(steps <= np.zeros(1, dtype=steps.dtype))
    if wrong.size:
        index = int(wrong[0])
        kind = "repeats" if values[index + 1] == values[index] else "runs backwards"
        raise CurtainError(
            f"{where}: {name} {kind} at index {index + 1} ({values[index]} is followed by {values[index + 1]}), "
            f"at {wrong.size} of {steps.size} steps; it must increase strictly"
        )


def _check_values(curtain: xr.Dataset, where: str) -> None:
    reflectivity = curtain["reflectivity"].values
    if np.isinf(reflectivity).any():
        raise CurtainError(
            f"{where}: 'reflectivity' holds infinite values; no echo must be NaN, linear zero is not a dBZ"
        )
    status = curtain["detection_status"].values
    unknown = ~np.isin(status, [code.value for code in DetectionStatus])
    if unknown.any():
        found = np.unique(status[unknown][:100]).tolist()
        raise CurtainError(
            f"{where}: 'detection_status' holds {found}; known codes are {[int(c) for c in DetectionStatus]}"
        )
    echo = status == DetectionStatus.ECHO
    if np.isnan(reflectivity[echo]).any():
        raise CurtainError(
            f"{where}: {int(np.isnan(reflectivity[echo]).sum())} pixels are marked as echo and have no reflectivity"
        )
    stray = np.isfinite(reflectivity) & ~echo & (status != DetectionStatus.UNTRUSTED)
    if stray.any():
        raise CurtainError(
            f"{where}: {int(stray.sum())} pixels have a reflectivity and are not marked as echo or untrusted"
        )
