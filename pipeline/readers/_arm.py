"""Shared by the readers of ARM files: times, and bit-packed quality control."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.readers._checks import check_dims
from blindzone.pipeline.readers._numbers import read_integers
from blindzone.pipeline.readers._times import decode_times

_HARMLESS = ("good", "ok", "indeterminate", "suspect")
"""Assessments of a quality test that do not make a value bad."""


def read_arm_times(raw: xr.Dataset, path: Path) -> np.ndarray:
    """Returns the times `(time,)` of an ARM file, from `time_offset`: `time` may be rounded.

    Raises:
        SourceFileError: If they are not one a profile, or not seconds since an instant in UTC.
    """
    name = "time_offset" if "time_offset" in raw.variables else "time"
    offset = raw[name]
    if offset.ndim == 2 and offset.dims[0] == "time":  # files joined by xarray repeat it per gate
        if not offset.shape[1] or np.any(offset.values != offset.values[:, :1]):
            raise SourceFileError(
                f"{path}: '{name}' has dimensions {offset.dims} and differs between gates; one time"
                " a profile is right"
            )
        offset = offset[:, 0]
    else:
        check_dims(raw, (name,), ("time",), path)
    return decode_times(offset, path)


def find_rejected(raw: xr.Dataset, name: str, path: Path) -> np.ndarray:
    """Returns the mask, of a variable's shape, of values that its `qc_` companion calls bad.

    A companion of fewer dimensions, such as `(time,)`, holds for all values along the others.

    Raises:
        SourceFileError: If the companion has other dimensions, or its values are not whole.
    """
    dims = tuple(map(str, raw[name].dims))
    if f"qc_{name}" not in raw.variables:
        return np.zeros(raw[name].shape, dtype=bool)
    qc = raw[f"qc_{name}"]
    own = tuple(dim for dim in dims if dim in qc.dims)
    check_dims(raw, (f"qc_{name}",), own or dims, path)
    bad = _is_bad(read_integers(qc, path), qc, raw)
    aligned = bad.reshape([raw.sizes[dim] if dim in own else 1 for dim in dims])
    return np.broadcast_to(aligned, raw[name].shape)


def _is_bad(flags: np.ndarray, qc: xr.DataArray, raw: xr.Dataset) -> np.ndarray:
    """Returns the mask of flags that their own description does not call good or indeterminate.

    ARM describes each bit, or each state, at the variable or once for all at the file; CF has
    `flag_masks` and `flag_values`, with `flag_assessments` beside them.
    """
    described = {name.removeprefix("qc_"): text for name, text in raw.attrs.items()} | qc.attrs
    is_state = described.get("flag_method") == "integer" or (
        "flag_values" in qc.attrs and "flag_masks" not in qc.attrs
    )
    kind = "flag" if is_state else "bit"
    harmless = [
        int(match[1])
        for name, text in described.items()
        if (match := re.fullmatch(kind + r"_(\d+)_assessment", name)) and _is_harmless(text)
    ]
    if not is_state:
        harmless = [1 << (bit - 1) for bit in harmless if 0 < bit < 32]
    codes = np.ravel(qc.attrs.get("flag_values" if is_state else "flag_masks", ()))
    words = qc.attrs.get("flag_assessments", qc.attrs.get("flag_meanings", ""))
    listed = words.split() if isinstance(words, str) else [str(word) for word in words]
    harmless += [int(code) for code, word in zip(codes, listed, strict=False) if _is_harmless(word)]
    if is_state:
        return np.asarray(~np.isin(flags, [0, *harmless]))
    return np.asarray((flags & ~np.bitwise_or.reduce([0, *harmless])) != 0)


def _is_harmless(assessment: object) -> bool:
    return str(assessment).strip().lower() in _HARMLESS
