"""Configuration of the network: what is refused, and what survives its way to disk."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from blindzone.core.configuration import read_plain, to_plain
from blindzone.core.errors import ModelError
from blindzone.models.families import build_network
from blindzone.models.network_config import NetworkConfig, main_heads, output_names

FULL: dict[str, Any] = {"deep_supervision": True, "classification_guided": True}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depth": 0}, r"depth: should be greater than or equal to 1 \(found 0\)"),
        ({"depth": 7}, r"depth: should be less than or equal to 6 \(found 7\)"),
        ({"filters": -1}, r"filters: should be greater than or equal to 0 \(found -1\)"),
        (
            {"filters": 0},
            "a column path alone needs the base 'column', found 'repeat' .* filters 0",
        ),
        (
            {"family": "column"},
            "a column path alone needs .*, found 'repeat' with family 'column' .*",
        ),
        ({"family": "unet4"}, "family: should be 'unet3plus', .* .found 'unet4'."),
        ({"channels": 0}, r"channels: should be greater than 0 \(found 0\)"),
        ({"kernel_size": 4}, "kernel_size: an odd number is right; found 4"),
        ({"kernel_size": -1}, r"kernel_size: should be greater than 0 \(found -1\)"),
        ({"dropout": 1.0}, r"dropout: should be less than 1 \(found 1\.0\)"),
        ({"dropout": -0.1}, r"dropout: should be greater than or equal to 0 \(found -0\.1\)"),
        ({"dropout": float("nan")}, r"dropout: should be a finite number \(found nan\)"),
        ({"l2": -1e-5}, r"l2: should be greater than or equal to 0 \(found -1e-05\)"),
        (
            {"input_rows": 18},
            "a map of 18 x 32 cannot be halved 2 times; both must be multiples of 4",
        ),
        (
            {"input_profiles": 30},
            "a map of 16 x 30 cannot be halved 2 times; both must be multiples of 4",
        ),
        ({"input_profiles": 0}, r"input_profiles: should be greater than 0 \(found 0\)"),
        ({"output_rows": 0}, r"output_rows: should be greater than 0 \(found 0\)"),
        ({"output_rows": 17}, "output_rows must be 1 to 16, found 17"),
        ({"head": "double"}, r"head: should be 'two_part' or 'single' \(found 'double'\)"),
        ({"dropout_kind": "row"}, "dropout_kind: should be 'spatial' or 'element' .*'row'.*"),
        ({"normalization": "layer"}, "normalization: should be 'batch' or 'none' .*'layer'.*"),
        ({"base": "zero"}, "base: should be 'repeat', 'column' or 'none' .*'zero'.*"),
        ({"interpolation": "cubic"}, "interpolation: should be 'bilinear' or 'nearest' .*"),
        (
            {"head": "single", "joint_forecast": True},
            "joint_forecast needs the two-part head, found 'single'",
        ),
        ({"head": "single", "base": "column"}, "the base column needs the two-part head and .*"),
        (FULL | {"filters": 0, "base": "column"}, "a column path alone has neither deep .*"),
    ],
)
def test_a_wrong_configuration_says_what_is_wrong(
    tiny: NetworkConfig, changes: Any, message: str
) -> None:
    with pytest.raises(ModelError, match=f"^network configuration: {message}$"):
        dataclasses.replace(tiny, **changes)


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(ModelError, match="network configuration: colour: unknown key; known keys"):
        NetworkConfig(colour="blue")  # type: ignore[call-arg]


def test_all_that_is_wrong_is_reported_at_once(tiny: NetworkConfig) -> None:
    with pytest.raises(ModelError, match=r"(?s)channels: .*found 0.*filters: .*found -2"):
        dataclasses.replace(tiny, filters=-2, channels=0)
    with pytest.raises(ModelError, match=r"cannot be halved 2 times; .*; output_rows must be"):
        dataclasses.replace(tiny, input_rows=18, output_rows=99)


def test_configuration_survives_json(tiny: NetworkConfig) -> None:
    config = dataclasses.replace(tiny, interpolation="nearest", dropout=0.25, kernel_size=5)
    plain = json.loads(json.dumps(to_plain(config)))
    assert plain == dataclasses.asdict(config)  # as checkpoints and products have it
    assert read_plain(NetworkConfig, plain, where="x", error=ModelError) == config


def test_keys_that_an_older_checkpoint_lacks_have_their_defaults() -> None:
    old = {"input_rows": 16, "input_profiles": 32, "output_rows": 3, "depth": 2}
    found = read_plain(NetworkConfig, old, where="x", error=ModelError)
    assert (found.base, found.column_paths, found.limit_rows) == ("repeat", 1, True)
    assert found.family == "unet3plus"


@pytest.mark.parametrize(
    "changes",
    [
        {},
        FULL,
        FULL | {"joint_forecast": True},
        {"head": "single", "base": "none", "deep_supervision": True},
        {"head": "single"},
    ],
)
def test_every_output_is_named(tiny: NetworkConfig, changes: Any) -> None:
    config = dataclasses.replace(tiny, **changes)
    assert set(build_network(config).output) == set(output_names(config))
    assert set(main_heads(config)) <= set(output_names(config))
