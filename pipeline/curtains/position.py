"""Positions of a platform: distances, whether it moves, and whether two curtains are of one place.

Latitude and longitude are numbers at a fixed site and `(time,)` on a platform that moves. Distances
are on the WGS84 ellipsoid, so that neither the date line nor a pole is special.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from blindzone.pipeline.curtains.curtain import SITE_COORDINATES

HORIZONTAL_NOISE_M = 50.0
"""Fixes of a receiver at rest are this close to their median [m]. At the worst site, 95 of 100 are
within 15 m (GPS SPS Performance Standard, 5th edition, 2020, table 3.8-3); the rest is room for
echoes of the signal from roofs and masts."""
VERTICAL_NOISE_M = 50.0
"""The same for altitude [m], of which 95 of 100 are within 33 m."""
_FIXES_AT_REST = 0.99
"""Share of the fixes that is compared: a few glitches do not set a fixed site in motion."""
_SAME_PLACE = {"latitude": 0.01, "longitude": 0.01, "altitude": 50.0}
"""By how much the files of one unit may differ in a fixed site [degree, degree, m]: some receivers
state a position that moves by metres. That of the first file is kept."""
_SAME_PLACE_M = 1113.0
"""The same for platforms that move [m]: a hundredth of a degree of latitude."""
LARGEST_PLATFORM_SPEED = 350.0
"""No aircraft with a radar moves faster over the ground [m s-1]: a jet at Mach 0.9 with the jet
stream."""

_SEMI_MAJOR_AXIS_M = 6_378_137.0
_FLATTENING = 1 / 298.257223563
"""Of the WGS84 ellipsoid (NIMA TR8350.2)."""
_MEAN_RADIUS_M = 6_371_008.8
"""Of the same ellipsoid (Moritz 2000, doi 10.1007/s001900050278)."""


def measure_distance(
    latitude: np.ndarray,
    longitude: np.ndarray,
    other_latitude: np.ndarray,
    other_longitude: np.ndarray,
) -> np.ndarray:
    """Returns the distance [m] between geodetic positions, of the shape of the arguments together.

    The straight line through the Earth is turned into the arc above it with the mean radius: up to
    100 km good to 1e-6, beyond to 0.3 %. NaN where a position is unknown.

    Args:
        latitude: In degrees north.
        longitude: In degrees east, in any range of 360 degrees.
        other_latitude: Of the other position.
        other_longitude: Of the other position.
    """
    north, east, other_north, other_east = np.broadcast_arrays(
        latitude, longitude, other_latitude, other_longitude
    )
    steps = _to_points(other_north, other_east) - _to_points(north, east)
    chords = np.sqrt(np.sum(steps**2, axis=0))
    return np.asarray(
        2 * _MEAN_RADIUS_M * np.arcsin(np.minimum(chords / (2 * _MEAN_RADIUS_M), 1.0))
    )


def measure_track(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Returns the distance [m] along the track from its first point, `(time,)`; see above."""
    arcs = measure_distance(latitude[:-1], longitude[:-1], latitude[1:], longitude[1:])
    return np.concatenate([np.zeros(min(latitude.size, 1)), np.cumsum(arcs)])


