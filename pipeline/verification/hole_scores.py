"""Scores of repaired holes: a fixed draw of holes by kind, and the simple schemes to beat.

Of a curtain without holes one is hidden in each block of 256 profiles, from its lowest trusted row
to its top scored against what was hidden. Shadows are drawn above heavy rain alone, the others in
clear sky too. The draw depends on a seed, the day and the kind of hole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from blindzone.pipeline.curtains.holes import (
    HEAVY_DBZ,
    PROFILES_PER_ROW,
    find_heavy,
    guess_hidden,
)
from blindzone.pipeline.network_input.masking import (
    SHADOW_BASE_M,
    HoleScene,
    draw_line,
    draw_outage,
    draw_shadow,
    draw_share,
    hide_span,
)
from blindzone.pipeline.verification.pixel_scores import (
    EVALUATION_LEVELS,
    INTERVALS,
    PIT_BINS,
    PixelSums,
    sum_pixels,
)
from blindzone.pipeline.verification.statistics import Sums, ratio

BLOCK_PROFILES = 256
"""Profiles of a block, in which there is one hole."""
IRREGULAR_SHARE = 0.17
"""Share of a block that irregular holes hide at least."""

_Draw = Callable[[np.random.Generator, HoleScene], np.ndarray]


def _low_rows(scene: HoleScene) -> slice:
    """Returns the rows below which shadows never begin, those of a blind zone of 1250 m."""
    return slice(int(SHADOW_BASE_M[0] / scene.row_depth_m))


def _outage(length: int) -> _Draw:
    return lambda random, scene: draw_outage(random, scene.shape, length)


SCORED_HOLES: Mapping[str, _Draw] = {
    **{f"outage of {length}": _outage(length) for length in (2, 5, 13, 40)},
    "one row": lambda random, scene: draw_line(random, scene.shape, thickness=1, is_straight=True),
    "shadow": draw_shadow,
    "irregular": lambda random, scene: draw_share(random, scene.shape, IRREGULAR_SHARE),
    "blind zone": lambda random, scene: hide_span(scene.shape, slice(None), _low_rows(scene)),
}
"""The kinds of holes that are scored, and how one is drawn."""
MIXED = "mixed"
"""All of them in turn, drawn anew for each block."""

_JUDGED_BY = (
    *("CRPS [dB]", "MAE [dB]", "CSI", "Brier", "reliability", "spread-skill ratio"),
    *(f"{of}coverage {nominal} %" for of in ("", "given echo: ") for nominal in INTERVALS),
)

_Scheme = Callable[[np.ndarray, np.ndarray, float], np.ndarray]


def _interpolate(*, profiles_per_row: float, is_linear: bool = True) -> _Scheme:
    def fill(values: np.ndarray, hidden: np.ndarray, floor_dbz: float) -> np.ndarray:
        return guess_hidden(
            values,
            hidden,
            absent=floor_dbz,
            least_echo=floor_dbz if is_linear else np.inf,
            profiles_per_row=profiles_per_row,
        )

    return fill


def _take_nearest(values: np.ndarray, hidden: np.ndarray, floor_dbz: float) -> np.ndarray:
    """Returns values `(time, row)`, each hidden one as the nearest visible pixel has it."""
    if hidden.all():
        return np.full_like(values, floor_dbz)
    nearest = ndimage.distance_transform_edt(hidden, return_distances=False, return_indices=True)
    return np.asarray(values[tuple(nearest)])


SIMPLE_SCHEMES: Mapping[str, _Scheme] = {
    "nearest in time": _interpolate(profiles_per_row=np.inf, is_linear=False),
    "linear in time": _interpolate(profiles_per_row=np.inf),
    "linear in height": _interpolate(profiles_per_row=1e-6),
    "nearest pixel": _take_nearest,
    "first guess": _interpolate(profiles_per_row=PROFILES_PER_ROW),
}
"""Fills by name: of reflectivity as max(dBZ, floor) `(time, row)` where a mask hides it.

