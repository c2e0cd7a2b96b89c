"""The canonical curtain: every reader returns one, and every later step takes one.

A curtain is an `xarray.Dataset` with

- dimensions `(time, height)`;
- `time`: `datetime64[ns]` [UTC], strictly increasing, native profile times (a gap stays a gap);
- `height`: float64 [m] above the ground at the instrument (above the surface below it, for one that
  moves), strictly increasing;
- the fields of one or more instruments, float32 `(time, height)`:

  - radar: `reflectivity` [dBZ] equivalent reflectivity factor, NaN where there is no echo, with
    `detection_status`; optionally `doppler_velocity` [m s-1], positive away from the radar;
  - lidar: `attenuated_backscatter` [sr-1 m-1], or `normalized_relative_backscatter` [MHz km2 uJ-1]
    of a lidar without calibration, NaN where nothing exceeds the noise, with
    `backscatter_status`;
  - state: `temperature` [K], `specific_humidity` [1], `eastward_wind` and `northward_wind` [m s-1],
    NaN where unknown;

- `detection_status`, `backscatter_status`: int8, a `DetectionStatus` for every pixel;
- optionally `quality_flags`: uint8, the `QualityFlag` bits of every pixel: why it is not simply an
  observation;
- coordinates `latitude` [degrees_north], `longitude` [degrees_east], `altitude` [m] above mean sea
  level of where `height` is zero: scalars at a fixed site, `(time,)` on a platform that moves.

A spaceborne curtain also has the coordinates `along_track_distance` `(time,)` [m] and
`blind_zone_top` `(time,)` [m] above the surface, and may have variables `(time,)`:
`path_integrated_attenuation` [dB] there and back, `surface_echo` [dB], the normalized radar cross
section of the surface, and `blind_zone_origin`, int8, a `BlindZoneOrigin`. Its Doppler velocity is
positive downwards. A native curtain whose gates slope, or follow pressure levels, has `gate_height`
`(time, height)` [m] above the ground; its `height` is then nominal, and gridding takes
`gate_height` instead. A swath is a dataset with a leading dimension `ray` of which each ray is a
curtain.

Global attributes state origin and terms where the file does: `title`, `instrument`, `site`,
`institution`, `creator`, `publisher`, `license`, `references`, `file_uuid`, and the radar frequency
`frequency_ghz` [GHz]; `reader` is the name of the reader. An archived curtain has the title, site
and instrument (`source`) of the catalogue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import IntEnum, IntFlag

import numpy as np
import xarray as xr

from blindzone.core.errors import CurtainError

DIMS = ("time", "height")
ZERO_CELSIUS_K = 273.15
"""0 degrees Celsius, where water freezes [K]."""
SITE_COORDINATES = ("latitude", "longitude", "altitude")
TRACK_COORDINATES = ("along_track_distance", "blind_zone_top")
"""Of a spaceborne curtain, `(time,)`."""
PROFILE_FIELDS = ("path_integrated_attenuation", "surface_echo", "blind_zone_origin")
"""Variables of a spaceborne curtain, `(time,)`."""
RADAR_FIELDS = ("reflectivity", "doppler_velocity")
LIDAR_FIELDS = ("attenuated_backscatter", "normalized_relative_backscatter")
STATE_FIELDS = ("temperature", "specific_humidity", "eastward_wind", "northward_wind")
FIELDS = RADAR_FIELDS + LIDAR_FIELDS + STATE_FIELDS
STATUS_OF = {"reflectivity": "detection_status"} | dict.fromkeys(LIDAR_FIELDS, "backscatter_status")
"""The variable that states for each pixel of a field whether it is an observation."""
_COUNTED = {"time": "profiles", "height": "gates", "ray": "rays"}


class DetectionStatus(IntEnum):
    """What is known of one pixel; the codes are archived and never change meaning."""

    NO_DATA = 0
    """The instrument delivered nothing here."""
    NO_ECHO = 1
    """The instrument measured and detected nothing."""
    ECHO = 2
    """Hydrometeor echo; of a lidar: a return that exceeds the noise."""
    CLUTTER_REMOVED = 3
    """Echo that a quality rule took for clutter or insects; its value was removed."""
    UNTRUSTED = 4
    """Below the lowest trusted gate: whatever was measured is kept, and used neither to train nor
    to score."""


class BlindZoneOrigin(IntEnum):
    """How the top of a profile's blind zone is known; the codes never change meaning."""

    UNKNOWN = 0
    """It is not known."""
    ASSUMED = 1
    """The file does not say where the surface echo is: a fixed depth above a terrain model."""
    SURFACE_ECHO = 2
    """A fixed depth above the surface echo that the radar received."""
    FILE = 3
    """The file's own flags of clutter, or its lowest bin without."""


