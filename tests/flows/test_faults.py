"""Faults of a machine while products are made: full disk, lost files, a clock that jumps.

In each case the products that were there stay as they were, bit for bit, what can be done is done,
and the next run does the rest.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import pytest
import xarray as xr
from mounting import mounting
from typer.testing import CliRunner

from blindzone.flows.commands.cli import app
from blindzone.flows.reports import journal, writing
from blindzone.flows.running import ingestion, product_task
from blindzone.flows.running import product_run as reprocess
from blindzone.flows.running.product_task import ProductTask
from blindzone.pipeline.products.product_store import ProductStore

SOURCE = "short_days"
FIRST, SECOND, THIRD = (date(2000, 1, number) for number in (1, 2, 3))
REFUSED = 2
PASSING = re.compile(r"^\d\d:\d\d:\d\d |\N{BOX DRAWINGS HEAVY HORIZONTAL}")
"""The log, and bars of progress."""

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def archive(trained: tuple[Path, Path], tmp_path: Path) -> Path:
    """The three days in an archive of the test's own."""
    return Path(shutil.copytree(trained[0], tmp_path / "archive"))


@pytest.fixture
def run(
    catalog: Path, trained: tuple[Path, Path], archive: Path, monkeypatch: pytest.MonkeyPatch
) -> Run:
    """Runs a command with two passes of the tiny network; returns exit status and errors."""
    # A picture of trends takes longer than these days.
    monkeypatch.setattr(writing, "draw_trends", lambda *_: False)

    def call(command: str, products: Path, *options: object) -> tuple[int, str]:
        places = ("--catalog", catalog, "--archive", archive, "--output", products)
        arguments = (
            command,
            SOURCE,
            *places,
            "--checkpoint",
            trained[1],
            "--passes",
            2,
            *options,
        )
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), (
            result.exception
        )
        prediction = (line for line in result.stderr.splitlines() if not PASSING.search(line))
        return result.exit_code, "\n".join(prediction)

    return call


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mounts file systems, for the time of a test."""
    with mounting(tmp_path) as call:
        yield call


def before(monkeypatch: pytest.MonkeyPatch, day: date, happen: Callable[[], None]) -> None:
    """Has something happen just before a day's turn."""

    def fill_task(unit: ProductTask) -> Any:
        if unit.day == day:
            happen()
        return product_task.fill_task(unit)

    monkeypatch.setattr(reprocess, "fill_task", fill_task)


def contents(products: Path) -> dict[str, bytes]:
    """Returns the files under their final names; only the locks' folder may be there too."""
    files = {
        path.name: path.read_bytes()
        for path in products.iterdir()
        if path.is_file() and path.suffix != ".ballast"
    }
    assert all(name.endswith("_blindzone.nc") and not name.startswith(".") for name in files)
    return files


def product_name(day: date) -> str:
    return f"{SOURCE}_{day:%Y%m%d}_blindzone.nc"


def fill_disk(folder: Path) -> None:
    with (folder / "other.ballast").open("wb", buffering=0) as ballast, suppress(OSError):
        while True:
            ballast.write(bytes(65536))


