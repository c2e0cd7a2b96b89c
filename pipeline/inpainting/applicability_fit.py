"""Fits an `Applicability` to the days of a network's training and calibration.

The references cover the fitted days: from each part of them, the profiles furthest from each other
(Gonzalez 1985, doi 10.1016/0304-3975(85)90224-5). For the percentile, each part is compared with
the references of all the others. Of a further day that is like them about 1 % of the profiles score
above 1, as with leave-one-out prediction intervals (Barber et al. 2021, arXiv 1905.02928). Days
differ, so that on one day it may be none or several percent.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import xarray as xr

from blindzone.core.errors import CurtainError
from blindzone.pipeline.curtains.curtain import check_radar
from blindzone.pipeline.inpainting.applicability import Applicability
from blindzone.pipeline.inpainting.visible_features import (
    VisibleData,
    describe_visible,
    find_distance,
    list_predictors,
    standardize,
)
from blindzone.pipeline.network_input.preprocessing import Preprocessing

UNLIKE_SHARE = 0.01
"""Share of withheld profiles that score above 1."""

_LARGEST_PARTS = 16
_REFERENCES_PER_PART = 16
_SMALLEST_SCALE = 0.01
"""Least scale in network units: 0.6 dB, 0.13 m s-1, 0.8 K. It bounds the weight of what hardly
varied in the fitted days."""
_PROFILES_PER_CURTAIN = 2000
"""How many profiles of a day, evenly spaced, references and percentile are taken from."""


def fit_applicability(
    curtains: Iterable[xr.Dataset],
    preprocessing: Preprocessing,
    *,
    frequency_ghz: float | None = None,
) -> Applicability:
    """Returns the applicability of a network from the days of its training and calibration.

    Args:
        curtains: Gridded radar curtains `(time, height)`, one a day in the order of time, with
            their collocated fields where the network uses them. Each is read once. A single one is
            compared with itself, half by half.
        preprocessing: How curtains become network input.
        frequency_ghz: Radar frequency [GHz], if known.

    Raises:
        CurtainError: If a curtain has no radar echo or another grid, or all of them have nothing
            but clear sky.
    """
    days = _describe_all(curtains, preprocessing)
    centres, scales = _find_scales(days)
    parts = _part([standardize(day, centres, scales)[day.visible] for day in days])
    references = [_cover(part, _REFERENCES_PER_PART) for part in parts]
    limit = _find_limit(parts, references)
    if limit <= 0:
        raise CurtainError(
            "fitting the applicability: the curtains have nothing but clear sky; days with weather"
            " are right"
        )
    return Applicability(
        grid=preprocessing.grid,
        hidden_rows=preprocessing.compared_rows,
        floor_dbz=preprocessing.floor_dbz,
        frequency_ghz=frequency_ghz,
        sites=_find_sites(days),
        weakest_echo_dbz=_find_weakest(days, preprocessing.floor_dbz),
        time_steps_s=_find_time_steps(days),
        presence={
            name: float(np.concatenate([day.present[name][day.visible] for day in days]).mean())
            for name in list_predictors(preprocessing)
        },
        centres=tuple(map(tuple, centres.tolist())),
        scales=tuple(scales.tolist()),
        references=tuple(map(tuple, np.concatenate(references).tolist())),
        limit=limit,
        days=len(days),
    )


def _find_sites(days: Sequence[VisibleData]) -> tuple[tuple[float, float], ...] | None:
    """Returns all known sites [degree] in order, `None` if the platform moved on a day."""
    if any(day.sites is None for day in days):
        return None
    return tuple(sorted({site for day in days for site in day.sites or ()}))


def _find_weakest(days: Sequence[VisibleData], floor_dbz: float) -> float:
    """Returns the weakest echo [dBZ] of the day on which it was strongest, the floor if unknown."""
    known = [day.weakest_echo_dbz for day in days if np.isfinite(day.weakest_echo_dbz)]
    return max(known, default=floor_dbz)


def _find_time_steps(days: Sequence[VisibleData]) -> tuple[float, float]:
    """Returns the shortest and longest time step of the days [s], 0 if unknown."""
    steps = [day.step_s for day in days if np.isfinite(day.step_s)]
    return min(steps, default=0.0), max(steps, default=0.0)


def _describe_all(
    curtains: Iterable[xr.Dataset], preprocessing: Preprocessing
) -> list[VisibleData]:
    """Returns the visible part of each curtain that has any visible data."""
    days = []
    for number, curtain in enumerate(curtains, start=1):
        where = f"fitting the applicability, curtain {number}"
        check_radar(curtain, where=where)
        heights, right = curtain["height"].values, preprocessing.grid.centres_m
        if not preprocessing.grid.matches(heights):
            raise CurtainError(
                f"{where}: {heights.size} rows up to {heights[-1]:.1f} m; "
                f"{right.size} rows up to {right[-1]:.1f} m are right"
            )
        visible = describe_visible(curtain, preprocessing)
        if visible.visible.any():
            days.append(visible)
    if not days:
        raise CurtainError(
            "fitting the applicability: no curtain has any visible data; one day of weather, or"
            " more, is right"
        )
    return days


def _find_scales(days: Sequence[VisibleData]) -> tuple[np.ndarray, np.ndarray]:
    """Returns centres `(kind, band)` and scales `(kind,)` of the summaries of all days."""
    values = np.concatenate([day.summaries[day.visible] for day in days])
    count = np.isfinite(values).sum(axis=0)
    centres = np.nansum(values, axis=0) / np.maximum(count, 1)
    centres[:2] = 0  # reflectivity at the floor and no echo are next to each other
    squares = np.nansum((values - centres) ** 2, axis=(0, 2))
    scales = np.sqrt(squares / np.maximum(count.sum(axis=1), 1))
    return centres, np.maximum(scales, _SMALLEST_SCALE)


def _part(days: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Returns profiles `(profile, feature)` in at most 16 parts, each of days in a row.

    A single day is parted into its halves.
    """
    thinned = [day[:: -(-len(day) // _PROFILES_PER_CURTAIN)] for day in days]
    if len(thinned) == 1:
        thinned = np.array_split(thinned[0], 2)
    numbers = np.array_split(np.arange(len(thinned)), min(len(thinned), _LARGEST_PARTS))
    return [np.concatenate([thinned[number] for number in part]) for part in numbers]


def _cover(profiles: np.ndarray, count: int) -> np.ndarray:
    """Returns clear sky, then one by one the profile furthest from all before (Gonzalez 1985)."""
    chosen = [np.zeros(profiles.shape[1])]
    nearest = np.full(len(profiles), np.inf)
    while len(chosen) < count:
        nearest = np.minimum(nearest, ((profiles - chosen[-1]) ** 2).sum(axis=1))
        if not nearest.any():
            break
        chosen.append(profiles[np.argmax(nearest)].round(2))  # as it is stored
    return np.array(chosen)


def _find_limit(parts: Sequence[np.ndarray], references: Sequence[np.ndarray]) -> float:
    """Returns the percentile of the distances of each part to the references of all the others."""
    distances = [
        find_distance(part, np.concatenate([*references[:number], *references[number + 1 :]]))
        for number, part in enumerate(parts)
    ]
    return float(np.quantile(np.concatenate(distances), 1 - UNLIKE_SHARE, method="higher"))
