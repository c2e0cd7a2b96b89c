"""Along the track: time of a ground radar to distance, antenna pattern, integration over pulses.

The two-way pattern is exp(-2 ln 2 (x / (ifov / 2))^2) at a distance x from the beam's axis, where
ifov is altitude times beamwidth (Lamer et al. 2020, doi 10.5194/amt-13-2363-2020). Weights are
integrals of pattern and integration over the length that each native profile represents. So nothing
is lost or counted twice between profiles that join.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from blindzone.core.errors import CurtainError
from blindzone.pipeline.emulator.normal import integrate_normal
from blindzone.pipeline.emulator.sensor import Sensor

if TYPE_CHECKING:
    from scipy.sparse import csr_array

LONGEST_STEP = 5.0
"""Steps in time longer than so many median ones are gaps, as in the archive."""
_FARTHEST = 9.0
"""Standard deviations of the pattern beyond which nothing counts: below 1e-18."""


@dataclass(frozen=True, kw_only=True)
class Wind:
    """Speed with which the wind carries the curtain over the radar, linear between its times.

    Attributes:
        time: Times `(step,)`, increasing.
        speed: Speed [m s-1], `(step,)`, positive; before the first and after the last it holds.
    """

    time: np.ndarray
    speed: np.ndarray

    @classmethod
    def constant(cls, speed: float, day: np.datetime64) -> Wind:
        """Returns a wind of one speed [m s-1]."""
        return cls(time=np.array([day.astype("datetime64[ns]")]), speed=np.array([float(speed)]))

    def measure_distance(self, times: np.ndarray) -> np.ndarray:
        """Returns the distance [m] that has passed over the radar since midnight, `(time,)`.

        It depends on the wind alone, so that the files of a day share one track.
        """
        midnight = times[0].astype("datetime64[D]").astype("datetime64[ns]")
        knots = (self.time - midnight) / np.timedelta64(1, "s")
        seconds = (times - midnight) / np.timedelta64(1, "s")
        inside = (knots > 0) & (knots < seconds[-1])
        nodes = np.unique(np.concatenate([[0.0], knots[inside], seconds]))
        speed = np.interp(nodes, knots, self.speed)
        passed = np.concatenate([[0.0], np.cumsum(np.diff(nodes) * (speed[1:] + speed[:-1]) / 2)])
        return np.asarray(np.interp(seconds, nodes, passed))


@dataclass(frozen=True, kw_only=True)
class Track:
    """Profiles of the sensor over a ground radar's profiles.

    Attributes:
        time: Time of the ground radar at the centres of the profiles, `(profile,)`.
        distance: Their distance along the track [m], `(profile,)`.
        weights: Weight of each native profile in each profile, `(profile, native)`; they add up to
            the share of the beam that is over native profiles.
        moments: Weighted distance of each native profile ahead of the beam's axis [m], likewise.
    """

    time: np.ndarray
    distance: np.ndarray
    weights: csr_array
    moments: csr_array


def find_antenna_sigma(sensor: Sensor) -> float:
    """Returns the standard deviation of the two-way pattern on the ground [m]."""
    return sensor.footprint_m / (4 * math.sqrt(math.log(2)))


def lay_track(times: np.ndarray, wind: Wind, sensor: Sensor, phase: float = 0.0) -> Track:
    """Returns the sensor's profiles over the times of a ground radar.

    Args:
        times: Times of the native profiles, `(native,)`.
        wind: Turns time into distance.
        sensor: The sensor.
        phase: Shift of the profiles [profile spacings], 0 to 1.

    Raises:
        CurtainError: If the curtain is shorter than one profile.
    """
    position = wind.measure_distance(times)
    lower, upper = find_cells(position)
    first = math.ceil(lower[0] / sensor.profile_spacing_m - phase - 0.5)
    last = math.floor(upper[-1] / sensor.profile_spacing_m - phase - 0.5)
    if last < first:
        raise CurtainError(
            f"emulation: {times.size} profiles pass over {upper[-1] - lower[0]:.0f} m, less than"
            f" the {sensor.profile_spacing_m:g} m between profiles of {sensor.name}; a longer"
            " curtain is right"
        )
    centres = (np.arange(first, last + 1) + 0.5 + phase) * sensor.profile_spacing_m
    time = _find_times(times, position, centres)
    # Half a step after the last profile of a day is another day, which has its own profiles.
    day = time.astype("datetime64[D]")
    is_inside = (day >= times[0].astype("datetime64[D]")) & (
        day <= times[-1].astype("datetime64[D]")
    )
    centres = centres[is_inside]
    weights, moments = _weigh(centres, lower, upper, sensor)
    return Track(
        time=time[is_inside],
        distance=centres,
        weights=weights,
        moments=moments,
    )


def find_cells(position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns begin and end [m] of the length that each profile represents, `(native,)`.

    It ends halfway to the next profile, and next to a gap after half a usual step.
    """
    if position.size == 1:
        return position, position
    steps = np.diff(position)
    usual = float(np.median(steps))
    half = np.where(steps > LONGEST_STEP * usual, usual, steps) / 2
    edge = np.concatenate([[usual / 2], half]), np.concatenate([half, [usual / 2]])
    return position - edge[0], position + edge[1]


