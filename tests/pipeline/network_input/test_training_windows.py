"""Training windows: where they come from, what fixes their sequence, and when there are none."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from blindzone.core.errors import ArchiveError, CurtainError, WindowError
from blindzone.core.example import Example
from blindzone.pipeline.archive import Archive, FileRecord
from blindzone.pipeline.catalog.catalog import read_catalog
from blindzone.pipeline.curtains.blind_zone import BlindZone, ZoneVariation
from blindzone.pipeline.curtains.curtain import DetectionStatus
from blindzone.pipeline.curtains.gridding import Grid
from blindzone.pipeline.network_input.preprocessing import CHANNELS, Preprocessing
from blindzone.pipeline.network_input.training_windows import (
    LEAST_ECHO_SHARE,
    PooledWindows,
    WindowConfig,
    WindowSampler,
)

FIRST = date(2021, 3, 14)
ROWS, HIDDEN, WIDTH = 16, 4, 32
DIMS = ("time", "height")
PREPROCESSING = Preprocessing(
    grid=Grid(rows=ROWS),
    blind_zone=BlindZone(top_m=312.5, soft_rows=2),
    floor_dbz=-30.0,
    window_profiles=WIDTH,
)

WriteDays = Callable[..., WindowSampler]


def write_days(
    root: Path,
    curtains: list[xr.Dataset],
    preprocessing: Preprocessing = PREPROCESSING,
    **settings: Any,
) -> WindowSampler:
    """Archives curtains as consecutive days and returns their sampler."""
    archive = Archive(root)
    days = tuple(FIRST + timedelta(days=number) for number in range(len(curtains)))
    for day, curtain in zip(days, curtains, strict=True):
        archive.upsert("station", day, {FileRecord(name="a.nc", size=1, sha256=""): curtain}, {})
    return WindowSampler(archive, "station", days, preprocessing, **settings)


def number_profiles(curtain: xr.Dataset, *, offset: int = 0) -> xr.Dataset:
    """Echo everywhere, its reflectivity telling the profile: -20 dBZ and 0.01 dB more a profile."""
    profiles = curtain.sizes["time"]
    dbz = np.broadcast_to(
        -20 + 0.01 * (offset + np.arange(profiles))[:, None], curtain["reflectivity"].shape
    )
    status = np.full(curtain["reflectivity"].shape, DetectionStatus.ECHO, dtype=np.int8)
    return curtain.assign(
        reflectivity=(DIMS, dbz.astype(np.float32)), detection_status=(DIMS, status)
    )


def profiles_of(example: Example) -> np.ndarray:
    """The profile number of each column, read off the top row."""
    dbz = PREPROCESSING.scaling.unscale(example[0][-1, :, 0])
    return np.round((dbz + 20) / 0.01).astype(int)


def test_windows_have_the_networks_shape_and_order(
    tmp_path: Path, make_curtain: Callable[..., xr.Dataset]
) -> None:
    inputs, targets = next(write_days(tmp_path, [make_curtain()]).draw(0))
    assert inputs.shape == (ROWS, WIDTH, 3)
    assert {name: values.shape for name, values in targets.items()} == {
        "occurrence": (HIDDEN, WIDTH, 2),
        "intensity": (HIDDEN, WIDTH, 2),
        "value": (HIDDEN, WIDTH, 2),
    }
    assert {inputs.dtype, *(values.dtype for values in targets.values())} == {np.dtype(np.float32)}


def test_windows_are_whole_consecutive_and_from_everywhere(
    tmp_path: Path, make_curtain: Callable[..., xr.Dataset]
) -> None:
    sampler = write_days(
        tmp_path,
        [
            number_profiles(make_curtain(FIRST, profiles=40)),
            number_profiles(make_curtain(FIRST + timedelta(days=1), profiles=WIDTH), offset=1000),
        ],
    )
    starts = set()
    for example in islice(sampler.draw(1), 400):
        numbers = profiles_of(example)
        forward = numbers if numbers[0] < numbers[-1] else numbers[::-1]
        assert np.array_equal(forward, forward[0] + np.arange(WIDTH))
        starts.add(int(forward[0]))
    # 40 - 32 + 1 = 9 starts in the first day, one in the second, none across midnight; 400 draws
    # miss none (9/10 of 400 draws elsewhere: 1e-18).
    assert starts == {*range(9), 1000}


def test_seed_fixes_the_sequence(tmp_path: Path, make_curtain: Callable[..., xr.Dataset]) -> None:
    sampler = write_days(tmp_path, [make_curtain()])
    first, again, other = (sampler.draw_fixed(6, seed) for seed in (5, 5, 6))
    for one, two in zip(first, again, strict=True):
        assert np.array_equal(one[0], two[0])
        assert all(np.array_equal(one[1][name], two[1][name]) for name in one[1])
    assert any(not np.array_equal(one[0], two[0]) for one, two in zip(first, other, strict=True))
    assert all(
        np.array_equal(one[0], two[0])
        for one, two in zip(first, islice(sampler.draw(5), len(first)), strict=True)
    )


def test_half_of_the_windows_are_reversed_in_time_with_their_answers(
    tmp_path: Path, make_curtain: Callable[..., xr.Dataset]
) -> None:
    curtain = number_profiles(make_curtain())
    status = curtain["detection_status"].values.copy()
    status[::3, 1] = (
        DetectionStatus.UNTRUSTED
    )  # every third profile, so that the mask tells forward from backward
    sampler = write_days(tmp_path, [curtain.assign(detection_status=(DIMS, status))])
    reversed_count = 0
    for example in sampler.draw_fixed(400, seed=0):
        numbers = profiles_of(example)
        reversed_count += int(numbers[0] > numbers[-1])
        # The hidden truth of a column is that of its own profile: the same reflectivity in every
        # row.
        answered = PREPROCESSING.scaling.unscale(example[1]["intensity"][1, :, 0])
        assert np.array_equal(np.round((answered + 20) / 0.01).astype(int), numbers)
        assert np.array_equal(example[1]["occurrence"][1, :, 1] == 0, numbers % 3 == 0)
    # 200 of 400, give or take four standard deviations of 10.
    assert 160 <= reversed_count <= 240


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_share_of_clear_windows_is_as_asked(
    share: float, tmp_path: Path, make_curtain: Callable[..., xr.Dataset]
) -> None:
    clear = make_curtain(FIRST + timedelta(days=1), cloudy=False)
    sampler = write_days(
        tmp_path, [number_profiles(make_curtain()), clear], config=WindowConfig(clear_share=share)
    )
    drawn = [bool((example[0][..., 0] == -1).all()) for example in sampler.draw_fixed(400, seed=3)]
    # Four standard deviations of a share of 400: 4 sqrt(0.25 * 0.75 / 400) = 0.087.
    assert np.mean(drawn) == pytest.approx(share, abs=0.09 if 0 < share < 1 else 0)


def test_window_is_cloudy_from_the_least_share_of_echo_profiles_on(
    tmp_path: Path, make_curtain: Callable[..., xr.Dataset]
) -> None:
    # 5 % of 32 profiles are 1.6: a window needs two profiles with echo. They are profiles 50 and
    # 51, so the windows that begin at 20 (it ends with 51) to 50 are cloudy; all others are clear.
    assert LEAST_ECHO_SHARE == 0.05
    clear = make_curtain(cloudy=False)
    dbz, status = clear["reflectivity"].values.copy(), clear["detection_status"].values.copy()
    dbz[50:52, 8], status[50:52, 8] = -10, DetectionStatus.ECHO
    sampler = write_days(
        tmp_path,
        [clear.assign(reflectivity=(DIMS, dbz), detection_status=(DIMS, status))],
        config=WindowConfig(clear_share=0.0),
    )
    starts = set()
    for inputs, _ in sampler.draw_fixed(300, seed=0):
        columns = np.flatnonzero(inputs[8, :, 0] != -1)
        assert columns.size == 2
        starts.add(int(columns[0]))
    # Profile 50 stands in column 30 (start 20) ... 0 (start 50), and in a reversed window in the
    # mirrored one.
    assert starts == set(range(31))


def test_echo_below_the_floor_makes_no_cloud(
    tmp_path: Path, make_curtain: Callable[..., xr.Dataset]
) -> None:
    faint = make_curtain()
    faint = faint.assign(
        reflectivity=faint["reflectivity"].where(faint["reflectivity"].isnull(), np.float32(-35))
    )
    with pytest.raises(
        WindowError, match=r"none of 1 days holds a window with echo above -30\.0 dBZ"
    ):
        write_days(tmp_path, [faint])


def test_all_clear_days_are_rejected(
    tmp_path: Path, make_curtain: Callable[..., xr.Dataset]
) -> None:
    with pytest.raises(
        WindowError, match=r"^station: none of 1 days holds a window with echo.*clear sky alone"
    ):
        write_days(tmp_path, [make_curtain(cloudy=False)])


def test_days_shorter_than_a_window_are_rejected_and_passed_over_beside_longer_ones(
    tmp_path: Path, make_curtain: Callable[..., xr.Dataset]
) -> None:
    short = make_curtain(profiles=WIDTH - 1)
    with pytest.raises(
        WindowError, match=r"^station: none of 1 days holds 32 profiles, one window of the network"
    ):
        write_days(tmp_path / "short", [short])
    longer = number_profiles(make_curtain(FIRST + timedelta(days=1), profiles=WIDTH), offset=1000)
    sampler = write_days(tmp_path / "both", [short, longer])
    assert {int(profiles_of(example).min()) for example in sampler.draw_fixed(20, seed=0)} == {1000}


def test_no_day_at_all_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(WindowError, match="none of 0 days"):
        write_days(tmp_path, [])


def test_day_that_is_not_archived_is_rejected(
    tmp_path: Path, make_curtain: Callable[..., xr.Dataset]
) -> None:
    archive = Archive(tmp_path)
    archive.upsert(
        "station", FIRST, {FileRecord(name="a.nc", size=1, sha256=""): make_curtain()}, {}
    )
    with pytest.raises(ArchiveError, match="no station for 2021-04-01; it holds 1 days"):
        WindowSampler(archive, "station", (FIRST, date(2021, 4, 1)), PREPROCESSING)


def test_hidden_truth_never_gets_into_what_is_shown(
    tmp_path: Path, make_curtain: Callable[..., xr.Dataset]
) -> None:
    curtain = make_curtain()
    dbz = curtain["reflectivity"].values.copy()
    echo = np.isfinite(dbz[:, :HIDDEN])
    # Other echo of other strength in the hidden rows, all of it where there was echo: the same
    # windows are cloudy.
    dbz[:, :HIDDEN] = np.where(echo, 20 - dbz[:, :HIDDEN], np.nan)
    first = write_days(tmp_path / "first", [curtain])
    second = write_days(tmp_path / "second", [curtain.assign(reflectivity=(DIMS, dbz))])
    answers_differ = False
    for one, two in zip(first.draw_fixed(30, seed=0), second.draw_fixed(30, seed=0), strict=True):
        assert np.array_equal(one[0], two[0])
        answers_differ |= not np.array_equal(one[1]["intensity"], two[1]["intensity"])
    assert answers_differ


def test_untrusted_row_is_masked_in_the_answer(
    tmp_path: Path, make_curtain: Callable[..., xr.Dataset]
) -> None:
    # The synthetic curtain's row 0 is untrusted, rows 1 to 3 are not.
    _, targets = next(write_days(tmp_path, [make_curtain()]).draw(0))
    assert (targets["occurrence"][0, :, 1] == 0).all()
    assert (targets["occurrence"][1:, :, 1] == 1).all()
    assert (targets["intensity"][0, :, 1] == 0).all()


def test_day_that_vanishes_while_it_is_read_is_no_clear_sky(
    tmp_path: Path, make_curtain: Callable[..., xr.Dataset]
) -> None:
    windows = write_days(tmp_path, [make_curtain()], memory_bytes=0).draw(0)
    next(windows)
    shutil.rmtree(tmp_path / "station" / "stores")
    with pytest.raises(WindowError, match=r"the day was replaced or removed while it was read"):
        next(windows)


EVERYTHING = WindowConfig(
    shallow_share=0.3,
    virga_share=0.2,
    fainter_db=5.0,
    channel_dropout=0.4,
    zone=ZoneVariation(
        random_depth_share=0.5,
        shallowest_m=100,
        deepest_m=500,
        ragged_share=0.3,
        terrain_share=0.3,
        outage_share=0.3,
    ),
)
ALL_CHANNELS = (
    *CHANNELS,
    "doppler_velocity",
    "temperature",
    "reflectivity_mean_2min",
    "echo_share_5min",
)


def assert_same(one: list[Example], two: list[Example], *, atol: float = 0.0) -> None:
    for (inputs, targets), (other_shown, other_answer) in zip(one, two, strict=True):
        np.testing.assert_allclose(inputs, other_shown, rtol=0, atol=atol)
        assert set(targets) == set(other_answer)
        assert all(np.array_equal(targets[name], other_answer[name]) for name in targets)


def add_state(curtain: xr.Dataset) -> xr.Dataset:
    """The curtain with a temperature that tells the profile."""
    kelvin = 200 + 0.1 * np.arange(curtain.sizes["time"], dtype=np.float32)
    return curtain.assign(
        temperature=(DIMS, np.repeat(kelvin[:, None], curtain.sizes["height"], axis=1))
    )


def make_scene(curtain: xr.Dataset, *, columns: slice, rows: slice) -> xr.Dataset:
    """A clear curtain but for echo of -10 dBZ in some rows of some profiles."""
    dbz = np.full(curtain["reflectivity"].shape, np.nan, dtype=np.float32)
    dbz[columns, rows] = -10
    status = np.where(np.isfinite(dbz), DetectionStatus.ECHO, DetectionStatus.NO_ECHO).astype(
        np.int8
    )
    return curtain.assign(reflectivity=(DIMS, dbz), detection_status=(DIMS, status))


def test_a_window_depends_on_seed_and_number_alone(
    tmp_path: Path, make_curtain: Callable[..., xr.Dataset]
) -> None:
    sampler = write_days(
        tmp_path, [make_curtain()], EVERYTHING.prepare(PREPROCESSING), config=EVERYTHING
    )
    from_start = list(islice(sampler.draw(3), 8))
    assert_same(from_start[5:], list(islice(sampler.draw(3, first=5), 3)))


@pytest.mark.parametrize("config", [WindowConfig(), EVERYTHING], ids=["plain", "everything"])
def test_days_held_in_memory_and_days_read_give_the_same_windows(
    config: WindowConfig, tmp_path: Path, make_curtain: Callable[..., xr.Dataset]
) -> None:
    curtains = [add_state(make_curtain(FIRST + timedelta(days=day), seed=day)) for day in range(2)]
    preprocessing = config.prepare(replace(PREPROCESSING, channels=ALL_CHANNELS))
    held = write_days(tmp_path / "held", curtains, preprocessing, config=config)
    size = held._days[0].profiles.nbytes  # type: ignore[union-attr]
    mixed = write_days(
        tmp_path / "mixed", curtains, preprocessing, config=config, memory_bytes=size
    )
    read = write_days(tmp_path / "read", curtains, preprocessing, config=config, memory_bytes=0)
    assert [[day.profiles is not None for day in s._days] for s in (held, mixed, read)] == [
        [True, True],
        [True, False],
        [False, False],
    ]
    # Running sums from another first profile on round otherwise.
    for other in (mixed, read):
        assert_same(held.draw_fixed(40, seed=1), other.draw_fixed(40, seed=1), atol=1e-6)


def test_time_context_of_a_window_knows_what_lies_around_it(
    tmp_path: Path, make_curtain: Callable[..., xr.Dataset]
) -> None:
    # Echo in profiles 100 to 139 alone: clear windows beside it show a share of echo within five
    # minutes.
    curtain = make_scene(make_curtain(), columns=slice(100, 140), rows=slice(4, 9))
    preprocessing = replace(PREPROCESSING, channels=(*CHANNELS, "echo_share_5min"))
    whole = preprocessing.encode_input(curtain)
    possible = {whole[n : n + WIDTH].swapaxes(0, 1).tobytes() for n in range(300 - WIDTH + 1)}
    sampler = write_days(
        tmp_path, [curtain], preprocessing, config=WindowConfig(clear_share=1.0, flip_share=0.0)
    )
    told = 0
    for inputs, _ in sampler.draw_fixed(60, seed=0):
        assert inputs.tobytes() in possible
        told += (inputs[..., 0] == -1).all() and (inputs[..., 3] > 0).any()
    assert told > 0


@pytest.mark.parametrize(
    ("rows", "config", "share"),
    [
        (slice(1, 4), WindowConfig(clear_share=0, shallow_share=0.5), 0.5),
        (slice(4, 8), WindowConfig(clear_share=0, virga_share=0.5), 0.5),
        (
            slice(0, 1),
            WindowConfig(clear_share=0, shallow_share=0.5),
            0.0,
        ),  # the lowest row is untrusted
        (
            slice(3, 5),
            WindowConfig(clear_share=0, shallow_share=0.3, virga_share=0.3),
            0.0,
        ),  # neither of both
        (slice(8, 12), WindowConfig(clear_share=0, shallow_share=0.3, virga_share=0.3), 0.0),
    ],
    ids=["shallow", "virga", "untrusted", "through the top", "far above"],
)
def test_scenes_are_drawn_as_often_as_asked(
    rows: slice,
    config: WindowConfig,
    share: float,
    tmp_path: Path,
    make_curtain: Callable[..., xr.Dataset],
) -> None:
    # One day with echo in all rows of all profiles; one with four profiles of the scene, of which
    # two or more make a window with echo: 33 starts of 538. Of windows that are not drawn for the
    # scene, 6 % hold it nevertheless.
    scene = make_scene(make_curtain(FIRST + timedelta(days=1)), columns=slice(100, 104), rows=rows)
    status = scene["detection_status"].values.copy()
    status[:, 0] = DetectionStatus.UNTRUSTED
    scene = scene.assign(detection_status=(DIMS, status))
    sampler = write_days(tmp_path, [number_profiles(make_curtain()), scene], config=config)
    found = []
    for inputs, targets in sampler.draw_fixed(400, seed=0):
        echo = np.concatenate([targets["occurrence"][..., 0], inputs[HIDDEN:, :, 0] > -1]).any(
            axis=0
        )
        found.append(not echo.all() and echo.any())
    # Four standard deviations: 4 sqrt(0.53 * 0.47 / 400) = 0.1.
    assert np.mean(found) == pytest.approx(share + (1 - share) * 33 / 538, abs=0.1)


def test_scene_lies_anywhere_in_its_window(
    tmp_path: Path, make_curtain: Callable[..., xr.Dataset]
) -> None:
    scene = make_scene(make_curtain(), columns=slice(100, 102), rows=slice(1, 4))
    config = WindowConfig(clear_share=0, shallow_share=1, flip_share=0)
    columns = set()
    for _, targets in write_days(tmp_path, [scene], config=config).draw_fixed(400, seed=0):
        columns.add(int(np.flatnonzero(targets["occurrence"][1, :, 0])[0]))
    # The first of its two profiles stands in column 0 to 31, or is cut off with the second in
    # column 0; each of 33 places is missed by 400 draws once in 1e5.
    assert columns == set(range(WIDTH))


def test_group_of_channels_is_dropped_whole_with_its_presence(
    tmp_path: Path, make_curtain: Callable[..., xr.Dataset]
) -> None:
    preprocessing = replace(
        PREPROCESSING, channels=(*CHANNELS, "doppler_velocity", "temperature", "eastward_wind")
    )
    curtain = add_state(make_curtain()).assign(eastward_wind=lambda c: c["temperature"] - 200)
    sampler = write_days(
        tmp_path, [curtain], preprocessing, config=WindowConfig(channel_dropout=0.3)
    )
    names = preprocessing.channel_names
    present = np.array(
        [
            [
                inputs[..., names.index(f"{name}_present")].any()
                for name in ("doppler_velocity", "temperature")
            ]
            for inputs, _ in sampler.draw_fixed(400, seed=0)
        ]
    )
    # Four standard deviations: 4 sqrt(0.3 * 0.7 / 400) = 0.092; velocity and state fall out
    # independently.
    assert present.mean(axis=0) == pytest.approx([0.7, 0.7], abs=0.092)
    assert (~present).all(axis=1).mean() == pytest.approx(0.09, abs=0.06)
    for inputs, _ in sampler.draw_fixed(30, seed=1):
        temperature, wind = (
            inputs[..., names.index(f"{name}_present")] for name in ("temperature", "eastward_wind")
        )
        assert np.array_equal(temperature, wind)
        assert (temperature.any()) == (inputs[..., names.index("temperature")] > -1).any()


def test_mask_of_the_answer_is_one_just_where_the_soft_mask_says_hidden_and_truth_is_trusted(
    tmp_path: Path, make_curtain: Callable[..., xr.Dataset]
) -> None:
    preprocessing = EVERYTHING.prepare(PREPROCESSING)
    sampler = write_days(
        tmp_path, [number_profiles(make_curtain())], preprocessing, config=EVERYTHING
    )
    depths, outages = set(), 0
    for inputs, targets in sampler.draw_fixed(60, seed=0):
        # Rows of 78.125 m: 7 of them begin below 500 m.
        assert targets["occurrence"].shape == (7, WIDTH, 2)
        for values in targets.values():
            assert np.array_equal(values[..., 1] == 1, inputs[:7, :, 1] == 1)
        depths |= set((inputs[..., 1] == 1).sum(axis=0).tolist())
        outages += bool((inputs[..., 1] == 1).all(axis=0).any())
    # Jumps of a ragged top lead down to a single row; missing profiles hide all of them.
    assert depths == {1, 2, 3, 4, 5, 6, 7, ROWS}
    assert outages > 0


def test_preprocessing_that_does_not_know_of_deeper_zones_is_rejected(
    tmp_path: Path, make_curtain: Callable[..., xr.Dataset]
) -> None:
    with pytest.raises(WindowError, match="does not fit how the windows' blind zone varies"):
        write_days(tmp_path, [make_curtain()], config=EVERYTHING)


def test_validation_windows_of_a_network_for_many_depths_have_the_zone_itself(
    tmp_path: Path, make_curtain: Callable[..., xr.Dataset]
) -> None:
    sampler = write_days(tmp_path, [make_curtain()], EVERYTHING.prepare(PREPROCESSING))
    for inputs, targets in sampler.draw_fixed(5, seed=0):
        assert ((inputs[..., 1] == 1).sum(axis=0) == HIDDEN).all()
        assert (targets["occurrence"][HIDDEN:, :, 1] == 0).all()


def test_partners_bring_their_fields(
    tmp_path: Path, make_curtain: Callable[..., xr.Dataset], catalog_file: Path
) -> None:
    archive, day = Archive(tmp_path), FIRST
    radar, state = make_curtain(day), add_state(make_curtain(day))[["temperature"]]
    archive.upsert("arm_kazr_sgp", day, {FileRecord(name="a.nc", size=1, sha256=""): radar}, {})
    archive.upsert("sonde_sgp", day, {FileRecord(name="b.nc", size=1, sha256=""): state}, {})
    preprocessing = replace(PREPROCESSING, channels=(*CHANNELS, "temperature"))
    for settings in ({}, {"memory_bytes": 0}):
        sampler = WindowSampler(
            archive,
            "arm_kazr_sgp",
            (day,),
            preprocessing,
            catalog=read_catalog(catalog_file),
            **settings,
        )
        inputs, _ = next(sampler.draw(0))
        assert (inputs[..., 4] == 1).all()
        # 0.1 K a profile of 120 K, that become 1.5 units.
        steps = np.diff(inputs[5, :, 3])
        assert np.abs(steps) == pytest.approx(0.1 * 1.5 / 120, abs=1e-5)
    alone = WindowSampler(archive, "arm_kazr_sgp", (day,), preprocessing)
    assert (next(alone.draw(0))[0][..., 4] == 0).all()


def test_day_with_infinite_values_is_named_with_their_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_curtain: Callable[..., xr.Dataset]
) -> None:
    curtain = make_curtain()
    sampler = write_days(tmp_path, [curtain])
    broken = curtain.assign(
        reflectivity=curtain["reflectivity"].where(curtain["reflectivity"] < 4, np.inf)
    )
    count = int(np.isinf(broken["reflectivity"]).sum())
    # The archive takes no such curtain, so it is put in its way out.
    monkeypatch.setattr(Archive, "open_day", lambda self, source, day: broken)
    with pytest.raises(
        CurtainError, match=rf"^station 2021-03-14: {count} values of 'reflectivity' are infinite"
    ):
        WindowSampler(sampler._archive, "station", (FIRST,), PREPROCESSING)


@pytest.mark.parametrize(
    "settings",
    [{"clear_share": -0.1}, {"flip_share": 2.0}, {"clear_share": 0.5, "shallow_share": 0.6}],
)
def test_shares_that_cannot_be_are_rejected(settings: dict[str, float]) -> None:
    with pytest.raises(
        WindowError, match=r"^windows: .*(together at most 1; found|_share: should be)"
    ):
        WindowConfig(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "settings",
    [
        {"lowered_m": -1.0},
        {"raised_m": float("inf")},
        {"fainter_db": -2.0},
        {"brighter_db": float("nan")},
    ],
)
def test_shifts_and_offsets_that_cannot_be_are_rejected(settings: dict[str, float]) -> None:
    with pytest.raises(WindowError, match=r"^windows: \w+: should be (greater|a finite)"):
        WindowConfig(**settings)


def test_atmosphere_is_moved_and_what_comes_in_counts_nowhere(
    tmp_path: Path, make_curtain: Callable[..., xr.Dataset]
) -> None:
    curtain = make_curtain(profiles=WIDTH)
    by_row = np.broadcast_to(-20.0 + np.arange(ROWS), (WIDTH, ROWS)).astype(
        np.float32
    )  # 1 dB more a row
    status = np.full((WIDTH, ROWS), DetectionStatus.ECHO, dtype=np.int8)
    curtain = curtain.assign(reflectivity=(DIMS, by_row), detection_status=(DIMS, status))
    # Up to two rows of 78.125 m down, one up.
    config = WindowConfig(shift_share=1.0, lowered_m=170.0, raised_m=80.0, clear_share=0.0)
    sampler = write_days(tmp_path, [curtain], config=config)
    seen = set()
    for inputs, targets in sampler.draw_fixed(40, seed=0):
        lowest_visible = PREPROCESSING.scaling.unscale(inputs[HIDDEN, 0, 0])
        moved = HIDDEN - round(
            float(lowest_visible) + 20
        )  # the row that now stands there came from below if positive
        seen.add(moved)
        rows = np.arange(max(moved, 0), HIDDEN)
        truth = PREPROCESSING.scaling.unscale(targets["intensity"][rows, 0, 0])
        assert truth == pytest.approx(-20.0 + rows - moved, abs=1e-4)
        assert (targets["occurrence"][:, :, 1] == (np.arange(HIDDEN) >= moved)[:, None]).all()
        assert (inputs[ROWS + min(moved, 0) :, :, 0] == -1).all()
    assert seen == {-2, -1, 0, 1}


def test_echo_is_made_fainter_and_brighter_everywhere_and_sinks_to_the_floor(
    tmp_path: Path, make_curtain: Callable[..., xr.Dataset]
) -> None:
    curtain = make_curtain(profiles=WIDTH)
    by_row = np.broadcast_to(-27.0 + 2 * np.arange(ROWS), (WIDTH, ROWS)).astype(
        np.float32
    )  # -27 to 3 dBZ
    status = np.full((WIDTH, ROWS), DetectionStatus.ECHO, dtype=np.int8)
    velocity = np.full((WIDTH, ROWS), -1.0, dtype=np.float32)
    curtain = curtain.assign(
        reflectivity=(DIMS, by_row),
        detection_status=(DIMS, status),
        doppler_velocity=(DIMS, velocity),
    )
    preprocessing = replace(PREPROCESSING, channels=(*CHANNELS, "doppler_velocity"))
    config = WindowConfig(offset_share=0.9, fainter_db=15.0, brighter_db=2.0, clear_share=0.0)
    sampler = write_days(tmp_path, [curtain], preprocessing, config=config)
    offsets = []
    for inputs, targets in sampler.draw_fixed(60, seed=0):
        top = preprocessing.scaling.unscale(inputs[-1, 0, 0])
        offsets.append(float(top) - 3.0)
        truth = by_row[0, :HIDDEN] + offsets[-1]
        is_echo = truth > -30.0
        assert (targets["occurrence"][:, 0, 0] == is_echo).all()
        assert (
            targets["occurrence"][:, 0, 1] == 1
        ).all()  # clear sky that was looked at is truth too
        assert preprocessing.scaling.unscale(targets["intensity"][is_echo, 0, 0]) == pytest.approx(
            truth[is_echo], abs=1e-3
        )
        visible = by_row[0, HIDDEN:] + offsets[-1] > -30.0
        is_known = inputs[HIDDEN:, 0, 3] > -1  # -1 m/s is above the least unit of velocity
        assert (is_known == visible).all()
        assert (inputs[HIDDEN:, 0, 4] == 1).all()
    assert min(offsets) < -12
    assert max(offsets) > 0.5
    # A tenth of the windows is as it was measured: of 60, between 1 and 15 (binomial, 3 standard
    # deviations of 2.3).
    assert 1 <= sum(abs(offset) < 1e-3 for offset in offsets) <= 15


def test_offsets_and_time_contexts_exclude_each_other(
    tmp_path: Path, make_curtain: Callable[..., xr.Dataset]
) -> None:
    preprocessing = replace(PREPROCESSING, channels=(*CHANNELS, "echo_share_10min"))
    with pytest.raises(WindowError, match=r"offset_share and time contexts .* exclude each other"):
        write_days(
            tmp_path,
            [make_curtain(profiles=WIDTH)],
            preprocessing,
            config=WindowConfig(offset_share=0.5),
        )


def test_configuration_comes_back_through_json() -> None:
    assert WindowConfig.from_dict(json.loads(json.dumps(EVERYTHING.to_dict()))) == EVERYTHING
    assert WindowConfig.from_dict({}) == WindowConfig()
    for content in ({"cloudy_share": 0.5}, {"zone": {"depth": 3}}, {"zone": None}):
        with pytest.raises(WindowError, match=r"^the configuration of windows: "):
            WindowConfig.from_dict(content)


def seen_from_above(curtain: xr.Dataset, lowest: list[int]) -> xr.Dataset:
    """The curtain of a radar that looks down: nothing known below each profile's lowest row."""
    rows = np.array(lowest)
    blind = np.arange(ROWS) < rows[:, None]
    status = np.where(blind, DetectionStatus.NO_DATA, curtain["detection_status"].values)
    dbz = np.where(blind, np.float32(np.nan), curtain["reflectivity"].values)
    return curtain.assign(
        reflectivity=(DIMS, dbz), detection_status=(DIMS, status.astype(np.int8))
    ).assign_coords(
        blind_zone_top=("time", rows * 78.125),
        along_track_distance=("time", 1000.0 * np.arange(len(rows))),
    )


