"""Holes of training windows: drawn as configured, from what the days themselves lack and rain."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from blindzone.core.errors import WindowError
from blindzone.pipeline.archive import Archive, FileRecord
from blindzone.pipeline.curtains.blind_zone import BlindZone
from blindzone.pipeline.curtains.curtain import DetectionStatus
from blindzone.pipeline.curtains.gridding import Grid
from blindzone.pipeline.curtains.hidden import HiddenKind
from blindzone.pipeline.curtains.holes import classify_holes, measure_distance
from blindzone.pipeline.network_input.channels import Profiles
from blindzone.pipeline.network_input.masking import SHADOW_PROFILES, HoleConfig
from blindzone.pipeline.network_input.preprocessing import Preprocessing
from blindzone.pipeline.network_input.training_windows import WindowConfig, WindowSampler
from blindzone.pipeline.network_input.window_holes import find_missing

FIRST = date(2021, 3, 14)
ROWS, WIDTH = 32, 64
PREPROCESSING = Preprocessing(
    grid=Grid(rows=ROWS),
    blind_zone=BlindZone(top_m=312.5, soft_rows=2),
    floor_dbz=-30.0,
    window_profiles=WIDTH,
)
Make = Callable[..., xr.Dataset]


def sample(root: Path, curtains: list[xr.Dataset], **holes: float) -> WindowSampler:
    """The sampler of consecutive days."""
    archive = Archive(root)
    days = tuple(FIRST + timedelta(days=number) for number in range(len(curtains)))
    for day, curtain in zip(days, curtains, strict=True):
        archive.upsert("station", day, {FileRecord(name="a.nc", size=1, sha256=""): curtain}, {})
    config = WindowConfig(holes=HoleConfig(**holes), flip_share=0.0)
    preprocessing = config.prepare(PREPROCESSING)
    return WindowSampler(archive, "station", days, preprocessing, config=config)


def find_hidden(example: Any) -> np.ndarray:
    """What a window hides, `(time, row)`."""
    return np.asarray(example.inputs[..., 1].T >= 1)


def make_rain(make_curtain: Make, day: date = FIRST) -> xr.Dataset:
    """A day with a minute of rain that is heavy."""
    curtain = make_curtain(day, rows=ROWS)
    reflectivity = curtain["reflectivity"].values.copy()
    reflectivity[120:126, 1:4] = 15.0
    status = curtain["detection_status"].values.copy()
    status[120:126, 1:4] = DetectionStatus.ECHO
    dims = curtain["reflectivity"].dims
    return curtain.assign(reflectivity=(dims, reflectivity), detection_status=(dims, status))


def test_windows_have_the_holes_of_their_plan(tmp_path: Path, make_curtain: Make) -> None:
    sampler = sample(tmp_path, [make_curtain(rows=ROWS)], outages=1.0)
    assert sampler.preprocessing.holes == ("outages",)
    assert sampler.preprocessing.output_rows == ROWS
    for example in sampler.draw_fixed(10, seed=0):
        hidden = find_hidden(example)
        kinds = classify_holes(hidden)
        missing = (kinds == HiddenKind.OUTAGE).all(axis=1)
        assert 1 <= missing.sum() <= 40
        # What is trusted of the outages is the target, and nothing else: the lowest row is not.
        counted = example.targets["occurrence"][..., 1].T.astype(bool)
        assert np.array_equal(
            counted[:, 1:-1], np.broadcast_to(missing[:, None], hidden.shape)[:, 1:-1]
        )
        assert not counted[:, 0].any()


def test_windows_repeat_with_their_seed(tmp_path: Path, make_curtain: Make) -> None:
    sampler = sample(tmp_path, [make_curtain(rows=ROWS)], outages=0.5, lines=0.5, shapes=0.2)
    first, again = (sampler.draw_fixed(5, seed=3) for _ in range(2))
    for one, two in zip(first, again, strict=True):
        assert np.array_equal(one.inputs, two.inputs)


def test_blind_zone_is_hidden_in_its_share_of_windows(tmp_path: Path, make_curtain: Make) -> None:
    sampler = sample(tmp_path, [make_curtain(rows=ROWS)], zone=0.5, lines=0.5)
    zones = [find_hidden(example)[:, :4].all() for example in sampler.draw_fixed(60, seed=0)]
    # One of the two at least: half of the windows have the zone of their own, and half of the
    # quarter with neither get it: 5/8, give or take three standard errors.
    assert 0.43 < np.mean(zones) < 0.82


def test_windows_with_a_shadow_are_around_rain(tmp_path: Path, make_curtain: Make) -> None:
    sampler = sample(tmp_path, [make_rain(make_curtain)], shadows=1.0)
    for example in sampler.draw_fixed(10, seed=0):
        # Up to the top, and none near the ground.
        hidden = find_hidden(example)
        assert SHADOW_PROFILES[0] <= hidden[:, -1].sum() < WIDTH
        assert not hidden[:, : ROWS // 2].any()


def test_pattern_of_another_day_is_laid_over(tmp_path: Path, make_curtain: Make) -> None:
    whole = make_curtain(rows=ROWS)
    gap = make_curtain(FIRST + timedelta(days=1), rows=ROWS).isel(
        time=np.delete(np.arange(300), slice(100, 106))
    )
    sampler = sample(tmp_path, [whole, gap], files=1.0)
    masks = [find_hidden(example) for example in sampler.draw_fixed(40, seed=0)]
    lengths = {int(mask.all(axis=1).sum()) for mask in masks}
    # Windows of the whole day lack up to six profiles; those of the other day nothing, since the
    # first lacks no profile but one pixel.
    assert max(lengths) == 6
    assert 0 in lengths


def test_what_a_day_lacks_is_on_an_even_axis_of_time() -> None:
    looked = np.ones((4, 2), dtype=bool)
    looked[1, 0] = False
    profiles = Profiles(
        reflectivity=np.zeros((4, 2), np.float32),
        looked=looked,
        trusted=looked,
        time_s=np.array([0.0, 9.0, 18.1, 45.0]),  # two profiles are missing
    )
    expected = [[0, 0], [1, 0], [0, 0], [1, 1], [1, 1], [0, 0]]
    assert find_missing(profiles).tolist() == [[bool(value) for value in row] for row in expected]


def test_preprocessing_without_the_holes_of_the_windows_is_an_error(
    tmp_path: Path, make_curtain: Make
) -> None:
    sampler = sample(tmp_path, [make_curtain(rows=ROWS)], outages=1.0)
    with pytest.raises(WindowError, match="prepare"):
        WindowSampler(Archive(tmp_path), "station", (FIRST,), PREPROCESSING, config=sampler.config)


def test_pixels_far_from_visible_data_weigh_less(tmp_path: Path, make_curtain: Make) -> None:
    sampler = sample(tmp_path, [make_curtain(rows=ROWS)], outages=1.0, halving_profiles=4.0)
    for example in sampler.draw_fixed(5, seed=0):
        hidden = find_hidden(example)
        weight = example.targets["occurrence"][..., 1].T
        expected = np.where(hidden, 1 / (1 + measure_distance(hidden) / 4), 0)
        counted = weight > 0
        assert counted.any()
        assert np.allclose(weight[counted], expected[counted])
