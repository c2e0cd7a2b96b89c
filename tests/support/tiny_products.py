"""A product of six profiles and eight rows, three of them filled: every case once."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import xarray as xr

from blindzone.pipeline.curtains.curtain import DetectionStatus
from blindzone.pipeline.curtains.flags import OutOfRangeFlag
from blindzone.pipeline.curtains.gridding import Grid
from blindzone.pipeline.curtains.hidden import find_kinds
from blindzone.pipeline.inpainting.fill_mask import FillMask
from blindzone.pipeline.inpainting.predictive_distribution import (
    summarize_distribution,
)
from blindzone.pipeline.products.members import add_members
from blindzone.pipeline.products.product import build_product
from blindzone.pipeline.products.provenance import Provenance

SOURCE, DAY = "station", date(2021, 3, 14)
PROFILES, ROWS, HIDDEN = 6, 8, 3
SAMPLES = 8
FLOOR = -30.0
NO_DATA_PROFILE = 5
CLEAR_PROFILE = 1


def make_provenance(**changes: Any) -> Provenance:
    values: dict[str, Any] = {
        "source": "station",
        "day": date(2021, 3, 14),
        "target": "cd" * 32,
        "title": "A cloud radar at a station",
        "instrument": "95 GHz cloud radar",
        "site": "A station",
        "licence": "CC BY 4.0",
        "references": "A reference",
        "simulated": False,
        "source_files": (("20210314_station.nc", "ab" * 32), ("20210314_station_2.nc", "cd" * 32)),
        "source_file_uuids": ("00000000-0000-0000-0000-000000000001",),
        "checkpoint_sha256": "ef" * 32,
        "passes": 20,
        "seed": 7,
        "software_version": "0.1.0",
        "configuration": {"depth": 4, "days": ["2021-03-14"]},
        "created": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    }
    return Provenance(**(values | changes))


def make_curtain(profiles: int = PROFILES) -> xr.Dataset:
    """Echo in the even profiles, none in the odd ones, no data in profile 5; row 0 untrusted."""
    rng = np.random.default_rng(0)
    times = np.datetime64("2021-03-14T00:00:04.5", "ns") + np.arange(profiles) * np.timedelta64(
        9_001, "ms"
    )
    echo = np.broadcast_to(np.arange(profiles)[:, None] % 2 == 0, (profiles, ROWS))
    status = np.where(echo, DetectionStatus.ECHO, DetectionStatus.NO_ECHO).astype(np.int8)
    status[:, 0] = DetectionStatus.UNTRUSTED
    status[NO_DATA_PROFILE] = DetectionStatus.NO_DATA
    status[2, ROWS - 1] = DetectionStatus.NO_DATA  # one pixel lost, the profile still usable
    reflectivity = np.where(echo, rng.normal(-10, 8, (profiles, ROWS)), np.nan).astype(np.float32)
    reflectivity[status == DetectionStatus.NO_DATA] = np.nan
    heights = (np.arange(ROWS) + 0.5) * 78.125
    site = {"latitude": 48.716, "longitude": 2.212, "altitude": 156.0}
    return xr.Dataset(
        {
            "reflectivity": (("time", "height"), reflectivity),
            "detection_status": (("time", "height"), status),
        },
        {"time": times, "height": heights, **site},
    )


def make_fill(curtain: xr.Dataset) -> xr.Dataset:
    """Echo of about -10 dBZ, nearly certain in even profiles and very unlikely in odd ones."""
    profiles = curtain.sizes["time"]
    intensity = np.random.default_rng(1).normal(-10, 3, (profiles, HIDDEN, 20))
    probability = np.where(np.arange(profiles)[:, None] % 2 == 0, 0.99, 0.01) * np.ones((1, HIDDEN))
    fill = summarize_distribution(probability, intensity.astype(np.float32), floor_dbz=FLOOR)
    return fill.assign_coords(time=curtain["time"], height=curtain["height"][:HIDDEN])


def make_mask(curtain: xr.Dataset, hidden_rows: int = HIDDEN, untrusted_rows: int = 0) -> FillMask:
    """What is filled of a curtain whose lowest rows are hidden, by a network made for just that."""
    heights = curtain["height"].values
    grid = Grid(rows=heights.size, row_depth_m=float(heights[1] - heights[0]))
    return FillMask(
        kinds=find_kinds(curtain, grid, hidden_rows),
        least_rows=hidden_rows,
        most_rows=hidden_rows,
        untrusted_rows=untrusted_rows,
    )


def make_assessment(curtain: xr.Dataset) -> xr.Dataset:
    """Another band; profile 2 unlike what was seen; nothing to say of the profile without data."""
    flag = np.full(curtain.sizes["time"], OutOfRangeFlag.BAND_DIFFERS, dtype=np.int16)
    score = np.linspace(0, 0.9, flag.size, dtype=np.float32)
    flag[2], score[2] = OutOfRangeFlag.BAND_DIFFERS | OutOfRangeFlag.PROFILE_UNLIKE_TRAINING, 1.5
    flag[NO_DATA_PROFILE], score[NO_DATA_PROFILE] = (
        OutOfRangeFlag.BAND_DIFFERS | OutOfRangeFlag.NO_VISIBLE_DATA,
        np.nan,
    )
    variables = {"out_of_range_flag": ("time", flag), "out_of_range_score": ("time", score)}
    return xr.Dataset(variables, {"time": curtain["time"]})


def make_assessed(assessment: xr.Dataset | None = None) -> xr.Dataset:
    curtain = make_curtain()
    return build_product(
        curtain,
        make_fill(curtain),
        mask=make_mask(curtain),
        blind_zone_top_m=HIDDEN * 78.125,
        floor_dbz=FLOOR,
        provenance=make_provenance(),
        assessment=make_assessment(curtain) if assessment is None else assessment,
    )


def make_product(
    *, with_realizations: bool = False, lazily: bool = False, **changes: Any
) -> xr.Dataset:
    curtain = make_curtain()
    product = build_product(
        curtain,
        make_fill(curtain),
        mask=make_mask(curtain),
        blind_zone_top_m=HIDDEN * 78.125,
        floor_dbz=FLOOR,
        provenance=make_provenance(**changes),
        lazily=lazily,
    )
    return add_members(product, SAMPLES, seed=1) if with_realizations else product


def set_pixel(product: xr.Dataset, name: str, index: tuple[Any, ...], value: float) -> xr.Dataset:
    """Returns a copy of a product with one value, or several, replaced."""
    out = product.copy(deep=True)
    out[name].values[index] = value
    return out
