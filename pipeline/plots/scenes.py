"""Pictures of a few fixed windows: observed, and filled by a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from blindzone.pipeline.curtains.gridding import Grid
from blindzone.pipeline.plots.panels import (
    NO_DATA,
    check_format,
    colour,
    new_figure,
    save_figure,
    set_heading,
)
from blindzone.pipeline.plots.reflectivity_scale import CLOUD_DBZ, COLOURS

_REFLECTIVITY = Normalize(*CLOUD_DBZ), COLOURS
_PROBABILITY = Normalize(0.0, 1.0), "Blues"
_TITLES = (
    "Measured (grey: not trusted)",
    "Filled: median where echo is likely",
    "Probability of echo",
)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One window.

    Attributes:
        measured: Reflectivity [dBZ] `(time, height)`; NaN where there is no echo.
        counts: Where the truth of the hidden rows is trusted, `(time, hidden row)`.
        filled: Reflectivity [dBZ] filled into the hidden rows, `(time, hidden row)`; NaN where none
            is likely.
        probability: Probability of echo there, `(time, hidden row)`.
    """

    measured: np.ndarray
    counts: np.ndarray
    filled: np.ndarray
    probability: np.ndarray


def draw_scenes(
    scenes: Sequence[Scene], grid: Grid, path: Path, *, title: str, rows_above: int = 16
) -> None:
    """Writes the picture of scenes to a file.

    Args:
        scenes: The windows.
        grid: Their height grid.
        path: The picture; its suffix is one of `PICTURE_SUFFIXES`.
        title: Title of the picture.
        rows_above: Visible rows that are drawn above the hidden ones.

    Raises:
        ProductError: If the suffix is unknown, or the picture cannot be written.
    """
    check_format(path)
    save_figure(plot_scenes(scenes, grid, title=title, rows_above=rows_above), path)


def plot_scenes(scenes: Sequence[Scene], grid: Grid, *, title: str, rows_above: int = 16) -> Figure:
    """Returns a figure with three panels a scene: measured, filled, and the probability of echo.

    Args:
        scenes: The windows.
        grid: Their height grid.
        title: Title of the picture.
        rows_above: Visible rows that are drawn above the hidden ones.
    """
    figure = new_figure((13.0, 1.0 + 2.2 * len(scenes)))
    axes = figure.subplots(len(scenes), 3, squeeze=False, sharex=True, sharey=True)
    for row, scene in zip(axes, scenes, strict=True):
        _draw_scene(row, scene, grid, rows_above)
    for ax, name in zip(axes[0], _TITLES, strict=True):
        ax.set_title(name, loc="left", fontsize=10)
    for ax in axes[-1]:
        ax.set_xlabel("Profile")
    hidden = max(scene.filled.shape[1] for scene in scenes)
    axes[0, 0].set_ylim(0, (hidden + rows_above) * grid.row_depth_m / 1000)
    for panels, (scale, colours), label in (
        (axes[:, :2], _REFLECTIVITY, "Reflectivity (dBZ)"),
        (axes[:, 2], _PROBABILITY, "Probability (1)"),
    ):
        bar = ScalarMappable(scale, matplotlib.colormaps[colours])
        figure.colorbar(bar, ax=panels, label=label)
    set_heading(figure, *title.split("\n"), fontsize=12)
    return figure


def _draw_scene(axes: Sequence[Axes], scene: Scene, grid: Grid, rows_above: int) -> None:
    """Draws a scene into three panels."""
    hidden = scene.filled.shape[1]
    measured = scene.measured[:, : hidden + rows_above]
    untrusted = np.zeros(measured.shape, dtype=bool)
    untrusted[:, :hidden] = ~scene.counts
    whole = measured.copy()
    whole[:, :hidden] = scene.filled
    trusted = np.zeros_like(untrusted)
    for ax, values, missing, (scale, colours) in (
        (axes[0], measured, untrusted, _REFLECTIVITY),
        (axes[1], whole, trusted, _REFLECTIVITY),
        (axes[2], scene.probability, trusted[:, :hidden], _PROBABILITY),
    ):
        image = colour(values, missing, matplotlib.colormaps[colours], scale)
        _show(ax, image, grid.row_depth_m / 1000)
        ax.axhline(hidden * grid.row_depth_m / 1000, color="black", linewidth=0.8)
    axes[0].set_ylabel("Height (km)")


def _show(ax: Axes, image: np.ndarray, depth_km: float) -> None:
    """Draws colours `(profile, row, RGBA)` of rows of one depth on grey."""
    ax.imshow(
        image.transpose(1, 0, 2),
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        extent=(0, image.shape[0], 0, image.shape[1] * depth_km),
    )
    ax.set_facecolor(NO_DATA)
