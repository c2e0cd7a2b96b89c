"""The command line's `train`, `runs` and `sweep`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from blindzone.flows.commands.options import (
    ArchiveFolder,
    CatalogFile,
    CheckpointFile,
    Recorded,
    SourceName,
    explained,
    print_table,
    quiet_start,
)

if TYPE_CHECKING:
    from blindzone.flows.train import TrainReport

runs_app = typer.Typer(
    help="Look at training runs, each of which has a directory of its own.", no_args_is_help=True
)

Minutes = Annotated[float | None, typer.Option(min=0.01, help="Wall-clock budget in all.")]
Steps = Annotated[int | None, typer.Option(min=1, help="Budget in steps, of each part.")]
PlanFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help=(
            "YAML with the sections network, training, path_training, windows, validation,"
            " channels."
        ),
    ),
]


def train(
    source: Annotated[
        str | None, typer.Argument(metavar="SOURCE", help="A source (not with --resume).")
    ] = None,
    minutes: Minutes = None,
    steps: Steps = None,
    config: PlanFile = None,
    filters: Annotated[int | None, typer.Option(help="Channels of the first block.")] = None,
    depth: Annotated[int | None, typer.Option(help="Number of poolings.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Windows a step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Highest learning rate.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of weights, dropout and windows.")] = None,
    precision: Annotated[
        str | None, typer.Option(help="float32 or, on a GPU, mixed_float16.")
    ] = None,
    devices: Annotated[
        str | None, typer.Option(help="one, or all: each batch is dealt out to all GPUs.")
    ] = None,
    start_from: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="CHECKPOINT",
            help="Begin with its weights; once for each column path of the network.",
        ),
    ] = None,
    resume: Annotated[
        str | None, typer.Option(metavar="RUN", help="Go on with a run that was killed.")
    ] = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write what TensorBoard shows.")
    ] = False,
    checkpoint: CheckpointFile = None,
    catalog: CatalogFile = None,
    archive: ArchiveFolder = None,
    prefect: Recorded = False,
) -> None:
    """Train a network on a source's archived training days."""
    chosen: dict[str, dict[str, Any]] = {
        "network": {"filters": filters, "depth": depth},
        "training": {
            "minutes": minutes,
            "steps": steps,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "seed": seed,
            "precision": precision,
            "devices": devices,
        },
    }
    others: list[Any] = [value for section in chosen.values() for value in section.values()]
    others += [source, config, start_from, checkpoint, catalog, archive]
    if resume is not None and (tensorboard or any(value is not None for value in others)):
        raise typer.BadParameter(
            "a run is resumed with the choices with which it was begun: no other option beside it"
        )
    if resume is None and source is None:
        raise typer.BadParameter("a source is needed, or --resume RUN")
    with explained():
        with quiet_start():
            from blindzone.flows import train as flows
            from blindzone.flows.experiments.training_plan import RECIPE, read_plan
            from blindzone.flows.running.prefect_steps import run_flow

        if resume is not None:
            _print_report(run_flow(flows.resume, recorded=prefect, run=resume))
            return
        report = run_flow(
            flows.train,
            recorded=prefect,
            source=source,
            plan=read_plan(config or RECIPE, chosen),
            catalog=catalog,
            archive=archive,
            checkpoint=checkpoint,
            start_from=tuple(start_from or ()),
            tensorboard=tensorboard,
        )
        _print_report(report)


def _print_report(report: TrainReport) -> None:
    for note in report.notes:
        typer.echo(f"note: {note}", err=True)
    shown = ", ".join(
        f"{name} {report.scores[name]:.3f}"
        for name in ("CRPS [dB]", "CSI")
        if name in report.scores
    )
    typer.echo(
        f"{report.checkpoint}: {report.steps} steps in {report.minutes:.1f} min on"
        f" {report.training_days} days, loss {report.validation_loss:.3f} on"
        f" {report.validation_days} validation days ({shown}); {report.wait_share:.1%} of the time"
        " waiting for data"
    )
    typer.echo(f"run: {report.run}")


@runs_app.command("list")
def list_all(
    source: Annotated[str | None, typer.Argument(metavar="[SOURCE]", help="A source.")] = None,
) -> None:
    """List the runs: how each ended, and its scores on the validation windows."""
    with explained():
        from rich.table import Table

        from blindzone.flows.experiments.runs import list_runs, runs_folder

        table = Table(
            "run",
            "status",
            "steps",
            "minutes",
            "filters",
            "depth",
            r"CRPS \[dB]",
            r"MAE \[dB]",
            "CSI",
        )
        for run in list_runs(runs_folder(), source):
            result, network = run.result(), run.choices()["network"]
            record, scores = result.get("record", {}), result.get("scores", {})
            minutes = f"{result['minutes']:.1f}" if "minutes" in result else "-"
            shown = [
                f"{scores[name]:.3f}" if name in scores else "-"
                for name in ("CRPS [dB]", "MAE [dB]", "CSI")
            ]
            steps = str(
                record.get("steps", max((line["step"] for line in run.metrics()), default="-"))
            )
            table.add_row(
                run.name,
                run.status,
                steps,
                minutes,
                str(network["filters"]),
                str(network["depth"]),
                *shown,
            )
        print_table(table)


@runs_app.command("compare")
def compare(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN...", help="Two runs or more, by name or a part of it."),
    ],
) -> None:
    """Show runs side by side: all scores, and the choices that differ."""
    with explained():
        from rich.table import Table

        from blindzone.flows.experiments.runs import compare_runs, find_run, runs_folder

        found = [find_run(runs_folder(), name) for name in runs]
        table = Table("", *(run.name for run in found))
        for key, values in compare_runs(found):
            table.add_row(*(text.replace("[", r"\[") for text in (key, *values)))
        print_table(table)


def sweep(
    source: SourceName,
    trials: Annotated[
        int, typer.Option(min=1, help="Trials of the study in all, those of earlier runs too.")
    ] = 30,
    trial_minutes: Annotated[
        float | None, typer.Option(min=0.01, help="Budget of a trial (5).")
    ] = None,
    trial_steps: Annotated[
        int | None, typer.Option(min=1, help="Budget of a trial in steps.")
    ] = None,
    name: Annotated[
        str, typer.Option(help="Name of the study; one that is there is gone on with.")
    ] = "sweep",
    config: PlanFile = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the search and of every trial.")] = 0,
    catalog: CatalogFile = None,
    archive: ArchiveFolder = None,
    prefect: Recorded = False,
) -> None:
    """Search for the network and the rates that do best on the validation days in short trainings."""
    with explained():
        with quiet_start():
            from blindzone.flows import sweep as flows
            from blindzone.flows.experiments.training_plan import read_plan
            from blindzone.flows.running.prefect_steps import run_flow

        budget = {"minutes": trial_minutes, "steps": trial_steps}
        if trial_minutes is None and trial_steps is None:
            budget["minutes"] = flows.TRIAL_MINUTES
        report = run_flow(
            flows.sweep,
            recorded=prefect,
            source=source,
            trials=trials,
            name=name,
            catalog=catalog,
            archive=archive,
            plan=read_plan(config, {"training": budget | {"seed": seed}}),
        )
        from rich.table import Table

        table = Table(*(column.replace("[", r"\[") for column in report.columns))
        for row in report.rows:
            table.add_row(*row)
        print_table(table)
        for label, path in (("table", report.table), ("picture", report.picture)):
            if path is not None:
                typer.echo(f"{label}: {path}")
