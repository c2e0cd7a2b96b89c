"""Network input and targets: nothing of the blind zone, and unchanged through a checkpoint."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from blindzone.core.errors import CurtainError
from blindzone.pipeline.curtains.blind_zone import BlindZone
from blindzone.pipeline.curtains.curtain import DIMS, STATE_FIELDS, DetectionStatus
from blindzone.pipeline.curtains.gridding import Grid
from blindzone.pipeline.curtains.hidden import hide_below
from blindzone.pipeline.network_input.channels import (
    COLLOCATED_CHANNELS,
    MEASURED_CHANNELS,
    average_in_time,
)
from blindzone.pipeline.network_input.preprocessing import (
    CHANNELS,
    HOLE_DISTANCE,
    Preprocessing,
    check_finite,
)
from blindzone.pipeline.network_input.scaling import (
    ChannelScalings,
    LinearScaling,
    ReflectivityScaling,
)

ROWS, HIDDEN = 8, 3
ALL_CHANNELS = (*CHANNELS, *MEASURED_CHANNELS, "reflectivity_mean_2min", "echo_share_5min")
NO_DATA, NO_ECHO, ECHO, CLUTTER_REMOVED, UNTRUSTED = DetectionStatus


def make_preprocessing(**changes: Any) -> Preprocessing:
    """Eight rows of 100 m, three of them hidden, the mask fading over one; floor at -30 dBZ."""
    values: dict[str, Any] = {
        "grid": Grid(rows=ROWS, row_depth_m=100),
        "blind_zone": BlindZone(top_m=300, soft_rows=1),
        "floor_dbz": -30.0,
    }
    return Preprocessing(**(values | changes))


def profiles(*rows: float) -> np.ndarray:
    """One profile from its rows, the lowest first."""
    return np.array([rows], dtype=np.float32)


def make_curtain(dbz: np.ndarray, status: np.ndarray | None = None) -> xr.Dataset:
    """A curtain of profiles a minute apart; by default all that is not NaN is echo."""
    found = np.where(np.isnan(dbz), NO_ECHO, ECHO) if status is None else status
    variables = {"reflectivity": dbz, "detection_status": found.astype(np.int8)}
    time = np.datetime64("2021-03-14", "ns") + np.arange(len(dbz)) * np.timedelta64(60, "s")
    return xr.Dataset({name: (DIMS, values) for name, values in variables.items()}, {"time": time})


def find_targets(curtain: xr.Dataset) -> dict[str, np.ndarray]:
    """The targets of a curtain, hidden below the blind zone's own top."""
    preprocessing = make_preprocessing()
    encoded = preprocessing.encode_curtain(curtain)
    return preprocessing.encode_targets(encoded, preprocessing.find_hidden(encoded))


pixels = st.floats(-70, 40, width=32) | st.just(np.nan) | st.sampled_from([np.inf, -np.inf])


def test_channels_hold_scaled_echo_mask_and_height() -> None:
    nan = np.nan
    found = make_preprocessing().encode_input(
        make_curtain(profiles(5, 5, 5, -15, -40, nan, 30, -30))
    )
    assert found.shape == (1, ROWS, len(CHANNELS))
    assert found.dtype == np.float32
    reflectivity, mask, height = (found[0, :, channel].tolist() for channel in range(3))
    # Hidden rows repeat the lowest visible one: -15 dBZ is 0.25 units. -40 and -30 dBZ do not
    # exceed the floor: clear.
    assert reflectivity == [0.25, 0.25, 0.25, 0.25, -1, -1, 1, -1]
    # 1 - k / (1 + 1) for the row k = 1 above the blind zone.
    assert mask == [1, 1, 1, 0.5, 0, 0, 0, 0]
    # Centres at 50, 150, ... 750 m of 800 m.
    assert height == [0.0625, 0.1875, 0.3125, 0.4375, 0.5625, 0.6875, 0.8125, 0.9375]


