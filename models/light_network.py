"""A trained network for single passes in LiteRT, which needs neither TensorFlow nor Keras.

TensorFlow takes seconds and half a gigabyte to import, and seconds more to trace a graph. LiteRT
starts in a hundredth of a second and gives the same numbers but for rounding. It comes with
`pip install 'blindzone[light]'`. TensorFlow is needed once, to make the network's file.

That is `NAME.tflite` beside the checkpoint `NAME.keras`, one window at a time. As files of LiteRT
carry what belongs to them, it ends in a zip archive: its member `blindzone.json` names the weights
and the configuration of the network that it was made of, the hash of the rest, and the heads in
their order. A file of another network is not used.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from blindzone.core.configuration import to_plain
from blindzone.core.errors import CheckpointError
from blindzone.core.fence import refusing_as
from blindzone.core.files import write_atomically
from blindzone.core.memory import check_memory
from blindzone.models.checkpoint import Checkpoint, fingerprint
from blindzone.models.checkpoint_record import RECORD_NAME, check_sums, hash_file
from blindzone.models.network_config import NetworkConfig, main_heads

MODULE = "ai_edge_litert"
"""What LiteRT is imported as."""
_PACKAGE = "ai-edge-litert"
_HASH_KEY = "network_sha256"

logger = logging.getLogger(__name__)


class LightNetwork:
    """A trained network without dropout, computed by LiteRT.

    Args:
        content: The network, as LiteRT has it: one window in, the heads out.
        heads: Names of the heads, in their order.
    """

    def __init__(self, content: bytes, heads: Sequence[str]) -> None:
        from ai_edge_litert.interpreter import Interpreter

        # A second thread wins little on maps of this size, and costs a fifth of processor time.
        interpreter = Interpreter(model_content=content, num_threads=1)
        interpreter.allocate_tensors()
        self._run = interpreter.get_signature_runner()
        (self._input,) = self._run.get_input_details()
        self._heads = {head: f"output_{number}" for number, head in enumerate(heads)}
        self._lock = threading.Lock()  # the memory of its maps is one for all calls

    def predict_expected(self, curtains: np.ndarray) -> dict[str, np.ndarray]:
        """Returns the heads of one pass for each window, `(window, output_rows, profiles, value)`.

        Args:
            curtains: Network inputs, float32 `(window, rows, profiles, channels)`.
        """
        with self._lock:
            windows = [self._run(**{self._input: curtain[None]}) for curtain in curtains]
        return {
            head: np.concatenate([one[output] for one in windows])
            for head, output in self._heads.items()
        }


def locate_light(path: Path) -> Path:
    """Returns the file of a checkpoint's network for LiteRT, whether there is one."""
    return path.with_suffix(".tflite")


def describe_runtime() -> str:
    """Returns name and version of the library of light networks."""
    return f"LiteRT {version(_PACKAGE)}"


def find_light(path: Path, checkpoint: Checkpoint) -> LightNetwork | None:
    """Returns the light network beside a checkpoint; None if TensorFlow is to compute it.

    That is so without LiteRT, without a file, or with one that was made of another network. It is
    read once, and again if the file has changed.

    Args:
        path: The checkpoint's file.
        checkpoint: What was read from it.

    Raises:
        CheckpointError: If the file is damaged, or not the one that `SHA256SUMS` in its folder
            names.
    """
    file = locate_light(path)
    if find_spec(MODULE) is None or not file.is_file():
        return None
    return _open_light(file, file.stat().st_mtime_ns, _identify(checkpoint))


@lru_cache(maxsize=1)
def _open_light(file: Path, modified_ns: int, identity: str) -> LightNetwork | None:
    check_memory(file.stat().st_size, f"{file}: it", CheckpointError)
    check_sums(file, hash_file(file))
    what = f"{file}: damaged, or no network for LiteRT; without it TensorFlow computes the passes"
    with refusing_as(CheckpointError, what):
        with zipfile.ZipFile(file) as archive:
            start = min(member.header_offset for member in archive.infolist())
            record = json.loads(archive.read(RECORD_NAME))
        content = file.read_bytes()[:start]
        if record["made_of"] != identity:
            logger.info("%s is another network's; TensorFlow computes the passes", file.name)
            return None
        if record[_HASH_KEY] != hashlib.sha256(content).hexdigest():
            raise CheckpointError(what)
        return LightNetwork(content, record["heads"])


def write_light(path: Path, checkpoint: Checkpoint) -> Path:
    """Writes a checkpoint's network for LiteRT beside it, and returns the file.

    Args:
        path: The checkpoint's file.
        checkpoint: What is in it.

    Raises:
        CheckpointError: If it cannot be written; an earlier file stays as it was.
        ModelError: If the network's weights are not finite.
    """
    file = locate_light(path)
    content = convert(checkpoint)
    record = {
        "made_of": _identify(checkpoint),
        "heads": sorted(main_heads(checkpoint.config)),
        _HASH_KEY: hashlib.sha256(content).hexdigest(),
    }
    with write_atomically(file, what="the light network", error=CheckpointError) as partial:
        partial.write_bytes(content)
        with zipfile.ZipFile(partial, "a") as archive:
            # A date of its own would give equal networks different files.
            archive.writestr(zipfile.ZipInfo(RECORD_NAME), json.dumps(record, indent=1))
    return file


def convert(checkpoint: Checkpoint) -> bytes:
    """Returns a network without dropout as LiteRT has it: one window in, the heads out."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    from blindzone.models.inference_network import InferenceNetwork

    network = InferenceNetwork(replace(checkpoint.config, dropout=0.0), takes_apart=False)
    network.set_weights(checkpoint.network)
    graph = convert_variables_to_constants_v2(network.trace_expected())
    return bytes(tf.lite.TFLiteConverter.from_concrete_functions([graph], tf.Module()).convert())


def _identify(checkpoint: Checkpoint) -> str:
    """Returns a hash of weights and configuration of a network.

    Keys of the configuration that later versions add change nothing where they have their default.
    """
    plain, default = to_plain(checkpoint.config), _list_defaults()
    config = {key: value for key, value in plain.items() if default.get(key) != value}
    parts = [fingerprint(checkpoint.network, {})["weights_sha256"], config]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _list_defaults() -> Mapping[str, Any]:
    return dict(to_plain(NetworkConfig()))
