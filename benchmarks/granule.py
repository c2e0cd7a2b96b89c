"""What one granule of a spaceborne radar costs, from its file to its product, step by step.

A granule of CloudSat and a frame of EarthCARE are written to their layouts (by the tests' writers),
ingested and filled by the networks of the package. Every step is a process of its own, as on a
worker: processor time and largest memory include its start. One thread; 50 passes, and one.

    python benchmarks/granule.py [--profiles 37081] [--only cloudsat]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from front_door import COMMAND, Cost

WRITE = """
import sys
from datetime import datetime
from pathlib import Path
sys.path.insert(0, "tests/support")
path, kind, profiles = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
if kind == "cloudsat":
    from cloudsat_files import write_cloudsat_granule
    write_cloudsat_granule(path, profiles=profiles)
else:
    from earthcare_files import write_earthcare_frame
    write_earthcare_frame(path, kind, profiles=profiles)
"""


@dataclass(frozen=True, kw_only=True)
class Radar:
    """A radar from above, as the tests write its files.

    Attributes:
        kind: What the writers call it.
        file: Name of its file.
        pattern: The same in a catalogue.
        reader: Its reader.
        profiles: Profiles of a whole granule.
        grid: Grid of its network, as in a catalogue.
    """

    kind: str
    file: str
    pattern: str
    reader: str
    profiles: int
    grid: str


RADARS = {
    "cloudsat": Radar(
        kind="cloudsat",
        file="20081017_040000_12000_2B-GEOPROF.hdf",
        pattern="%Y%m%d_%H%M%S_*_2B-GEOPROF.hdf",
        reader="cloudsat",
        profiles=37_081,
        grid="grid: {rows: 64, row_depth_m: 240}, profile_spacing_m: 1090",
    ),
    "earthcare": Radar(
        kind="C-NOM",
        file="20240801_030000_C-NOM.h5",
        pattern="%Y%m%d_%H%M%S_C-NOM.h5",
        reader="earthcare",
        profiles=10_000,
        grid="grid: {rows: 128, row_depth_m: 100}, profile_spacing_m: 500",
    ),
}


def main() -> None:
    """Prints one table a radar."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profiles", type=int)
    parser.add_argument("--only", choices=RADARS)
    asked = parser.parse_args()
    for name in [asked.only] if asked.only else RADARS:
        with tempfile.TemporaryDirectory() as folder:
            measure_radar(name, RADARS[name], asked.profiles, Path(folder))


def measure_radar(name: str, radar: Radar, wanted: int | None, folder: Path) -> None:
    """Writes a granule and prints what each step with it costs."""
    profiles = min(wanted or radar.profiles, radar.profiles)
    path = folder / name / radar.file
    path.parent.mkdir()
    write = (sys.executable, "-c", WRITE, str(path), radar.kind, str(profiles))
    subprocess.run(write, check=True)
    (folder / "catalog.yaml").write_text(
        f"version: 1\nsources:\n  {name}: {{directory: {name}, files: '{radar.pattern}',"
        f" reader: {radar.reader}, unit: granule, {radar.grid}}}\n"
    )
    places = {
        "BLINDZONE_DATA": str(folder),
        "BLINDZONE_CATALOG": str(folder / "catalog.yaml"),
        "BLINDZONE_WORKSPACE": str(folder),
    }
    threads = dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"), "1")
    environment = os.environ | places | threads
    print(f"{name}: {profiles} profiles, file {path.stat().st_size / 1e6:.1f} MB")
    print(f"{'':24}{'processor':>11}{'a profile':>12}{'memory':>10}")
    steps = {
        "ingest": ("ingest", name),
        "fill, 50 passes": ("reprocess", name),
        "unchanged": ("reprocess", name),
        "fill, a single pass": ("reprocess", name, "--passes", "single"),
    }
    for title, words in steps.items():
        cost = Cost.of_run((*COMMAND, *words), environment)
        each = 1e3 * cost.processor / profiles
        print(f"{title:24}{cost.processor:9.1f} s{each:9.2f} ms{cost.memory:7.0f} MB", flush=True)
    for title, where in (("archive", "archive"), ("product", "products")):
        size = sum(one.stat().st_size for one in (folder / where).rglob("*") if one.is_file())
        print(f"{title:24}{size / 1e6:9.1f} MB, {size / profiles:.0f} bytes a profile", flush=True)


if __name__ == "__main__":
    main()
