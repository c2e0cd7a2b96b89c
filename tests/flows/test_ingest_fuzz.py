"""Damaged and deceptive files: each is ingested right or refused by name, and nothing else ever happens.

Small valid files of every layout are changed in several hundred ways, the same ones in every run.
Values that a change cannot have touched must come out as they did before; a change of meaning
(units, calendars, times) must be refused.
"""

from __future__ import annotations

import json
import signal
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr

from blindzone.core.errors import BlindzoneError, SourceFileError
from blindzone.flows.ingest import ingest_granule
from blindzone.pipeline.archive import Archive
from blindzone.pipeline.curtains.curtain import check_curtain
from blindzone.pipeline.readers._netcdf import read_netcdf
from blindzone.pipeline.readers.simulation import write_simulated_day

DAY = date(2000, 1, 2)
MIDNIGHT_S = 946771200
"""2000-01-02 in seconds since 1970: 10958 days."""
PROFILES, GATES = 48, 48
TIME_LIMIT_S = 10
FILL = np.float32(-9999)
RIGHT_FILE = "right.nc"
Raw = xr.Dataset
Rng = np.random.Generator


class Expect(StrEnum):
    """What a changed file must come to."""

    SAME = "the curtain as it was"
    REFUSED = "a refusal"
    REST = "a refusal, or the curtain as it was in the profiles left alone"
    SOUND = "a refusal, or any sound curtain"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A valid small file, and what its variables are called."""

    name: str
    reader: str
    raw: Raw
    field: str
    velocity: str
    gates: str = "range"
    time: str = "time"
    linear: bool = False
    finds_noise: bool = False
    day: date = DAY


@dataclass(frozen=True, kw_only=True)
class Case:
    """A change of a file's content, or of its bytes once written."""

    name: str
    expect: Expect
    content: Callable[[Raw], Raw] | None = None
    written: Callable[[Path], object] | None = None
    profiles: tuple[int, ...] = ()
    tolerance: float = 0.0


def write_raw(raw: Raw, path: Path, form: str = "NETCDF4") -> Path:
    """Writes a dataset just as it is, without fill values of xarray's own."""
    encoding: dict[str, Any] = {
        str(n): {"_FillValue": None} for n in raw.variables if "_FillValue" not in raw[n].attrs
    }
    raw.drop_encoding().to_netcdf(path, engine="netcdf4", format=form, encoding=encoding)  # type: ignore[call-overload]
    return path


def make_reflectivity() -> np.ndarray:
    """Cloud of -30 to 5 dBZ in gates 10 to 30 of the first 36 profiles, NaN elsewhere."""
    z = np.full((PROFILES, GATES), np.nan)
    z[:36, 10:30] = np.random.default_rng(5).uniform(-30, 5, (36, 20))
    return z


def make_grids(z: np.ndarray, fill: float, units: str) -> dict[str, Any]:
    dims, attrs = ("time", "range"), {"_FillValue": np.float32(fill)}
    velocity = np.where(np.isnan(z), fill, np.linspace(-3, 1, PROFILES)[:, np.newaxis])
    return {
        "z": (dims, np.where(np.isnan(z), fill, z).astype(np.float32), {"units": units, **attrs}),
        "v": (dims, velocity.astype(np.float32), {"units": "m/s", **attrs}),
    }


def make_base() -> Raw:
    """Profiles 10 s apart from 06:00 on, gates of 30 m."""
    gates = (15 + 30 * np.arange(GATES)).astype(np.float32)
    return xr.Dataset(coords={"range": ("range", gates, {"units": "m"})})


def make_seconds(since: str, start_s: float) -> tuple[str, np.ndarray, dict[str, str]]:
    return "time", start_s + 21600 + 10.0 * np.arange(PROFILES), {"units": f"seconds since {since}"}


def make_site(*names: str) -> dict[str, Any]:
    values = zip(names, (50.5, 6.25, 90.0), ("degrees_north", "degrees_east", "m"), strict=True)
    return {name: ((), np.float32(value), {"units": units}) for name, value, units in values}


def make_rpg() -> Raw:
    z = make_reflectivity()
    raw = make_base().assign(make_grids(10 ** (z / 10), -999, "mm^6/m^3")).rename(z="Ze", v="vm")
    # 2000-01-02 lies before the epoch of 2001, which its unsigned seconds cannot say: a year and a
    # day later.
    seconds = (366 * 86400 + 21600 + 10 * np.arange(PROFILES)).astype(np.uint32)
    described = {"units": "seconds UTC", "long_name": "Time in sec since 2001.01.01. 00:00:00"}
    milliseconds = np.full(PROFILES, 250, dtype=np.int32)
    return raw.assign(
        {"sampleTms": ("time", milliseconds, {"units": "mu s"}), **make_site("Lat", "Lon", "MSL")}
    ).assign_coords(time=("time", seconds, described))


