"""Scores of a filled blind zone against the hidden truth.

A score is a final formula of *sums* that add up over chunks, days and sites: a year is scored in
parallel and in bounded memory. All schemes are scored on the same pixels, however uncertain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import partial
from typing import Annotated

import numpy as np
import xarray as xr
from pydantic import Field

from blindzone.core.configuration import configuration
from blindzone.core.errors import CurtainError
from blindzone.pipeline.curtains.curtain import ZERO_CELSIUS_K, DetectionStatus
from blindzone.pipeline.curtains.echo import find_shallow_and_virga
from blindzone.pipeline.curtains.quality import apply_floor
from blindzone.pipeline.network_input.inference_windows import find_stretches
from blindzone.pipeline.verification.pixel_scores import EVALUATION_LEVELS, PixelSums, sum_pixels
from blindzone.pipeline.verification.spectra import SpectrumSums, sum_spectra
from blindzone.pipeline.verification.statistics import Sums, ratio


class Regime(IntEnum):
    """Visible echo above the blind zone of a profile."""

    TOUCHING = 0  # echo in the lowest visible row
    ALOFT = 1  # echo, not in the lowest visible row
    CLEAR = 2  # no echo
    UNKNOWN = 3  # visible rows were not given


HOURS_PER_STRATUM = 3
HOUR_STRATA = 24 // HOURS_PER_STRATUM + 1
"""Strata of the UTC hour; the last is of profiles whose hour was not given."""


class Phase(IntEnum):
    """What echo consists of, by the air temperature of a pixel."""

    COLD = 0  # up to 0 degree C: ice, or supercooled water
    WARM = 1  # above: water, or melting ice
    UNKNOWN = 2  # temperature was not given


@dataclass(frozen=True, kw_only=True, eq=False)
class ColumnSums(Sums):
    """Hits, misses and false alarms of columns of shallow echo and of virga.

    `blindzone.pipeline.curtains.echo` defines both kinds.
    """

    columns: int = 0
    shallow_hits: int = 0
    shallow_misses: int = 0
    shallow_false_alarms: int = 0
    virga_hits: int = 0
    virga_misses: int = 0
    virga_false_alarms: int = 0

    def scores(self, *, least: int = 1) -> dict[str, float]:
        """Returns POD, FAR and CSI of shallow echo and of virga, and their share of the columns.

        Args:
            least: Least number of columns that a score rests on; with fewer it is NaN.
        """
        share = partial(ratio, least=least)
        scores: dict[str, float] = {}
        for kind in ("shallow", "virga"):
            hits, misses, false = (
                getattr(self, f"{kind}_{outcome}") for outcome in ("hits", "misses", "false_alarms")
            )
            scores |= {
                f"{kind} POD": share(hits, hits + misses),
                f"{kind} FAR": share(false, hits + false),
                f"{kind} CSI": share(hits, hits + misses + false),
                f"{kind} share": share(hits + misses, self.columns),
            }
        return scores


@dataclass(frozen=True, kw_only=True, eq=False)
class CurtainSums(Sums):
    """All sums of curtains: single pixels, columns and power spectra.

    Attributes:
        pixels: Of pixels by row and regime.
        strata: Of the same pixels by stratum of the UTC hour and by `Phase`, in place of row and
            regime.
        columns: Of columns.
        spectra: Of power spectra.
    """

    pixels: PixelSums
    strata: PixelSums
    columns: ColumnSums
    spectra: SpectrumSums

    def pool(self) -> CurtainSums:
        """Returns the sums over all rows, regimes and strata: the same scores, in less memory."""
        return replace(self, pixels=self.pixels.pool(), strata=self.strata.pool())

    def scores(self, *, least: int = 1) -> dict[str, float]:
        """Returns all scores, pooled; NaN where there is nothing to score.

        Args:
            least: Least number of pixels, or columns, that a score rests on.
        """
        return (
            self.pixels.scores(least=least)
            | self.columns.scores(least=least)
            | self.spectra.scores()
        )


@configuration(error=CurtainError, what="scores")
class ScoredLayer:
    """The hidden part of a gridded curtain, and the part of it that is scored."""

    hidden_rows: int
    """Number of rows in the blind zone."""
    lowest_row: Annotated[int, Field(ge=0)]
    """First row whose truth is trusted."""
    floor_dbz: float
    """Sensitivity floor [dBZ]."""
    longest_gap_s: float
    """Longest gap between profiles [s] within a stretch of a curtain."""

    def __post_init__(self) -> None:
        if self.lowest_row >= self.hidden_rows:
            raise ValueError(
                f"no truth is trusted below row {self.lowest_row}, and {self.hidden_rows}"
                " rows are hidden: nothing is left to score; a lowest trusted height below the"
                " blind zone's top is right"
            )

    def part(self, curtain: xr.Dataset) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns visible and hidden reflectivity [dBZ], and where truth counts, `(time, row)`."""
        reflectivity, status = curtain["reflectivity"].values, curtain["detection_status"].values
        trusted = find_scored(status[:, : self.hidden_rows])
        trusted[:, : self.lowest_row] = False
        return reflectivity[:, self.hidden_rows :], reflectivity[:, : self.hidden_rows], trusted

    def score(
        self, curtain: xr.Dataset, probability: np.ndarray, quantiles: np.ndarray, seed: int = 0
    ) -> CurtainSums:
        """Returns the sums of a scheme's prediction at `EVALUATION_LEVELS`.

        Args:
            curtain: The measured curtain.
            probability: Probability of echo `(time, hidden row)`.
            quantiles: Quantiles of max(dBZ, floor) [dBZ] `(level, time, hidden row)`.
            seed: As in `sum_curtain`.
        """
        visible, hidden, trusted = self.part(curtain)
        rows = slice(self.lowest_row, self.hidden_rows)
        return sum_curtain(
            hidden[:, rows],
            probability[:, rows],
            quantiles[:, :, rows],
            EVALUATION_LEVELS,
            floor_dbz=self.floor_dbz,
            visible=visible,
            scored=trusted[:, rows],
            stretches=find_stretches(curtain["time"].values, longest_gap_s=self.longest_gap_s),
            stratum=find_strata(curtain, rows),
            seed=seed,
        )