def test_disk_that_fills_up_fails_days_and_harms_no_product(
    run: Run, mount: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Three days of 600 profiles may take 2.7 MB, so that the run is begun; then others take what is
    # left.
    products = mount("-t", "tmpfs", "-o", "size=4m", "tmpfs")
    assert run("reprocess", products, "--end", FIRST) == (0, "")
    earlier = contents(products)
    write = ProductStore.write

    def write_on_full_disk(store: ProductStore, product: xr.Dataset, source: str, day: date) -> str:
        fill_disk(products)
        return write(store, product, source, day)

    with monkeypatch.context() as patch:
        patch.setattr(ProductStore, "write", write_on_full_disk)
        code, prediction = run("reprocess", products)
    assert code == REFUSED
    second, third = prediction.splitlines()
    assert second.startswith(f"failed: {SOURCE} {SECOND}: ")
    assert (
        "cannot be written: No space left on device; a folder with write permission and free space"
        in second
    )
    assert third.startswith(f"failed: {SOURCE} {THIRD}: ")
    assert "600 profiles take up to 1 MB as products, 0 MB are free" in third
    assert contents(products) == earlier

    (products / "other.ballast").unlink()
    assert run("reprocess", products) == (0, "")
    now = contents(products)
    assert sorted(now) == [product_name(day) for day in (FIRST, SECOND, THIRD)]
    assert now.items() >= earlier.items()


def test_run_for_which_the_disk_has_no_room_is_not_begun(
    run: Run, mount: Callable[..., Path]
) -> None:
    products = mount("-t", "tmpfs", "-o", "size=2m", "tmpfs")
    code, prediction = run("reprocess", products)
    assert code == 1
    assert (
        "1800 profiles take up to 3 MB as products, 2 MB are free; free some, name another folder"
        in prediction
    )
    assert list(products.iterdir()) == []


def test_folder_that_may_not_be_written_keeps_its_products(
    run: Run, mount: Callable[..., Path], tmp_path: Path
) -> None:
    products = tmp_path / "products"
    assert run("reprocess", products, "--end", FIRST) == (0, "")
    earlier = contents(products)
    seen = mount("--bind", str(products))
    # Root may write whatever its mode, but not what is mounted read-only.
    subprocess.run(["mount", "-o", "remount,bind,ro", str(seen)], check=True)
    code, prediction = run("reprocess", seen)
    assert code == REFUSED
    for day, line in zip((SECOND, THIRD), prediction.splitlines(), strict=True):
        assert line.startswith(
            f"failed: {SOURCE} {day}: {seen / product_name(day)}: cannot be locked: Read-only"
        )
    assert contents(products) == earlier
    assert run("reprocess", products) == (0, "")


@pytest.mark.parametrize("gone", ["", "short_days/stores"], ids=["archive", "stores"])
def test_archive_that_goes_in_mid_run_keeps_what_is_done(
    run: Run, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    products = tmp_path / "products"
    assert run("reprocess", products, "--end", FIRST) == (0, "")
    earlier, away = contents(products), tmp_path / "away"
    with monkeypatch.context() as patch:
        before(patch, THIRD, lambda: (archive / gone).rename(away) and None)
        code, prediction = run("reprocess", products)
    assert code == REFUSED
    (line,) = prediction.splitlines()
    assert line.startswith(f"rejected: {SOURCE} {THIRD}: {archive}")
    now = contents(products)
    assert sorted(now) == [product_name(FIRST), product_name(SECOND)]
    assert now.items() >= earlier.items()

    away.rename(archive / gone)
    assert run("reprocess", products) == (0, "")
    assert contents(products).items() >= now.items()


def test_file_that_goes_while_nightly_ingests_is_named_and_the_others_are_done(
    run: Run, archive: Path, simulated_days: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(archive)
    products, data = tmp_path / "products", tmp_path / "data"
    shutil.copytree(simulated_days, data)
    monkeypatch.setenv("BLINDZONE_DATA", str(data))
    _, second, third = sorted((data / SOURCE).iterdir())
    late = third.rename(tmp_path / third.name)
    assert run("nightly", products, "--no-pictures") == (0, "")
    earlier = contents(products)
    assert sorted(earlier) == [product_name(FIRST), product_name(SECOND)]

    shutil.move(late, third)
    ingest_granule = ingestion.ingest_granule

    def ingest_what_goes(*arguments: Any) -> Any:
        second.unlink(missing_ok=True)  # after it was listed
        return ingest_granule(*arguments)

    monkeypatch.setattr(ingestion, "ingest_granule", ingest_what_goes)
    code, prediction = run("nightly", products, "--no-pictures")
    assert code == REFUSED
    (line,) = prediction.splitlines()
    assert line.startswith(f"rejected: {SOURCE} {SECOND} {second.name}: ")
    now = contents(products)
    assert sorted(now) == [product_name(day) for day in (FIRST, SECOND, THIRD)]
    assert now.items() >= earlier.items()


def test_day_whose_store_is_damaged_is_named_and_the_others_are_done(
    run: Run, archive: Path, tmp_path: Path
) -> None:
    products = tmp_path / "products"
    # One byte of the largest chunk of values of the second day.
    chunk = max(
        (archive / SOURCE / "stores").glob("20000102-*/reflectivity/c/*/*"),
        key=lambda path: path.stat().st_size,
    )
    content = bytearray(chunk.read_bytes())
    content[len(content) // 3] ^= 0xFF
    chunk.write_bytes(content)
    code, prediction = run("reprocess", products)
    assert code == REFUSED
    (line,) = prediction.splitlines()
    assert line.startswith(f"rejected: {SOURCE} {SECOND}: ")
    assert "damaged" in line
    assert sorted(contents(products)) == [product_name(FIRST), product_name(THIRD)]


def test_clock_that_jumps_changes_nothing_but_the_records(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steady, jumped = tmp_path / "steady", tmp_path / "jumped"
    assert run("reprocess", steady) == (0, "")
    # Thirty years ahead, a day back, and so on, at every look.
    jumps = [timedelta(days=10958), timedelta(days=-1), timedelta(hours=7), timedelta(days=-12000)]
    looks = 0

    def now(zone: tzinfo | None = None) -> datetime:
        nonlocal looks
        looks += 1
        return datetime(2024, 1, 1, tzinfo=zone) + jumps[looks % len(jumps)]

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return now(tz)

    for module in (product_task, journal):
        monkeypatch.setattr(module, "datetime", Clock)
    monkeypatch.setattr(time, "time", lambda: now(UTC).timestamp())
    assert run("reprocess", jumped) == (0, "")
    assert looks > 3
    for name in contents(steady):
        with xr.open_dataset(steady / name) as expected, xr.open_dataset(jumped / name) as found:
            xr.testing.assert_equal(found, expected)
            assert found.attrs["target_sha256"] == expected.attrs["target_sha256"]
            assert found.attrs["date_created"] != expected.attrs["date_created"]
    made = contents(jumped)
    assert run("reprocess", jumped) == (0, "")
    assert contents(jumped) == made
