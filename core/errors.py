"""The one error tree of the package.

Each message says what is wrong, where, what was found and what would be right; the command line
prints it as it is and exits with status 1.
"""

from __future__ import annotations

from blindzone.core.printable import to_text

LONGEST_MESSAGE = 4000
"""Most characters of a message: a file may have it quote megabytes."""


def shorten(text: str, most: int = LONGEST_MESSAGE) -> str:
    """Returns a text of at most so many characters: its two ends, and how long it was."""
    if len(text) <= most:
        return text
    gap = f" ... ({len(text)} characters) ... "
    head = (most - len(gap)) * 2 // 3
    return f"{text[:head]}{gap}{text[len(text) - (most - len(gap) - head) :]}"


class BlindzoneError(Exception):
    """Any input or state that blindzone refuses, with a message meant for its user."""

    def __init__(self, message: str = "") -> None:
        super().__init__(to_text(shorten(message)))


class CatalogError(BlindzoneError):
    """The data catalogue, or what was asked of it, is not usable."""


class SourceFileError(BlindzoneError):
    """A source file is missing, unreadable, or not what its reader needs."""


class FetchError(BlindzoneError):
    """Files of a data portal cannot be fetched."""


class FileUnavailableError(FetchError):
    """One file of a portal cannot be had as the portal describes it; others may be."""


class CurtainError(BlindzoneError):
    """A curtain breaks the canonical form, or cannot carry what is asked of it."""


class ArchiveError(BlindzoneError):
    """The archive lacks what was asked for, or would be harmed by what was asked."""


class DamagedError(ArchiveError):
    """A record or store of the archive is damaged or gone."""


class UnwritableError(ArchiveError):
    """Nothing can be written to the archive: no permission, no space, or no folder."""


class LockedError(ArchiveError):
    """Another process has kept for itself what was to be written; trying again later is right."""


class ProductError(BlindzoneError):
    """A product cannot be written as asked."""


class WindowError(BlindzoneError):
    """No training or inference window can be cut from the data given."""


class ModelError(BlindzoneError):
    """A network, its configuration or its data cannot be used."""


class CheckpointError(ModelError):
    """A checkpoint is missing, damaged, or was made for something else."""


class TrainingError(ModelError):
    """Training cannot go on."""


class PlanError(BlindzoneError, ValueError):
    """The plan of a run or of a training cannot be used."""
