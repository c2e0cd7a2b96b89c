"""The panels of a product's picture: how each variable looks, and what is marked on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_rgba
from matplotlib.patches import Patch, Rectangle

from blindzone.core.errors import ProductError
from blindzone.pipeline.curtains.flags import InpaintingFlag
from blindzone.pipeline.derivation.precipitation import find_frequency
from blindzone.pipeline.plots.error_panel import FILL_ERROR, draw_errors
from blindzone.pipeline.plots.panels import NO_DATA, colour, count_hours, hatch, show
from blindzone.pipeline.plots.product_view import ProductView
from blindzone.pipeline.plots.reflectivity_scale import COLOURS, scale_reflectivity

NETWORK_INPUT = "network_input"
"""A panel that is no variable of its own: what was observed above the blind zone."""
_TOP_M = 4000.0
_INTERVAL = (0.05, 0.95)
LEAST_PROBABILITY = 0.2
"""Where echo is less likely, the width that it would have is not drawn."""
_FILLED_CLEAR = "#F1EEE6"
"""No echo, by the fill: neither the white of no echo that was observed, nor the grey of no data."""
FLAG_COLOURS: Mapping[InpaintingFlag, str] = {
    InpaintingFlag.OBSERVED: "#56B4E9",
    InpaintingFlag.FILLED: "#E69F00",
    InpaintingFlag.FILLED_BEYOND_TRUSTED_TRUTH: "#F0E442",
    InpaintingFlag.NO_DATA: NO_DATA,
}


@dataclass(frozen=True, kw_only=True)
class Scale:
    """The colours of values.

    Attributes:
        label: What the colour bar says.
        limits: Values at its ends.
        colours: Name of the colour map.
        extend: Which ends of the colour bar include values beyond them.
    """

    label: str
    limits: tuple[float, float]
    colours: str
    extend: str = "both"


_Draw = Callable[[Axes, str, ProductView], str]


@dataclass(frozen=True, kw_only=True)
class _Look:
    """How a variable is drawn.

    Attributes:
        draw: Draws it; returns its title.
        top_m: Top of its panel [m]; 0 for that of the filled rows, None where height is no axis.
    """

    draw: _Draw
    top_m: float | None = _TOP_M


def find_scales(product: xr.Dataset) -> dict[str, Scale]:
    """Returns the colours of a product's reflectivity, width and probability."""
    return {
        "reflectivity": _scale_band(product),
        "width": _WIDTH,
        "probability": _PROBABILITY,
    }


def list_drawable(product: xr.Dataset) -> list[str]:
    """Returns the names of what can be drawn of a product `(time, height)`."""
    return [name for name in _LOOKS if name in product or name in (NETWORK_INPUT, FILL_ERROR)]


def pick_panels(view: ProductView) -> list[str]:
    """Returns the panels of a picture by default: of the truth only where it is known."""
    truth = ["reflectivity_observed", FILL_ERROR] if view.truth.any() else []
    given_echo = "reflectivity_quantile_given_echo"
    width = given_echo if given_echo in view.product else "reflectivity_quantile"
    return ["reflectivity", *truth, width, "hydrometeor_probability"]


def draw_panel(ax: Axes, name: str, view: ProductView) -> str:
    """Draws a variable of a product, and returns the panel's title.

    Args:
        ax: Where; the horizontal axis is in hours since the first profile's midnight.
        name: One of `list_drawable`.
        view: What is in view of the product.

    Raises:
        ProductError: If an interval bound is not among the product's quantiles.
    """
    look = _LOOKS[name]
    title = look.draw(ax, name, view)
    if look.top_m is not None:
        top = view.filled_top_m if look.top_m == 0 else look.top_m
        top = float(view.edges_m[-1]) if view.is_repaired else top
        lowest, highest = view.heights_m or (0.0, top)
        ax.set_ylim(lowest / 1000, highest / 1000)
    if view.is_repaired:
        title = title.replace("Blind zone", "Holes").replace("blind zone", "holes")
    return title


def _draw_reflectivity(title: str, mark: Callable[[Axes, ProductView], None]) -> _Draw:
    def draw(ax: Axes, name: str, view: ProductView) -> str:
        values, what = _reflectivity_of(view, name)
        unseen = view.unseen if name == "reflectivity_observed" else None
        if name == NETWORK_INPUT and view.is_repaired:
            unseen = view.hidden
        _draw_image(ax, view, values, _scale_band(view.product), unseen)
        mark(ax, view)
        return what or title

    return draw


def _scale_band(product: xr.Dataset) -> Scale:
    limits = scale_reflectivity(find_frequency(product), float(product["sensitivity_floor"]))
    return Scale(label="Reflectivity (dBZ)", limits=limits, colours=COLOURS)


