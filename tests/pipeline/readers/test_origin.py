"""Origin of raw files: site, provenance and radar frequency."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.readers._origin import (
    find_position,
    find_site_value,
    pick_frequency,
    pick_provenance,
    read_site_value,
)


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("latitude", [91.0, -9999.0, 48.5], 48.5),
        ("Lon", [-999.0, 350.0], 350.0),
        ("MSL", [9.9e36, 120.0, np.inf], 120.0),
        ("alt", [99999.0], np.nan),
    ],
)
def test_site_is_taken_from_credible_values_alone(
    name: str, values: list[float], expected: float
) -> None:
    assert find_site_value(xr.Dataset({name: ("n", values)}), name) == pytest.approx(
        expected, nan_ok=True
    )


def test_provenance_is_what_the_file_states_and_what_acdd_names() -> None:
    stated = {
        "source": " BASTA ",
        "location": "",
        "title": "A radar",
        "institution": "SIRTA",
        "creator_name": "A person",
        "publisher": "A centre",
        "licence": "CC BY 4.0",
        "history": "left out",
    }
    names = {"instrument": "source", "site": "location", "references": "doi"}
    assert pick_provenance(xr.Dataset(attrs=stated), names) == {
        "instrument": "BASTA",
        "title": "A radar",
        "institution": "SIRTA",
        "creator": "A person",
        "publisher": "A centre",
        "license": "CC BY 4.0",
    }


@pytest.mark.parametrize(
    ("values", "units", "ghz"),
    [
        (94.0, "GHz", 94.0),
        (34.83e9, "Hz", 34.83),
        ([1290.0, 1290.0], "MHz", 1.29),
        ([35.0, 94.0], "GHz", None),  # one radar has one
        (94.0, "1", None),
        (np.nan, "GHz", None),
        (-999.0, "GHz", None),
        (5.0, "Hz", None),
    ],
)
def test_frequency_of_a_variable_is_one_credible_number(
    values: Any, units: str, ghz: float | None
) -> None:
    values = np.asarray(values)
    raw = xr.Dataset({"frequency": (("n",)[: values.ndim], values, {"units": units})})
    assert pick_frequency(raw, "frequency") == ({} if ghz is None else {"frequency_ghz": ghz})


def test_frequency_of_an_attribute_is_taken_where_no_variable_states_it() -> None:
    raw = xr.Dataset(
        {"frequency": ((), np.nan, {"units": "GHz"})},
        attrs={"radar_operating_frequency": "34.830000 GHz", "pulse": "2771 per second"},
    )
    assert pick_frequency(raw, "frequency", "pulse") == {}
    assert pick_frequency(raw, "frequency", "radar_operating_frequency") == {"frequency_ghz": 34.83}


def test_site_that_the_file_must_state_is_missed() -> None:
    raw = xr.Dataset({"altitude": ((), -9999.0)})
    with pytest.raises(SourceFileError, match=r"a\.nc: 'altitude' holds no value"):
        read_site_value(raw, "altitude", Path("a.nc"))


def test_platform_that_moves_has_a_position_for_each_profile() -> None:
    raw = xr.Dataset({"latitude": ("time", [70.0, 70.5, 999.0]), "longitude": ("time", [9.0] * 3)})
    np.testing.assert_array_equal(find_position(raw, "latitude"), [70, 70.5, np.nan])
    assert find_position(raw, "longitude") == 9
    assert np.isnan(find_position(raw, "altitude"))
