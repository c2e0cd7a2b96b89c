"""Tables of a raw file that stand in every profile: heights, corrections.

Files joined along time, and some writers, repeat for every profile what is the same in all.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.readers._numbers import is_missing


def drop_time_axis(
    raw: xr.Dataset, names: tuple[str, ...], path: Path, *, tolerance: float = 0.0
) -> xr.Dataset:
    """Returns a file's content with named tables `(time, entry)` as `(entry,)`.

    Tables without the axis, and names that the file lacks, are left alone. Profiles that miss
    an entry do not count.

    Args:
        raw: The content.
        names: The tables.
        path: The file, for messages.
        tolerance: By how much profiles may differ, in the table's units.

    Raises:
        SourceFileError: If a table changes within the file, or is whole in no profile.
    """
    repeated = [n for n in names if n in raw.variables and len(raw[n].dims) == 2]
    reduced = {
        name: _reduce(raw[name], path, tolerance)
        for name in repeated
        if raw[name].dims[0] == "time"
    }
    return raw.drop_vars(reduced).assign(reduced) if reduced else raw


def _reduce(table: xr.DataArray, path: Path, tolerance: float) -> xr.Variable:
    missing = is_missing(table) | np.isinf(table.values)
    whole = np.flatnonzero(~missing.any(axis=1))
    if not whole.size:
        raise SourceFileError(f"{path}: no profile of '{table.name}' states every entry")
    values, chosen = table.values, int(whole[0])
    other = ~missing & (np.abs(values - values[chosen].astype(np.float64)) > tolerance)
    if other.any():
        profile, entry = (int(index) for index in np.argwhere(other)[0])
        raise SourceFileError(
            f"{path}: '{table.name}' changes within the file (entry {entry}:"
            f" {values[chosen, entry]:g}, in profile {profile} {values[profile, entry]:g}); one"
            " table for all profiles is right"
        )
    return xr.Variable(table.dims[1:], values[chosen], table.attrs)
