"""The command `serve`: run the deployments on this machine."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from blindzone.flows.commands.options import CatalogFile

Port = Annotated[int, typer.Option(min=1, max=65535, help="Port on the loopback interface.")]
Database = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        envvar="PREFECT_SERVER_DATABASE_CONNECTION_URL",
        show_envvar=True,
        help=(
            "PostgreSQL database, postgresql://USER@HOST/NAME (default: an SQLite file in"
            " $BLINDZONE_WORKSPACE)."
        ),
    ),
]
Deployments = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Deployments (default: the package's prefect.yaml)."),
]
Runs = Annotated[int, typer.Option(min=1, help="Number of runs at once.")]
Watch = Annotated[
    list[str] | None,
    typer.Option(
        metavar="SOURCE",
        help="Ingest new files of this source only; may be given again (default: of all).",
    ),
]
Watching = Annotated[
    bool, typer.Option("--watching/--no-watching", help="Whether folders are watched.")
]
Settle = Annotated[
    float, typer.Option(min=0.1, help="Seconds that a new file must not have changed.")
]


def serve(
    port: Port = 4200,
    database: Database = None,
    deployments: Deployments = None,
    runs: Runs = 2,
    watch: Watch = None,
    is_watching: Watching = True,
    settle: Settle = 60.0,
    catalog: CatalogFile = None,
) -> None:
    """Run the deployments on this machine.

    Starts a Prefect server with its pages and a worker, bound to the loopback interface, and runs
    until it is stopped (Ctrl-C).
    """
    if watch and not is_watching:
        raise typer.BadParameter("--watch names a source to watch; --no-watching contradicts it")
    from blindzone.flows.service.serve import DEPLOYMENTS, ServeConfig
    from blindzone.flows.service.serve import serve as run

    logging.getLogger("blindzone").setLevel(logging.INFO)
    run(
        ServeConfig(
            port=port,
            database=database,
            deployments=deployments or DEPLOYMENTS,
            runs=runs,
            watched=tuple(watch) if watch else None if is_watching else (),
            settle_s=settle,
            catalog=catalog,
        )
    )
