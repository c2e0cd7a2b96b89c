"""A single pass of a network, and what each of its column paths would have said in its place.

The shipped networks take the mean of column paths that were trained apart: a deep ensemble
(Lakshminarayanan et al. 2017, arXiv 1612.01474) of which only the mean is kept. Path k in place of
the mean gives heads of its own. Their spread is known after one pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import xarray as xr

from blindzone.core.forward_passes import SINGLE
from blindzone.core.network_units import LOG_SCALE_LIMITS
from blindzone.flows.running.trained_network import TrainedNetwork
from blindzone.models.checkpoint import read_checkpoint
from blindzone.models.column import name_path
from blindzone.pipeline.inpainting.inpaint_curtain import LONGEST_GAP_S
from blindzone.pipeline.network_input.inference_windows import (
    Window,
    cut_windows,
    find_stretches,
    pick_windows,
)

GRID_STEP_DB = 0.5
STRONGEST_DBZ = 45.0
_WINDOWS_AT_ONCE = 8
_LARGEST_LOGIT = 16.0
"""A probability in single precision is known to no more."""


@dataclass(frozen=True, kw_only=True)
class Distributions:
    """Two-part distributions with a Laplace distribution of echo, all of one shape.

    Attributes:
        probability: Probability of echo.
        location: Median given echo [dBZ].
        scale: Mean absolute deviation given echo [dB].
        floor_dbz: Sensitivity floor [dBZ].
    """

    probability: np.ndarray
    location: np.ndarray
    scale: np.ndarray
    floor_dbz: float

    def estimate_moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the mean of max(dBZ, floor) [dBZ] and its standard deviation [dB].

        With d the location above the floor and s the scale, the mean excess is d + s / 2 exp(-d /
        s) for d >= 0, else s / 2 exp(d / s); the mean square is d2 + 2 s2 - s2 exp(-d / s), else s2
        exp(d / s).
        """
        above, scale = self.location - self.floor_dbz, self.scale
        tail = np.exp(-np.abs(above) / scale)
        mean = np.maximum(above, 0) + scale / 2 * tail
        square = np.where(above >= 0, above**2 + scale**2 * (2 - tail), scale**2 * tail)
        excess = self.probability * mean
        variance = np.maximum(self.probability * square - excess**2, 0)
        return self.floor_dbz + excess, np.sqrt(variance)

    def accumulate(self) -> np.ndarray:
        """Returns the distribution function in the middle of each bin of `bins`, `(..., bin)`."""
        distance = (self.bins - self.location[..., None]) / self.scale[..., None]
        tail = 0.5 * np.exp(-np.abs(distance))
        below = np.where(distance < 0, tail, 1 - tail)
        return np.asarray(1 - self.probability[..., None] * (1 - below))

    def move(self, offset_db: float) -> Distributions:
        """Returns the same with echo that is brighter."""
        return replace(self, location=self.location + offset_db)

    def take(self, scored: np.ndarray, profiles: slice) -> Distributions:
        """Returns those of scored pixels `(time, row)` of some profiles, `(pixel, ...)`."""
        inside = scored[profiles]
        parts = {
            name: getattr(self, name)[profiles][inside]
            for name in ("probability", "location", "scale")
        }
        return replace(self, **parts)

    @property
    def bins(self) -> np.ndarray:
        """Middles of bins from the floor up [dBZ]."""
        return np.arange(self.floor_dbz, STRONGEST_DBZ, GRID_STEP_DB) + GRID_STEP_DB / 2

    def score(self, truth: np.ndarray) -> tuple[float, float]:
        """Returns the CRPS [dB] of the first of the last axis, and of the mixture of the others.

        Args:
            truth: max(dBZ, floor) [dBZ], of the shape of all axes but the last.
        """
        cumulated = self.accumulate()
        reached = self.bins >= truth[..., None]
        first, mixture = cumulated[..., 0, :], cumulated[..., 1:, :].mean(axis=-2)
        single, mixed = (
            GRID_STEP_DB * float(((one - reached) ** 2).sum(axis=-1).mean())
            for one in (first, mixture)
        )
        return single, mixed


