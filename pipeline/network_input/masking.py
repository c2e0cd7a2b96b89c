"""Holes drawn by kind: what training windows and scores hide of a curtain.

Lengths of outages are those of the archives' own gaps, in missing profiles. Found in 33 days of
`palaiseau_basta` (9.0 s) and one each of `rpg94_juelich` (3.0 s), `rpg94_ny_alesund` (2.4 s) and
`schneefernerhaus_mira` (10.0 s), split version 2:

| missing profiles | outages | of them at |
|---|---|---|
| 1 | 2163 | Palaiseau 2153, Juelich 6, Schneefernerhaus 4 |
| 2 to 5 | 25 | Juelich 23 (4 every few minutes), Palaiseau 2 |
| 6 to 13 | 0 | |
| 14 to 40 | 17 | Ny-Alesund 15 (19 every 17 minutes), Palaiseau 2 |
| more | 4 | Juelich 3, Ny-Alesund 1: absent files |

Nearly all are single profiles, which interpolation solves: lengths are drawn evenly by class. No
window of 128 profiles lost more than 19 % of them, absent files aside: several holes together hide
so much at most.

Masks are never turned or flipped in height: ground, rain and shadow have their order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from blindzone.core.configuration import configuration
from blindzone.core.errors import WindowError

OUTAGE_CLASSES = ((1, 1), (2, 5), (6, 13), (14, 40))
"""Shortest and longest outage of each class [profiles]."""
LONGEST_OUTAGE = OUTAGE_CLASSES[-1][-1]
"""Longest outage that is drawn [profiles]: six minutes of profiles 9 s apart."""
MOST_LOST = 0.19
"""Share of a window that outages, lines and file masks hide at most together."""
LINE_ROWS = (1, 3)
"""Thickness of a line of interference [rows]."""
MOST_LINES = 3
"""Lines of a window at most."""
SHADOW_PROFILES = (20, 120)
"""Width of an attenuation shadow."""
SHADOW_BASE_M = (1250.0, 4000.0)
"""Height of its base [m]: it takes a deep layer of rain to lose the signal."""
MOST_SHAPES = 20
"""Lines, circles and ellipses of the stress test, of each at most."""

HoleName = Literal["outages", "lines", "shadows", "zone", "files", "shapes"]
HOLE_NAMES: tuple[HoleName, ...] = ("outages", "lines", "shadows", "zone", "files", "shapes")
Share = Annotated[float, Field(ge=0, le=1)]
_STEEPEST = 0.1
"""Steepest slant of a line [rows per profile]."""


@configuration(error=WindowError, what="holes")
class HoleConfig:
    """Holes of training windows: the share of windows that have each kind, perhaps several.

    By default there are none, and windows hide a blind zone. With any, only as many windows hide
    the blind zone as `zone` says. Of a window for which none was drawn one kind is, by the shares.
    """

    outages: Share = 0.0
    """Missing profiles, of lengths as the archives' gaps have them."""
    lines: Share = 0.0
    """Interference over 1 to 3 rows, straight or slanted."""
    shadows: Share = 0.0
    """What attenuation by rain hides: 20 to 120 profiles above a rain column, up to the top."""
    zone: Share = 0.0
    """The blind zone, which varies as `zone` of the windows says."""
    files: Share = 0.0
    """The pattern that another of the days lacks, laid over this one."""
    shapes: Share = 0.0
    """Lines, circles and ellipses, 1 to 20 of each: a stress test."""
    halving_profiles: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Distance to visible data [profiles] at which a pixel weighs half in the losses, so that wide
    holes, whose pixels are many and hard, leave short ones their share; None: all weigh alike."""

    @property
    def shares(self) -> dict[HoleName, float]:
        """The share of each kind that is drawn at all."""
        found = {name: float(getattr(self, name)) for name in HOLE_NAMES}
        return {name: share for name, share in found.items() if share > 0}

    @property
    def kinds(self) -> tuple[str, ...]:
        """Names of the kinds that are drawn; none by default."""
        return tuple(self.shares)

    def choose(self, random: np.random.Generator) -> tuple[HoleName, ...]:
        """Returns the kinds of holes of a window, at least one."""
        shares = self.shares
        drawn = random.random(len(shares))
        chosen = tuple(name for name, at in zip(shares, drawn, strict=True) if at < shares[name])
        if chosen:
            return chosen
        names, weights = list(shares), np.array(list(shares.values()))
        return (names[int(random.choice(len(names), p=weights / weights.sum()))],)


@dataclass(frozen=True, kw_only=True)
class HoleScene:
    """What holes of a window are drawn by.

    Attributes:
        shape: Profiles and rows.
        row_depth_m: Depth of a row [m].
        heavy: Which profiles have heavy echo near the ground `(time,)`.
        pattern: What another day lacks, `(time, row)`; None if no other lacks anything.
    """

    shape: tuple[int, int]
    row_depth_m: float
    heavy: np.ndarray
    pattern: np.ndarray | None = None


def draw_holes(
    random: np.random.Generator, names: Sequence[HoleName], scene: HoleScene
) -> np.ndarray:
    """Returns the mask `(time, row)` of holes of some kinds, but for the blind zone.

    Outages, lines and file masks together hide at most `MOST_LOST`, or the first of them alone as
    much as the longest outage; one that would hide more is left out. A shadow hides what its rain
    column says, shapes as many as are drawn.

    Args:
        random: Source of random numbers.
        names: The kinds, as `HoleConfig.choose` returns them.
        scene: The window.
    """
    mask = np.zeros(scene.shape, dtype=bool)
    most = max(MOST_LOST, LONGEST_OUTAGE / scene.shape[0])  # the longest one alone
    for hole in _draw_lost(random, names, scene):
        joined = mask | hole
        if joined.mean() <= most:
            mask, most = joined, MOST_LOST
    if "shadows" in names:
        mask |= draw_shadow(random, scene)
    if "shapes" in names:
        mask |= draw_shapes(random, scene.shape)
    return mask


def _draw_lost(
    random: np.random.Generator, names: Sequence[HoleName], scene: HoleScene
) -> Iterator[np.ndarray]:
    """Yields outages, lines and a file mask, each `(time, row)`."""
    if "outages" in names:
        yield from draw_outages(random, scene.shape)
    if "lines" in names:
        for _ in range(int(random.integers(1, MOST_LINES + 1))):
            yield draw_line(random, scene.shape)
    if "files" in names and scene.pattern is not None:
        yield scene.pattern


def draw_outages(random: np.random.Generator, shape: tuple[int, int]) -> Iterator[np.ndarray]:
    """Yields 1 to 3 outages, each a mask `(time, row)`; their lengths are drawn evenly by class.

    Args:
        random: Source of random numbers.
        shape: Profiles and rows.
    """
    for _ in range(int(random.integers(1, 4))):
        shortest, longest = OUTAGE_CLASSES[int(random.integers(len(OUTAGE_CLASSES)))]
        yield draw_outage(random, shape, int(random.integers(shortest, longest + 1)))


def draw_outage(random: np.random.Generator, shape: tuple[int, int], length: int) -> np.ndarray:
    """Returns the mask of one outage that leaves the first and last profile, where it can."""
    start = int(random.integers(1, max(shape[0] - length, 2)))
    return hide_span(shape, slice(start, start + length))


def hide_span(shape: tuple[int, int], profiles: slice, rows: slice = slice(None)) -> np.ndarray:
    """Returns the mask `(time, row)` of some rows of some profiles."""
    mask = np.zeros(shape, dtype=bool)
    mask[profiles, rows] = True
    return mask


def draw_line(
    random: np.random.Generator,
    shape: tuple[int, int],
    *,
    thickness: int | None = None,
    is_straight: bool | None = None,
) -> np.ndarray:
    """Returns the mask `(time, row)` of one line of interference.

    It covers all profiles or, as often, a part of them, at least an eighth.

    Args:
        random: Source of random numbers.
        shape: Profiles and rows.
        thickness: Its rows; drawn if None.
        is_straight: Whether it keeps its rows over all profiles; drawn if None.
    """
    profiles, rows = shape
    thick = thickness or int(random.integers(LINE_ROWS[0], LINE_ROWS[1] + 1))
    straight = bool(random.random() < 0.5) if is_straight is None else is_straight
    slope = 0.0 if straight else float(random.uniform(-_STEEPEST, _STEEPEST))
    whole = bool(random.random() < 0.5) if is_straight is None else True
    length = profiles if whole else int(random.integers(max(profiles // 8, 1), profiles + 1))
    start = int(random.integers(profiles - length + 1))
    middle = float(random.uniform(1, rows - thick))
    lowest = np.rint(middle + slope * (np.arange(profiles) - profiles / 2))[:, None]
    place = np.arange(rows)
    mask = (place >= lowest) & (place < lowest + thick)
    mask[:start] = mask[start + length :] = False
    return np.asarray(mask)


def draw_shadow(random: np.random.Generator, scene: HoleScene) -> np.ndarray:
    """Returns the mask `(time, row)` of a shadow above rain, empty where there is none.

    Its base moves by a row at most from profile to profile. The first and the last profile stay.

    Args:
        random: Source of random numbers.
        scene: The window.
    """
    (profiles, rows), heavy = scene.shape, np.flatnonzero(scene.heavy)
    longest = min(SHADOW_PROFILES[1], profiles - 2)
    if not heavy.size or longest < 1:
        return np.zeros(scene.shape, dtype=bool)
    length = int(random.integers(min(SHADOW_PROFILES[0], longest), longest + 1))
    start = int(np.clip(random.choice(heavy) - length // 2, 1, profiles - 1 - length))
    lowest, highest = (int(height / scene.row_depth_m) for height in SHADOW_BASE_M)
    lowest = min(lowest, rows - 1)
    base = int(random.integers(lowest, min(max(highest, lowest + 1), rows)))
    bases = np.clip(base + np.cumsum(random.integers(-1, 2, size=profiles)), lowest, rows - 1)
    mask = np.arange(rows) >= bases[:, None]
    mask[:start] = mask[start + length :] = False
    return np.asarray(mask)


def draw_shapes(random: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Returns the mask `(time, row)` of 1 to 20 each of lines, circles and ellipses."""
    mask = np.zeros(shape, dtype=bool)
    for draw in (_draw_stroke, _draw_circle, _draw_ellipse):
        for _ in range(int(random.integers(1, MOST_SHAPES + 1))):
            mask |= draw(random, shape)
    return mask


