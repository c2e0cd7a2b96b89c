"""The days of a source as a training takes them: windows, preprocessing and network to fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date

from blindzone.core.example import Example
from blindzone.flows.experiments.day_blocks import split_days
from blindzone.flows.experiments.training_plan import TrainingPlan
from blindzone.flows.running.source_data import SourceData
from blindzone.models.training_config import TrainingConfig
from blindzone.models.unet3plus_config import UNet3PlusConfig
from blindzone.pipeline.catalog.catalog import Source
from blindzone.pipeline.network_input.preprocessing import CHANNELS, Preprocessing
from blindzone.pipeline.network_input.training_windows import WindowConfig, WindowSampler


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """The days of a source as a training takes them.

    Attributes:
        entry: The catalogue's entry of the source.
        training_days: Days that windows are drawn from.
        validation_days: Days that tell which weights are best.
        sha256: Hash over the archived content of all these days.
        preprocessing: How curtains become network input.
        windows: Draws windows of the training days.
        validation: Fixed windows of the validation days.
        redraw: Returns the first of the same windows for another preprocessing.
    """

    entry: Source
    training_days: tuple[date, ...]
    validation_days: tuple[date, ...]
    sha256: str
    preprocessing: Preprocessing
    windows: WindowSampler
    validation: list[Example]
    redraw: Callable[[Preprocessing, int], list[Example]]


def prepare_data(data: SourceData, plan: TrainingPlan) -> TrainingData:
    """Returns the days of a source as a training of a plan takes them.

    Raises:
        WindowError: If too few days are archived to train and to validate.
    """
    entry = data.entry
    training_days, validation_days = split_days(data)
    preprocessing = plan.windows.prepare(preprocess_for(entry, plan.channels, plan.window_profiles))

    def sample(
        days: tuple[date, ...], preprocessing: Preprocessing, config: WindowConfig
    ) -> WindowSampler:
        return WindowSampler(
            data.archive, data.name, days, preprocessing, config=config, catalog=data.catalog
        )

    def draw(preprocessing: Preprocessing, count: int) -> list[Example]:
        plain = WindowConfig(clear_share=plan.validation.clear_share)
        withheld = sample(validation_days, preprocessing, plain)
        return withheld.draw_fixed(count, plan.validation.seed)

    return TrainingData(
        entry=entry,
        training_days=training_days,
        validation_days=validation_days,
        sha256=data.hash_content((*training_days, *validation_days)),
        preprocessing=preprocessing,
        windows=sample(training_days, preprocessing, plan.windows),
        validation=draw(preprocessing, plan.validation.windows),
        redraw=draw,
    )


def preprocess_for(
    entry: Source, channels: tuple[str, ...] = CHANNELS, window_profiles: int = 128
) -> Preprocessing:
    """Returns how a source's curtains become network input."""
    return Preprocessing(
        grid=entry.grid,
        blind_zone=entry.blind_zone,
        floor_dbz=entry.quality.sensitivity_floor_dbz,
        lowest_trusted_m=entry.quality.lowest_trusted_m,
        channels=channels,
        window_profiles=window_profiles,
        profile_spacing_m=entry.profile_spacing_m,
    )


def fit_config(network: UNet3PlusConfig, preprocessing: Preprocessing) -> UNet3PlusConfig:
    """Returns the network's configuration with map and channels of the preprocessing."""
    return replace(
        network,
        input_rows=preprocessing.grid.rows,
        input_profiles=preprocessing.window_profiles,
        channels=len(preprocessing.channel_names),
        output_rows=preprocessing.output_rows,
    )


def fit_training(training: TrainingConfig, preprocessing: Preprocessing) -> TrainingConfig:
    """Returns the training's configuration with losses that know the sensitivity floor."""
    return replace(training, loss=replace(training.loss, floor_unit=preprocessing.floor_unit))
