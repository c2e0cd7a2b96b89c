"""The picture of many derived days: a calendar of sums, and kinds of columns by hour of day."""

from __future__ import annotations

from calendar import Calendar, day_abbr, month_name
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import matplotlib
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from blindzone.core.errors import ProductError
from blindzone.pipeline.curtains.position import find_other_place
from blindzone.pipeline.derivation.columns import CLASS_NAMES, ColumnClass
from blindzone.pipeline.derivation.phase import PrecipitationPhase
from blindzone.pipeline.plots.derived_panels import CLASS_COLOURS, check_derived
from blindzone.pipeline.plots.panels import (
    NO_DATA,
    check_format,
    new_figure,
    save_figure,
    set_heading,
)
from blindzone.pipeline.products.swath import RAY

_WIDTH_INCHES, _MONTH_INCHES, _HOURS_INCHES = 12.0, 5.4, 3.2
_HOURS_A_DAY, _DAYS_A_WEEK = 24, 7
_COLOURS = matplotlib.colormaps["Blues"]
_LEAST_MM = 0.01
"""Sums below it are written as 0, as they count as dry where sums are scored."""
_PHASES = {"rainfall": "rain", "snowfall": "snow"}


def draw_calendar(derived: Sequence[xr.Dataset], path: Path) -> None:
    """Writes the picture of many derived days to a file.

    Args:
        derived: What `plot_calendar` takes.
        path: The picture; its suffix is one of `PICTURE_SUFFIXES`.

    Raises:
        ProductError: If the suffix is unknown, the days cannot be drawn together, or the picture
            cannot be written.
    """
    check_format(path)
    save_figure(plot_calendar(derived), path)


def plot_calendar(derived: Sequence[xr.Dataset]) -> Figure:
    """Returns a figure of derived days: a calendar a month, and kinds of columns by hour of day.

    A day's cell has the expected sum and its 90 % interval. A day without a product stays empty;
    one without a sum is grey.

    Args:
        derived: Derived products of UTC days of one site, in any order.

    Raises:
        ProductError: If one is no derived product, has no daily sums, or is of another site, or two
            are of the same day.
    """
    days = _sort_days(derived)
    months = sorted({(day.year, day.month) for day in days})
    heights = [*([_MONTH_INCHES] * len(months)), _HOURS_INCHES]
    figure = new_figure((_WIDTH_INCHES, 1.0 + sum(heights)))
    grid = figure.subplots(len(heights), 1, squeeze=False, gridspec_kw={"height_ratios": heights})
    *calendars, hours = grid[:, 0]
    largest = max((_find_largest(day) for day in days.values()), default=0.0)
    scale = PowerNorm(0.5, vmin=0, vmax=max(largest, 1.0))
    for ax, month in zip(calendars, months, strict=True):
        _draw_month(ax, month, days, scale)
    _draw_hours(hours, list(days.values()))
    first, last = min(days), max(days)
    set_heading(
        figure,
        str(next(iter(days.values())).attrs.get("site", "")),
        f"{len(days)} days from {first} to {last}; daily sums with 90 % intervals",
    )
    return figure


def _sort_days(derived: Sequence[xr.Dataset]) -> dict[date, xr.Dataset]:
    """Returns derived products by their UTC day, in order."""
    if not derived:
        raise ProductError("calendar: no derived product; one or more are right")
    days: dict[date, xr.Dataset] = {}
    for one in derived:
        check_derived(one)
        name = one.attrs.get("derived_from", "a derived product")
        if "day" not in one.dims or RAY in one.dims:
            raise ProductError(
                f"{name}: it has no daily sums, as of a platform that moves; days of a radar on the"
                " ground are right"
            )
        if (other := find_other_place(derived[0], one)) is not None:
            raise ProductError(
                f"{name}: of another site than the first ({other[0]} and {other[1]}); days of one"
                " site are right"
            )
        for number, start in enumerate(one["day"].values):
            day = start.astype("datetime64[D]").astype(object)
            if day in days:
                raise ProductError(f"{name}: {day} is in another file too; each day once is right")
            inside = one["time"].values.astype("datetime64[D]") == start.astype("datetime64[D]")
            days[day] = one.isel(day=[number], time=inside)
    return dict(sorted(days.items()))


