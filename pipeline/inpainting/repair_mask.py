"""Which holes of a curtain a network repairs, and which stay missing.

Names of kinds, as the command line has them:

| name | hidden pixels |
|---|---|
| `outages` | profiles without any data, as long as outages in training at most |
| `lines` | thin rows: interference |
| `shadows` | the tops of profiles above heavy rain |
| `zone` | the blind zone |
| `other` | any other hole, such as clutter that was removed or a file mask |
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import xarray as xr

from blindzone.core.errors import CurtainError
from blindzone.pipeline.curtains.hidden import (
    REPAIRED_KINDS,
    HiddenKind,
    RepairedKind,
    find_kinds,
)
from blindzone.pipeline.curtains.holes import classify_holes, find_heavy
from blindzone.pipeline.inpainting.fill_mask import FillMask
from blindzone.pipeline.network_input.masking import LONGEST_OUTAGE
from blindzone.pipeline.network_input.preprocessing import Preprocessing

LONGEST_REPAIRED = LONGEST_OUTAGE + LONGEST_OUTAGE // 5
"""Longest outage that is repaired [profiles], a fifth more than the longest in training: gaps in
time, which become profiles, lie in outages too."""

_KINDS_OF: dict[RepairedKind, tuple[HiddenKind, ...]] = {
    "outages": (HiddenKind.OUTAGE,),
    "lines": (HiddenKind.INTERFERENCE,),
    "shadows": (HiddenKind.ATTENUATED,),
    "zone": (HiddenKind.BLIND_ZONE,),
    "other": (HiddenKind.NO_DATA, HiddenKind.CLUTTER_REMOVED, HiddenKind.REJECTED),
}
_TRAINED_BY = {"files": "other", "shapes": "other"}
"""Holes of training windows that are repaired under another name."""


def list_repaired(preprocessing: Preprocessing) -> tuple[RepairedKind, ...]:
    """Returns the kinds of holes that a network was trained to repair."""
    trained = {_TRAINED_BY.get(name, name) for name in preprocessing.holes}
    return tuple(name for name in REPAIRED_KINDS if name in trained)


def check_repaired(names: Iterable[str], preprocessing: Preprocessing, *, where: str) -> None:
    """Checks that a network was trained to repair some kinds of holes.

    Raises:
        CurtainError: If it was not.
    """
    trained = list_repaired(preprocessing)
    if unknown := [name for name in names if name not in trained]:
        raise CurtainError(
            f"{where}: the network was not trained to repair {', '.join(unknown)};"
            f" {', '.join(trained) or 'none'} is right for it, or a network whose training drew"
            " such holes (windows: holes: in its plan)"
        )


def find_repair_mask(
    curtain: xr.Dataset,
    preprocessing: Preprocessing,
    names: Sequence[RepairedKind],
    mask: np.ndarray | None = None,
    *,
    zone_rows: int | None = None,
    where: str = "curtain",
) -> FillMask:
    """Returns which holes of a gridded radar curtain `(time, height)` a network repairs.

    A hole without a known cause gets the kind of its shape. Holes that are not repaired are hidden
    from the network all the same. A curtain that is all hole has nothing to repair from: it stays
    missing. So does an outage of more than `LONGEST_REPAIRED` profiles, as
    `HiddenKind.LONG_OUTAGE`.

    Args:
        curtain: The curtain.
        preprocessing: How it becomes network input.
        names: The kinds of holes that are repaired.
        mask: Further pixels that are hidden, bool `(time, height)`.
        zone_rows: Rows of the blind zone, where the curtain does not state it; by default those of
            the preprocessing with `zone`, and none without.
        where: What to call the curtain in messages.

    Raises:
        CurtainError: If the mask has another shape, or a kind is not one that the network was
            trained on.
    """
    check_repaired(names, preprocessing, where=where)
    if zone_rows is None:
        zone_rows = preprocessing.hidden_rows if "zone" in names else 0
    kinds = find_kinds(curtain, preprocessing.grid, zone_rows)
    if mask is not None:
        _check_mask(mask, kinds.shape, where)
        kinds = np.where(mask & (kinds == HiddenKind.VISIBLE), np.int8(HiddenKind.NO_DATA), kinds)
    kinds = mark_long_outages(_name_by_shape(kinds, curtain["reflectivity"].values))
    repaired = np.isin(kinds, [kind for name in names for kind in _KINDS_OF[name]])
    if (kinds != HiddenKind.VISIBLE).all():
        repaired = np.zeros_like(repaired)
    return FillMask(
        kinds=kinds,
        least_rows=0,
        most_rows=preprocessing.output_rows,
        untrusted_rows=preprocessing.untrusted_rows,
        repaired=repaired,
    )


def _check_mask(mask: np.ndarray, shape: tuple[int, ...], where: str) -> None:
    if mask.shape != shape:
        raise CurtainError(
            f"{where}: the mask has {mask.shape} profiles and rows; those of the curtain, {shape},"
            " are right"
        )


def _name_by_shape(kinds: np.ndarray, reflectivity: np.ndarray) -> np.ndarray:
    """Returns kinds `(time, row)`, those without a cause by the shape of their hole."""
    hidden = kinds != HiddenKind.VISIBLE
    by_shape = classify_holes(hidden, find_heavy(reflectivity, hidden))
    found = np.where(kinds == HiddenKind.NO_DATA, by_shape, kinds)
    # A whole profile is an outage, whatever hides its parts.
    is_there = kinds != HiddenKind.BELOW_SURFACE
    return np.where(hidden.all(axis=1)[:, None] & is_there, np.int8(HiddenKind.OUTAGE), found)


def mark_long_outages(kinds: np.ndarray) -> np.ndarray:
    """Returns kinds `(time, row)` with outages of more than `LONGEST_REPAIRED` profiles as such."""
    missing = (kinds == HiddenKind.OUTAGE).any(axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], missing.astype(np.int8), [0]])))
    marked = kinds.copy()
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        if last - first > LONGEST_REPAIRED:
            part = marked[first:last]
            part[part == HiddenKind.OUTAGE] = HiddenKind.LONG_OUTAGE
    return marked
