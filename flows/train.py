"""Train: archived days of a source to a checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path

from prefect import flow

from blindzone.flows.orchestration import step
from blindzone.flows.progress import stage
from blindzone.flows.workspace import archive_folder, checkpoint_file
from blindzone.models.checkpoint import Checkpoint, write_checkpoint
from blindzone.models.training import Progress, TrainingConfig, seed_everything, train_network
from blindzone.models.unet3plus import UNet3PlusConfig, build_unet3plus
from blindzone.pipeline.archive import Archive
from blindzone.pipeline.catalog import Source, read_catalog
from blindzone.pipeline.errors import WindowError
from blindzone.pipeline.preprocessing import CHANNELS, Preprocessing
from blindzone.pipeline.windows import WindowSampler

VALIDATION_WINDOWS = 96
"""Windows looked at between steps: enough for a loss that is steady to a few per cent, a second or two to compute."""

SMALL_NETWORK = UNet3PlusConfig(filters=8, dropout=0.05)
"""What learns most in a few minutes on two cores; its map and channels follow from the source."""

STANDARD_NETWORK = UNet3PlusConfig(filters=16, dropout=0.1)
"""What a longer budget is spent on: 18 minutes took it past persistence on the validation days."""

STANDARD_FROM_MINUTES = 10.0


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


@flow(name="train", log_prints=True)
def train(
    source: str,
    minutes: float = 20.0,
    catalog: Path | None = None,
    archive: Path | str | None = None,
    checkpoint: Path | None = None,
    network: UNet3PlusConfig | None = None,
    training: TrainingConfig | None = None,
) -> TrainReport:
    """Trains a network on a source's training days and keeps the weights that do best on its validation days.

    Args:
        source: Name of the source in the catalogue.
        minutes: Wall-clock budget of the training.
        catalog: Catalogue file.
        archive: Folder of the archive.
        checkpoint: File to write.
        network: Shape of the network; its map and channels follow from the source. By default 8 filters, from ten
            minutes on 16.
        training: Rates and budgets, in place of `minutes`.
    """
    return train_checkpoint(
        source,
        catalog,
        archive or archive_folder(),
        checkpoint or checkpoint_file(source),
        network or (STANDARD_NETWORK if minutes >= STANDARD_FROM_MINUTES else SMALL_NETWORK),
        training or TrainingConfig(minutes=minutes),
    )


@step
def train_checkpoint(
    source: str,
    catalog: Path | None,
    archive: Path | str,
    checkpoint: Path,
    network: UNet3PlusConfig,
    training: TrainingConfig,
) -> TrainReport:
    """Trains one network from start to checkpoint.

    Raises:
        WindowError: If the archive does not hold enough days to train and to validate.
        TrainingError: If the training diverges.
    """
    entry = read_catalog(catalog)[source]
    store = Archive(archive)
    training_days, validation_days = split_days(source, entry, store.days(source))
    preprocessing = preprocess_for(entry)
    windows = WindowSampler(store, source, training_days, preprocessing)
    validation = WindowSampler(store, source, validation_days, preprocessing).draw_fixed(
        VALIDATION_WINDOWS, training.seed
    )
    config = fit_config(network, preprocessing)
    seed_everything(training.seed)
    model = build_unet3plus(config)
    with stage("train") as tell:

        def on_step(progress: Progress) -> None:
            tell(progress.share_done, f"step {progress.step}, best validation loss {progress.validation_loss:.3f}")

        record = train_network(model, lambda: windows.draw(training.seed), validation, training, on_step)
    provenance = record.to_dict() | {
        "source": source,
        "simulated": entry.simulation is not None,
        "training_days": [str(day) for day in training_days],
        "validation_days": [str(day) for day in validation_days],
        "software_version": version("blindzone"),
        "configuration": training.to_dict(),
    }
    sha256 = write_checkpoint(
        checkpoint,
        Checkpoint(network=model, config=config, preprocessing=preprocessing.to_dict(), training=provenance),
    )
    return TrainReport(
        checkpoint=checkpoint,
        sha256=sha256,
        steps=record.steps,
        minutes=record.seconds / 60,
        validation_loss=record.validation_loss,
        training_days=len(training_days),
        validation_days=len(validation_days),
    )


def preprocess_for(entry: Source) -> Preprocessing:
    """Returns how a source's curtains are shown to a network."""
    return Preprocessing(
        grid=entry.grid,
        blind_zone=entry.blind_zone,
        floor_dbz=entry.quality.sensitivity_floor_dbz,
        lowest_trusted_m=entry.quality.lowest_trusted_m,
    )


def fit_config(network: UNet3PlusConfig, preprocessing: Preprocessing) -> UNet3PlusConfig:
    """Returns the network's configuration with the map and channels that the preprocessing makes."""
    return UNet3PlusConfig(
        **network.to_dict()
        | {
            "input_rows": preprocessing.grid.rows,
            "input_profiles": preprocessing.window_profiles,
            "channels": len(CHANNELS),
            "output_rows": preprocessing.hidden_rows,
        }
    )


def split_days(source: str, entry: Source, held: tuple[date, ...]) -> tuple[tuple[date, ...], tuple[date, ...]]:
    """Returns the training and the validation days among the days that the archive holds, never one in both.

    They are those of the catalogue's split. A source without a split is validated on the last fifth of its days.

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
            f"{source}: the archive holds {len(held)} of its days, {len(training)} to train and {len(validation)} to "
            f"validate on; at least one of each is needed, so ingest more days ('blindzone ingest {source}')"
        )
    return training, validation
