"""Quicklooks: one picture of one product, or of one curtain, for people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from string import ascii_lowercase

import matplotlib
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, MultipleLocator

from blindzone.core.errors import CurtainError, ProductError
from blindzone.pipeline.curtains.cf import InpaintingFlag
from blindzone.pipeline.curtains.curtain import STATUS_OF, check_curtain
from blindzone.pipeline.plots.curtain_panels import build_view, draw_blind_zone, list_panels
from blindzone.pipeline.plots.panels import (
    Raster,
    colour,
    count_hours,
    new_picture,
    rasterize,
    show,
)

_SIZE_INCHES = (16.0, 14.4)
_REFLECTIVITY_RANGE_DBZ = (-50.0, 25.0)
_WIDTH_RANGE_DB = (0.0, 40.0)
_INTERVAL = (0.05, 0.95)
_TIME_STEPS_S = (
    0.1,
    0.2,
    0.5,
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1800,
    3600,
    7200,
    10_800,
    21_600,
    43_200,
    86_400,
)
_MOST_TICKS = 12


@dataclass(frozen=True, kw_only=True)
class _Panel:
    title: str
    label: str
    values: np.ndarray  # (time, height)
    colours: Colormap
    scale: Normalize
    top_m: float
    extend: str = "both"  # which ends of the colour bar stand for more than they say
    decorate: Callable[[Axes], None] | None = None


def draw_product(product: xr.Dataset, path: Path, *, top_m: float = 4000.0) -> None:
    """Draws what was observed, what the network was shown, what it filled, and how sure it is.

    Args:
        product: A product, as built or reopened.
        path: The picture; `.png` or `.webp`.
        top_m: Height of the upper panels' top above the ground [m].

    Raises:
        ProductError: If the suffix is unknown, an interval bound is not among the quantiles, or the
            picture cannot be written.
    """
    raster = rasterize(product["time"].values)
    panels = _panels(product, top_m)
    with new_picture(path, _SIZE_INCHES) as figure:
        axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for letter, ax, panel in zip("abcde", axes, panels, strict=True):
            _draw_panel(figure, ax, panel, product, raster, letter)
        axes[-1].set_xlabel("Time (UTC, hours)")
        axes[-1].set_xlim(*raster.hours)
        if raster.hours == (0.0, 24.0):
            axes[-1].xaxis.set_major_locator(MultipleLocator(3))
            axes[-1].xaxis.set_minor_locator(MultipleLocator(1))
        day = np.datetime_as_string(product["time"].values[0], unit="D")
        figure.suptitle(
            f"{product.attrs.get('title', 'Product')}\n{product.attrs.get('site', '')}, {day}",
            fontsize=13,
        )


def draw_curtain(
    curtain: xr.Dataset, path: Path, *, top_m: float | None = None, ray: int | None = None
) -> None:
    """Draws every field of a curtain, native or gridded, and what is known of its pixels.

    A dot shows the nearest profile and the gate in which it lies, nothing averaged; `gate_height`,
    where a curtain has it, says where its gates lie.

    Args:
        curtain: A canonical curtain, or a swath of them.
        path: The picture; `.png` or `.webp`.
        top_m: Height of the panels' top above the ground [m]; that of the highest return by
            default.
        ray: Number of the ray of a swath, counted from 0; the middle one by default.

    Raises:
        CurtainError: If it is no canonical curtain, or has no such ray.
        ProductError: If the suffix is unknown, the top is no height above the lowest gate, or the
            picture cannot be written.
    """
    shown, place = _pick_ray(curtain, ray)
    shown = shown.compute()  # an archived one is read once
    check_curtain(shown)
    view = build_view(shown, top_m)
    panels = list_panels(shown)
    with new_picture(path, (16.0, 1.6 + 2.7 * len(panels))) as figure:
        axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for letter, ax, draw in zip(ascii_lowercase, axes, panels, strict=False):
            draw(figure, ax, view)
            ax.set_title(f"({letter}) {ax.get_title(loc='left')}", loc="left", fontsize=11)
            ax.set_ylim(*(edge / 1000 for edge in view.heights_m))
            if "blind_zone_top" in shown.variables:
                draw_blind_zone(ax, shown, view)
        _explain(axes[0], _legend_of(shown))
        _label_times(axes[-1], view.raster.hours, shown["time"].values)
        if "along_track_distance" in shown.variables:
            _label_distances(axes[0], shown)
        figure.suptitle(_title_of(shown, place), fontsize=13)


def _pick_ray(curtain: xr.Dataset, ray: int | None) -> tuple[xr.Dataset, str]:
    """Returns one curtain, and in words which ray of a swath it is."""
    if "ray" not in curtain.dims:
        if ray is not None:
            raise CurtainError(
                f"ray {ray} is asked for, and the curtain has no dimension 'ray'; only a swath has"
                " rays"
            )
        return curtain, ""
    count = curtain.sizes["ray"]
    number = count // 2 if ray is None else ray
    if not 0 <= number < count:
        raise CurtainError(f"the swath has no ray {number}; 0 to {count - 1} are right")
    return curtain.isel(ray=number), f", ray {number} of 0 to {count - 1}"


def _legend_of(curtain: xr.Dataset) -> str:
    looked = [name for name in STATUS_OF if name in curtain]
    line = ["line: top of the blind zone"] if "blind_zone_top" in curtain.variables else []
    return "; ".join([*line, *(["white: nothing detected"] if looked else []), "grey: no data"])


def _title_of(curtain: xr.Dataset, place: str) -> str:
    about = curtain.attrs
    start, end = curtain["time"].values[[0, -1]]
    # A model day that ends at midnight is one day.
    first, last = (
        np.datetime_as_string(at, unit="D")
        for at in (start, max(start, end - np.timedelta64(1, "ns")))
    )
    days = first if first == last else f"{first} to {last}"
    where = ", ".join(filter(None, [str(about.get("site", "")), _describe_place(curtain)]))
    what = about.get("title") or about.get("instrument") or "Curtain"
    return f"{what}{place}\n{where}{', ' if where else ''}{days}"


def _describe_place(curtain: xr.Dataset) -> str:
    """Returns where a curtain lies, or from where to where; nothing where it does not say."""
    latitude, longitude = (np.ravel(curtain[name].values) for name in ("latitude", "longitude"))
    known = np.flatnonzero(np.isfinite(latitude) & np.isfinite(longitude))
    if not known.size:
        return ""
    ends = dict.fromkeys(
        f"{abs(y):.2f}° {'N' if y >= 0 else 'S'} {abs(x):.2f}° {'E' if x >= 0 else 'W'}"
        for y, x in (
            (latitude[end], (longitude[end] + 180) % 360 - 180) for end in (known[0], known[-1])
        )
    )
    return " to ".join(ends)


def _label_times(ax: Axes, hours: tuple[float, float], times: np.ndarray) -> None:
    """Labels an axis of hours since the first profile's midnight with times, and with days where there are several."""
    midnight = times[0].astype("datetime64[D]")
    span_s = 3600 * (hours[1] - hours[0])
    step_s = next(
        (step for step in _TIME_STEPS_S if span_s / step <= _MOST_TICKS), _TIME_STEPS_S[-1]
    )
    seconds = (
        np.arange(np.ceil(3600 * hours[0] / step_s), np.floor(3600 * hours[1] / step_s) + 1)
        * step_s
    )
    if times.size == 1:  # the width of the one column is no time
        seconds, step_s = 3600 * count_hours(times), 1.0
    labels = []
    for instant in midnight + np.round(1000 * seconds).astype("timedelta64[ms]"):
        day, _, clock = str(np.datetime_as_string(instant, unit="ms")).partition("T")
        label = clock[:5] if step_s >= 60 else clock[:8] if step_s >= 1 else clock
        labels.append(f"{label}\n{day}" if label == "00:00" and span_s > 86_400 + step_s else label)
    ax.set_xlim(*hours)
    ax.set_xticks(seconds / 3600, labels)
    ax.set_xlabel("Time (UTC)")


