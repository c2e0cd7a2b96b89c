"""Calibration: a network's prediction of hidden pixels, corrected by its errors on withheld days.

A `Calibration` maps the two parts of a pixel's distribution, the probability of echo and the
ordered intensities given echo, to the same two. All published numbers follow from them in
`inpainting.predictive_distribution`: calibrated bounds cannot cross, be below the floor or miss the
median. `inpainting.calibration_fit` fits it. Of each group of pixels,

1. the probability of echo goes through a rising curve (isotonic regression), and
2. each intensity is moved by the offset of its level (conformalised quantile regression with an
   offset a bound: Romano et al. 2019, arXiv 1905.03222).

On days like those of the fit, intervals then hold at least their nominal share of all pixels. Of
echo alone they may hold less: where echo is predicted to be unlikely, most of the distribution is
at the floor, and so is all of a narrow interval. So the distribution *given echo* has offsets of
its own, fitted to hold over echo. Intensities that are best for the whole distribution leave
unlikely echo, which hardly counts in it, nearly as the network predicts it.

A group is a regime (the echo above the blind zone: `verification.curtain_scores.Regime`) in a band
of rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from blindzone.core.configuration import configuration, read_plain, to_plain
from blindzone.core.errors import CurtainError
from blindzone.core.two_part_distribution import even_levels
from blindzone.pipeline.inpainting.calibration_verdict import BY_DEPTH
from blindzone.pipeline.verification.curtain_scores import (
    Regime,
    find_regimes,
    find_regimes_above,
)

REGIMES = (Regime.TOUCHING, Regime.ALOFT, Regime.CLEAR)

CURVE_PROBABILITIES = np.linspace(0.0, 1.0, 101)
"""Probabilities at which a curve of occurrence is kept; between them it is straight."""

Calibrated = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Probability of echo `(...)`, and ordered intensities [dBZ] `(..., value)`: of the whole
distribution, and of the distribution given echo."""

OFFSET_LEVELS = (0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975)
"""Levels of intensity given echo whose offsets are kept. Between them offsets are straight, beyond
them constant."""


@configuration(error=CurtainError, what="calibration group")
class Group:
    """Calibration of one group of pixels, and how much data it was fitted to."""

    regime: str = ""
    """Name of its `Regime`; empty for all."""
    band: int = -1
    """Number of its band of rows, from the ground; -1 for all."""
    days: int = 0
    """Days with pixels of it."""
    blocks: int = 0
    """Blocks of time with pixels of it."""
    echo_days: int = 0
    """Days with echo in it."""
    echo_blocks: int = 0
    """Blocks of time with echo in it."""
    curve: tuple[float, ...]
    """Calibrated probability of echo at `CURVE_PROBABILITIES`, never falling."""
    offsets: tuple[float, ...]
    """What is added to the intensities [dB] at `OFFSET_LEVELS`."""
    offsets_given_echo: tuple[float, ...] = ()
    """The same for the distribution given echo; by default `offsets`."""

    def __post_init__(self) -> None:
        if not self.offsets_given_echo:
            object.__setattr__(self, "offsets_given_echo", self.offsets)
        # Written so that NaN fails too.
        in_range = all(0 <= probability <= 1 for probability in self.curve)
        rises = all(first <= second for first, second in pairwise(self.curve))
        if len(self.curve) != CURVE_PROBABILITIES.size or not (in_range and rises):
            raise ValueError(
                f"curve: {CURVE_PROBABILITIES.size} probabilities from 0 to 1 that never fall are"
                f" right; found {len(self.curve)}, {_summarize(self.curve)}"
            )
        for name in ("offsets", "offsets_given_echo"):
            found = getattr(self, name)
            if len(found) != len(OFFSET_LEVELS) or not np.isfinite(found).all():
                raise ValueError(
                    f"{name}: {len(OFFSET_LEVELS)} finite numbers of dB are right; found {found}"
                )


