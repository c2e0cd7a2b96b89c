"""The commands `fetch cloudnet` and `fetch earthcare`: files from data portals."""

from __future__ import annotations

import shlex
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blindzone.flows.commands.command import Command
from blindzone.flows.commands.console import REJECTED, print_table
from blindzone.flows.commands.options import FirstDay, LastDay, Recorded

if TYPE_CHECKING:
    from blindzone.flows.running.fetched import FetchReport

fetch_app = typer.Typer(
    help="Fetch source files from a data portal.",
    no_args_is_help=True,
)


class CloudnetProduct(StrEnum):
    """Products of the Cloudnet portal that are fetched."""

    RADAR = "radar"
    LIDAR = "lidar"
    MODEL = "model"
    WEATHER_STATION = "weather-station"
    DISDROMETER = "disdrometer"


class EarthcareProduct(StrEnum):
    """Products of EarthCARE's cloud radar that are read."""

    C_NOM = "CPR_NOM_1B"
    C_FMR = "CPR_FMR_2A"


OutputFolder = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Folder below which each source gets one (default: the data directory).",
    ),
]
OwnCatalog = Annotated[
    Path | None,
    typer.Option(
        "--catalog",
        metavar="FILE",
        envvar="BLINDZONE_CATALOG",
        show_envvar=True,
        help=(
            "Catalogue that entries are added to, made if need be (default: data_catalog.yaml here,"
            " begun as the package's)."
        ),
    ),
]


@fetch_app.command("cloudnet", cls=Command)
def fetch_cloudnet(
    site: Annotated[
        str,
        typer.Argument(metavar="SITE", help="Site of the Cloudnet portal, such as palaiseau."),
    ],
    start: FirstDay,
    end: LastDay,
    product: Annotated[
        list[CloudnetProduct] | None,
        typer.Option(
            metavar="PRODUCT",
            help="radar, lidar, model, weather-station or disdrometer; repeatable (default: all).",
        ),
    ] = None,
    instrument: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID",
            help=(
                "Instrument or model, such as chm15k or ecmwf; repeatable (default: of each product"
                " the one with most days)."
            ),
        ),
    ] = None,
    output: OutputFolder = None,
    catalog: OwnCatalog = None,
    portal: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Portal (default: https://cloudnet.fmi.fi/api/)."),
    ] = None,
    prefect: Recorded = False,
) -> None:
    """Fetch a Cloudnet site's radar, lidar, model, weather station and disdrometer.

    Files come with their checksums verified; what is there whole is not fetched again. Licence and
    identifiers are kept next to the files, in data_use.json. Each instrument becomes a source of
    the catalogue; a radar's entry names the others as its partners. ARM's sites are in the
    portal too. A file that cannot be had is named, the others go on, and the exit status is 2.
    """
    from blindzone.flows.fetch import FetchPlan, fetch
    from blindzone.flows.running.prefect_steps import run_flow
    from blindzone.pipeline.catalog.fetching import PORTAL

    plan = FetchPlan(
        site=site,
        start=start,
        end=end,
        products=tuple(dict.fromkeys(kind.value for kind in product or CloudnetProduct)),
        instruments=tuple(instrument or ()),
        output=output,
        catalog=catalog,
        portal=portal or PORTAL,
    )
    _end(run_flow(fetch, recorded=prefect, plan=plan))


@fetch_app.command("earthcare", cls=Command)
def fetch_earthcare(
    start: FirstDay,
    end: LastDay,
    product: Annotated[
        list[EarthcareProduct] | None,
        typer.Option(
            metavar="PRODUCT",
            help="CPR_NOM_1B or CPR_FMR_2A; repeatable (default: CPR_FMR_2A).",
        ),
    ] = None,
    latitude: Annotated[
        float | None, typer.Option(min=-90, max=90, help="Latitude that frames pass.")
    ] = None,
    longitude: Annotated[
        float | None, typer.Option(min=-180, max=180, help="Longitude that frames pass.")
    ] = None,
    radius: Annotated[
        float, typer.Option(min=0.1, metavar="KM", help="How far from there they may pass.")
    ] = 100.0,
    output: OutputFolder = None,
    catalog: OwnCatalog = None,
    prefect: Recorded = False,
) -> None:
    """Fetch frames of EarthCARE's cloud radar from ESA (extra 'earthcare').

    The downloader takes your token from MAAP_TOKEN or from its own file. A frame that cannot be had
    is named, the others go on, and the exit status is 2.
    """
    from blindzone.flows.fetch_earthcare import FetchEarthcarePlan
    from blindzone.flows.fetch_earthcare import fetch_earthcare as flow
    from blindzone.flows.running.prefect_steps import run_flow

    plan = FetchEarthcarePlan(
        start=start,
        end=end,
        products=tuple(dict.fromkeys(kind.value for kind in product or [EarthcareProduct.C_FMR])),
        latitude=latitude,
        longitude=longitude,
        radius_km=radius,
        output=output,
        catalog=catalog,
    )
    _end(run_flow(flow, recorded=prefect, plan=plan))


def _end(report: FetchReport) -> None:
    """Prints what a fetch did; the exit status is 2 if a file could not be had."""
    from rich.table import Table

    table = Table("source", "fetched", "there already", "not to be had", "folder")
    for source in report.sources:
        counts = (source.fetched, source.unchanged, len(source.failed))
        table.add_row(source.name, *map(str, counts), str(source.folder))
    print_table(table)
    usable = [source.name for source in report.sources if source.is_usable]
    if usable:
        kept = [name for name in usable if name not in report.added]
        typer.echo(f"catalogue: {report.catalog}")
        typer.echo(f"added:     {', '.join(report.added) or 'nothing'}")
        if kept:
            typer.echo(f"there already, and left as they are: {', '.join(kept)}")
        place = shlex.quote(str(report.catalog))
        typer.echo(f"next:      blindzone ingest {usable[0]} --catalog {place}")
    for source in report.sources:
        if not source.is_readable:
            typer.echo(f"no reader reads {source.title} yet: its files are not in the catalogue")
        for reason in source.failed.values():
            typer.echo(f"not to be had: {reason}", err=True)
    if report.left_out:
        typer.echo(f"not fetched: {', '.join(report.left_out)}; --instrument ID takes them")
    if any(source.failed for source in report.sources):
        raise typer.Exit(REJECTED)
