"""Atmospheric state of a model, reanalysis or radiosonde, put on the pixels of a curtain.

The state is interpolated linearly in geometric height above mean sea level and in time, never
extrapolated: outside of its levels and profiles it is NaN. Conversions that the readers of state
files share are here too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from blindzone.core.errors import CurtainError
from blindzone.pipeline.curtains.curtain import DIMS, STATE_FIELDS
from blindzone.pipeline.curtains.position import is_moving, measure_distance

LARGEST_GAP = np.timedelta64(12, "h")
"""Between two profiles of the state: the step of the synoptic radiosondes. So a single one counts
for 6 hours before and after its launch."""
LARGEST_DISTANCE_M = 100_000.0
"""From the place of a state to a platform that moves: a few cells of the models at hand (9 to 31
km), and the distance within which sites count as alike (`applicability.SAME_SITE_KM`)."""
EARTH_RADIUS_M = 6_356_766.0
"""Radius [m] in the conversion of geopotential height (U.S. Standard Atmosphere 1976, section
1.2.5; ISO 2533:1975)."""
STANDARD_GRAVITY = 9.80665
"""Divides geopotential into geopotential height [m s-2] (ISO 2533:1975)."""
_MOLECULAR_RATIO = 0.62198
"""Ratio of the molecular masses of water and dry air (WMO-No. 8, 2018, volume I, annex 4.B)."""


def match_state(
    curtain: xr.Dataset, state: xr.Dataset, *, largest_gap: np.timedelta64 = LARGEST_GAP
) -> xr.Dataset:
    """Returns the curtain with the fields of a state curtain put on its pixels.

    Heights are compared above mean sea level (altitude plus height above the ground), since the
    state's ground, that of a model cell or of a launch site, may be lower or higher than the
    curtain's.

    Args:
        curtain: Native or gridded curtain of a radar or lidar.
        state: Native or gridded curtain with some of `STATE_FIELDS`; those that the curtain has
            already are replaced.
        largest_gap: Nothing is interpolated between profiles of the state that are farther apart. A
            state of a single profile, such as a radiosonde, counts for half of it before and after.
            Of a platform that moves, profiles farther than `LARGEST_DISTANCE_M` from the place of
            the state have none.

    Returns:
        A new dataset, with `(time, height)` float32 fields, NaN where the state is not known.

    Raises:
        CurtainError: If the state has no field, a state's levels do not run up or down, or an
            altitude is unknown.
    """
    fields = {name: state[name].values for name in STATE_FIELDS if name in state}
    if not fields:
        raise CurtainError(
            f"state: it has none of {', '.join(STATE_FIELDS)} (has"
            f" {sorted(map(str, state.data_vars))})"
        )
    level_height = _heights_above_sea(state, "state")  # (state time, level)
    target = _heights_above_sea(curtain, "curtain")  # (time or 1, height)
    between = _place_in_time(state["time"].values, curtain["time"].values, largest_gap)
    if (
        len(target) == 1
    ):  # the same heights for all: few profiles of the state to interpolate in height, then in time
        levels = _place_in_height(level_height, target)
        matched = {
            name: between.interpolate(levels.interpolate(values)) for name, values in fields.items()
        }
    else:
        levels = _place_in_height(between.interpolate(level_height), target)
        matched = {
            name: levels.interpolate(between.interpolate(values)) for name, values in fields.items()
        }
    away = _find_away(curtain, state)
    for values in matched.values():
        values[away] = np.nan
    return curtain.assign(
        {name: (DIMS, values.astype(np.float32)) for name, values in matched.items()}
    )


def _find_away(curtain: xr.Dataset, state: xr.Dataset) -> np.ndarray:
    """Returns the profiles `(time,)` of a platform that moves which are far from the state's place.

    Of a state along a track, that of its profile nearest in time counts. A place that is not known
    is not far. At a fixed site none is: what belongs to it, its catalogue decides.
    """
    times = curtain["time"].values
    if not is_moving(curtain):
        return np.zeros(times.size, dtype=bool)
    own, theirs = (
        [part[name].values for name in ("latitude", "longitude")] for part in (curtain, state)
    )
    known = state["time"].values
    after = np.clip(np.searchsorted(known, times), 1, max(known.size - 1, 1))
    pair = np.minimum(np.stack([after - 1, after]), known.size - 1)
    nearest = pair[np.argmin(np.abs(known[pair] - times), axis=0), np.arange(times.size)]
    theirs = [values[nearest] if values.ndim else values for values in theirs]
    return np.asarray(measure_distance(*own, *theirs) > LARGEST_DISTANCE_M)


def interpolate_in_height(
    values: np.ndarray, level_height: np.ndarray, height: np.ndarray
) -> np.ndarray:
    """Returns values at other heights, float32 `(time, row)`, linear between two levels.

    NaN above the highest and below the lowest known level, and where one of the two levels has no
    value or no height.

    Args:
        values: `(time, level)`, NaN where unknown.
        level_height: Height [m] of each value, `(time, level)`, upwards or downwards along the
            levels of every profile, NaN where unknown.
        height: Heights [m] to interpolate to, above the same zero: `(row,)`, or `(time, row)` where
            profiles differ.

    Raises:
        CurtainError: If the heights of a profile run both up and down.
    """
    return (
        _place_in_height(level_height, np.atleast_2d(height)).interpolate(values).astype(np.float32)
    )


def geometric_height(geopotential_height_m: np.ndarray) -> np.ndarray:
    """Returns geometric height z = R H / (R - H) [m] of geopotential height H [m].

    Both are above mean sea level.

    R is `EARTH_RADIUS_M`. The two differ by 16 m at 10 km. Gravity's change with latitude is left
    out, as in the standard atmosphere: at most 0.27 % (27 m at 10 km, a third of a model row).
    """
    height = np.asarray(geopotential_height_m, dtype=np.float64)
    return np.asarray(EARTH_RADIUS_M * height / (EARTH_RADIUS_M - height))


def height_of_geopotential(geopotential: np.ndarray) -> np.ndarray:
    """Returns geometric height [m] above mean sea level of geopotential [m2 s-2]."""
    return geometric_height(np.asarray(geopotential, dtype=np.float64) / STANDARD_GRAVITY)


def humidity_of_dew_point(dew_point_c: np.ndarray, pressure_hpa: np.ndarray) -> np.ndarray:
    """Returns specific humidity [kg kg-1] of dew point [degree C] and pressure [hPa].

    Vapour pressure over water e = 6.112 exp(17.62 t / (243.12 + t)) [hPa] (WMO-No. 8, 2018, volume
    I, annex 4.B; stated there for -45 to 60 degree C, good to some percent of very little water
    below), q = 0.622 e / (p - 0.378 e). Dew points of radiosondes are over water at all
    temperatures.
    """
    vapour_hpa = 6.112 * np.exp(17.62 * dew_point_c / (243.12 + dew_point_c))
    return np.asarray(
        _MOLECULAR_RATIO * vapour_hpa / (pressure_hpa - (1 - _MOLECULAR_RATIO) * vapour_hpa)
    )


def wind_components(speed: np.ndarray, direction_deg: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns eastward and northward wind [m s-1] of speed [m s-1] and direction [degree].

    The direction is that from which the wind comes.
    """
    direction = np.radians(direction_deg)
    return np.asarray(-speed * np.sin(direction)), np.asarray(-speed * np.cos(direction))