def make_kazr() -> Raw:
    power = -22 + 10 * np.log10(np.random.default_rng(3).gamma(8, 1 / 8, (PROFILES, GATES)))
    z = make_reflectivity()
    power = np.where(np.isnan(z), power, -2)
    grids = make_grids(np.where(np.isnan(z), power - 30, z), FILL, "dBZ")
    raw = make_base().assign(grids).rename(z="reflectivity_copol", v="mean_doppler_velocity_copol")
    offset = make_seconds("2000-01-02 00:00:00 0:00", 0)
    snr = (("time", "range"), power.astype(np.float32), {"units": "dB", "_FillValue": FILL})
    return raw.assign(
        {
            "time_offset": offset,
            "signal_to_noise_ratio_copol": snr,
            **make_site("lat", "lon", "alt"),
        }
    ).assign(elevation=("time", np.full(PROFILES, 90, np.float32), {"units": "degree"}))


def make_arscl() -> Raw:
    grids = make_grids(make_reflectivity(), FILL, "dBZ")
    raw = (
        make_base()
        .assign(grids)
        .rename(z="reflectivity_best_estimate", v="mean_doppler_velocity", range="height")
    )
    qc = np.where(raw["reflectivity_best_estimate"] == FILL, 4, 0).astype(np.int32)
    flag = np.full(PROFILES, 31, dtype=np.int32)
    return raw.assign(
        {
            "qc_reflectivity_best_estimate": (("time", "height"), qc, {"bit_3_assessment": "Bad"}),
            "instrument_availability_flag": ("time", flag),
            "time_offset": make_seconds("2000-01-02 00:00:00 0:00", 0),
            **make_site("lat", "lon", "alt"),
        }
    )


def make_mrr() -> Raw:
    raw = make_base().assign(make_grids(make_reflectivity(), np.nan, "dBZ")).rename(z="Ze", v="VEL")
    elevation = ("time", np.full(PROFILES, 90, np.float32), {"units": "degrees"})
    site = make_site("latitude", "longitude", "altitude")
    return raw.assign({"elevation": elevation, **site}).assign_coords(
        time=make_seconds("1970-01-01", MIDNIGHT_S)
    )


def make_improtoo() -> Raw:
    raw = make_base().assign(make_grids(make_reflectivity(), FILL, "dBz")).rename(z="Ze", v="W")
    heights = (
        ("time", "range"),
        np.tile(raw["range"].values, (PROFILES, 1)),
        {"units": "m", "_FillValue": FILL},
    )
    raw = raw.assign(height=heights).assign_coords(
        range=("range", np.arange(1, GATES + 1), {"units": "#"})
    )
    return raw.assign_coords(time=make_seconds("1970-01-01", MIDNIGHT_S))


def make_simulated(folder: Path) -> Raw:
    path = folder / "simulated.nc"
    write_simulated_day(DAY, path, hours=0.5, scenes=("front",))
    return cut(read_netcdf(path), 150, 56)


def cut(raw: Raw, profiles: int, gates: int | None = None) -> Raw:
    """The first profiles and gates of a file."""
    wanted = {"time": slice(profiles), "range": slice(gates)}
    return raw.isel({name: part for name, part in wanted.items() if name in raw.dims})


LAYOUT_NAMES = ("cloudnet", "rpg", "kazr", "arscl", "mrr", "improtoo")


def make_layout(name: str, folder: Path) -> Layout:
    arscl = {
        "field": "reflectivity_best_estimate",
        "velocity": "mean_doppler_velocity",
        "gates": "height",
    }
    layouts: dict[str, Callable[[], dict[str, Any]]] = {
        "cloudnet": lambda: {
            "reader": "cloudnet_radar",
            "raw": make_simulated(folder),
            "field": "Zh",
            "velocity": "v",
        },
        "rpg": lambda: {
            "reader": "rpg_fmcw94",
            "raw": make_rpg(),
            "field": "Ze",
            "velocity": "vm",
            "linear": True,
            "day": date(2002, 1, 2),
        },
        "kazr": lambda: {
            "reader": "arm_kazr",
            "raw": make_kazr(),
            "field": "reflectivity_copol",
            "time": "time_offset",
            "velocity": "mean_doppler_velocity_copol",
            "finds_noise": True,
        },
        "arscl": lambda: {
            "reader": "arm_kazr",
            "raw": make_arscl(),
            "time": "time_offset",
            **arscl,
        },
        "mrr": lambda: {"reader": "mrr", "raw": make_mrr(), "field": "Ze", "velocity": "VEL"},
        "improtoo": lambda: {
            "reader": "mrr",
            "raw": make_improtoo(),
            "field": "Ze",
            "velocity": "W",
            "gates": "height",
        },
    }
    return Layout(name=name, **layouts[name]())


