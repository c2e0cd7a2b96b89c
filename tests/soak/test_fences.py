"""A night of three sources of which one is hostile, or a machine short of something.

Each time the other sources are done, and the exit status is 2.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import pytest
from short_days import FIRST, REFUSED, SOURCE, file_name, make_station

from blindzone.flows.running.workspace import SHIPPED_WEIGHTS
from blindzone.pipeline.archive import Archive

pytestmark = pytest.mark.soak

ODD, GOOD = "odd", ("first", "last")
NIGHT = "from blindzone.flows.commands.cli import main; main()"


@dataclass(frozen=True)
class Night:
    """Three sources of one short day each; the one in the middle may be made hostile."""

    root: Path

    @property
    def odd_file(self) -> Path:
        return self.root / "data" / ODD / file_name(FIRST)

    def run(self, limits: str = "") -> tuple[int, str]:
        """Runs the night under limits of the shell, such as `ulimit -n 24`."""
        words = ("nightly", GOOD[0], ODD, GOOD[1], "--catalog", self.root / "three.yaml")
        settings = {
            "BLINDZONE_DATA": str(self.root / "data"),
            "BLINDZONE_WORKSPACE": str(self.root / "workspace"),
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        run = subprocess.run(
            ["bash", "-c", f'{limits}\nexec "$@"', "--", sys.executable, "-c", NIGHT]
            + [str(word) for word in (*words, "--passes", 2, "--no-pictures")],
            env=os.environ | settings,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        return run.returncode, run.stdout + run.stderr

    def made(self) -> set[str]:
        products = (self.root / "workspace/products").glob("*.nc")
        return {path.name.removesuffix(f"_{FIRST:%Y%m%d}_blindzone.nc") for path in products}


@pytest.fixture
def night(tmp_path: Path) -> Night:
    station = make_station(tmp_path, 1, hours=0.2)
    text = station.catalog.read_text()
    entry = text[text.index(f"  {SOURCE}:") :]
    entries = [entry.replace(SOURCE, name) for name in (GOOD[0], ODD, GOOD[1])]
    (tmp_path / "three.yaml").write_text("\n".join(["version: 1", "sources:", *entries]))
    for name in (ODD, *GOOD):
        shutil.copytree(tmp_path / "data" / SOURCE, tmp_path / "data" / name)
    return Night(tmp_path)


def ask_for_memory(night: Night) -> None:
    """Seven hundred kilobytes that ask for terabytes."""
    with h5py.File(night.odd_file, "r+") as file:
        attributes = dict(file["Zh"].attrs)
        del file["Zh"]
        huge = file.create_dataset("Zh", shape=(10**6, 10**6), dtype="f4", chunks=(1000, 1000))
        huge.attrs["units"] = attributes["units"]


def quote_megabytes(night: Night) -> None:
    """Units of eight megabytes."""
    with h5py.File(night.odd_file, "r+") as file:
        file.create_dataset("units_text", data=0)
        file["Zh"].attrs.pop("units")
        file["Zh"].attrs.create("units", "x" * 60_000)


def cut_short(night: Night) -> None:
    night.odd_file.write_bytes(night.odd_file.read_bytes()[:5000])


def plant_checkpoint(night: Night) -> None:
    """The source's own network, whose record unpacks to 3 GB."""
    path = night.root / "workspace" / "checkpoints" / f"{ODD}.keras"
    path.parent.mkdir(parents=True)
    shutil.copyfile(SHIPPED_WEIGHTS, path)
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("blindzone.json", "w", force_zip64=True) as member,
    ):
        for _ in range(300):
            member.write(b" " * 10**7)


@pytest.mark.parametrize(
    "harm", [ask_for_memory, quote_megabytes, cut_short, plant_checkpoint], ids=lambda f: f.__name__
)
def test_other_sources_are_done_whatever_one_holds(
    night: Night, harm: Callable[[Night], None]
) -> None:
    harm(night)
    code, output = night.run()
    assert code == REFUSED, output
    assert night.made() == set(GOOD)
    assert "Traceback" not in output
    assert max(map(len, output.splitlines())) < 6000


@pytest.mark.parametrize("limits", ["ulimit -n 24", "ulimit -v 6000000"])
def test_sound_sources_are_done_where_something_is_scarce(night: Night, limits: str) -> None:
    ask_for_memory(night)
    code, output = night.run(limits)
    assert code == REFUSED, output
    assert night.made() == set(GOOD)


def test_night_without_memory_for_a_network_ingests_and_names_each_day(night: Night) -> None:
    # TensorFlow's libraries alone do not fit into 1.5 GB of address space.
    cut_short(night)
    code, output = night.run("ulimit -v 1500000")
    assert code == REFUSED, output
    assert "Traceback" not in output
    assert night.made() == set()
    archive = Archive(night.root / "workspace" / "archive")
    for source in GOOD:
        assert archive.days(source) == (FIRST,)
        assert f"failed: {source} {FIRST}: it needs more memory than there is" in output
    assert f"rejected: {ODD} {FIRST} {file_name(FIRST)}: " in output
    assert night.run()[0] == REFUSED
    assert night.made() == set(GOOD)
