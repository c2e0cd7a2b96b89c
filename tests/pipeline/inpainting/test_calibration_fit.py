"""Fitting a calibration: bounds that hold on days of known truth, and how much few days count."""

from __future__ import annotations

import json
from dataclasses import replace
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
import xarray as xr
from calibration_days import (
    FLOOR,
    NO_SHRINKING,
    ROWS,
    apply,
    fit,
    make_day,
    make_sample,
)

from blindzone.core.errors import CurtainError
from blindzone.pipeline.curtains.curtain import DIMS, DetectionStatus
from blindzone.pipeline.inpainting.calibration import (
    OFFSET_LEVELS,
)
from blindzone.pipeline.inpainting.calibration_fit import (
    CalibrationConfig,
    conformal_offsets,
    sample_day,
    score_given_echo,
    summarize_given_echo,
    summarize_sums,
)
from blindzone.pipeline.inpainting.predictive_distribution import (
    summarize_distribution,
)
from blindzone.pipeline.verification.curtain_scores import ScoredLayer, sum_curtain
from blindzone.pipeline.verification.pixel_scores import EVALUATION_LEVELS, INTERVALS


@pytest.mark.parametrize("count", [39, 100, 257])
def test_offsets_are_the_textbooks_with_one_pixel_a_block(count: int) -> None:
    residual = np.random.default_rng(count).normal(size=count)
    offsets = conformal_offsets(np.repeat(residual[:, None], len(OFFSET_LEVELS), axis=1), count)
    ordered = np.sort(residual)
    for level, offset in zip(OFFSET_LEVELS, offsets, strict=True):
        # Romano et al. (2019): the ceil((n + 1) t)-th smallest; a lower bound is an upper bound of
        # what is negated.
        rank = int(np.ceil(round((count + 1) * max(level, 1 - level), 9)))
        if level > 0.5:
            assert offset == ordered[rank - 1]
        elif level < 0.5:
            assert offset == ordered[count - rank]
    assert offsets[OFFSET_LEVELS.index(0.5)] == np.median(residual)


def test_too_few_blocks_for_a_level_take_the_largest_residual() -> None:
    # Of 10 blocks, (10 + 1) * 0.95 = 10.45 > 10: no order statistic is large enough.
    offsets = conformal_offsets(np.repeat(np.arange(10.0)[:, None], len(OFFSET_LEVELS), axis=1), 10)
    assert offsets[OFFSET_LEVELS.index(0.95)] == 9
    assert offsets[OFFSET_LEVELS.index(0.05)] == 0


@pytest.mark.parametrize(
    ("bias", "spread"),
    [(0.0, 0.4), (3.0, 1.0), (-2.0, 2.5)],
    ids=["too-narrow", "biased", "too-wide"],
)
def test_bounds_hold_on_exchangeable_data(bias: float, spread: float) -> None:
    calibration = fit([make_sample(day, bias=bias, spread=spread) for day in range(4)])
    inside: dict[tuple[float, float], list[float]] = {(0.05, 0.95): [], (0.1, 0.9): []}
    for number in range(100, 110):
        day = make_day(number, bias=bias, spread=spread)
        _, intensity, _ = apply(calibration, day)
        for bounds, shares in inside.items():
            low, high = (intensity[0, 0, :] @ _weights(level) for level in bounds)
            truth = day["truth"][np.isfinite(day["truth"])]
            shares.append(float(((truth >= low) & (truth <= high)).mean()))
    for (low_level, high_level), shares in inside.items():
        # About 400 * 6 * 0.5 = 1200 echo pixels a day, ten days, and about 1600 a band to calibrate
        # on: the binomial standard error of a coverage of 0.9 is sqrt(0.09 / 12000 + 0.09 / 1600) =
        # 0.008; four of them.
        assert np.mean(shares) == pytest.approx(high_level - low_level, abs=0.032)


