"""Diagrams of an evaluation, one a file: each as PDF for print and as PNG.

Bars and shades are the 95 % bounds over days (`bootstrap`), of networks alone where there are any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from blindzone.pipeline.plots.evaluation_page import (
    Curve,
    draw_coverage,
    draw_heights,
    draw_pit,
    draw_reliability,
    draw_temporal,
    draw_vertical,
    make_curves,
)
from blindzone.pipeline.plots.panels import new_figure, save_figure, set_heading
from blindzone.pipeline.verification.bootstrap import LEAST_DAYS, draw_sums, find_bounds
from blindzone.pipeline.verification.pixel_scores import (
    HISTOGRAM_STEP_DB,
    INTERVALS,
    PIT_BINS,
    PixelSums,
)
from blindzone.pipeline.verification.statistics import LEAST_CASES
from blindzone.pipeline.verification.tables import Evaluation

_SIZE_INCHES = (6.4, 5.6)
_SUFFIXES = (".pdf", ".png")
_SHADE = 0.18
_STEPS_PER_CLASS = 4
"""Steps of the histogram of reflectivity in a class of the contoured frequency: 2 dB."""
_OF_DISTRIBUTIONS = ("coverage", "pit", "spread_skill", "discard")
"""Diagrams without schemes that state one value."""
_CONTOURS = 10
"""Contours of frequency, up to the largest one that was measured."""

Curves = Mapping[str, Curve]
Draws = Mapping[str, Mapping[str, np.ndarray]]
"""Sums of draws `(draw, ...)` by scheme and name."""


def write_diagrams(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Writes all diagrams of an evaluation and returns their files.

    Args:
        evaluation: Schemes and their scores.
        folder: Where they are written.

    Raises:
        ProductError: If one cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, figure in plot_diagrams(evaluation):
        for suffix in _SUFFIXES:
            written.append(folder / f"{name}{suffix}")
            save_figure(figure, written[-1])
    return written


def plot_diagrams(evaluation: Evaluation) -> Iterator[tuple[str, Figure]]:
    """Yields the name and figure of each diagram."""
    evaluation = _put_networks_first(evaluation)
    curves, draws = make_curves(evaluation), _draw_days(evaluation)
    for name, draw in _list_diagrams(evaluation, draws).items():
        figure = new_figure(_SIZE_INCHES)
        ax = figure.subplots()
        draw(ax, curves)
        ax.grid(color="0.9", linewidth=0.6)
        ax.set_axisbelow(True)
        drawn = {
            scheme: curve
            for scheme, curve in curves.items()
            if not (curve.is_deterministic and name in _OF_DISTRIBUTIONS)
        }
        _finish(figure, drawn, evaluation, is_ideal_drawn=name not in ("performance", "discard"))
        yield name, figure
    yield "reliability", _plot_reliability(curves, draws, evaluation)
    yield "frequency_by_altitude", _plot_frequency(curves, evaluation)


def _put_networks_first(evaluation: Evaluation) -> Evaluation:
    """Returns the evaluation with networks first: they get the colours told apart best."""
    results = sorted(
        evaluation.results.items(), key=lambda item: "checkpoint" not in item[1].configuration
    )
    return replace(evaluation, results=dict(results))


def _list_diagrams(
    evaluation: Evaluation, draws: Draws
) -> dict[str, Callable[[Axes, Curves], None]]:
    heights_km = np.asarray(evaluation.rows_m) / 1000
    return {
        "performance": partial(_draw_performance, draws=draws),
        "coverage": partial(_draw_coverage, draws=draws),
        "pit": partial(_draw_pit, draws=draws),
        "crps_by_height": partial(_draw_heights, draws=draws, heights_km=heights_km),
        "spectrum_vertical": partial(draw_vertical, heights_km=heights_km),
        "spectrum_temporal": draw_temporal,
        "spread_skill": partial(_draw_spread, draws=draws),
        "discard": partial(_draw_discard, draws=draws),
    }


def _draw_days(evaluation: Evaluation) -> Draws:
    """Returns sums of draws of the days, of the schemes whose bounds are drawn."""
    results = evaluation.results
    networks = {name: of for name, of in results.items() if "checkpoint" in of.configuration}
    return {
        name: draw_sums([_reduce(sums.pixels) for sums in result.days.values()])
        for name, result in (networks or results).items()
        if len(result.days) >= LEAST_DAYS
    }


def _reduce(pixels: PixelSums) -> dict[str, np.ndarray]:
    """Returns pooled sums, and `row_crps` and `row_pixels` by row."""
    pooled = {name: of[0, 0] for name, of in pixels.pool().to_arrays().items()}
    rows = {f"row_{name}": getattr(pixels, name).sum(axis=1) for name in ("crps", "pixels")}
    return pooled | rows


def _divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    enough = np.asarray(denominator) >= LEAST_CASES
    return np.where(enough, numerator, np.nan) / np.where(enough, denominator, 1.0)


def _finish(
    figure: Figure, curves: Curves, evaluation: Evaluation, *, is_ideal_drawn: bool
) -> None:
    handles = [
        Line2D([], [], color=curve.colour, linestyle=curve.style, marker=curve.marker, label=scheme)
        for scheme, curve in curves.items()
    ]
    if is_ideal_drawn:
        handles.append(Line2D([], [], color="black", linewidth=1.8, label="measured, or ideal"))
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    days = {day for result in evaluation.results.values() for day in result.days}
    set_heading(
        figure,
        f"{evaluation.source}, {evaluation.block} block, {len(days)} days",
        fontsize=11,
    )


def _draw_performance(ax: Axes, curves: Curves, draws: Draws) -> None:
    """Draws POD over success ratio, with lines of CSI and bias (Roebber 2009, WAF 24, 601)."""
    success, detection = np.meshgrid(np.linspace(0.005, 1, 200), np.linspace(0.005, 1, 200))
    csi = 1 / (1 / success + 1 / detection - 1)
    lines = ax.contour(
        success, detection, csi, levels=np.arange(0.1, 1, 0.1), colors="0.55", linewidths=0.8
    )
    ax.clabel(lines, fmt="%.1f", fontsize=8)
    bias = ax.contour(
        success,
        detection,
        detection / success,
        levels=[0.25, 0.5, 0.75, 1, 1.5, 2, 4],
        colors="0.55",
        linestyles="dashed",
        linewidths=0.8,
    )
    ax.clabel(bias, fmt="%g", fontsize=8)
    for scheme, curve in reversed(list(curves.items())):  # networks on top
        scores = curve.sums.pixels.scores(least=LEAST_CASES)
        x, y = 1 - scores["FAR"], scores["POD"]
        if scheme in draws:
            of = draws[scheme]
            spans = (
                find_bounds(_divide(of["hits"], of["hits"] + of[miss]))
                for miss in ("false_alarms", "misses")
            )
            (left, right), (low, high) = spans
            ax.plot([left, right], [y, y], color=curve.colour, linewidth=1.2)
            ax.plot([x, x], [low, high], color=curve.colour, linewidth=1.2)
        ax.plot(x, y, curve.marker, color=curve.colour, markersize=9, markeredgecolor="white")
    ax.set(
        title="Occurrence: CSI solid, frequency bias dashed",
        xlabel="Success ratio, 1 - FAR",
        ylabel="Probability of detection",
        xlim=(0, 1),
        ylim=(0, 1),
        aspect="equal",
    )


def _plot_reliability(curves: Curves, draws: Draws, evaluation: Evaluation) -> Figure:
    figure = new_figure((_SIZE_INCHES[0], _SIZE_INCHES[1] + 1.4))
    upper, lower = figure.subplots(2, 1, height_ratios=(3, 1), sharex=True)
    draw_reliability(upper, curves)
    for scheme, of in draws.items():
        x = curves[scheme].sums.pixels.reliability_curve()[0]
        low, high = find_bounds(_divide(of["forecast_echo"], of["forecasts"]))
        upper.vlines(x, low, high, color=curves[scheme].colour, linewidth=1.2)
    for curve in curves.values():
        count = curve.sums.pixels.reliability_curve()[2]
        if not curve.is_deterministic:
            edges = np.linspace(0, 1, count.size + 1)
            lower.stairs(np.maximum(count, 0.5), edges, color=curve.colour, linewidth=1.5)
    upper.set_xlabel("")
    lower.set(xlabel="Predicted probability of echo", ylabel="Pixels", yscale="log")
    for ax in (upper, lower):
        ax.grid(color="0.9", linewidth=0.6)
        ax.set_axisbelow(True)
    _finish(figure, curves, evaluation, is_ideal_drawn=True)
    return figure


def _draw_coverage(ax: Axes, curves: Curves, draws: Draws) -> None:
    draw_coverage(ax, curves)
    nominal = np.array(list(INTERVALS), dtype=float)
    for scheme, of in draws.items():
        if not curves[scheme].is_deterministic:
            echo = of["hits"] + of["misses"]
            for inside, count, shift in (
                ("inside", of["pixels"], -0.4),
                ("inside_echo", echo, 0.4),
            ):
                low, high = find_bounds(100 * _divide(of[inside], count[:, None]))
                ax.vlines(nominal + shift, low, high, color=curves[scheme].colour, linewidth=1.2)


def _draw_pit(ax: Axes, curves: Curves, draws: Draws) -> None:
    draw_pit(ax, curves)
    edges = np.linspace(0, 1, PIT_BINS + 1)
    for scheme, of in draws.items():
        if not curves[scheme].is_deterministic:
            low, high = find_bounds(PIT_BINS * _divide(of["pit"], of["pixels"][:, None]))
            ax.stairs(
                high, edges, baseline=low, fill=True, color=curves[scheme].colour, alpha=_SHADE
            )


def _draw_heights(ax: Axes, curves: Curves, draws: Draws, heights_km: np.ndarray) -> None:
    draw_heights(ax, curves, heights_km)
    for scheme, of in draws.items():
        low, high = find_bounds(_divide(of["row_crps"], of["row_pixels"]))
        ax.fill_betweenx(heights_km, low, high, color=curves[scheme].colour, alpha=_SHADE)


def _draw_spread(ax: Axes, curves: Curves, draws: Draws) -> None:
    """Draws the error of the mean over the stated spread, by bins of it."""
    most = 1.0
    for scheme, curve in curves.items():
        if curve.is_deterministic:
            continue
        pixels = {name: of[0, 0] for name, of in curve.sums.pixels.pool().to_arrays().items()}
        spread, error = (
            np.sqrt(_divide(pixels[f"spread_{name}"], pixels["spread_pixels"]))
            for name in ("variance", "error")
        )
        ax.plot(spread, error, "-", color=curve.colour, marker=curve.marker, markersize=4)
        most = max(most, float(np.nanmax([spread, error], initial=most)))
        if scheme in draws:
            of = draws[scheme]
            low, high = find_bounds(np.sqrt(_divide(of["spread_error"], of["spread_pixels"])))
            ax.fill_between(spread, low, high, color=curve.colour, alpha=_SHADE)
    ax.plot([0, most], [0, most], color="black", linewidth=1.8)
    ax.set(
        title="Spread and skill",
        xlabel="Stated standard deviation (dB)",
        ylabel="RMS error of the mean (dB)",
        xlim=(0, None),
        ylim=(0, None),
    )


def _draw_discard(ax: Axes, curves: Curves, draws: Draws) -> None:
    """Draws the CRPS of what is left if the pixels of widest spread are discarded."""
    for scheme, curve in curves.items():
        if curve.is_deterministic:
            continue
        pixels = {name: of[0, 0] for name, of in curve.sums.pixels.pool().to_arrays().items()}
        discarded, left = _discard(pixels["spread_pixels"], pixels["spread_crps"])
        ax.plot(discarded, left, "-", color=curve.colour, marker=curve.marker, markersize=4)
        if scheme in draws:
            shares = np.linspace(0, 95, 39)
            of = draws[scheme]
            drawn = [
                np.interp(shares, x[::-1], y[::-1])
                for x, y in map(_discard, of["spread_pixels"], of["spread_crps"])
            ]
            low, high = find_bounds(np.stack(drawn))
            ax.fill_between(shares, low, high, color=curve.colour, alpha=_SHADE)
    ax.set(
        title="Discard: error of what is left",
        xlabel="Most uncertain pixels discarded (%)",
        ylabel="CRPS of the others (dB)",
        xlim=(0, 100),
        ylim=(0, None),
    )


def _discard(pixels: np.ndarray, crps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the share discarded [%] and the CRPS of the others [dB], widest bins discarded first.

    Both run from the narrowest bin alone to all pixels.
    """
    kept = np.cumsum(pixels)
    return 100 * (1 - kept / kept[-1]), _divide(np.cumsum(crps), kept)