def _reflectivity_of(view: ProductView, name: str) -> tuple[np.ndarray, str]:
    """Returns reflectivity [dBZ] `(time, height)`, and a title where it follows from the data."""
    observed = view.product["reflectivity_observed"].values
    if name == NETWORK_INPUT:
        seen = view.product["inpainting_flag"].values == InpaintingFlag.OBSERVED
        return np.where(seen, observed, np.nan), ""
    if "realization" not in view.product.coords or name != "reflectivity_realization":
        return view.product[name].values, ""
    member = view.product[name]
    member = member.isel(realization=0) if "realization" in member.dims else member
    drawn = np.where(member.values > float(view.product["sensitivity_floor"]), member, np.nan)
    number = int(member["realization"])
    return np.where(view.hidden, drawn, observed), f"Blind zone filled: ensemble member {number}"


def _draw_width(given: str) -> _Draw:
    def draw(ax: Axes, name: str, view: ProductView) -> str:
        lower, upper = (_pick_quantile(view.product[name], level) for level in _INTERVAL)
        width = upper - lower
        if given:  # what is improbable would fill the panel otherwise
            width[view.product["hydrometeor_probability"].values < LEAST_PROBABILITY] = np.nan
        _draw_image(ax, view, width, _WIDTH)
        _mark_untrusted(ax, view, *(["white: echo less likely than 20 %"] if given else []))
        return f"Width of the 90 % interval (95 % minus 5 % quantile){given}, blind zone only"

    return draw


def _pick_quantile(quantiles: xr.DataArray, level: float) -> np.ndarray:
    levels = np.atleast_1d(quantiles["quantile"].values)
    found = np.flatnonzero(np.isclose(levels, level))
    if found.size != 1 or "quantile" not in quantiles.dims:
        raise ProductError(f"the quantile {level} is needed; found {levels.tolist()}")
    return np.asarray(quantiles.isel(quantile=int(found[0])).values)


def _draw_plain(title: str, scale: Scale) -> _Draw:
    def draw(ax: Axes, name: str, view: ProductView) -> str:
        _draw_image(ax, view, view.product[name].values, scale)
        _mark_untrusted(ax, view)
        return title

    return draw


def _draw_fill_error(ax: Axes, name: str, view: ProductView) -> str:
    title = draw_errors(ax, view)
    ax.plot(*_find_zone_line(view), color="black", linewidth=0.8, drawstyle="steps-mid")
    return title


def _draw_flag(ax: Axes, name: str, view: ProductView) -> str:
    flag = view.product[name].values[view.raster.profile]
    image = np.zeros((*flag.shape, 4), dtype=np.uint8)
    for code, name_of_colour in FLAG_COLOURS.items():
        image[flag == code] = np.round(255 * np.array(to_rgba(name_of_colour)))
    image[view.raster.empty] = 0
    show(ax, image, view.raster.hours, (float(view.edges_m[0]), float(view.edges_m[-1])))
    handles = [
        Patch(facecolor=of, edgecolor="0.4", label=code.name.lower().replace("_", " "))
        for code, of in FLAG_COLOURS.items()
        if (flag == code).any()
    ]
    ax.legend(
        handles=handles,
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=len(FLAG_COLOURS),
        fontsize=9,
        frameon=False,
        borderpad=0.2,
    )
    return "Origin of the reflectivity"


def _draw_score(ax: Axes, name: str, view: ProductView) -> str:
    hours = count_hours(view.product["time"].values)
    ax.plot(hours, view.product[name].values, color="#0072B2", linewidth=0.8)
    ax.axhline(1.0, color="0.35", linewidth=1.0, linestyle="--")
    ax.set_ylim(bottom=0)
    ax.set_ylabel("Score (1)")
    return "Distance from the training data; above 1: unlike it"


def _draw_image(
    ax: Axes,
    view: ProductView,
    values: np.ndarray,
    scale: Scale,
    unseen: np.ndarray | None = None,
) -> None:
    """Draws values `(time, height)` with their colour bar and the top of the blind zone."""
    picked = values[view.raster.profile]  # (column, height)
    no_data = view.no_data if unseen is None else view.no_data | unseen
    missing = no_data[view.raster.profile] & np.isnan(picked)
    colours, norm = matplotlib.colormaps[scale.colours], Normalize(*scale.limits)
    image = colour(picked, missing | view.raster.empty[:, None], colours, norm)
    show(ax, image, view.raster.hours, (float(view.edges_m[0]), float(view.edges_m[-1])))
    ax.plot(*_find_zone_line(view), color="black", linewidth=0.8, drawstyle="steps-mid")
    bar = ScalarMappable(norm, colours)
    ax.figure.colorbar(bar, ax=ax, label=scale.label, pad=0.01, aspect=12, extend=scale.extend)


