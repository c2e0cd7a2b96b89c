"""Which hidden pixels are filled: those of the blind zone, as deep as the network knows."""

from __future__ import annotations

import numpy as np

from blindzone.pipeline.curtains.hidden import HiddenKind
from blindzone.pipeline.inpainting.fill_mask import FillMask

_, ZONE, OUTAGE, _, _, CLUTTER, _, NO_DATA, SURFACE = list(HiddenKind)[:9]


def make_mask(*profiles: list[int], most_rows: int = 3, least_rows: int = 1) -> FillMask:
    return FillMask(kinds=np.array(profiles), least_rows=least_rows, most_rows=most_rows)


def test_hidden_pixels_up_to_the_first_visible_one_are_filled() -> None:
    mask = make_mask([ZONE, ZONE, CLUTTER, 0, 0], [ZONE, 0, ZONE, NO_DATA, 0], [0, 0, 0, 0, 0])
    assert mask.depth.tolist() == [3, 1, 0]
    assert mask.filled.tolist() == [
        [True, True, True, False, False],
        [True, False, False, False, False],  # what is hidden above a visible pixel stays hidden
        [False] * 5,
    ]
    assert mask.rows == 3


def test_profiles_without_visible_data_and_too_deep_ones_are_not_filled() -> None:
    mask = make_mask([OUTAGE] * 5, [ZONE, ZONE, ZONE, NO_DATA, 0], [ZONE, 0, 0, 0, 0])
    assert mask.depth.tolist() == [5, 4, 1]
    assert mask.is_too_deep.tolist() == [False, True, False]
    assert mask.filled.any(axis=1).tolist() == [False, False, True]


def test_rows_below_the_surface_are_never_filled() -> None:
    mask = make_mask([SURFACE, ZONE, ZONE, 0, 0])
    assert mask.filled[0].tolist() == [False, True, True, False, False]


def test_network_fills_from_no_shallower_a_zone_than_it_knows() -> None:
    mask = make_mask([ZONE, 0, 0, 0, 0], [ZONE, ZONE, ZONE, 0, 0], least_rows=2)
    assert mask.network_depth.tolist() == [2, 3]
    assert mask.filled[0].tolist() == [True, False, False, False, False]


def test_nothing_to_fill_still_has_a_row() -> None:
    assert make_mask([0] * 5).rows == 1
