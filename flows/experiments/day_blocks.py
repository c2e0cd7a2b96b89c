"""Blocks of a source's days: those that a network is trained, validated and tested on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Literal, get_args

from blindzone.core.errors import ArchiveError, CatalogError, CheckpointError, WindowError
from blindzone.flows.running.source_data import SourceData
from blindzone.models.checkpoint import Checkpoint

Block = Literal["validation", "test"]
"""Blocks that are scored."""

BLOCKS: tuple[str, ...] = get_args(Block)

_PART = 5
"""A source without a split is validated on one of so many parts of its days, the last one."""


def split_days(
    data: SourceData, *, is_pooled: bool = False
) -> tuple[tuple[date, ...], tuple[date, ...]]:
    """Returns the archived training and validation days of a source, no day in both.

    They are those of the catalogue's split. A source without a split is validated on the last fifth
    of its days.

    Args:
        data: The source.
        is_pooled: Whether it is pooled with another one, which may do all the validation: a single
            day is then trained on.

    Raises:
        WindowError: If either block is empty.
    """
    archived, split = data.days, data.entry.split
    if split.training:
        training = tuple(day for day in archived if day in split.training)
        validation = tuple(day for day in archived if day in split.validation)
    else:
        training, validation = _cut(archived)
    if is_pooled and not split.training and len(archived) == 1:
        return tuple(archived), ()
    if not training or not validation:
        raise WindowError(
            f"{data.name}: the archive holds {len(archived)} of its days, {len(training)} to train"
            f" and {len(validation)} to validate on; at least one of each is needed, so ingest more"
            f" days ('blindzone ingest {data.name}')"
        )
    return training, validation


def _cut(archived: Sequence[date]) -> tuple[tuple[date, ...], tuple[date, ...]]:
    count = max(1, len(archived) // _PART)
    return tuple(archived[:-count]), tuple(archived[-count:])


def find_days(data: SourceData, block: str) -> tuple[date, ...]:
    """Returns the days of a block, all of which are archived, in order.

    Raises:
        CatalogError: If there is no such block, or the catalogue names no day of it.
        ArchiveError: If the archive lacks a day.
        WindowError: If a source without a split has too few days to be divided.
    """
    if block not in BLOCKS:
        raise CatalogError(f"no block '{block}' to score on; {' or '.join(BLOCKS)} is right")
    if block == "validation" and _has_no_split(data):
        return split_days(data)[1]
    wanted: tuple[date, ...] = getattr(data.entry.split, block)
    if not wanted:
        raise CatalogError(
            f"{data.name}: the catalogue's split names no {block} day, so nothing can be scored"
            " honestly"
        )
    return _check_archived(data, wanted, block)


def find_training_days(data: SourceData) -> tuple[date, ...]:
    """Returns the days that schemes may learn from, all of which are archived, in order.

    Raises:
        CatalogError: If the catalogue's split names none.
        ArchiveError: If the archive lacks one.
        WindowError: If a source without a split has too few days to be divided.
    """
    if _has_no_split(data):
        return split_days(data)[0]
    if not data.entry.split.training:
        raise CatalogError(
            f"{data.name}: the catalogue's split names no training day; schemes that learn need"
            " some"
        )
    return _check_archived(data, data.entry.split.training, "training")


def _has_no_split(data: SourceData) -> bool:
    split = data.entry.split
    return not (split.training or split.validation or split.test)


def _check_archived(data: SourceData, days: Sequence[date], block: str) -> tuple[date, ...]:
    archived = set(data.days)
    lacking = [str(day) for day in sorted(days) if day not in archived]
    if lacking:
        raise ArchiveError(
            f"{data.name}: the archive lacks {len(lacking)} of {len(days)} days of the {block}"
            f" block ({', '.join(lacking)}); 'blindzone ingest {data.name}' fetches them"
        )
    return tuple(sorted(days))


def check_not_trained_on(
    trained: Checkpoint, source: str, days: Sequence[date], checkpoint: str
) -> None:
    """Checks that a network was not trained on days.

    Args:
        trained: The network.
        source: Name of the source of the days.
        days: The days.
        checkpoint: What the checkpoint is called in the message.

    Raises:
        CheckpointError: With the days that it was trained on.
    """
    seen = sorted({str(day) for day in days} & set(list_training_days(trained, source)))
    if seen:
        raise CheckpointError(
            f"{checkpoint}: trained on {', '.join(seen)}, which would be scored; days unseen are"
            " right"
        )


def list_training_days(trained: Checkpoint, source: str) -> tuple[str, ...]:
    """Returns the days of a source that a network was trained on, pooled with others or not."""
    record = trained.training
    if record.get("source") != source:
        record = record.get("pooled", {}).get(source, {})
    return tuple(record.get("training_days", ()))
