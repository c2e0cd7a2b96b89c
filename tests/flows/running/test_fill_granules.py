"""Granules and swaths from above to products in memory, each profile to its own depth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from cloudsat_files import write_cloudsat_granule
from compliance_checker.runner import CheckSuite
from earthcare_files import write_earthcare_frame
from tiny_networks import EARTHCARE, write_network

import blindzone
from blindzone.core.errors import CurtainError
from blindzone.core.files import sha256_file
from blindzone.flows.running import network_choice
from blindzone.flows.running.fill_data import fill_data, make_plan
from blindzone.flows.running.network_choice import choose_network, find_curtain_kind
from blindzone.pipeline.curtains.along_track import find_spacing
from blindzone.pipeline.curtains.curtain import BlindZoneOrigin, DetectionStatus, QualityFlag
from blindzone.pipeline.curtains.flags import InpaintingFlag
from blindzone.pipeline.curtains.gridding import Grid
from blindzone.pipeline.curtains.hidden import HiddenKind
from blindzone.pipeline.derivation.columns import CLASS_NAMES
from blindzone.pipeline.derivation.precipitation import PrecipitationFlag
from blindzone.pipeline.products.checks import check_product
from blindzone.pipeline.products.layout import is_filled

GRANULE = "2008291040000_CS_2B-GEOPROF_GRANULE"
PROFILES, DEPTH_M = 300, 240.0
FILLED, NO_DATA, OBSERVED = (
    InpaintingFlag.FILLED,
    InpaintingFlag.NO_DATA,
    InpaintingFlag.OBSERVED,
)


@pytest.fixture(scope="module")
def cloudsat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A piece of a granule over the date line near the pole, with land, sea and mountains."""
    path = tmp_path_factory.mktemp("granules") / f"{GRANULE}.hdf"
    write_cloudsat_granule(path, profiles=PROFILES)
    return path


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_network(tmp_path_factory.mktemp("networks") / "cloudsat.keras")


@pytest.fixture(scope="module")
def filled(cloudsat: Path, network: Path) -> xr.Dataset:
    return fill_quietly(cloudsat, network)


def fill_quietly(data: Any, network: Path, notices: list[str] | None = None) -> xr.Dataset:
    plan = make_plan(checkpoint=network, quality=None, passes=2)
    said: list[str] = [] if notices is None else notices
    product = fill_data(data, plan, on_notice=said.append)
    check_product(product) if "ray" not in product.dims else None
    return product


def find_faults(path: Path, checker: str) -> list[str]:
    suite = CheckSuite()
    suite.load_all_available_checkers()
    dataset = suite.load_dataset(str(path))
    results, errors = suite.run_all(dataset, [checker])[checker]
    dataset.close()
    assert not errors
    scores = {result.name: (result.value, result.msgs) for result in results}
    return [
        f"{name}: {messages}"
        for name, (value, messages) in scores.items()
        if not (value is True or (isinstance(value, tuple) and value[0] == value[1]))
    ]


def test_granule_is_filled_each_profile_to_its_own_depth(filled: xr.Dataset) -> None:
    tops = filled["blind_zone_top"].values
    assert np.ptp(tops) > 500
    flag, begins = filled["inpainting_flag"].values, filled["height_bounds"].values[:, 0]
    zone = begins < tops[:, None] - 1e-3
    deep = zone.sum(axis=1) > 10  # rows below 2.2 km, those of the network
    assert is_filled(flag[~deep])[zone[~deep]].all()
    assert not is_filled(flag[deep]).any()
    assert (flag[deep][zone[deep]] == NO_DATA).all()
    kinds = filled["hidden_kind"].values
    np.testing.assert_array_equal(kinds == HiddenKind.BLIND_ZONE, zone)
    # Next above the zone what the file has no value of, or calls clutter, is filled too.
    above = kinds[is_filled(flag) & ~zone]
    assert np.isin(above, (HiddenKind.CLUTTER_REMOVED, HiddenKind.NO_DATA)).all()
    assert np.isfinite(filled["reflectivity_quantile"].values[:, is_filled(flag)]).all()


