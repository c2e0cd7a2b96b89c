"""What each part of the network is worth: variants trained for the same processor time, scored.

Run `python benchmarks/ablation.py --pretrained FILE`, after an ingest of the source and a
`blindzone pretrain`. `ablation.yaml` lists the variants in sets: `families`; `curtains`,
a learning curve by the number of curtains that a trunk is pretrained on; and `adaptation`, what a
radar new to the network gains. Each variant is trained with three seeds for as many minutes of
processor time, whatever else the machine does: a step is measured first, and steps are counted. Of
all but the first set the trunks are pretrained here. Networks fill by a single pass.

Scored are the validation days: uncalibrated, and calibrated by the other days. "P clear" is the
mean probability of echo in the zone where a profile of the near-clear days shows none above it.
What was trained is kept in the workspace (`ablation/`), so that the command goes on where it
stopped. Nothing is scored on the test block.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import date
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import yaml

from blindzone.core.forward_passes import SINGLE
from blindzone.flows.calibrate import CalibrationPlan, calibrate
from blindzone.flows.evaluate import EvaluationPlan, evaluate
from blindzone.flows.experiments.training_plan import TrainingPlan, read_plan
from blindzone.flows.experiments.training_stage import Stage
from blindzone.flows.pretrain import PRETRAINING, PretrainPlan, pretrain
from blindzone.flows.running.plans import DataPlaces
from blindzone.flows.running.source_data import open_source
from blindzone.flows.running.trained_network import open_network
from blindzone.flows.running.workspace import workspace
from blindzone.flows.train import TrainPlan, train
from blindzone.pipeline.catalog.places import find_catalog
from blindzone.pipeline.inpainting.inpaint_curtain import fill_curtain

SOURCE = "palaiseau_basta"
NEAR_CLEAR = (date(2021, 3, 6), date(2021, 3, 8))
"""Validation days with hardly any echo."""
VARIANTS = Path(__file__).with_name("ablation.yaml")
FEW_STEPS = 2
"""Steps of the short training whose time is taken off longer ones."""
PRETRAINING_STEPS = 1200
MEASURED_S = 10.0
"""Processor time of steps that one step is measured by [s]: the rest scatters by much less."""
SCORES = ("CRPS [dB]", "CSI", "MAE [dB]", "coverage 90 % echo")
WITHHELD = ("CRPS [dB]", "CSI", "given echo: coverage 90 %")
"""Scores of each day calibrated by the other days."""


def main() -> None:
    """Trains and scores what has not been, and prints the table."""
    asked = parse_options()
    folder = workspace() / "ablation"
    folder.mkdir(parents=True, exist_ok=True)
    content = yaml.safe_load(VARIANTS.read_text(encoding="utf-8"))
    found: dict[str, list[dict[str, Any]]] = {}
    for seed in range(asked.seeds):
        for name, variant in content["sets"][asked.set].items():
            if not asked.variant or name in asked.variant:
                plan = content["common"] | variant["plan"]
                task = Task(folder, name, variant, plan, asked, seed)
                found.setdefault(name, []).append(run_apart(task))
    print_table(found, asked.minutes)


def parse_options() -> argparse.Namespace:
    """Returns the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--set", default="families", help="families, curtains or adaptation")
    parser.add_argument("--pretrained", type=Path, help="network whose trunk some begin with")
    parser.add_argument("--minutes", type=float, default=10.0, help="processor time of a training")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each variant")
    parser.add_argument("--variant", action="append", help="one of them alone; may be repeated")
    return parser.parse_args()


