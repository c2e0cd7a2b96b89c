"""Shared by the lidar readers: signal and noise, heights of a tilted beam, units."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.curtains.curtain import DetectionStatus, QualityFlag, check_curtain
from blindzone.pipeline.readers._lidar import (
    DETECTION_MULTIPLE,
    build_lidar_curtain,
    check_within,
    exceeds_noise,
    find_off_beam,
    screen_noise,
    to_height,
)

PATH = Path("lidar.nc")
PROFILES, GATES = 200, 250
RANGE_M = 15 + 30.0 * np.arange(GATES)
FULL_CORRECTION = RANGE_M**2
FROZEN_CORRECTION = np.minimum(RANGE_M, 2400) ** 2
NOISE = 1e-13
"""Standard deviation of the noise before range correction, as measured by the CL31 at SGP [sr-1
m-3]."""


def make_noise(correction: np.ndarray = FULL_CORRECTION, seed: int = 0) -> np.ndarray:
    """Range-corrected Gaussian noise, shape `(time, range)`."""
    return np.asarray(np.random.default_rng(seed).normal(0, NOISE, (PROFILES, GATES)) * correction)


@pytest.mark.parametrize(
    "correction", [FULL_CORRECTION, FROZEN_CORRECTION], ids=["full", "frozen at 2400 m"]
)
def test_noise_alone_is_no_signal_whatever_its_range_correction(correction: np.ndarray) -> None:
    # One gate in 31600 exceeds four standard deviations, so that 50000 gates have one or two; a
    # pair of neighbours is expected in 8 * 50000 / 31600**2 / 2 = 2 of 10000 such files.
    assert not screen_noise(make_noise(correction), RANGE_M, PATH).any()


def test_single_gates_exceed_the_level_as_often_as_gaussian_noise_does() -> None:
    noise = np.random.default_rng(1).normal(0, 1, 2_000_000)
    # P(x > 4) = 3.17e-5: 63 gates are expected, with a standard deviation of 8.
    assert 63 - 3 * 8 < (noise > DETECTION_MULTIPLE).sum() < 63 + 3 * 8


@pytest.mark.parametrize(
    "correction", [FULL_CORRECTION, FROZEN_CORRECTION], ids=["full", "frozen at 2400 m"]
)
def test_signal_of_eight_standard_deviations_is_found(correction: np.ndarray) -> None:
    backscatter = make_noise(correction)
    cloud = (slice(None), slice(100, 110))
    backscatter[cloud] += 8 * NOISE * correction[100:110]
    found = screen_noise(backscatter, RANGE_M, PATH)
    # The level, from some 62 gates a profile, is good to 9 %: of 4 of the 8 standard deviations 3.3
    # to 4.7 remain.
    assert found[cloud].mean() > 0.999
    # Where a gate next to the cloud is strong by chance, in one of 31600, it has a neighbour.
    assert found.sum() <= found[cloud].sum() + 2


def test_signal_without_neighbour_is_noise() -> None:
    signal = np.zeros((5, 5))
    signal[1, 1] = signal[3, 3] = signal[4, 4] = 9.0
    found = exceeds_noise(signal, np.ones(5))
    assert np.argwhere(found).tolist() == [[3, 3], [4, 4]]


def test_one_profile_has_neighbours_above_and_below() -> None:
    assert exceeds_noise(np.array([[0, 9, 9, 0, 9]]), np.ones(1)).tolist() == [
        [False, True, True, False, False]
    ]


def test_cloud_in_the_upper_gates_does_not_raise_the_level() -> None:
    backscatter = make_noise()
    backscatter[:, 125:200] += (
        8 * NOISE * FULL_CORRECTION[125:200]
    )  # three fifths of the upper half
    assert screen_noise(backscatter, RANGE_M, PATH)[:, 125:200].mean() > 0.99


def test_profile_full_of_cloud_takes_the_level_of_the_others() -> None:
    backscatter = make_noise()
    backscatter[3] += 50 * NOISE * FULL_CORRECTION
    found = screen_noise(backscatter, RANGE_M, PATH)
    assert found[3].all()
    assert not found[5:].any()


def test_missing_gates_are_no_signal() -> None:
    backscatter = make_noise()
    backscatter[:, :20] = 1e-6
    backscatter[7], backscatter[:, 5] = np.nan, np.nan
    found = screen_noise(backscatter, RANGE_M, PATH)
    assert found[:7, 6:20].all()
    assert not found[7].any()
    assert not found[:, 5].any()


@given(st.floats(1e-9, 1e9))
def test_mask_does_not_depend_on_the_unit(factor: float) -> None:
    backscatter = make_noise()[:10]
    backscatter[:, 50:60] += 9 * NOISE * FULL_CORRECTION[50:60]
    expected = screen_noise(backscatter, RANGE_M, PATH)
    assert np.array_equal(screen_noise(backscatter * factor, RANGE_M, PATH), expected)


@pytest.mark.parametrize("value", [np.nan, 0.0, 1e-6], ids=["missing", "zero", "screened already"])
def test_file_without_noise_is_rejected(value: float) -> None:
    with pytest.raises(
        SourceFileError, match=r"^lidar.nc: none of 4 profiles holds noise in its upper gates"
    ):
        screen_noise(np.full((4, GATES), value), RANGE_M, PATH)


def test_height_of_a_tilted_beam_is_range_times_cosine() -> None:
    assert to_height(np.array([1000.0]), np.array([12.0, np.nan])) == pytest.approx(978.148)


@pytest.mark.parametrize("angles", [[], [np.nan], [0.0, 1.0, 1.0]])
def test_height_is_range_where_the_tilt_is_not_stated_or_small(angles: list[float]) -> None:
    assert to_height(RANGE_M, np.array(angles)) is RANGE_M


@pytest.mark.parametrize(
    ("angles", "off"),
    [
        ([0.0, 1.0, np.nan], []),
        ([31.0], [0]),
        ([0.0, 12.0, 0.0], [1]),  # cos 12 = 0.978
        ([0.0, 12.0], [1]),
        ([12.0, 0.0, 12.0, 90.0, 12.0], [1, 3]),
    ],
)
def test_profiles_along_another_beam_than_most_are_found(
    angles: list[float], off: list[int]
) -> None:
    assert np.flatnonzero(find_off_beam(np.array(angles)).has).tolist() == off


def test_value_out_of_range_is_rejected_and_missing_values_are_not() -> None:
    check_within(np.array([np.nan, 0.5, -0.1]), (-0.1, 1.0), "beta", "sr-1 m-1", PATH)
    with pytest.raises(
        SourceFileError, match=r"'beta' holds 1 values outside -0.1 to 1 sr-1 m-1 \(first: 4979\)"
    ):
        check_within(np.array([np.nan, 4979.0]), (-0.1, 1.0), "beta", "sr-1 m-1", PATH)


def test_status_tells_signal_noise_missing_and_untrusted_apart() -> None:
    field = "attenuated_backscatter"
    fields = {
        field: np.array([[1e-6, 2e-6, 3e-6, 4e-6, np.nan]]),
        "signal": np.array([[True, False, True, True, False]]),
        "no_data": np.array([[False, False, False, True, True]]),
        "quality_flags": np.array(
            [[QualityFlag.BELOW_LOWEST_TRUSTED_GATE, 0, 0, QualityFlag.REJECTED, 0]]
        ),
    }
    curtain = build_lidar_curtain(
        fields,
        field,
        time=np.array(["2019-01-03"], dtype="datetime64[ns]"),
        height=RANGE_M[:5],
        site=(36.6, -97.5, 318.0),
        attrs={},
        path=PATH,
    )
    check_curtain(curtain)
    assert [DetectionStatus(code).name for code in curtain["backscatter_status"].values[0]] == [
        "UNTRUSTED",
        "NO_ECHO",
        "ECHO",
        "NO_DATA",
        "NO_DATA",
    ]
    assert curtain[field].values[0] == pytest.approx(
        [1e-6, np.nan, 3e-6, np.nan, np.nan], nan_ok=True
    )
    assert curtain["quality_flags"].values.tolist() == [[4, 0, 0, 128, 0]]
    assert curtain[field].dtype == np.float32