def _label_distances(ax: Axes, curtain: xr.Dataset) -> None:
    """Labels the upper edge of an axis of hours with distances along the track."""
    distance_km = curtain["along_track_distance"].values / 1000
    if not (distance_km.size > 1 and (np.diff(distance_km) > 0).all()):  # a NaN fails too
        return
    ticks = MaxNLocator(nbins=_MOST_TICKS).tick_values(distance_km[0], distance_km[-1])
    ticks = ticks[(ticks >= distance_km[0]) & (ticks <= distance_km[-1])]
    upper = ax.secondary_xaxis("top")
    upper.set_xticks(
        np.interp(ticks, distance_km, count_hours(curtain["time"].values)),
        [f"{km:g}" for km in ticks],
    )
    upper.set_xlabel("Distance along the track (km)")


def _panels(product: xr.Dataset, top_m: float) -> list[_Panel]:
    reflectivity = matplotlib.colormaps["HomeyerRainbow"]
    scale = Normalize(*_REFLECTIVITY_RANGE_DBZ)
    flag = product["inpainting_flag"].values
    hidden = ~np.isnan(product["hydrometeor_probability"].values)
    observed, filled = product["reflectivity_observed"].values, product["reflectivity"].values
    lower, upper = (
        product["reflectivity_quantile"].values[_level(product, level)] for level in _INTERVAL
    )
    beyond = flag == InpaintingFlag.FILLED_BEYOND_TRUSTED_TRUTH
    upper_edges = _edges(product)[1:]
    trusted_m = float(upper_edges[beyond.any(axis=0)].max()) if beyond.any() else 0.0
    zoom_m = (
        float(upper_edges[hidden.any(axis=0)].max())
        if hidden.any()
        else float(product["blind_zone_top"].max())
    )

    def mark_hidden(ax: Axes) -> None:
        _hatch(ax, float(product["blind_zone_top"].max()))

    def mark_untrusted(ax: Axes) -> None:
        _mark_untrusted(ax, trusted_m)

    dbz = "Reflectivity (dBZ)"
    return [
        _Panel(
            title="Observed",
            label=dbz,
            values=observed,
            colours=reflectivity,
            scale=scale,
            top_m=top_m,
            decorate=_mark_legend,
        ),
        _Panel(
            title="Shown to the network: blind zone hidden",
            label=dbz,
            values=np.where(hidden, np.nan, observed),
            colours=reflectivity,
            scale=scale,
            top_m=top_m,
            decorate=mark_hidden,
        ),
        _Panel(
            title="Blind zone filled: median where echo is more likely than not",
            label=dbz,
            values=filled,
            colours=reflectivity,
            scale=scale,
            top_m=top_m,
            decorate=mark_untrusted,
        ),
        _Panel(
            title="Width of the 90 % interval (95 % minus 5 % quantile), blind zone only",
            label="Width (dB)",
            values=upper - lower,
            colours=matplotlib.colormaps["magma_r"],
            scale=Normalize(*_WIDTH_RANGE_DB),
            top_m=zoom_m,
            extend="max",
            decorate=mark_untrusted,
        ),
        _Panel(
            title="Probability of hydrometeor echo, blind zone only",
            label="Probability (1)",
            values=product["hydrometeor_probability"].values,
            colours=matplotlib.colormaps["Blues"],
            scale=Normalize(0, 1),
            top_m=zoom_m,
            extend="neither",
            decorate=mark_untrusted,
        ),
    ]


