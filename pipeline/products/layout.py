"""Layout of a product: which variables it has of a fill, and the rules that its pixels follow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from blindzone.core.errors import ProductError
from blindzone.pipeline.curtains.flags import InpaintingFlag
from blindzone.pipeline.inpainting.predictive_distribution import MEDIAN_LEVEL

FILL_NAMES = (
    "hydrometeor_probability",
    "reflectivity_standard_deviation",
    "reflectivity_quantile",
    "reflectivity_quantile_given_echo",
)
"""What every product has of the predictive distribution."""
BOUND_NAMES = ("reflectivity_quantile", "reflectivity_quantile_given_echo")
"""Those that are bounds of intervals."""
MEMBERS_NAME = "reflectivity_realization"
"""Ensemble members, which a product has on request."""
MEMBERS_VERSION = "2"
"""Products with members of another version are made anew; the first were curves of one level."""
FILLED_FLAGS = (InpaintingFlag.FILLED, InpaintingFlag.FILLED_BEYOND_TRUSTED_TRUTH)
"""Codes of `inpainting_flag` of pixels that are filled."""
ASSESSMENT_NAMES = ("out_of_range_flag", "out_of_range_score")
"""How far each profile is outside the training data."""


def list_fill_names(dataset: xr.Dataset) -> tuple[str, ...]:
    """Returns names of the distribution's variables, `(quantile, time, height)` and others."""
    return (*FILL_NAMES, MEMBERS_NAME) if MEMBERS_NAME in dataset else FILL_NAMES


def find_median(fill: xr.Dataset) -> int:
    """Returns the index of the median among the quantiles `(quantile,)`.

    Raises:
        ProductError: If it is not there.
    """
    found = np.flatnonzero(np.isclose(fill["quantile"].values, MEDIAN_LEVEL))
    if found.size != 1:
        raise ProductError(
            f"the quantile {MEDIAN_LEVEL} is needed; found {fill['quantile'].values.tolist()}"
        )
    return int(found[0])


def is_filled(flag: np.ndarray) -> np.ndarray:
    """Returns where a pixel is filled, from its `inpainting_flag`; any shape."""
    return np.isin(flag, FILLED_FLAGS)


def find_lowest_row(flag: xr.DataArray, codes: Sequence[InpaintingFlag]) -> int | None:
    """Returns the lowest row with a pixel of one of some codes; None if there is none.

    Args:
        flag: `inpainting_flag` `(time, height)`, or a swath's.
        codes: The codes.
    """
    others = [dim for dim in flag.dims if dim != "height"]
    rows = np.flatnonzero(flag.isin(codes).any(others).values)
    return int(rows[0]) if rows.size else None


def find_lowest_trusted_row(flag: xr.DataArray) -> int | None:
    """Returns the row that counts as the ground; None if no pixel is observed or filled.

    It is the lowest one that was filled where truth was trusted. Profiles of a granule have zones
    of many depths: a row below it that was observed in some is not trusted in the others.

    Args:
        flag: `inpainting_flag` `(time, height)`, or a swath's.
    """
    lowest = find_lowest_row(flag, [InpaintingFlag.FILLED])
    return find_lowest_row(flag, [InpaintingFlag.OBSERVED]) if lowest is None else lowest


def keep_echo(median: np.ndarray, floor_dbz: float) -> np.ndarray:
    """Returns the median [dBZ] above the floor, NaN where no echo is more likely; any shape."""
    with np.errstate(invalid="ignore"):
        return np.where(median > np.float32(floor_dbz), median, np.float32(np.nan))
