"""Largest memory and processor time of curtains of one day, short and very long.

Each fill is a process of its own, from a file to a product: `blindzone fill` of a simulated day
whose profiles are repeated, of 240 gates. A day of a ground radar has 3,000 to 30,000 profiles.

    python benchmarks/long_day.py [--profiles 10000 100000] [--passes single 50]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from front_door import COMMAND, Cost

# In a process of its own: the largest memory of a process that is started begins with this one's.
WRITE = """
import sys
from datetime import date
from pathlib import Path
import numpy as np
import xarray as xr
from blindzone.pipeline.readers.simulation import write_simulated_day
path, profiles = Path(sys.argv[1]), int(sys.argv[2])
day = path.with_name("day.nc")
write_simulated_day(date(2000, 1, 1), day, hours=4.0)
with xr.open_dataset(day) as short:
    repeated = np.arange(profiles) % short.sizes["time"]
    long = short.isel(time=repeated, range=slice(None, None, 2)).load()
seconds = np.arange(profiles) * (86400 / profiles)
times = np.datetime64("2000-01-01", "ns") + (seconds * 1e9).astype("timedelta64[ns]")
long.assign_coords(time=times).to_netcdf(path)
"""


def main() -> None:
    """Prints a line for each length and way of passing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profiles", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--passes", nargs="+", default=["single", "50"])
    asked = parser.parse_args()
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    print(f"{'profiles':>10}{'passes':>8}{'memory MiB':>12}{'processor s':>13}{'MB':>7}")
    for profiles in asked.profiles:
        with tempfile.TemporaryDirectory() as folder:
            file, product = Path(folder) / "radar.nc", Path(folder) / "radar_blindzone.nc"
            subprocess.run((sys.executable, "-c", WRITE, str(file), str(profiles)), check=True)
            for passes in asked.passes:
                words = ("fill", str(file), "--output", folder, "--passes", passes)
                cost = Cost.of_run((*COMMAND, *words), dict(os.environ))
                size = product.stat().st_size / 1e6
                memory = cost.memory * 1e6 / 2**20
                line = f"{profiles:10}{passes:>8}{memory:12.0f}{cost.processor:13.1f}{size:7.1f}"
                print(line, flush=True)
                product.unlink()


if __name__ == "__main__":
    main()
