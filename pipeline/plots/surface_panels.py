"""The picture of a surface series: a panel a quantity over time, gaps left open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from blindzone.pipeline.curtains.curtain import ZERO_CELSIUS_K
from blindzone.pipeline.curtains.surface import SURFACE_FIELDS, check_surface
from blindzone.pipeline.plots.panels import count_hours, new_figure, set_heading
from blindzone.pipeline.plots.selection import TimeSpan, find_names, select_time
from blindzone.pipeline.plots.time_axis import describe_days, label_times

_WIDTH_INCHES, _PANEL_INCHES, _MARGIN_INCHES = 12.0, 1.35, 1.4
_COLOUR = "#0072B2"  # of Okabe and Ito (2008)
_GAP_STEPS = 1.5
"""Steps between neighbours from which the line between them is left open."""


@dataclass(frozen=True, kw_only=True)
class _Look:
    """How a quantity is drawn.

    Attributes:
        unit: Unit of the panel.
        factor: From the field's unit to that of the panel.
        offset: What is added after it.
        style: `area` from zero, `line` or `dots`.
    """

    unit: str
    factor: float = 1.0
    offset: float = 0.0
    style: str = "line"


_LOOKS: Mapping[str, _Look] = MappingProxyType(
    {
        "rainfall_rate": _Look(unit="mm h$^{-1}$", factor=3.6e6, style="area"),
        "snowfall_rate": _Look(unit="mm h$^{-1}$", factor=3.6e6, style="area"),
        "rainfall_amount": _Look(unit="mm", factor=1000, style="area"),
        "air_temperature": _Look(unit="°C", offset=-ZERO_CELSIUS_K),
        "relative_humidity": _Look(unit="%", factor=100),
        "air_pressure": _Look(unit="hPa", factor=0.01),
        "wind_speed": _Look(unit="m s$^{-1}$"),
        "wind_direction": _Look(unit="°", style="dots"),
        "radar_reflectivity": _Look(unit="dBZ", style="dots"),
        "visibility": _Look(unit="km", factor=0.001),
        "n_particles": _Look(unit="1", style="area"),
    }
)


def plot_surface(
    series: xr.Dataset,
    *,
    time: TimeSpan | None = None,
    variables: str | Sequence[str] | None = None,
) -> Figure:
    """Returns a figure of the quantities of a surface series, a panel each.

    A gap stays open, and so does a minute without a value.

    Args:
        series: A surface series `(time,)`.
        time: First and last time, or a slice of times; all by default.
        variables: Names of quantities, top first; all by default.

    Raises:
        CurtainError: If it is no surface series.
        ProductError: If it lacks a quantity, or has nothing at these times.
    """
    whole = series.compute()
    check_surface(whole, where="surface series")
    selected = select_time(whole, time)
    known = [name for name in _LOOKS if name in selected]
    names = find_names(known if variables is None else variables, known, "surface series")
    height = _MARGIN_INCHES + _PANEL_INCHES * len(names)
    figure = new_figure((_WIDTH_INCHES, height))
    axes = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
    times = selected["time"].values
    for ax, name in zip(axes, names, strict=True):
        _draw(ax, times, selected[name].values, name)
    hours = count_hours(times)
    label_times(axes[-1], (float(hours[0]), float(hours[-1])), times)
    about = selected.attrs
    what = str(about.get("title") or about.get("instrument") or "Surface series")
    where = ", ".join(filter(None, [str(about.get("site", "")), describe_days(times)]))
    set_heading(figure, what, where)
    return figure


def _draw(ax: Axes, times: np.ndarray, values: np.ndarray, name: str) -> None:
    """Draws one quantity; values that are missing leave a gap."""
    look = _LOOKS[name]
    hours, drawn = _open_gaps(count_hours(times), values * look.factor + look.offset)
    if look.style == "dots":
        ax.plot(hours, drawn, ".", color=_COLOUR, markersize=2)
    else:
        ax.plot(hours, drawn, color=_COLOUR, linewidth=0.9)
    if look.style == "area":
        ax.fill_between(hours, 0, drawn, color=_COLOUR, alpha=0.3, linewidth=0)
        ax.set_ylim(bottom=0)
    if not np.isfinite(drawn).any():
        ax.text(0.5, 0.5, "no value", ha="center", va="center", transform=ax.transAxes)
    ax.set_ylabel(look.unit)
    ax.set_title(SURFACE_FIELDS[name].long_name, loc="left", fontsize=11)
    ax.grid(color="0.9", linewidth=0.6)
    ax.set_axisbelow(True)


def _open_gaps(hours: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns times and values with one without a value in each gap between times."""
    steps = np.diff(hours)
    if not steps.size:
        return hours, values
    after = np.flatnonzero(steps > _GAP_STEPS * np.median(steps)) + 1
    middle = (hours[after] + hours[after - 1]) / 2
    return np.insert(hours, after, middle), np.insert(values, after, np.nan)