def _to_points(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Returns positions from the centre of the Earth [m], `(xyz, ...)`."""
    phi, lam = np.radians(latitude, dtype=np.float64), np.radians(longitude, dtype=np.float64)
    eccentricity_squared = _FLATTENING * (2 - _FLATTENING)
    prime_vertical = _SEMI_MAJOR_AXIS_M / np.sqrt(1 - eccentricity_squared * np.sin(phi) ** 2)
    return np.stack(
        [
            prime_vertical * np.cos(phi) * np.cos(lam),
            prime_vertical * np.cos(phi) * np.sin(lam),
            prime_vertical * (1 - eccentricity_squared) * np.sin(phi),
        ]
    )


def find_middle(values: np.ndarray, *, turn: float = np.inf) -> float:
    """Returns the median of values `(n,)` that are known, NaN without one.

    Args:
        values: Numbers; NaN is skipped.
        turn: Of angles, the full turn, 360 degrees: no median lies between both sides of it.
    """
    known = values[np.isfinite(values)]
    if not known.size:
        return float("nan")
    if np.ptp(known) <= turn / 2:
        return float(np.median(known))
    middle = known[0] + np.median((known - known[0] + turn / 2) % turn - turn / 2)
    # Back to the range that the values are in: -180 to 180, or 0 to 360.
    return float((middle + turn / 2) % turn - turn / 2 if known.min() < 0 else middle % turn)


def find_extent(longitude: np.ndarray) -> tuple[float, float]:
    """Returns the westernmost and the easternmost longitude [degree] of known ones `(n,)`.

    West is the greater number where they go over the edge of their range, such as the date line. It
    is not for what goes more than half around the Earth.
    """
    ordered = np.sort(longitude)
    gaps = np.diff(ordered)
    if gaps.size and gaps.max() > 180:
        edge = int(np.argmax(gaps))
        return float(ordered[edge + 1]), float(ordered[edge])
    return float(ordered[0]), float(ordered[-1])


def unwrap_longitude(curtain: xr.Dataset) -> xr.Dataset:
    """Returns a curtain or swath whose longitudes [degree] have no jump where it passes an edge.

    A track over the date line is then from 0 to 360 degrees, one over Greenwich that was so from
    -180 to 180. Of one around the whole Earth nothing changes.
    """
    east = curtain["longitude"].values
    known = np.ravel(east)[np.isfinite(np.ravel(east))]
    west, far = find_extent(known) if known.size else (0.0, 0.0)
    if west <= far:
        return curtain
    turned = (east + 180) % 360 - 180 if np.nanmax(east) > 180 else east % 360
    dims, attrs = curtain["longitude"].dims, curtain["longitude"].attrs
    return curtain.assign_coords(longitude=(dims, turned, attrs))


def moves(latitude: np.ndarray, longitude: np.ndarray) -> bool:
    """Returns whether fixes [degree] `(time,)` leave one place by more than their noise."""
    middle = find_middle(latitude), find_middle(longitude, turn=360.0)
    return _exceeds(
        measure_distance(latitude, longitude, *map(np.asarray, middle)), HORIZONTAL_NOISE_M
    )


def climbs(altitude: np.ndarray) -> bool:
    """Returns whether altitudes [m] `(time,)` leave one level by more than their noise."""
    return _exceeds(np.abs(altitude - find_middle(altitude)), VERTICAL_NOISE_M)


def _exceeds(distance: np.ndarray, noise: float) -> bool:
    known = distance[np.isfinite(distance)]
    return bool(known.size and np.quantile(known, _FIXES_AT_REST) > noise)


def is_moving(curtain: xr.Dataset) -> bool:
    """Returns whether a curtain `(time, height)` has a position for each profile."""
    return any(curtain[name].ndim for name in SITE_COORDINATES[:2] if name in curtain.coords)


def find_other_place(curtain: xr.Dataset, other: xr.Dataset) -> tuple[str, str] | None:
    """Returns the places of two curtains of one source in words, if they cannot be of one platform.

    Two fixed sites must be the same. Where one moves, the nearest fixes in time must be within
    reach.
    """
    if is_moving(curtain) or is_moving(other):
        return _find_out_of_reach(curtain, other)
    for name, largest in _SAME_PLACE.items():
        if curtain[name].ndim or other[name].ndim:
            continue
        here, there = curtain[name].item(), other[name].item()
        apart = abs(here - there)
        apart = min(apart, abs(360 - apart)) if name == "longitude" else apart
        if np.isnan(here) != np.isnan(there) or apart > largest:
            return f"{name} {here:g}", f"{name} {there:g}"
    return None


def _find_out_of_reach(curtain: xr.Dataset, other: xr.Dataset) -> tuple[str, str] | None:
    """Returns the nearest fixes of two curtains in words, if no platform gets to the other."""
    (times, *fix), (others, *other_fix) = (_take_fixes(one) for one in (curtain, other))
    if not times.size or not others.size:
        return None
    after = np.searchsorted(others, times)
    pairs = np.clip(np.stack([after - 1, after]), 0, others.size - 1)
    apart = np.abs(others[pairs] - times)
    side, here = np.unravel_index(np.argmin(apart), apart.shape)
    there = pairs[side, here]
    seconds = apart[side, here] / np.timedelta64(1, "s")
    distance = measure_distance(*(part[here] for part in fix), *(part[there] for part in other_fix))
    if distance <= _SAME_PLACE_M + LARGEST_PLATFORM_SPEED * seconds:
        return None
    return _describe_fix(times, fix, here), _describe_fix(others, other_fix, there)


def _take_fixes(curtain: xr.Dataset) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns times, latitudes and longitudes `(fix,)` of the profiles whose place is known."""
    times = curtain["time"].values
    north, east = (
        np.broadcast_to(curtain[name].values, times.shape) for name in ("latitude", "longitude")
    )
    known = np.isfinite(north) & np.isfinite(east)
    return times[known], north[known], east[known]


def _describe_fix(times: np.ndarray, fix: Sequence[np.ndarray], index: np.intp) -> str:
    north, east = (float(part[index]) for part in fix)
    return f"position {north:.4f}, {east:.4f} at {np.datetime_as_string(times[index], unit='s')}Z"


def align_positions(curtains: Sequence[xr.Dataset]) -> list[xr.Dataset]:
    """Returns curtains `(time, height)` of one source with site coordinates of the same shape.

    Where one moves, all get a position for each profile. So does the altitude, where one climbs or
    the levels of a platform that moves differ.
    """
    moving = any(map(is_moving, curtains))
    spread = [name for name in SITE_COORDINATES[:2] if moving]
    levels = [curtain["altitude"].values for curtain in curtains]
    if any(level.ndim for level in levels) or (moving and climbs(np.array(levels))):
        spread.append("altitude")
    return [_spread(curtain, spread) for curtain in curtains]


def _spread(curtain: xr.Dataset, names: Sequence[str]) -> xr.Dataset:
    """Returns the curtain with some coordinates given for each profile, `(time,)`."""
    fixed = [name for name in names if not curtain[name].ndim]
    size = curtain.sizes["time"]
    return curtain.assign_coords(
        {name: ("time", np.full(size, curtain[name].values), curtain[name].attrs) for name in fixed}
    )
