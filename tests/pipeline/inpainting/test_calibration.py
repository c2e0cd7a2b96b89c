"""Calibration: the textbook's offsets, coverage on exchangeable data, few data, and what never breaks."""

from __future__ import annotations

import json
from dataclasses import replace
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from blindzone.core.errors import CurtainError
from blindzone.pipeline.curtains.curtain import DIMS, DetectionStatus
from blindzone.pipeline.inpainting.calibration import (
    CURVE_PROBABILITIES,
    OFFSET_LEVELS,
    REGIMES,
    Calibrated,
    Calibration,
    Group,
)
from blindzone.pipeline.inpainting.calibration_fit import (
    CalibrationConfig,
    CalibrationSample,
    conformal_offsets,
    fit_calibration,
    sample_day,
    score_given_echo,
    summarize_given_echo,
    summarize_sums,
)
from blindzone.pipeline.inpainting.predictive_distribution import (
    QUANTILE_LEVELS,
    summarize_distribution,
)
from blindzone.pipeline.verification.curtain_scores import Regime, ScoredLayer, sum_curtain
from blindzone.pipeline.verification.pixel_scores import EVALUATION_LEVELS, INTERVALS

FLOOR, ROWS = -30.0, 6
STRAIGHT = tuple(CURVE_PROBABILITIES.tolist())
NO_SHRINKING = CalibrationConfig(
    occurrence_days=0.0, intensity_days=0.0, given_echo_days=0.0, block_s=9.0
)


def make_groups(bands: int = 1, **choices: Any) -> tuple[Group, ...]:
    return tuple(
        Group(regime=regime.name, band=band, **choices)
        for regime in REGIMES
        for band in range(bands)
    )


def make_calibration(**choices: Any) -> Calibration:
    values: dict[str, Any] = {
        "hidden_rows": ROWS,
        "floor_dbz": FLOOR,
        "bands": (0,),
        "groups": make_groups(),
    }
    return Calibration(**(values | choices))


def make_day(
    number: int,
    *,
    profiles: int = 400,
    bias: float = 0.0,
    spread: float = 1.0,
    overforecast: float = 1.0,
    cloudy: bool = True,
    most: float = 0.98,
) -> dict[str, Any]:
    """A day of profiles 9 s apart, all in the regime of echo that touches, whose truth is known.

    Echo has the probability u up to `most`, drawn anew for each pixel, and the intensity -10 dBZ +
    4 dB times a standard normal. What is said of it is u to the power 1 / overforecast, and 20
    quantiles of another normal distribution.
    """
    random = np.random.default_rng(number)
    share = random.uniform(0.02, most, (profiles, ROWS))
    echo = (random.random(share.shape) < share) & cloudy
    truth = np.where(echo, random.normal(-10, 4, share.shape), np.nan).astype(np.float32)
    normal = NormalDist(-10 + bias, 4 * spread)
    prediction = [normal.inv_cdf((number + 0.5) / 20) for number in range(20)]
    start = np.datetime64("2021-03-01", "ns") + number * np.timedelta64(1, "D")
    return {
        "probability": (share ** (1 / overforecast)).astype(np.float32),
        "intensity_dbz": np.broadcast_to(
            np.array(prediction, dtype=np.float32), (*share.shape, 20)
        ),
        "truth": truth,
        "scored": np.ones(share.shape, dtype=bool),
        "visible": np.zeros((profiles, 2), dtype=np.float32),
        "time": start + np.arange(profiles) * np.timedelta64(9, "s"),
    }


def make_sample(
    number: int, config: CalibrationConfig = NO_SHRINKING, **choices: Any
) -> CalibrationSample:
    return sample_day(**make_day(number, **choices), floor_dbz=FLOOR, config=config)


def fit(samples: list[CalibrationSample], config: CalibrationConfig = NO_SHRINKING) -> Calibration:
    return fit_calibration(samples, config, hidden_rows=ROWS, floor_dbz=FLOOR)


