"""Files of what products imply, made once of each product and of what is known of the ground."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

import xarray as xr

from blindzone.core.granule import Granule
from blindzone.flows.running.plans import DataPlaces
from blindzone.flows.running.source_data import SourceData
from blindzone.pipeline.archive import Archive
from blindzone.pipeline.archive.collocation import (
    find_collocated_state,
    find_collocated_surface,
    open_ground_temperature,
)
from blindzone.pipeline.catalog.catalog import read_catalog
from blindzone.pipeline.derivation.derived_product import (
    DEFAULT_MEMBERS,
    DERIVED_FROM,
    MEMBERS,
    derive_product,
    encode_derived,
    name_derived,
)
from blindzone.pipeline.products.product_store import ProductStore

LOOKED_UP = "collocated_granules"
"""Global attribute of a derived product: where temperature was looked up, if anywhere."""
_HASH_DIGITS = 12
_PRODUCT_ID = re.compile(r"(.+)_(\d{8}(?:T\d{6})?)_blindzone")


@dataclass(frozen=True, kw_only=True)
class GroundData:
    """What is collocated with a granule of a source.

    Attributes:
        data: The source's data.
        granule: UTC day, or start of the granule.
    """

    data: SourceData
    granule: date

    def list_granules(self) -> str:
        """Returns the archived granules that temperature is looked up in; empty without any."""
        places = self.data.archive, self.data.catalog, self.data.name, self.granule
        found = (*find_collocated_surface(*places), *find_collocated_state(*places))
        return ", ".join(self._describe(*one) for one in found)

    def _describe(self, source: str, granule: date) -> str:
        record = self.data.archive.record(source, granule)
        content = (record.content_hash or record.store)[:_HASH_DIGITS]
        return f"{source} {Granule.of(granule).key} {content}"

    def open_temperature(self, product: xr.Dataset) -> xr.DataArray | None:
        """Returns the air temperature near the ground [K] at a product's profiles, `(time,)`.

        Raises:
            BlindzoneError: If an archived granule cannot be read or compared.
        """
        data = self.data
        return open_ground_temperature(data.archive, data.catalog, data.name, self.granule, product)


def find_ground_data(name: str, places: DataPlaces) -> GroundData | None:
    """Returns what is collocated with a product, by its source in the catalogue; None if not known.

    Args:
        name: File name of the product; those of other sources than the catalogue's have none.
        places: Where catalogue and archive are.

    Raises:
        CatalogError: If the catalogue cannot be used.
    """
    match = _PRODUCT_ID.fullmatch(name.removesuffix(".nc"))
    if match is None:
        return None
    catalog = read_catalog(places.catalog)
    if match[1] not in catalog:
        return None
    data = SourceData(name=match[1], catalog=catalog, archive=Archive(places.archive_address))
    return GroundData(data=data, granule=Granule.parse(match[2]).start)


def is_derived(
    store: ProductStore,
    name: str,
    target: str,
    ground: GroundData | None = None,
    members: int | None = None,
) -> bool:
    """Returns whether a store has what is derived of a product and of what is collocated with it.

    Args:
        store: Where derived products are.
        name: File name of the product.
        target: The product's `target_sha256`.
        ground: What is collocated with it, if that is known.
        members: Number of ensemble members that it is to be counted over; any number by default.
    """
    if store.read_attribute(name_derived(name), DERIVED_FROM) != target:
        return False
    if members is not None and store.read_number(name_derived(name), MEMBERS) != members:
        return False
    looked_up = "" if ground is None else ground.list_granules()
    return (store.read_attribute(name_derived(name), LOOKED_UP) or "") == looked_up


def derive_into(
    store: ProductStore,
    product: xr.Dataset,
    name: str,
    ground: GroundData | None = None,
    members: int | None = None,
) -> str:
    """Writes what a product implies into a store, and returns the place of the file.

    Args:
        store: Where derived products are.
        product: The product.
        name: File name of the product.
        ground: What is collocated with it, if that is known: its temperature parts rain and snow.
        members: Number of ensemble members that are counted over; `DEFAULT_MEMBERS` by default.

    Raises:
        BlindzoneError: If the product lacks what is needed, what is collocated cannot be read, or
            the file cannot be written.
    """
    looked_up = "" if ground is None else ground.list_granules()
    temperature = None if ground is None else ground.open_temperature(product)
    derived = derive_product(product, members=members or DEFAULT_MEMBERS, temperature_k=temperature)
    if looked_up:
        derived = derived.assign_attrs({LOOKED_UP: looked_up})
    return store.put(name_derived(name), encode_derived(derived))
