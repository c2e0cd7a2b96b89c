"""Damaged and deceptive lidar, state, combined and spaceborne files: ingested sound or refused by name, nothing else.

Short excerpts of measured files are changed in several hundred ways, the same ones in every run. A change of units must
be refused, or understood: then the numbers are as before.
"""

from __future__ import annotations

import signal
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr

from blindzone.flows.ingest import ingest_unit
from blindzone.pipeline.archive import Archive
from blindzone.pipeline.curtain import FIELDS, check_curtain
from blindzone.pipeline.errors import BlindzoneError
from blindzone.pipeline.netcdf import read_netcdf

TIME_LIMIT_S = 10
NAME = "measured_excerpt.nc"
MANY = 70
"""Of a kind with more changes than this, every second one is tried, for the sake of time."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A measured file, and what may be changed in it.

    Attributes:
        reader: Reader of the file.
        file: Pattern of the file below the data directory.
        unit: The UTC day or granule that it is ingested as.
        keep: Length of the excerpt along each dimension.
        needed: Variables that the reader cannot do without.
        others: The others that it reads.
        units: Units to write over those of a variable, in place of which the numbers mean something else.
        time: The variable that holds the times.
    """

    reader: str
    file: str
    unit: date
    keep: dict[str, int]
    needed: tuple[str, ...]
    others: tuple[str, ...]
    units: tuple[tuple[str, str], ...]
    time: str = "time"


SITE = ("latitude", "longitude", "altitude")
KINDS = {
    "arm_ceilometer": Kind(
        reader="ceilometer", file="arm_ceilometer/*.nc", unit=date(2019, 1, 3), keep={"time": 30},
        needed=("backscatter", "range", "time_offset"), time="time_offset",
        others=("qc_backscatter", "time", "status_flag", "tilt_angle", "lat", "lon", "alt"),
        units=(
            ("backscatter", "count"), ("range", "km"), ("range", "feet"),
            ("time_offset", "hours since 2019-01-03 00:00:00 0:00"),
            ("time_offset", "seconds since 2019-01-03 06:00:00 -6:00"),
        ),
    ),
    "cloudnet_ceilometer": Kind(
        reader="ceilometer", file="norunda_ceilometer/*.nc", unit=date(2022, 7, 29), keep={"time": 30, "range": 600},
        needed=("range", "time"), others=("beta", "beta_raw", "zenith_angle", *SITE),
        units=(
            ("beta", "1"), ("range", "km"), ("time", "seconds since 2022-07-29 00:00:00"),
            ("time", "hours since 2022-07-29 00:00:00 +02:00"), ("time", "minutes since 2022-07-29"),
        ),
    ),
    "minimpl": Kind(
        reader="mpl", file="minimpl_lille/MPL_5030_201606010000.nc", unit=date(2016, 6, 1), keep={},
        needed=("copol_nrb", "crosspol_nrb", "range_nrb"),
        others=(
            "copol_raw", "crosspol_raw", "range_raw", "laser_energy",
            "year", "month", "day", "hour", "minute", "second", "elevation_angle", *SITE,
        ),
        units=(("copol_nrb", "counts"), ("crosspol_nrb", "1"), ("range_raw", "miles"), ("laser_energy", "J")),
    ),
    "categorize": Kind(
        reader="cloudnet_categorize", file="cabauw_categorize/*.nc", unit=date(2025, 2, 11), keep={"time": 20},
        needed=("Z", "beta", "category_bits", "quality_bits", "height", "time", "temperature", "model_height"),
        others=("v", "model_time", "q", "uwind", "vwind", *SITE),
        units=(
            ("Z", "mm6 m-3"), ("beta", "km-1 sr-1"), ("height", "km"), ("model_height", "km"), ("temperature", "degC"),
            ("v", "km h-1"), ("uwind", "knots"), ("q", "g kg-1"), ("time", "seconds since 2025-02-11 00:00:00 +00:00"),
            ("time", "hours since 2025-02-11 00:00:00 +01:00"),
        ),
    ),
    "model": Kind(
        reader="cloudnet_model", file="state_profiles/*_ecmwf.nc", unit=date(2019, 5, 17), keep={"time": 24},
        needed=("temperature", "q", "uwind", "vwind", "height", "time"),
        others=("sfc_height_amsl", "sfc_geopotential", *SITE),
        units=(
            ("temperature", "degC"), ("height", "km"), ("q", "g kg-1"), ("uwind", "knots"), ("vwind", "km h-1"),
            ("time", "days since 2019-05-17 00:00:00 +00:00"), ("time", "hours since 2019-05-17 00:00:00 +05:00"),
        ),
    ),
    "era5": Kind(
        reader="era5", file="state_profiles/theta_*.nc", unit=datetime(2020, 3, 13, 18), keep={},
        needed=("Temp", "GEOS_HT", "Time"), others=("SH", "U", "V", "Latitude", "Longitude"), time="Time",
        units=(
            ("Temp", "degC"), ("GEOS_HT", "km"), ("SH", "g kg-1"), ("U", "knots"),
            ("Time", "fortnights since 1900-01-01"),
        ),
    ),
    "sonde": Kind(
        reader="arm_sonde", file="state_profiles/anxsonde*.cdf", unit=date(2020, 3, 13), keep={"time": 600},
        needed=("pres", "tdry", "dp", "alt", "time_offset"), time="time_offset",
        others=("u_wind", "v_wind", "qc_tdry", "qc_pres", "lat", "lon"),
        units=(
            ("pres", "Pa"), ("tdry", "K"), ("dp", "F"), ("alt", "km"), ("alt", "feet"), ("u_wind", "knots"),
            ("time_offset", "seconds since 2020-03-13 11:26:00 +02:00"),
        ),
    ),
}  # fmt: skip