def apply(calibration: Calibration, day: dict[str, Any]) -> Calibrated:
    regime = np.full((len(day["truth"]), 1), Regime.TOUCHING)
    return calibration.apply(
        day["probability"], day["intensity_dbz"], regime=regime, row=np.arange(ROWS)
    )


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
    held: dict[tuple[float, float], list[float]] = {(0.05, 0.95): [], (0.1, 0.9): []}
    for number in range(100, 110):
        day = make_day(number, bias=bias, spread=spread)
        _, intensity, _ = apply(calibration, day)
        for bounds, shares in held.items():
            low, high = (intensity[0, 0, :] @ _weights(level) for level in bounds)
            truth = day["truth"][np.isfinite(day["truth"])]
            shares.append(float(((truth >= low) & (truth <= high)).mean()))
    for (low_level, high_level), shares in held.items():
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
        held = ((day["truth"][echo] >= low) & (day["truth"][echo] <= high)).mean()
        # Of 9000 pixels at least 990 have echo, and four times as many calibrate: four standard
        # errors are 4 sqrt(0.25 (1 / 990 + 1 / 3960)) = 0.071.
        assert held == pytest.approx(nominal / 100, abs=0.071)
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
        told = np.array(group.offsets_given_echo)
        assert told[middle] == pytest.approx(-8.0, abs=0.5)
        assert told[OFFSET_LEVELS.index(0.9)] - told[middle] == pytest.approx(
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
    held = ((truth >= low) & (truth <= high)).sum() / np.isfinite(truth).sum()
    told = summarize_given_echo(sums)
    assert told["given echo: coverage 90 %"] == pytest.approx(held)
    assert told["given echo: width 90 % [dB]"] == pytest.approx(high - low)


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


def test_days_without_trusted_truth_are_refused_and_passed_over_beside_others() -> None:
    day = make_day(0)
    blank = sample_day(
        **day | {"scored": np.zeros_like(day["scored"])}, floor_dbz=FLOOR, config=NO_SHRINKING
    )
    with pytest.raises(CurtainError, match="none of 2 days has a hidden pixel with trusted truth"):
        fit([blank, blank])
    assert fit([blank, make_sample(1)]) == fit([make_sample(1)])


def test_days_of_different_numbers_of_realizations_are_refused() -> None:
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


def test_each_pixel_gets_the_calibration_of_its_regime_and_band() -> None:
    groups = tuple(
        replace(
            group,
            offsets=(float(10 * number),) * len(OFFSET_LEVELS),
            curve=(number / 10,) * len(STRAIGHT),
        )
        for number, group in enumerate(make_groups(bands=2))
    )
    calibration = make_calibration(bands=(0, 4), groups=groups)
    regime = np.array([Regime.CLEAR, Regime.TOUCHING, Regime.ALOFT, Regime.UNKNOWN])[:, None]
    probability = np.full((4, ROWS), 0.7, dtype=np.float32)
    intensity = np.zeros((4, ROWS, 3), dtype=np.float32)
    found_probability, found, _ = calibration.apply(
        probability, intensity, regime=regime, row=np.arange(ROWS)
    )
    # Groups 0, 1 are touching, 2, 3 aloft, 4, 5 clear; what is unknown stays.
    assert found[:, [0, 3, 4, 5], 1].tolist() == [
        [40, 40, 50, 50],
        [0, 0, 10, 10],
        [20, 20, 30, 30],
        [0, 0, 0, 0],
    ]
    np.testing.assert_allclose(
        found_probability[:, [3, 4]], [[0.4, 0.5], [0, 0.1], [0.2, 0.3], [0.7, 0.7]], atol=1e-6
    )
    assert (probability == np.float32(0.7)).all()
    assert (intensity == 0).all()


offsets = hnp.arrays(np.float64, len(OFFSET_LEVELS), elements=st.floats(-60, 60))
curves = hnp.arrays(np.float64, len(STRAIGHT), elements=st.floats(0, 1)).map(np.sort)


@given(
    hnp.arrays(np.float32, (2, ROWS), elements=st.floats(0, 1, width=32)),
    hnp.arrays(np.float32, (2, ROWS, 7), elements=st.floats(-60, 40, width=32)),
    offsets,
    curves,
)
def test_calibrated_bounds_never_cross_nor_lie_below_the_floor_nor_miss_the_median(
    probability: np.ndarray, intensity: np.ndarray, moved: np.ndarray, curve: np.ndarray
) -> None:
    offsets = tuple(moved.tolist())
    groups = make_groups(
        offsets=offsets, offsets_given_echo=offsets[::-1], curve=tuple(curve.tolist())
    )
    prediction, ordered, given_echo = make_calibration(groups=groups).apply(
        probability, np.sort(intensity, axis=-1), regime=np.array([[0], [2]]), row=np.arange(ROWS)
    )
    assert (np.diff(ordered, axis=-1) >= 0).all()
    assert ((prediction >= 0) & (prediction <= 1)).all()
    summary = summarize_distribution(prediction, ordered, given_echo, floor_dbz=FLOOR)
    assert (np.diff(summary["reflectivity_quantile_given_echo"], axis=0) >= 0).all()
    assert (summary["reflectivity_quantile_given_echo"] > FLOOR).all()
    quantiles = summary["reflectivity_quantile"].values
    assert (np.diff(quantiles, axis=0) >= 0).all()
    assert (quantiles >= FLOOR).all()
    median = quantiles[QUANTILE_LEVELS.index(0.5)]
    np.testing.assert_array_equal(median > FLOOR, summary["hydrometeor_probability"].values > 0.5)


@given(st.lists(offsets, min_size=6, max_size=6), curves, st.floats(-60, 0))
def test_calibration_survives_json(
    moved: list[np.ndarray], curve: np.ndarray, floor: float
) -> None:
    groups = tuple(
        replace(
            group, offsets=tuple(own), offsets_given_echo=tuple(-own), curve=tuple(curve), days=3
        )
        for group, own in zip(make_groups(bands=2), moved, strict=True)
    )
    calibration = make_calibration(bands=(0, 4), groups=groups, floor_dbz=floor)
    assert Calibration.from_dict(json.loads(json.dumps(calibration.to_dict()))) == calibration


def test_calibration_that_knows_nothing_of_given_echo_tells_it_by_the_offsets_of_all() -> None:
    told = make_calibration(groups=make_groups(offsets=(2.0,) * len(OFFSET_LEVELS))).to_dict()
    for group in told["groups"]:
        del group["offsets_given_echo"]
    _, intensity, given_echo = apply(Calibration.from_dict(told), make_day(0))
    assert np.array_equal(intensity, given_echo)


def test_fitted_calibration_is_small() -> None:
    assert len(json.dumps(fit([make_sample(0)]).to_dict())) < 30_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"groups": []}, "one group a regime and band of 1 is right"),
        ({"bands": [1]}, "bands must begin with row 0 and rise"),
        ({"bands": []}, "one group a regime and band of 0 is right"),
        ({"colour": "blue"}, "not understood: .*colour"),
        ({"groups": 3}, "not understood"),
        ({"groups": [{"regime": "CLEAR"}]}, "not understood: 'curve'"),
    ],
)
def test_calibration_that_is_not_one_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(CurtainError, match=message):
        Calibration.from_dict(make_calibration().to_dict() | change)
    with pytest.raises(CurtainError, match="not understood: 'groups'"):
        Calibration.from_dict({})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"curve": STRAIGHT[::-1]}, "that never falls is right"),
        ({"curve": (*STRAIGHT[:-1], 1.1)}, "from 0 to 1"),
        ({"curve": (*STRAIGHT[:-1], float("nan"))}, "from 0 to 1"),
        ({"curve": STRAIGHT[1:]}, "a curve of 101 probabilities .* found 100"),
        ({"offsets": (0.0,)}, "13 finite offsets are right"),
        ({"offsets": (float("inf"),) * len(OFFSET_LEVELS)}, "13 finite offsets are right"),
        ({"offsets_given_echo": (0.0,)}, "13 finite offsets are right"),
    ],
)
def test_group_that_is_not_one_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(CurtainError, match=message):
        Group(**change)


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
def test_impossible_choices_are_refused(choices: dict[str, Any]) -> None:
    with pytest.raises(CurtainError, match="blocks must last longer than 0 s"):
        CalibrationConfig(**choices)
