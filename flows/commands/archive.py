"""The commands `archive show`, `verify`, `repair`, `export` and `quicklook`."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from blindzone.flows.commands.command import Command, completer
from blindzone.flows.commands.console import REJECTED, print_json, print_table
from blindzone.flows.commands.options import (
    ArchiveFolder,
    AsJson,
    CatalogFile,
    End,
    Start,
    parse_date,
)

if TYPE_CHECKING:
    import xarray as xr

    from blindzone.pipeline.archive import Archive
    from blindzone.pipeline.archive.care import SourceSummary
    from blindzone.pipeline.catalog.catalog import Catalog

archive_app = typer.Typer(help="Look at the archive, check and repair it.", no_args_is_help=True)

SourceOrAll = Annotated[
    str | None, typer.Argument(metavar="SOURCE", help="A source (default: all).")
]
ArchivedSource = Annotated[str, typer.Argument(metavar="SOURCE", help="A source of the archive.")]


class Format(StrEnum):
    """File formats of exported days."""

    NETCDF = "netcdf"
    ZARR = "zarr"


def _open(archive: str | None) -> Archive:
    from blindzone.flows.running.workspace import archive_folder
    from blindzone.pipeline.archive import Archive

    return Archive(archive or archive_folder())


def _open_filled(archive: str | None) -> Archive:
    """Returns an archive that has a source.

    Raises:
        ArchiveError: If it has none: there is nothing to look at, or its place is another.
    """
    from blindzone.core.errors import ArchiveError

    store = _open(archive)
    if not store.sources():
        raise ArchiveError(
            f"{store.root}: nothing is archived here; 'blindzone ingest SOURCE' adds a source, and"
            " --archive names another place"
        )
    return store


@archive_app.command("show", cls=Command)
def show_archive(
    source: SourceOrAll = None, archive: ArchiveFolder = None, as_json: AsJson = False
) -> None:
    """Show archived days, gaps and rejected files.

    Of one source also its grid and the days of which nothing is archived, with the reasons.
    """
    from blindzone.pipeline.archive.care import describe_archive

    store = _open_filled(archive)
    summaries = describe_archive(store, source)
    if as_json:
        print_json([_describe(summary) for summary in summaries])
        return
    _print_summaries(summaries)
    if source is not None:
        typer.echo(f"grid: {summaries[0].grid}")
        for absent in store.absent(source):
            typer.echo("\n".join(absent.describe()))
        for day, record in store.read_records(source)[0].items():
            for file in record.files:
                for line in file.findings:
                    typer.echo(f"{day}: {file.name}: {line}")


def _describe(summary: SourceSummary) -> dict[str, Any]:
    return {
        "source": summary.source,
        "granules": summary.granules,
        "first": summary.first,
        "last": summary.last,
        "profiles": summary.profiles,
        "gaps": summary.gaps,
        "gap_seconds": summary.gap_seconds,
        "missing": summary.missing,
        "rejected": summary.rejected,
        "rejected_files": summary.rejected_files,
        "profiles_dropped": summary.profiles_dropped,
        "damaged": summary.damaged,
        "grid": summary.grid,
        "bytes": summary.bytes,
    }


def _print_summaries(summaries: tuple[SourceSummary, ...]) -> None:
    from rich.table import Table

    table = Table(
        "source",
        "archived",
        "first",
        "last",
        "profiles",
        "dropped",
        "gaps",
        "missing",
        "rejected",
        "MiB",
    )
    for row in summaries:
        ends = (str(row.first or "-"), str(row.last or "-"))
        dropped = sum(row.profiles_dropped.values())
        counts = (row.profiles, dropped, row.gaps, row.missing, row.rejected)
        size = f"{row.bytes / 2**20:.1f}"
        table.add_row(row.source, str(row.granules), *ends, *map(str, counts), size)
    print_table(table)


@archive_app.command("verify", cls=Command)
def verify(
    context: typer.Context, source: SourceOrAll = None, archive: ArchiveFolder = None
) -> None:
    """Check every day bit for bit.

    Each is compared with its record in the ledger. Exit status 2 if anything is wrong.
    """
    from blindzone.pipeline.archive.care import verify_archive

    findings = verify_archive(_open_filled(archive), source)
    for finding in findings:
        typer.echo(str(finding))
    if findings:
        advice = completer(context)("'blindzone archive repair' mends what can be mended")
        typer.echo(f"{len(findings)} findings; {advice}", err=True)
        raise typer.Exit(REJECTED)
    typer.echo("nothing wrong")


@archive_app.command("repair", cls=Command)
def repair(
    source: SourceOrAll = None,
    archive: ArchiveFolder = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be done, and do nothing.")
    ] = False,
) -> None:
    """Mend what can be mended.

    Removes what killed runs left behind. Sets lost or damaged days aside, so that the next ingest
    makes them anew.
    """
    from blindzone.pipeline.archive.care import repair_archive

    repairs = repair_archive(_open_filled(archive), source, dry_run=dry_run)
    for done in repairs:
        typer.echo(str(done))
    typer.echo(f"{len(repairs)} repairs{' would be made' if dry_run else ''}")


@archive_app.command("export", cls=Command)
def export(
    source: ArchivedSource,
    output: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the files.")],
    start: Start = None,
    end: End = None,
    form: Annotated[Format, typer.Option("--format", help="Format of the files.")] = Format.NETCDF,
    catalog: CatalogFile = None,
    archive: ArchiveFolder = None,
) -> None:
    """Write archived days as CF files.

    One file a day or granule; the path of each is printed.
    """
    from blindzone.pipeline.archive.exporting import export_days
    from blindzone.pipeline.catalog.catalog import read_catalog

    # The source may have left the catalogue since.
    sources = read_catalog(catalog)
    simulated = source in sources and sources[source].simulation is not None
    for path in export_days(
        _open(archive), source, start, end, output, format=form.value, simulated=simulated
    ):
        typer.echo(path)


@archive_app.command("quicklook", cls=Command)
def quicklook(
    source: ArchivedSource,
    day: Annotated[
        date, typer.Argument(parser=parse_date, metavar="DATE", help="UTC day, YYYY-MM-DD.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Picture (default: SOURCE_DATE.png here)."),
    ] = None,
    partners: Annotated[
        bool, typer.Option("--partners", help="With the collocated lidar and state.")
    ] = False,
    top: Annotated[
        float | None, typer.Option("--top", min=1, help="Height of the picture's top [m].")
    ] = None,
    catalog: CatalogFile = None,
    archive: ArchiveFolder = None,
) -> None:
    """Draw an archived day.

    Of a source of granules, each granule that starts on the day.
    """
    from blindzone.core.granule import Granule
    from blindzone.pipeline.archive.collocation import open_collocated
    from blindzone.pipeline.catalog.catalog import read_catalog
    from blindzone.pipeline.plots.quicklooks import draw_curtain

    store, known = _open(archive), read_catalog(catalog)
    granules = [granule for granule in store.days(source) if Granule.of(granule).day == day]
    for granule in granules or [day]:
        curtain = (
            open_collocated(store, known, source, granule)
            if partners
            else store.open_day(source, granule).load()
        )
        path = _name_picture(output, source, Granule.of(granule).key, several=len(granules) > 1)
        draw_curtain(_with_zone(curtain, known, source), path, height=top)
        typer.echo(path)


def _with_zone(curtain: xr.Dataset, catalog: Catalog, source: str) -> xr.Dataset:
    """Returns a curtain with the blind zone that the catalogue gives its radar, for the picture."""
    lacks_one = "reflectivity" in curtain and "blind_zone_top" not in curtain.coords
    if not lacks_one or source not in catalog:
        return curtain
    tops = [catalog[source].blind_zone.top_m] * curtain.sizes["time"]
    return curtain.assign_coords(blind_zone_top=("time", tops))


def _name_picture(output: Path | None, source: str, key: str, *, several: bool) -> Path:
    """Returns a picture's path; the pictures of several granules bear their keys."""
    if output is None:
        return Path(f"{source}_{key}.png")
    return output.with_stem(f"{output.stem}_{key}") if several else output
