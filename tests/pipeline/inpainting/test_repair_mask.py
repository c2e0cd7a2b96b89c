"""Which holes are repaired: named by cause or shape, as far as the network was trained on them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

from blindzone.core.errors import CurtainError
from blindzone.pipeline.curtains.blind_zone import BlindZone
from blindzone.pipeline.curtains.curtain import DIMS, DetectionStatus, QualityFlag
from blindzone.pipeline.curtains.gridding import Grid
from blindzone.pipeline.curtains.hidden import REPAIRED_KINDS, HiddenKind
from blindzone.pipeline.inpainting.repair_mask import (
    LONGEST_REPAIRED,
    find_repair_mask,
    list_repaired,
)
from blindzone.pipeline.network_input.preprocessing import Preprocessing

SHAPE = (120, 16)
NO_DATA, ECHO = DetectionStatus.NO_DATA, DetectionStatus.ECHO


def make_preprocessing(*holes: str) -> Preprocessing:
    return Preprocessing(
        grid=Grid(rows=SHAPE[1], row_depth_m=100),
        blind_zone=BlindZone(top_m=300),
        floor_dbz=-30.0,
        holes=holes,
    )


ALL = make_preprocessing("outages", "lines", "shadows", "zone", "files")


def make_curtain(*missing: tuple[slice, slice], dbz: float = 0.0) -> xr.Dataset:
    """Echo everywhere but where data are missing."""
    status = np.full(SHAPE, ECHO)
    for part in missing:
        status[part] = NO_DATA
    reflectivity = np.where(status == ECHO, np.float32(dbz), np.float32(np.nan))
    variables: dict[str, Any] = {
        "reflectivity": (DIMS, reflectivity),
        "detection_status": (DIMS, status.astype(np.int8)),
    }
    return xr.Dataset(variables)


EVERY_ROW = slice(None)
OUTAGE, LINE = (slice(10, 20), EVERY_ROW), (slice(30, 60), slice(8, 10))
SHADOW = (slice(70, 100), slice(6, None))


def test_each_hole_is_named_by_its_shape_and_repaired() -> None:
    mask = find_repair_mask(make_curtain(OUTAGE, LINE, SHADOW, dbz=12.0), ALL, REPAIRED_KINDS)
    assert (mask.kinds[OUTAGE] == HiddenKind.OUTAGE).all()
    assert (mask.kinds[LINE] == HiddenKind.INTERFERENCE).all()
    assert (mask.kinds[SHADOW] == HiddenKind.ATTENUATED).all()
    assert (mask.kinds[30, :3] == HiddenKind.BLIND_ZONE).all()
    assert np.array_equal(mask.filled, mask.hidden)
    assert mask.rows == SHAPE[1]


def test_holes_of_other_kinds_stay_missing_and_hidden() -> None:
    mask = find_repair_mask(make_curtain(OUTAGE, LINE), ALL, ("lines",))
    assert mask.hidden[OUTAGE].all()
    assert not mask.filled[OUTAGE].any()
    assert mask.filled[LINE].all()
    # Without the zone it is visible.
    assert not mask.hidden[30, :3].any()


def test_outage_longer_than_any_in_training_stays_missing() -> None:
    long = (slice(0, LONGEST_REPAIRED + 1), EVERY_ROW)
    short = (slice(60, 60 + LONGEST_REPAIRED), EVERY_ROW)
    mask = find_repair_mask(make_curtain(long, short), ALL, ("outages",))
    assert (mask.kinds[long] == HiddenKind.LONG_OUTAGE).all()
    assert not mask.filled[long].any()
    assert mask.filled[short].all()


def test_tops_without_rain_below_are_no_shadow() -> None:
    mask = find_repair_mask(make_curtain(SHADOW, dbz=0.0), ALL, ("shadows",))
    assert (mask.kinds[SHADOW] == HiddenKind.NO_DATA).all()
    assert not mask.filled.any()


def test_known_cause_counts_more_than_shape() -> None:
    curtain = make_curtain(LINE)
    flags = np.zeros(SHAPE, dtype=np.uint8)
    flags[LINE] = QualityFlag.REJECTED
    mask = find_repair_mask(curtain.assign(quality_flags=(DIMS, flags)), ALL, ("other",))
    assert (mask.kinds[LINE] == HiddenKind.REJECTED).all()
    assert mask.filled[LINE].all()


def test_given_mask_hides_what_was_measured() -> None:
    given = np.zeros(SHAPE, dtype=bool)
    given[LINE] = True
    mask = find_repair_mask(make_curtain(), ALL, ("lines",), given)
    assert np.array_equal(mask.filled, given)
    with pytest.raises(CurtainError, match=r"\(120, 15\).*\(120, 16\).*right"):
        find_repair_mask(make_curtain(), ALL, ("lines",), given[:, 1:])


def test_curtain_that_is_all_hole_stays_missing() -> None:
    mask = find_repair_mask(
        make_curtain((slice(40), EVERY_ROW)).isel(time=slice(40)), ALL, REPAIRED_KINDS
    )
    assert not mask.filled.any()
    assert mask.rows == 1


def test_kind_that_was_not_trained_is_an_error_that_names_those_that_were() -> None:
    network = make_preprocessing("outages", "shapes")
    assert list_repaired(network) == ("outages", "other")
    with pytest.raises(CurtainError, match=r"lines.*outages, other is right"):
        find_repair_mask(make_curtain(), network, ("outages", "lines"))
    with pytest.raises(CurtainError, match="none is right"):
        find_repair_mask(make_curtain(), make_preprocessing(), ("outages",))