# Changes of content.


def with_attrs(name: str, **attrs: Any) -> Callable[[Raw], Raw]:
    def change(raw: Raw) -> Raw:
        out = raw.copy()
        out[name].attrs = {
            key: value for key, value in {**raw[name].attrs, **attrs}.items() if value is not None
        }
        return out

    return change


def with_values(
    name: str, convert: Callable[[np.ndarray], Any], **attrs: Any
) -> Callable[[Raw], Raw]:
    def change(raw: Raw) -> Raw:
        kept = {
            key: value for key, value in {**raw[name].attrs, **attrs}.items() if value is not None
        }
        if "_FillValue" in kept and "_FillValue" not in attrs:
            kept["_FillValue"] = np.asarray(kept["_FillValue"]).astype(
                np.asarray(convert(raw[name].values)).dtype
            )
        return raw.assign({name: xr.Variable(raw[name].dims, convert(raw[name].values), kept)})

    return change


def put(name: str, where: Any, value: float) -> Callable[[Raw], Raw]:
    def convert(values: np.ndarray) -> np.ndarray:
        out = values.copy()
        out[where] = value
        return out

    return with_values(name, convert)


def pack(
    name: str, scale: float, offset: float, kind: str = "i4", fill: int = -(2**15)
) -> Callable[[Raw], Raw]:
    """Packs a variable in integers, as CF asks."""

    def change(raw: Raw) -> Raw:
        values, attrs = raw[name].values.astype(np.float64), dict(raw[name].attrs)
        missing = np.isnan(values) | (values == attrs.pop("_FillValue", np.nan))
        packed = np.where(
            missing, fill, np.round((np.where(missing, 0, values) - offset) / scale)
        ).astype(kind)
        attrs |= {
            "scale_factor": scale,
            "add_offset": offset,
            "_FillValue": np.asarray(fill, kind)[()],
        }
        return raw.assign({name: xr.Variable(raw[name].dims, packed, attrs)})

    return change


def reorder(dim: str, order: Callable[[int], Any]) -> Callable[[Raw], Raw]:
    return lambda raw: raw.isel({dim: order(raw.sizes[dim])})


def find_site_names(layout: Layout) -> tuple[str, ...]:
    wanted = ("latitude", "lat", "Lat", "altitude", "alt", "MSL", "longitude", "lon", "Lon")
    return tuple(name for name in wanted if name in layout.raw.variables)


def unit_cases(layout: Layout) -> Iterator[Case]:
    """Other units, declared or not: never taken for the right ones."""
    field, velocity, gates = layout.field, layout.velocity, layout.gates

    def refuse(name: str, content: Callable[[Raw], Raw]) -> Case:
        return Case(name=name, content=content, expect=Expect.REFUSED)

    other = "dBZ" if layout.linear else "mm6 m-3"
    odd: tuple[Any, ...] = (None, "", other, "dB", "1", 7, np.array([1, 2]), ["m", "dBZ"])
    for units in odd:
        yield refuse(f"{field} in {units!r}", with_attrs(field, units=units))
    for units in (None, "mm/s", "cm s-1", "km/h", "kn", 3):
        yield refuse(f"{velocity} in {units!r}", with_attrs(velocity, units=units))
    yield refuse(
        f"{velocity} mm/s in m/s",
        with_values(
            velocity, lambda v: v * np.where(np.abs(v) < 100, np.float32(1000), np.float32(1))
        ),
    )
    for units in (None, "km", "mm", "ft", "gates", 1.0):
        yield refuse(f"{gates} in {units!r}", with_attrs(gates, units=units))
    yield refuse(f"{gates} km called km", with_values(gates, lambda h: h / 1000, units="km"))
    yield refuse(f"{gates} km called m", with_values(gates, lambda h: (h / 1000).astype(h.dtype)))
    for name in find_site_names(layout):
        wrong = "km" if name[:3].lower() in ("alt", "msl") else "radian"
        yield refuse(f"{name} in {wrong}", with_attrs(name, units=wrong))
    for name in {"zenith_angle", "elevation"} & set(layout.raw.variables):
        yield refuse(f"{name} in radian", with_attrs(name, units="radian"))


