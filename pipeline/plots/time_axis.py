"""Axes of time: clock times, days, distances along a track, and the days of a picture's title."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from blindzone.pipeline.plots.panels import count_hours

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_TIME_STEPS_S = (
    *(0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30),
    *(minutes * _MINUTE for minutes in (1, 2, 5, 10, 15, 30)),
    *(hours * _HOUR for hours in (1, 2, 3, 6, 12)),
    *(days * _DAY for days in (1, 2, 5, 10, 20, 50, 100)),
)
_MOST_TICKS = 12
_SLACK = 0.002
"""A full hour so near beyond an end, as a share of the axis, is labelled too."""


def label_times(ax: Axes, hours: tuple[float, float], times: np.ndarray) -> None:
    """Labels an axis of hours with clock times, and with days where there are several.

    Args:
        ax: The axis; its unit is hours since the first profile's midnight.
        hours: Its ends.
        times: Times of the profiles, shape `(time,)`.
    """
    midnight = times[0].astype("datetime64[D]")
    span_s = _HOUR * (hours[1] - hours[0])
    step_s = next(
        (step for step in _TIME_STEPS_S if span_s / step <= _MOST_TICKS), _TIME_STEPS_S[-1]
    )
    first = np.ceil((_HOUR * hours[0] - _SLACK * span_s) / step_s)
    last = np.floor((_HOUR * hours[1] + _SLACK * span_s) / step_s)
    seconds = np.arange(first, last + 1) * step_s
    if times.size == 1:  # the width of the one column is no time
        seconds, step_s = _HOUR * count_hours(times), 1.0
    instants = midnight + np.round(1000 * seconds).astype("timedelta64[ms]")
    ends = [*hours, *seconds / _HOUR]
    ax.set_xlim(min(ends), max(ends))
    ax.set_xticks(
        seconds / _HOUR,
        [_label(instant, step_s, with_day=span_s > _DAY + step_s) for instant in instants],
    )
    ax.set_xlabel("Time (UTC)")


def _label(instant: np.datetime64, step_s: float, *, with_day: bool) -> str:
    day, _, clock = str(np.datetime_as_string(instant, unit="ms")).partition("T")
    if step_s >= _DAY:
        return day
    label = clock[:5] if step_s >= _MINUTE else clock[:8] if step_s >= 1 else clock
    return f"{label}\n{day}" if with_day and label == "00:00" else label


def label_distances(ax: Axes, curtain: xr.Dataset) -> None:
    """Labels the upper edge of an axis of hours with distances along the track [km]."""
    distance_km = curtain["along_track_distance"].values / 1000
    if not (distance_km.size > 1 and (np.diff(distance_km) > 0).all()):  # a NaN fails too
        return
    ticks = MaxNLocator(nbins=_MOST_TICKS).tick_values(distance_km[0], distance_km[-1])
    ticks = ticks[(ticks >= distance_km[0]) & (ticks <= distance_km[-1])]
    upper = ax.secondary_xaxis("top")
    upper.set_xticks(
        np.interp(ticks, distance_km, count_hours(curtain["time"].values)),
        [f"{km:g}" for km in ticks],
    )
    upper.set_xlabel("Distance along the track (km)")


def describe_days(times: np.ndarray) -> str:
    """Returns the UTC day of the profiles, or the first and the last; shape of times `(time,)`."""
    start, end = times[[0, -1]]
    # A model day that ends at midnight is one day.
    first, last = (
        np.datetime_as_string(at, unit="D")
        for at in (start, max(start, end - np.timedelta64(1, "ns")))
    )
    return str(first) if first == last else f"{first} to {last}"
