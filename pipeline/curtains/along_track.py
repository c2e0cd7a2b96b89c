"""Averages along the track of a radar that looks down: fine profiles to those of a network.

Like gates in a row, profiles are averaged in linear units: no echo is zero, no data does not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from blindzone.core.errors import CurtainError
from blindzone.pipeline.curtains.curtain import (
    DIMS,
    LIDAR_FIELDS,
    STATUS_OF,
    DetectionStatus,
    map_rays,
)
from blindzone.pipeline.curtains.position import is_moving, measure_distance

SAME_SPACING = 1.25
"""Spacings within this factor are alike: a window then spans at most a quarter more or less of the
track, as `applicability.TIME_STEP_FACTOR` has it for time."""

_ALONG = "along_track_distance"
_FIX = ("latitude", "longitude")
_CLAIMS = (
    DetectionStatus.NO_ECHO,
    DetectionStatus.CLUTTER_REMOVED,
    DetectionStatus.ECHO,
    DetectionStatus.UNTRUSTED,
)
"""From the weakest claim to the strongest, as in gridding; without any there is no data."""


def looks_down(curtain: xr.Dataset) -> bool:
    """Returns whether a curtain or swath is that of a radar above it, which moves along a track."""
    return _ALONG in curtain.variables


def find_spacing(curtain: xr.Dataset) -> float:
    """Returns the median distance [m] between profiles along the track; NaN of a single one."""
    steps = np.diff(_pick_along(curtain))
    return float(np.median(steps)) if steps.size else float("nan")


def take_middle_ray(curtain: xr.Dataset) -> xr.Dataset:
    """Returns the middle ray of a swath `(ray, time, height)`; a curtain as it is."""
    if "ray" not in curtain.dims:
        return curtain
    middle = curtain.isel(ray=curtain.sizes["ray"] // 2)
    return middle.drop_vars("ray", errors="ignore")


def continue_tracks(curtains: Sequence[xr.Dataset]) -> list[xr.Dataset]:
    """Returns curtains or swaths of one platform, in order, whose distances go on from each other.

    The way from one to the next is a straight one. Curtains that do not move stay as they are.
    """
    continued = list(curtains[:1])
    for curtain in curtains[1:]:
        before = continued[-1]
        if looks_down(curtain) and looks_down(before) and is_moving(curtain):
            end, start = before.isel(time=-1), curtain.isel(time=0)
            gap = measure_distance(*(at[name].values for at in (end, start) for name in _FIX))
            offset = np.asarray(end[_ALONG].values + gap - start[_ALONG].values)[..., np.newaxis]
            along = curtain[_ALONG]
            curtain = curtain.assign_coords(
                {_ALONG: (along.dims, along.values + offset, along.attrs)}
            )
        continued.append(curtain)
    return continued


def average_along_track(
    curtain: xr.Dataset, spacing_m: float, *, where: str = "curtain"
) -> xr.Dataset:
    """Returns the curtain with profiles `spacing_m` apart, each the mean of those around it.

    The track is cut into lengths of the spacing. Of the profiles in one,

    - reflectivity is the mean in linear units, no echo counting as zero and no data not counting;
    - Doppler velocity is the mean over echo weighted with linear reflectivity;
    - a lidar's field is the arithmetic mean, no return counting as zero and no data not counting;
    - state and other numbers of each profile are means of what is known, the surface's echo in
      linear units; whole numbers are those of the middle profile;
    - a status is the strongest claim, and `quality_flags` has the bits of all;
    - time, distance and position are those of their centre;
    - the top of the blind zone is the highest that is known.

    A length without a profile has none: a gap stays a gap.

    Args:
        curtain: Curtain `(time, height)` with `along_track_distance`, all profiles with the same
            heights; or a swath of them, whose middle ray decides which profiles become one.
        spacing_m: Distance between profiles [m].
        where: What to call the curtain in messages.

    Returns:
        The same curtain if its profiles are that far apart already, within `SAME_SPACING`.

    Raises:
        CurtainError: If its profiles are farther apart, its distances do not rise, its heights
            differ between profiles, or it is of a radar that does not move along a track.
    """
    if not looks_down(curtain):
        raise CurtainError(
            f"{where}: profiles every {spacing_m:g} m along the track are asked for, and the radar"
            " does not look down from above; none is right for a radar on the ground"
        )
    found = find_spacing(curtain)
    if found > spacing_m * SAME_SPACING:
        raise CurtainError(
            f"{where}: its profiles are {found:.0f} m apart along the track, which cannot be made"
            f" {spacing_m:g} m: nothing is made finer; a spacing of no less is right"
        )
    if not found * SAME_SPACING < spacing_m:  # NaN of a single profile
        return curtain
    _check(curtain, where)
    groups = _find_groups(_pick_along(curtain), spacing_m, found)
    return map_rays(lambda one: _average(one, groups), curtain)


def _pick_along(curtain: xr.Dataset) -> np.ndarray:
    """Returns the distance along the track [m] `(time,)`, of a swath that of its middle ray."""
    return np.asarray(take_middle_ray(curtain)[_ALONG].values)


def _check(curtain: xr.Dataset, where: str) -> None:
    if "gate_height" in curtain:
        raise CurtainError(
            f"{where}: the heights of its gates differ between profiles; a curtain on a grid is"
            " right"
        )
    steps = np.diff(_pick_along(curtain))
    wrong = np.flatnonzero(~(steps >= 0))
    if wrong.size:
        raise CurtainError(
            f"{where}: the distance along the track is unknown or falls at {wrong.size} of"
            f" {steps.size} steps (first after profile {wrong[0]}); one that rises is right"
        )


def _find_groups(along: np.ndarray, spacing_m: float, found_m: float) -> _Groups:
    # The first profile represents half a step before it, too.
    number = np.floor((along - along[0] + found_m / 2) / spacing_m)
    return _Groups(starts=np.flatnonzero(np.diff(number, prepend=-1.0)), profiles=along.size)


def _average(curtain: xr.Dataset, groups: _Groups) -> xr.Dataset:
    variables = {
        str(name): (variable.dims, _average_variable(curtain, str(name), groups), variable.attrs)
        for name, variable in curtain.variables.items()
        if "time" in variable.dims
    }
    fixed = {name: v for name, v in curtain.variables.items() if "time" not in v.dims}
    averaged = xr.Dataset(variables | fixed, attrs=curtain.attrs)
    return averaged.set_coords(list(curtain.coords))


@dataclass(frozen=True, kw_only=True)
class _Groups:
    """Profiles that become one, without a profile between two groups.

    Attributes:
        starts: The first profile of each group `(group,)`.
        profiles: Number of all profiles.
    """

    starts: np.ndarray
    profiles: int

    @property
    def middles(self) -> np.ndarray:
        """The profile in the middle of each group `(group,)`."""
        return np.asarray((self.starts + np.append(self.starts[1:], self.profiles) - 1) // 2)

    def sum(self, values: np.ndarray) -> np.ndarray:
        """Returns the sum over each group, float64 `(group, ...)`, of values `(time, ...)`."""
        return np.asarray(np.add.reduceat(values, self.starts, axis=0, dtype=np.float64))

    def any(self, mask: np.ndarray) -> np.ndarray:
        """Returns whether a mask `(time, ...)` holds anywhere in each group, `(group, ...)`."""
        return np.asarray(np.logical_or.reduceat(mask, self.starts, axis=0))

    def mean(self, values: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Returns the mean of what is known, weighted `(time, ...)`; NaN where nothing is."""
        known = np.isfinite(values)
        weight = known if weights is None else np.where(known, weights, 0.0)
        total, of = self.sum(np.where(known, values, 0.0) * weight), self.sum(weight)
        mean: np.ndarray = np.divide(total, of, out=np.full(of.shape, np.nan), where=of > 0)
        return mean


