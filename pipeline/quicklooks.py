"""Quicklooks: one picture of one product, for people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cmweather  # noqa: F401  (registers its colour maps with matplotlib)
import matplotlib
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MultipleLocator

from blindzone.pipeline.cf import InpaintingFlag
from blindzone.pipeline.errors import ProductError
from blindzone.pipeline.products import replace_when_whole

_SUFFIXES = (".png", ".webp")
_SIZE_INCHES = (16.0, 14.4)
_DPI = 120
_COLUMNS = 1600
"""Columns of the time raster of a full day: about one a dot of a panel."""
_NO_DATA = "0.80"
_REFLECTIVITY_RANGE_DBZ = (-50.0, 25.0)
_WIDTH_RANGE_DB = (0.0, 40.0)
_INTERVAL = (0.05, 0.95)


@dataclass(frozen=True, kw_only=True)
class _Raster:
    """A regular raster of time: which profile each column shows, and which columns show none.

    Attributes:
        profile: Index of the nearest profile, shape `(column,)`.
        empty: Whether that profile is too far away, shape `(column,)`.
        hours: First and last edge [h since the day's midnight].
    """

    profile: np.ndarray
    empty: np.ndarray
    hours: tuple[float, float]


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
        ProductError: If the suffix is unknown, an interval bound is not among the quantiles, or the picture
            cannot be written.
    """
    if path.suffix not in _SUFFIXES:
        raise ProductError(f"{path}: unknown picture format '{path.suffix}'; {' or '.join(_SUFFIXES)} is right")
    raster = _rasterize(product["time"].values)
    # No pyplot: its global state is not safe in threads; this figure is freed with its last reference.
    figure = Figure(figsize=_SIZE_INCHES, dpi=_DPI, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    panels = _panels(product, top_m)
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for letter, ax, panel in zip("abcde", axes, panels, strict=True):
        _draw_panel(figure, ax, panel, product, raster, letter)
    axes[-1].set_xlabel("Time (UTC, hours)")
    axes[-1].set_xlim(*raster.hours)
    if raster.hours == (0.0, 24.0):
        axes[-1].xaxis.set_major_locator(MultipleLocator(3))
        axes[-1].xaxis.set_minor_locator(MultipleLocator(1))
    day = np.datetime_as_string(product["time"].values[0], unit="D")
    figure.suptitle(f"{product.attrs.get('title', 'Product')}\n{product.attrs.get('site', '')}, {day}", fontsize=13)
    with replace_when_whole(path) as temporary:
        canvas.print_figure(temporary, format=path.suffix[1:])


def _panels(product: xr.Dataset, top_m: float) -> list[_Panel]:
    reflectivity = matplotlib.colormaps["HomeyerRainbow"]
    scale = Normalize(*_REFLECTIVITY_RANGE_DBZ)
    flag = product["inpainting_flag"].values
    hidden = ~np.isnan(product["hydrometeor_probability"].values)
    observed, filled = product["reflectivity_observed"].values, product["reflectivity"].values
    lower, upper = (product["reflectivity_quantile"].values[_level(product, level)] for level in _INTERVAL)
    beyond = flag == InpaintingFlag.FILLED_BEYOND_TRUSTED_TRUTH
    upper_edges = _edges(product)[1:]
    trusted_m = float(upper_edges[beyond.any(axis=0)].max()) if beyond.any() else 0.0
    zoom_m = float(upper_edges[hidden.any(axis=0)].max()) if hidden.any() else float(product["blind_zone_top"].max())

    def mark_hidden(ax: Axes) -> None:
        _hatch(ax, float(product["blind_zone_top"].max()))

    def mark_untrusted(ax: Axes) -> None:
        _mark_untrusted(ax, trusted_m)

    dbz = "Reflectivity (dBZ)"
    return [
        _Panel(
            title="Observed", label=dbz, values=observed,
            colours=reflectivity, scale=scale, top_m=top_m, decorate=_mark_legend,
        ),
        _Panel(
            title="Shown to the network: blind zone hidden", label=dbz,
            values=np.where(hidden, np.nan, observed),
            colours=reflectivity, scale=scale, top_m=top_m, decorate=mark_hidden,
        ),
        _Panel(
            title="Blind zone filled: median where echo is more likely than not", label=dbz, values=filled,
            colours=reflectivity, scale=scale, top_m=top_m, decorate=mark_untrusted,
        ),
        _Panel(
            title="Width of the 90 % interval (95 % minus 5 % quantile), blind zone only", label="Width (dB)",
            values=upper - lower, colours=matplotlib.colormaps["magma_r"], scale=Normalize(*_WIDTH_RANGE_DB),
            top_m=zoom_m, extend="max", decorate=mark_untrusted,
        ),
        _Panel(
            title="Probability of hydrometeor echo, blind zone only", label="Probability (1)",
            values=product["hydrometeor_probability"].values, colours=matplotlib.colormaps["Blues"],
            scale=Normalize(0, 1), top_m=zoom_m, extend="neither", decorate=mark_untrusted,
        ),
    ]  # fmt: skip


def _draw_panel(figure: Figure, ax: Axes, panel: _Panel, product: xr.Dataset, raster: _Raster, letter: str) -> None:
    values = panel.values[raster.profile]  # (column, height)
    no_data = (product["inpainting_flag"].values == InpaintingFlag.NO_DATA)[raster.profile] & np.isnan(values)
    missing = no_data | raster.empty[:, None]
    colours = panel.colours.with_extremes(bad=(1, 1, 1, 1))(panel.scale(np.ma.masked_invalid(values)))
    colours[missing, 3] = 0  # the grey behind shows
    edges_km = _edges(product) / 1000
    ax.imshow(
        colours.transpose(1, 0, 2),
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        extent=(*raster.hours, float(edges_km[0]), float(edges_km[-1])),
    )
    ax.set_facecolor(_NO_DATA)
    ax.set_ylim(0, panel.top_m / 1000)
    ax.set_ylabel("Height (km)")
    ax.set_title(f"({letter}) {panel.title}", loc="left", fontsize=11)
    hours = _hours(product["time"].values)
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
        0.5, top_m / 2000, "blind zone: hidden from the network", transform=ax.get_yaxis_transform(),
        ha="center", va="center", bbox={"facecolor": "white", "edgecolor": "none", "pad": 3},
    )  # fmt: skip


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
        raise ProductError(f"the quantile {level} is needed; found {product['quantile'].values.tolist()}")
    return int(found[0])


def _edges(product: xr.Dataset) -> np.ndarray:
    """Returns the rows' edges [m], shape `(height + 1,)`."""
    bounds = product["height_bounds"].values
    return np.append(bounds[:, 0], bounds[-1, 1])


def _hours(times: np.ndarray) -> np.ndarray:
    """Returns hours since the midnight before the first profile."""
    return np.asarray((times - times[0].astype("datetime64[D]")) / np.timedelta64(1, "h"))


def _rasterize(times: np.ndarray) -> _Raster:
    """Returns the raster of a day: the whole of it if the profiles span most of it, else what they span."""
    hours = _hours(times)
    step = float(np.median(np.diff(hours))) if hours.size > 1 else 1 / 60
    first, last = hours[0] - step / 2, hours[-1] + step / 2
    if last - first > 12 and last <= 24 + step:
        first, last = 0.0, 24.0
    count = int(np.clip(np.ceil((last - first) / step), 1, _COLUMNS))
    column = (last - first) / count
    centres = first + (np.arange(count) + 0.5) * column
    after = (
        np.clip(np.searchsorted(hours, centres), 1, hours.size - 1)
        if hours.size > 1
        else np.zeros(count, dtype=np.intp)
    )
    before = np.maximum(after - 1, 0)
    profile = np.where(centres - hours[before] < hours[after] - centres, before, after)
    # Three quarters of a step bridges jitter and shows a lost profile.
    empty = np.abs(hours[profile] - centres) > 0.75 * max(step, column)
    return _Raster(profile=profile, empty=empty, hours=(float(first), float(last)))
