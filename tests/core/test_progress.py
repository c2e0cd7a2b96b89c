"""Progress: nobody needs to listen."""

from __future__ import annotations

from blindzone.core.progress import OnProgress, ignore_progress


def test_progress_can_be_ignored_wherever_it_is_asked_for() -> None:
    listener: OnProgress = ignore_progress
    assert listener(0.5) is None
    assert listener(1.0, "done") is None
