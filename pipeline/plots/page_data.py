"""What a page shows of a product and of what is derived of it: packed fields, and plain values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
import xarray as xr
from matplotlib.colors import Colormap, to_hex

from blindzone.core.printable import to_text
from blindzone.pipeline.curtains.flags import InpaintingFlag, OutOfRangeFlag
from blindzone.pipeline.curtains.hidden import HiddenKind
from blindzone.pipeline.derivation.columns import CLASS_NAMES, ColumnClass
from blindzone.pipeline.inpainting.range_summary import summarize_range
from blindzone.pipeline.plots.derived_panels import CLASS_COLOURS
from blindzone.pipeline.plots.error_panel import DIFFERENCE, INVENTED, MISSED
from blindzone.pipeline.plots.packing import pack
from blindzone.pipeline.plots.page_texts import list_facts, verify
from blindzone.pipeline.plots.panels import rasterize
from blindzone.pipeline.plots.product_panels import (
    FLAG_COLOURS,
    LEAST_PROBABILITY,
    find_scales,
)
from blindzone.pipeline.plots.product_view import (
    HIDDEN_KIND,
    ProductView,
    check_drawable,
    view_product,
)
from blindzone.pipeline.plots.time_axis import describe_days
from blindzone.pipeline.products.layout import MEMBERS_NAME, is_filled
from blindzone.pipeline.products.members import draw_members

COLOURS = 240
"""Colours of a scale; the other codes of a byte are for pixels without a value."""
_RATES = ("rainfall_rate", "snowfall_rate")
_GIVEN_ECHO = "reflectivity_quantile_given_echo"
_PLACES = {"latitude": 3, "longitude": 3, "along_track_distance": 0}
"""Coordinates of a track, and the digits that are printed of each."""


def describe_product(
    product: xr.Dataset, derived: xr.Dataset | None = None, *, which: str = ""
) -> dict[str, Any]:
    """Returns all that a page shows of one product, as plain values for JSON.

    Fields are packed (`blindzone.pipeline.plots.packing`) in order of height, then of time. What
    filled pixels alone have is packed for these alone, in the same order.

    Args:
        product: A product `(time, height)`; of a swath one ray.
        derived: What is derived of it, if it is there.
        which: Which ray it is, in words.

    Raises:
        ProductError: If it is no product, or lacks its distribution.
    """
    check_drawable(product)
    loaded = product.compute()  # not load: of many products, one at a time is in memory
    view = view_product(loaded, rasterize(loaded["time"].values), None)
    midnight = loaded["time"].values[0].astype("datetime64[D]")
    about = loaded.attrs
    return {
        "title": to_text(f"{about.get('title', 'Product')}{which}"),
        "place": to_text(str(about.get("site", ""))),
        "when": describe_days(loaded["time"].values),
        "midnight": int(midnight.astype("datetime64[ms]").astype(np.int64)),
        "edges": [
            *_take(loaded["height_bounds"].values[:, 0]),
            float(loaded["height_bounds"][-1, 1]),
        ],
        "heights": _take(loaded["height"].values),
        "levels": _take(loaded["quantile"].values),
        "floor": float(loaded["sensitivity_floor"]),
        "scales": _describe_scales(loaded),
        "profiles": _describe_profiles(loaded, midnight),
        "fields": _describe_fields(view),
        "truth": bool(view.truth.any()),
        "range": str(summarize_range(loaded["out_of_range_flag"].values)),
        "verification": verify(view),
        "facts": list_facts(loaded),
        "derived": None if derived is None else _describe_derived(derived),
    }


def describe_codes() -> dict[str, Any]:
    """Returns the names of the codes that products have, and the colours of all pictures."""
    return {
        "flags": _name_codes(InpaintingFlag),
        "kinds": _name_codes(HiddenKind),
        "range": _name_codes(OutOfRangeFlag),
        "least_probability": LEAST_PROBABILITY,
        "colours": {
            "origins": [to_hex(FLAG_COLOURS[flag]) for flag in InpaintingFlag],
            "missed": MISSED,
            "invented": INVENTED,
        },
        "columns": {
            str(kind.value): [_name(kind.name), CLASS_COLOURS.get(kind, "#ffffff")]
            for kind in ColumnClass
        },
    }


def _describe_scales(product: xr.Dataset) -> dict[str, Any]:
    norm, colours = DIFFERENCE
    own = {
        name: _describe_scale(scale.limits, matplotlib.colormaps[scale.colours])
        for name, scale in find_scales(product).items()
    }
    return own | {"error": _describe_scale((norm.vmin, norm.vmax), colours)}


def _describe_scale(limits: tuple[float | None, float | None], colours: Colormap) -> dict[str, Any]:
    return {
        "limits": list(limits),
        "colours": "".join(to_hex(colour)[1:] for colour in colours(np.linspace(0, 1, COLOURS))),
    }


def _describe_profiles(product: xr.Dataset, midnight: np.datetime64) -> dict[str, Any]:
    """Returns what each profile has: its time [ms since midnight], the zone's top [m] and more."""
    milliseconds = (product["time"].values - midnight) / np.timedelta64(1, "ms")
    out = {
        "time": pack(milliseconds),
        "top": pack(product["blind_zone_top"].values),
        "range": pack(product["out_of_range_flag"].values),
    }
    if "out_of_range_score" in product:
        out["score"] = pack(product["out_of_range_score"].values, 2)
    for name, digits in _PLACES.items():
        if name in product.variables and product[name].dims == ("time",):
            out[name] = pack(product[name].values, digits)
    return out


