"""Features of the visible part of a curtain's profiles, for comparison with training data.

Each profile is summarised as the network's column paths do it: over bands of rows that double in
depth upwards, by mean and maximum of reflectivity above the sensitivity floor, in network units,
and by the mean of each measured channel; then by the running means of all these over ten minutes.
The distance between such summaries takes the place of the latent distance between a network's own
features. It needs no network, and each of its coordinates has a meaning. Clear sky is the origin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from blindzone.core.network_units import ABSENT_UNIT
from blindzone.pipeline.curtains.along_track import looks_down
from blindzone.pipeline.curtains.echo import find_weakest_echo
from blindzone.pipeline.network_input.channels import (
    COLLOCATED_CHANNELS,
    MEASURED_CHANNELS,
    Profiles,
)
from blindzone.pipeline.network_input.preprocessing import Preprocessing

MEAN_OVER_S = 600.0
"""Length of the running means [s]."""
TRACK_SPEED = 10.0
"""Distance along the track that counts as a second [m s-1]: the wind with which a curtain passes
over a radar on the ground. Ten minutes are six kilometres, whatever the platform's own speed."""
POSITION = ("latitude", "longitude")

_LOWEST_BAND_ROWS = 4
_PART_PROFILES = 16384
"""Profiles that are described and compared at a time: more than a day of a ground radar has."""


@dataclass(frozen=True, kw_only=True)
class VisibleData:
    """The visible part of a curtain, summarised.

    Attributes:
        time_s: Time of each profile [s] since any one moment `(time,)`; along a track its distance
            at `TRACK_SPEED`.
        sites: Latitude and longitude [degree] of the radar, if that is known; `None` if it moves.
        visible: Whether a profile has any visible data `(time,)`.
        present: Whether it has each predictor `(time,)`.
        summaries: `(time, kind, band)` in network units, NaN where a band has nothing of a kind.
        step_s: Median time between profiles [s]; NaN of a single one.
        weakest_echo_dbz: The 1 % quantile of visible echo [dBZ]; NaN where there is too little.
    """

    time_s: np.ndarray
    sites: tuple[tuple[float, float], ...] | None
    visible: np.ndarray
    present: Mapping[str, np.ndarray]
    summaries: np.ndarray
    step_s: float
    weakest_echo_dbz: float


def describe_visible(curtain: xr.Dataset, preprocessing: Preprocessing) -> VisibleData:
    """Returns the summary of the rows above every blind zone of the network.

    Args:
        curtain: Gridded radar curtain `(time, height)`, with its collocated fields where the
            network uses them.
        preprocessing: How curtains become network input.
    """
    starts = range(0, max(curtain.sizes["time"], 1), _PART_PROFILES)
    parts = [
        _describe_part(curtain.isel(time=slice(start, start + _PART_PROFILES)), preprocessing)
        for start in starts
    ]
    time_s = _count_seconds(curtain)
    return VisibleData(
        time_s=time_s,
        sites=_find_sites(curtain),
        visible=np.concatenate([part.visible for part in parts]),
        present={
            name: np.concatenate([part.present[name] for part in parts])
            for name in list_predictors(preprocessing)
        },
        summaries=np.concatenate([part.summaries for part in parts]),
        step_s=float(np.median(np.diff(time_s))) if time_s.size > 1 else np.nan,
        weakest_echo_dbz=find_weakest_echo(np.concatenate([part.echo_dbz for part in parts])),
    )


@dataclass(frozen=True, kw_only=True)
class _VisiblePart:
    """Of some profiles what `VisibleData` has of each, and their visible echo [dBZ]."""

    visible: np.ndarray
    present: Mapping[str, np.ndarray]
    summaries: np.ndarray
    echo_dbz: np.ndarray


def _describe_part(curtain: xr.Dataset, preprocessing: Preprocessing) -> _VisiblePart:
    """Returns the summary of profiles, each of which is summarized for itself."""
    profiles = preprocessing.encode_curtain(curtain)
    above = slice(preprocessing.compared_rows, None)
    known, units = profiles.looked[:, above], profiles.reflectivity[:, above]
    echo = units > preprocessing.scaling.clear_limit
    present = {"reflectivity": 2 * known.sum(axis=1) >= known.shape[1]}
    summaries = _summarize_echo(units, preprocessing)
    for name in list_predictors(preprocessing)[1:]:
        present[name], mean = _summarize_channel(profiles, name, above, echo)
        summaries.append(mean)
    lowest = min(preprocessing.hidden_rows, preprocessing.compared_rows)
    return _VisiblePart(
        visible=np.any(profiles.looked[:, lowest:], axis=1),
        present=present,
        summaries=np.stack(summaries, axis=1),
        echo_dbz=preprocessing.scaling.unscale(units[echo]),
    )