def find_strata(curtain: xr.Dataset, rows: slice) -> np.ndarray:
    """Returns number of UTC hours and of `Phase` of each pixel of some rows, `(2, time, row)`."""
    hours = np.asarray(curtain["time"].dt.hour) // HOURS_PER_STRATUM
    shape = curtain["reflectivity"].values[:, rows].shape
    phase = np.full(shape, Phase.UNKNOWN, dtype=np.intp)
    if "temperature" in curtain:
        kelvin = curtain["temperature"].values[:, rows]
        phase = np.where(kelvin > ZERO_CELSIUS_K, Phase.WARM, Phase.COLD).astype(np.intp)
        phase[np.isnan(kelvin)] = Phase.UNKNOWN
    return np.stack([np.broadcast_to(hours[:, None], shape), phase])


def sum_curtain(
    truth: np.ndarray,
    probability: np.ndarray,
    quantiles: np.ndarray,
    levels: Sequence[float],
    *,
    floor_dbz: float,
    visible: np.ndarray | None = None,
    scored: np.ndarray | None = None,
    stretches: Sequence[slice] = (slice(None),),
    stratum: np.ndarray | None = None,
    seed: int = 0,
) -> CurtainSums:
    """Returns the sums of a scheme's prediction of hidden rows with trusted truth.

    Args:
        truth: Observations [dBZ] `(time, row)`; NaN, and values up to the floor, are no echo.
        probability: Probability of echo `(time, row)`; 0 or 1 for a deterministic scheme.
        quantiles: Quantiles of max(dBZ, floor) [dBZ] `(level, time, row)`; a deterministic scheme's
            are all equal.
        levels: Their levels, increasing; with `EVALUATION_LEVELS` every score can be given.
        floor_dbz: Sensitivity floor [dBZ].
        visible: Reflectivity above the blind zone [dBZ] `(time, visible row)`, the lowest row
            first; it decides regimes and kinds of columns. Without it these have no scores.
        scored: Pixels that count, bool `(time, row)`; all by default.
        stretches: Profiles without a gap between them, each for its own temporal spectra.
        stratum: Number of UTC hours and of `Phase` of each pixel `(2, time, row)`; by default
            neither is known.
        seed: Seed of the draws that spread the probability integral transform over the atom.

    Raises:
        CurtainError: If shapes do not fit, the median is not among the levels, or a value is not
            finite.
    """
    # 0.15 of an arithmetic sequence is 0.15.
    steps = tuple(round(float(level), 6) for level in levels)
    counts = np.ones(truth.shape, dtype=bool) if scored is None else scored
    _check(truth, probability, quantiles, steps, visible, counts)
    floor = np.float32(floor_dbz)
    measured = raise_to_floor(truth, floor_dbz)
    prediction = np.maximum(quantiles.astype(np.float32), floor)
    regimes = find_regimes(visible, floor_dbz, profiles=len(truth))
    profile, row = np.nonzero(counts)
    strata = (HOUR_STRATA, len(Phase))
    unknown = (HOUR_STRATA - 1, Phase.UNKNOWN)
    hours, phase = unknown if stratum is None else stratum[:, counts]
    sums = sum_pixels(
        measured[counts],
        probability[counts],
        prediction[:, counts],
        steps,
        row=np.asarray((row * strata[0] + hours) * strata[1] + phase),
        regime=regimes[profile],
        shape=(truth.shape[1] * strata[0] * strata[1], len(Regime)),
        floor_dbz=floor_dbz,
        random=np.random.default_rng(seed),
    )
    pixels, by_stratum = sums.split_rows(strata)
    columns = ColumnSums()
    if visible is not None:
        columns = sum_columns(measured > floor, probability > 0.5, visible > floor, counts)
    spectra = sum_spectra(measured, prediction[steps.index(0.5)], counts, stretches)
    return CurtainSums(pixels=pixels, strata=by_stratum, columns=columns, spectra=spectra)


