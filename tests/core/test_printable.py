"""What a name or an attribute holds cannot feign a line, move the cursor or stop the printing."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindzone.core.errors import SourceFileError
from blindzone.core.fence import describe
from blindzone.core.printable import to_line, to_text


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("a\nnightly: all well", r"a\nnightly: all well"),
        ("a\r\tb", r"a\r\tb"),
        ("\x1b[2Ja", r"\x1b[2Ja"),
        ("a\u202ecn.b", r"a\u202ecn.b"),
        ("a\u2028b\x85c", r"a\u2028b\x85c"),
        (os.fsdecode(b"a\xff.nc"), r"a\udcff.nc"),
        ("Orléans 雲 m² a\\b.nc", "Orléans 雲 m² a\\b.nc"),
    ],
)
def test_name_becomes_one_plain_line(name: str, printed: str) -> None:
    assert to_line(name) == printed
    assert to_line(printed) == printed


@given(st.text(st.characters()))
def test_every_text_becomes_one_line_that_can_be_written(text: str) -> None:
    line = to_line(text)
    assert len(line.splitlines()) <= 1
    line.encode("utf-8")
    assert to_text(text).count("\n") == text.count("\n")
    assert to_text(text).replace("\n", r"\n").replace("\t", r"\t") == line


def test_message_of_an_error_keeps_its_own_lines_and_a_reason_is_one_line() -> None:
    error = SourceFileError("two lines\nof \x1b[31mred")
    assert str(error) == "two lines\nof \\x1b[31mred"
    assert describe(error) == r"two lines\nof \x1b[31mred"
    assert describe(ValueError("a\nb")) == r"a\nb"