def test_product_keeps_what_the_granule_has_of_each_profile(filled: xr.Dataset) -> None:
    assert filled["surface_echo"].dims == filled["blind_zone_origin"].dims == ("time",)
    # The written sea has some 11 dB, the land none.
    sea = filled["altitude"].values == 0
    assert filled["surface_echo"].values[sea].mean() == pytest.approx(11, abs=1)
    assert filled["surface_echo"].values[~sea].mean() == pytest.approx(0, abs=1)
    assert (filled["blind_zone_origin"].values != BlindZoneOrigin.UNKNOWN).all()


@pytest.mark.parametrize("checker", ["cf:1.11", "acdd:1.3"])
def test_written_granule_opens_and_passes_the_checker(
    filled: xr.Dataset, tmp_path: Path, checker: str
) -> None:
    path = blindzone.write(filled, tmp_path / "granule.nc")
    assert find_faults(path, checker) == []
    with xr.open_dataset(path, engine="h5netcdf") as product:
        assert product.attrs["featureType"] == "profile"
        assert product.attrs["summary"].startswith(
            "One granule of reflectivity profiles from a platform in flight"
        )
        assert product.attrs["id"] == f"{GRANULE}_20081017T040000_blindzone"
        for name in ("latitude", "longitude", "altitude", "along_track_distance"):
            assert product[name].dims == ("time",), name
        assert product["blind_zone_top"].dims == ("time",)
        # Over the date line, from 173 W to 149 E, longitudes have no jump.
        assert np.abs(np.diff(product["longitude"].values)).max() < 1
        assert product.attrs["geospatial_lon_min"] == product["longitude"].values.min()
        assert product["altitude"].attrs["standard_name"] == "surface_altitude"


def test_two_granules_of_one_orbit_are_joined_along_the_track(
    cloudsat: Path, network: Path, tmp_path: Path
) -> None:
    curtain = blindzone.open_curtain(cloudsat)
    parts = [curtain.isel(time=part) for part in (slice(0, 90), slice(90, 150))]
    again = [
        part.assign_coords(
            along_track_distance=part["along_track_distance"] - part["along_track_distance"][0]
        )
        for part in parts
    ]
    paths = [
        blindzone.write(fill_quietly(part, network), tmp_path / f"{number}.nc")
        for number, part in enumerate(again)
    ]
    joined = blindzone.open_products(paths)
    np.testing.assert_allclose(
        joined["along_track_distance"].values,
        curtain["along_track_distance"].values[:150],
        atol=1.0,
    )
    assert joined["profile"].values.tolist() == list(range(150))


def test_mountain_hides_nothing_below_the_surface(cloudsat: Path, filled: xr.Dataset) -> None:
    native = blindzone.open_curtain(cloudsat)
    below = native["quality_flags"].values & QualityFlag.BELOW_SURFACE > 0
    assert below.any()
    assert np.nanmax(filled["altitude"].values) > DEPTH_M
    # Heights count from the surface: none of the rows is below it.
    assert not (filled["hidden_kind"].values == HiddenKind.BELOW_SURFACE).any()
    assert filled["height_bounds"].values[0, 0] == 0


def test_outage_unknown_zone_and_deep_zone_are_flagged_and_never_clear(
    cloudsat: Path, network: Path, tmp_path: Path
) -> None:
    curtain = blindzone.open_curtain(cloudsat).isel(time=slice(0, 120)).copy(deep=True)
    outage, unknown, deep = slice(20, 26), 40, 60
    for profiles in (outage, unknown):
        curtain["detection_status"].values[profiles] = DetectionStatus.NO_DATA
        curtain["reflectivity"].values[profiles] = np.nan
    curtain["blind_zone_top"].values[unknown] = np.nan
    curtain["blind_zone_top"].values[deep] = 20_000.0  # above the grid
    path = blindzone.write(fill_quietly(curtain, network), tmp_path / "odd.nc")
    with xr.open_dataset(path, engine="h5netcdf") as product:
        flag, kinds = product["inpainting_flag"].values, product["hidden_kind"].values
        top = product["blind_zone_top"].values
        for profiles in (outage, unknown, deep):
            assert (flag[profiles] == NO_DATA).all()
            assert np.isnan(product["reflectivity"].values[profiles]).all()
            assert (kinds[profiles] != HiddenKind.VISIBLE).all()
    assert np.isnan(top[unknown])
    assert set(np.unique(flag[0:20])) <= {FILLED, OBSERVED, NO_DATA}
    assert is_filled(flag[0:20]).any()


