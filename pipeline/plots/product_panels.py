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
from blindzone.pipeline.curtains.curtain import DIMS
from blindzone.pipeline.curtains.flags import InpaintingFlag
from blindzone.pipeline.plots.panels import NO_DATA, Raster, colour, count_hours, show

HIDDEN_KIND = "hidden_kind"
"""What products of radars from above have alone."""
NETWORK_INPUT = "network_input"
"""A panel that is no variable of its own: what was observed above the blind zone."""
DEFAULT_PANELS = (
    "reflectivity_observed",
    NETWORK_INPUT,
    "reflectivity",
    "reflectivity_quantile",
    "hydrometeor_probability",
)
_NEEDED_FIELDS = ("reflectivity_observed", "inpainting_flag", "hydrometeor_probability")
_NEEDED = (*_NEEDED_FIELDS, "blind_zone_top", "height_bounds", "sensitivity_floor")
_TOP_M = 4000.0
_INTERVAL = (0.05, 0.95)
_FLAG_COLOURS: Mapping[InpaintingFlag, str] = {
    InpaintingFlag.OBSERVED: "#56B4E9",
    InpaintingFlag.FILLED: "#E69F00",
    InpaintingFlag.FILLED_BEYOND_TRUSTED_TRUTH: "#F0E442",
    InpaintingFlag.NO_DATA: NO_DATA,
}


@dataclass(frozen=True, kw_only=True)
class ProductView:
    """What a picture shows of a product.

    Attributes:
        product: The profiles in view.
        raster: The columns.
        edges_m: Edges of the rows [m], shape `(height + 1,)`.
        heights_m: Lowest and highest height of every panel [m]; None for each panel's own.
        hidden: Whether a pixel was filled, shape `(time, height)`.
        no_data: Whether the source has nothing there, same shape.
    """

    product: xr.Dataset
    raster: Raster
    edges_m: np.ndarray
    heights_m: tuple[float, float] | None
    hidden: np.ndarray
    no_data: np.ndarray

    @property
    def blind_zone_top_m(self) -> float:
        """Top of the highest blind zone in view [m]; that of the rows if none is known."""
        highest = float(self.product["blind_zone_top"].max())
        return highest if np.isfinite(highest) else float(self.edges_m[-1])

    @property
    def is_repaired(self) -> bool:
        """Whether holes anywhere were filled, of a radar on the ground."""
        return HIDDEN_KIND in self.product and "along_track_distance" not in self.product.variables

    @property
    def unseen(self) -> np.ndarray:
        """Filled pixels of a radar that measures nothing below its zone's top, `(time, height)`.

        Radars on the ground, and emulated ones, know what is there.
        """
        tops = self.product["blind_zone_top"].values[:, None]
        below = self.hidden & (self.edges_m[1:] <= tops)
        observed = self.product["reflectivity_observed"].values
        is_blind = HIDDEN_KIND in self.product and np.isnan(observed[below]).all()
        return self.hidden & is_blind

    @property
    def filled_top_m(self) -> float:
        """Upper edge of the highest row that was filled [m]; the blind zone's top if none was."""
        top = self._top_of(self.hidden)
        return top if top > 0 else self.blind_zone_top_m

    @property
    def untrusted_top_m(self) -> float:
        """Upper edge of the highest row that was filled without trusted truth [m]; 0 if none."""
        flag = self.product["inpainting_flag"].values
        return self._top_of(flag == InpaintingFlag.FILLED_BEYOND_TRUSTED_TRUTH)

    def _top_of(self, pixels: np.ndarray) -> float:
        rows = pixels.any(axis=0)
        return float(self.edges_m[1:][rows].max()) if rows.any() else 0.0


@dataclass(frozen=True, kw_only=True)
class _Scale:
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


def view_product(
    product: xr.Dataset, raster: Raster, heights_m: tuple[float | None, float] | None
) -> ProductView:
    """Returns the view of a product.

    Args:
        product: The profiles in view.
        raster: Their columns.
        heights_m: Lowest height, if one is asked for, and highest height of every panel [m].

    Raises:
        ProductError: If the heights are beyond the product's rows.
    """
    bounds = product["height_bounds"].values
    edges = np.append(bounds[:, 0], bounds[-1, 1])
    view = None if heights_m is None else (heights_m[0] or 0.0, heights_m[1])
    if view is not None and not (view[0] < edges[-1] and view[1] > edges[0]):
        raise ProductError(
            f"no row is between {view[0]:g} and {view[1]:g} m; the product reaches from"
            f" {edges[0]:g} to {edges[-1]:g} m"
        )
    return ProductView(
        product=product,
        raster=raster,
        edges_m=edges,
        heights_m=view,
        hidden=~np.isnan(product["hydrometeor_probability"].values),
        no_data=product["inpainting_flag"].values == InpaintingFlag.NO_DATA,
    )


