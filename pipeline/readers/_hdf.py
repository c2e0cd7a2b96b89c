"""The door to HDF files that are no netCDF: grouped HDF5, and HDF4 with its tables.

HDF5 is read by h5py, which is safe in threads. The HDF4 library is not: everything that touches it
goes through one process-wide lock. Its Python package, pyhdf, is an optional extra, imported only
when an HDF4 file is to be read.

Variables come under their path (`NS/SLV/zFactorCorrected`) and as stored: fill values and factors
are not applied.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import h5py
import numpy as np
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.core.memory import check_memory
from blindzone.pipeline.readers._extras import import_extra
from blindzone.pipeline.readers._hdf4_elements import MAGIC as HDF4_MAGIC
from blindzone.pipeline.readers._hdf4_elements import list_elements
from blindzone.pipeline.readers._netcdf import (
    DAMAGE,
    HDF5_MAGIC,
    check_opens_hdf5,
    describe_damage,
    read_magic,
)
from blindzone.pipeline.readers._numbers import is_missing
from blindzone.pipeline.readers._valid_range import drop_invalid, find_all_invalid

_HDF4_LOCK = threading.Lock()
_PYHDF_MODULES = ("HDF", "SD", "VS", "error")
_BOOKKEEPING = (
    "DIMENSION_LIST",
    "REFERENCE_LIST",
    "CLASS",
    "NAME",
    "_Netcdf4Dimid",
    "_Netcdf4Coordinates",
)
"""HDF5 attributes that say how dimensions hang together."""
_HDF4_TYPES = {5: "f4", 6: "f8", 20: "i1", 21: "u1", 22: "i2", 23: "u2", 24: "i4", 25: "u4"}
"""Number types by their code in an HDF4 file (HDF Specification and Developer's Guide, chapter
8)."""


class _Pyhdf(NamedTuple):
    """The modules of pyhdf that are used here."""

    hdf: ModuleType
    sd: ModuleType
    vs: ModuleType
    error: ModuleType


def read_hdf5(path: Path, names: tuple[str, ...]) -> xr.Dataset:
    """Returns the named variables of an HDF5 file, where it has them, in memory and undecoded.

    Dimensions are named after the variable's attribute `DimensionNames` (GPM), else after its
    dimension scales (netCDF-4), else by axis and length (`axis0_136`), so that variables of one
    shape share them. The file's own attributes are there as text. Values outside the range that a
    variable states for itself are missing, and counted.

    Raises:
        SourceFileError: If the file is missing, cut short, damaged or no HDF5, or holds no numbers
            under a name, or none in its own range.
    """
    magic = read_magic(path)
    if magic != HDF5_MAGIC:
        raise SourceFileError(f"{path}: not an HDF5 file (first bytes {magic!r})")
    check_opens_hdf5(path, names, "HDF5")
    try:
        with h5py.File(path, "r") as file:
            items = {name: file[name] for name in names if name in file}
            variables = {
                name: _read_item(item)
                for name, item in items.items()
                if isinstance(item, h5py.Dataset)
            }
            attrs = {str(key): _to_plain(value) for key, value in file.attrs.items()}
            raw = xr.Dataset(variables, attrs=attrs)
    except DAMAGE as error:
        raise describe_damage(path, error, "HDF5") from error
    _check_numbers(raw, path)
    return drop_invalid(raw, find_all_invalid(raw, tuple(variables), is_missing, path))


def read_hdf4(path: Path, names: tuple[str, ...]) -> xr.Dataset:
    """Returns named arrays `(axis0, ...)` and one-column tables of an HDF4 file, undecoded.

    A variable's attributes are its own, and those that HDF-EOS2 keeps for it in tables of their
    own, named `Radar_Reflectivity.factor`. Dimensions are named by axis and length: `axis0_37081`.
    Values outside the range that a variable states for itself are missing, and counted.

    Raises:
        SourceFileError: If the file is missing, cut short, damaged or no HDF4, or holds no numbers
            under a name, or none in its own range; or if the optional package that reads HDF4 is
            not installed.
    """
    magic = read_magic(path)
    if magic[:4] != HDF4_MAGIC:
        raise SourceFileError(f"{path}: not an HDF4 file (first bytes {magic!r})")
    _check_whole_hdf4(path)
    pyhdf = _import_pyhdf(path)
    with _HDF4_LOCK:
        try:
            tables, attributes = _read_tables(path, names, pyhdf)
            arrays = _read_arrays(path, names, pyhdf)
            variables = arrays | tables
            for name, variable in variables.items():
                variable.attrs |= attributes.get(name, {})
            raw = xr.Dataset(variables)
        except (*DAMAGE, pyhdf.error.HDF4Error, IndexError) as error:
            raise describe_damage(path, error, "HDF4") from error
    _check_numbers(raw, path)
    return drop_invalid(raw, find_all_invalid(raw, tuple(variables), is_missing, path))


def read_text_attributes(attrs: Mapping[str, Any], name: str) -> dict[str, str]:
    """Returns the entries `key=value;` of one text attribute, as GPM files have them."""
    pairs = (line.partition("=") for line in str(attrs.get(name, "")).split(";"))
    return {key.strip(): value.strip() for key, sign, value in pairs if sign}


def _read_item(item: h5py.Dataset) -> xr.Variable:
    values = np.asarray(item[()])
    attrs = {
        str(key): _to_plain(value) for key, value in item.attrs.items() if key not in _BOOKKEEPING
    }
    return xr.Variable(_dims_of(item, values.shape), values, attrs)


def _dims_of(item: h5py.Dataset, shape: tuple[int, ...]) -> tuple[str, ...]:
    stated = tuple(str(_to_plain(item.attrs.get("DimensionNames", ""))).split(","))
    if len(stated) == len(shape) and all(stated):
        return stated
    scales = [axis[0].name.rsplit("/", 1)[-1] if len(axis) else "" for axis in item.dims]
    if all(scales) and len(set(scales)) == len(scales):
        return tuple(scales)
    return _name_axes(shape)


def _name_axes(shape: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(f"axis{axis}_{length}" for axis, length in enumerate(shape))


def _to_plain(value: Any) -> Any:
    """Returns an attribute's value as text, or as a number of its own type if it is one."""
    array = np.asarray(value)
    if array.dtype.kind in "SUO":
        parts = [
            part.decode("utf-8", "replace") if isinstance(part, bytes) else str(part)
            for part in array.ravel()
        ]
        return "\n".join(parts).strip("\0")
    return array.ravel()[0] if array.size == 1 else array


