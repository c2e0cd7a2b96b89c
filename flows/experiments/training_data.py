"""The days of a source as a training takes them: windows, preprocessing and network to fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TypeVar

import numpy as np

from blindzone.core.errors import WindowError
from blindzone.core.example import Example
from blindzone.flows.experiments.day_blocks import split_days
from blindzone.flows.experiments.training_plan import TrainingPlan
from blindzone.flows.running.source_data import SourceData
from blindzone.models.network_config import NetworkConfig
from blindzone.models.training_config import TrainingConfig
from blindzone.pipeline.catalog.catalog import Source
from blindzone.pipeline.network_input.narrow_windows import NarrowWindows, part_window
from blindzone.pipeline.network_input.preprocessing import CHANNELS, Preprocessing
from blindzone.pipeline.network_input.training_windows import (
    NumberedWindows,
    PooledWindows,
    WindowConfig,
    WindowSampler,
)

_MUCH_CLIPPED = 0.01
"""Share of the echo at the upper end of its range from which on it is reported."""


Training = TypeVar("Training", bound=TrainingConfig)


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """The days of a source, and of those pooled with it, as a training takes them.

    Attributes:
        entry: The catalogue's entry of the source.
        training_days: Days of the source that windows are drawn from.
        validation_days: Days of the source that tell which weights are best.
        pooled: Training and validation days of each further source, by its name.
        simulated: Whether any of the sources is.
        sha256: Hash over the archived content of all these days.
        preprocessing: How curtains become network input.
        windows: Draws windows of the training days.
        validation: Fixed windows of the validation days.
        redraw: Returns the first of the same windows for another preprocessing.
    """

    entry: Source
    training_days: tuple[date, ...]
    validation_days: tuple[date, ...]
    pooled: dict[str, tuple[tuple[date, ...], tuple[date, ...]]]
    simulated: bool
    sha256: str
    preprocessing: Preprocessing
    windows: NumberedWindows
    validation: list[Example]
    redraw: Callable[[Preprocessing, int], list[Example]]

    def narrow(self, window_profiles: int) -> TrainingData:
        """Returns the same with windows of so many profiles: parts of these."""
        if window_profiles == self.preprocessing.window_profiles:
            return self
        return replace(
            self,
            preprocessing=replace(self.preprocessing, window_profiles=window_profiles),
            windows=NarrowWindows(self.windows, window_profiles),
            validation=[
                part
                for example in self.validation
                for part in part_window(example, window_profiles)
            ],
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What people should know of the data: nothing, or how much echo is clipped."""
        scaling = self.preprocessing.scaling
        value = np.concatenate(
            [example.targets["value"][..., 0].ravel() for example in self.validation]
        )
        echo = value[value > scaling.clear_limit]
        clipped = np.isclose(echo, scaling.highest_unit)
        if not echo.size or clipped.mean() < _MUCH_CLIPPED:
            return ()
        return (
            f"{clipped.mean():.0%} of the echo is clipped to {scaling.highest_dbz:g} dBZ; a higher"
            " 'scaling: {highest_dbz: ...}' of the plan is right",
        )


def prepare_data(
    data: SourceData, plan: TrainingPlan, others: Sequence[SourceData] = ()
) -> TrainingData:
    """Returns the days of a source as a training of a plan takes them.

    Args:
        data: The source.
        plan: The plan.
        others: Sources that are pooled with it; the plan says how their windows mix.

    Raises:
        WindowError: If too few days are archived to train and to validate, or a source has another
            grid, spacing of profiles or sensitivity floor.
    """
    sources = (data, *others)
    days = [split_days(data), *(split_days(other, is_pooled=True) for other in others)]
    preprocessing = _preprocess(plan, data.entry)
    for other in others:
        _check_alike(data, other)

    def sample(block: int, preprocessing: Preprocessing, config: WindowConfig) -> NumberedWindows:
        samplers = [
            WindowSampler(
                source.archive,
                source.name,
                blocks[block],
                preprocessing,
                config=config,
                catalog=source.catalog,
                selected_for_echo=source.entry.selected_for_echo,
                may_be_clear=source is not data,
            )
            for source, blocks in zip(sources, days, strict=True)
            if blocks[block]
        ]
        if len(samplers) == 1:
            return samplers[0]
        lengths = np.array([sampler.profiles for sampler in samplers])
        by_length = plan.pooling == "by_length"
        return PooledWindows(samplers, lengths / lengths.sum() if by_length else None)

    def draw(preprocessing: Preprocessing, count: int) -> list[Example]:
        withheld = sample(1, preprocessing, plan.validation.choose_windows(plan.windows))
        return withheld.draw_fixed(count, plan.validation.seed)

    training_days, validation_days = days[0]
    hashes = [
        source.hash_content((*blocks[0], *blocks[1]))
        for source, blocks in zip(sources, days, strict=True)
    ]
    return TrainingData(
        entry=data.entry,
        training_days=training_days,
        validation_days=validation_days,
        pooled={source.name: blocks for source, blocks in zip(others, days[1:], strict=True)},
        simulated=any(source.entry.simulation is not None for source in sources),
        sha256="+".join(hashes),
        preprocessing=preprocessing,
        windows=sample(0, preprocessing, plan.windows),
        validation=draw(preprocessing, plan.validation.windows),
        redraw=draw,
    )


def _preprocess(plan: TrainingPlan, entry: Source) -> Preprocessing:
    """Returns how the curtains of a source become input of a plan's network."""
    fitting = preprocess_for(entry, plan.channels, plan.window_profiles)
    return plan.windows.prepare(replace(fitting, scaling=plan.scaling))


def find_differences(first: SourceData, other: SourceData) -> list[str]:
    """Returns why windows of two sources are no input of the same network; nothing if they are."""
    ours, theirs = preprocess_for(first.entry), preprocess_for(other.entry)
    return [
        f"{name} {getattr(theirs, name)}, not {getattr(ours, name)}"
        for name in ("grid", "profile_spacing_m", "floor_dbz")
        if getattr(ours, name) != getattr(theirs, name)
    ]


def _check_alike(first: SourceData, other: SourceData) -> None:
    """Checks that windows of two sources are input of the same network."""
    if differing := find_differences(first, other):
        raise WindowError(
            f"{other.name} cannot be pooled with {first.name}: it has {'; '.join(differing)}"
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


def fit_config(network: NetworkConfig, preprocessing: Preprocessing) -> NetworkConfig:
    """Returns the network's configuration with map and channels of the preprocessing."""
    return replace(
        network,
        input_rows=preprocessing.grid.rows,
        input_profiles=preprocessing.window_profiles,
        channels=len(preprocessing.channel_names),
        output_rows=preprocessing.output_rows,
    )


def fit_plan(plan: TrainingPlan, entry: Source) -> TrainingPlan:
    """Returns a plan with what follows from the source in its place."""
    preprocessing = _preprocess(plan, entry)
    return replace(
        plan,
        network=fit_config(plan.network, preprocessing),
        stages=tuple(fit_training(stage, preprocessing) for stage in plan.stages),
    )


def fit_training(training: Training, preprocessing: Preprocessing) -> Training:
    """Returns the training's configuration with losses that know the sensitivity floor."""
    return replace(training, loss=replace(training.loss, floor_unit=preprocessing.floor_unit))
