"""Optional channels: measured fields with their presence, and running means of what is visible."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from blindzone.core.errors import CurtainError
from blindzone.pipeline.curtains.curtain import DIMS, DetectionStatus
from blindzone.pipeline.curtains.hidden import hide_below
from blindzone.pipeline.network_input.channels import (
    Profiles,
    average_in_time,
    encode_measured,
    list_channels,
    parse_time_context,
    scale_measured,
)
from blindzone.pipeline.network_input.scaling import ChannelScalings, ReflectivityScaling

SCALING = ReflectivityScaling()
NO_DATA, NO_ECHO, ECHO, CLUTTER_REMOVED, UNTRUSTED = DetectionStatus
NAN = np.nan


def make_profiles(
    units: np.ndarray, looked: np.ndarray | None = None, step_s: float = 60.0
) -> Profiles:
    """Profiles a minute apart."""
    looked = np.ones(units.shape, dtype=bool) if looked is None else looked
    return Profiles(
        reflectivity=units.astype(np.float32),
        looked=looked,
        trusted=looked,
        time_s=step_s * np.arange(len(units)),
    )


def make_curtain(*, spaceborne: bool = False, **fields: tuple[list[float], type]) -> xr.Dataset:
    """One profile of a field a keyword: its rows and their type."""
    curtain = xr.Dataset(
        {name: (DIMS, np.array([rows], dtype=kind)) for name, (rows, kind) in fields.items()}
    )
    return curtain.assign_coords(along_track_distance=("time", [0.0])) if spaceborne else curtain


def average(
    profiles: Profiles, hidden_rows: list[int] | np.ndarray, name: str, span: slice = slice(None)
) -> np.ndarray:
    hidden = hide_below(np.asarray(hidden_rows), profiles.reflectivity.shape[1])
    return average_in_time(profiles, hidden, (name,), SCALING, span)[name]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("reflectivity_mean_10min", ("reflectivity_mean", 10)),
        ("echo_share_45min", ("echo_share", 45)),
        ("reflectivity_mean_0min", None),
        ("reflectivity_mean_10", None),
        ("temperature_mean_10min", None),
        ("height", None),
    ],
)
def test_names_of_time_contexts_say_what_and_how_long(
    name: str, expected: tuple[str, int] | None
) -> None:
    found = parse_time_context(name)
    assert (None if found is None else (found.kind, found.minutes)) == expected


def test_a_presence_flag_follows_each_measured_channel_alone() -> None:
    asked = ("reflectivity", "soft_mask", "temperature", "echo_share_5min", "doppler_velocity")
    assert list_channels(asked) == (
        *("reflectivity", "soft_mask", "temperature", "temperature_present", "echo_share_5min"),
        *("doppler_velocity", "doppler_velocity_present"),
    )


def scale_one(
    curtain: xr.Dataset, name: str, echo: list[bool], looked: list[bool]
) -> tuple[list[float], list[bool]]:
    scaled = scale_measured(
        curtain, (name,), np.array([echo]), np.array([looked]), ChannelScalings()
    )
    units, present = scaled[name]
    return np.round(units[0].astype(float), 6).tolist(), present[0].tolist()


def test_velocity_stands_where_there_is_echo_and_is_upward_from_orbit_too() -> None:
    rows: list[float] = [-10, 4, NAN, NAN, 10, NAN]
    echo, looked = [True, True, True, False, False, False], [True] * 5 + [False]
    # -10 ... 10 m s-1 become -0.5 ... 1: 4 m s-1 lies at 0.55. An echo without velocity is absent;
    # where there is no echo the radar looked; the 10 m s-1 belong to echo below the floor.
    present = [True, True, False, True, True, False]
    curtain = make_curtain(doppler_velocity=(rows, np.float32))
    assert scale_one(curtain, "doppler_velocity", echo, looked) == (
        [-0.5, 0.55, -1, -1, -1, -1],
        present,
    )
    curtain = make_curtain(doppler_velocity=(rows, np.float32), spaceborne=True)
    assert scale_one(curtain, "doppler_velocity", echo, looked) == (
        [1, -0.05, -1, -1, -1, -1],
        present,
    )


def test_backscatter_is_logarithmic_and_present_where_the_lidar_looked() -> None:
    # 1e-8 ... 1e-3 become -0.5 ... 1; 1e-5 is three of five decades up: 0.4. A value below the
    # lidar's trusted height is absent, a value that is not positive is nothing seen.
    curtain = make_curtain(
        attenuated_backscatter=([1e-5, NAN, NAN, 1e-4, 1e-9, -1e-6], np.float32),
        backscatter_status=([ECHO, NO_ECHO, NO_DATA, UNTRUSTED, ECHO, ECHO], np.int8),
    )
    units, present = scale_one(curtain, "attenuated_backscatter", [False] * 6, [True] * 6)
    assert units == pytest.approx([0.4, -1, -1, -1, -0.5, -1], abs=1e-6)
    assert present == [True, True, False, False, True, True]


def test_state_is_present_where_it_is_known_whatever_the_radar_saw() -> None:
    curtain = make_curtain(temperature=([240, NAN], np.float32), eastward_wind=([0, 0], np.float32))
    assert scale_one(curtain, "temperature", [False, False], [False, False]) == (
        [0.25, -1],
        [True, False],
    )


def test_what_is_not_asked_for_or_not_there_is_left_out() -> None:
    curtain = make_curtain(temperature=([240], np.float32), eastward_wind=([0], np.float32))
    echo = np.zeros((1, 1), dtype=bool)
    scaled = scale_measured(
        curtain, ("temperature", "specific_humidity"), echo, echo, ChannelScalings()
    )
    assert set(scaled) == {"temperature"}


def test_absent_channel_shows_the_absent_unit_and_no_presence() -> None:
    units, present = encode_measured(
        make_profiles(np.zeros((2, 3))), "temperature", np.array([1, 1])
    )
    assert (units == -1).all()
    assert (present == 0).all()
    assert units.shape == present.shape == (2, 3)


def test_reflectivity_is_averaged_in_linear_units() -> None:
    # 10 dBZ (10 mm6 m-3) in one of ten minutes: 1 mm6 m-3 or 0 dBZ. Ten minutes hold the 5 before
    # and the 5 after, 11 profiles: 10 / 11 mm6 m-3, -0.414 dBZ, in units of 60 dB from -0.5 at -60
    # dBZ.
    units = np.full((31, 1), -1.0)
    units[15] = SCALING.scale(np.array(10.0))
    mean = average(make_profiles(units), [0] * 31, "reflectivity_mean_10min")[:, 0]
    assert mean.dtype == np.float32
    assert mean[10:21] == pytest.approx(-0.5 + (60 + 10 * np.log10(10 / 11)) / 60, abs=1e-6)
    assert (np.delete(mean, np.arange(10, 21)) == -1).all()
    share = average(make_profiles(units), [0] * 31, "echo_share_10min")[:, 0]
    assert share[10:21] == pytest.approx(1 / 11)
    assert (share[:10] == 0).all()


def test_profiles_without_data_do_not_count_and_gaps_are_told_by_the_clock() -> None:
    units = np.array([[0.5], [-1.0], [-1.0], [0.5]])
    looked = np.array([[True], [False], [True], [True]])
    # Profiles at 0, 1, 2 and 60 minutes. Two looked at within a minute of profile 1, one of them
    # with echo.
    profiles = Profiles(
        reflectivity=units.astype(np.float32),
        looked=looked,
        trusted=looked,
        time_s=60.0 * np.array([0, 1, 2, 60]),
    )
    assert average(profiles, [0] * 4, "echo_share_2min")[:, 0].tolist() == [1, 0.5, 0, 1]
    nothing = Profiles(
        reflectivity=units, looked=looked & False, trusted=looked, time_s=profiles.time_s
    )
    assert (average(nothing, [0] * 4, "echo_share_2min") == -1).all()


def average_slowly(profiles: Profiles, hidden_rows: np.ndarray, minutes: int) -> np.ndarray:
    """Pixel by pixel: the share of echo among visible pixels near in time, or the lowest row's."""
    assert profiles.time_s is not None
    count, rows = profiles.reflectivity.shape
    out = np.full((count, rows), -1.0)
    for at in range(count):
        near = np.abs(profiles.time_s - profiles.time_s[at]) <= 30 * minutes
        for row in range(rows):
            for source in range(row, rows):
                seen = near & (source >= hidden_rows)
                if seen.any():
                    looked = seen & profiles.looked[:, source]
                    if looked.any():
                        out[at, row] = np.mean(profiles.reflectivity[looked, source] > -0.75)
                    break
    return out


