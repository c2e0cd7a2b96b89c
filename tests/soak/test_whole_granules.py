"""Whole granules, written by the tests, are read and gridded in seconds and in little memory."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from cloudsat_files import PROFILES, write_cloudsat_granule
from earthcare_files import FRAME_M, SPACING_M, Product, write_earthcare_frame

pytestmark = pytest.mark.soak

MOST_SECONDS, MOST_BYTES = 30.0, 2**30
READ = """
import json, re, sys
from pathlib import Path
from blindzone.pipeline.curtains.gridding import Grid, grid_curtain
from blindzone.pipeline.readers import read_curtain

path, rows, depth_m = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
curtain = grid_curtain(read_curtain(path), Grid(rows=rows, row_depth_m=depth_m))
status, top = curtain["detection_status"].values, curtain["blind_zone_top"].values
print(json.dumps({
    "profiles": curtain.sizes["time"],
    "echo": float((status == 2).mean()),
    "tops": [float(top.min()), float(top.max())],
    "bytes": 1024 * int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]),
}))
"""


def read_elsewhere(path: Path, rows: int, depth_m: float) -> dict[str, Any]:
    """Returns what another process finds in a gridded file, and the memory that it took."""
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", READ, str(path), str(rows), str(depth_m)],
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    seconds = time.monotonic() - begun
    print(f"{path.name}: {seconds:.1f} s, {found['bytes'] / 2**20:.0f} MiB")
    assert seconds < MOST_SECONDS
    assert found["bytes"] < MOST_BYTES
    return found


def test_whole_orbit_of_cloudsat(tmp_path: Path) -> None:
    write_cloudsat_granule(tmp_path / "granule.hdf")
    found = read_elsewhere(tmp_path / "granule.hdf", 64, 240)
    assert found["profiles"] == PROFILES
    assert 0.05 < found["echo"] < 0.5
    lowest, highest = found["tops"]
    assert 400 < lowest < highest < 2400


@pytest.mark.parametrize("product", ["C-NOM", "C-FMR"])
def test_whole_frame_of_earthcare(product: Product, tmp_path: Path) -> None:
    write_earthcare_frame(tmp_path / "frame.h5", product)
    found = read_elsewhere(tmp_path / "frame.h5", 128, 100)
    assert found["profiles"] == round(FRAME_M / SPACING_M[product])
    assert 0.05 < found["echo"] < 0.5
    lowest, highest = found["tops"]
    assert 400 < lowest < highest < 2400
