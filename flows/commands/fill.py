"""The command line's `fill`: files in, filled files out; no catalogue, archive or workspace."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blindzone.flows.commands.console import REJECTED
from blindzone.flows.commands.fill_options import (
    Effort,
    Members,
    Seed,
    Tolerance,
    check_tolerance,
    choose_effort,
)
from blindzone.flows.running.quiet_start import quiet_start

if TYPE_CHECKING:
    from blindzone.flows.running.fill_data import FillPlan

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
    blind_zone_top: Top = 1250.0,
    reader: ReaderName = "auto",
) -> None:
    """Fill radar files, one netCDF product each.

    A file becomes FILE_blindzone.nc in the output folder. It needs no catalogue, archive or
    workspace. Exit status 2 if some cannot be filled.
    """
    from blindzone.core.errors import PlanError

    check_tolerance(passes, tolerance)
    groups = [files] if together else [[path] for path in files]
    if picture is not None and len(groups) > 1:
        raise PlanError(
            f"--picture {picture}: one picture for {len(groups)} products; one file, or"
            " --together, is right"
        )
    with quiet_start():
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
    on_notice = _announce_once()
    failed = [group for group in groups if not _fill(group, plan, output, picture, on_notice)]
    if failed:
        typer.echo(f"{len(failed)} of {len(groups)} could not be filled", err=True)
        raise typer.Exit(1 if len(failed) == len(groups) else REJECTED)


def _announce_once() -> Callable[[str], None]:
    """Returns what prints a line unless it has: most files are filled by the same network."""
    known: set[str] = set()

    def announce(text: str) -> None:
        if text not in known:
            known.add(text)
            typer.echo(text, err=True)

    return announce


def _fill(
    paths: list[Path],
    plan: FillPlan,
    output: Path,
    picture: Path | None,
    on_notice: Callable[[str], None],
) -> bool:
    """Fills files as one curtain and returns whether that went well; else prints the reason."""
    from blindzone.core.errors import BlindzoneError
    from blindzone.flows.running.fill_data import fill_data
    from blindzone.flows.running.progress import stage
    from blindzone.pipeline.inpainting.range_summary import summarize_range
    from blindzone.pipeline.plots.quicklooks import draw_product
    from blindzone.pipeline.products.opening import write_product
    from blindzone.pipeline.readers import find_stem

    stem = find_stem(paths[0].name)
    try:
        with stage(f"fill {stem[:16]}") as on_progress:
            product = fill_data(paths, plan, on_progress=on_progress, on_notice=on_notice)
        written = write_product(product, output / f"{stem}_blindzone.nc")
        typer.echo(str(written))
        found = summarize_range(product["out_of_range_flag"].values)
        typer.echo(f"{paths[0].name}: {found}", err=True)
        if picture is not None:
            draw_product(product, picture)
            typer.echo(str(picture))
    except BlindzoneError as error:
        typer.echo(f"error: {error}", err=True)
        return False
    return True
