"""A light network gives what TensorFlow gives; one of another network is never used."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blindzone.core.errors import CheckpointError, ModelError
from blindzone.core.window_prediction import WindowPrediction
from blindzone.models import light_network
from blindzone.models.checkpoint import Checkpoint, read_checkpoint
from blindzone.models.checkpoint_record import SUMS_NAME, open_record
from blindzone.models.light_network import LightNetwork, find_light, locate_light, write_light
from blindzone.models.monte_carlo import MonteCarloNetwork
from blindzone.models.network_config import NetworkConfig

RandomNetwork = Callable[..., Any]
FOLDER = Path(__file__).parents[2] / "models" / "weights"
WEIGHTS = sorted(path for path in FOLDER.glob("*.keras") if not open_record(path).is_trunk)

pytest.importorskip("ai_edge_litert")


@pytest.fixture(scope="module")
def checkpoint(tiny: NetworkConfig, random_network: RandomNetwork) -> Checkpoint:
    config = dataclasses.replace(
        tiny, dropout=0.3, base="column", column_filters=3, column_depth=2, deep_supervision=True
    )
    return Checkpoint(network=random_network(config), config=config, preprocessing={})


@pytest.fixture(scope="module")
def converted(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("light") / "network.keras"
    assert write_light(path, checkpoint) == locate_light(path)
    return path


@pytest.fixture
def path(converted: Path, tmp_path: Path) -> Path:
    """A checkpoint's place with a light network beside it that the test may damage."""
    shutil.copy(locate_light(converted), tmp_path)
    return tmp_path / converted.name


def predict(
    checkpoint: Checkpoint, light: LightNetwork | None, windows: np.ndarray
) -> list[WindowPrediction]:
    network = MonteCarloNetwork(checkpoint.network, checkpoint.config, light=light)
    return list(network.predict(iter(enumerate(windows)), passes="single", seed=0))


def draw_windows(config: NetworkConfig, count: int) -> np.ndarray:
    shape = (count, config.input_rows, config.input_profiles, config.channels)
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


def assert_same_as_tensorflow(checkpoint: Checkpoint, light: LightNetwork | None) -> None:
    assert light is not None
    windows = draw_windows(checkpoint.config, 3)
    for found, expected in zip(
        predict(checkpoint, light, windows), predict(checkpoint, None, windows), strict=True
    ):
        # 1e-5 network units are 6e-4 dB.
        np.testing.assert_allclose(found.probability, expected.probability, atol=1e-5)
        np.testing.assert_allclose(found.intensity, expected.intensity, atol=1e-5)
        np.testing.assert_allclose(found.scale, expected.scale, atol=1e-5)


def change_weights(network: Any, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Changes the weights of the first layer that has any."""
    layer = next(layer for layer in network.layers if layer.weights)
    layer.set_weights([change(values) for values in layer.get_weights()])


@pytest.mark.usefixtures("eager")
def test_light_network_gives_what_tensorflow_gives(checkpoint: Checkpoint, path: Path) -> None:
    assert_same_as_tensorflow(checkpoint, find_light(path, checkpoint))


@pytest.mark.parametrize("shipped", WEIGHTS, ids=lambda path: path.stem)
@pytest.mark.usefixtures("eager")
def test_weights_of_the_package_have_a_light_network(shipped: Path) -> None:
    found = read_checkpoint(shipped, to_fill=True)
    assert_same_as_tensorflow(found, find_light(shipped, found))
    digest = hashlib.sha256(locate_light(shipped).read_bytes()).hexdigest()
    line = f"{digest}  {locate_light(shipped).name}"
    assert line in shipped.with_name(SUMS_NAME).read_text().splitlines()


def test_light_network_of_others_is_not_used(
    checkpoint: Checkpoint, path: Path, random_network: RandomNetwork
) -> None:
    other = random_network(checkpoint.config, seed=1)
    assert find_light(path, dataclasses.replace(checkpoint, network=other)) is None
    config = dataclasses.replace(checkpoint.config, interpolation="nearest")
    assert find_light(path, dataclasses.replace(checkpoint, config=config)) is None
    assert find_light(path, dataclasses.replace(checkpoint, preprocessing={"a": 1})) is not None
    # A network that is retrained in place: the same object with other weights.
    network = random_network(checkpoint.config)
    assert find_light(path, dataclasses.replace(checkpoint, network=network)) is not None
    change_weights(network, lambda values: values + 1)
    assert find_light(path, dataclasses.replace(checkpoint, network=network)) is None


def test_without_its_file_or_its_library_tensorflow_computes(
    checkpoint: Checkpoint, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_light(path.with_name("other.keras"), checkpoint) is None
    monkeypatch.setattr(light_network, "find_spec", lambda name: None)
    assert find_light(path, checkpoint) is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content[:1000] + bytes([content[1000] ^ 1]) + content[1001:],
        lambda content: b"",
    ],
    ids=["cut short", "one bit", "empty"],
)
def test_damaged_file_is_one_clear_error(
    checkpoint: Checkpoint, path: Path, damage: Callable[[bytes], bytes]
) -> None:
    file = locate_light(path)
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(CheckpointError, match=r"network\.tflite: damaged, or no network"):
        find_light(path, checkpoint)


def test_file_must_be_the_one_that_its_folder_names(checkpoint: Checkpoint, path: Path) -> None:
    path.with_name(SUMS_NAME).write_text(f"{'0' * 64}  network.tflite\n")
    with pytest.raises(CheckpointError, match=r"network\.tflite: its SHA-256 is"):
        find_light(path, checkpoint)


def test_network_that_diverged_is_refused(
    checkpoint: Checkpoint, path: Path, random_network: RandomNetwork
) -> None:
    before = locate_light(path).read_bytes()
    network = random_network(checkpoint.config)
    change_weights(network, lambda values: np.full_like(values, np.nan))
    with pytest.raises(ModelError, match="not finite"):
        write_light(path, dataclasses.replace(checkpoint, network=network))
    assert locate_light(path).read_bytes() == before
