r"""Texts from outside as they may be printed: nothing in them moves the cursor or feigns a line.

A file's name may hold any byte but a slash and zero, and an attribute any character: a newline
forges a line of a summary or log, an escape sequence repaints the terminal, a mark of writing
direction turns a name around, and a byte that is no UTF-8 cannot be written at all.
"""

from __future__ import annotations

import re

_UNPRINTABLE = (
    r"\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls but tab and newline
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # directions (Unicode annex 9)
    r"\u2028\u2029\ufeff"  # separators of lines and paragraphs, the byte order mark
    r"\ud800-\udfff"  # bytes of a name that are no UTF-8
)
_IN_TEXT = re.compile(f"[{_UNPRINTABLE}]")
_IN_LINE = re.compile(f"[\n\t{_UNPRINTABLE}]")


def to_text(text: str) -> str:
    r"""Returns a text of one or several lines with what cannot be printed as escapes (`\x1b`)."""
    return _IN_TEXT.sub(_escape, text)


def to_line(text: str) -> str:
    r"""Returns a text as one line: newlines, too, become escapes (`\n`)."""
    return _IN_LINE.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
