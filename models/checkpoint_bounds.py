"""Bounds of a checkpoint's file, checked before anything of it is unpacked, built or allocated.

A zip archive of some megabytes may unpack to terabytes, and a few digits of a configuration may ask
for as much. What a network needs is known from its stored weights: they hardly compress, and every
kernel that is to be built must be among them.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

from blindzone.core.errors import CheckpointError
from blindzone.core.fence import quote
from blindzone.core.memory import check_memory
from blindzone.models.network_config import count_bottom_filters

LARGEST_TEXT_BYTES = 32 * 2**20
"""More than this is no record and no configuration; those of the package take 0.4 MB."""
_MOST_MEMBERS = 64
_MOST_TIMES = 4
"""How many times its compressed size a member may have: random numbers keep nearly theirs."""
_KERNEL_KEYS = ("filters", "units")
WEIGHTS_NAME = "model.weights.h5"
KERAS_NAME = "config.json"

Shapes = frozenset[tuple[int, ...]]


def check_members(path: Path, archive: zipfile.ZipFile) -> None:
    """Checks that the members of a checkpoint's archive can be unpacked.

    Raises:
        CheckpointError: If there are too many, or one is too large, or more than memory holds.
    """
    members = archive.infolist()
    if len(members) > _MOST_MEMBERS:
        raise CheckpointError(f"{path}: it has {len(members)} members; a checkpoint has a few")
    for member in members:
        most = max(LARGEST_TEXT_BYTES, _MOST_TIMES * member.compress_size)
        if member.filename != WEIGHTS_NAME:
            most = LARGEST_TEXT_BYTES
        if member.file_size > most:
            raise CheckpointError(
                f"{path}: its member {quote(member.filename)} would take {member.file_size} bytes;"
                f" at most {most} are right"
            )
    check_memory(sum(member.file_size for member in members), f"{path}: it", CheckpointError)


def check_network(path: Path, archive: zipfile.ZipFile, network: Any) -> None:
    """Checks that a checkpoint has the weights of every layer that would be built.

    Args:
        path: The checkpoint.
        archive: Its archive.
        network: The network's configuration in the record, as plain values.

    Raises:
        CheckpointError: If its weights are not stored, or a layer is larger than these.
    """
    if not {WEIGHTS_NAME, KERAS_NAME} <= set(archive.namelist()):
        raise CheckpointError(f"{path}: it lacks {WEIGHTS_NAME} or {KERAS_NAME}")
    shapes = _read_shapes(path, archive.read(WEIGHTS_NAME))
    for layer in _find_kernels(json.loads(archive.read(KERAS_NAME))):
        if not _is_stored(layer, shapes):
            raise CheckpointError(
                f"{path}: the network in it cannot be rebuilt: no weights for the layer"
                f" {quote({key: layer.get(key) for key in ('name', *_KERNEL_KEYS, 'kernel_size')})}"
            )
    if isinstance(network, dict):
        _check_record(path, network, shapes)


def _read_shapes(path: Path, content: bytes) -> Shapes:
    """Returns the shapes of the stored arrays, none of which is larger than the file."""
    shapes: set[tuple[int, ...]] = set()
    size = 0

    def visit(name: str, item: h5py.HLObject) -> None:
        nonlocal size
        if isinstance(item, h5py.Dataset):
            size += item.nbytes
            shapes.add(item.shape)

    with h5py.File(io.BytesIO(content), "r") as file:
        file.visititems(visit)
    if size > len(content):
        raise CheckpointError(
            f"{path}: the network in it cannot be rebuilt: its weights would take {size} bytes, and"
            f" {len(content)} are stored"
        )
    return frozenset(shapes)


def _find_kernels(content: Any) -> Iterator[dict[str, Any]]:
    """Yields the configurations of layers with weights, at any depth of a Keras configuration."""
    waiting = [content]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            if any(isinstance(found.get(key), int) for key in _KERNEL_KEYS):
                yield found
            waiting += found.values()
        elif isinstance(found, list):
            waiting += found


def _is_stored(layer: dict[str, Any], shapes: Shapes) -> bool:
    """Returns whether there is an array of a layer's kernel: its sides first, its width last."""
    width = next(layer[key] for key in _KERNEL_KEYS if isinstance(layer.get(key), int))
    sides = layer.get("kernel_size", ())
    sides = (sides,) if isinstance(sides, int) else tuple(sides)
    return any(
        shape[-1:] == (width,) and shape[: len(sides)] == sides and len(shape) == len(sides) + 2
        for shape in shapes
        if sides or len(shape) == 2
    )


def _check_record(path: Path, network: dict[str, Any], shapes: Shapes) -> None:
    """Checks the widths that the record states: the network for inference is built from it."""
    stored = {shape[-1] for shape in shapes if shape}
    stated: dict[str, Any] = {}
    filters, depth = network.get("filters"), network.get("depth")
    family = network.get("family")
    is_column = family == "column" or not filters
    if isinstance(filters, int) and isinstance(depth, int) and not is_column and 0 < depth < 64:
        stated["filters"] = count_bottom_filters(str(family), filters, depth)
    if network.get("base") == "column":
        stated["column_filters"] = network.get("column_filters")
    for key, width in stated.items():
        if width is not None and width not in stored:
            raise CheckpointError(
                f"{path}: the network in it cannot be rebuilt: its record has {key}"
                f" {quote(network.get(key))}, and no weights of that width are stored"
            )
