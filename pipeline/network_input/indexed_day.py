"""A day that training windows are drawn from: where they may begin, and what is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import xarray as xr

from blindzone.pipeline.network_input.channels import Profiles

LEAST_ECHO_SHARE = 0.05
"""A window counts as cloudy if at least this share of its profiles holds an echo at any height."""


@dataclass(frozen=True)
class IndexedDay:
    """A day, in memory or not, and where windows may begin in it.

    Attributes:
        day: The day.
        time_s: Time of each profile [s] since the first, `(time,)`.
        profiles: Its profiles, if they are kept in memory.
        opened: Its curtain, opened lazily, if they are not; None if collocated sources are joined
            each time.
        cloudy_starts: Indices of first profiles of windows with echo.
        clear_starts: Indices of first profiles of the other windows.
        shallow: Indices of columns of shallow echo.
        virga: Indices of columns of virga.
        zone_depth: Rows that each profile's own blind zone hides, `(time,)`; None if all have that
            of the source.
        lowest_truth: Lowest row of each profile that was measured, `(time,)`, the number of rows if
            none was; None where that is the ground.
    """

    day: date
    time_s: np.ndarray
    profiles: Profiles | None
    opened: xr.Dataset | None
    cloudy_starts: np.ndarray
    clear_starts: np.ndarray
    shallow: np.ndarray
    virga: np.ndarray
    zone_depth: np.ndarray | None = None
    lowest_truth: np.ndarray | None = None

    def find_whole_window(self, place: int) -> int:
        """Returns the first profile of the window nearest to a place that no gap parts."""
        starts = np.concatenate([self.cloudy_starts, self.clear_starts])
        return int(starts[np.argmin(np.abs(starts - place))]) if starts.size else place


def find_lowest_truth(profiles: Profiles) -> np.ndarray | None:
    """Returns the lowest measured row `(time,)` of a radar that sees profiles from above.

    None of a radar on the ground, and of an emulated one, whose zone has truth.
    """
    if profiles.zone_depth is None:
        return None
    trusted = profiles.trusted
    lowest = np.where(trusted.any(axis=1), np.argmax(trusted, axis=1), trusted.shape[1])
    return lowest if lowest.any() else None


def find_cloudy(has_echo: Any, width: int) -> np.ndarray:
    """Returns whether the window from each profile on is cloudy; empty if no window fits."""
    running = np.concatenate([[0], np.cumsum(has_echo)])
    return np.asarray((running[width:] - running[:-width]) / width >= LEAST_ECHO_SHARE)
