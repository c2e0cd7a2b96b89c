"""Summary of how many profiles are outside what a network was made for, and in what they differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from blindzone.pipeline.curtains.flags import OutOfRangeFlag

_WORDS = {
    OutOfRangeFlag.SITE_DIFFERS: "site",
    OutOfRangeFlag.BAND_DIFFERS: "radar frequency",
    OutOfRangeFlag.BAND_UNKNOWN: "radar frequency not known",
    OutOfRangeFlag.SENSITIVITY_DIFFERS: "sensitivity",
    OutOfRangeFlag.TIME_STEP_DIFFERS: "time step",
    OutOfRangeFlag.GRID_DIFFERS: "height grid",
    OutOfRangeFlag.PREDICTORS_DIFFER: "predictors",
    OutOfRangeFlag.BLIND_ZONE_DIFFERS: "depth of the blind zone",
    OutOfRangeFlag.PROFILE_UNLIKE_TRAINING: "weather",
}
"""What differs, by bit."""


@dataclass(frozen=True, kw_only=True)
class RangeSummary:
    """How many profiles with any visible data are outside what a network was made for.

    Attributes:
        profiles: Number of profiles with any visible data; the others are not filled.
        outside: Those of them with any bit of `OutOfRangeFlag`.
        bits: All bits that any of them has.
    """

    profiles: int = 0
    outside: int = 0
    bits: int = 0

    def __add__(self, other: RangeSummary) -> RangeSummary:
        """Returns the summary of both together."""
        return RangeSummary(
            profiles=self.profiles + other.profiles,
            outside=self.outside + other.outside,
            bits=self.bits | other.bits,
        )

    @property
    def is_all_outside(self) -> bool:
        """Whether there are profiles, and every one is outside."""
        return 0 < self.profiles == self.outside

    @property
    def is_mostly_outside(self) -> bool:
        """Whether more than half of the profiles are outside."""
        return 2 * self.outside > self.profiles

    @property
    def reasons(self) -> str:
        """In what the profiles differ, in words: `site, time step`."""
        return ", ".join(words for bit, words in _WORDS.items() if self.bits & bit)

    def __str__(self) -> str:
        """Returns the summary as a line for people."""
        share = f"{self.outside} of {self.profiles} profiles"
        if not self.profiles:
            return "no profile has visible data, so none is filled"
        if not self.outside:
            return f"all {self.profiles} profiles lie within what the network was made for"
        here = f"intervals are not calibrated {'here' if self.is_all_outside else 'there'}"
        if self.bits == OutOfRangeFlag.NOT_ASSESSED:
            return f"{share} are filled by a network without calibration for them; {here}"
        return f"{share} lie outside what the network was made for: {self.reasons}; {here}"


def summarize_range(flag: np.ndarray) -> RangeSummary:
    """Returns the summary of profiles from their `out_of_range_flag` `(time,)`."""
    seen = flag[(flag & OutOfRangeFlag.NO_VISIBLE_DATA) == 0]
    return RangeSummary(
        profiles=int(seen.size),
        outside=int(np.count_nonzero(seen)),
        bits=int(np.bitwise_or.reduce(seen, initial=0)),
    )
