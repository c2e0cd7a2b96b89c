from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from raw_files import write_raw
from surface_files import make_disdrometer_raw, make_station_raw

from blindzone.core.errors import ArchiveError
from blindzone.pipeline.archive import Archive, FileRecord
from blindzone.pipeline.archive.collocation import (
    find_collocated,
    find_collocated_state,
    find_collocated_surface,
    match_lidar,
    open_collocated,
    open_ground_temperature,
    open_state,
    open_surface,
)
from blindzone.pipeline.catalog.catalog import read_catalog
from blindzone.pipeline.curtains.curtain import DetectionStatus, check_curtain
from blindzone.pipeline.readers import read_curtain

CATALOG = """
version: 1
sources:
  radar: {title: Radar, instrument: radar, site: site, directory: radar, files: "%Y%m%d.nc",
          partners: {lidar: lidar, state: model}}
  lidar: {title: Lidar, instrument: lidar, site: site, directory: lidar, files: "%Y%m%d.nc"}
  model: {title: Model, instrument: model, site: site, directory: model, files: "%Y%m%d.nc"}
"""


def make_lidar(radar: xr.Dataset, *, step_s: int, gates: int, altitude: float) -> xr.Dataset:
    """A lidar with gates of 10 m; its value [sr-1 m-1] is a thousandth of its profile's number."""
    start = radar["time"].values[0]
    count = int((radar["time"].values[-1] - start) / np.timedelta64(step_s, "s")) + 1
    values = np.repeat(1e-3 * np.arange(count, dtype=np.float32)[:, np.newaxis], gates, axis=1)
    return xr.Dataset(
        {
            "attenuated_backscatter": (("time", "height"), values),
            "backscatter_status": (
                ("time", "height"),
                np.full(values.shape, DetectionStatus.ECHO, dtype=np.int8),
            ),
        },
        {
            "time": start + np.arange(count) * np.timedelta64(step_s, "s"),
            "height": 5.0 + 10.0 * np.arange(gates),
            "latitude": 48.7,
            "longitude": 2.2,
            "altitude": altitude,
        },
    )


def test_each_profile_gets_the_nearest_lidar_profile(curtain: xr.Dataset) -> None:
    lidar = make_lidar(curtain, step_s=16, gates=200, altitude=156.0)
    matched = match_lidar(curtain, lidar)
    check_curtain(matched)
    # Radar profiles are 9.001 s apart: number n lies nearest to lidar profile round(n * 9.001 /
    # 16).
    numbers = np.round(np.arange(curtain.sizes["time"]) * 9.001 / 16)
    last = lidar.sizes["time"] - 1
    np.testing.assert_allclose(
        matched["attenuated_backscatter"].values[:, 5], 1e-3 * np.minimum(numbers, last)
    )
    xr.testing.assert_identical(matched["reflectivity"], curtain["reflectivity"])


def test_heights_are_compared_above_mean_sea_level(curtain: xr.Dataset) -> None:
    # 200 gates of 10 m reach 2 km above the lidar, which stands 500 m lower: 1.5 km above the
    # radar, whose 16 rows end at 1.25 km; from 700 m higher nothing below 700 m is seen.
    lower = match_lidar(curtain, make_lidar(curtain, step_s=16, gates=200, altitude=-344.0))
    assert (lower["backscatter_status"] == DetectionStatus.ECHO).all()
    higher = match_lidar(curtain, make_lidar(curtain, step_s=16, gates=200, altitude=856.0))
    seen = (higher["backscatter_status"] == DetectionStatus.ECHO).all(dim="time")
    assert not seen.sel(height=slice(0, 650)).any()
    assert seen.sel(height=slice(750, None)).all()


def test_profiles_far_from_any_lidar_profile_have_no_data(curtain: xr.Dataset) -> None:
    lidar = make_lidar(curtain, step_s=16, gates=200, altitude=156.0)
    stop = lidar["time"].values[10]
    matched = match_lidar(curtain, lidar.isel(time=slice(11)))
    late = curtain["time"].values - stop > np.timedelta64(60, "s")
    assert (matched["backscatter_status"].values[late] == DetectionStatus.NO_DATA).all()
    assert np.isnan(matched["attenuated_backscatter"].values[late]).all()
    assert np.isfinite(matched["attenuated_backscatter"].values[~late]).all()


def test_curtain_with_a_lidar_of_its_own_takes_no_other(curtain: xr.Dataset) -> None:
    lidar = make_lidar(curtain, step_s=16, gates=200, altitude=156.0)
    with pytest.raises(ArchiveError, match="holds attenuated_backscatter of its own"):
        match_lidar(match_lidar(curtain, lidar), lidar)


