"""Field cases: measured files of people who do this job, beside the measured data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_DATA = os.environ.get("BLINDZONE_DATA")
_CASES = (
    Path(_DATA).parent / "field_cases"
    if _DATA
    else Path(__file__).resolve().parents[3] / "shared" / "field_cases"
)


def field_case(name: str) -> Path:
    """Returns the folder of a case by the number that its name begins with, such as `05`.

    Skips the test where the cases are not at hand.
    """
    found = sorted(_CASES.glob(f"{name}-*"))
    if not found:
        pytest.skip(f"no field case {name} below {_CASES}")
    return found[0]
