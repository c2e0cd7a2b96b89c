"""Curtains to be repaired: what is missing of them, masks of files, and products as curtains."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from blindzone.core.errors import CurtainError
from blindzone.pipeline.curtains.curtain import DIMS
from blindzone.pipeline.curtains.hidden import RepairedKind
from blindzone.pipeline.curtains.missing_profiles import insert_missing
from blindzone.pipeline.network_input.masking import LONGEST_OUTAGE
from blindzone.pipeline.products.opening import open_products
from blindzone.pipeline.products.restoring import PRODUCT_NAMES, restore_curtain
from blindzone.pipeline.readers import read_header, read_netcdf


@dataclass(frozen=True, kw_only=True)
class Repair:
    """What of a curtain is repaired.

    Attributes:
        kinds: The kinds of holes.
        mask: Further pixels that are hidden `(time, height)`; None for none.
    """

    kinds: tuple[RepairedKind, ...]
    mask: np.ndarray | None = None

    def hash_mask(self) -> str:
        """Returns a SHA-256 of the mask; of none that of nothing."""
        content = b"" if self.mask is None else np.packbits(self.mask).tobytes()
        return hashlib.sha256(content).hexdigest()


def prepare_repair(
    curtain: xr.Dataset, kinds: tuple[RepairedKind, ...], mask: np.ndarray | None, *, where: str
) -> tuple[xr.Dataset, Repair]:
    """Returns a gridded curtain `(time, height)` with its missing profiles, and what is repaired.

    Args:
        curtain: The curtain.
        kinds: The kinds of holes.
        mask: Further pixels of it that are hidden.
        where: What to call it in messages.

    Raises:
        CurtainError: If the mask has another shape.
    """
    if mask is not None and mask.shape != tuple(curtain.sizes[name] for name in DIMS):
        found = tuple(curtain.sizes[name] for name in DIMS)
        raise CurtainError(
            f"{where}: the mask has {mask.shape} profiles and rows; those of the curtain, {found},"
            " are right"
        )
    whole = insert_missing(curtain, LONGEST_OUTAGE) if "outages" in kinds else curtain
    if mask is not None and whole.sizes["time"] > len(mask):
        known = np.isin(whole["time"].values, curtain["time"].values)
        given, mask = mask, np.zeros((len(known), mask.shape[1]), dtype=bool)
        mask[known] = given
    return whole, Repair(kinds=kinds, mask=mask)


def read_product(path: Path) -> xr.Dataset | None:
    """Returns the curtain `(time, height)` that a product was made from; None of any other file.

    Raises:
        SourceFileError: If the file cannot be read.
        ProductError: If it is a product that cannot be repaired.
    """
    if not read_header(path).variables >= set(PRODUCT_NAMES):
        return None
    with open_products(path) as product:
        return restore_curtain(product.load())


def read_mask(path: Path) -> np.ndarray:
    """Returns the mask of a netCDF file, bool `(time, height)`: true, or 1, where it hides.

    It is the variable `mask`, or the only one of dimensions `(time, height)`.

    Raises:
        SourceFileError: If the file cannot be read.
        CurtainError: If it has no such variable, or the variable other values than 0 and 1.
    """
    content = read_netcdf(path)
    names = [str(name) for name in content.data_vars if content[name].dims == DIMS]
    chosen = ["mask"] if "mask" in names else names
    if len(chosen) != 1:
        raise CurtainError(
            f"{path}: found {', '.join(names) or 'no variable'} of dimensions {DIMS}; one variable"
            " 'mask' is right"
        )
    values = content[chosen[0]].values
    wrong = ~np.isin(values, (0, 1))
    if wrong.any():
        raise CurtainError(
            f"{path}: {int(wrong.sum())} values of '{chosen[0]}' are neither 0 nor 1; 1 where a"
            " pixel is hidden is right"
        )
    return np.asarray(values.astype(bool))