GPM_NAMES = (
    "SLV/zFactorCorrected", "Latitude", "Longitude", "PRE/binClutterFreeBottom", "PRE/binRealSurface",
    "PRE/localZenithAngle", "PRE/ellipsoidBinOffset", "PRE/elevation", "FLG/qualityFlag", "scanStatus/dataQuality",
    *(f"ScanTime/{name}" for name in ("Year", "Month", "DayOfMonth", "Hour", "Minute", "Second", "MilliSecond")),
)  # fmt: skip
GPM_OPTIONAL = ("PRE/ellipsoidBinOffset", "PRE/elevation", "FLG/qualityFlag")

Change = Callable[[Path], None]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A change of a file in place; whether it must be refused, or else be understood."""

    name: str
    change: Change
    changes_meaning: bool = False


def write_raw(raw: xr.Dataset, path: Path) -> None:
    """Writes a dataset just as it is, without fill values of xarray's own."""
    encoding: dict[str, Any] = {str(n): {"_FillValue": None} for n in raw.variables if "_FillValue" not in raw[n].attrs}
    raw.drop_encoding().to_netcdf(path, engine="netcdf4", format="NETCDF4", encoding=encoding)


def edit(change: Callable[[xr.Dataset], xr.Dataset]) -> Change:
    def apply(path: Path) -> None:
        raw = change(read_netcdf(path))
        path.unlink()
        write_raw(raw, path)

    return apply


def with_attrs(name: str, **attrs: Any) -> Change:
    def change(raw: xr.Dataset) -> xr.Dataset:
        kept = {key: value for key, value in (raw[name].attrs | attrs).items() if value is not None}
        return raw.assign({name: raw[name].variable._replace(attrs=kept)})

    return edit(change)


