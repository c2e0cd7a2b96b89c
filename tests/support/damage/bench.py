"""The ingest of changed files, one after the other, into an archive with an earlier day."""

from __future__ import annotations

import json
import signal
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import h5py
import numpy as np
import pytest
import raw_files
import xarray as xr
from flow_calls import ingest_granule

from blindzone.core.errors import BlindzoneError, SourceFileError
from blindzone.pipeline.archive import Archive
from blindzone.pipeline.curtains.curtain import check_curtain
from blindzone.pipeline.curtains.surface import check_surface, is_surface
from damage.cases import REFUSED, SAME, SOUND, Case, Raw

TIME_LIMIT_S = 10
RIGHT_FILE = "right.nc"
Compare = Callable[[xr.Dataset, xr.Dataset, Case], str | None]
"""Takes the curtain of a changed file and the right one; returns how they differ, if they do."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What the ingest of one layout needs.

    Attributes:
        reader: Name of the reader.
        unit: UTC day, or start of the granule.
        compare: Compares curtains.
        form: Form of the file.
        first_gate_m: What the catalogue states of the lowest gate, if anything [m].
    """

    reader: str
    unit: date
    compare: Compare
    form: str = "NETCDF4"
    first_gate_m: float | None = None


def write_raw(raw: Raw, path: Path, form: str) -> Path:
    """Writes a file's content just as it is; `HDF5` with groups and named dimensions."""
    if form == "HDF5":
        with h5py.File(path, "w") as file:
            file.attrs.update({str(key): value for key, value in raw.attrs.items()})
            for name, variable in raw.variables.items():
                item = file.create_dataset(str(name), data=variable.values)
                item.attrs.update(
                    variable.attrs | {"DimensionNames": ",".join(map(str, variable.dims))}
                )
        return path
    # No length means an open one to netCDF-3.
    return raw_files.write_raw(raw, path, "NETCDF4" if 0 in raw.sizes.values() else form)


def _check_sound(curtain: xr.Dataset) -> None:
    """Checks that a curtain, or a surface series, is as its rules want it."""
    if is_surface(curtain):
        check_surface(curtain, where="series")
    else:
        check_curtain(curtain)


