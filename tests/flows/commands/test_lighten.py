"""The command `lighten`: a network for LiteRT beside the checkpoint."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from commands import one_line, run

from blindzone.models.checkpoint_record import SUMS_NAME


def test_file_is_written_beside_the_checkpoint_and_named(
    trained: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blindzone.models.light_network.convert", lambda checkpoint: b"12345678")
    checkpoint = Path(shutil.copy(trained[1], tmp_path / "own.keras"))
    code, out, _ = run("lighten", checkpoint)
    assert code == 0
    assert f"network for LiteRT: {tmp_path / 'own.tflite'}, 0.0 MiB" in one_line(out)
    assert (tmp_path / "own.tflite").read_bytes().startswith(b"12345678")


def test_file_whose_hash_is_fixed_stays_and_a_missing_checkpoint_is_named(
    trained: tuple[Path, Path], tmp_path: Path
) -> None:
    checkpoint = Path(shutil.copy(trained[1], tmp_path / "own.keras"))
    (tmp_path / SUMS_NAME).write_text(f"{'0' * 64}  own.tflite\n")
    code, _, err = run("lighten", checkpoint)
    assert code == 1
    assert "own.tflite: SHA256SUMS in its folder has its hash" in one_line(err)
    code, _, err = run("lighten", tmp_path / "none.keras")
    assert code == 1
    assert "none.keras: no such checkpoint" in err
