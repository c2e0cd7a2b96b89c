"""What the network is shown and asked: nothing of the blind zone, the same after a trip through a checkpoint."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from blindzone.pipeline.blind_zone import BlindZone
from blindzone.pipeline.curtain import DetectionStatus
from blindzone.pipeline.errors import CurtainError
from blindzone.pipeline.gridding import Grid
from blindzone.pipeline.preprocessing import CHANNELS, Preprocessing
from blindzone.pipeline.scaling import ReflectivityScaling

ROWS, HIDDEN = 8, 3
NO_DATA, NO_ECHO, ECHO, CLUTTER_REMOVED, UNTRUSTED = DetectionStatus


def make_preprocessing(**changes: Any) -> Preprocessing:
    """Eight rows of 100 m, the lowest three hidden, the mask fading out over one row; floor at -30 dBZ."""
    values: dict[str, Any] = {
        "grid": Grid(rows=ROWS, row_depth_m=100),
        "blind_zone": BlindZone(top_m=300, soft_rows=1),
        "floor_dbz": -30.0,
    }
    return Preprocessing(**(values | changes))


def profiles(*rows: float) -> np.ndarray:
    """One profile from its rows, the lowest first."""
    return np.array([rows], dtype=np.float32)


pixels = st.floats(-70, 40, width=32) | st.just(np.nan) | st.sampled_from([np.inf, -np.inf])


def test_channels_show_scaled_echo_mask_and_height() -> None:
    nan = np.nan
    shown = make_preprocessing().show(profiles(5, 5, 5, -15, -40, nan, 30, -30))
    assert shown.shape == (1, ROWS, len(CHANNELS))
    assert shown.dtype == np.float32
    reflectivity, mask, height = (shown[0, :, channel].tolist() for channel in range(3))
    # Hidden rows repeat the lowest visible one: -15 dBZ is 0.25 units. -40 and -30 dBZ do not exceed the floor: clear.
    assert reflectivity == [0.25, 0.25, 0.25, 0.25, -1, -1, 1, -1]
    # 1 - k / (1 + 1) for the row k = 1 above the blind zone.
    assert mask == [1, 1, 1, 0.5, 0, 0, 0, 0]
    # Centres at 50, 150, ... 750 m of 800 m.
    assert height == [0.0625, 0.1875, 0.3125, 0.4375, 0.5625, 0.6875, 0.8125, 0.9375]


@given(
    hnp.arrays(np.float32, (4, ROWS), elements=st.floats(-70, 40, width=32) | st.just(np.nan)),
    hnp.arrays(np.float32, (4, HIDDEN), elements=pixels),
)
def test_nothing_of_the_blind_zone_is_ever_shown(dbz: np.ndarray, hidden: np.ndarray) -> None:
    preprocessing = make_preprocessing()
    other = dbz.copy()
    other[:, :HIDDEN] = hidden
    assert np.array_equal(preprocessing.show(dbz), preprocessing.show(other))


def test_what_lies_above_the_blind_zone_is_shown() -> None:
    preprocessing = make_preprocessing()
    dbz = np.full((1, ROWS), -10, dtype=np.float32)
    for row in range(HIDDEN, ROWS):
        other = dbz.copy()
        other[0, row] = 10
        assert not np.array_equal(preprocessing.show(dbz), preprocessing.show(other))


@given(hnp.arrays(np.float32, (5, ROWS), elements=st.floats(-70, 40, width=32) | st.just(np.nan)))
def test_profiles_are_shown_one_by_one(dbz: np.ndarray) -> None:
    # So that a stretch may be shown before it is cut into windows.
    preprocessing = make_preprocessing()
    together = preprocessing.show(dbz)
    alone = np.concatenate([preprocessing.show(dbz[i : i + 1]) for i in range(len(dbz))])
    assert np.array_equal(together, alone)


def test_showing_and_answering_leave_the_arguments_alone() -> None:
    dbz = np.array([[5, -40, np.nan, -15, 0, 0, 0, 0]], dtype=np.float32)
    status = np.full(dbz.shape, ECHO, dtype=np.int8)
    before = dbz.copy()
    make_preprocessing().show(dbz)
    make_preprocessing().answer(dbz, status)
    assert np.array_equal(dbz, before, equal_nan=True)
    assert (status == ECHO).all()


def test_answer_holds_occurrence_and_intensity_of_the_hidden_rows() -> None:
    dbz = profiles(-15, -40, np.nan, 7, 7, 7, 7, 7)
    status = np.array([[ECHO, ECHO, NO_ECHO, *[ECHO] * 5]], dtype=np.int8)
    answer = make_preprocessing().answer(dbz, status)
    # (echo, trusted): -40 dBZ is below the floor, so no echo.
    assert answer["occurrence"].tolist() == [[[1, 1], [0, 1], [0, 1]]]
    # (network units, counts): -15 dBZ is 0.25; where there is no echo there is no intensity to learn.
    assert answer["intensity"].tolist() == [[[0.25, 1], [0, 0], [0, 0]]]
    assert {values.dtype for values in answer.values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    ("status", "dbz", "occurrence", "intensity"),
    [
        (ECHO, -15.0, [1, 1], [0.25, 1]),
        (NO_ECHO, np.nan, [0, 1], [0, 0]),
        (CLUTTER_REMOVED, np.nan, [0, 1], [0, 0]),
        (UNTRUSTED, -15.0, [1, 0], [0.25, 0]),  # measured, and masked
        (UNTRUSTED, np.nan, [0, 0], [0, 0]),
        (NO_DATA, np.nan, [0, 0], [0, 0]),
    ],
)
def test_truth_counts_where_it_is_trusted(
    status: DetectionStatus, dbz: float, occurrence: list[float], intensity: list[float]
) -> None:
    answer = make_preprocessing().answer(
        np.full((1, ROWS), dbz, dtype=np.float32), np.full((1, ROWS), status, dtype=np.int8)
    )
    assert answer["occurrence"].tolist() == [[occurrence] * HIDDEN]
    assert answer["intensity"].tolist() == [[intensity] * HIDDEN]


@pytest.mark.parametrize(
    ("lowest_trusted_m", "rows"),
    [
        (0, 0),
        (100, 1),
        (101, 2),  # the row from 100 m on is not wholly above
        (5000, 2),  # one hidden row is always left
    ],
)
def test_untrusted_rows_leave_one_hidden_row(lowest_trusted_m: float, rows: int) -> None:
    assert make_preprocessing(lowest_trusted_m=lowest_trusted_m).untrusted_rows == rows


def test_everything_comes_back_through_json() -> None:
    preprocessing = make_preprocessing(
        lowest_trusted_m=234.0, scaling=ReflectivityScaling(lowest_dbz=-50.0), window_profiles=64
    )
    assert Preprocessing.from_dict(json.loads(json.dumps(preprocessing.to_dict()))) == preprocessing


def test_reading_leaves_the_content_alone() -> None:
    content = make_preprocessing().to_dict()
    Preprocessing.from_dict(content)
    assert content == make_preprocessing().to_dict()


def test_other_channels_are_refused_with_both() -> None:
    content = make_preprocessing().to_dict() | {"channels": ["reflectivity", "temperature"]}
    with pytest.raises(
        CurtainError, match=r"made for the channels \('reflectivity', 'temperature'\); this version makes"
    ):
        Preprocessing.from_dict(content)


@pytest.mark.parametrize(
    "change",
    [{"grid": {"layers": 3}}, {"grid": None}, {"pressure": 1}, {"floor_dbz": None, "scaling": 7}],
    ids=["unknown key inside", "no mapping", "unknown key", "a number for a mapping"],
)
def test_content_of_another_kind_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(CurtainError, match="preprocessing is not understood"):
        Preprocessing.from_dict(make_preprocessing().to_dict() | change)


def test_content_that_lacks_a_part_is_refused() -> None:
    content = make_preprocessing().to_dict()
    del content["blind_zone"]
    with pytest.raises(CurtainError, match="preprocessing is not understood: 'blind_zone'"):
        Preprocessing.from_dict(content)