def time_cases(layout: Layout) -> Iterator[Case]:
    """Other clocks, and profiles out of order."""
    time, dim = layout.time, "time"

    def refuse(name: str, content: Callable[[Raw], Raw]) -> Case:
        return Case(name=name, content=content, expect=Expect.REFUSED)

    day = layout.day.isoformat()
    right = "hours" if layout.name == "cloudnet" else "seconds"
    for unit in {"hours", "seconds", "minutes", "days", "milliseconds"} - {right}:
        yield refuse(f"time in {unit}", with_attrs(time, units=f"{unit} since {day} 00:00:00"))
    epoch = {"rpg": "2001-01-01", "mrr": "1970-01-01", "improtoo": "1970-01-01"}.get(
        layout.name, day
    )
    for tail in ("00:00:00 +01:00", "00:00:00 -05:00", "00:00:00+0100", "00:00:00 CET"):
        yield refuse(f"time {tail}", with_attrs(time, units=f"{right} since {epoch} {tail}"))
    for units in (
        f"{right} since 2021-02-30",
        f"{right} since yesterday",
        f"{right} since",
        12,
        "\u03bcs",
    ):
        yield refuse(f"time {units}", with_attrs(time, units=units))
    for calendar in ("noleap", "julian", "360_day", 4):
        yield refuse(f"calendar {calendar}", with_attrs(time, calendar=calendar))
    if layout.name == "rpg":
        for name in (
            "Time in sec since 2001.01.01. 01:00:00",
            "Time in sec since 2001.01.01. 00:00:00 +02:00",
        ):
            yield refuse(f"time named {name}", with_attrs(time, long_name=name))
        yield refuse("sampleTms in s", with_attrs("sampleTms", units="s"))
        yield refuse("sampleTms in microseconds", with_values("sampleTms", lambda t: 1000 * t))
    yield refuse("profiles reversed", reorder(dim, lambda n: slice(None, None, -1)))
    yield refuse("profiles doubled", reorder(dim, lambda n: np.repeat(np.arange(n), 2)))
    for seed in range(3):
        rng = np.random.default_rng(seed)
        yield refuse(
            f"profiles shuffled {seed}", reorder(dim, lambda n, rng=rng: rng.permutation(n))
        )
        at = int(rng.integers(1, PROFILES))
        yield refuse(
            f"profile {at} twice", reorder(dim, lambda n, at=at: np.insert(np.arange(n), at, at))
        )
        yield refuse(
            f"time {at} as that before",
            lambda raw, at=at: put(time, at, raw[time].values[at - 1])(raw),
        )
    for seconds in (86400, -86400, 3.6e9, 40 * 365 * 86400):
        step = seconds / (3600 if right == "hours" else 1)
        yield refuse(
            f"times {seconds:g} s off",
            with_values(time, lambda t, step=step: t.astype(np.float64) + step),
        )
    for value in (np.nan, np.inf, -np.inf, 9.96921e36, -9999.0, 1e300):
        convert = lambda t, value=value: np.where(  # noqa: E731
            np.arange(len(t)) == 4, value, t.astype(np.float64)
        )
        yield refuse(f"time of {value}", with_values(time, convert))
    yield refuse(
        "times as text",
        with_values(time, lambda t: np.array([f"t{x}" for x in range(len(t))], dtype=object)),
    )


