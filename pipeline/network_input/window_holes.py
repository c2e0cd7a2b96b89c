"""The holes of training windows: what of the days decides them, and how a window gets its own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import numpy as np

from blindzone.pipeline.curtains.holes import HEAVY_DBZ, find_heavy, measure_distance
from blindzone.pipeline.network_input.channels import Profiles
from blindzone.pipeline.network_input.masking import (
    SHADOW_BASE_M,
    HoleConfig,
    HoleName,
    HoleScene,
    draw_holes,
)
from blindzone.pipeline.network_input.preprocessing import Preprocessing


class WindowHoles:
    """Draws the holes of windows of some days.

    Args:
        config: Which kinds are drawn.
        preprocessing: How windows become network input.

    Attributes:
        rain: Profiles of each day with heavy echo near the ground; empty if no shadow is drawn.
    """

    def __init__(self, config: HoleConfig, preprocessing: Preprocessing) -> None:
        self._config, self._width = config, preprocessing.window_profiles
        self._row_depth_m = preprocessing.grid.row_depth_m
        self._below = preprocessing.grid.row_of(SHADOW_BASE_M[0])
        self._heavy_unit = float(preprocessing.scaling.scale(np.asarray(HEAVY_DBZ)))
        self._lacking: dict[date, np.ndarray] = {}
        self.rain: list[np.ndarray] = []

    def add_day(self, day: date, profiles: Profiles) -> None:
        """Takes up what of a day holes are drawn by."""
        has_windows = len(profiles.looked) >= self._width
        counts = bool(self._config.shadows) and has_windows
        self.rain.append(np.flatnonzero(self._find_rain(profiles) & counts))
        if self._config.files and (missing := find_missing(profiles)).any():
            self._lacking[day] = missing

    def choose(self, random: np.random.Generator) -> tuple[HoleName, ...] | None:
        """Returns the kinds of holes of a window; None if windows hide blind zones alone."""
        return self._config.choose(random) if self._config.kinds else None

    def draw(
        self,
        random: np.random.Generator,
        names: tuple[HoleName, ...],
        profiles: Profiles,
        day: date,
    ) -> np.ndarray:
        """Returns the mask `(time, row)` of the holes of a window, but for its blind zone.

        Args:
            random: Source of random numbers.
            names: The kinds.
            profiles: The window.
            day: Its day, whose own pattern is not laid over it.
        """
        shape = profiles.looked.shape
        scene = HoleScene(
            shape=shape,
            row_depth_m=self._row_depth_m,
            heavy=self._find_rain(profiles),
            pattern=self._draw_pattern(random, day, shape) if "files" in names else None,
        )
        return draw_holes(random, names, scene)

    def weigh(self, targets: Mapping[str, np.ndarray], hidden: np.ndarray) -> None:
        """Weighs the masks of targets `(time, row, 2)` by the distance to visible data, in place.

        Args:
            targets: What `Preprocessing.encode_targets` returned.
            hidden: The mask `(time, row)`.
        """
        halving = self._config.halving_profiles
        if halving is not None:
            weights = 1 / (1 + measure_distance(hidden) / np.float32(halving))
            for plane in targets.values():
                plane[..., 1] *= weights[:, : plane.shape[1]]

    def _find_rain(self, profiles: Profiles) -> np.ndarray:
        """Returns which profiles have heavy echo below where shadows begin, `(time,)`."""
        low = np.s_[:, : self._below]
        return find_heavy(profiles.reflectivity[low], ~profiles.trusted[low], self._heavy_unit)

    def _draw_pattern(
        self, random: np.random.Generator, day: date, shape: tuple[int, int]
    ) -> np.ndarray | None:
        """Returns what a window of another day lacks, `(time, row)`; None if no other lacks any."""
        others = [missing for other, missing in self._lacking.items() if other != day]
        if not others:
            return None
        missing = others[int(random.integers(len(others)))]
        place = int(random.choice(np.flatnonzero(missing.any(axis=1))))
        start = min(max(place - int(random.integers(shape[0])), 0), max(len(missing) - shape[0], 0))
        pattern, found = np.zeros(shape, dtype=bool), missing[start : start + shape[0]]
        pattern[: len(found)] = found
        return pattern


def find_missing(profiles: Profiles) -> np.ndarray:
    """Returns what a day lacks on an even axis of time, bool `(time, row)`: its own file mask.

    Profiles are missing where a step in time is longer than one and a half of the median.
    """
    if profiles.time_s is None or len(profiles.time_s) < 2:
        return ~profiles.looked
    steps = np.diff(profiles.time_s)
    apart = np.maximum(np.rint(steps / np.median(steps)), 1)
    places = np.concatenate([[0], np.cumsum(apart)]).astype(np.intp)
    missing = np.ones((int(places[-1]) + 1, profiles.looked.shape[1]), dtype=bool)
    missing[places] = ~profiles.looked
    return missing
