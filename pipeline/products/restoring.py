"""A product as the curtain that it was made from, as far as the radar measured it."""

from __future__ import annotations

import numpy as np
import xarray as xr

from blindzone.core.errors import ProductError
from blindzone.pipeline.curtains.curtain import DIMS, SITE_COORDINATES, DetectionStatus
from blindzone.pipeline.curtains.flags import InpaintingFlag

_KEPT = ("instrument", "site", "institution", "creator", "publisher", "license", "references")
"""Attributes of a product that are its source's."""
PRODUCT_NAMES = ("inpainting_flag", "reflectivity_observed", "reflectivity_quantile")
"""Variables by which a file is known as a product."""


def restore_curtain(product: xr.Dataset) -> xr.Dataset:
    """Returns the gridded curtain `(time, height)` that a product was made from.

    A blind zone that the radar measured is there again. Holes that were repaired, or not, are holes
    again: what has a kind in `hidden_kind` is without data, as is what the product has none for.

    Args:
        product: A product of a radar at a fixed site.

    Raises:
        ProductError: If it is that of a moving platform, whose blind zone is all that it lacks.
    """
    if "along_track_distance" in product.variables:
        raise ProductError(
            "a granule's product cannot be repaired; that of a radar at a fixed site is right"
        )
    flag = product["inpainting_flag"].values
    observed = product["reflectivity_observed"].values.astype(np.float32)
    status = np.where(np.isfinite(observed), DetectionStatus.ECHO, DetectionStatus.NO_ECHO).astype(
        np.int8
    )
    no_data = InpaintingFlag.NO_DATA
    lacking = flag != InpaintingFlag.OBSERVED if "hidden_kind" in product else flag == no_data
    untrusted = (flag == InpaintingFlag.FILLED_BEYOND_TRUSTED_TRUTH) & ~lacking
    status[untrusted] = DetectionStatus.UNTRUSTED
    status[lacking] = DetectionStatus.NO_DATA
    curtain = xr.Dataset(
        {
            "reflectivity": (DIMS, np.where(lacking, np.float32(np.nan), observed)),
            "detection_status": (DIMS, status),
        },
        {name: (name, product[name].values) for name in DIMS}
        | {name: ((), product[name].values) for name in SITE_COORDINATES if name in product},
    )
    kept = {name: product.attrs[name] for name in _KEPT if name in product.attrs}
    return curtain.assign_attrs(kept | {"title": _find_title(product)})


def _find_title(product: xr.Dataset) -> str:
    """Returns the title of a product's source: what is before what was done with it."""
    return str(product.attrs.get("title", "Radar profiles")).split(":", 1)[0]
