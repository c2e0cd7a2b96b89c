"""The score that networks of every head are compared by while they train: CRPS on windows.

Realizations with dropout become the predictive distribution of max(reflectivity, floor) that
products state, and its continuous ranked probability score [dB] over all pixels whose truth is
trusted tells which weights, trials and runs are better. It is the protocol's score on fixed windows
of the validation days in place of whole days.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import xarray as xr

from blindzone.core.example import Example
from blindzone.models.monte_carlo import MonteCarloNetwork
from blindzone.models.network_config import NetworkConfig
from blindzone.pipeline.inpainting.predictive_distribution import summarize_distribution
from blindzone.pipeline.network_input.inference_windows import (
    Window,
    blend_windows,
    cut_windows,
)
from blindzone.pipeline.network_input.preprocessing import Preprocessing
from blindzone.pipeline.plots.scenes import Scene
from blindzone.pipeline.verification.curtain_scores import raise_to_floor, sum_curtain
from blindzone.pipeline.verification.pixel_scores import EVALUATION_LEVELS

SCORE = "CRPS [dB]"


class WindowScorer:
    """Fills fixed windows by a network's realizations and scores what it filled.

    Args:
        examples: The windows.
        config: Configuration of the network.
        preprocessing: How the windows were made.
        passes: Number of stochastic forward passes.
        seed: Seed of the passes.
    """

    def __init__(
        self,
        examples: list[Example],
        config: NetworkConfig,
        preprocessing: Preprocessing,
        *,
        passes: int,
        seed: int = 0,
    ) -> None:
        self.config, self.preprocessing = config, preprocessing
        self.passes, self.seed = passes, seed
        self._monte_carlo: MonteCarloNetwork | None = None
        self._shown = [shown for shown, _ in examples]
        # Windows one after the other: (row, time) -> (time, row)
        value = np.concatenate([answers["value"].swapaxes(0, 1) for _, answers in examples])
        self.truth = preprocessing.scaling.restore(value[..., 0])
        self.counts = value[..., 1] > 0

    def fill(self, network: Any) -> xr.Dataset:
        """Returns the predictive distribution `(time, height)` of all windows in turn."""
        if self._monte_carlo is None:
            self._monte_carlo = MonteCarloNetwork(
                network, self.config, floor_unit=self.preprocessing.floor_unit
            )
        else:
            self._monte_carlo.set_weights(network)
        answers = self._monte_carlo.predict(self._list_inputs(), passes=self.passes, seed=self.seed)
        # (row, time, ...) -> (time, row, 1 + value)
        parts = (
            np.concatenate([answer.probability[..., None], answer.intensity], axis=-1)
            for answer in answers
        )
        joined = self._join([part.swapaxes(0, 1) for part in parts])
        probability, intensity = joined[..., 0], joined[..., 1:]
        return summarize_distribution(
            probability,
            self.preprocessing.scaling.unscale(intensity),
            floor_dbz=self.preprocessing.floor_dbz,
            levels=EVALUATION_LEVELS,
        )

    @property
    def _tiles(self) -> tuple[Window, ...]:
        """The windows of the network in one of the scored ones; none if they are as wide."""
        width, own = self.preprocessing.window_profiles, self.config.input_profiles
        return () if width == own else cut_windows(width, own)

    def _list_inputs(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yields number and network input of each window that the network fills."""
        maps: Iterable[np.ndarray] = self._shown
        if tiles := self._tiles:
            maps = (shown[:, tile.indices] for shown in self._shown for tile in tiles)
        return enumerate(maps)

    def _join(self, parts: list[np.ndarray]) -> np.ndarray:
        """Returns the predictions `(time, row, value)` of all scored windows in turn."""
        if not (tiles := self._tiles):
            return np.concatenate(parts)
        width = self.preprocessing.window_profiles
        groups = [parts[first : first + len(tiles)] for first in range(0, len(parts), len(tiles))]
        return np.concatenate(
            [blend_windows(zip(tiles, group, strict=True), width) for group in groups]
        )

    def score_persistence(self) -> float:
        """Returns the same score of the lowest visible row, repeated downwards."""
        # The hidden rows of the input repeat it.
        rows = self.truth.shape[1]
        shown = np.concatenate([shown[:rows, :, 0].swapaxes(0, 1) for shown in self._shown])
        floor_dbz = self.preprocessing.floor_dbz
        repeated = raise_to_floor(self.preprocessing.scaling.restore(shown), floor_dbz)
        quantiles = np.broadcast_to(repeated, (len(EVALUATION_LEVELS), *repeated.shape))
        dims = ("time", "height")
        filled = xr.Dataset(
            {
                "hydrometeor_probability": (dims, (repeated > floor_dbz).astype(np.float32)),
                "reflectivity_quantile": (("quantile", *dims), quantiles),
            }
        )
        return self.scores(filled)[SCORE]

    def scores(self, filled: xr.Dataset) -> dict[str, float]:
        """Returns the scores of a fill `(time, height)`."""
        width = self.preprocessing.window_profiles
        sums = sum_curtain(
            self.truth,
            filled["hydrometeor_probability"].values,
            filled["reflectivity_quantile"].values,
            EVALUATION_LEVELS,
            floor_dbz=self.preprocessing.floor_dbz,
            scored=self.counts,
            stretches=[slice(start, start + width) for start in range(0, len(self.truth), width)],
        )
        return {name: float(value) for name, value in sums.scores().items() if np.isfinite(value)}

    def score(self, network: Any) -> float:
        """Returns the one score, lower is better."""
        return self.scores(self.fill(network))[SCORE]

    def scenes(self, filled: xr.Dataset, count: int = 3) -> list[Scene]:
        """Returns the first windows with trusted echo, and their fill `(time, height)`."""
        width = self.preprocessing.window_profiles
        median = filled["reflectivity_quantile"].sel(quantile=0.5).values
        probability = filled["hydrometeor_probability"].values
        scenes: list[Scene] = []
        for number, shown in enumerate(self._shown):
            span = slice(number * width, (number + 1) * width)
            if (
                len(scenes) == count
                or not (np.isfinite(self.truth[span]) & self.counts[span]).any()
            ):
                continue
            measured = self.preprocessing.scaling.restore(shown[..., 0].swapaxes(0, 1))
            measured[:, : self.truth.shape[1]] = self.truth[span]
            likely = np.where(probability[span] > 0.5, median[span], np.float32(np.nan))
            scene = Scene(
                measured=measured,
                counts=self.counts[span],
                filled=likely,
                probability=probability[span],
            )
            scenes.append(scene)
        return scenes
