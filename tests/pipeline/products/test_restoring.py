"""A product as the curtain that it was made from."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from blindzone.core.errors import ProductError
from blindzone.pipeline.curtains.curtain import DIMS, DetectionStatus, check_curtain
from blindzone.pipeline.curtains.flags import InpaintingFlag
from blindzone.pipeline.products.restoring import restore_curtain

OBSERVED, FILLED, BEYOND, NO_DATA = InpaintingFlag


def make_product(**more: object) -> xr.Dataset:
    """One profile of four rows: two of a blind zone with echo, one with clear sky, one missing."""
    flag = np.array([[BEYOND, FILLED, OBSERVED, NO_DATA]], dtype=np.int8)
    observed = np.array([[3.0, -5.0, np.nan, np.nan]], dtype=np.float32)
    product = xr.Dataset(
        {"inpainting_flag": (DIMS, flag), "reflectivity_observed": (DIMS, observed)},
        {
            "time": [np.datetime64("2021-03-14", "ns")],
            "height": np.arange(4) * 100.0 + 50,
            "latitude": 48.7,
            "longitude": 2.2,
            "altitude": 156.0,
        },
        {"title": "A radar: reflectivity with its blind zone filled", "site": "Palaiseau"},
    )
    return product.assign(more)


def test_what_the_radar_measured_is_there_again() -> None:
    curtain = restore_curtain(make_product())
    check_curtain(curtain)
    names = [DetectionStatus(code).name for code in curtain["detection_status"].values[0]]
    assert names == ["UNTRUSTED", "ECHO", "NO_ECHO", "NO_DATA"]
    assert curtain["reflectivity"].values[0, :2].tolist() == [3.0, -5.0]
    assert (curtain.attrs["title"], curtain.attrs["site"]) == ("A radar", "Palaiseau")


def test_holes_of_a_repaired_product_are_holes_again() -> None:
    kinds = np.ones((1, 4), dtype=np.int8)
    status = restore_curtain(make_product(hidden_kind=(DIMS, kinds)))["detection_status"]
    assert (status.values == DetectionStatus.NO_DATA).tolist() == [[True, True, False, True]]


def test_product_of_a_granule_is_an_error() -> None:
    track = make_product().assign_coords(along_track_distance=("time", [0.0]))
    with pytest.raises(ProductError, match="fixed site is right"):
        restore_curtain(track)
