"""The checkpoint: one file, whole or not at all, and a specific error for anything else."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from blindzone.core.errors import CheckpointError
from blindzone.models.checkpoint import (
    FORMAT_VERSION,
    RECORD_NAME,
    SUMS_NAME,
    Checkpoint,
    check_replaceable,
    copy_checkpoint,
    fingerprint,
    read_checkpoint,
    read_single_calibration,
    write_checkpoint,
    write_single_calibration,
)
from blindzone.models.checkpoint_record import locate_single
from blindzone.models.losses import masked_cross_entropy, masked_laplace
from blindzone.models.network_config import NetworkConfig

RandomNetwork = Callable[..., Any]
PREPROCESSING = {
    "floor_dbz": -40.0,
    "grid": {"rows": 16, "row_m": 78.125},
    "channels": ["reflectivity", "soft_mask"],
}
TRAINING = {"source": "palaiseau", "steps": 3, "days": ["2021-03-14"]}


@pytest.fixture(scope="module")
def checkpoint(tiny: NetworkConfig, random_network: RandomNetwork) -> Checkpoint:
    """What the tests share, and none changes."""
    config = dataclasses.replace(tiny, depth=1, dropout=0.2, l2=1e-4)
    return Checkpoint(
        network=random_network(config),
        config=config,
        preprocessing=dict(PREPROCESSING),
        training=dict(TRAINING),
    )


@pytest.fixture(scope="module")
def content(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("written") / "palaiseau.keras"
    write_checkpoint(path, checkpoint)
    return path.read_bytes()


@pytest.fixture
def written(content: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "palaiseau.keras"
    path.write_bytes(content)
    return path


def predict(network: keras.Model) -> dict[str, np.ndarray]:
    curtain = np.random.default_rng(2).normal(size=(2, 16, 32, 2)).astype(np.float32)
    return {name: np.asarray(head) for name, head in network(curtain).items()}


def rewrite_record(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Replaces the record in a checkpoint; the network stays."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members[RECORD_NAME] = json.dumps(change(json.loads(members[RECORD_NAME]))).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def test_a_checkpoint_gives_back_what_was_written(written: Path, checkpoint: Checkpoint) -> None:
    found = read_checkpoint(written)
    assert (found.config, found.preprocessing, found.training) == (
        checkpoint.config,
        PREPROCESSING,
        TRAINING,
    )
    expected = predict(checkpoint.network)
    for name, values in predict(found.network).items():
        np.testing.assert_array_equal(values, expected[name])


def test_a_checkpoint_survives_being_read_and_written_again(
    written: Path, checkpoint: Checkpoint
) -> None:
    second = written.with_name("second.keras")
    write_checkpoint(second, read_checkpoint(written))
    expected = predict(checkpoint.network)
    for name, values in predict(read_checkpoint(second).network).items():
        np.testing.assert_array_equal(values, expected[name])


def test_a_checkpoint_is_one_file(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "palaiseau.keras"
    write_checkpoint(path, checkpoint)
    assert list(path.parent.iterdir()) == [path]


def test_the_hash_is_that_of_the_file(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "palaiseau.keras"
    digest = write_checkpoint(path, checkpoint)
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest() == read_checkpoint(path).sha256


def test_plain_keras_opens_a_checkpoint(written: Path, checkpoint: Checkpoint) -> None:
    expected = predict(checkpoint.network)
    for name, values in predict(keras.saving.load_model(written)).items():
        np.testing.assert_array_equal(values, expected[name])


def test_plain_keras_opens_a_trained_network_too(
    checkpoint: Checkpoint, random_network: RandomNetwork, tmp_path: Path
) -> None:
    # The losses of a compiled network are functions that plain Keras does not know.
    network = random_network(checkpoint.config)
    network.compile("adam", loss={"occurrence": masked_cross_entropy, "intensity": masked_laplace})
    network.optimizer.build(network.trainable_variables)
    path = tmp_path / "trained.keras"
    write_checkpoint(path, dataclasses.replace(checkpoint, network=network))
    assert not keras.saving.load_model(path).compiled
    # Nor does it carry the optimiser, whose moments would treble it.
    with zipfile.ZipFile(path) as archive, archive.open("model.weights.h5") as stream:
        assert b"optimizer" not in stream.read()
    expected = predict(checkpoint.network)
    for name, values in predict(read_checkpoint(path).network).items():
        np.testing.assert_array_equal(values, expected[name])


def test_a_later_checkpoint_takes_the_place_of_an_earlier(
    written: Path, checkpoint: Checkpoint, random_network: RandomNetwork
) -> None:
    other = dataclasses.replace(
        checkpoint, network=random_network(checkpoint.config, seed=1), training={"steps": 9}
    )
    write_checkpoint(written, other)
    assert read_checkpoint(written).training == {"steps": 9}
    assert list(written.parent.iterdir()) == [written]


def test_a_missing_checkpoint_says_how_to_make_one(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.keras", tmp_path):
        with pytest.raises(
            CheckpointError, match="no such checkpoint; 'blindzone train SOURCE' makes one"
        ):
            read_checkpoint(path)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.7, 0.99, 0.9999])
def test_a_checkpoint_cut_short_is_refused(written: Path, share: float) -> None:
    content = written.read_bytes()
    written.write_bytes(content[: int(share * len(content))])
    with pytest.raises(
        CheckpointError, match=r"palaiseau\.keras: cut short, damaged or no checkpoint at all"
    ):
        read_checkpoint(written)


@pytest.mark.parametrize("length", [1, 100, 100_000])
def test_random_bytes_are_refused(tmp_path: Path, length: int) -> None:
    path = tmp_path / "noise.keras"
    path.write_bytes(np.random.default_rng(length).bytes(length))
    with pytest.raises(CheckpointError, match="cut short, damaged or no checkpoint at all"):
        read_checkpoint(path)


def test_a_changed_byte_anywhere_in_the_content_is_found(written: Path) -> None:
    content = written.read_bytes()
    with zipfile.ZipFile(written) as archive:
        end = archive.start_dir  # what follows is the table of contents
    for position in np.random.default_rng(0).integers(0, end, 60):
        damaged = bytearray(content)
        damaged[position] ^= 0x55
        written.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="damaged"):
            read_checkpoint(written)


def test_a_changed_byte_in_the_table_of_contents_never_escapes_as_another_error(
    written: Path,
) -> None:
    content = written.read_bytes()
    with zipfile.ZipFile(written) as archive:
        start = archive.start_dir
    refused = 0
    for position in range(start, len(content), 31):
        damaged = bytearray(content)
        damaged[position] ^= 0x55
        written.write_bytes(damaged)
        try:
            read_checkpoint(written)  # a date, say, is no part of the content
        except CheckpointError:
            refused += 1
    assert refused > 3


def test_a_plain_keras_file_is_no_checkpoint(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "plain.keras"
    checkpoint.network.save(path)
    with pytest.raises(
        CheckpointError, match="without blindzone\\.json, so not a checkpoint of blindzone"
    ):
        read_checkpoint(path)


def test_a_name_that_keras_does_not_open_is_said_to_be_the_reason(written: Path) -> None:
    renamed = written.rename(written.with_suffix(".ckpt"))
    with pytest.raises(CheckpointError, match=r"does not end in '\.keras'; rename it"):
        read_checkpoint(renamed)


@pytest.mark.parametrize("version", [FORMAT_VERSION + 1, 0, None, "1", [1]])
def test_another_format_version_is_refused(written: Path, version: Any) -> None:
    rewrite_record(written, lambda record: record | {"format_version": version})
    with pytest.raises(
        CheckpointError,
        match=(
            rf"checkpoint format {re.escape(repr(version))}; this version of blindzone reads the"
            r" formats 1, 2"
        ),
    ):
        read_checkpoint(written)


def test_a_checkpoint_of_the_first_format_is_still_read(written: Path) -> None:
    rewrite_record(
        written,
        lambda record: {k: v for k, v in record.items() if k != "members"} | {"format_version": 1},
    )
    assert read_checkpoint(written).training == TRAINING


def test_weights_of_another_network_under_this_record_are_refused(
    written: Path, checkpoint: Checkpoint, random_network: RandomNetwork
) -> None:
    other = written.with_name("other.keras")
    write_checkpoint(
        other, dataclasses.replace(checkpoint, network=random_network(checkpoint.config, seed=1))
    )
    with zipfile.ZipFile(written) as archive:
        record = json.loads(archive.read(RECORD_NAME))
    rewrite_record(other, lambda _: record)
    with pytest.raises(
        CheckpointError, match=r"its members are not those that blindzone\.json names"
    ):
        read_checkpoint(other)


def calibrate(checkpoint: Checkpoint, **others: Any) -> Checkpoint:
    made_for = fingerprint(checkpoint.network, checkpoint.preprocessing)
    return dataclasses.replace(
        checkpoint, calibration={"days": ["2021-03-06"], **made_for, **others}
    )


def test_a_calibration_travels_with_its_network(written: Path) -> None:
    assert read_checkpoint(written).calibration is None
    plain = read_checkpoint(written)
    calibrated = calibrate(plain)
    assert write_checkpoint(written, calibrated) != plain.sha256
    found = read_checkpoint(written)
    assert found.calibration == calibrated.calibration
    assert (found.training, found.preprocessing) == (plain.training, plain.preprocessing)
    # Written again it still belongs to the same weights; the format is one that earlier versions
    # read.
    write_checkpoint(written, found)
    with zipfile.ZipFile(written) as archive:
        assert json.loads(archive.read(RECORD_NAME))["format_version"] == 2


def test_a_calibration_for_other_weights_or_another_preprocessing_is_refused(
    written: Path, checkpoint: Checkpoint, random_network: RandomNetwork
) -> None:
    calibrated = calibrate(checkpoint)
    before = written.read_bytes()
    others = (
        ({"network": random_network(checkpoint.config, seed=1)}, "other weights"),
        ({"preprocessing": {**PREPROCESSING, "floor_dbz": -20.0}}, "other preprocessing"),
        ({"calibration": {"days": []}}, "other weights and preprocessing"),
        ({"calibration": ["days"]}, "other weights and preprocessing"),
    )
    for change, message in others:
        changed = dataclasses.replace(calibrated, **change)
        with pytest.raises(
            CheckpointError, match=f"its calibration was made for {message}; 'blindzone calibrate"
        ):
            write_checkpoint(written, changed)
        assert written.read_bytes() == before
    write_checkpoint(written, calibrated)
    for part, value in (
        ("preprocessing", {**PREPROCESSING, "floor_dbz": -20.0}),
        ("calibration", {"days": []}),
    ):
        write_checkpoint(written, calibrated)
        rewrite_record(written, lambda record, part=part, value=value: record | {part: value})
        with pytest.raises(CheckpointError, match="its calibration was made for other"):
            read_checkpoint(written)


def record_single(checkpoint: Checkpoint, **others: Any) -> dict[str, Any]:
    calibration = calibrate(checkpoint, realizations="single", **others).calibration
    assert calibration is not None
    return calibration


def test_calibration_of_single_passes_is_beside_the_checkpoint_and_changes_nothing_in_it(
    written: Path,
) -> None:
    before = written.read_bytes()
    checkpoint = read_checkpoint(written)
    assert read_single_calibration(written, checkpoint) is None
    record = record_single(checkpoint)
    sha256 = write_single_calibration(written, checkpoint, record)
    found = read_single_calibration(written, checkpoint)
    assert found is not None
    assert (found.content, found.sha256) == (record, sha256)
    assert locate_single(written).name == "palaiseau.single.json"
    assert written.read_bytes() == before
    assert read_checkpoint(written).calibration is None


def test_calibration_for_the_other_way_of_passing_is_one_clear_error(
    written: Path, checkpoint: Checkpoint
) -> None:
    of_passes, of_single = calibrate(checkpoint, realizations=50), record_single(checkpoint)
    for message, write in (
        (
            "made for passes with dropout; one for a single pass without dropout is right, which"
            " 'blindzone calibrate SOURCE --passes single' makes",
            lambda: write_single_calibration(written, checkpoint, of_passes.calibration or {}),
        ),
        (
            "made for a single pass without dropout; one for passes with dropout is right, which"
            " 'blindzone calibrate SOURCE --passes 50' makes",
            lambda: write_checkpoint(
                written, dataclasses.replace(checkpoint, calibration=of_single)
            ),
        ),
    ):
        with pytest.raises(CheckpointError, match=message):
            write()
    # The same in files that somebody else put there.
    locate_single(written).write_text(json.dumps(of_passes.calibration))
    with pytest.raises(CheckpointError, match=r"single\.json: .* made for passes with dropout"):
        read_single_calibration(written, checkpoint)


def test_calibration_of_single_passes_for_other_weights_is_refused(
    written: Path, checkpoint: Checkpoint, random_network: RandomNetwork
) -> None:
    write_single_calibration(written, checkpoint, record_single(checkpoint))
    other = dataclasses.replace(checkpoint, network=random_network(checkpoint.config, seed=1))
    with pytest.raises(
        CheckpointError, match=r"single\.json: .* for other weights; .* --passes single' makes one"
    ):
        read_single_calibration(written, other)
    with pytest.raises(CheckpointError, match="for other weights"):
        write_single_calibration(written, other, record_single(checkpoint))
    # Passes with dropout do not look at it.
    assert read_checkpoint(written).calibration is None


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "no calibration for single passes"), ("[1]", "it holds list, not a calibration")],
)
def test_damaged_calibration_of_single_passes_is_named(
    written: Path, checkpoint: Checkpoint, text: str, message: str
) -> None:
    locate_single(written).write_text(text)
    with pytest.raises(CheckpointError, match=rf"palaiseau\.single\.json: {message}"):
        read_single_calibration(written, checkpoint)
    sums = written.with_name(SUMS_NAME)
    sums.write_text(f"{'0' * 64}  palaiseau.single.json\n")
    with pytest.raises(CheckpointError, match=f"in {SUMS_NAME} of its folder 0000"):
        read_single_calibration(written, checkpoint)


def test_one_weight_that_differs_is_another_fingerprint(checkpoint: Checkpoint) -> None:
    first = fingerprint(checkpoint.network, PREPROCESSING)
    weights = checkpoint.network.get_weights()
    weights[-1] = np.nextafter(weights[-1], np.float32(np.inf))
    checkpoint.network.set_weights(weights)
    second = fingerprint(checkpoint.network, PREPROCESSING)
    assert second["weights_sha256"] != first["weights_sha256"]
    assert second["preprocessing_sha256"] == first["preprocessing_sha256"]


def test_a_checkpoint_whose_hash_is_in_its_folder_must_not_change_there(written: Path) -> None:
    check_replaceable(written)
    written.with_name(SUMS_NAME).write_text(f"{'0' * 64}  another.keras\n")
    check_replaceable(written)
    written.with_name(SUMS_NAME).write_text(f"{'0' * 64}  {written.name}\n")
    with pytest.raises(
        CheckpointError, match="so it must not change there; another file to write to is right"
    ):
        check_replaceable(written)


def test_sums_in_its_folder_have_the_hash_of_a_checkpoint(written: Path) -> None:
    digest = hashlib.sha256(written.read_bytes()).hexdigest()
    sums = written.with_name(SUMS_NAME)
    for line in (
        f"{digest}  {written.name}",
        f"{digest} *{written.name}",
        f"{'0' * 64}  another.keras",
    ):
        sums.write_text(f"{line}\n")
        assert read_checkpoint(written).sha256 == digest
    sums.write_text(f"{'0' * 64}  another.keras\n{'1' * 64}  {written.name}\n")
    with pytest.raises(
        CheckpointError, match=f"its SHA-256 is {digest}, in SHA256SUMS of its folder {'1' * 64}"
    ):
        read_checkpoint(written)


def test_a_copy_is_the_same_file_or_none(written: Path, tmp_path: Path) -> None:
    target = tmp_path / "folder" / "copy.keras"
    copy_checkpoint(written, target)
    assert target.read_bytes() == written.read_bytes()
    with pytest.raises(CheckpointError, match="cannot be written"):
        copy_checkpoint(tmp_path / "absent.keras", target)
    assert target.read_bytes() == written.read_bytes()
    assert list(target.parent.iterdir()) == [target]


def test_a_record_that_is_no_table_is_refused(written: Path) -> None:
    rewrite_record(written, lambda record: [record])
    with pytest.raises(
        CheckpointError, match=r"blindzone.json holds list, not a record of blindzone"
    ):
        read_checkpoint(written)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({"channels": 5}, r"the network's input is \(16, 32, 2\), its record has \(16, 32, 5\)"),
        ({"input_rows": 32}, r"the network's input is \(16, 32, 2\), its record has \(32, 32, 2\)"),
        ({"depth": 0}, r"depth: should be greater than or equal to 1 \(found 0\)"),
        ({"colour": "blue"}, "colour: unknown key; known keys here"),
    ],
)
def test_a_record_of_another_network_is_refused(
    written: Path, network: dict[str, Any], message: str
) -> None:
    rewrite_record(written, lambda record: record | {"network": record["network"] | network})
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(written)


@pytest.mark.parametrize("part", ["network", "preprocessing", "training"])
def test_a_record_with_a_part_missing_is_refused(written: Path, part: str) -> None:
    rewrite_record(
        written, lambda record: {key: value for key, value in record.items() if key != part}
    )
    with pytest.raises(CheckpointError, match=f"cannot be rebuilt: KeyError: '{part}'"):
        read_checkpoint(written)


def test_code_in_a_checkpoint_is_refused_and_not_run(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    marker = tmp_path / "was_here"
    curtain = keras.Input((16, 32, 2), name="curtain")
    code = keras.layers.Lambda(
        lambda x: [__import__("pathlib").Path("was_here").touch(), x][1], name="code"
    )
    path = tmp_path / "code.keras"
    network = json.loads(zipfile.ZipFile(written).read(RECORD_NAME))["network"]
    # As wide as the network that the record names, or it is refused for that.
    bottom = keras.layers.Conv2D(network["filters"] << network["depth"], 1)
    keras.Model(curtain, code(bottom(curtain))).save(path)
    with zipfile.ZipFile(written) as archive, zipfile.ZipFile(path, "a") as target:
        # Whoever puts code in can also make the hashes fit.
        members = {
            name: hashlib.sha256(target.read(name)).hexdigest() for name in target.namelist()
        }
        target.writestr(
            RECORD_NAME, json.dumps(json.loads(archive.read(RECORD_NAME)) | {"members": members})
        )
    marker.unlink()
    with pytest.raises(
        CheckpointError, match=r"cannot be rebuilt: .*whose `function` is a Python lambda"
    ):
        read_checkpoint(path)
    assert not marker.exists()
    keras.saving.load_model(path, safe_mode=False)
    assert marker.exists()  # so the code would have run


@pytest.mark.parametrize(
    ("owner", "method"),
    [(keras.Model, "save"), (zipfile.ZipFile, "writestr"), (os, "fsync"), (Path, "replace")],
)
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failed_write_leaves_the_earlier_checkpoint_and_nothing_else(
    written: Path,
    checkpoint: Checkpoint,
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    method: str,
    error: BaseException,
) -> None:
    before = written.read_bytes()

    def fail(*given: Any, **named: Any) -> None:
        raise error

    monkeypatch.setattr(owner, method, fail)
    full = isinstance(error, OSError)
    message = "cannot be written: .*No space left" if full else None
    with pytest.raises(CheckpointError if full else KeyboardInterrupt, match=message):
        write_checkpoint(written, dataclasses.replace(checkpoint, training={"steps": 9}))
    monkeypatch.undo()
    assert written.read_bytes() == before
    assert list(written.parent.iterdir()) == [written]
    assert read_checkpoint(written).training == TRAINING


def test_a_folder_that_cannot_be_made_is_said_to_be_the_reason(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match="cannot be written"):
        write_checkpoint(tmp_path / "file" / "palaiseau.keras", checkpoint)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
