"""Place and time of a dataset, from its coordinates."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from blindzone.pipeline.curtains.acdd import describe_coverage, describe_people, or_not_stated
from blindzone.pipeline.curtains.cf import to_cf

SITE = {"latitude": 48.7, "longitude": 2.2}


def make_coordinates(**others: object) -> xr.Dataset:
    """Three profiles 10 s apart, four rows of 100 m."""
    times = np.datetime64("2021-03-14T00:00:00", "ns") + np.arange(3) * np.timedelta64(10, "s")
    return xr.Dataset(coords={"time": times, "height": [50.0, 150.0, 250.0, 350.0], **others})


def test_place_and_time_of_a_site() -> None:
    assert describe_coverage(make_coordinates(**SITE)) == {
        "time_coverage_start": "2021-03-14T00:00:00Z",
        "time_coverage_end": "2021-03-14T00:00:20Z",
        "time_coverage_duration": "PT20.000S",
        "time_coverage_resolution": "PT10.000S",
        "geospatial_vertical_min": 50.0,
        "geospatial_vertical_max": 350.0,
        "geospatial_vertical_units": "m",
        "geospatial_vertical_positive": "up",
        "geospatial_vertical_resolution": "100 m",
        "geospatial_bounds_vertical_crs": (
            "height above the ground at the radar, which has no EPSG code"
        ),
        "geospatial_bounds": "POINT (48.7 2.2)",
        "geospatial_bounds_crs": "EPSG:4326",
        **{f"geospatial_lat_{end}": 48.7 for end in ("min", "max")},
        "geospatial_lat_units": "degrees_north",
        "geospatial_lat_resolution": "point",
        **{f"geospatial_lon_{end}": 2.2 for end in ("min", "max")},
        "geospatial_lon_units": "degrees_east",
        "geospatial_lon_resolution": "point",
    }


def test_box_around_a_track_begins_and_ends_in_its_south_western_corner() -> None:
    track = make_coordinates(
        latitude=("time", [1.0, np.nan, 3.0]), longitude=("time", [20.0, np.nan, 15.0])
    )
    found = describe_coverage(track)
    # Latitude first; a profile without a position does not count.
    assert found["geospatial_bounds"] == "POLYGON ((1 15, 1 20, 3 20, 3 15, 1 15))"
    assert (found["geospatial_lat_min"], found["geospatial_lon_max"]) == (1.0, 20.0)
    # 2 degrees north and 5 west of each other, at 110.6 and 111.3 km cos(2 degrees) a degree.
    length, unit = found["geospatial_lat_resolution"].split(maxsplit=1)
    assert unit == "m along the track"
    assert float(length) == pytest.approx(np.hypot(2 * 110_574, 5 * 111_252), rel=1e-3)


@pytest.mark.parametrize("where", [{}, {"latitude": 48.7}, {"latitude": np.nan, "longitude": 2.2}])
def test_unknown_place_is_not_made_up(where: dict[str, float]) -> None:
    assert not any(
        name.startswith(("geospatial_l", "geospatial_bounds_crs"))
        for name in describe_coverage(make_coordinates(**where))
    )


def test_single_profile_of_a_single_row_has_no_steps() -> None:
    found = describe_coverage(make_coordinates(**SITE).isel(time=[0], height=[0]))
    assert (found["time_coverage_resolution"], found["geospatial_vertical_resolution"]) == (
        "PT0.000S",
        "0 m",
    )


def test_described_dataset_carries_them() -> None:
    coordinates = make_coordinates(**SITE)
    assert describe_coverage(coordinates).items() <= to_cf(coordinates).attrs.items()


def test_people_are_named_as_they_are_stated() -> None:
    found = describe_people(institution="An observatory", creator="An observatory", publisher="P")
    assert found["institution"] == found["contributor_name"] == "An observatory"
    assert found["contributor_role"] == "source of the profiles"
    assert (found["creator_name"], found["creator_type"]) == ("An observatory", "institution")
    assert (found["publisher_name"], found["publisher_type"]) == ("P", "group")
    # Where the data were produced is not where they are published.
    assert found["publisher_institution"] == "not stated"


def test_nobody_is_named_for_what_nobody_states() -> None:
    found = describe_people(institution="", creator="not stated", publisher="")
    types = {name: found.pop(name) for name in ("creator_type", "publisher_type")}
    assert set(types.values()) == {"group"}  # ACDD allows no other words for it
    assert set(found.values()) == {"not stated"}
    assert (or_not_stated(""), or_not_stated(None), or_not_stated("a")) == (
        "not stated",
        "not stated",
        "a",
    )


def test_box_of_a_ship_goes_over_the_date_line() -> None:
    track = {"latitude": ("time", [10.0, 11, 12]), "longitude": ("time", [179.5, 180, -179.5])}
    found = describe_coverage(make_coordinates(**track))
    # ACDD 1.3: the western limit is the greater number.
    assert (found["geospatial_lon_min"], found["geospatial_lon_max"]) == (179.5, -179.5)
    assert found["geospatial_bounds"] == (
        "POLYGON ((10 179.5, 10 180.5, 12 180.5, 12 179.5, 10 179.5))"
    )
