"""Logs: what a line says, whose file it goes to, and that nothing about them stops a run."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import date
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from blindzone.flows.running.logs import announce, keep_logs, log_context, log_day
from blindzone.flows.running.records import DayReport

DAY = date(2021, 3, 14)
logger = logging.getLogger("blindzone.flows.somewhere")


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_announcement_goes_to_the_log_or_else_to_stderr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    announce("no log")
    assert capsys.readouterr() == ("", "no log\n")
    with keep_logs(tmp_path / "log.jsonl", terminal=False) as path:
        announce("a log")
    assert [line["message"] for line in read(path)] == ["a log"]
    assert capsys.readouterr() == ("", "")


def test_line_says_of_which_run_source_and_day_it_is(tmp_path: Path) -> None:
    with keep_logs(tmp_path / "run" / "log.jsonl") as path, log_context(run="R", flow="nightly"):
        with log_context(source="station", day=DAY):
            logger.info("filled %d", 7, extra={"seconds": 24.1})
        logger.warning("done")
    first, second = read(path)
    assert first.pop("time").endswith("+00:00")
    assert first.pop("process") > 0
    assert first == {
        "level": "INFO",
        "logger": "blindzone.flows.somewhere",
        "message": "filled 7",
        "seconds": 24.1,
        "run": "R",
        "flow": "nightly",
        "source": "station",
        "day": "2021-03-14",
    }
    assert second["level"] == "WARNING"
    assert second["run"] == "R"
    assert "source" not in second


def test_day_is_told_in_one_line_as_loud_as_it_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with keep_logs(tmp_path / "log.jsonl") as path:
        log_day(DayReport(source="a", day=DAY, status="created", seconds=2.0, profiles=9529))
        log_day(DayReport(source="a", day=DAY, status="rejected", reason="cut short"))
        log_day(DayReport(source="a", day=DAY, status="failed", reason="No space left on device"))
    told = [(line["level"], line["message"], line["status"], line["day"]) for line in read(path)]
    assert told == [
        ("INFO", "created", "created", "2021-03-14"),
        ("WARNING", "rejected: cut short", "rejected", "2021-03-14"),
        ("ERROR", "failed: No space left on device", "failed", "2021-03-14"),
    ]
    assert read(path)[0]["profiles"] == 9529
    assert (
        capsys.readouterr()
        .err.splitlines()[1]
        .endswith("warning a 2021-03-14: rejected: cut short")
    )


def test_error_keeps_its_traceback_in_the_file_and_one_line_on_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with keep_logs(tmp_path / "log.jsonl") as path:
        try:
            raise ValueError("bad\x1b[2J\nfeigned: line")
        except ValueError as error:
            logger.exception("%s", error)
    assert "Traceback" in read(path)[0]["exc_info"]
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert "\\x1b[2J\\nfeigned" in shown


def test_name_that_is_no_utf8_is_kept(tmp_path: Path) -> None:
    with keep_logs(tmp_path / "log.jsonl", terminal=False) as path:
        logger.info("%s", b"caf\xe9.nc".decode("utf-8", "surrogateescape"))
        logger.info("é")
    assert [line["message"] for line in read(path)] == ["caf\udce9.nc", "é"]


def test_files_of_two_runs_in_one_process_stay_apart(tmp_path: Path) -> None:
    together = Barrier(2, timeout=20)

    def run(name: str) -> None:
        with keep_logs(tmp_path / f"{name}.jsonl", terminal=False), log_context(run=name):
            together.wait()
            # As Prefect's own task runner does: the context goes along.
            with ThreadPoolExecutor(2) as pool:
                for number in range(5):
                    pool.submit(copy_context().run, logger.info, "%d", number)
            together.wait()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, ("one", "two")))
    for name in ("one", "two"):
        lines = read(tmp_path / f"{name}.jsonl")
        assert sorted(line["message"] for line in lines) == list("01234")
        assert {line["run"] for line in lines} == {name}


def test_same_file_opened_twice_gets_each_line_once(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with keep_logs(path, terminal=False), keep_logs(path, terminal=False):
        logger.info("once")
    with keep_logs(path, terminal=False):
        logger.info("again")
    assert [line["message"] for line in read(path)] == ["once", "again"]


def test_after_the_block_logging_is_as_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    package = logging.getLogger("blindzone")
    before = (package.level, package.propagate, list(package.handlers))
    with keep_logs(tmp_path / "log.jsonl", terminal=False):
        pass
    assert (package.level, package.propagate, list(package.handlers)) == before
    logger.warning("elsewhere")
    assert caplog.messages == ["elsewhere"]
    assert not (tmp_path / "log.jsonl").exists()  # nothing was said


def test_log_that_cannot_be_written_is_told_of_once_and_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("no folder")
    with keep_logs(tmp_path / "file" / "log.jsonl", terminal=False):
        logger.info("one")
        logger.info("two")
    assert capsys.readouterr().err.count("the log cannot be written") == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_full_disk_stops_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with keep_logs(Path("/dev/full"), terminal=False):
        logger.info("one")
        logger.info("two")
    assert "No space left on device" in capsys.readouterr().err


def test_file_that_is_moved_away_is_opened_anew(tmp_path: Path) -> None:
    with keep_logs(tmp_path / "log.jsonl", terminal=False) as path:
        logger.info("before")
        path.rename(tmp_path / "log.jsonl.1")
        logger.info("after")
    assert [line["message"] for line in read(path)] == ["after"]


def test_lines_of_two_processes_in_one_file_are_whole(tmp_path: Path) -> None:
    # Longer than Python's buffers: a line in two writes would be torn by the other process.
    script = (
        "import logging, sys; from pathlib import Path; from blindzone.flows.running.logs import"
        " keep_logs\nwith keep_logs(Path(sys.argv[1]), terminal=False):\n    for number in"
        " range(200): logging.getLogger('blindzone.a').info(sys.argv[2] * 30_000)\n"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "log.jsonl"), letter])
        for letter in "ab"
    ]
    try:
        assert [writer.wait(timeout=60) for writer in writers] == [0, 0]
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
    messages = [line["message"] for line in read(tmp_path / "log.jsonl")]
    assert sorted(messages) == ["a" * 30_000] * 200 + ["b" * 30_000] * 200


def test_dask_worker_keeps_a_file_of_its_own_with_its_name(tmp_path: Path) -> None:
    from distributed import Client, LocalCluster

    def fill(number: int) -> int:
        with keep_logs(path, terminal=False), log_context(run="R", source="station", day=DAY):
            logging.getLogger("blindzone.flows").info("filled %d", number)
        return number

    path = tmp_path / "log.jsonl"
    # Threads, so that no process has to start; a worker is told from its fellow in the same way.
    settings: dict[str, Any] = {"processes": False, "dashboard_address": None}
    with (
        LocalCluster(n_workers=2, threads_per_worker=2, **settings) as cluster,
        Client(cluster) as client,
    ):
        tasks: Callable[..., Any] = client.map
        workers = [[worker] for worker in client.scheduler_info()["workers"]]
        futures = [
            future
            for worker in workers
            for future in tasks(fill, range(4), workers=worker, pure=False)
        ]
        client.gather(futures)
    files = sorted(tmp_path.glob("log-*.jsonl"))
    assert len(files) == 2
    for file in files:
        lines = read(file)
        assert sorted(line["message"] for line in lines) == [
            f"filled {number}" for number in range(4)
        ]
        assert {line["worker"] for line in lines} == {file.stem.removeprefix("log-")}
        assert {line["run"] for line in lines} == {"R"}
