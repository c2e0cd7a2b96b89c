"""Runs: every training has a directory of its own with its plan, its progress and its results.

workspace/runs/SOURCE/TIME-ID/
    plan.json        every choice, a file that 'blindzone train --config' takes
    about.json       source, days and their hash, software, devices
    metrics.jsonl    one line a look at the validation windows
    state.npz        while it runs: what a killed run is resumed from
    pictures/        fixed scenes of the validation days, before and after
    checkpoint.keras, card.md; the network is used by later runs unless another scores better
    column/, ...     a run of each column path, where they are trained alone before
    stage1/, ...     a run of each stage of the whole network before the last
    result.json      how it ended, and its scores
    tensorboard/     if asked for
"""

from __future__ import annotations

import json
import platform
import subprocess
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blindzone.core.errors import BlindzoneError
from blindzone.core.files import write_atomically
from blindzone.flows.experiments.former_plan import translate_plan
from blindzone.flows.running.workspace import workspace
from blindzone.models.training_record import Validation

if TYPE_CHECKING:
    from blindzone.flows.experiments.training_plan import TrainingPlan

SHOWN_SCORES = (
    "CRPS [dB]",
    "MAE [dB]",
    "MAE hits [dB]",
    "CSI",
    "POD",
    "FAR",
    "frequency bias",
    "Brier",
    "coverage 90 %",
    "coverage 90 % echo",
)
"""What cards and comparisons show; result.json holds all."""

PACKAGES = ("blindzone", "tensorflow", "keras", "numpy", "xarray", "zarr")


class RunError(BlindzoneError):
    """A run is not there, or cannot be used as asked."""