class QualityFlag(IntFlag):
    """Why a pixel is not simply an observation; the bits are archived and never change meaning."""

    CLUTTER = 1
    """A quality rule removed echo here as ground clutter."""
    INSECTS = 2
    """A quality rule removed echo here as insects."""
    BELOW_LOWEST_TRUSTED_GATE = 4
    """Near field, leakage or overlap: below the lowest height that the source's entry trusts."""
    BELOW_SENSITIVITY_FLOOR = 8
    """The echo here does not exceed the sensitivity floor and counts as none."""
    ATTENUATION_NOT_CORRECTED = 16
    """Reflectivity may be too low: liquid between here and the radar attenuates, and nothing
    corrects for it."""
    SURFACE_CLUTTER = 32
    """By the instrument's own processing the surface echo reaches here."""
    BELOW_SURFACE = 64
    """Below the ground or the sea."""
    REJECTED = 128
    """The file's own quality control or range of validity rejects a value here, or it cannot be: a
    velocity that nothing falls with."""


def check_curtain(curtain: xr.Dataset, *, where: str = "curtain") -> None:
    """Checks that a dataset is a canonical curtain `(time, height)`.

    Args:
        curtain: The dataset to check.
        where: What to call it in the message: a file, or a source and day.

    Raises:
        CurtainError: With the first rule that it breaks, what was found, and what would be right.
    """
    for name in ("time", "height", *SITE_COORDINATES):
        if name not in curtain.coords:
            raise CurtainError(
                f"{where}: a curtain needs the coordinate '{name}'; it has"
                f" {sorted(map(str, curtain.coords))}"
            )
    _check_fields(curtain, where)
    _check_dims(curtain, where)
    _check_increasing(curtain["time"].values, "time", where)
    _check_increasing(curtain["height"].values, "height", where)
    for field in FIELDS:
        if field in curtain and np.isinf(curtain[field].values).any():
            raise CurtainError(
                f"{where}: '{field}' holds infinite values; what is missing must be NaN"
            )
    for field, status in STATUS_OF.items():
        if field in curtain:
            _check_status(curtain[field].values, curtain[status].values, (field, status), where)


def check_radar(curtain: xr.Dataset, *, where: str) -> None:
    """Checks that a dataset is a curtain `(time, height)` with radar echo, which can be filled.

    Raises:
        CurtainError: If it holds none, or is a swath of curtains.
    """
    if "reflectivity" not in curtain or "ray" in curtain.dims:
        raise CurtainError(
            f"{where}: it holds {', '.join(map(str, curtain.data_vars))} over"
            f" {tuple(map(str, curtain.sizes))}; reflectivity over {DIMS} is right"
        )


def map_rays(function: Callable[[xr.Dataset], xr.Dataset], data: xr.Dataset) -> xr.Dataset:
    """Returns the result for a curtain `(time, height)`; for a swath, that of its rays, joined."""
    if "ray" not in data.dims:
        return function(data)
    rays = [function(data.isel(ray=number)) for number in range(data.sizes["ray"])]
    return xr.concat(
        rays,
        dim="ray",
        data_vars="all",
        coords="different",
        compat="equals",
        join="exact",
        combine_attrs="override",
    )


def _check_fields(curtain: xr.Dataset, where: str) -> None:
    """Checks that there is a field, and that each field has the status that belongs to it."""
    if not any(name in curtain.data_vars for name in FIELDS):
        raise CurtainError(
            f"{where}: a curtain needs the variable 'reflectivity', or another of"
            f" {', '.join(FIELDS)}; it has {sorted(map(str, curtain.data_vars))}"
        )
    for field, status in STATUS_OF.items():
        if field in curtain and status not in curtain.data_vars:
            raise CurtainError(
                f"{where}: a curtain with '{field}' needs the variable '{status}'; "
                f"it has {sorted(map(str, curtain.data_vars))}"
            )


def _check_dims(curtain: xr.Dataset, where: str) -> None:
    """Checks the dimensions of everything that the canonical form names."""
    gridded = (*FIELDS, *dict.fromkeys(STATUS_OF.values()), "quality_flags", "gate_height")
    right: dict[str, tuple[tuple[str, ...], ...]] = dict.fromkeys(gridded, (DIMS,))
    right |= dict.fromkeys((*TRACK_COORDINATES, *PROFILE_FIELDS), (("time",),))
    right |= dict.fromkeys(SITE_COORDINATES, ((), ("time",)))
    for name, allowed in right.items():
        if name in curtain.variables and curtain[name].dims not in allowed:
            raise CurtainError(
                f"{where}: '{name}' has dimensions {curtain[name].dims};"
                f" {' or '.join(map(str, allowed))} is right"
            )


def check_times(times: np.ndarray, where: str) -> None:
    """Checks that times `(time,)` are known and increase strictly.

    Raises:
        CurtainError: If not, or if there are none.
    """
    _check_increasing(times, "time", where)