@given(
    hnp.arrays(np.float32, (4, ROWS), elements=st.floats(-70, 40, width=32) | st.just(np.nan)),
    hnp.arrays(np.float32, (4, HIDDEN), elements=pixels),
)
def test_nothing_of_the_blind_zone_is_ever_network_input(
    dbz: np.ndarray, hidden: np.ndarray
) -> None:
    preprocessing = make_preprocessing()
    other = dbz.copy()
    other[:, :HIDDEN] = hidden
    assert np.array_equal(
        preprocessing.encode_input(make_curtain(dbz)),
        preprocessing.encode_input(make_curtain(other)),
    )


def test_every_row_above_the_blind_zone_is_network_input() -> None:
    preprocessing = make_preprocessing()
    dbz = np.full((1, ROWS), -10, dtype=np.float32)
    for row in range(HIDDEN, ROWS):
        other = dbz.copy()
        other[0, row] = 10
        assert not np.array_equal(
            preprocessing.encode_input(make_curtain(dbz)),
            preprocessing.encode_input(make_curtain(other)),
        )


@given(hnp.arrays(np.float32, (5, ROWS), elements=st.floats(-70, 40, width=32) | st.just(np.nan)))
def test_profiles_are_encoded_one_by_one(dbz: np.ndarray) -> None:
    # So that a stretch may be found before it is cut into windows.
    preprocessing = make_preprocessing()
    together = preprocessing.encode_input(make_curtain(dbz))
    alone = np.concatenate(
        [preprocessing.encode_input(make_curtain(dbz[i : i + 1])) for i in range(len(dbz))]
    )
    assert np.array_equal(together, alone)


def test_encoding_leaves_the_curtain_unchanged() -> None:
    curtain = make_curtain(np.array([[5, -40, np.nan, -15, 0, 0, 0, 0]], dtype=np.float32))
    before = curtain.copy(deep=True)
    make_preprocessing().encode_input(curtain)
    find_targets(curtain)
    xr.testing.assert_identical(curtain, before)


def test_targets_hold_occurrence_and_intensity_of_the_hidden_rows() -> None:
    dbz = profiles(-15, -40, np.nan, 7, 7, 7, 7, 7)
    status = np.array([[ECHO, ECHO, NO_ECHO, *[ECHO] * 5]], dtype=np.int8)
    targets = find_targets(make_curtain(dbz, status))
    # (echo, trusted): -40 dBZ is below the floor, so no echo.
    assert targets["occurrence"].tolist() == [[[1, 1], [0, 1], [0, 1]]]
    # (network units, counts): -15 dBZ is 0.25; where there is no echo there is no intensity to
    # learn.
    assert targets["intensity"].tolist() == [[[0.25, 1], [0, 0], [0, 0]]]
    # The single value counts everywhere, clear sky as -1.
    assert targets["value"].tolist() == [[[0.25, 1], [-1, 1], [-1, 1]]]
    assert {values.dtype for values in targets.values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    ("status", "dbz", "occurrence", "intensity"),
    [
        (ECHO, -15.0, [1, 1], [0.25, 1]),
        (NO_ECHO, np.nan, [0, 1], [0, 0]),
        (CLUTTER_REMOVED, np.nan, [0, 1], [0, 0]),
        (UNTRUSTED, -15.0, [1, 0], [0.25, 0]),  # measured, and masked
        (UNTRUSTED, np.nan, [0, 0], [0, 0]),
        (NO_DATA, np.nan, [0, 0], [0, 0]),
    ],
)
def test_truth_counts_where_it_is_trusted(
    status: DetectionStatus, dbz: float, occurrence: list[float], intensity: list[float]
) -> None:
    curtain = make_curtain(np.full((1, ROWS), dbz, dtype=np.float32), np.full((1, ROWS), status))
    targets = find_targets(curtain)
    assert targets["occurrence"].tolist() == [[occurrence] * HIDDEN]
    assert targets["intensity"].tolist() == [[intensity] * HIDDEN]


@pytest.mark.parametrize(("floor_dbz", "unit"), [(-30.0, 0.0), (-15.0, 0.25)])
def test_floor_is_known_in_network_units(floor_dbz: float, unit: float) -> None:
    # -60 dBZ is -0.5, and 60 dB are one unit.
    assert make_preprocessing(floor_dbz=floor_dbz).floor_unit == pytest.approx(unit, abs=1e-7)