class Bench:
    """An archive with an earlier day or granule, into which changed files are ingested in turn."""

    def __init__(self, setting: Setting, raw: Raw, folder: Path) -> None:
        self.setting, self.raw, self.folder = setting, raw, folder
        self.catalog = folder / "catalog.yaml"
        clock, unit = ("-%H%M%S", "granule") if isinstance(setting.unit, datetime) else ("", "day")
        self.catalog.write_text(
            "version: 1\nsources:\n  fuzz:\n    directory: fuzz\n"
            f"    reader: {setting.reader}\n    files: '%Y%m%d{clock}.nc'\n    unit: {unit}\n"
            "    grid: {rows: 16, row_depth_m: 78.125}\n    quality: {empty_day: clear}\n"
            + (
                ""
                if setting.first_gate_m is None
                else f"    first_gate_m: {setting.first_gate_m}\n"
            )
        )
        self.archive = Archive(folder / "archive")
        self.right = write_raw(raw, folder / RIGHT_FILE, setting.form)
        self.ingest(self.right)
        self.expected = self.archive.open_day("fuzz", setting.unit).load()
        self._archive_a_day_earlier()
        self.entries = self.count_entries()
        self.outcomes: Counter[str] = Counter()

    def _archive_a_day_earlier(self) -> None:
        """Archives the right curtain once more, a day earlier."""
        record = self.archive.record("fuzz", self.setting.unit)
        earlier = self.expected.assign_coords(time=self.expected["time"] - np.timedelta64(1, "D"))
        self.archive.upsert(
            "fuzz",
            self.setting.unit - timedelta(days=1),
            {record.files[0]: earlier.drop_vars("source_file", errors="ignore")},
            record.configuration,
        )

    def count_entries(self) -> int:
        """Returns the number of stores and records in the archive."""
        return len(list(self.archive.root.glob("fuzz/*/*")))

    def ingest(self, path: Path) -> None:
        """Ingests a file.

        Raises:
            BlindzoneError: If it is rejected.
        """
        _, rejected = ingest_granule(
            "fuzz", self.setting.unit, (path,), self.catalog, self.archive.root
        )
        if rejected:
            raise SourceFileError("\n".join(rejected.values()))

    def snapshot(self, without: str = "/") -> dict[str, bytes]:
        """Returns every file of the archive without a word in its name, rejected files left out."""
        files = {
            str(path.relative_to(self.archive.root)): path for path in self.archive.root.rglob("*")
        }
        return {
            name: (
                without_rejections(path)
                if "/ledger/" in name and path.suffix == ".json"
                else path.read_bytes()
            )
            for name, path in files.items()
            if without not in name and path.is_file()
        }

    def run(self, case: Case) -> str | None:
        """Returns what is wrong with the outcome of a case, if anything is."""
        # A newer version of the file in the archive.
        path = self.folder / "case" / RIGHT_FILE
        path.parent.mkdir(exist_ok=True)
        if case.content is not None:
            write_raw(case.content(self.raw), path, case.form or self.setting.form)
        else:
            path.write_bytes(self.right.read_bytes())
        if case.written is not None:
            case.written(path)
        before = self.snapshot("\0")
        try:
            with limit_time(), warnings.catch_warnings():
                warnings.simplefilter("error")
                self.ingest(path)
        except BlindzoneError as error:
            self.outcomes["rejected"] += 1
            return self._check_rejection(case, str(error), path.name, before)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        finally:
            path.unlink()
        self.outcomes["ingested"] += 1
        return self._check_curtain(case, before)

    def _check_rejection(
        self, case: Case, message: str, name: str, before: dict[str, bytes]
    ) -> str | None:
        if case.expect is SAME:
            return f"rejected: {message}"
        if name not in message:
            return f"rejected without its name: {message}"
        after = self.snapshot("\0")
        changed = [
            name for name in before.keys() | after.keys() if before.get(name) != after.get(name)
        ]
        return f"rejected, and not as before: {changed}" if changed else None

    def _check_curtain(self, case: Case, before: dict[str, bytes]) -> str | None:
        if case.expect is REFUSED:
            return "ingested"
        stamp = f"{self.setting.unit:%Y%m%d}"
        others = {name: content for name, content in before.items() if stamp not in name}
        if self.snapshot(stamp) != others or self.count_entries() != self.entries:
            return "ingested, and the earlier day is not as it was, or something is left over"
        found = self.archive.open_day("fuzz", self.setting.unit).load()
        rays = (found.isel(ray=number) for number in range(found.sizes.get("ray", 0)))
        for curtain in rays if "ray" in found.dims else (found,):
            _check_sound(curtain)
        if case.expect is SOUND:
            return None
        return self.setting.compare(found, self.expected, case)

    def run_all(self, cases: Iterable[Case], monkeypatch: pytest.MonkeyPatch) -> None:
        """Runs cases, and checks that every one has its required outcome."""
        unraisable: list[object] = []
        monkeypatch.setattr(sys, "unraisablehook", lambda args: unraisable.append(args.exc_value))
        wrong = {}
        for case in cases:
            finding = self.run(case)
            if finding or unraisable:
                wrong[case.name] = finding or f"on standard error: {unraisable.pop()!r}"
        print(f"{self.setting.reader}: {dict(self.outcomes)}")
        assert not wrong, "\n".join(f"{name}: {finding}" for name, finding in wrong.items())


def find_profiles(found: xr.Dataset, right: xr.Dataset, largest_s: float) -> np.ndarray | str:
    """Returns the index of each found profile among the right ones, of which some may be left out.

    Or how their times differ.
    """
    apart = np.abs(found["time"].values[:, np.newaxis] - right["time"].values)
    index = np.argmin(apart, axis=1)
    step = float(apart.min(axis=1).max() / np.timedelta64(1, "s"))
    if step > largest_s or np.unique(index).size < index.size:
        return f"times differ by {step} s"
    return index


def without_rejections(path: Path) -> bytes:
    """Returns a ledger's record without its rejected files and its time."""
    record = json.loads(path.read_text())
    del record["written"]
    record["files"] = [entry for entry in record["files"] if entry["verdict"] != "refused"]
    return json.dumps(record).encode()


@contextmanager
def limit_time() -> Iterator[None]:
    """Ends a case that takes too long."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"more than {TIME_LIMIT_S} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, TIME_LIMIT_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
