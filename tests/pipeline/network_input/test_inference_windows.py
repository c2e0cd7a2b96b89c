"""Windows of a stretch, and the way back: any field that is cut is blended into itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindzone.core.errors import WindowError
from blindzone.pipeline.network_input.inference_windows import (
    blend_in_order,
    blend_windows,
    cut_windows,
    find_stretches,
    pick_windows,
)

lengths = st.integers(1, 400)
widths = st.integers(1, 40).map(lambda half: 2 * half)


@given(lengths, widths)
def test_every_profile_is_covered_by_two_windows_that_weigh_one_together(
    length: int, width: int
) -> None:
    covered, weight = np.zeros(length), np.zeros(length)
    for window in cut_windows(length, width):
        position = window.start + np.arange(width)
        inside = (position >= 0) & (position < length)
        covered[position[inside]] += 1
        weight[position[inside]] += window.weights[inside]
    assert (covered == 2).all()
    # sin2(x) + sin2(x + pi/2) = 1: a raised cosine and itself half a width further on.
    np.testing.assert_allclose(weight, 1, rtol=1e-12)


@given(lengths, widths)
def test_columns_show_their_own_profile_inside_and_its_mirror_image_outside(
    length: int, width: int
) -> None:
    for window in cut_windows(length, width):
        assert window.indices.shape == window.weights.shape == (width,)
        assert ((window.indices >= 0) & (window.indices < length)).all()
        assert ((window.weights > 0) & (window.weights <= 1)).all()
        position = window.start + np.arange(width)
        inside = (position >= 0) & (position < length)
        assert np.array_equal(window.indices[inside], position[inside])
        if length > 1:
            # Neighbours stay neighbours: the mirror image has no jump and does not double the end.
            assert (np.abs(np.diff(window.indices)) == 1).all()
        beyond = (position >= length) & (position <= 2 * (length - 1))
        assert np.array_equal(window.indices[beyond], 2 * (length - 1) - position[beyond])


def test_windows_of_a_short_stretch_by_hand() -> None:
    # Three profiles, width 4, step 2: windows begin at -2, 0 and 2; positions -2, -1 mirror to 2, 1
    # and 3, 4, 5 to 1, 0, 1.
    windows = cut_windows(3, 4)
    assert [window.start for window in windows] == [-2, 0, 2]
    assert [window.indices.tolist() for window in windows] == [
        [2, 1, 0, 1],
        [0, 1, 2, 1],
        [2, 1, 0, 1],
    ]
    # 0.5 - 0.5 cos(2 pi (i + 0.5) / 4) with cos(pi / 4) = 0.70711.
    assert windows[0].weights == pytest.approx([0.146447, 0.853553, 0.853553, 0.146447], abs=1e-6)


@given(lengths, widths, st.integers(0, 2**32 - 1))
def test_any_field_is_blended_into_itself(length: int, width: int, seed: int) -> None:
    field = np.random.default_rng(seed).normal(0, 100, (length, 2, 3)).astype(np.float32)
    windows = cut_windows(length, width)
    blended = blend_windows(((window, field[window.indices]) for window in windows), length)
    assert blended.dtype == np.float32
    # The mean of two equal numbers in double precision is off by some 1e-16; single precision
    # rounds that away.
    assert np.array_equal(blended, field)


@given(lengths, widths, st.floats(-1e3, 1e3, width=32))
def test_constant_stays_constant(length: int, width: int, value: float) -> None:
    windows = cut_windows(length, width)
    blended = blend_windows(((window, np.full((width, 1), value)) for window in windows), length)
    assert (blended == np.float32(value)).all()


@given(lengths, widths, st.randoms(use_true_random=False))
def test_order_of_the_windows_does_not_matter(length: int, width: int, random: object) -> None:
    windows = list(cut_windows(length, width))
    rng = np.random.default_rng(0)
    answers = [(window, rng.normal(size=(width, 2))) for window in windows]
    shuffled = list(answers)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    np.testing.assert_allclose(
        blend_windows(iter(answers), length),
        blend_windows(iter(shuffled), length),
        rtol=1e-6,
        atol=1e-7,
    )


@given(lengths, widths, st.integers(1, 450))
def test_parts_blended_in_order_are_the_whole_bit_by_bit(
    length: int, width: int, least: int
) -> None:
    random = np.random.default_rng(length)
    answers = [(window, random.normal(size=(width, 2))) for window in cut_windows(length, width)]
    parts = list(blend_in_order(iter(answers), length, least))
    assert np.array_equal(np.concatenate(parts), blend_windows(iter(answers), length))
    assert all(least <= len(part) < least + width for part in parts[:-1])


def test_disagreeing_windows_are_weighed() -> None:
    # One profile, width 2: columns 1 of the first and 0 of the second window show it, each with
    # weight 0.5.
    first, second = cut_windows(1, 2)
    answers = [(first, np.array([[9.0], [1.0]])), (second, np.array([[4.0], [9.0]]))]
    assert blend_windows(iter(answers), 1).tolist() == [[2.5]]


@given(lengths, widths, st.integers(0, 2**32 - 1))
def test_any_field_is_picked_as_it_is(length: int, width: int, seed: int) -> None:
    field = np.random.default_rng(seed).normal(0, 100, (length, 2, 3)).astype(np.float32)
    picked = pick_windows(
        ((window, field[window.indices]) for window in cut_windows(length, width)), length
    )
    assert picked.dtype == np.float32
    assert np.array_equal(picked, field)


@given(lengths, widths)
def test_a_profile_is_picked_from_the_window_in_which_it_weighs_most(
    length: int, width: int
) -> None:
    windows = cut_windows(length, width)
    answers = [(window, np.full((width, 1), number)) for number, window in enumerate(windows)]
    weights = np.zeros((len(windows), length))
    for number, window in enumerate(windows):
        position = window.start + np.arange(width)
        inside = (position >= 0) & (position < length)
        weights[number, position[inside]] = window.weights[inside]
    # argmax takes the first of equal ones, too.
    assert np.array_equal(pick_windows(iter(answers), length)[:, 0], weights.argmax(axis=0))


def test_picked_profiles_of_disagreeing_windows_by_hand() -> None:
    # Three profiles, width 4: windows begin at -2, 0 and 2 and weigh 0.15, 0.85, 0.85, 0.15.
    # Profile 0 is column 2 of the first (0.85) and 0 of the second (0.15), profiles 1 and 2 are
    # columns 1 and 2 of the second.
    answers = [
        (window, np.full((4, 1), value))
        for window, value in zip(cut_windows(3, 4), (10, 20, 30), strict=True)
    ]
    assert pick_windows(iter(answers), 3)[:, 0].tolist() == [10, 20, 20]


def test_wide_window_of_one_profile_shows_it_everywhere() -> None:
    assert {index for window in cut_windows(1, 8) for index in window.indices.tolist()} == {0}


@pytest.mark.parametrize(("length", "width"), [(0, 4), (-1, 4), (5, 0), (5, 3), (5, -2)])
def test_impossible_windows_are_refused_with_what_was_asked(length: int, width: int) -> None:
    with pytest.raises(WindowError, match=f"found {length} profiles and width {width}"):
        cut_windows(length, width)


def test_profiles_that_no_window_covers_are_counted() -> None:
    # The first window of ten profiles begins at -2 and covers profiles 0 and 1 alone.
    window = cut_windows(10, 4)[0]
    for join in (
        blend_windows,
        pick_windows,
        lambda answers, length: list(blend_in_order(answers, length)),
    ):
        with pytest.raises(WindowError, match="8 of 10 profiles are covered by no window"):
            join(iter([(window, np.zeros((4, 1)))]), 10)
        with pytest.raises(WindowError, match="10 of 10 profiles are covered by no window"):
            join(iter([]), 10)


def seconds(*values: float) -> np.ndarray:
    return np.datetime64("2021-03-14", "ns") + np.array(
        [round(1e9 * value) for value in values], dtype="timedelta64[ns]"
    )


def test_stretch_ends_where_a_gap_is_longer_than_allowed() -> None:
    # Gaps of 120 s (allowed) and 120.001 s (longer).
    times = seconds(0, 9, 129, 138, 258.001, 267)
    assert find_stretches(times, longest_gap_s=120) == (slice(0, 4), slice(4, 6))


def test_single_profile_is_a_stretch() -> None:
    assert find_stretches(seconds(5), longest_gap_s=120) == (slice(0, 1),)
    assert find_stretches(seconds(0, 1000, 2000), longest_gap_s=120) == (
        slice(0, 1),
        slice(1, 2),
        slice(2, 3),
    )


@given(st.lists(st.floats(0.01, 500), max_size=60), st.floats(1, 400))
def test_stretches_partition_the_time_axis(steps: list[float], longest_gap_s: float) -> None:
    times = seconds(*np.cumsum([0, *steps]))
    stretches = find_stretches(times, longest_gap_s=longest_gap_s)
    assert [i for stretch in stretches for i in range(stretch.start, stretch.stop)] == list(
        range(times.size)
    )
    for stretch in stretches:
        assert (np.diff(times[stretch]) / np.timedelta64(1, "s") <= longest_gap_s).all()
    for stretch in stretches[1:]:
        assert (times[stretch.start] - times[stretch.start - 1]) / np.timedelta64(
            1, "s"
        ) > longest_gap_s
