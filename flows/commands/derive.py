"""The command `derive`: what products imply for columns and for the ground."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from blindzone.flows.commands.console import REJECTED
from blindzone.flows.commands.file_products import derive_file, try_each

Products = Annotated[
    list[Path], typer.Argument(metavar="PRODUCT", help="Products of fill, inpaint or reprocess.")
]
Folder = Annotated[
    Path | None,
    typer.Option(
        "--output", metavar="DIR", help="Folder of the derived products (default: next to each)."
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Make anew what is there already.")]


def derive(products: Products, output: Folder = None, force: Force = False) -> None:
    """Derive what products imply for the ground.

    Whether echo reaches it, where it ends, how much rain and snow falls. NAME.nc becomes
    NAME_derived.nc. One that is there already, of the same product, is left as it is. Exit status 2
    if some cannot be derived.
    """

    def work(path: Path) -> None:
        typer.echo(str(derive_file(path, output or path.parent, force=force)))

    failed = try_each(products, work)
    if failed:
        typer.echo(f"{failed} of {len(products)} could not be derived", err=True)
        raise typer.Exit(1 if failed == len(products) else REJECTED)
