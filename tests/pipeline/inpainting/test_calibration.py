"""Calibration: what it does to a distribution, and what is no calibration."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from calibration_days import (
    FLOOR,
    ROWS,
    STRAIGHT,
    apply,
    make_calibration,
    make_day,
    make_groups,
)
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from blindzone.core.errors import CurtainError
from blindzone.pipeline.inpainting.calibration import (
    OFFSET_LEVELS,
    UNCHANGED,
    Calibration,
    CalibrationByDepth,
)
from blindzone.pipeline.inpainting.calibration_verdict import BY_DEPTH
from blindzone.pipeline.inpainting.predictive_distribution import (
    QUANTILE_LEVELS,
    summarize_distribution,
)
from blindzone.pipeline.verification.curtain_scores import Regime


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


def test_calibration_without_offsets_given_echo_has_those_of_the_whole_distribution() -> None:
    found = make_calibration(groups=make_groups(offsets=(2.0,) * len(OFFSET_LEVELS))).to_dict()
    for group in found["groups"]:
        del group["offsets_given_echo"]
    _, intensity, given_echo = apply(Calibration.from_dict(found), make_day(0))
    assert np.array_equal(intensity, given_echo)


def of_depth(hidden_rows: int, offset_db: float) -> Calibration:
    """Moves every intensity by some dB."""
    offsets = (offset_db,) * len(UNCHANGED.offsets)
    return make_calibration(
        hidden_rows=hidden_rows, groups=make_groups(offsets=offsets, offsets_given_echo=offsets)
    )


def test_each_profile_gets_the_calibration_nearest_to_its_depth() -> None:
    calibration = CalibrationByDepth((of_depth(2, 1.0), of_depth(4, 2.0)))
    depth = np.array([1, 2, 3, 4, 5])  # the third is as near to both: the deeper counts
    intensity = np.full((5, 4, 3), -10, dtype=np.float32)
    reflectivity = np.full((5, 6), -10, dtype=np.float32)
    found = calibration.apply(reflectivity, depth, np.ones((5, 4)), intensity)
    assert found[1][:, 0, 0].tolist() == [-10, -9, -8, -8, -10]
    assert np.array_equal(found[1], found[2])
    assert calibration.covers(depth).tolist() == [False, True, True, True, False]
    alone = calibration.select(4)
    assert alone is not None
    assert [one.hidden_rows for one in alone.classes] == [4]
    assert calibration.select(3) is None


def test_zone_of_one_depth_is_calibrated_as_by_that_calibration_alone() -> None:
    rng = np.random.default_rng(0)
    one = of_depth(ROWS, 1.5)
    reflectivity = rng.normal(-20, 20, (7, ROWS + 3)).astype(np.float32)
    parts = rng.random((7, ROWS)), np.sort(rng.normal(-10, 9, (7, ROWS, 4)).astype(np.float32))
    expected = one.apply_below(reflectivity[:, ROWS:], *parts)
    mixed = CalibrationByDepth((of_depth(ROWS - 1, 9.0), one))
    for calibration, depths in ((CalibrationByDepth((one,)), [ROWS] * 7), (mixed, [ROWS] * 7)):
        found = calibration.apply(reflectivity, np.array(depths), *parts)
        for got, right in zip(found, expected, strict=True):
            assert np.array_equal(got, right)


def test_record_holds_one_fit_or_one_of_each_depth() -> None:
    one, other = of_depth(2, 1.0), of_depth(4, 2.0)
    assert CalibrationByDepth.from_record({"fit": one.to_dict()}).classes == (one,)
    parts = [{"fit": fit.to_dict()} for fit in (other, one)]
    assert CalibrationByDepth.from_record({BY_DEPTH: parts}).classes == (one, other)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"groups": []}, "groups: one a regime and band of 1 is right"),
        ({"bands": [1]}, "bands: must begin with row 0 and rise"),
        ({"bands": []}, "bands: must begin with row 0 and rise; found"),
        (
            {"colour": "blue"},
            "the checkpoint's calibration: colour: unknown key; known keys here: bands,",
        ),
        ({"groups": 3}, r"groups: should be .* \(found 3\)"),
        ({"groups": [{"regime": "CLEAR"}]}, r"groups\.0\.curve: this key is missing"),
    ],
)
def test_calibration_that_is_not_one_is_rejected(change: dict[str, Any], message: str) -> None:
    with pytest.raises(CurtainError, match=message):
        Calibration.from_dict(make_calibration().to_dict() | change)
    with pytest.raises(
        CurtainError, match="the checkpoint's calibration: groups: this key is missing"
    ):
        Calibration.from_dict({})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"curve": STRAIGHT[::-1]}, "that never fall are right"),
        ({"curve": (*STRAIGHT[:-1], 1.1)}, "from 0 to 1"),
        ({"curve": (*STRAIGHT[:-1], float("nan"))}, "from 0 to 1"),
        ({"curve": STRAIGHT[1:]}, "curve: 101 probabilities .* found 100"),
        ({"offsets": (0.0,)}, "13 finite numbers of dB are right"),
        ({"offsets": (float("inf"),) * len(OFFSET_LEVELS)}, "13 finite numbers of dB are right"),
        ({"offsets_given_echo": (0.0,)}, "13 finite numbers of dB are right"),
    ],
)
def test_group_that_is_not_one_is_rejected(change: dict[str, Any], message: str) -> None:
    with pytest.raises(CurtainError, match=message):
        replace(UNCHANGED, **change)
