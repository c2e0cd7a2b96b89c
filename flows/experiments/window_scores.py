"""The score that networks of every head are compared by while they train: CRPS on windows.

Realizations with dropout become the predictive distribution of max(reflectivity, floor) that
products state, and its continuous ranked probability score [dB] over all pixels whose truth is
trusted tells which weights, trials and runs are better. It is the protocol's score on fixed windows
of the validation days in place of whole days.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from blindzone.core.example import Example
from blindzone.models.monte_carlo import MonteCarloNetwork
from blindzone.models.unet3plus_config import UNet3PlusConfig
from blindzone.pipeline.inpainting.predictive_distribution import summarize_distribution
from blindzone.pipeline.network_input.preprocessing import Preprocessing
from blindzone.pipeline.plots.scenes import Scene
from blindzone.pipeline.verification.curtain_scores import sum_curtain
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
        config: UNet3PlusConfig,
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
        windows = ((number, shown) for number, shown in enumerate(self._shown))
        answers = self._monte_carlo.predict(windows, passes=self.passes, seed=self.seed)
        prediction = [
            (answer.probability.swapaxes(0, 1), answer.intensity.swapaxes(0, 1))
            for answer in answers
        ]
        probability, intensity = (np.concatenate(parts) for parts in zip(*prediction, strict=True))
        return summarize_distribution(
            probability,
            self.preprocessing.scaling.unscale(intensity),
            floor_dbz=self.preprocessing.floor_dbz,
            levels=EVALUATION_LEVELS,
        )

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
