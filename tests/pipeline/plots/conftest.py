"""Products to be drawn: 16 rows of 250 m, the lowest 4 filled."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime

import numpy as np
import pytest
import xarray as xr
from tiny_products import make_mask

from blindzone.pipeline.curtains.curtain import DetectionStatus
from blindzone.pipeline.inpainting.predictive_distribution import (
    summarize_distribution,
)
from blindzone.pipeline.products.members import add_members
from blindzone.pipeline.products.product import build_product
from blindzone.pipeline.products.provenance import Provenance

ROWS, HIDDEN = 16, 4
PROVENANCE = Provenance(
    source="station",
    day=date(2021, 3, 14),
    target="cd" * 32,
    title="A cloud radar at a station",
    instrument="95 GHz cloud radar",
    site="A station",
    licence="CC BY 4.0",
    references="",
    simulated=False,
    source_files=(),
    source_file_uuids=(),
    checkpoint_sha256="",
    passes=5,
    seed=0,
    software_version="0.1.0",
    configuration={},
    created=datetime(2026, 1, 1, tzinfo=UTC),
)


@pytest.fixture(scope="session")
def make_product() -> Callable[..., xr.Dataset]:
    """Returns what makes a product of profiles at the given seconds of a day."""
    return _make_product


def _make_product(
    seconds: np.ndarray,
    *,
    echo_dbz: float = 0.0,
    day: str = "2021-03-14",
    samples: int = 0,
    flag: int = 0,
) -> xr.Dataset:
    """Profiles at seconds of the day, with echo of one value everywhere; NaN makes a clear day."""
    times = np.datetime64(day, "ns") + seconds.astype("timedelta64[s]")
    shape = (times.size, ROWS)
    status = DetectionStatus.NO_ECHO if np.isnan(echo_dbz) else DetectionStatus.ECHO
    curtain = xr.Dataset(
        {
            "reflectivity": (("time", "height"), np.full(shape, echo_dbz, dtype=np.float32)),
            "detection_status": (("time", "height"), np.full(shape, status, dtype=np.int8)),
        },
        {
            "time": times,
            "height": (np.arange(ROWS) + 0.5) * 250,
            "latitude": 48.7,
            "longitude": 2.2,
            "altitude": 0.0,
        },
    )
    probability = np.full((times.size, HIDDEN), 0.0 if np.isnan(echo_dbz) else 1.0)
    intensity = np.random.default_rng(0).normal(0, 3, (times.size, HIDDEN, 5)).astype(np.float32)
    fill = summarize_distribution(probability, intensity, floor_dbz=-30.0).assign_coords(time=times)
    product = build_product(
        curtain,
        fill,
        mask=make_mask(curtain, HIDDEN),
        blind_zone_top_m=1000.0,
        floor_dbz=-30.0,
        provenance=PROVENANCE,
        assessment=xr.Dataset(
            {
                "out_of_range_flag": ("time", np.full(times.size, flag, dtype=np.int16)),
                "out_of_range_score": ("time", np.zeros(times.size, dtype=np.float32)),
            },
            {"time": times},
        ),
    )
    return add_members(product, samples, seed=1) if samples else product
