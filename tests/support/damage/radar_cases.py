"""Some hundred changes of a small radar file, the same ones in every run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr

from damage.cases import Case, Expect, Raw, with_attrs
from damage.radar_layouts import FILL, GATES, PROFILES, Layout


def list_radar_cases(layout: Layout, whole: bytes) -> list[Case]:
    """Returns the cases of a layout.

    Args:
        layout: The layout.
        whole: Bytes of its valid file.
    """
    groups = (unit_cases, time_cases, shape_cases, fill_cases, value_cases, hdf5_cases)
    return [case for group in groups for case in group(layout)] + list(byte_cases(layout, whole))


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
    """Other units, declared or not: not taken for the right ones where the values tell."""
    field, velocity, gates = layout.field, layout.velocity, layout.gates

    def reject(name: str, content: Callable[[Raw], Raw]) -> Case:
        return Case(name=name, content=content, expect=Expect.REFUSED)

    def accept(name: str, content: Callable[[Raw], Raw]) -> Case:
        return Case(name=name, content=content, expect=Expect.SOUND)

    other = "dBZ" if layout.linear else "mm6 m-3"
    odd: tuple[Any, ...] = (None, "", other, "dB", "1", 7, np.array([1, 2]), ["m", "dBZ"])
    for units in odd:
        yield reject(f"{field} in {units!r}", with_attrs(field, units=units))
    for units in ("mm/s", "cm s-1", "km/h"):
        yield accept(f"{velocity} in {units!r}", with_attrs(velocity, units=units))
    for units in (None, "kn", 3):
        yield reject(f"{velocity} in {units!r}", with_attrs(velocity, units=units))
    yield reject(
        f"{velocity} mm/s in m/s",
        with_values(
            velocity, lambda v: v * np.where(np.abs(v) < 100, np.float32(1000), np.float32(1))
        ),
    )
    yield accept(f"{gates} in 'ft'", with_attrs(gates, units="ft"))
    for units in (None, "km", "mm", "gates", 1.0):
        yield reject(f"{gates} in {units!r}", with_attrs(gates, units=units))
    yield Case(
        name=f"{gates} km called km",
        expect=Expect.SAME,
        content=with_values(gates, lambda h: h / 1000, units="km"),
        tolerance=1e-3,
    )
    yield reject(f"{gates} km called m", with_values(gates, lambda h: (h / 1000).astype(h.dtype)))
    for name in find_site_names(layout):
        wrong = "km" if name[:3].lower() in ("alt", "msl") else "radian"
        yield accept(f"{name} in {wrong}", with_attrs(name, units=wrong))
    for name in {"zenith_angle", "elevation"} & set(layout.raw.variables):
        yield accept(f"{name} in radian", with_attrs(name, units="radian"))


def time_cases(layout: Layout) -> Iterator[Case]:
    """Other clocks, and profiles out of order."""
    time, dim = layout.time, "time"

    def reject(name: str, content: Callable[[Raw], Raw]) -> Case:
        return Case(name=name, content=content, expect=Expect.REFUSED)

    def same(name: str, content: Callable[[Raw], Raw]) -> Case:
        return Case(name=name, content=content, expect=Expect.SAME)

    def accept(name: str, content: Callable[[Raw], Raw]) -> Case:
        return Case(name=name, content=content, expect=Expect.SOUND)

    day = layout.day.isoformat()
    right = "hours" if layout.name == "cloudnet" else "seconds"
    for unit in {"hours", "seconds", "minutes", "days", "milliseconds"} - {right}:
        yield accept(f"time in {unit}", with_attrs(time, units=f"{unit} since {day} 00:00:00"))
    epoch = {"rpg": "2001-01-01", "mrr": "1970-01-01", "improtoo": "1970-01-01"}.get(
        layout.name, day
    )
    for tail in ("00:00:00 +01:00", "00:00:00 -05:00", "00:00:00+0100"):
        yield accept(f"time {tail}", with_attrs(time, units=f"{right} since {epoch} {tail}"))
    for tail in ("00:00:00 CET", "25:00:00"):
        yield reject(f"time {tail}", with_attrs(time, units=f"{right} since {epoch} {tail}"))
    for units in (
        f"{right} since 2021-02-30",
        f"{right} since yesterday",
        f"{right} since",
        12,
        "\u03bcs",
    ):
        yield reject(f"time {units}", with_attrs(time, units=units))
    for calendar in ("noleap", "julian", "360_day", 4):
        yield reject(f"calendar {calendar}", with_attrs(time, calendar=calendar))
    if layout.name == "rpg":
        for name in (
            "Time in sec since 2001.01.01. 01:00:00",
            "Time in sec since 2001.01.01. 00:00:00 +02:00",
        ):
            yield accept(f"time named {name}", with_attrs(time, long_name=name))
        yield reject("sampleTms in s", with_attrs("sampleTms", units="s"))
        yield reject("sampleTms in microseconds", with_values("sampleTms", lambda t: 1000 * t))
    yield same("profiles reversed", reorder(dim, lambda n: slice(None, None, -1)))
    yield same("profiles doubled", reorder(dim, lambda n: np.repeat(np.arange(n), 2)))
    yield reject("profiles thrice", reorder(dim, lambda n: np.repeat(np.arange(n), 3)))
    for seed in range(3):
        rng = np.random.default_rng(seed)
        yield same(f"profiles shuffled {seed}", reorder(dim, lambda n, rng=rng: rng.permutation(n)))
        at = int(rng.integers(1, PROFILES))
        yield same(
            f"profile {at} twice", reorder(dim, lambda n, at=at: np.insert(np.arange(n), at, at))
        )
        yield Case(
            name=f"time {at} as that before",
            expect=Expect.REST,
            content=lambda raw, at=at: put(time, at, raw[time].values[at - 1])(raw),
            profiles=(at - 1, at, at + 1),
        )
    for seconds in (86400, -86400, 3.6e9, 40 * 365 * 86400):
        step = seconds / (3600 if right == "hours" else 1)
        yield reject(
            f"times {seconds:g} s off",
            with_values(time, lambda t, step=step: t.astype(np.float64) + step),
        )
    for value in (np.nan, np.inf, -np.inf, 9.96921e36, -9999.0, 1e300):
        convert = lambda t, value=value: np.where(  # noqa: E731
            np.arange(len(t)) == 4, value, t.astype(np.float64)
        )
        yield Case(
            name=f"time of {value}",
            expect=Expect.REST,
            content=with_values(time, convert),
            profiles=(3, 4, 5),
        )
    yield reject(
        "times as text",
        with_values(time, lambda t: np.array([f"t{x}" for x in range(len(t))], dtype=object)),
    )


def shape_cases(layout: Layout) -> Iterator[Case]:
    """Variables that are gone, turned, empty or of another shape, and impossible gates."""
    gates = layout.gates
    gate_dim = "range" if "range" in layout.raw.dims else "height"

    def reject(name: str, content: Callable[[Raw], Raw]) -> Case:
        return Case(name=name, content=content, expect=Expect.REFUSED)

    for name in (layout.field, gates, layout.time):
        yield reject(f"no {name}", lambda raw, name=name: raw.drop_vars(name))
    yield reject("transposed", lambda raw: raw.transpose(gate_dim, "time", ...))
    yield reject(
        "field transposed",
        lambda raw: raw.assign({layout.field: raw[layout.field].transpose(gate_dim, "time")}),
    )
    yield reject(
        "velocity transposed",
        lambda raw: raw.assign({layout.velocity: raw[layout.velocity].transpose(gate_dim, "time")}),
    )
    for dim in ("time", gate_dim):
        yield reject(f"no {dim} at all", reorder(dim, lambda n: slice(0)))
    yield reject("one gate", reorder(gate_dim, lambda n: slice(1)))
    yield reject("gates reversed", reorder(gate_dim, lambda n: slice(None, None, -1)))
    yield reject("gates doubled", reorder(gate_dim, lambda n: np.repeat(np.arange(n), 2)))
    yield reject("lowest gates alone", reorder(gate_dim, lambda n: slice(n // 8)))
    yield reject(
        "field as text",
        with_values(layout.field, lambda z: z.astype(str).astype(object), _FillValue=None),
    )
    yield reject(
        "gates as text", with_values(gates, lambda h: h.astype(str).astype(object), _FillValue=None)
    )
    yield reject(
        "field of one profile",
        lambda raw: raw.assign({layout.field: raw[layout.field].isel(time=0)}),
    )
    if layout.time not in layout.raw.dims:
        yield reject("time of one value", lambda raw: raw.assign({layout.time: 12.0}))
        yield reject(
            "time along the gates",
            lambda raw: raw.assign({layout.time: raw[gates].astype(np.float64)}),
        )
    for value in (np.nan, np.inf, -np.inf, -1e6, 1e30):
        yield reject(f"gate at {value}", put(gates, (..., 7), value))
    yield reject("gates all NaN", put(gates, ..., np.nan))


def fill_cases(layout: Layout) -> Iterator[Case]:
    """Fill values, packing and attributes, right in other ways or wrong."""
    field, velocity, time, gates = layout.field, layout.velocity, layout.time, layout.gates

    def reject(name: str, content: Callable[[Raw], Raw]) -> Case:
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
    yield same("text next to it", lambda raw: raw.assign(note=("time", ["a"] * raw.sizes["time"])))
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
        yield reject(f"scale {scale!r}", with_attrs(velocity, scale_factor=scale))
    yield reject("offset as text", with_attrs(field, add_offset="none"))
    yield reject("floats packed", with_attrs(field, scale_factor=0.1))
    yield reject(
        "unsigned in signed",
        lambda raw: with_attrs(velocity, _Unsigned="true")(pack(velocity, 0.1, 0)(raw)),
    )
    for value in ("none", "", "-9999 dBZ"):
        yield reject(f"missing value {value!r}", with_attrs(field, missing_value=value))
    # Linear values that are not positive are no echo; 10 log10(3e9) = 95 dBZ.
    for value in (
        (1e30, np.inf, 3e9) if layout.linear else (1e30, np.inf, -1e30, -np.inf, 95.0, -888.0)
    ):
        yield Case(
            name=f"field of {value}",
            expect=Expect.REST if np.isinf(value) else Expect.REFUSED,
            content=put(field, (3, 12), value),
            profiles=(2, 3, 4),
        )
    for value in (np.inf, -np.inf, 1e30, -888.0):
        yield reject(f"velocity of {value}", put(velocity, (slice(None), slice(None)), value))


def value_cases(layout: Layout) -> Iterator[Case]:
    """Other values in a few profiles: the other profiles stay as they were."""
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
        # Most of a small file is data; half of the flips fall on the structure, which is at the
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
    """Attributes and types that HDF5 allows and the netCDF library does not write."""

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
