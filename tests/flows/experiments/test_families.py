"""Families of networks: a plan's key trains and fills by another, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import cache
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from eager import eagerly

from blindzone.flows.experiments.fitting import fit_network
from blindzone.flows.experiments.training_data import TrainingData, fit_config, prepare_data
from blindzone.flows.experiments.training_plan import RECIPE, TrainingPlan, read_plan
from blindzone.flows.running.plans import DataPlaces
from blindzone.flows.running.source_data import open_source
from blindzone.models.monte_carlo import MonteCarloNetwork
from blindzone.models.network_config import Family
from blindzone.pipeline.archive import Archive
from blindzone.pipeline.inpainting.inpaint_curtain import fill_curtain

PLAN = """
network: {{family: {family}, base: {base}, filters: 2, depth: 2, column_filters: 2}}
training: {{steps: 2, batch_size: 2}}
validation: {{windows: 2}}
window_profiles: 32
windows: {{holes: {{{holes}}}}}
"""
HOLES = "outages: 0.5, lines: 0.5, zone: 0.5"


def write_plan(folder: Path, family: Family) -> TrainingPlan:
    """Column paths need visible rows above the blind zone; the others fill holes anywhere."""
    is_column = family == "column"
    path = folder / "plan.yaml"
    path.write_text(
        PLAN.format(
            family=family,
            base="column" if is_column else "repeat",
            holes="" if is_column else HOLES,
        )
    )
    return read_plan(path)


@pytest.fixture(scope="module")
def data(
    catalog: Path,
    trained: tuple[Path, Path],
    simulated_days: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[bool], TrainingData]:
    """Windows of blind zones, for column paths, or of holes of other kinds."""
    source = open_source("short_days", DataPlaces(catalog=catalog, archive=str(trained[0])))
    folder = tmp_path_factory.mktemp("plans")

    @cache
    def prepare(is_column: bool) -> TrainingData:
        return prepare_data(source, write_plan(folder, "column" if is_column else "unet"))

    return prepare


QUICK = ("partial_conv", "dynamic_unet")


@pytest.mark.parametrize(
    "family",
    [
        pytest.param(family, marks=() if family in QUICK else pytest.mark.soak)
        for family in get_args(Family)
    ],
)
def test_a_plan_alone_trains_and_fills_by_another_family(
    data: Callable[[bool], TrainingData], trained: tuple[Path, Path], tmp_path: Path, family: Family
) -> None:
    plan = write_plan(tmp_path, family)
    prepared = data(family == "column")
    preprocessing = prepared.preprocessing
    with eagerly():
        network, record = fit_network(prepared, plan)
    assert record.steps == 2
    assert np.isfinite(record.validation_loss)

    config = fit_config(plan.network, preprocessing)
    assert (config.output_rows == config.input_rows) == (family != "column")
    engine = MonteCarloNetwork(network, config, floor_unit=preprocessing.floor_unit)
    curtain = Archive(trained[0]).open_day("short_days", date(2000, 1, 3)).isel(time=slice(0, 40))
    fill = fill_curtain(curtain.load(), engine, preprocessing, "single", seed=0)
    probability = fill["hydrometeor_probability"].values[:, :16]  # 1250 m of 78.125 m
    assert probability.shape == (40, 16)
    assert np.isfinite(probability).all()
    assert 0 < probability.std() < 0.5


def test_the_package_has_a_plan_for_partial_convolutions_in_two_stages() -> None:
    plan = read_plan(RECIPE.with_name("partial_conv.yaml"))
    first, second = plan.stages
    assert plan.network.family == "partial_conv"
    assert second.training.learning_rate == first.training.learning_rate / 2
    assert second.training.freeze_statistics == ("encoder",)
    assert second.training.loss == first.training.loss
