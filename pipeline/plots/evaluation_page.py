"""One page of an evaluation, for people: occurrence, intervals, heights and power spectra."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from pathlib import Path
from string import ascii_lowercase
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from blindzone.pipeline.plots.panels import check_format, new_figure, save_figure, set_heading
from blindzone.pipeline.verification.curtain_scores import CurtainSums
from blindzone.pipeline.verification.pixel_scores import INTERVALS, PIT_BINS
from blindzone.pipeline.verification.spectra import SEGMENT_PROFILES
from blindzone.pipeline.verification.tables import Evaluation

_SIZE_INCHES = (16.0, 9.6)

# For the colour-blind too: Okabe and Ito (2008), without black, which is for the truth.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#B2912F")

_MARKERS = "osD^vP*X"

_LEAST_PIXELS = 50
"""Least number of pixels of a bin of the reliability diagram."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A scheme on the page."""

    sums: CurtainSums
    colour: str
    style: Literal["-", "--"]
    is_deterministic: bool
    marker: str = "o"


def draw_report(evaluation: Evaluation, path: Path) -> None:
    """Writes the page of an evaluation to a file.

    Args:
        evaluation: Schemes and their scores.
        path: The picture; its suffix is one of `PICTURE_SUFFIXES`.

    Raises:
        ProductError: If the suffix is unknown, or the picture cannot be written.
    """
    check_format(path)
    save_figure(plot_evaluation(evaluation), path)


def plot_evaluation(evaluation: Evaluation) -> Figure:
    """Returns a figure that compares the schemes of an evaluation with the truth, in six panels."""
    curves = make_curves(evaluation)
    figure = new_figure(_SIZE_INCHES)
    panels = zip(
        ascii_lowercase, figure.subplots(2, 3).flat, _list_panels(evaluation), strict=False
    )
    for letter, ax, draw in panels:
        draw(ax, curves)
        ax.set_title(f"({letter}) {ax.get_title()}", loc="left", fontsize=11)
        ax.set_title("")
        ax.grid(color="0.9", linewidth=0.6)
        ax.set_axisbelow(True)
    handles = [
        Line2D([], [], color=curve.colour, linestyle=curve.style, label=scheme)
        for scheme, curve in curves.items()
    ]
    handles.append(Line2D([], [], color="black", linewidth=1.8, label="measured, or ideal"))
    figure.legend(
        handles=handles, loc="outside lower center", ncols=min(len(handles), 5), frameon=False
    )
    set_heading(figure, _describe(evaluation))
    return figure


def make_curves(evaluation: Evaluation) -> dict[str, Curve]:
    """Returns the look of each scheme, by its name."""
    return {
        scheme: Curve(
            sums=result.pooled,
            colour=colour,
            style="--" if result.is_deterministic else "-",
            is_deterministic=result.is_deterministic,
            marker=marker,
        )
        for (scheme, result), colour, marker in zip(
            evaluation.results.items(), cycle(_COLOURS), cycle(_MARKERS), strict=False
        )
    }


def _list_panels(evaluation: Evaluation) -> list[Callable[[Axes, Mapping[str, Curve]], None]]:
    """Returns a function to draw each panel."""
    heights_km = np.asarray(evaluation.rows_m) / 1000
    return [
        draw_reliability,
        draw_coverage,
        draw_pit,
        partial(draw_heights, heights_km=heights_km),
        partial(draw_vertical, heights_km=heights_km),
        draw_temporal,
    ]


def _describe(evaluation: Evaluation) -> str:
    days = sorted({day for result in evaluation.results.values() for day in result.days})
    span = f"{days[0]} to {days[-1]}" if days else "no day"
    return (
        f"{evaluation.source}, {evaluation.block} block: {len(days)} days, {span}; dashed:"
        " deterministic schemes"
    )


def draw_reliability(ax: Axes, curves: Mapping[str, Curve]) -> None:
    """Draws observed frequency against the predicted probability of echo."""
    ax.plot([0, 1], [0, 1], color="black", linewidth=1.8)
    for curve in curves.values():
        predicted, observed, count = curve.sums.pixels.reliability_curve()
        enough = count >= _LEAST_PIXELS
        ax.plot(
            predicted[enough],
            observed[enough],
            curve.style,
            color=curve.colour,
            marker="o",
            markersize=4,
        )
    ax.set(
        title="Reliability of the echo probability",
        xlabel="Predicted probability",
        ylabel="Observed frequency",
        xlim=(0, 1),
        ylim=(0, 1),
    )


