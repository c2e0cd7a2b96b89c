"""Products of curtains from above with all that a granule may have: none contradicts itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray as xr
from calibration_days import make_calibration
from episodes import FREQUENCY, NETWORK, ROWS, make_curtain, make_day
from tiny_products import make_provenance

from blindzone.pipeline.curtains.curtain import DetectionStatus, QualityFlag, check_curtain
from blindzone.pipeline.curtains.flags import InpaintingFlag, OutOfRangeFlag
from blindzone.pipeline.curtains.hidden import HiddenKind
from blindzone.pipeline.inpainting.applicability_fit import fit_applicability
from blindzone.pipeline.inpainting.calibration import BY_DEPTH
from blindzone.pipeline.inpainting.fill_mask import find_fill_mask
from blindzone.pipeline.inpainting.inpaint_curtain import assess_curtain
from blindzone.pipeline.inpainting.predictive_distribution import summarize_distribution
from blindzone.pipeline.network_input.preprocessing import Preprocessing
from blindzone.pipeline.products.checks import check_product
from blindzone.pipeline.products.product import build_product

DEPTH_M = NETWORK.grid.row_depth_m
PROFILES = 40


@pytest.fixture(scope="module")
def network() -> Preprocessing:
    """For zones of up to eight rows, along a track."""
    return replace(NETWORK, deepest_m=8 * DEPTH_M, outages=True, profile_spacing_m=1000.0)


@pytest.fixture(scope="module")
def record(network: Preprocessing) -> dict[str, Any]:
    """A calibration for zones of two to eight rows, and the days that it was fitted on."""
    days = [place_on_track(make_day(seed)) for seed in range(6)]
    fits = [
        {"fit": make_calibration(hidden_rows=rows, floor_dbz=network.floor_dbz).to_dict()}
        for rows in (2, 8)
    ]
    domain = fit_applicability(days, network, frequency_ghz=FREQUENCY).to_dict()
    return {BY_DEPTH: fits, "domain": domain}


def place_on_track(curtain: xr.Dataset) -> xr.Dataset:
    count = curtain.sizes["time"]
    along = 1000.0 * np.arange(count)
    return curtain.assign_coords(
        latitude=("time", along / 110_574),
        longitude=("time", (179.9 + 2e-3 * np.arange(count) + 180) % 360 - 180),
        altitude=("time", np.zeros(count)),
        along_track_distance=("time", along),
        blind_zone_top=("time", np.full(count, 3 * DEPTH_M)),
    )


def draw_granule(seed: int) -> xr.Dataset:
    """Any zone, known or not, outages, single pixels without data, and rows below the surface."""
    random = np.random.default_rng(seed)
    dbz = np.where(
        random.random((PROFILES, ROWS)) < 0.5, np.nan, random.uniform(-40, 10, (PROFILES, ROWS))
    )
    curtain = place_on_track(make_curtain(dbz))
    tops = random.uniform(0, 12, PROFILES) * DEPTH_M
    tops[random.random(PROFILES) < 0.1] = np.nan
    tops[random.random(PROFILES) < 0.1] = 2 * ROWS * DEPTH_M
    lost = random.random((PROFILES, ROWS)) < random.choice([0.0, 0.05, 0.5, 0.9], (PROFILES, 1))
    lost[random.random(PROFILES) < 0.1] = True
    flags = random.choice([0, *QualityFlag], (PROFILES, ROWS)).astype(np.uint8)
    if seed % 2:  # measured, and not emulated: nothing is seen in the zone
        lost |= np.arange(ROWS) * DEPTH_M < np.nan_to_num(tops, nan=np.inf)[:, None]
    status = np.where(lost, DetectionStatus.NO_DATA, curtain["detection_status"].values)
    curtain = curtain.assign(
        reflectivity=(("time", "height"), np.where(lost, np.nan, curtain["reflectivity"].values)),
        detection_status=(("time", "height"), status.astype(np.int8)),
        quality_flags=(("time", "height"), np.where(lost, flags, 0).astype(np.uint8)),
    ).assign_coords(blind_zone_top=("time", tops))
    check_curtain(curtain)
    return curtain


@pytest.mark.parametrize("seed", range(12))
def test_product_of_any_granule_agrees_with_itself(
    seed: int, network: Preprocessing, record: dict[str, Any]
) -> None:
    curtain = draw_granule(seed)
    mask = find_fill_mask(curtain, network)
    random = np.random.default_rng(seed)
    fill = summarize_distribution(
        random.random((PROFILES, mask.rows)).astype(np.float32),
        np.sort(random.uniform(-29, 10, (PROFILES, mask.rows, 8)).astype(np.float32)),
        floor_dbz=network.floor_dbz,
    ).assign_coords(time=curtain["time"], height=curtain["height"][: mask.rows])
    product = build_product(
        curtain,
        fill,
        mask=mask,
        blind_zone_top_m=network.blind_zone.top_m,
        floor_dbz=network.floor_dbz,
        provenance=make_provenance(),
        assessment=assess_curtain(
            curtain, network, record, mask, frequency_ghz=FREQUENCY, floor_dbz=None
        ),
    )
    check_product(product)
    flag, kinds = product["inpainting_flag"].values, product["hidden_kind"].values
    # A pixel that was hidden is filled or without data, and never clear.
    observed = flag == InpaintingFlag.OBSERVED
    np.testing.assert_array_equal(observed, kinds == HiddenKind.VISIBLE)
    assert np.isnan(product["reflectivity"].values[flag == InpaintingFlag.NO_DATA]).all()
    empty = (flag == InpaintingFlag.NO_DATA).all(axis=1)
    sightless = product["out_of_range_flag"].values & OutOfRangeFlag.NO_VISIBLE_DATA > 0
    assert sightless[empty].all()
