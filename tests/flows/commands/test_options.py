"""Options that commands share."""

from __future__ import annotations

from datetime import date

import pytest
import typer

from blindzone.flows.commands.options import parse_date


def test_date_is_read() -> None:
    assert parse_date("2021-03-14") == date(2021, 3, 14)


@pytest.mark.parametrize("text", ["14.03.2021", "2021-02-30", "2021-03", "today", ""])
def test_what_is_no_date_is_quoted(text: str) -> None:
    with pytest.raises(typer.BadParameter, match=f"'{text}' is no date; YYYY-MM-DD is right"):
        parse_date(text)
