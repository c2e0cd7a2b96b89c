"""A changed file and its required outcome."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import xarray as xr

Raw = xr.Dataset
Change = Callable[[Raw], Raw]


class Expect(StrEnum):
    """Required outcome of a changed file."""

    SAME = "the curtain as it was"
    REFUSED = "a rejection"
    REST = "a rejection, or the curtain as it was in the profiles left alone"
    SOUND = "a rejection, or any sound curtain"


SAME, REFUSED, REST, SOUND = Expect


@dataclass(frozen=True, kw_only=True)
class Case:
    """A change of a file's content, or of its bytes once written.

    Attributes:
        name: Its name in messages.
        expect: Required outcome.
        content: Changes the content before it is written.
        written: Changes the written file.
        profiles: Profiles that need not be as they were.
        tolerance: Largest difference of values.
        form: Form of the file, if another than the layout's.
        always: Whether it is part of every choice of cases.
    """

    name: str
    expect: Expect
    content: Change | None = None
    written: Callable[[Path], object] | None = None
    profiles: tuple[int, ...] = ()
    tolerance: float = 0.0
    form: str | None = None
    always: bool = False


def with_attrs(name: str, **attrs: object) -> Change:
    """Returns a change that sets attributes of a variable; `None` removes one."""

    def change(raw: Raw) -> Raw:
        out = raw.copy()
        out[name].attrs = {
            key: value for key, value in {**raw[name].attrs, **attrs}.items() if value is not None
        }
        return out

    return change
