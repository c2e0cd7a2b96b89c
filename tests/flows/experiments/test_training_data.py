"""A source's days as a training takes them: blocks, windows, and shapes that follow from them."""

from __future__ import annotations

import dataclasses
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from blindzone.core.errors import WindowError
from blindzone.flows.experiments.training_data import (
    fit_config,
    fit_training,
    prepare_data,
    preprocess_for,
)
from blindzone.flows.experiments.training_plan import TrainingPlan, ValidationPlan
from blindzone.flows.running.plans import DataPlaces
from blindzone.flows.running.source_data import SourceData, open_source
from blindzone.models.network_config import NetworkConfig
from blindzone.models.training_config import TrainingConfig
from blindzone.pipeline.catalog.catalog import read_catalog
from blindzone.pipeline.network_input.preprocessing import CHANNELS
from blindzone.pipeline.network_input.scaling import ReflectivityScaling

SOURCE = "short_days"


@pytest.fixture
def source(catalog: Path, trained: tuple[Path, Path]) -> SourceData:
    return open_source(SOURCE, DataPlaces(catalog=catalog, archive=str(trained[0])))


def make_plan(**changes: object) -> TrainingPlan:
    return dataclasses.replace(TrainingPlan(validation=ValidationPlan(windows=3)), **changes)  # type: ignore[arg-type]


def test_days_are_those_of_the_split_and_of_the_archive(source: SourceData) -> None:
    data = prepare_data(source, make_plan())
    assert data.training_days == (date(2000, 1, 1),)
    assert data.validation_days == (date(2000, 1, 2),)
    assert data.sha256 == source.hash_content((date(2000, 1, 1), date(2000, 1, 2)))


def test_validation_windows_are_the_same_in_every_training(source: SourceData) -> None:
    first, same, other = (
        prepare_data(source, make_plan(validation=ValidationPlan(windows=3, seed=seed))).validation
        for seed in (0, 0, 1)
    )
    assert len(first) == len(same) == len(other) == 3
    for one, another in zip(first, same, strict=True):
        np.testing.assert_array_equal(one.inputs, another.inputs)
    assert any(
        not np.array_equal(one.inputs, another.inputs)
        for one, another in zip(first, other, strict=True)
    )


def test_windows_have_the_shape_that_the_network_is_fitted_to(source: SourceData) -> None:
    data = prepare_data(source, make_plan(window_profiles=64))
    config = fit_config(NetworkConfig(filters=2, depth=2), data.preprocessing)
    assert (config.filters, config.depth) == (2, 2)
    assert (config.input_rows, config.input_profiles) == (128, 64)
    shape = (config.input_rows, config.input_profiles, config.channels)
    assert config.channels == len(data.preprocessing.channel_names)
    assert {example.inputs.shape for example in data.validation} == {shape}
    assert next(data.windows.draw(0, 0)).inputs.shape == shape
    assert config.output_rows == data.preprocessing.output_rows == 16  # 1250 m of 78.125 m


def test_source_without_days_to_validate_on_is_refused(
    catalog: Path, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    text = catalog.read_text().replace("validation: [2000-01-02]", "validation: []")
    (tmp_path / "none.yaml").write_text(text)
    places = DataPlaces(catalog=tmp_path / "none.yaml", archive=str(trained[0]))
    with pytest.raises(WindowError, match="1 to train and 0 to validate on"):
        prepare_data(open_source(SOURCE, places), make_plan())


def test_preprocessing_is_that_of_the_catalogues_entry(catalog_file: Path) -> None:
    entry = read_catalog(catalog_file)["mrr_pro"]
    preprocessing = preprocess_for(entry, window_profiles=32)
    assert preprocessing.grid.row_depth_m == 50
    assert preprocessing.floor_dbz == -10
    assert preprocessing.lowest_trusted_m == 150
    assert preprocessing.window_profiles == 32
    assert tuple(preprocessing.channels) == CHANNELS


def test_losses_know_the_floor_in_network_units(catalog_file: Path) -> None:
    entry = read_catalog(catalog_file)["palaiseau_basta"]
    preprocessing = preprocess_for(entry)
    training = TrainingConfig(steps=3)
    fitted = fit_training(training, preprocessing)
    assert fitted.loss.floor_unit == preprocessing.floor_unit
    assert dataclasses.replace(fitted, loss=training.loss) == training  # and nothing else changes


def test_strong_echo_is_clipped_to_the_range_of_the_plan_and_noted(source: SourceData) -> None:
    narrow = ReflectivityScaling(highest_dbz=-20.0)
    data = prepare_data(source, make_plan(scaling=narrow))
    assert data.preprocessing.scaling == narrow
    value = np.concatenate([example.targets["value"][..., 0] for example in data.validation])
    assert value.max() == narrow.highest_unit
    (note,) = data.notes
    assert note.endswith("'scaling: {highest_dbz: ...}' of the plan is right")
    assert " of the echo is clipped to -20 dBZ" in note
    assert prepare_data(source, make_plan()).notes == ()
