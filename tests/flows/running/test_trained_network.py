"""A checkpoint opened for filling: read once, again when it changes, fitted to a blind zone."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

from blindzone.core.adaptive_sampling import AdaptiveSampling
from blindzone.core.errors import CheckpointError, CurtainError
from blindzone.flows.running import trained_network
from blindzone.flows.running.plans import plain_passes
from blindzone.flows.running.trained_network import open_network
from blindzone.pipeline.curtains.blind_zone import BlindZone


@pytest.fixture
def checkpoint(trained: tuple[Path, Path], tmp_path: Path) -> Path:
    return Path(shutil.copy(trained[1], tmp_path / "copy.keras"))


def test_network_is_read_once_and_again_when_its_file_has_changed(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    whole = trained_network.read_checkpoint

    def count(path: Path, **options: Any) -> Any:
        read.append(path)
        return whole(path, **options)

    monkeypatch.setattr(trained_network, "read_checkpoint", count)
    first = open_network(checkpoint)
    assert open_network(checkpoint) is first
    assert read == [checkpoint.absolute()]
    checkpoint.touch()
    assert open_network(checkpoint) is not first
    assert len(read) == 2


def test_checkpoint_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"none\.keras"):
        open_network(tmp_path / "none.keras")


def test_blind_zone_that_the_network_cannot_fill_is_refused(checkpoint: Path) -> None:
    network = open_network(checkpoint)
    assert network.fit_zone(BlindZone(top_m=500.0), where="test").preprocessing.hidden_rows == 16
    with pytest.raises(CurtainError, match=r"test: the blind zone reaches up to 2500"):
        network.fit_zone(BlindZone(top_m=2500.0), where="test")


def test_curtain_of_another_grid_is_refused_with_both_grids(
    checkpoint: Path, curtain: xr.Dataset
) -> None:
    with pytest.raises(CurtainError, match=r"here: the curtain has 16 rows .* made for 128 rows"):
        open_network(checkpoint).fill(curtain, passes=2, seed=0, where="here")


def test_configuration_of_a_product_leaves_out_what_the_checkpoint_holds(checkpoint: Path) -> None:
    described = open_network(checkpoint).describe(AdaptiveSampling(), {"reader": "auto"})
    assert described["calibration"] is None
    assert described["realizations"] == {"tolerance_db": 0.25, "least": 16, "most": 200}
    assert described["ingest"] == {"reader": "auto"}
    assert plain_passes(50) == 50
