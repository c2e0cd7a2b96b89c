"""The layout of a product: its median, its filled pixels, and what is echo."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from tiny_products import make_product

from blindzone.core.errors import ProductError
from blindzone.pipeline.curtains.flags import InpaintingFlag
from blindzone.pipeline.products.layout import (
    find_lowest_row,
    find_median,
    is_filled,
    keep_echo,
    list_fill_names,
)


def test_median_is_found_wherever_it_is_and_needed() -> None:
    levels = xr.Dataset(coords={"quantile": [0.1, 0.5 + 1e-12, 0.9]})
    assert find_median(levels) == 1
    assert find_median(levels.isel(quantile=[2, 1])) == 1
    with pytest.raises(ProductError, match=r"the quantile 0.5 is needed; found \[0.1, 0.9\]"):
        find_median(levels.isel(quantile=[0, 2]))


def test_two_of_four_flags_mean_filled() -> None:
    flags = np.array([[code.value for code in InpaintingFlag]])
    assert dict(zip(InpaintingFlag, is_filled(flag=flags)[0], strict=True)) == {
        InpaintingFlag.OBSERVED: False,
        InpaintingFlag.FILLED: True,
        InpaintingFlag.FILLED_BEYOND_TRUSTED_TRUTH: True,
        InpaintingFlag.NO_DATA: False,
    }


def test_echo_is_what_exceeds_the_floor() -> None:
    median = np.array([-30.0, np.nextafter(np.float32(-30), np.float32(0)), 5.0, np.nan])
    kept = keep_echo(median.astype(np.float32), -30.0)
    assert np.isnan(kept).tolist() == [True, False, False, True]
    assert kept[2] == 5.0


def test_members_are_part_of_a_fill_that_has_them() -> None:
    without, with_members = make_product(), make_product(with_realizations=True)
    assert set(list_fill_names(with_members)) - set(list_fill_names(without)) == {
        "reflectivity_realization"
    }


def test_lowest_row_has_a_pixel_of_the_codes_in_any_profile_or_ray() -> None:
    observed, filled, no_data = (
        InpaintingFlag.OBSERVED,
        InpaintingFlag.FILLED,
        InpaintingFlag.NO_DATA,
    )
    codes = [[no_data, no_data, filled], [no_data, observed, observed]]
    flag = xr.DataArray(np.array(codes), dims=("time", "height"))
    assert find_lowest_row(flag, [filled]) == 2
    assert find_lowest_row(flag, [observed, filled]) == 1
    assert find_lowest_row(flag, [InpaintingFlag.FILLED_BEYOND_TRUSTED_TRUTH]) is None
    assert find_lowest_row(flag.expand_dims(ray=2), [filled]) == 2
