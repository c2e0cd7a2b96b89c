"""Simple schemes that fill the blind zone: a network must do better on the same pixels.

Row 0 of `visible` is the lowest visible row; row 0 of `hidden` is on the ground, so that the last
hidden row touches the first visible one. Rows are equally high. NaN is no echo, and so are values
that do not exceed the sensitivity floor.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, ClassVar, Generic, TypeVar

import numpy as np
from pydantic import Field, FiniteFloat, PositiveInt

from blindzone.core.configuration import configuration
from blindzone.core.errors import ModelError
from blindzone.core.two_part_distribution import echo_level, weakest_echo

Level = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@configuration(error=ModelError, what="baseline")
class BaselineConfig:
    """Configuration that all schemes have."""

    hidden_rows: PositiveInt = 16
    """Number of rows in the blind zone."""
    floor_dbz: FiniteFloat = -30.0
    """Sensitivity floor [dBZ]."""
    levels: Annotated[tuple[Level, ...], Field(min_length=1)] = (
        0.05,
        0.10,
        0.25,
        0.50,
        0.75,
        0.90,
        0.95,
    )
    """Quantile levels, increasing."""

    def __post_init__(self) -> None:
        if any(high <= low for low, high in pairwise(self.levels)):
            raise ValueError(f"levels must increase, found {self.levels}")


@configuration(error=ModelError, what="linear extrapolation")
class LinearExtrapolationConfig(BaselineConfig):
    """Configuration of `LinearExtrapolation`."""

    rows: Annotated[int, Field(ge=2)] = 4
    """Lowest visible rows that the line spans."""
    highest_dbz: float = 25.0
    """Highest reflectivity [dBZ] of an extrapolation; a steep line has no bound of its own.

    Of the echo that the 95 GHz radar at Palaiseau saw in 18 days of winter, one pixel in a million
    is stronger than the default.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.highest_dbz > self.floor_dbz:
            raise ValueError(
                f"highest_dbz must exceed the floor of {self.floor_dbz} dBZ, found"
                f" {self.highest_dbz}"
            )


@configuration(error=ModelError, what="marching average")
class MarchingAverageConfig(BaselineConfig):
    """Configuration of `MarchingAverage`."""

    rows: PositiveInt = 4
    """Number of rows above a row that are averaged."""