@dataclass(frozen=True, kw_only=True)
class _Placement:
    """Where targets are between their neighbours along one axis of an array.

    Attributes:
        lower: Indices of the neighbours before, and
        upper: after, into the array's first axis, or into the flattened array: of any shape.
        weight: Share of the upper one, 0 to 1, NaN where nothing is interpolated.
        flat: Whether the indices are into the flattened array.
    """

    lower: np.ndarray
    upper: np.ndarray
    weight: np.ndarray
    flat: bool

    def interpolate(self, values: np.ndarray) -> np.ndarray:
        """Returns values `(time, ...)` between the neighbours, NaN where one that counts is NaN."""
        source = np.ravel(values) if self.flat else values
        lower, upper = source[self.lower], source[self.upper]
        weight = self.weight.astype(np.float64 if values.dtype == np.float64 else np.float32)
        between = lower + weight * (upper - lower)
        # On a neighbour itself the other one does not count, be it NaN.
        return np.asarray(np.where(weight == 0, lower, np.where(weight == 1, upper, between)))


def _place_in_height(level_height: np.ndarray, target: np.ndarray) -> _Placement:
    """Returns the placement of heights `(time or 1, row)` among levels `(time, level)`, in [m]."""
    profiles, levels = level_height.shape
    down = _runs_down(level_height)
    heights = _fill_unknown(level_height[:, ::-1] if down else level_height)
    _check_monotonic(heights)
    target = np.broadcast_to(target.astype(np.float64), (profiles, target.shape[1]))
    # One search for all profiles: each is lifted above the one before, in the levels and in the
    # targets alike.
    finite = target[np.isfinite(target)]
    lowest = min(heights.min(), finite.min(initial=np.inf))
    span = max(heights.max(), finite.max(initial=-np.inf)) - lowest + 1.0
    lift = (np.arange(profiles) * span - lowest)[:, np.newaxis]
    found = np.searchsorted(np.ravel(heights + lift), np.ravel(target + lift)).reshape(target.shape)
    first = (np.arange(profiles) * levels)[:, np.newaxis]
    upper = np.clip(found, first, first + levels - 1)
    lower = np.maximum(upper - 1, first)
    flat = np.ravel(heights)
    below, above = flat[lower], flat[upper]
    with np.errstate(invalid="ignore", divide="ignore"):
        weight = np.where(target == above, 1.0, (target - below) / (above - below))
    weight[~((target >= below) & (target <= above))] = np.nan
    if down:
        lower, upper = (2 * first + levels - 1 - index for index in (lower, upper))
    return _Placement(lower=lower, upper=upper, weight=weight, flat=True)


