"""A user's own Dataset: what is found in it, how it is converted, and what one error says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from blindzone.core.errors import CurtainError, SourceFileError
from blindzone.pipeline.curtains.curtain import DetectionStatus
from blindzone.pipeline.curtains.findings import PROFILES_DROPPED, read_counts, read_doubts
from blindzone.pipeline.readers import read_curtain
from blindzone.pipeline.readers.dataset import adopt_dataset

TIMES = np.datetime64("2021-03-14T00:00:00", "ns") + np.arange(5) * np.timedelta64(10, "s")
HEIGHTS = np.arange(1, 9) * 100.0
DBZ = np.where(np.arange(40).reshape(5, 8) % 3, np.arange(40.0).reshape(5, 8) - 30, np.nan)


def make_dataset(
    values: np.ndarray = DBZ, *, units: str | None = "dBZ", name: str = "Z", **attrs: str
) -> xr.Dataset:
    """Five profiles of eight gates, the first at 100 m, with echo in two gates of three."""
    about = attrs if units is None else attrs | {"units": units}
    return xr.Dataset(
        {name: (("time", "range"), values, about)},
        {"time": TIMES, "range": ("range", HEIGHTS, {"units": "m"})},
    )


def test_profiles_become_a_canonical_curtain() -> None:
    curtain = adopt_dataset(make_dataset())
    np.testing.assert_array_equal(curtain["reflectivity"].values, DBZ.astype(np.float32))
    np.testing.assert_array_equal(curtain["height"].values, HEIGHTS)
    echo = curtain["detection_status"].values == DetectionStatus.ECHO
    np.testing.assert_array_equal(echo, np.isfinite(DBZ))
    assert set(np.unique(curtain["detection_status"])) == {
        DetectionStatus.ECHO,
        DetectionStatus.NO_ECHO,
    }
    assert np.isnan(curtain["latitude"].item())


def test_cloudnet_file_opened_by_xarray_is_the_curtain_of_its_reader(simulated_file: Path) -> None:
    with xr.open_dataset(simulated_file, engine="h5netcdf") as dataset:
        adopted = adopt_dataset(dataset.load())
    read = read_curtain(simulated_file)
    for name in ("reflectivity", "doppler_velocity"):
        np.testing.assert_array_equal(adopted[name].values, read[name].values)
    for name in ("height", "latitude", "longitude", "altitude"):
        np.testing.assert_allclose(adopted[name].values, read[name].values)
    off = np.abs(adopted["time"].values - read["time"].values)
    assert off.max() <= np.timedelta64(1, "ms")  # the reader rounds to milliseconds


def test_undecoded_file_is_decoded(simulated_file: Path) -> None:
    with (
        xr.open_dataset(simulated_file, engine="h5netcdf", decode_cf=False) as raw,
        xr.open_dataset(simulated_file, engine="h5netcdf") as decoded,
    ):
        xr.testing.assert_equal(adopt_dataset(raw), adopt_dataset(decoded))


def test_curtain_of_the_package_passes_as_it_is(curtain: xr.Dataset) -> None:
    xr.testing.assert_identical(adopt_dataset(curtain.chunk(time=50)), curtain)


@given(
    st.permutations(["time", "range"]), st.booleans(), st.booleans(), st.sampled_from(["m", "km"])
)
def test_order_of_dimensions_gates_chunks_and_unit_of_height_change_nothing(
    dims: list[str], descends: bool, is_dask: bool, unit: str
) -> None:
    dataset = make_dataset().transpose(*dims)
    if descends:
        dataset = dataset.isel(range=slice(None, None, -1))
    if unit == "km":
        attrs = {"units": "km"}
        dataset = dataset.assign_coords(range=("range", dataset["range"].values / 1000, attrs))
    if is_dask:
        dataset = dataset.chunk(time=2)
    found, plain = adopt_dataset(dataset), adopt_dataset(make_dataset())
    np.testing.assert_array_equal(found["reflectivity"].values, plain["reflectivity"].values)
    np.testing.assert_allclose(found["height"].values, HEIGHTS)


@pytest.mark.parametrize("units", ["mm6 m-3", "mm^6 m^-3", "mm^6/m^3", "mm6/m3"])
def test_linear_units_become_dbz_and_zero_becomes_no_echo(units: str) -> None:
    linear = np.where(np.isnan(DBZ), 0.0, 10 ** (DBZ / 10))
    curtain = adopt_dataset(make_dataset(linear, units=units))
    np.testing.assert_allclose(curtain["reflectivity"].values, DBZ, atol=1e-5)


def test_standard_name_goes_before_units_and_common_names_before_others() -> None:
    both = make_dataset(name="own", standard_name="equivalent_reflectivity_factor")
    both["other"] = both["own"] + 5
    both["other"].attrs = {"units": "dBZ"}
    np.testing.assert_array_equal(adopt_dataset(both)["reflectivity"].values, DBZ.astype("f4"))
    named = make_dataset(name="Zh").assign(noise=make_dataset()["Z"] - 40)
    named["noise"].attrs["units"] = "dBZ"
    np.testing.assert_array_equal(adopt_dataset(named)["reflectivity"].values, DBZ.astype("f4"))


def test_height_above_sea_level_is_told_from_the_altitude() -> None:
    about = {"units": "m", "standard_name": "height_above_mean_sea_level"}
    dataset = make_dataset().rename(range="height")
    dataset = dataset.assign_coords(height=("height", HEIGHTS + 150, about))
    with pytest.raises(
        CurtainError, match="counts from mean sea level, and the radar's altitude is"
    ):
        adopt_dataset(dataset)
    curtain = adopt_dataset(dataset.assign_coords(altitude=150.0))
    np.testing.assert_allclose(curtain["height"].values, HEIGHTS)


def test_names_of_the_caller_are_taken() -> None:
    dataset = make_dataset(name="strange", units=None).rename(range="gate")
    dataset = dataset.assign(levels=("gate", HEIGHTS, {"units": "m"}))
    curtain = adopt_dataset(dataset, reflectivity="strange", height="levels")
    np.testing.assert_array_equal(curtain["reflectivity"].values, DBZ.astype(np.float32))
    np.testing.assert_array_equal(curtain["height"].values, HEIGHTS)


def without_height() -> xr.Dataset:
    return make_dataset().drop_vars("range")


def of_a_lidar() -> xr.Dataset:
    return make_dataset(name="beta", units="sr-1 m-1")


def two_candidates() -> xr.Dataset:
    dataset = make_dataset(name="first")
    return dataset.assign(second=dataset["first"])


def of_a_swath() -> xr.Dataset:
    return xr.concat([make_dataset(), make_dataset()], dim="ray")


def with_range(values: np.ndarray, **attrs: str) -> xr.Dataset:
    return make_dataset().assign_coords(range=("range", values, attrs))


@pytest.mark.parametrize(
    ("dataset", "options", "message"),
    [
        (without_height(), {}, r"no height of the gates.*Name it: height='NAME'"),
        (of_a_lidar(), {}, r"no radar reflectivity.*it has beta \[sr-1 m-1\].*reflectivity='NAME'"),
        (make_dataset(units="W"), {"reflectivity": "Z"}, "has units 'W'; 'dBZ' is right"),
        (two_candidates(), {}, "first, second may each be the reflectivity; name one: refl"),
        (of_a_swath(), {}, r"'Z' has the dimensions.*ray.*select one ray"),
        (make_dataset().isel(time=slice(0)), {}, "it has no profile; at least one is right"),
        (make_dataset().isel(time=[0, 0, 0]), {}, "2 of 3 profiles cannot be used"),
        (make_dataset().rename(time="when", range="range"), {}, None),
        (with_range(HEIGHTS, units="s"), {}, "'range' has units 's'; 'm' is right"),
        (with_range(HEIGHTS / 1000), {}, r"has no units and ends at 0.8; state them"),
        (make_dataset(), {"reflectivity": "Zx"}, "no variable 'Zx'; it has Z"),
        (make_dataset(), {"height": "h"}, r"no height 'h' over \('range',\); along it there is"),
        (make_dataset().assign_coords(time=np.arange(5.0)), {}, "'time' holds float64.*times are"),
        (xr.Dataset(), {}, "no radar reflectivity.*it has no variable at all"),
        (make_dataset(DBZ * 1e4), {}, "values outside -120 to 80 dBZ"),
    ],
)
def test_what_is_missing_or_wrong_is_one_error_that_says_how_to_pass_it(
    dataset: xr.Dataset, options: dict[str, Any], message: str | None
) -> None:
    if message is None:  # a time of another name is found by its type
        assert adopt_dataset(dataset, **options).sizes["time"] == 5
        return
    with pytest.raises((CurtainError, SourceFileError), match=message):
        adopt_dataset(dataset, **options)


def test_faulty_profiles_are_left_out_and_the_others_put_in_order() -> None:
    scanning = ("time", [90.0, 90, 30, 90, 90], {"units": "degrees"})
    dataset = make_dataset().assign_coords(time=TIMES[[0, 3, 2, 1, 1]]).assign(elevation=scanning)
    curtain = adopt_dataset(dataset)
    assert curtain["time"].values.tolist() == TIMES[[0, 1, 3]].tolist()
    assert read_counts(curtain.attrs, PROFILES_DROPPED) == {
        "off zenith": 1,
        "at the time of another": 1,
    }
    assert read_doubts(curtain.attrs) == ("1 profiles after later ones, put in order of time",)


def test_curtain_of_this_package_is_put_in_order_too() -> None:
    curtain = adopt_dataset(make_dataset())
    again = adopt_dataset(curtain.isel(time=[1, 0, 2, 2]))
    xr.testing.assert_identical(again.drop_attrs(), curtain.isel(time=[0, 1, 2]).drop_attrs())


def test_dataset_of_a_ship_keeps_its_positions() -> None:
    positions = {"latitude": ("time", np.linspace(10, 11, 5)), "longitude": -30.0, "altitude": 5.0}
    curtain = adopt_dataset(make_dataset().drop_vars(positions, errors="ignore").assign(positions))
    assert curtain["latitude"].values.tolist() == np.linspace(10, 11, 5).tolist()
    assert curtain["longitude"].values.tolist() == [-30] * 5
    assert curtain["altitude"].item() == 5


def test_dataset_is_left_as_it_was() -> None:
    dataset = make_dataset()
    before = dataset.copy(deep=True)
    adopt_dataset(dataset)
    xr.testing.assert_identical(dataset, before)


def test_values_outside_their_valid_range_are_no_data() -> None:
    dataset = make_dataset()
    dataset["Z"].attrs["valid_range"] = np.array([-25.0, 5.0])

    curtain = adopt_dataset(dataset)

    outside = np.isfinite(DBZ) & ((DBZ < -25) | (DBZ > 5))
    assert np.array_equal(curtain["detection_status"] == DetectionStatus.NO_DATA, outside)
    assert sum(read_counts(curtain.attrs).values()) == outside.sum()


def test_heights_in_feet_are_refused() -> None:
    far = make_dataset().assign_coords(range=("range", HEIGHTS * 50, {"units": "m"}))
    with pytest.raises(SourceFileError, match="a range in km or feet would look like this"):
        adopt_dataset(far)
