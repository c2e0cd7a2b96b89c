"""What a page shows of a product: every number as the product has it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr
from tiny_products import make_product

from blindzone.core.errors import ProductError
from blindzone.pipeline.derivation.derived_product import derive_product
from blindzone.pipeline.plots.packing import unpack
from blindzone.pipeline.plots.page_data import describe_codes, describe_product
from blindzone.pipeline.products.layout import is_filled


@pytest.fixture(scope="module")
def product() -> xr.Dataset:
    return make_product(with_realizations=True)


def test_fields_are_those_of_the_product(product: xr.Dataset) -> None:
    found = describe_product(product)
    fields = {name: unpack(packed) for name, packed in found["fields"].items()}
    observed = product["reflectivity_observed"].values.T.ravel()
    np.testing.assert_allclose(fields["observed"], observed, atol=0.0501)
    filled = is_filled(product["inpainting_flag"].values).T
    bounds = product["reflectivity_quantile"].values.transpose(0, 2, 1)[:, filled]
    np.testing.assert_allclose(fields["quantiles"], bounds.ravel(), atol=0.0501)
    member = product["reflectivity_realization"].values[0].T[filled]
    np.testing.assert_allclose(fields["member"], member, atol=0.0501)


def test_times_count_from_the_first_midnight(product: xr.Dataset) -> None:
    found = describe_product(product)
    milliseconds = found["midnight"] + unpack(found["profiles"]["time"])
    expected = product["time"].values.astype("datetime64[ms]").astype(np.int64)
    np.testing.assert_array_equal(milliseconds, expected)


def test_all_is_plain_and_without_nan(product: xr.Dataset) -> None:
    derived = derive_product(product, members=2)
    found = describe_product(product, derived)
    json.dumps([found, describe_codes()], allow_nan=False)
    kinds = unpack(found["derived"]["class"])
    np.testing.assert_array_equal(kinds, derived["column_class"].values)


def test_radar_that_measured_nothing_in_the_zone_has_no_truth(product: xr.Dataset) -> None:
    hidden = is_filled(product["inpainting_flag"].values)
    blind = product.assign(
        reflectivity_observed=product["reflectivity_observed"].where(~hidden),
        hidden_kind=(("time", "height"), hidden.astype(np.int8)),
    )
    found = describe_product(blind)
    assert not found["truth"]
    assert found["verification"]["scores"] == []
    assert "measured nothing" in found["verification"]["reason"]
    assert describe_product(product)["truth"]


def test_earlier_product_without_quantiles_given_echo_is_shown(product: xr.Dataset) -> None:
    earlier = product.drop_vars("reflectivity_quantile_given_echo")
    fields = describe_product(earlier)["fields"]
    assert not {"given_echo", "member"} & set(fields)
    assert {"quantiles", "probability"} <= set(fields)


def test_what_is_no_product_is_named(product: xr.Dataset) -> None:
    with pytest.raises(ProductError, match="lacks 'blind_zone_top'"):
        describe_product(product.drop_vars("blind_zone_top"))
