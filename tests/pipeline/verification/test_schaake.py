"""The Schaake shuffle."""

from __future__ import annotations

import numpy as np

from blindzone.pipeline.verification.schaake import WINDOW_PROFILES, SchaakeShuffle, cut_windows


def test_levels_follow_the_ranks_of_the_most_similar_windows() -> None:
    schaake = SchaakeShuffle()
    random = np.random.default_rng(0)
    hidden = random.normal(size=(5, WINDOW_PROFILES, 3))
    # Of five days the visible part is 0, 10, 20, 30 and 40 dBZ; 11 dBZ is nearest to the second,
    # third and first.
    for day, field in enumerate(hidden):
        schaake.fit(np.full((WINDOW_PROFILES, 8), 10.0 * day), field)
    levels = schaake.draw_levels(np.full((WINDOW_PROFILES, 8), 11.0), 3, 3)
    nearest = hidden[[1, 2, 0]]
    ranks = np.argsort(np.argsort(nearest, axis=0), axis=0)
    np.testing.assert_allclose(levels, (ranks + 0.5) / 3)


def test_without_echo_the_window_with_most_of_it_ranks_highest_throughout() -> None:
    schaake = SchaakeShuffle()
    for strongest in (-30.0, 5.0):
        field = np.full((WINDOW_PROFILES, 2), -30.0)
        field[0, 0] = strongest
        schaake.fit(np.full((WINDOW_PROFILES, 8), -30.0), field)
    levels = schaake.draw_levels(np.full((WINDOW_PROFILES, 8), -30.0), 2, 2)
    assert (levels[0] == 0.25).all()
    assert (levels[1] == 0.75).all()


def test_the_last_window_of_a_day_may_be_shorter() -> None:
    windows = cut_windows(WINDOW_PROFILES + 5)
    assert [window.stop - window.start for window in windows] == [WINDOW_PROFILES, 5]
