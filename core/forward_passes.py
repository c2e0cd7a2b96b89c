"""How often a window goes through the network: N times with dropout, as often as needed, or once.

A single pass is one without dropout: its weights are at their expectation.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeGuard

from pydantic import BeforeValidator

from blindzone.core.adaptive_sampling import AdaptiveSampling

Single = Literal["single"]
SINGLE: Single = "single"
"""A single pass without dropout."""

SINGLE_VALUES = 50
"""Ordered intensities that the distribution of a single pass is read at."""


def _check(passes: Any) -> Any:
    """Returns a number of passes, the word for a single one or a rule, as pydantic reads it.

    Of a union of three types it would state three faults.
    """
    if isinstance(passes, AdaptiveSampling | dict) or passes == SINGLE:
        return passes
    try:
        count = int(passes)
        is_count = not isinstance(passes, bool) and (isinstance(passes, str) or count == passes)
    except (TypeError, ValueError, OverflowError):
        is_count = False
    if not is_count:
        raise ValueError(
            f"a number of stochastic passes of at least 2, or {SINGLE!r}, one pass without dropout,"
            f" is right; found {passes!r}"
        )
    if count < 2:
        raise ValueError(
            f"a distribution needs at least 2; found {count} ({SINGLE!r} is one pass without"
            " dropout)"
        )
    return count


FixedPasses = Annotated[int | Single, BeforeValidator(_check)]
"""A number of stochastic passes, at least 2, or a single pass without dropout."""
Passes = Annotated[int | AdaptiveSampling | Single, BeforeValidator(_check)]
"""The same, or how well interval bounds must be known."""


def is_single(passes: object) -> TypeGuard[Single]:
    """Returns whether passes are a single one without dropout."""
    return passes == SINGLE


def describe_passes(passes: Passes) -> str:
    """Returns a way of passing in words."""
    if passes == SINGLE:
        return "a single pass without dropout"
    if isinstance(passes, AdaptiveSampling):
        return f"passes with dropout for bounds to {passes.tolerance_db:g} dB"
    return f"{passes} passes with dropout"
