"""Contest of a trained network with the weights in use: the better one fills later runs.

Both fill the same validation windows with as many forward passes and the same seed, and are scored
by the same scorer against the same truth. The weights in use are those of the source in the
workspace, else those of the package. They may have other channels, another width of windows, and
may have been trained for a deeper blind zone: each is given the windows as it needs them, and the
rows that both fill are scored. With another grid, sensitivity floor or scaling, or a blind zone
less deep, they cannot fill these windows. The rival is then persistence, which any network should
surpass; so it is where no network is for such curtains from above.

A checkpoint that was asked for by name is no network in use, and is written without a contest.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from blindzone.core.errors import BlindzoneError, CheckpointError, CurtainError
from blindzone.flows.experiments.training_data import TrainingData
from blindzone.flows.experiments.window_scores import SCORE, WindowScorer
from blindzone.flows.running.network_choice import (
    CurtainKind,
    find_network_kind,
    trained_checkpoint,
)
from blindzone.flows.running.network_in_use import (
    SHOWN_DIGITS,
    NetworkInUse,
    name_checkpoint,
    read_network_in_use,
)
from blindzone.flows.running.workspace import checkpoint_file
from blindzone.models.checkpoint import Checkpoint, copy_checkpoint, read_checkpoint
from blindzone.models.checkpoint_record import hash_file, open_record
from blindzone.pipeline.network_input.preprocessing import Preprocessing

REPLACED = "replaced"
"""Folder of checkpoints that were in use, next to those that are."""


@dataclass(frozen=True, kw_only=True)
class Contest:
    """How a trained network compares with what would fill otherwise.

    Attributes:
        score: Score of the trained network, the lower the better.
        rival: What it is compared with, in words.
        rival_score: Score of that.
        windows: Number of windows.
    """

    score: float
    rival: str
    rival_score: float
    windows: int

    @property
    def is_won(self) -> bool:
        """Whether the trained network is no worse; one that scores NaN is."""
        return self.score <= self.rival_score

    def __str__(self) -> str:
        """Returns the two scores in words."""
        return (
            f"{SCORE} {self.score:.3f} against {self.rival_score:.3f} of {self.rival}, on the same"
            f" {self.windows} validation windows"
        )


def is_used(source: str, target: Path) -> bool:
    """Returns whether later runs of a source use what is written to a place."""
    return target.resolve() == checkpoint_file(source).resolve()


def find_rival(source: str, kind: CurtainKind) -> Path | None:
    """Returns the weights in use for a source; None if there are none for its kind of curtains.

    Args:
        source: Name of the source.
        kind: What its curtains are.
    """
    with suppress(CurtainError):
        return trained_checkpoint(source, kind)
    return None


def hold_contest(
    trained: WindowScorer, score: float, rival: Path | None, data: TrainingData, passes: int
) -> Contest:
    """Returns how a trained network compares with the weights in use, or with persistence.

    Args:
        trained: Scorer of the trained network.
        score: Its score.
        rival: Checkpoint of the weights in use, if there are any.
        data: What it was trained on; its validation windows are filled.
        passes: Number of forward passes.
    """
    name, rival_score = _score_in_use(rival, trained, data, passes)
    return Contest(score=score, rival=name, rival_score=rival_score, windows=len(data.validation))


def _score_in_use(
    rival: Path | None, trained: WindowScorer, data: TrainingData, passes: int
) -> tuple[str, float]:
    """Returns name and score of the weights in use, or else of persistence."""
    if rival is None:
        return "persistence (no network in use is for such curtains)", trained.score_persistence()
    try:
        found = read_checkpoint(rival)
        score = _score_rival(found, trained, data, passes)
    except BlindzoneError as error:
        name = f"persistence ({name_checkpoint(rival)} cannot be compared: {error})"
        return name, trained.score_persistence()
    return f"{name_checkpoint(rival)}, SHA-256 {found.sha256[:SHOWN_DIGITS]}, in use", score


def _score_rival(
    rival: Checkpoint, trained: WindowScorer, data: TrainingData, passes: int
) -> float:
    """Returns the score of other weights on the windows of the trained network.

    Raises:
        CurtainError: If they cannot fill these windows.
    """
    ours, theirs = data.preprocessing, Preprocessing.from_dict(rival.preprocessing)
    differing = [
        name
        for name in ("grid", "floor_dbz", "scaling")
        if getattr(ours, name) != getattr(theirs, name)
    ]
    if differing:
        raise CurtainError(f"it has another {' and '.join(differing)}")
    fitting = theirs.fit_zone(data.entry.blind_zone, where=data.entry.name)
    if fitting.output_rows < ours.output_rows:
        raise CurtainError(
            f"it fills {fitting.output_rows} rows and the trained network {ours.output_rows}"
        )
    fitting = replace(fitting, window_profiles=ours.window_profiles)
    examples = data.validation if fitting == ours else data.redraw(fitting, len(data.validation))
    scorer = WindowScorer(examples, rival.config, fitting, passes=passes)
    rows = trained.truth.shape[1]
    if not np.array_equal(scorer.truth[:, :rows], trained.truth, equal_nan=True):
        raise CurtainError("its windows are others")
    return trained.scores(scorer.fill(rival.network).isel(height=slice(rows)))[SCORE]


def put_in_use(checkpoint: Path, target: Path) -> Path | None:
    """Copies a checkpoint to where later runs find it; returns where the replaced one is kept.

    Raises:
        CheckpointError: If one of both cannot be written; what is in use then stays.
    """
    kept = None
    if target.is_file():
        kept = target.parent / REPLACED / f"{target.stem}-{hash_file(target)[:SHOWN_DIGITS]}.keras"
        copy_checkpoint(target, kept)
    copy_checkpoint(checkpoint, target)
    return kept


@dataclass(frozen=True, kw_only=True)
class Change:
    """A change of the network in use.

    Attributes:
        source: Source that the network fills.
        target: Checkpoint that later runs of the source take.
        network: The network.
        replaced: What was in use before, in words if that was no network that can be read.
        undo: Checkpoint of that; None if there was none.
    """

    source: str
    target: Path
    network: NetworkInUse
    replaced: NetworkInUse | str
    undo: Path | None


def use_network(checkpoint: Path, source: str | None = None) -> Change:
    """Fills a source by a checkpoint from now on; the replaced one is kept.

    Args:
        checkpoint: The checkpoint.
        source: The source; by default the one that the network was trained on.

    Raises:
        CheckpointError: If the checkpoint cannot be used, names no source, or cannot be written.
    """
    network = read_network_in_use(checkpoint)
    name = source or str(network.training.get("source") or "")
    if not name:
        raise CheckpointError(
            f"{checkpoint}: it does not state which source it was trained on; --source SOURCE is"
            " right"
        )
    target = checkpoint_file(name)
    before = find_rival(name, find_network_kind(open_record(checkpoint).content))
    replaced: NetworkInUse | str = "no network"
    if before is not None:
        try:
            replaced = read_network_in_use(before)
        except BlindzoneError as error:  # a damaged one is replaced all the same
            replaced = str(error)
    kept = put_in_use(checkpoint, target)
    return Change(
        source=name, target=target, network=network, replaced=replaced, undo=kept or before
    )
