"""Options of filling, and what they come to."""

from __future__ import annotations

import pytest
import typer

from blindzone.core.adaptive_sampling import AdaptiveSampling
from blindzone.flows.commands.fill_options import (
    check_tolerance,
    choose_effort,
    parse_fixed_passes,
    parse_passes,
)


@pytest.mark.parametrize(
    ("text", "passes"), [("2", 2), ("50", 50), (50, 50), ("auto", "auto"), ("single", "single")]
)
def test_passes_are_a_number_auto_or_single(text: object, passes: int | str) -> None:
    assert parse_passes(text) == passes
    if text == "auto":
        with pytest.raises(typer.BadParameter, match="'auto': a number of at least 2, or single, "):
            parse_fixed_passes(text)
    else:
        assert parse_fixed_passes(text) == passes


@pytest.mark.parametrize("text", ["1", "0", "-3", "two", "1.5", "", "Single"])
def test_other_passes_are_rejected(text: str) -> None:
    with pytest.raises(
        typer.BadParameter, match=f"^'{text}': a number of at least 2, auto or single, is right$"
    ):
        parse_passes(text)
    with pytest.raises(typer.BadParameter, match=f"^'{text}': a number of at least 2, or single,"):
        parse_fixed_passes(text)


def test_effort_is_a_number_a_single_pass_or_a_tolerance() -> None:
    assert choose_effort(7, None) == 7
    assert choose_effort("single", None) == "single"
    assert choose_effort("auto", None) == AdaptiveSampling()
    assert choose_effort("auto", 0.5) == AdaptiveSampling(tolerance_db=0.5)


@pytest.mark.parametrize("passes", [50, "single"])
def test_tolerance_needs_auto(passes: int | str) -> None:
    check_tolerance("auto", 0.5)
    check_tolerance(passes, None)
    with pytest.raises(typer.BadParameter, match=f"--passes auto; found --passes {passes}"):
        check_tolerance(passes, 0.5)
