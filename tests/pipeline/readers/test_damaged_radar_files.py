"""Damaged and deceptive radar files: each is ingested right or rejected by name, and nothing else.

Small valid files of every layout are changed in some forty ways, the same ones in every run;
`make soak` changes them in several hundred.
Values that a change cannot have touched must come out as they did before; a change of meaning
(units, calendars, times) must be rejected.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from damage.radar_layouts import LAYOUT_NAMES, Layout, cut, make_layout
from damage.running import run_radar_cases

from blindzone.pipeline.readers._netcdf import read_netcdf

EVERY = 6
"""Each layout is changed in every sixth way, in others than the one before it."""
EVERY_OF_MEASURED = 20


@pytest.mark.parametrize("name", LAYOUT_NAMES)
def test_changed_file_is_ingested_right_or_rejected_by_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    layout = make_layout(name, tmp_path)
    # A micro rain radar's gates count by whole spacings; those of the layout begin with a half.
    first_gate_m = 15.0 if layout.reader == "mrr" else None
    run_radar_cases(
        layout,
        tmp_path,
        monkeypatch,
        every=EVERY,
        first=LAYOUT_NAMES.index(name),
        first_gate_m=first_gate_m,
    )
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
    run_radar_cases(
        layout, tmp_path, monkeypatch, every=EVERY_OF_MEASURED, first=5 * list(MEASURED).index(name)
    )
    assert capfd.readouterr().err == ""
