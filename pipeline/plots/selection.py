"""What a picture shows of a product or curtain: a span of time, heights, and variables."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime

import numpy as np
import xarray as xr

from blindzone.core.errors import ProductError

Instant = str | date | np.datetime64 | None
"""A time in UTC: an ISO 8601 text, a datetime or a day; None for the first or last there is."""
TimeSpan = slice | str | Sequence[Instant]
"""A slice or pair of instants, both included; or one text such as `2021-03-14`, for all of it."""
HeightSpan = float | Sequence[float]
"""Lowest and highest height above the ground [m], or the highest alone."""


def select_time(dataset: xr.Dataset, time: TimeSpan | None) -> xr.Dataset:
    """Returns the profiles of a span of time.

    Args:
        dataset: A product or curtain `(time, height)`, its times rising.
        time: The span in UTC; None for all profiles.

    Raises:
        ProductError: If it is no span of time, or has no profile in it.
    """
    if time is None:
        return dataset
    times = dataset.indexes["time"]
    first, last = (_to_utc(instant) for instant in _find_ends(time))
    try:
        found = dataset.isel(time=times.slice_indexer(first, last))
    except (TypeError, ValueError, KeyError) as wrong:
        raise ProductError(
            f"time {time!r} is no span of time: {wrong}; two times such as '2021-03-14T06:00' are"
            " right"
        ) from wrong
    if found.sizes["time"] == 0:
        start, end = (np.datetime_as_string(times.values[at], unit="s") for at in (0, -1))
        raise ProductError(
            f"no profile is between {first} and {last}; the times from {start} to {end} (UTC) are"
            " there"
        )
    return found


def _find_ends(time: TimeSpan) -> tuple[Instant, Instant]:
    if isinstance(time, slice):
        return time.start, time.stop
    if isinstance(time, str):
        return time, time
    if not isinstance(time, Sequence) or len(time) != 2:
        raise ProductError(f"time {time!r}: a slice, or a first and a last time, is right")
    return time[0], time[1]


def _to_utc(instant: Instant) -> Instant:
    """Returns an instant in UTC without a time zone, as the times of a dataset are."""
    if isinstance(instant, str) and len(instant) > len("2021-03-14"):
        with suppress(ValueError):  # what is no time is rejected later
            zoned = datetime.fromisoformat(instant)
            instant = instant if zoned.tzinfo is None else zoned
    if isinstance(instant, datetime) and instant.tzinfo is not None:
        return instant.astimezone(UTC).replace(tzinfo=None)
    # Of a text such as 2021-03-14, pandas takes the whole day; of a date it would take midnight.
    return instant if isinstance(instant, datetime) or instant is None else str(instant)


def find_heights(height: HeightSpan) -> tuple[float | None, float]:
    """Returns the lowest height [m] of a picture, None if only a top is given, and the highest.

    Raises:
        ProductError: If it is neither a top nor a rising pair.
    """
    try:
        lowest, top = _split_heights(height)
    except (TypeError, ValueError):
        lowest, top = None, np.nan
    if not (lowest or 0.0) < top < np.inf:
        raise ProductError(
            f"height {height!r}: a top above 0 m, or a lower and a higher height in metres, is"
            " right"
        )
    return lowest, top


def _split_heights(height: HeightSpan) -> tuple[float | None, float]:
    if isinstance(height, int | float | np.number):
        return None, float(height)
    lowest, top = height
    return float(lowest), float(top)


def find_names(variables: str | Sequence[str], known: Collection[str], what: str) -> list[str]:
    """Returns the names of variables to be drawn.

    Args:
        variables: A name, or several.
        known: What can be drawn.
        what: Of what, for the message.

    Raises:
        ProductError: If there is no name, or one that is not known.
    """
    names = [variables] if isinstance(variables, str) else list(variables)
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        found = f"no {' and no '.join(map(repr, unknown))}" if unknown else "no variable"
        raise ProductError(f"{found} can be drawn of this {what}; possible are: {', '.join(known)}")
    return names