def test_frame_is_averaged_along_the_track_to_a_coarser_network(
    network: Path, tmp_path: Path
) -> None:
    frame = tmp_path / "frame.h5"
    write_earthcare_frame(frame, "C-NOM", profiles=200)
    notices: list[str] = []
    product = fill_quietly(frame, network, notices)
    spacing = find_spacing(blindzone.open_curtain(frame))
    assert notices[0].startswith(f"network: {network}")
    assert notices[1:] == [
        f"{frame}: regridded from 100 m to 240 m in height",
        f"{frame}: regridded from {spacing:.4g} m to 1090 m along the track",
    ]
    assert json.loads(product.attrs["configuration"])["ingest"]["regridded"] == [
        notice.removeprefix(f"{frame}: ") for notice in notices[1:]
    ]
    steps = np.diff(product["along_track_distance"].values)
    # Two or three profiles of some 507 m each.
    assert steps.mean() == pytest.approx(1090, rel=0.03)
    # The other way round nothing can be made finer.
    fine = write_network(tmp_path / "fine.keras", **EARTHCARE)
    coarse = blindzone.open_curtain(frame).isel(time=slice(None, None, 3))
    with pytest.raises(CurtainError, match=r"profiles every 15\d\d m, the network fine.keras was"):
        fill_quietly(coarse, fine)


def test_network_is_chosen_by_what_the_curtain_is(
    cloudsat: Path, network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network_choice, "SHIPPED_WEIGHTS", network.with_name("palaiseau.keras"))
    curtain = blindzone.open_curtain(cloudsat).isel(time=slice(0, 70))
    assert choose_network(find_curtain_kind(curtain, 94.05), where="here") == network
    plan = make_plan(checkpoint=None, quality=None, passes=2)
    product = fill_data(curtain, plan)
    assert product.attrs["checkpoint_sha256"] == sha256_file(network)
    with pytest.raises(CurtainError, match=r"dataset: the curtain is that of .*frequency_ghz"):
        fill_data(curtain.drop_attrs(), plan)


@pytest.fixture(scope="module")
def swath(tmp_path_factory: pytest.TempPathFactory, cloudsat: Path) -> tuple[xr.Dataset, Path]:
    """Three rays of a CloudSat granule side by side, at 13.6 GHz, and a network for them."""
    curtain = blindzone.open_curtain(cloudsat).isel(time=slice(0, 80))
    rays = [
        curtain.assign_coords(
            latitude=curtain["latitude"] - 0.04 * number,
            blind_zone_top=curtain["blind_zone_top"] + 240.0 * number,
        )
        for number in range(3)
    ]
    joined = xr.concat(rays, dim="ray", data_vars="all", coords="different", compat="equals")
    network = write_network(
        tmp_path_factory.mktemp("swath") / "gpm.keras",
        13.6,
        grid=Grid(rows=48, row_depth_m=250.0),
        profile_spacing_m=2200.0,
    )
    return joined.assign_coords(ray=[0, 1, 2]).assign_attrs(frequency_ghz=13.6), network


@pytest.fixture(scope="module")
def filled_swath(swath: tuple[xr.Dataset, Path]) -> xr.Dataset:
    return fill_quietly(*swath)


def check_probabilities(derived: xr.Dataset) -> None:
    every = sum(derived[name] for name in CLASS_NAMES.values())
    assert isinstance(every, xr.DataArray)
    known = (derived["column_class"] >= 0).values
    np.testing.assert_allclose(every.values[known], 1, atol=1e-5)
    assert np.isnan(every.values[~known]).all()
    assert known.any()


def test_derived_granule_has_rates_of_each_profile_and_no_sums(
    filled: xr.Dataset, tmp_path: Path
) -> None:
    derived = blindzone.derive(filled, members=3)
    check_probabilities(derived)
    # A profile each second: an hour of them is no hour of any place.
    assert not any("amount" in str(name) for name in derived.data_vars)
    assert "Comstock" in derived["rainfall_rate"].attrs["relation"]
    # At W band rain attenuates. Where the file states the path's attenuation, it is assessed.
    assert (derived["precipitation_flag"] & PrecipitationFlag.ATTENUATION_NOT_ASSESSED).any()
    lost = xr.where(filled["time"] > filled["time"][150], 3.0, 0.5)
    flag = blindzone.derive(filled.assign(path_integrated_attenuation=lost), members=2)[
        "precipitation_flag"
    ]
    assert not (flag & PrecipitationFlag.ATTENUATION_NOT_ASSESSED).any()
    np.testing.assert_array_equal((flag & PrecipitationFlag.ATTENUATED).values > 0, lost > 1)
    path = blindzone.write(derived, tmp_path / "derived.nc")
    assert find_faults(path, "cf:1.11") == []
    with xr.open_dataset(path, engine="h5netcdf") as reopened:
        assert reopened["rainfall_rate"].dims == ("time",)
        assert reopened.attrs["featureType"] == "profile"
        for name in ("latitude", "longitude", "altitude", "along_track_distance"):
            assert reopened[name].dims == ("time",), name


