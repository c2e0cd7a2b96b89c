"""Bounds of checkpoints: what would unpack or build to more than is stored is refused at once."""

from __future__ import annotations

import hashlib
import io
import json
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from blindzone.core.errors import CheckpointError
from blindzone.models.checkpoint_record import read_record

Content = dict[str, bytes]
KERNEL = (3, 3, 2, 8)


def make_members() -> Content:
    """Members of a checkpoint with one convolution, as Keras and blindzone write them."""
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["layers/conv2d/vars/0"] = np.ones(KERNEL, dtype=np.float32)
        file["layers/bottom/vars/0"] = np.ones((3, 3, 8, 32), dtype=np.float32)
    layer = {"class_name": "Conv2D", "config": {"name": "a", "filters": 8, "kernel_size": [3, 3]}}
    return {
        "config.json": json.dumps({"config": {"layers": [layer]}}).encode(),
        "model.weights.h5": stream.getvalue(),
    }


def write(path: Path, members: Content, network: dict[str, Any], **others: Any) -> Path:
    """Writes a checkpoint whose hashes are right, whatever it holds."""
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in members.items()}
    record = {"format_version": 2, "network": network, "members": hashes} | others
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        archive.writestr("blindzone.json", json.dumps(record))
    return path


NETWORK = {"filters": 8, "depth": 2, "base": "repeat"}


def with_layer(**values: Any) -> Callable[[Content], Content]:
    layer = {"config": {"name": "a", "filters": 8, "kernel_size": [3, 3]} | values}
    content = json.dumps({"config": {"layers": [{"inner": [layer]}]}}).encode()
    return lambda members: members | {"config.json": content}


def with_unwritten_weights(members: Content) -> Content:
    stream = io.BytesIO(members["model.weights.h5"])
    with h5py.File(stream, "r+") as file:
        file.create_dataset("huge", shape=(10**6, 10**6), dtype="f4", chunks=(1000, 1000))
    return members | {"model.weights.h5": stream.getvalue()}


HOSTILE = {
    "layer of a billion filters": with_layer(filters=10**9),
    "layer with a kernel of a square kilometre": with_layer(kernel_size=[10**5, 10**5]),
    "dense layer": lambda members: with_layer(units=10**8, filters=None, kernel_size=[])(members),
    "weights that were never written": with_unwritten_weights,
    "weights of zeros": lambda members: members | {"model.weights.h5": bytes(200 * 2**20)},
    "another member of zeros": lambda members: members | {"x": bytes(200 * 2**20)},
    "nested without end": lambda members: members | {"config.json": b"[" * 100_000},
    "many members": lambda members: members | {f"{number}": b"" for number in range(1000)},
    "no weights": lambda members: {"config.json": members["config.json"]},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_asks_for_more_than_is_stored_is_refused_within_a_second(
    name: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.keras", HOSTILE[name](make_members()), NETWORK)
    begun = time.process_time()
    with pytest.raises(CheckpointError, match=rf"^{path}: ") as raised:
        read_record(path)
    assert time.process_time() - begun < 1
    assert len(str(raised.value)) < 1000


@pytest.mark.parametrize(
    "network",
    [
        {"filters": 10**6, "depth": 2},
        {"filters": 8, "depth": 6},
        {"filters": 0, "depth": 2, "base": "column", "column_filters": 10**6},
    ],
    ids=str,
)
def test_record_of_a_network_whose_weights_are_not_stored_is_refused(
    network: dict[str, Any], tmp_path: Path
) -> None:
    path = write(tmp_path / "a.keras", make_members(), network)
    with pytest.raises(CheckpointError, match=r"no weights of that width are stored"):
        read_record(path)


def test_record_of_a_gigabyte_is_not_unpacked(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.keras", make_members(), NETWORK, training={"note": "x" * (40 * 2**20)}
    )
    with pytest.raises(CheckpointError, match=r"its member 'blindzone\.json' would take"):
        read_record(path)


def test_sound_checkpoint_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.keras", make_members(), NETWORK)
    assert read_record(path).content["network"] == NETWORK
