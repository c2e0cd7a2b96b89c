"""Cloudnet weather stations and disdrometers: the series that is read, and rejected files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from raw_files import with_attrs, with_units, with_value, write_raw
from surface_files import FILL, MINUTES, make_disdrometer_raw, make_station_raw

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.curtains.findings import read_counts
from blindzone.pipeline.curtains.surface import check_surface, is_surface
from blindzone.pipeline.readers import read_curtain, recognise
from blindzone.pipeline.readers.cloudnet_surface import (
    read_cloudnet_disdrometer,
    read_cloudnet_weather_station,
)


def test_station_is_a_series_in_time_alone(tmp_path: Path) -> None:
    series = read_cloudnet_weather_station(write_raw(make_station_raw(), tmp_path / "a.nc"))
    assert is_surface(series)
    assert dict(series.sizes) == {"time": MINUTES}
    assert series["time"].values[61] == np.datetime64("2021-03-14T01:01")
    np.testing.assert_allclose(series["air_temperature"][50], 280.5, rtol=1e-6)
    np.testing.assert_allclose(series["rainfall_rate"] * 3.6e6, 1.0, rtol=1e-6)  # mm h-1
    assert float(series["altitude"]) == 156.0
    assert series.attrs == {"site": "Palaiseau", "instrument": "instrument"}


def test_minute_without_particles_has_no_reflectivity_and_no_rain(tmp_path: Path) -> None:
    series = read_cloudnet_disdrometer(write_raw(make_disdrometer_raw(), tmp_path / "a.nc"))
    dry = np.arange(MINUTES) % 2 == 1
    assert np.array_equal(np.isnan(series["radar_reflectivity"]), dry)
    assert np.array_equal(series["rainfall_rate"] == 0, dry)


def test_missing_minutes_stay_missing(tmp_path: Path) -> None:
    raw = make_disdrometer_raw().isel(time=slice(30, None))
    raw = with_value(raw, "rainfall_rate", 4, FILL)
    series = read_cloudnet_disdrometer(write_raw(raw, tmp_path / "a.nc"))
    assert series.sizes["time"] == MINUTES - 30
    assert np.flatnonzero(np.isnan(series["rainfall_rate"])).tolist() == [4]


def test_minutes_in_which_the_disdrometer_cannot_measure_are_missing(tmp_path: Path) -> None:
    raw = make_disdrometer_raw()
    raw["state_sensor"][:3] = [1, 2, 3]  # dirty, no measurement, damaged
    series = read_cloudnet_disdrometer(write_raw(raw, tmp_path / "a.nc"))
    for name in ("rainfall_rate", "n_particles"):
        assert np.flatnonzero(np.isnan(series[name])).tolist() == [1, 2]
    assert read_counts(series.attrs) == {"the disdrometer cannot measure": 2}


def test_other_units_are_converted(tmp_path: Path) -> None:
    raw = make_station_raw()
    raw["rainfall_rate"] = raw["rainfall_rate"] * np.float32(3.6e6)
    raw["air_temperature"] = raw["air_temperature"] - np.float32(273.15)
    for name, unit in (("rainfall_rate", "mm h-1"), ("air_temperature", "degree_Celsius")):
        raw = with_attrs(raw, name, units=unit)
    series = read_cloudnet_weather_station(write_raw(raw, tmp_path / "a.nc"))
    np.testing.assert_allclose(series["rainfall_rate"], 1e-3 / 3600, rtol=1e-6)
    np.testing.assert_allclose(series["air_temperature"][0], 280, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("air_temperature", 7.0, "180 to 340 K"),  # degrees Celsius that say K
        ("rainfall_rate", 2.0, "0 to 0.001 m s-1"),  # mm h-1 that say m s-1
        ("relative_humidity", 80.0, "0 to 1.2 1"),
        ("air_pressure", -9999.0, "40000 to 110000 Pa"),
    ],
)
def test_value_that_cannot_be_is_rejected(
    name: str, value: float, what: str, tmp_path: Path
) -> None:
    path = write_raw(with_value(make_station_raw(), name, 7, value), tmp_path / "a.nc")
    with pytest.raises(SourceFileError, match=f"'{name}' holds 1 values outside {what}") as error:
        read_cloudnet_weather_station(path)
    assert str(path) in str(error.value)


def test_unknown_units_and_a_file_without_any_quantity_are_rejected(tmp_path: Path) -> None:
    path = write_raw(with_units(make_station_raw(), "wind_speed", "K"), tmp_path / "a.nc")
    with pytest.raises(SourceFileError, match="'wind_speed'"):
        read_cloudnet_weather_station(path)
    empty = make_station_raw()[["time", "latitude", "longitude", "altitude"]]
    with pytest.raises(SourceFileError, match="it has none of air_temperature"):
        read_cloudnet_weather_station(write_raw(empty, tmp_path / "b.nc"))


def test_both_kinds_are_recognised_by_what_cloudnet_calls_them(tmp_path: Path) -> None:
    station = write_raw(make_station_raw(), tmp_path / "a.nc")
    disdrometer = write_raw(make_disdrometer_raw(), tmp_path / "b.nc")
    assert recognise(station).name == "cloudnet_weather_station"
    assert read_curtain(disdrometer).attrs["reader"] == "cloudnet_disdrometer"


def test_every_measured_day_is_read_with_its_gaps(measured_directory: Path) -> None:
    folder = measured_directory / "palaiseau_surface"
    counts = {}
    for path in sorted(folder.rglob("202103*.nc")):
        series = read_curtain(path)
        check_surface(series, where=str(path))
        counts[path.name] = series.sizes["time"]
    assert counts.pop("20210319_palaiseau_parsivel.nc") == 840  # from 10:00 UTC on
    assert set(counts.values()) == {1439, 1440}