def _plot_frequency(curves: Curves, evaluation: Evaluation) -> Figure:
    """Returns contoured frequency by altitude (Yuter and Houze 1995, Mon. Wea. Rev. 123, 1941)."""
    distributions = {name: of for name, of in curves.items() if not of.is_deterministic}
    first = dict(list((distributions or curves).items())[:2])
    histograms = {"measured": next(iter(curves.values())).sums.pixels.histogram_truth}
    histograms |= {f"{name}, median": of.sums.pixels.histogram for name, of in first.items()}
    figure = new_figure((4.0 * len(histograms), 4.2))
    axes: Sequence[Axes] = figure.subplots(1, len(histograms), sharey=True, sharex=True)
    floor = float(evaluation.configuration.get("sensitivity_floor_dbz", 0.0))
    most = np.nanmax(_count_by_class(histograms["measured"], floor)[1], initial=0.1)
    levels, drawn = np.linspace(0, most, _CONTOURS + 1)[1:], None
    for ax, (name, histogram) in zip(axes, histograms.items(), strict=True):
        dbz, frequency = _count_by_class(histogram, floor)
        km = np.asarray(evaluation.rows_m) / 1000
        if km.size > 1:
            drawn = ax.contourf(dbz, km, frequency, levels, cmap="viridis_r", extend="max")
        ax.set(title=name, xlabel="Reflectivity (dBZ)", xlim=(floor, floor + 60))
    axes[0].set_ylabel("Height above the radar (km)")
    if drawn is not None:
        bar = figure.colorbar(drawn, ax=list(axes), format="%.2g")
        bar.set_label("Frequency (% of a row's pixels per dB)")
    set_heading(figure, f"{evaluation.source}, {evaluation.block} block: echo by altitude")
    return figure


def _count_by_class(histogram: np.ndarray, floor_dbz: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns middles of classes [dBZ] and frequency of echo [% per dB] `(row, class)`."""
    by_row = histogram.sum(axis=1)
    echo = by_row[:, 1:]  # the first is the floor
    classes = echo.reshape(len(echo), -1, _STEPS_PER_CLASS).sum(axis=2)
    width_db = _STEPS_PER_CLASS * HISTOGRAM_STEP_DB
    middles = floor_dbz + width_db * (np.arange(classes.shape[1]) + 0.5)
    return middles, 100 * _divide(classes, by_row.sum(axis=1)[:, None]) / width_db