@pytest.mark.parametrize(
    ("lowest_trusted_m", "rows"),
    [
        (0, 0),
        (100, 1),
        (101, 2),  # the row from 100 m on is not wholly above
        (5000, 2),  # one hidden row is always left
    ],
)
def test_untrusted_rows_leave_one_hidden_row(lowest_trusted_m: float, rows: int) -> None:
    assert make_preprocessing(lowest_trusted_m=lowest_trusted_m).untrusted_rows == rows


def add_partners(curtain: xr.Dataset, seed: int = 0) -> xr.Dataset:
    """The curtain with velocity, lidar and state of any value."""
    random = np.random.default_rng(seed)
    shape = curtain["reflectivity"].shape
    ranges = {
        "doppler_velocity": (-12, 12),
        "attenuated_backscatter": (1e-8, 1e-3),
        "temperature": (200, 300),
        "specific_humidity": (0, 0.01),
        "eastward_wind": (-40, 40),
        "northward_wind": (-40, 40),
    }
    fields = {
        name: random.uniform(*ends, shape).astype(np.float32) for name, ends in ranges.items()
    }
    status = {"backscatter_status": np.full(shape, ECHO, dtype=np.int8)}
    return curtain.assign({name: (DIMS, values) for name, values in (fields | status).items()})


profile_pixels = st.floats(-70, 40, width=32) | st.just(np.nan)


@given(
    hnp.arrays(np.float32, (6, ROWS), elements=profile_pixels),
    hnp.arrays(np.float32, (6, ROWS), elements=profile_pixels),
    hnp.arrays(np.int64, 6, elements=st.integers(1, 5) | st.just(ROWS)),
    st.booleans(),
)
def test_nothing_that_the_radar_measured_in_hidden_gates_is_in_any_channel(
    dbz: np.ndarray, other: np.ndarray, tops: np.ndarray, one_depth: bool
) -> None:
    preprocessing = make_preprocessing(channels=ALL_CHANNELS, deepest_m=500.0, outages=True)
    is_hidden = hide_below(np.full(6, tops[0]) if one_depth else tops, ROWS)
    first = add_partners(make_curtain(dbz))
    second = add_partners(make_curtain(np.where(is_hidden, other, dbz)))
    # Hidden velocity and status differ, too; lidar and state are known there.
    second["doppler_velocity"] = second["doppler_velocity"].where(
        ~is_hidden, -second["doppler_velocity"] / 3
    )
    second["detection_status"] = (
        second["detection_status"].where(~is_hidden, UNTRUSTED).astype(np.int8)
    )
    found = [
        preprocessing.encode_profiles(preprocessing.encode_curtain(curtain), is_hidden)
        for curtain in (first, second)
    ]
    assert np.array_equal(*found)
    assert not np.isnan(found[0]).any()


@given(
    hnp.arrays(np.float32, (6, ROWS), elements=profile_pixels),
    hnp.arrays(np.float32, (6, HIDDEN), elements=pixels),
)
def test_nothing_of_the_blind_zone_is_in_a_time_context(
    dbz: np.ndarray, hidden: np.ndarray
) -> None:
    preprocessing = make_preprocessing(
        channels=(*CHANNELS, "reflectivity_mean_2min", "echo_share_5min")
    )
    other = dbz.copy()
    other[:, :HIDDEN] = hidden
    assert np.array_equal(
        *(preprocessing.encode_input(make_curtain(values)) for values in (dbz, other))
    )


def test_curtain_without_an_optional_field_has_it_absent() -> None:
    preprocessing = make_preprocessing(channels=ALL_CHANNELS)
    names = preprocessing.channel_names
    bare = make_curtain(np.full((4, ROWS), -10, dtype=np.float32))
    found = dict(zip(names, np.moveaxis(preprocessing.encode_input(bare), -1, 0), strict=True))
    full = dict(
        zip(names, np.moveaxis(preprocessing.encode_input(add_partners(bare)), -1, 0), strict=True)
    )
    for name in MEASURED_CHANNELS:
        assert (found[name] == -1).all()
        assert (found[f"{name}_present"] == 0).all()
        assert (full[name] >= -0.5).all()
        assert (full[f"{name}_present"] == 1).all()
    for name in set(names) - {
        *MEASURED_CHANNELS,
        *(f"{name}_present" for name in MEASURED_CHANNELS),
    }:
        assert np.array_equal(found[name], full[name])