def find_regimes(visible: np.ndarray | None, floor_dbz: float, *, profiles: int) -> np.ndarray:
    """Returns the `Regime` of each profile `(time,)` from its visible reflectivity [dBZ]."""
    if visible is None:
        return np.full(profiles, Regime.UNKNOWN, dtype=np.intp)
    echo = visible > np.float32(floor_dbz)  # false for NaN
    seen = np.where(echo.any(axis=1), Regime.ALOFT, Regime.CLEAR)
    return np.where(echo[:, 0], Regime.TOUCHING, seen).astype(np.intp)


def find_regimes_above(reflectivity: np.ndarray, depth: np.ndarray, floor_dbz: float) -> np.ndarray:
    """Returns the `Regime` of each profile `(time,)` whose lowest rows are hidden.

    Args:
        reflectivity: Reflectivity [dBZ] `(time, row)`.
        depth: Hidden rows of each profile from the ground up `(time,)`; a profile without a visible
            row is clear.
        floor_dbz: Sensitivity floor [dBZ].
    """
    rows = reflectivity.shape[1]
    echo = reflectivity > np.float32(floor_dbz)  # false for NaN
    is_visible = np.arange(rows) >= depth[:, None]
    seen = np.where((echo & is_visible).any(axis=1), Regime.ALOFT, Regime.CLEAR)
    lowest = np.take_along_axis(echo, np.minimum(depth, rows - 1)[:, None], axis=1)[:, 0]
    return np.where(lowest & (depth < rows), Regime.TOUCHING, seen).astype(np.intp)


def sum_columns(
    echo: np.ndarray, predicted: np.ndarray, visible_echo: np.ndarray, scored: np.ndarray
) -> ColumnSums:
    """Returns the sums of columns with at least one scored pixel.

    Args:
        echo: Where echo was measured, bool `(time, row)`.
        predicted: Where it was predicted.
        visible_echo: Where it was measured above the blind zone, bool `(time, visible row)`, the
            lowest row first.
        scored: Pixels that count, bool `(time, row)`.
    """
    counts = scored.any(axis=1)
    observed, forecast = (
        find_shallow_and_virga((field & scored)[counts], visible_echo[counts])
        for field in (echo, predicted)
    )
    tallies: dict[str, int] = {}
    for kind, true, foreseen in zip(("shallow", "virga"), observed, forecast, strict=True):
        tallies |= {
            f"{kind}_hits": int((true & foreseen).sum()),
            f"{kind}_misses": int((true & ~foreseen).sum()),
            f"{kind}_false_alarms": int((~true & foreseen).sum()),
        }
    return ColumnSums(columns=int(counts.sum()), **tallies)


