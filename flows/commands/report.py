"""The command `report`: a page on which people walk through products."""

from __future__ import annotations

from glob import has_magic
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blindzone.flows.commands.console import REJECTED
from blindzone.flows.commands.file_products import try_each

if TYPE_CHECKING:
    from blindzone.core.errors import BlindzoneError

Products = Annotated[
    list[Path],
    typer.Argument(metavar="PRODUCT", help="Products, folders of them, or patterns in quotes."),
]
Output = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="The page, .html (default: the first product's name, in this folder)."
    ),
]
Ray = Annotated[
    int | None,
    typer.Option(
        min=0, metavar="N", help="Ray of a swath, counted from 0 (default: nearest to nadir)."
    ),
]


def report(products: Products, output: Output = None, ray: Ray = None) -> None:
    """Write a page to explore products in a browser.

    One file that needs no network: time and height with zoom, layers, the profile at the cursor,
    scores where the truth is known, and what 'blindzone derive' wrote next to a product. More than
    31 products become a page a month. Exit status 2 if some cannot be read.
    """
    found = _find(products)
    from blindzone.flows.reports.product_page import check_page, write_report

    path = output or Path(f"{found[0].resolve().stem}.html")
    check_page(path)
    good: list[Path] = []
    failed = try_each(found, lambda product: good.append(_check(product)))

    def reject(error: BlindzoneError) -> None:
        nonlocal failed
        failed += 1
        typer.echo(f"error: {error}", err=True)

    if good:
        for page in write_report(good, path, ray=ray, on_reject=reject):
            typer.echo(page)
    if failed:
        typer.echo(f"{failed} of {len(found)} are not on the page", err=True)
        raise typer.Exit(REJECTED if good else 1)


def _find(products: list[Path]) -> list[Path]:
    """Returns files of products; one that is named and not there is told apart later."""
    from blindzone.pipeline.products.opening import list_products

    named = [path for path in products if not (path.is_dir() or has_magic(str(path)))]
    others = [path for path in products if path not in named]
    return list(dict.fromkeys([*named, *(list_products(others) if others else [])]))


def _check(path: Path) -> Path:
    """Returns the path of a product that can be opened."""
    from blindzone.pipeline.products.opening import open_products

    with open_products(path):
        return path