def _check_increasing(values: np.ndarray, name: str, where: str) -> None:
    if values.size == 0:
        raise CurtainError(
            f"{where}: '{name}' is empty; a curtain needs at least one profile and one gate"
        )
    if np.any(np.isnat(values) if values.dtype.kind == "M" else ~np.isfinite(values)):
        raise CurtainError(
            f"{where}: '{name}' has missing values; every profile and gate needs its {name}"
        )
    steps = np.diff(values)
    wrong = np.flatnonzero(steps <= np.zeros(1, dtype=steps.dtype))
    if wrong.size:
        index = int(wrong[0])
        kind = "repeats" if values[index + 1] == values[index] else "runs backwards"
        raise CurtainError(
            f"{where}: {name} {kind} at index {index + 1} ({values[index]} is followed by"
            f" {values[index + 1]}), at {wrong.size} of {steps.size} steps; it must increase"
            " strictly"
        )


def _check_status(
    values: np.ndarray, status: np.ndarray, names: tuple[str, str], where: str
) -> None:
    """Checks that a field has a value exactly where its status is echo or untrusted."""
    field, status_name = names
    unknown = _find_unknown(status)
    if unknown.any():
        found = np.unique(status[unknown][:100]).tolist()
        raise CurtainError(
            f"{where}: '{status_name}' holds {found}; known codes are"
            f" {[int(c) for c in DetectionStatus]}"
        )
    echo = status == DetectionStatus.ECHO
    known = ~np.isnan(values)
    if np.array_equal(known, echo):
        return
    empty = int((echo & ~known).sum())
    if empty:
        raise CurtainError(f"{where}: {empty} pixels are marked as echo and have no {field}")
    stray = known & ~echo & (status != DetectionStatus.UNTRUSTED)
    if stray.any():
        raise CurtainError(
            f"{where}: {int(stray.sum())} pixels have a {field} and are not marked as echo or"
            " untrusted"
        )


def _find_unknown(status: np.ndarray) -> np.ndarray:
    """Returns the mask of codes that no `DetectionStatus` has; empty if there are none."""
    codes = [code.value for code in DetectionStatus]
    # The codes are consecutive, so that the least and the greatest integer suffice; np.isin takes
    # ten times as long.
    if (
        status.dtype.kind in "iu"
        and status.size
        and min(codes) <= status.min()
        and status.max() <= max(codes)
    ):
        return np.zeros(0, dtype=bool)
    return ~np.isin(status, codes)


def describe_curtain(curtain: xr.Dataset, fields: Iterable[str] = FIELDS) -> list[str]:
    """Returns lines for people on a curtain `(time, height)`: size, times, site, fields."""
    times = [
        np.datetime_as_string(time, unit="s") for time in curtain["time"].values.ravel()[[0, -1]]
    ]
    site = ", ".join(_describe_coordinate(curtain, name) for name in SITE_COORDINATES)
    lines = [
        ", ".join(
            f"{count} {_COUNTED.get(str(name), name)}" for name, count in curtain.sizes.items()
        ),
        f"{times[0]}Z to {times[1]}Z",
        *_describe_heights(curtain),
        site,
    ]
    what = "pixels" if "height" in curtain.dims else "times"
    for name in fields:
        if name in curtain:
            values = curtain[name].values
            known = values[np.isfinite(values)]
            extent = f", {known.min():.4g} to {known.max():.4g}" if known.size else ""
            lines.append(
                f"{name}: {known.size / values.size:.1%} of all {what} hold a value{extent}"
            )
    return lines + _describe_zone(curtain)


def _describe_heights(curtain: xr.Dataset) -> list[str]:
    """Returns a line on the heights of a curtain; none of a series at the surface."""
    if "height" not in curtain.coords:
        return []
    heights = curtain["gate_height" if "gate_height" in curtain else "height"].values
    return [f"{np.nanmin(heights):.0f} to {np.nanmax(heights):.0f} m above the ground"]


def _describe_zone(curtain: xr.Dataset) -> list[str]:
    """Returns a line on the depth of a spaceborne curtain's blind zone and how it is known."""
    if "blind_zone_top" not in curtain.coords or "blind_zone_origin" not in curtain:
        return []
    tops, origins = curtain["blind_zone_top"].values, curtain["blind_zone_origin"].values
    known = tops[np.isfinite(tops)]
    extent = f"{known.min():.0f} to {known.max():.0f} m above the surface" if known.size else "none"
    shares = ", ".join(
        f"{np.mean(origins == origin):.0%} {origin.name.lower().replace('_', ' ')}"
        for origin in BlindZoneOrigin
        if (origins == origin).any()
    )
    return [f"top of the blind zone: {extent} ({shares})"]


def _describe_coordinate(curtain: xr.Dataset, name: str) -> str:
    """Returns where a curtain is, or from where to where its platform moves."""
    values = np.ravel(curtain[name].values)
    known = values[np.isfinite(values)]
    if not known.size:
        return f"{name} not stated"
    unknown = f" ({values.size - known.size} profiles without)" if known.size < values.size else ""
    way = f" to {known[-1]:g}" if np.ptp(known) > 0 else ""
    return f"{name} {known[0]:g}{way}{unknown}"
