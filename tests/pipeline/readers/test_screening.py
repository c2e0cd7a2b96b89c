"""Values that cannot be are masked and counted: 'no echo' in numbers, impossible velocities."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from field_cases import field_case

from blindzone.pipeline.curtains.curtain import DetectionStatus, QualityFlag, check_curtain
from blindzone.pipeline.curtains.findings import read_counts, read_doubts
from blindzone.pipeline.readers import read_curtain
from blindzone.pipeline.readers._screening import find_written_value, screen_values

PROFILES, GATES = 20, 30
STEP = np.timedelta64(9, "s")
GENERATOR = np.random.default_rng(1)


def make_curtain(reflectivity: np.ndarray, velocity: np.ndarray | None = None) -> xr.Dataset:
    """Returns a native curtain with echo wherever there is reflectivity."""
    dims = ("time", "height")
    status = np.where(np.isnan(reflectivity), DetectionStatus.NO_ECHO, DetectionStatus.ECHO)
    fields = {"reflectivity": reflectivity.astype(np.float32)}
    if velocity is not None:
        fields["doppler_velocity"] = velocity.astype(np.float32)
    return xr.Dataset(
        {name: (dims, values) for name, values in fields.items()}
        | {"detection_status": (dims, status.astype(np.int8))},
        {
            "time": np.datetime64("2021-03-14", "ns")
            + np.arange(PROFILES) * np.timedelta64(9, "s"),
            "height": 100.0 + 25 * np.arange(GATES),
            "latitude": 48.7,
            "longitude": 2.2,
            "altitude": 156.0,
        },
    )


def draw(low: float, high: float) -> np.ndarray:
    """Returns a field `(time, height)` in which no number comes twice."""
    return GENERATOR.uniform(low, high, (PROFILES, GATES))


@pytest.mark.parametrize("code", [-100.0, -99.0, -60.0, -30.0, 0.0])
def test_number_written_for_no_echo_is_none(code: float) -> None:
    reflectivity = draw(-29, 20)
    reflectivity[:, 10:] = code

    found = screen_values(make_curtain(reflectivity, draw(-5, 2)))

    check_curtain(found)
    assert (found["detection_status"].values[:, 10:] == DetectionStatus.NO_ECHO).all()
    assert (found["detection_status"].values[:, :10] == DetectionStatus.ECHO).all()
    assert found["doppler_velocity"].isnull().values[:, 10:].all()
    (reason,) = read_counts(found.attrs)
    assert f"{code:g}" in reason
    assert read_counts(found.attrs)[reason] == PROFILES * (GATES - 10)


def test_measured_values_are_left_alone() -> None:
    curtain = make_curtain(draw(-50, 20), draw(-9, 3))

    assert screen_values(curtain) is curtain


def test_packed_values_are_not_taken_for_one_that_was_written() -> None:
    # In steps of 0.5 dB, 600 pixels share 80 numbers: the commonest is far from 20 times another.
    assert find_written_value(np.round(draw(-20, 20) * 2) / 2) is None


def test_strong_value_in_many_pixels_is_a_doubt() -> None:
    reflectivity = draw(-50, 20)
    reflectivity[:, 20:] = 20.0

    found = screen_values(make_curtain(reflectivity))

    assert np.array_equal(found["reflectivity"], reflectivity.astype(np.float32))
    assert "reflectivity 20" in read_doubts(found.attrs)[0]


def test_profile_whose_unfolding_failed_keeps_its_slow_velocities_alone() -> None:
    velocity = draw(-5, 2)
    velocity[3, :10], velocity[3, 10:15], velocity[4, :5] = -30.0, -12.0, -12.0
    velocity[3, :15] += GENERATOR.uniform(0, 0.5, 15)

    found = screen_values(make_curtain(draw(-50, 20), velocity))

    unknown = found["doppler_velocity"].isnull().values
    assert unknown[3, :15].all()
    assert unknown.sum() == 15  # 12 m s-1 elsewhere may be rain in a downdraught
    assert found["reflectivity"].notnull().all()
    flags = found["quality_flags"].values
    assert np.array_equal(flags != 0, unknown)
    assert (flags[unknown] == QualityFlag.REJECTED).all()
    assert sum(read_counts(found.attrs).values()) == 15


def test_velocity_beyond_one_unfolding_is_unknown() -> None:
    velocity = draw(-5, 2)
    velocity[0, 0] = -9.5

    found = screen_values(make_curtain(draw(-50, 20), velocity), nyquist=3.0)

    assert np.argwhere(found["doppler_velocity"].isnull().values).tolist() == [[0, 0]]


def test_velocities_beyond_the_nyquist_velocity_in_many_pixels_are_a_doubt() -> None:
    found = screen_values(make_curtain(draw(-50, 4), draw(-8, 2)), nyquist=5.0)

    assert "may have another unit" in read_doubts(found.attrs)[0]


def test_rising_rain_is_a_doubt() -> None:
    found = screen_values(make_curtain(draw(6, 20), draw(2, 8)))

    assert "may have the other sign" in read_doubts(found.attrs)[0]


def test_field_case_keeps_echo_and_drops_its_impossible_velocities() -> None:
    (path,) = field_case("20").glob("*.nc")

    found = read_curtain(path)

    velocity = found["doppler_velocity"].values
    assert np.nanmin(velocity) > -10
    assert sum(read_counts(found.attrs).values()) == 159  # all of the last profile but slow ones
    assert (np.isnan(velocity) & found["reflectivity"].notnull().values).sum() == 159