UNCHANGED = Group(curve=tuple(CURVE_PROBABILITIES.tolist()), offsets=(0.0,) * len(OFFSET_LEVELS))
"""The group of all pixels before anything is fitted: the network's own prediction."""


def _summarize(values: tuple[float, ...]) -> str:
    return f"from {min(values)} to {max(values)}" if values else "none"


@configuration(error=CurtainError, what="calibration")
class Calibration:
    """Correction of a network's predictions."""

    hidden_rows: int
    """Number of rows of the blind zone that it was made for."""
    floor_dbz: float
    """Sensitivity floor [dBZ] that it was made for."""
    bands: tuple[int, ...]
    """First row of each band, from the ground."""
    groups: tuple[Group, ...]
    """One for each regime and band."""

    def __post_init__(self) -> None:
        rise = all(first < second for first, second in pairwise(self.bands))
        if not (self.bands and self.bands[0] == 0 and rise):
            raise ValueError(f"bands: must begin with row 0 and rise; found {self.bands}")
        named = [(group.regime, group.band) for group in self.groups]
        if named != [(regime.name, band) for regime in REGIMES for band in range(len(self.bands))]:
            raise ValueError(
                f"groups: one a regime and band of {len(self.bands)} is right; found {named}"
            )

    def apply(
        self,
        probability: np.ndarray,
        intensity_dbz: np.ndarray,
        *,
        regime: np.ndarray,
        row: np.ndarray,
    ) -> Calibrated:
        """Returns the calibrated distribution: as a whole, and given echo.

        Args:
            probability: Probability of echo, of any shape `(...)`.
            intensity_dbz: Intensities given echo [dBZ] in increasing order, `(..., realization)`.
            regime: `Regime` of each pixel, broadcast to `(...)`; pixels of an unknown one stay as
                they are.
            row: Number of its row from the ground, likewise.
        """
        band = np.searchsorted(self.bands, row, side="right") - 1
        parts = (
            (group, (regime == Regime[group.regime]) & (band == group.band))
            for group in self.groups
        )
        return correct(probability, intensity_dbz, parts, floor_dbz=self.floor_dbz)

    def apply_below(
        self, visible: np.ndarray, probability: np.ndarray, intensity_dbz: np.ndarray
    ) -> Calibrated:
        """Returns the calibrated distribution of all hidden rows of profiles, as `apply` does.

        Args:
            visible: Reflectivity above the blind zone [dBZ] `(time, visible row)`, the lowest row
                first; it decides the regime of a profile.
            probability: Probability of echo `(time, hidden row)`.
            intensity_dbz: Intensities given echo [dBZ] in increasing order, `(time, hidden row,
                realization)`.
        """
        regime = find_regimes(visible, self.floor_dbz, profiles=len(visible))[:, None]
        return self.apply(
            probability, intensity_dbz, regime=regime, row=np.arange(probability.shape[1])
        )

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as plain values, for JSON."""
        return to_plain(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Calibration:
        """Returns the calibration that `to_dict` gave.

        Raises:
            CurtainError: If it is not understood.
        """
        return read_plain(cls, content, where="the checkpoint's calibration", error=CurtainError)


@dataclass(frozen=True)
class CalibrationByDepth:
    """Corrections for classes of depth of the blind zone, each fitted with zones of one depth.

    Attributes:
        classes: One for each fitted depth, the shallowest first. A profile takes the one nearest to
            its own depth; of two that are as near, the deeper.
    """

    classes: tuple[Calibration, ...]

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> CalibrationByDepth:
        """Returns the calibration that the record of a checkpoint holds.

        Raises:
            CurtainError: If it is not understood.
        """
        fits = [part.get("fit", {}) for part in record.get(BY_DEPTH) or (record,)]
        found = [Calibration.from_dict(fit) for fit in fits]
        return cls(tuple(sorted(found, key=lambda one: one.hidden_rows)))

    def select(self, depth: int) -> CalibrationByDepth | None:
        """Returns the calibration of one depth alone; None if it was not fitted for that."""
        found = tuple(one for one in self.classes if one.hidden_rows == depth)
        return CalibrationByDepth(found) if found else None

    def covers(self, depth: np.ndarray) -> np.ndarray:
        """Returns which depths [rows], of any shape, are between those that it was fitted for."""
        return (depth >= self.classes[0].hidden_rows) & (depth <= self.classes[-1].hidden_rows)

    def apply(
        self,
        reflectivity: np.ndarray,
        depth: np.ndarray,
        probability: np.ndarray,
        intensity_dbz: np.ndarray,
    ) -> Calibrated:
        """Returns the calibrated distribution of profiles, as `Calibration.apply` does.

        Profiles of depths that it does not cover stay as they are.

        Args:
            reflectivity: Reflectivity [dBZ] `(time, row)`; above its depth it decides the regime of
                a profile.
            depth: Hidden rows of each profile `(time,)`.
            probability: Probability of echo `(time, lowest row)`.
            intensity_dbz: Intensities given echo [dBZ] in increasing order, `(time, lowest row,
                realization)`.
        """
        fitted = np.array([one.hidden_rows for one in self.classes])
        away = np.abs(depth[:, None] - fitted)
        nearest = fitted.size - 1 - np.argmin(away[:, ::-1], axis=1)
        covered = self.covers(depth)
        first = self.classes[0]
        if (depth == first.hidden_rows).all():
            return first.apply_below(
                reflectivity[:, first.hidden_rows :], probability, intensity_dbz
            )
        floor = np.float32(first.floor_dbz)
        found = (
            probability.astype(np.float32),
            np.maximum(intensity_dbz, floor),
            np.maximum(intensity_dbz, floor),
        )
        regime = find_regimes_above(reflectivity, depth, first.floor_dbz)[:, None]
        for number, one in enumerate(self.classes):
            here = covered & (nearest == number)
            parts = one.apply(
                probability[here],
                intensity_dbz[here],
                regime=regime[here],
                row=np.arange(probability.shape[1]),
            )
            for whole, part in zip(found, parts, strict=True):
                whole[here] = part
        return found


def correct(
    probability: np.ndarray,
    intensity_dbz: np.ndarray,
    parts: Iterable[tuple[Group, np.ndarray]],
    *,
    floor_dbz: float,
) -> Calibrated:
    """Returns the distribution of pixels, each corrected by its group.

    Args:
        probability: Probability of echo, of any shape `(...)`.
        intensity_dbz: Intensities given echo [dBZ] in increasing order, `(..., realization)`.
        parts: Each group and its pixels, broadcast to `(...)`; pixels of none stay as they are.
        floor_dbz: Sensitivity floor [dBZ].
    """
    calibrated_probability = probability.astype(np.float32)
    calibrated_intensity = np.maximum(intensity_dbz, np.float32(floor_dbz))
    given_echo = calibrated_intensity.copy()
    levels = even_levels(intensity_dbz.shape[-1])
    for group, pixels in parts:
        here = np.broadcast_to(pixels, probability.shape)
        calibrated_probability[here] = np.interp(
            probability[here], CURVE_PROBABILITIES, group.curve
        )
        calibrated_intensity[here] += _find_offsets(levels, group.offsets)
        given_echo[here] += _find_offsets(levels, group.offsets_given_echo)
    calibrated_intensity.sort(axis=-1)
    given_echo.sort(axis=-1)
    return calibrated_probability, calibrated_intensity, given_echo


def _find_offsets(levels: np.ndarray, offsets: tuple[float, ...]) -> np.ndarray:
    """Returns the offsets at levels [dB], shape `(level,)`, from those at `OFFSET_LEVELS`."""
    return np.asarray(np.interp(levels, OFFSET_LEVELS, offsets), dtype=np.float32)
