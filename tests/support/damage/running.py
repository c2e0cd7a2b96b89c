"""Runs of changed files: how curtains are compared, and which of the cases are run.

The suite runs a part of the cases, and `make soak` runs all of them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from damage.bench import Bench, Setting, find_profiles
from damage.cases import SAME, Case, Raw
from damage.other_cases import Cases
from damage.other_files import Kind
from damage.radar_cases import list_radar_cases
from damage.radar_layouts import Layout

RADAR_FIELDS = ("detection_status", "reflectivity", "doppler_velocity")


def compare_radar(found: xr.Dataset, right: xr.Dataset, case: Case) -> str | None:
    """Returns how the fields of a radar differ, if they do."""
    if found.sizes != right.sizes and case.expect is SAME:
        return f"sizes {dict(found.sizes)}"
    index = find_profiles(found, right, 1 if case.tolerance else 0.002)
    if isinstance(index, str):
        return index
    right, kept = right.isel(time=index), ~np.isin(index, case.profiles)
    for name in RADAR_FIELDS:
        here, there = found[name].values[kept], right[name].values[kept]
        if not np.allclose(here, there, rtol=0, atol=case.tolerance, equal_nan=True):
            return f"{name} differs"
    return None


def compare_all(found: xr.Dataset, right: xr.Dataset, case: Case) -> str | None:
    """Returns how the variables of two curtains differ, if they do."""
    other_size = found.sizes != right.sizes and case.expect is SAME
    if other_size or found.variables.keys() != right.variables.keys():
        return f"sizes {dict(found.sizes)}, variables {sorted(map(str, found.variables))}"
    index = find_profiles(found, right, 0.1 if case.tolerance else 0.002)
    if isinstance(index, str):
        return index
    # A way over fewer profiles is another one.
    way = {"along_track_distance"} if found.sizes["time"] < right.sizes["time"] else set()
    right, kept = right.isel(time=index), ~np.isin(index, case.profiles)
    for name in found.variables.keys() - {"time", "source_file", *way}:
        here, there = (
            data[name].isel(time=kept, missing_dims="ignore").values for data in (found, right)
        )
        largest = np.max(np.abs(there), where=np.isfinite(there), initial=0.0)
        if not np.allclose(here, there, rtol=0, atol=case.tolerance * largest, equal_nan=True):
            return f"{name} differs"
    return None


def run_radar_cases(
    layout: Layout,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    every: int = 1,
    first: int = 0,
    first_gate_m: float | None = None,
) -> None:
    """Runs every so many cases of a radar's layout, from one of the first on."""
    setting = Setting(
        reader=layout.reader, unit=layout.day, compare=compare_radar, first_gate_m=first_gate_m
    )
    bench = Bench(setting, layout.raw, folder)
    assert (bench.expected["detection_status"] == 2).sum() > 20
    cases = list_radar_cases(layout, bench.right.read_bytes())[first % every :: every]
    bench.run_all(cases, monkeypatch)
    assert len(cases) * every >= 100
    assert bench.outcomes["ingested"] * every >= 10


def run_other_cases(
    kind: Kind,
    raw: Raw,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    wanted: int | None = None,
    skipped: int = 0,
) -> None:
    """Runs cases of a kind of file.

    Args:
        kind: The kind.
        raw: Content of a valid file of it.
        folder: Where the archive is.
        monkeypatch: Changes what reports errors that nobody catches.
        wanted: How many of the cases, in an order of their own; all if `None`.
        skipped: How many of them are left out before. With none, undeclared units are run too.
    """
    setting = Setting(reader=kind.reader, unit=kind.unit, compare=compare_all, form=kind.form)
    bench = Bench(setting, raw, folder)
    every = Cases(kind, raw).all(bench.right.read_bytes())
    order = np.random.default_rng(1).permutation(len(every))
    chosen = set(order[skipped:][:wanted])
    cases = [
        case
        for number, case in enumerate(every)
        if number in chosen or (case.always and not skipped)
    ]
    bench.run_all(cases, monkeypatch)
    assert len(cases) >= (len(every) if wanted is None else wanted)
    assert min(bench.outcomes["ingested"], bench.outcomes["rejected"]) >= len(cases) // 12
