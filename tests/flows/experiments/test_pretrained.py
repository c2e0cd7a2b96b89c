"""Pretrained trunks: what they must have in common with the network that begins with them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from blindzone.core.errors import CheckpointError
from blindzone.flows.experiments.pretrained import check_pretrained
from blindzone.models.checkpoint import read_checkpoint
from blindzone.pipeline.network_input.preprocessing import Preprocessing


def test_same_input_and_encoder_are_needed(trained: tuple[Path, Path]) -> None:
    path = trained[1]
    found = read_checkpoint(path)
    preprocessing = Preprocessing.from_dict(found.preprocessing)
    check_pretrained(path, replace(found.config, family="unet"), preprocessing)
    with pytest.raises(
        CheckpointError, match=rf"{path.name}: a pretrained trunk must have .*depth"
    ):
        check_pretrained(path, replace(found.config, depth=1), preprocessing)
    other = replace(preprocessing, channels=("reflectivity", "soft_mask"))
    with pytest.raises(CheckpointError, match=r"channels .*height, not reflectivity, soft_mask;"):
        check_pretrained(path, found.config, other)
