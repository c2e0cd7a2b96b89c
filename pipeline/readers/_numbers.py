"""Numbers of a raw file: unpacked, with missing values found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import netCDF4
import numpy as np
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.readers._netcdf import read_netcdf
from blindzone.pipeline.readers._valid_range import drop_invalid, find_all_invalid

FILL_ATTRIBUTES = ("_FillValue", "missing_value")
"""Those of CF; either may hold a number, or text with one."""
_OTHER_FILL_ATTRIBUTES = (
    "fill_value",
    "FillValue",
    "fillvalue",
    "MissingValue",
    "missing",
    "missing_data",
    "missing-data",
    "CodeMissingValue",
    "no_data_value",
    "nodata",
)
"""Of other conventions; they count where they hold a number."""
_DEFAULT_FILLS = {
    np.dtype(code): value for code, value in netCDF4.default_fillvals.items() if code[1:] != "1"
}
DEFAULT_FILL = float(netCDF4.default_fillvals["f4"])
"""netCDF writes these where nothing was written; a byte has none (NetCDF User's Guide, B)."""
_PACKING_ATTRIBUTES = ("scale_factor", "add_offset", "_Unsigned")


def read_numbers(path: Path, names: tuple[str, ...]) -> xr.Dataset:
    """Returns named variables of a file, as numbers of their shape; packed integers unpacked.

    Values outside the range that a variable states for itself are missing, and counted.

    Raises:
        SourceFileError: If the file cannot be read, or a variable holds no numbers, has a fill
            value that is none, is packed in a way that cannot be undone, or has no value in its
            own range.
    """
    raw = read_netcdf(path, names)
    present = [name for name in names if name in raw.variables]
    for name in present:
        _check_numbers(raw[name], path)
    packed = [
        name for name in present if any(key in raw[name].attrs for key in _PACKING_ATTRIBUTES)
    ]
    unpacked = raw.assign({name: _unpack(raw[name], path) for name in packed})
    return drop_invalid(unpacked, find_all_invalid(raw, tuple(present), is_missing, path))


def _check_numbers(variable: xr.DataArray, path: Path) -> None:
    if variable.dtype.kind not in "iuf":
        raise SourceFileError(
            f"{path}: '{variable.name}' holds values of type {variable.dtype}; numbers are right"
        )
    for key in FILL_ATTRIBUTES:
        if key in variable.attrs and _parse_numbers(variable.attrs[key]) is None:
            raise SourceFileError(
                f"{path}: '{variable.name}' has {key} {variable.attrs[key]!r}; a number is right"
            )


def _parse_numbers(stated: object) -> np.ndarray | None:
    """Returns the numbers of an attribute, also of one that holds them as text, or None."""
    values = np.ravel(np.asarray(stated))
    if values.dtype.kind in "iuf":
        return values
    try:
        return np.array([float(text) for text in values.astype(str)])
    except ValueError:
        return None


def find_fill_values(variable: xr.DataArray) -> list[np.ndarray]:
    """Returns the values `(count,)` that a variable declares for what is missing, as arrays.

    Where it declares none, this is what netCDF writes into what nobody has written.
    """
    declared = [
        numbers
        for key in (*FILL_ATTRIBUTES, *_OTHER_FILL_ATTRIBUTES)
        if key in variable.attrs and (numbers := _parse_numbers(variable.attrs[key])) is not None
    ]
    default = _DEFAULT_FILLS.get(variable.dtype)
    if "_FillValue" not in variable.attrs and default is not None:
        declared.append(np.array([default], variable.dtype))
    return declared


def _unpack(variable: xr.DataArray, path: Path) -> xr.Variable:
    """Returns values * scale_factor + add_offset (CF 1.11, section 8.1), NaN where missing."""
    attrs = {key: value for key, value in variable.attrs.items() if key not in _PACKING_ATTRIBUTES}
    factors = [
        np.asarray(variable.attrs.get(key, default))
        for key, default in (("scale_factor", 1), ("add_offset", 0))
    ]
    stated = {key: variable.attrs[key] for key in _PACKING_ATTRIBUTES if key in variable.attrs}
    sound = all(
        factor.dtype.kind in "iuf" and factor.size == 1 and np.isfinite(factor).all()
        for factor in factors
    )
    if not sound or not factors[0].any() or "_Unsigned" in stated:
        raise SourceFileError(
            f"{path}: '{variable.name}' is packed with {stated}; finite numbers, scale_factor not"
            " zero, are right"
        )
    scale, offset = (float(factor.item()) for factor in factors)
    if (scale, offset) == (1.0, 0.0):
        return xr.Variable(variable.dims, variable.values, attrs)
    if variable.dtype.kind == "f":  # NaN for no data would look like an unpacked fill value
        raise SourceFileError(
            f"{path}: '{variable.name}' is packed as {variable.dtype}; packed integers are right"
        )
    values = np.where(is_missing(variable), np.nan, variable.values * scale + offset)
    kept = {key: value for key, value in attrs.items() if key not in FILL_ATTRIBUTES}
    return xr.Variable(variable.dims, values, kept | {"_FillValue": np.nan})


def find_missing(variable: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """Returns two masks of the variable's shape: literal NaN, and the fill value.

    Where the file declares NaN as its fill value the two are the same, and count as the fill value.
    A file may declare several values, in one attribute or more; all of them count.
    """
    values = variable.values
    not_a_number, fill = np.isnan(values), np.zeros(values.shape, dtype=bool)
    for declared in find_fill_values(variable):
        with np.errstate(over="ignore", invalid="ignore"):
            own = declared.astype(values.dtype)
        # A fill value of another type may be one that an integer cannot hold.
        for code in own if values.dtype.kind == "f" else own[own == declared]:
            fill |= values == code  # one pass each; np.isin takes ten
        if np.isnan(declared).any():
            not_a_number, fill = np.zeros(values.shape, dtype=bool), fill | not_a_number
    return not_a_number, fill


def is_missing(variable: xr.DataArray) -> np.ndarray:
    """Returns the mask, of the variable's shape, of values that are NaN or the fill value."""
    not_a_number, fill = find_missing(variable)
    return np.asarray(not_a_number | fill)


def read_integers(variable: xr.DataArray, path: Path) -> np.ndarray:
    """Returns the integers of a variable, of its shape, 0 where they are missing.

    Programs that average or join files leave them as real numbers, with NaN for what is missing.

    Raises:
        SourceFileError: If its numbers are not whole.
    """
    values = variable.values
    if values.dtype.kind in "iu":
        return np.asarray(values.astype(np.int64))
    values = np.where(is_missing(variable), 0, values)
    with np.errstate(invalid="ignore"):
        whole = np.abs(values) < 2**53
        whole &= values == np.round(values)
    if not whole.all():
        raise SourceFileError(
            f"{path}: '{variable.name}' holds values of type {variable.dtype} such as"
            f" {values[~whole][0]:g}; integers are right"
        )
    return np.asarray(values.astype(np.int64))


def read_values(raw: xr.Dataset, names: Mapping[str, str], path: Path) -> dict[str, np.ndarray]:
    """Returns variables of a file, `{ours: theirs}`, in their shape, NaN where missing.

    Raises:
        SourceFileError: If one holds infinite values.
    """
    present = {ours: raw[theirs] for ours, theirs in names.items() if theirs in raw.variables}
    for variable in present.values():
        if np.isinf(variable.values).any():
            raise SourceFileError(
                f"{path}: '{variable.name}' holds infinite values; what is missing must be NaN"
            )
    return {
        ours: np.where(is_missing(variable), np.nan, variable.values)
        for ours, variable in present.items()
    }


def has_neighbour(mask: np.ndarray) -> np.ndarray:
    """Returns where at least one of eight neighbours of a pixel is set `(row, column)`."""
    padded = np.pad(mask, 1)
    rows, columns = mask.shape
    shifts = [(i, j) for i in range(3) for j in range(3) if (i, j) != (1, 1)]
    return np.asarray(
        np.logical_or.reduce([padded[i : i + rows, j : j + columns] for i, j in shifts])
    )


def find_span(values: np.ndarray) -> tuple[float, float]:
    """Returns the smallest and the largest of values, of any shape and type, but NaN.

    Of none they are infinity and its negative.
    """
    numbers = values if values.dtype.kind == "f" else values.astype(np.float64)
    return (
        float(np.fmin.reduce(numbers, axis=None, initial=np.inf)),
        float(np.fmax.reduce(numbers, axis=None, initial=-np.inf)),
    )


def are_within(values: np.ndarray, lowest: float, highest: float) -> bool:
    """Returns whether all values, of any shape, but NaN are within limits."""
    smallest, largest = find_span(values)
    return smallest >= lowest and largest <= highest