def with_values(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Change:
    def apply(raw: xr.Dataset) -> xr.Dataset:
        variable = raw[name].variable
        return raw.assign({name: (variable.dims, change(variable.values.copy()), variable.attrs)})

    return edit(apply)


def put(values: np.ndarray, value: float, share: float) -> np.ndarray:
    """Puts a value in a share of the places, the first one included."""
    chosen = np.random.default_rng(3).random(values.shape) < share
    chosen.flat[0] = True
    if values.dtype.kind in "iu":
        value = np.clip(value, np.iinfo(values.dtype).min, np.iinfo(values.dtype).max) if np.isfinite(value) else 0
    return np.where(chosen, values.dtype.type(value), values)


def netcdf_cases(kind: Kind, raw: xr.Dataset) -> Iterator[Case]:
    for name, units in kind.units:
        if name in raw.variables:
            yield Case(name=f"{name} in {units}", change=with_attrs(name, units=units), changes_meaning=True)
    for name in kind.needed:
        yield Case(name=f"no {name}", change=edit(lambda raw, name=name: raw.drop_vars(name)), changes_meaning=True)
        yield Case(name=f"{name} without units", change=with_attrs(name, units=None))
        yield Case(name=f"{name} as text", change=with_values(name, lambda values: values.astype(str)))
        yield Case(name=f"{name} scaled", change=with_attrs(name, scale_factor=1000.0))
        yield Case(name=f"{name} filled with text", change=with_attrs(name, missing_value="none"))
        for value in (np.nan, np.inf, 1e30):
            change = with_values(name, lambda values, value=value: put(values, value, 0.1))
            yield Case(name=f"{name} with {value}", change=change)
        yield Case(name=f"{name} all 0", change=with_values(name, np.zeros_like))
        if raw[name].ndim == 2:
            yield Case(
                name=f"{name} transposed",
                change=edit(lambda raw, name=name: raw.assign({name: raw[name].variable.transpose()})),
            )
            yield Case(
                name=f"{name} of one profile",
                change=edit(lambda raw, name=name: raw.assign({name: raw[name].variable[0]})), changes_meaning=True,
            )  # fmt: skip
    if kind.time in raw.variables and raw.sizes.get(str((*raw[kind.time].dims, "")[0]), 0) > 2:
        yield from time_cases(kind)


def time_cases(kind: Kind) -> Iterator[Case]:
    def backwards(values: np.ndarray) -> np.ndarray:
        return np.asarray(values[::-1])

    def twice(values: np.ndarray) -> np.ndarray:
        return np.concatenate([values[:1], values[:-1]])

    def shuffled(values: np.ndarray) -> np.ndarray:
        return np.asarray(np.random.default_rng(1).permutation(values))

    for change in (backwards, twice, shuffled):
        yield Case(name=f"times {change.__name__}", change=with_values(kind.time, change))
    for calendar in ("noleap", "360_day", 5):
        yield Case(name=f"calendar {calendar}", change=with_attrs(kind.time, calendar=calendar), changes_meaning=True)
    yield Case(
        name="times far away", change=with_values(kind.time, lambda values: values + 10**9), changes_meaning=True
    )


def byte_cases(size: int) -> Iterator[Case]:
    rng = np.random.default_rng(11)

    def cut(path: Path, length: int) -> None:
        path.write_bytes(path.read_bytes()[:length])

    def flip(path: Path, places: np.ndarray) -> None:
        content = bytearray(path.read_bytes())
        for place in places:
            content[place] ^= 1 << int(place) % 8
        path.write_bytes(bytes(content))

    for length in [0, 3, 8, *(int(length) for length in rng.integers(9, size - 1, 5))]:
        yield Case(name=f"cut to {length}", change=lambda path, length=length: cut(path, length))
    for number in range(12):
        places = rng.integers(0, min(size, 20_000), 1 + 3 * number)
        yield Case(name=f"flip {number}", change=lambda path, places=places: flip(path, places))


def gpm_cases() -> Iterator[Case]:
    def without(path: Path, name: str) -> None:
        with h5py.File(path, "a") as file:
            del file[f"NS/{name}"]

    def with_value(path: Path, name: str, value: float) -> None:
        with h5py.File(path, "a") as file:
            values = file[f"NS/{name}"][...]
            file[f"NS/{name}"][...] = put(values, value, 0.2)

    def with_units(path: Path, name: str, units: str) -> None:
        with h5py.File(path, "a") as file:
            for key in ("units", "Units"):
                if key in file[f"NS/{name}"].attrs:
                    file[f"NS/{name}"].attrs[key] = np.bytes_(units)

    def of_one_scan(path: Path, name: str) -> None:
        with h5py.File(path, "a") as file:
            values = file[f"NS/{name}"][...][:1]
            del file[f"NS/{name}"]
            file[f"NS/{name}"] = values

    for name in GPM_NAMES:
        needed = name not in GPM_OPTIONAL
        yield Case(name=f"no {name}", change=lambda p, name=name: without(p, name), changes_meaning=needed)
        yield Case(name=f"{name} of one scan", change=lambda p, name=name: of_one_scan(p, name), changes_meaning=True)
        for value in (np.nan, 1e30, -9999.9, 0.0):
            yield Case(name=f"{name} with {value}", change=lambda p, name=name, v=value: with_value(p, name, v))
    for name, units in (("SLV/zFactorCorrected", "mm^6/m^3"), ("Latitude", "radians"), ("PRE/localZenithAngle", "rad")):
        yield Case(
            name=f"{name} in {units}", change=lambda p, n=name, u=units: with_units(p, n, u), changes_meaning=True
        )


def cut_gpm(source: Path, path: Path) -> None:
    """Writes eight scans of five rays with what the reader asks for."""
    with h5py.File(source) as old, h5py.File(path, "w") as new:
        new.attrs.update(old.attrs)
        for name in GPM_NAMES:
            if f"NS/{name}" not in old:
                continue
            data = old[f"NS/{name}"]
            values = data[60:68] if data.ndim == 1 else data[60:68, 22:27]
            new[f"NS/{name}"] = values
            new[f"NS/{name}"].attrs.update({k: v for k, v in data.attrs.items() if not isinstance(v, h5py.Reference)
                                            and k not in ("DIMENSION_LIST", "REFERENCE_LIST")})  # fmt: skip


class Bench:
    """An archive with another unit, into which one changed file after the other is ingested."""

    def __init__(self, reader: str, unit: date, right: Path, folder: Path) -> None:
        self.unit, self.right, self.folder = unit, right, folder
        pattern = "unit: granule\n    files: '%Y%m%d%H.nc'" if isinstance(unit, datetime) else "files: '%Y%m%d.nc'"
        self.catalog = folder / "catalog.yaml"
        self.catalog.write_text(
            "version: 1\nsources:\n  fuzz:\n    title: excerpt\n    directory: fuzz\n    site: none\n"
            f"    instrument: none\n    reader: {reader}\n    {pattern}\n"
            "    grid: {rows: 32, row_depth_m: 125}\n    quality: {empty_day: clear}\n"
        )
        self.archive = Archive(folder / "archive")
        _, refused = self.ingest(right)
        assert not refused
        self.expected = self.archive.open_day("fuzz", unit).load()
        self.outcomes: Counter[str] = Counter()

    def ingest(self, path: Path) -> tuple[Any, dict[str, str]]:
        return ingest_unit("fuzz", self.unit, (path,), self.catalog, self.archive.root)

    def run(self, case: Case) -> str | None:
        """Returns what is wrong with the outcome of a case, if anything is."""
        path = self.folder / NAME
        path.write_bytes(self.right.read_bytes())
        case.change(path)
        # Each case starts from the right file in the archive.
        archive = self.archive.root
        try:
            with limit_time(), warnings.catch_warnings():
                warnings.simplefilter("error")
                _, refused = ingest_unit("fuzz", self.unit, (path,), self.catalog, archive)
        except BlindzoneError as error:
            refused = {NAME: str(error)}
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        if refused:
            self.outcomes["refused"] += 1
            return None if NAME in next(iter(refused.values())) else f"refused without its name: {refused}"
        self.outcomes["ingested"] += 1
        return self._judge(case)

    def _judge(self, case: Case) -> str | None:
        found = self.archive.open_day("fuzz", self.unit).load()
        for number in range(found.sizes.get("ray", 1)):
            check_curtain(found.isel(ray=number) if "ray" in found.dims else found)
        if not case.changes_meaning:
            return None
        same = found.sizes == self.expected.sizes and all(
            np.allclose(found[name].values, self.expected[name].values, rtol=1e-5, equal_nan=True)
            for name in (*FIELDS, "time")
            if name in self.expected and name != "time"
        )
        return None if same else "ingested with other numbers"


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


def run_cases(bench: Bench, cases: list[Case], monkeypatch: pytest.MonkeyPatch) -> None:
    unraisable: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: unraisable.append(args.exc_value))
    wrong: dict[str, str] = {}
    for case in cases:
        finding = bench.run(case)
        if finding or unraisable:
            wrong[case.name] = finding or f"on standard error: {unraisable.pop()!r}"
    print(f"{len(cases)} cases, {dict(bench.outcomes)}")
    assert not wrong, "\n".join(f"{name}: {finding}" for name, finding in wrong.items())
    assert len(cases) >= 40
    assert bench.outcomes["refused"] >= 15


