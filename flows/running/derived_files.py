"""Files of what products imply, made once of each product."""

from __future__ import annotations

import xarray as xr

from blindzone.pipeline.derivation.derived_product import (
    DERIVED_FROM,
    derive_product,
    encode_derived,
    name_derived,
)
from blindzone.pipeline.products.product_store import ProductStore


def is_derived(store: ProductStore, name: str, target: str) -> bool:
    """Returns whether a store has what is derived of a product.

    Args:
        store: Where derived products are.
        name: File name of the product.
        target: The product's `target_sha256`.
    """
    return store.read_attribute(name_derived(name), DERIVED_FROM) == target


def derive_into(store: ProductStore, product: xr.Dataset, name: str) -> str:
    """Writes what a product implies into a store, and returns the place of the file.

    Args:
        store: Where derived products are.
        product: The product.
        name: File name of the product.

    Raises:
        ProductError: If the product lacks what is needed, or the file cannot be written.
    """
    return store.put(name_derived(name), encode_derived(derive_product(product)))