@dataclass(frozen=True)
class Run:
    """The directory of one training run."""

    path: Path

    @property
    def name(self) -> str:
        """What a run is called: its source and its own name."""
        return f"{self.path.parent.name}/{self.path.name}"

    @property
    def plan_file(self) -> Path:
        """Every choice of the run."""
        return self.path / "plan.json"

    @property
    def state_file(self) -> Path:
        """The state that a killed run is resumed from."""
        return self.path / "state.npz"

    @property
    def checkpoint(self) -> Path:
        """The trained network."""
        return self.path / "checkpoint.keras"

    @property
    def is_begun(self) -> bool:
        """Whether what it is made from is written down."""
        return (self.path / "about.json").is_file()

    @property
    def metrics_file(self) -> Path:
        """One line a look at the validation windows."""
        return self.path / "metrics.jsonl"

    def part(self, name: str) -> Run:
        """Returns a run that is a part of this one: the training of a column path, or a stage."""
        return Run(self.path / name)

    def begin(self, plan: TrainingPlan, about: Mapping[str, Any]) -> None:
        """Makes the directory, with the plan and what the run is made from.

        Raises:
            RunError: If it cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"{self.path}: the run's directory cannot be made: {error}") from error
        self.write("plan.json", plan.to_dict())
        self.write("about.json", about)

    def choices(self) -> dict[str, Any]:
        """Returns the run's plan as plain values, without a look at them."""
        return translate_plan(self._read("plan.json"))

    def about(self) -> dict[str, Any]:
        """Returns what the run was made from."""
        return self._read("about.json")

    def result(self) -> dict[str, Any]:
        """Returns how the run ended; nothing of one that runs, or was killed."""
        return self._read("result.json") if (self.path / "result.json").is_file() else {}

    @property
    def status(self) -> str:
        """`finished`, `failed`, or `unfinished`: running, or killed."""
        return str(self.result().get("status", "unfinished"))

    def metrics(self) -> list[dict[str, Any]]:
        """Returns the validations; a line that a killed run left half written is passed over."""
        try:
            lines = self.metrics_file.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in lines if line.endswith("}")]

    def write(self, name: str, content: Mapping[str, Any]) -> None:
        """Writes one of the run's records, whole or not at all.

        Raises:
            RunError: If it cannot be written.
        """
        self.write_text(name, json.dumps(content, indent=1, default=str) + "\n")

    def write_text(self, name: str, text: str) -> None:
        """Writes a text of the run, whole or not at all, as `write` does."""
        with write_atomically(self.path / name, error=RunError) as partial:
            partial.write_text(text, encoding="utf-8")

    def log(self, validation: Validation) -> None:
        """Adds a validation; one that a resumed run has made before is replaced.

        Raises:
            RunError: If it cannot be written.
        """
        lines = [line for line in self.metrics() if line["step"] < validation.step]
        self.write_text(
            "metrics.jsonl",
            "".join(json.dumps(line) + "\n" for line in [*lines, asdict(validation)]),
        )

    def _read(self, name: str) -> dict[str, Any]:
        try:
            return dict(json.loads((self.path / name).read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise RunError(f"{self.path / name}: cannot be read: {error}") from error


def runs_folder() -> Path:
    """Returns the default folder of runs."""
    return workspace() / "runs"


def begin_run(folder: Path, source: str, plan: TrainingPlan, about: Mapping[str, Any]) -> Run:
    """Makes a run's directory, with its plan and what it is made from.

    Raises:
        RunError: If it cannot be made.
    """
    run = Run(folder / source / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:6]}")
    run.begin(plan, about)
    return run


def list_runs(folder: Path, source: str | None = None) -> list[Run]:
    """Returns the runs of a source, or of all, in order of time."""
    found = [Run(path.parent) for path in folder.glob(f"{source or '*'}/*/about.json")]
    return sorted(found, key=lambda run: (run.path.name, run.name))


def find_run(folder: Path, name: str) -> Run:
    """Returns the run of a name, a directory, or a part of a name that no other run has.

    Raises:
        RunError: If there is none, or there are several.
    """
    if (named := Run(Path(name))).is_begun:
        return named
    runs = list_runs(folder)
    found = [run for run in runs if run.name == name] or [run for run in runs if name in run.name]
    if len(found) == 1:
        return found[0]
    shown = ", ".join(run.name for run in (found or runs)[-5:]) or "none"
    what = f"{len(found)} runs are called so" if found else "no such run"
    raise RunError(f"{name}: {what}; {'some' if found else 'the last'} in {folder}: {shown}")


def compare_runs(runs: Iterable[Run]) -> Iterator[tuple[str, list[str]]]:
    """Yields keys with their value in each run: how they ended, all scores, choices that differ."""
    tables = [_flatten_run(run) for run in runs]
    for key in dict.fromkeys(key for table in tables for key in table):
        values = [table.get(key, "-") for table in tables]
        if key.startswith("score") or len({*values}) > 1:
            yield key, values


def _flatten_run(run: Run) -> dict[str, str]:
    result, about = run.result(), run.about()
    record, scores = result.get("record", {}), result.get("scores", {})
    told = {
        "status": run.status,
        **{key: record.get(key, "-") for key in ("steps", "best_step", "ended", "wait_share")},
        "minutes": round(result["minutes"], 1) if "minutes" in result else "-",
        **{f"score: {name}": round(scores[name], 4) for name in SHOWN_SCORES if name in scores},
        "data hash": str(about.get("data_sha256", "-"))[:12],
        "software": about.get("software", {}),
    }
    return {
        key: str(value)
        for key, value in (_flatten(told) | _flatten({"plan": run.choices()})).items()
    }


def _flatten(content: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in content.items():
        name = f"{above}.{key}" if above else key
        if key == "stages" and isinstance(value, list):
            value = {str(number): stage for number, stage in enumerate(value)}
        flat |= _flatten(value, name) if isinstance(value, dict) else {name: value}
    return flat


def describe_software() -> dict[str, Any]:
    """Returns the versions of the software, and the commit if it is a git checkout."""
    return {"python": platform.python_version(), "git": _describe_git()} | {
        name: version(name) for name in PACKAGES
    }


def _describe_git() -> str | None:
    """Returns the commit, with a note of later changes; nothing outside a checkout."""
    root = Path(str(files("blindzone"))).resolve()
    if not (root / ".git").exists():
        return None

    def ask(*words: str) -> str:
        command = ["git", "-C", str(root), *words]
        return subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=20
        ).stdout.strip()

    try:
        commit, changes = (
            ask("rev-parse", "HEAD"),
            ask("status", "--porcelain", "--untracked-files=no"),
        )
    except (OSError, subprocess.SubprocessError):  # no git, or no commit yet
        return None
    return f"{commit}{' with changes' if changes else ''}"
