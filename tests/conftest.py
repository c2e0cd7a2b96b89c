"""What the tests share: synthetic curtains, a simulated file, and the way to the measured data."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import date
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import xarray as xr

from blindzone.pipeline.curtains.curtain import DetectionStatus
from blindzone.pipeline.readers.simulation import write_simulated_day

REPOSITORY = Path(__file__).resolve().parents[1]
DAY = date(2021, 3, 14)
MEASURED = Path(os.environ.get("BLINDZONE_DATA") or REPOSITORY.parent / "shared" / "data")
"""Measured data: what `BLINDZONE_DATA` named when the tests began, else next to the checkout."""

# The same examples in every run, and no clock: a busy machine is no failure.
hypothesis.settings.register_profile("blindzone", derandomize=True, deadline=None, max_examples=50)
hypothesis.settings.load_profile("blindzone")

# No test switches the power off, and to wait for the disk is most of the time of many.
os.fsync = lambda descriptor: None

MakeCurtain = Callable[..., xr.Dataset]


def build_curtain(
    day: date = DAY, *, profiles: int = 300, rows: int = 16, seed: int = 0, cloudy: bool = True
) -> xr.Dataset:
    """A gridded canonical curtain.

    Profiles are 9.001 s apart, rows 78.125 m deep. Forty profiles with echo (-25 to 5 dBZ) in all
    but the four highest rows take turns with forty clear ones. The lowest row is untrusted, and the
    highest pixel of profile 3 has no data.
    """
    rng = np.random.default_rng(seed)
    echo = np.zeros((profiles, rows), dtype=bool)
    if cloudy:
        echo[np.arange(profiles) // 40 % 2 == 0, : rows - 4] = True
    status = np.where(echo, DetectionStatus.ECHO, DetectionStatus.NO_ECHO).astype(np.int8)
    status[:, 0] = DetectionStatus.UNTRUSTED
    status[3, -1] = DetectionStatus.NO_DATA
    dbz = np.where(echo, rng.uniform(-25, 5, (profiles, rows)), np.nan).astype(np.float32)
    velocity = np.where(echo, rng.uniform(-3, 1, (profiles, rows)), np.nan).astype(np.float32)
    midnight = np.datetime64(day, "ns")
    dims = ("time", "height")
    return xr.Dataset(
        {
            "reflectivity": (dims, dbz),
            "detection_status": (dims, status),
            "doppler_velocity": (dims, velocity),
        },
        {
            "time": (
                midnight
                + np.timedelta64(4_503, "ms")
                + np.arange(profiles) * np.timedelta64(9_001, "ms")
            ),
            "height": (np.arange(rows) + 0.5) * 78.125,
            "latitude": 48.716,
            "longitude": 2.212,
            "altitude": 156.0,
        },
    )


@pytest.fixture(scope="session")
def make_curtain() -> MakeCurtain:
    """Makes gridded curtains of any day, length and height."""
    return build_curtain


@pytest.fixture
def curtain() -> xr.Dataset:
    """A gridded curtain with echo, clear sky, an untrusted row and a pixel without data."""
    return build_curtain()


@pytest.fixture(scope="session")
def simulated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two simulated hours, a front and then clear sky, in the Cloudnet Level 1b layout."""
    path = tmp_path_factory.mktemp("simulated") / "20000101_simulated.nc"
    write_simulated_day(
        date(2000, 1, 1), path, hours=2, profile_step_s=30, scenes=("front", "clear")
    )
    return path


@pytest.fixture(scope="session")
def catalog_file() -> Path:
    """The catalogue that the project ships."""
    return REPOSITORY / "data_catalog.yaml"


@pytest.fixture(scope="session")
def measured_directory() -> Path:
    """The measured data; tests that need it are skipped where it is absent."""
    if not (MEASURED / "palaiseau_basta").is_dir():
        pytest.skip(
            f"no measured data: {MEASURED / 'palaiseau_basta'} is no folder; BLINDZONE_DATA can"
            " name another"
        )
    return MEASURED
