"""The store of products: one file a source and UTC day, in a folder or behind a URL.

    PLACE/palaiseau_basta_20210314_blindzone.nc

Every product states its target, one hash over all its inputs, as global attribute `target_sha256`.
There is no other record: a product is right if its file opens and states the target asked for. A
file is written under a temporary name and renamed, on an object store put in one piece: under its
own name it is always whole. Its chunks have checksums (Fletcher 32), which every reader of HDF5
compares.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import h5py
import numpy as np
import xarray as xr

from blindzone.core.errors import LockedError, ProductError
from blindzone.pipeline.archive.storage import LocalStorage, open_storage
from blindzone.pipeline.inpainting.range_summary import RangeSummary, summarize_range
from blindzone.pipeline.products.product import encode_product
from blindzone.pipeline.products.provenance import product_id

T = TypeVar("T")

TARGET = "target_sha256"
"""Global attribute of a product: SHA-256 over all its inputs."""

BYTES_PER_PROFILE = 1500
"""Most bytes of a profile in a product: deflated, a day of rain at Palaiseau takes 680."""

BYTES_PER_MEMBER = 80
"""Most bytes of a profile for each ensemble member: four a hidden row, of which there are 16."""

LOCK_WAIT_S = 3600.0
"""How long one run waits for another that makes the same product [s]; that takes half a minute."""

_LOCKS = ".locks"

_DAMAGED = (OSError, KeyError, RuntimeError, TypeError, ValueError)
"""What h5py raises of a damaged file, depending on where the damage is."""


def product_name(source: str, day: date) -> str:
    """Returns a product's file name, such as `palaiseau_basta_20210314_blindzone.nc`."""
    return f"{product_id(source, day)}.nc"


class ProductStore:
    """The products in a folder, or under a URL that fsspec knows such as `s3://bucket/prefix`.

    Args:
        place: The folder or URL.
        options: What fsspec needs to open the URL, such as credentials.

    Raises:
        ArchiveError: If the URL cannot be opened.
    """

    def __init__(self, place: Path | str, options: Mapping[str, Any] | None = None) -> None:
        self.storage = open_storage(place, options)

    def locate(self, source: str, day: date) -> str:
        """Returns the path or URL of a granule's product, whether it is there or not."""
        return self.storage.locate(product_name(source, day))

    def find_target(self, source: str, day: date) -> str | None:
        """Returns the target that a granule's product states; None if there is none that opens.

        Raises:
            ProductError: If the place cannot be read.
        """
        return self.read_attribute(product_name(source, day), TARGET)

    def read_attribute(self, name: str, key: str) -> str | None:
        """Returns a text that a product of some name states; None if there is none that opens.

        Raises:
            ProductError: If the place cannot be read.
        """
        stated = self._look(name, lambda file: file.attrs.get(key))
        # Only text of fixed length: HDF5 that looks for one of any length in a damaged file may
        # never come back.
        return stated.decode("utf-8", "replace") if isinstance(stated, bytes) else None

    def read_number(self, name: str, key: str) -> int | None:
        """Returns a whole number that a product of some name states; None if none that opens does.

        Raises:
            ProductError: If the place cannot be read.
        """
        stated = self._look(name, lambda file: file.attrs.get(key))
        return int(stated) if isinstance(stated, np.integer) else None

    def find_range(self, source: str, day: date) -> RangeSummary | None:
        """Returns how many profiles of a granule's product are outside the network's range.

        None if there is no product that opens.

        Raises:
            ProductError: If the place cannot be read.
        """
        return self.summarize(product_name(source, day))

    def summarize(self, name: str) -> RangeSummary | None:
        """Returns the same of a product of some name."""
        return self._look(
            name, lambda file: summarize_range(np.asarray(file["out_of_range_flag"][:]))
        )

    def _look(self, name: str, look: Callable[[h5py.File], T]) -> T | None:
        """Returns what a look into a product finds; None if there is none that opens."""
        with self._guard(name, "read"):
            try:
                stream = self.storage.open_file(name)
            except FileNotFoundError:
                return None
            with stream:
                try:
                    with h5py.File(stream, "r") as file:
                        return look(file)
                except _DAMAGED:  # cut short, or no product at all: to be made anew
                    return None

    def write(self, product: xr.Dataset, source: str, day: date) -> str:
        """Writes a granule's product `(time, height)`, whole or not at all; returns its place.

        Temporary files of killed runs are removed: only the holder of the lock may write.

        Raises:
            ProductError: If it contradicts itself or the metadata table, or cannot be written.
        """
        name = product_name(source, day)
        content = encode_product(product)
        if isinstance(self.storage, LocalStorage):
            with self._guard(name, "written"):
                for left in self.storage.root.glob(f".{name}.*.partial"):
                    left.unlink(missing_ok=True)
        return self.put(name, content)

    def put(self, name: str, content: bytes | memoryview) -> str:
        """Writes a file of some name, whole or not at all; returns its place.

        Raises:
            ProductError: If it cannot be written.
        """
        with self._guard(name, "written"):
            self.storage.replace_bytes(name, content)
        return self.storage.locate(name)

    @contextmanager
    def lock(self, source: str, day: date, wait_s: float = LOCK_WAIT_S) -> Iterator[None]:
        """Keeps other runs from making a granule's product while the block works.

        Raises:
            LockedError: If another run is still at it after that time.
            ProductError: If the place cannot be written.
        """
        name = product_name(source, day)
        with ExitStack() as stack:
            with self._guard(name, "locked"):
                try:
                    stack.enter_context(self.storage.lock(f"{_LOCKS}/{name}", wait_s))
                except LockedError as error:
                    raise LockedError(
                        f"{self.storage.locate(name)}: another run has been making it for"
                        f" {wait_s:.0f} s; run again later"
                    ) from error
            yield

    def check_space(self, profiles: int, samples: int = 0) -> None:
        """Checks that the disk, if the store is on one, has room for products of so many profiles.

        Args:
            profiles: Number of profiles.
            samples: Number of ensemble members in each product.

        Raises:
            ProductError: If the disk has less room than they may take.
        """
        if not isinstance(self.storage, LocalStorage):
            return
        root = self.storage.root.absolute()
        there = next(folder for folder in (root, *root.parents) if folder.exists())
        free, needed = (
            shutil.disk_usage(there).free,
            profiles * (BYTES_PER_PROFILE + samples * BYTES_PER_MEMBER),
        )
        if free < needed:
            raise ProductError(
                f"{root}: {profiles} profiles take up to {needed / 1e6:.0f} MB as products,"
                f" {free / 1e6:.0f} MB are free; free some, name another folder or fewer days"
            ) from OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    @contextmanager
    def _guard(self, name: str, what: str) -> Iterator[None]:
        """Turns errors of the storage into one that names the product and what failed."""
        try:
            yield
        except OSError as error:
            right = {
                "read": "a readable folder is right",
                "locked": "a folder with write permission is right",
                "written": "a folder with write permission and free space is right",
            }[what]
            raise ProductError(
                f"{self.storage.locate(name)}: cannot be {what}: {error.strerror or error}; {right}"
            ) from error
