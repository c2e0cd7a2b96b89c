"""Random training windows of archived days, with a blind zone that varies as configured."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from itertools import count, islice
from typing import Annotated, Any

import numpy as np
import xarray as xr
from pydantic import Field

from blindzone.core.configuration import configuration, read_plain, to_plain
from blindzone.core.errors import DamagedError, WindowError
from blindzone.core.example import Example
from blindzone.pipeline.archive import Archive
from blindzone.pipeline.archive.collocation import open_collocated
from blindzone.pipeline.catalog.catalog import Catalog
from blindzone.pipeline.curtains.blind_zone import ZoneVariation
from blindzone.pipeline.curtains.curtain import STATUS_OF, check_radar
from blindzone.pipeline.curtains.echo import find_shallow_and_virga
from blindzone.pipeline.network_input.channels import CHANNEL_GROUPS, Profiles, longest_context_s
from blindzone.pipeline.network_input.indexed_day import (
    LEAST_ECHO_SHARE,
    IndexedDay,
    find_cloudy,
    find_lowest_truth,
)
from blindzone.pipeline.network_input.inference_windows import LONGEST_GAP_PROFILES
from blindzone.pipeline.network_input.masking import HoleConfig, HoleName
from blindzone.pipeline.network_input.preprocessing import Preprocessing, check_finite
from blindzone.pipeline.network_input.window_holes import WindowHoles

_GOLDEN_RATIO = (5**0.5 - 1) / 2
_MOST_DRAWS = 50
"""How often a window is drawn anew at most."""

Share = Annotated[float, Field(ge=0, le=1)]
Reach = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@configuration(error=WindowError, what="windows")
class WindowConfig:
    """Which windows are drawn, and how they vary.

    By default a tenth of the windows is clear, half are reversed in time, and the blind zone does
    not vary.
    """

    clear_share: Share = 0.1
    """Share of windows drawn from clear sky: the network learns to leave it clear."""
    shallow_share: Share = 0.0
    """Share drawn around a shallow column: echo in the blind zone, none in the four rows above."""
    virga_share: Share = 0.0
    """Share drawn around a virga column: echo in the four rows above, none in the blind zone. All
    other windows are drawn evenly from those with echo."""
    flip_share: Share = 0.5
    """Share of windows reversed in time."""
    shift_share: Share = 0.0
    """Share of windows whose atmosphere is moved up or down before the blind zone is hidden. A
    melting layer is in the blind zone on cold days and above it on mild ones: moved, it is learned
    at every height."""
    lowered_m: Reach = 1000.0
    """How far down at most [m]."""
    raised_m: Reach = 250.0
    """How far up at most [m]."""
    offset_share: Share = 0.0
    """Share of windows whose echo is made fainter or brighter throughout, like weaker weather,
    attenuation or another calibration of the radar. Echo at the floor is removed. Not with time
    contexts."""
    fainter_db: Reach = 8.0
    """By how much at most [dB]."""
    brighter_db: Reach = 2.0
    """By how much at most [dB]."""
    channel_dropout: Share = 0.0
    """Probability that a group of measured channels (velocity, lidar, state) is made absent, so
    that the network also serves sites without it."""
    zone: ZoneVariation = ZoneVariation()
    """How the blind zone varies."""
    holes: HoleConfig = HoleConfig()
    """Holes of other kinds, for a network that fills any; by default the blind zone alone is
    hidden."""

    def __post_init__(self) -> None:
        scenes = (self.clear_share, self.shallow_share, self.virga_share)
        if sum(scenes) > 1 + 1e-9:
            raise ValueError(
                "clear_share, shallow_share and virga_share must be together at most 1; found"
                f" {', '.join(map(str, scenes))}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Returns the configuration as plain values, for JSON."""
        return to_plain(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> WindowConfig:
        """Returns what `to_dict` gave.

        Raises:
            WindowError: If a key or value is wrong.
        """
        return read_plain(
            cls, dict(content), where="the configuration of windows", error=WindowError
        )

    def prepare(self, preprocessing: Preprocessing) -> Preprocessing:
        """Returns the preprocessing of a network that is trained on such windows."""
        return replace(
            preprocessing,
            deepest_m=self.zone.deepest_m if self.zone.varies_depth else preprocessing.deepest_m,
            outages=preprocessing.outages or self.zone.outage_share > 0,
            holes=self.holes.kinds or preprocessing.holes,
        )


class NumberedWindows(ABC):
    """Windows that depend on a seed and their own number alone.

    An interrupted stream can go on at any number.
    """

    @abstractmethod
    def draw_one(self, seed: int, number: int) -> Example:
        """Returns the window of a number in the sequence of a seed."""

    def draw(self, seed: int, first: int = 0) -> Iterator[Example]:
        """Yields random windows without end.

        Args:
            seed: Fixes the sequence; not negative.
            first: Number of the first window.
        """
        for number in count(first):
            yield self.draw_one(seed, number)

    def draw_fixed(self, count: int, seed: int) -> list[Example]:
        """Returns `count` windows, the same for the same seed."""
        return list(islice(self.draw(seed), count))


class WindowSampler(NumberedWindows):
    """Draws windows from days of one source.

    Days are kept in memory, in network units, up to a budget. A window of a day beyond the budget
    is read from the archive each time. This takes about thirty times as long (5 ms; with collocated
    sources, as long as joining them).

    Args:
        archive: The archive of the days.
        source: Name of the source.
        days: The days to draw from; a day shorter than a window is passed over.
        preprocessing: How a window becomes network input; `config.prepare` makes it fit the
            configuration.
        config: Which windows are drawn, and how they vary.
        catalog: Names the collocated sources, for channels that come from them. Without it these
            channels are absent unless the source's own curtains hold them.
        memory_bytes: Memory for days [bytes]. A day of 9600 profiles takes 7 MB, and 5 to 6 MB more
            per channel.
        selected_for_echo: Whether the days were chosen for their echo. They do not tell how often
            there is echo below a clear sky, so that windows without visible echo are passed over.
        may_be_clear: Whether days without any echo are right, since other sources are pooled.

    Raises:
        WindowError: If no day holds a whole window, no day holds any echo, or preprocessing and
            configuration do not fit each other.
        CurtainError: If a day holds infinite values.
        ArchiveError: If a day is not in the archive.
    """

    def __init__(
        self,
        archive: Archive,
        source: str,
        days: tuple[date, ...],
        preprocessing: Preprocessing,
        *,
        config: WindowConfig | None = None,
        catalog: Catalog | None = None,
        memory_bytes: int = 2**31,
        selected_for_echo: bool = False,
        may_be_clear: bool = False,
    ) -> None:
        self.preprocessing = preprocessing
        self.config = config or WindowConfig()
        self.selected_for_echo = selected_for_echo
        self._check_preprocessing()
        self._archive, self._source, self._catalog = archive, source, catalog
        self._days: list[IndexedDay] = []
        self._holes = WindowHoles(self.config.holes, preprocessing)
        for day in days:
            used = sum(known.profiles.nbytes for known in self._days if known.profiles)
            self._days.append(self._index(day, memory_bytes - used))
        self._cloudy = _number([day.cloudy_starts for day in self._days])
        self._clear = _number([day.clear_starts for day in self._days])
        self._shallow = _number([day.shallow for day in self._days])
        self._virga = _number([day.virga for day in self._days])
        self._rain = _number(self._holes.rain)
        self._check_windows(may_be_clear=may_be_clear)

    def draw_one(self, seed: int, number: int) -> Example:
        """Returns the window of a number in the sequence of a seed."""
        random = np.random.Generator(
            np.random.Philox(key=np.array([seed, number], dtype=np.uint64))
        )
        for _ in range(_MOST_DRAWS):
            holes = self._holes.choose(random)
            day, start = self._choose(random, holes or ())
            flip = bool(random.random() < self.config.flip_share)
            example = self._cut(day, start, random, flip=flip, holes=holes)
            if not self.selected_for_echo or self._shows_echo(example):
                break
        return example

    @property
    def profiles(self) -> int:
        """Number of profiles of all days."""
        return sum(day.time_s.size for day in self._days)

    def _shows_echo(self, example: Example) -> bool:
        """Returns whether a window is cloudy by what of it is visible."""
        reflectivity, soft_mask = example[0][..., 0], example[0][..., 1]
        echo = (reflectivity > self.preprocessing.scaling.clear_limit) & (soft_mask < 1)
        return bool(echo.any(axis=0).mean() >= LEAST_ECHO_SHARE)

    def _check_preprocessing(self) -> None:
        preprocessing = self.preprocessing
        if self.config.prepare(preprocessing) != preprocessing:
            raise WindowError(
                "the preprocessing does not fit how the windows' blind zone varies (deepest_m,"
                " outages); one made by the configuration's 'prepare' is right"
            )
        if self.config.offset_share and longest_context_s(preprocessing.channels):
            raise WindowError(
                "offset_share and time contexts (reflectivity_mean, echo_share) exclude each"
                " other: their means would have to be made anew for each window; found the"
                f" channels {', '.join(preprocessing.channels)}"
            )

    def _check_windows(self, *, may_be_clear: bool) -> None:
        where = f"{self._source}: none of {len(self._days)} days holds"
        if not len(self._cloudy) + len(self._clear):
            width = self.preprocessing.window_profiles
            raise WindowError(f"{where} {width} profiles, one window of the network")
        if not len(self._cloudy) and not may_be_clear:
            raise WindowError(
                f"{where} a window with echo above {self.preprocessing.floor_dbz} dBZ; a network"
                " cannot learn from clear sky alone"
            )

    def _choose(
        self, random: np.random.Generator, holes: tuple[HoleName, ...]
    ) -> tuple[IndexedDay, int]:
        """Returns a day and the first profile of a window; scenes that no day has are skipped.

        A window with a shadow is around a column of rain, if there is one.
        """
        config = self.config
        scenes = (
            (config.clear_share, self._clear, False),
            (config.shallow_share, self._shallow, True),
            (config.virga_share, self._virga, True),
        )
        drawn = random.random()
        pool, is_column = self._cloudy if len(self._cloudy) else self._clear, False
        for share, found, of_columns in scenes:
            if 0 <= drawn < share and len(found):
                pool, is_column = found, of_columns
            drawn -= share
        if "shadows" in holes and len(self._rain):
            pool, is_column = self._rain, True
        number, place = (int(value) for value in pool[random.integers(len(pool))])
        day, width = self._days[number], self.preprocessing.window_profiles
        if is_column:  # the column is anywhere in the window, as far as the day's ends allow
            place = min(max(place - int(random.integers(width)), 0), day.time_s.size - width)
            place = day.find_whole_window(place)
        return day, place

    def _cut(
        self,
        day: IndexedDay,
        start: int,
        random: np.random.Generator,
        *,
        flip: bool,
        holes: tuple[HoleName, ...] | None,
    ) -> Example:
        preprocessing, width = self.preprocessing, self.preprocessing.window_profiles
        depth = np.zeros(width, dtype=int)
        if holes is None or "zone" in holes:
            depth = self.config.zone.draw(
                random,
                preprocessing.grid,
                width,
                fixed_rows=self._find_own_zone(day, start),
                least_rows=preprocessing.least_rows,
            )
        around, inside = self._surround(day, start)
        profiles = self._read(day, around).without(self._draw_absent(random))
        if day.lowest_truth is not None:
            profiles = self._lower(profiles, day.lowest_truth[around])
        if self.config.shift_share:
            profiles = self._shift(profiles, random)
        if self.config.offset_share:
            profiles = self._offset(profiles, random)
        if len(profiles.looked) > len(depth):
            # the window's first and last top hold around it, too
            depth = np.pad(depth, (inside.start, len(profiles.looked) - inside.stop), mode="edge")
        hidden = preprocessing.find_hidden(profiles, depth)
        if holes is not None:
            hidden[inside] |= self._holes.draw(random, holes, profiles.select(inside), day.day)
        if flip:
            inside = slice(inside.stop - 1, inside.start - 1 if inside.start else None, -1)
        inputs = preprocessing.encode_profiles(profiles, hidden, inside)
        targets = preprocessing.encode_targets(profiles.select(inside), hidden[inside])
        self._holes.weigh(targets, hidden[inside])
        # (time, height, channel) -> (height, time, channel), the network's order
        return Example(
            np.ascontiguousarray(inputs.swapaxes(0, 1)),
            {name: np.ascontiguousarray(plane.swapaxes(0, 1)) for name, plane in targets.items()},
        )

    def _find_own_zone(self, day: IndexedDay, start: int) -> int | np.ndarray:
        """Returns the depth [rows] of a window's own blind zone, in all profiles or in each."""
        preprocessing = self.preprocessing
        if day.zone_depth is None or day.lowest_truth is not None:
            return preprocessing.hidden_rows
        own = day.zone_depth[start : start + preprocessing.window_profiles]
        return np.asarray(np.clip(own, preprocessing.least_rows, preprocessing.output_rows))

    def _lower(self, profiles: Profiles, lowest_truth: np.ndarray) -> Profiles:
        """Returns profiles moved down until truth reaches the ground in all that have any.

        So a layer that a radar from above sees takes the place of the one that it does not.
        """
        rows = self.preprocessing.grid.rows
        lowest = int(lowest_truth[lowest_truth < rows].max(initial=0))
        moved = profiles.shift(-lowest, self.preprocessing.scaling.clear_unit)
        return replace(moved, zone_depth=None)

    def _shift(self, profiles: Profiles, random: np.random.Generator) -> Profiles:
        if random.random() >= self.config.shift_share:
            return profiles
        row_m, rows = self.preprocessing.grid.row_depth_m, self.preprocessing.grid.rows
        lowered, raised = (
            int(most_m / row_m) for most_m in (self.config.lowered_m, self.config.raised_m)
        )
        moved = int(random.integers(-min(lowered, rows - 1), min(raised, rows - 1) + 1))
        return profiles.shift(moved, self.preprocessing.scaling.clear_unit)

    def _offset(self, profiles: Profiles, random: np.random.Generator) -> Profiles:
        if random.random() >= self.config.offset_share:
            return profiles
        scaling = self.preprocessing.scaling
        offset = (
            random.uniform(-self.config.fainter_db, self.config.brighter_db) / scaling.db_per_unit
        )
        return profiles.offset(offset, self.preprocessing.floor_unit, scaling)

    def _surround(self, day: IndexedDay, start: int) -> tuple[slice, slice]:
        """Returns a window with the surroundings of time contexts, and its place in them."""
        reach_s = longest_context_s(self.preprocessing.channels)
        stop = start + self.preprocessing.window_profiles
        first, last = start, stop
        if reach_s and (
            day.profiles is None or self.config.zone.varies or self.preprocessing.outages
        ):
            first = int(np.searchsorted(day.time_s, day.time_s[start] - reach_s))
            last = int(np.searchsorted(day.time_s, day.time_s[stop - 1] + reach_s, side="right"))
        return slice(first, last), slice(start - first, stop - first)

    def _draw_absent(self, random: np.random.Generator) -> tuple[str, ...]:
        """Returns the measured channels that are made absent in a window."""
        if not self.config.channel_dropout:
            return ()
        groups = [
            group
            for group in CHANNEL_GROUPS.values()
            if set(group) & set(self.preprocessing.channels)
        ]
        dropped = random.random(len(groups)) < self.config.channel_dropout
        return tuple(
            name
            for group, is_dropped in zip(groups, dropped, strict=True)
            if is_dropped
            for name in group
        )

    def _read(self, day: IndexedDay, span: slice) -> Profiles:
        if day.profiles is not None:
            return day.profiles.select(span)
        try:
            curtain = self._open(day.day) if day.opened is None else day.opened
            return self.preprocessing.encode_curtain(curtain.isel(time=span).load())
        except DamagedError as error:
            raise WindowError(
                f"the day was replaced or removed while it was read; start anew ({error})"
            ) from error

    def _open(self, day: date) -> xr.Dataset:
        """Returns the fields of a day that the channels need, lazily unless collocated."""
        if self._catalog is not None and self.preprocessing.uses_collocated:
            curtain = open_collocated(self._archive, self._catalog, self._source, day)
        else:
            curtain = self._archive.open_day(self._source, day)
        check_radar(curtain, where=f"{self._source} {day}")
        needed = {"reflectivity", *STATUS_OF.values(), *self.preprocessing.channels}
        return curtain[[name for name in curtain.data_vars if name in needed]]

    def _index(self, day: date, memory_bytes: int) -> IndexedDay:
        opened = self._open(day)
        lazy = None if self._catalog is not None and self.preprocessing.uses_collocated else opened
        curtain = opened.copy().load()
        check_finite(curtain, where=f"{self._source} {day}")
        profiles = self.preprocessing.encode_curtain(curtain)
        self._holes.add_day(day, profiles)
        echo = profiles.reflectivity > self.preprocessing.scaling.clear_limit
        cloudy = find_cloudy(echo.any(axis=1), self.preprocessing.window_profiles)
        whole = self._find_whole(curtain)
        hidden_rows = self.preprocessing.hidden_rows
        shallow, virga = find_shallow_and_virga(
            (echo & profiles.trusted)[:, :hidden_rows], echo[:, hidden_rows:]
        )
        fits = profiles.nbytes <= memory_bytes
        return IndexedDay(
            day=day,
            time_s=(curtain["time"].values - curtain["time"].values[:1]) / np.timedelta64(1, "s"),
            profiles=profiles.store_by_row() if fits else None,
            opened=None if fits else lazy,
            cloudy_starts=np.flatnonzero(cloudy & whole),
            clear_starts=np.flatnonzero(~cloudy & whole),
            shallow=np.flatnonzero(shallow & (cloudy.size > 0)),
            virga=np.flatnonzero(virga & (cloudy.size > 0)),
            zone_depth=profiles.zone_depth,
            lowest_truth=find_lowest_truth(profiles),
        )

    def _find_whole(self, curtain: xr.Dataset) -> np.ndarray:
        """Returns whether the window from each profile on is without a gap along the track."""
        width, spacing_m = self.preprocessing.window_profiles, self.preprocessing.profile_spacing_m
        starts = max(curtain.sizes["time"] - width + 1, 0)
        if spacing_m is None:
            return np.ones(starts, dtype=bool)
        parted = np.diff(curtain["along_track_distance"].values) > LONGEST_GAP_PROFILES * spacing_m
        gaps = np.concatenate([[0], np.cumsum(parted)])
        return np.asarray(gaps[width - 1 :] == gaps[:starts])


class PooledWindows(NumberedWindows):
    """Windows of several sources of one grid: in turn, or by shares.

    In turn, number n is the (n / sources)-th one of source n % sources.

    Args:
        samplers: One for each source.
        shares: Share of the windows of each source, all together 1; by default in turn.
    """

    def __init__(
        self, samplers: Sequence[WindowSampler], shares: Sequence[float] | None = None
    ) -> None:
        self._samplers = tuple(samplers)
        self._bounds = None if shares is None else np.cumsum(shares)[:-1]

    def draw_one(self, seed: int, number: int) -> Example:
        """Returns the window of a number in the sequence of a seed."""
        if self._bounds is None:
            turn, source = divmod(number, len(self._samplers))
            return self._samplers[source].draw_one(seed, turn)
        # Multiples of the golden ratio are spread evenly at every length (Weyl's sequence).
        place = (number + 1) * _GOLDEN_RATIO % 1
        source = int(np.searchsorted(self._bounds, place, side="right"))
        return self._samplers[source].draw_one(seed, number)


def _number(places: list[np.ndarray]) -> np.ndarray:
    """Returns (day index, profile) pairs `(count, 2)`."""
    pairs = [
        np.column_stack([np.full(found.size, index), found]) for index, found in enumerate(places)
    ]
    return np.concatenate(pairs) if pairs else np.zeros((0, 2), dtype=np.intp)