def test_lidar_and_state_are_seen_in_the_blind_zone_and_velocity_is_repeated_into_it() -> None:
    preprocessing = make_preprocessing(channels=ALL_CHANNELS)
    curtain = add_partners(make_curtain(np.full((4, ROWS), -10, dtype=np.float32)))
    found = dict(
        zip(
            preprocessing.channel_names,
            np.moveaxis(preprocessing.encode_input(curtain), -1, 0),
            strict=True,
        )
    )
    for name in STATE_FIELDS:
        expected = ChannelScalings().of(name).scale(curtain[name].values)
        assert np.array_equal(found[name], expected)
    assert len(np.unique(found["attenuated_backscatter"][0, :HIDDEN])) == HIDDEN
    velocity = found["doppler_velocity"]
    assert np.array_equal(
        velocity[:, :HIDDEN], np.repeat(velocity[:, HIDDEN : HIDDEN + 1], HIDDEN, axis=1)
    )
    assert preprocessing.uses_collocated
    assert not make_preprocessing(channels=(*CHANNELS, "doppler_velocity")).uses_collocated
    assert set(COLLOCATED_CHANNELS) == {"attenuated_backscatter", *STATE_FIELDS}


def test_each_profile_is_hidden_below_its_own_top_and_has_targets_there_alone() -> None:
    preprocessing = make_preprocessing(deepest_m=500.0, outages=True)
    dbz = np.tile(np.arange(ROWS, dtype=np.float32), (3, 1))  # the row's number in dBZ
    profiles = preprocessing.encode_curtain(make_curtain(dbz))
    hidden = hide_below(np.array([1, 4, ROWS]), ROWS)
    found = preprocessing.encode_profiles(profiles, hidden)
    restored = preprocessing.scaling.restore(found[..., 0])
    np.testing.assert_allclose(restored[0], [1, 1, 2, 3, 4, 5, 6, 7], atol=1e-5)
    np.testing.assert_allclose(restored[1], [4, 4, 4, 4, 4, 5, 6, 7], atol=1e-5)
    assert np.isnan(restored[2]).all()
    targets = preprocessing.encode_targets(profiles, hidden)
    assert targets["occurrence"].shape == (3, preprocessing.output_rows, 2) == (3, 5, 2)
    assert targets["occurrence"][..., 1].tolist() == [
        [1, 0, 0, 0, 0],
        [1, 1, 1, 1, 0],
        [1, 1, 1, 1, 1],
    ]
    assert np.array_equal(targets["intensity"][..., 1], targets["value"][..., 1])


def test_missing_profile_is_hidden_to_a_network_trained_on_outages_alone() -> None:
    curtain = make_curtain(np.full((5, ROWS), -10, dtype=np.float32))
    lost = curtain.assign(
        reflectivity=curtain["reflectivity"].where(curtain["time"] != curtain["time"][2]),
        detection_status=curtain["detection_status"].where(
            curtain["time"] != curtain["time"][2], NO_DATA
        ),
    )
    trained = make_preprocessing(outages=True, channels=(*CHANNELS, "echo_share_2min"))
    found = trained.encode_input(lost)
    assert (found[2, :, 0] == -1).all()
    assert (found[2, :, 1] == 1).all()
    assert (found[:, :, 3] == 1).all()  # of what was looked at within a minute, all is echo
    untrained = make_preprocessing().encode_input(lost)
    assert (untrained[2, HIDDEN + 1 :, 1] == 0).all()
    # It never looks like clear sky: the profile before it stands in.
    assert np.array_equal(untrained[2, :, 0], untrained[1, :, 0])
    assert (untrained[2, :, 0] > -0.5).all()


