"""Sums of scores of one scheme and day, kept in files named by all that decides them.

An evaluation that was ended thus continues where it stopped, and another checkpoint costs no other
scheme's time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from blindzone.core.errors import ArchiveError
from blindzone.core.granule import Granule
from blindzone.flows.running.source_data import SourceData
from blindzone.pipeline.verification.curtain_scores import CurtainSums, ScoredLayer
from blindzone.pipeline.verification.pixel_scores import EVALUATION_LEVELS
from blindzone.pipeline.verification.tables import read_sums

EVALUATION_VERSION = "2"
"""Version of the numbers of an evaluation, part of the name of all kept sums.

It is to be raised whenever the same archived day, configuration and checkpoint come to other sums:
with a change of a scheme, of the forward passes, of a calibration's use, or of what is scored and
how. Changes of words, speed or layout do not count. `PRODUCT_VERSION` is its like for products.
"""


@dataclass(frozen=True, kw_only=True)
class KeptSums:
    """The sums of one scheme.

    Attributes:
        files: File of each day.
        is_deterministic: Whether the scheme predicts one value without an interval.
        configuration: What the scheme was made with.
    """

    files: dict[date, Path]
    is_deterministic: bool
    configuration: dict[str, Any]

    @property
    def missing(self) -> list[date]:
        """Days without sums that can be read."""
        return [day for day, file in self.files.items() if read_sums(file) is None]

    def read(self) -> dict[date, CurtainSums]:
        """Returns the sums of each day.

        Raises:
            ArchiveError: If some are gone.
        """
        return {day: _read(file) for day, file in self.files.items()}


def _read(file: Path) -> CurtainSums:
    sums = read_sums(file)
    if sums is None:
        raise ArchiveError(
            f"{file}: these sums were removed or damaged while the evaluation ran; start it again"
        )
    return sums


@dataclass(frozen=True, kw_only=True)
class ScoredDays:
    """Days of a source that schemes are scored on, and where their sums are kept.

    Attributes:
        data: The source's data.
        layer: The rows that are hidden and scored.
        days: The days.
        folder: Folder of the sums.
    """

    data: SourceData
    layer: ScoredLayer
    days: tuple[date, ...]
    folder: Path

    def name_files(self, name: str, decisive: Sequence[Any]) -> dict[date, Path]:
        """Returns the file of each day's sums, its name made from all that decides them.

        Args:
            name: Name of the scheme.
            decisive: What decides its predictions, as values that JSON takes.
        """
        shared = [name, asdict(self.layer), EVALUATION_LEVELS, EVALUATION_VERSION, *decisive]
        if self.data.view is not None and self.data.view.bottom_m:
            shared.append(self.data.view.bottom_m)
        files = {}
        for day in self.days:
            record = self.data.archive.record(self.data.name, day)
            content = json.dumps([*shared, record.store, record.content_hash], default=str)
            digest = hashlib.sha256(content.encode()).hexdigest()[:16]
            files[day] = self.folder / f"{name}_{Granule.of(day).key}_{digest}.npz"
        return files