def check_drawable(product: xr.Dataset) -> None:
    """Checks that a dataset `(time, height)` has what every picture of a product needs.

    Raises:
        ProductError: With what it lacks.
    """
    lacking = [name for name in _NEEDED if name not in product.variables]
    if lacking:
        raise ProductError(
            f"the product lacks {', '.join(map(repr, lacking))}; a whole product of blindzone is"
            " right"
        )
    wrong = [name for name in _NEEDED_FIELDS if product[name].dims != DIMS]
    if wrong or not product.sizes["time"]:
        raise ProductError(
            f"'{wrong[0] if wrong else 'time'}' has the dimensions {dict(product.sizes)}; profiles"
            " over time and height, one at least, are right"
        )


def list_drawable(product: xr.Dataset) -> list[str]:
    """Returns the names of what can be drawn of a product `(time, height)`."""
    return [name for name in _LOOKS if name in product or name == NETWORK_INPUT]


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
        is_rain_radar = float(view.product["sensitivity_floor"]) > 0
        _draw_image(ax, view, values, _RAIN_DBZ if is_rain_radar else _DBZ, unseen)
        mark(ax, view)
        return what or title

    return draw


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
        _draw_image(ax, view, upper - lower, _WIDTH)
        _mark_untrusted(ax, view)
        return f"Width of the 90 % interval (95 % minus 5 % quantile){given}, blind zone only"

    return draw


def _pick_quantile(quantiles: xr.DataArray, level: float) -> np.ndarray:
    levels = np.atleast_1d(quantiles["quantile"].values)
    found = np.flatnonzero(np.isclose(levels, level))
    if found.size != 1 or "quantile" not in quantiles.dims:
        raise ProductError(f"the quantile {level} is needed; found {levels.tolist()}")
    return np.asarray(quantiles.isel(quantile=int(found[0])).values)


def _draw_plain(title: str, scale: _Scale) -> _Draw:
    def draw(ax: Axes, name: str, view: ProductView) -> str:
        _draw_image(ax, view, view.product[name].values, scale)
        _mark_untrusted(ax, view)
        return title

    return draw


def _draw_flag(ax: Axes, name: str, view: ProductView) -> str:
    flag = view.product[name].values[view.raster.profile]
    image = np.zeros((*flag.shape, 4), dtype=np.uint8)
    for code, name_of_colour in _FLAG_COLOURS.items():
        image[flag == code] = np.round(255 * np.array(to_rgba(name_of_colour)))
    image[view.raster.empty] = 0
    show(ax, image, view.raster.hours, (float(view.edges_m[0]), float(view.edges_m[-1])))
    handles = [
        Patch(facecolor=of, edgecolor="0.4", label=code.name.lower().replace("_", " "))
        for code, of in _FLAG_COLOURS.items()
        if (flag == code).any()
    ]
    ax.legend(
        handles=handles,
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=len(_FLAG_COLOURS),
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
    scale: _Scale,
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


def _mark_untrusted(ax: Axes, view: ProductView) -> None:
    if view.untrusted_top_m > 0:
        ax.axhline(view.untrusted_top_m / 1000, color="0.45", linewidth=1.0, linestyle=":")
        explain(ax, "dotted line: no trusted truth below it")


def _mark_legend(ax: Axes, view: ProductView) -> None:
    explain(ax, "line: top of the blind zone; white: no echo; grey: no data")


def explain(ax: Axes, text: str) -> None:
    """Writes what the signs of a panel mean above its right end."""
    ax.set_title(text, loc="right", fontsize=9)


_DBZ = _Scale(label="Reflectivity (dBZ)", limits=(-50.0, 25.0), colours="HomeyerRainbow")
_RAIN_DBZ = _Scale(label="Reflectivity (dBZ)", limits=(0.0, 50.0), colours="HomeyerRainbow")
"""Of a radar that detects precipitation alone."""
_WIDTH = _Scale(label="Width (dB)", limits=(0.0, 40.0), colours="magma_r", extend="max")
_SPREAD = _Scale(
    label="Standard deviation (dB)", limits=(0.0, 16.0), colours="magma_r", extend="max"
)
_PROBABILITY = _Scale(label="Probability (1)", limits=(0.0, 1.0), colours="Blues", extend="neither")
_LOOKS: Mapping[str, _Look] = {
    "reflectivity_observed": _Look(draw=_draw_reflectivity("Observed", _mark_legend)),
    NETWORK_INPUT: _Look(draw=_draw_reflectivity("Network input: blind zone hidden", _mark_hidden)),
    "reflectivity": _Look(
        draw=_draw_reflectivity(
            "Blind zone filled: median where echo is more likely than not", _mark_untrusted
        )
    ),
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
    "reflectivity_realization": _Look(draw=_draw_reflectivity("", _mark_untrusted)),
    "inpainting_flag": _Look(draw=_draw_flag),
    "out_of_range_score": _Look(draw=_draw_score, top_m=None),
}