def run_apart(task: Task) -> dict[str, Any]:
    """Returns the scores of a training made in a process of its own, which frees its memory."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(task.run).result()


class Task:
    """One training of a variant, and where it is kept."""

    def __init__(
        self,
        folder: Path,
        name: str,
        variant: Mapping[str, Any],
        plan: Mapping[str, Any],
        asked: argparse.Namespace,
        seed: int,
    ) -> None:
        words = "".join(char if char.isalnum() else "_" for char in name)
        self.stem = f"{words.strip('_')}_{asked.minutes:g}min"
        self.folder, self.name, self.asked, self.seed = folder, name, asked, seed
        self.shares: list[float] = variant["shares"]
        self.begins_with = variant.get("pretrained")
        if self.begins_with is True and asked.pretrained is None:
            raise SystemExit(
                f"'{name}' begins with a pretrained trunk: --pretrained FILE is needed"
            )
        days = variant.get("training_days")
        self.days: list[date] = find_training_days() if days is None else days[seed]
        self.places = DataPlaces(catalog=write_catalog(self.kept("yaml"), self.days))
        self.plan_file = folder / f"{self.stem}.yaml"
        self.plan_file.write_text(yaml.safe_dump(dict(plan)), encoding="utf-8")

    def kept(self, kind: str) -> Path:
        """Returns a file of this training."""
        return self.folder / f"{self.stem}_{self.seed}.{kind}"

    def run(self) -> dict[str, Any]:
        """Returns the scores of the training, which is made unless it has been."""
        if self.kept("json").is_file():
            result: dict[str, Any] = json.loads(self.kept("json").read_text(encoding="utf-8"))
            return result
        steps = self.find_steps()
        checkpoint = self.kept("keras")
        begun = time.process_time()
        report = self.train(self.with_steps(steps), checkpoint)
        result = {
            "steps": steps,
            "processor_minutes": (time.process_time() - begun) / 60,
            "run": str(report.run),
            **score(checkpoint, self.folder / f"{self.stem}_{self.seed}"),
        }
        self.kept("json").write_text(json.dumps(result, indent=1), encoding="utf-8")
        print(f"{self.name}, seed {self.seed}: {json.dumps(result)}", flush=True)
        return result

    @cached_property
    def pretrained(self) -> Path | None:
        """The trunk to begin with, which is pretrained unless it has been; None without."""
        if not isinstance(self.begins_with, dict):
            return self.asked.pretrained if self.begins_with else None
        trunk = self.kept("trunk.keras")
        if not trunk.is_file():
            count = self.begins_with.get("days", len(self.days))
            spread = np.linspace(0, len(self.days) - 1, count).round().astype(int)
            days = [self.days[place] for place in spread]
            plan = read_plan(
                PRETRAINING, {"training": {"seed": self.seed, "steps": PRETRAINING_STEPS}}
            )
            pretrain.fn(
                PretrainPlan(
                    sources=tuple(self.begins_with["sources"]),
                    training_plan=plan,
                    checkpoint=trunk,
                    places=DataPlaces(catalog=write_catalog(self.kept("trunk.yaml"), days)),
                )
            )
        return trunk

    def find_steps(self) -> list[int]:
        """Returns how many steps each stage has, from what one takes."""
        kept = self.folder / f"{self.stem}.steps.json"
        if kept.is_file():
            found: list[int] = json.loads(kept.read_text(encoding="utf-8"))
            return found
        plan = read_plan(self.plan_file, {"training": {"seed": 0, "steps": FEW_STEPS}})
        steps = []
        for share, place in zip(self.shares, range(len(plan.stages)), strict=True):
            seconds = self.time_step(plan, place)
            steps.append(max(int(share * 60 * self.asked.minutes / seconds), 1))
        kept.write_text(json.dumps(steps), encoding="utf-8")
        return steps

    def time_step(self, plan: TrainingPlan, place: int) -> float:
        """Returns the processor time of a step of a stage [s]."""
        stage = plan.stages[place]
        if stage.part == "column_paths":
            plan = plan.of_paths()[0]
            stage = plan.stages[place]
        self.time_training(plan, stage, FEW_STEPS)  # what is done once only
        others, steps = self.time_training(plan, stage, FEW_STEPS), 4 * FEW_STEPS
        while (took := self.time_training(plan, stage, steps) - others) < MEASURED_S:
            steps *= 4
        return took / (steps - FEW_STEPS)

    def time_training(self, plan: TrainingPlan, stage: Stage, steps: int) -> float:
        """Returns the processor time of a training of a few steps [s]."""
        short = replace(
            plan,
            stages=(replace(stage, steps=steps, validations=1, share=None),),
            validation=replace(plan.validation, windows=1),
        )
        begun = time.process_time()
        self.train(short, self.folder / f"{self.stem}.short.keras")
        return time.process_time() - begun

    def with_steps(self, steps: Sequence[int]) -> TrainingPlan:
        """Returns the plan with so many steps in each stage."""
        plan = read_plan(self.plan_file, {"training": {"seed": self.seed, "steps": 1}})
        stages = tuple(
            replace(stage, steps=count) for stage, count in zip(plan.stages, steps, strict=True)
        )
        return replace(plan, stages=stages)

    def train(self, plan: TrainingPlan, checkpoint: Path) -> Any:
        """Returns the report of a training."""
        return train.fn(
            TrainPlan(
                source=SOURCE,
                training_plan=plan,
                checkpoint=checkpoint,
                pretrained=self.pretrained if plan.network.has_trunk else None,
                places=self.places,
            )
        )


def find_training_days() -> list[date]:
    """Returns the training days of the source's split."""
    return list(open_source(SOURCE, DataPlaces()).entry.split.training)


