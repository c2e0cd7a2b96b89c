"""What filling costs in processor time, by the number of profiles and passes.

The shares were measured with the shipped weights (`benchmarks/inference.py`, 75 windows of 256
profiles a day, half of each its own); another processor or network is faster or slower.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from blindzone.core.adaptive_sampling import AdaptiveSampling
from blindzone.core.forward_passes import SINGLE, Passes, describe_passes
from blindzone.models.light_network import MODULE

START_S = 10.0
"""Processor time of a run before its first profile [s]: imports, and the network's graph."""
LIGHT_START_S = 3.0
"""The same of single passes where LiteRT computes them [s]."""
PROFILE_S = 1.6e-4
"""That of a profile besides the network [s]: reading, calibrating, writing, scoring."""
PASS_S = 6.6e-5
"""That of one pass with dropout over a profile [s]."""
SINGLE_PASS_S = 1.05e-4
"""That of a single pass over a profile [s], of which nothing is shared with other passes."""
_USUAL_PASSES = 50


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What is to be done, and what that costs.

    Attributes:
        products: Number of products that are to be made.
        tasks: Number of all that were asked for.
        profiles: Number of profiles of those that are to be made.
    """

    products: int
    tasks: int
    profiles: int

    def find_seconds(self, passes: Passes) -> float:
        """Returns about how much processor time a way of passing takes [s]."""
        if not self.products:
            return 0.0
        if isinstance(passes, AdaptiveSampling):
            passes = passes.values
        if passes == SINGLE:
            start = LIGHT_START_S if find_spec(MODULE) else START_S
            return start + self.profiles * (PROFILE_S + SINGLE_PASS_S)
        return START_S + self.profiles * (PROFILE_S + passes * PASS_S)

    def describe(self, passes: Passes) -> list[str]:
        """Returns lines for people: what is to be done, and the costs of both ways."""
        chosen = _USUAL_PASSES if passes == SINGLE else passes
        return [
            f"{self.products} of {self.tasks} products are to be made, of {self.profiles} profiles",
            *(
                f"{describe_passes(way)}: about {_name_time(self.find_seconds(way))} of processor"
                f" time{' (as asked for)' if way == passes else ''}"
                for way in (chosen, SINGLE)
            ),
        ]


def _name_time(seconds: float) -> str:
    """Returns a time in the unit that suits it."""
    for unit, length in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.{0 if seconds >= 10 * length else 1}f} {unit}"
    return f"{seconds:.0f} s"