def _describe_fields(view: ProductView) -> dict[str, Any]:
    """Returns fields `(height, time)`, and those of filled pixels alone `(pixel,)`."""
    product = view.product
    flag = product["inpainting_flag"].values
    filled = is_filled(flag).T

    def pick(name: str) -> np.ndarray:
        return np.asarray(product[name].values.swapaxes(-1, -2)[..., filled])

    out = {
        "flag": pack(flag.T),
        "observed": pack(product["reflectivity_observed"].values.T, 1),
        "filled": pack(pick("reflectivity"), 1),
        "probability": pack(pick("hydrometeor_probability"), 2),
        "quantiles": pack(pick("reflectivity_quantile"), 1, stacked=True),
        "known": pack(view.truth.T[filled]),
    }
    if _GIVEN_ECHO in product:  # members are drawn from it; earlier products lack it
        out["given_echo"] = pack(pick(_GIVEN_ECHO), 1, stacked=True)
        out["member"] = pack(_take_member(product).T[filled], 1)
    if HIDDEN_KIND in product:
        out["kind"] = pack(product[HIDDEN_KIND].values.T)
    return out


def _take_member(product: xr.Dataset) -> np.ndarray:
    """Returns the first ensemble member [dBZ] `(time, height)`: the product's own, or one drawn."""
    members = product[MEMBERS_NAME] if MEMBERS_NAME in product else draw_members(product, 1)
    return np.asarray(members.isel(realization=0).values)


def _describe_derived(derived: xr.Dataset) -> dict[str, Any]:
    """Returns the kind of each column, its probabilities, and rates [mm h-1] with 90 % bounds."""
    probabilities = {
        _name(kind.name): pack(derived[name].values, 2) for kind, name in CLASS_NAMES.items()
    }
    return {
        "members": int(derived.attrs.get("members", 0)),
        "class": pack(derived["column_class"].values),
        "probabilities": probabilities,
        "to_ground": pack(derived["echo_to_ground_probability"].values, 2),
        "base": pack(derived["echo_base_height"].sel(quantile=0.5).values),
        "rates": [_describe_rate(derived, name) for name in _RATES if name in derived],
    }


def _describe_rate(derived: xr.Dataset, name: str) -> dict[str, Any]:
    quantiles = derived[f"{name}_quantile"].sel(quantile=[0.05, 0.95])
    total = derived.get(name.replace("_rate", "_amount").join(("daily_", "")))
    return {
        "name": name.split("_")[0],
        "mean": pack(derived[name].values, 3),
        "bounds": pack(quantiles.values, 3, stacked=True),
        "daily_mm": [] if total is None else _take(np.atleast_1d(total.values)),
    }


def _name_codes(codes: Any) -> dict[str, str]:
    return {str(code.value): _name(code.name) for code in codes}


def _name(name: str) -> str:
    return name.lower().replace("_", " ")


def _take(values: np.ndarray | Sequence[float]) -> list[float | None]:
    """Returns numbers for JSON, which has no NaN."""
    return [float(value) if np.isfinite(value) else None for value in np.ravel(values)]