def draw_share(random: np.random.Generator, shape: tuple[int, int], share: float) -> np.ndarray:
    """Returns the mask `(time, row)` of lines, circles and ellipses that hide a share at least."""
    mask = np.zeros(shape, dtype=bool)
    draws = (_draw_stroke, _draw_circle, _draw_ellipse)
    while mask.mean() < share:
        mask |= draws[int(random.integers(len(draws)))](random, shape)
    return mask


def _draw_stroke(random: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Returns the mask of a straight stroke of 1 to 4 pixels' width between two pixels."""
    (x0, x1), (y0, y1) = (random.uniform(0, size, 2) for size in shape)
    x, y = np.ogrid[: shape[0], : shape[1]]
    squared = max((x1 - x0) ** 2 + (y1 - y0) ** 2, 1.0)
    along = np.clip(((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / squared, 0, 1)
    away = np.hypot(x - x0 - along * (x1 - x0), y - y0 - along * (y1 - y0))
    return np.asarray(away <= random.uniform(0.5, 2.0))


def _draw_circle(random: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Returns the mask of a circle of 1 to 8 pixels' radius."""
    radius = float(random.uniform(1, 8))
    return _draw_round(random, shape, radius, radius)


def _draw_ellipse(random: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Returns the mask of an ellipse with half axes of 1 to 12 pixels."""
    return _draw_round(random, shape, *map(float, random.uniform(1, 12, 2)))


def _draw_round(
    random: np.random.Generator, shape: tuple[int, int], half_length: float, half_width: float
) -> np.ndarray:
    x, y = np.ogrid[: shape[0], : shape[1]]
    x, y = x - random.uniform(0, shape[0]), y - random.uniform(0, shape[1])
    angle = random.uniform(0, np.pi)
    along = x * np.cos(angle) + y * np.sin(angle)
    across = y * np.cos(angle) - x * np.sin(angle)
    return np.asarray((along / half_length) ** 2 + (across / half_width) ** 2 <= 1)
