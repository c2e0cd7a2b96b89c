"""Fits a `Calibration` to a network's predictions of withheld days, and measures what it gains.

Pixels of one time, and of one day, are much alike: half a million of them are no half a million
tests. So samples are counted in *blocks* of time, half an hour by default, and in *days*.

Blocks enter the conformal quantiles. Of n blocks, the offset of a level t > 1/2 is the (n + 1) t /
n quantile of (measured - predicted) over all pixels of the group, by symmetry for t < 1/2. With one
pixel a block it is the ceil((n + 1) t)-th smallest, the textbook's (Romano et al. 2019, arXiv
1905.03222). Levels beyond 1 take the largest.

Days decide the weight of a group: with n days its own fit counts n / (n + K), that of the coarser
group K / (n + K). The coarser group of a regime and band is the regime, that of a regime is the
whole, and that of the whole is the network's own prediction. Days differ from each other far more
than networks are wrong, above all in how often there is echo under a clear sky, so K is large. It
is the K with the lowest score of four validation days, each scored by a calibration of the other
three.

The distribution *given echo* has offsets of its own: plain quantiles of (measured - predicted)
without the correction for few blocks. For outer levels of groups of some twenty blocks that
correction takes the largest of thousands of pixels, and the 95 % interval then held 99.9 % of the
echo of days left out. How far the offsets move the middle of each central interval is shrunk as the
other offsets are; by how much they widen it hardly is. Days differ in whether echo is stronger or
weaker than predicted, and far less in how widely it scatters (`docs/coverage.md`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Annotated

import numpy as np
import xarray as xr
from pydantic import Field
from sklearn.isotonic import IsotonicRegression

from blindzone.core.configuration import configuration
from blindzone.core.errors import CurtainError
from blindzone.pipeline.inpainting.calibration import (
    CURVE_PROBABILITIES,
    OFFSET_LEVELS,
    REGIMES,
    UNCHANGED,
    Calibration,
    Group,
)
from blindzone.pipeline.verification.curtain_scores import (
    CurtainSums,
    ScoredLayer,
    find_regimes,
    sum_curtain,
)
from blindzone.pipeline.verification.pixel_scores import EVALUATION_LEVELS, INTERVALS, PIT_BINS
from blindzone.pipeline.verification.statistics import ratio

_SCORES = ("CRPS [dB]", "MAE [dB]", "CSI", "Brier", "reliability", "spread-skill ratio")

_DECIMALS = 5
"""Of what is kept: finer than any of it is known."""


Days = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@configuration(error=CurtainError, what="calibration")
class CalibrationConfig:
    """How a calibration is fitted."""

    block_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1800.0
    """Length [s] of a block of time, which conformal quantiles count."""
    bands: Annotated[int, Field(ge=1)] = 3
    """Number of bands into which the rows with trusted truth are parted."""
    occurrence_days: Days = 256.0
    """Days K that a group needs for its own curve of occurrence to count half."""
    intensity_days: Days = 16.0
    """The same for its offsets."""
    given_echo_days: Days = 1.0
    """The same for the widths of central intervals given echo; for their middles it is
    `intensity_days`."""
    hidden_echo_days: Days = 5.0
    """Days that the members' own chance of hidden echo under a clear sky counts for."""
    member_days: Days = 10.0
    """Fewest days with echo at the zone's top that the dependence of members is fitted to. A fit to
    three such days among five kept half of the correlation in time (`docs/members.md`)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CalibrationSample:
    """Predictions and observations of pixels with trusted truth.

    Attributes:
        probability: Probability of echo `(pixel,)`.
        echo: Whether there was any, `(pixel,)`.
        regime: `Regime` of its profile `(pixel,)`.
        row: Its row, from the ground `(pixel,)`.
        day: Number of its day `(pixel,)`.
        block: Number of its block of time, unique among all days `(pixel,)`.
        truth: Observed reflectivity of echo pixels [dBZ] `(echo pixel,)`.
        intensity: Predicted reflectivity of echo pixels given echo [dBZ], in increasing order,
            `(echo pixel, realization)`.
    """

    probability: np.ndarray
    echo: np.ndarray
    regime: np.ndarray
    row: np.ndarray
    day: np.ndarray
    block: np.ndarray
    truth: np.ndarray
    intensity: np.ndarray


def sample_day(
    probability: np.ndarray,
    intensity_dbz: np.ndarray,
    truth: np.ndarray,
    *,
    scored: np.ndarray,
    visible: np.ndarray,
    time: np.ndarray,
    floor_dbz: float,
    config: CalibrationConfig,
) -> CalibrationSample:
    """Returns predictions and observations of one day's scored pixels.

    Args:
        probability: Probability of echo `(time, row)`, rows from the ground.
        intensity_dbz: Intensities given echo [dBZ], in increasing order, `(time, row,
            realization)`.
        truth: Observed reflectivity [dBZ] `(time, row)`; NaN, and values that do not exceed the
            floor, are no echo.
        scored: Pixels whose truth counts, bool `(time, row)`.
        visible: Reflectivity above the blind zone [dBZ] `(time, visible row)`, the lowest row
            first.
        time: Times of the profiles `(time,)`, datetime64.
        floor_dbz: Sensitivity floor [dBZ].
        config: How long a block is.
    """
    floor = np.float32(floor_dbz)
    profile, row = np.nonzero(scored)
    seconds = (time - np.datetime64("1970-01-01")) / np.timedelta64(1, "s")
    block = np.floor(seconds / config.block_s).astype(np.int64)
    echo = truth > floor  # false for NaN
    is_kept = scored & echo
    return CalibrationSample(
        probability=probability[scored].astype(np.float32),
        echo=echo[scored],
        regime=find_regimes(visible, floor_dbz, profiles=len(truth))[profile],
        row=row,
        day=np.floor(seconds / 86400).astype(np.int64)[profile],
        block=block[profile],
        truth=truth[is_kept].astype(np.float32),
        intensity=np.maximum(intensity_dbz[is_kept], floor),
    )


def fit_calibration(
    samples: Sequence[CalibrationSample],
    config: CalibrationConfig,
    *,
    hidden_rows: int,
    floor_dbz: float,
) -> Calibration:
    """Returns the calibration that fits the days.

    Where no echo was observed, intensities stay as they are.

    Args:
        samples: One a day, in any order.
        config: How it is fitted.
        hidden_rows: Number of rows of the blind zone.
        floor_dbz: Sensitivity floor [dBZ].

    Raises:
        CurtainError: If no pixel has a truth to compare with.
    """
    if not any(sample.echo.size for sample in samples):
        raise CurtainError(
            f"calibration: none of {len(samples)} days has a hidden pixel with trusted truth; days"
            " with measured profiles, and a blind zone that reaches above the lowest trusted"
            " height, are right"
        )
    pooled = pool_samples([sample for sample in samples if sample.echo.size])
    residuals = find_residuals(pooled)
    bands = _find_bands(int(pooled.row.min()), hidden_rows, config.bands)
    band = np.searchsorted(bands, pooled.row, side="right") - 1
    whole = fit_group(pooled, residuals, np.ones_like(pooled.echo), UNCHANGED, config)
    groups = []
    for regime in REGIMES:
        of_regime = pooled.regime == regime
        coarser = fit_group(pooled, residuals, of_regime, whole, config)
        for number in range(len(bands)):
            named = name_group(coarser, regime.name, number)
            inside = of_regime & (band == number)
            groups.append(fit_group(pooled, residuals, inside, named, config))
    return Calibration(
        hidden_rows=hidden_rows, floor_dbz=floor_dbz, bands=bands, groups=tuple(groups)
    )


def _find_bands(lowest: int, hidden_rows: int, count: int) -> tuple[int, ...]:
    """Returns the first row of at most `count` bands of the rows from the lowest trusted one."""
    parts = np.array_split(np.arange(lowest, hidden_rows), count)
    starts = [int(rows[0]) for rows in parts if rows.size]
    return 0, *starts[1:]


def name_group(fitted: Group, regime: str, band: int) -> Group:
    """Returns a group of the same fit under another name, and of no data yet."""
    return Group(
        regime=regime,
        band=band,
        curve=fitted.curve,
        offsets=fitted.offsets,
        offsets_given_echo=fitted.offsets_given_echo,
    )


def pool_samples(samples: Sequence[CalibrationSample]) -> CalibrationSample:
    """Returns the pixels of all samples as one."""
    counts = {sample.intensity.shape[1] for sample in samples}
    if len(counts) > 1:
        raise CurtainError(
            "calibration: days filled with one number of realizations are right; found"
            f" {sorted(counts)}"
        )
    return CalibrationSample(
        **{
            f.name: np.concatenate([getattr(sample, f.name) for sample in samples])
            for f in fields(CalibrationSample)
        }
    )


def find_residuals(sample: CalibrationSample) -> np.ndarray:
    """Returns observed minus predicted [dB] at `OFFSET_LEVELS`, `(echo pixel, level)`."""
    count = sample.intensity.shape[1]
    position = np.clip(np.asarray(OFFSET_LEVELS) * count - 0.5, 0, count - 1)
    lower = np.floor(position).astype(np.intp)
    upper = np.minimum(lower + 1, count - 1)
    below, above = sample.intensity[:, lower], sample.intensity[:, upper]
    return np.asarray(sample.truth[:, None] - (below + (position - lower) * (above - below)))


def fit_group(
    sample: CalibrationSample,
    residuals: np.ndarray,
    inside: np.ndarray,
    coarser: Group,
    config: CalibrationConfig,
) -> Group:
    """Returns the group of the pixels inside, shrunk towards the coarser one of the same name."""
    if not inside.any():
        return coarser
    days, blocks = _count_times(sample, inside)
    echo_days, echo_blocks = _count_times(sample, inside & sample.echo)
    curve = _blend(
        isotonic_curve(sample.probability[inside], sample.echo[inside]),
        coarser.curve,
        days,
        config.occurrence_days,
    )
    offsets, given_echo = np.asarray(coarser.offsets), np.asarray(coarser.offsets_given_echo)
    if echo_blocks:
        own = residuals[inside[sample.echo]]
        offsets = _blend(
            conformal_offsets(own, echo_blocks), offsets, echo_days, config.intensity_days
        )
        given_echo = _blend_given_echo(plain_offsets(own), given_echo, echo_days, config)
    return Group(
        regime=coarser.regime,
        band=coarser.band,
        days=days,
        blocks=blocks,
        echo_days=echo_days,
        echo_blocks=echo_blocks,
        curve=tuple(np.round(curve, _DECIMALS).tolist()),
        offsets=tuple(np.round(offsets, _DECIMALS).tolist()),
        offsets_given_echo=tuple(np.round(given_echo, _DECIMALS).tolist()),
    )


def _count_times(sample: CalibrationSample, inside: np.ndarray) -> tuple[int, int]:
    """Returns the number of days and of blocks with pixels inside, bool `(pixel,)`."""
    return np.unique(sample.day[inside]).size, np.unique(sample.block[inside]).size


def _blend(
    own: np.ndarray, coarser: Sequence[float] | np.ndarray, days: int, prior_days: float
) -> np.ndarray:
    """Returns (n own + K coarser) / (n + K) of n days; n is at least 1."""
    return np.asarray((days * own + prior_days * np.asarray(coarser)) / (days + prior_days))


def _blend_given_echo(
    own: np.ndarray, coarser: np.ndarray, days: int, config: CalibrationConfig
) -> np.ndarray:
    """Returns offsets given echo: middles and widths of central intervals are blended apart.

    `OFFSET_LEVELS` are symmetric: the offset of each level is what its interval moves by and half
    of what it widens by.
    """
    moved = _blend(
        (own + own[::-1]) / 2, (coarser + coarser[::-1]) / 2, days, config.intensity_days
    )
    widened = _blend(
        (own - own[::-1]) / 2, (coarser - coarser[::-1]) / 2, days, config.given_echo_days
    )
    return np.asarray(moved + widened)


def isotonic_curve(probability: np.ndarray, echo: np.ndarray) -> np.ndarray:
    """Returns the frequency of echo at `CURVE_PROBABILITIES` by isotonic regression.

    It is straight between the mean probabilities of the regression's steps: with flat steps,
    pixels with different predictions would become alike.

    Args:
        probability: Predicted probability `(n,)`.
        echo: Whether there was echo, or how likely that is, `(n,)`.
    """
    prediction = probability.astype(np.float64)
    fitted = IsotonicRegression(y_min=0.0, y_max=1.0).fit_transform(
        prediction, echo.astype(np.float64)
    )
    frequency, step = np.unique(fitted, return_inverse=True)
    centre = np.bincount(step, weights=prediction) / np.bincount(step)
    return np.asarray(np.interp(CURVE_PROBABILITIES, centre, frequency))


def conformal_offsets(residuals: np.ndarray, blocks: int) -> np.ndarray:
    """Returns offsets of the quantiles at `OFFSET_LEVELS` that hold on an exchangeable block.

    Args:
        residuals: Observed minus predicted [dB] at `OFFSET_LEVELS`, `(pixel, level)`.
        blocks: Number n of independent blocks among them.
    """
    offsets = []
    for level, residual in zip(OFFSET_LEVELS, residuals.T, strict=True):
        if level == 0.5:
            offsets.append(np.median(residual))
            continue
        side = 1.0 if level > 0.5 else -1.0
        rank = min((blocks + 1) * max(level, 1 - level) / blocks, 1.0)
        offsets.append(side * np.quantile(side * residual, rank, method="inverted_cdf"))
    return np.asarray(offsets, dtype=np.float64)


def plain_offsets(residuals: np.ndarray) -> np.ndarray:
    """Returns offsets of the quantiles at `OFFSET_LEVELS` that hold on these pixels.

    Args:
        residuals: Observed minus predicted [dB] at `OFFSET_LEVELS`, `(pixel, level)`.
    """
    pairs = zip(OFFSET_LEVELS, residuals.T, strict=True)
    return np.array([np.quantile(residual, level) for level, residual in pairs])


def score_given_echo(
    layer: ScoredLayer, curtain: xr.Dataset, quantiles_given_echo: np.ndarray
) -> CurtainSums:
    """Returns the sums of scores given echo: over echo pixels alone, as if echo were certain.

    Args:
        layer: Hidden and scored rows of the curtain.
        curtain: The observed curtain.
        quantiles_given_echo: At `EVALUATION_LEVELS` [dBZ], `(level, time, hidden row)`.
    """
    visible, hidden, trusted = layer.part(curtain)
    rows = slice(layer.lowest_row, layer.hidden_rows)
    truth = hidden[:, rows]
    return sum_curtain(
        truth,
        np.ones(truth.shape, dtype=np.float32),
        quantiles_given_echo[:, :, rows],
        EVALUATION_LEVELS,
        floor_dbz=layer.floor_dbz,
        visible=visible,
        scored=trusted[:, rows] & (truth > np.float32(layer.floor_dbz)),
    )


def summarize_sums(sums: CurtainSums) -> dict[str, float]:
    """Returns the scores that a calibration is judged by.

    The coverage of intervals over all pixels exceeds the nominal one, since certain clear sky is
    always inside. So the share of probability integral transforms inside the same central interval
    is there too, drawn at random within the atom at the floor. Of a calibrated distribution it is
    the nominal one.
    """
    scores, pixels = sums.scores(), sums.pixels
    found = {name: scores[name] for name in _SCORES}
    regimes = {regime.name.lower(): pixels.select(regime=regime).scores() for regime in REGIMES}
    rows = [pixels.select(row=row).scores() for row in range(len(pixels.pixels))]
    transforms = pixels.pit.sum(axis=(0, 1))
    for nominal, bounds in INTERVALS.items():
        found |= {
            name: scores[name]
            for name in (f"width {nominal} % [dB]", f"width {nominal} % echo [dB]")
        }
        first, last = (bound * PIT_BINS for bound in bounds)
        if first == int(first):
            found[f"PIT inside {nominal} %"] = ratio(
                transforms[int(first) : int(last)].sum(), transforms.sum()
            )
        for name in (f"coverage {nominal} %", f"coverage {nominal} % echo"):
            found[name] = scores[name]
            found |= {f"{name}, {regime}": of_regime[name] for regime, of_regime in regimes.items()}
            found[f"{name}, lowest of rows"] = min(of_row[name] for of_row in rows)
    return found


def summarize_given_echo(sums: CurtainSums) -> dict[str, float]:
    """Returns the scores that the distribution given echo is judged by."""
    found = summarize_sums(sums)
    kept = [
        name
        for name in found
        if name.startswith(("CRPS", "coverage", "width")) and " echo" not in name
    ]
    return {f"given echo: {name}": found[name] for name in kept}
