"""Products: what is filled, what stays as it was, and what the file says to a stranger."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from compliance_checker.runner import CheckSuite
from tiny_products import (
    CLEAR_PROFILE,
    DAY,
    FLOOR,
    HIDDEN,
    NO_DATA_PROFILE,
    PROFILES,
    ROWS,
    SOURCE,
    make_assessed,
    make_assessment,
    make_curtain,
    make_fill,
    make_mask,
    make_product,
    make_provenance,
)

from blindzone.core.errors import ProductError
from blindzone.pipeline.curtains.curtain import DetectionStatus
from blindzone.pipeline.curtains.flags import InpaintingFlag, OutOfRangeFlag
from blindzone.pipeline.products import product as product_module
from blindzone.pipeline.products.checks import check_product
from blindzone.pipeline.products.product import build_product
from blindzone.pipeline.products.product_store import ProductStore


def write(product: xr.Dataset, folder: Path) -> Path:
    """Writes a product as the flows do, and returns its path."""
    return Path(ProductStore(folder).write(product, SOURCE, DAY))


@pytest.fixture
def written(tmp_path: Path) -> Path:
    return write(make_product(), tmp_path)


def test_observed_pixels_are_bit_for_bit_those_of_the_curtain() -> None:
    curtain, product = make_curtain(), make_product()
    bits = curtain["reflectivity"].values.view(np.uint32)
    assert np.array_equal(product["reflectivity_observed"].values.view(np.uint32), bits)
    assert np.array_equal(
        product["reflectivity"].values[:, HIDDEN:].view(np.uint32), bits[:, HIDDEN:]
    )


def test_filled_pixels_hold_the_median_where_it_exceeds_the_floor_and_nan_elsewhere() -> None:
    product, fill = make_product(), make_fill(make_curtain())
    filled = product["reflectivity"].values[:, :HIDDEN]
    # Probability 0.99 (even profiles): the median is among the intensities; 0.01 (odd ones): at
    # the floor.
    assert np.array_equal(
        filled[0::2], fill["reflectivity_quantile"].sel(quantile=0.5).values[0::2]
    )
    assert (filled[0::2] > FLOOR).all()
    assert np.isnan(filled[1::2]).all()


def test_every_number_of_the_fill_is_in_the_blind_zone_and_nowhere_else() -> None:
    product, fill = make_product(), make_fill(make_curtain())
    usable = [profile for profile in range(PROFILES) if profile != NO_DATA_PROFILE]
    for name in (
        "hydrometeor_probability",
        "reflectivity_standard_deviation",
        "reflectivity_quantile",
        "reflectivity_quantile_given_echo",
    ):
        assert product[name].dtype == np.float32
        inside = product[name].isel(time=usable, height=slice(HIDDEN))
        assert np.array_equal(inside.values, fill[name].isel(time=usable).values)
        assert np.isnan(product[name].isel(height=slice(HIDDEN, None))).all()


def test_lazy_product_is_the_same_and_written_part_by_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(product_module, "LAZY_PROFILES", 4)
    lazy = make_product(lazily=True)
    assert lazy["reflectivity_quantile"].chunks == ((9,), (4, 2), (ROWS,))
    xr.testing.assert_identical(lazy.compute(), make_product())
    one, other = write(lazy, tmp_path / "a"), write(make_product(), tmp_path / "b")
    with xr.open_dataset(one) as first, xr.open_dataset(other) as second:
        xr.testing.assert_identical(first.load(), second.load())
    # What contradicts itself is found in every part, and named by its place in the whole.
    wrong = lazy["reflectivity"].values.copy()
    wrong[5, HIDDEN] = 3.0
    with pytest.raises(ProductError, match=rf"\(first: profile 5, row {HIDDEN}\)"):
        write(lazy.assign(reflectivity=lazy["reflectivity"].copy(data=wrong)), tmp_path)


def test_flags_say_where_each_pixel_comes_from() -> None:
    flag = make_product()["inpainting_flag"].values
    assert (flag[0, 0], flag[0, 1], flag[0, HIDDEN]) == (
        InpaintingFlag.FILLED_BEYOND_TRUSTED_TRUTH,
        InpaintingFlag.FILLED,
        InpaintingFlag.OBSERVED,
    )
    assert flag[CLEAR_PROFILE, HIDDEN:].tolist() == [InpaintingFlag.OBSERVED] * (ROWS - HIDDEN)
    assert flag[2].tolist() == [2, 1, 1, 0, 0, 0, 0, 3]  # its highest pixel has no data


def test_rows_that_the_network_was_never_trained_on_are_flagged_and_those_of_the_curtain() -> None:
    curtain = make_curtain()
    product = build_product(
        curtain,
        make_fill(curtain),
        mask=make_mask(curtain, untrusted_rows=2),
        blind_zone_top_m=HIDDEN * 78.125,
        floor_dbz=FLOOR,
        provenance=make_provenance(),
    )
    # The curtain marks row 0 alone; two rows were untrusted in training; the blind zone has HIDDEN
    # = 3.
    assert product["inpainting_flag"].values[0, : HIDDEN + 1].tolist() == [2, 2, 1, 0]


def test_profile_without_visible_data_is_not_filled() -> None:
    profile = make_product().isel(time=NO_DATA_PROFILE)
    assert (profile["inpainting_flag"] == InpaintingFlag.NO_DATA).all()
    for name in (
        "reflectivity",
        "hydrometeor_probability",
        "reflectivity_standard_deviation",
        "reflectivity_quantile",
        "reflectivity_quantile_given_echo",
    ):
        assert np.isnan(profile[name]).all()


def test_data_under_an_empty_visible_part_stays_in_the_observed_reflectivity_alone() -> None:
    curtain = make_curtain()
    status, reflectivity = (
        curtain["detection_status"].values.copy(),
        curtain["reflectivity"].values.copy(),
    )
    status[NO_DATA_PROFILE, 1], reflectivity[NO_DATA_PROFILE, 1] = DetectionStatus.ECHO, 5.0
    dims = ("time", "height")
    curtain = curtain.assign(detection_status=(dims, status), reflectivity=(dims, reflectivity))
    product = build_product(
        curtain,
        make_fill(curtain),
        mask=make_mask(curtain),
        blind_zone_top_m=234.375,
        floor_dbz=FLOOR,
        provenance=make_provenance(),
    )
    check_product(product)
    assert product["reflectivity_observed"].values[NO_DATA_PROFILE, 1] == 5.0
    assert np.isnan(product["reflectivity"].values[NO_DATA_PROFILE, 1])


def test_inputs_are_left_as_they_were() -> None:
    curtain = make_curtain()
    fill = make_fill(curtain)
    before = curtain.copy(deep=True), fill.copy(deep=True)
    build_product(
        curtain,
        fill,
        mask=make_mask(curtain),
        blind_zone_top_m=234.375,
        floor_dbz=FLOOR,
        provenance=make_provenance(),
    )
    xr.testing.assert_identical(curtain, before[0])
    xr.testing.assert_identical(fill, before[1])


def test_plain_xarray_reads_every_variable_back(written: Path) -> None:
    product = make_product()
    with xr.open_dataset(written) as reopened:
        assert set(reopened.variables) == set(product.variables)
        for name in set(product.variables) - {"time"}:
            assert reopened[name].dtype == product[name].dtype, name
            assert reopened[name].dims == product[name].dims, name
            assert np.array_equal(
                reopened[name].values,
                product[name].values,
                equal_nan=product[name].dtype.kind == "f",
            ), name
            assert reopened[name].attrs.get("units") == product[name].attrs.get("units"), name
        # Seconds since 1970 in double precision are good to 0.2 microseconds.
        error = np.abs(reopened["time"].values - product["time"].values)
        assert error.max() < np.timedelta64(1, "us")
        assert reopened["time"].attrs["units_metadata"] == "leap_seconds: utc"
        assert set(reopened.coords) == {
            "time",
            "height",
            "quantile",
            "latitude",
            "longitude",
            "altitude",
        }
        assert reopened["inpainting_flag"].attrs["flag_values"].dtype == np.int8
        check_product(reopened.load())


def test_rows_touch_and_the_first_lies_on_the_ground(written: Path) -> None:
    with xr.open_dataset(written) as reopened:
        bounds = reopened["height_bounds"].values
    assert bounds[0, 0] == 0.0
    assert np.array_equal(bounds[1:, 0], bounds[:-1, 1])
    assert np.allclose(bounds[:, 1] - bounds[:, 0], 78.125)


def test_fill_values_and_compression_are_as_documented(written: Path) -> None:
    with xr.open_dataset(written, decode_cf=False) as raw:
        assert np.isnan(raw["reflectivity"].attrs["_FillValue"])
        for name in ("inpainting_flag", "time", "height", "quantile", "latitude", "height_bounds"):
            assert "_FillValue" not in raw[name].attrs
        assert raw["height_bounds"].attrs == {}
        assert raw["time"].attrs["units"].startswith("seconds since 1970-01-01")
        assert raw["reflectivity"].encoding["zlib"]
        assert raw["reflectivity"].encoding["complevel"] == 4


@pytest.mark.parametrize("checker", ["cf:1.11", "acdd:1.3"])
@pytest.mark.parametrize(
    "changes", [{}, {"simulated": True}, {"with_realizations": True, "tolerance_db": 0.25}], ids=str
)
def test_compliance_checker_has_no_finding(
    tmp_path: Path, checker: str, changes: dict[str, Any]
) -> None:
    path = write(make_product(**changes), tmp_path)
    assert find_faults(path, checker) == []


def test_compliance_checker_would_find_a_fault(tmp_path: Path) -> None:
    product = make_product()
    product["height"].attrs["units"] = "fortnight"
    product.attrs.pop("license")
    path = tmp_path / "faulty.nc"
    product.to_netcdf(path, engine="h5netcdf")
    assert find_faults(path, "cf:1.11")
    assert any("license" in fault for fault in find_faults(path, "acdd:1.3"))


def find_faults(path: Path, checker: str) -> list[str]:
    """Returns every check, of any priority, that did not get its full score, with its messages."""
    suite = CheckSuite()
    suite.load_all_available_checkers()
    dataset = suite.load_dataset(str(path))
    results, errors = suite.run_all(dataset, [checker])[checker]
    dataset.close()
    assert not errors
    faults = []
    for result in results:
        full = result.value is True or (
            isinstance(result.value, tuple) and result.value[0] == result.value[1]
        )
        if not full:  # with the full score, messages are remarks such as where a name was found
            faults.append(f"{result.name}: {result.msgs}")
    return faults


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda fill: fill.drop_vars("hydrometeor_probability"), "lacks hydrometeor_probability"),
        (lambda fill: fill.isel(height=slice(2)), "profiles and rows is right"),
        (
            lambda fill: fill.assign_coords(time=fill["time"] + np.timedelta64(1, "s")),
            "times are not those",
        ),
        (lambda fill: fill.sel(quantile=[0.05, 0.95]), "quantile 0.5 is needed"),
        (lambda fill: fill.transpose("height", "time", ...), "profiles and rows is right"),
    ],
    ids=[
        "no-probability",
        "too-few-rows",
        "other-times",
        "no-median",
        "turned",
    ],
)
def test_fill_that_does_not_fit_the_curtain_is_rejected(change, message: str) -> None:  # type: ignore[no-untyped-def]
    curtain = make_curtain()
    with pytest.raises(ProductError, match=message):
        build_product(
            curtain,
            change(make_fill(curtain)),
            mask=make_mask(curtain),
            blind_zone_top_m=234.375,
            floor_dbz=FLOOR,
            provenance=make_provenance(),
        )


def test_members_are_where_something_is_filled_and_nowhere_else(tmp_path: Path) -> None:
    product = make_product(with_realizations=True)
    path = write(product, tmp_path)
    expected = product["reflectivity_realization"].values
    with xr.open_dataset(path) as reopened:
        fields = reopened["reflectivity_realization"]
        assert (fields.dims, fields.dtype) == (("realization", "time", "height"), np.float32)
        assert fields.encoding["zlib"]
        assert reopened["realization"].values.tolist() == list(range(1, 9))
        assert reopened["realization"].attrs["standard_name"] == "realization"
        usable = [profile for profile in range(PROFILES) if profile != NO_DATA_PROFILE]
        assert np.array_equal(fields.values[:, usable, :HIDDEN], expected[:, usable, :HIDDEN])
        assert np.isnan(fields.values[:, NO_DATA_PROFILE]).all()
        assert np.isnan(fields.values[:, :, HIDDEN:]).all()
        check_product(reopened.load())
    assert not {"reflectivity_realization", "realization"} & set(make_product().variables)


def test_assessment_is_written_as_it_is_with_the_meaning_of_its_bits(tmp_path: Path) -> None:
    path = write(make_assessed(), tmp_path)
    expected = make_assessment(make_curtain())
    with xr.open_dataset(path) as reopened:
        flag, score = reopened["out_of_range_flag"], reopened["out_of_range_score"]
        assert (flag.dims, flag.dtype, score.dims, score.dtype) == (
            ("time",),
            np.int16,
            ("time",),
            np.float32,
        )
        assert np.array_equal(flag, expected["out_of_range_flag"])
        assert np.array_equal(score, expected["out_of_range_score"], equal_nan=True)
        assert flag.attrs["flag_masks"].dtype == np.int16
        meanings = dict(
            zip(flag.attrs["flag_meanings"].split(), flag.attrs["flag_masks"].tolist(), strict=True)
        )
        # Published: these never change.
        assert meanings == {
            "not_assessed": 1,
            "no_visible_data": 2,
            "band_unknown": 4,
            "band_differs": 8,
            "sensitivity_differs": 16,
            "time_step_differs": 32,
            "grid_differs": 64,
            "predictors_differ": 128,
            "profile_unlike_training": 256,
            "site_differs": 512,
            "blind_zone_differs": 1024,
        }
        for name in ("out_of_range_flag", "out_of_range_score"):
            assert name in reopened["reflectivity"].attrs["ancillary_variables"].split()
    with xr.open_dataset(path, decode_cf=False) as raw:
        assert np.isnan(raw["out_of_range_score"].attrs["_FillValue"])
        assert "_FillValue" not in raw["out_of_range_flag"].attrs


def test_product_that_was_not_assessed_says_so() -> None:
    product = make_product()
    assert (product["out_of_range_flag"] == OutOfRangeFlag.NOT_ASSESSED).all()
    assert np.isnan(product["out_of_range_score"]).all()


@pytest.mark.parametrize("checker", ["cf:1.11", "acdd:1.3"])
def test_compliance_checker_has_no_finding_in_an_assessed_product(
    tmp_path: Path, checker: str
) -> None:
    path = write(make_assessed(), tmp_path)
    assert find_faults(path, checker) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda found: found.drop_vars("out_of_range_score"), "lacks out_of_range_score"),
        (
            lambda found: found.expand_dims("ray"),
            "lacks out_of_range_flag and out_of_range_score of dimensions",
        ),
        (lambda found: found.isel(time=slice(2)), "assessment's times"),
        (
            lambda found: found.assign_coords(time=found["time"] + np.timedelta64(1, "s")),
            "assessment's times",
        ),
    ],
    ids=["no-score", "of-a-swath", "too-few", "other-times"],
)
def test_assessment_that_does_not_fit_the_curtain_is_rejected(change, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ProductError, match=message):
        make_assessed(change(make_assessment(make_curtain())))


def test_wrong_unit_is_not_written(tmp_path: Path) -> None:
    product = make_product()
    product["reflectivity_quantile"].attrs["units"] = "mm6 m-3"
    with pytest.raises(ProductError, match="'dBZ' is right"):
        write(product, tmp_path)
    assert list(tmp_path.iterdir()) == []


@contextmanager
def small_disk(limit_bytes: int) -> Iterator[None]:
    """No file may grow beyond the limit: a write then fails half way, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_failed_write_leaves_the_earlier_product_and_nothing_else(written: Path) -> None:
    before = written.read_bytes()
    with small_disk(20_000), pytest.raises(ProductError, match="cannot be written"):
        write(make_product(software_version="0.2.0"), written.parent)
    assert written.read_bytes() == before
    assert list(written.parent.iterdir()) == [written]


def test_later_product_replaces_the_earlier_one(written: Path) -> None:
    write(make_product(software_version="0.2.0"), written.parent)
    with xr.open_dataset(written) as reopened:
        assert reopened.attrs["software_version"] == "0.2.0"
    assert list(written.parent.iterdir()) == [written]