def _find_sums(day: xr.Dataset) -> Mapping[str, tuple[float, float, float]]:
    """Returns expected sum, lower and upper bound [mm] of each phase that is known."""
    sums = {}
    for phase, name in _PHASES.items():
        mean = float(day[f"daily_{phase}_amount"][0])
        if np.isfinite(mean):
            quantiles = day[f"daily_{phase}_amount_quantile"].isel(day=0)
            low, high = (float(quantiles.sel(quantile=level)) for level in (0.05, 0.95))
            sums[name] = mean, low, high
    if sums and (day["precipitation_phase"] != PrecipitationPhase.UNKNOWN).any():
        # Of a phase that the temperature excludes nothing is said, unless nothing falls at all.
        some = {name: of for name, of in sums.items() if of[2] >= _LEAST_MM}
        return some or dict([next(iter(sums.items()))])
    return sums


def _find_largest(day: xr.Dataset) -> float:
    return max((mean for mean, _, _ in _find_sums(day).values()), default=0.0)


def _draw_month(
    ax: Axes, month: tuple[int, int], days: Mapping[date, xr.Dataset], scale: PowerNorm
) -> None:
    weeks = Calendar().monthdatescalendar(*month)
    for row, week in enumerate(weeks):
        for column, day in enumerate(week):
            if day.month == month[1]:
                _draw_day(ax, column, row, day, days.get(day), scale)
    ax.set_xlim(-0.01, _DAYS_A_WEEK + 0.01)  # the outermost lines are whole
    ax.set_ylim(len(weeks) + 0.01, -0.01)
    ax.set_xticks(np.arange(_DAYS_A_WEEK) + 0.5, list(day_abbr))
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.set_title(f"{month_name[month[1]]} {month[0]}", loc="left", fontsize=12)


def _draw_day(
    ax: Axes, column: int, row: int, day: date, derived: xr.Dataset | None, scale: PowerNorm
) -> None:
    """Draws a cell: the day, its sums, and a bar of the interval within the largest sum."""
    sums = {} if derived is None else _find_sums(derived)
    largest = max((mean for mean, _, _ in sums.values()), default=0.0)
    face = "white" if derived is None else _COLOURS(0.85 * scale(largest)) if sums else NO_DATA
    edge = "0.85" if derived is None else "0.4"
    ax.add_patch(Rectangle((column, row), 1, 1, facecolor=face, edgecolor=edge, linewidth=0.8))
    ink = "white" if sums and scale(largest) > 0.6 else "0.6" if derived is None else "black"
    ax.text(column + 0.05, row + 0.08, str(day.day), va="top", fontsize=9, color=ink)
    lines = [f"{_round(mean)} mm {name}" for name, (mean, _, _) in sums.items()]
    bounds = [f"{_round(low)} to {_round(high)}" for _, low, high in sums.values()]
    if derived is not None and not sums:
        lines, bounds = ["no sum"], [""]
    for number, (line, bound) in enumerate(zip(lines, bounds, strict=True)):
        top = row + 0.33 + 0.32 * number
        ax.text(column + 0.5, top, line, ha="center", va="center", fontsize=10, color=ink)
        ax.text(column + 0.5, top + 0.16, bound, ha="center", va="center", fontsize=8, color=ink)


def _round(millimetres: float) -> str:
    if millimetres < _LEAST_MM:
        return "0"
    return f"{millimetres:.2f}" if millimetres < 1 else f"{millimetres:.2g}"


def _draw_hours(ax: Axes, days: Sequence[xr.Dataset]) -> None:
    """Draws how often each kind of column is, by the hour of the day."""
    names = list(CLASS_NAMES.values())
    probability = np.concatenate([np.stack([day[name] for name in names], axis=1) for day in days])
    times = np.concatenate([day["time"].values for day in days])
    known = np.isfinite(probability).all(axis=1)
    hour = (times - times.astype("datetime64[D]")) // np.timedelta64(1, "h")
    count = np.bincount(hour[known], minlength=_HOURS_A_DAY)
    bottom = np.zeros(_HOURS_A_DAY)
    for kind, colour in CLASS_COLOURS.items():
        values = probability[known, names.index(CLASS_NAMES[kind])]
        share = np.bincount(hour[known], values, minlength=_HOURS_A_DAY) / np.maximum(count, 1)
        label = ColumnClass(kind).name.replace("_", " ").lower()
        hours = np.arange(_HOURS_A_DAY) + 0.5
        ax.bar(hours, share, 1.0, bottom, color=colour, label=label, edgecolor="white", lw=0.4)
        bottom += share
    ax.set_facecolor(NO_DATA)
    ax.set_xlim(0, _HOURS_A_DAY)
    ax.set_ylim(0, 1)
    ax.set_xticks(np.arange(0, _HOURS_A_DAY + 1, 3), [f"{at:02d}:00" for at in range(0, 25, 3)])
    ax.set_xlabel("Time (UTC)")
    ax.set_ylabel("probability")
    ax.set_title("Kind of the column by hour of day, mean of all days", loc="left", fontsize=11)
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=9, frameon=False, reverse=True)
