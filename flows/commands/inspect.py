"""The command `inspect`: what kind of file this is, and what it would become."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def inspect(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A radar, lidar or state file.")],
    reader: Annotated[
        str, typer.Option(metavar="NAME", help="Reader (default: by the content).")
    ] = "auto",
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw it: .png, .pdf, .svg and more.")
    ] = None,
) -> None:
    """Show what kind of file this is.

    And what curtain it would become.
    """
    from blindzone.pipeline.curtains.curtain import describe_curtain
    from blindzone.pipeline.plots.quicklooks import draw_curtain
    from blindzone.pipeline.readers import find_readers, read_curtain

    curtain = read_curtain(file, reader)
    typer.echo(f"{file}: {find_readers()[curtain.attrs['reader']].title}")
    for line in describe_curtain(curtain):
        typer.echo(f"  {line}")
    if picture is not None:
        draw_curtain(curtain, picture)
        typer.echo(f"  picture: {picture}")
