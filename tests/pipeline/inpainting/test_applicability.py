"""Applicability: which profiles are unlike the training data, and which bit says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import xarray as xr
from episodes import (
    EPISODE,
    EPISODES,
    FREQUENCY,
    HIDDEN,
    NETWORK,
    ROWS,
    assess,
    find_cloudy,
    make_curtain,
    make_day,
)
from hypothesis import given, settings

from blindzone.core.errors import CurtainError
from blindzone.pipeline.curtains.blind_zone import BlindZone
from blindzone.pipeline.curtains.curtain import DetectionStatus
from blindzone.pipeline.curtains.flags import OutOfRangeFlag
from blindzone.pipeline.curtains.gridding import Grid
from blindzone.pipeline.inpainting.applicability import Applicability
from blindzone.pipeline.inpainting.applicability_fit import fit_applicability
from blindzone.pipeline.inpainting.visible_features import (
    find_bands,
)
from blindzone.pipeline.network_input.preprocessing import CHANNELS, Preprocessing


@pytest.fixture(scope="module")
def applicability() -> Applicability:
    return fit_applicability(map(make_day, range(20)), NETWORK, frequency_ghz=FREQUENCY)


def test_clear_sky_is_the_training_data(applicability: Applicability) -> None:
    flag, score = assess(applicability, make_curtain(*np.full((2, 200, ROWS), np.nan)))
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
    applicability: Applicability, shift: Callable[[xr.Dataset], xr.Dataset]
) -> None:
    usual, moved = make_day(200), shift(make_day(200))
    cloudy = find_cloudy(usual) & find_cloudy(moved)
    unlike = OutOfRangeFlag.PROFILE_UNLIKE_TRAINING
    flag, score = assess(applicability, moved)
    assert (flag[cloudy] & unlike != 0).mean() > 0.5
    assert (assess(applicability, usual)[0][cloudy] & unlike != 0).mean() < 0.1
    assert np.array_equal(flag & unlike != 0, score > 1)


def test_blind_zone_counts_for_nothing(applicability: Applicability) -> None:
    day = make_day(300)
    other = day.copy(deep=True)
    other["reflectivity"].values[:, :HIDDEN] = 20
    other["doppler_velocity"].values[:, :HIDDEN] = 5
    other["detection_status"].values[:, :HIDDEN] = DetectionStatus.ECHO
    for one, two in zip(assess(applicability, day), assess(applicability, other), strict=True):
        assert np.array_equal(one, two)


def test_zone_of_another_depth_within_the_trained_ones_is_no_other_network(
    applicability: Applicability,
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
    applicability: Applicability, known: dict[str, float | None], bit: int
) -> None:
    flag, score = assess(applicability, make_day(400), **known)
    assert (flag & ~OutOfRangeFlag.PROFILE_UNLIKE_TRAINING == bit).all()
    assert np.array_equal(score, assess(applicability, make_day(400))[1])


def test_radar_that_misses_weak_echo_is_flagged_whatever_its_source_states(
    applicability: Applicability,
) -> None:
    day = make_day(500, episodes=36)  # more than 1000 pixels of visible echo, enough to tell
    blunt = make_curtain(
        *(
            day[name].where(day["reflectivity"] > -18).values
            for name in ("reflectivity", "doppler_velocity")
        )
    )
    # The tops of all clouds are weaker than -28 dBZ; here nothing below -18 dBZ is left.
    assert (assess(applicability, blunt)[0] & OutOfRangeFlag.SENSITIVITY_DIFFERS != 0).all()
    assert not (assess(applicability, day)[0] & OutOfRangeFlag.SENSITIVITY_DIFFERS).any()


@pytest.mark.parametrize(
    ("step_s", "flagged"), [(9.0, False), (11.0, False), (7.3, False), (3.0, True), (30.0, True)]
)
def test_another_time_step_is_flagged(
    applicability: Applicability, step_s: float, flagged: bool
) -> None:
    day = make_day(600)
    times = day["time"].values[0] + (np.arange(day.sizes["time"]) * step_s * 1e9).astype(
        "timedelta64[ns]"
    )
    flag, _ = assess(applicability, day.assign_coords(time=times))
    # Fitted: 9.001 s; a factor of 1.25 is 7.2 to 11.25 s.
    assert (flag & OutOfRangeFlag.TIME_STEP_DIFFERS != 0).all() == flagged


def test_single_profile_has_no_time_step_and_is_flagged(applicability: Applicability) -> None:
    flag, score = assess(applicability, make_day(600).isel(time=[0]))
    assert flag[0] & OutOfRangeFlag.TIME_STEP_DIFFERS
    assert np.isfinite(score).all()


@pytest.mark.parametrize("rows", [ROWS, ROWS - 4])
def test_another_grid_is_flagged_and_has_no_score(applicability: Applicability, rows: int) -> None:
    day = make_day(700).isel(height=slice(rows))
    flag, score = assess(
        applicability, day.assign_coords(height=(np.arange(rows) + 0.5) * 100), frequency_ghz=24.0
    )
    assert (flag == OutOfRangeFlag.GRID_DIFFERS | OutOfRangeFlag.BAND_DIFFERS).all()
    assert np.isnan(score).all()


def test_predictor_that_is_absent_is_flagged_in_clear_sky_too(applicability: Applicability) -> None:
    flag, _ = assess(applicability, make_day(800).drop_vars("doppler_velocity"))
    assert (flag & OutOfRangeFlag.PREDICTORS_DIFFER != 0).all()


def test_echo_without_velocity_is_flagged_where_it_is(applicability: Applicability) -> None:
    day = make_day(800)
    late = np.arange(day.sizes["time"]) >= 180
    day["doppler_velocity"].values[late] = np.nan
    flag, _ = assess(applicability, day)
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
    applicability: Applicability, latitude: float, longitude: float, elsewhere: bool
) -> None:
    flag, _ = assess(
        applicability, make_day(650).assign_coords(latitude=latitude, longitude=longitude)
    )
    assert (flag & OutOfRangeFlag.SITE_DIFFERS != 0).all() == elsewhere


def make_track() -> xr.Dataset:
    """A day of a platform that moves along a meridian."""
    day = make_day(650)
    profiles = day.sizes["time"]
    return day.assign_coords(
        latitude=("time", np.linspace(40, 60, profiles)), longitude=("time", np.full(profiles, 2.2))
    )


def test_platform_that_moves_is_elsewhere_but_where_it_passes_a_site(
    applicability: Applicability,
) -> None:
    track = make_track()
    flag, _ = assess(applicability, track)
    # 100 km are 0.8993 degrees of a great circle on a sphere of 6371 km.
    near = np.abs(track["latitude"].values - 48.7) <= 0.8993
    assert np.array_equal(flag & OutOfRangeFlag.SITE_DIFFERS == 0, near)


def test_what_was_fitted_on_a_platform_that_moves_knows_no_other_site() -> None:
    flag, _ = assess(fit_applicability([make_track()], NETWORK), make_day(2))
    assert not (flag & OutOfRangeFlag.SITE_DIFFERS).any()


def test_what_was_fitted_at_an_unknown_site_has_every_site_as_another() -> None:
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
    applicability = fit_applicability(
        (warm(make_day(seed), offsets[seed]) for seed in range(20)), network
    )
    for offset_k, unlike in (
        (0.0, False),
        (25.0, True),
    ):  # 25 K are eight standard deviations of the fitted days
        flag = applicability.assess(warm(make_day(30), offset_k), network)[
            "out_of_range_flag"
        ].values
        assert ((flag & OutOfRangeFlag.PROFILE_UNLIKE_TRAINING != 0).mean() > 0.9) == unlike
        assert not (flag & OutOfRangeFlag.PREDICTORS_DIFFER).any()
    flag = applicability.assess(make_day(30), network)["out_of_range_flag"].values
    assert (flag & OutOfRangeFlag.PREDICTORS_DIFFER != 0).all()


def test_profile_without_visible_data_has_its_flag_and_no_score(
    applicability: Applicability,
) -> None:
    day = make_day(900)
    day["detection_status"].values[5] = DetectionStatus.NO_DATA
    day["reflectivity"].values[5] = np.nan
    day["detection_status"].values[7, HIDDEN:] = (
        DetectionStatus.NO_DATA
    )  # the blind zone alone has data
    day["reflectivity"].values[7, HIDDEN:] = np.nan
    flag, score = assess(applicability, day)
    assert np.flatnonzero(flag & OutOfRangeFlag.NO_VISIBLE_DATA).tolist() == [5, 7]
    assert np.flatnonzero(np.isnan(score)).tolist() == [5, 7]


def test_curtain_without_any_data_is_flagged_throughout(applicability: Applicability) -> None:
    nothing = make_curtain(*np.full((2, 50, ROWS), np.nan))
    nothing["detection_status"].values[:] = DetectionStatus.NO_DATA
    flag, score = assess(applicability, nothing)
    assert (flag & OutOfRangeFlag.NO_VISIBLE_DATA != 0).all()
    assert np.isnan(score).all()


def test_argument_stays_as_it_was(applicability: Applicability) -> None:
    day = make_day(1)
    before = day.copy(deep=True)
    assess(applicability, day)
    xr.testing.assert_identical(day, before)


def test_applicability_survives_json_and_is_small(applicability: Applicability) -> None:
    text = json.dumps(applicability.to_dict(), allow_nan=False)
    assert Applicability.from_dict(json.loads(text)) == applicability
    # At most 256 references of 2 * 3 * 4 features (three kinds, bands of 4, 4, 8 and 4 rows), some
    # 6 characters each.
    assert len(text) < 256 * 24 * 8


NUMBERS = st.floats(-1e6, 1e6, allow_nan=False)
POSITIVE = st.floats(1e-6, 1e6)


@given(st.data())
@settings(max_examples=25)
def test_any_applicability_survives_json(data: st.DataObject) -> None:
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

    applicability = Applicability(
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
        Applicability.from_dict(json.loads(json.dumps(applicability.to_dict(), allow_nan=False)))
        == applicability
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda kept: kept.pop("limit"), "limit"),
        (lambda kept: kept.pop("sites"), "sites"),
        (lambda kept: kept.update(more=1), "more"),
        (lambda kept: kept.update(limit=0.0), r"limit: .*greater than 0 \(found 0.0\)"),
        (lambda kept: kept.update(limit="far"), "limit: should be a valid number"),
        (lambda kept: kept["references"][3].pop(), "references"),
        (
            lambda kept: kept["references"][3].__setitem__(0, float("nan")),
            r"references\.3\.0: .*finite number \(found nan",
        ),
        (lambda kept: kept.update(references=[]), "references"),
        (lambda kept: kept["centres"].pop(), "centres: 3 lines of 4 numbers"),
        (lambda kept: kept["scales"].__setitem__(0, 0.0), r"scales\.0: .*greater than 0"),
        (
            lambda kept: kept.update(presence=["reflectivity", "doppler_velocity"]),
            "presence: .*dict",
        ),
        (
            lambda kept: kept["presence"].update(reflectivity=None),
            r"presence\.reflectivity: should be a valid number",
        ),
        (lambda kept: kept.update(grid={"rows": 0}), r"applicability: grid\.rows: "),
        (lambda kept: kept.update(time_steps_s=[1.0]), r"time_steps_s\.1: this key is missing"),
        (lambda kept: kept.update(sites=[[48.7]]), r"sites\.0\.1: this key is missing"),
        (lambda kept: kept.update(hidden_rows=24), "hidden_rows: fewer than the 24 of the grid"),
    ],
)
def test_damaged_applicability_is_rejected(
    applicability: Applicability, change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    kept = json.loads(json.dumps(applicability.to_dict()))
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
def test_applicability_of_another_network_is_rejected(
    applicability: Applicability, other: Preprocessing
) -> None:
    with pytest.raises(CurtainError, match="another network"):
        applicability.assess(make_day(0), other)