@configuration(error=ModelError, what="climatology")
class ClimatologyConfig(BaselineConfig):
    """Configuration of `Climatology`."""

    class_db: Positive = 5.0
    """Width [dB] of the classes of the lowest visible row; the first begins at the floor."""
    minimum_profiles: PositiveInt = 500
    """Number of profiles below which a class borrows.

    The default is 75 minutes of 9 s profiles: fewer are often one single shower.
    """
    highest_dbz: FiniteFloat = 60.0
    """End [dBZ] of the last class and of the histograms; stronger echo counts as just below it."""
    resolution_db: Positive = 0.1
    """Width [dB] of the histograms' bins."""

    def __post_init__(self) -> None:
        super().__post_init__()
        span = self.highest_dbz - self.floor_dbz
        if span <= 0:
            raise ValueError(
                f"highest_dbz must exceed the floor of {self.floor_dbz} dBZ, found"
                f" {self.highest_dbz}"
            )
        if max(self.class_db, self.resolution_db) > span:
            raise ValueError(
                f"class_db and resolution_db must be at most {span:g}, found {self.class_db} and"
                f" {self.resolution_db}"
            )


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Prediction of a scheme for the blind zone.

    Attributes:
        probability: Probability of echo, `(time, hidden row)`.
        quantiles: Quantiles of max(reflectivity, floor) [dBZ], `(level, time, hidden row)`. A
            quantile is the floor just where its level does not exceed 1 - probability.
    """

    probability: np.ndarray
    quantiles: np.ndarray


Config = TypeVar("Config", bound=BaselineConfig)


class Baseline(ABC, Generic[Config]):
    """A scheme: `fit` on the days of a training block, in any order, then `predict`.

    Attributes:
        is_deterministic: Whether probabilities are 0 or 1 and all quantiles are equal.
        learns: Whether `predict` must wait for `fit`.
    """

    is_deterministic: ClassVar[bool] = True
    learns: ClassVar[bool] = False

    def __init__(self, config: Config) -> None:
        self.config = config

    @property
    def visible_rows(self) -> int:
        """How many of the lowest visible rows the scheme needs."""
        return 1

    def fit(self, visible: np.ndarray, hidden: np.ndarray, trusted: np.ndarray) -> None:
        """Adds profiles to what the scheme has learned.

        Args:
            visible: Reflectivity above the blind zone [dBZ], `(time, visible row)`.
            hidden: Reflectivity in the blind zone [dBZ], `(time, hidden row)`.
            trusted: Pixels whose observation counts, bool `(time, hidden row)`.

        Raises:
            ModelError: If the shapes do not fit, `trusted` is no mask, or a reflectivity is
                infinite.
        """
        self._check_visible(visible)
        expected = (len(visible), self.config.hidden_rows)
        for name, values in (("hidden", hidden), ("trusted", trusted)):
            if values.shape != expected:
                raise ModelError(
                    f"{self._name}: {name} of shape {expected} (time, hidden row) is right; found"
                    f" {values.shape}"
                )
        if trusted.dtype != np.bool_:
            raise ModelError(f"{self._name}: trusted must be a mask of bool; found {trusted.dtype}")
        self._check_finite("hidden", hidden)
        self._learn(self._raise_to_floor(visible), self._raise_to_floor(hidden), trusted)

    def predict(self, visible: np.ndarray) -> Prediction:
        """Returns the prediction for the profiles' blind zone.

        Args:
            visible: Reflectivity above the blind zone [dBZ], `(time, visible row)`.

        Raises:
            ModelError: If the shape does not fit, a reflectivity is infinite, or the scheme has
                learned nothing yet.
        """
        self._check_visible(visible)
        return self._predict(self._raise_to_floor(visible))

    def _learn(self, visible: np.ndarray, hidden: np.ndarray, trusted: np.ndarray) -> None:
        """Learns from checked arrays on max(dBZ, floor); some schemes have nothing to learn."""

    @abstractmethod
    def _predict(self, visible: np.ndarray) -> Prediction:
        """Returns the prediction for a checked array on max(dBZ, floor), float64."""

    @property
    def _name(self) -> str:
        return type(self).__name__

    @property
    def _floor(self) -> float:
        """The floor [dBZ] in the precision of curtains, or a value at the floor might exceed it."""
        return float(np.float32(self.config.floor_dbz))

    def _check_visible(self, visible: np.ndarray) -> None:
        if visible.ndim != 2 or visible.shape[1] < self.visible_rows:
            raise ModelError(
                f"{self._name}: visible (time, visible row) with at least {self.visible_rows} rows"
                f" is right; found shape {visible.shape}"
            )
        self._check_finite("visible", visible)

    def _check_finite(self, name: str, reflectivity: np.ndarray) -> None:
        if infinite := int(np.isinf(reflectivity).sum()):
            raise ModelError(
                f"{self._name}: {name} holds {infinite} infinite values; finite dBZ, or NaN for no"
                " echo, is right"
            )

    def _raise_to_floor(self, reflectivity: np.ndarray) -> np.ndarray:
        floor = np.float32(self._floor)
        single = reflectivity.astype(np.float32)
        with np.errstate(invalid="ignore"):
            return np.where(single > floor, single, floor).astype(np.float64)

    def _predict_exactly(self, reflectivity: np.ndarray) -> Prediction:
        """Returns the prediction of a deterministic scheme.

        Args:
            reflectivity: What it predicts [dBZ], `(time, hidden row)`.
        """
        floor = np.float32(self._floor)
        raised = np.maximum(reflectivity.astype(np.float32), floor)
        return Prediction(
            probability=(raised > floor).astype(np.float32),
            quantiles=np.broadcast_to(raised, (len(self.config.levels), *raised.shape)),
        )


class Persistence(Baseline[BaselineConfig]):
    """The lowest visible row, repeated downwards."""

    def _predict(self, visible: np.ndarray) -> Prediction:
        return self._predict_exactly(np.repeat(visible[:, :1], self.config.hidden_rows, axis=1))


class PersistenceWithBias(Baseline[BaselineConfig]):
    """The lowest visible row plus each hidden row's mean difference from it, over echo in both.

    A row without such echo in training takes the difference of the nearest row that has some. Echo
    stays echo: what the difference would carry to the floor or below is set just above it.
    """

    learns = True

    def __init__(self, config: BaselineConfig) -> None:
        super().__init__(config)
        self._hits = np.zeros(config.hidden_rows, dtype=np.int64)
        self._difference = np.zeros(config.hidden_rows)  # sum [dB] over hits

    def _learn(self, visible: np.ndarray, hidden: np.ndarray, trusted: np.ndarray) -> None:
        floor = self._floor
        hit = trusted & (hidden > floor) & (visible[:, :1] > floor)
        self._hits += hit.sum(axis=0)
        self._difference += np.where(hit, hidden - visible[:, :1], 0.0).sum(axis=0)

    def _predict(self, visible: np.ndarray) -> Prediction:
        if not self._hits.any():
            raise ModelError(
                f"{self._name}: no trusted echo below visible echo was fitted; fit it on such days"
                " first"
            )
        nearest = _find_nearest(self._hits > 0)
        bias = (self._difference / np.maximum(self._hits, 1))[nearest]
        moved = np.maximum(visible[:, :1] + bias, weakest_echo(self._floor))
        return self._predict_exactly(np.where(visible[:, :1] > self._floor, moved, self._floor))


class LinearExtrapolation(Baseline[LinearExtrapolationConfig]):
    """A straight line in dBZ through two visible rows, continued downwards.

    The rows are the lowest and the last of the lowest few. No echo counts as the floor. So below a
    lowest visible row without echo the line never rises above the floor, and echo that ends within
    the few rows grows downwards, up to `highest_dbz`.
    """

    @property
    def visible_rows(self) -> int:
        """How many of the lowest visible rows the scheme needs."""
        return self.config.rows

    def _predict(self, visible: np.ndarray) -> Prediction:
        last = self.config.rows - 1
        slope = (visible[:, :1] - visible[:, last : last + 1]) / last  # dB a row, downwards
        rows_below = np.arange(self.config.hidden_rows, 0, -1)
        return self._predict_exactly(
            np.minimum(visible[:, :1] + slope * rows_below, self.config.highest_dbz)
        )


class MarchingAverage(Baseline[MarchingAverageConfig]):
    """The mean of the few rows above each hidden row, from top to bottom.

    These rows are visible or have just been filled. The mean is in linear units (mm6 m-3), no echo
    counting as 0. The floor is applied to the prediction, not on the way.
    """

    @property
    def visible_rows(self) -> int:
        """How many of the lowest visible rows the scheme needs."""
        return self.config.rows

    def _predict(self, visible: np.ndarray) -> Prediction:
        hidden, rows = self.config.hidden_rows, self.config.rows
        lowest = visible[:, :rows]
        linear = np.zeros((len(visible), hidden + rows))
        linear[:, hidden:] = np.where(lowest > self._floor, 10 ** (lowest / 10), 0.0)
        for row in reversed(range(hidden)):
            linear[:, row] = linear[:, row + 1 : row + 1 + rows].mean(axis=1)
        with np.errstate(divide="ignore"):
            return self._predict_exactly(10 * np.log10(linear[:, :hidden]))


class Climatology(Baseline[ClimatologyConfig]):
    """The distribution in each hidden row, given the class of the lowest visible row.

    Class 0 is no echo in the lowest visible row; the others are `class_db` wide. A distribution is
    an atom at the floor (the share of pixels without echo) and a histogram of echo. Histograms add
    up over days and take the same memory for a day and a year; a quantile is exact to
    `resolution_db`.

    A class of echo with fewer than `minimum_profiles` trusted pixels in a row takes the
    distribution of the nearest class of echo that has enough, of two equally near that of the
    weaker echo. Where none has enough, and where no echo itself is too rare, that of all classes
    together is taken. A row without any trusted pixel takes the distributions of the nearest row
    that has some.
    """

    is_deterministic = False
    learns = True

    def __init__(self, config: ClimatologyConfig) -> None:
        super().__init__(config)
        span = config.highest_dbz - config.floor_dbz
        self._classes = 1 + _count_steps(span, config.class_db)
        self._bins = 1 + _count_steps(span, config.resolution_db)
        # Bin 0 is the atom.
        self._counts = np.zeros((self._classes, config.hidden_rows, self._bins), dtype=np.int64)

    def _learn(self, visible: np.ndarray, hidden: np.ndarray, trusted: np.ndarray) -> None:
        classes = self._number(visible[:, :1], self.config.class_db, self._classes)
        bins = self._number(hidden, self.config.resolution_db, self._bins)
        cells = (
            classes * self.config.hidden_rows + np.arange(self.config.hidden_rows)
        ) * self._bins + bins
        self._counts += np.bincount(cells[trusted], minlength=self._counts.size).reshape(
            self._counts.shape
        )

    def _predict(self, visible: np.ndarray) -> Prediction:
        if not self._counts.any():
            raise ModelError(
                f"{self._name}: no trusted pixel was fitted; fit it on the training block first"
            )
        counts = self._borrow()
        # In the precision that is published: 1 - p must be that of a reader.
        probability = (counts[..., 1:].sum(axis=-1) / counts.sum(axis=-1)).astype(np.float32)
        quantiles = self._find_quantiles(counts, probability)
        classes = self._number(visible[:, 0], self.config.class_db, self._classes)
        return Prediction(probability=probability[classes], quantiles=quantiles[:, classes])

    def _number(self, reflectivity: np.ndarray, width_db: float, count: int) -> np.ndarray:
        """Returns 0 for no echo, and from 1 on the number of the step above the floor, `(...)`."""
        steps = 1 + np.floor((reflectivity - self._floor) / width_db).astype(np.intp)
        return np.where(reflectivity > self._floor, np.minimum(steps, count - 1), 0)

    def _borrow(self) -> np.ndarray:
        """Returns the counts `(class, row, bin)` that each class and row is predicted from."""
        out = np.empty_like(self._counts)
        pixels = self._counts.sum(axis=-1)  # (class, row)
        for row in range(self.config.hidden_rows):
            of_row = self._counts[:, row]
            enough = pixels[:, row] >= self.config.minimum_profiles
            out[:, row] = of_row.sum(axis=0)
            if enough[0]:
                out[0, row] = of_row[0]
            if enough[1:].any():
                out[1:, row] = of_row[1:][_find_nearest(enough[1:])]
        return out[:, _find_nearest(pixels.any(axis=0))]

    def _find_quantiles(self, counts: np.ndarray, probability: np.ndarray) -> np.ndarray:
        """Returns quantiles [dBZ] `(level, class, row)`, within a bin by linear interpolation."""
        floor = self._floor
        edges = np.minimum(
            floor + np.arange(self._bins) * self.config.resolution_db, self.config.highest_dbz
        )
        levels = np.asarray(self.config.levels)
        out = np.full((len(levels), *probability.shape), np.float32(floor))
        for cell in zip(*np.nonzero(probability), strict=True):
            p = float(probability[cell])
            # Pixels of echo below each edge.
            weaker = np.concatenate([[0], np.cumsum(counts[cell][1:])])
            inner = np.asarray(echo_level(levels, p))
            in_echo = inner > 0
            read = np.interp(inner[in_echo] * weaker[-1], weaker, edges)
            out[(in_echo, *cell)] = np.maximum(read.astype(np.float32), weakest_echo(floor))
        return out


def _find_nearest(available: np.ndarray) -> np.ndarray:
    """Returns for each index the nearest available one, the lower of two, `(n,)`.

    At least one must be available.
    """
    candidates = np.flatnonzero(available)
    distance = np.abs(np.arange(len(available))[:, np.newaxis] - candidates)
    return np.asarray(candidates[np.argmin(distance, axis=1)])


def _count_steps(span: float, step: float) -> int:
    """Returns how many steps cover a span; 90 / 0.1 is 900, not 901 for the last digit of 0.1."""
    return int(np.ceil(span / step - 1e-9))
