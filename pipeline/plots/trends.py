"""Trends: product statistics and scores from day to day."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from itertools import cycle
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
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

_COLUMNS = 3
_PANEL_INCHES = (5.2, 2.3)
_LIMITS = {"drift_score": 1.0}

# For the colour-blind too: Okabe and Ito (2008).
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#B2912F")


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
    """Returns a figure of numbers over days, a panel a number, a colour a source; None without any.

    Args:
        points: The days, in any order.
    """
    ordered = sorted(points, key=lambda point: point[1].isoformat())
    names = [name for name in TRENDS if any(name in numbers for _, _, numbers in ordered)]
    if not names:
        return None
    colours = dict(
        zip(dict.fromkeys(source for source, _, _ in ordered), cycle(_COLOURS), strict=False)
    )
    rows = -(-len(names) // _COLUMNS)
    width, height = _PANEL_INCHES
    figure = new_figure((_COLUMNS * width, rows * height + 0.5))
    axes = list(figure.subplots(rows, _COLUMNS, squeeze=False, sharex=True).flat)
    for ax, name in zip(axes, names, strict=False):
        _draw_panel(ax, name, ordered, colours)
    for ax in axes[len(names) :]:
        ax.set_axis_off()
    handles = [
        Line2D([], [], color=colour, marker="o", label=source) for source, colour in colours.items()
    ]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=min(len(handles), 6), frameon=False
    )
    return figure


def _draw_panel(ax: Axes, name: str, points: Sequence[Point], colours: Mapping[str, str]) -> None:
    for source, colour in colours.items():
        own = [
            (day, numbers[name]) for of, day, numbers in points if of == source and name in numbers
        ]
        if own:
            days, values = zip(*own, strict=True)
            ax.plot(days, values, color=colour, linewidth=0.6, marker="o", markersize=3.5)
    if name in _LIMITS:
        ax.axhline(_LIMITS[name], color="0.35", linewidth=1, linestyle="--")
    ax.set_title(TRENDS[name], loc="left", fontsize=10)
    if name.endswith("_share") and PRODUCT_STATISTICS[name].unit == "1":
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        ax.set_ylim(-0.03, 1.03)
    else:
        ax.set_ylim(bottom=0)
    locator = AutoDateLocator(minticks=3, maxticks=6)  # type: ignore[no-untyped-call]
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    ax.tick_params(labelsize=8, labelbottom=True)
    ax.grid(color="0.9", linewidth=0.6)
    ax.set_axisbelow(True)
