"""Scenes: measured, filled and probability, each pixel in its colour."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import Normalize

from blindzone.core.errors import ProductError
from blindzone.pipeline.curtains.gridding import Grid
from blindzone.pipeline.plots.scenes import Scene, draw_scenes, plot_scenes

GRID = Grid(rows=20, row_depth_m=100.0)
PROFILES, HIDDEN = 8, 3
WHITE = [255, 255, 255, 255]


def make_scene() -> Scene:
    """Echo of 0 dBZ everywhere; the lowest row untrusted, the second filled with no echo."""
    filled = np.full((PROFILES, HIDDEN), -20.0)
    filled[:, 1] = np.nan
    counts = np.ones((PROFILES, HIDDEN), dtype=bool)
    counts[:, 0] = False
    return Scene(
        measured=np.zeros((PROFILES, 20)),
        counts=counts,
        filled=filled,
        probability=np.full((PROFILES, HIDDEN), 0.25),
    )


@pytest.fixture
def panels() -> list[Axes]:
    figure = plot_scenes([make_scene(), make_scene()], GRID, title="$1", rows_above=5)
    return [ax for ax in figure.axes if ax.images]


def colours_of(panel: Axes) -> list[list[int]]:
    """Returns the colours of the first profile, the lowest row first: RGBA."""
    colours: list[list[int]] = np.asarray(panel.images[0].get_array())[:, 0].tolist()
    return colours


def colour_of(value: float, limits: tuple[float, float], colours: str) -> list[int]:
    return [
        int(part) for part in matplotlib.colormaps[colours](Normalize(*limits)(value), bytes=True)
    ]


def test_each_scene_has_three_panels_with_titles_on_the_first_alone(panels: list[Axes]) -> None:
    assert len(panels) == 6
    assert [bool(panel.get_title(loc="left")) for panel in panels] == [True] * 3 + [False] * 3


def test_measured_is_see_through_where_it_is_not_trusted(panels: list[Axes]) -> None:
    rows = colours_of(panels[0])
    assert rows[0][3] == 0
    assert rows[1:] == [colour_of(0.0, (-50, 25), "HomeyerRainbow")] * 7
    assert len(rows) == HIDDEN + 5


def test_filled_rows_are_below_the_measured_ones(panels: list[Axes]) -> None:
    rows = colours_of(panels[1])
    assert rows[0] == rows[2] == colour_of(-20.0, (-50, 25), "HomeyerRainbow")
    assert rows[1] == WHITE  # no echo is more likely
    assert rows[HIDDEN:] == [colour_of(0.0, (-50, 25), "HomeyerRainbow")] * 5


def test_probability_is_that_of_the_hidden_rows(panels: list[Axes]) -> None:
    assert colours_of(panels[2]) == [colour_of(0.25, (0, 1), "Blues")] * HIDDEN


def test_line_is_at_the_top_of_the_hidden_rows(panels: list[Axes]) -> None:
    for panel in panels:
        (line,) = panel.lines
        assert set(np.asarray(line.get_ydata())) == {0.3}
        assert panel.get_ylim() == pytest.approx((0, 0.8))


def test_scenes_are_written(tmp_path: Path) -> None:
    draw_scenes([make_scene()], GRID, tmp_path / "scenes.png", title="step 1")
    assert (tmp_path / "scenes.png").stat().st_size > 5_000
    with pytest.raises(ProductError, match="unknown picture format"):
        draw_scenes([make_scene()], GRID, tmp_path / "scenes", title="step 1")
