"""What a picture shows of a product: its profiles, and what was observed, filled and true."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xarray as xr

from blindzone.core.errors import ProductError
from blindzone.pipeline.curtains.curtain import DIMS
from blindzone.pipeline.curtains.flags import InpaintingFlag
from blindzone.pipeline.plots.panels import Raster

HIDDEN_KIND = "hidden_kind"
"""What products of radars from above, and repaired ones, have alone."""
_MOST_LOADED = 2**30
"""Bytes of fields that are read once; of a longer product each is read whenever it is needed."""
_NEEDED_FIELDS = ("reflectivity_observed", "inpainting_flag", "hydrometeor_probability")
_NEEDED = (*_NEEDED_FIELDS, "blind_zone_top", "height_bounds", "sensitivity_floor")


@dataclass(frozen=True, kw_only=True, eq=False)
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

    @cached_property
    def truth(self) -> np.ndarray:
        """Filled pixels whose truth is known and trusted, `(time, height)`.

        What a radar on the ground saw was hidden from the network. Where its file says why pixels
        are hidden, truth of one kind is known if any echo of that kind is.
        """
        filled = self.product["inpainting_flag"].values == InpaintingFlag.FILLED
        if HIDDEN_KIND not in self.product:
            return np.asarray(filled & ~self.no_data)
        kinds = self.product[HIDDEN_KIND].values
        seen = np.isfinite(self.product["reflectivity_observed"].values)
        known = np.unique(kinds[filled & seen])
        return np.asarray(filled & np.isin(kinds, known) & ~self.unseen)

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
    product = _load_fields(product)
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


def _load_fields(product: xr.Dataset) -> xr.Dataset:
    """Returns a product with all its variables over time, or time and height, in memory."""
    fields = [name for name in product.data_vars if set(product[name].dims) <= set(DIMS)]
    if product[fields].nbytes > _MOST_LOADED:
        return product
    return product.assign(product[fields].compute())


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
