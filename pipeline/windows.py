"""Random training windows drawn straight from the archive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
import xarray as xr

from blindzone.pipeline.archive import Archive
from blindzone.pipeline.curtain import check_radar
from blindzone.pipeline.errors import DamagedError, WindowError
from blindzone.pipeline.preprocessing import Preprocessing

LEAST_ECHO_SHARE = 0.05
"""A window counts as cloudy if at least this share of its profiles holds an echo at any height."""

Example = tuple[np.ndarray, dict[str, np.ndarray]]
"""What the network sees `(height, time, channel)`, and what it should answer `(hidden row, time, 2)`."""


@dataclass(frozen=True)
class _Day:
    """An opened day, and where windows may begin in it."""

    curtain: xr.Dataset
    cloudy_starts: np.ndarray
    clear_starts: np.ndarray


class WindowSampler:
    """Draws windows from days of one source; it holds no profile longer than the window that needs it.

    Args:
        archive: Where the days lie.
        source: Name of the source.
        days: The days to draw from; one shorter than a window is passed over.
        preprocessing: How a window is shown to the network.
        clear_share: Share of windows drawn from clear sky, so that the network learns to leave it clear.

    Raises:
        WindowError: If no day holds a whole window, or none holds any echo.
        ArchiveError: If a day is not in the archive.
    """

    def __init__(
        self,
        archive: Archive,
        source: str,
        days: tuple[date, ...],
        preprocessing: Preprocessing,
        *,
        clear_share: float = 0.1,
    ) -> None:
        self.preprocessing = preprocessing
        self.clear_share = clear_share
        self._days = [self._index(archive.open_day(source, day)) for day in days]
        self._cloudy = _number([day.cloudy_starts for day in self._days])
        self._clear = _number([day.clear_starts for day in self._days])
        width = preprocessing.window_profiles
        if not len(self._cloudy) + len(self._clear):
            raise WindowError(f"{source}: none of {len(days)} days holds {width} profiles, one window of the network")
        if not len(self._cloudy):
            raise WindowError(
                f"{source}: none of {len(days)} days holds a window with echo above {preprocessing.floor_dbz} dBZ; "
                "a network cannot learn from clear sky alone"
            )

    def draw(self, seed: int) -> Iterator[Example]:
        """Yields random windows without end, half of them reversed in time; a seed fixes their sequence."""
        random = np.random.default_rng(seed)
        while True:
            clear = len(self._clear) and random.random() < self.clear_share
            pool = self._clear if clear else self._cloudy
            day, start = pool[random.integers(len(pool))]
            yield self._cut(self._days[day].curtain, int(start), flip=bool(random.random() < 0.5))

    def draw_fixed(self, count: int, seed: int) -> list[Example]:
        """Returns `count` windows, the same for the same seed."""
        windows = self.draw(seed)
        return [next(windows) for _ in range(count)]

    def _cut(self, curtain: xr.Dataset, start: int, *, flip: bool) -> Example:
        span = slice(start, start + self.preprocessing.window_profiles)
        step = -1 if flip else 1
        try:
            reflectivity = curtain["reflectivity"].isel(time=span).values[::step]
            status = curtain["detection_status"].isel(time=span).values[::step]
        except DamagedError as error:
            raise WindowError(f"the day was replaced or removed while it was read; start anew ({error})") from error
        answer = self.preprocessing.answer(reflectivity, status)
        # (time, height, channel) -> (height, time, channel), the network's order
        shown = np.ascontiguousarray(self.preprocessing.show(reflectivity).swapaxes(0, 1))
        return shown, {name: np.ascontiguousarray(values.swapaxes(0, 1)) for name, values in answer.items()}

    def _index(self, curtain: xr.Dataset) -> _Day:
        check_radar(curtain, where=curtain.encoding.get("source", "the archive"))
        width = self.preprocessing.window_profiles
        has_echo = (curtain["reflectivity"] > self.preprocessing.floor_dbz).any("height").values
        running = np.concatenate([[0], np.cumsum(has_echo)])
        echo_share = (running[width:] - running[:-width]) / width  # empty where the day is shorter than a window
        cloudy = echo_share >= LEAST_ECHO_SHARE
        return _Day(curtain, np.flatnonzero(cloudy), np.flatnonzero(~cloudy))


def _number(starts: list[np.ndarray]) -> np.ndarray:
    """Returns (day index, start) pairs `(count, 2)`."""
    pairs = [np.column_stack([np.full(found.size, index), found]) for index, found in enumerate(starts)]
    return np.concatenate(pairs) if pairs else np.zeros((0, 2), dtype=np.intp)
