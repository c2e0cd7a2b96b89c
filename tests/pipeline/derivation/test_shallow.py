"""Hidden shallow echo: where its calibration holds, what it changes, and how members follow it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import xarray as xr
from tiny_products import CLEAR_PROFILE, FLOOR, NO_DATA_PROFILE, make_product

from blindzone.core.configuration import to_plain
from blindzone.core.errors import ProductError
from blindzone.pipeline.derivation.columns import CLASS_NAMES, derive_columns
from blindzone.pipeline.derivation.derived_product import derive_product
from blindzone.pipeline.derivation.shallow import (
    HIDDEN_ECHO_KEY,
    NOT_CALIBRATED,
    HiddenEcho,
    draw_levels,
    find_shares,
    thin_row,
)
from blindzone.pipeline.inpainting.calibration import CURVE_PROBABILITIES
from blindzone.pipeline.products.members import draw_members

DAY_S = 86400.0
CLEAR = [CLEAR_PROFILE, 3]
"""Profiles of the product with data and without echo above the zone."""


def make_hidden(share: float = 0.25) -> HiddenEcho:
    return HiddenEcho(shares=(share,) * len(CURVE_PROBABILITIES), days=5, prior_days=5)


def make_stating(hidden: HiddenEcho | dict[str, Any], **options: Any) -> xr.Dataset:
    """A product whose calibration has the curve."""
    record = hidden if isinstance(hidden, dict) else to_plain(hidden)
    product = make_product(**options)
    configuration = {"calibration": {HIDDEN_ECHO_KEY: record}}
    return product.assign_attrs(configuration=json.dumps(configuration))


@pytest.mark.parametrize("lazily", [False, True])
def test_chances_are_changed_only_where_no_echo_is_above(lazily: bool) -> None:
    shares = find_shares(make_stating(make_hidden(), lazily=lazily))
    assert shares is not None
    expected = np.ones(shares.sizes["time"])
    expected[CLEAR] = 0.25
    expected[NO_DATA_PROFILE] = shares.values[NO_DATA_PROFILE]  # whatever: nothing is known there
    assert np.array_equal(shares.values, expected)


def test_the_share_is_that_of_the_likeliest_hidden_echo() -> None:
    curve = tuple(np.asarray(CURVE_PROBABILITIES).tolist())  # a(x) = x
    shares = find_shares(make_stating(HiddenEcho(shares=curve, days=1, prior_days=0)))
    assert shares is not None
    # Odd profiles have a probability of 0.01 in each row.
    assert np.allclose(shares.values[CLEAR], 0.01)


def test_a_column_that_loses_hidden_echo_is_clear() -> None:
    product, stating = make_product(), make_stating(make_hidden())
    members = draw_members(product, 100).compute()
    own, calibrated = derive_columns(product, members), derive_columns(stating, members)
    for name in ("shallow_echo_probability", "echo_to_ground_probability", "filled_echo_depth"):
        assert np.allclose(calibrated[name][CLEAR], 0.25 * own[name][CLEAR]), name
        assert calibrated[name][0] == own[name][0], name
    total = sum(calibrated[name] for name in CLASS_NAMES.values())
    assert np.allclose(total[:NO_DATA_PROFILE], 1)
    assert calibrated["echo_base_height"].identical(own["echo_base_height"])


def test_members_keep_hidden_echo_as_often_as_it_is_calibrated() -> None:
    stating = make_stating(make_hidden())
    wet = xr.DataArray(
        np.zeros((2000, stating.sizes["time"]), dtype=np.float32),
        {"realization": np.arange(1, 2001), "time": stating["time"]},
        ("realization", "time"),
    )
    thinned = thin_row(stating, wet)
    kept = (thinned > FLOOR).mean("realization").values
    assert kept[CLEAR] == pytest.approx(0.25, abs=0.04)  # four standard deviations of 2000 draws
    assert (kept[[0, 2, 4]] == 1).all()
    assert set(np.unique(thinned)) == {FLOOR, 0}
    assert thin_row(make_product(), wet) is wet


def test_levels_are_even_and_go_on_through_days_and_members() -> None:
    seconds = 1.6e9 + np.arange(0, 400 * DAY_S, DAY_S)
    levels = draw_levels(seconds, np.arange(1, 51), seed=3)
    assert levels.mean() == pytest.approx(0.5, abs=0.02)
    assert levels.std() == pytest.approx(12**-0.5, abs=0.01)
    part = draw_levels(seconds[100:110], np.array([7]), seed=3)
    assert np.array_equal(part[0], levels[6, 100:110])
    assert not np.array_equal(part, draw_levels(seconds[100:110], np.array([7]), seed=4))
    near = draw_levels(seconds[:1] + np.arange(0, 6 * 3600, 60.0), np.array([1]), seed=0)
    assert np.abs(np.diff(near)).max() < 0.01  # a minute of ten hours: echo is not cut to pieces


def test_derived_variables_say_whether_hidden_echo_is_calibrated() -> None:
    for product, says in (
        (make_product(), NOT_CALIBRATED),
        (make_stating(make_hidden()), "calibrated on 5 days where no echo is above"),
    ):
        derived = derive_product(product, members=2)
        for name in ("shallow_echo_probability", "rainfall_rate", "hourly_rainfall_amount"):
            assert says in derived[name].attrs[HIDDEN_ECHO_KEY], name


def test_a_curve_that_is_not_understood_is_refused() -> None:
    with pytest.raises(ProductError, match="101 shares are right; found 1"):
        find_shares(make_stating({"shares": [1.0], "days": 5, "prior_days": 5}))