def shape_cases(layout: Layout) -> Iterator[Case]:
    """Variables that are gone, turned, empty, or of another shape, and gates that make no sense."""
    gates = layout.gates
    gate_dim = "range" if "range" in layout.raw.dims else "height"

    def refuse(name: str, content: Callable[[Raw], Raw]) -> Case:
        return Case(name=name, content=content, expect=Expect.REFUSED)

    for name in (layout.field, gates, layout.time):
        yield refuse(f"no {name}", lambda raw, name=name: raw.drop_vars(name))
    yield refuse("transposed", lambda raw: raw.transpose(gate_dim, "time", ...))
    yield refuse(
        "field transposed",
        lambda raw: raw.assign({layout.field: raw[layout.field].transpose(gate_dim, "time")}),
    )
    yield refuse(
        "velocity transposed",
        lambda raw: raw.assign({layout.velocity: raw[layout.velocity].transpose(gate_dim, "time")}),
    )
    for dim in ("time", gate_dim):
        yield refuse(f"no {dim} at all", reorder(dim, lambda n: slice(0)))
    yield refuse("one gate", reorder(gate_dim, lambda n: slice(1)))
    yield refuse("gates reversed", reorder(gate_dim, lambda n: slice(None, None, -1)))
    yield refuse("gates doubled", reorder(gate_dim, lambda n: np.repeat(np.arange(n), 2)))
    yield refuse("lowest gates alone", reorder(gate_dim, lambda n: slice(n // 8)))
    yield refuse(
        "field as text",
        with_values(layout.field, lambda z: z.astype(str).astype(object), _FillValue=None),
    )
    yield refuse(
        "gates as text", with_values(gates, lambda h: h.astype(str).astype(object), _FillValue=None)
    )
    yield refuse(
        "field of one profile",
        lambda raw: raw.assign({layout.field: raw[layout.field].isel(time=0)}),
    )
    if layout.time not in layout.raw.dims:
        yield refuse("time of one value", lambda raw: raw.assign({layout.time: 12.0}))
        yield refuse(
            "time along the gates",
            lambda raw: raw.assign({layout.time: raw[gates].astype(np.float64)}),
        )
    for value in (np.nan, np.inf, -np.inf, -1e6, 1e30):
        yield refuse(f"gate at {value}", put(gates, (..., 7), value))
    yield refuse("gates all NaN", put(gates, ..., np.nan))


def fill_cases(layout: Layout) -> Iterator[Case]:
    """Fill values, packing and attributes, right in other ways or wrong."""
    field, velocity, time, gates = layout.field, layout.velocity, layout.time, layout.gates

    def refuse(name: str, content: Callable[[Raw], Raw]) -> Case:
        return Case(name=name, content=content, expect=Expect.REFUSED)

    def same(name: str, content: Callable[[Raw], Raw], tolerance: float = 0.0) -> Case:
        return Case(name=name, content=content, expect=Expect.SAME, tolerance=tolerance)

    yield same("as it is", lambda raw: raw)
    yield same(
        "field in double precision", with_values(field, lambda z: z.astype(np.float64)), 1e-5
    )
    yield same(
        "scale of one", with_attrs(field, scale_factor=np.float32(1), add_offset=np.float32(0))
    )
    yield Case(
        name="two fill values",
        expect=Expect.SAME,
        content=lambda raw: put(field, (0, 0), -99)(with_attrs(field, missing_value=-99.0)(raw)),
        profiles=(0, 1),
    )
    yield same(
        "list of missing values", with_attrs(field, missing_value=np.array([-99, -98], np.float32))
    )
    yield same("text beside", lambda raw: raw.assign(note=("time", ["a"] * raw.sizes["time"])))
    yield same(
        "odd attributes", lambda raw: raw.assign_attrs(source=5, history=np.arange(3), location="")
    )
    yield same("velocity packed", pack(velocity, 0.001, 0.5), 0.01)
    yield same("gates packed", pack(gates, 2**-10, 0.0))
    yield same(
        "time packed", pack(time, 2**-11 if layout.name == "cloudnet" else 0.5, 0.0, "i8", -1), 1e-2
    )
    if not layout.linear and not layout.finds_noise:
        yield same("field packed", pack(field, 0.001, -10.0), 0.01)
        yield same("field packed in bytes", pack(field, 0.5, -20.0, "i1", -128), 0.3)
    for scale in ("0.1", np.nan, np.inf, 0.0, np.array([0.1, 0.2])):
        yield refuse(f"scale {scale!r}", with_attrs(velocity, scale_factor=scale))
    yield refuse("offset as text", with_attrs(field, add_offset="none"))
    yield refuse("floats packed", with_attrs(field, scale_factor=0.1))
    yield refuse(
        "unsigned in signed",
        lambda raw: with_attrs(velocity, _Unsigned="true")(pack(velocity, 0.1, 0)(raw)),
    )
    for value in ("none", "", "-9999 dBZ"):
        yield refuse(f"missing value {value!r}", with_attrs(field, missing_value=value))
    # Linear values that are not positive are no echo; 10 log10(3e9) = 95 dBZ.
    for value in (
        (1e30, np.inf, 3e9) if layout.linear else (1e30, np.inf, -1e30, -np.inf, 95.0, -888.0)
    ):
        yield refuse(f"field of {value}", put(field, (3, 12), value))
    for value in (np.inf, -np.inf, 1e30, -888.0):
        yield refuse(f"velocity of {value}", put(velocity, (slice(None), slice(None)), value))


def value_cases(layout: Layout) -> Iterator[Case]:
    """Values of a few profiles that are other values: the other profiles stay as they were."""
    for seed in range(12):
        rng = np.random.default_rng(100 + seed)
        name = (layout.field, layout.velocity)[seed % 2]
        count = layout.raw.sizes["time"]
        profile, gate = int(rng.integers(2, count - 2)), int(rng.integers(0, GATES))
        value = float(
            rng.choice([np.nan, np.inf, -np.inf, 0, -40, 25, FILL, -1e9, 1e300, 9.96921e36])
        )
        with np.errstate(over="ignore"):
            value = float(np.float32(value))
        yield Case(
            name=f"{name}[{profile}, {gate}] = {value}",
            expect=Expect.REST,
            content=put(layout.field if seed % 2 == 0 else layout.velocity, (profile, gate), value),
            # Echo among noise is looked for in neighbouring profiles too.
            profiles=(profile - 1, profile, profile + 1),
        )


def byte_cases(layout: Layout, whole: bytes) -> Iterator[Case]:
    """Files cut short, with flipped bits, or that are no netCDF at all."""
    for text in (
        b"",
        b"\n",
        b"time,Ze\n0,1\n",
        b"\x89HDF\r\n\x1a\n",
        b"CDF\x01",
        bytes(4096),
        b"PK\x03\x04" + bytes(99),
    ):
        yield Case(
            name=f"bytes {text[:12]!r}",
            expect=Expect.REFUSED,
            written=lambda path, text=text: path.write_bytes(text),
        )
    rng = np.random.default_rng(len(whole))
    for length in sorted(rng.integers(1, len(whole) - 1, 8)):
        yield Case(
            name=f"cut to {length}",
            expect=Expect.REFUSED,
            written=lambda path, n=length: path.write_bytes(whole[:n]),
        )
    for number in range(16):
        # Most of a small file is data; half of the flips fall on the structure, which stands at the
        # beginning.
        reach = len(whole) if number % 2 else min(len(whole), 6000)
        at = rng.integers(0, reach, int(rng.choice([1, 4, 20])))
        bits = (1 << rng.integers(0, 8, at.size)).astype(np.uint8)

        def flip(path: Path, at: np.ndarray = at, bits: np.ndarray = bits) -> None:
            content = np.frombuffer(whole, dtype=np.uint8).copy()
            content[at] ^= bits
            path.write_bytes(content.tobytes())

        yield Case(name=f"flip {number}", expect=Expect.SOUND, written=flip)


def hdf5_cases(layout: Layout) -> Iterator[Case]:
    """What the netCDF library would not write: attributes and types that HDF5 allows."""

    def edit(change: Callable[[h5py.File], object]) -> Callable[[Path], None]:
        def written(path: Path) -> None:
            with h5py.File(path, "r+") as file:
                change(file)

        return written

    def set_attribute(name: str, key: str, value: Any) -> Callable[[h5py.File], object]:
        return lambda file: file[name].attrs.create(key, value)

    field = layout.field
    expected = (
        Expect.SOUND if layout.name == "mrr" else Expect.SAME
    )  # its fill value is NaN, which no integer is
    fill = layout.raw[field].attrs.get("_FillValue", np.float32(77))
    for value in (np.float64(fill), np.array([fill], np.float64)):
        yield Case(
            name=f"fill as {value!r}",
            expect=Expect.SAME,
            written=edit(set_attribute(field, "_FillValue", value)),
        )
    if np.isfinite(fill) and abs(fill) < 1e9:
        yield Case(
            name="fill as integer",
            expect=expected,
            written=edit(set_attribute(field, "_FillValue", np.int32(fill))),
        )
    for text in ("none", b"\xff\xfe", ["a", "b"]):
        yield Case(
            name=f"fill as {text!r}",
            expect=Expect.REFUSED,
            written=edit(set_attribute(field, "_FillValue", text)),
        )
    yield Case(
        name="units in bad UTF-8",
        expect=Expect.REFUSED,
        written=edit(set_attribute(field, "units", np.bytes_(b"dB\xff"))),
    )
    yield Case(
        name="truth values",
        expect=Expect.REFUSED,
        written=edit(lambda file: _replace(file, field, np.ones(file[field].shape, bool))),
    )
    yield Case(
        name="records",
        expect=Expect.REFUSED,
        written=edit(lambda file: _replace(file, field, np.zeros(file[field].shape, "f4,f4"))),
    )
    yield Case(
        name="complex numbers",
        expect=Expect.REFUSED,
        written=edit(lambda file: _replace(file, field, np.zeros(file[field].shape, "c8"))),
    )
    yield Case(
        name="a terabyte of nothing",
        expect=Expect.REFUSED,
        written=edit(lambda file: _replace_huge(file, field)),
    )
    yield Case(
        name="field is a group",
        expect=Expect.REFUSED,
        written=edit(lambda file: _replace_group(file, field)),
    )


def _replace(file: h5py.File, name: str, values: np.ndarray) -> None:
    scales = [file[name].dims[axis][0] for axis in range(file[name].ndim)]
    del file[name]
    file[name] = values
    for axis, scale in enumerate(scales):
        file[name].dims[axis].attach_scale(scale)
    file[name].attrs["units"] = "dBZ"


def _replace_huge(file: h5py.File, name: str) -> None:
    scales = [file[name].dims[axis][0] for axis in range(file[name].ndim)]
    del file[name]
    file.create_dataset(name, shape=(2**20, 2**18), chunks=(64, 64), dtype="f4")
    for axis, scale in enumerate(scales):
        file[name].dims[axis].attach_scale(scale)
    file[name].attrs["units"] = "dBZ"


def _replace_group(file: h5py.File, name: str) -> None:
    del file[name]
    file.create_group(name)


# The run of the cases.


class Bench:
    """An archive with an earlier day, into which one changed file after the other is ingested."""

    def __init__(self, layout: Layout, folder: Path) -> None:
        self.layout, self.folder = layout, folder
        self.catalog = folder / "catalog.yaml"
        self.catalog.write_text(
            "version: 1\nsources:\n  fuzz:\n    title: small files\n    directory: fuzz\n    site:"
            f" none\n    instrument: none\n    reader: {layout.reader}\n    files: '%Y%m%d.nc'\n   "
            " grid: {rows: 16, row_depth_m: 78.125}\n    quality: {empty_day: clear}\n"
        )
        self.archive = Archive(folder / "archive")
        self.right = write_raw(layout.raw, folder / RIGHT_FILE)
        self.ingest(self.right)
        self.expected = self.archive.open_day("fuzz", layout.day).load()
        assert (self.expected["detection_status"] == 2).sum() > 20
        # The right curtain, a day earlier.
        held = self.archive.record("fuzz", layout.day)
        earlier = self.expected.assign_coords(time=self.expected["time"] - np.timedelta64(1, "D"))
        self.earlier = layout.day - timedelta(days=1)
        self.archive.upsert(
            "fuzz",
            self.earlier,
            {held.files[0]: earlier.drop_vars("source_file")},
            held.configuration,
        )
        self.outcomes: Counter[str] = Counter()

    def ingest(self, path: Path) -> None:
        _, refused = ingest_granule(
            "fuzz", self.layout.day, (path,), self.catalog, self.archive.root
        )
        if refused:
            raise SourceFileError("\n".join(refused.values()))

    def snapshot(self, days: tuple[date, ...]) -> dict[str, bytes]:
        """Every file of the archive that belongs to none of the days, notes of refused files left out."""
        stamps = tuple(f"{day:%Y%m%d}" for day in days)
        files = (path for path in self.archive.root.rglob("*") if path.is_file())
        relative = ((path.relative_to(self.archive.root), path) for path in files)
        return {
            str(name): (
                without_refusals(path)
                if path.suffix == ".json" and name.parts[1] == "ledger"
                else path.read_bytes()
            )
            for name, path in relative
            if not any(part.lstrip(".").startswith(stamps) for part in name.parts if stamps)
        }

    def run(self, case: Case) -> str | None:
        """Returns what is wrong with the outcome of a case, if anything is."""
        path = (
            self.folder / "case" / RIGHT_FILE
        )  # a newer version of the file that the archive holds
        path.parent.mkdir(exist_ok=True)
        if case.content is not None:
            write_raw(case.content(self.layout.raw), path)
        else:
            path.write_bytes(self.right.read_bytes())
        if case.written is not None:
            case.written(path)
        before = self.snapshot(())
        try:
            with limit_time(), warnings.catch_warnings():
                warnings.simplefilter("error")
                self.ingest(path)
        except BlindzoneError as error:
            self.outcomes["refused"] += 1
            return self._judge_refusal(case, str(error), path.name, before)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        finally:
            path.unlink()
        self.outcomes["ingested"] += 1
        return self._judge_curtain(case, before)

    def _judge_refusal(
        self, case: Case, message: str, name: str, before: dict[str, bytes]
    ) -> str | None:
        if case.expect is Expect.SAME:
            return f"refused: {message}"
        if name not in message:
            return f"refused without its name: {message}"
        after = self.snapshot(())
        changed = [
            name for name in before.keys() | after.keys() if before.get(name) != after.get(name)
        ]
        return f"refused, and not as before: {changed}" if changed else None

    def _judge_curtain(self, case: Case, before: dict[str, bytes]) -> str | None:
        if case.expect is Expect.REFUSED:
            return "ingested"
        stamp = f"{self.layout.day:%Y%m%d}"
        others = {name: content for name, content in before.items() if stamp not in name}
        if (
            self.snapshot((self.layout.day,)) != others
            or len(list(self.archive.root.glob("fuzz/*/*"))) != 4
        ):
            return "ingested, and the earlier day is not as it was, or something is left over"
        found = self.archive.open_day("fuzz", self.layout.day).load()
        check_curtain(found)
        return None if case.expect is Expect.SOUND else self._compare(case, found)

    def _compare(self, case: Case, found: xr.Dataset) -> str | None:
        kept = ~np.isin(np.arange(self.expected.sizes["time"]), case.profiles)
        if found.sizes != self.expected.sizes:
            return f"sizes {dict(found.sizes)}"
        step = np.abs(found["time"].values - self.expected["time"].values).max() / np.timedelta64(
            1, "s"
        )
        if step > (1 if case.tolerance else 0.002):
            return f"times differ by {step} s"
        for name in ("detection_status", "reflectivity", "doppler_velocity"):
            here, there = found[name].values[kept], self.expected[name].values[kept]
            if not np.allclose(here, there, rtol=0, atol=case.tolerance, equal_nan=True):
                return f"{name} differs"
        return None


def without_refusals(path: Path) -> bytes:
    """A ledger's record without what it notes of refused files, and when."""
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


def run_cases(
    layout: Layout, folder: Path, monkeypatch: pytest.MonkeyPatch, *, every: int = 1
) -> None:
    unraisable: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: unraisable.append(args.exc_value))
    bench = Bench(layout, folder)
    groups = (unit_cases, time_cases, shape_cases, fill_cases, value_cases, hdf5_cases)
    cases = [case for group in groups for case in group(layout)] + list(
        byte_cases(layout, bench.right.read_bytes())
    )
    cases, wrong = cases[::every], {}
    for case in cases:
        finding = bench.run(case)
        if finding or unraisable:
            wrong[case.name] = finding or f"on standard error: {unraisable.pop()!r}"
    print(f"{layout.name}: {len(cases)} cases, {dict(bench.outcomes)}")
    assert not wrong, "\n".join(f"{name}: {finding}" for name, finding in wrong.items())
    assert len(cases) * every >= 100
    assert bench.outcomes["ingested"] * every >= 10


@pytest.mark.parametrize("name", LAYOUT_NAMES)
def test_changed_file_is_ingested_right_or_refused_by_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    run_cases(make_layout(name, tmp_path), tmp_path, monkeypatch)
    assert capfd.readouterr().err == ""


MEASURED: dict[str, dict[str, Any]] = {
    "palaiseau_basta/20210303_palaiseau_basta.nc": {
        "name": "cloudnet",
        "reader": "cloudnet_radar",
        "field": "Zh",
        "velocity": "v",
        "day": date(2021, 3, 3),
    },
    "rpg94_juelich/181202_100002_P09_ZEN_compact.nc": {
        "name": "rpg",
        "reader": "rpg_fmcw94",
        "field": "Ze",
        "velocity": "vm",
        "linear": True,
        "day": date(2018, 12, 2),
    },
    "arm_kazr/olikazrgeM1.a1.20160926.000000.part.nc": {
        "name": "kazr",
        "reader": "arm_kazr",
        "field": "reflectivity",
        "velocity": "mean_doppler_velocity",
        "time": "time_offset",
        "finds_noise": True,
        "day": date(2016, 9, 26),
    },
    "mrr_pro/20230322_013000.nc": {
        "name": "mrr",
        "reader": "mrr",
        "field": "Ze",
        "velocity": "VEL",
        "day": date(2023, 3, 22),
    },
}


@pytest.mark.parametrize("name", MEASURED)
def test_changed_excerpt_of_a_measured_file_likewise(
    name: str,
    measured_directory: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    if not (measured_directory / name).is_file():
        pytest.skip(f"no measured file {measured_directory / name}")
    known = MEASURED[name]
    names = (
        "time",
        "range",
        "latitude",
        "longitude",
        "altitude",
        "Lat",
        "Lon",
        "MSL",
        "lat",
        "lon",
        "alt",
    )
    others = ("time_offset", "sampleTms", "range_offsets", "elevation", "zenith_angle", "snr_copol")
    raw = read_netcdf(
        measured_directory / name, (*names, *others, known["field"], known["velocity"])
    )
    # Among noise, echo is told by all gates.
    layout = Layout(raw=cut(raw, 60, 200 if known.get("finds_noise") else 60), **known)
    run_cases(layout, tmp_path, monkeypatch, every=5)
    assert capfd.readouterr().err == ""
