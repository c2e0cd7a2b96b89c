"""The command `repair`: whatever is missing of files, products or archived days, filled."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blindzone.flows.commands.file_products import (
    FileJob,
    check_picture,
    make_announcer,
    make_products,
)
from blindzone.flows.commands.fill import Network, Picture, ReaderName, Together
from blindzone.flows.commands.fill_options import (
    Effort,
    Force,
    Kinds,
    Seed,
    Tolerance,
    check_tolerance,
    choose_effort,
)
from blindzone.flows.commands.options import ArchiveFolder, CatalogFile, End, Start

if TYPE_CHECKING:
    from blindzone.core.forward_passes import Passes
    from blindzone.pipeline.curtains.hidden import RepairedKind

DEFAULT_KINDS = "outages,lines,shadows,other"

Targets = Annotated[
    list[str],
    typer.Argument(
        metavar="TARGET", help="Radar files, products of blindzone, or one source of the catalogue."
    ),
]
Folder = Annotated[
    Path | None,
    typer.Option(
        "--output",
        metavar="DIR",
        help="Folder of the products (here; of a source: $BLINDZONE_WORKSPACE/repaired).",
    ),
]
Mask = Annotated[
    Path | None,
    typer.Option(
        "--mask",
        metavar="FILE",
        help="netCDF with a boolean `mask (time, height)` of what is hidden as well.",
    ),
]


def repair(
    targets: Targets,
    kinds: Kinds = DEFAULT_KINDS,
    mask: Mask = None,
    start: Start = None,
    end: End = None,
    output: Folder = None,
    picture: Picture = None,
    together: Together = False,
    checkpoint: Network = None,
    passes: Effort = "single",
    tolerance: Tolerance = None,
    seed: Seed = 0,
    force: Force = False,
    reader: ReaderName = "auto",
    catalog: CatalogFile = None,
    archive: ArchiveFolder = None,
) -> None:
    """Repair whatever is missing.

    Outages, lines of interference, shadows behind rain and other holes become one product each:
    FILE_repaired.nc of a file, or the days of a source. Outages longer than any in training stay
    missing. With `--repair zone,...` the blind zone is filled too. Exit status 2 if some cannot be
    repaired.
    """
    check_tolerance(passes, tolerance)
    effort = choose_effort(passes, tolerance)
    if _is_source(targets):
        _check_options(mask=mask, picture=picture, together=together)
        _repair_source(
            targets[0],
            dates=(start, end),
            places=(catalog, archive, output),
            filling=(effort, seed, checkpoint, kinds),
            force=force,
        )
        return
    files = [Path(target) for target in targets]
    groups = [files] if together else [[path] for path in files]
    check_picture(picture, len(groups))

    def make_job() -> FileJob:
        from blindzone.flows.running.fill_data import make_plan

        plan = make_plan(
            checkpoint=checkpoint,
            quality=None,
            passes=effort,
            seed=seed,
            reader=reader,
            repair=kinds,
            mask=mask,
        )
        return FileJob(
            plan=plan,
            output=output or Path(),
            picture=picture,
            force=force,
            announce=make_announcer(),
            suffix="repaired",
        )

    make_products(groups, make_job)


def _is_source(targets: list[str]) -> bool:
    """Returns whether a target is meant as a source: one name that is no path of a file."""
    return len(targets) == 1 and not Path(targets[0]).exists() and "." not in targets[0]


def _check_options(**given: object) -> None:
    """Checks that no option is given that goes with files alone."""
    for name, value in given.items():
        if value:
            raise typer.BadParameter(
                "it goes with files; a file in place of a source is right", param_hint=f"--{name}"
            )


def _repair_source(
    source: str,
    *,
    dates: tuple[date | None, date | None],
    places: tuple[Path | None, str | None, Path | None],
    filling: tuple[Passes, int, Path | None, tuple[RepairedKind, ...]],
    force: bool,
) -> None:
    """Repairs archived days of a source and prints the path of each product."""
    from blindzone.flows.commands.early_checks import check_sources
    from blindzone.flows.commands.run_end import end_run
    from blindzone.flows.reprocess import reprocess
    from blindzone.flows.running.plans import Filling, Places
    from blindzone.flows.running.prefect_steps import run_flow
    from blindzone.flows.running.product_run import ReprocessPlan
    from blindzone.flows.running.workspace import repair_folder

    catalog, archive, output = places
    effort, seed, checkpoint, kinds = filling
    check_sources([source], catalog)
    plan = ReprocessPlan(
        sources=(source,),
        start=dates[0],
        end=dates[1],
        filling=Filling(passes=effort, seed=seed, checkpoint=checkpoint, repair=kinds),
        places=Places(catalog=catalog, archive=archive, products=str(output or repair_folder())),
        force=force,
    )
    end_run(run_flow(reprocess, recorded=False, plan=plan))