In time or height the nearer side says whether there is echo; without a neighbour the other axis
counts. The first guess is that of the network."""


def draw_scored_holes(
    name: str, reflectivity: np.ndarray, *, row_depth_m: float, seed: tuple[int, ...]
) -> np.ndarray:
    """Returns the mask `(time, row)` of holes of a kind of `SCORED_HOLES`, one in each block.

    Args:
        name: The kind; `MIXED` for all of them, block by block.
        reflectivity: What is hidden [dBZ] `(time, row)`; where it rains there are shadows.
        row_depth_m: Depth of a row [m].
        seed: Seed of the draw, such as a number and the day.
    """
    names = list(SCORED_HOLES)
    random = np.random.default_rng([*seed, len(names) if name == MIXED else names.index(name)])
    hidden = np.zeros(reflectivity.shape, dtype=bool)
    low = reflectivity[:, : int(SHADOW_BASE_M[0] / row_depth_m)]
    heavy = find_heavy(low, np.zeros(low.shape, dtype=bool), HEAVY_DBZ)
    for start in range(0, len(hidden) - BLOCK_PROFILES + 1, BLOCK_PROFILES):
        block = slice(start, start + BLOCK_PROFILES)
        scene = HoleScene(
            shape=(BLOCK_PROFILES, reflectivity.shape[1]),
            row_depth_m=row_depth_m,
            heavy=heavy[block],
        )
        kind = names[int(random.integers(len(names)))] if name == MIXED else name
        hidden[block] = SCORED_HOLES[kind](random, scene)
    return hidden


@dataclass(frozen=True, kw_only=True, eq=False)
class HoleSums(Sums):
    """Sums of scores over the pixels of holes.

    Attributes:
        everywhere: Of the distribution of max(reflectivity, floor).
        given_echo: Of the distribution given echo, over the pixels with echo.
    """

    everywhere: PixelSums
    given_echo: PixelSums

    def scores(self) -> dict[str, float]:
        """Returns all scores, those given echo under names that say so."""
        given_echo = self.given_echo.scores()
        return self.everywhere.scores() | {
            f"given echo: {name}": value
            for name, value in given_echo.items()
            if name.startswith("coverage") and not name.endswith("echo")
        }

    def summarize(self) -> dict[str, float]:
        """Returns the scores that a calibration is judged by.

        The coverage of intervals over all pixels exceeds the nominal one, since certain clear sky
        is always inside. So the share of probability integral transforms inside is there, too.
        """
        transforms = self.everywhere.pit.sum(axis=(0, 1))
        found = {name: value for name, value in self.scores().items() if name in _JUDGED_BY}
        for nominal, bounds in INTERVALS.items():
            first, last = (bound * PIT_BINS for bound in bounds)
            if first == int(first):
                inside = transforms[int(first) : int(last)].sum()
                found[f"PIT inside {nominal} %"] = ratio(inside, transforms.sum())
        return found


def sum_holes(
    truth: np.ndarray,
    scored: np.ndarray,
    probability: np.ndarray,
    quantiles: np.ndarray,
    quantiles_given_echo: np.ndarray,
    *,
    floor_dbz: float,
) -> HoleSums:
    """Returns the sums of a predictive distribution over scored pixels.

    Args:
        truth: Observations as max(dBZ, floor) `(time, row)`.
        scored: The pixels, bool `(time, row)`.
        probability: Probability of echo `(time, row)`.
        quantiles: At `EVALUATION_LEVELS` [dBZ], `(level, time, row)`.
        quantiles_given_echo: The same of the distribution given echo.
        floor_dbz: Sensitivity floor [dBZ].
    """

    def add_up(where: np.ndarray, chance: np.ndarray, levels: np.ndarray) -> PixelSums:
        nothing = np.zeros(int(where.sum()), dtype=np.intp)
        return sum_pixels(
            np.maximum(truth[where], np.float32(floor_dbz)),
            chance[where],
            levels[:, where],
            EVALUATION_LEVELS,
            row=nothing,
            regime=nothing,
            shape=(1, 1),
            floor_dbz=floor_dbz,
            random=np.random.default_rng(0),
        )

    return HoleSums(
        everywhere=add_up(scored, probability, quantiles),
        given_echo=add_up(
            scored & (truth > floor_dbz), np.ones_like(probability), quantiles_given_echo
        ),
    )


def sum_scheme(
    name: str, truth: np.ndarray, hidden: np.ndarray, scored: np.ndarray, *, floor_dbz: float
) -> HoleSums:
    """Returns the sums of a scheme of `SIMPLE_SCHEMES`, whose one value is the whole distribution.

    Args:
        name: The scheme.
        truth: Observations as max(dBZ, floor) `(time, row)`.
        hidden: What the scheme does not see, bool `(time, row)`.
        scored: Which of these pixels are scored.
        floor_dbz: Sensitivity floor [dBZ].
    """
    filled = SIMPLE_SCHEMES[name](np.where(hidden, np.float32(np.nan), truth), hidden, floor_dbz)
    quantiles = np.broadcast_to(filled, (len(EVALUATION_LEVELS), *filled.shape))
    probability = (filled > floor_dbz).astype(np.float32)
    return sum_holes(truth, scored, probability, quantiles, quantiles, floor_dbz=floor_dbz)
