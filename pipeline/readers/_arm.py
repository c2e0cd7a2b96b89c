"""Shared by the readers of ARM files: times, and bit-packed quality control."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.readers._checks import check_dims
from blindzone.pipeline.readers._numbers import is_missing
from blindzone.pipeline.readers._times import check_calendar, decode_seconds, parse_epoch


def read_arm_times(raw: xr.Dataset, path: Path) -> np.ndarray:
    """Returns the times `(time,)` of an ARM file, from `time_offset`: `time` may be rounded.

    Raises:
        SourceFileError: If they are not one a profile, or not seconds since an instant in UTC.
    """
    name = "time_offset" if "time_offset" in raw.variables else "time"
    offset = raw[name]
    check_calendar(offset, path)
    seconds = np.where(is_missing(offset), np.nan, offset.values.astype(np.float64))
    if (
        offset.ndim == 2 and offset.dims[0] == "time"
    ):  # files joined by xarray repeat it for every gate
        if seconds.shape[1] == 0 or np.any(seconds != seconds[:, :1]):
            raise SourceFileError(
                f"{path}: '{name}' has dimensions {offset.dims} and differs between gates; one time"
                " a profile is right"
            )
        seconds = seconds[:, 0]
    else:
        check_dims(raw, (name,), ("time",), path)
    return decode_seconds(seconds, parse_epoch(offset.attrs.get("units"), name, path), name, path)


def find_rejected(raw: xr.Dataset, name: str, path: Path) -> np.ndarray:
    """Returns the mask, of a variable's shape, of values that its bit-packed `qc_` calls bad.

    Raises:
        SourceFileError: If the companion is no field of bits of the same dimensions.
    """
    if f"qc_{name}" not in raw.variables:
        return np.zeros(raw[name].shape, dtype=bool)
    qc = raw[f"qc_{name}"]
    check_dims(raw, (f"qc_{name}",), tuple(map(str, raw[name].dims)), path)
    if qc.dtype.kind not in "iu":
        raise SourceFileError(
            f"{path}: 'qc_{name}' holds values of type {qc.dtype}; integers are right"
        )
    # ARM describes the bits at the variable or, once for all, at the file; only 'Indeterminate' is
    # not 'Bad'.
    assessments = {
        bit: qc.attrs.get(f"bit_{bit}_assessment", raw.attrs.get(f"qc_bit_{bit}_assessment"))
        for bit in range(1, 32)
    }
    bad = sum(
        1 << (bit - 1) for bit, assessment in assessments.items() if assessment != "Indeterminate"
    )
    return np.asarray((qc.values.astype(np.int64) & bad) != 0)
