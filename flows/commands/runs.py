"""The commands `runs list`, `runs compare` and `runs use`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from blindzone.flows.commands.command import Command
from blindzone.flows.commands.console import print_json, print_table
from blindzone.flows.commands.early_checks import check_checkpoints
from blindzone.flows.commands.options import AsJson
from blindzone.flows.running.quiet_start import quiet_start

if TYPE_CHECKING:
    from blindzone.flows.experiments.runs import Run

runs_app = typer.Typer(
    help="Look at training runs, and choose one to fill with.",
    no_args_is_help=True,
)

_SCORES = ("CRPS [dB]", "MAE [dB]", "CSI")


@runs_app.command("list", cls=Command)
def list_all(
    source: Annotated[str | None, typer.Argument(metavar="SOURCE", help="A source.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the runs: how each ended, and its scores.

    The scores are those on the validation windows.
    """
    from blindzone.flows.experiments.runs import RunError, list_runs, runs_folder

    runs = [_describe(run) for run in list_runs(runs_folder(), source)]
    if not runs and source is not None:
        raise RunError(
            f"{runs_folder()}: no run of {source}; 'blindzone train {source}' begins one"
        )
    if not runs:
        typer.echo(f"{runs_folder()}: no runs yet; 'blindzone train SOURCE' begins one", err=True)
    if as_json:
        print_json(runs)
        return
    from rich.markup import escape
    from rich.table import Table

    columns = ("run", "status", "steps", "minutes", "filters", "depth")
    table = Table(*columns, *map(escape, _SCORES))
    for run in runs:
        scores = [_format(run["scores"].get(name), 3) for name in _SCORES]
        texts = [_format(run[name], 1) for name in columns]
        table.add_row(*texts, *scores)
    print_table(table)


def _describe(run: Run) -> dict[str, Any]:
    result, network = run.result(), run.choices()["network"]
    looks = [line["step"] for line in run.metrics()]
    return {
        "run": run.name,
        "status": run.status,
        "steps": result.get("record", {}).get("steps", max(looks, default=None)),
        "minutes": result.get("minutes"),
        "filters": network["filters"],
        "depth": network["depth"],
        "scores": result.get("scores", {}),
        "directory": run.path,
    }


def _format(value: Any, decimals: int) -> str:
    """Returns a cell's text: `-` of nothing."""
    if value is None:
        return "-"
    return f"{value:.{decimals}f}" if isinstance(value, float) else str(value)


@runs_app.command("compare", cls=Command)
def compare(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN", help="Two runs or more, by name or a part of it."),
    ],
) -> None:
    """Show runs next to each other.

    All scores are shown, and the choices that differ.
    """
    from rich.markup import escape
    from rich.table import Table

    from blindzone.flows.experiments.runs import compare_runs, find_run, runs_folder

    found = [find_run(runs_folder(), name) for name in runs]
    table = Table("", *(run.name for run in found))
    for key, values in compare_runs(found):
        table.add_row(*map(escape, (key, *values)))
    print_table(table)


@runs_app.command("use", cls=Command)
def use(
    run: Annotated[
        str,
        typer.Argument(metavar="RUN", help="A run, by name or a part of it, or a checkpoint."),
    ],
    source: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="Source it fills (default: what it was trained on)."),
    ] = None,
) -> None:
    """Fill a source by the network of a run from now on.

    The checkpoint that it replaces is kept. Its path in place of RUN undoes the change.
    """
    from blindzone.flows.experiments.runs import find_run, runs_folder

    given = Path(run)
    checkpoint = given if given.suffix == ".keras" else find_run(runs_folder(), run).checkpoint
    check_checkpoints([checkpoint])
    with quiet_start():
        from blindzone.flows.experiments.contest import use_network

    change = use_network(checkpoint, source)
    typer.echo(f"{change.target}: used for {change.source} from now on; {change.network}")
    typer.echo(f"replaces {change.replaced}")
    undo = f"blindzone runs use {change.undo} --source {change.source}"
    typer.echo(f"undo: '{undo}'" if change.undo else f"undo: remove {change.target}")
