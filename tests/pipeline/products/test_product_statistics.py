"""What a product is like, in numbers: each by hand from a product of four profiles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from blindzone.core.errors import ProductError
from blindzone.pipeline.curtains.cf import check_cf, to_cf
from blindzone.pipeline.curtains.flags import InpaintingFlag, OutOfRangeFlag
from blindzone.pipeline.products.drift import BANDS
from blindzone.pipeline.products.product_statistics import (
    PRODUCT_STATISTICS,
    describe_statistics,
    measure_product,
)

FLOOR = -30.0
DOCS = Path(__file__).parents[3] / "docs" / "metrics.md"


@pytest.fixture
def product() -> xr.Dataset:
    """Four profiles of five rows, two of them blind; the last profile has no data.

    Width of the 90 % interval: 10, 20 and 30 dB in the profiles 0, 1 and 2, in both rows. Echo is
    likely in profile 0 alone. Above the blind zone profile 0 has echo of -10 dBZ in three rows and
    profile 1 of -40 dBZ in one.
    """
    times = np.datetime64("2021-03-14", "ns") + np.arange(4) * np.timedelta64(9, "s")
    shape, grid = (4, 5), ("time", "height")
    flag = np.full(shape, InpaintingFlag.OBSERVED, dtype=np.int8)
    flag[:, :2] = InpaintingFlag.FILLED
    flag[:, 0] = InpaintingFlag.FILLED_BEYOND_TRUSTED_TRUTH
    flag[3] = InpaintingFlag.NO_DATA
    observed = np.full(shape, np.nan, dtype=np.float32)
    observed[0, 2:], observed[1, 4] = -10, -40
    filled = observed.copy()
    filled[0, :2] = -5
    probability, low, high = (np.full(shape, np.nan, dtype=np.float32) for _ in range(3))
    probability[:3, :2] = np.array([0.9, 0.5, 0.1])[:, None]
    low[:3, :2] = FLOOR
    high[:3, :2] = FLOOR + np.array([10, 20, 30])[:, None]
    bits = [
        0,
        OutOfRangeFlag.BAND_DIFFERS,
        OutOfRangeFlag.BAND_DIFFERS | OutOfRangeFlag.PROFILE_UNLIKE_TRAINING,
        OutOfRangeFlag.NO_VISIBLE_DATA,
    ]
    edges = np.arange(6) * 100.0
    variables = {
        "reflectivity": (grid, filled),
        "reflectivity_observed": (grid, observed),
        "reflectivity_quantile": (("quantile", *grid), np.stack([low, (low + high) / 2, high])),
        "hydrometeor_probability": (grid, probability),
        "inpainting_flag": (grid, flag),
        "blind_zone_top": ("time", np.full(4, 200, dtype=np.float32)),
        "sensitivity_floor": ((), np.float32(FLOOR)),
        "out_of_range_flag": ("time", np.array(bits, dtype=np.int16)),
        "out_of_range_score": ("time", np.array([0.2, 0.4, 1.6, np.nan], dtype=np.float32)),
        "height_bounds": (("height", "bnds"), np.stack([edges[:-1], edges[1:]], axis=1)),
    }
    coordinates = {
        "time": times,
        "height": (edges[:-1] + edges[1:]) / 2,
        "quantile": [0.05, 0.5, 0.95],
    }
    site = {"latitude": 48.7, "longitude": 2.2, "altitude": 156.0}
    made = to_cf(xr.Dataset(variables, coordinates | site))
    check_cf(made)  # names, dimensions and units are those of products
    return made


def test_every_number_is_what_the_pixels_say(product: xr.Dataset) -> None:
    found = measure_product(product)
    assert found == {
        "filled_pixel_share": pytest.approx(6 / 8),
        "filled_profile_share": pytest.approx(3 / 4),
        "no_data_share": pytest.approx(5 / 20),
        "visible_echo_share": pytest.approx(
            3 / 9
        ),  # three profiles of three rows; -40 dBZ is below the floor
        "filled_echo_share": pytest.approx(2 / 6),
        "interval_width_db": pytest.approx(20),
        "interval_width_likely_echo_db": pytest.approx(10),  # 0.5 is not likely
        "out_of_range_share": pytest.approx(3 / 4),
        "out_of_range_score_median": pytest.approx(0.4),
        "out_of_range_score_p95": pytest.approx(0.4 + 0.9 * 1.2),  # 1.9 steps along 0.2, 0.4, 1.6
        **{f"out_of_range_share_{bit.name.lower()}": 0 for bit in OutOfRangeFlag if bit.name},
        "out_of_range_share_band_differs": pytest.approx(2 / 4),
        "out_of_range_share_profile_unlike_training": pytest.approx(1 / 4),
        "out_of_range_share_no_visible_data": pytest.approx(1 / 4),
    }


def test_row_that_begins_below_the_top_is_blind(product: xr.Dataset) -> None:
    top = np.array(
        [200, 200, 200, 250], dtype=np.float32
    )  # the last profile: three blind rows, none filled
    found = measure_product(product.assign(blind_zone_top=("time", top)))
    assert found["filled_pixel_share"] == pytest.approx(6 / 9)


def test_weakest_echo_needs_enough_echo(product: xr.Dataset) -> None:
    assert "weakest_visible_echo_dbz" not in measure_product(product)
    many = xr.concat([product.isel(time=[0])] * 400, "time", data_vars="minimal").assign_coords(
        height_bounds=product["height_bounds"]
    )
    assert measure_product(many)["weakest_visible_echo_dbz"] == pytest.approx(
        -10
    )  # 1200 pixels of -10 dBZ


def test_what_nothing_stands_behind_is_left_out(product: xr.Dataset) -> None:
    found = measure_product(product.isel(time=[3]))
    assert {"filled_pixel_share", "no_data_share"} <= set(found)
    assert not {"interval_width_db", "visible_echo_share", "out_of_range_score_median"} & set(found)


def test_written_product_measures_the_same(product: xr.Dataset, tmp_path: Path) -> None:
    product.to_netcdf(tmp_path / "product.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "product.nc") as reopened:
        assert measure_product(reopened) == measure_product(product)


def test_something_else_is_rejected_with_what_it_lacks(product: xr.Dataset) -> None:
    with pytest.raises(ProductError, match=r"without hydrometeor_probability, out_of_range_flag$"):
        measure_product(product.drop_vars(["hydrometeor_probability", "out_of_range_flag"]))
    with pytest.raises(ProductError, match=r"quantile 0\.95; it has \[0\.05, 0\.5\]"):
        measure_product(product.isel(quantile=[0, 1]))


def test_table_defines_all_that_is_measured(product: xr.Dataset) -> None:
    assert set(measure_product(product)) <= set(PRODUCT_STATISTICS)
    assert {
        f"drift_{band}_{what}"
        for band in BANDS
        for what in ("distance_db", "occurrence", "intensity_db")
    } <= set(PRODUCT_STATISTICS)
    assert all(
        metric.unit in ("1", "dB", "dBZ") and metric.what for metric in PRODUCT_STATISTICS.values()
    )


def test_docs_hold_the_table() -> None:
    assert describe_statistics() in DOCS.read_text(encoding="utf-8")
