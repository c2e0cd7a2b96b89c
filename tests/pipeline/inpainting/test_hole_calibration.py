"""Calibration of holes: each kind and distance has its own, fitted to withheld days."""

from __future__ import annotations

import json

import numpy as np
import pytest

from blindzone.core.errors import CurtainError
from blindzone.pipeline.curtains.hidden import HiddenKind
from blindzone.pipeline.inpainting.calibration_fit import CalibrationConfig
from blindzone.pipeline.inpainting.calibration_verdict import HOLES
from blindzone.pipeline.inpainting.hole_calibration import (
    CALIBRATED_KINDS,
    DISTANCES,
    HoleCalibration,
    class_distances,
)
from blindzone.pipeline.inpainting.hole_calibration_fit import HolePixels, fit_hole_calibration

FLOOR = -30.0
OWN_FIT = CalibrationConfig(occurrence_days=0, intensity_days=0, given_echo_days=0)


def make_pixels(day: int = 0, pixels: int = 4000) -> HolePixels:
    """Echo that is certain; outages are 3 dB stronger than predicted, far away 6 dB."""
    random = np.random.default_rng(day)
    distance = random.choice([1.0, 20.0], pixels)
    kinds = random.choice([HiddenKind.OUTAGE, HiddenKind.INTERFERENCE], pixels).astype(np.int8)
    excess = np.where(kinds == HiddenKind.OUTAGE, np.where(distance > 10, 6.0, 3.0), 0.0)
    intensity = np.broadcast_to(np.linspace(-2, 2, 21, dtype=np.float32), (pixels, 21))
    return HolePixels(
        kinds=kinds,
        distance=distance,
        time=np.datetime64("2021-03-06")
        + np.timedelta64(day, "D")
        + np.arange(pixels) * np.timedelta64(9, "s"),
        truth=(random.uniform(-2, 2, pixels) + excess).astype(np.float32),
        probability=np.full(pixels, 0.5, dtype=np.float32),
        intensity_dbz=intensity,
        floor_dbz=FLOOR,
    )


def test_distances_have_classes() -> None:
    assert class_distances(np.array([0.0, 1.9, 2.0, 31.0, 32.0, np.inf])).tolist() == [
        0,
        0,
        1,
        4,
        5,
        5,
    ]


def test_each_kind_and_distance_gets_its_own_correction() -> None:
    fitted = fit_hole_calibration([make_pixels(day) for day in range(3)], OWN_FIT)
    assert len(fitted.groups) == len(CALIBRATED_KINDS) * len(DISTANCES)
    kinds = np.array([HiddenKind.OUTAGE, HiddenKind.OUTAGE, HiddenKind.INTERFERENCE, 0], np.int8)
    distance = np.array([1.0, 20.0, 1.0, 0.0])
    probability, intensity, given_echo = fitted.apply(
        kinds, distance, np.full(4, 0.5, np.float32), np.zeros((4, 1), np.float32)
    )
    # All was echo, and medians move by 3, 6 and 0 dB; the visible pixel stays.
    assert probability.tolist() == pytest.approx([1, 1, 1, 0.5])
    assert intensity[:, 0].tolist() == pytest.approx([3, 6, 0, 0], abs=0.2)
    assert given_echo[:, 0].tolist() == pytest.approx([3, 6, 0, 0], abs=0.2)


def test_withheld_day_scores_better_and_holds_what_it_states() -> None:
    fitted = fit_hole_calibration([make_pixels(day) for day in range(3)], OWN_FIT)
    withheld = make_pixels(day=5)
    before, after = (withheld.score(one).scores() for one in (None, fitted))
    assert after["CRPS [dB]"] < 0.5 * before["CRPS [dB]"]
    assert after["given echo: coverage 90 %"] == pytest.approx(0.9, abs=0.03)


def test_kind_without_a_calibration_of_its_own_counts_as_any_other_hole() -> None:
    fitted = fit_hole_calibration([make_pixels()], OWN_FIT)
    values = np.full(2, 0.5, np.float32), np.zeros((2, 1), np.float32)
    kinds = np.array([HiddenKind.REJECTED, HiddenKind.NO_DATA], np.int8)
    probability, intensity, _ = fitted.apply(kinds, np.ones(2), *values)
    assert probability[0] == probability[1]
    assert intensity[0] == intensity[1]


def test_record_comes_back_and_damage_is_named() -> None:
    fitted = fit_hole_calibration([make_pixels()], OWN_FIT)
    record = json.loads(json.dumps({HOLES: fitted.to_dict()}))
    assert HoleCalibration.from_record(record) == fitted
    record[HOLES]["distances"] = [1, 2]
    with pytest.raises(CurtainError, match="must begin with 0"):
        HoleCalibration.from_record(record)
    with pytest.raises(CurtainError, match="none of 0 days"):
        fit_hole_calibration([], OWN_FIT)