@pytest.mark.parametrize("most", [0.2, 0.98], ids=["unlikely", "likely"])
@pytest.mark.parametrize(
    ("bias", "spread"), [(3.0, 0.4), (-2.0, 2.5)], ids=["too-narrow", "too-wide"]
)
def test_bounds_given_echo_hold_on_echo_however_unlikely_it_is(
    bias: float, spread: float, most: float
) -> None:
    choices: dict[str, Any] = {"bias": bias, "spread": spread, "most": most, "profiles": 1500}
    calibration = fit([make_sample(day, **choices) for day in range(4)])
    day = make_day(100, **choices)
    probability, intensity, given_echo = apply(calibration, day)
    prediction = summarize_distribution(probability, intensity, given_echo, floor_dbz=FLOOR)
    echo = np.isfinite(day["truth"])
    low, high = (
        prediction["reflectivity_quantile"].sel(quantile=level).values[echo] for level in (0.1, 0.9)
    )
    held_of_all = ((day["truth"][echo] >= low) & (day["truth"][echo] <= high)).mean()
    for nominal, bounds in INTERVALS.items():
        low, high = (
            prediction["reflectivity_quantile_given_echo"].sel(quantile=level).values[echo]
            for level in bounds
        )
        inside = ((day["truth"][echo] >= low) & (day["truth"][echo] <= high)).mean()
        # Of 9000 pixels at least 990 have echo, and four times as many calibrate: four standard
        # errors are 4 sqrt(0.25 (1 / 990 + 1 / 3960)) = 0.071.
        assert inside == pytest.approx(nominal / 100, abs=0.071)
    # Where echo has a probability of at most 0.2, the unconditional 80 % interval reaches up to its
    # median at most.
    assert (held_of_all < 0.6) == (most == 0.2)


def _weights(level: float) -> np.ndarray:
    """What each of 20 ordered values counts in their quantile."""
    return np.array([np.interp(level, (np.arange(20) + 0.5) / 20, row) for row in np.eye(20)])


def test_probability_becomes_the_frequency_of_echo() -> None:
    calibration = fit([make_sample(day, overforecast=2.0) for day in range(6)])
    day = make_day(50, profiles=4000, overforecast=2.0)
    probability, _, _ = apply(calibration, day)
    echo = np.isfinite(day["truth"])
    for low in np.arange(0.1, 0.9, 0.1):
        inside = (probability >= low) & (probability < low + 0.1)
        # Some 2400 pixels a bin, and as many a band and bin to calibrate on 800 of: 4 sqrt(0.25 /
        # 800) = 0.07.
        assert echo[inside].mean() == pytest.approx(probability[inside].mean(), abs=0.07)
    assert np.abs(day["probability"] - echo).mean() > np.abs(probability - echo).mean()


def test_calibrated_forecast_scores_better_than_a_biased_one() -> None:
    calibration = fit(
        [make_sample(day, bias=4.0, spread=0.5, overforecast=2.0) for day in range(4)]
    )
    day = make_day(60, bias=4.0, spread=0.5, overforecast=2.0)
    scores = []
    for parts in ((day["probability"], day["intensity_dbz"]), apply(calibration, day)):
        prediction = summarize_distribution(*parts, floor_dbz=FLOOR, levels=EVALUATION_LEVELS)
        sums = sum_curtain(
            day["truth"],
            prediction["hydrometeor_probability"].values,
            prediction["reflectivity_quantile"].values,
            EVALUATION_LEVELS,
            floor_dbz=FLOOR,
            visible=day["visible"],
        )
        scores.append(summarize_sums(sums))
    before, after = scores
    assert after["CRPS [dB]"] < 0.9 * before["CRPS [dB]"]
    assert after["reliability"] < 0.2 * before["reliability"]
    # Calibrated, the transform is uniform: of 2400 pixels, 4 sqrt(0.25 / 2400) = 0.04, and as much
    # for the calibration.
    for nominal in (50, 80, 90):
        assert after[f"PIT inside {nominal} %"] == pytest.approx(nominal / 100, abs=0.06)
        assert after[f"coverage {nominal} % echo, touching"] == after[f"coverage {nominal} % echo"]
        assert after[f"coverage {nominal} %, lowest of rows"] <= after[f"coverage {nominal} %"]


