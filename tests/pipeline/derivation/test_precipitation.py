"""Rates near the ground of a product."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from tiny_products import FLOOR, NO_DATA_PROFILE, make_product, set_pixel

from blindzone.core.errors import ProductError
from blindzone.pipeline.curtains.flags import InpaintingFlag
from blindzone.pipeline.derivation.columns import find_rows
from blindzone.pipeline.derivation.phase import PrecipitationPhase
from blindzone.pipeline.derivation.precipitation import (
    PrecipitationFlag,
    derive_rates,
    find_frequency,
    find_row,
    open_precipitation,
    split_phases,
    take_near_ground,
)
from blindzone.pipeline.derivation.relations import Phase
from blindzone.pipeline.products.members import draw_members

MEMBERS = 30


def derive(product: xr.Dataset, members: xr.DataArray, **options: Any) -> xr.Dataset:
    return derive_rates(open_precipitation(product, members, **options))


@pytest.fixture(scope="module")
def product() -> xr.Dataset:
    return make_product()


@pytest.fixture(scope="module")
def members(product: xr.Dataset) -> xr.DataArray:
    return draw_members(product, MEMBERS).compute()


def test_rate_of_a_filled_row_is_that_of_its_members(
    product: xr.Dataset, members: xr.DataArray
) -> None:
    derived = derive(product, members)
    # Comstock 2004: Ze = 25 R^1.3; members at the floor have no rain.
    z = members.isel(height=1).values[:, :NO_DATA_PROFILE]  # below, truth is not trusted
    rates = np.where(z > FLOOR, (10 ** (z / 10) / 25) ** (1 / 1.3), 0)
    found = derived["rainfall_rate"][:NO_DATA_PROFILE]
    assert np.allclose(found, rates.mean(axis=0), rtol=1e-5)
    variance = derived["rainfall_rate_variance_of_members"][:NO_DATA_PROFILE]
    assert np.allclose(variance, rates.var(axis=0), rtol=1e-4)
    assert (derived["rainfall_rate_variance_of_relations"][:NO_DATA_PROFILE] == 0).all()
    assert np.isnan(derived["rainfall_rate"][NO_DATA_PROFILE])
    assert derived["rainfall_rate_quantile"].dims == ("quantile", "time")


def test_an_observed_row_has_the_measured_rate_and_no_spread(
    product: xr.Dataset, members: xr.DataArray
) -> None:
    derived = derive(product, members, height_m=400)
    measured = product["reflectivity"].sel(height=400, method="nearest").values
    expected = np.where(np.isnan(measured), 0, (10 ** (measured / 10) / 25) ** (1 / 1.3))
    assert np.allclose(derived["rainfall_rate"][:NO_DATA_PROFILE], expected[:NO_DATA_PROFILE])
    assert np.allclose(derived["rainfall_rate_variance_of_members"][:NO_DATA_PROFILE], 0)
    assert np.isnan(derived["rainfall_rate"][NO_DATA_PROFILE])


def test_rows_without_trusted_truth_are_not_the_lowest_trusted(product: xr.Dataset) -> None:
    beyond = product.copy(deep=True)
    flag = beyond["inpainting_flag"]
    flag.values[:, :2] = InpaintingFlag.FILLED_BEYOND_TRUSTED_TRUTH
    assert find_row(product, None) == 1
    assert find_row(beyond, None) == 2
    flag.values[:] = InpaintingFlag.NO_DATA
    with pytest.raises(ProductError, match="no row"):
        find_row(beyond, None)


def test_rates_are_of_the_row_that_columns_end_at_where_zones_differ(product: xr.Dataset) -> None:
    ragged = product.copy(deep=True)
    ragged["inpainting_flag"].values[:, :2] = InpaintingFlag.FILLED_BEYOND_TRUSTED_TRUTH
    ragged["inpainting_flag"].values[0, :] = InpaintingFlag.OBSERVED  # no zone: seen to the ground
    assert find_row(ragged, None) == find_rows(ragged).lowest == 2


def test_a_height_outside_of_the_rows_is_refused(
    product: xr.Dataset, members: xr.DataArray
) -> None:
    with pytest.raises(ProductError, match="from 0 to 625 m"):
        take_near_ground(product, members, 5000)


def test_a_known_temperature_leaves_rain_or_snow(
    product: xr.Dataset, members: xr.DataArray
) -> None:
    kelvin = np.asarray([260.0, 260, 280, 280, np.nan, 274.15])
    temperature = xr.DataArray(kelvin, {"time": product["time"]}, "time")
    derived = derive(product, members, temperature_k=temperature)
    phase = PrecipitationPhase
    assert derived["precipitation_phase"].values.tolist() == [
        *(phase.SNOW, phase.SNOW, phase.RAIN, phase.RAIN),
        *(phase.UNKNOWN, phase.RAIN_OR_SNOW),
    ]
    rain, snow = derived["rainfall_rate"].values, derived["snowfall_rate"].values
    assert (rain[:2] == 0).all()
    assert (snow[2:4] == 0).all()
    assert snow[0] > 0
    assert rain[2] > 0
    assert rain[4] > 0 < snow[4]  # not known: both as they would be
    unknown = (derived["precipitation_flag"].values & PrecipitationFlag.PHASE_UNKNOWN) > 0
    assert unknown.tolist() == [False, False, False, False, True, False]


def test_in_between_each_member_has_either_rain_or_snow(
    product: xr.Dataset, members: xr.DataArray
) -> None:
    temperature = xr.full_like(product["time"], 274.15, dtype=float)
    ground = take_near_ground(product, members)
    rows = split_phases(ground, temperature)
    wet = ground.row > FLOOR
    either = (rows[Phase.RAIN] > FLOOR).astype(int) + (rows[Phase.SNOW] > FLOOR)
    assert np.array_equal(either, wet.astype(int))
    share = (rows[Phase.SNOW] > FLOOR).sum() / wet.sum()
    assert 0.4 < share < 0.6


def test_temperatures_of_other_times_are_refused(
    product: xr.Dataset, members: xr.DataArray
) -> None:
    short = xr.DataArray(np.full(3, 280.0), {"time": product["time"][:3]}, "time")
    with pytest.raises(ProductError, match="times of the product"):
        derive(product, members, temperature_k=short)


def test_a_band_without_a_relation_has_a_rate_that_says_why_it_is_missing(
    product: xr.Dataset, members: xr.DataArray
) -> None:
    derived = derive(product, members, frequency_ghz=13.6)
    assert np.isnan(derived["snowfall_rate"]).all()
    assert np.isfinite(derived["rainfall_rate"][:NO_DATA_PROFILE]).all()
    assert (derived["rainfall_rate_variance_of_relations"][0] > 0).all()  # three laws of rain


def test_flags_say_what_is_filled_missing_and_attenuated(
    product: xr.Dataset, members: xr.DataArray
) -> None:
    def has(flag: PrecipitationFlag, derived: xr.Dataset) -> list[bool]:
        return ((derived["precipitation_flag"].values & flag) > 0).tolist()

    derived = derive(product, members)
    assert has(PrecipitationFlag.NO_DATA, derived) == [False] * 5 + [True]
    assert has(PrecipitationFlag.FILLED, derived) == [True] * 5 + [False]
    # Echo is nearly certain in even profiles; the 95-GHz radar's rain attenuates, unknown how much.
    expected = [True, False, True, False, True, False]
    assert has(PrecipitationFlag.ATTENUATION_NOT_ASSESSED, derived) == expected
    told = xr.DataArray(np.arange(6) == 2, {"time": product["time"]}, "time")
    derived = derive(product, members, attenuated=told)
    assert has(PrecipitationFlag.ATTENUATED, derived) == told.values.tolist()
    assert not any(has(PrecipitationFlag.ATTENUATION_NOT_ASSESSED, derived))


def test_reflectivity_is_not_corrected_for_attenuation(
    product: xr.Dataset, members: xr.DataArray
) -> None:
    path = product.assign(path_integrated_attenuation=("time", np.full(6, 5.0)))
    with_path = derive(path, members)
    without = derive(product, members)
    assert np.array_equal(with_path["rainfall_rate"], without["rainfall_rate"], equal_nan=True)
    assert ((with_path["precipitation_flag"] & PrecipitationFlag.ATTENUATED) > 0).all()


def test_rates_are_lazy_where_the_product_is_and_the_same(product: xr.Dataset) -> None:
    lazy = product.chunk(time=2)
    opened = open_precipitation(lazy, draw_members(lazy, 4))
    derived = derive_rates(opened, with_members=True)
    assert derived["rainfall_rate"].chunks is not None
    assert derived["rainfall_rate_realization"].dims == ("realization", "time")
    opened = open_precipitation(product, draw_members(product, 4).compute())
    expected = derive_rates(opened, with_members=True)
    xr.testing.assert_allclose(derived.compute(), expected)


def test_frequency_is_what_title_or_instrument_say(product: xr.Dataset) -> None:
    assert find_frequency(product) == 95
    assert find_frequency(product.assign_attrs(title="13.6-GHz radar")) == 13.6
    nothing = dict.fromkeys(("title", "instrument", "source"), "a radar")
    assert find_frequency(product.assign_attrs(nothing)) is None
    assert find_frequency(product.assign_attrs(nothing, frequency_ghz=94.05)) == 94.05


def test_a_strong_echo_is_beyond_the_validity_of_a_law_for_ice_crystals(
    product: xr.Dataset, members: xr.DataArray
) -> None:
    row = {"height": 3}
    strong = set_pixel(product, "reflectivity", (0, 3), 12.0)
    height = float(product["height"][row["height"]])
    cold = xr.full_like(product["time"], 260.0, dtype=float)
    derived = derive(strong, members, height_m=height, temperature_k=cold)
    beyond = (derived["precipitation_flag"].values & PrecipitationFlag.BEYOND_VALIDITY) > 0
    assert beyond[0]
    assert not beyond[1]


def test_members_do_not_exceed_the_ceiling_of_the_band_and_measured_echo_stays(
    product: xr.Dataset, members: xr.DataArray
) -> None:
    unlimited = product.copy(deep=True)
    unlimited["reflectivity_quantile"].values[-1] = 60
    capped = take_near_ground(unlimited, members + 60, ceiling_dbz=21.8)
    assert np.isclose(float(capped.row.max()), 21.8, atol=1e-5)
    seen = set_pixel(product, "reflectivity", (0, 4), 30.0)
    row = take_near_ground(seen, members, float(product["height"][4]), ceiling_dbz=21.8).row
    assert np.allclose(row[:, 0], 30)


def test_members_do_not_exceed_the_outermost_quantiles(
    product: xr.Dataset, members: xr.DataArray
) -> None:
    at = find_row(product, None)
    whole, given_echo = (
        product[name].values[-1, :NO_DATA_PROFILE, at]
        for name in ("reflectivity_quantile", "reflectivity_quantile_given_echo")
    )
    # Where echo is unlikely the former is at the floor; then echo is as strong as the latter says.
    assert (whole == FLOOR).any()
    row = take_near_ground(product, members + 60).row.values[:, :NO_DATA_PROFILE]
    assert np.array_equal(row.max(axis=0), np.maximum(whole, given_echo))
    weak = members.clip(max=-25)
    assert (take_near_ground(product, weak).row.values[:, :NO_DATA_PROFILE] <= -25).all()
