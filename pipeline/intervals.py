"""From realizations of the network to the predictive distribution of each pixel, and to what is published of it.

The distribution lives on z = max(reflectivity, sensitivity floor) [dBZ] and has two parts, kept apart throughout: an
atom at the floor (no detectable echo, probability 1 - p) and, with probability p, the empirical distribution of the
realized intensities. Every published number is a functional of this one distribution, so no two of them can disagree.

Where a network is calibrated (`blindzone.pipeline.calibration`), it is the calibrated distribution.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from blindzone.pipeline.errors import CurtainError

QUANTILE_LEVELS = (0.025, 0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95, 0.975)
MEDIAN_LEVEL = 0.50


def summarize_realizations(
    probability: np.ndarray,
    intensity_dbz: np.ndarray,
    *,
    floor_dbz: float,
    levels: tuple[float, ...] = QUANTILE_LEVELS,
) -> xr.Dataset:
    """Returns mean, spread, quantiles and echo probability of each pixel.

    Args:
        probability: Probability of hydrometeor echo, shape `(time, height)`, 0 to 1.
        intensity_dbz: Realizations of reflectivity given echo [dBZ], shape `(time, height, realization)`, in any order.
        floor_dbz: Sensitivity floor [dBZ]. Echo lies above it by definition, so a realization that does not is raised
            to the next number above it: a pixel's median exceeds the floor just where its probability exceeds 0.5.
        levels: Quantile levels, increasing, inside (0, 1).

    Returns:
        A dataset with `hydrometeor_probability`, `reflectivity_mean` and `reflectivity_standard_deviation`
        `(time, height)` and `reflectivity_quantile` `(quantile, time, height)`, the reflectivities [dBZ] on
        max(dBZ, floor).

    Raises:
        CurtainError: If there are fewer than two realizations, or a value is not finite.
    """
    if intensity_dbz.ndim != 3 or intensity_dbz.shape[-1] < 2:
        raise CurtainError(
            f"a distribution needs at least two realizations (time, height, realization); found {intensity_dbz.shape}"
        )
    if not (np.isfinite(probability).all() and np.isfinite(intensity_dbz).all()):
        raise CurtainError("the network gave values that are not finite; nothing can be said of these pixels")
    weakest_echo = np.nextafter(np.float32(floor_dbz), np.float32(np.inf))
    ordered = np.sort(np.maximum(intensity_dbz, weakest_echo), axis=-1)
    # In the precision that is published: a reader's p > 0.5 must be ours.
    p = np.clip(probability.astype(np.float32), 0.0, 1.0).astype(np.float64)
    mean_given_echo = ordered.mean(axis=-1, dtype=np.float64)
    variance_given_echo = ordered.var(axis=-1, dtype=np.float64)
    # Law of total variance over the two parts, echo (p) and floor (1 - p).
    mean = p * mean_given_echo + (1 - p) * floor_dbz
    variance = p * variance_given_echo + p * (1 - p) * (mean_given_echo - floor_dbz) ** 2
    quantiles = np.stack([_quantile(p, ordered, level, floor_dbz) for level in levels])
    dims = ("time", "height")
    return xr.Dataset(
        {
            "hydrometeor_probability": (dims, p.astype(np.float32)),
            "reflectivity_mean": (dims, mean.astype(np.float32)),
            "reflectivity_standard_deviation": (dims, np.sqrt(variance).astype(np.float32)),
            "reflectivity_quantile": (("quantile", *dims), quantiles.astype(np.float32)),
        },
        {"quantile": np.asarray(levels, dtype=np.float64)},
    )


def _quantile(p: np.ndarray, ordered: np.ndarray, level: float, floor_dbz: float) -> np.ndarray:
    """Returns one quantile `(time, height)` of the two-part distribution.

    Below 1 - p lies the atom. Above it, the level within the echo part is (level - (1 - p)) / p, read off the ordered
    realizations by linear interpolation, the k-th of N standing at (k - 1/2) / N (Hazen 1914).
    """
    count = ordered.shape[-1]
    in_atom = level <= 1 - p
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        inner = np.where(in_atom, 0.0, (level - (1 - p)) / p)
    position = np.clip(inner * count - 0.5, 0, count - 1)
    lower = np.floor(position).astype(np.intp)
    upper = np.minimum(lower + 1, count - 1)
    below = np.take_along_axis(ordered, lower[..., None], axis=-1)[..., 0]
    above = np.take_along_axis(ordered, upper[..., None], axis=-1)[..., 0]
    return np.where(in_atom, floor_dbz, below + (position - lower) * (above - below))