def test_pixel_without_data_is_as_the_next_one_above_and_not_clear() -> None:
    dbz = np.tile(np.arange(ROWS, dtype=np.float32), (3, 1))  # the row's number in dBZ
    status = np.full(dbz.shape, ECHO)
    status[1, 5] = NO_DATA
    dbz[1, 5] = np.nan
    preprocessing = make_preprocessing()
    found = preprocessing.encode_input(make_curtain(dbz, status))
    restored = preprocessing.scaling.restore(found[..., 0])
    np.testing.assert_allclose(restored[1], [3, 3, 3, 3, 4, 6, 6, 7], atol=1e-5)
    # This network knows the blind zone alone; one trained on outages is also told of the pixel.
    assert found[1, 5, 1] == 0
    told = make_preprocessing(outages=True).encode_input(make_curtain(dbz, status))
    assert told[1, 5, 1] == 1


def test_profiles_own_blind_zone_counts_and_a_network_of_one_depth_hides_at_least_that() -> None:
    curtain = make_curtain(np.full((3, ROWS), -10, dtype=np.float32))
    curtain = curtain.assign_coords(blind_zone_top=("time", [200.0, 500.0, np.nan]))
    single, many = make_preprocessing(), make_preprocessing(deepest_m=500.0)
    for preprocessing, depth in ((single, [3, 5, ROWS]), (many, [2, 5, ROWS])):
        profiles = preprocessing.encode_curtain(curtain)
        hidden = preprocessing.find_hidden(profiles)
        assert np.array_equal(hidden, hide_below(np.array(depth), ROWS))


def test_mean_of_a_curtain_repeats_its_lowest_visible_row() -> None:
    preprocessing = make_preprocessing(channels=(*CHANNELS, "echo_share_2min"))
    dbz = np.random.default_rng(0).choice([-10, np.nan], (6, ROWS)).astype(np.float32)
    curtain = make_curtain(dbz)
    profiles = preprocessing.encode_curtain(curtain)
    expected = average_in_time(
        profiles,
        hide_below(np.full(6, HIDDEN), ROWS),
        ("echo_share_2min",),
        preprocessing.scaling,
    )
    assert np.array_equal(preprocessing.encode_input(curtain)[..., 3], expected["echo_share_2min"])


def test_network_for_many_depths_takes_the_sources_own_and_rejects_a_deeper_one() -> None:
    single, many = make_preprocessing(), make_preprocessing(deepest_m=500.0)
    shallow = BlindZone(top_m=200, soft_rows=5)
    assert (single.output_rows, many.output_rows) == (3, 5)
    assert (
        single.fit_zone(shallow, where="here") == single
    )  # it knows one depth, and hides more than need be
    fitted = many.fit_zone(shallow, where="here")
    assert (fitted.hidden_rows, fitted.output_rows, fitted.blind_zone.soft_rows) == (2, 5, 1)
    for preprocessing, deepest in ((single, 300), (many, 500)):
        with pytest.raises(CurtainError, match=rf"^here: .* up to 600 m; .* at most {deepest} m"):
            preprocessing.fit_zone(BlindZone(top_m=600), where="here")
    with pytest.raises(
        CurtainError, match=r"deepest blind zone, 200\.0 m, must not be shallower .* 300\.0 m"
    ):
        make_preprocessing(deepest_m=200.0)


def test_infinite_values_are_rejected_with_their_count() -> None:
    dbz = np.full((3, ROWS), -10, dtype=np.float32)
    dbz[1, 2:4] = np.inf, -np.inf
    curtain = make_curtain(np.full((3, ROWS), np.nan, dtype=np.float32))
    check_finite(curtain, where="station 2021-03-14")
    with pytest.raises(
        CurtainError, match=r"^station 2021-03-14: 2 values of 'reflectivity' are infinite"
    ):
        check_finite(curtain.assign(reflectivity=(DIMS, dbz)), where="station 2021-03-14")


