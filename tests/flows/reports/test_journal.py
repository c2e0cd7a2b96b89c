"""What a run leaves behind: its log, its report, the page over all runs."""

from __future__ import annotations

import json
import logging
from datetime import date
from pathlib import Path

import pytest

from blindzone.flows.reports.journal import keep_journal
from blindzone.flows.running.records import DayReport

DAY = DayReport(source="station", day=date(2021, 3, 14), status="rejected", reason="no echo")


def test_run_leaves_its_log_its_report_and_the_page_over_all_runs(tmp_path: Path) -> None:
    with keep_journal("reprocess", tmp_path) as journal:
        logging.getLogger("blindzone.flows.running.product_task").info("begun")
        report = journal.close([DAY], lacking=["elsewhere: no day"])

    assert (report.flow, report.days, report.lacking) == (
        "reprocess",
        (DAY,),
        ("elsewhere: no day",),
    )
    (line,) = [json.loads(text) for text in journal.log.read_text().splitlines()]
    assert (line["message"], line["run"], line["flow"]) == ("begun", journal.run, "reprocess")
    assert json.loads((tmp_path / journal.run / "report.json").read_text())["run"] == journal.run
    assert journal.run in (tmp_path / "index.html").read_text()


def test_runs_of_one_second_have_names_of_their_own(tmp_path: Path) -> None:
    with keep_journal("nightly", tmp_path) as first, keep_journal("nightly", tmp_path) as second:
        assert first.run != second.run


def test_report_that_cannot_be_written_takes_nothing_from_what_was_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "reports").write_text("a file where a folder should be")

    with keep_journal("nightly", tmp_path / "reports") as journal:
        report = journal.close([DAY])

    assert report.days == (DAY,)
    assert "the run's report cannot be written" in capsys.readouterr().err
