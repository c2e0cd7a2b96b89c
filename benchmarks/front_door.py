"""How long a newcomer waits: for the import, the help, and the first filled file of a new process.

Every number is of processes of their own, the median of several; `fill` is held against what it
cannot do without: TensorFlow's import, and the network that is opened and run.

    python benchmarks/front_door.py [FILE]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

from blindzone.pipeline.readers.simulation import write_simulated_day

REPEATS = 5
CLOCK = "import time; begun = time.perf_counter()\n"
END = "\nprint('seconds', time.perf_counter() - begun)"
FILL = """
from blindzone.flows.running import fill_data
from blindzone.models.monte_carlo import MonteCarloNetwork
spent = 0.0
def opened(path, open_network=fill_data.open_network):
    global spent
    at = time.perf_counter()
    network = open_network(path)
    spent += time.perf_counter() - at
    return network
fill_data.open_network = opened
def timed(method):
    def run(*args, **kwargs):
        global spent
        windows = method(*args, **kwargs)
        while True:
            at = time.perf_counter()
            try:
                window = next(windows)
            except StopIteration:
                return
            finally:
                spent += time.perf_counter() - at
            yield window
    return run
MonteCarloNetwork.predict = timed(MonteCarloNetwork.predict)
"""


def measure(program: str) -> float:
    """Returns the median of what a program in a process of its own prints as its seconds [s]."""
    found = []
    for _ in range(REPEATS):
        run = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        found.append(float(run.stdout.split()[-1]))
    return statistics.median(found)


def measure_help() -> float:
    """Returns the median of a whole `blindzone --help` [s], the start of Python included."""
    program = (
        "import subprocess, sys, time; begun = time.perf_counter()\n"
        "subprocess.run([sys.executable, '-c', 'from blindzone.flows.commands.cli import main;"
        " main()', '--help'], capture_output=True)"
    )
    return measure(program + END)


def main() -> None:
    """Prints one line a measurement."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(folder) / "radar.nc"
        if len(sys.argv) == 1:
            write_simulated_day(date(2000, 1, 1), path, hours=1.0, scenes=("front",))
        fill = f"import blindzone; blindzone.fill({str(path)!r})"
        rows = {
            "import blindzone": measure(CLOCK + "import blindzone" + END),
            "blindzone --help": measure_help(),
            "import tensorflow and keras": measure(CLOCK + "import tensorflow, keras" + END),
            "fill(one file), cold": measure(CLOCK + fill + END),
            "  of it, the network": measure("import time\n" + FILL + fill + "\nprint(spent)"),
        }
    for name, seconds in rows.items():
        print(f"{name:32}{seconds:8.3f} s")
    rest = rows["fill(one file), cold"] - rows["  of it, the network"]
    rest -= rows["import tensorflow and keras"]
    print(f"{'  of it, all else':32}{rest:8.3f} s")


if __name__ == "__main__":
    main()
