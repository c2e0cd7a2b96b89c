"""The command line's options of how blind zones are filled, and what they come to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from blindzone.core.adaptive_sampling import AdaptiveSampling


def parse_realizations(text: object) -> int | None:
    """Returns a number of realizations, or None for `auto`."""
    if text == "auto":
        return None
    try:
        count = int(str(text))
    except ValueError:
        count = 0
    if count < 2:
        raise typer.BadParameter(f"{str(text)!r}: a number of at least 2, or auto, is right")
    return count


Passes = Annotated[int, typer.Option(min=2, help="Number of stochastic forward passes.")]
Effort = Annotated[
    int | None,
    typer.Option(
        "--realizations",
        parser=parse_realizations,
        metavar="N|auto",
        help=(
            "Number of stochastic forward passes; auto: as many as the interval bounds of each"
            " window need."
        ),
    ),
]
Tolerance = Annotated[
    float | None,
    typer.Option(
        min=0.001,
        help="With auto: standard error of the 5 and 95 % bounds, in dB, that is enough (0.25).",
    ),
]
Samples = Annotated[
    int | None,
    typer.Option(min=2, help="Number of coherent fields that may be true to write as well."),
]
Seed = Annotated[int, typer.Option(min=0, help="Seed; the same seed gives the same product.")]
ProductFolder = Annotated[
    str | None,
    typer.Option("--output", metavar="DIR", help="Products, a folder or URL (workspace/products)."),
]
Force = Annotated[bool, typer.Option("--force", help="Make products anew that are there already.")]


def check_tolerance(passes: int | None, tolerance: float | None) -> None:
    """Checks that a tolerance is asked for only where it decides something."""
    if tolerance is not None and passes is not None:
        raise typer.BadParameter(
            f"a tolerance goes with --realizations auto; found --realizations {passes}",
            param_hint="--tolerance",
        )


def choose_effort(passes: int | None, tolerance: float | None) -> int | AdaptiveSampling:
    """Returns a number of realizations, or how well interval bounds must be known."""
    from blindzone.core.adaptive_sampling import AdaptiveSampling

    return passes or (
        AdaptiveSampling() if tolerance is None else AdaptiveSampling(tolerance_db=tolerance)
    )
