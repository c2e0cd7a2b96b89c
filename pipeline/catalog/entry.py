"""A catalogue entry made from one file: what it states, and guesses from its name and gates."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import yaml

from blindzone.pipeline.catalog.source_files import names_time
from blindzone.pipeline.curtains.along_track import find_spacing, looks_down
from blindzone.pipeline.curtains.curtain import SITE_COORDINATES, STATUS_OF
from blindzone.pipeline.curtains.gridding import Grid
from blindzone.pipeline.curtains.surface import is_surface
from blindzone.pipeline.readers import find_readers, find_stem

_DATE_FORMS = ("%Y%m%d", "%Y-%m-%d", "%Y_%m_%d", "%Y.%m.%d", "%Y%j", "%d%b%Y", "%y%m%d")
_TIME_FORMS = ("%H%M%S", "%H-%M-%S", "%H_%M_%S", "%H:%M:%S")
_TRACK_GRIDS = {240.0: 64, 100.0: 128}
"""Rows by their depth [m], of the networks for CloudSat and EarthCARE."""
_SAME_DEPTH = 0.02
_ROW_STEP = 16
"""Networks halve the rows four times."""


def write_catalog(file: Path, curtain: xr.Dataset, data_directory: Path) -> str:
    """Returns a catalogue of one source, YAML, whose entry reads a file and others like it.

    Args:
        file: The file.
        curtain: Its native curtain `(time, height)`, or swath, with its reader's name.
        data_directory: Folder that a relative `directory` of the catalogue is below.
    """
    entry = make_entry(file, curtain, data_directory)
    content = {
        "version": 1,
        "sources": {guess_name(entry["files"], file.resolve().parent.name): entry},
    }
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)
    return f"# Made from {file.name}.\n{text}{_list_hints(curtain, entry)}"


def make_entry(file: Path, curtain: xr.Dataset, data_directory: Path) -> dict[str, Any]:
    """Returns a catalogue entry of a curtain `(time, height)`, as `write_catalog` takes it."""
    about = {key: " ".join(str(value).split()) for key, value in curtain.attrs.items()}
    kind = find_readers()[about["reader"]].title.removeprefix("a ").removeprefix("an ")
    files = guess_pattern(file.name, curtain, is_granule=looks_down(curtain))
    entry: dict[str, Any] = {
        "title": _make_title(about, kind),
        "reader": about["reader"],
        **find_directory(file.parent, data_directory),
        "files": files,
        **{name: about[name] for name in ("instrument", "site") if name in about},
    }
    if not is_surface(curtain):
        entry["grid"] = guess_grid(curtain)
    if looks_down(curtain):
        entry |= {"unit": "granule"} if names_time(files) else {}
        entry |= guess_spacing(curtain)
    if math.isfinite(frequency := float(curtain.attrs.get("frequency_ghz", math.nan))):
        entry["frequency_ghz"] = frequency
    if (lowest := guess_lowest_trusted(curtain)) is not None:
        entry["quality"] = {"lowest_trusted_m": lowest}
    if "references" in about:
        entry["reference"] = about["references"]
    return entry


def _make_title(about: Mapping[str, str], kind: str) -> str:
    """Returns the instrument and its site; of a file that states no instrument, its kind."""
    instrument = about.get("instrument", kind[:1].upper() + kind[1:])
    return f"{instrument} at {about['site']}" if "site" in about else instrument


def find_directory(folder: Path, data_directory: Path) -> dict[str, Any]:
    """Returns a folder as an entry states it: relative to the data, or outside of them."""
    folder, data = folder.resolve(), data_directory.resolve()
    if folder != data and folder.is_relative_to(data):
        return {"directory": str(folder.relative_to(data))}
    return {"directory": str(folder), "outside": True}


def guess_pattern(name: str, curtain: xr.Dataset, *, is_granule: bool) -> str:
    """Returns the pattern of files named like one.

    Its date becomes `%Y%m%d` or the like. A time after it becomes `*`, or of a granule `%H%M%S`; so
    does an identifier that the file states of itself.

    Args:
        name: The file's name.
        curtain: Its curtain: the date is that of a profile.
        is_granule: Whether files are granules, whose names state their start.
    """
    found = _find_date(name, curtain)
    if found is None:
        return f"%Y%m%d*{Path(name).suffix}"
    before, date_form, after = found
    if is_granule:
        return f"{before}{date_form}{_replace_start(after, curtain)}"
    after = re.sub(r"^([T._-]?)\d{2,6}(?!\d)", r"\1*", after)
    uuid = str(curtain.attrs.get("file_uuid", ""))[:8]
    return f"{before}{date_form}{after.replace(uuid, '*') if uuid else after}"


def _find_date(name: str, curtain: xr.Dataset) -> tuple[str, str, str] | None:
    """Returns what a name has before its date, the date's form, and what comes after it."""
    days = [_to_datetime(time) for time in curtain["time"].values.ravel()[[0, -1]]]
    for form in _DATE_FORMS:
        for day in days:
            # A date of two digits for the year must not be a part of a longer number.
            match = re.search(rf"(?<!\d){re.escape(day.strftime(form))}", name)
            if match:
                return name[: match.start()], form, name[match.end() :]
    return None


