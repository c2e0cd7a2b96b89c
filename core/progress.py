"""How a long step reports its progress: it calls what it is given."""

from __future__ import annotations

from typing import Protocol


class OnProgress(Protocol):
    """Takes the progress of a step."""

    def __call__(self, share_done: float, note: str = "") -> None:
        """Takes the share that is done, 0 to 1, and a note."""


def ignore_progress(share_done: float, note: str = "") -> None:
    """Takes the progress of a step and does nothing with it."""