def test_group_with_few_days_leans_on_the_network() -> None:
    config = CalibrationConfig(occurrence_days=3.0, intensity_days=3.0, block_s=9.0, bands=1)
    bias = 8.0
    middle = OFFSET_LEVELS.index(0.5)
    for days, weight in ((1, 0.25), (3, 0.5), (9, 0.75)):
        groups = {
            group.regime: group
            for group in fit(
                [make_sample(day, config, bias=bias) for day in range(days)], config
            ).groups
        }
        # The whole counts n / (n + 3); the regime and its only band have the same residuals and
        # count as much again of what is missing: 1 - (1 - w)^3 of the bias. Medians of 1200 normal
        # residuals of 4 dB are known to 0.15 dB.
        moved = -groups["TOUCHING"].offsets[middle]
        assert moved == pytest.approx((1 - (1 - weight) ** 3) * bias, abs=0.6)
        # No profile of the other regimes was seen: theirs is what the whole says.
        assert -groups["CLEAR"].offsets[middle] == pytest.approx(weight * bias, abs=0.6)
        assert (groups["CLEAR"].days, groups["TOUCHING"].days, groups["TOUCHING"].echo_days) == (
            0,
            days,
            days,
        )


def test_scatter_given_echo_leans_on_days_of_its_own_and_moves_nothing_else() -> None:
    middle = OFFSET_LEVELS.index(0.5)
    # Said 8 dB too strong and half as wide: the 90 % offset about the median is half of 1.28 times
    # 4 dB.
    samples = [make_sample(day, bias=8.0, spread=0.5) for day in range(3)]
    scatter = 0.5 * 4 * NormalDist().inv_cdf(0.9)
    moved = {}
    for days, share in ((0.0, 1.0), (3.0, 1 - 0.5**3), (1e9, 0.0)):
        # With K = 3 days of three, three steps of 1/2 from the network to the band; with K = 0 all,
        # else nothing.
        group = fit(samples, replace(NO_SHRINKING, given_echo_days=days)).groups[0]
        found = np.array(group.offsets_given_echo)
        assert found[middle] == pytest.approx(-8.0, abs=0.5)
        assert found[OFFSET_LEVELS.index(0.9)] - found[middle] == pytest.approx(
            scatter * share, abs=0.5
        )
        moved[group.curve, group.offsets] = days
    assert len(moved) == 1
    group = fit(samples, replace(NO_SHRINKING, intensity_days=3.0)).groups[0]
    assert group.offsets_given_echo[middle] == pytest.approx(-8.0 * (1 - 0.5**3), abs=0.5)


def test_outermost_offsets_given_echo_are_quantiles_not_extremes_of_few_blocks() -> None:
    config = replace(NO_SHRINKING, block_s=1800.0)
    group = fit([make_sample(day, config) for day in range(2)], config).groups[0]
    # Two days of two half hours: of four blocks the 97.5 % offset of all is the largest residual.
    # Given echo it is the difference of one distribution's quantile from itself.
    assert group.offsets[-1] > 3.0
    assert abs(group.offsets_given_echo[-1]) < 1.5