def _replace_start(after: str, curtain: xr.Dataset) -> str:
    """Returns the rest of a granule's name with its start as fields and other numbers as `*`.

    It comes back as it is where it states no start: then the granule is that of its day.
    """
    match = re.match(r"(\D{0,2})(\d{2}[-_:]?\d{2}[-_:]?\d{2})(?!\d)", after)
    if match is None:
        return after
    rest = re.sub(r"\d{4,}", "*", after[match.end() :])
    form = next(form for form in _TIME_FORMS if _fits(match[2], form))
    return f"{match[1]}{form}{rest}"


def _fits(text: str, form: str) -> bool:
    try:
        datetime.strptime(text, form)
    except ValueError:
        return False
    return True


def _to_datetime(time: np.datetime64) -> datetime:
    return datetime.fromisoformat(str(np.datetime_as_string(time, unit="s")))


def guess_grid(curtain: xr.Dataset) -> dict[str, Any]:
    """Returns the grid [m] that a file reaches: the package's, deeper or lower if need be."""
    heights = np.asarray(curtain["height"].values, dtype=np.float64)
    usual = Grid()
    # State is interpolated, so that its levels may be further apart than rows.
    is_looking = not {*STATUS_OF}.isdisjoint(curtain.data_vars)
    spacing = float(np.median(np.diff(heights))) if is_looking and heights.size > 1 else 0.0
    for depth, rows in _TRACK_GRIDS.items() if looks_down(curtain) else ():
        if abs(spacing / depth - 1) < _SAME_DEPTH and heights[-1] >= rows * depth:
            return {"rows": rows, "row_depth_m": depth}
    depth = usual.row_depth_m if spacing <= usual.row_depth_m else round(spacing, 3)
    rows = min(int(heights[-1] // depth), usual.rows)
    # Fewer rows than a step are left as they are: they can be archived, not filled.
    return {
        "rows": max(rows // _ROW_STEP * _ROW_STEP, min(rows, _ROW_STEP), 1),
        "row_depth_m": depth,
    }


def guess_spacing(curtain: xr.Dataset) -> dict[str, int]:
    """Returns the distance between profiles [m] along the track of a radar that looks down."""
    spacing = find_spacing(curtain)
    return {"profile_spacing_m": round(spacing)} if spacing >= 1 else {}


def guess_lowest_trusted(curtain: xr.Dataset) -> int | None:
    """Returns the height [m] of the lowest gate of a radar on the ground, rounded up; else None."""
    if "reflectivity" not in curtain or looks_down(curtain):
        return None
    return math.ceil(float(curtain["height"].values[0]))


def guess_name(pattern: str, folder: str) -> str:
    """Returns a source's name: the words of its files' pattern, else of their folder."""
    stem = re.sub(r"%.|\*", " ", find_stem(pattern))
    return _join_words(stem) or _join_words(folder) or "my_source"


def _join_words(text: str) -> str:
    words = re.split(r"[^A-Za-z0-9]+", text)
    return "_".join(word.lower() for word in words if re.search("[A-Za-z]{2}", word))


def _list_hints(curtain: xr.Dataset, entry: dict[str, Any]) -> str:
    """Returns comments on what the file does not decide."""
    hints = [*_hint_position(curtain)]
    if "quality" in entry:
        hints.append("quality: lowest_trusted_m is the lowest gate; raise it above clutter")
    if "reflectivity" in curtain and not looks_down(curtain):
        hints.append("blind_zone: {top_m: 1250.0} by default; the rows below are hidden and filled")
    return "".join(f"    # {hint}\n" for hint in hints)


def _hint_position(curtain: xr.Dataset) -> Iterator[str]:
    values = [curtain[name].values for name in SITE_COORDINATES]
    if any(value.ndim for value in values):
        return
    stated = {
        name: round(float(value), 4)
        for name, value in zip(SITE_COORDINATES, values, strict=True)
        if np.isfinite(value)
    }
    if len(stated) == len(SITE_COORDINATES):
        stated_text = ", ".join(f"{name}: {value}" for name, value in stated.items())
        yield f"position: {{{stated_text}}} is what the file states"
    else:
        lacking = ", ".join(name for name in SITE_COORDINATES if name not in stated)
        yield f"position: {{latitude: , longitude: , altitude: }} is to be added: no {lacking} here"
