"""Sums over windows."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from blindzone.core.errors import ProductError
from blindzone.pipeline.derivation.relations import LawChoice, Phase, choose_laws
from blindzone.pipeline.derivation.sums import (
    DAY,
    HOUR,
    SumFlag,
    find_events,
    list_windows,
    sum_windows,
)

FLOOR = -30.0
START = np.datetime64("2021-03-11T00:00:00", "ns")
STEP = np.timedelta64(30, "s")
RAIN = choose_laws(95, Phase.RAIN)
K_SNOW = choose_laws(24, Phase.SNOW)
MEMBERS = 40


def make_row(hours: float, dbz: np.ndarray | float, members: int = MEMBERS) -> xr.DataArray:
    times = START + STEP / 2 + np.arange(int(hours * 120)) * STEP
    values = np.broadcast_to(np.asarray(dbz, np.float32), (members, times.size)).copy()
    coordinates = {"realization": np.arange(1, members + 1), "time": times}
    return xr.DataArray(values, coordinates, ("realization", "time"))


def sum_hours(row: xr.DataArray, choice: LawChoice = RAIN) -> xr.Dataset:
    return sum_windows(row, list_windows(row["time"].values, HOUR), choice, FLOOR)


def test_constant_rain_of_a_known_rate_sums_to_rate_times_hours() -> None:
    # Ze = 25 is 1 mm/h (Comstock 2004).
    dbz = 10 * np.log10(25)
    sums = sum_hours(make_row(3, dbz))
    assert np.allclose(sums["sum"], 1, rtol=1e-5)
    assert np.allclose(sums["sum_quantile"], 1, rtol=1e-5)
    assert np.allclose(sums["sum_variance_of_members"], 0, atol=1e-9)
    assert (sums["sum_flag"] == SumFlag.COMPLETE).all()
    day = make_row(24, dbz)
    days = sum_windows(day, list_windows(day["time"].values, DAY), RAIN, FLOOR)
    assert np.allclose(days["sum"], 24, rtol=1e-5)


def test_no_echo_is_a_sum_of_zero_and_not_missing() -> None:
    sums = sum_hours(make_row(2, FLOOR))
    assert (sums["sum"] == 0).all()
    assert (sums["sum_flag"] == SumFlag.COMPLETE).all()


def test_members_are_summed_whole() -> None:
    # Half of the members rain all the hour and half never: sums are 0 or 1, not near 1/2.
    dbz = np.where(np.arange(MEMBERS) % 2, 10 * np.log10(25), FLOOR)[:, None]
    sums = sum_hours(make_row(1, dbz))
    assert np.allclose(sums["sum"], 0.5, rtol=1e-5)
    assert np.allclose(sums["sum_variance_of_members"], 0.25, rtol=1e-4)
    assert np.allclose(sums["sum_quantile"].sel(quantile=[0.05, 0.95])[:, 0], [0, 1], rtol=1e-5)


def test_parts_of_the_variance_add_up_to_that_of_all_sums() -> None:
    dbz = np.random.default_rng(0).normal(0, 8, (MEMBERS, 120))
    row = make_row(1, dbz)
    sums = sum_hours(row, K_SNOW)
    laws, weights = K_SNOW.spread()
    of_law = np.stack([law.find_rate(row.values).mean(axis=1) for law in laws])
    of_law[:, (row.values <= FLOOR).all(axis=1)] = 0
    mean = (weights[:, None] * of_law).sum() / MEMBERS
    total = (weights[:, None] * (of_law - mean) ** 2).sum() / MEMBERS
    parts = sums["sum_variance_of_members"] + sums["sum_variance_of_relations"]
    assert np.allclose(parts, total, rtol=1e-6)
    assert (sums["sum_variance_of_relations"] > 0).all()


def test_missing_profiles_widen_a_sum_and_do_not_lower_it() -> None:
    # Rain comes and goes within half an hour: ten minutes missing may be wet or dry.
    random = np.random.default_rng(1)
    wet = np.repeat(random.random((400, 18)) < 0.5, 20, axis=1)
    row = make_row(3, np.where(wet, 10.0, FLOOR), members=400)
    whole = sum_hours(row).isel(window=1)
    holed = row.copy()
    holed[:, 150:190] = np.nan
    partial = sum_hours(holed).isel(window=1)
    assert partial["sum_flag"] == SumFlag.GAPS_BRIDGED
    assert np.isclose(partial["missing_share"], 40 / 120)
    assert np.isclose(partial["sum"], whole["sum"], rtol=0.1)
    # The same hour of which the missing third were the mean of the rest would spread less.
    rest = RAIN.laws[0].find_rate(np.asarray(10.0)) * (holed[:, 120:240] > FLOOR)
    known = rest.where(np.isfinite(holed[:, 120:240])).mean("time").mean("realization")
    assert partial["sum"] > 0.9 * known
    fixed = holed[:, 120:240].fillna(FLOOR)
    zeros = RAIN.laws[0].find_rate(fixed.values) * (fixed.values > FLOOR)
    assert partial["sum"] > 1.3 * zeros.mean()
    assert partial["sum_variance_of_members"] > 1.3 * zeros.mean(axis=1).var()


def test_a_gap_longer_than_the_window_gives_a_missing_sum_that_says_why() -> None:
    row = make_row(6, 0.0)
    row[:, 100:400] = np.nan  # from 0:50 to 3:20
    sums = sum_hours(row)
    long, complete = SumFlag.GAP_TOO_LONG, SumFlag.COMPLETE
    assert sums["sum_flag"].values.tolist() == [long, long, long, long, complete, complete]
    assert np.isnan(sums["sum"][:4]).all()
    assert np.isfinite(sums["sum"][4:]).all()


def test_a_window_that_the_product_does_not_cover_has_no_sum() -> None:
    sums = sum_hours(make_row(1.5, 0.0))
    assert sums["sum_flag"].values.tolist() == [SumFlag.COMPLETE, SumFlag.GAP_TOO_LONG]


def test_a_window_that_is_mostly_missing_has_no_sum() -> None:
    row = make_row(3, 0.0)
    row[:, 140:210] = np.nan  # 70 of the 120 profiles of the second hour
    sums = sum_hours(row)
    assert sums["sum_flag"][1] == SumFlag.MOSTLY_MISSING
    assert np.isnan(sums["sum"][1])


def test_a_band_without_a_relation_has_sums_that_say_so() -> None:
    sums = sum_hours(make_row(2, 0.0), choose_laws(5.6, Phase.RAIN))
    assert (sums["sum_flag"] == SumFlag.NO_RELATION).all()
    assert np.isnan(sums["sum"]).all()


def test_lazy_members_give_the_same_sums() -> None:
    row = make_row(3, np.random.default_rng(2).normal(0, 5, (MEMBERS, 360)))
    lazy = row.chunk(realization=1, time=100)
    xr.testing.assert_allclose(sum_hours(lazy), sum_hours(row))


def test_events_are_stretches_with_echo_in_half_of_the_members_an_hour_apart() -> None:
    row = make_row(6, FLOOR)
    row[:, 10:20] = 0.0
    row[:, 60:70] = 0.0  # 20 minutes later: the same event
    row[:10, 300:310] = 0.0  # in a quarter of the members: none
    row[:, 400:410] = 0.0
    events = find_events(row, FLOOR)
    begin = (events.starts - START) / STEP
    end = (events.ends - START) / STEP
    assert begin.tolist() == [10, 400]
    assert end.tolist() == [70, 410]
    sums = sum_windows(row, events, RAIN, FLOOR)
    rate = float(RAIN.laws[0].find_rate(np.asarray(0.0)))
    assert np.allclose(sums["sum"], [rate * 20 / 120, rate * 10 / 120], rtol=1e-5)


def test_a_dry_day_has_no_event() -> None:
    row = make_row(2, FLOOR)
    events = find_events(row, FLOOR)
    assert not events.starts.size
    assert not sum_windows(row, events, RAIN, FLOOR).sizes["window"]


def test_a_product_without_profiles_is_refused() -> None:
    row = make_row(1, 0.0)
    windows = list_windows(row["time"].values, HOUR)
    with pytest.raises(ProductError, match="no profile"):
        sum_windows(row.isel(time=slice(0)), windows, RAIN, FLOOR)
