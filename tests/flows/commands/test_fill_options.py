"""Options of filling, and what they come to."""

from __future__ import annotations

import pytest
import typer

from blindzone.core.adaptive_sampling import AdaptiveSampling
from blindzone.flows.commands.fill_options import check_tolerance, choose_effort, parse_passes


@pytest.mark.parametrize(("text", "passes"), [("2", 2), ("50", 50), (50, 50), ("auto", None)])
def test_passes_are_a_number_or_auto(text: object, passes: int | None) -> None:
    assert parse_passes(text) == passes


@pytest.mark.parametrize("text", ["1", "0", "-3", "many", "2.5", ""])
def test_other_passes_are_rejected(text: str) -> None:
    with pytest.raises(typer.BadParameter, match=f"'{text}': a number of at least 2, or auto"):
        parse_passes(text)


def test_effort_is_a_number_or_a_tolerance() -> None:
    assert choose_effort(7, None) == 7
    assert choose_effort(None, None) == AdaptiveSampling()
    assert choose_effort(None, 0.5) == AdaptiveSampling(tolerance_db=0.5)


def test_tolerance_needs_auto() -> None:
    check_tolerance(None, 0.5)
    check_tolerance(50, None)
    with pytest.raises(typer.BadParameter, match="goes with --passes auto; found --passes 50"):
        check_tolerance(50, 0.5)
