"""Values outside the range that their own variable states: missing, and counted.

NetCDF User's Guide, appendix A, and CF 1.11, section 2.5.1: `valid_range`, or `valid_min` and
`valid_max`, in the numbers as stored, packed ones too. Limits of another kind than packed numbers,
real ones next to integers, are meant for what is unpacked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.curtains.findings import with_count

_MARK = "_outside_valid_range"
"""Attribute that names the coordinate with the mask, also of a variable that is renamed."""
_TOLERANCE = 1e-6
"""Relative: a limit in single precision next to values in double."""


def find_invalid(
    variable: xr.DataArray, is_missing: Callable[[xr.DataArray], np.ndarray], path: Path
) -> tuple[np.ndarray, str] | None:
    """Returns the mask of values outside the variable's own range, and a reason; None without any.

    Args:
        variable: As stored, of any shape; packed numbers packed.
        is_missing: Finds its missing values.
        path: The file, for messages.

    Raises:
        SourceFileError: If no value is within the range: one of the two must be wrong.
    """
    limits = _find_limits(variable)
    if limits is None or not variable.size:
        return None
    lowest, highest = limits
    slack = _TOLERANCE * max(abs(limit) for limit in (*limits, 0.0) if np.isfinite(limit))
    with np.errstate(invalid="ignore"):
        outside = (variable.values < lowest - slack) | (variable.values > highest + slack)
    if not outside.any():
        return None
    missing = is_missing(variable)
    outside &= ~missing
    if not outside.any():
        return None
    stated = _describe(lowest, highest)
    reason = f"'{variable.name}' outside its valid range {stated}"
    known = variable.values[~missing]
    if outside.sum() == known.size > 1 and np.ptp(known) > 0:
        raise SourceFileError(
            f"{path}: '{variable.name}' holds {known.min():g} to {known.max():g}, all outside its"
            f" valid range {stated}; values within it are right"
        )
    return outside, reason


def find_all_invalid(
    raw: xr.Dataset,
    names: tuple[str, ...],
    is_missing: Callable[[xr.DataArray], np.ndarray],
    path: Path,
) -> dict[str, tuple[np.ndarray, str]]:
    """Returns what `find_invalid` finds, of the shape of each named variable; raises as it does."""
    found = {name: find_invalid(raw[name], is_missing, path) for name in names}
    return {name: one for name, one in found.items() if one is not None}


def drop_invalid(raw: xr.Dataset, invalid: Mapping[str, tuple[np.ndarray, str]]) -> xr.Dataset:
    """Returns a file's content without invalid values, which its attributes count by reason.

    Masks have the shape of their variable. Values become NaN; integers get the fill value that they
    declare, or else become real numbers. A coordinate keeps where they were.
    """
    for name, (mask, reason) in invalid.items():
        variable = raw[name].variable
        values, fill = variable.values, variable.attrs.get("_FillValue", np.nan)
        if values.dtype.kind != "f" and np.isnan(fill):
            values = values.astype(np.float64)
        nothing = np.asarray(np.nan if values.dtype.kind == "f" else fill, dtype=values.dtype)
        mark = f"{name} outside its valid range"
        attrs = variable.attrs | {_MARK: mark}
        kept = xr.Variable(variable.dims, np.where(mask, nothing, values), attrs)
        raw = raw.assign({name: kept}).assign_coords({mark: (variable.dims, mask)})
        raw = raw.assign_attrs(with_count(raw.attrs, reason, int(mask.sum())))
    return raw


def find_dropped(variable: xr.DataArray) -> np.ndarray:
    """Returns the mask, of the variable's shape, of values that `drop_invalid` has dropped."""
    if _MARK in variable.attrs:
        return np.asarray(variable.coords[variable.attrs[_MARK]].values)
    return np.zeros(variable.shape, dtype=bool)


def _describe(lowest: float, highest: float) -> str:
    if np.isinf(lowest):
        return f"up to {highest:g}"
    return f"from {lowest:g}" if np.isinf(highest) else f"{lowest:g} to {highest:g}"


def _find_limits(variable: xr.DataArray) -> tuple[float, float] | None:
    """Returns the lowest and highest valid value, as stored; None if none is stated or usable."""
    attrs = variable.attrs
    both = np.ravel(attrs.get("valid_range", ()))
    pair = (
        (both[:1], both[1:])
        if both.size == 2
        else (attrs.get("valid_min", ()), attrs.get("valid_max", ()))
    )
    stated = [np.ravel(limit) for limit in pair]
    stated = [
        limit if limit.dtype.kind in "iuf" and limit.size == 1 else np.empty(0, int)
        for limit in stated
    ]
    lowest, highest = (
        float(limit[0]) if limit.size else default
        for limit, default in zip(stated, (-np.inf, np.inf), strict=True)
    )
    scale, offset = _find_packing(attrs)
    unpacked = variable.dtype.kind in "iu" and any(limit.dtype.kind == "f" for limit in stated)
    if unpacked and scale:
        lowest, highest = sorted(((lowest - offset) / scale, (highest - offset) / scale))
    bounds_nothing = (lowest, highest) == (-np.inf, np.inf)
    return (lowest, highest) if lowest <= highest and not bounds_nothing else None


def _find_packing(attrs: Mapping[str, Any]) -> tuple[float, float]:
    """Returns factor and offset: an unpacked number is the stored one times factor plus offset.

    CloudSat states them the other way: stored less `offset`, over `factor`.
    """
    scale, offset, factor, other_offset = (
        _read_number(attrs.get(key, default), default)
        for key, default in (
            ("scale_factor", 1.0),
            ("add_offset", 0.0),
            ("factor", 1.0),
            ("offset", 0.0),
        )
    )
    if "scale_factor" in attrs or "add_offset" in attrs or not factor:
        return scale, offset
    return 1 / factor, -other_offset / factor


def _read_number(stated: Any, default: float) -> float:
    values = np.ravel(stated)
    return float(values[0]) if values.size and values.dtype.kind in "iuf" else default


def pick_mark(variable: xr.DataArray) -> dict[str, str]:
    """Returns the attribute by which `find_dropped` knows, for a variable made of another."""
    return {_MARK: variable.attrs[_MARK]} if _MARK in variable.attrs else {}