def test_layer_that_is_seen_takes_the_place_of_the_blind_zone(
    tmp_path: Path, make_curtain: Callable[..., xr.Dataset]
) -> None:
    curtain = make_curtain(profiles=WIDTH)
    rows = np.broadcast_to(-20.0 + np.arange(ROWS, dtype=np.float32), (WIDTH, ROWS))
    status = np.full(rows.shape, DetectionStatus.ECHO, dtype=np.int8)
    curtain = curtain.assign(reflectivity=(DIMS, rows), detection_status=(DIMS, status))
    # The highest of all blind zones decides: all profiles are lowered by 5 rows.
    above = seen_from_above(curtain, [3, 5] * (WIDTH // 2))
    sampler = write_days(tmp_path, [above], config=WindowConfig(flip_share=0))
    inputs, targets = next(sampler.draw(0))
    units, counted = targets["value"][..., 0], targets["value"][..., 1]
    assert counted.all()
    expected = PREPROCESSING.scaling.scale(-20.0 + 5 + np.arange(HIDDEN, dtype=np.float32))
    assert np.allclose(units, expected[:, None])
    # Nothing of the layer is shown: it repeats the row above it.
    above_it = PREPROCESSING.scaling.scale(np.float32(-20.0 + 5 + HIDDEN))
    assert np.allclose(inputs[: HIDDEN + 1, :, 0], above_it)
    # What came in at the top holds no data.
    assert (inputs[ROWS - 5 :, :, 0] == PREPROCESSING.scaling.clear_unit).all()


def test_emulated_radar_is_hidden_below_its_own_tops_and_has_truth_there(
    tmp_path: Path, make_curtain: Callable[..., xr.Dataset]
) -> None:
    tops = [2, 4] * (WIDTH // 2)
    curtain = number_profiles(make_curtain(profiles=WIDTH)).assign_coords(
        blind_zone_top=("time", np.array(tops) * 78.125)
    )
    config = WindowConfig(flip_share=0, zone=ZoneVariation(ragged_share=0.5, deepest_m=400.0))
    preprocessing = config.prepare(PREPROCESSING)
    sampler = write_days(tmp_path, [curtain], preprocessing, config=WindowConfig(flip_share=0))
    _, targets = next(sampler.draw(0))
    assert targets["value"][..., 1].sum(axis=0).tolist() == tops


def test_pooled_sources_take_turns(tmp_path: Path, make_curtain: Callable[..., xr.Dataset]) -> None:
    samplers = [
        write_days(tmp_path / name, [number_profiles(make_curtain(), offset=offset)])
        for name, offset in (("a", 0), ("b", 2000))
    ]
    pooled = PooledWindows(samplers)
    found = list(islice(pooled.draw(3), 4))
    for number, example in enumerate(found):
        alone = samplers[number % 2].draw_one(3, number // 2)
        assert np.array_equal(example[0], alone[0])
    assert np.array_equal(next(pooled.draw(3, first=2))[0], found[2][0])
    assert len(pooled.draw_fixed(3, 0)) == 3


def test_pooled_sources_have_their_shares_of_every_stretch_of_windows(
    tmp_path: Path, make_curtain: Callable[..., xr.Dataset]
) -> None:
    samplers = [
        write_days(tmp_path / name, [number_profiles(make_curtain(), offset=offset)])
        for name, offset in (("a", 0), ("b", 2000))
    ]
    pooled = PooledWindows(samplers, [0.75, 0.25])
    alone = [[sampler.draw_one(3, number)[0] for number in range(40)] for sampler in samplers]
    is_second = [
        bool(np.array_equal(example[0], alone[1][number]))
        for number, example in enumerate(islice(pooled.draw(3), 40))
    ]
    for number, second in enumerate(is_second):
        assert np.array_equal(pooled.draw_one(3, number)[0], alone[second][number])
    for first in range(0, 40, 8):
        assert 1 <= sum(is_second[first : first + 8]) <= 3


def test_scenes_chosen_for_their_echo_do_not_teach_what_is_below_a_clear_sky(
    tmp_path: Path, make_curtain: Callable[..., xr.Dataset]
) -> None:
    # Echo in the blind zone everywhere; above it in the second day alone.
    curtains = []
    for number, rows in enumerate((HIDDEN, ROWS)):
        curtain = make_curtain(FIRST + timedelta(days=number), profiles=WIDTH)
        echo = np.broadcast_to(np.arange(ROWS) < rows, (WIDTH, ROWS))
        dbz = np.where(echo, np.float32(-10), np.float32(np.nan))
        status = np.where(echo, DetectionStatus.ECHO, DetectionStatus.NO_ECHO).astype(np.int8)
        curtains.append(curtain.assign(reflectivity=(DIMS, dbz), detection_status=(DIMS, status)))
    for selected in (False, True):
        sampler = write_days(tmp_path / str(selected), curtains, selected_for_echo=selected)
        clear = [(example[0][-1, :, 0] < -0.9).all() for example in sampler.draw_fixed(40, 0)]
        assert any(clear) is not selected


def test_no_window_is_parted_by_a_gap_along_the_track(
    tmp_path: Path, make_curtain: Callable[..., xr.Dataset]
) -> None:
    # Two rays of 1.5 windows; a window that holds the end of the first and the start of the second
    # would mix them.
    length = WIDTH * 3 // 2
    curtain = number_profiles(make_curtain(profiles=2 * length))
    along = 5000.0 * np.arange(2 * length)
    along[length:] += 1e6
    curtain = curtain.assign_coords(along_track_distance=("time", along))
    config = WindowConfig(virga_share=0.4, shallow_share=0.4)
    preprocessing = replace(PREPROCESSING, profile_spacing_m=5000.0)
    sampler = write_days(tmp_path, [curtain], preprocessing, config=config)
    for example in islice(sampler.draw(0), 40):
        numbers = profiles_of(example)
        assert (numbers < length).all() or (numbers >= length).all()