def _find_times(times: np.ndarray, position: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Returns the times at distances along the track, `(profile,)`, to a microsecond."""
    start = times[0].astype("datetime64[ns]")
    seconds = (times - start) / np.timedelta64(1, "s")
    # Half a step before the first profile and after the last one.
    steps = np.diff(seconds) / np.diff(position)
    inside = np.interp(centres, position, seconds)
    before = np.minimum(centres - position[0], 0) * steps[0]
    after = np.maximum(centres - position[-1], 0) * steps[-1]
    microseconds = np.rint((inside + before + after) * 1e6).astype("timedelta64[us]")
    return np.asarray((start + microseconds).astype("datetime64[ns]"))


def _weigh(
    centres: np.ndarray, lower: np.ndarray, upper: np.ndarray, sensor: Sensor
) -> tuple[csr_array, csr_array]:
    """Returns weights and first moments of cells from `lower` to `upper` [m]; see `Track`."""
    from scipy.sparse import csr_array

    sigma, half = find_antenna_sigma(sensor), sensor.integration_m / 2
    reach = _FARTHEST
    if sensor.beam_reach is not None:
        reach = min(reach, sensor.beam_reach * sensor.footprint_m / sigma)
    span = half + reach * sigma
    begin = np.searchsorted(upper, centres - span)
    end = np.searchsorted(lower, centres + span)
    count = np.maximum(end - begin, 0)
    profile = np.repeat(np.arange(centres.size), count)
    native = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count - begin, count)
    edges = [
        (edge[native] - centres[profile] + shift) / sigma
        for edge in (upper, lower)
        for shift in (half, -half)
    ]
    shares, moments = ([function(edge, reach) for edge in edges] for function in _PATTERN)
    scale = sigma / sensor.integration_m
    shape = (centres.size, lower.size)
    return (
        csr_array((_second_difference(shares) * scale, (profile, native)), shape=shape),
        csr_array((_second_difference(moments) * scale * sigma, (profile, native)), shape=shape),
    )


def _second_difference(values: list[np.ndarray]) -> np.ndarray:
    """Returns the integral over a cell and over the pulses, of an antiderivative at its corners."""
    upper_ahead, upper_behind, lower_ahead, lower_behind = values
    return np.asarray((upper_ahead - upper_behind) - (lower_ahead - lower_behind))


def _density(offset: np.ndarray | float) -> np.ndarray:
    return np.asarray(np.exp(-0.5 * np.square(offset)) / math.sqrt(2 * math.pi))


def _integrate_pattern_twice(offset: np.ndarray, reach: float) -> np.ndarray:
    """Returns the second antiderivative of a normal distribution that is cut at its reach."""
    cut = np.clip(offset, -reach, reach)
    total = 2 * integrate_normal(reach) - 1

    def antiderivative(at: np.ndarray | float) -> np.ndarray:
        return np.asarray(at * (integrate_normal(at) - integrate_normal(-reach)) + _density(at))

    inside = (antiderivative(cut) - antiderivative(-reach)) / total
    return np.asarray(inside + (offset - cut) * (offset > cut))


def _integrate_moment_twice(offset: np.ndarray, reach: float) -> np.ndarray:
    """Returns the second antiderivative of offset times the same distribution."""
    cut = np.clip(offset, -reach, reach)
    total = 2 * integrate_normal(reach) - 1
    # The first antiderivative is density(reach) - density(offset), zero outside of the reach.
    return np.asarray(
        (_density(reach) * (cut + reach) - (integrate_normal(cut) - integrate_normal(-reach)))
        / total
    )


_PATTERN = (_integrate_pattern_twice, _integrate_moment_twice)
