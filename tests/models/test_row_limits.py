"""Rows that each stage must compute: by hand, and never more than there are."""

from __future__ import annotations

import pytest

from blindzone.models.network_config import NetworkConfig
from blindzone.models.row_limits import branch_rows, decoder_rows, encoder_rows, skip_rows


def test_decoder_rows_by_hand() -> None:
    # 128 rows, 16 predicted, kernels of 3: a stage's branches see two rows more than leave it.
    # From the finest: 16 -> branches 18; stage 1 gives 18/2 + 1 = 10 -> branches 12; stage 2: 18/4
    # -> 5 + 1, 12/2 + 1 = 7: 7 -> branches 9; stage 3: 18/8 -> 4, 12/4 -> 4, 9/2 -> 5 + 1: 6 ->
    # branches 8; bottom: 18/16 -> 3, 12/8 -> 3, 9/4 -> 4, 8/2 + 1: 5 of its 8.
    assert decoder_rows(NetworkConfig(input_rows=128, output_rows=16, depth=4, kernel_size=3)) == (
        16,
        10,
        7,
        6,
        5,
    )


@pytest.mark.parametrize("kernel_size", [1, 3, 5, 7])
@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5, 6])
def test_rows_needed_never_exceed_those_available(depth: int, kernel_size: int) -> None:
    for rows in (2**depth, 3 * 2**depth, 128 if depth <= 4 else 320):
        available = tuple(rows >> level for level in range(depth + 1))
        earlier = (0,) * (depth + 1)
        for k in range(1, rows + 1):
            config = NetworkConfig(
                input_rows=rows,
                input_profiles=2**depth,
                output_rows=k,
                depth=depth,
                kernel_size=kernel_size,
            )
            needed = decoder_rows(config)
            entering = tuple(
                branch_rows(n, config, a) for n, a in zip(needed, available, strict=True)
            )
            assert needed[0] == k
            assert all(
                1 <= n <= b <= a for n, b, a in zip(needed, entering, available, strict=True)
            )
            assert all(
                n >= e for n, e in zip(needed, earlier, strict=True)
            )  # more rows never need fewer
            earlier = needed
        assert earlier == available  # all rows need all rows


def test_encoder_rows_by_hand() -> None:
    # 64 rows, 4 predicted, depth 1, kernels of 3. Stage 0 gives 4, its branches take 6; the bottom
    # gives 6 / 2 + 1 = 4, from 5 rows after its first convolution, which take 6: 12 rows of block
    # 0 after its second convolution, 13 after its first.
    config = NetworkConfig(input_rows=64, output_rows=4, depth=1, kernel_size=3)
    assert decoder_rows(config) == (4, 4)
    assert encoder_rows(config, skip_rows(config)) == [(13, 12), (5, 4)]


def test_without_a_limit_all_rows_are_computed() -> None:
    config = NetworkConfig(input_rows=64, output_rows=4, depth=2, limit_rows=False)
    assert decoder_rows(config) == (64, 32, 16)
    assert encoder_rows(config, skip_rows(config)) == [(64, 64), (32, 32), (16, 16)]
