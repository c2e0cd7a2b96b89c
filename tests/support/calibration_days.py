"""Days whose truth is known, predictions of them, and calibrations for them."""

from __future__ import annotations

from dataclasses import replace
from statistics import NormalDist
from typing import Any

import numpy as np

from blindzone.pipeline.inpainting.calibration import (
    CURVE_PROBABILITIES,
    REGIMES,
    UNCHANGED,
    Calibrated,
    Calibration,
    Group,
)
from blindzone.pipeline.inpainting.calibration_fit import (
    CalibrationConfig,
    CalibrationSample,
    fit_calibration,
    sample_day,
)
from blindzone.pipeline.verification.curtain_scores import Regime

FLOOR, ROWS = -30.0, 6
STRAIGHT = tuple(CURVE_PROBABILITIES.tolist())
NO_SHRINKING = CalibrationConfig(
    occurrence_days=0.0, intensity_days=0.0, given_echo_days=0.0, block_s=9.0
)


def make_groups(bands: int = 1, **choices: Any) -> tuple[Group, ...]:
    return tuple(
        replace(UNCHANGED, regime=regime.name, band=band, **choices)
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
    4 dB times a standard normal. Its prediction is u to the power 1 / overforecast, and 20
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
