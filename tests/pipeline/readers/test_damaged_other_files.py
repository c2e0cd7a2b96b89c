"""Damaged lidar, state, categorize and spaceborne files: ingested right or rejected by name.

Small valid files of eight kinds, written here to the documented layouts or cut from measured files,
are changed in ten ways each and by undeclared units, the same ones in every run; `make soak` has
all the 150 ways. A change that keeps the meaning must give the curtain as it was. A change of
meaning (units, times, calendars, axes) must be rejected, or be understood and give the same
numbers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import xarray as xr
from damage.cases import Raw
from damage.other_files import PROFILES, Kind
from damage.other_kinds import KINDS
from damage.running import run_other_cases

from blindzone.pipeline.readers._hdf import read_hdf5
from blindzone.pipeline.readers._netcdf import read_netcdf

WANTED, SKIPPED = 10, 32
"""How many ways of the layouts; and after how many those of the measured files begin."""


@pytest.mark.parametrize("name", KINDS)
def test_changed_file_of_the_layout_is_ingested_right_or_rejected_by_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    run_other_cases(KINDS[name], KINDS[name].write(), tmp_path, monkeypatch, wanted=WANTED)
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
    raw = read_measured(KINDS[name], paths)
    run_other_cases(KINDS[name], raw, tmp_path, monkeypatch, wanted=WANTED, skipped=SKIPPED)
    assert capfd.readouterr().err == ""
