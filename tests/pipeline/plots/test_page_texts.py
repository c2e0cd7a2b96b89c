"""Texts and scores of a product's page."""

from __future__ import annotations

import numpy as np
import xarray as xr
from tiny_products import HIDDEN, make_product

from blindzone.pipeline.plots.page_texts import list_facts, verify
from blindzone.pipeline.plots.panels import rasterize
from blindzone.pipeline.plots.product_view import ProductView, view_product


def view(product: xr.Dataset) -> ProductView:
    return view_product(product, rasterize(product["time"].values), None)


def test_facts_begin_with_what_people_ask_and_none_is_lost() -> None:
    product = make_product()
    labels = [label for label, _ in list_facts(product)]
    assert labels[0] == "What it is"
    assert {"Licence", "SHA-256 of the network", "title", "configuration"} <= set(labels)
    assert len(labels) == len(set(labels))
    facts = dict(list_facts(product.assign_attrs(configuration="no JSON", license="a\x1b[0m")))
    assert facts["configuration"] == "no JSON"
    assert facts["Licence"] == r"a\x1b[0m"


def test_scores_count_filled_pixels_in_rows_with_trusted_truth() -> None:
    product = make_product()
    # Profiles 0, 2 and 4 have echo; the lowest hidden row is not trusted.
    assert f" {3 * (HIDDEN - 1)} of them have echo" in verify(view(product))["how"]


def test_score_that_is_not_defined_is_none() -> None:
    clear = make_product()
    for name in ("reflectivity_observed", "reflectivity"):
        clear[name] = clear[name] * np.float32(np.nan)
    scores = {name: fill for name, _, fill, _ in verify(view(clear))["scores"]}
    assert scores["POD"] is None
    assert scores["Brier"] is not None


def test_scores_of_echo_need_a_hundred_pixels_of_it() -> None:
    few = make_product()  # 6 pixels
    many = few.isel(time=np.tile([0, 2, 4], 20))  # 2 trusted rows of 60 profiles
    times = few["time"].values[0] + np.arange(60) * np.timedelta64(9, "s")
    many = many.assign_coords(time=("time", times))
    found = {count: verify(view(product)) for count, product in ((6, few), (120, many))}
    scores = {count: {row[0]: row[2] for row in of["scores"]} for count, of in found.items()}
    assert scores[6]["CSI"] is None
    assert "too few" in found[6]["how"]
    assert scores[120]["CSI"] is not None
    assert "120 of them have echo in truth." in found[120]["how"]
