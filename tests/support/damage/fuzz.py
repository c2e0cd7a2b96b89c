"""Random changes of small valid files of every kind, and what quality rules do with each.

A case is a kind and a seed: the same numbers are the same file and the same rules.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from blindzone.core.errors import LONGEST_MESSAGE, BlindzoneError
from blindzone.pipeline.archive.assembly import cut_granule, make_part, read_native
from blindzone.pipeline.catalog.catalog import Source
from blindzone.pipeline.curtains.curtain import check_curtain
from blindzone.pipeline.curtains.gridding import Grid
from blindzone.pipeline.curtains.quality import (
    AttenuationRule,
    ClutterRule,
    InsectRule,
    QualityRules,
    check_measured,
)
from blindzone.pipeline.curtains.surface import check_surface, is_surface
from damage.bench import limit_time, write_raw
from damage.cases import Raw
from damage.other_kinds import KINDS
from damage.radar_layouts import LAYOUT_NAMES, make_layout

Random = np.random.Generator
HEIGHTS_M = (-100.0, 0.0, 10.0, 100.0, 300.0, 1000.0, 1e6)
"""Limits of rules: below all gates, among them, above all."""
ODD_VALUES = (0.0, -1.0, 1.0, -60.0, -99.0, -999.0, -9999.0, 1e5, 1e30, np.inf, -np.inf, np.nan)
ODD_WORDS = (
    "",
    "m",
    "km",
    "ft",
    "1",
    "dB",
    "K",
    "seconds since",
    "seconds since 1970-01-01",
    "$x^",
)
ATTRIBUTES = (
    "units",
    "_FillValue",
    "missing_value",
    "valid_range",
    "valid_min",
    "scale_factor",
    "add_offset",
    "calendar",
    "standard_name",
    "positive",
)
FLIPPED, CUT = 0.15, 0.05
"""Shares of the files with changed bytes, and with their end cut off."""
_UNFORESEEN = re.compile(
    r"\b(Type|Attribute|Index|Key|Assertion|ZeroDivision|UnboundLocal|Overflow|FloatingPoint)Error:"
)
"""In a message: a library's error that no reader has thought of."""


@dataclass(frozen=True, kw_only=True)
class FuzzKind:
    """A kind of file that is changed at random."""

    reader: str
    unit: date
    raw: Raw
    form: str = "NETCDF4"


def list_kinds(folder: Path) -> dict[str, FuzzKind]:
    """Returns a small valid file of every kind."""
    radars = {name: make_layout(name, folder) for name in LAYOUT_NAMES}
    return {
        name: FuzzKind(reader=layout.reader, unit=layout.day, raw=layout.raw)
        for name, layout in radars.items()
    } | {
        name: FuzzKind(reader=kind.reader, unit=kind.unit, raw=kind.write(), form=kind.form)
        for name, kind in KINDS.items()
    }


def make_rules(random: Random, *, looks_up: bool) -> QualityRules:
    """Returns quality rules of which every one is on.

    Of radars that look down, the attenuation rule is on in every tenth case only: their files are
    refused with it, whatever else they hold.
    """

    def height() -> float:
        return float(random.choice(HEIGHTS_M))

    def dbz() -> float:
        return float(random.uniform(-60, 30))

    months = tuple(int(month) for month in random.integers(1, 13, random.integers(0, 3)))
    warmth = float(random.uniform(260, 290)) if random.random() < 0.7 else None
    return QualityRules(
        clutter=(ClutterRule(below_m=height(), weaker_than_dbz=dbz()),)
        * int(random.integers(1, 3)),
        insects=(
            InsectRule(
                below_m=height(), weaker_than_dbz=dbz(), warmer_than_k=warmth, months=months
            ),
        ),
        lowest_trusted_m=height(),
        lidar_lowest_trusted_m=height() if random.random() < 0.5 else None,
        attenuation=(
            AttenuationRule(rain_dbz=dbz(), below_m=height())
            if looks_up or random.random() < 0.1
            else None
        ),
        sensitivity_floor_dbz=dbz(),
        empty_day="clear" if random.random() < 0.8 else "error",
    )


def change_values(raw: Raw, name: str, random: Random) -> Raw:
    """Puts odd values into some part of a variable, or changes all of it."""
    values = raw[name].values.copy()
    if values.dtype.kind not in "iuf" or not values.size:
        return raw
    factors: tuple[Callable[[Any], Any], ...] = (
        lambda v: v * 1000,
        lambda v: v / 1000,
        lambda v: v * 3.2808,
        lambda v: -v,
        lambda v: v[::-1] if v.ndim else v,
        lambda v: np.zeros_like(v),
        np.sort,
    )
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if random.random() < 0.4 or not values.ndim:
            changed = factors[random.integers(len(factors) - (not values.ndim))](values)
            return assign(raw, name, np.asarray(changed).astype(values.dtype))
        where = random.random(values.shape) < random.choice([0.02, 0.3, 1.0])
        odd = np.array(random.choice(ODD_VALUES), dtype=np.float64).astype(values.dtype)
    values[where] = odd
    return assign(raw, name, values)


def assign(raw: Raw, name: str, values: np.ndarray) -> Raw:
    return raw.assign({name: (raw[name].dims, values, raw[name].attrs)})


