"""Files in, products out: what `fill` and `repair` do with each group of files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from blindzone.flows.commands.console import REJECTED
from blindzone.flows.commands.early_checks import check_file

if TYPE_CHECKING:
    from blindzone.flows.running.fill_data import FillPlan, PreparedFill
    from blindzone.flows.running.plans import DataPlaces


@dataclass(frozen=True, kw_only=True)
class FileJob:
    """What is done with each file.

    Attributes:
        plan: How it is filled.
        output: Folder of the products.
        picture: Picture of the one product.
        force: Whether a product that is there already is made anew.
        announce: Prints a line for people.
        derive: Whether what a product implies is written next to it.
        suffix: What a product's name ends in.
    """

    plan: FillPlan
    output: Path
    picture: Path | None
    force: bool
    announce: Callable[[str], None]
    derive: bool = False
    suffix: str = "blindzone"


def check_picture(picture: Path | None, products: int) -> None:
    """Checks that there is one product for one picture.

    Raises:
        PlanError: If there are several.
    """
    if picture is not None and products > 1:
        from blindzone.core.errors import PlanError

        raise PlanError(
            f"--picture {picture}: one picture for {products} products; one file, or"
            " --together, is right"
        )


def make_products(groups: Sequence[list[Path]], make_job: Callable[[], FileJob]) -> None:
    """Makes the product of each group of files; one that cannot be made does not stop the others.

    Args:
        groups: The files of each product.
        make_job: Returns what is done with them; it is called if any file is there.

    Raises:
        typer.Exit: With 1 if none can be made, 2 if some cannot.
    """
    there = [group for group in groups if _are_there(group)]
    failed = len(groups) - len(there)
    if there:
        job = make_job()
        failed += sum(not _fill(group, job) for group in there)
    if failed:
        typer.echo(f"{failed} of {len(groups)} could not be filled", err=True)
        raise typer.Exit(1 if failed == len(groups) else REJECTED)


def make_announcer() -> Callable[[str], None]:
    """Returns what prints a line unless it has: most files are filled by the same network."""
    known: set[str] = set()

    def announce(text: str) -> None:
        if text not in known:
            known.add(text)
            typer.echo(text, err=True)

    return announce


def _are_there(paths: list[Path]) -> bool:
    """Returns whether files are there; else prints which is not."""

    def check() -> None:
        for path in paths:
            check_file(path)

    return _try(check)


def _fill(paths: list[Path], job: FileJob) -> bool:
    """Fills files as one curtain and returns whether that went well; else prints the reason."""
    return _try(lambda: _make(paths, job))


def try_each(products: Sequence[Path], work: Callable[[Path], object]) -> int:
    """Does some work on each product that is there; returns for how many it failed.

    The reason of each failure is printed; one never stops the others.
    """

    def work_on(path: Path) -> None:
        check_file(path, right="the path of a product")
        work(path)

    return sum(not _try(partial(work_on, path)) for path in products)


def _try(work: Callable[[], object]) -> bool:
    """Returns whether work on one group of files went well; else prints the reason."""
    from blindzone.core.errors import BlindzoneError

    try:
        work()
    except BlindzoneError as error:
        typer.echo(f"error: {error}", err=True)
        return False
    return True


def _make(paths: list[Path], job: FileJob) -> None:
    """Writes the product of files, unless it is there already, and prints what comes of it."""
    from blindzone.flows.running.fill_data import prepare_fill
    from blindzone.flows.running.progress import stage
    from blindzone.pipeline.products.opening import open_products, write_product
    from blindzone.pipeline.products.product_store import ProductStore
    from blindzone.pipeline.readers import find_stem

    stem = find_stem(paths[0].name)
    path = job.output / f"{stem}_{job.suffix}.nc"
    with stage(f"fill {stem[:16]}") as on_progress:
        prepared = prepare_fill(paths, job.plan, on_notice=job.announce)
        is_there = not job.force and _is_unchanged(prepared, path)
        if not is_there:
            write_product(prepared.fill(on_progress), path)
    typer.echo(str(path))
    found = ProductStore(job.output).summarize(path.name)
    typer.echo(f"{paths[0].name}: {'unchanged; ' if is_there else ''}{found}", err=True)
    if job.derive:
        typer.echo(str(derive_file(path, job.output, force=not is_there)))
    if job.picture is not None:
        from blindzone.pipeline.plots.quicklooks import draw_product

        with open_products(path) as product:
            draw_product(product, job.picture)
        typer.echo(str(job.picture))


def derive_file(
    path: Path,
    folder: Path,
    *,
    force: bool,
    places: DataPlaces | None = None,
    members: int | None = None,
) -> Path:
    """Writes what a product implies into a folder, unless that is there; returns the file's path.

    Args:
        path: The product.
        folder: Folder of the derived product.
        force: Whether one that is there already is made anew.
        places: Catalogue and archive that temperature is looked up in, if anywhere.
        members: Number of ensemble members that it is counted over; by default any that is there,
            else the default number.

    Raises:
        BlindzoneError: If the product cannot be opened or lacks what is needed, what is collocated
            cannot be read, or the file cannot be written.
    """
    from blindzone.flows.running.derived_files import derive_into, find_ground_data, is_derived
    from blindzone.pipeline.derivation.derived_product import name_derived
    from blindzone.pipeline.products.opening import open_products
    from blindzone.pipeline.products.product_store import TARGET, ProductStore

    store = ProductStore(folder)
    target = ProductStore(path.parent).read_attribute(path.name, TARGET)
    ground = None if places is None else find_ground_data(path.name, places)
    if force or target is None or not is_derived(store, path.name, target, ground, members):
        with open_products(path) as product:
            derive_into(store, product, path.name, ground, members)
    return folder / name_derived(path.name)


def _is_unchanged(prepared: PreparedFill, path: Path) -> bool:
    """Returns whether a product is there that was made of the same inputs."""
    from blindzone.pipeline.products.product_store import TARGET, ProductStore
    from blindzone.pipeline.products.provenance import list_files

    expected = {TARGET: prepared.target, "source_files": list_files(prepared.source_files)}
    store = ProductStore(path.parent)
    return all(store.read_attribute(path.name, key) == text for key, text in expected.items())
