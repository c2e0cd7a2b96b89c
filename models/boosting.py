"""Gradient boosting of single columns: the strongest scheme that is not a network.

Trees on histograms of features (Friedman 2001, Ann. Stat. 29, 1189; Ke et al. 2017, LightGBM)
predict two things of a hidden pixel: whether it holds echo, and in which class its difference from
the lowest visible row is. The classes' probabilities make a whole distribution, so that one model
gives every quantile. Features of a profile are its lowest visible rows, the strongest echo in bands
above them and the extent of its cloud; as an option, running means in time around it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any

import numpy as np
from pydantic import Field, NonNegativeInt, PositiveInt
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from blindzone.core.configuration import configuration
from blindzone.core.errors import ModelError
from blindzone.core.two_part_distribution import echo_level, weakest_echo
from blindzone.models.baselines import Baseline, BaselineConfig, Prediction

LOWEST_ROWS = 8
"""Visible rows that are features of their own."""

BAND_EDGES = (0, 4, 8, 16, 32, 64)
"""First visible row of each band whose strongest echo is a feature; the last reaches to the top."""

DAY_AVERAGES = (7, 27, 81, 243, 729)
"""Profiles over which running means reach: one minute to two hours of 9 s profiles."""

_PROFILES_AT_ONCE = 4096  # of a prediction: its memory does not grow with the day


@configuration(error=ModelError, what="boosting")
class BoostingConfig(BaselineConfig):
    """Configuration of `Boosting`.

    It has few leaves and few trees: days of one training block resemble each other too much.
    """

    average_profiles: tuple[PositiveInt, ...] = ()
    """Profiles over which running means in time are features, odd numbers.

    By default there are none, and the scheme sees one profile at a time. With them `fit` and
    `predict` need whole days in the order of time.
    """
    samples: Annotated[int, Field(ge=2)] = 200_000
    """Pixels that are kept to learn from, drawn at random from all that were fitted."""
    classes: PositiveInt = 16
    """Classes of the difference from the lowest visible row, equally frequent."""
    trees: PositiveInt = 60
    """Trees of the probability of echo."""
    class_trees: PositiveInt = 40
    """Trees of each class."""
    leaves: Annotated[int, Field(ge=2)] = 8
    """Leaves of a tree."""
    leaf_samples: PositiveInt = 1000
    """Fewest pixels of a leaf."""
    learning_rate: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 0.1
    """Weight of each tree."""
    seed: NonNegativeInt = 0
    """Seed of the sample."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(width % 2 == 0 for width in self.average_profiles):
            raise ValueError(f"average_profiles must be odd, found {self.average_profiles}")


class Boosting(Baseline[BoostingConfig]):
    """Occurrence and intensity of single pixels by gradient-boosted trees.

    `fit` keeps a random sample of pixels, every one that was fitted being as likely to be in it;
    the trees grow when they are first asked for.
    """

    is_deterministic = False
    learns = True

    def __init__(self, config: BoostingConfig) -> None:
        super().__init__(config)
        self._sample = _Sample(config.samples, config.seed)
        self._trees: _Trees | None = None

    @property
    def visible_rows(self) -> int:
        """How many of the lowest visible rows the scheme needs."""
        return LOWEST_ROWS

    def _learn(self, visible: np.ndarray, hidden: np.ndarray, trusted: np.ndarray) -> None:
        profile, row = np.nonzero(trusted)
        features = describe_profiles(visible, self._floor, self.config.average_profiles)
        self._sample.offer(features, profile, row, hidden[profile, row])
        self._trees = None

    def _predict(self, visible: np.ndarray) -> Prediction:
        if not self._sample.truth.size:
            raise ModelError(
                f"{self._name}: no trusted pixel was fitted; fit it on the training block first"
            )
        if self._trees is None:
            self._trees = _Trees(self.config, self._sample, self._floor)
        features = describe_profiles(visible, self._floor, self.config.average_profiles)
        learned = self._sample.features.shape[1] - 1
        if features.shape[1] != learned:
            raise ModelError(
                f"{self._name}: these profiles have {features.shape[1]} features, the scheme"
                f" learned from {learned}; profiles of one grid are right"
            )
        shape = (len(visible), self.config.hidden_rows)
        probability = np.zeros(shape, dtype=np.float32)
        quantiles = np.full((len(self.config.levels), *shape), np.float32(self._floor))
        for start in range(0, len(visible), _PROFILES_AT_ONCE):
            part = slice(start, start + _PROFILES_AT_ONCE)
            probability[part], quantiles[:, part] = self._trees.predict(features[part])
        return Prediction(probability=probability, quantiles=quantiles)


