"""Progress bars on the terminal; without a terminal, one line when a stage is done."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from blindzone.core.progress import OnProgress

AVERAGE_OVER_S = 86_400.0
"""Over how much of the past the time that is left is reckoned from [s]: one step, such as a day of
profiles, may take minutes."""


def make_bar() -> Progress:
    """Returns a bar with the share done, the time elapsed, the time left, and a note."""
    return Progress(
        TextColumn("{task.description:<12}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=Console(file=sys.stderr),
        speed_estimate_period=AVERAGE_OVER_S,
    )


@contextmanager
def stage(name: str) -> Iterator[OnProgress]:
    """Shows a bar for one stage of a run while its block works."""
    with make_bar() as bar:
        task = bar.add_task(name, total=1.0, note="")

        def report(share_done: float, note: str = "") -> None:
            bar.update(task, completed=share_done, note=note)

        yield report
