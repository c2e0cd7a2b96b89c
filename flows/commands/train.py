"""The command `train`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from blindzone.flows.commands.early_checks import check_checkpoints, check_sources
from blindzone.flows.commands.options import ArchiveFolder, CatalogFile, PlanFile, Recorded
from blindzone.flows.running.quiet_start import quiet_start

if TYPE_CHECKING:
    from blindzone.flows.experiments.rate_search import RateReport
    from blindzone.flows.experiments.training_plan import TrainingPlan
    from blindzone.flows.experiments.training_run import TrainReport


Sources = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SOURCE",
        help=(
            "A source (not with --resume). Further ones of the same grid are pooled with it: as"
            " many windows of each."
        ),
    ),
]
Minutes = Annotated[float | None, typer.Option(min=0.01, help="Wall-clock budget in all.")]
Steps = Annotated[int | None, typer.Option(min=1, help="Budget in steps, of each part.")]
Filters = Annotated[int | None, typer.Option(help="Channels of the first block.")]
Depth = Annotated[int | None, typer.Option(help="Number of poolings.")]
BatchSize = Annotated[int | None, typer.Option(help="Windows a step.")]
LearningRate = Annotated[float | None, typer.Option(help="Highest learning rate.")]
Seed = Annotated[int | None, typer.Option(help="Seed of weights, dropout and windows.")]
Precision = Annotated[str | None, typer.Option(help="float32 or, on a GPU, mixed_float16.")]
Devices = Annotated[
    str | None, typer.Option(help="one, or all: each batch is dealt out to all GPUs.")
]
StartFrom = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="CHECKPOINT",
        help="Begin with its weights; once for each column path of the network.",
    ),
]
Pretrained = Annotated[
    Path | None,
    typer.Option(
        metavar="CHECKPOINT", help="Begin with the trunk of 'blindzone pretrain', of any family."
    ),
]
Resume = Annotated[
    str | None, typer.Option(metavar="RUN", help="Go on with a run that was killed.")
]
FindRate = Annotated[
    bool,
    typer.Option(
        "--find-rate",
        help="Sweep over learning rates for the first stage, draw the losses, train nothing.",
    ),
]
PrintPlan = Annotated[
    bool,
    typer.Option(
        "--print-plan",
        help="Print the whole plan as YAML, every key explained, train nothing.",
    ),
]
Tensorboard = Annotated[bool, typer.Option("--tensorboard", help="Write logs for TensorBoard.")]
Checkpoint = Annotated[
    Path | None,
    typer.Option(
        "--checkpoint",
        metavar="FILE",
        help="Network to write (default: $BLINDZONE_WORKSPACE/checkpoints/SOURCE.keras).",
    ),
]


def train(
    context: typer.Context,
    sources: Sources = None,
    minutes: Minutes = None,
    steps: Steps = None,
    config: PlanFile = None,
    filters: Filters = None,
    depth: Depth = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    seed: Seed = None,
    precision: Precision = None,
    devices: Devices = None,
    start_from: StartFrom = None,
    pretrained: Pretrained = None,
    resume: Resume = None,
    find_rate: FindRate = False,
    print_plan: PrintPlan = False,
    tensorboard: Tensorboard = False,
    checkpoint: Checkpoint = None,
    catalog: CatalogFile = None,
    archive: ArchiveFolder = None,
    prefect: Recorded = False,
) -> None:
    """Train a network on archived days.

    It keeps the weights that do best on the validation days of a source. It is used from then on
    unless what is in use scores better there. Options change choices of the plan (--config).
    """
    begun = time.monotonic()
    _check_resume(context, sources, resume, needs_source=not print_plan)
    check_sources(sources or (), catalog)
    check_checkpoints((*(start_from or ()), pretrained))
    with quiet_start():
        from blindzone.flows import train as flows
        from blindzone.flows.experiments.training_plan import RECIPE, read_plan
        from blindzone.flows.running.plans import DataPlaces
        from blindzone.flows.running.prefect_steps import run_flow

    if resume is not None:
        print_report(run_flow(flows.resume, recorded=prefect, run=resume))
        return
    training = {
        "minutes": minutes,
        "steps": steps,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "seed": seed,
        "precision": precision,
        "devices": devices,
    }
    network = {"filters": filters, "depth": depth}
    chosen: dict[str, dict[str, Any]] = {"network": network, "training": training}
    chosen_plan = read_plan(config or RECIPE, chosen)
    if print_plan:
        _print_plan(chosen_plan, sources, catalog)
        return
    assert sources  # checked above
    plan = flows.TrainPlan(
        source=sources[0],
        others=tuple(sources[1:]),
        training_plan=chosen_plan,
        checkpoint=checkpoint,
        start_from=tuple(start_from or ()),
        pretrained=pretrained,
        tensorboard=tensorboard,
        places=DataPlaces(catalog=catalog, archive=archive),
        spent_s=time.monotonic() - begun,
    )
    if find_rate:
        _print_rate(run_flow(flows.find_rate, recorded=prefect, plan=plan))
        return
    print_report(run_flow(flows.train, recorded=prefect, plan=plan))


def _check_resume(
    context: typer.Context, sources: list[str] | None, resume: str | None, *, needs_source: bool
) -> None:
    """Checks that there is a source or a run to resume, and nothing else with the latter."""
    if resume is None and not sources and needs_source:
        raise typer.BadParameter("a source is needed, or --resume RUN")
    given = [
        "SOURCE" if name == "sources" else f"--{name.replace('_', '-')}"
        for name in context.params
        if name not in ("resume", "prefect") and _is_given(context, name)
    ]
    if resume is not None and given:
        raise typer.BadParameter(
            "a run is resumed with the options that it was begun with; found --resume and"
            f" {', '.join(given)}"
        )


def _is_given(context: typer.Context, name: str) -> bool:
    origin = context.get_parameter_source(name)
    return origin is not None and origin.name == "COMMANDLINE"


def _print_plan(plan: TrainingPlan, sources: Sequence[str] | None, catalog: Path | None) -> None:
    """Prints a plan, with what follows from the source if one is given."""
    from blindzone.core.annotated_yaml import to_annotated_yaml
    from blindzone.flows.experiments.training_data import fit_plan
    from blindzone.pipeline.catalog.catalog import read_catalog

    if sources:
        plan = fit_plan(plan, read_catalog(catalog)[sources[0]])
    typer.echo(to_annotated_yaml(plan), nl=False)


def _print_rate(report: RateReport) -> None:
    found = "none: the loss never falls" if report.suggested is None else f"{report.suggested:.2g}"
    typer.echo(
        f"suggested learning rate of stage '{report.stage}': {found}"
        f" (the plan has {report.planned:g})"
    )
    typer.echo(f"picture: {report.picture}")


def print_report(report: TrainReport) -> None:
    """Prints what a training has come to, and its notes on the error stream."""
    for note in report.notes:
        typer.echo(f"note: {note}", err=True)
    scores = ", ".join(
        f"{name} {report.scores[name]:.3f}"
        for name in ("CRPS [dB]", "CSI")
        if name in report.scores
    )
    typer.echo(
        f"{report.checkpoint}: {report.steps} steps in {report.minutes:.1f} min on"
        f" {report.training_days} days, loss {report.validation_loss:.3f} on"
        f" {report.validation_days} validation days ({scores}); {report.wait_share:.1%} of the time"
        " waiting for data"
    )
    if report.all_minutes is not None:
        typer.echo(f"all of it took {report.all_minutes:.2f} min")
    typer.echo(f"run: {report.run}")
    _print_contest(report)


def _print_contest(report: TrainReport) -> None:
    """Says whether later runs use the network, and how that can be changed."""
    if report.contest is None:
        return
    if not report.in_use:
        name = f"{report.run.parent.name}/{report.run.name}"
        typer.echo(
            f"kept, not used: {report.contest}; 'blindzone runs use {name}' uses it all the same"
        )
        return
    undo = f"; the replaced one is kept: {report.kept}" if report.kept else ""
    typer.echo(f"used from now on: {report.contest}{undo}")
    typer.echo(
        f"not calibrated yet: 'blindzone calibrate {report.run.parent.name}' makes its intervals"
        " hold"
    )
