"""What of a curtain is hidden: a mask of pixels, and why each of them is.

A pixel without data is never taken for clear sky. It is hidden, as the blind zone is, and the kind
says why: at inference the kinds are found from `blind_zone_top`, `detection_status` and
`quality_flags`; in training masks are drawn.

The *depth* of a profile is the number of its hidden rows from the ground up to the first visible
one. A blind zone of one depth in all profiles is the common case, and the fast one.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Literal, get_args

import numpy as np
import xarray as xr

from blindzone.pipeline.curtains.curtain import DetectionStatus, QualityFlag
from blindzone.pipeline.curtains.gridding import Grid


class HiddenKind(IntEnum):
    """Why a pixel is hidden; the codes are published and never change meaning."""

    VISIBLE = 0
    """It is not: it was measured, no echo included."""
    BLIND_ZONE = 1
    """Below the top of the profile's blind zone."""
    OUTAGE = 2
    """The profile has no data at all above its blind zone, or its blind zone has no known top."""
    INTERFERENCE = 3
    """Interference covers the pixel."""
    ATTENUATED = 4
    """The signal was lost on its way there."""
    CLUTTER_REMOVED = 5
    """Surface clutter was removed here, above the blind zone."""
    REJECTED = 6
    """The file's own quality control or range of validity rejects the value here."""
    NO_DATA = 7
    """The instrument delivered nothing here, and nothing says why."""
    BELOW_SURFACE = 8
    """Below the ground or the sea: there is nothing to fill."""
    LONG_OUTAGE = 9
    """An outage longer than any that a network was trained to repair; it stays missing."""


RepairedKind = Literal["outages", "lines", "shadows", "zone", "other"]
"""Holes that a network may repair, as plans and the command line name them."""
REPAIRED_KINDS: tuple[RepairedKind, ...] = get_args(RepairedKind)

_KIND_OF_FLAG = (
    (QualityFlag.SURFACE_CLUTTER, HiddenKind.CLUTTER_REMOVED),
    (QualityFlag.REJECTED, HiddenKind.REJECTED),
    (QualityFlag.BELOW_SURFACE, HiddenKind.BELOW_SURFACE),
)
"""Kind of a pixel without data by its flag; a later one overrides an earlier one."""


def find_kinds(curtain: xr.Dataset, grid: Grid, zone_rows: int) -> np.ndarray:
    """Returns the `HiddenKind` of each pixel of a curtain, int8 `(time, row)`.

    Args:
        curtain: Gridded radar curtain `(time, height)`.
        grid: Its grid.
        zone_rows: Rows that the source's own blind zone hides in each profile; where the curtain
            has `blind_zone_top (time,)`, that counts instead.
    """
    status = curtain["detection_status"].values
    no_data = status == DetectionStatus.NO_DATA
    depth = find_zone_depth(curtain, grid, zone_rows)
    in_zone = hide_below(depth, grid.rows)
    kinds = np.where(in_zone, np.int8(HiddenKind.BLIND_ZONE), np.int8(HiddenKind.VISIBLE))
    if not no_data.any():
        return kinds
    above = no_data & ~in_zone
    kinds[above] = HiddenKind.NO_DATA
    if "quality_flags" in curtain:
        flags = curtain["quality_flags"].values
        for flag, kind in _KIND_OF_FLAG:
            kinds[above & (flags & flag > 0)] = kind
        kinds[in_zone & no_data & (flags & QualityFlag.BELOW_SURFACE > 0)] = (
            HiddenKind.BELOW_SURFACE
        )
    is_outage = (no_data | in_zone).all(axis=1)
    kinds[is_outage] = np.where(
        kinds[is_outage] == HiddenKind.BELOW_SURFACE, kinds[is_outage], HiddenKind.OUTAGE
    )
    return kinds


