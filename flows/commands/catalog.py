"""The commands `catalog list`, `catalog show` and `catalog check`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from blindzone.core.printable import to_line
from blindzone.flows.commands.command import Command
from blindzone.flows.commands.console import print_json, print_table
from blindzone.flows.commands.options import AsJson, CatalogFile, SourceName

if TYPE_CHECKING:
    from blindzone.pipeline.catalog.catalog import Catalog

catalog_app = typer.Typer(help="Look at the data catalogue.", no_args_is_help=True)


@catalog_app.command("list", cls=Command)
def list_sources(catalog: CatalogFile = None, as_json: AsJson = False) -> None:
    """List the sources and the days of files here.

    A source whose entry has a fault is listed with it.
    """
    from blindzone.pipeline.catalog.catalog import read_catalog

    sources = read_catalog(catalog)
    counts = {name: _count_days(sources, name) for name in sources}
    if as_json:
        print_json(
            [
                {
                    "source": name,
                    "reader": source.reader,
                    "days": counts[name],
                    "simulated": source.simulation is not None,
                    "title": source.title,
                }
                for name, source in sources.items()
            ]
            + [{"source": name, "fault": fault} for name, fault in sources.faults.items()]
        )
        return
    from rich.markup import escape
    from rich.table import Table

    table = Table("source", "reader", "days here", "title")
    for name, source in sources.items():
        none = "on demand" if source.simulation else "none"
        table.add_row(name, source.reader, str(counts[name] or none), source.title)
    for name, fault in sources.faults.items():
        table.add_row(to_line(name), "faulty", "none", escape(to_line(fault)))
    print_table(table)


def _count_days(sources: Catalog, name: str) -> int:
    """Returns of how many days, or granules, there are files of a source; 0 without its folder."""
    from blindzone.core.errors import CatalogError

    try:
        return len(sources[name].find_days(sources.data_directory(name)))
    except CatalogError:
        return 0


@catalog_app.command("show", cls=Command)
def show_source(source: SourceName, catalog: CatalogFile = None) -> None:
    """Show a source's whole entry, defaults included.

    The last line is the pattern of its files with the folder where they are looked for.
    """
    from blindzone.pipeline.catalog.catalog import describe_source, read_catalog

    sources = read_catalog(catalog)
    entry = sources[source]
    typer.echo(describe_source(entry), nl=False)
    typer.echo(f"# files: {entry.locate(sources.data_directory(source))}/{entry.files}")


@catalog_app.command("check", cls=Command)
def check_catalog(catalog: CatalogFile = None) -> None:
    """Check a catalogue: keys, readers and values.

    What is wrong is named with its line.
    """
    from blindzone.pipeline.catalog.catalog import read_catalog

    sources = read_catalog(catalog)
    sources.check_entries()
    typer.echo(f"{sources.path}: {len(sources)} sources, nothing wrong")
