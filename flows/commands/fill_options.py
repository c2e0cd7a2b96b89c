"""Options of how blind zones are filled, and what they come to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from blindzone.core.adaptive_sampling import AdaptiveSampling


def parse_passes(text: object) -> int | None:
    """Returns a number of forward passes, or None for `auto`."""
    if text == "auto":
        return None
    try:
        count = int(str(text))
    except ValueError:
        count = 0
    if count < 2:
        raise typer.BadParameter(f"{str(text)!r}: a number of at least 2, or auto, is right")
    return count


Passes = Annotated[
    int, typer.Option("--passes", min=2, help="Number of stochastic forward passes.")
]
Effort = Annotated[
    int | None,
    typer.Option(
        "--passes",
        parser=parse_passes,
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
        help="With --passes auto: largest standard error of the 5 and 95 % bounds [dB] (0.25).",
    ),
]
Members = Annotated[
    int | None,
    typer.Option(
        "--members", min=2, help="Number of ensemble members (coherent fields) to write as well."
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Seed; the same seed gives the same result.")]
ProductFolder = Annotated[
    str | None,
    typer.Option(
        "--output",
        metavar="DIR",
        help="Products, a folder or URL (default: $BLINDZONE_WORKSPACE/products).",
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Make products anew that exist already.")]


def check_tolerance(passes: int | None, tolerance: float | None) -> None:
    """Checks that a tolerance is given only with `--passes auto`, where it decides something."""
    if tolerance is not None and passes is not None:
        raise typer.BadParameter(
            f"a tolerance goes with --passes auto; found --passes {passes}",
            param_hint="--tolerance",
        )


def choose_effort(passes: int | None, tolerance: float | None) -> int | AdaptiveSampling:
    """Returns a number of forward passes, or how well interval bounds must be known."""
    from blindzone.core.adaptive_sampling import AdaptiveSampling

    if passes is not None:
        return passes
    return AdaptiveSampling() if tolerance is None else AdaptiveSampling(tolerance_db=tolerance)