def _draw_panel(
    figure: Figure, ax: Axes, panel: _Panel, product: xr.Dataset, raster: Raster, letter: str
) -> None:
    values = panel.values[raster.profile]  # (column, height)
    no_data = (product["inpainting_flag"].values == InpaintingFlag.NO_DATA)[
        raster.profile
    ] & np.isnan(values)
    edges = _edges(product)
    colours = colour(values, no_data | raster.empty[:, None], panel.colours, panel.scale)
    show(ax, colours, raster.hours, (float(edges[0]), float(edges[-1])))
    ax.set_ylim(0, panel.top_m / 1000)
    ax.set_title(f"({letter}) {panel.title}", loc="left", fontsize=11)
    hours = count_hours(product["time"].values)
    ax.plot(hours, product["blind_zone_top"].values / 1000, color="black", linewidth=0.8)
    if panel.decorate is not None:
        panel.decorate(ax)
    bar = ScalarMappable(panel.scale, panel.colours)
    figure.colorbar(bar, ax=ax, label=panel.label, pad=0.01, aspect=12, extend=panel.extend)


def _hatch(ax: Axes, top_m: float) -> None:
    ax.add_patch(
        Rectangle(
            (0, 0),
            1,
            top_m / 1000,
            transform=ax.get_yaxis_transform(),
            facecolor="0.90",
            edgecolor="0.65",
            hatch="///",
        )
    )
    ax.text(
        0.5,
        top_m / 2000,
        "blind zone: hidden from the network",
        transform=ax.get_yaxis_transform(),
        ha="center",
        va="center",
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 3},
    )


def _mark_untrusted(ax: Axes, trusted_m: float) -> None:
    if trusted_m > 0:
        ax.axhline(trusted_m / 1000, color="0.45", linewidth=1.0, linestyle=":")
        _explain(ax, "dotted line: no trusted truth below it")


def _mark_legend(ax: Axes) -> None:
    _explain(ax, "line: top of the blind zone; white: no echo; grey: no data")


def _explain(ax: Axes, text: str) -> None:
    ax.set_title(text, loc="right", fontsize=9)


def _level(product: xr.Dataset, level: float) -> int:
    found = np.flatnonzero(np.isclose(product["quantile"].values, level))
    if found.size != 1:
        raise ProductError(
            f"the quantile {level} is needed; found {product['quantile'].values.tolist()}"
        )
    return int(found[0])


def _edges(product: xr.Dataset) -> np.ndarray:
    """Returns the rows' edges [m], shape `(height + 1,)`."""
    bounds = product["height_bounds"].values
    return np.append(bounds[:, 0], bounds[-1, 1])
