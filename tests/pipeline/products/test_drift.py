"""Drift: distances by hand, days alike and unlike, and a reference in a checkpoint's record."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from blindzone.core.errors import CurtainError
from blindzone.pipeline.archive import Archive, FileRecord
from blindzone.pipeline.curtains.blind_zone import BlindZone
from blindzone.pipeline.curtains.curtain import DetectionStatus
from blindzone.pipeline.curtains.flags import InpaintingFlag
from blindzone.pipeline.curtains.gridding import Grid
from blindzone.pipeline.network_input.preprocessing import Preprocessing
from blindzone.pipeline.products.drift import (
    LEAST_DAYS,
    REFERENCE_KEY,
    InputReference,
    find_reference,
    fit_inputs,
    make_reference,
    measure_drift,
)
from blindzone.pipeline.products.product_statistics import PRODUCT_STATISTICS

FLOOR, TOP_M, ROWS, PROFILES = -30.0, 200.0, 12, 1200
HEIGHTS = (np.arange(ROWS) + 0.5) * 100.0
# Rows 2 and 3 are low (200 to 400 m), 4 to 7 middle (400 to 800 m), 8 to 11 high (800 to 1200 m).
LOW = slice(2, 4)


def make_curtain(dbz: np.ndarray) -> xr.Dataset:
    status = np.where(np.isfinite(dbz), DetectionStatus.ECHO, DetectionStatus.NO_ECHO).astype(
        np.int8
    )
    times = np.datetime64("2021-03-14", "ns") + np.arange(len(dbz)) * np.timedelta64(9, "s")
    variables = {
        "reflectivity": (("time", "height"), dbz),
        "detection_status": (("time", "height"), status),
    }
    site = {"latitude": 48.7, "longitude": 2.2, "altitude": 156.0}
    return xr.Dataset(variables, {"time": times, "height": HEIGHTS, **site})


def make_product(curtain: xr.Dataset) -> xr.Dataset:
    """What a product keeps of a curtain's inputs."""
    no_data = curtain["detection_status"].values == DetectionStatus.NO_DATA
    flag = np.where(no_data, InpaintingFlag.NO_DATA, InpaintingFlag.OBSERVED).astype(np.int8)
    fields = {
        "reflectivity_observed": curtain["reflectivity"],
        "inpainting_flag": (("time", "height"), flag),
    }
    return xr.Dataset(fields, {"height": HEIGHTS})


def make_day(share: float, dbz: float = -10.5, rows: slice = LOW) -> xr.Dataset:
    """Echo of one strength in a share of profiles and in some rows; strong in the blind zone."""
    field = np.full((PROFILES, ROWS), np.nan)
    field[: round(share * PROFILES), rows] = dbz
    field[:, :2] = 20
    return make_curtain(field)


@pytest.fixture(scope="module")
def reference() -> InputReference:
    found = fit_inputs([make_day(share) for share in (0.4, 0.5, 0.6)], top_m=TOP_M, floor_dbz=FLOOR)
    assert found is not None
    return found


def test_distance_is_in_decibels(reference: InputReference) -> None:
    # The reference has echo in half of the low pixels, 19.5 dB above the floor.
    found = measure_drift(make_product(make_day(0.5, dbz=-7.5)), reference)
    assert found["drift_low_intensity_db"] == pytest.approx(3)
    assert found["drift_low_occurrence"] == pytest.approx(0, abs=1e-6)
    assert found["drift_low_distance_db"] == pytest.approx(
        0.5 * 3, abs=0.01
    )  # half of the pixels by 3 dB
    more = measure_drift(make_product(make_day(0.8)), reference)
    assert more["drift_low_occurrence"] == pytest.approx(0.3)
    assert more["drift_low_intensity_db"] == pytest.approx(0, abs=1e-9)
    # 30 % of the pixels rise from the floor by 19.5 dB; within its decibel echo is taken as spread
    # evenly.
    assert more["drift_low_distance_db"] == pytest.approx(0.3 * 19.5, abs=0.2)
    assert set(found) | set(more) <= set(PRODUCT_STATISTICS)


def test_score_is_one_where_a_day_is_as_far_as_the_furthest_of_the_reference(
    reference: InputReference,
) -> None:
    # 40 % of echo against 55 % of the two others: 0.15 of the distance from floor to echo. 0.5 +
    # 0.15 lies so far too.
    assert measure_drift(make_product(make_day(0.65)), reference)["drift_score"] == pytest.approx(
        1, abs=0.01
    )
    assert measure_drift(make_product(make_day(0.35)), reference)["drift_score"] == pytest.approx(
        1, abs=0.01
    )
    assert measure_drift(make_product(make_day(0.5)), reference)["drift_score"] < 0.01