def _average_variable(curtain: xr.Dataset, name: str, groups: _Groups) -> np.ndarray:
    values = curtain[name].values
    if name == "time":
        return _average_times(values, groups)
    if name in _FIX:
        return _average_position(curtain, groups)[name]
    if name in STATUS_OF.values():
        return _find_strongest(values, groups)
    if name == "quality_flags":
        return np.asarray(np.bitwise_or.reduceat(values, groups.starts, axis=0))
    if name == "blind_zone_top":
        return np.asarray(np.fmax.reduceat(values, groups.starts))
    if values.dtype.kind != "f":
        return np.asarray(values[groups.middles])
    return _average_field(curtain, name, groups).astype(values.dtype)


def _average_field(curtain: xr.Dataset, name: str, groups: _Groups) -> np.ndarray:
    """Returns the mean `(group, ...)` of a field of numbers `(time, ...)`."""
    values = curtain[name].values
    if name == "surface_echo":
        return np.asarray(10 * np.log10(groups.mean(np.power(10.0, 0.1 * values))))
    if name == "doppler_velocity" and "reflectivity" in curtain:
        return groups.mean(values, _to_linear(curtain["reflectivity"].values))
    if name not in ("reflectivity", *LIDAR_FIELDS) or curtain[name].dims != DIMS:
        return groups.mean(values)
    seen = groups.sum(curtain[STATUS_OF[name]].values != DetectionStatus.NO_DATA)
    is_radar = name == "reflectivity"
    total = groups.sum(_to_linear(values) if is_radar else np.nan_to_num(values, nan=0.0))
    has_value = groups.any(np.isfinite(values))
    mean = np.divide(total, seen, out=np.full(total.shape, np.nan), where=has_value & (seen > 0))
    return np.asarray(10 * np.log10(mean) if is_radar else mean)


def _to_linear(dbz: np.ndarray) -> np.ndarray:
    """Returns linear reflectivity [mm6 m-3] of any shape, zero where there is no echo."""
    return np.asarray(np.nan_to_num(np.power(10.0, 0.1 * dbz, dtype=np.float64), nan=0.0))


def _find_strongest(status: np.ndarray, groups: _Groups) -> np.ndarray:
    out = np.full((groups.starts.size, *status.shape[1:]), DetectionStatus.NO_DATA, status.dtype)
    for claim in _CLAIMS:
        out[groups.any(status == claim)] = claim
    return out


def _average_times(times: np.ndarray, groups: _Groups) -> np.ndarray:
    seconds = (times - times[0]) / np.timedelta64(1, "s")
    nanoseconds = np.rint(groups.mean(seconds) * 1e9).astype("timedelta64[ns]")
    return np.asarray(times[0].astype("datetime64[ns]") + nanoseconds)


def _average_position(curtain: xr.Dataset, groups: _Groups) -> dict[str, np.ndarray]:
    """Returns latitude and longitude [degree] of the centres `(group,)`.

    The vertical at the centre is the mean of the verticals, so that neither the date line nor a
    pole is special.
    """
    shape = curtain["time"].shape
    north, east = (np.broadcast_to(curtain[name].values, shape).astype(np.float64) for name in _FIX)
    phi, lam = np.radians(north), np.radians(east)
    x, y, z = (
        groups.mean(part)
        for part in (np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi))
    )
    longitude = np.degrees(np.arctan2(y, x))
    # In the range of the curtain: -180 to 180, or 0 to 360.
    if np.nanmax(east, initial=0.0) > 180:
        longitude = longitude % 360
    latitude = np.degrees(np.arctan2(z, np.hypot(x, y)))
    return {"latitude": latitude, "longitude": longitude}
