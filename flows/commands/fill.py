"""The command line's `fill`: files in, filled files out; no catalogue, archive or workspace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from blindzone.flows.commands.file_products import (
    FileJob,
    check_picture,
    make_announcer,
    make_products,
)
from blindzone.flows.commands.fill_options import (
    Derive,
    Effort,
    Force,
    Members,
    Seed,
    Tolerance,
    check_tolerance,
    choose_effort,
)

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
    force: Force = False,
    derive: Derive = False,
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
    check_picture(picture, len(groups))

    def make_job() -> FileJob:
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
        return FileJob(
            plan=plan,
            output=output,
            picture=picture,
            force=force,
            derive=derive,
            announce=make_announcer(),
        )

    make_products(groups, make_job)
