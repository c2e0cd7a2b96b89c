"""Power spectra of a filled curtain, vertical and in time, compared with observed ones.

A smooth fill has small errors, and its spectrum falls too fast. Each piece of a curtain, as
max(reflectivity, floor) [dBZ], gives a periodogram: its mean is removed, it is tapered by a Hann
window w and

    P(k) = |FFT(w (x - mean x))(k)|^2 / sum(w^2),   k = 1, 2, ... up to the Nyquist wave number,

so that white noise of variance s^2 has P = s^2 at every k. A vertical piece is a profile's hidden
rows, a temporal one a row's segment of `SEGMENT_PROFILES` successive profiles; pieces that hold an
unscored pixel do not count. Periodograms add up over all pieces (Welch 1967, IEEE Trans. Audio
Electroacoust. 15, 70), and of the mean spectra P of the truth and Q of the fill the *log-spectral
distance* [dB] is (Gray and Markel 1976, IEEE Trans. ASSP 24, 380)

    D = sqrt( mean over k of (10 log10((Q(k) + s^2) / (P(k) + s^2)))^2 ),   s = `NOISE_DB`.

The noise keeps the distance of a fill without any variance finite.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from blindzone.pipeline.verification.statistics import Sums

SEGMENT_PROFILES = 128
"""Length of a temporal piece: a window of the network, 19 minutes of 9 s profiles."""

NOISE_DB = 0.1
"""Standard deviation [dB] of the white noise that is added to both spectra; radars measure no
finer."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SpectrumSums(Sums):
    """Sums of periodograms [dB2] `(wave number,)` of truth and fill, and numbers of pieces."""

    vertical_truth: np.ndarray
    vertical: np.ndarray
    vertical_pieces: int
    temporal_truth: np.ndarray
    temporal: np.ndarray
    temporal_pieces: int

    def mean_spectra(self) -> dict[str, np.ndarray]:
        """Returns the mean spectra [dB2] `(wave number,)` by name; NaN without a whole piece."""
        with np.errstate(invalid="ignore"):
            return {
                name: (
                    getattr(self, name)
                    / np.float64(getattr(self, f"{name.removesuffix('_truth')}_pieces"))
                )
                for name in ("vertical_truth", "vertical", "temporal_truth", "temporal")
            }

    def scores(self) -> dict[str, float]:
        """Returns the log-spectral distances [dB]; NaN without a whole piece."""
        mean = self.mean_spectra()
        return {
            f"spectral distance {direction} [dB]": _distance(
                mean[direction], mean[f"{direction}_truth"]
            )
            for direction in ("vertical", "temporal")
        }


def sum_spectra(
    truth: np.ndarray, filled: np.ndarray, scored: np.ndarray, stretches: Sequence[slice]
) -> SpectrumSums:
    """Returns the sums of the periodograms of a curtain's hidden rows.

    Args:
        truth: Observations as max(dBZ, floor) [dBZ], `(time, row)`.
        filled: Prediction of a scheme [dBZ], of the same shape.
        scored: Pixels that count, bool of the same shape.
        stretches: Profiles that follow each other without a gap.
    """
    whole = scored.all(axis=1)
    columns = [_sum_periodograms(field[whole]) for field in (truth, filled)]
    segments = [
        slice(start, start + SEGMENT_PROFILES)
        for stretch in stretches
        for start in range(*stretch.indices(len(truth)))[::SEGMENT_PROFILES]
        if start + SEGMENT_PROFILES <= stretch.indices(len(truth))[1]
    ]
    temporal = [np.zeros(SEGMENT_PROFILES // 2) for _ in range(2)]
    pieces = 0
    for segment in segments:
        rows = scored[segment].all(axis=0)
        pieces += int(rows.sum())
        for total, field in zip(temporal, (truth, filled), strict=True):
            total += _sum_periodograms(field[segment, rows].T)
    return SpectrumSums(
        vertical_truth=columns[0],
        vertical=columns[1],
        vertical_pieces=int(whole.sum()),
        temporal_truth=temporal[0],
        temporal=temporal[1],
        temporal_pieces=pieces,
    )


def _sum_periodograms(pieces: np.ndarray) -> np.ndarray:
    """Returns the summed periodograms [dB2] `(wave number,)` of pieces `(piece, sample)`.

    Wave numbers start at 1.
    """
    length = pieces.shape[1]
    if not pieces.size:
        return np.zeros(length // 2)
    taper = np.sin(np.pi * (np.arange(length) + 0.5) / length) ** 2
    centred = pieces - pieces.mean(axis=1, keepdims=True, dtype=np.float64)
    power = np.abs(np.fft.rfft(centred * taper, axis=1)[:, 1:]) ** 2
    return np.asarray(power.sum(axis=0) / (taper**2).sum())


def _distance(spectrum: np.ndarray, truth: np.ndarray) -> float:
    if not spectrum.size:
        return float("nan")
    decibels = 10 * np.log10((spectrum + NOISE_DB**2) / (truth + NOISE_DB**2))
    return float(np.sqrt(np.mean(decibels**2)))
