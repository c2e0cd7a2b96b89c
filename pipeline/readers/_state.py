"""Shared by the readers of atmospheric state: credible limits, and the curtain made of levels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.readers._assembly import assemble_curtain
from blindzone.pipeline.readers._checks import LARGEST_SPEED, check_top
from blindzone.pipeline.readers._origin import Site

_CREDIBLE_STATE = {
    "temperature": (150.0, 350.0, "degrees Celsius for K, or K for degrees Celsius"),
    "specific_humidity": (-1e-4, 0.05, "g kg-1 for kg kg-1, or relative humidity"),
    "eastward_wind": (-LARGEST_SPEED, LARGEST_SPEED, "another unit"),
    "northward_wind": (-LARGEST_SPEED, LARGEST_SPEED, "another unit"),
}
"""Limits in canonical units, and another cause of a value outside them than an undeclared fill
value."""
_CREDIBLE_BELOW_M = 50_000.0
"""The mesosphere, where no cloud is, has colder and windier days than the limits allow."""


def assemble_state(
    fields: Mapping[str, np.ndarray],
    *,
    time: np.ndarray,
    gate_height: np.ndarray,
    site: Site,
    attrs: Mapping[str, Any],
    path: Path,
) -> xr.Dataset:
    """Returns the checked native curtain of a state; its `height` is the median of each level.

    Args:
        fields: Arrays `(time, level)` under the names of `curtain.STATE_FIELDS`, NaN where unknown.
            Humidities that a model's numerics leave slightly negative, to -1e-4, become zero.
        time: `datetime64[ns]`, shape `(time,)`.
        gate_height: Height [m] of every value above the site's altitude, `(time, level)`, upwards
            or downwards.
        site: Latitude, longitude and altitude, each a number or `(time,)`.
        attrs: Origin of the file, under our names.
        path: The file, for messages.

    Raises:
        SourceFileError: If heights do not run one way or are not credible, there is no value, or
            one is not credible below 50 km.
        CurtainError: If a rule of the canonical form is broken.
    """
    levels = _order_levels(gate_height, path)
    heights = gate_height[:, levels].astype(np.float64)
    ordered = {name: values[:, levels] for name, values in fields.items()}
    if not any(np.isfinite(values).any() for values in ordered.values()):
        raise SourceFileError(f"{path}: it holds no value of {', '.join(fields)} at a known height")
    check_top(heights, path)
    for name, values in ordered.items():
        _check_credible_state(values, heights, name, path)
    if "specific_humidity" in ordered:
        ordered["specific_humidity"] = np.maximum(ordered["specific_humidity"], 0)
    variables = {
        name: values.astype(np.float32)
        for name, values in (ordered | {"gate_height": heights}).items()
    }
    return assemble_curtain(
        variables,
        time=time,
        height=np.nanmedian(heights, axis=0),
        site=site,
        attrs=attrs,
        path=path,
    )


def _order_levels(gate_height: np.ndarray, path: Path) -> np.ndarray:
    """Returns the indices of the levels of known height, upwards, from heights `(time, level)`."""
    levels = np.flatnonzero(np.isfinite(gate_height).any(axis=0))
    steps = np.diff(gate_height[:, levels], axis=1)
    if np.count_nonzero(steps < 0) > np.count_nonzero(steps > 0):
        levels, steps = levels[::-1], -steps[:, ::-1]
    wrong = np.argwhere(steps <= 0)
    if wrong.size:
        profile, level = (int(index) for index in wrong[0])
        here, above = gate_height[profile, levels[level : level + 2]].astype(np.float64)
        raise SourceFileError(
            f"{path}: heights run both up and down in profile {profile} ({here:g} m is next to"
            f" {above:g} m); one direction along the levels is right"
        )
    return levels


def _check_credible_state(values: np.ndarray, heights: np.ndarray, name: str, path: Path) -> None:
    lowest, highest, slip = _CREDIBLE_STATE[name]
    with np.errstate(invalid="ignore"):
        wrong = ((values < lowest) | (values > highest)) & ~(heights > _CREDIBLE_BELOW_M)
    if wrong.any():
        raise SourceFileError(
            f"{path}: {int(wrong.sum())} values of {name} are outside {lowest:g} to {highest:g}"
            f" (first: {values[wrong][0]:g}); an undeclared fill value, or {slip}, would look like"
            " this"
        )