def test_echo_where_there_never_was_any_is_far(reference: InputReference) -> None:
    high = make_day(0.5)
    high["reflectivity"][:120, 8:] = -20
    found = measure_drift(make_product(high), reference)
    assert found["drift_score"] > 5
    assert found["drift_high_occurrence"] == pytest.approx(0.1)
    assert (
        "drift_high_intensity_db" not in found
    )  # 480 pixels are few, and there is nothing to hold them against


def test_blind_zone_weak_echo_and_lost_profiles_count_for_nothing(
    reference: InputReference,
) -> None:
    day = make_day(0.5)
    changed = make_day(0.5)
    changed["reflectivity"][:, :2] = -20
    changed["reflectivity"][:, 4:8] = -45  # weaker than the floor
    assert measure_drift(make_product(changed), reference) == measure_drift(
        make_product(day), reference
    )
    lost = day.copy(deep=True)
    lost["detection_status"][::2] = DetectionStatus.NO_DATA  # every other profile: the shares stay
    assert measure_drift(make_product(lost), reference)["drift_low_occurrence"] == pytest.approx(
        0, abs=1e-6
    )
    lost["detection_status"][:] = DetectionStatus.NO_DATA
    assert measure_drift(make_product(lost), reference) == {}


def test_other_grid_is_compared_at_the_same_heights(reference: InputReference) -> None:
    fine = make_product(make_day(0.5)).isel(height=np.repeat(np.arange(ROWS), 2))
    fine = fine.assign_coords(height=(np.arange(2 * ROWS) + 0.5) * 50.0)
    assert measure_drift(fine, reference)["drift_score"] < 0.01


def test_too_few_days_are_no_reference() -> None:
    days = [make_day(0.5)] * (LEAST_DAYS - 1)
    empty = make_day(0.5)
    empty["detection_status"][:] = DetectionStatus.NO_DATA
    assert fit_inputs([*days, empty], top_m=TOP_M, floor_dbz=FLOOR) is None
    assert fit_inputs([*days, *days], top_m=TOP_M, floor_dbz=FLOOR) is not None


def test_other_rows_are_rejected() -> None:
    with pytest.raises(
        CurtainError, match=r"curtain 2: 6 rows up to 550\.0 m; the 12 rows up to 1150\.0 m"
    ):
        fit_inputs(
            [make_day(0.5), make_day(0.5).isel(height=slice(6))], top_m=TOP_M, floor_dbz=FLOOR
        )


def test_reference_survives_json(reference: InputReference) -> None:
    text = json.dumps(reference.to_dict(), allow_nan=False)
    assert InputReference.from_dict(json.loads(text)) == reference


@pytest.mark.parametrize(
    "change",
    [
        {"shares": [[0.5] * 61] * 3},
        {"limits_db": [1.0, 0.0, 1.0]},
        {"edges_m": [200, 400]},
        {"days": 3, "more": 1},
        {"floor_dbz": float("nan")},
    ],
    ids=["shares", "limit", "edges", "unknown key", "floor"],
)
def test_damaged_reference_is_rejected(
    reference: InputReference, change: dict[str, object]
) -> None:
    with pytest.raises(CurtainError, match="input reference"):
        InputReference.from_dict(reference.to_dict() | change)


def test_message_names_the_checkpoint_and_the_key(reference: InputReference) -> None:
    with pytest.raises(
        CurtainError, match=r"the checkpoint's input reference: limits_db: 3 positive are right"
    ):
        InputReference.from_dict(reference.to_dict() | {"limits_db": [1.0, 0.0, 1.0]})


def test_reference_is_found_in_the_record_that_has_it(reference: InputReference) -> None:
    record = json.loads(json.dumps({"days": [], REFERENCE_KEY: reference.to_dict()}))
    assert find_reference(record) == reference
    assert find_reference({"days": []}) is None
    assert find_reference(None) is None


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """Three archived days with echo in 40, 50 and 60 % of the low pixels."""
    archive = Archive(tmp_path / "archive")
    for number, share in enumerate((0.4, 0.5, 0.6)):
        file = FileRecord(name=f"{number}.nc", size=12, sha256=f"{number}" * 64)
        day = make_day(share)
        shifted = day.assign_coords(time=day["time"] + np.timedelta64(number, "D"))
        floats = {"reflectivity": shifted["reflectivity"].astype(np.float32)}
        archive.upsert("station", date(2021, 3, 14 + number), {file: shifted.assign(floats)}, {})
    return archive


def test_reference_of_archived_days_is_that_of_their_curtains(
    archive: Archive, reference: InputReference
) -> None:
    preprocessing = Preprocessing(
        grid=Grid(rows=ROWS, row_depth_m=100.0),
        blind_zone=BlindZone(top_m=TOP_M, soft_rows=1),
        floor_dbz=FLOOR,
    )
    days = archive.days("station")
    assert make_reference(archive, "station", preprocessing, days) == reference
    assert make_reference(archive, "station", preprocessing, days[:2]) is None