def test_derived_swath_is_that_of_its_rays(filled_swath: xr.Dataset, tmp_path: Path) -> None:
    derived = blindzone.derive(filled_swath, members=3)
    check_probabilities(derived)
    assert derived["column_class"].dims == ("ray", "time")
    # At 13.6 GHz there is no confirmed law of snow.
    assert derived["snowfall_rate"].isnull().all()
    assert "Ku" in derived["snowfall_rate"].attrs["relation"]
    path = blindzone.write(derived, tmp_path / "derived.nc")
    assert find_faults(path, "cf:1.11") == []
    with xr.open_dataset(path, engine="h5netcdf") as reopened:
        assert reopened["rainfall_rate"].dims == ("ray", "time")
        assert reopened["latitude"].dims == ("ray", "time")
        assert reopened["ray"].values.tolist() == [0, 1, 2]


def test_swath_becomes_one_product_with_a_leading_ray(
    swath: tuple[xr.Dataset, Path], filled_swath: xr.Dataset, tmp_path: Path
) -> None:
    data, network = swath
    product = filled_swath
    assert product["reflectivity_quantile"].dims == ("ray", "quantile", "time", "height")
    assert product["blind_zone_top"].dims == product["latitude"].dims == ("ray", "time")
    assert product["height_bounds"].dims == ("height", "bnds")
    assert product["time"].dims == ("time",)
    assert "featureType" not in product.attrs
    path = blindzone.write(product, tmp_path / "swath.nc")
    for checker in ("cf:1.11", "acdd:1.3"):
        assert find_faults(path, checker) == []
    alone = fill_quietly(data.isel(ray=1, drop=True), network)
    with xr.open_dataset(path, engine="h5netcdf") as reopened:
        assert reopened["ray"].values.tolist() == [0, 1, 2]
        for name in ("reflectivity", "inpainting_flag", "hidden_kind", "blind_zone_top"):
            np.testing.assert_array_equal(reopened[name].values[1], alone[name].values)


def test_measured_gpm_granule_is_filled_by_the_network_of_the_package(
    measured_directory: Path, tmp_path: Path
) -> None:
    (granule,) = (measured_directory / "gpm_dpr").glob("*.HDF5")
    # Nadir, half-way and the edge of the swath, with most of the rain.
    swath = blindzone.open_curtain(granule).isel(ray=[24, 36, 48], time=slice(64, 136))
    notices: list[str] = []
    plan = make_plan(checkpoint=None, quality=None, passes=2)
    product = fill_data(swath, plan, on_notice=notices.append)
    assert "gpm_ku.keras of the package" in notices[0]
    path = blindzone.write(product, tmp_path / "gpm.nc")
    for checker in ("cf:1.11", "acdd:1.3"):
        assert find_faults(path, checker) == []
    with xr.open_dataset(path, engine="h5netcdf") as reopened:
        filled = is_filled(reopened["inpainting_flag"].values)
        assert filled.any(axis=2).all()
        top = reopened["blind_zone_top"].values
        assert np.median(top[0]) < 1000 < np.median(top[2])
        probability = reopened["hydrometeor_probability"].values
        # Rain that is seen in the lowest visible row goes on, and clear sky is clear.
        seen = np.isfinite(reopened["reflectivity"].values) & ~filled
        lowest = np.argmax(~filled, axis=2)[..., np.newaxis]
        rain = np.take_along_axis(seen, lowest, axis=2)[..., 0]
        clear = ~seen.any(axis=2)
        ground = probability[..., 0]
        assert ground[rain].mean() > 0.8
        assert ground[clear].mean() < 0.05
        assert (reopened["out_of_range_flag"].values == 0).mean() > 0.5
