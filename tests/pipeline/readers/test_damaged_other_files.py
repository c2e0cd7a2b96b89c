"""Damaged lidar, state, categorize and spaceborne files: ingested right or rejected by name.

Small valid files of eight kinds, written here to the documented layouts or cut from measured files,
are changed in some 150 ways each, the same ones in every run. A change that keeps the meaning must
give the curtain as it was. A change of meaning (units, times, calendars, axes) must be rejected, or
be understood and give the same numbers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from damage.bench import Bench, Setting, find_profiles
from damage.cases import SAME, Case, Raw
from damage.other_cases import Cases
from damage.other_files import PROFILES, Kind
from damage.other_kinds import KINDS

from blindzone.pipeline.readers._hdf import read_hdf5
from blindzone.pipeline.readers._netcdf import read_netcdf

WANTED = 32


def compare_all(found: xr.Dataset, right: xr.Dataset, case: Case) -> str | None:
    other_size = found.sizes != right.sizes and case.expect is SAME
    if other_size or found.variables.keys() != right.variables.keys():
        return f"sizes {dict(found.sizes)}, variables {sorted(map(str, found.variables))}"
    index = find_profiles(found, right, 0.1 if case.tolerance else 0.002)
    if isinstance(index, str):
        return index
    right, kept = right.isel(time=index), ~np.isin(index, case.profiles)
    for name in found.variables.keys() - {"time", "source_file"}:
        here, there = (
            data[name].isel(time=kept, missing_dims="ignore").values for data in (found, right)
        )
        largest = np.max(np.abs(there), where=np.isfinite(there), initial=0.0)
        if not np.allclose(here, there, rtol=0, atol=case.tolerance * largest, equal_nan=True):
            return f"{name} differs"
    return None


def run_cases(
    kind: Kind, raw: Raw, folder: Path, monkeypatch: pytest.MonkeyPatch, *, shifted: bool = False
) -> None:
    """Runs `WANTED` cases and those of undeclared units; or, shifted, as many other cases."""
    setting = Setting(reader=kind.reader, unit=kind.unit, compare=compare_all, form=kind.form)
    bench = Bench(setting, raw, folder)
    cases = Cases(kind, raw).all(bench.right.read_bytes())
    order = np.random.default_rng(1).permutation(len(cases))
    chosen = set(order[WANTED : 2 * WANTED] if shifted else order[:WANTED])
    cases = [
        case
        for number, case in enumerate(cases)
        if number in chosen or (case.always and not shifted)
    ]
    bench.run_all(cases, monkeypatch)
    assert len(cases) >= WANTED
    assert min(bench.outcomes["ingested"], bench.outcomes["rejected"]) >= 3


@pytest.mark.parametrize("name", KINDS)
def test_changed_file_of_the_layout_is_ingested_right_or_rejected_by_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    run_cases(KINDS[name], KINDS[name].write(), tmp_path, monkeypatch)
    assert capfd.readouterr().err == ""


def read_measured(kind: Kind, paths: list[Path]) -> Raw:
    """An excerpt of a measured file, or of several joined in time, with the reader's variables."""
    named = (
        *kind.fields,
        *kind.required,
        *kind.optional,
        *kind.labelled,
        *kind.stated,
        *kind.clock,
    )
    names = tuple(dict.fromkeys((*named, "level")))
    if kind.form == "HDF5":
        return read_hdf5(paths[0], names).isel(kind.cut)
    parts = [read_netcdf(path, names) for path in paths[:PROFILES]]
    if len(parts) == 1:
        return parts[0].isel(kind.cut)
    common: dict[str, Any] = {
        "data_vars": "minimal",
        "coords": "minimal",
        "compat": "override",
        "join": "override",
    }
    return xr.concat(parts, dim="time", combine_attrs="override", **common)


@pytest.mark.parametrize("name", KINDS)
def test_changed_excerpt_of_a_measured_file_likewise(
    name: str,
    measured_directory: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    paths = sorted(measured_directory.glob(KINDS[name].measured))
    if not paths:
        pytest.skip(f"no measured file {measured_directory / KINDS[name].measured}")
    run_cases(KINDS[name], read_measured(KINDS[name], paths), tmp_path, monkeypatch, shifted=True)
    assert capfd.readouterr().err == ""