def find_measured(directory: Path, pattern: str) -> Path:
    found = sorted(directory.glob(pattern))
    if not found:
        pytest.skip(f"no measured file {directory / pattern}")
    return found[0]


@pytest.mark.parametrize("name", KINDS)
def test_changed_excerpt_is_ingested_sound_or_refused_by_name(
    name: str,
    measured_directory: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    kind = KINDS[name]
    raw = read_netcdf(find_measured(measured_directory, kind.file), (*kind.needed, *kind.others))
    raw = raw.isel({dim: slice(length) for dim, length in kind.keep.items()})
    right = tmp_path / "right" / NAME
    right.parent.mkdir()
    write_raw(raw, right)
    changed = list(netcdf_cases(kind, raw))
    cases = [*changed[:: 1 + (len(changed) > MANY)], *byte_cases(right.stat().st_size)]
    run_cases(Bench(kind.reader, kind.unit, right, tmp_path), cases, monkeypatch)
    assert capfd.readouterr().err == ""


def test_changed_gpm_swath_likewise(
    measured_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    right = tmp_path / "right" / NAME
    right.parent.mkdir()
    cut_gpm(find_measured(measured_directory, "gpm_dpr/*.HDF5"), right)
    cases = [*gpm_cases(), *byte_cases(right.stat().st_size)]
    run_cases(Bench("gpm_dpr", datetime(2014, 12, 6, 9), right, tmp_path), cases, monkeypatch)
    assert capfd.readouterr().err == ""
