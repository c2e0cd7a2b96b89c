"""The picture of a derived product: kinds of columns, bases, rain and its hourly sums, in time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from blindzone.core.errors import ProductError
from blindzone.pipeline.derivation.columns import CLASS_NAMES, ColumnClass
from blindzone.pipeline.derivation.phase import PrecipitationPhase
from blindzone.pipeline.plots.panels import check_format, new_figure, save_figure, set_heading
from blindzone.pipeline.plots.time_axis import describe_days
from blindzone.pipeline.products.swath import pick_ray

_WIDTH_INCHES, _PANEL_INCHES = 12.0, 2.5
_MOST_PROFILES = 1500
"""Profiles that are drawn: means of more of them, which no picture shows apart."""
# For the colour-blind too: Okabe and Ito (2008).
CLASS_COLOURS = {
    ColumnClass.PRECIPITATION_TO_GROUND: "#0072B2",
    ColumnClass.SHALLOW: "#009E73",
    ColumnClass.VIRGA: "#56B4E9",
    ColumnClass.CLOUD_ALOFT: "#B8B8B8",
    ColumnClass.CLEAR: "#F2F2F2",
}
_BASE, _RAIN, _SNOW = "#D55E00", "#0072B2", "#CC79A7"
_OUTER, _INNER = (0.05, 0.95), (0.25, 0.75)


def draw_derived(derived: xr.Dataset, path: Path, *, ray: int | None = None) -> None:
    """Writes the picture of a derived product to a file.

    Args:
        derived: What `derive_product` returned, or a file of it opened.
        path: The picture; its suffix is one of `PICTURE_SUFFIXES`.
        ray: Number of the ray of a swath; the one nearest to nadir by default.

    Raises:
        ProductError: If the suffix is unknown, there is no such ray, or the picture cannot be
            written.
    """
    check_format(path)
    save_figure(plot_derived(derived, ray=ray), path)


def plot_derived(derived: xr.Dataset, *, ray: int | None = None) -> Figure:
    """Returns a figure of a derived product `(time,)`, in four panels over time.

    What has no hourly sums, as of a platform that moves, has no panel of them.

    Args:
        derived: What `derive_product` returned, or a file of it opened.
        ray: Number of the ray of a swath; the one nearest to nadir by default.

    Raises:
        ProductError: If it is no derived product, or there is no such ray.
    """
    check_derived(derived)
    one, which = pick_ray(derived, ray)
    drawn = _thin(one)
    has_sums = "hour" in one.dims
    panels = 4 if has_sums else 3
    figure = new_figure((_WIDTH_INCHES, panels * _PANEL_INCHES))
    axes = figure.subplots(panels, 1, sharex=True)
    _draw_classes(axes[0], drawn)
    _draw_bases(axes[1], drawn)
    _draw_rates(axes[2], drawn, _describe_phase(one))
    if has_sums:
        _draw_amounts(axes[3], one)
    locator = AutoDateLocator()  # type: ignore[no-untyped-call]
    axes[-1].xaxis.set_major_locator(locator)
    axes[-1].xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes[-1].set_xlabel("UTC")
    axes[-1].set_xlim(*one["time"].values[[0, -1]])
    for ax in axes:
        ax.grid(color="0.9", linewidth=0.6)
        ax.set_axisbelow(True)
    about = derived.attrs
    where = str(about.get("site", "")), describe_days(one["time"].values)
    set_heading(
        figure,
        f"{about.get('title', 'Derived product')}{which}",
        f"{', '.join(filter(None, where))}; {about.get('members', '?')} ensemble members;"
        " shaded: 50 and 90 % intervals",
        fontsize=11,
    )
    return figure


def check_derived(derived: xr.Dataset) -> None:
    """Checks that a dataset is a derived product.

    Raises:
        ProductError: If not.
    """
    if CLASS_NAMES[ColumnClass.CLEAR] not in derived:
        raise ProductError(
            "no derived product: it lacks the probabilities of classes; what blindzone.derive"
            " returned is right"
        )


def _thin(derived: xr.Dataset) -> xr.Dataset:
    """Returns means over stretches of profiles, no more than can be seen apart."""
    names = [*CLASS_NAMES.values(), "echo_to_ground_probability", "echo_base_height"]
    rates = ("fall_rate", "fall_rate_quantile")
    names += [name for name in map(str, derived.data_vars) if name.endswith(rates)]
    kept = derived[names].load()
    step = -(-kept.sizes["time"] // _MOST_PROFILES)
    return kept if step == 1 else kept.coarsen(time=step, boundary="pad").mean()


def _draw_classes(ax: Axes, derived: xr.Dataset) -> None:
    time = derived["time"].values
    kinds = list(CLASS_COLOURS)
    shares = [derived[CLASS_NAMES[kind]].values for kind in kinds]
    ax.stackplot(
        time,
        np.nan_to_num(shares),
        colors=list(CLASS_COLOURS.values()),
        labels=[kind.name.replace("_", " ").lower() for kind in kinds],
        step="mid",
        linewidth=0,
    )
    ax.plot(
        time, derived["echo_to_ground_probability"], color="black", linewidth=0.8, label="to ground"
    )
    ax.set_ylim(0, 1)
    ax.set_ylabel("probability")
    ax.set_title(
        "Kind of the column; line: echo in the lowest trusted row", loc="left", fontsize=11
    )
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=9, frameon=False, reverse=True)


def _draw_bases(ax: Axes, derived: xr.Dataset) -> None:
    likely = derived[CLASS_NAMES[ColumnClass.CLEAR]] < 0.5
    time, bases = derived["time"].values, derived["echo_base_height"].where(likely) / 1000
    _shade(ax, time, bases, _BASE)
    ax.plot(time, bases.sel(quantile=0.5), color=_BASE, linewidth=0.9)
    ax.set_ylim(bottom=0)
    ax.set_ylabel("km")
    ax.set_title("Base of the lowest echo, where echo is likely", loc="left", fontsize=11)


def _describe_phase(derived: xr.Dataset) -> str:
    """Returns how rain and snow are told apart, as a title."""
    unknown = (derived["precipitation_phase"] == PrecipitationPhase.UNKNOWN).values
    if unknown.all():
        return "if it rains or snows"
    return "rain or snow by temperature" + (", where it is known" if unknown.any() else "")


def _draw_rates(ax: Axes, derived: xr.Dataset, phase: str) -> None:
    time = derived["time"].values
    for name, colour in (("rainfall_rate", _RAIN), ("snowfall_rate", _SNOW)):
        if name in derived and np.isfinite(derived[name]).any():
            _shade(ax, time, derived[f"{name}_quantile"], colour)
            ax.plot(time, derived[name], color=colour, linewidth=0.9, label=name.split("_")[0])
    ax.set_ylim(bottom=0)
    ax.set_ylabel("mm h$^{-1}$")
    ax.set_title(f"Rate near the ground, {phase}", loc="left", fontsize=11)
    if ax.lines:
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=9, frameon=False)


def _draw_amounts(ax: Axes, derived: xr.Dataset) -> None:
    """Draws hourly sums with their 90 % intervals."""
    ax.set_ylabel("mm")
    ax.set_title("Hourly sums with 90 % intervals", loc="left", fontsize=11)
    for number, (phase, colour) in enumerate((("rainfall", _RAIN), ("snowfall", _SNOW))):
        name = f"hourly_{phase}_amount"
        if name not in derived or not np.isfinite(derived[name]).any():
            continue
        hours = derived["hour"].values + np.timedelta64(18 + 24 * number, "m")
        mean, bounds = derived[name].values, derived[f"{name}_quantile"]
        low, high = (bounds.sel(quantile=level).values for level in _OUTER)
        ax.bar(hours, mean, width=np.timedelta64(24, "m"), color=colour, label=phase)
        ax.vlines(hours, low, high, color="black", linewidth=1)
    ax.set_ylim(bottom=0)
    if not ax.patches:
        ax.text(0.5, 0.5, "no sums", ha="center", va="center", transform=ax.transAxes)


def _shade(ax: Axes, time: np.ndarray, quantiles: xr.DataArray, colour: str) -> None:
    for levels, alpha in ((_OUTER, 0.2), (_INNER, 0.35)):
        low, high = (quantiles.sel(quantile=level).values for level in levels)
        ax.fill_between(time, low, high, color=colour, alpha=alpha, linewidth=0, step="mid")
