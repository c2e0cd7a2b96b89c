"""The canonical series at the surface."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from raw_files import write_raw
from surface_files import make_disdrometer_raw, make_station_raw

from blindzone.core.errors import CurtainError
from blindzone.pipeline.curtains.cf import check_cf, to_cf
from blindzone.pipeline.curtains.quality import QualityRules, check_measured
from blindzone.pipeline.curtains.surface import (
    SURFACE_FIELDS,
    check_surface,
    describe_series,
    is_surface,
    pick_series,
)
from blindzone.pipeline.readers import read_curtain


@pytest.fixture
def series(tmp_path: Path) -> xr.Dataset:
    return read_curtain(write_raw(make_station_raw(), tmp_path / "station.nc"))


def test_fields_have_their_units_and_names_in_cf(series: xr.Dataset, tmp_path: Path) -> None:
    for one in (series, read_curtain(write_raw(make_disdrometer_raw(), tmp_path / "d.nc"))):
        described = to_cf(one)
        check_cf(described)
        assert {described[name].attrs["units"] for name in described.data_vars} <= {
            field.units for field in SURFACE_FIELDS.values()
        }
    assert to_cf(series)["latitude"].attrs["long_name"] == "latitude of the instrument"


def test_curtain_is_no_surface_series(curtain: xr.Dataset, series: xr.Dataset) -> None:
    assert is_surface(series)
    assert not is_surface(curtain)


def test_rates_derived_from_a_product_are_no_surface_series(series: xr.Dataset) -> None:
    assert not is_surface(series.assign(column_class=series["rainfall_rate"]))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda series: series.drop_vars("altitude"), "needs the coordinates altitude"),
        (lambda series: series.isel(time=slice(None, None, -1)), "time runs backwards"),
        (lambda series: series.isel(time=slice(0)), "'time' is empty"),
        (lambda series: series + np.inf, "infinite values"),
        (lambda series: series.expand_dims(ray=1), "has dimensions"),
    ],
)
def test_broken_series_is_rejected(series: xr.Dataset, change: object, what: str) -> None:
    with pytest.raises(CurtainError, match=f"here: .*{what}"):
        check_surface(change(series), where="here")  # type: ignore[operator]


def test_series_without_any_value_was_not_measured(series: xr.Dataset) -> None:
    check_measured(series, QualityRules(), where="day")
    with pytest.raises(CurtainError, match="at any of 120 times"):
        check_measured(series * np.nan, QualityRules(), where="day")


def test_description_says_how_many_times_have_a_value(series: xr.Dataset) -> None:
    lines = describe_series(series.where(series["time"].dt.minute < 30))
    assert "120 profiles" in lines
    assert "wind_speed: 50.0% of all times hold a value, 4 to 4" in lines
    assert not any("above the ground" in line for line in lines)


def test_first_series_that_has_a_field_is_picked(series: xr.Dataset, tmp_path: Path) -> None:
    drops = read_curtain(write_raw(make_disdrometer_raw(), tmp_path / "d.nc"))
    both = [series, drops]
    assert pick_series(both, "rainfall_rate") is series
    assert pick_series(both, "n_particles") is drops
    assert pick_series(both, "n_drops") is None