pixels = st.sampled_from([-1.0, -0.5, 0.25, 1.0])


@given(
    hnp.arrays(np.float32, (9, 4), elements=pixels),
    hnp.arrays(np.bool_, (9, 4)),
    hnp.arrays(np.int64, 9, elements=st.integers(0, 4)),
    st.booleans(),
)
def test_means_count_what_is_visible_and_near(
    units: np.ndarray, looked: np.ndarray, hidden_rows: np.ndarray, known_before: bool
) -> None:
    profiles = make_profiles(units, looked)
    if known_before:  # as of a held day: only the rows below the highest top are averaged anew
        nothing = np.zeros((9, 4), dtype=bool)
        context = average_in_time(profiles, nothing, ("echo_share_4min",), SCALING)
        profiles = Profiles(**(vars(profiles) | {"context": context}))
    expected = average_slowly(profiles, hidden_rows, 4)
    np.testing.assert_allclose(
        average(profiles, hidden_rows, "echo_share_4min"), expected, atol=1e-6
    )
    backwards = average(profiles, hidden_rows, "echo_share_4min", slice(6, 1, -1))
    np.testing.assert_allclose(backwards, expected[6:1:-1], atol=1e-6)


@given(
    hnp.arrays(np.float32, (9, 4), elements=pixels),
    hnp.arrays(np.float32, (9, 4), elements=pixels),
    hnp.arrays(np.bool_, (9, 4)),
    hnp.arrays(np.int64, 9, elements=st.integers(0, 4)),
)
def test_nothing_hidden_gets_into_a_mean(
    units: np.ndarray, other: np.ndarray, looked: np.ndarray, hidden_rows: np.ndarray
) -> None:
    is_hidden = np.arange(4) < hidden_rows[:, None]
    for name in ("reflectivity_mean_4min", "echo_share_4min"):
        first = average(make_profiles(units), hidden_rows, name)
        changed = make_profiles(
            np.where(is_hidden, other, units), np.where(is_hidden, looked, True)
        )
        assert np.array_equal(first, average(changed, hidden_rows, name))


def test_means_need_times() -> None:
    profiles = Profiles(**(vars(make_profiles(np.zeros((2, 2)))) | {"time_s": None}))
    with pytest.raises(CurtainError, match="echo_share_4min need the time of each profile"):
        average(profiles, [0, 0], "echo_share_4min")
    assert average_in_time(profiles, np.zeros((2, 2), dtype=bool), ("height",), SCALING) == {}
