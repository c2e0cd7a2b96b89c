"""How runs over days end: counts, reasons and exit status."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import get_args

import pytest
import typer

from blindzone.flows.commands.run_end import end_run
from blindzone.flows.running.records import DayReport, IngestReport, RunReport, Status

WRITTEN, THERE, REJECTED, FAILED = get_args(Status)
DAYS = (date(2000, 1, 1), date(2000, 1, 2), date(2000, 1, 3))


def report(*days: DayReport, **changes: object) -> RunReport:
    values = {"run": "a", "flow": "nightly", "begun": datetime(2000, 1, 1, tzinfo=UTC)}
    return RunReport(**(values | {"seconds": 12.4, "days": days} | changes))  # type: ignore[arg-type]


def day(number: int, status: Status, reason: str = "") -> DayReport:
    return DayReport(source="station", day=DAYS[number], status=status, reason=reason)


def test_run_that_went_well_ends_quietly(capsys: pytest.CaptureFixture[str]) -> None:
    end_run(report(day(0, WRITTEN), day(1, THERE)))
    out, err = capsys.readouterr()
    assert out == (f"nightly: 2 days (1 {WRITTEN}, 1 {THERE}, 0 {REJECTED}, 0 {FAILED}) in 12 s\n")
    assert err == ""


def test_days_with_one_reason_are_one_line_and_the_status_is_2(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(typer.Exit) as ended:
        end_run(report(day(0, WRITTEN), day(1, REJECTED, "no echo"), day(2, REJECTED, "no echo")))
    assert ended.value.exit_code == 2
    err = capsys.readouterr().err
    assert err == f"{REJECTED}: station 2 days from 2000-01-02 to 2000-01-03: no echo\n"


def test_run_without_any_product_has_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended:
        end_run(report(day(0, FAILED, "disk full"), lacking=("other: no files",)))
    assert ended.value.exit_code == 1
    out, err = capsys.readouterr()
    assert out.startswith("nightly: 1 day (")
    assert err == f"{FAILED}: station 2000-01-01: disk full\nnothing to do: other: no files\n"


def test_rejected_files_are_named_with_their_source(capsys: pytest.CaptureFixture[str]) -> None:
    rejections = {DAYS[0]: {"a.nc": "not a netCDF file"}}
    ingested = IngestReport(source="station", rejections=rejections)
    with pytest.raises(typer.Exit) as ended:
        end_run(report(day(0, WRITTEN), ingested=(ingested,)))
    assert ended.value.exit_code == 2
    assert capsys.readouterr().err == "rejected: station 2000-01-01 a.nc: not a netCDF file\n"
