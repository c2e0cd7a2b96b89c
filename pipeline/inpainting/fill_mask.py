"""Which pixels of a curtain a network fills, and why each hidden one is hidden."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xarray as xr

from blindzone.pipeline.curtains.hidden import HiddenKind, find_depth, find_kinds, hide_below
from blindzone.pipeline.curtains.holes import measure_distance
from blindzone.pipeline.network_input.preprocessing import Preprocessing


@dataclass(frozen=True, kw_only=True)
class FillMask:
    """The hidden pixels of a curtain, and those of them that are filled.

    Attributes:
        kinds: `HiddenKind` of each pixel, int8 `(time, row)`.
        least_rows: Number of lowest rows that are hidden from the network at least.
        most_rows: Number of lowest rows that it predicts.
        untrusted_rows: Number of lowest rows on which it was never trained.
        repaired: The pixels that are filled by a network that repairs holes anywhere, bool `(time,
            row)`; None of a network that fills blind zones.
    """

    kinds: np.ndarray
    least_rows: int
    most_rows: int
    untrusted_rows: int = 0
    repaired: np.ndarray | None = None

    @cached_property
    def hidden(self) -> np.ndarray:
        """The pixels without data for the network, bool `(time, row)`."""
        return np.asarray(self.kinds != HiddenKind.VISIBLE)

    @property
    def hides_zone(self) -> bool:
        """Whether any of them is in the blind zone, or could be."""
        return self.repaired is None or bool((self.kinds == HiddenKind.BLIND_ZONE).any())

    @cached_property
    def distance(self) -> np.ndarray:
        """How far each of them is from the nearest visible one [profiles], `(time, row)`."""
        return measure_distance(self.hidden)

    @cached_property
    def depth(self) -> np.ndarray:
        """Hidden rows of each profile from the ground up to the first visible one, `(time,)`."""
        return find_depth(self.hidden)

    @property
    def network_depth(self) -> np.ndarray:
        """The depth that each profile is filled from, `(time,)`: more is hidden than need be."""
        return np.asarray(np.maximum(self.depth, self.least_rows))

    @cached_property
    def is_too_deep(self) -> np.ndarray:
        """Which profiles are hidden up to above the rows that the network predicts, `(time,)`.

        Nothing of them is filled; profiles without any visible data do not count.
        """
        if self.repaired is not None:
            return np.zeros(len(self.kinds), dtype=bool)
        return np.asarray((self.depth > self.most_rows) & (self.depth < self.kinds.shape[1]))

    @cached_property
    def filled(self) -> np.ndarray:
        """The pixels that are filled, bool `(time, row)`.

        In a profile with visible data they are the hidden ones below the first visible one. Other
        hidden pixels, such as an outage's, stay without data, unless holes are repaired.
        """
        if self.repaired is not None:
            return self.repaired
        rows = self.kinds.shape[1]
        depth = np.where(self.depth <= self.most_rows, self.depth, 0)
        is_there = self.kinds != HiddenKind.BELOW_SURFACE
        return np.asarray(hide_below(depth, rows) & is_there)

    @property
    def rows(self) -> int:
        """Number of lowest rows that hold all filled pixels, at least one."""
        return max(1, int(np.flatnonzero(self.filled.any(axis=0)).max(initial=-1)) + 1)


def find_fill_mask(curtain: xr.Dataset, preprocessing: Preprocessing) -> FillMask:
    """Returns which pixels of a gridded radar curtain `(time, height)` a network fills.

    Args:
        curtain: The curtain.
        preprocessing: How it becomes network input.
    """
    kinds = find_kinds(curtain, preprocessing.grid, preprocessing.hidden_rows)
    return FillMask(
        kinds=kinds,
        least_rows=preprocessing.least_hidden_rows,
        most_rows=preprocessing.output_rows,
        untrusted_rows=preprocessing.untrusted_rows,
    )