def test_everything_comes_back_through_json() -> None:
    preprocessing = make_preprocessing(
        lowest_trusted_m=234.0,
        scaling=ReflectivityScaling(lowest_dbz=-50.0),
        window_profiles=64,
        channels=ALL_CHANNELS,
        channel_scalings=ChannelScalings(temperature=LinearScaling(lowest=200, highest=310)),
        deepest_m=500.0,
        outages=True,
    )
    assert Preprocessing.from_dict(json.loads(json.dumps(preprocessing.to_dict()))) == preprocessing


def test_record_of_the_shipped_network_is_written_as_it_was_read() -> None:
    text = (
        '{"grid": {"rows": 128, "row_depth_m": 78.125}, "blind_zone": {"top_m": 1250.0, '
        '"soft_rows": 5}, "floor_dbz": -30.0, "lowest_trusted_m": 234.0, "scaling": '
        '{"lowest_dbz": -60.0, "highest_dbz": 30.0, "lowest_unit": -0.5, "highest_unit": '
        '1.0, "clear_unit": -1.0}, "window_profiles": 256, "channels": ["reflectivity", '
        '"soft_mask", "height", "doppler_velocity"], "channel_scalings": '
        '{"doppler_velocity": {"lowest": -10.0, "highest": 10.0}, '
        '"attenuated_backscatter": {"lowest": -8.0, "highest": -3.0}, "temperature": '
        '{"lowest": 180.0, "highest": 300.0}, "specific_humidity": {"lowest": 5.7e-08, '
        '"highest": 0.0115}, "eastward_wind": {"lowest": -30.0, "highest": 30.0}, '
        '"northward_wind": {"lowest": -30.0, "highest": 30.0}}, "deepest_m": null, '
        '"outages": false}'
    )
    assert json.dumps(Preprocessing.from_dict(json.loads(text)).to_dict()) == text


def test_reading_leaves_the_content_alone() -> None:
    content = make_preprocessing().to_dict()
    Preprocessing.from_dict(content)
    assert content == make_preprocessing().to_dict()


def test_checkpoint_of_an_earlier_version_encodes_as_it_did() -> None:
    preprocessing = make_preprocessing()
    content = json.loads(json.dumps(preprocessing.to_dict()))
    for name in ("channel_scalings", "deepest_m", "outages"):
        del content[name]
    assert content["channels"] == ["reflectivity", "soft_mask", "height"]
    assert Preprocessing.from_dict(content) == preprocessing


@pytest.mark.parametrize(
    "channels",
    [
        ("reflectivity", "soft_mask", "pressure"),
        ("reflectivity", "soft_mask", "reflectivity_mean_0min"),
        ("reflectivity", "soft_mask", "height", "height"),
        ("soft_mask", "reflectivity"),
        ("reflectivity", "height"),
        (),
    ],
    ids=["unknown", "mean over nothing", "twice", "wrong order", "no mask", "none"],
)
def test_channels_that_cannot_be_made_are_rejected(channels: tuple[str, ...]) -> None:
    content = make_preprocessing().to_dict() | {"channels": list(channels)}
    with pytest.raises(
        CurtainError,
        match=r"found the channels .*; this version makes reflectivity, soft_mask",
    ):
        Preprocessing.from_dict(content)


@pytest.mark.parametrize(
    "change",
    [
        {"grid": {"layers": 3}},
        {"grid": None},
        {"pressure": 1},
        {"floor_dbz": None, "scaling": 7},
        {"channel_scalings": {"pressure": {"lowest": 0, "highest": 1}}},
        {"channel_scalings": [1]},
    ],
    ids=[
        "unknown key inside",
        "no mapping",
        "unknown key",
        "a number for a mapping",
        "unknown range",
        "a list",
    ],
)
def test_content_of_another_kind_is_rejected(change: dict[str, Any]) -> None:
    with pytest.raises(CurtainError, match=r"^the checkpoint's preprocessing: "):
        Preprocessing.from_dict(make_preprocessing().to_dict() | change)


def test_content_that_lacks_a_part_is_rejected() -> None:
    content = make_preprocessing().to_dict()
    del content["blind_zone"]
    with pytest.raises(CurtainError, match="blind_zone: this key is missing"):
        Preprocessing.from_dict(content)