def describe_profiles(
    visible: np.ndarray, floor_dbz: float, average_profiles: tuple[int, ...]
) -> np.ndarray:
    """Returns the features of each profile, float32 `(time, feature)`.

    The lowest visible row [dBZ] comes first.

    Args:
        visible: max(reflectivity, floor) above the blind zone [dBZ], `(time, visible row)`.
        floor_dbz: Sensitivity floor [dBZ].
        average_profiles: Profiles over which running means in time reach.
    """
    echo = visible > floor_dbz
    rows = visible.shape[1]
    # Rows up to the highest echo.
    top = np.where(echo.any(axis=1), rows - np.argmax(echo[:, ::-1], axis=1), 0)
    features = [
        *visible[:, :LOWEST_ROWS].T,
        *(
            visible[:, low:high].max(axis=1)
            for low, high in pairwise((*BAND_EDGES, rows))
            if low < min(high, rows)
        ),
        *(echo[:, :high].mean(axis=1) for high in (8, 16, 32, rows)),
        top,
        _count_leading(~echo),  # clear rows below the lowest echo
        _count_leading(echo),  # rows of echo that touch the blind zone
    ]
    seen = [
        visible[:, 0],
        echo[:, 0],
        visible[:, 8:24].max(axis=1, initial=floor_dbz),
        echo[:, :4].any(axis=1),
        top,
    ]
    features += [_average(values, width) for width in average_profiles for values in seen]
    features += [
        _average(visible[:, 0] ** 2, w) - _average(visible[:, 0], w) ** 2 for w in average_profiles
    ]
    return np.column_stack(features).astype(np.float32)


class _Sample:
    """A uniform random sample of all pixels that were offered, at most `size` of them."""

    def __init__(self, size: int, seed: int) -> None:
        self._size = size
        self._random = np.random.default_rng(seed)
        self._keys = np.zeros(0)
        # (pixel, feature), the pixel's row coming last
        self.features = np.zeros((0, 0), dtype=np.float32)
        self.truth = np.zeros(0)  # dBZ on max(dBZ, floor)

    def offer(
        self, features: np.ndarray, profile: np.ndarray, row: np.ndarray, truth: np.ndarray
    ) -> None:
        """Takes its share of pixels: those with the smallest random keys of all.

        Args:
            features: Of each profile `(time, feature)`.
            profile: Number of each pixel's profile, `(pixel,)`.
            row: Number of its row, `(pixel,)`.
            truth: What was observed there [dBZ], `(pixel,)`.

        Raises:
            ModelError: If earlier profiles were described by another number of features.
        """
        if self.truth.size and features.shape[1] + 1 != self.features.shape[1]:
            raise ModelError(
                f"these profiles have {features.shape[1]} features, earlier ones"
                f" {self.features.shape[1] - 1}; profiles of one grid are right"
            )
        keys = self._random.random(truth.size)
        first = np.argsort(keys)[: self._size]
        offered = np.column_stack([features[profile[first]], row[first]]).astype(np.float32)
        keys = np.concatenate([self._keys, keys[first]])
        kept = np.argsort(keys, kind="stable")[: self._size]
        self.features = np.concatenate([self.features.reshape(-1, offered.shape[1]), offered])[kept]
        self.truth = np.concatenate([self.truth, truth[first]])[kept]
        self._keys = keys[kept]


