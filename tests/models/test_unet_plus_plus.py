"""UNet++: its nodes, what each joins, and the rows that each needs."""

from __future__ import annotations

import dataclasses

from blindzone.models.families import build_network
from blindzone.models.network_config import NetworkConfig
from blindzone.models.unet_plus_plus import list_node_rows, list_nodes


def test_nodes_come_after_those_that_they_join() -> None:
    assert list_nodes(3) == [(0, 1), (1, 1), (2, 1), (0, 2), (1, 2), (0, 3)]


def test_each_node_joins_all_before_it_in_its_row_and_the_one_below(tiny: NetworkConfig) -> None:
    network = build_network(dataclasses.replace(tiny, family="unet++", filters=4))
    entering = {
        node: network.get_layer(f"decoder{node[0]}_{node[1]}a_convolution").kernel.shape[2]
        for node in list_nodes(2)
    }
    # X(0, 1): 4 and 8 channels; X(1, 1): 8 and 16; X(0, 2): twice 4, and 8.
    assert entering == {(0, 1): 12, (1, 1): 24, (0, 2): 16}


def test_rows_of_nodes_by_hand() -> None:
    config = NetworkConfig(input_rows=64, output_rows=4, depth=2, kernel_size=3)
    # X(0, 2) gives 4 rows of 6 that enter: X(0, 1) gives 6, X(1, 1) 6 / 2 + 1 = 4. X(0, 1) needs 8
    # rows of X(0, 0) and 5 of X(1, 0). X(1, 1) needs 6 of X(1, 0) and 4 of X(2, 0).
    assert list_node_rows(config) == {
        (0, 2): 4,
        (1, 1): 4,
        (2, 0): 4,
        (0, 1): 6,
        (0, 0): 8,
        (1, 0): 6,
    }
    whole = list_node_rows(dataclasses.replace(config, limit_rows=False))
    assert set(whole.items()) == {
        ((level, step), 64 >> level) for level in range(3) for step in range(3 - level)
    }
