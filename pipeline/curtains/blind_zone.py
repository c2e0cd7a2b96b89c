"""The blind zone: where it is, and how it varies in training.

The depth of a profile's blind zone is its number of hidden rows, counted from the ground. Of a
missing profile all rows are hidden.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from blindzone.core.configuration import configuration
from blindzone.core.errors import CurtainError
from blindzone.pipeline.curtains.gridding import Grid

Share = Annotated[float, Field(ge=0, le=1)]
Metres = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@configuration(error=CurtainError, what="blind zone")
class BlindZone:
    """A blind zone of fixed depth."""

    top_m: Annotated[float, Field(gt=0)] = 1250.0
    """Height above the ground [m] below which nothing is visible. The default is that of King et
    al. (2024) and close to what CloudSat CPR loses over land."""
    soft_rows: Annotated[int, Field(ge=0, le=10_000)] = 5
    """Number of rows above the top over which the soft mask falls linearly from 1 to 0."""

    def rows(self, grid: Grid) -> int:
        """Returns the number of hidden rows: those that begin below the top.

        Raises:
            CurtainError: If the zone leaves no row of the grid visible.
        """
        hidden = grid.row_of(self.top_m)
        if hidden >= grid.rows:
            raise CurtainError(
                f"blind zone: its top at {self.top_m:g} m leaves nothing visible of a grid up to"
                f" {grid.top_m:g} m"
            )
        return hidden


@configuration(error=CurtainError, what="blind zone variation")
class ZoneVariation:
    """How the blind zone varies between training windows, so that one network fills many.

    By default it does not. Depths of 0.2 to 2 km, and outages, are those of Geiss and Hardin (2021,
    doi 10.5194/amt-14-7729-2021).
    """

    random_depth_share: Share = 0.0
    """Share of windows whose depth is drawn evenly from `shallowest_m` to `deepest_m`."""
    shallowest_m: Annotated[float, Field(gt=0)] = 200.0
    """Depth [m] of the shallowest zone."""
    deepest_m: Annotated[float, Field(allow_inf_nan=False)] = 2000.0
    """Depth [m] of the deepest zone, which no top exceeds."""
    ragged_share: Share = 0.0
    """Share of windows whose top jumps between profiles, as an algorithm's clutter top does."""
    ragged_m: Metres = 250.0
    """Largest jump [m], up or down."""
    terrain_share: Share = 0.0
    """Share of windows whose top follows hills."""
    terrain_m: Metres = 800.0
    """Largest height of a hill [m]."""
    outage_share: Share = 0.0
    """Share of windows in which some profiles are missing wholly."""
    longest_outage_profiles: Annotated[int, Field(ge=1)] = 13
    """Largest length of an outage. The default is two minutes of profiles 9 s apart; a longer gap
    parts a curtain."""

    def __post_init__(self) -> None:
        if self.shallowest_m > self.deepest_m:
            raise ValueError(
                "shallowest_m must be no more than deepest_m; found"
                f" {self.shallowest_m} and {self.deepest_m}"
            )

    @property
    def varies_depth(self) -> bool:
        """Whether any window has another top than the blind zone's own."""
        return max(self.random_depth_share, self.ragged_share, self.terrain_share) > 0

    @property
    def varies(self) -> bool:
        """Whether windows differ in what is hidden."""
        return self.varies_depth or self.outage_share > 0

    def draw(
        self,
        random: np.random.Generator,
        grid: Grid,
        profiles: int,
        *,
        fixed_rows: int | np.ndarray,
        least_rows: int,
    ) -> np.ndarray:
        """Returns the depth of each profile of a window [rows] `(time,)`.

        Of a missing profile all rows are hidden.

        Args:
            random: Source of random numbers; a variation with a share of 0 draws none.
            grid: Height grid.
            profiles: Number of profiles in the window.
            fixed_rows: Number of rows that the blind zone itself hides, in all profiles or in each
                `(time,)`.
            least_rows: Number of rows that are hidden at least.
        """
        hidden = np.broadcast_to(fixed_rows, profiles).astype(int)
        if self.varies_depth:
            most = max(grid.row_of(self.deepest_m), least_rows)
            if _happens(random, self.random_depth_share):
                least = min(max(grid.row_of(self.shallowest_m), least_rows), most)
                hidden[:] = random.integers(least, most + 1)
            if _happens(random, self.terrain_share):
                hidden += np.rint(
                    _draw_hills(random, profiles, self.terrain_m) / grid.row_depth_m
                ).astype(int)
            if _happens(random, self.ragged_share):
                hidden += _draw_jumps(
                    random, profiles, max(1, round(self.ragged_m / grid.row_depth_m))
                )
            hidden = np.clip(hidden, least_rows, most)
        if _happens(random, self.outage_share):
            hidden[_draw_outages(random, profiles, self.longest_outage_profiles)] = grid.rows
        return hidden


def _happens(random: np.random.Generator, share: float) -> bool:
    return share > 0 and bool(random.random() < share)


def _draw_hills(random: np.random.Generator, profiles: int, highest_m: float) -> np.ndarray:
    """Returns heights [m] `(time,)` of 2 to 7 evenly spaced points with straight slopes between."""
    heights = random.uniform(0, highest_m, size=random.integers(2, 8))
    return np.interp(np.linspace(0, 1, profiles), np.linspace(0, 1, heights.size), heights)


def _draw_jumps(random: np.random.Generator, profiles: int, most_rows: int) -> np.ndarray:
    """Returns steps [rows] up or down that hold for 4 profiles on average, `(time,)`."""
    runs = np.cumsum(random.random(profiles) < 0.25)
    return np.asarray(random.integers(-most_rows, most_rows + 1, size=runs[-1] + 1)[runs])


def _draw_outages(random: np.random.Generator, profiles: int, longest: int) -> np.ndarray:
    """Returns the mask `(time,)` of profiles missing in 1 to 3 outages.

    The first and the last profile are never missing, and at most three quarters are.
    """
    missing = np.zeros(profiles, dtype=bool)
    for _ in range(random.integers(1, 4)):
        length = random.integers(1, max(1, min(longest, profiles // 4)) + 1)
        start = random.integers(1, profiles - length)
        missing[start : start + length] = True
    return missing
