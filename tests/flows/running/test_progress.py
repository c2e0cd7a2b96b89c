"""Progress bars: what is left is told also where one step takes minutes."""

from __future__ import annotations

import pytest
from rich.progress import TimeRemainingColumn

from blindzone.flows.running.progress import make_bar, stage


def test_hours_left_are_told_of_days_that_take_minutes() -> None:
    now = 0.0
    bar = make_bar()
    bar.get_time = lambda: now
    task = bar.add_task("reprocess", total=1.0, note="")
    for done in range(1, 4):
        now += 120.0
        bar.update(task, completed=done / 128)
    # Two minutes for each of 128 parts: 125 parts take 250 minutes.
    assert bar.tasks[0].time_remaining == 250 * 60
    assert str(TimeRemainingColumn().render(bar.tasks[0])) == "4:10:00"


def test_without_a_terminal_one_line_is_left_of_a_stage(capsys: pytest.CaptureFixture[str]) -> None:
    with stage("fill") as on_progress:
        for share in (0.2, 0.6, 1.0):
            on_progress(share, "2021-03-14")
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
    assert line.startswith("fill")
    assert "100 %" in line
    assert line.rstrip().endswith("2021-03-14")
