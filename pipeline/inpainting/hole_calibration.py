"""Calibration of repaired holes: by the kind of hole, and by the distance to visible data.

It corrects predictions as `inpainting.calibration` does. A group is a kind of hole in a class of
distance: with both the errors grow, from nothing at the edge to those of climatology in the middle.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from blindzone.core.configuration import configuration, read_plain, to_plain
from blindzone.core.errors import CurtainError
from blindzone.pipeline.curtains.hidden import HiddenKind
from blindzone.pipeline.inpainting.calibration import Calibrated, Group, correct
from blindzone.pipeline.inpainting.calibration_verdict import HOLES

DISTANCES = (0.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""Least distance [profiles] of each class."""
CALIBRATED_KINDS = (
    HiddenKind.BLIND_ZONE,
    HiddenKind.OUTAGE,
    HiddenKind.INTERFERENCE,
    HiddenKind.ATTENUATED,
    HiddenKind.NO_DATA,
)
"""Kinds of holes with a calibration of their own; any other counts as the last one."""


def group_kinds(kinds: np.ndarray) -> np.ndarray:
    """Returns the kind whose calibration counts for each pixel, of the shape of the kinds."""
    return np.where(np.isin(kinds, CALIBRATED_KINDS), kinds, np.int8(HiddenKind.NO_DATA))


def class_distances(distance: np.ndarray) -> np.ndarray:
    """Returns the number of the class of each distance [profiles], of the same shape."""
    return np.asarray(np.searchsorted(DISTANCES, distance, side="right") - 1)


@configuration(error=CurtainError, what="calibration of holes")
class HoleCalibration:
    """Correction of a network's predictions of holes."""

    floor_dbz: float
    """Sensitivity floor [dBZ] that it was made for."""
    distances: tuple[float, ...]
    """Least distance [profiles] of each class."""
    groups: tuple[Group, ...]
    """One for each kind, named as its regime, and class, as its band."""

    def __post_init__(self) -> None:
        rise = all(first < second for first, second in pairwise(self.distances))
        if self.distances[:1] != (0.0,) or not rise:
            raise ValueError(f"distances: must begin with 0 and rise; found {self.distances}")
        unknown = {group.regime for group in self.groups} - set(HiddenKind.__members__)
        if unknown:
            raise ValueError(
                f"groups: kinds of holes are right, {', '.join(HiddenKind.__members__)}; found"
                f" {', '.join(sorted(unknown))}"
            )

    def apply(
        self,
        kinds: np.ndarray,
        distance: np.ndarray,
        probability: np.ndarray,
        intensity_dbz: np.ndarray,
    ) -> Calibrated:
        """Returns the calibrated distribution; visible pixels stay as they are.

        Args:
            kinds: `HiddenKind` of each pixel, of any shape `(...)`.
            distance: How far it is from visible data [profiles], of the same shape.
            probability: Probability of echo, likewise.
            intensity_dbz: Intensities given echo [dBZ] in increasing order, `(..., realization)`.
        """
        hidden, kinds = kinds != HiddenKind.VISIBLE, group_kinds(kinds)
        classes = np.searchsorted(self.distances, distance, side="right") - 1
        parts = (
            (group, hidden & (kinds == HiddenKind[group.regime]) & (classes == group.band))
            for group in self.groups
        )
        return correct(probability, intensity_dbz, parts, floor_dbz=self.floor_dbz)

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as plain values, for JSON."""
        return to_plain(self)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> HoleCalibration:
        """Returns the calibration of holes that a checkpoint's record holds.

        Raises:
            CurtainError: If it is not understood.
        """
        content = record.get(HOLES, {})
        where = "the checkpoint's calibration of holes"
        return read_plain(cls, content, where=where, error=CurtainError)
