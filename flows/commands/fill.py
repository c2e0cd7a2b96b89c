"""The command line's `fill`: files in, filled files out; no catalogue, archive or workspace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blindzone.flows.commands.console import REJECTED
from blindzone.flows.commands.early_checks import check_file
from blindzone.flows.commands.fill_options import (
    Effort,
    Force,
    Members,
    Seed,
    Tolerance,
    check_tolerance,
    choose_effort,
)

if TYPE_CHECKING:
    from blindzone.flows.running.fill_data import FillPlan, PreparedFill

Files = Annotated[
    list[Path],
    typer.Argument(metavar="FILE", help="Radar files; `blindzone inspect` names the kinds."),
]
Output = Annotated[
    Path, typer.Option("--output", metavar="DIR", help="Folder of the filled files.")
]
Picture = Annotated[
    Path | None,
    typer.Option(
        "--picture", metavar="FILE", help="Picture of the one product: .png, .webp, .pdf or .svg."
    ),
]
Together = Annotated[
    bool, typer.Option("--together", help="Fill the files as one curtain, such as hours of a day.")
]
Network = Annotated[
    Path | None,
    typer.Option("--checkpoint", metavar="FILE", help="Network (that of the package which fits)."),
]
Top = Annotated[
    float,
    typer.Option(
        "--blind-zone-top",
        metavar="M",
        help="Top of the blind zone above the ground, in m; granules have their own.",
    ),
]
ReaderName = Annotated[
    str, typer.Option("--reader", metavar="NAME", help="Reader; auto: by the file's content.")
]


@dataclass(frozen=True, kw_only=True)
class _Job:
    """What is done with each file.

    Attributes:
        plan: How it is filled.
        output: Folder of the products.
        picture: Picture of the one product.
        force: Whether a product that is there already is made anew.
        announce: Prints a line for people.
    """

    plan: FillPlan
    output: Path
    picture: Path | None
    force: bool
    announce: Callable[[str], None]


def fill(
    files: Files,
    output: Output = Path(),
    picture: Picture = None,
    together: Together = False,
    checkpoint: Network = None,
    passes: Effort = 50,
    tolerance: Tolerance = None,
    members: Members = None,
    seed: Seed = 0,
    force: Force = False,
    blind_zone_top: Top = 1250.0,
    reader: ReaderName = "auto",
) -> None:
    """Fill radar files, one netCDF product each.

    A file becomes FILE_blindzone.nc in the output folder. One that exists already and would be the
    same is left as it is. It needs no catalogue, archive or workspace. Exit status 2 if some cannot
    be filled.
    """
    check_tolerance(passes, tolerance)
    groups = [files] if together else [[path] for path in files]
    if picture is not None and len(groups) > 1:
        from blindzone.core.errors import PlanError

        raise PlanError(
            f"--picture {picture}: one picture for {len(groups)} products; one file, or"
            " --together, is right"
        )
    there = [group for group in groups if _are_there(group)]
    failed = len(groups) - len(there)
    if there:
        from blindzone.flows.running.fill_data import make_plan

        plan = make_plan(
            checkpoint=checkpoint,
            quality=None,
            passes=choose_effort(passes, tolerance),
            members=members,
            seed=seed,
            blind_zone_top_m=blind_zone_top,
            reader=reader,
        )
        job = _Job(plan=plan, output=output, picture=picture, force=force, announce=_announcer())
        failed += sum(not _fill(group, job) for group in there)
    if failed:
        typer.echo(f"{failed} of {len(groups)} could not be filled", err=True)
        raise typer.Exit(1 if failed == len(groups) else REJECTED)


def _announcer() -> Callable[[str], None]:
    """Returns what prints a line unless it has: most files are filled by the same network."""
    known: set[str] = set()

    def announce(text: str) -> None:
        if text not in known:
            known.add(text)
            typer.echo(text, err=True)

    return announce


def _are_there(paths: list[Path]) -> bool:
    """Returns whether files are there; else prints which is not."""

    def check() -> None:
        for path in paths:
            check_file(path)

    return _try(check)


def _fill(paths: list[Path], job: _Job) -> bool:
    """Fills files as one curtain and returns whether that went well; else prints the reason."""
    return _try(lambda: _make(paths, job))


def _try(work: Callable[[], object]) -> bool:
    """Returns whether work on one group of files went well; else prints the reason."""
    from blindzone.core.errors import BlindzoneError

    try:
        work()
    except BlindzoneError as error:
        typer.echo(f"error: {error}", err=True)
        return False
    return True


def _make(paths: list[Path], job: _Job) -> None:
    """Writes the product of files, unless it is there already, and prints what comes of it."""
    from blindzone.flows.running.fill_data import prepare_fill
    from blindzone.flows.running.progress import stage
    from blindzone.pipeline.products.opening import open_products, write_product
    from blindzone.pipeline.products.product_store import ProductStore
    from blindzone.pipeline.readers import find_stem

    stem = find_stem(paths[0].name)
    path = job.output / f"{stem}_blindzone.nc"
    with stage(f"fill {stem[:16]}") as on_progress:
        prepared = prepare_fill(paths, job.plan, on_notice=job.announce)
        is_there = not job.force and _is_unchanged(prepared, path)
        if not is_there:
            write_product(prepared.fill(on_progress), path)
    typer.echo(str(path))
    found = ProductStore(job.output).summarize(path.name)
    typer.echo(f"{paths[0].name}: {'unchanged; ' if is_there else ''}{found}", err=True)
    if job.picture is not None:
        from blindzone.pipeline.plots.quicklooks import draw_product

        with open_products(path) as product:
            draw_product(product, job.picture)
        typer.echo(str(job.picture))


def _is_unchanged(prepared: PreparedFill, path: Path) -> bool:
    """Returns whether a product is there that was made of the same inputs."""
    from blindzone.pipeline.products.product_store import TARGET, ProductStore
    from blindzone.pipeline.products.provenance import list_files

    expected = {TARGET: prepared.target, "source_files": list_files(prepared.source_files)}
    store = ProductStore(path.parent)
    return all(store.read_attribute(path.name, key) == text for key, text in expected.items())
