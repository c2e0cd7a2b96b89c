"""How long a newcomer waits, and what a command costs that has nothing to do.

Every number is of processes of their own: wall clock, processor time (user and system) and largest
resident memory, the median of several. `fill` of a new file needs TensorFlow, whose import stands
beside it. All else needs no network: help, refusals, and days whose product is there unchanged.

    python benchmarks/front_door.py [FILE]
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Self

REPEATS = 5
DAY = date(2000, 1, 1)
COMMAND = (sys.executable, "-c", "from blindzone.flows.commands.cli import main; main()")
# In a process of its own: the largest memory of a process that is started begins with this one's.
SIMULATE = """
import sys
from datetime import date
from pathlib import Path
from blindzone.pipeline.readers.simulation import write_simulated_day
day, path = date.fromisoformat(sys.argv[1]), Path(sys.argv[2])
write_simulated_day(day, path, hours=1.0, scenes=("front",))
"""
CATALOG = """
version: 1
sources:
  station: {directory: station, files: "%Y%m%d_radar.nc", reader: cloudnet_radar}
"""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one process took.

    Attributes:
        wall: Wall clock [s].
        processor: Processor time [s].
        memory: Largest resident memory [MB].
    """

    wall: float
    processor: float
    memory: float

    @classmethod
    def of_run(cls, words: Sequence[str], environment: dict[str, str]) -> Self:
        """Runs a process and returns its cost, whatever its exit status."""
        begun = time.perf_counter()
        process = subprocess.Popen(
            words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        _, _, used = os.wait4(process.pid, 0)
        return cls(
            wall=time.perf_counter() - begun,
            processor=used.ru_utime + used.ru_stime,
            memory=used.ru_maxrss * 1024 / 1e6,
        )


def measure(words: Sequence[object], environment: dict[str, str]) -> Cost:
    """Returns the medians of several runs, after one that fills caches."""
    plain = [str(word) for word in words]
    costs = [Cost.of_run(plain, environment) for _ in range(REPEATS + 1)][1:]
    return Cost(
        wall=statistics.median(cost.wall for cost in costs),
        processor=statistics.median(cost.processor for cost in costs),
        memory=statistics.median(cost.memory for cost in costs),
    )


def list_commands(folder: Path, radar: Path) -> dict[str, tuple[object, ...]]:
    """Returns what is measured, in order; each also prepares what the next ones find."""
    text = folder / "notes.txt"
    text.write_text("no radar")
    days = ("--start", DAY, "--end", DAY)
    few, filled = ("--passes", "2"), ("--output", folder / "filled")
    python = (sys.executable, "-c")
    return {
        "import blindzone": (*python, "import blindzone"),
        "import xarray": (*python, "import xarray"),
        "import tensorflow and keras": (*python, "import tensorflow, keras"),
        "--help": (*COMMAND, "--help"),
        "fill, a new file": (*COMMAND, "fill", radar, *few, *filled, "--force"),
        "fill, unchanged": (*COMMAND, "fill", radar, *few, *filled),
        "inpaint, unchanged": (*COMMAND, "inpaint", "station", *days, *few),
        "reprocess, unchanged": (*COMMAND, "reprocess", "station", *few),
        "nightly, unchanged": (*COMMAND, "nightly", "station", *few),
        "fill, no such file": (*COMMAND, "fill", folder / "none.nc"),
        "fill, file of no kind": (*COMMAND, "fill", text),
        "inspect, file of no kind": (*COMMAND, "inspect", text),
        "inpaint, wrong option": (*COMMAND, "inpaint", "station", *days, "--passes", "0"),
        "inpaint, unknown source": (*COMMAND, "inpaint", "nosuch", *days),
        "nightly, unknown source": (*COMMAND, "nightly", "nosuch"),
        "train, unknown source": (*COMMAND, "train", "nosuch"),
        "evaluate, unknown source": (*COMMAND, "evaluate", "nosuch"),
        "archive show": (*COMMAND, "archive", "show"),
    }


def main() -> None:
    """Prints one line a measurement."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        radar = folder / "station" / f"{DAY:%Y%m%d}_radar.nc"
        radar.parent.mkdir()
        subprocess.run([sys.executable, "-c", SIMULATE, str(DAY), str(radar)], check=True)
        (folder / "catalog.yaml").write_text(CATALOG)
        environment = os.environ | {
            "BLINDZONE_DATA": scratch,
            "BLINDZONE_CATALOG": str(folder / "catalog.yaml"),
            "BLINDZONE_WORKSPACE": str(folder / "workspace"),
        }
        nightly = (*COMMAND, "nightly", "station", "--passes", "2")
        subprocess.run(nightly, env=environment, check=True, capture_output=True)
        print(f"{'':28}{'wall':>8}{'processor':>11}{'resident':>11}")
        commands = list_commands(folder, Path(sys.argv[1]) if len(sys.argv) > 1 else radar)
        for name, words in commands.items():
            cost = measure(words, environment)
            print(f"{name:28}{cost.wall:6.2f} s{cost.processor:9.2f} s{cost.memory:8.0f} MB")


if __name__ == "__main__":
    main()
