"""A product that contradicts itself is rejected, whatever contradicts what."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tiny_products import (
    CLEAR_PROFILE,
    FLOOR,
    HIDDEN,
    NO_DATA_PROFILE,
    ROWS,
    make_assessed,
    make_product,
    set_pixel,
)

from blindzone.core.errors import ProductError
from blindzone.pipeline.curtains.flags import InpaintingFlag, OutOfRangeFlag
from blindzone.pipeline.products.checks import check_product


@pytest.mark.parametrize(
    ("name", "index", "value", "message"),
    [
        ("reflectivity", (0, ROWS - 1), 12.0, "observed and altered"),
        ("reflectivity", (CLEAR_PROFILE, ROWS - 1), 12.0, "observed and altered"),
        ("reflectivity", (0, 1), 12.0, "another value than the median"),
        ("reflectivity", (CLEAR_PROFILE, 1), 12.0, "another value than the median"),
        ("reflectivity", (NO_DATA_PROFILE, 1), 12.0, "no data and have a reflectivity"),
        ("reflectivity_quantile", (0, 0, 1), 60.0, "quantiles that cross"),
        ("reflectivity_quantile", (0, 0, 1), FLOOR - 0.1, "below the sensitivity floor"),
        (
            "reflectivity_quantile_given_echo",
            (0, CLEAR_PROFILE, 1),
            60.0,
            "quantiles given echo that cross",
        ),
        (
            "reflectivity_quantile_given_echo",
            (0, CLEAR_PROFILE, 1),
            FLOOR,
            "given echo at or below the sensitivity",
        ),
        (
            "reflectivity_quantile_given_echo",
            (0, 0, 1),
            np.nan,
            "are filled and lack 'reflectivity_quantile_given_",
        ),
        (
            "reflectivity_quantile_given_echo",
            (0, 0, HIDDEN),
            0.0,
            "are not filled and have 'reflectivity_quantile_g",
        ),
        (
            "hydrometeor_probability",
            (0, 1),
            np.nan,
            "are filled and lack 'hydrometeor_probability'",
        ),
        (
            "hydrometeor_probability",
            (0, HIDDEN),
            0.5,
            "are not filled and have 'hydrometeor_probability'",
        ),
        ("inpainting_flag", (0, ROWS - 1), 9, "unknown inpainting_flag"),
        ("inpainting_flag", (0, 1), InpaintingFlag.OBSERVED, "observed and altered"),
    ],
)
def test_contradiction_is_rejected(
    name: str, index: tuple[int, ...], value: float, message: str
) -> None:
    product = make_product()
    check_product(product)
    with pytest.raises(ProductError, match=message):
        check_product(set_pixel(product, name, index, value))


@pytest.mark.parametrize(
    ("index", "value", "message"),
    [
        ((0, 0, 1), np.nan, "are filled and lack 'reflectivity_realization'"),
        ((0, 0, HIDDEN), 0.0, "are not filled and have 'reflectivity_realization'"),
        ((0, NO_DATA_PROFILE, 1), 0.0, "are not filled and have 'reflectivity_realization'"),
        ((0, CLEAR_PROFILE, 1), FLOOR - 0.1, "ensemble member below the sensitivity floor"),
        # All eight with echo that is 0.01 probable, or none of one that is 0.99, is 1e-16 probable.
        (
            (slice(None), CLEAR_PROFILE, 1),
            0.0,
            "echo in more or fewer ensemble members than is probable",
        ),
        ((slice(None), 0, 1), FLOOR, "echo in more or fewer ensemble members than is probable"),
    ],
)
def test_members_that_contradict_the_distribution_are_rejected(
    index: tuple[Any, ...], value: float, message: str
) -> None:
    product = make_product(with_realizations=True)
    check_product(product)
    with pytest.raises(ProductError, match=f"1 pixels .*{message}"):
        check_product(set_pixel(product, "reflectivity_realization", index, value))


@pytest.mark.parametrize(
    ("name", "profile", "value", "message"),
    [
        ("out_of_range_flag", 0, 2048, "unknown out_of_range_flag"),
        ("out_of_range_flag", 0, -1, "unknown out_of_range_flag"),
        ("out_of_range_flag", 0, OutOfRangeFlag.NOT_ASSESSED, "against their flag"),
        (
            "out_of_range_flag",
            0,
            OutOfRangeFlag.NOT_ASSESSED | OutOfRangeFlag.BAND_DIFFERS,
            "and as something else",
        ),
        (
            "out_of_range_flag",
            0,
            OutOfRangeFlag.NO_VISIBLE_DATA,
            "nothing visible against their flag",
        ),
        ("out_of_range_flag", NO_DATA_PROFILE, 0, "nothing visible against their flag"),
        ("out_of_range_flag", 2, 0, "that their flag denies"),
        ("out_of_range_score", 0, 1.2, "that their flag denies"),
        ("out_of_range_score", 0, np.nan, "against their flag"),
        ("out_of_range_score", 0, -0.1, "negative"),
        ("out_of_range_score", NO_DATA_PROFILE, 0.5, "against their flag"),
    ],
)
def test_assessment_that_contradicts_itself_is_rejected(
    name: str, profile: int, value: float, message: str
) -> None:
    product = make_assessed()
    check_product(product)
    with pytest.raises(ProductError, match=f"1 profiles .*{message}.*profile {profile}"):
        check_product(set_pixel(product, name, (profile,), value))
