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
    match_surface,
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


def find_matched(series: list[xr.Dataset], seconds: list[float], name: str) -> np.ndarray:
    """Returns a field at times after the series' day began."""
    start = series[0]["time"].values[0].astype("datetime64[D]")
    times = start.astype("datetime64[ns]") + (np.asarray(seconds) * 1e9).astype("timedelta64[ns]")
    return np.asarray(match_surface(series, times)[name])


def test_profile_gets_the_minute_that_ends_after_it(series: xr.Dataset) -> None:
    # Minute n is stamped n minutes after midnight, and has 280 + n / 100 K.
    found = find_matched([series], [0, 1.5, 59, 60.5, 61.5], "air_temperature")
    np.testing.assert_allclose(found, [280, 280.01, 280.01, 280.01, 280.02])


def test_profile_of_a_missing_minute_has_no_value(series: xr.Dataset) -> None:
    with_gap = series.isel(time=np.r_[0:5, 7:20])  # minutes 5 and 6 are not there
    found = find_matched([with_gap], [239, 250, 350, 362, 1150, 1142], "air_temperature")
    assert np.isfinite(found).tolist() == [True, False, False, True, False, False]


def test_first_series_that_has_a_field_gives_it(series: xr.Dataset, tmp_path: Path) -> None:
    drops = read_curtain(write_raw(make_disdrometer_raw(), tmp_path / "d.nc"))
    both = [series, drops]
    assert find_matched(both, [30], "rainfall_rate") * 3.6e6 == pytest.approx(1)
    assert find_matched(both[::-1], [90], "rainfall_rate") * 3.6e6 == pytest.approx(2)
    assert find_matched(both, [90], "n_particles") == 40
    assert not match_surface([], series["time"].values).data_vars