def test_height_along_a_track_is_that_above_the_surface_of_lowered_layers_too() -> None:
    curtain = make_curtain(np.full((2, ROWS), -10, dtype=np.float32))
    lowered = curtain.assign_coords(layer_bottom=("time", [0.0, 200.0]))
    along = make_preprocessing(profile_spacing_m=1000.0)
    # Eight rows of 100 m: the first centre is at 50 / 800.
    assert along.encode_input(lowered)[:, 0, 2].tolist() == [0.0625, 0.3125]
    assert make_preprocessing().encode_input(lowered)[:, 0, 2].tolist() == [0.0625, 0.0625]


def make_repairing(**changes: Any) -> Preprocessing:
    """Preprocessing of a network that repairs outages and lines, and knows how deep holes are."""
    channels = (*CHANNELS, HOLE_DISTANCE)
    return make_preprocessing(holes=("outages", "lines"), channels=channels, **changes)


def test_network_that_repairs_gets_a_guess_in_holes_and_predicts_all_rows() -> None:
    preprocessing = make_repairing(blind_zone=BlindZone(top_m=300, soft_rows=0))
    # 0 dBZ is 0.5 units, 12 dBZ 0.7: half way in time between them is 0.6.
    dbz = np.repeat(np.array([[0.0], [np.nan], [12.0]], dtype=np.float32), ROWS, axis=1)
    status = np.full(dbz.shape, ECHO)
    status[1] = NO_DATA
    profiles = preprocessing.encode_curtain(make_curtain(dbz, status))
    hidden = preprocessing.find_hidden(profiles)
    assert hidden.tolist() == [[False] * ROWS, [True] * ROWS, [False] * ROWS]
    reflectivity, mask, _, distance = np.moveaxis(
        preprocessing.encode_profiles(profiles, hidden), -1, 0
    )
    assert np.allclose(reflectivity, [[0.5] * ROWS, [0.6] * ROWS, [0.7] * ROWS])
    assert mask[:, 0].tolist() == [0, 1, 0]
    # log2(1 + 1) / 8
    assert distance[:, 0].tolist() == [0, 0.125, 0]
    assert preprocessing.encode_targets(profiles, hidden)["value"].shape == (3, ROWS, 2)


def test_curtain_that_is_all_hole_is_clear_hidden_and_far_from_all_data() -> None:
    preprocessing = make_repairing()
    dbz = np.full((2, ROWS), np.nan, dtype=np.float32)
    encoded = preprocessing.encode_input(make_curtain(dbz, np.full(dbz.shape, NO_DATA)))
    assert np.unique(encoded[..., [0, 1, 3]].reshape(-1, 3), axis=0).tolist() == [[-1, 1, 1]]


def test_only_holes_with_truth_are_targets() -> None:
    preprocessing = make_repairing()
    status = np.full((2, ROWS), ECHO)
    status[0, 5], status[:, 0] = NO_DATA, UNTRUSTED
    profiles = preprocessing.encode_curtain(make_curtain(np.zeros((2, ROWS)), status))
    hidden = preprocessing.find_hidden(profiles)
    hidden[1] = True
    counted = preprocessing.encode_targets(profiles, hidden)["occurrence"][..., 1]
    assert counted.tolist() == [[0] * ROWS, [0] + [1] * (ROWS - 1)]


def test_kinds_of_holes_are_kept_and_left_out_where_there_are_none() -> None:
    assert "holes" not in make_preprocessing().to_dict()
    repairing = make_repairing()
    assert Preprocessing.from_dict(json.loads(json.dumps(repairing.to_dict()))) == repairing


def test_blind_zone_is_hidden_by_default_only_from_a_network_that_repairs_it() -> None:
    curtain = make_curtain(np.zeros((1, ROWS), dtype=np.float32))
    for holes, depth in ((("outages",), 0), (("outages", "zone"), HIDDEN)):
        preprocessing = make_preprocessing(holes=holes)
        profiles = preprocessing.encode_curtain(curtain)
        assert preprocessing.find_hidden(profiles).sum() == depth
