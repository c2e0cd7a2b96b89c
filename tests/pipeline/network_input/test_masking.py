"""Holes as they are drawn: their sizes, their shares, and that a seed fixes them."""

from __future__ import annotations

import numpy as np
import pytest

from blindzone.core.errors import WindowError
from blindzone.pipeline.curtains.hidden import HiddenKind
from blindzone.pipeline.curtains.holes import classify_holes
from blindzone.pipeline.network_input.masking import (
    LONGEST_OUTAGE,
    MOST_LOST,
    SHADOW_BASE_M,
    SHADOW_PROFILES,
    HoleConfig,
    HoleName,
    HoleScene,
    draw_holes,
    draw_line,
    draw_outage,
    draw_outages,
    draw_shadow,
    draw_shapes,
    draw_share,
)

SHAPE = (128, 128)
ROW_M = 78.125
RAIN = np.zeros(SHAPE[0], dtype=bool)
RAIN[60:70] = True
SCENE = HoleScene(shape=SHAPE, row_depth_m=ROW_M, heavy=RAIN)
EACH: tuple[HoleName, ...] = ("outages", "lines", "shadows", "shapes")


def generator(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("name", EACH)
def test_seed_fixes_holes(name: HoleName) -> None:
    first, again, other = (draw_holes(generator(seed), (name,), SCENE) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("outages", HiddenKind.OUTAGE),
        ("shadows", HiddenKind.ATTENUATED),
    ],
)
def test_drawn_kind_is_the_kind_that_is_found(name: HoleName, kind: HiddenKind) -> None:
    for seed in range(20):
        hidden = draw_holes(generator(seed), (name,), SCENE)
        kinds = classify_holes(hidden)
        assert hidden.any()
        assert (kinds[hidden] == kind).mean() > 0.999


def test_a_drawn_line_is_found_as_one_away_from_the_ground() -> None:
    for seed in range(20):
        line = draw_line(generator(seed), SHAPE)
        kinds = classify_holes(line)
        assert set(kinds[line].tolist()) <= {HiddenKind.INTERFERENCE, HiddenKind.BLIND_ZONE}


def test_outages_are_whole_profiles_of_the_lengths_of_the_archives() -> None:
    lengths = [
        int(mask.all(axis=1).sum())
        for seed in range(200)
        for mask in draw_outages(generator(seed), SHAPE)
    ]
    assert min(lengths) == 1
    assert max(lengths) == LONGEST_OUTAGE
    # A class of four is a single profile: of some 400 draws about 100.
    assert 60 < lengths.count(1) < 140


def test_outage_leaves_the_ends_where_it_can() -> None:
    for seed in range(50):
        missing = draw_outage(generator(seed), SHAPE, 40).any(axis=1)
        assert missing.sum() == 40
        assert not missing[[0, -1]].any()
    assert draw_outage(generator(0), (3, 2), 40)[1:].all()


def test_straight_line_of_one_row_covers_all_profiles() -> None:
    line = draw_line(generator(3), SHAPE, thickness=1, is_straight=True)
    assert line.any(axis=0).sum() == 1
    assert line.any(axis=1).all()


def test_lines_are_thin() -> None:
    for seed in range(50):
        assert draw_line(generator(seed), SHAPE).sum(axis=1).max() <= 3


def test_shadow_is_above_rain_and_reaches_the_top() -> None:
    for seed in range(50):
        shadow = draw_shadow(generator(seed), SCENE)
        within = shadow.any(axis=1)
        assert SHADOW_PROFILES[0] <= within.sum() <= SHADOW_PROFILES[1]
        assert (within & RAIN).any()
        assert shadow[within, -1].all()
        assert not shadow[:, : int(SHADOW_BASE_M[0] / ROW_M)].any()


def test_without_rain_there_is_no_shadow() -> None:
    dry = HoleScene(shape=SHAPE, row_depth_m=ROW_M, heavy=np.zeros_like(RAIN))
    assert not draw_shadow(generator(0), dry).any()


def test_what_archives_lose_bounds_what_is_hidden() -> None:
    pattern = np.ones(SHAPE, dtype=bool)  # a file that is absent
    scene = HoleScene(shape=SHAPE, row_depth_m=ROW_M, heavy=RAIN, pattern=pattern)
    for seed in range(100):
        names: tuple[HoleName, ...] = ("outages", "lines", "files")
        most = max(MOST_LOST, LONGEST_OUTAGE / SHAPE[0])
        assert 0 < draw_holes(generator(seed), names, scene).mean() <= most


def test_file_mask_is_laid_over_as_it_is() -> None:
    pattern = np.zeros(SHAPE, dtype=bool)
    pattern[10:20, 40:60] = True
    scene = HoleScene(shape=SHAPE, row_depth_m=ROW_M, heavy=RAIN, pattern=pattern)
    assert np.array_equal(draw_holes(generator(0), ("files",), scene), pattern)


def test_shapes_hide_the_share_that_is_asked_for() -> None:
    assert 0.17 <= draw_share(generator(0), SHAPE, 0.17).mean() < 0.25
    shares = [draw_shapes(generator(seed), SHAPE).mean() for seed in range(20)]
    assert 0 < min(shares) < max(shares) < 0.4


def test_windows_get_one_kind_at_least_by_the_shares() -> None:
    config = HoleConfig(outages=0.5, lines=0.1)
    chosen = [config.choose(generator(seed)) for seed in range(400)]
    assert config.kinds == ("outages", "lines")
    assert min(map(len, chosen)) == 1
    # P = .5 of its own, and where neither was drawn (.45) five times in six: .875.
    assert 0.83 < np.mean(["outages" in names for names in chosen]) < 0.92


def test_unknown_kind_and_wrong_share_are_errors() -> None:
    with pytest.raises(WindowError, match="outages"):
        HoleConfig(outages=1.5)
