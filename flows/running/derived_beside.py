"""Derived products beside the products of a store, made of them once."""

from __future__ import annotations

from datetime import date

import xarray as xr

from blindzone.pipeline.derivation.derived_product import (
    DERIVED_FROM,
    derive_product,
    encode_derived,
    name_derived,
)
from blindzone.pipeline.products.product_store import ProductStore, product_name


def is_derived(products: ProductStore, source: str, day: date, target: str) -> bool:
    """Returns whether a granule's derived product is there, and of the product of this target."""
    return products.read_attribute(name_derived(product_name(source, day)), DERIVED_FROM) == target


def derive_beside(products: ProductStore, product: xr.Dataset, source: str, day: date) -> str:
    """Writes what a granule's product implies beside it, and returns the place of the file.

    Raises:
        ProductError: If the product lacks what is needed.
        OSError: If the file cannot be written.
    """
    name = name_derived(product_name(source, day))
    products.storage.replace_bytes(name, encode_derived(derive_product(product)))
    return products.storage.locate(name)
