"""Train: archived days of a source to a checkpoint, in a run directory of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
from prefect import flow

from blindzone.core.errors import BlindzoneError, WindowError
from blindzone.core.example import Example
from blindzone.flows.experiments.model_card import write_card
from blindzone.flows.experiments.runs import (
    Run,
    RunError,
    begin_run,
    describe_software,
    find_run,
    hash_data,
    runs_folder,
)
from blindzone.flows.experiments.tensorboard import open_board
from blindzone.flows.experiments.training_plan import RECIPE, TrainPlan, read_plan
from blindzone.flows.experiments.window_scores import WindowScorer
from blindzone.flows.running.prefect_steps import step
from blindzone.flows.running.progress import stage
from blindzone.flows.running.workspace import archive_folder, checkpoint_file
from blindzone.models.checkpoint import (
    Checkpoint,
    copy_checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from blindzone.models.column import name_path
from blindzone.models.training import TrainingConfig, train_network, warm_start
from blindzone.models.training_record import Progress, TrainingRecord, Validation
from blindzone.models.training_step import list_devices, training_scope
from blindzone.models.unet3plus import UNet3PlusConfig, build_unet3plus, for_inference
from blindzone.pipeline.archive import Archive
from blindzone.pipeline.catalog.catalog import Catalog, Source, read_catalog
from blindzone.pipeline.network_input.preprocessing import CHANNELS, Preprocessing
from blindzone.pipeline.network_input.training_windows import WindowConfig, WindowSampler
from blindzone.pipeline.plots.scenes import draw_scenes


@dataclass(frozen=True, kw_only=True)
class TrainReport:
    """What a training made."""

    checkpoint: Path
    sha256: str
    steps: int
    minutes: float
    validation_loss: float
    training_days: int
    validation_days: int
    run: Path
    wait_share: float
    scores: dict[str, float]
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """The days of a source as a training sees them."""

    entry: Source
    training_days: tuple[date, ...]
    validation_days: tuple[date, ...]
    sha256: str
    preprocessing: Preprocessing
    windows: WindowSampler
    validation: list[Example]


@flow(name="train", log_prints=True)
def train(
    source: str,
    catalog: Path | None = None,
    archive: Path | str | None = None,
    checkpoint: Path | None = None,
    plan: TrainPlan | None = None,
    start_from: tuple[Path, ...] = (),
    tensorboard: bool = False,
) -> TrainReport:
    """Trains a network on a source's training days and keeps the weights that do best on its validation days.

    Args:
        source: Name of the source in the catalogue.
        catalog: Catalogue file.
        archive: Folder of the archive.
        checkpoint: File to write.
        plan: Every choice but the data; by default `RECIPE`.
        start_from: Checkpoint of a network of the same shape to begin with, or one for each of its
            column paths, which are then not trained before.
        tensorboard: Whether to write what TensorBoard shows.
    """
    return train_plan(
        source,
        catalog,
        archive or archive_folder(),
        checkpoint or checkpoint_file(source),
        plan or read_plan(RECIPE),
        start_from=start_from,
        tensorboard=tensorboard,
    )


@flow(name="resume", log_prints=True)
def resume(run: str) -> TrainReport:
    """Goes on with a training that was killed, as if it had not been.

    Args:
        run: Its name, a part of it, or its directory.

    Raises:
        RunError: If there is no such run, it is finished, or the data have changed since.
    """
    found = find_run(runs_folder(), run)
    if found.status == "finished":
        raise RunError(
            f"{found.name} is finished; 'blindzone train --start-from {found.checkpoint}' goes on"
            " from it"
        )
    return go_on(found)


@step
def train_plan(
    source: str,
    catalog: Path | None,
    archive: Path | str,
    checkpoint: Path,
    plan: TrainPlan,
    *,
    start_from: tuple[Path, ...] = (),
    tensorboard: bool = False,
    runs: Path | None = None,
) -> TrainReport:
    """Trains one network from start to checkpoint.

    Raises:
        WindowError: If the archive does not hold enough days to train and to validate.
        TrainingError: If the training diverges.
    """
    store = Archive(archive)
    if start_from:
        plan = replace(plan, path_training=None)
    data = prepare_data(source, read_catalog(catalog), store, plan)
    about = {
        "source": source,
        "title": data.entry.full_title,
        "licence": data.entry.licence,
        "reference": data.entry.reference,
        "simulated": data.entry.simulation is not None,
        "catalog": None if catalog is None else str(Path(catalog).resolve()),
        "archive": str(store.root.resolve() if isinstance(store.root, Path) else store.root),
        "checkpoint": str(Path(checkpoint).resolve()),
        "start_from": [str(Path(path).resolve()) for path in start_from],
        "start_from_sha256": [read_checkpoint(path).sha256 for path in start_from],
        "tensorboard": tensorboard,
        "begun": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "training_days": [str(day) for day in data.training_days],
        "validation_days": [str(day) for day in data.validation_days],
        "data_sha256": data.sha256,
        "preprocessing": data.preprocessing.to_dict(),
        "software": describe_software(),
        "devices": list_devices(),
    }
    return _record_end(begin_run(runs or runs_folder(), source, plan, about), data, plan)


@step
def go_on(run: Run) -> TrainReport:
    """Goes on with a run from its last state, or from its beginning if it has none yet."""
    about, plan = run.about(), read_plan(run.plan_file)
    catalog = None if about["catalog"] is None else Path(about["catalog"])
    data = prepare_data(about["source"], read_catalog(catalog), Archive(about["archive"]), plan)
    if (data.sha256, data.preprocessing.to_dict()) != (
        about["data_sha256"],
        about["preprocessing"],
    ):
        raise RunError(
            f"{run.name}: the archive's days, or how the catalogue treats them, have changed since"
            " the run was begun; it cannot be gone on with, so begin a new one"
        )
    return _record_end(run, data, plan)


def prepare_data(source: str, catalog: Catalog, archive: Archive, plan: TrainPlan) -> TrainingData:
    """Returns the days of a source as a training of a plan sees them.

    Raises:
        WindowError: If the archive does not hold enough days to train and to validate.
    """
    entry = catalog[source]
    training_days, validation_days = split_days(source, entry, archive.days(source))
    preprocessing = plan.windows.prepare(preprocess_for(entry, plan.channels, plan.window_profiles))
    plain = WindowConfig(clear_share=plan.validation.clear_share)
    held_out = WindowSampler(
        archive, source, validation_days, preprocessing, config=plain, catalog=catalog
    )
    return TrainingData(
        entry=entry,
        training_days=training_days,
        validation_days=validation_days,
        sha256=hash_data(archive, source, (*training_days, *validation_days)),
        preprocessing=preprocessing,
        windows=WindowSampler(
            archive, source, training_days, preprocessing, config=plan.windows, catalog=catalog
        ),
        validation=held_out.draw_fixed(plan.validation.windows, plan.validation.seed),
    )


def fit_network(
    data: TrainingData,
    plan: TrainPlan,
    *,
    on_step: Callable[[Progress], None] = lambda progress: None,
    on_validation: Callable[[Validation], None] = lambda validation: None,
    start_from: tuple[Path, ...] = (),
    state_file: Path | None = None,
) -> tuple[keras.Model, TrainingRecord]:
    """Returns a trained network, for inference in single precision, and the record of its training.

    Args:
        data: What to train on.
        plan: How.
        on_step: Called after every step.
        on_validation: Called after every look at the validation windows.
        start_from: Checkpoint of a network of the same shape to begin with, or one for each of its
            column paths.
        state_file: Where the state of the training is kept.
    """
    config = fit_config(plan.network, data.preprocessing)
    training = fit_training(plan.training, data.preprocessing)
    judge = WindowScorer(
        data.validation,
        config,
        data.preprocessing,
        passes=training.validation_realizations,
        seed=training.seed,
    )

    def draw(first: int) -> Iterator[Example]:
        return data.windows.draw(training.seed, first)

    resumed = state_file is not None and state_file.exists()
    start = [] if resumed else [read_checkpoint(path).network for path in start_from]
    with training_scope(training):
        network = build_unet3plus(config)
        if start:
            warm_start(network, *start)
        record = train_network(
            network,
            config,
            draw,
            data.validation,
            training,
            on_step=on_step,
            on_validation=on_validation,
            score=judge.score if training.validation == "monte_carlo" else None,
            state_file=state_file,
        )
    trained = build_unet3plus(config)
    trained.set_weights(network.get_weights())
    return for_inference(trained, config), record


def _record_end(run: Run, data: TrainingData, plan: TrainPlan) -> TrainReport:
    """Trains and writes down how that ended, well or not."""
    try:
        return _train_run(run, data, plan)
    except BlindzoneError as error:
        run.write("result.json", {"status": "failed", "reason": str(error)})
        raise


def _train_run(run: Run, data: TrainingData, plan: TrainPlan, name: str = "train") -> TrainReport:
    minutes = _train_paths(run, data, plan)
    about = run.about()
    config = fit_config(plan.network, data.preprocessing)
    judge = WindowScorer(
        data.validation,
        config,
        data.preprocessing,
        passes=plan.training.validation_realizations,
    )
    notes: list[str] = []
    board = open_board(run.path / "tensorboard") if about["tensorboard"] else None

    def log(validation: Validation) -> None:
        try:
            run.log(validation)
        except RunError as error:  # a full disk: the numbers are worth less than the training
            notes.append(str(error))
        if board is not None:
            board.write(validation.step, asdict(validation))

    start_from = tuple(Path(path) for path in about["start_from"])
    with stage(name) as on_progress:

        def on_step(progress: Progress) -> None:
            best = (
                ""
                if math.isnan(progress.best_score)
                else f", best validation score {progress.best_score:.3f}"
            )
            on_progress(
                progress.share_done,
                f"step {progress.step}{best}, {progress.wait_share:.1%} waiting for data",
            )

        network, record = fit_network(
            data,
            plan,
            on_step=on_step,
            on_validation=log,
            start_from=start_from,
            state_file=run.state_file,
        )
    filled = judge.fill(network)
    scores = judge.scores(filled)
    provenance = _describe(record, about, plan, scores)
    sha256 = write_checkpoint(
        run.checkpoint,
        Checkpoint(
            network=network,
            config=config,
            preprocessing=data.preprocessing.to_dict(),
            training=provenance,
        ),
    )
    checkpoint = Path(about["checkpoint"])
    if checkpoint != run.checkpoint.resolve():
        copy_checkpoint(run.checkpoint, checkpoint)
    if scenes := judge.scenes(filled):
        title = f"{data.entry.full_title}: validation windows, after {record.steps} steps"
        draw_scenes(
            scenes, data.preprocessing.grid, run.path / "pictures" / "trained.webp", title=title
        )
    minutes += record.seconds / 60
    result = {
        "status": "finished",
        "checkpoint": str(checkpoint),
        "sha256": sha256,
        "scores": scores,
        "minutes": minutes,
    }
    run.write(
        "result.json", result | {"record": record.to_dict() | {"notes": [*record.notes, *notes]}}
    )
    write_card(run, config)
    run.state_file.unlink(missing_ok=True)
    return TrainReport(
        checkpoint=checkpoint,
        sha256=sha256,
        steps=record.steps,
        minutes=minutes,
        validation_loss=record.validation_loss,
        training_days=len(data.training_days),
        validation_days=len(data.validation_days),
        run=run.path,
        wait_share=record.wait_share,
        scores=scores,
        notes=(*record.notes, *notes),
    )


def _train_paths(run: Run, data: TrainingData, plan: TrainPlan) -> float:
    """Trains each column path alone, if the plan says so, and returns the minutes that it took.

    Each has a directory inside the run's. The run then starts from their checkpoints; a path that
    is trained is not trained again when the run is gone on with.
    """
    about = run.about()
    plans = plan.of_paths()
    paths = [run.part(name_path(number)) for number in range(len(plans))]
    for path, alone in zip(paths, plans, strict=True):
        if path.status == "finished":
            continue
        if not path.is_begun:
            path.begin(alone, about | {"checkpoint": str(path.checkpoint.resolve())})
        _train_run(path, data, alone, f"train {path.path.name}")
    if paths:
        started = {"start_from": [str(path.checkpoint.resolve()) for path in paths]}
        run.write(
            "about.json",
            about | started | {"start_from_sha256": [path.result()["sha256"] for path in paths]},
        )
    return float(sum(path.result()["minutes"] for path in paths))


def _describe(
    record: TrainingRecord, about: dict[str, Any], plan: TrainPlan, scores: dict[str, float]
) -> dict[str, Any]:
    """Returns what a checkpoint tells of its training."""
    told = (
        "source",
        "simulated",
        "training_days",
        "validation_days",
        "data_sha256",
        "software",
        "devices",
    )
    return record.to_dict() | {
        **{key: about[key] for key in told},
        "start_from_sha256": about["start_from_sha256"],
        "software_version": version("blindzone"),
        "configuration": plan.training.to_dict(),
        "windows": plan.windows.to_dict(),
        "validation_scores": scores,
    }


def preprocess_for(
    entry: Source, channels: tuple[str, ...] = CHANNELS, window_profiles: int = 128
) -> Preprocessing:
    """Returns how a source's curtains are shown to a network."""
    return Preprocessing(
        grid=entry.grid,
        blind_zone=entry.blind_zone,
        floor_dbz=entry.quality.sensitivity_floor_dbz,
        lowest_trusted_m=entry.quality.lowest_trusted_m,
        channels=channels,
        window_profiles=window_profiles,
    )