class ColumnPaths:
    """The column paths of a checkpoint beside its single pass."""

    def __init__(self, path: Path, trained: TrainedNetwork) -> None:
        self.trained, self._path = trained, path
        self.floor_dbz = trained.preprocessing.floor_dbz

    @cached_property
    def _graph(self) -> Any:
        """From network input to the output of each path and its last hidden layer."""
        checkpoint = read_checkpoint(self._path)
        network = checkpoint.network
        names = [name_path(number) for number in range(checkpoint.config.column_paths)]
        paths = [network.get_layer(name).output for name in names]
        hidden = [network.get_layer(f"{name}_hidden_activation").output for name in names]
        model = keras.Model(
            network.input,
            [keras.ops.stack(paths, axis=-1), keras.ops.concatenate(hidden, axis=-1)],
        )
        return tf.function(lambda inputs: model(inputs, training=False), reduce_retracing=True)

    def describe(self, curtain: xr.Dataset) -> np.ndarray:
        """Returns the hidden layer of all paths `(time, feature)`."""
        return np.concatenate([hidden for _, hidden in self._run(curtain)])

    def predict(self, curtain: xr.Dataset) -> tuple[Distributions, np.ndarray]:
        """Returns distributions `(time, hidden row, 1 + path)`, of all paths first, and `describe`.

        A window says nothing of profiles that it has beyond the stretch; each profile is of one.
        """
        parts, hidden = zip(*self._run(curtain), strict=True)
        scaling = self.trained.preprocessing.scaling
        occurrence, location, log_scale = np.moveaxis(np.concatenate(parts), 2, 0)
        distributions = Distributions(
            probability=1 / (1 + np.exp(-occurrence)),
            location=scaling.unscale(location),
            scale=np.exp(np.clip(log_scale, *LOG_SCALE_LIMITS)) * scaling.db_per_unit,
            floor_dbz=self.floor_dbz,
        )
        return distributions, np.concatenate(hidden)

    def _run(self, curtain: xr.Dataset) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields heads `(time, hidden row, head, 1 + path)` and `(time, feature)` of stretches."""
        inputs = self.trained.preprocessing.encode_input(curtain)
        for stretch in find_stretches(curtain["time"].values, longest_gap_s=LONGEST_GAP_S):
            of_stretch = inputs[stretch]
            width = self.trained.preprocessing.window_profiles
            windows = cut_windows(len(of_stretch), width)
            heads, hidden = zip(*self._run_windows(of_stretch, windows), strict=True)
            yield (
                pick_windows(zip(windows, heads, strict=True), len(of_stretch)),
                pick_windows(zip(windows, hidden, strict=True), len(of_stretch)),
            )

    def _run_windows(
        self, inputs: np.ndarray, windows: Sequence[Window]
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        rows, remaining = self.trained.preprocessing.hidden_rows, iter(windows)
        while group := list(islice(remaining, _WINDOWS_AT_ONCE)):
            stacked = np.stack([inputs[window.indices].swapaxes(0, 1) for window in group])
            single = self.trained.network.predict(iter(enumerate(stacked)), passes=SINGLE, seed=0)
            paths, hidden = (part.numpy() for part in self._graph(stacked.astype(np.float32)))
            for one, of_paths, features in zip(single, paths, hidden, strict=True):
                heads = _take_heads(one)[..., None]
                change = of_paths - of_paths.mean(axis=-1, keepdims=True)
                whole = np.concatenate([heads, heads + change], axis=-1)
                yield whole[:rows].swapaxes(0, 1), features[0]


def _take_heads(single: Any) -> np.ndarray:
    """Returns the heads of a single pass `(hidden row, time, head)`: logit, location, log scale."""
    with np.errstate(divide="ignore"):
        logit = np.log(single.probability) - np.log1p(-single.probability)
    bounded = np.clip(logit, -_LARGEST_LOGIT, _LARGEST_LOGIT)
    return np.stack([bounded, single.intensity[..., 0], np.log(single.scale)], axis=-1)
