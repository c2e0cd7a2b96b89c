"""Scores of ensemble members as fields: what of them is coherent, and what is computed of them.

- *Rank correlation*: of the levels (probability integral transforms) of one member with themselves
  some time later, and some rows higher, beside that of the truth's own levels in the same
  distributions. At the floor a level is drawn, for both.
- *Spread over error*: of means of max(dBZ, floor) over windows of time, of the whole layer and of
  single rows, and of column maxima. Spread is the root of the mean variance over K members, times
  (1 + 1 / K), error that of the squared difference of their mean from the truth: 1 where members
  and truth are alike (Fortin et al. 2014, J. Hydrometeorol. 15, 1708).
- *Energy score* and *variogram score* with p = 0.5 of blocks of `BLOCK_PROFILES` profiles, the
  former with the fair spread of K members (Gneiting and Raftery 2007, JASA 102, 359; Scheuerer
  and Hamill 2015, Mon. Wea. Rev. 143, 1321), the latter as the mean over pairs of pixels.
- *Spectral distance* of members and, to compare, of the median field (`spectra`), and the *earth
  mover's distance* of the histograms of members and truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from blindzone.pipeline.verification.spectra import SpectrumSums, sum_spectra
from blindzone.pipeline.verification.statistics import Sums, ratio

LAGS_S = (9, 60, 300, 900, 1800)
"""Lags [s] of rank correlations."""
ROWS_BETWEEN = (1, 2, 4, 8)
"""Rows between pixels whose ranks are correlated."""
WINDOWS_S = (300, 1800, 3600)
"""Lengths [s] of the windows whose means are scored."""
BLOCK_PROFILES = 16
"""Profiles of a block that energy and variogram scores take as one vector."""
RANKED_MEMBERS = 4
"""Members whose levels are correlated: they differ by little, and each costs a search."""

_BIN_DB = 0.5
_BINS = np.arange(-60.0, 60.0 + _BIN_DB, _BIN_DB)


@dataclass(frozen=True, kw_only=True, eq=False)
class FieldSums(Sums):
    """Sums of curtains with members.

    Attributes:
        truth_levels: Moments of pairs of levels of the truth `(distance, 6)`: number, both sums,
            both sums of squares, sum of products; lags first, then rows between.
        member_levels: The same of members.
        layer_means: Squared error, variance and number by window `(window, 3)`, of means of the
            whole layer.
        row_means: The same of single rows.
        maxima: The same of column maxima `(3,)`.
        energy: Summed energy score [dB].
        variogram: Summed variogram score [dB].
        blocks: Number of blocks.
        spectra: Power spectra of members and truth.
        median_spectra: Those of the median field and the truth.
        histogram: Pixels by bin of members.
        truth_histogram: The same of the truth.
    """

    truth_levels: np.ndarray
    member_levels: np.ndarray
    layer_means: np.ndarray
    row_means: np.ndarray
    maxima: np.ndarray
    energy: float
    variogram: float
    blocks: int
    spectra: SpectrumSums
    median_spectra: SpectrumSums
    histogram: np.ndarray
    truth_histogram: np.ndarray

    def scores(self) -> dict[str, float]:
        """Returns all scores, pooled; NaN where there is nothing to score."""
        scores: dict[str, float] = {}
        distances = [f"{lag} s" for lag in LAGS_S] + [f"{rows} rows" for rows in ROWS_BETWEEN]
        for number, distance in enumerate(distances):
            for whose in ("truth", "member"):
                moments = getattr(self, f"{whose}_levels")[number]
                scores[f"rank correlation {distance} {whose}"] = _correlate(moments)
        for number, window in enumerate(WINDOWS_S):
            for part in ("layer", "row"):
                sums = getattr(self, f"{part}_means")[number]
                scores |= _compare_spread(f"{part} mean {window // 60} min", sums)
        scores |= _compare_spread("column maximum", self.maxima)
        scores["energy score [dB]"] = ratio(self.energy, self.blocks)
        scores["variogram score [dB]"] = ratio(self.variogram, self.blocks)
        scores |= self.spectra.scores()
        scores |= {
            f"{name} of median": value for name, value in self.median_spectra.scores().items()
        }
        shares = [
            np.cumsum(one) / max(one.sum(), 1) for one in (self.histogram, self.truth_histogram)
        ]
        scores["EMD [dB]"] = float(np.abs(shares[0] - shares[1]).sum() * _BIN_DB)
        return scores


def _correlate(moments: np.ndarray) -> float:
    count, a, b, aa, bb, ab = moments
    if not count:
        return float("nan")
    variance = (aa - a * a / count) * (bb - b * b / count)
    return ratio(ab - a * b / count, float(np.sqrt(max(variance, 0.0))))


def _compare_spread(of: str, sums: np.ndarray) -> dict[str, float]:
    error, variance, count = sums
    return {
        f"{of} error [dB]": float(np.sqrt(ratio(error, count))),
        f"{of} spread/error": float(np.sqrt(ratio(variance, error))),
    }


def sum_fields(
    truth: np.ndarray,
    members: np.ndarray,
    median: np.ndarray,
    *,
    truth_levels: np.ndarray,
    member_levels: np.ndarray,
    scored: np.ndarray,
    seconds: np.ndarray,
    stretches: Sequence[slice],
) -> FieldSums:
    """Returns the sums of a curtain.

    Args:
        truth: Measured max(dBZ, floor) [dBZ] `(time, row)`.
        members: Members `(member, time, row)`, at least two.
        median: The median field `(time, row)`.
        truth_levels: Levels of the truth in its distributions `(time, row)`.
        member_levels: Levels of some members `(member, time, row)`.
        scored: Pixels whose truth counts, bool `(time, row)`.
        seconds: Times of the profiles [s] `(time,)`.
        stretches: Profiles that follow each other without a gap.
    """
    whole = np.asarray(scored.all(axis=1))
    spacing = float(np.median(np.diff(seconds))) if seconds.size > 1 else 9.0
    parts = [
        (truth[window], members[:, window]) for window in _cut(whole, stretches, BLOCK_PROFILES)
    ]
    scores = [(_score_energy(*part), _score_variogram(*part)) for part in parts]
    layer, row = (
        np.array(
            [
                _sum_means(truth, members, _cut(whole, stretches, round(window / spacing)), axes)
                for window in WINDOWS_S
            ]
        )
        for axes in ((0, 1), (0,))
    )
    each = [sum_spectra(truth, member, scored, stretches) for member in members]
    spectra = each[0]
    for of_member in each[1:]:
        spectra = spectra + of_member
    return FieldSums(
        truth_levels=_sum_moments(truth_levels[None], scored, spacing),
        member_levels=_sum_moments(member_levels, scored, spacing),
        layer_means=layer,
        row_means=row,
        maxima=_sum_errors(truth.max(axis=1)[whole], members.max(axis=2)[:, whole]),
        energy=float(sum(energy for energy, _ in scores)),
        variogram=float(sum(variogram for _, variogram in scores)),
        blocks=len(parts),
        spectra=spectra,
        median_spectra=sum_spectra(truth, median, scored, stretches),
        histogram=np.histogram(members[:, scored], _BINS)[0],
        truth_histogram=np.histogram(truth[scored], _BINS)[0],
    )


def _cut(whole: np.ndarray, stretches: Sequence[slice], profiles: int) -> list[slice]:
    """Returns windows of so many whole profiles of one stretch each."""
    windows = []
    for stretch in stretches:
        first, last, _ = stretch.indices(whole.size)
        for start in range(first, last - profiles + 1, max(profiles, 1)):
            window = slice(start, start + profiles)
            if whole[window].all():
                windows.append(window)
    return windows


def _sum_moments(levels: np.ndarray, scored: np.ndarray, spacing: float) -> np.ndarray:
    """Returns the moments of pairs of levels `(distance, 6)`."""
    offsets = [(max(1, round(lag / spacing)), 0) for lag in LAGS_S]
    offsets += [(0, rows) for rows in ROWS_BETWEEN]
    moments = np.zeros((len(offsets), 6))
    for number, (lag, rows) in enumerate(offsets):
        if lag < scored.shape[0] and rows < scored.shape[1]:
            end = scored.shape[0] - lag, scored.shape[1] - rows
            both = scored[: end[0], : end[1]] & scored[lag:, rows:]
            for level in levels:
                a, b = level[: end[0], : end[1]][both], level[lag:, rows:][both]
                moments[number] += (a.size, a.sum(), b.sum(), a @ a, b @ b, a @ b)
    return moments


def _sum_means(
    truth: np.ndarray, members: np.ndarray, windows: Sequence[slice], axes: tuple[int, ...]
) -> np.ndarray:
    """Returns squared error, variance and number `(3,)` of the means of windows over axes."""
    sums = np.zeros(3)
    for window in windows:
        of_members = members[:, window].mean(axis=tuple(axis + 1 for axis in axes), dtype=float)
        sums += _sum_errors(
            np.atleast_1d(truth[window].mean(axis=axes, dtype=float)),
            of_members.reshape(len(members), -1),
        )
    return sums


def _sum_errors(truth: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Returns squared error, variance as if of endless members, and number `(3,)`."""
    count = len(members)
    error = (members.mean(axis=0, dtype=float) - truth) ** 2
    variance = members.var(axis=0, ddof=1, dtype=float) * (1 + 1 / count)
    return np.array([error.sum(), variance.sum(), float(truth.size)])


def _score_energy(truth: np.ndarray, members: np.ndarray) -> float:
    """Returns the energy score [dB] of a block."""
    flat = members.reshape(len(members), -1).astype(float)
    distance = np.sqrt(((flat - truth.ravel()) ** 2).sum(axis=1)).mean()
    squares = (flat**2).sum(axis=1)
    between = np.sqrt(np.maximum(squares[:, None] + squares - 2 * flat @ flat.T, 0.0))
    count = len(flat)
    return float(distance - between.sum() / (2 * count * (count - 1)))


def _score_variogram(truth: np.ndarray, members: np.ndarray) -> float:
    """Returns the variogram score [dB] of a block, p = 0.5, the mean over pairs of pixels."""
    measured = truth.ravel().astype(np.float32)
    flat = members.reshape(len(members), -1).astype(np.float32)
    if np.ptp(measured) == 0 and not np.ptp(flat, axis=1).any():
        return 0.0
    expected = np.zeros((measured.size, measured.size), dtype=np.float32)
    for member in flat:
        expected += np.sqrt(np.abs(member[:, None] - member))
    difference = np.sqrt(np.abs(measured[:, None] - measured)) - expected / len(flat)
    return float((difference**2).mean(dtype=float))
