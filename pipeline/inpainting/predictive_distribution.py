"""The predictive distribution of each pixel, from the network's forward passes, and its summary.

The distribution is that of z = max(reflectivity, sensitivity floor) [dBZ]. It has two parts: an
atom at the floor (no detectable echo, probability 1 - p) and, with probability p, the empirical
distribution of the intensities of all forward passes. Every published number is a functional of
this one distribution, so no two of them can disagree.

Where a network is calibrated (`blindzone.pipeline.inpainting.calibration`), it is the calibrated
distribution.

Ensemble members carry the uncertainty on into what is computed of whole fields; they are drawn
from the summary (`blindzone.pipeline.products.members`).
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from blindzone.core.errors import CurtainError
from blindzone.core.two_part_distribution import quantile, read_ordered, weakest_echo

QUANTILE_LEVELS = (0.025, 0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95, 0.975)
MEDIAN_LEVEL = 0.50

GIVEN_ECHO_STEP_DB = 2.0**-6
"""Quantiles given echo are rounded to this step [dB], far finer than they are known: a product is
a fifth smaller."""


def summarize_distribution(
    probability: np.ndarray,
    intensity_dbz: np.ndarray,
    intensity_given_echo_dbz: np.ndarray | None = None,
    *,
    floor_dbz: float,
    levels: tuple[float, ...] = QUANTILE_LEVELS,
) -> xr.Dataset:
    """Returns echo probability, spread and quantiles of each pixel, and its quantiles given echo.

    Args:
        probability: Probability of hydrometeor echo, shape `(time, height)`, 0 to 1.
        intensity_dbz: Reflectivity given echo of each forward pass [dBZ], shape `(time, height,
            realization)`, in any order.
        intensity_given_echo_dbz: The same for the distribution given echo, `(time, height, value)`,
            where that is calibrated apart; by default `intensity_dbz`.
        floor_dbz: Sensitivity floor [dBZ]. Echo exceeds it by definition: an intensity that does
            not is raised to the next number above it. So a pixel's median exceeds the floor just
            where its probability exceeds 0.5.
        levels: Quantile levels, increasing, inside (0, 1).

    Returns:
        A dataset with `hydrometeor_probability` and `reflectivity_standard_deviation` `(time,
        height)` and `reflectivity_quantile` `(quantile, time, height)`, the reflectivities [dBZ] on
        max(dBZ, floor); and `reflectivity_quantile_given_echo` `(quantile, time, height)` [dBZ],
        above the floor, to `GIVEN_ECHO_STEP_DB`.

    Raises:
        CurtainError: If there are fewer than two forward passes, or a value is not finite.
    """
    p, ordered = _two_parts(probability, intensity_dbz, floor_dbz)
    given_echo = ordered
    if intensity_given_echo_dbz is not None:
        _, given_echo = _two_parts(probability, intensity_given_echo_dbz, floor_dbz)
    mean_given_echo = ordered.mean(axis=-1, dtype=np.float64)
    variance_given_echo = ordered.var(axis=-1, dtype=np.float64)
    # Law of total variance over the two parts, echo (p) and floor (1 - p).
    variance = p * variance_given_echo + p * (1 - p) * (mean_given_echo - floor_dbz) ** 2
    quantiles = np.stack([_quantile(p, ordered, level, floor_dbz) for level in levels])
    dims = ("time", "height")
    return xr.Dataset(
        {
            "hydrometeor_probability": (dims, p.astype(np.float32)),
            "reflectivity_standard_deviation": (dims, np.sqrt(variance).astype(np.float32)),
            "reflectivity_quantile": (("quantile", *dims), quantiles.astype(np.float32)),
            "reflectivity_quantile_given_echo": (
                ("quantile", *dims),
                _round_given_echo(given_echo, levels, floor_dbz),
            ),
        },
        {"quantile": np.asarray(levels, dtype=np.float64)},
    )


def _two_parts(
    probability: np.ndarray, intensity_dbz: np.ndarray, floor_dbz: float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the probability of echo, and ordered intensities above the floor [dBZ], count last.

    Raises:
        CurtainError: If there are fewer than two forward passes, or a value is not finite.
    """
    if intensity_dbz.ndim != 3 or intensity_dbz.shape[-1] < 2:
        raise CurtainError(
            "a distribution needs at least two forward passes (time, height, pass); found"
            f" {intensity_dbz.shape}"
        )
    if not (np.isfinite(probability).all() and np.isfinite(intensity_dbz).all()):
        raise CurtainError("the network's output is not finite; such pixels have no distribution")
    ordered = np.sort(np.maximum(intensity_dbz, weakest_echo(floor_dbz)), axis=-1)
    # In the precision that is published: a reader's p > 0.5 must be ours.
    return np.clip(probability.astype(np.float32), 0.0, 1.0).astype(np.float64), ordered


def _round_given_echo(
    ordered: np.ndarray, levels: tuple[float, ...], floor_dbz: float
) -> np.ndarray:
    """Returns rounded quantiles of certain echo, above the floor, `(quantile, time, height)`."""
    quantiles = read_ordered(ordered, np.asarray(levels), weight_dtype=np.float64)
    rounded = np.round(np.moveaxis(quantiles, -1, 0) / GIVEN_ECHO_STEP_DB) * GIVEN_ECHO_STEP_DB
    return np.maximum(rounded.astype(np.float32), weakest_echo(floor_dbz))


def _quantile(p: np.ndarray, ordered: np.ndarray, level: float, floor_dbz: float) -> np.ndarray:
    """Returns one quantile `(time, height)` [dBZ], interpolated in double precision."""
    return quantile(p, ordered, level, floor_dbz, weight_dtype=np.float64)
