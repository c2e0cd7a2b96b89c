"""What lies outside what a network saw: what is flagged and what is not, and what a domain keeps."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings

from blindzone.core.errors import CurtainError
from blindzone.pipeline.curtains.blind_zone import BlindZone
from blindzone.pipeline.curtains.cf import OutOfRangeFlag
from blindzone.pipeline.curtains.curtain import DetectionStatus
from blindzone.pipeline.curtains.gridding import Grid
from blindzone.pipeline.inpainting.applicability import (
    UNLIKE_SHARE,
    Applicability,
    find_bands,
    fit_applicability,
)
from blindzone.pipeline.network_input.preprocessing import CHANNELS, Preprocessing

ROWS, HIDDEN, EPISODE, EPISODES = 24, 4, 30, 12
STEP_S = 9.001
FREQUENCY = 95.0
NETWORK = Preprocessing(
    grid=Grid(rows=ROWS, row_depth_m=78.125),
    blind_zone=BlindZone(top_m=HIDDEN * 78.125),
    floor_dbz=-30,
    channels=(*CHANNELS, "doppler_velocity"),
)


def make_day(seed: int, episodes: int = EPISODES) -> xr.Dataset:
    """A gridded day of independent episodes, each clear sky (one of three) or a cloud below row 16.

    A cloud reaches over 2 to 7 rows and keeps its own reflectivity of -25 to -5 dBZ (with 2 dB of
    noise) and velocity of -1.5 to 0.5 m s-1. Its top is faint, as the edges of clouds are: about
    -29 dBZ.
    """
    rng = np.random.default_rng(seed)
    profiles = EPISODE * episodes
    dbz, velocity = np.full((2, profiles, ROWS), np.nan, dtype=np.float32)
    for number in range(episodes):
        if rng.random() < 1 / 3:
            continue
        base, depth = rng.integers(2, 9), rng.integers(2, 8)
        where = slice(number * EPISODE, (number + 1) * EPISODE), slice(base, base + depth)
        dbz[where] = rng.uniform(-25, -5) + rng.normal(0, 2, (EPISODE, depth))
        dbz[where[0], base + depth - 1] = rng.uniform(-29.9, -28, EPISODE)
        velocity[where] = rng.uniform(-1.5, 0.5)
    return make_curtain(dbz, velocity)


def make_curtain(dbz: np.ndarray, velocity: np.ndarray | None = None) -> xr.Dataset:
    """A gridded curtain: echo where there is a value, clear sky elsewhere."""
    status = np.where(np.isfinite(dbz), DetectionStatus.ECHO, DetectionStatus.NO_ECHO).astype(
        np.int8
    )
    dims = ("time", "height")
    fields = {"reflectivity": (dims, dbz.astype(np.float32)), "detection_status": (dims, status)}
    if velocity is not None:
        fields["doppler_velocity"] = (dims, velocity.astype(np.float32))
    times = np.datetime64("2021-03-14", "ns") + np.arange(len(dbz)) * np.timedelta64(
        round(1000 * STEP_S), "ms"
    )
    site = {"latitude": 48.7, "longitude": 2.2, "altitude": 156.0}
    return xr.Dataset(fields, {"time": times, "height": NETWORK.grid.centres_m, **site})


@pytest.fixture(scope="module")
def domain() -> Applicability:
    return fit_applicability(map(make_day, range(20)), NETWORK, frequency_ghz=FREQUENCY)


def assess(
    domain: Applicability, curtain: xr.Dataset, **known: Any
) -> tuple[np.ndarray, np.ndarray]:
    found = domain.assess(
        curtain, NETWORK, **({"frequency_ghz": FREQUENCY, "floor_dbz": -30.0} | known)
    )
    assert np.array_equal(found["time"].values, curtain["time"].values)
    return found["out_of_range_flag"].values, found["out_of_range_score"].values


def find_cloudy(curtain: xr.Dataset) -> np.ndarray:
    """Profiles with visible echo."""
    cloudy: np.ndarray = np.isfinite(curtain["reflectivity"].values[:, HIDDEN:]).any(axis=1)
    return cloudy


def test_about_the_nominal_share_of_held_out_days_is_unlike_what_was_seen(
    domain: Applicability,
) -> None:
    found = [assess(domain, make_day(seed)) for seed in range(100, 120)]
    share = np.mean([score > 1 for _, score in found])
    # Fitted and held-out days are exchangeable, so the share is UNLIKE_SHARE but for chance.
    # Profiles of an episode are alike: 20 days hold 240 independent ones on either side, so its
    # standard error is about sqrt(2 * .01 * .99 / 240) = 0.9 %, and four of them are 3.6 %.
    assert share < UNLIKE_SHARE + 0.036
    assert (
        max(score.max() for _, score in found) > 0.7
    )  # the limit is that of these days, not far beyond them
    flag = np.concatenate([flag for flag, _ in found])
    assert set(np.unique(flag)) <= {0, OutOfRangeFlag.PROFILE_UNLIKE_TRAINING}


def test_clear_sky_is_what_was_seen(domain: Applicability) -> None:
    flag, score = assess(domain, make_curtain(*np.full((2, 200, ROWS), np.nan)))
    assert not flag.any()
    assert not score.any()


def shift_up(curtain: xr.Dataset, rows: int) -> xr.Dataset:
    fields = {
        name: (("time", "height"), np.roll(curtain[name].values, rows, axis=1))
        for name in curtain.data_vars
    }
    return curtain.assign(fields)


@pytest.mark.parametrize(
    "shift",
    [
        # Clouds of -25 to -5 dBZ become 0 to 20 dBZ, their tops -4 dBZ.
        lambda day: day.assign(reflectivity=day["reflectivity"] + np.float32(25)),
        # Clouds in rows 2 to 14 get to rows 10 to 22; of them those at 15 and above were never
        # seen.
        lambda day: shift_up(day, 8),
        # 4 m s-1 is eight times the highest velocity that was seen.
        lambda day: day.assign(doppler_velocity=day["doppler_velocity"] + np.float32(4)),
    ],
    ids=["25-dB-stronger", "higher-than-ever", "faster-than-ever"],
)
def test_weather_never_seen_is_flagged(
    domain: Applicability, shift: Callable[[xr.Dataset], xr.Dataset]
) -> None:
    usual, moved = make_day(200), shift(make_day(200))
    cloudy = find_cloudy(usual) & find_cloudy(moved)
    unlike = OutOfRangeFlag.PROFILE_UNLIKE_TRAINING
    flag, score = assess(domain, moved)
    assert (flag[cloudy] & unlike != 0).mean() > 0.5
    assert (assess(domain, usual)[0][cloudy] & unlike != 0).mean() < 0.1
    assert np.array_equal(flag & unlike != 0, score > 1)


def test_blind_zone_is_never_looked_at(domain: Applicability) -> None:
    day = make_day(300)
    other = day.copy(deep=True)
    other["reflectivity"].values[:, :HIDDEN] = 20
    other["doppler_velocity"].values[:, :HIDDEN] = 5
    other["detection_status"].values[:, :HIDDEN] = DetectionStatus.ECHO
    for one, two in zip(assess(domain, day), assess(domain, other), strict=True):
        assert np.array_equal(one, two)


def test_zone_of_another_depth_within_the_trained_ones_is_no_other_network(
    domain: Applicability,
) -> None:
    trained = replace(NETWORK, deepest_m=8 * 78.125)
    deep = fit_applicability(map(make_day, range(3)), trained)
    shallow = trained.fit_zone(BlindZone(top_m=2 * 78.125), where="a source")
    assert deep.hidden_rows == 8
    assert deep.assess(make_day(9), shallow).sizes["time"] == EPISODE * EPISODES


@pytest.mark.parametrize(
    ("known", "bit"),
    [
        ({"frequency_ghz": 94.0}, 0),
        ({"frequency_ghz": 35.5}, OutOfRangeFlag.BAND_DIFFERS),
        ({"frequency_ghz": None}, OutOfRangeFlag.BAND_UNKNOWN),
        ({"floor_dbz": None}, 0),
        ({"floor_dbz": -50.0}, 0),  # the network's own floor takes away what is weaker
        ({"floor_dbz": 12.0}, OutOfRangeFlag.SENSITIVITY_DIFFERS),
    ],
)
def test_another_radar_flags_every_profile(
    domain: Applicability, known: dict[str, float | None], bit: int
) -> None:
    flag, score = assess(domain, make_day(400), **known)
    assert (flag & ~OutOfRangeFlag.PROFILE_UNLIKE_TRAINING == bit).all()
    assert np.array_equal(score, assess(domain, make_day(400))[1])


def test_band_of_the_fitted_days_may_be_unknown_too() -> None:
    flag, _ = assess(fit_applicability(map(make_day, range(2)), NETWORK), make_day(2))
    assert (flag & OutOfRangeFlag.BAND_UNKNOWN != 0).all()


def test_radar_that_misses_weak_echo_is_flagged_whatever_its_source_states(
    domain: Applicability,
) -> None:
    day = make_day(500, episodes=36)  # more than 1000 pixels of visible echo, enough to tell
    blunt = make_curtain(
        *(
            day[name].where(day["reflectivity"] > -18).values
            for name in ("reflectivity", "doppler_velocity")
        )
    )
    # The tops of all clouds are weaker than -28 dBZ; here nothing below -18 dBZ is left.
    assert (assess(domain, blunt)[0] & OutOfRangeFlag.SENSITIVITY_DIFFERS != 0).all()
    assert not (assess(domain, day)[0] & OutOfRangeFlag.SENSITIVITY_DIFFERS).any()


@pytest.mark.parametrize(
    ("step_s", "flagged"), [(9.0, False), (11.0, False), (7.3, False), (3.0, True), (30.0, True)]
)
def test_another_time_step_is_flagged(domain: Applicability, step_s: float, flagged: bool) -> None:
    day = make_day(600)
    times = day["time"].values[0] + (np.arange(day.sizes["time"]) * step_s * 1e9).astype(
        "timedelta64[ns]"
    )
    flag, _ = assess(domain, day.assign_coords(time=times))
    # Fitted: 9.001 s; a factor of 1.25 is 7.2 to 11.25 s.
    assert (flag & OutOfRangeFlag.TIME_STEP_DIFFERS != 0).all() == flagged


def test_single_profile_has_no_time_step_and_is_flagged(domain: Applicability) -> None:
    flag, score = assess(domain, make_day(600).isel(time=[0]))
    assert flag[0] & OutOfRangeFlag.TIME_STEP_DIFFERS
    assert np.isfinite(score).all()


@pytest.mark.parametrize("rows", [ROWS, ROWS - 4])
def test_another_grid_is_flagged_and_has_no_score(domain: Applicability, rows: int) -> None:
    day = make_day(700).isel(height=slice(rows))
    flag, score = assess(
        domain, day.assign_coords(height=(np.arange(rows) + 0.5) * 100), frequency_ghz=24.0
    )
    assert (flag == OutOfRangeFlag.GRID_DIFFERS | OutOfRangeFlag.BAND_DIFFERS).all()
    assert np.isnan(score).all()


def test_predictor_that_is_absent_is_flagged_in_clear_sky_too(domain: Applicability) -> None:
    flag, _ = assess(domain, make_day(800).drop_vars("doppler_velocity"))
    assert (flag & OutOfRangeFlag.PREDICTORS_DIFFER != 0).all()


def test_echo_without_velocity_is_flagged_where_it_is(domain: Applicability) -> None:
    day = make_day(800)
    late = np.arange(day.sizes["time"]) >= 180
    day["doppler_velocity"].values[late] = np.nan
    flag, _ = assess(domain, day)
    expected = late & find_cloudy(day)
    assert np.array_equal(flag & OutOfRangeFlag.PREDICTORS_DIFFER != 0, expected)


def test_predictor_that_was_never_there_is_flagged_where_it_is() -> None:
    without = [make_day(seed).drop_vars("doppler_velocity") for seed in range(3)]
    flag, score = assess(fit_applicability(without, NETWORK), make_day(3))
    assert (flag & OutOfRangeFlag.PREDICTORS_DIFFER != 0).all()
    assert np.isfinite(score).all()


@pytest.mark.parametrize(
    ("latitude", "longitude", "elsewhere"),
    [
        (48.7, 2.2, False),
        (49.5, 2.2, False),  # 0.8 degrees of latitude are 89 km
        (49.7, 2.2, True),  # 1 degree: 111 km
        (48.7, 3.5, False),  # 1.3 degrees of longitude at 48.7 degrees north: 95 km
        (48.7, 362.2, False),  # the same meridian
        (-48.7, 2.2, True),
        (np.nan, 2.2, True),
    ],
)
def test_another_site_is_flagged(
    domain: Applicability, latitude: float, longitude: float, elsewhere: bool
) -> None:
    flag, _ = assess(domain, make_day(650).assign_coords(latitude=latitude, longitude=longitude))
    assert (flag & OutOfRangeFlag.SITE_DIFFERS != 0).all() == elsewhere


def make_track() -> xr.Dataset:
    """A day of a platform that moves along a meridian."""
    day = make_day(650)
    profiles = day.sizes["time"]
    return day.assign_coords(
        latitude=("time", np.linspace(40, 60, profiles)), longitude=("time", np.full(profiles, 2.2))
    )


def test_platform_that_moves_is_elsewhere_but_where_it_passes_a_site(domain: Applicability) -> None:
    track = make_track()
    flag, _ = assess(domain, track)
    # 100 km are 0.8993 degrees of a great circle on a sphere of 6371 km.
    near = np.abs(track["latitude"].values - 48.7) <= 0.8993
    assert np.array_equal(flag & OutOfRangeFlag.SITE_DIFFERS == 0, near)


def test_what_was_fitted_on_a_platform_that_moves_knows_no_other_site() -> None:
    flag, _ = assess(fit_applicability([make_track()], NETWORK), make_day(2))
    assert not (flag & OutOfRangeFlag.SITE_DIFFERS).any()


def test_what_was_fitted_at_an_unknown_site_takes_every_site_for_another() -> None:
    flag, _ = assess(
        fit_applicability([make_day(0).assign_coords(latitude=np.nan)], NETWORK), make_day(2)
    )
    assert (flag & OutOfRangeFlag.SITE_DIFFERS != 0).all()


def warm(day: xr.Dataset, offset_k: float) -> xr.Dataset:
    """The day with temperature: 6.5 K km-1 below 280 K at the ground, and an offset."""
    profile = 280 + offset_k - 0.0065 * day["height"]
    return day.assign(
        temperature=profile.broadcast_like(day["reflectivity"]).transpose("time", "height")
    )


def test_every_measured_channel_counts_in_clear_sky_too() -> None:
    network = replace(NETWORK, channels=(*NETWORK.channels, "temperature"))
    offsets = np.random.default_rng(0).normal(0, 3, 20)
    domain = fit_applicability((warm(make_day(seed), offsets[seed]) for seed in range(20)), network)
    for offset_k, unlike in (
        (0.0, False),
        (25.0, True),
    ):  # 25 K are eight standard deviations of the fitted days
        flag = domain.assess(warm(make_day(30), offset_k), network)["out_of_range_flag"].values
        assert ((flag & OutOfRangeFlag.PROFILE_UNLIKE_TRAINING != 0).mean() > 0.9) == unlike
        assert not (flag & OutOfRangeFlag.PREDICTORS_DIFFER).any()
    flag = domain.assess(make_day(30), network)["out_of_range_flag"].values
    assert (flag & OutOfRangeFlag.PREDICTORS_DIFFER != 0).all()


def test_profile_without_visible_data_has_its_flag_and_no_score(domain: Applicability) -> None:
    day = make_day(900)
    day["detection_status"].values[5] = DetectionStatus.NO_DATA
    day["reflectivity"].values[5] = np.nan
    day["detection_status"].values[7, HIDDEN:] = (
        DetectionStatus.NO_DATA
    )  # the blind zone alone has data
    day["reflectivity"].values[7, HIDDEN:] = np.nan
    flag, score = assess(domain, day)
    assert np.flatnonzero(flag & OutOfRangeFlag.NO_VISIBLE_DATA).tolist() == [5, 7]
    assert np.flatnonzero(np.isnan(score)).tolist() == [5, 7]


def test_curtain_without_any_data_is_flagged_throughout(domain: Applicability) -> None:
    nothing = make_curtain(*np.full((2, 50, ROWS), np.nan))
    nothing["detection_status"].values[:] = DetectionStatus.NO_DATA
    flag, score = assess(domain, nothing)
    assert (flag & OutOfRangeFlag.NO_VISIBLE_DATA != 0).all()
    assert np.isnan(score).all()


def test_argument_stays_as_it_was(domain: Applicability) -> None:
    day = make_day(1)
    before = day.copy(deep=True)
    assess(domain, day)
    xr.testing.assert_identical(day, before)


def test_domain_survives_json_and_is_small(domain: Applicability) -> None:
    text = json.dumps(domain.to_dict(), allow_nan=False)
    assert Applicability.from_dict(json.loads(text)) == domain
    # At most 256 references of 2 * 3 * 4 features (three kinds, bands of 4, 4, 8 and 4 rows), some
    # 6 characters each.
    assert len(text) < 256 * 24 * 8


NUMBERS = st.floats(-1e6, 1e6, allow_nan=False)
POSITIVE = st.floats(1e-6, 1e6)


@given(st.data())
@settings(max_examples=25)
def test_any_domain_survives_json(data: st.DataObject) -> None:
    rows, hidden = data.draw(st.integers(2, 200)), 1
    names = data.draw(
        st.sampled_from([("reflectivity",), ("reflectivity", "doppler_velocity", "temperature")])
    )
    kinds, bands, count = (
        1 + len(names),
        find_bands(rows - hidden).size,
        data.draw(st.integers(1, 3)),
    )

    def draw_matrix(lines: int, columns: int) -> tuple[tuple[float, ...], ...]:
        return tuple(tuple(data.draw(st.tuples(*[NUMBERS] * columns))) for _ in range(lines))

    domain = Applicability(
        grid=Grid(rows=rows, row_depth_m=data.draw(st.floats(1, 500))),
        hidden_rows=hidden,
        floor_dbz=data.draw(NUMBERS),
        frequency_ghz=data.draw(st.none() | POSITIVE),
        sites=data.draw(st.none() | st.lists(st.tuples(NUMBERS, NUMBERS), max_size=3).map(tuple)),
        weakest_echo_dbz=data.draw(NUMBERS),
        time_steps_s=(data.draw(POSITIVE), data.draw(POSITIVE)),
        presence={name: data.draw(st.floats(0, 1)) for name in names},
        centres=draw_matrix(kinds, bands),
        scales=data.draw(st.tuples(*[POSITIVE] * kinds)),
        references=draw_matrix(count, 2 * kinds * bands),
        limit=data.draw(POSITIVE),
        days=data.draw(st.integers(1, 1000)),
    )
    assert (
        Applicability.from_dict(json.loads(json.dumps(domain.to_dict(), allow_nan=False))) == domain
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda kept: kept.pop("limit"), "limit"),
        (lambda kept: kept.pop("sites"), "sites"),
        (lambda kept: kept.update(more=1), "more"),
        (lambda kept: kept.update(limit=0.0), "must be positive"),
        (lambda kept: kept.update(limit="far"), "numbers"),
        (lambda kept: kept["references"][3].pop(), "references"),
        (lambda kept: kept["references"][3].__setitem__(0, float("nan")), "'references'.*finite"),
        (lambda kept: kept.update(references=[]), "references"),
        (lambda kept: kept["centres"].pop(), "'centres'"),
        (lambda kept: kept["scales"].__setitem__(0, 0.0), "must be positive"),
        (lambda kept: kept.update(presence=["reflectivity", "doppler_velocity"]), "not understood"),
        (lambda kept: kept["presence"].update(reflectivity=None), "'presence'.*finite"),
        (lambda kept: kept.update(grid={"rows": 0}), "not understood|row"),
        (lambda kept: kept.update(time_steps_s=[1.0]), "not understood"),
        (lambda kept: kept.update(sites=[[48.7]]), "not understood"),
    ],
)
def test_damaged_domain_is_refused(
    domain: Applicability, change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    kept = json.loads(json.dumps(domain.to_dict()))
    change(kept)
    with pytest.raises(CurtainError, match=message):
        Applicability.from_dict(kept)


@pytest.mark.parametrize(
    "other",
    [
        replace(NETWORK, floor_dbz=-20),
        replace(NETWORK, channels=CHANNELS),
        replace(NETWORK, blind_zone=BlindZone(top_m=1000)),
        replace(NETWORK, grid=Grid(rows=ROWS, row_depth_m=100)),
    ],
    ids=["floor", "channels", "blind-zone", "grid"],
)
def test_domain_of_another_network_is_refused(domain: Applicability, other: Preprocessing) -> None:
    with pytest.raises(CurtainError, match="another network"):
        domain.assess(make_day(0), other)


def test_nothing_to_fit_from_is_refused() -> None:
    clear = make_curtain(*np.full((2, 50, ROWS), np.nan))
    empty = clear.assign(detection_status=clear["detection_status"] * 0)
    for curtains, message in (
        ([], "no curtain"),
        ([empty, empty], "no curtain"),
        ([clear, clear], "clear sky"),
    ):
        with pytest.raises(CurtainError, match=message):
            fit_applicability(curtains, NETWORK)
    with pytest.raises(
        CurtainError, match=r"curtain 2: 20 rows up to 1523\.4 m; 24 rows up to 1835\.9 m"
    ):
        fit_applicability([make_day(0), make_day(1).isel(height=slice(20))], NETWORK)
    with pytest.raises(CurtainError, match=r"curtain 1: .*reflectivity over"):
        fit_applicability([make_day(0).drop_vars("reflectivity")], NETWORK)


def test_one_day_is_held_against_itself() -> None:
    domain = fit_applicability([make_day(0)], NETWORK, frequency_ghz=FREQUENCY)
    assert domain.days == 1
    flag, _ = assess(domain, make_day(0))
    # Its own profiles: at most the hundredth part of each half is beyond the other half's
    # references, none beyond both.
    assert (flag != 0).mean() <= UNLIKE_SHARE


def test_more_days_than_parts_keep_no_more_references() -> None:
    short = [make_day(seed).isel(time=slice(0, 90)) for seed in range(40)]
    assert len(fit_applicability(short, NETWORK).references) <= 256


def test_days_without_data_are_left_out() -> None:
    empty = make_curtain(*np.full((2, 50, ROWS), np.nan))
    empty["detection_status"].values[:] = DetectionStatus.NO_DATA
    days = [make_day(0), make_day(1)]
    assert fit_applicability([days[0], empty, days[1]], NETWORK) == fit_applicability(days, NETWORK)


@given(st.integers(1, 500))
def test_bands_double_in_depth_upwards(rows: int) -> None:
    bands = find_bands(rows)
    depths = np.diff(bands, append=rows)
    assert bands[0] == 0
    assert depths.min() > 0
    assert (
        depths[1:] <= bands[1:]
    ).all()  # as deep as all below it together; the highest may be cut off
    assert (depths[1:-1] == bands[1:-1]).all()