def test_only_echo_is_scored_given_echo() -> None:
    day = make_day(0, profiles=50)
    curtain = xr.Dataset(
        {
            "reflectivity": (DIMS, np.concatenate([day["truth"], day["visible"]], axis=1)),
            "detection_status": (
                DIMS,
                np.full((50, ROWS + 2), DetectionStatus.ECHO, dtype=np.int8),
            ),
        },
        {"time": day["time"]},
    )
    layer = ScoredLayer(hidden_rows=ROWS, lowest_row=1, floor_dbz=FLOOR, longest_gap_s=120.0)
    prediction = np.broadcast_to(
        np.linspace(-20, 0, len(EVALUATION_LEVELS))[:, None, None], (21, 50, ROWS)
    )
    sums = score_given_echo(layer, curtain, prediction)
    truth = day["truth"][:, 1:]
    assert sums.pixels.pixels.sum() == np.isfinite(truth).sum()
    low, high = (prediction[EVALUATION_LEVELS.index(level), 0, 0] for level in (0.05, 0.95))
    inside = ((truth >= low) & (truth <= high)).sum() / np.isfinite(truth).sum()
    found = summarize_given_echo(sums)
    assert found["given echo: coverage 90 %"] == pytest.approx(inside)
    assert found["given echo: width 90 % [dB]"] == pytest.approx(high - low)


def test_blocks_and_days_are_counted_not_pixels() -> None:
    config = CalibrationConfig(block_s=1800.0, bands=2)
    group = fit([make_sample(day, config) for day in range(3)], config).groups[0]
    # 400 profiles of 9 s from midnight: 3600 s, two half hours a day.
    assert (group.days, group.blocks, group.echo_days, group.echo_blocks) == (3, 6, 3, 6)


def test_days_without_echo_leave_intensities_and_lower_probabilities() -> None:
    calibration = fit([make_sample(day, cloudy=False) for day in range(2)])
    day = make_day(9)
    probability, intensity, _ = apply(calibration, day)
    assert np.array_equal(intensity, day["intensity_dbz"])
    assert (probability == 0).all()  # nothing shrinks it: no echo was ever seen
    kept = fit(
        [make_sample(day, cloudy=False) for day in range(2)], CalibrationConfig(occurrence_days=1e9)
    )
    np.testing.assert_allclose(apply(kept, day)[0], day["probability"], atol=1e-4)


def test_a_single_day_is_enough() -> None:
    assert fit([make_sample(0)]).groups[0].days == 1


def test_days_without_trusted_truth_are_rejected_and_skipped_among_others() -> None:
    day = make_day(0)
    blank = sample_day(
        **day | {"scored": np.zeros_like(day["scored"])}, floor_dbz=FLOOR, config=NO_SHRINKING
    )
    with pytest.raises(CurtainError, match="none of 2 days has a hidden pixel with trusted truth"):
        fit([blank, blank])
    assert fit([blank, make_sample(1)]) == fit([make_sample(1)])


def test_days_of_different_numbers_of_passes_are_rejected() -> None:
    other = make_sample(1)
    other = replace(other, intensity=other.intensity[:, :10])
    with pytest.raises(
        CurtainError, match=r"one number of realizations are right; found \[10, 20\]"
    ):
        fit([make_sample(0), other])


def test_bands_part_the_trusted_rows() -> None:
    day = make_day(0)
    day["scored"][:, :1] = False
    sample = sample_day(**day, floor_dbz=FLOOR, config=NO_SHRINKING)
    # Rows 1 to 5 in three bands: 1-2, 3-4, 5; row 0, where nothing is known, belongs to the lowest.
    assert fit([sample]).bands == (0, 3, 5)
    assert fit([sample], CalibrationConfig(bands=9)).bands == (0, 2, 3, 4, 5)


def test_fitted_calibration_is_small() -> None:
    assert len(json.dumps(fit([make_sample(0)]).to_dict())) < 30_000


@pytest.mark.parametrize(
    "choices",
    [
        {"block_s": 0.0},
        {"block_s": float("nan")},
        {"bands": 0},
        {"occurrence_days": -1.0},
        {"intensity_days": np.inf},
        {"given_echo_days": -1.0},
    ],
)
def test_impossible_choices_are_rejected(choices: dict[str, Any]) -> None:
    with pytest.raises(CurtainError, match=r"calibration: .* should be .*\(found"):
        CalibrationConfig(**choices)