def write_catalog(file: Path, training_days: Sequence[date]) -> Path:
    """Writes the catalogue in use with these training days of the source."""
    content = yaml.safe_load(find_catalog().read_text(encoding="utf-8"))
    content["sources"][SOURCE]["split"]["training"] = list(training_days)
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    return file


def score(checkpoint: Path, folder: Path) -> dict[str, Any]:
    """Returns the scores of a network on the validation days."""
    report = evaluate.fn(
        EvaluationPlan(
            source=SOURCE, schemes=(), checkpoints=(checkpoint,), passes=SINGLE, output=folder
        )
    )
    (scores,) = report.scores.values()
    record = json.loads(report.record.read_text(encoding="utf-8"))
    (scheme,) = record["schemes"].values()
    by_day = {day: found["CRPS [dB]"] for day, found in scheme["scores"]["day"].items()}
    fit = calibrate.fn(CalibrationPlan(source=SOURCE, checkpoint=checkpoint, passes=SINGLE))
    return {
        "before": {name: scores[name] for name in SCORES if name in scores},
        "by_day": by_day,
        "after": {name: fit.depths[0].after[name] for name in WITHHELD},
        "p_clear": measure_clear_sky(checkpoint),
    }


def measure_clear_sky(checkpoint: Path) -> float:
    """Returns the mean probability of echo below a clear sky on near-clear days, uncalibrated."""
    trained = open_network(checkpoint)
    data = open_source(SOURCE, DataPlaces())
    low = data.entry.grid.row_of(data.entry.quality.lowest_trusted_m)
    found = []
    for day in NEAR_CLEAR:
        curtain = data.read(day)
        rows = trained.preprocessing.hidden_rows
        filled = fill_curtain(curtain, trained.network, trained.preprocessing, SINGLE, 0)
        probability = filled["hydrometeor_probability"].values[:, low:rows]
        dbz = curtain["reflectivity"].values[:, rows:]
        echo = np.nan_to_num(dbz, nan=-999.0) > trained.preprocessing.floor_dbz
        found.append(probability[~echo.any(axis=1)].ravel())
    return float(np.concatenate(found).mean())


def print_table(found: Mapping[str, Sequence[Mapping[str, Any]]], minutes: float) -> None:
    """Prints a line for each variant: means over seeds, and their scatter for the CRPS."""
    seeds = max(len(results) for results in found.values())
    print(
        f"\n{minutes:g} minutes of processor time each, {seeds} seeds; validation days of"
        f" {SOURCE}, a single pass\n\n"
        "| variant | steps | CRPS, dB | scatter | calibrated by other days | CSI | MAE, dB |"
        " 90 % given echo | P clear |\n|---|---|---|---|---|---|---|---|---|"
    )
    for name, results in found.items():
        before, after = ([result[key] for result in results] for key in ("before", "after"))
        crps = [scores["CRPS [dB]"] for scores in before]
        cells = [
            name,
            " + ".join(map(str, results[0]["steps"])),
            f"{statistics.mean(crps):.3f}",
            f"{statistics.stdev(crps):.3f}" if len(crps) > 1 else "",
            _mean(after, "CRPS [dB]"),
            _mean(before, "CSI"),
            _mean(before, "MAE [dB]"),
            _mean(after, WITHHELD[-1]),
            f"{statistics.mean(result['p_clear'] for result in results):.4f}",
        ]
        print(f"| {' | '.join(cells)} |")


def _mean(scores: Sequence[Mapping[str, float]], name: str) -> str:
    values = [found[name] for found in scores if name in found]
    return f"{statistics.mean(values):.3f}" if values else ""


if __name__ == "__main__":
    main()