def find_zone_depth(curtain: xr.Dataset, grid: Grid, zone_rows: int) -> np.ndarray:
    """Returns the number of rows of each profile that begin below its blind zone's top, `(time,)`.

    Of a profile whose top is not known it is that of the whole grid.

    Args:
        curtain: Gridded curtain `(time, height)`.
        grid: Its grid.
        zone_rows: Rows below the top where the curtain has no `blind_zone_top`.
    """
    if "blind_zone_top" not in curtain.coords:
        return np.full(curtain.sizes["time"], zone_rows)
    tops = curtain["blind_zone_top"].values.astype(np.float64)
    known = np.isfinite(tops)
    rows = np.searchsorted(grid.edges_m[:-1], np.where(known, tops, 0.0) - 1e-6)
    return np.asarray(np.where(known, rows, grid.rows))


def hide_below(depth: np.ndarray, rows: int) -> np.ndarray:
    """Returns the mask `(time, row)` of the lowest rows, as many as each profile's depth."""
    return np.asarray(np.arange(rows) < depth[:, None])


def find_depth(hidden: np.ndarray) -> np.ndarray:
    """Returns the depth of each profile `(time,)` of a mask `(time, row)`: hidden rows from below.

    Of a profile that is wholly hidden it is the number of all rows.
    """
    whole = hidden.all(axis=1)
    return np.asarray(np.where(whole, hidden.shape[1], np.argmin(hidden, axis=1)))


def find_common_depth(hidden: np.ndarray) -> int | None:
    """Returns the depth of a mask that hides the same lowest rows of all profiles and no other.

    It is None for any other mask `(time, row)`, and for one without profiles.
    """
    if not len(hidden):
        return None
    depth = int(find_depth(hidden[:1])[0])
    is_common = hidden[:, :depth].all() and not hidden[:, depth:].any()
    return depth if is_common else None


def repeat_downwards(values: np.ndarray, hidden: np.ndarray, absent: float) -> np.ndarray:
    """Returns values with each hidden pixel as the next visible one above it.

    Args:
        values: `(time, row)` of any kind.
        hidden: The mask `(time, row)`.
        absent: Value of a hidden pixel with no visible one above it.
    """
    filled = values.copy(order="K")
    depth = find_common_depth(hidden)
    if depth is not None:
        source = values[:, depth : depth + 1] if depth < values.shape[1] else absent
        filled[:, :depth] = source
        return filled
    rows = values.shape[1]
    # The rows up to the highest hidden one, and the one above it.
    reach = min(rows, 2 + int(np.flatnonzero(hidden.any(axis=0)).max(initial=-1)))
    above = np.where(hidden[:, :reach], reach, np.arange(reach))
    above = np.minimum.accumulate(above[:, ::-1], axis=1)[:, ::-1]
    found = np.take_along_axis(values, np.minimum(above, rows - 1), axis=1)
    filled[:, :reach] = np.where(above < reach, found, absent)
    return filled


def soft_mask(hidden: np.ndarray, soft_rows: int) -> np.ndarray:
    """Returns the soft mask: 1 where hidden, falling linearly to 0 above.

    After King et al. (2024).

    Args:
        hidden: The mask `(time, row)`.
        soft_rows: Number of rows over which the soft mask falls.

    Returns:
        Float32 `(time, row)`, or `(1, row)` where all profiles are alike.
    """
    if find_common_depth(hidden) is not None:
        hidden = hidden[:1]
    rows = np.arange(hidden.shape[1])
    highest = np.maximum.accumulate(np.where(hidden, rows, -1), axis=1)
    distance = rows - highest  # rows above the highest hidden one below; 0 where hidden
    mask: np.ndarray = np.clip(1.0 - distance / (soft_rows + 1.0), 0.0, 1.0)
    return mask.astype(np.float32)


def fill_from_neighbours(values: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Returns values of missing profiles as the nearest one in order that is not missing has them.

    Args:
        values: `(time, row)`.
        missing: Which profiles are missing `(time,)`; if all are, they stay as they are.
    """
    if not missing.any() or missing.all():
        return values
    seen = np.flatnonzero(~missing)
    at = np.flatnonzero(missing)
    after = np.minimum(np.searchsorted(seen, at), seen.size - 1)
    before = np.maximum(after - 1, 0)
    nearer = np.where(np.abs(seen[before] - at) <= np.abs(seen[after] - at), before, after)
    filled = values.copy(order="K")
    filled[at] = values[seen[nearer]]
    return filled