def test_partners_of_a_day_are_found_without_a_listing_of_all_that_is_held(
    make_curtain: Callable[..., xr.Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "catalog.yaml").write_text(CATALOG)
    archive, file = Archive(tmp_path / "archive"), FileRecord(name="a.nc", size=1, sha256="ab" * 32)
    for source, number in (
        ("model", 13),
        ("model", 15),
        ("model", 16),
        ("lidar", 13),
        ("lidar", 14),
    ):
        day = date(2021, 3, number)
        archive.upsert(source, day, {file: make_curtain(day)}, {})
    # An archive of 40,000 units is listed in a quarter of a second: for each of them that were
    # hours.
    monkeypatch.setattr(Archive, "days", None)
    found = find_collocated(
        archive, read_catalog(tmp_path / "catalog.yaml"), "radar", date(2021, 3, 14)
    )
    assert found == (
        ("lidar", date(2021, 3, 14)),
        ("model", date(2021, 3, 13)),
        ("model", date(2021, 3, 15)),
    )


@pytest.mark.parametrize(
    ("partners", "expected"),
    [
        ("{}", []),
        ("{lidar: lidar}", [("lidar", 0)]),
        # The model's days before and after bound the first and the last profile; its second day
        # after does not.
        ("{lidar: lidar, state: model}", [("lidar", 0), ("model", -1), ("model", 1)]),
    ],
)
def test_units_of_partners_are_those_that_fields_are_taken_from(
    make_curtain: Callable[..., xr.Dataset],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    partners: str,
    expected: list[tuple[str, int]],
) -> None:
    day = date(2021, 3, 14)
    (tmp_path / "catalog.yaml").write_text(
        CATALOG.replace("{lidar: lidar, state: model}", partners)
    )
    catalog, archive = read_catalog(tmp_path / "catalog.yaml"), Archive(tmp_path / "archive")
    for source, offsets in (("radar", (0,)), ("lidar", (-1, 0)), ("model", (-1, 1, 2))):
        for offset in offsets:
            unit = day + timedelta(days=offset)
            file = FileRecord(name=f"{unit}.nc", size=1, sha256="ab" * 32)
            archive.upsert(source, unit, {file: make_curtain(unit, profiles=10)}, {})
    found = find_collocated(archive, catalog, "radar", day)
    assert found == tuple((source, day + timedelta(days=offset)) for source, offset in expected)

    # What is opened beside the radar is just that.
    opened: list[tuple[str, date]] = []
    open_day = Archive.open_day

    def note(self: Archive, source: str, unit: date) -> xr.Dataset:
        opened.append((source, unit))
        return open_day(self, source, unit)

    monkeypatch.setattr(Archive, "open_day", note)
    monkeypatch.setattr(
        "blindzone.pipeline.archive.collocation.match_lidar", lambda curtain, lidar: curtain
    )
    monkeypatch.setattr(
        "blindzone.pipeline.archive.collocation.match_state", lambda curtain, state: curtain
    )
    open_collocated(archive, catalog, "radar", day)
    assert opened == [("radar", day), *found]


def test_state_around_a_day_is_opened_as_far_as_it_is_archived(
    curtain: xr.Dataset, tmp_path: Path
) -> None:
    (tmp_path / "catalog.yaml").write_text(CATALOG)
    catalog, archive = read_catalog(tmp_path / "catalog.yaml"), Archive(tmp_path / "archive")
    day = date(2021, 3, 14)
    assert open_state(archive, catalog, "radar", day) is None
    assert find_collocated_state(archive, catalog, "radar", day) == ()
    levels = curtain.isel(time=[0, -1]).drop_vars(list(curtain.data_vars))
    state = levels.assign(temperature=(("time", "height"), np.full((2, 16), 280, np.float32)))
    file = FileRecord(name="a.nc", size=1, sha256="ab" * 32)
    archive.upsert("model", day, {file: state}, {})
    found = open_state(archive, catalog, "radar", day)
    assert found is not None
    assert (found["temperature"] == 280).all()
    assert open_state(archive, catalog, "model", day) is None
    assert find_collocated_state(archive, catalog, "radar", day) == (("model", day),)


def test_each_ray_of_a_granule_gets_the_state_at_its_own_altitude(
    make_curtain: Callable[..., xr.Dataset], tmp_path: Path
) -> None:
    (tmp_path / "catalog.yaml").write_text(
        CATALOG.replace(
            'directory: radar, files: "%Y%m%d.nc"',
            'directory: radar, files: "%Y%m%d%H%M%S.nc", unit: granule',
        )
    )
    catalog, archive = read_catalog(tmp_path / "catalog.yaml"), Archive(tmp_path / "archive")
    day, start = date(2021, 3, 14), datetime(2021, 3, 14, 0, 0, 4)
    file = FileRecord(name="a.nc", size=1, sha256="ab" * 32)
    flat = make_curtain(day, profiles=10)
    along = 1000.0 * np.arange(10)
    rays = [
        flat.assign_coords(
            latitude=("time", np.full(10, 48.7)),
            longitude=("time", np.full(10, 2.2)),
            altitude=("time", ground + 10.0 * np.arange(10)),
            along_track_distance=("time", along),
            blind_zone_top=("time", np.full(10, 300.0)),
        )
        for ground in (0.0, 400.0)
    ]
    swath = xr.concat(rays, dim="ray", data_vars="all", coords="different", compat="equals")
    archive.upsert("radar", start, {file: swath.assign_coords(ray=[0, 1])}, {})
    levels = flat.isel(time=[0, -1]).drop_vars(list(flat.data_vars)).assign_coords(altitude=0.0)
    levels = levels.assign_coords(height=np.linspace(0, 3000, levels.sizes["height"]))
    # 6.5 K a kilometre above mean sea level.
    profile = 288 - 6.5e-3 * levels["height"].values
    state = levels.assign(
        temperature=(("time", "height"), np.tile(profile, (2, 1)).astype(np.float32))
    )
    archive.upsert("model", day, {file: state}, {})
    found = open_collocated(archive, catalog, "radar", start)
    above_sea = found["altitude"] + found["height"]
    np.testing.assert_allclose(
        found["temperature"].transpose("ray", "time", "height").values,
        (288 - 6.5e-3 * above_sea).transpose("ray", "time", "height").values,
        atol=1e-3,
    )


def test_series_at_the_surface_are_those_around_the_day_in_the_order_of_the_catalogue(
    tmp_path: Path,
) -> None:
    entries = "".join(
        f'  {name}: {{title: a, instrument: a, site: a, directory: {name}, files: "%Y%m%d.nc"}}\n'
        for name in ("drops", "mast", "silent")
    )
    partners = "{lidar: lidar, state: model, surface: [mast, silent, drops]}"
    text = CATALOG.replace("{lidar: lidar, state: model}", partners) + entries
    (tmp_path / "catalog.yaml").write_text(text)
    catalog, archive = read_catalog(tmp_path / "catalog.yaml"), Archive(tmp_path / "archive")
    day = date(2021, 3, 14)
    for name, number, make in (
        ("drops", 14, make_disdrometer_raw),
        ("mast", 14, make_station_raw),
        ("mast", 15, make_station_raw),
        ("mast", 16, make_station_raw),
    ):
        raw = make(f"2021-03-{number}", 10)
        series = read_curtain(write_raw(raw, tmp_path / f"{name}{number}.nc"))
        file = FileRecord(name=name, size=1, sha256="ab" * 32)
        archive.upsert(name, date(2021, 3, number), {file: series}, {})
    found = open_surface(archive, catalog, "radar", day)
    assert {name: one.sizes["time"] for name, one in found.items()} == {"mast": 20, "drops": 10}
    assert list(found) == ["mast", "drops"]
    granules = [("mast", day), ("mast", date(2021, 3, 15)), ("drops", day)]
    assert find_collocated_surface(archive, catalog, "radar", day) == tuple(granules)
    assert open_surface(archive, catalog, "lidar", day) == {}
    # Nothing of them is put on the radar's pixels.
    assert find_collocated(archive, catalog, "radar", day) == ()


def test_temperature_near_the_ground_is_the_stations_else_the_states_else_unknown(
    make_curtain: Callable[..., xr.Dataset], tmp_path: Path
) -> None:
    partners = "{state: model, surface: [mast]}"
    entry = '  mast: {title: a, instrument: a, site: a, directory: mast, files: "%Y%m%d.nc"}\n'
    text = CATALOG.replace("{lidar: lidar, state: model}", partners) + entry
    (tmp_path / "catalog.yaml").write_text(text)
    catalog, archive = read_catalog(tmp_path / "catalog.yaml"), Archive(tmp_path / "archive")
    day = date(2021, 3, 14)
    curtain = make_curtain(day, profiles=600)  # 90 minutes

    def find() -> xr.DataArray | None:
        return open_ground_temperature(archive, catalog, "radar", day, curtain)

    def put(source: str, part: xr.Dataset) -> None:
        archive.upsert(source, day, {FileRecord(name="a", size=1, sha256="ab" * 32): part}, {})

    assert find() is None
    # The first 20 minutes of the station, and two hours of a state at 275 K in the lowest row.
    raw = make_station_raw("2021-03-14", 21)
    put("mast", read_curtain(write_raw(raw, tmp_path / "mast.nc")))
    alone = find()
    assert alone is not None
    seconds = (curtain["time"].values - np.datetime64(day)) / np.timedelta64(1, "s")
    # The last value, of minute 20, holds for ten minutes.
    np.testing.assert_array_equal(np.isfinite(alone), seconds <= 1800)
    np.testing.assert_allclose(alone[seconds < 29], 280)
    np.testing.assert_allclose(alone[(seconds > 1170) & (seconds <= 1800)], 280.2)
    assert alone.attrs["origin"] == "mast"
    hours = np.datetime64(day, "ns") + np.arange(2) * np.timedelta64(3600, "s")
    state = curtain.isel(time=[0, 1]).drop_vars(list(curtain.data_vars))
    level = 275 + np.arange(16) * np.ones((2, 1))
    state = state.assign(temperature=(("time", "height"), level.astype(np.float32)))
    put("model", state.assign_coords(time=hours))
    both = find()
    assert both is not None
    assert both.attrs["origin"] == "mast, model"
    np.testing.assert_array_equal(both[seconds <= 1800], alone[seconds <= 1800])
    inside = (seconds > 1800) & (seconds <= 3600)
    np.testing.assert_allclose(both[inside], 275)
    assert np.isnan(both[seconds > 3601]).all()