def draw_coverage(ax: Axes, curves: Mapping[str, Curve]) -> None:
    """Draws how many truths intervals hold, against how many they should."""
    nominal = np.array(list(INTERVALS))
    ax.plot([40, 100], [40, 100], color="black", linewidth=1.8)
    for curve in curves.values():
        if not curve.is_deterministic:
            scores = curve.sums.pixels.scores()
            for suffix, marker, face in (("", "o", "none"), (" echo", "s", curve.colour)):
                inside = [100 * scores[f"coverage {level} %{suffix}"] for level in nominal]
                ax.plot(
                    nominal,
                    inside,
                    color=curve.colour,
                    marker=marker,
                    markerfacecolor=face,
                    markersize=5,
                )
    ax.set(
        title="Intervals: all pixels (open circles), echo (squares)",
        xlabel="Nominal coverage (%)",
        ylabel="Truths inside (%)",
        xlim=(45, 100),
        ylim=(0, 102),
    )


def draw_pit(ax: Axes, curves: Mapping[str, Curve]) -> None:
    """Draws the histogram of the probability integral transform."""
    ax.axhline(1, color="black", linewidth=1.8)
    for curve in curves.values():
        pit = curve.sums.pixels.pit.sum(axis=(0, 1))
        if pit.sum() and not curve.is_deterministic:
            ax.stairs(
                pit * PIT_BINS / pit.sum(),
                np.linspace(0, 1, PIT_BINS + 1),
                color=curve.colour,
                linewidth=1.5,
            )
    ax.set(
        title="Probability integral transform, randomised at the floor",
        xlabel="Predicted F(truth)",
        ylabel="Density",
        xlim=(0, 1),
    )
    ax.set_ylim(bottom=0)


def draw_heights(ax: Axes, curves: Mapping[str, Curve], heights_km: np.ndarray) -> None:
    """Draws the CRPS of each row; heights in km `(row,)`."""
    for curve in curves.values():
        rows = [
            curve.sums.pixels.select(row=row).scores()["CRPS [dB]"]
            for row in range(heights_km.size)
        ]
        ax.plot(rows, heights_km, curve.style, color=curve.colour, marker=".")
    ax.set(
        title="CRPS by height (less is better)",
        xlabel="CRPS (dB)",
        ylabel="Height above the radar (km)",
    )
    ax.set_xlim(left=0)


def draw_vertical(ax: Axes, curves: Mapping[str, Curve], heights_km: np.ndarray) -> None:
    """Draws the power spectrum in height; heights in km `(row,)`."""
    depth_km = float(np.median(np.diff(heights_km))) if heights_km.size > 1 else 1.0
    _draw_spectra(ax, curves, "vertical", depth_km * heights_km.size)
    ax.set(
        title="Vertical power spectrum",
        xlabel="Wave number (cycles per km)",
        ylabel="Power (dB²)",
    )


def draw_temporal(ax: Axes, curves: Mapping[str, Curve]) -> None:
    """Draws the power spectrum in time."""
    _draw_spectra(ax, curves, "temporal", SEGMENT_PROFILES)
    ax.set_xscale("log")
    ax.set(
        title="Power spectrum in time",
        xlabel="Frequency (cycles per profile)",
        ylabel="Power (dB²)",
    )


def _draw_spectra(ax: Axes, curves: Mapping[str, Curve], direction: str, length: float) -> None:
    spectra = {scheme: curve.sums.spectra.mean_spectra() for scheme, curve in curves.items()}
    lowest = np.inf
    for scheme, curve in curves.items():
        truth = spectra[scheme][f"{direction}_truth"]
        waves = np.arange(1, truth.size + 1) / length
        ax.plot(waves, truth, color="black", linewidth=1.8)  # the same for each
        power = spectra[scheme][direction]
        # A scheme constant in height has none but rounding.
        ax.plot(waves, np.where(power > 1e-6, power, np.nan), curve.style, color=curve.colour)
        lowest = min(lowest, np.nanmin(truth, initial=np.inf))
    if 0 < lowest < np.inf:
        ax.set_yscale("log")
        ax.set_ylim(bottom=lowest / 100)
