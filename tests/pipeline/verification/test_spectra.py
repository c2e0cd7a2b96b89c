"""Power spectra of filled curtains against those of the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest

from blindzone.pipeline.verification.spectra import (
    NOISE_DB,
    SEGMENT_PROFILES,
    SpectrumSums,
    sum_spectra,
)

ROWS = 12
WHOLE = (slice(None),)


def white(seed: int, profiles: int, deviation: float = 1.0) -> np.ndarray:
    return deviation * np.random.default_rng(seed).standard_normal((profiles, ROWS))


def compare(
    truth: np.ndarray, filled: np.ndarray, scored: np.ndarray | None = None
) -> SpectrumSums:
    return sum_spectra(
        truth, filled, np.ones(truth.shape, dtype=bool) if scored is None else scored, WHOLE
    )


def test_white_noise_has_its_variance_at_every_wave_number() -> None:
    truth = white(0, 60 * SEGMENT_PROFILES, deviation=3.0)
    sums = compare(truth, truth)
    assert sums.vertical_pieces == len(truth)
    assert sums.temporal_pieces == 60 * ROWS
    # Taking the mean off a tapered piece lowers the first wave number of 12 rows by some per cent.
    np.testing.assert_allclose(sums.vertical_truth[1:] / sums.vertical_pieces, 9, rtol=0.05)
    np.testing.assert_allclose(sums.temporal_truth[1:] / sums.temporal_pieces, 9, rtol=0.2)


def test_fill_with_the_texture_of_the_truth_has_no_distance_wherever_it_stands() -> None:
    truth = white(1, 4 * SEGMENT_PROFILES)
    rolled = np.roll(truth, SEGMENT_PROFILES, axis=0) + 5.0
    assert compare(truth, rolled).scores() == pytest.approx(
        {"spectral distance vertical [dB]": 0, "spectral distance temporal [dB]": 0}, abs=1e-9
    )


def test_half_the_amplitude_is_six_decibels() -> None:
    truth = white(2, 4 * SEGMENT_PROFILES, deviation=100.0)  # the added noise is nothing beside it
    for distance in compare(truth, truth / 2).scores().values():
        assert distance == pytest.approx(20 * math.log10(2), abs=0.01)


def test_fill_without_variance_lies_as_far_as_the_noise() -> None:
    # Repeated downwards: no vertical variance at all. Truth is white: 10 log10((1 + s^2) / s^2) at
    # each wave number.
    truth = white(3, 60 * SEGMENT_PROFILES)
    distance = compare(truth, np.repeat(truth[:, :1], ROWS, axis=1)).scores()
    assert distance["spectral distance vertical [dB]"] == pytest.approx(
        -20 * math.log10(NOISE_DB), abs=0.3
    )
    assert distance["spectral distance temporal [dB]"] < 1


def test_pieces_with_an_unscored_pixel_do_not_count() -> None:
    truth = white(4, 2 * SEGMENT_PROFILES)
    scored = np.ones(truth.shape, dtype=bool)
    scored[5, 3] = False
    wrong = np.where(scored, truth, 1e6)
    sums = compare(truth, wrong, scored)
    assert sums.vertical_pieces == 2 * SEGMENT_PROFILES - 1
    assert sums.temporal_pieces == 2 * ROWS - 1
    assert max(sums.scores().values()) == 0


def test_segments_do_not_reach_over_a_gap() -> None:
    # 200 and 312 profiles hold one and two whole segments.
    truth = white(5, 512)
    sums = sum_spectra(
        truth, truth, np.ones(truth.shape, dtype=bool), (slice(0, 200), slice(200, 512))
    )
    assert sums.temporal_pieces == 3 * ROWS


def test_curtain_shorter_than_a_segment_has_no_temporal_distance() -> None:
    truth = white(6, SEGMENT_PROFILES - 1)
    scores = compare(truth, truth).scores()
    assert math.isnan(scores["spectral distance temporal [dB]"])
    assert scores["spectral distance vertical [dB]"] == 0