def _find_zone_line(view: ProductView) -> tuple[np.ndarray, np.ndarray]:
    """Returns hours and heights [km] of the blind zone's top, of the profiles that are drawn."""
    hours, tops = count_hours(view.product["time"].values), view.product["blind_zone_top"].values
    if np.ptp(tops) > 0:  # a NaN is not: the line has a gap there
        drawn = np.unique(view.raster.profile[~view.raster.empty])
        hours, tops = hours[drawn], tops[drawn]
    return hours, tops / 1000


def _mark_hidden(ax: Axes, view: ProductView) -> None:
    if view.is_repaired:
        explain(ax, "grey: hidden from the network")
        return
    hours, tops_km = _find_zone_line(view)
    look: dict[str, Any] = {"facecolor": "0.90", "edgecolor": "0.65", "hatch": "///"}
    transform = ax.get_yaxis_transform()
    if np.nanmin(tops_km, initial=np.inf) == np.nanmax(tops_km, initial=-np.inf):
        ax.add_patch(Rectangle((0, 0), 1, tops_km[0], transform=transform, **look))
        middle_km = tops_km[0] / 2
    else:
        ax.fill_between(hours, 0, tops_km, step="mid", linewidth=0, **look)
        middle_km = view.blind_zone_top_m / 2000
    ax.text(
        0.5,
        middle_km,
        "blind zone: hidden from the network",
        transform=transform,
        ha="center",
        va="center",
        clip_on=True,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 3},
    )


def _mark_untrusted(ax: Axes, view: ProductView, *signs: str) -> None:
    if view.untrusted_top_m > 0:
        ax.axhline(view.untrusted_top_m / 1000, color="0.45", linewidth=1.0, linestyle=":")
        signs = (*signs, "dotted line: no trusted truth below it")
    explain(ax, "; ".join(signs))


def _mark_filled(ax: Axes, view: ProductView) -> None:
    """Tells what is filled from what was observed: hatched, and no echo in a colour of its own."""
    profile = view.raster.profile
    filled = view.hidden[profile] & ~view.raster.empty[:, None]
    image = np.array(ax.images[0].get_array())
    clear = filled.T & (image[..., :3] == 255).all(axis=-1)
    image[clear] = np.round(255 * np.array(to_rgba(_FILLED_CLEAR)))
    ax.images[0].set_data(image)
    hatch(ax, filled, view.raster.centres, view.edges_m)
    _mark_untrusted(ax, view, "hatched: filled; line: top of the blind zone")


def _mark_legend(ax: Axes, view: ProductView) -> None:
    explain(ax, "line: top of the blind zone; white: no echo; grey: no data")


def explain(ax: Axes, text: str) -> None:
    """Writes what the signs of a panel mean above its right end."""
    ax.set_title(text, loc="right", fontsize=9)


_WIDTH = Scale(label="Width (dB)", limits=(0.0, 40.0), colours="magma_r", extend="max")
_SPREAD = Scale(
    label="Standard deviation (dB)", limits=(0.0, 16.0), colours="magma_r", extend="max"
)
_PROBABILITY = Scale(label="Probability (1)", limits=(0.0, 1.0), colours="Blues", extend="neither")
_LOOKS: Mapping[str, _Look] = {
    "reflectivity_observed": _Look(draw=_draw_reflectivity("Observed", _mark_legend)),
    NETWORK_INPUT: _Look(draw=_draw_reflectivity("Network input: blind zone hidden", _mark_hidden)),
    "reflectivity": _Look(
        draw=_draw_reflectivity(
            "Blind zone filled: median where echo is more likely than not", _mark_filled
        )
    ),
    FILL_ERROR: _Look(draw=_draw_fill_error, top_m=0),
    "reflectivity_quantile": _Look(draw=_draw_width(""), top_m=0),
    "hydrometeor_probability": _Look(
        draw=_draw_plain("Probability of hydrometeor echo, blind zone only", _PROBABILITY), top_m=0
    ),
    "reflectivity_standard_deviation": _Look(
        draw=_draw_plain(
            "Standard deviation of the predictive distribution, blind zone only", _SPREAD
        ),
        top_m=0,
    ),
    "reflectivity_quantile_given_echo": _Look(draw=_draw_width(" given echo"), top_m=0),
    "reflectivity_realization": _Look(draw=_draw_reflectivity("", _mark_filled)),
    "inpainting_flag": _Look(draw=_draw_flag),
    "out_of_range_score": _Look(draw=_draw_score, top_m=None),
}
