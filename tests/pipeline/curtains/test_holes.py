"""Holes: their kind by their shape, and a first guess from what is visible around them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from blindzone.pipeline.curtains.hidden import HiddenKind
from blindzone.pipeline.curtains.holes import (
    LEAST_LINE_PROFILES,
    PROFILES_PER_ROW,
    THIN_ROWS,
    classify_holes,
    find_heavy,
    guess_hidden,
    measure_distance,
)

SHAPE = (60, 32)
CLEAR, LIMIT = -1.0, -0.5


def hide(*parts: tuple[slice | int, slice | int]) -> np.ndarray:
    mask = np.zeros(SHAPE, dtype=bool)
    for part in parts:
        mask[part] = True
    return mask


def guess(values: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    return guess_hidden(values.astype(np.float32), hidden, absent=CLEAR, least_echo=LIMIT)


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        ((slice(10, 15), slice(None)), HiddenKind.OUTAGE),
        ((slice(None), slice(5)), HiddenKind.BLIND_ZONE),
        ((slice(5, 40), slice(12, 12 + THIN_ROWS)), HiddenKind.INTERFERENCE),
        ((slice(5, 40), slice(12, 13 + THIN_ROWS)), HiddenKind.NO_DATA),
        ((slice(5, 5 + LEAST_LINE_PROFILES - 1), slice(12, 13)), HiddenKind.NO_DATA),
        ((slice(20, 45), slice(10, None)), HiddenKind.ATTENUATED),
        ((slice(20, 45), slice(30, None)), HiddenKind.INTERFERENCE),
    ],
)
def test_shape_of_a_hole_is_its_kind(part: tuple[slice, slice], kind: HiddenKind) -> None:
    hidden = hide(part)
    kinds = classify_holes(hidden)
    assert set(kinds[hidden].tolist()) == {kind}
    assert not kinds[~hidden].any()


def test_each_pixel_has_one_kind_where_holes_cross() -> None:
    line, outage, zone = (slice(None), 15), (slice(20, 25), slice(None)), (slice(None), slice(4))
    kinds = classify_holes(hide(line, outage, zone))
    assert kinds[22, 15] == HiddenKind.OUTAGE
    assert kinds[30, 15] == HiddenKind.INTERFERENCE
    assert kinds[22, 2] == HiddenKind.OUTAGE
    assert kinds[30, 2] == HiddenKind.BLIND_ZONE


def test_slanted_line_is_a_line() -> None:
    hidden = np.zeros(SHAPE, dtype=bool)
    for profile in range(SHAPE[0]):
        hidden[profile, 8 + profile // 10 : 10 + profile // 10] = True
    assert (classify_holes(hidden)[hidden] == HiddenKind.INTERFERENCE).all()


def test_shadow_without_heavy_echo_below_has_no_known_cause() -> None:
    hidden = hide((slice(20, 40), slice(10, None)))
    reflectivity = np.full(SHAPE, -20.0)
    reflectivity[25:35, 2] = 12.0  # half of the 20 profiles
    for heavy_from, expected in ((10.0, HiddenKind.ATTENUATED), (15.0, HiddenKind.NO_DATA)):
        heavy = find_heavy(reflectivity, hidden, heavy_from)
        assert (classify_holes(hidden, heavy)[hidden] == expected).all()


def test_nothing_hidden_is_no_hole() -> None:
    values = np.zeros(SHAPE, dtype=np.float32)
    nothing = np.zeros(SHAPE, dtype=bool)
    assert not classify_holes(nothing).any()
    assert guess(values, nothing) is not None
    assert np.array_equal(guess(values, nothing), values)
    assert not measure_distance(nothing).any()


def test_guess_of_an_outage_goes_straight_between_its_edges() -> None:
    values = np.full(SHAPE, 0.2)
    values[15:] = 0.8
    found = guess(values, hide((slice(10, 15), slice(None))))
    # Profile 9 has 0.2, profile 15 has 0.8: 0.1 a profile.
    assert np.allclose(found[10:15, 0], [0.3, 0.4, 0.5, 0.6, 0.7])


def test_nearer_edge_of_an_outage_says_whether_there_is_echo() -> None:
    values = np.full(SHAPE, CLEAR)
    values[15:] = 0.8
    found = guess(values, hide((slice(10, 15), slice(None))))
    # Profile 12 is three away from both: the earlier counts.
    assert found[10:15, 0].tolist() == pytest.approx([CLEAR, CLEAR, CLEAR, 0.8, 0.8])


def test_guess_of_a_line_is_between_the_rows_beside_it() -> None:
    values = np.broadcast_to(np.arange(SHAPE[1]) / 100, SHAPE)
    assert np.allclose(guess(values, hide((slice(None), slice(10, 12)))), values)


def test_guess_of_the_blind_zone_repeats_the_row_above() -> None:
    values = np.broadcast_to(np.arange(SHAPE[1]) / 100, SHAPE)
    assert np.allclose(guess(values, hide((slice(None), slice(6))))[:, :6], 0.06)


def test_a_row_counts_as_some_profiles() -> None:
    values = np.zeros(SHAPE)
    values[:30] = 0.9  # in time
    values[:, 20] = 0.1  # above
    hidden = hide((slice(30, 50), slice(0, 20)))
    found = guess(values, hidden)
    # Row 19 is a row below the visible one, three profiles: profile 31 is two from visible ones.
    assert PROFILES_PER_ROW == 3
    assert found[31, 19] > 0.5
    assert found[40, 19] == pytest.approx(0.1)


def test_outage_amid_a_blind_zone_is_filled_from_guesses() -> None:
    values = np.full(SHAPE, 0.4)
    hidden = hide((slice(None), slice(6)), (slice(20, 25), slice(None)))
    assert np.allclose(guess(values, hidden), 0.4)


def test_curtain_that_is_all_hole_is_absent() -> None:
    hidden = np.ones(SHAPE, dtype=bool)
    assert (guess(np.full(SHAPE, np.nan), hidden) == np.float32(CLEAR)).all()
    assert np.isinf(measure_distance(hidden)).all()
    assert (classify_holes(hidden) == HiddenKind.OUTAGE).all()


def test_distance_counts_profiles() -> None:
    distance = measure_distance(hide((slice(10, 15), slice(None))))
    assert distance[9:16, 3].tolist() == [0, 1, 2, 3, 2, 1, 0]
    rows = measure_distance(hide((slice(None), slice(4))))
    assert rows[0, :5].tolist() == [12, 9, 6, 3, 0]


@given(arrays(np.bool_, (12, 8)), st.integers(0, 2**16))
def test_guess_never_depends_on_hidden_values(hidden: np.ndarray, seed: int) -> None:
    values = np.random.default_rng(seed).uniform(-1, 1, hidden.shape).astype(np.float32)
    first, second = guess(values, hidden), guess(np.where(hidden, np.nan, values), hidden)
    assert np.array_equal(first, second)
    assert np.array_equal(first[~hidden], values[~hidden])
    assert np.isfinite(first).all()
