"""Along the track: distance, times, and weights against integrals of the pattern."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import dblquad

from blindzone.core.errors import CurtainError
from blindzone.pipeline.emulator.along_track import Track, Wind, find_antenna_sigma, lay_track
from blindzone.pipeline.emulator.sensor import CLOUDSAT, EARTHCARE, Sensor

DAY = np.datetime64("2021-03-12")


def make_times(count: int, step_s: float = 10.0) -> np.ndarray:
    seconds = (np.arange(count) + 0.5) * step_s
    return DAY.astype("datetime64[ns]") + np.rint(seconds * 1e9).astype("timedelta64[ns]")


def lay(count: int, sensor: Sensor, speed: float = 10.0, phase: float = 0.0) -> Track:
    return lay_track(make_times(count), Wind.constant(speed, DAY), sensor, phase)


def test_profiles_are_centred_half_a_spacing_after_midnight() -> None:
    track = lay(1000, EARTHCARE)
    np.testing.assert_allclose(track.distance[:3], [250, 750, 1250])
    # 250 m at 10 m/s.
    assert track.time[0] == DAY + np.timedelta64(25, "s")
    moved = lay(1000, EARTHCARE, phase=0.5)
    np.testing.assert_allclose(moved.distance[:2], [0, 500])


@pytest.mark.parametrize("sensor", [CLOUDSAT, EARTHCARE])
def test_weights_are_integrals_of_pattern_and_pulses(sensor: Sensor) -> None:
    track = lay(1000, sensor)
    ifov, half = sensor.footprint_m, sensor.integration_m / 2

    def pattern(ahead: float) -> float:
        norm = ifov / 4 * np.sqrt(2 * np.pi / np.log(2))
        return float(np.exp(-2 * np.log(2) * (ahead / (ifov / 2)) ** 2) / norm)

    profile = 20
    for native in (int(track.distance[profile] // 100) + shift for shift in (0, 3, 9)):
        lower = native * 100 - track.distance[profile]
        bounds = (-half, half, lower, lower + 100)
        weight = dblquad(lambda x, s: pattern(x - s), *bounds)[0] / (2 * half)
        moment = dblquad(lambda x, s: (x - s) * pattern(x - s), *bounds)[0] / (2 * half)
        assert track.weights[profile, native] == pytest.approx(weight, abs=1e-6)
        assert track.moments[profile, native] == pytest.approx(moment, abs=1e-4)


@pytest.mark.parametrize("sensor", [CLOUDSAT, EARTHCARE, replace(CLOUDSAT, beam_reach=0.5)])
def test_nothing_is_lost_or_counted_twice_along_the_track(sensor: Sensor) -> None:
    track = lay(1000, sensor, speed=7.3, phase=0.3)
    middle = slice(200, 700)
    np.testing.assert_allclose(track.weights.sum(axis=1)[10:-10], 1, atol=1e-9)
    # A native profile of 73 m spreads over profiles of which each represents its spacing.
    total = track.weights.sum(axis=0)[middle] * sensor.profile_spacing_m
    np.testing.assert_allclose(total, 73, rtol=1e-9)
    np.testing.assert_allclose(track.moments.sum(axis=1)[10:-10], 0, atol=1e-6)


def test_width_of_the_pattern_is_that_of_the_footprint() -> None:
    # exp(-2 ln 2 (x / (ifov / 2))^2) is a quarter at x = ifov / 2.
    sigma = find_antenna_sigma(EARTHCARE)
    at_edge = np.exp(-0.5 * (EARTHCARE.footprint_m / 2 / sigma) ** 2)
    assert at_edge == pytest.approx(0.25)


def test_wind_that_changes_is_integrated_and_files_of_a_day_share_a_track() -> None:
    times = make_times(8640)
    knots = DAY.astype("datetime64[ns]") + np.array([0, 12, 24]) * np.timedelta64(3600, "s")
    wind = Wind(time=knots, speed=np.array([5.0, 15.0, 5.0]))
    passed = wind.measure_distance(times)
    # Ten metres a second on average, over 86395 s; at noon half of the day's 864 km.
    assert passed[-1] == pytest.approx(864_000 - 5 * 5, abs=1)
    assert passed[4320] == pytest.approx(432_000 + 5 * 15, abs=1)
    np.testing.assert_allclose(wind.measure_distance(times[4000:]), passed[4000:])


def test_a_gap_is_not_filled_by_its_neighbours() -> None:
    times = make_times(1000)
    kept = np.r_[0:300, 500:1000]
    track = lay_track(times[kept], Wind.constant(10.0, DAY), EARTHCARE)
    known = track.weights.sum(axis=1)
    inside = (track.distance > 33_000) & (track.distance < 47_000)
    assert inside.any()
    np.testing.assert_allclose(known[inside], 0, atol=1e-12)


def test_curtain_shorter_than_a_profile_is_refused() -> None:
    with pytest.raises(CurtainError, match="a longer curtain is right"):
        lay(3, CLOUDSAT)


def test_profiles_end_with_the_day_of_the_last_measurement() -> None:
    # A step before midnight is the last measurement: it represents 5 s of the next day, too.
    times = DAY.astype("datetime64[ns]") + np.arange(86_392, 86_400, 4) * np.timedelta64(1, "s")
    sensor = replace(EARTHCARE, profile_spacing_m=20, integration_m=20)
    track = lay_track(times, Wind.constant(10.0, DAY), sensor)
    assert track.time.size == 4
    assert (track.time.astype("datetime64[D]") == DAY).all()
    assert track.weights.shape == (4, 2)
