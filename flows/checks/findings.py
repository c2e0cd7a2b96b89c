"""Findings of a check: how bad each is, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    """Runs work, but not as well or as safely as they should."""
    ERROR = "error"
    """Runs fail, or do harm."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that a check found.

    Attributes:
        check: What was looked at.
        level: How bad it is.
        found: What was found, for people.
        advice: What to do, unless all is well.
    """

    check: str
    level: Level
    found: str
    advice: str = ""


def worst(findings: Iterable[Finding]) -> Level:
    """Returns the worst level of findings; ok if there are none."""
    levels = {finding.level for finding in findings}
    return next((level for level in (Level.ERROR, Level.WARNING) if level in levels), Level.OK)
