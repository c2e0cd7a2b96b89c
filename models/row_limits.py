"""How many of its lowest rows each stage of the network must compute for the heads to be exact.

The heads need the blind zone alone. A convolution needs a few rows more than leave it, and an
up-sampling one more than it covers. All other rows never reach the output.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from blindzone.models.blocks import rows_before_convolution, rows_before_up_sampling
from blindzone.models.network_config import NetworkConfig


def decoder_rows(config: NetworkConfig) -> tuple[int, ...]:
    """Returns the rows that each decoder stage must give, from the finest to the bottom.

    Deep supervision needs no more: a stage's own head needs fewer rows than the finer stages do.
    """
    available = [config.input_rows >> level for level in range(config.depth + 1)]
    if not config.limit_rows:
        return tuple(available)
    needed = [config.output_rows] + [0] * config.depth
    for level in range(config.depth):
        branch = branch_rows(needed[level], config, available[level])
        for coarser in range(level + 1, config.depth + 1):
            rows = rows_before_up_sampling(branch, 2 ** (coarser - level), available[coarser])
            needed[coarser] = max(needed[coarser], rows)
    return tuple(needed)


def skip_rows(config: NetworkConfig) -> tuple[int, ...]:
    """Returns the rows of each encoder map that the decoder needs, from the finest to the bottom.

    A finer map enters coarser stages pooled.
    """
    of_decoder = decoder_rows(config)
    entering = [
        branch_rows(of_decoder[level], config, config.input_rows >> level)
        for level in range(config.depth)
    ]
    finer = [
        max(entering[stage] << (stage - level) for stage in range(level, config.depth))
        for level in range(config.depth)
    ]
    return (*finer, of_decoder[config.depth])  # the bottom is its own decoder stage


def encoder_rows(config: NetworkConfig, needed: Sequence[int]) -> list[tuple[int, int]]:
    """Returns the rows that the two convolutions of each encoder block must give.

    Args:
        config: Configuration of the network.
        needed: Rows of each block's map that the decoder needs, from the finest to the bottom.
    """
    rows: list[tuple[int, int]] = []
    below = 0  # for the block below
    for level in reversed(range(config.depth + 1)):
        available = config.input_rows >> level
        second = min(available, max(below, needed[level]))
        first = rows_before_convolution(second, config.kernel_size, available)
        rows.append((first, second))
        below = 2 * rows_before_convolution(first, config.kernel_size, available)
    return rows[::-1]


@dataclass(frozen=True, kw_only=True)
class StageRows:
    """The rows of one decoder stage of a U-shaped network.

    Attributes:
        leaving: Rows that leave its second convolution.
        between: Rows that leave its first convolution.
        joined: Rows of the maps that enter its first convolution.
        up_sampled: Rows of the up-sampled map, before it is convolved.
        coarse: Rows of the coarser stage that it is up-sampled from.
    """

    leaving: int
    between: int
    joined: int
    up_sampled: int
    coarse: int


def list_stage_rows(
    config: NetworkConfig, *, leaving: int, convolves_up: bool
) -> tuple[StageRows, ...]:
    """Returns the rows of each decoder stage of a U-shaped network, from the finest.

    Args:
        config: Configuration of the network.
        leaving: Rows that the finest stage must give.
        convolves_up: Whether the up-sampled map is convolved before it is joined.
    """
    stages: list[StageRows] = []
    for level in range(config.depth):
        available = config.input_rows >> level
        leaving = leaving if config.limit_rows else available
        between = rows_before_convolution(leaving, config.kernel_size, available)
        joined = rows_before_convolution(between, config.kernel_size, available)
        up_sampled = (
            rows_before_convolution(joined, config.kernel_size, available)
            if convolves_up
            else joined
        )
        coarse = rows_before_up_sampling(up_sampled, 2, available >> 1)
        stages.append(
            StageRows(
                leaving=leaving,
                between=between,
                joined=joined,
                up_sampled=up_sampled,
                coarse=coarse,
            )
        )
        leaving = coarse
    return tuple(stages)


def list_skip_rows(stages: Sequence[StageRows]) -> list[int]:
    """Returns the rows of each encoder map that such a decoder needs, the bottom last."""
    return [*(stage.joined for stage in stages), stages[-1].coarse]


def branch_rows(rows: int, config: NetworkConfig, available: int) -> int:
    """Returns the rows that enter a stage's branches for `rows` rows to leave it.

    Two convolutions follow.
    """
    once = rows_before_convolution(rows, config.kernel_size, available)
    return rows_before_convolution(once, config.kernel_size, available)
