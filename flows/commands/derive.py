"""The command `derive`: what products imply for columns and for the ground."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from blindzone.flows.commands.console import REJECTED
from blindzone.flows.commands.file_products import derive_file, try_each
from blindzone.flows.commands.options import ArchiveFolder, CatalogFile

Products = Annotated[
    list[Path], typer.Argument(metavar="PRODUCT", help="Products of fill, inpaint or reprocess.")
]
Folder = Annotated[
    Path | None,
    typer.Option(
        "--output", metavar="DIR", help="Folder of the derived products (default: next to each)."
    ),
]
Members = Annotated[
    int | None,
    typer.Option(
        "--members",
        min=2,
        metavar="N",
        help="Ensemble members to count over (default: 20); sums are steadier with 50.",
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Make anew what is there already.")]


def derive(
    products: Products,
    output: Folder = None,
    members: Members = None,
    force: Force = False,
    catalog: CatalogFile = None,
    archive: ArchiveFolder = None,
) -> None:
    """Derive what products imply for the ground.

    Whether echo reaches it, where it ends, how much rain and snow falls. Which of both follows from
    the temperature of archived partners, if the catalogue has the product's source. NAME.nc becomes
    NAME_derived.nc. One that is there already, of the same product and number of members, is left
    as it is. Exit status 2 if some cannot be derived.
    """
    from blindzone.flows.running.plans import DataPlaces

    places = DataPlaces(catalog=catalog, archive=archive)

    def work(path: Path) -> None:
        folder = output or path.parent
        typer.echo(str(derive_file(path, folder, force=force, places=places, members=members)))

    failed = try_each(products, work)
    if failed:
        typer.echo(f"{failed} of {len(products)} could not be derived", err=True)
        raise typer.Exit(1 if failed == len(products) else REJECTED)