def _runs_down(heights: np.ndarray) -> bool:
    """Returns whether heights `(time, level)` mostly decrease along the levels."""
    steps = np.diff(heights, axis=1)
    return bool(np.count_nonzero(steps < 0) > np.count_nonzero(steps > 0))


def _fill_unknown(heights: np.ndarray) -> np.ndarray:
    """Returns upward heights `(time, level)`; an unknown one takes that of the level below.

    So it stays between its neighbours, and its own missing value keeps the result unknown.
    """
    filled = np.asarray(heights, dtype=np.float64)
    unknown = ~np.isfinite(filled)
    if not unknown.any():
        return filled
    last_known = np.maximum.accumulate(np.where(unknown, -1, np.arange(filled.shape[1])), axis=1)
    lowest = np.min(np.where(unknown, np.inf, filled), axis=1, keepdims=True)
    beneath = np.where(
        np.isfinite(lowest), lowest - 1.0, 0.0
    )  # levels below the first that is known
    return np.where(
        last_known < 0, beneath, np.take_along_axis(filled, np.maximum(last_known, 0), axis=1)
    )


def _check_monotonic(heights: np.ndarray) -> None:
    wrong = np.argwhere(np.diff(heights, axis=1) < 0)
    if wrong.size:
        profile, level = (int(index) for index in wrong[0])
        found = f"{heights[profile, level]:g} m is followed by {heights[profile, level + 1]:g} m"
        raise CurtainError(
            f"state: level heights run both up and down in profile {profile} ({found}); one"
            " direction is right"
        )


def _place_in_time(
    known: np.ndarray, wanted: np.ndarray, largest_gap: np.timedelta64
) -> _Placement:
    """Returns where times `(time,)` are between the known ones, which increase strictly."""
    if known.size == 1:
        near = (
            2 * np.abs(wanted - known[0]) <= largest_gap
        )  # half an hour is no whole number of hours
        index = np.zeros(wanted.shape, dtype=np.int64)
        weight = np.where(near, 0.0, np.nan)
    else:
        index = np.clip(np.searchsorted(known, wanted, side="right") - 1, 0, known.size - 2)
        gap = known[index + 1] - known[index]
        weight = (wanted - known[index]) / gap
        inside = (gap <= largest_gap) & (weight >= 0) & (weight <= 1)
        weight[~(inside | (weight == 0) | (weight == 1))] = np.nan
    upper = np.minimum(index + 1, known.size - 1)
    return _Placement(lower=index, upper=upper, weight=weight[:, np.newaxis], flat=False)


def _heights_above_sea(curtain: xr.Dataset, which: str) -> np.ndarray:
    """Returns the height [m] above mean sea level of pixels, `(time, height)` or `(1, height)`.

    A state always comes with its profiles, a curtain only where its gates or its ground differ
    between them.
    """
    altitude = np.asarray(curtain["altitude"].values, dtype=np.float64)
    if not np.isfinite(altitude).any():
        raise CurtainError(
            f"{which}: its altitude above mean sea level is unknown, so that no height can be"
            " compared; state it for the source in the catalogue"
        )
    above_ground = (
        curtain["gate_height"].values
        if "gate_height" in curtain
        else curtain["height"].values[np.newaxis]
    )
    heights = altitude.reshape(-1, 1) + above_ground.astype(np.float64)
    return (
        np.broadcast_to(heights, (curtain.sizes["time"], heights.shape[1]))
        if which == "state"
        else heights
    )
