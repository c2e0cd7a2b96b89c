"""Some 150 changes of a small file of a kind, the same ones in every run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr

from damage.cases import REFUSED, REST, SAME, SOUND, Case, Change, Expect, Raw, with_attrs
from damage.other_files import Convert, Kind, OtherUnit
from damage.other_kinds import plus

FILL_KEYS = ("_FillValue", "missing_value")


def with_values(name: str, convert: Convert, **attrs: Any) -> Change:
    """Converts all values; the fill value follows their type if it can."""

    def change(raw: Raw) -> Raw:
        values, kept = np.asarray(convert(raw[name].values)), raw[name].attrs | attrs
        for key in set(FILL_KEYS) & kept.keys():
            kept[key] = values.dtype.type(kept[key]) if values.dtype.kind in "iuf" else None
        kept = {key: value for key, value in kept.items() if value is not None}
        return raw.assign({name: xr.Variable(raw[name].dims, values, kept)})

    return change


def find_missing(variable: xr.DataArray) -> np.ndarray:
    codes = [variable.attrs[key] for key in FILL_KEYS if key in variable.attrs]
    return np.asarray(np.isnan(variable.values) | np.isin(variable.values, codes))


def in_units(unit: OtherUnit, /, **attrs: Any) -> Change:
    """Converts the values that are not missing."""

    def change(raw: Raw) -> Raw:
        for name in unit.names.split():
            missing, values = find_missing(raw[name]), raw[name].values
            converted = unit.convert(np.where(missing, 1, values).astype(np.float64)).astype(
                values.dtype
            )
            raw = with_values(
                name, lambda old, m=missing, new=converted: np.where(m, old, new), **attrs
            )(raw)
        return raw

    return change


def put(name: str, where: Any, value: float) -> Change:
    def convert(values: np.ndarray) -> np.ndarray:
        out = values.copy()
        if out.dtype.kind in "iu":  # wide enough for the value
            out = out.astype(np.result_type(out, np.min_scalar_type(int(value))))
        with np.errstate(over="ignore"):
            out[where] = np.float64(value)
        return out

    return with_values(name, convert)


def reorder(dims: tuple[str, ...], order: Callable[[int], Any]) -> Change:
    return lambda raw: raw.isel({dim: order(raw.sizes[dim]) for dim in dims if dim in raw.dims})


def as_text(name: str) -> Change:
    return with_values(name, lambda values: values.astype(str).astype(object))


def pack(name: str) -> Change:
    """Packs a variable in integers of 32 bits, as CF asks."""

    def change(raw: Raw) -> Raw:
        missing, values = find_missing(raw[name]), raw[name].values.astype(np.float64)
        low, high = values[~missing].min(), values[~missing].max()
        scale = (high - low or 1.0) / 2**30
        packed = np.where(
            missing, -1, np.round((np.where(missing, low, values) - low) / scale)
        ).astype(np.int32)
        attrs = {key: value for key, value in raw[name].attrs.items() if key not in FILL_KEYS}
        attrs |= {"scale_factor": scale, "add_offset": low, "_FillValue": np.int32(-1)}
        return raw.assign({name: xr.Variable(raw[name].dims, packed, attrs)})

    return change


class Cases:
    """Makes the cases of one kind."""

    def __init__(self, kind: Kind, raw: Raw) -> None:
        self.kind, self.raw = kind, raw

    def case(self, name: str, expect: Expect, content: Change, **more: Any) -> Case:
        return Case(
            name=name, expect=self.kind.exceptions.get(name, expect), content=content, **more
        )

    def units(self) -> Iterator[Case]:
        """Other units, declared or not: refused, or understood."""
        key = self.kind.unit_key
        odd = ("", "furlong", 7, np.array([1, 2]), ["m", "K"], "\u03bcm")
        for number, name in enumerate(self.kind.labelled):
            for units in (None, odd[number % len(odd)]):
                # netCDF-3 has no lists of text.
                form = "NETCDF4" if isinstance(units, list) and self.kind.form != "HDF5" else None
                yield self.case(
                    f"{name} in {units!r}", REFUSED, with_attrs(name, **{key: units}), form=form
                )
        for name in self.kind.stated:
            yield self.case(f"{name} in furlong", REFUSED, with_attrs(name, **{key: "furlong"}))
            yield self.case(f"{name} in no units", SAME, with_attrs(name, **{key: None}))
        for unit in self.kind.units:
            title = f"{unit.names} in {unit.called}"
            yield self.case(
                title, unit.declared, in_units(unit, **{key: unit.called}), tolerance=1e-4
            )
            if unit.silent is not None:
                yield self.case(
                    f"{title}, not said", unit.silent, in_units(unit), tolerance=1e-4, always=True
                )

    def order(self) -> Iterator[Case]:
        """Profiles and levels out of order, doubled, or gone."""
        dims, levels = self.kind.profile_dims, (self.kind.level_dim,)
        count = self.raw.sizes[dims[0]]
        # Profiles are put in order, and doubled ones left out; samples of one profile are not.
        put_right = REFUSED if self.kind.reader == "arm_sonde" else SAME
        yield self.case(
            "profiles reversed", put_right, reorder(dims, lambda n: slice(None, None, -1))
        )
        yield self.case(
            "profiles doubled", put_right, reorder(dims, lambda n: np.repeat(np.arange(n), 2))
        )
        yield self.case("no profile", REFUSED, reorder(dims, lambda n: slice(0)))
        for seed in range(2):
            rng = np.random.default_rng(seed)
            order, at = rng.permutation(count), int(rng.integers(1, count - 1))
            yield self.case(
                "profiles shuffled", put_right, reorder(dims, lambda n, order=order: order)
            )
            twice = np.insert(np.arange(count), at, at)
            yield self.case(
                f"profile {at} twice", put_right, reorder(dims, lambda n, order=twice: order)
            )
        if self.kind.level_dim:
            shuffled = np.random.default_rng(9).permutation(self.raw.sizes[levels[0]])
            yield self.case(
                "levels reversed", REFUSED, reorder(levels, lambda n: slice(None, None, -1))
            )
            yield self.case("no level", REFUSED, reorder(levels, lambda n: slice(0)))
            yield self.case("levels shuffled", REFUSED, reorder(levels, lambda n: shuffled))
            yield self.case(
                "levels doubled", REFUSED, reorder(levels, lambda n: np.repeat(np.arange(n), 2))
            )
            yield self.case("one level", SOUND, reorder(levels, lambda n: slice(1)))

    def clock(self) -> Iterator[Case]:
        """Other clocks, and times that cannot be."""
        for name, values in self.kind.clock.items():
            for value in values:
                yield self.case(f"{name} {value:g}", SOUND, put(name, 3, value))
        time, since = self.kind.since
        if not time:
            return
        step, _, start = since.partition(" since ")
        for shift in (" 00:00:00 +01:00", " 00:00:00 -05:00", " 00:00:00+0100"):
            yield self.case(f"time {shift}", SOUND, with_attrs(time, units=since + shift))
        zones = (" CET", " 25:00:00")
        yield self.case("time in days", SOUND, with_attrs(time, units=f"days since {start}"))
        others = (
            f"{step} since 2019-02-30",
            f"{step} since yesterday",
            step,
            12,
            None,
            "\u03bcs",
        )
        for units in (*(since + zone for zone in zones), *others):
            yield self.case(f"time {units}", REFUSED, with_attrs(time, units=units))
        for calendar in ("noleap", "julian", "360_day", 4):
            yield self.case(f"calendar {calendar}", REFUSED, with_attrs(time, calendar=calendar))
        for years in (-1, 40):
            units_off = years * 365 * 86400 / (1 if step == "seconds" else 3600)
            yield self.case(f"times {years} years off", REFUSED, with_values(time, plus(units_off)))
        for at, value in (
            (4, np.nan),
            (0, np.inf),
            (-1, -np.inf),
            (3, 9.96921e36),
            (0, -9999.0),
            (5, 1e300),
        ):
            odd = with_values(
                time,
                lambda t, i=at, v=value: np.where(
                    np.arange(t.size) == i % t.size, np.float64(v), t
                ),
            )
            yield self.case(f"time {at} of {value}", SOUND, odd)
        yield self.case(
            "time 4 as time 3", SOUND, lambda raw: put(time, 4, float(raw[time].values[3]))(raw)
        )
        yield self.case("times as text", REFUSED, as_text(time))
        yield self.case(
            "times in double precision", SAME, with_values(time, lambda t: t.astype(np.float64))
        )
        if time not in self.raw.dims:
            yield self.case(
                "time of one value", REFUSED, lambda raw: raw.assign({time: raw[time][0]})
            )

    def shape(self) -> Iterator[Case]:
        """Variables that are gone, turned, cut, or of another type, and levels that cannot be."""
        for name in (*self.kind.fields, *self.kind.required, *self.kind.optional):
            expect = SOUND if name in self.kind.optional else REFUSED
            yield self.case(f"no {name}", expect, lambda raw, name=name: raw.drop_vars(name))
        if levels := (self.kind.level_dim,) * bool(self.kind.level_dim):
            yield self.case("all turned", REFUSED, lambda raw: raw.transpose(*levels, ...))
        for name in self.kind.fields:
            first, *rest = map(str, self.raw[name].dims)
            if rest:
                yield self.case(
                    f"{name} turned",
                    REFUSED,
                    lambda raw, n=name: raw.assign({n: raw[n].transpose()}),
                )
            one = lambda raw, n=name, d=first: raw.assign({n: raw[n].variable[{d: 0}]})  # noqa: E731
            yield self.case(f"{name} of one profile", REFUSED, one)
            others = (
                self.raw[[name]]
                .isel({first: slice(3)})
                .rename_dims({first: "elsewhere"})[name]
                .variable
            )
            yield self.case(
                f"{name} of other profiles",
                REFUSED,
                lambda raw, n=name, v=others: raw.assign({n: v}),
            )
        yield self.case("field as text", REFUSED, as_text(self.kind.fields[-1]))
        if axis := self.kind.levels:
            yield self.case("levels as text", REFUSED, as_text(axis))
            for at, value in (
                (7, np.nan),
                (7, np.inf),
                (0, -np.inf),
                (7, -1e6),
                (7, 1e30),
                (-1, 1e30),
                (..., np.nan),
            ):
                yield self.case(f"level {at} at {value}", REFUSED, put(axis, at, value))

    def fill(self) -> Iterator[Case]:
        """Fill values, packing and attributes, right in other ways or wrong."""
        hdf5, name = self.kind.form == "HDF5", self.kind.fields[0]
        for each in self.kind.fields:
            double = with_values(each, lambda z: z.astype(np.float64))
            yield self.case(f"{each} in double precision", SAME, double, tolerance=1e-6)
            yield self.case(f"{each} packed", REFUSED if hdf5 else SAME, pack(each), tolerance=1e-3)
            for value in (np.inf, -np.inf, 1e30):
                where = (2, 1)[: self.raw[each].ndim]
                expect = SOUND if np.isinf(value) else REFUSED
                yield self.case(f"{each} of {value}", expect, put(each, where, value))
            yield self.case(f"{each} all NaN", SOUND, put(each, ..., np.nan))
        one, dim = (
            {"scale_factor": np.float32(1), "add_offset": np.float32(0)},
            self.raw[name].dims[0],
        )
        missing = with_attrs(name, missing_value=np.array([-888, -777], np.float32))
        odd: dict[str, Any] = {"source": 5, "history": np.arange(3), "location": ""}
        yield self.case("as it is", SAME, lambda raw: raw)
        yield self.case("scale of one", SAME, with_attrs(name, **one))
        yield self.case("list of missing values", SAME, missing)
        yield self.case("odd attributes", SAME, lambda raw: raw.assign_attrs(odd))
        yield self.case(
            "text beside",
            SAME,
            lambda raw: raw.assign(note=(dim, np.full(raw.sizes[dim], "a", object))),
        )
        for scale in ("0.1", np.nan, np.inf, 0.0, 0.1, np.array([0.1, 0.2])):
            yield self.case(f"scale {scale!r}", REFUSED, with_attrs(name, scale_factor=scale))
        yield self.case("offset as text", REFUSED, with_attrs(name, add_offset="none"))
        for text in ("none", "", "-9999 m"):
            yield self.case(
                f"missing value {text!r}", REFUSED, with_attrs(name, missing_value=text)
            )

    def values(self) -> Iterator[Case]:
        """Single values that are other values: the other profiles stay as they were."""
        names = self.kind.local or self.kind.fields
        for seed in range(16):
            rng = np.random.default_rng(100 + seed)
            name = names[seed % len(names)]
            variable = self.raw[name]
            at = tuple(int(rng.integers(0, size)) for size in variable.shape)
            odd = [np.nan, np.inf, -np.inf, 0, -40, 300, -9999, -1e9, 1e300, 9.96921e36]
            if variable.dtype.kind in "iu":
                odd = [np.iinfo(variable.dtype).min, np.iinfo(variable.dtype).max, 0, 1, 99, -1]
            value = float(rng.choice(odd))
            from_both_ends = (at[0], variable.shape[0] - 1 - at[0])  # a trajectory runs backwards
            near = tuple(profile + step for profile in from_both_ends for step in (-1, 0, 1))
            expect = REST if self.kind.local else SOUND
            yield self.case(
                f"{name}{list(at)} = {value}", expect, put(name, at, value), profiles=near
            )

    def bytes(self, whole: bytes) -> Iterator[Case]:
        """Files cut short, with flipped bits, or of no kind at all."""
        rng = np.random.default_rng(len(whole))
        damaged = {f"cut to {n}": whole[: int(n)] for n in rng.integers(1, len(whole) - 1, 8)}
        for content in (
            b"",
            b"\n",
            b"t,Z\n0,1\n",
            b"\x89HDF\r\n\x1a\n",
            b"CDF\x01",
            bytes(4096),
            b"PK\x03\x04" + bytes(99),
        ):
            damaged[f"bytes {content[:12]!r}"] = content
        for name, content in damaged.items():
            yield Case(name=name, expect=REFUSED, written=partial(Path.write_bytes, data=content))
        for number in range(20):
            # Half of the flips fall on the structure, which is at the beginning.
            reach = len(whole) if number % 2 else min(len(whole), 6000)
            flipped = np.frombuffer(whole, dtype=np.uint8).copy()
            at = rng.integers(0, reach, int(rng.choice([1, 4, 20])))
            flipped[at] ^= (1 << rng.integers(0, 8, at.size)).astype(np.uint8)
            yield Case(
                name=f"flip {number}",
                expect=SOUND,
                written=partial(Path.write_bytes, data=flipped.tobytes()),
            )

    def hdf5(self) -> Iterator[Case]:
        """Attributes and types that HDF5 allows and the netCDF library does not write."""
        name = self.kind.fields[0]

        def edit(title: str, expect: Expect, change: Callable[[h5py.File], object]) -> Case:
            def written(path: Path) -> None:
                with h5py.File(path, "r+") as file:
                    change(file)

            form = None if self.kind.form == "HDF5" else "NETCDF4"
            return self.case(title, expect, lambda raw: raw, written=written, form=form)

        def set_attribute(key: str, value: Any) -> Callable[[h5py.File], object]:
            return lambda file: file[name].attrs.create(key, value)

        fill = self.raw[name].attrs.get("_FillValue", np.float32(-888))
        for value in (np.float64(fill), np.array([fill], np.float64)):
            yield edit(f"fill as {value!r}", SAME, set_attribute("_FillValue", value))
        for text in ("none", b"\xff\xfe", ["a", "b"]):
            yield edit(f"fill as {text!r}", REFUSED, set_attribute("_FillValue", text))
        yield edit("bad UTF-8", REFUSED, set_attribute(self.kind.unit_key, np.bytes_(b"m\xff")))
        for title, dtype in (
            ("truth values", "?"),
            ("records", "f4,f4"),
            ("complex numbers", "c8"),
        ):
            yield edit(title, REFUSED, partial(replace_values, name=name, dtype=dtype))
        yield edit(
            "a terabyte of nothing",
            REFUSED,
            partial(replace_values, name=name, dtype="f4", length=2**38),
        )
        yield edit("field is a group", REFUSED, partial(replace_by_group, name=name))

    def all(self, whole: bytes) -> list[Case]:
        groups = (self.units, self.order, self.clock, self.shape, self.fill, self.values, self.hdf5)
        return [case for group in groups for case in group()] + list(self.bytes(whole))


def replace_values(file: h5py.File, name: str, dtype: str, length: int | None = None) -> None:
    """Replaces a dataset by an empty one of another type or length, with its units."""
    old = file[name]
    shape = old.shape if length is None else (length, *old.shape[1:])
    attrs = {key: old.attrs[key] for key in ("units", "unit", "DimensionNames") if key in old.attrs}
    scales = [axis[0] if len(axis) else None for axis in old.dims]
    del file[name]
    new = file.create_dataset(
        name, shape=shape, dtype=dtype, chunks=None if length is None else True
    )
    new.attrs.update(attrs)
    for axis, scale in enumerate(scales):
        if scale is not None:
            new.dims[axis].attach_scale(scale)


def replace_by_group(file: h5py.File, name: str) -> None:
    del file[name]
    file.create_group(name)