def find_scored(detection_status: np.ndarray) -> np.ndarray:
    """Returns the pixels with trusted data, bool of the same shape."""
    return ~np.isin(detection_status, (DetectionStatus.UNTRUSTED, DetectionStatus.NO_DATA))


def score_product(
    product: xr.Dataset,
    detection_status: xr.DataArray,
    *,
    floor_dbz: float,
    schemes: Sequence[str] = ("fill", "repeat"),
) -> dict[str, CurtainSums]:
    """Returns the sums of a product and of persistence on hidden pixels with trusted truth.

    Args:
        product: A product with `reflectivity_observed` in its blind zone, as ground-based radars
            give it.
        detection_status: Status of the measured curtain `(time, height)`.
        floor_dbz: Sensitivity floor [dBZ].
        schemes: Which of the two are scored.

    Returns:
        Sums of `fill` and of `repeat`, the lowest visible row repeated downwards.
    """
    filled = np.isfinite(product["hydrometeor_probability"].values)
    scored = filled & find_scored(detection_status.values)
    rows = np.flatnonzero(scored.any(axis=0))
    observed = product["reflectivity_observed"].values
    visible = _take_visible(observed, filled)
    levels = tuple(product["quantile"].values.tolist())
    counts = scored[:, rows]
    repeated = np.broadcast_to(raise_to_floor(visible[:, :1], floor_dbz), counts.shape)
    prediction = {
        "fill": (
            product["hydrometeor_probability"][:, rows].values,
            product["reflectivity_quantile"][:, :, rows].values,
        ),
        "repeat": (
            (repeated > np.float32(floor_dbz)).astype(np.float32),
            np.broadcast_to(repeated, (len(levels), *repeated.shape)),
        ),
    }
    return {
        scheme: sum_curtain(
            observed[:, rows],
            *prediction[scheme],
            levels,
            floor_dbz=floor_dbz,
            visible=visible,
            scored=counts,
        )
        for scheme in schemes
    }


def _take_visible(observed: np.ndarray, filled: np.ndarray) -> np.ndarray:
    """Returns reflectivity above the filled rows of each profile [dBZ] `(time, visible row)`.

    The lowest row above them is the first; beyond the top of the grid there is NaN.
    """
    rows = filled.shape[1]
    depth = np.where(filled.any(axis=1), rows - np.argmax(filled[:, ::-1], axis=1), 0)
    row = depth[:, None] + np.arange(rows - depth.min(initial=rows - 1))
    taken = np.take_along_axis(observed, np.minimum(row, rows - 1), axis=1)
    return np.where(row < rows, taken, np.float32(np.nan))


def raise_to_floor(reflectivity: np.ndarray, floor_dbz: float) -> np.ndarray:
    """Returns max(dBZ, floor), float32 of the same shape; no echo (NaN) is at the floor."""
    return np.asarray(np.nan_to_num(apply_floor(reflectivity, floor_dbz), nan=floor_dbz))


def _check(
    truth: np.ndarray,
    probability: np.ndarray,
    quantiles: np.ndarray,
    levels: tuple[float, ...],
    visible: np.ndarray | None,
    scored: np.ndarray,
) -> None:
    expected = {
        "probability": (probability.shape, truth.shape),
        "quantiles": (quantiles.shape, (len(levels), *truth.shape)),
        "scored": (scored.shape, truth.shape),
    }
    for name, (found, right) in expected.items():
        if found != right or truth.ndim != 2:
            raise CurtainError(
                f"scores: {name} of shape {right} is right, with truth (time, row); found {found}"
            )
    if visible is not None and (
        visible.ndim != 2 or len(visible) != len(truth) or not visible.shape[1]
    ):
        raise CurtainError(
            f"scores: visible ({len(truth)}, visible row) is right; found {visible.shape}"
        )
    if 0.5 not in levels or sorted(set(levels)) != list(levels):
        raise CurtainError(f"scores: levels must increase and hold the median, 0.5; found {levels}")
    if not (np.isfinite(probability[scored]).all() and np.isfinite(quantiles[:, scored]).all()):
        raise CurtainError(
            "scores: a scheme's probabilities and quantiles must be finite wherever a pixel is"
            " scored"
        )
