"""The training of one network on prepared data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras

from blindzone.core.example import Example
from blindzone.flows.experiments.training_data import TrainingData, fit_config, fit_training
from blindzone.flows.experiments.training_plan import TrainingPlan
from blindzone.flows.experiments.window_scores import WindowScorer
from blindzone.models.batch_statistics import settle_statistics
from blindzone.models.checkpoint import read_checkpoint
from blindzone.models.families import build_network, for_inference
from blindzone.models.network_weights import copy_weights, warm_start
from blindzone.models.training import TrainingContext, train_network
from blindzone.models.training_record import Progress, TrainingRecord, Validation
from blindzone.models.training_step import training_scope


def fit_network(
    data: TrainingData,
    plan: TrainingPlan,
    *,
    on_step: Callable[[Progress], None] = lambda progress: None,
    on_validation: Callable[[Validation], None] = lambda validation: None,
    start_from: tuple[Path, ...] = (),
    begin_with: Callable[[keras.Model], Any] | None = None,
    on_trained: Callable[[keras.Model], None] | None = None,
    state_file: Path | None = None,
    first_window: int = 0,
) -> tuple[keras.Model, TrainingRecord]:
    """Returns a trained network, for inference in single precision, and the record of its training.

    Args:
        data: What to train on.
        plan: How; of several stages the last.
        on_step: Called after every step.
        on_validation: Called after every look at the validation windows.
        start_from: Checkpoint of a network of the same shape to begin with, or one for each of its
            column paths.
        begin_with: Sets the weights that the training begins with, if it is not resumed.
        on_trained: Called in the end with the network for training: all its heads included, its
            batch statistics settled for a stage that may freeze them.
        state_file: Where the state of the training is kept.
        first_window: Number of the first window that is drawn.
    """
    config = fit_config(plan.network, data.preprocessing)
    training = fit_training(plan.training, data.preprocessing)
    scorer = WindowScorer(
        data.validation,
        config,
        data.preprocessing,
        passes=training.validation_realizations,
        seed=training.seed,
    )

    def draw(first: int) -> Iterator[Example]:
        return data.windows.draw(training.seed, first_window + first)

    resumed = state_file is not None and state_file.exists()
    start = [] if resumed else [read_checkpoint(path).network for path in start_from]
    with training_scope(training):
        network = build_network(config)
        if start:
            warm_start(network, *start)
        if begin_with is not None and not resumed:
            begin_with(network)
        record = train_network(
            network,
            config,
            draw,
            data.validation,
            training,
            TrainingContext(
                on_step=on_step,
                on_validation=on_validation,
                score=scorer.score if training.validation == "monte_carlo" else None,
                state_file=state_file,
            ),
        )
        if on_trained is not None:
            settle_statistics(network, draw, training.batch_size)
            on_trained(network)
    trained = build_network(config)
    copy_weights(network, trained)
    return for_inference(trained, config), record


def fit_plan(
    data: TrainingData,
    plan: TrainingPlan,
    *,
    on_validation: Callable[[Validation], None] = lambda validation: None,
) -> tuple[keras.Model, TrainingRecord]:
    """Returns a network trained by all stages of a plan, and the record of the last one.

    Nothing is written. A run with a directory goes through its stages by `fit_stages`.

    Args:
        data: What to train on.
        plan: How; each stage has a budget of its own.
        on_validation: Called after every look at the validation windows in the last stage.
    """
    data = data.narrow(plan.window_profiles)
    paths = [fit_plan(data, alone)[0] for alone in plan.of_paths()]
    before: list[keras.Model] = []
    windows = 0

    def begin(network: keras.Model) -> None:
        if before:
            copy_weights(before.pop(), network)
        elif paths:
            warm_start(network, *paths)

    *first, last = plan.whole_stages
    for stage in first:
        alone = plan.only(stage)
        _, record = fit_network(
            data.narrow(alone.window_profiles),
            alone,
            begin_with=begin,
            on_trained=before.append,
            first_window=windows,
        )
        windows += record.steps * stage.batch_size
    return fit_network(
        data,
        plan.only(last),
        begin_with=begin,
        on_validation=on_validation,
        first_window=windows,
    )
