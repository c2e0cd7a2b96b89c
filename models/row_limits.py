"""How many of its lowest rows each stage of the network must compute for the heads to be exact.

The heads need the blind zone alone. A convolution needs a few rows more than leave it, and an
up-sampling one more than it covers. All other rows never reach the output.
"""

from __future__ import annotations

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


def encoder_rows(config: NetworkConfig) -> list[tuple[int, int]]:
    """Returns the rows that the two convolutions of each encoder block must give."""
    available = [config.input_rows >> level for level in range(config.depth + 1)]
    of_decoder = decoder_rows(config)
    entering = [
        branch_rows(of_decoder[level], config, available[level]) for level in range(config.depth)
    ]
    rows: list[tuple[int, int]] = []
    below = of_decoder[config.depth]  # for the block below; the bottom is its own decoder stage
    for level in reversed(range(config.depth + 1)):
        needed = [entering[stage] << (stage - level) for stage in range(level, config.depth)]
        second = min(available[level], max([below, *needed]))
        first = rows_before_convolution(second, config.kernel_size, available[level])
        rows.append((first, second))
        below = 2 * rows_before_convolution(first, config.kernel_size, available[level])
    return rows[::-1]


def branch_rows(rows: int, config: NetworkConfig, available: int) -> int:
    """Returns the rows that enter a stage's branches for `rows` rows to leave it.

    Two convolutions follow.
    """
    once = rows_before_convolution(rows, config.kernel_size, available)
    return rows_before_convolution(once, config.kernel_size, available)
