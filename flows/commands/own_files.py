"""Files of this package: products, days exported from the archive, and the archive's own stores."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.core.forward_passes import SINGLE
from blindzone.pipeline.curtains.curtain import FIELDS
from blindzone.pipeline.curtains.surface import SURFACE_FIELDS
from blindzone.pipeline.products.provenance import SINGLE_PASS
from blindzone.pipeline.readers import read_header

PRODUCT = "product"
EXPORT = "day exported from an archive"
STORE = "store of an archive"

_EXPORT_VARIABLE = "source_file"
_IDENTIFIER = re.compile(r"(?P<source>.+)_\d{8}(T\d{6})?(_blindzone)?")
_PRODUCT_VARIABLES = {"reflectivity", "reflectivity_observed", "inpainting_flag"}


@dataclass(frozen=True, kw_only=True)
class OwnFile:
    """A file that this package has written.

    Attributes:
        path: The netCDF file or zarr store.
        kind: What it is, one of `PRODUCT`, `EXPORT` and `STORE`.
        content: Its content, lazily; a curtain unless it is a product.
    """

    path: Path
    kind: str
    content: xr.Dataset

    @property
    def is_product(self) -> bool:
        """Whether it is a product, and no curtain."""
        return self.kind == PRODUCT


def open_own_file(path: Path) -> OwnFile | None:
    """Returns a file of this package, or None if a path is something else.

    Raises:
        SourceFileError: If it is a file of this package or a zarr store, and cannot be opened.
    """
    if (path / "zarr.json").is_file():
        return _classify(path, _open(path, engine="zarr", consolidated=False, zarr_format=3))
    if path.is_file() and _is_own(path):
        return _classify(path, _open(path, engine="h5netcdf"))
    return None


def _is_own(path: Path) -> bool:
    """Returns whether the head of a netCDF file has variables of a product or an export."""
    try:
        header = read_header(path)
    except SourceFileError:
        return False
    return header.has(*_PRODUCT_VARIABLES) or header.has(_EXPORT_VARIABLE)


def _open(path: Path, **options: Any) -> xr.Dataset:
    try:
        return xr.open_dataset(path, chunks={}, **options)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceFileError(f"{path}: cannot be opened: {error}") from error


def _classify(path: Path, content: xr.Dataset) -> OwnFile | None:
    names = {str(name) for name in content.variables}
    level = str(content.attrs.get("processing_level", ""))
    if level.startswith("Level 2") and names >= _PRODUCT_VARIABLES:
        return OwnFile(path=path, kind=PRODUCT, content=content)
    if level.startswith("Level 1") and _EXPORT_VARIABLE in names:
        return OwnFile(path=path, kind=EXPORT, content=content)
    if (
        path.is_dir()
        and "reader" in content.attrs
        and names.intersection((*FIELDS, *SURFACE_FIELDS))
    ):
        return OwnFile(path=path, kind=STORE, content=content)
    return None


def describe_own_file(file: OwnFile) -> dict[str, Any]:
    """Returns what a file of this package is: its kind, source and time, and how it was made."""
    about, times = file.content.attrs, file.content["time"].values.astype("datetime64[s]")
    facts: dict[str, Any] = {
        "kind": file.kind,
        "title": about.get("title"),
        "source": _find_source(file),
        "first_time": f"{times[0]}Z",
        "last_time": f"{times[-1]}Z",
        "rays": file.content.sizes.get("ray"),
        "profiles": int(file.content.sizes["time"]),
        "rows": file.content.sizes.get("height"),
    }
    facts |= _describe_filling(file) if file.is_product else {"reader": about.get("reader")}
    facts |= {
        "source_files": about.get("source_files"),
        "software_version": about.get("software_version"),
        "variables": sorted(map(str, file.content.data_vars)),
    }
    return {key: value for key, value in facts.items() if value is not None}


def _find_source(file: OwnFile) -> str | None:
    """Returns the source's name: a part of the identifier; of a store, of the folder two above."""
    if file.kind == STORE:
        return file.path.resolve().parents[1].name
    match = _IDENTIFIER.fullmatch(str(file.content.attrs.get("id", "")))
    return match["source"] if match else None


def _describe_filling(file: OwnFile) -> dict[str, Any]:
    about: Mapping[str, Any] = file.content.attrs
    passes = about.get("realizations")
    known = {
        "checkpoint_sha256": about.get("checkpoint_sha256"),
        "passes": SINGLE if passes == SINGLE_PASS else passes,
        "seed": about.get("seed"),
        "members": file.content.sizes.get("realization"),
    }
    tops = file.content["blind_zone_top"].values
    return {key: _to_plain(value) for key, value in known.items()} | {
        "blind_zone_top_m": float(np.nanmax(tops)) if np.isfinite(tops).any() else None
    }


def _to_plain(value: Any) -> Any:
    """Returns a number of an attribute as one of Python's."""
    return value.item() if hasattr(value, "item") else value
