"""Training windows: where they come from, what fixes their sequence, and when there are none."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from blindzone.pipeline.archive import Archive, FileRecord
from blindzone.pipeline.blind_zone import BlindZone
from blindzone.pipeline.curtain import DetectionStatus
from blindzone.pipeline.errors import ArchiveError, WindowError
from blindzone.pipeline.gridding import Grid
from blindzone.pipeline.preprocessing import Preprocessing
from blindzone.pipeline.windows import LEAST_ECHO_SHARE, Example, WindowSampler

FIRST = date(2021, 3, 14)
ROWS, HIDDEN, WIDTH = 16, 4, 32
DIMS = ("time", "height")
PREPROCESSING = Preprocessing(
    grid=Grid(rows=ROWS), blind_zone=BlindZone(top_m=312.5, soft_rows=2), floor_dbz=-30.0, window_profiles=WIDTH
)

WriteDays = Callable[..., WindowSampler]


def write_days(root: Path, curtains: list[xr.Dataset], **settings: Any) -> WindowSampler:
    """Archives curtains as consecutive days and returns their sampler."""
    archive = Archive(root)
    days = tuple(FIRST + timedelta(days=number) for number in range(len(curtains)))
    for day, curtain in zip(days, curtains, strict=True):
        archive.upsert("station", day, {FileRecord(name="a.nc", size=1, sha256=""): curtain}, {})
    return WindowSampler(archive, "station", days, PREPROCESSING, **settings)


def number_profiles(curtain: xr.Dataset, *, offset: int = 0) -> xr.Dataset:
    """Echo everywhere, its reflectivity telling the profile: -20 dBZ and 0.01 dB more a profile."""
    profiles = curtain.sizes["time"]
    dbz = np.broadcast_to(-20 + 0.01 * (offset + np.arange(profiles))[:, None], curtain["reflectivity"].shape)
    status = np.full(curtain["reflectivity"].shape, DetectionStatus.ECHO, dtype=np.int8)
    return curtain.assign(reflectivity=(DIMS, dbz.astype(np.float32)), detection_status=(DIMS, status))


def profiles_of(example: Example) -> np.ndarray:
    """The profile number of each column, read off the top row."""
    dbz = PREPROCESSING.scaling.unscale(example[0][-1, :, 0])
    return np.round((dbz + 20) / 0.01).astype(int)


def test_windows_have_the_networks_shape_and_order(tmp_path: Path, make_curtain: Callable[..., xr.Dataset]) -> None:
    shown, answer = next(write_days(tmp_path, [make_curtain()]).draw(0))
    assert shown.shape == (ROWS, WIDTH, 3)
    assert {name: values.shape for name, values in answer.items()} == {
        "occurrence": (HIDDEN, WIDTH, 2),
        "intensity": (HIDDEN, WIDTH, 2),
    }
    assert {shown.dtype, *(values.dtype for values in answer.values())} == {np.dtype(np.float32)}


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
    # 40 - 32 + 1 = 9 starts in the first day, one in the second, none across midnight; 400 draws miss none
    # (9/10 of 400 draws elsewhere: 1e-18).
    assert starts == {*range(9), 1000}


def test_seed_fixes_the_sequence(tmp_path: Path, make_curtain: Callable[..., xr.Dataset]) -> None:
    sampler = write_days(tmp_path, [make_curtain()])
    first, again, other = (sampler.draw_fixed(6, seed) for seed in (5, 5, 6))
    for one, two in zip(first, again, strict=True):
        assert np.array_equal(one[0], two[0])
        assert all(np.array_equal(one[1][name], two[1][name]) for name in one[1])
    assert any(not np.array_equal(one[0], two[0]) for one, two in zip(first, other, strict=True))
    assert all(
        np.array_equal(one[0], two[0]) for one, two in zip(first, islice(sampler.draw(5), len(first)), strict=True)
    )


def test_half_of_the_windows_are_reversed_in_time_with_their_answers(
    tmp_path: Path, make_curtain: Callable[..., xr.Dataset]
) -> None:
    curtain = number_profiles(make_curtain())
    status = curtain["detection_status"].values.copy()
    status[::3, 1] = DetectionStatus.UNTRUSTED  # every third profile, so that the mask tells forward from backward
    sampler = write_days(tmp_path, [curtain.assign(detection_status=(DIMS, status))])
    reversed_count = 0
    for example in sampler.draw_fixed(400, seed=0):
        numbers = profiles_of(example)
        reversed_count += int(numbers[0] > numbers[-1])
        # The hidden truth of a column is that of its own profile: the same reflectivity in every row.
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
    sampler = write_days(tmp_path, [number_profiles(make_curtain()), clear], clear_share=share)
    drawn = [bool((example[0][..., 0] == -1).all()) for example in sampler.draw_fixed(400, seed=3)]
    # Four standard deviations of a share of 400: 4 sqrt(0.25 * 0.75 / 400) = 0.087.
    assert np.mean(drawn) == pytest.approx(share, abs=0.09 if 0 < share < 1 else 0)


def test_window_is_cloudy_from_the_least_share_of_echo_profiles_on(
    tmp_path: Path, make_curtain: Callable[..., xr.Dataset]
) -> None:
    # 5 % of 32 profiles are 1.6: a window needs two profiles with echo. They are profiles 50 and 51, so the windows
    # that begin at 20 (it ends with 51) to 50 are cloudy; all others are clear.
    assert LEAST_ECHO_SHARE == 0.05
    clear = make_curtain(cloudy=False)
    dbz, status = clear["reflectivity"].values.copy(), clear["detection_status"].values.copy()
    dbz[50:52, 8], status[50:52, 8] = -10, DetectionStatus.ECHO
    sampler = write_days(
        tmp_path, [clear.assign(reflectivity=(DIMS, dbz), detection_status=(DIMS, status))], clear_share=0.0
    )
    starts = set()
    for shown, _ in sampler.draw_fixed(300, seed=0):
        columns = np.flatnonzero(shown[8, :, 0] != -1)
        assert columns.size == 2
        starts.add(int(columns[0]))
    # Profile 50 stands in column 30 (start 20) ... 0 (start 50), and in a reversed window in the mirrored one.
    assert starts == set(range(31))


def test_echo_below_the_floor_makes_no_cloud(tmp_path: Path, make_curtain: Callable[..., xr.Dataset]) -> None:
    faint = make_curtain()
    faint = faint.assign(reflectivity=faint["reflectivity"].where(faint["reflectivity"].isnull(), np.float32(-35)))
    with pytest.raises(WindowError, match=r"none of 1 days holds a window with echo above -30\.0 dBZ"):
        write_days(tmp_path, [faint])


def test_all_clear_days_are_refused(tmp_path: Path, make_curtain: Callable[..., xr.Dataset]) -> None:
    with pytest.raises(WindowError, match=r"^station: none of 1 days holds a window with echo.*clear sky alone"):
        write_days(tmp_path, [make_curtain(cloudy=False)])


def test_days_shorter_than_a_window_are_refused_and_passed_over_beside_longer_ones(
    tmp_path: Path, make_curtain: Callable[..., xr.Dataset]
) -> None:
    short = make_curtain(profiles=WIDTH - 1)
    with pytest.raises(WindowError, match=r"^station: none of 1 days holds 32 profiles, one window of the network"):
        write_days(tmp_path / "short", [short])
    longer = number_profiles(make_curtain(FIRST + timedelta(days=1), profiles=WIDTH), offset=1000)
    sampler = write_days(tmp_path / "both", [short, longer])
    assert {int(profiles_of(example).min()) for example in sampler.draw_fixed(20, seed=0)} == {1000}


def test_no_day_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WindowError, match="none of 0 days"):
        write_days(tmp_path, [])


def test_day_that_is_not_archived_is_refused(tmp_path: Path, make_curtain: Callable[..., xr.Dataset]) -> None:
    archive = Archive(tmp_path)
    archive.upsert("station", FIRST, {FileRecord(name="a.nc", size=1, sha256=""): make_curtain()}, {})
    with pytest.raises(ArchiveError, match="no station for 2021-04-01; it holds 1 days"):
        WindowSampler(archive, "station", (FIRST, date(2021, 4, 1)), PREPROCESSING)


def test_hidden_truth_never_gets_into_what_is_shown(tmp_path: Path, make_curtain: Callable[..., xr.Dataset]) -> None:
    curtain = make_curtain()
    dbz = curtain["reflectivity"].values.copy()
    echo = np.isfinite(dbz[:, :HIDDEN])
    # Other echo of other strength in the hidden rows, all of it where there was echo: the same windows are cloudy.
    dbz[:, :HIDDEN] = np.where(echo, 20 - dbz[:, :HIDDEN], np.nan)
    first = write_days(tmp_path / "first", [curtain])
    second = write_days(tmp_path / "second", [curtain.assign(reflectivity=(DIMS, dbz))])
    answers_differ = False
    for one, two in zip(first.draw_fixed(30, seed=0), second.draw_fixed(30, seed=0), strict=True):
        assert np.array_equal(one[0], two[0])
        answers_differ |= not np.array_equal(one[1]["intensity"], two[1]["intensity"])
    assert answers_differ


def test_untrusted_row_is_masked_in_the_answer(tmp_path: Path, make_curtain: Callable[..., xr.Dataset]) -> None:
    # The synthetic curtain's row 0 is untrusted, rows 1 to 3 are not.
    _, answer = next(write_days(tmp_path, [make_curtain()]).draw(0))
    assert (answer["occurrence"][0, :, 1] == 0).all()
    assert (answer["occurrence"][1:, :, 1] == 1).all()
    assert (answer["intensity"][0, :, 1] == 0).all()


def test_day_that_vanishes_while_it_is_read_is_no_clear_sky(
    tmp_path: Path, make_curtain: Callable[..., xr.Dataset]
) -> None:
    windows = write_days(tmp_path, [make_curtain()]).draw(0)
    next(windows)
    shutil.rmtree(tmp_path / "station" / "stores")
    with pytest.raises(WindowError, match=r"the day was replaced or removed while it was read"):
        next(windows)
