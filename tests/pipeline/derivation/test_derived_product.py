"""Derived products: CF files that plain xarray opens, traced to the product they are made of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from compliance_checker.runner import CheckSuite, ComplianceChecker
from tiny_products import make_product

import blindzone
from blindzone.core.errors import BlindzoneError, ProductError
from blindzone.pipeline.derivation.columns import CLASS_NAMES
from blindzone.pipeline.derivation.derived_product import (
    DERIVED_FROM,
    derive_product,
    name_derived,
    write_derived,
)
from blindzone.pipeline.products.opening import open_products, write_product


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("derived") / "day_derived.nc"
    return write_derived(derive_product(make_product(), members=6, seed=5), path)


def test_plain_xarray_opens_what_was_derived(file: Path) -> None:
    product = make_product()
    derived = derive_product(product, members=6, seed=5)
    with xr.open_dataset(file) as opened:
        apart = np.abs(opened["time"].values - product["time"].values)
        assert apart.max() < np.timedelta64(1, "us")
        assert set(opened.data_vars) == set(derived.data_vars)
        for name in CLASS_NAMES.values():
            np.testing.assert_array_equal(opened[name], derived[name])
        assert opened["echo_base_height"].dims == ("quantile", "time")
        assert opened["column_class"].dtype == np.int8
        assert opened.attrs[DERIVED_FROM] == product.attrs["target_sha256"]
        assert (opened.attrs["members"], opened.attrs["members_seed"]) == (6, 5)


@pytest.fixture(scope="module")
def findings(file: Path) -> dict[str, list[str]]:
    """What compliance-checker finds, by convention."""
    CheckSuite.load_all_available_checkers()
    found = {}
    for convention in ("cf:1.11", "acdd:1.3"):
        report = file.with_suffix(f".{convention[:3]}.json")
        ComplianceChecker.run_checker(
            str(file), [convention], 0, "strict", output_filename=str(report), output_format="json"
        )
        content = json.loads(report.read_text())[convention]
        found[convention] = [
            message
            for check in content["all_priorities"]
            if check["value"][0] < check["value"][1]
            for message in check["msgs"]
        ]
    return found


def test_compliance_checker_has_no_finding_by_cf(findings: dict[str, list[str]]) -> None:
    assert findings["cf:1.11"] == []


def test_acdd_misses_only_names_that_cf_does_not_have(findings: dict[str, list[str]]) -> None:
    """CF has no standard name of a variance or of an invented depth."""
    assert set(findings["acdd:1.3"]) == {"standard_name"}


def test_day_without_an_event_is_written(tmp_path: Path) -> None:
    product = make_product()
    dry = {"reflectivity_observed": np.nan, "reflectivity": np.nan, "hydrometeor_probability": 0.0}
    floor = product["reflectivity_quantile"] * 0 + product["sensitivity_floor"]
    clear = product.assign({name: product[name] * 0 + value for name, value in dry.items()})
    derived = derive_product(clear.assign(reflectivity_quantile=floor), members=3)
    assert derived.sizes["event"] == 0
    with xr.open_dataset(write_derived(derived, tmp_path / "dry.nc")) as reopened:
        assert reopened["event_rainfall_amount"].size == 0


def test_same_seed_gives_the_same_and_another_one_not() -> None:
    product = make_product()
    one, same, other = (derive_product(product, seed=seed) for seed in (0, 0, 1))
    name = "filled_echo_depth"
    np.testing.assert_array_equal(one[name], same[name])
    assert not np.array_equal(one[name], other[name], equal_nan=True)


def test_front_door_derives_a_file_and_writes_it(tmp_path: Path) -> None:
    path = write_product(make_product(), tmp_path / "day.nc")
    derived = blindzone.derive(path, members=4)
    written = blindzone.write(derived, tmp_path / name_derived(path.name))
    assert written.name == "day_derived.nc"
    # A folder of products is opened without what is derived of them.
    assert open_products(tmp_path).sizes["time"] == derived.sizes["time"]


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda product: product.drop_vars("reflectivity_observed"), {}, "reflectivity_observed"),
        (lambda product: product.drop_vars("reflectivity_quantile"), {}, "reflectivity_quantile"),
        (lambda product: product["reflectivity"], {}, "found DataArray"),
        (lambda product: product, {"members": 1}, "members is 1"),
        (lambda product: product, {"members": 2.5}, "members is 2.5"),
        (lambda product: product, {"seed": -1}, "seed is -1"),
    ],
)
def test_what_cannot_be_derived_is_one_clear_error(
    change: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(BlindzoneError, match=message):
        blindzone.derive(change(make_product()), **options)


def test_name_of_a_derived_file_must_be_that_of_netcdf(tmp_path: Path) -> None:
    with pytest.raises(ProductError, match=r"ends in \.nc"):
        write_derived(derive_product(make_product(), members=2), tmp_path / "derived.zarr")
