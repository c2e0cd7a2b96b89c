"""Catalogue entries of fetched sources: what is stated, and what the first good file shows."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from blindzone.pipeline.catalog.portal_source import PortalSource

FILES = ("20000101_a.nc", "20000102_a.nc")


@pytest.fixture
def source() -> PortalSource:
    return PortalSource(
        name="a",
        title="A radar",
        files=dict.fromkeys(FILES),  # type: ignore[arg-type]  # none is fetched here
        pattern="%Y%m%d_a.nc",
        reader="cloudnet_radar",
        terms={},
        stated={"licence": "open"},
        partners={"lidar": "a_lidar", "state": "a_model"},
        comment="how it came",
    )


def test_entry_has_grid_and_lowest_gate_of_the_first_file_that_is_read(
    source: PortalSource, simulated_file: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "data" / "a"
    folder.mkdir(parents=True)
    (folder / FILES[0]).write_bytes(b"damaged")
    shutil.copy(simulated_file, folder / FILES[1])
    entry = source.make_entry(folder, tmp_path / "data", {"a", "a_lidar"})
    assert entry.comment == "how it came"
    # Gates of the simulated radar: 25 m apart, the lowest at 12.5 m.
    assert dict(entry.values) == {
        "title": "A radar",
        "reader": "cloudnet_radar",
        "directory": "a",
        "files": "%Y%m%d_a.nc",
        "licence": "open",
        "partners": {"lidar": "a_lidar"},  # the model is in no catalogue
        "grid": {"rows": 128, "row_depth_m": 78.125},
        "quality": {"lowest_trusted_m": 13},
        "frequency_ghz": 95.0,
    }


def test_entry_without_a_file_that_is_read_has_what_is_stated(
    source: PortalSource, tmp_path: Path
) -> None:
    entry = source.make_entry(tmp_path / "elsewhere", tmp_path / "data", ())
    assert dict(entry.values) == {
        "title": "A radar",
        "reader": "cloudnet_radar",
        "directory": str(tmp_path / "elsewhere"),
        "outside": True,
        "files": "%Y%m%d_a.nc",
        "licence": "open",
    }
