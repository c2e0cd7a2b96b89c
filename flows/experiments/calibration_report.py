"""Results of a calibration."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from blindzone.pipeline.inpainting.calibration_verdict import CalibrationStatus


@dataclass(frozen=True, kw_only=True)
class DepthReport:
    """Results for one depth of the blind zone.

    Attributes:
        hidden_rows: Number of hidden rows.
        before: Scores of the days without calibration.
        after: Scores of each day with a calibration made from the other days; empty for a single
            day.
    """

    hidden_rows: int
    before: dict[str, float]
    after: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class CalibrationReport:
    """Results of a calibration.

    Attributes:
        written: The file with the calibration: the checkpoint, or that for single passes beside it.
        sha256: Its hash.
        days: The days that it was calibrated on.
        depths: Scores for each depth of the blind zone.
        status: Whether the intervals held what they state on days withheld from the fit.
        groups: Regime, band of rows, days and blocks of time, with any pixels and with echo, of
            each group.
    """

    written: Path
    sha256: str
    source: str
    block: str
    days: tuple[date, ...]
    depths: tuple[DepthReport, ...]
    status: CalibrationStatus
    groups: tuple[tuple[str, int, int, int, int, int], ...]