def change_attribute(raw: Raw, name: str, random: Random) -> Raw:
    """Sets, changes or removes an attribute."""
    key = str(random.choice(ATTRIBUTES))
    choices: tuple[Any, ...] = (
        str(random.choice(ODD_WORDS)),
        float(random.choice(ODD_VALUES)),
        np.array([0.0, 1.0]),
        "x" * 100_000,
        None,
    )
    value = choices[random.integers(len(choices))]
    if key in ("_FillValue", "missing_value") and value is not None:
        if raw[name].dtype.kind not in "iuf":
            return raw
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = np.array(random.choice(ODD_VALUES)).astype(raw[name].dtype)[()]
    out = raw.copy()
    attrs = {**raw[name].attrs, key: value}
    out[name].attrs = {one: kept for one, kept in attrs.items() if kept is not None}
    return out


def change_shape(raw: Raw, name: str, random: Random) -> Raw:
    """Takes some profiles or gates, none or one of them, or in another order; or loses a name."""
    if not raw[name].dims or random.random() < 0.2:
        return raw.drop_vars(name)
    dim = raw[name].dims[random.integers(raw[name].ndim)]
    size = raw.sizes[dim]
    chosen: tuple[Any, ...] = (
        slice(0, 1),
        slice(0, 2),
        slice(None, None, -1),
        slice(size // 2, None),
        random.permutation(size),
        np.sort(random.integers(0, size, size)),
        slice(0, 0),
    )
    return raw.isel({dim: chosen[random.integers(len(chosen))]})


def change_type(raw: Raw, name: str, random: Random) -> Raw:
    """Stores a variable as another type of number."""
    if raw[name].dtype.kind not in "iuf":
        return raw
    kind = random.choice(["f4", "f8", "i2", "i4"])
    attrs = {
        key: value
        for key, value in raw[name].attrs.items()
        if key not in ("_FillValue", "valid_range")
    }
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return raw.assign({name: (raw[name].dims, raw[name].values.astype(kind), attrs)})


CHANGES = (change_values, change_values, change_attribute, change_shape, change_type)


def change(raw: Raw, random: Random) -> Raw:
    """Returns a file's content after one to three random changes."""
    for _ in range(random.integers(1, 4)):
        names = sorted(map(str, raw.variables))
        if names:
            raw = CHANGES[random.integers(len(CHANGES))](
                raw, names[random.integers(len(names))], random
            )
    return raw


def flip_bytes(path: Path, random: Random) -> None:
    """Changes one to eight bytes of a written file.

    The HDF5 library (1.14) ends the process on some of these files; the readers' second process
    meets them first, and they are rejected.
    """
    content = np.fromfile(path, np.uint8)
    where = random.integers(0, content.size, random.integers(1, 9))
    content[where] = random.integers(0, 256, where.size)
    content.tofile(path)


def cut_end(path: Path, random: Random) -> None:
    """Cuts the end of a written file off."""
    content = path.read_bytes()
    path.write_bytes(content[: random.integers(1, len(content))])


def damage_bytes(path: Path, random: Random) -> None:
    """Changes bytes of some written files, and cuts the end of others off."""
    chance = random.random()
    if chance < FLIPPED:
        flip_bytes(path, random)
    elif chance < FLIPPED + CUT:
        cut_end(path, random)


def run_case(kind: FuzzKind, seed: int, folder: Path) -> tuple[str, str | None]:
    """Returns the outcome of a case, `read` or `rejected`, and what is wrong, if anything."""
    random = np.random.default_rng(seed)
    path = folder / f"{kind.unit:%Y%m%d}_fuzz.nc"
    try:
        write_raw(change(kind.raw, random), path, kind.form)
    except (ValueError, TypeError, OverflowError, RuntimeError):  # no such file can be written
        write_raw(kind.raw, path, kind.form)
    damage_bytes(path, random)
    entry = Source(
        name="fuzz",
        directory="fuzz",
        files="%Y%m%d_fuzz.nc",
        reader="auto" if random.random() < 0.2 else kind.reader,
        grid=Grid(rows=16, row_depth_m=78.125),
        quality=make_rules(random, looks_up=type(kind.unit) is date),
        first_gate_m=15.0 if kind.reader == "mrr" else None,
    )
    try:
        with limit_time(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            native = cut_granule(read_native(path, entry), kind.unit, path)
            part = make_part(native, entry, f"fuzz ({path.name})")
            check_measured(native, entry.quality, where=f"fuzz ({path.name})")
    except BlindzoneError as error:
        return "rejected", _judge_message(str(error), path)
    except Exception as error:
        return "raised", f"{type(error).__name__}: {error}"
    return "read", _judge_curtain(part)


def _judge_message(message: str, path: Path) -> str | None:
    if path.name not in message:
        return f"rejected without its name: {message}"
    if len(message) > LONGEST_MESSAGE or _UNFORESEEN.search(message):
        return f"rejected with a poor reason: {message}"
    return None


def _judge_curtain(part: xr.Dataset) -> str | None:
    rays = (part.isel(ray=number) for number in range(part.sizes.get("ray", 0)))
    for curtain in rays if "ray" in part.dims else (part,):
        try:
            if is_surface(curtain):
                check_surface(curtain, where="series")
            else:
                check_curtain(curtain)
        except BlindzoneError as error:
            return f"unsound: {error}"
    return None


def run_cases(kind: FuzzKind, seeds: range, folder: Path) -> dict[str, int]:
    """Runs cases, checks that nothing is wrong with any, and returns how many ended how."""
    counts = {"read": 0, "rejected": 0}
    wrong = {}
    for seed in seeds:
        outcome, finding = run_case(kind, seed, folder)
        counts[outcome] = counts.get(outcome, 0) + 1
        if finding is not None:
            wrong[seed] = finding
    assert not wrong, f"{len(wrong)} of {len(seeds)}:\n" + "\n".join(
        f"{seed}: {finding[:300]}" for seed, finding in wrong.items()
    )
    return counts
