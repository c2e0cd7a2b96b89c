"""Fitting the range of the training data: how often further days leave it."""

from __future__ import annotations

import numpy as np
import pytest
from episodes import (
    FREQUENCY,
    NETWORK,
    ROWS,
    assess,
    make_curtain,
    make_day,
)

from blindzone.core.errors import CurtainError
from blindzone.pipeline.curtains.curtain import DetectionStatus
from blindzone.pipeline.curtains.flags import OutOfRangeFlag
from blindzone.pipeline.inpainting.applicability import Applicability
from blindzone.pipeline.inpainting.applicability_fit import UNLIKE_SHARE, fit_applicability


@pytest.fixture(scope="module")
def applicability() -> Applicability:
    return fit_applicability(map(make_day, range(20)), NETWORK, frequency_ghz=FREQUENCY)


def test_about_the_nominal_share_of_withheld_days_is_unlike_the_training_data(
    applicability: Applicability,
) -> None:
    found = [assess(applicability, make_day(seed)) for seed in range(100, 120)]
    share = np.mean([score > 1 for _, score in found])
    # Fitted and withheld days are exchangeable, so the share is UNLIKE_SHARE but for chance.
    # Profiles of an episode are alike: 20 days hold 240 independent ones on either side, so its
    # standard error is about sqrt(2 * .01 * .99 / 240) = 0.9 %, and four of them are 3.6 %.
    assert share < UNLIKE_SHARE + 0.036
    assert (
        max(score.max() for _, score in found) > 0.7
    )  # the limit is that of these days, not far beyond them
    flag = np.concatenate([flag for flag, _ in found])
    assert set(np.unique(flag)) <= {0, OutOfRangeFlag.PROFILE_UNLIKE_TRAINING}


def test_band_of_the_fitted_days_may_be_unknown_too() -> None:
    flag, _ = assess(fit_applicability(map(make_day, range(2)), NETWORK), make_day(2))
    assert (flag & OutOfRangeFlag.BAND_UNKNOWN != 0).all()


def test_nothing_to_fit_from_is_rejected() -> None:
    clear = make_curtain(*np.full((2, 50, ROWS), np.nan))
    empty = clear.assign(detection_status=clear["detection_status"] * 0)
    for curtains, message in (
        ([], "no curtain"),
        ([empty, empty], "no curtain"),
        ([clear, clear], "clear sky"),
    ):
        with pytest.raises(CurtainError, match=message):
            fit_applicability(curtains, NETWORK)
    with pytest.raises(
        CurtainError, match=r"curtain 2: 20 rows up to 1523\.4 m; 24 rows up to 1835\.9 m"
    ):
        fit_applicability([make_day(0), make_day(1).isel(height=slice(20))], NETWORK)
    with pytest.raises(CurtainError, match=r"curtain 1: .*reflectivity over"):
        fit_applicability([make_day(0).drop_vars("reflectivity")], NETWORK)


def test_one_day_is_compared_with_itself() -> None:
    applicability = fit_applicability([make_day(0)], NETWORK, frequency_ghz=FREQUENCY)
    assert applicability.days == 1
    flag, _ = assess(applicability, make_day(0))
    # Its own profiles: at most the hundredth part of each half is beyond the other half's
    # references, none beyond both.
    assert (flag != 0).mean() <= UNLIKE_SHARE


def test_more_days_than_parts_keep_no_more_references() -> None:
    short = [make_day(seed).isel(time=slice(0, 90)) for seed in range(40)]
    assert len(fit_applicability(short, NETWORK).references) <= 256


def test_days_without_data_are_left_out() -> None:
    empty = make_curtain(*np.full((2, 50, ROWS), np.nan))
    empty["detection_status"].values[:] = DetectionStatus.NO_DATA
    days = [make_day(0), make_day(1)]
    assert fit_applicability([days[0], empty, days[1]], NETWORK) == fit_applicability(days, NETWORK)
