"""Fits of calibrations, one for each depth of the blind zone, and the record of them all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from blindzone.core.configuration import to_plain
from blindzone.pipeline.derivation.shallow import HIDDEN_ECHO_KEY, HiddenEcho
from blindzone.pipeline.inpainting.calibration import Calibration
from blindzone.pipeline.inpainting.calibration_verdict import BY_DEPTH, PASSED, judge_scores
from blindzone.pipeline.inpainting.member_dependence import MemberDependence
from blindzone.pipeline.products.members import DEPENDENCE_KEY


@dataclass(frozen=True, kw_only=True)
class FittedDepth:
    """A calibration for one depth of the blind zone.

    Attributes:
        calibration: The fit to all days.
        members: How ensemble members depend, of the calibrated distributions of all days; None
            where too few of them have echo.
        hidden_echo: How often they keep echo under a clear sky; None if no sky was clear.
        scores: Scores of the days `before`, and `after` a calibration by the other days.
    """

    calibration: Calibration
    members: MemberDependence | None
    hidden_echo: HiddenEcho | None
    scores: dict[str, dict[str, float]]

    def to_record(self) -> dict[str, Any]:
        """Returns what a checkpoint's record holds of it."""
        return {
            PASSED: judge_scores(self.scores["after"]),
            "scores": _without_nan(self.scores),
            "fit": self.calibration.to_dict(),
        }


def join_depths(parts: Sequence[FittedDepth]) -> dict[str, Any]:
    """Returns the record of one fit, or of the fits of several depths."""
    records = [part.to_record() for part in parts]
    # Fields are of all depths: the first one's dependence, by default the source's, is for all.
    of_members = {DEPENDENCE_KEY: parts[0].members, HIDDEN_ECHO_KEY: parts[0].hidden_echo}
    members = {key: to_plain(fit) for key, fit in of_members.items() if fit is not None}
    if len(records) == 1:
        return records[0] | members
    passed = [record[PASSED] for record in records]
    # A depth that failed decides, then one that nothing is known of.
    verdict = next((found for found in (False, None) if found in passed), True)
    return {PASSED: verdict, BY_DEPTH: records} | members


def _without_nan(scores: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """Returns scores without those that are not known: JSON has no NaN."""
    return {
        when: {name: round(value, 5) for name, value in table.items() if np.isfinite(value)}
        for when, table in scores.items()
    }
