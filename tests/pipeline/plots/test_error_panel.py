"""Errors of a fill: what is missed, invented and off, and the scores that follow."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from blindzone.pipeline.curtains.flags import InpaintingFlag
from blindzone.pipeline.plots.error_panel import draw_errors, find_errors
from blindzone.pipeline.plots.panels import rasterize
from blindzone.pipeline.plots.product_view import ProductView, view_product

PROFILES = 60
BLACK, GREEN = (0, 0, 0), (0, 158, 115)


def view(product: xr.Dataset) -> ProductView:
    return view_product(product, rasterize(product["time"].values), None)


@pytest.fixture
def product(make_product: Callable[..., xr.Dataset]) -> xr.Dataset:
    """Four filled rows: 3 dB too strong, missed, invented, and both without echo."""
    product = make_product(np.arange(PROFILES) * 60)
    product["reflectivity"][:, :4] = np.array([3.0, np.nan, -20.0, np.nan], np.float32)
    product["reflectivity_observed"][:, :4] = np.array([0.0, -10.0, np.nan, np.nan], np.float32)
    return product


def test_rows_are_off_missed_invented_and_right(product: xr.Dataset) -> None:
    errors = find_errors(view(product))
    assert (errors.difference[:, 0] == 3.0).all()
    assert np.isnan(errors.difference[:, 1:]).all()
    assert errors.missed.any(axis=0)[:5].tolist() == [False, True, False, False, False]
    assert errors.invented.any(axis=0)[:5].tolist() == [False, False, True, False, False]


def test_scores_follow_from_the_pixels(product: xr.Dataset) -> None:
    # A third of the pixels with echo is hit. Errors are 3, 20, 10 and 0 dB, above -30 dBZ.
    line = find_errors(view(product)).describe()
    assert line == "CSI 0.33, MAE 8.25 dB, bias of hits +3.0 dB"


def test_few_pixels_with_echo_have_no_csi(product: xr.Dataset) -> None:
    short = product.isel(time=slice(0, 10))
    assert find_errors(view(short)).describe() == (
        "MAE 8.25 dB; too little echo for CSI (30 of 40 pixels)"
    )


def test_what_is_not_trusted_is_not_scored(product: xr.Dataset) -> None:
    product["inpainting_flag"][:, 2] = InpaintingFlag.FILLED_BEYOND_TRUSTED_TRUTH
    errors = find_errors(view(product))
    assert not errors.invented.any()
    assert errors.describe() == "CSI 0.50, MAE 7.67 dB, bias of hits +3.0 dB"  # (3 + 20 + 0) / 3


def test_missed_and_invented_echo_have_colours_of_their_own(product: xr.Dataset) -> None:
    ax = Figure().subplots()
    draw_errors(ax, view(product))
    rows = np.asarray(ax.images[0].get_array())[:, 0, :3]
    assert (tuple(rows[1]), tuple(rows[2])) == (BLACK, GREEN)
    assert (rows[3] == 255).all()
