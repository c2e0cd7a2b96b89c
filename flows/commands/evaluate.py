"""The command `evaluate`: networks and simple schemes side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from blindzone.flows.commands.calibrate import format_score
from blindzone.flows.commands.console import print_json, print_table
from blindzone.flows.commands.early_checks import check_checkpoints, check_sources
from blindzone.flows.commands.fill_options import Passes, Seed
from blindzone.flows.commands.options import ArchiveFolder, AsJson, Block, CatalogFile, Recorded
from blindzone.flows.running.quiet_start import quiet_start

if TYPE_CHECKING:
    from blindzone.flows.evaluate import EvaluationReport
    from blindzone.flows.experiments.ground_scoring import GroundReport
    from blindzone.pipeline.verification.bootstrap import Estimate

Source = Annotated[
    str, typer.Argument(metavar="SOURCE", help="Name of a source in the data catalogue.")
]
Checkpoint = Annotated[
    list[Path] | None,
    typer.Option("--checkpoint", metavar="FILE", help="A network; give the option once for each."),
]
ScoredBlock = Annotated[
    Block, typer.Option(help="Days of the catalogue's split; tune nothing on the test block.")
]
Schemes = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,NAME",
        help="Simple schemes, separated by commas, or 'none' (default: all).",
    ),
]
Members = Annotated[
    int | None,
    typer.Option(
        "--members",
        min=2,
        help="Score so many ensemble members as fields, beside a Schaake shuffle.",
    ),
]
Uncalibrated = Annotated[
    bool,
    typer.Option("--uncalibrated", help="Score calibrated networks without their calibration too."),
]
Figures = Annotated[bool, typer.Option("--figures", help="Draw diagrams too, each as PDF and PNG.")]
LayerDepth = Annotated[
    float | None,
    typer.Option(
        metavar="METRES", help="Depth of the layer that is hidden (default: the blind zone's)."
    ),
]
LayerBottom = Annotated[
    float,
    typer.Option(
        metavar="METRES",
        min=0,
        help="Its bottom above the ground; from above, above the lowest row that was measured.",
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Tables and page (default: $BLINDZONE_WORKSPACE/evaluations/SOURCE_BLOCK).",
    ),
]
AtGround = Annotated[
    bool,
    typer.Option(
        "--at-ground",
        help="Score the days' products against the disdrometer under the radar instead.",
    ),
]
ProductFolder = Annotated[
    str | None,
    typer.Option(
        "--products",
        metavar="DIR",
        help="With --at-ground: products of the days (default: $BLINDZONE_WORKSPACE/products).",
    ),
]

_PASSES = 16
"""Forward passes of a network that is scored."""


def evaluate(
    source: Source = "palaiseau_basta",
    checkpoint: Checkpoint = None,
    block: ScoredBlock = Block.VALIDATION,
    schemes: Schemes = None,
    passes: Passes = _PASSES,
    seed: Seed = 0,
    uncalibrated: Uncalibrated = False,
    members: Members = None,
    figures: Figures = False,
    layer_depth: LayerDepth = None,
    layer_bottom: LayerBottom = 0.0,
    output: Output = None,
    at_ground: AtGround = False,
    products: ProductFolder = None,
    catalog: CatalogFile = None,
    archive: ArchiveFolder = None,
    prefect: Recorded = False,
    as_json: AsJson = False,
) -> None:
    """Score networks and simple schemes.

    All are scored on the same pixels of the validation or test days. With --at-ground, products are
    scored against a disdrometer, next to the lowest row that the radar sees, persistence and
    climatology.
    """
    check_sources([source], catalog)
    check_checkpoints(checkpoint or ())
    places: dict[str, Any] = {"catalog": catalog, "archive": archive}
    shared: dict[str, Any] = {"source": source, "block": block.value, "seed": seed}
    if at_ground:
        networks: dict[str, object] = {
            "checkpoint": checkpoint,
            "schemes": schemes,
            "passes": passes != _PASSES,
            "uncalibrated": uncalibrated,
        }
        layer = {"layer_depth": layer_depth, "layer_bottom": layer_bottom}
        _check_alone(networks | layer | {"figures": figures, "prefect": prefect})
        shared |= {"members": members or _GROUND_MEMBERS, "products": products, "output": output}
        _score_at_ground(as_json, **shared, places=places)
        return
    with quiet_start():
        from blindzone.flows.evaluate import EvaluationPlan
        from blindzone.flows.evaluate import evaluate as flow
        from blindzone.flows.experiments.schemes import SCHEMES
        from blindzone.flows.running.plans import DataPlaces
        from blindzone.flows.running.prefect_steps import run_flow
        from blindzone.pipeline.verification.visible_layer import LayerView

    plan = EvaluationPlan(
        **shared,
        output=output,
        schemes=SCHEMES if schemes is None else parse_schemes(schemes),
        checkpoints=tuple(checkpoint or ()),
        passes=passes,
        uncalibrated=uncalibrated,
        members=members,
        figures=figures,
        layer=LayerView(bottom_m=layer_bottom, depth_m=layer_depth),
        places=DataPlaces(**places),
    )
    report = run_flow(flow, recorded=prefect, plan=plan)
    if as_json:
        print_json(_describe(report))
    else:
        _print_scores(report)


_GROUND_MEMBERS = 50
"""Members of a product at the ground: sums of a day vary by 10 to 20 % with 20 of them."""


def _check_alone(others: Mapping[str, object]) -> None:
    """Checks that no option goes with --at-ground that it has no use for.

    Raises:
        PlanError: If one does.
    """
    from blindzone.core.errors import PlanError

    given = [f"--{name.replace('_', '-')}" for name, value in others.items() if value]
    if given:
        raise PlanError(
            f"--at-ground: {', '.join(given)} cannot be used with it: it scores products that are"
            " there; --block, --products, --members, --seed and --output are right"
        )


def _score_at_ground(as_json: bool, **choices: Any) -> None:
    """Scores products against a disdrometer, writes the tables and prints the scores."""
    from blindzone.core.configuration import read_plain
    from blindzone.core.errors import PlanError
    from blindzone.flows.experiments.ground_scoring import GroundPlan, score_at_ground
    from blindzone.flows.experiments.ground_tables import write_ground_tables
    from blindzone.flows.running.progress import stage

    plan = read_plain(GroundPlan, choices, where="evaluate", error=PlanError)
    with stage("at ground") as on_progress:
        report = score_at_ground(plan, on_progress)
    table, page = write_ground_tables(report, plan.folder)
    if as_json:
        scores = {
            name: {score: vars(estimate) for score, estimate in of.items()}
            for name, of in {**report.scores, "filled less persistence": report.gains}.items()
        }
        days = list(report.days)
        print_json({"source": plan.source, "block": plan.block, "days": days, "scores": scores})
    else:
        _print_ground(report)
        typer.echo(f"table: {table}\npage:  {page}")


def _print_ground(report: GroundReport) -> None:
    from rich.markup import escape
    from rich.table import Table

    title = f"{report.source}: {len(report.days)} days of the {report.block} block, at the ground"
    table = Table("score", *report.scores, title=title)
    for name in report.gains:
        values = (f"{scores[name].value:.4g}" for scores in report.scores.values())
        table.add_row(escape(name), *values)
    print_table(table)


def _print_fields(report: EvaluationReport) -> None:
    """Prints the scores of members as fields, if there are any."""
    from rich.markup import escape
    from rich.table import Table

    from blindzone.pipeline.verification.score_dataset import describe_estimate

    if not report.fields:
        return
    table = Table("score of members as fields", *report.fields)
    for score in next(iter(report.fields.values())):
        values = (describe_estimate(scores[score]) for scores in report.fields.values())
        table.add_row(escape(score), *values)
    print_table(table)
    typer.echo(f"members: {report.fields_table}")


def parse_schemes(text: str) -> tuple[str, ...]:
    """Returns the schemes of a list with commas, old names replaced; none of `none`."""
    from blindzone.flows.experiments.schemes import FORMER_SCHEMES

    names = [name for part in text.split(",") if (name := part.strip())]
    for name in names:
        if name in FORMER_SCHEMES:
            typer.echo(f"note: {name} is now called {FORMER_SCHEMES[name]}", err=True)
    return () if names == ["none"] else tuple(FORMER_SCHEMES.get(name, name) for name in names)


def _describe(report: EvaluationReport) -> dict[str, object]:
    return {
        "source": report.source,
        "block": report.block,
        "days": report.days,
        "scores": report.scores,
        "table": report.table,
        "record": report.record,
        "page": report.picture,
        "figures": report.figures,
        "notes": report.notes,
        "bounds": _list_bounds(report.bounds),
        "leaders": report.leaders,
        **_describe_fields(report),
    }


def _describe_bounds(score: str, of: Estimate | None) -> str:
    """Returns the bounds of a score as a second line of its cell, if it has any."""
    if of is None or math.isnan(of.low):
        return ""
    return f"\n[dim]{format_score(score, of.low)} to {format_score(score, of.high)}[/dim]"


def _list_bounds(scores: Mapping[str, Mapping[str, Estimate]]) -> dict[str, object]:
    return {
        scheme: {score: [of.low, of.high] for score, of in of_scheme.items()}
        for scheme, of_scheme in scores.items()
    }


def _describe_fields(report: EvaluationReport) -> dict[str, object]:
    if not report.fields:
        return {}
    values = {
        scheme: {score: of.value for score, of in of_scheme.items()}
        for scheme, of_scheme in report.fields.items()
    }
    return {"fields": values, "field_bounds": _list_bounds(report.fields)}


def _print_scores(report: EvaluationReport) -> None:
    from rich.markup import escape
    from rich.table import Table

    from blindzone.pipeline.verification.tables import IDEAL_SCORES

    title = (
        f"{report.source}: {len(report.days)} days of the {report.block} block, with 95 % bounds"
        " over days; * leads by more than chance"
    )
    table = Table("score", title=title)
    for scheme in report.scores:
        table.add_column(scheme, justify="right")
    for score in IDEAL_SCORES:
        cells = []
        for scheme, values in report.scores.items():
            text = format_score(score, values.get(score))
            leads = report.leaders.get(score) == scheme
            cell = f"[bold]{text}*[/bold]" if leads else f"{text} "
            cells.append(cell + _describe_bounds(score, report.bounds.get(scheme, {}).get(score)))
        table.add_row(escape(score), *cells)
    print_table(table)
    _print_fields(report)
    places = {"table": report.table, "record": report.record, "page": report.picture}
    for label, path in places.items():
        typer.echo(f"{label + ':':<8}{path}")
    if report.figures:
        typer.echo(f"figures: {report.figures[0].parent}")
    for note in report.notes:
        typer.echo(f"note: {note}")
