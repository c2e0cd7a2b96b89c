"""The command line's `archive` and `inspect`: what is held, whether it is whole, and what a file would become."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from blindzone.flows.commands.options import (
    ArchiveFolder,
    CatalogFile,
    End,
    Start,
    explained,
    parse_date,
    print_table,
)

archive_app = typer.Typer(
    help="Look at the archive, check it, mend it, take days out of it.", no_args_is_help=True
)

SourceOrAll = Annotated[
    str | None, typer.Argument(metavar="[SOURCE]", help="A source (default: all).")
]
SourceName = Annotated[
    str, typer.Argument(metavar="SOURCE", help="A source that the archive holds.")
]


class Format(StrEnum):
    """What days are exported as."""

    NETCDF = "netcdf"
    ZARR = "zarr"


def _open(archive: str | None) -> Any:
    from blindzone.flows.running.workspace import archive_folder
    from blindzone.pipeline.archive import Archive

    return Archive(archive or archive_folder())


@archive_app.command("show")
def show_archive(source: SourceOrAll = None, archive: ArchiveFolder = None) -> None:
    """Show what the archive holds: days, gaps, missing days, refused files."""
    with explained():
        from rich.table import Table

        from blindzone.pipeline.archive.care import describe_archive

        store = _open(archive)
        table = Table(
            "source", "held", "first", "last", "profiles", "gaps", "missing", "refused", "MiB"
        )
        rows = describe_archive(store, source)
        for row in rows:
            table.add_row(
                row.source,
                str(row.units),
                str(row.first or "-"),
                str(row.last or "-"),
                str(row.profiles),
                str(row.gaps),
                str(row.missing),
                str(row.refused),
                f"{row.bytes / 2**20:.1f}",
            )
        print_table(table)
        if source is not None:
            typer.echo(f"grid: {rows[0].grid}")
            for record in store.absent(source):
                for line in record.describe():
                    typer.echo(line)


@archive_app.command("verify")
def verify(source: SourceOrAll = None, archive: ArchiveFolder = None) -> None:
    """Check every day bit for bit against the ledger; exit status 2 if anything is wrong."""
    with explained():
        from blindzone.pipeline.archive.care import verify_archive

        findings = verify_archive(_open(archive), source)
        for finding in findings:
            typer.echo(str(finding))
        if findings:
            typer.echo(
                f"{len(findings)} findings; 'blindzone archive repair' mends what can be mended",
                err=True,
            )
            raise typer.Exit(2)
        typer.echo("nothing wrong")


@archive_app.command("repair")
def repair(
    source: SourceOrAll = None,
    archive: ArchiveFolder = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
) -> None:
    """Sweep away what killed runs left, and set lost or damaged days aside so that the next ingest makes them anew."""
    with explained():
        from blindzone.pipeline.archive.care import repair_archive

        repairs = repair_archive(_open(archive), source, dry_run=dry_run)
        for done in repairs:
            typer.echo(str(done))
        typer.echo(f"{len(repairs)} repairs{' would be made' if dry_run else ''}")


@archive_app.command("export")
def export(
    source: SourceName,
    output: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the files.")],
    start: Start = None,
    end: End = None,
    form: Annotated[Format, typer.Option("--format", help="Form of the files.")] = Format.NETCDF,
    catalog: CatalogFile = None,
    archive: ArchiveFolder = None,
) -> None:
    """Write archived days as CF files of their own."""
    with explained():
        from blindzone.pipeline.archive.exporting import export_days
        from blindzone.pipeline.catalog.catalog import read_catalog

        sources = read_catalog(catalog)  # which the source may have left since
        simulated = source in sources and sources[source].simulation is not None
        for path in export_days(
            _open(archive), source, start, end, output, format=form.value, simulated=simulated
        ):
            typer.echo(path)


@archive_app.command("quicklook")
def quicklook(
    source: SourceName,
    day: Annotated[
        date, typer.Argument(parser=parse_date, metavar="DATE", help="UTC day, YYYY-MM-DD.")
    ],
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Picture, .png or .webp.")
    ] = None,
    partners: Annotated[
        bool, typer.Option("--partners", help="With the partners' lidar and state beside it.")
    ] = False,
    top: Annotated[
        float | None, typer.Option("--top", min=1, help="Height of the picture's top [m].")
    ] = None,
    catalog: CatalogFile = None,
    archive: ArchiveFolder = None,
) -> None:
    """Draw an archived day, or each granule that starts on it."""
    with explained():
        from blindzone.core.granule import Granule
        from blindzone.pipeline.archive.collocation import open_collocated
        from blindzone.pipeline.catalog.catalog import read_catalog
        from blindzone.pipeline.plots.quicklooks import draw_curtain

        store = _open(archive)
        units = [unit for unit in store.days(source) if Granule.of(unit).day == day] or [day]
        for unit in units:
            curtain = (
                open_collocated(store, read_catalog(catalog), source, unit)
                if partners
                else store.open_day(source, unit).load()
            )
            path = output or Path(f"{source}_{Granule.of(unit).key}.png")
            draw_curtain(curtain, path, height=top)
            typer.echo(path)


def inspect_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A radar, lidar or state file.")],
    reader: Annotated[
        str, typer.Option(metavar="NAME", help="Reader (default: told from the content).")
    ] = "auto",
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw it: .png, .pdf, .svg and more.")
    ] = None,
) -> None:
    """Say what kind of file this is, and what curtain it would become."""
    with explained():
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
