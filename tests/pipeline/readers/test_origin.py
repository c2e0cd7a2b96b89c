"""Origin of raw files: site, provenance and radar frequency."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.readers._origin import (
    check_site_known,
    pick_frequency,
    pick_provenance,
    read_first_fix,
    read_site,
)

NAMES = ("latitude", "longitude", "altitude")


def make_raw(latitude: Any, longitude: Any, altitude: Any = 5.0) -> xr.Dataset:
    coordinates = zip(NAMES, map(np.asarray, (latitude, longitude, altitude)), strict=True)
    return xr.Dataset({name: (("time",)[: value.ndim], value) for name, value in coordinates})


@pytest.mark.parametrize(
    ("latitude", "longitude", "altitude", "expected"),
    [
        ([91.0, -9999.0, 48.5], 350.0, 5.0, (48.5, 350.0, 5.0)),
        (48.5, [-999.0, 350.0], [9.9e36, 120.0], (48.5, 350.0, 120.0)),
        (48.5, 2.0, np.inf, (48.5, 2.0, np.nan)),
        (0.0, 0.0, 5.0, (np.nan, np.nan, 5.0)),
        (0.0, 20.0, 5.0, (0.0, 20.0, 5.0)),
        ([48.5] * 4, [2.0] * 4, [5.0] * 4, (48.5, 2.0, 5.0)),
        # A receiver at rest: fixes within 15 m, and none while it starts.
        ([0, 48.5, 48.5001, 48.4999], [0, 2.0, 2.0002, 1.9998], 5.0, (48.5, 2.0, 5.0)),
        # At rest on the date line: no median on the other side of the Earth.
        ([60.0] * 4, [179.9999, -179.9999, 180.0, 180.0], 5.0, (60.0, -180.0, 5.0)),
        ([60.0] * 3, [0.0002, 359.9999, 0.0001], [5.0, 9.0, 7.0], (60.0, 0.0001, 7.0)),
    ],
)
def test_site_at_rest_is_one_place(
    latitude: Any, longitude: Any, altitude: Any, expected: tuple[float, float, float]
) -> None:
    site = read_site(make_raw(latitude, longitude, altitude), NAMES)
    assert site == pytest.approx(expected, nan_ok=True)


def test_site_that_the_file_does_not_state_is_not_known() -> None:
    assert np.isnan(read_site(xr.Dataset({"z": ("time", [1.0])}), NAMES)).all()


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
    site = read_site(make_raw(48.5, 2.0, -9999.0), NAMES)
    with pytest.raises(SourceFileError, match=r"a\.nc: 'altitude' holds no value"):
        check_site_known(site, NAMES, Path("a.nc"))


def test_platform_that_moves_has_a_position_for_each_profile() -> None:
    latitude, longitude, altitude = read_site(
        make_raw([70, 70.5, 999.0, 0.0], [179.9, -179.9, 9.0, 0.0], [5.0, 6.0, 5.0, 5.0]), NAMES
    )
    np.testing.assert_array_equal(latitude, [70, 70.5, np.nan, np.nan])
    np.testing.assert_array_equal(longitude, [179.9, -179.9, 9.0, np.nan])
    assert altitude == 5  # waves and noise, no mountain


def test_platform_on_a_parallel_has_both_coordinates_for_each_profile() -> None:
    latitude, longitude, altitude = read_site(
        make_raw(70.0, [9.0, 9.5, 10.0], [5.0, 300.0, 900.0]), NAMES
    )
    assert np.asarray(latitude).tolist() == [70, 70, 70]
    assert np.asarray(longitude).tolist() == [9, 9.5, 10]
    assert np.asarray(altitude).tolist() == [5, 300, 900]


def test_first_fix_is_the_first_that_is_one() -> None:
    assert read_first_fix(make_raw([0.0, np.nan, 51.0], [0.0, 4.0, 5.0]), NAMES[:2]) == (51, 5)
