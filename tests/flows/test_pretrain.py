"""Pretraining as a flow: a trunk learns on all radars, and begins networks of other families."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from textwrap import indent
from typing import Any

import numpy as np
import pytest
from eager import eagerly
from flow_calls import ingest_days

from blindzone.core.errors import CheckpointError, PlanError
from blindzone.flows.experiments.training_plan import RECIPE, read_plan
from blindzone.flows.pretrain import PRETRAINING, PretrainPlan, pretrain
from blindzone.flows.running.plans import DataPlaces
from blindzone.flows.train import TrainPlan, train
from blindzone.models.checkpoint import read_checkpoint
from blindzone.models.checkpoint_record import TRUNK_KEY
from blindzone.models.network_weights import read_weights

SOURCE, OTHER = "short_days", "other_radar"
SMALL = """
network: {filters: 2, depth: 2, normalization: none}
window_profiles: 32
windows: {holes: {outages: 0.5, zone: 0.5}}
pooling: by_length
stages: [{name: whole, steps: 1, batch_size: 2}]
validation: {windows: 2}
"""
ADAPTED = """
network: {filters: 2, depth: 2, normalization: none, family: FAMILY}
window_profiles: 32
stages: [{name: heads, steps: 1, batch_size: 2, frozen: [encoder]}]
validation: {windows: 2}
"""


def write_plan(folder: Path, text: str) -> Any:
    path = folder / "plan.yaml"
    path.write_text(text)
    return read_plan(path)


@pytest.fixture(scope="module")
def places(
    catalog: Path,
    trained: tuple[Path, Path],
    simulated_days: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> DataPlaces:
    """Two radars of one grid, the second with a single day."""
    folder = tmp_path_factory.mktemp("radars")
    entry = indent(
        f"{OTHER}:\n  title: Another radar\n  reader: cloudnet_radar\n  directory: {SOURCE}\n"
        "  files: '%Y%m%d_radar.nc'\n  instrument: another\n  site: another\n",
        "  ",
    )
    path = folder / "catalog.yaml"
    path.write_text(catalog.read_text() + entry)
    archive = folder / "archive"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BLINDZONE_DATA", str(simulated_days))
        ingest_days(SOURCE, None, None, path, archive)
        ingest_days(OTHER, date(2000, 1, 3), date(2000, 1, 3), path, archive)
    return DataPlaces(catalog=path, archive=str(archive))


@pytest.fixture(scope="module")
def trunk(places: DataPlaces, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pretrained")
    with pytest.MonkeyPatch.context() as patch, eagerly():
        patch.setenv("BLINDZONE_WORKSPACE", str(folder))
        return pretrain.fn(
            PretrainPlan(training_plan=write_plan(folder, SMALL), places=places)
        ).checkpoint


def test_all_radars_of_the_grid_are_pooled_by_default(trunk: Path) -> None:
    found = read_checkpoint(trunk)
    assert trunk.name == "pretrained.keras"
    assert found.training["source"] == SOURCE
    assert found.training[TRUNK_KEY] is True
    assert found.training["pooled"] == {
        OTHER: {"training_days": ["2000-01-03"], "validation_days": []}
    }
    # It fills any row, as it learned on any.
    assert found.config.output_rows == found.config.input_rows == 128
    assert found.preprocessing["holes"] == ["outages", "zone"]


@pytest.mark.parametrize("family", ["unet3plus", "dynamic_unet"])
def test_a_network_of_any_family_begins_with_the_trunk(
    family: str, trunk: Path, places: DataPlaces, tmp_path: Path
) -> None:
    plan = TrainPlan(
        source=SOURCE,
        training_plan=write_plan(tmp_path, ADAPTED.replace("FAMILY", family)),
        checkpoint=tmp_path / "adapted.keras",
        pretrained=trunk,
        places=places,
    )
    with eagerly():
        report = train.fn(plan)
    adapted, pretrained = (read_checkpoint(path) for path in (report.checkpoint, trunk))
    assert adapted.config.output_rows == 16
    assert TRUNK_KEY not in adapted.training
    assert adapted.training["pretrained_sha256"] == pretrained.sha256
    assert pretrained.sha256 in (report.run / "card.md").read_text()
    found, right = (read_weights(each.network) for each in (adapted, pretrained))
    encoder = [name for name in right if name.startswith("encoder")]
    assert len(encoder) == 6
    for name in encoder:  # frozen, so still as pretrained
        for one, another in zip(found[name], right[name], strict=True):
            np.testing.assert_array_equal(one, another)


def test_a_trunk_of_other_input_is_refused(trunk: Path, places: DataPlaces, tmp_path: Path) -> None:
    text = ADAPTED.replace("FAMILY", "unet") + "channels: [reflectivity, soft_mask]\n"
    plan = TrainPlan(
        source=SOURCE,
        training_plan=write_plan(tmp_path, text),
        checkpoint=tmp_path / "adapted.keras",
        pretrained=trunk,
        places=places,
    )
    with pytest.raises(CheckpointError, match=r"on other input: channels .*, height, not refl"):
        train.fn(plan)


def test_a_plan_without_holes_is_no_pretraining(places: DataPlaces, tmp_path: Path) -> None:
    plan = write_plan(tmp_path, ADAPTED.replace("FAMILY", "unet"))
    with pytest.raises(PlanError, match=r"the plan's windows have none; .* windows\.holes"):
        pretrain.fn(PretrainPlan(training_plan=plan, places=places))


def test_the_plan_of_the_package_hides_parts_of_curtains() -> None:
    plan = read_plan(PRETRAINING)
    assert set(plan.windows.holes.kinds) >= {"outages", "lines", "shadows", "zone"}
    assert plan.pooling == "by_length"
    # Networks of the default plan of a training can begin with it.
    trained = read_plan(RECIPE).network
    for key in ("filters", "depth", "normalization"):
        assert getattr(plan.network, key) == getattr(trained, key)
