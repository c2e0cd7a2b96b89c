"""A day of model state put on a day of gridded profiles, against one plain copy of what comes out.

Run `python benchmarks/state.py`; it makes its own data (25 model profiles x 137 levels on 9540
profiles x 128 rows, four fields) and prints one table. `moving` is the same on a platform whose
ground changes from profile to profile.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import xarray as xr

from blindzone.pipeline.curtains.curtain import DIMS, STATE_FIELDS
from blindzone.pipeline.curtains.state import match_state

PROFILES, ROWS = 9540, 128
MODEL_PROFILES, LEVELS = 25, 137
REPEATS = 7
MIDNIGHT = np.datetime64("2021-03-14", "ns")


def make_state() -> xr.Dataset:
    """Returns 25 hourly profiles of 137 levels, 10 m to 80 km high, which vary by hour."""
    rng = np.random.default_rng(0)
    nominal = np.geomspace(10.0, 80_000.0, LEVELS)
    gate_height = nominal * rng.uniform(0.995, 1.005, (MODEL_PROFILES, 1))
    fields = {
        name: (DIMS, rng.normal(size=gate_height.shape).astype(np.float32)) for name in STATE_FIELDS
    }
    times = MIDNIGHT + np.arange(MODEL_PROFILES) * np.timedelta64(1, "h")
    coordinates = {"time": times, "height": nominal, "altitude": 120.0}
    return xr.Dataset(fields | {"gate_height": (DIMS, gate_height)}, coordinates)


def make_curtain(*, moving: bool) -> xr.Dataset:
    """Returns the time, height and altitude of a gridded day."""
    times = MIDNIGHT + np.arange(PROFILES) * np.timedelta64(9_001, "ms")
    altitude = ("time", np.linspace(0.0, 500.0, PROFILES)) if moving else 156.0
    return xr.Dataset(
        {}, {"time": times, "height": (np.arange(ROWS) + 0.5) * 78.125, "altitude": altitude}
    )


def measure(function: Callable[[], object]) -> float:
    """Returns the median of the seconds that a function takes."""
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def main() -> None:
    """Times the copy and both matches, and prints medians and ratios."""
    state, fixed, moving = make_state(), make_curtain(moving=False), make_curtain(moving=True)
    matched = match_state(fixed, state)
    copy = measure(lambda: matched.copy(deep=True))
    print(
        f"{PROFILES} profiles x {ROWS} rows, {len(STATE_FIELDS)} fields; medians over {REPEATS}"
        " runs"
    )
    for name, curtain in (("fixed site", fixed), ("moving", moving)):
        seconds = measure(partial(match_state, curtain, state))
        print(f"{name:<12}{seconds:8.3f} s {seconds / copy:8.1f} x copying {copy:.4f} s")


if __name__ == "__main__":
    main()
