"""Rates of rain or snow of each profile, from the reflectivity near the ground of all members."""

from __future__ import annotations

import numpy as np
import xarray as xr

from blindzone.pipeline.derivation.mixture import find_moments, find_quantiles
from blindzone.pipeline.derivation.relations import LawChoice, PowerLaw

LEVELS = np.asarray([0.05, 0.25, 0.5, 0.75, 0.95])
"""Levels of the quantiles of all that is derived: intervals of 50 and 90 %, and the median."""

_PARTS = ("", "_variance_of_members", "_variance_of_relations")
"""What the names of the moments of a quantity end with."""


def find_rates(
    reflectivity_dbz: np.ndarray, laws: tuple[PowerLaw, ...], floor_dbz: float
) -> np.ndarray:
    """Returns rates [mm h-1] under each law `(law, ...)`: 0 at the floor, NaN where missing."""
    silent = reflectivity_dbz <= floor_dbz
    return np.stack([np.where(silent, 0, law.find_rate(reflectivity_dbz)) for law in laws])


def name_moments(name: str) -> tuple[str, ...]:
    """Returns names of the mean of a quantity and of the parts of its variance."""
    return tuple(f"{name}{part}" for part in _PARTS)


def find_member_rates(row: xr.DataArray, choice: LawChoice, floor_dbz: float) -> xr.DataArray:
    """Returns the rate of each member, mean over laws [mm h-1] `(realization, time)`, lazily.

    Args:
        row: Reflectivity near the ground [dBZ], at the floor without echo, NaN where missing.
        choice: The laws; without any, all rates are NaN.
        floor_dbz: Sensitivity floor [dBZ].
    """
    laws, weights = choice.spread()

    def average(values: np.ndarray) -> np.ndarray:
        if not laws:
            return np.full(values.shape, np.float32(np.nan))
        rates = find_rates(values, laws, floor_dbz)
        return np.tensordot(weights, rates, axes=1).astype(np.float32)

    rates: xr.DataArray = xr.apply_ufunc(
        average, row, dask="parallelized", output_dtypes=[np.float32]
    )
    return rates


def describe_rates(row: xr.DataArray, choice: LawChoice, floor_dbz: float, name: str) -> xr.Dataset:
    """Returns the distribution of each profile's rate, lazily.

    Args:
        row: Reflectivity near the ground [dBZ] `(realization, time)`, at the floor without echo,
            NaN where it is missing.
        choice: The laws; without any, all is NaN.
        floor_dbz: Sensitivity floor [dBZ].
        name: Name of the rate.

    Returns:
        The mean over members and laws [mm h-1], its variance of members and of relations
        [mm2 h-2] `(time,)`, and quantiles `(quantile, time)`; dimensions of `row` that are neither
        come first.
    """
    laws, weights = choice.spread()

    def describe(values: np.ndarray) -> np.ndarray:
        """Returns moments and quantiles `(..., number)` of values `(..., realization)`."""
        if not laws:
            return np.full((*values.shape[:-1], 3 + LEVELS.size), np.float32(np.nan))
        rates = np.moveaxis(find_rates(values, laws, floor_dbz), -1, 1)
        moments = find_moments(rates, weights)
        quantiles = find_quantiles(rates, weights, LEVELS)
        parts = np.stack([moments.mean, moments.of_members, moments.of_laws])
        return np.moveaxis(np.concatenate([parts, quantiles]), 0, -1).astype(np.float32)

    whole = row.chunk(realization=-1) if row.chunks else row
    numbers = xr.apply_ufunc(
        describe,
        whole,
        input_core_dims=[["realization"]],
        output_core_dims=[["number"]],
        dask="parallelized",
        output_dtypes=[np.float32],
        dask_gufunc_kwargs={"output_sizes": {"number": 3 + LEVELS.size}},
    )
    moments = {part: numbers[..., at] for at, part in enumerate(name_moments(name))}
    quantiles = numbers[..., 3:].rename(number="quantile").assign_coords(quantile=LEVELS)
    return xr.Dataset(moments | {f"{name}_quantile": quantiles.transpose("quantile", ...)})