def _check_numbers(raw: xr.Dataset, path: Path) -> None:
    for name, variable in raw.variables.items():
        if variable.dtype.kind not in "iuf":
            raise SourceFileError(
                f"{path}: '{name}' holds values of type {variable.dtype}; numbers are right"
            )
        stated = {
            key: variable.attrs.get(key, right)
            for key, right in (("scale_factor", 1), ("add_offset", 0))
        }
        if not all(
            np.array_equal(value, right)
            for value, right in zip(stated.values(), (1, 0), strict=True)
        ):
            raise SourceFileError(
                f"{path}: '{name}' is packed with {stated}; unpacked values are right"
            )
        for key in ("_FillValue", "missing_value"):
            fill = variable.attrs.get(key, 0)
            if np.asarray(fill).dtype.kind not in "iuf":
                raise SourceFileError(f"{path}: '{name}' has {key} {fill!r}; a number is right")


def _import_pyhdf(path: Path) -> _Pyhdf:
    return _Pyhdf(
        *(
            import_extra(f"pyhdf.{name}", "cloudsat", "an HDF4 file", path)
            for name in _PYHDF_MODULES
        )
    )


def _read_arrays(path: Path, names: tuple[str, ...], pyhdf: _Pyhdf) -> dict[str, xr.Variable]:
    file = pyhdf.sd.SD(str(path), pyhdf.sd.SDC.READ)
    try:
        sizes = {
            name: int(np.prod(shape))
            for name, (_, shape, *_) in file.datasets().items()
            if name in names
        }
        check_memory(8 * sum(sizes.values()), f"{path}: it", SourceFileError)
        variables = {}
        for name in sizes:
            array = file.select(name)
            values = np.asarray(array.get())
            variables[name] = xr.Variable(
                _name_axes(values.shape), values, dict(array.attributes())
            )
            array.endaccess()
        return variables
    finally:
        file.end()


def _read_tables(
    path: Path, names: tuple[str, ...], pyhdf: _Pyhdf
) -> tuple[dict[str, xr.Variable], dict[str, dict[str, Any]]]:
    """Returns the named tables, and attributes by variable that HDF-EOS2 keeps in tables."""
    file = pyhdf.hdf.HDF(str(path), pyhdf.hdf.HC.READ)
    try:
        tables = file.vstart()
        try:
            return _read_columns(tables, names)
        finally:
            tables.end()
    finally:
        file.close()


def _read_columns(
    tables: Any, names: tuple[str, ...]
) -> tuple[dict[str, xr.Variable], dict[str, dict[str, Any]]]:
    columns: dict[str, xr.Variable] = {}
    attributes: dict[str, dict[str, Any]] = {}
    for name, _, reference, *_ in tables.vdatainfo(1):  # 1: the tables that hold attributes as well
        owner, _, key = name.partition(".")
        if name in names:
            column = _read_column(tables, reference, name)
            columns[name] = xr.Variable(_name_axes(column.shape), column)
        elif key and owner in names:
            attributes.setdefault(owner, {})[key] = _to_plain(_read_column(tables, reference, name))
    return columns, attributes


def _read_column(tables: Any, reference: int, name: str) -> np.ndarray:
    table = tables.attach(reference)
    try:
        count, columns = table._nrecs, table.fieldinfo()
        if len(columns) != 1:
            raise ValueError(f"its table '{name}' has {len(columns)} columns, one is right")
        _, kind, order, *_ = columns[0]
        records = [record[0] for record in table.read(count)] if count else []
        if kind in _HDF4_TYPES:
            return np.array(records, dtype=_HDF4_TYPES[kind]).reshape(
                (count,) if order == 1 else (count, order)
            )
        return np.array(
            ["".join(record) if isinstance(record, list) else str(record) for record in records]
        )
    finally:
        table.detach()


def _check_whole_hdf4(path: Path) -> None:
    """Checks that an HDF4 file is as long as its descriptors say, and that their list ends.

    A file that lost its end is
    rejected here; one whose bytes were changed inside an element is left to the library, which
    reports most such damage, though not all of it well.
    """
    found = path.stat().st_size
    try:
        expected = max(
            (element.offset + element.length for element in list_elements(path.read_bytes())),
            default=0,
        )
    except (struct.error, ValueError) as error:
        raise describe_damage(path, error, "HDF4") from error
    if found < expected:
        raise SourceFileError(
            f"{path}: cannot be read as HDF4, it is cut short ({found} bytes); {expected} are right"
        )
