"""Pictures of surface series."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from raw_files import write_raw
from surface_files import make_disdrometer_raw, make_station_raw

from blindzone.core.errors import ProductError
from blindzone.pipeline.plots.quicklooks import draw_curtain, plot_curtain
from blindzone.pipeline.plots.surface_panels import plot_surface
from blindzone.pipeline.readers import read_curtain


@pytest.fixture
def series(tmp_path: Path) -> xr.Dataset:
    return read_curtain(write_raw(make_station_raw(), tmp_path / "station.nc"))


def test_each_quantity_has_a_panel_in_its_usual_unit(series: xr.Dataset) -> None:
    figure = plot_surface(series)
    assert len(figure.axes) == 7
    rain, *_ = figure.axes
    # 1 mm h-1 throughout.
    np.testing.assert_allclose(rain.lines[0].get_ydata(), 1, rtol=1e-5)
    assert rain.get_ylabel() == "mm h$^{-1}$"
    (air,) = plot_surface(series, variables="air_temperature").axes
    assert float(np.asarray(air.lines[0].get_ydata())[0]) == pytest.approx(280 - 273.15, abs=1e-3)


def test_gap_and_missing_minute_stay_open(tmp_path: Path) -> None:
    raw = make_disdrometer_raw().isel(time=np.r_[0:10, 20:30])
    drops = read_curtain(write_raw(raw, tmp_path / "drops.nc"))
    (ax,) = plot_surface(drops, variables=["rainfall_rate"]).axes
    hours, drawn = (np.asarray(part) for part in ax.lines[0].get_data())
    assert hours.size == 21
    assert np.flatnonzero(np.isnan(drawn)).tolist() == [10]
    (echo,) = plot_surface(drops, variables="radar_reflectivity").axes
    # Where no particle was counted there is no reflectivity.
    assert np.isnan(np.asarray(echo.lines[0].get_ydata())).sum() == 11


def test_part_of_a_series_is_drawn_and_what_is_not_there_is_an_error(series: xr.Dataset) -> None:
    (ax,) = plot_surface(
        series, time=("2021-03-14T00:30", "2021-03-14T00:40"), variables="wind_speed"
    ).axes
    assert len(np.asarray(ax.lines[0].get_xdata())) == 11
    with pytest.raises(ProductError, match="surface series"):
        plot_surface(series, variables="reflectivity")
    nothing = series[["wind_speed"]] * np.nan
    (ax,) = plot_surface(nothing).axes
    assert [text.get_text() for text in ax.texts] == ["no value"]


def test_quicklook_of_a_series_is_its_picture_and_has_no_height(
    series: xr.Dataset, tmp_path: Path
) -> None:
    draw_curtain(series, tmp_path / "station.png")
    assert (tmp_path / "station.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ProductError, match="height: what is measured at the surface has no"):
        plot_curtain(series, height=2000)
