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

from blindzone.pipeline.curtains.gridding import Grid
from blindzone.pipeline.plots.panels import NO_DATA, colour, new_picture

_REFLECTIVITY_RANGE_DBZ = (-50.0, 25.0)


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
    """Draws each scene as a row of three panels: measured, filled, and the probability of echo.

    Args:
        scenes: The windows.
        grid: Their height grid.
        path: The picture; its suffix is one of `PICTURE_SUFFIXES`.
        title: Title of the picture.
        rows_above: Visible rows that are drawn above the hidden ones.

    Raises:
        ProductError: If the suffix is unknown, or the picture cannot be written.
    """
    reflectivity = matplotlib.colormaps["HomeyerRainbow"], Normalize(*_REFLECTIVITY_RANGE_DBZ)
    likelihood = matplotlib.colormaps["Blues"], Normalize(0, 1)
    above_km = rows_above * grid.row_depth_m / 1000
    with new_picture(path, (13.0, 1.0 + 2.2 * len(scenes))) as figure:
        axes = figure.subplots(len(scenes), 3, squeeze=False, sharex=True, sharey=True)
        for row, scene in zip(axes, scenes, strict=True):
            hidden = scene.filled.shape[1]
            measured = scene.measured[:, : hidden + rows_above]
            untrusted = np.zeros(measured.shape, dtype=bool)
            untrusted[:, :hidden] = ~scene.counts
            whole = measured.copy()
            whole[:, :hidden] = scene.filled
            _show(row[0], measured, untrusted, *reflectivity, grid, hidden)
            _show(row[1], whole, np.zeros_like(untrusted), *reflectivity, grid, hidden)
            _show(
                row[2],
                scene.probability,
                np.zeros(scene.probability.shape, dtype=bool),
                *likelihood,
                grid,
                hidden,
            )
            row[0].set_ylabel("Height (km)")
        names = (
            "Measured (grey: not trusted)",
            "Filled: median where echo is likely",
            "Probability of echo",
        )
        for ax, name in zip(axes[0], names, strict=True):
            ax.set_title(name, loc="left", fontsize=10)
        for ax in axes[-1]:
            ax.set_xlabel("Profile")
        axes[0, 0].set_ylim(
            0, max(scene.filled.shape[1] for scene in scenes) * grid.row_depth_m / 1000 + above_km
        )
        figure.colorbar(
            ScalarMappable(reflectivity[1], reflectivity[0]),
            ax=axes[:, :2],
            label="Reflectivity (dBZ)",
        )
        figure.colorbar(
            ScalarMappable(likelihood[1], likelihood[0]), ax=axes[:, 2], label="Probability (1)"
        )
        figure.suptitle(title, fontsize=12)


def _show(
    ax: Axes,
    values: np.ndarray,
    missing: np.ndarray,
    colours: matplotlib.colors.Colormap,
    scale: Normalize,
    grid: Grid,
    hidden: int,
) -> None:
    depth_km = grid.row_depth_m / 1000
    image = colour(values, missing, colours, scale).transpose(1, 0, 2)
    extent = (0, values.shape[0], 0, values.shape[1] * depth_km)
    ax.imshow(image, origin="lower", aspect="auto", interpolation="nearest", extent=extent)
    ax.set_facecolor(NO_DATA)
    ax.axhline(hidden * depth_km, color="black", linewidth=0.8)
