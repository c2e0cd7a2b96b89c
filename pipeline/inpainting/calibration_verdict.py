"""Verdict on a calibration: whether its intervals held what they state on days withheld from it.

Each day of a calibration is scored by a fit to the other days. Judged are the central intervals
given echo by the share of the echo that they held, and those of the whole distribution by the share
of probability integral transforms inside: over all pixels intervals always hold more than they
state, since certain clear sky is always inside.

The shares of all days together may differ from nominal by two standard errors of a share among a
hundred independent half hours, two days of echo:

    tolerance = 2 sqrt(p (1 - p) / 100): 10, 8, 6 and 4.4 points at 50, 80, 90 and 95 %

A smaller difference is of the size by which single days of one radar differ from each other
(`docs/coverage.md`: 3 to 8 points between the validation and the test days), and no fit to a few
days can do better. It does not widen where the days are fewer: thin evidence is no excuse. Too wide
intervals fail as too narrow ones do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

STANDARD_ERRORS = 2.0
"""How many standard errors a share may differ from nominal."""
HALF_HOURS = 100
"""Independent half hours whose share has that standard error."""

BY_DEPTH = "by_depth"
"""Key of a calibration's record for the parts of several depths, each with fit and scores."""
HOLES = "holes"
"""Key of a calibration's record for that of repaired holes."""
PASSED = "passed"
"""Key of a calibration's record: whether its intervals held on withheld days; null if unknown.
Records of earlier versions lack it."""

State = Literal["holds", "unproven", "fails", "other_depth", "none"]

_JUDGED = {
    f"{name} {nominal} %": (nominal, words)
    for name, words, levels in (
        ("given echo: coverage", "given echo", (50, 80, 90, 95)),
        ("PIT inside", "of all pixels", (50, 80, 90)),
    )
    for nominal in levels
}
"""Scores that are judged: the nominal share [%], and what the interval is."""
_MAIN = "given echo: coverage 90 %"


@dataclass(frozen=True, kw_only=True)
class CalibrationStatus:
    """Whether a network's intervals are calibrated, and in words on what.

    Attributes:
        state: `holds`; `unproven`, if no day was withheld; `fails`, if intervals missed what they
            state; `other_depth`, if it was made for another blind zone; `none` without any.
        text: The same in words, with the coverage that was measured.
    """

    state: State
    text: str

    @property
    def is_calibrated(self) -> bool:
        """Whether intervals are known to hold, on days like those of the calibration."""
        return self.state == "holds"


NOT_CALIBRATED = CalibrationStatus(
    state="none", text="not calibrated: its intervals do not hold as stated"
)

NOT_CALIBRATED_SINGLE = CalibrationStatus(
    state="none",
    text=(
        "not calibrated for a single pass: its intervals do not hold as stated ('blindzone"
        " calibrate SOURCE --passes single' makes a calibration)"
    ),
)


def find_tolerance(nominal: float) -> float:
    """Returns by how much a measured share may differ from a nominal one; both in [0, 1]."""
    return STANDARD_ERRORS * math.sqrt(nominal * (1 - nominal) / HALF_HOURS)


def list_misses(withheld: Mapping[str, float]) -> list[str]:
    """Returns in words the intervals that missed what they state.

    Args:
        withheld: Scores of days, each by a calibration made from the others.
    """
    misses = []
    for score, (percent, words) in _JUDGED.items():
        found, nominal = withheld.get(score, math.nan), percent / 100
        tolerance = find_tolerance(nominal)
        if abs(found - nominal) > tolerance:
            misses.append(
                f"{percent} % {words} held {100 * found:.1f} %"
                f" ({percent - 100 * tolerance:.1f} to {percent + 100 * tolerance:.1f} is right)"
            )
    return misses


def judge_scores(withheld: Mapping[str, float]) -> bool | None:
    """Returns whether intervals held what they state; None if no echo of a day was withheld.

    Args:
        withheld: Scores of days, each by a calibration made from the others.
    """
    if not math.isfinite(withheld.get(_MAIN, math.nan)):
        return None
    return not list_misses(withheld)


def describe_calibration(
    record: Mapping[str, Any] | None, *, hidden_rows: int, single: bool = False
) -> CalibrationStatus:
    """Returns whether a checkpoint's intervals are calibrated, and on what.

    Args:
        record: The calibration's record in the checkpoint, if there is one.
        hidden_rows: Number of rows of the blind zone that is filled.
        single: Whether windows go through the network in a single pass.
    """
    if record is None:
        return NOT_CALIBRATED_SINGLE if single else NOT_CALIBRATED
    if parts := record.get(BY_DEPTH):
        return _describe_depths(record, parts)
    made_for = record.get("fit", {}).get("hidden_rows")
    if made_for != hidden_rows and HOLES not in record:
        text = f"calibrated for {made_for} hidden rows, while the blind zone hides {hidden_rows}"
        return CalibrationStatus(
            state="other_depth", text=f"{text}: its intervals are not calibrated there"
        )
    days = _name_days(record)
    withheld = record.get("scores", {}).get("after", {})
    held = judge_scores(withheld)
    if held is None:
        text = (
            f"calibrated on {days}, checked on no other: how much its intervals hold is not known"
        )
        return CalibrationStatus(state="unproven", text=text)
    if not held:
        text = f"not calibrated: fitted to {days}, and on days withheld its intervals missed"
        return CalibrationStatus(
            state="fails", text=f"{text} what they state: {'; '.join(list_misses(withheld))}"
        )
    text = f"calibrated on {days}; on days withheld 90 % intervals given echo held"
    return CalibrationStatus(
        state="holds", text=f"{text} {100 * withheld[_MAIN]:.1f} % of the echo"
    )


def _describe_depths(
    record: Mapping[str, Any], parts: Sequence[Mapping[str, Any]]
) -> CalibrationStatus:
    """Returns whether the intervals of several depths of the blind zone are calibrated."""
    withheld = {
        part.get("fit", {}).get("hidden_rows"): part.get("scores", {}).get("after", {})
        for part in parts
    }
    days = _name_days(record)
    depths = f"zones of {min(withheld)} to {max(withheld)} rows"
    held = [judge_scores(scores) for scores in withheld.values()]
    if False in held:
        misses = "; ".join(
            f"{rows} rows: {', '.join(found)}"
            for rows, scores in withheld.items()
            if (found := list_misses(scores))
        )
        text = f"not calibrated: fitted to {days} with {depths}, and on days withheld intervals"
        return CalibrationStatus(state="fails", text=f"{text} missed what they state: {misses}")
    if None in held:
        text = f"calibrated on {days} with {depths}, checked on no other day at some depth"
        return CalibrationStatus(state="unproven", text=text)
    shares = [100 * scores[_MAIN] for scores in withheld.values()]
    text = f"calibrated on {days} with {depths}; on days withheld 90 % intervals given echo held"
    return CalibrationStatus(
        state="holds", text=f"{text} {min(shares):.1f} to {max(shares):.1f} % of the echo"
    )


def _name_days(record: Mapping[str, Any]) -> str:
    """Returns the days of a calibration and their sources in words."""
    named = f"{_count_days(record.get('days', ()))} of {record.get('source', 'an unknown source')}"
    pooled = record.get("pooled", {})
    return " and ".join([named, *(f"{len(days)} of {name}" for name, days in pooled.items())])


def _count_days(days: Sequence[str]) -> str:
    """Returns how many days, and which, in words."""
    if len(days) < 2:
        return f"1 day ({days[0]})" if days else "no day"
    return f"{len(days)} days ({days[0]} to {days[-1]})"
