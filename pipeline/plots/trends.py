"""Trends: product statistics and scores from day to day."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from blindzone.pipeline.plots.panels import check_format, new_figure, save_figure
from blindzone.pipeline.products.product_statistics import PRODUCT_STATISTICS

Point = tuple[str, date, Mapping[str, float]]
"""Source, day or granule, and its numbers by name."""

TRENDS: Mapping[str, str] = {
    "filled_pixel_share": "Blind zone filled",
    "visible_echo_share": "Echo above the blind zone",
    "filled_echo_share": "Echo in the blind zone",
    "interval_width_db": "Width of the 90 % interval (dB)",
    "out_of_range_share": "Profiles out of range",
    "drift_score": "Drift of the inputs (above 1: unlike the reference days)",
    "profiles_per_second": "Profiles a second",
    "CRPS [dB]": "CRPS (dB)",
    "CSI": "CSI",
}
"""What is drawn, each where there is any of it."""

_PANEL_INCHES = (2.3, 1.3)
_MARGINS_INCHES = {"left": 0.5, "right": 0.15, "top": 0.75, "bottom": 0.35}
_GAP_INCHES = (0.4, 0.4)
"""Between columns, and between rows, which the names of sources are in."""
_TITLE_LETTERS = 26
_LIMITS = {"drift_score": 1.0}
_COLOUR = "#0072B2"


def draw_trends(points: Iterable[Point], path: Path) -> bool:
    """Writes the picture of numbers over days to a file, and returns whether there were any.

    Args:
        points: The days, in any order.
        path: The picture; its suffix is one of `PICTURE_SUFFIXES`.

    Raises:
        ProductError: If the suffix is unknown, or the picture cannot be written.
    """
    check_format(path)
    figure = plot_trends(points)
    if figure is not None:
        save_figure(figure, path)
    return figure is not None


def plot_trends(points: Iterable[Point]) -> Figure | None:
    """Returns a figure of numbers over days: a row a source, a column a number; None without any.

    Lines are broken where a day is missing.

    Args:
        points: The days, in any order.
    """
    ordered = sorted(points, key=lambda point: point[1].isoformat())
    names = [name for name in TRENDS if any(name in numbers for _, _, numbers in ordered)]
    if not names:
        return None
    sources = list(
        dict.fromkeys(
            source for source, _, numbers in ordered if not numbers.keys().isdisjoint(names)
        )
    )
    figure, axes = _open_panels(len(sources), len(names))
    for source, row in zip(sources, axes, strict=True):
        own = [(day, numbers) for of, day, numbers in ordered if of == source]
        for ax, name in zip(row, names, strict=True):
            _draw_panel(ax, name, [(day, numbers[name]) for day, numbers in own if name in numbers])
        row[0].annotate(
            source,
            (0, 1),
            xytext=(0, 4),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=9,
            weight="bold",
            parse_math=False,
        )
    for ax, name in zip(axes[0], names, strict=True):
        title = fill(TRENDS[name], _TITLE_LETTERS)
        ax.set_title(title, loc="left", fontsize=9, pad=18, color="0.25")
    return figure


def _open_panels(rows: int, columns: int) -> tuple[Figure, np.ndarray]:
    """Returns a figure and its axes `(row, column)`, placed by inches: layout engines are slow."""
    (width, height), (across, down), edge = _PANEL_INCHES, _GAP_INCHES, _MARGINS_INCHES
    total = (
        edge["left"] + columns * width + (columns - 1) * across + edge["right"],
        edge["top"] + rows * height + (rows - 1) * down + edge["bottom"],
    )
    figure = new_figure(total, is_placed=True)
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey="col")
    figure.subplots_adjust(
        left=edge["left"] / total[0],
        right=1 - edge["right"] / total[0],
        top=1 - edge["top"] / total[1],
        bottom=edge["bottom"] / total[1],
        wspace=across / width,
        hspace=down / height,
    )
    return figure, np.asarray(axes)


def _draw_panel(ax: Axes, name: str, numbers: Sequence[tuple[date, float]]) -> None:
    if numbers:
        days, values = zip(*_open_gaps(numbers), strict=True)
        ax.plot(days, values, color=_COLOUR, linewidth=0.8, marker="o", markersize=2.5)
    if name in _LIMITS:
        ax.axhline(_LIMITS[name], color="0.35", linewidth=1, linestyle="--")
    if name.endswith("_share") and PRODUCT_STATISTICS[name].unit == "1":
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        ax.set_ylim(-0.03, 1.03)
    else:
        ax.set_ylim(bottom=0)
    locator = AutoDateLocator(minticks=2, maxticks=4)  # type: ignore[no-untyped-call]
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    ax.xaxis.get_offset_text().set_fontsize(7)
    ax.tick_params(labelsize=7)
    ax.grid(color="0.9", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)


def _open_gaps(numbers: Sequence[tuple[date, float]]) -> list[tuple[date, float]]:
    """Returns numbers in order of days with a NaN wherever a day or more is missing."""
    opened = list(numbers[:1])
    for (before, _), (day, value) in pairwise(numbers):
        if day - before > timedelta(days=1):
            opened.append((before + timedelta(days=1), math.nan))
        opened.append((day, value))
    return opened
