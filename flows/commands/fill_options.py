"""Options of how blind zones are filled, and what they come to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from blindzone.core.forward_passes import Passes as WayOfPassing

_SINGLE = "single"
_AUTO = "auto"


def parse_passes(text: object) -> int | str:
    """Returns a number of forward passes, `auto` or `single`."""
    return str(text) if text == _AUTO else _parse(text, f"a number of at least 2, {_AUTO} or")


def parse_fixed_passes(text: object) -> int | str:
    """Returns a number of forward passes, or `single`."""
    return _parse(text, "a number of at least 2, or")


def parse_kinds(text: object) -> tuple[str, ...]:
    """Returns the kinds of holes of a list with commas."""
    from blindzone.pipeline.curtains.hidden import REPAIRED_KINDS

    if isinstance(text, tuple):
        return text
    names = tuple(dict.fromkeys(name.strip() for name in str(text).split(",") if name.strip()))
    unknown = [name for name in names if name not in REPAIRED_KINDS]
    if unknown or not names:
        raise typer.BadParameter(
            f"{', '.join(unknown) or 'nothing'}: any of {', '.join(REPAIRED_KINDS)} is right"
        )
    return names


def _parse(text: object, right: str) -> int | str:
    if text == _SINGLE:
        return _SINGLE
    try:
        count = int(str(text))
    except ValueError:
        count = 0
    if count < 2:
        raise typer.BadParameter(f"{str(text)!r}: {right} {_SINGLE}, is right")
    return count


Passes = Annotated[
    Any,
    typer.Option(
        "--passes",
        parser=parse_fixed_passes,
        metavar="N|single",
        help="Number of stochastic forward passes; single: one without dropout.",
    ),
]
Effort = Annotated[
    Any,
    typer.Option(
        "--passes",
        parser=parse_passes,
        metavar="N|auto|single",
        help=(
            "Number of stochastic forward passes; auto: as many as the interval bounds of each"
            " window need; single: one without dropout, at a fraction of the cost."
        ),
    ),
]
Derive = Annotated[
    bool,
    typer.Option("--derive", help="Write what each product implies next to it, *_derived.nc."),
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
Kinds = Annotated[
    Any,
    typer.Option(
        "--repair",
        parser=parse_kinds,
        metavar="KINDS",
        help="Holes to repair: any of outages, lines, shadows, zone, other, with commas between.",
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Make products anew that exist already.")]


def check_tolerance(passes: int | str, tolerance: float | None) -> None:
    """Checks that a tolerance is given only with `--passes auto`, where it decides something."""
    if tolerance is not None and passes != _AUTO:
        raise typer.BadParameter(
            f"a tolerance goes with --passes auto; found --passes {passes}",
            param_hint="--tolerance",
        )


def choose_effort(passes: int | str, tolerance: float | None) -> WayOfPassing:
    """Returns a number of forward passes, a single one, or how well bounds must be known."""
    from blindzone.core.adaptive_sampling import AdaptiveSampling
    from blindzone.core.forward_passes import SINGLE

    if isinstance(passes, int):
        return passes
    if passes == SINGLE:
        return SINGLE
    return AdaptiveSampling() if tolerance is None else AdaptiveSampling(tolerance_db=tolerance)
