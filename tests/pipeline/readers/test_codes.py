"""Codes by the meaning that their file gives them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

from blindzone.pipeline.readers._codes import explain_codes, find_meaning


def make(codes: list[float], **attrs: Any) -> xr.DataArray:
    return xr.DataArray(np.array(codes), dims="time", attrs=attrs)


@pytest.mark.parametrize(
    ("attrs", "meanings"),
    [
        ({"definition": "0 = good, 1 = bad"}, {0: "good", 1: "bad"}),
        (
            {"definition": "-1: not seen; 10: Ground clutter, mixed, 11 = hydrometeor + clutter"},
            {-1: "not seen", 10: "ground clutter, mixed", 11: "hydrometeor + clutter"},
        ),
        (
            {"definition": "0 = below 94 GHz noise,\n1 = target"},
            {0: "below 94 ghz noise", 1: "target"},
        ),
        (
            {"flag_values": np.array([1, 2], np.int8), "flag_meanings": "surface_clutter cloud"},
            {1: "surface clutter", 2: "cloud"},
        ),
        ({"flag_values": np.array([1]), "flag_meanings": "a b"}, {}),
        ({"definition": "see the handbook"}, {}),
        ({}, {}),
    ],
)
def test_codes_are_explained_by_definition_or_by_flags(
    attrs: dict[str, Any], meanings: dict[int, str]
) -> None:
    assert explain_codes(make([0.0], **attrs)) == meanings


def test_word_that_is_denied_does_not_count() -> None:
    text = "0 = hydrometeor without clutter, 1 = clutter, 2 = no data, 3 = not affected by clutter"
    status = make([0.0, 1, 2, 3], definition=text)
    assert find_meaning(status, "clutter").tolist() == [False, True, False, False]
    assert find_meaning(status, "no data").tolist() == [False, False, True, False]


def test_meaning_is_found_by_any_of_its_words_and_nowhere_without() -> None:
    status = make([0.0, 1, 2, np.nan], definition="0 = clear, 1 = ground clutter, 2 = surface")
    assert find_meaning(status, "clutter").tolist() == [False, True, False, False]
    assert find_meaning(status, "clutter", "surface").tolist() == [False, True, True, False]
    assert not find_meaning(status, "rain").any()
