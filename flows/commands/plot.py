"""The command `plot`: a picture of products, or of a day of the archive."""

from __future__ import annotations

from glob import has_magic
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from blindzone.flows.commands.early_checks import check_file

if TYPE_CHECKING:
    from blindzone.flows.commands.own_files import OwnFile


def plot(
    products: Annotated[
        list[Path],
        typer.Argument(
            metavar="PRODUCT",
            help="Products, joined in time; or one day of the archive, netCDF or zarr.",
        ),
    ],
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="First time, UTC, such as 2021-03-14T06:00."),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option("--to", metavar="TIME", help="Last time, UTC; a day means all of it."),
    ] = None,
    variables: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,NAME",
            help="Variables from the top down, separated by commas (default: a selection).",
        ),
    ] = None,
    height: Annotated[
        float | None, typer.Option(min=1, metavar="TOP", help="Height of the picture's top [m].")
    ] = None,
    ground: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File of the ground radar that an emulated day was made of; drawn above it.",
        ),
    ] = None,
    ray: Annotated[
        int | None,
        typer.Option(
            min=0, metavar="N", help="Ray of a swath, counted from 0 (default: nearest to nadir)."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Picture: .png, .pdf, .svg and more (default: the first product's name, .png).",
        ),
    ] = None,
) -> None:
    """Draw products as a picture.

    Several products of one source, such as the days of a week, become one picture. What 'blindzone
    derive' wrote is drawn as kinds of columns, bases, rates and sums; several days of it as a
    calendar of sums, with kinds of columns by hour of day. Source files are
    drawn by 'blindzone inspect FILE --picture'.
    """
    for product in products:
        if not has_magic(str(product)):
            check_file(product, right="the path of a product")
    from blindzone.flows.commands.own_files import open_own_file

    options: dict[str, Any] = {
        "time": None if start is None and end is None else (start, end),
        "height": height,
        "variables": None if variables is None else _split(variables),
        **({} if ray is None else {"ray": ray}),
    }
    path = output or Path(f"{products[0].resolve().stem}.png")
    from blindzone.pipeline.products.opening import DERIVED_ENDING

    if products[0].name.endswith(DERIVED_ENDING):
        _draw_derived(products, path, options)
        typer.echo(path)
        return
    own = open_own_file(products[0]) if len(products) == 1 else None
    if ground is not None:
        _draw_emulation(ground, own, path, options)
    elif own is not None and not own.is_product:
        _draw_curtain(own, path, options)
    else:
        _draw_products(products, path, options)
    typer.echo(path)


def _draw_products(products: list[Path], path: Path, options: dict[str, Any]) -> None:
    from blindzone.pipeline.products.opening import open_products

    opened = open_products(products)
    from blindzone.pipeline.plots.quicklooks import draw_product  # late: needs Matplotlib

    draw_product(opened, path, **options)


def _draw_derived(products: list[Path], path: Path, options: dict[str, Any]) -> None:
    from blindzone.pipeline.derivation.derived_product import open_derived
    from blindzone.pipeline.plots.derived_calendar import draw_calendar
    from blindzone.pipeline.plots.derived_panels import draw_derived

    given = [name for name in ("time", "height", "variables") if options.get(name) is not None]
    if given or (len(products) > 1 and "ray" in options):
        raise typer.BadParameter(
            "derived products are drawn whole: with --output at most, and one of a swath with --ray"
        )
    if len(products) == 1:
        draw_derived(open_derived(products[0]), path, ray=options.get("ray"))
    else:
        draw_calendar([open_derived(product) for product in products], path)


def _draw_curtain(own: OwnFile, path: Path, options: dict[str, Any]) -> None:
    from blindzone.pipeline.plots.quicklooks import draw_curtain

    draw_curtain(own.content, path, **options)


def _draw_emulation(ground: Path, own: OwnFile | None, path: Path, options: dict[str, Any]) -> None:
    from blindzone.flows.commands.own_files import open_own_file
    from blindzone.pipeline.plots.emulation import draw_emulation
    from blindzone.pipeline.readers import read_curtain

    if own is None or own.is_product or options.pop("variables") or "ray" in options:
        raise typer.BadParameter(
            "--ground is for one day of the archive, without --variables and --ray"
        )
    above = open_own_file(ground)
    curtain = read_curtain(ground) if above is None else above.content
    draw_emulation(curtain, own.content, path, **options)


def _split(variables: str) -> list[str]:
    """Returns the names of a list with commas."""
    return [name for part in variables.split(",") if (name := part.strip())]
