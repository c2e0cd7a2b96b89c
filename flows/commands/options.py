"""The options and arguments that commands share."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Block(StrEnum):
    """Days of a source's split that networks are scored or calibrated on."""

    VALIDATION = "validation"
    TEST = "test"


def parse_date(text: str) -> date:
    """Returns the date of `YYYY-MM-DD`."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no date; YYYY-MM-DD is right") from error


FirstDay = Annotated[
    date, typer.Option("--start", parser=parse_date, metavar="DATE", help="First UTC day.")
]
LastDay = Annotated[
    date, typer.Option("--end", parser=parse_date, metavar="DATE", help="Last UTC day, inclusive.")
]
Start = Annotated[
    date | None,
    typer.Option(
        parser=parse_date, metavar="DATE", help="First UTC day, YYYY-MM-DD (default: the earliest)."
    ),
]
End = Annotated[
    date | None,
    typer.Option(
        parser=parse_date, metavar="DATE", help="Last UTC day, inclusive (default: the latest)."
    ),
]
CatalogFile = Annotated[
    Path | None,
    typer.Option(
        "--catalog",
        metavar="FILE",
        envvar="BLINDZONE_CATALOG",
        show_envvar=True,
        help="Data catalogue (default: data_catalog.yaml here, else the package's).",
    ),
]
ArchiveFolder = Annotated[
    str | None,
    typer.Option(
        "--archive",
        metavar="DIR",
        help="Zarr archive, a folder or URL (default: $BLINDZONE_WORKSPACE/archive).",
    ),
]
SourceName = Annotated[
    str, typer.Argument(metavar="SOURCE", help="Name of a source in the data catalogue.")
]
SourceNames = Annotated[
    list[str], typer.Argument(metavar="SOURCE", help="Names of sources in the data catalogue.")
]
CheckpointFile = Annotated[
    Path | None,
    typer.Option(
        "--checkpoint",
        metavar="FILE",
        help="Network (default: SOURCE.keras in $BLINDZONE_WORKSPACE/checkpoints, else shipped).",
    ),
]
PlanFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="YAML with a training plan: network, stages, windows and more.",
    ),
]
Reports = Annotated[
    Path | None,
    typer.Option(
        "--reports", metavar="DIR", help="Reports (default: $BLINDZONE_WORKSPACE/reports)."
    ),
]
Recorded = Annotated[
    bool,
    typer.Option("--prefect", help="Record the run with Prefect, also without PREFECT_API_URL."),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON, and nothing else on standard output.")
]
