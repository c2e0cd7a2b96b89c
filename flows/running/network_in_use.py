"""Which network fills, in one line: its place and hash, what it was trained on, its calibration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blindzone.core.forward_passes import Passes, describe_passes, is_single
from blindzone.flows.running.network_choice import read_preprocessing
from blindzone.flows.running.network_status import find_experimental
from blindzone.flows.running.workspace import SHIPPED_WEIGHTS
from blindzone.models.checkpoint_record import CheckpointRecord, open_record, read_single
from blindzone.pipeline.curtains.blind_zone import BlindZone
from blindzone.pipeline.inpainting.calibration_verdict import (
    CalibrationStatus,
    describe_calibration,
)

SHOWN_DIGITS = 12
"""Digits of a SHA-256 in messages."""


@dataclass(frozen=True, kw_only=True)
class NetworkInUse:
    """A network as it is described to people.

    Attributes:
        path: Its checkpoint.
        sha256: Hash of the checkpoint.
        training: The record of its training.
        status: Whether its intervals are calibrated.
        passes: How windows are passed, if that is known.
        experimental: Why it is experimental; empty if it is not.
    """

    path: Path
    sha256: str
    training: Mapping[str, Any]
    status: CalibrationStatus
    passes: Passes | None = None
    experimental: str = ""

    def __str__(self) -> str:
        """Returns the one line."""
        days, simulated = self.training.get("training_days", ()), self.training.get("simulated")
        source = self.training.get("source") or "an unknown source"
        trained = f"{len(days)} {'simulated ' if simulated else ''}day{'s' * (len(days) != 1)}"
        return (
            f"network: {'experimental ' if self.experimental else ''}{name_checkpoint(self.path)},"
            f" SHA-256 {self.sha256[:SHOWN_DIGITS]}, trained on {trained} of {source},"
            f" {_name_way(self.passes)}{self.status.text}"
        )


def _name_way(passes: Passes | None) -> str:
    return "" if passes is None else f"{describe_passes(passes)}, "


def _find_calibration(
    path: Path, record: CheckpointRecord, passes: Passes | None
) -> Mapping[str, Any] | None:
    """Returns the record of the calibration that counts for a way of passing."""
    if not is_single(passes):
        own: Mapping[str, Any] | None = record.content.get("calibration")
        return own
    found = read_single(path)
    return None if found is None else found.content


def name_checkpoint(path: Path) -> str:
    """Returns a checkpoint's place as it is described to people."""
    is_shipped = path.resolve().parent == SHIPPED_WEIGHTS.resolve().parent
    return f"{path.name} of the package" if is_shipped else str(path)


def read_network_in_use(
    path: Path,
    blind_zone: BlindZone | None = None,
    *,
    where: str = "fill",
    passes: Passes | None = None,
) -> NetworkInUse:
    """Returns which network a checkpoint is; its weights are not loaded.

    Args:
        path: The checkpoint.
        blind_zone: What it fills; by default what it was trained to fill.
        where: Whose blind zone it is, for messages.
        passes: How windows are passed, if that is known; it decides which calibration counts.

    Raises:
        CheckpointError: If the checkpoint cannot be used.
        CurtainError: If its preprocessing is not understood, or the blind zone reaches higher than
            any that it was trained to fill.
    """
    record = open_record(path)
    preprocessing = read_preprocessing(path, record)
    if blind_zone is not None:
        preprocessing = preprocessing.fit_zone(blind_zone, where=where)
    return NetworkInUse(
        path=path,
        sha256=record.sha256,
        training=record.content.get("training", {}),
        status=describe_calibration(
            _find_calibration(path, record, passes),
            hidden_rows=preprocessing.hidden_rows,
            single=is_single(passes),
        ),
        passes=passes,
        experimental=find_experimental(record.sha256),
    )
