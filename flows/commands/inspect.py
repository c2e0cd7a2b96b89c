"""The command `inspect`: what kind of file this is, and what it would become."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from blindzone.flows.commands.console import print_json
from blindzone.flows.commands.early_checks import check_file
from blindzone.flows.commands.options import AsJson

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    from blindzone.flows.commands.own_files import OwnFile


def inspect(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="A radar, lidar or state file, a product, or a day of the archive (netCDF, zarr).",
        ),
    ],
    reader: Annotated[
        str, typer.Option(metavar="NAME", help="Reader; auto: by the file's content.")
    ] = "auto",
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw it: .png, .pdf, .svg and more.")
    ] = None,
    entry: Annotated[
        bool,
        typer.Option("--entry", help="Print a catalogue with an entry for files like this one."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what kind of file this is.

    Of a source file, also what curtain it would become. Of a product or a day of the archive, where
    it comes from and how it was made.

    With --entry, the standard output is a data catalogue of this one source.
    """
    if entry and as_json:
        raise typer.BadParameter("--entry prints YAML and --json JSON; one of them is right")
    check_file(file)
    from blindzone.flows.commands.own_files import open_own_file

    own = open_own_file(file) if reader == "auto" else None
    if own is not None:
        _inspect_own(own, picture, as_entry=entry, as_json=as_json)
        return
    from blindzone.core.errors import SourceFileError
    from blindzone.pipeline.readers import read_curtain

    if file.is_dir():
        raise SourceFileError(f"{file}: a folder; a file, or a zarr store of blindzone, is right")
    curtain = read_curtain(file, reader)
    if entry:
        _print_entry(file, curtain)
    elif as_json:
        print_json(_describe(file, curtain))
    else:
        _print_curtain(file, curtain)
    if picture is not None:
        from blindzone.pipeline.plots.quicklooks import draw_curtain

        draw_curtain(curtain, picture)
        typer.echo(f"  picture: {picture}", err=entry or as_json)


def _print_entry(file: Path, curtain: xr.Dataset) -> None:
    from blindzone.pipeline.catalog.entry import write_catalog
    from blindzone.pipeline.catalog.places import find_data_directory

    typer.echo(write_catalog(file, curtain, find_data_directory()), nl=False)


def _describe(file: Path, curtain: xr.Dataset) -> dict[str, Any]:
    """Returns what a source file is, as plain values."""
    from blindzone.pipeline.curtains.curtain import FIELDS, SITE_COORDINATES
    from blindzone.pipeline.curtains.findings import (
        PROFILES_DROPPED,
        pick_findings,
        read_counts,
        read_doubts,
    )
    from blindzone.pipeline.curtains.surface import SURFACE_FIELDS
    from blindzone.pipeline.readers import find_readers

    times = curtain["time"].values.astype("datetime64[s]")
    reader = curtain.attrs["reader"]
    return {
        "file": file,
        "kind": find_readers()[reader].title,
        "reader": reader,
        "sizes": dict(curtain.sizes),
        "first_time": f"{times[0]}Z",
        "last_time": f"{times[-1]}Z",
        **_describe_heights(curtain),
        **{name: _describe_coordinate(curtain[name].values) for name in SITE_COORDINATES},
        "known_share": {
            name: float(curtain[name].notnull().mean())
            for name in (*FIELDS, *SURFACE_FIELDS)
            if name in curtain
        },
        "values_masked": read_counts(curtain.attrs),
        "profiles_dropped": read_counts(curtain.attrs, PROFILES_DROPPED),
        "doubts": list(read_doubts(curtain.attrs)),
        "stated": {
            key: str(value)
            for key, value in curtain.attrs.items()
            if key not in ("reader", *pick_findings(curtain.attrs))
        },
    }


def _describe_heights(curtain: xr.Dataset) -> dict[str, float]:
    """Returns the lowest and the highest height [m] of a curtain; nothing of a surface series."""
    if "height" not in curtain.coords:
        return {}
    heights = curtain["gate_height" if "gate_height" in curtain else "height"]
    return {"lowest_m": float(heights.min()), "highest_m": float(heights.max())}


def _describe_coordinate(values: np.ndarray) -> float | list[float]:
    """Returns a coordinate of a fixed site, or the first and last one of a track."""
    return values.ravel()[[0, -1]].tolist() if values.ndim else float(values)


def _print_curtain(file: Path, curtain: xr.Dataset) -> None:
    from blindzone.pipeline.curtains.findings import describe_attributes
    from blindzone.pipeline.curtains.surface import describe_series
    from blindzone.pipeline.readers import find_readers

    typer.echo(f"{file}: {find_readers()[curtain.attrs['reader']].title}")
    for line in describe_series(curtain):
        typer.echo(f"  {line}")
    for line in describe_attributes(curtain.attrs):
        typer.echo(f"  {line}")


def _inspect_own(own: OwnFile, picture: Path | None, *, as_entry: bool, as_json: bool) -> None:
    from blindzone.core.errors import SourceFileError
    from blindzone.flows.commands.own_files import describe_own_file

    if as_entry:
        raise SourceFileError(
            f"{own.path}: a {own.kind} of blindzone; a catalogue entry is made from a file of an"
            " instrument"
        )
    facts = describe_own_file(own)
    if as_json:
        print_json({"file": own.path, **facts})
    else:
        _print_facts(own.path, facts)
    if picture is not None:
        from blindzone.pipeline.plots.quicklooks import draw_curtain, draw_product

        draw = draw_product if own.is_product else draw_curtain
        draw(own.content.load(), picture)
        typer.echo(f"  picture: {picture}", err=as_json)


def _print_facts(path: Path, facts: Mapping[str, Any]) -> None:
    typer.echo(f"{path}: a {facts['kind']} of blindzone")
    for key, value in facts.items():
        if key != "kind":
            text = ", ".join(value) if isinstance(value, list) else value
            typer.echo(f"  {key.replace('_', ' ')}: {text}")