def fit_config(network: UNet3PlusConfig, preprocessing: Preprocessing) -> UNet3PlusConfig:
    """Returns the network's configuration with the map and channels that the preprocessing makes."""
    return replace(
        network,
        input_rows=preprocessing.grid.rows,
        input_profiles=preprocessing.window_profiles,
        channels=len(preprocessing.channel_names),
        output_rows=preprocessing.output_rows,
    )


def fit_training(training: TrainingConfig, preprocessing: Preprocessing) -> TrainingConfig:
    """Returns the configuration of a training whose losses know the sensitivity floor."""
    return replace(training, loss=replace(training.loss, floor_unit=preprocessing.floor_unit))


def split_days(
    source: str, entry: Source, held: tuple[date, ...]
) -> tuple[tuple[date, ...], tuple[date, ...]]:
    """Returns the training and the validation days among the days that the archive holds, never one in both.

    They are those of the catalogue's split. A source without a split is validated on the last fifth
    of its days.

    Raises:
        WindowError: If either block is empty.
    """
    if entry.split.training:
        training = tuple(day for day in held if day in entry.split.training)
        validation = tuple(day for day in held if day in entry.split.validation)
    else:
        count = max(1, len(held) // 5)
        training, validation = held[:-count], held[-count:]
    if not training or not validation:
        raise WindowError(
            f"{source}: the archive holds {len(held)} of its days, {len(training)} to train and"
            f" {len(validation)} to validate on; at least one of each is needed, so ingest more"
            f" days ('blindzone ingest {source}')"
        )
    return training, validation
