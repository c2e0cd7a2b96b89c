"""Faults of a machine during a month of days, in processes: products stay, the rest is done."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path

import pytest
import xarray as xr
from mounting import mounting
from short_days import (
    REFUSED,
    Station,
    file_name,
    list_days,
    make_station,
    product_name,
    wait_until,
)

pytestmark = pytest.mark.soak

DAYS = 30
MONTH = list_days(DAYS)
NAMES = [product_name(day) for day in MONTH]


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Station:
    """Half an hour of thirty days, ingested; tests must not write to it."""
    station = make_station(tmp_path_factory.mktemp("month"), DAYS, hours=0.5)
    code, prediction = station.run("ingest")
    assert code == 0, prediction
    return station


@pytest.fixture
def station(ingested: Station, tmp_path: Path) -> Station:
    """The same with an archive and products of the test's own."""
    archive = shutil.copytree(ingested.archive, tmp_path / "archive")
    return ingested.with_places(archive=archive, products=tmp_path / "products")


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mounts file systems, for the time of a test."""
    with mounting(tmp_path) as call:
        yield call


def run_into(
    station: Station, happen: Callable[[], object], *, products: int = 10
) -> tuple[int, str]:
    """Reprocesses all days with a fault after some products; returns status and messages."""
    folder = Path(station.products)
    with station.start("reprocess") as process:
        wait_until(lambda: folder.is_dir() and len(list(folder.glob("*.nc"))) >= products, process)
        happen()
        prediction, _ = process.communicate(timeout=600)
    return process.returncode, prediction


def check_rest_is_done(station: Station, earlier: dict[str, bytes]) -> None:
    """Checks that the next run makes what lacks and nothing else."""
    code, prediction = station.run("reprocess")
    assert code == 0, prediction
    assert f"{DAYS - len(earlier)} created, {len(earlier)} unchanged" in prediction
    now = station.contents()
    assert sorted(now) == NAMES
    assert now.items() >= earlier.items()


def test_disk_that_fills_up_mid_run(station: Station, mount: Callable[..., Path]) -> None:
    # 30 days of 150 profiles may take 6.75 MB, so that the run is begun; then others take what is
    # left.
    products = mount("-t", "tmpfs", "-o", "size=16m", "tmpfs")
    station = station.with_places(products=products)
    ballast = products / "other.ballast"

    def fill_disk() -> None:
        with ballast.open("wb", buffering=0) as stream, suppress(OSError):
            while True:
                stream.write(bytes(4096))

    code, prediction = run_into(station, fill_disk)
    assert code == REFUSED, prediction
    assert "free some" in prediction or "No space left on device" in prediction
    earlier = station.contents()
    assert 10 <= len(earlier) < DAYS
    ballast.unlink()
    check_rest_is_done(station, earlier)


def test_folder_that_becomes_read_only_mid_run(
    station: Station, mount: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "products").mkdir()
    seen = mount("--bind", str(tmp_path / "products"))

    def forbid() -> None:
        # Refused while a file is open for writing.
        while subprocess.run(
            ["mount", "-o", "remount,bind,ro", str(seen)], capture_output=True, check=False
        ).returncode:
            pass

    code, prediction = run_into(station.with_places(products=seen), forbid)
    assert code == REFUSED, prediction
    assert "Read-only file system; a folder with write permission is right" in prediction
    earlier = station.contents()
    assert 10 <= len(earlier) < DAYS
    check_rest_is_done(station, earlier)


def test_archive_that_goes_mid_run(station: Station, tmp_path: Path) -> None:
    archive, away = Path(station.archive), tmp_path / "away"
    code, prediction = run_into(station, lambda: archive.rename(away))
    assert code == REFUSED, prediction
    earlier = station.contents()
    assert 10 <= len(earlier) < DAYS
    away.rename(archive)
    check_rest_is_done(station, earlier)


def test_one_poisoned_file_among_thirty(ingested: Station, tmp_path: Path) -> None:
    data = Path(shutil.copytree(ingested.data, tmp_path / "data"))
    station = ingested.with_places(
        data=data, archive=tmp_path / "archive", products=tmp_path / "products"
    )
    poisoned = date(2000, 1, 17)
    (file,) = data.rglob(file_name(poisoned))
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    others = sorted(set(NAMES) - {product_name(poisoned)})
    for _ in range(2):
        code, prediction = station.run("nightly", "--days", DAYS, "--no-pictures")
        assert code == REFUSED, prediction
        (line,) = (
            line for line in prediction.splitlines() if line.startswith(("rejected", "failed"))
        )
        assert line.startswith(f"rejected: short_days {poisoned} {file.name}: ")
        assert sorted(station.contents()) == others
    earlier = station.contents()
    file.write_bytes(whole)
    code, prediction = station.run("nightly", "--days", DAYS, "--no-pictures")
    assert code == 0, prediction
    now = station.contents()
    assert sorted(now) == NAMES
    assert now.items() >= earlier.items()


@pytest.mark.parametrize(
    "options", [(), ("--runner", "dask", "--workers", 2)], ids=["local", "dask"]
)
def test_one_damaged_store_among_thirty(station: Station, options: tuple[object, ...]) -> None:
    damaged = date(2000, 1, 11)
    stores = Path(station.archive) / "short_days" / "stores"
    files = stores.glob(f"{damaged:%Y%m%d}-*/reflectivity/c/**/*")
    chunk = max((path for path in files if path.is_file()), key=lambda path: path.stat().st_size)
    content = bytearray(chunk.read_bytes())
    content[len(content) // 3] ^= 0xFF
    chunk.write_bytes(content)
    code, prediction = station.run("reprocess", *options)
    assert code == REFUSED, prediction
    assert f"rejected: short_days {damaged}: " in prediction
    assert sorted(station.contents()) == sorted(set(NAMES) - {product_name(damaged)})


def test_clock_that_jumps_between_and_within_runs(station: Station, tmp_path: Path) -> None:
    if shutil.which("faketime") is None:
        pytest.skip("'faketime' is not installed")
    code, prediction = station.run("reprocess", "--end", MONTH[5])
    assert code == 0, prediction
    jumped = station.with_places(products=tmp_path / "jumped").with_places(
        environment=(("DONT_FAKE_MONOTONIC", "1"),)
    )
    # Thirty years ahead, then before any of the data; and a clock that runs a day a second.
    for clock, last, made in (("+30y", 1, 2), ("-31y", 3, 2), ("+0 x86400", 5, 2)):
        code, prediction = jumped.run(
            "reprocess", "--end", MONTH[last], program=("faketime", "-f", clock)
        )
        assert code == 0, prediction
        assert f"({made} created, {last + 1 - made} unchanged" in prediction
    assert sorted(jumped.contents()) == NAMES[:6]
    for name in NAMES[:6]:
        with (
            xr.open_dataset(Path(station.products) / name) as expected,
            xr.open_dataset(Path(jumped.products) / name) as found,
        ):
            xr.testing.assert_equal(found, expected)
            assert found.attrs["target_sha256"] == expected.attrs["target_sha256"]
