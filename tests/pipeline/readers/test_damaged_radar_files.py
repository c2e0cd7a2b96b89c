"""Damaged and deceptive radar files: each is ingested right or rejected by name, and nothing else.

Small valid files of every layout are changed in several hundred ways, the same ones in every run.
Values that a change cannot have touched must come out as they did before; a change of meaning
(units, calendars, times) must be rejected.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from damage.bench import Bench, Setting, find_profiles
from damage.cases import SAME, Case
from damage.radar_cases import list_radar_cases
from damage.radar_layouts import LAYOUT_NAMES, Layout, cut, make_layout

from blindzone.pipeline.readers._netcdf import read_netcdf


def compare_radar(found: xr.Dataset, right: xr.Dataset, case: Case) -> str | None:
    if found.sizes != right.sizes and case.expect is SAME:
        return f"sizes {dict(found.sizes)}"
    index = find_profiles(found, right, 1 if case.tolerance else 0.002)
    if isinstance(index, str):
        return index
    right, kept = right.isel(time=index), ~np.isin(index, case.profiles)
    for name in ("detection_status", "reflectivity", "doppler_velocity"):
        here, there = found[name].values[kept], right[name].values[kept]
        if not np.allclose(here, there, rtol=0, atol=case.tolerance, equal_nan=True):
            return f"{name} differs"
    return None


def run_cases(
    layout: Layout,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    every: int = 1,
    first_gate_m: float | None = None,
) -> None:
    setting = Setting(
        reader=layout.reader, unit=layout.day, compare=compare_radar, first_gate_m=first_gate_m
    )
    bench = Bench(setting, layout.raw, folder)
    assert (bench.expected["detection_status"] == 2).sum() > 20
    cases = list_radar_cases(layout, bench.right.read_bytes())[::every]
    bench.run_all(cases, monkeypatch)
    assert len(cases) * every >= 100
    assert bench.outcomes["ingested"] * every >= 10


@pytest.mark.parametrize("name", LAYOUT_NAMES)
def test_changed_file_is_ingested_right_or_rejected_by_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    layout = make_layout(name, tmp_path)
    # A micro rain radar's gates count by whole spacings; those of the layout begin with a half.
    first_gate_m = 15.0 if layout.reader == "mrr" else None
    run_cases(layout, tmp_path, monkeypatch, first_gate_m=first_gate_m)
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
    # Echo among noise is found from all gates.
    layout = Layout(raw=cut(raw, 60, 200 if known.get("finds_noise") else 60), **known)
    run_cases(layout, tmp_path, monkeypatch, every=5)
    assert capfd.readouterr().err == ""