def _count_seconds(curtain: xr.Dataset) -> np.ndarray:
    """Returns the time of each profile [s] since the first, as a ground radar would see it."""
    if looks_down(curtain):
        along = curtain["along_track_distance"].values
        return np.asarray((along - along[0]) / TRACK_SPEED)
    times = curtain["time"].values
    return np.asarray((times - times[0]) / np.timedelta64(1, "s"))


def find_bands(rows: int) -> np.ndarray:
    """Returns the first row of each band of so many rows, shape `(band,)`.

    They are 0, 4, 8, 16, ...: each band is as deep as all below it together.
    """
    doublings = max(int(np.ceil(np.log2(rows / _LOWEST_BAND_ROWS))), 0)
    return np.array([0, *(_LOWEST_BAND_ROWS * 2**power for power in range(doublings))])


def list_predictors(preprocessing: Preprocessing) -> tuple[str, ...]:
    """Returns the names of the network's predictors: `reflectivity`, then the measured channels."""
    return "reflectivity", *(name for name in preprocessing.channels if name in MEASURED_CHANNELS)


def _find_sites(curtain: xr.Dataset) -> tuple[tuple[float, float], ...] | None:
    """Returns the fixed site [degree], nothing if it is not known, `None` if there is none."""
    position = [curtain[name].values for name in POSITION]
    if any(values.ndim for values in position):
        return None
    north, east = (round(values.item(), 2) for values in position)
    return ((north, east),) if np.isfinite(north + east) else ()


def _summarize_echo(units: np.ndarray, preprocessing: Preprocessing) -> list[np.ndarray]:
    """Returns mean and maximum above the floor of units `(time, row)`: `(time, band)`, else NaN."""
    above = np.maximum(units - preprocessing.floor_unit, 0)
    bands = find_bands(units.shape[1])
    depths = np.diff(bands, append=units.shape[1])
    kinds = (
        np.add.reduceat(above, bands, axis=1) / depths,
        np.maximum.reduceat(above, bands, axis=1),
    )
    return [np.where(kind > 0, kind, np.nan) for kind in kinds]


def _summarize_channel(
    profiles: Profiles, name: str, above: slice, echo: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns which profiles have a measured channel `(time,)`, and its mean `(time, band)`."""
    bands = find_bands(echo.shape[1])
    if name not in profiles.measured:
        return np.zeros(len(echo), dtype=bool), np.full((len(echo), bands.size), np.nan)
    units, there = (plane[:, above] for plane in profiles.measured[name])
    # A lidar may end below the highest rows; the velocity of each echo should be known.
    known = (
        np.any(there, axis=1)
        if name in COLLOCATED_CHANNELS
        else 2 * (there & echo).sum(axis=1) >= echo.sum(axis=1)
    )
    valued = units > ABSENT_UNIT
    count = np.add.reduceat(valued, bands, axis=1, dtype=np.float64)
    total = np.add.reduceat(np.where(valued, units, 0), bands, axis=1, dtype=np.float64)
    return known, np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)


def standardize(visible: VisibleData, centres: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Returns the features `(time, feature)`: standardized summaries, and their running means.

    Args:
        visible: The visible part of a curtain.
        centres: Centre of the summaries of each kind and band `(kind, band)`.
        scales: Scale of the summaries of each kind `(kind,)`.
    """
    now = np.nan_to_num((visible.summaries - centres) / scales[:, None]).reshape(
        len(visible.time_s), -1
    )
    first = np.searchsorted(visible.time_s, visible.time_s - MEAN_OVER_S / 2)
    last = np.searchsorted(visible.time_s, visible.time_s + MEAN_OVER_S / 2, side="right")
    sums = np.concatenate([np.zeros((1, now.shape[1])), np.cumsum(now, axis=0)])
    return np.concatenate([now, (sums[last] - sums[first]) / (last - first)[:, None]], axis=1)


def find_distance(profiles: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Returns the Euclidean distance of each profile to the nearest reference, `(profile,)`.

    Args:
        profiles: Features of the profiles `(profile, feature)`.
        references: Those of the references `(reference, feature)`.
    """
    # In parts: there are hundreds of references.
    parts = np.split(profiles, range(_PART_PROFILES, len(profiles), _PART_PROFILES))
    return np.concatenate([_find_distance(part, references) for part in parts])


def _find_distance(profiles: np.ndarray, references: np.ndarray) -> np.ndarray:
    # |x - r|^2 = |x|^2 - 2 x.r + |r|^2, whose rounding may leave a little less than 0.
    squares = (references**2).sum(axis=1) - 2 * profiles @ references.T
    distance: np.ndarray = np.sqrt(np.maximum(squares.min(axis=1) + (profiles**2).sum(axis=1), 0))
    return distance