class _Trees:
    """Grown trees and their predictions of pixels."""

    def __init__(self, config: BoostingConfig, sample: _Sample, floor_dbz: float) -> None:
        self._config, self._floor = config, floor_dbz
        echo = sample.truth > floor_dbz
        difference = sample.truth[echo] - sample.features[echo, 0]
        shares = np.linspace(0, 1, config.classes + 1)
        # Edges of the classes [dB]; fewer where many differences are equal, a class of no width for
        # a single one.
        self._edges = np.unique(np.quantile(difference, shares)) if echo.any() else np.zeros(2)
        if self._edges.size == 1:
            self._edges = np.repeat(self._edges, 2)
        last = self._edges.size - 2
        numbers = np.clip(np.searchsorted(self._edges, difference, side="right") - 1, 0, last)
        self._occurrence = _Classifier(
            config, config.trees, sample.features, echo.astype(np.intp), 2
        )
        self._class = _Classifier(
            config, config.class_trees, sample.features[echo], numbers, last + 1
        )

    def predict(self, profiles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns probability of echo and quantiles [dBZ], float32.

        Args:
            profiles: Features, `(time, feature)`.

        Returns:
            Arrays `(time, hidden row)` and `(level, time, hidden row)`.
        """
        rows, levels = self._config.hidden_rows, self._config.levels
        pixels = np.column_stack(
            [np.repeat(profiles, rows, axis=0), np.tile(np.arange(rows), len(profiles))]
        )
        # In the precision that is published: 1 - p must be that of a reader.
        probability = self._occurrence.predict(pixels)[:, 1].astype(np.float32)
        quantiles = np.full((len(levels), len(pixels)), np.float32(self._floor))
        leaves_floor = np.asarray(levels[-1] > 1 - probability.astype(np.float64))
        if leaves_floor.any():
            quantiles[:, leaves_floor] = self._read(
                pixels[leaves_floor], probability[leaves_floor].astype(np.float64)
            )
        shape = (len(profiles), rows)
        return probability.reshape(shape), quantiles.reshape(len(levels), *shape)

    def _read(self, pixels: np.ndarray, p: np.ndarray) -> np.ndarray:
        """Returns quantiles [dBZ] `(level, pixel)`, float32, linear within a class."""
        reached = np.cumsum(self._class.predict(pixels), axis=1)
        # At each edge.
        reached = np.concatenate([np.zeros((len(p), 1)), reached / reached[:, -1:]], axis=1)
        out = np.full((len(self._config.levels), len(p)), np.float32(self._floor))
        for quantile, level in zip(out, self._config.levels, strict=True):
            inner = np.asarray(echo_level(level, p))
            after = np.clip((reached < inner[:, None]).sum(axis=1), 1, self._edges.size - 1)
            low, high = (
                np.take_along_axis(reached, at[:, None], axis=1)[:, 0] for at in (after - 1, after)
            )
            share = np.divide(inner - low, high - low, out=np.zeros_like(inner), where=high > low)
            edge, next_edge = self._edges[after - 1], self._edges[after]
            echo = (pixels[:, 0] + edge + np.clip(share, 0, 1) * (next_edge - edge)).astype(
                np.float32
            )
            in_echo = inner > 0
            quantile[in_echo] = np.maximum(echo[in_echo], weakest_echo(self._floor))
        return out


class _Classifier:
    """Probabilities of classes by boosted trees; constant if the sample has one class or none."""

    def __init__(
        self,
        config: BoostingConfig,
        trees: int,
        features: np.ndarray,
        labels: np.ndarray,
        classes: int,
    ) -> None:
        self._classes = classes
        self._found = np.unique(labels) if labels.size else np.zeros(1, dtype=np.intp)
        self._trees: Any = None
        if self._found.size > 1:
            self._trees = HistGradientBoostingClassifier(
                max_iter=trees,
                learning_rate=config.learning_rate,
                max_leaf_nodes=config.leaves,
                min_samples_leaf=config.leaf_samples,
                early_stopping=False,
                random_state=config.seed,
            )
            with _one_thread():
                self._trees.fit(features, labels)

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Returns the probability of each class `(pixel, class)`."""
        out = np.zeros((len(features), self._classes))
        with _one_thread():
            out[:, self._found] = (
                1.0 if self._trees is None else self._trees.predict_proba(features)
            )
        return out


def _one_thread() -> threadpool_limits:
    """Keeps trees on one thread.

    Threads wait actively for each other, which on busy cores takes ten times as long.
    """
    return threadpool_limits(limits=1, user_api="openmp")


def _count_leading(mask: np.ndarray) -> np.ndarray:
    """Returns how many true values each line of `(time, row)` begins with."""
    return np.asarray(np.where(mask.all(axis=1), mask.shape[1], np.argmin(mask, axis=1)))


def _average(values: np.ndarray, width: int) -> np.ndarray:
    """Returns the running mean `(time,)` over `width` values, fewer at the ends."""
    total = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    at = np.arange(values.size)
    first, last = np.maximum(at - width // 2, 0), np.minimum(at + width // 2 + 1, values.size)
    return np.asarray((total[last] - total[first]) / (last - first))
