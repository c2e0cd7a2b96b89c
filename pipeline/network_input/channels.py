"""Optional channels of a network: further measured fields, and the time context of reflectivity.

A *measured* channel is a field that one site has and another lacks. Its presence flag follows it,
`<name>_present`: 1 where the field is known, 0 where it is absent. It is known, too, where an
instrument looked and saw nothing. Doppler velocity is hidden in the blind zone as reflectivity is.
Lidar and state come from other instruments and are known there.

A *time context* is a centred running mean of the visible reflectivity: `reflectivity_mean_10min`
and `echo_share_45min`, of any number of minutes. A window of 128 profiles 9 s apart spans 19
minutes; a time context reaches beyond it. Each row is averaged for itself, so nothing of a hidden
row gets into a visible one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
import xarray as xr

from blindzone.core.errors import CurtainError
from blindzone.core.network_units import ABSENT_UNIT
from blindzone.pipeline.curtains.along_track import looks_down
from blindzone.pipeline.curtains.curtain import STATE_FIELDS, DetectionStatus
from blindzone.pipeline.curtains.hidden import repeat_downwards
from blindzone.pipeline.network_input.scaling import (
    ChannelScalings,
    ReflectivityScaling,
)

CHANNEL_GROUPS: Mapping[str, tuple[str, ...]] = {
    "velocity": ("doppler_velocity",),
    "lidar": ("attenuated_backscatter",),
    "state": STATE_FIELDS,
}
"""The measured channels by instrument: a site has, or lacks, a group."""
MEASURED_CHANNELS = tuple(name for group in CHANNEL_GROUPS.values() for name in group)
COLLOCATED_CHANNELS = CHANNEL_GROUPS["lidar"] + CHANNEL_GROUPS["state"]
"""Channels that may come from collocated sources and are known inside the blind zone."""
_TIME_CONTEXT = re.compile(r"(reflectivity_mean|echo_share)_([1-9][0-9]{0,3})min")
_Measured = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class TimeContext:
    """A centred running mean over some minutes: of linear reflectivity, or of echo occurrence."""

    kind: str
    minutes: int


@dataclass(frozen=True, kw_only=True)
class Profiles:
    """Consecutive profiles in network units, before the blind zone is hidden.

    Attributes:
        reflectivity: Float32 `(time, height)`, the scaling's clear unit where no echo exceeds the
            floor.
        looked: Whether the radar delivered data, `(time, height)`.
        trusted: Whether these data are truth to train on, `(time, height)`.
        measured: Units and presence of each available measured channel, both `(time, height)`.
        context: Units of each time context with no row hidden, `(time, height)`.
        time_s: Time of each profile [s] since any one moment, `(time,)`; only time contexts need
            it.
        zone_depth: Rows that each profile's own blind zone hides, `(time,)`; None if all have that
            of the source.
        lowered: Rows by which each profile was moved down, `(time,)`; None if none was.
    """

    reflectivity: np.ndarray
    looked: np.ndarray
    trusted: np.ndarray
    measured: Mapping[str, _Measured] = field(default_factory=dict)
    context: Mapping[str, np.ndarray] = field(default_factory=dict)
    time_s: np.ndarray | None = None
    zone_depth: np.ndarray | None = None
    lowered: np.ndarray | None = None

    @property
    def nbytes(self) -> int:
        """Memory of all arrays [bytes]."""
        pairs = [array for pair in self.measured.values() for array in pair]
        return sum(
            a.nbytes
            for a in (self.reflectivity, self.looked, self.trusted, *pairs, *self.context.values())
        )

    def select(self, span: slice) -> Profiles:
        """Returns the profiles of a span; with a step of -1, reversed in time."""
        return Profiles(
            reflectivity=self.reflectivity[span],
            looked=self.looked[span],
            trusted=self.trusted[span],
            measured={
                name: (units[span], present[span])
                for name, (units, present) in self.measured.items()
            },
            context={name: units[span] for name, units in self.context.items()},
            time_s=None if self.time_s is None else self.time_s[span],
            zone_depth=None if self.zone_depth is None else self.zone_depth[span],
            lowered=None if self.lowered is None else self.lowered[span],
        )

    def store_by_row(self) -> Profiles:
        """Returns the same profiles, each row contiguous in memory: cutting is twice as fast."""
        return replace(
            self,
            reflectivity=np.asfortranarray(self.reflectivity),
            looked=np.asfortranarray(self.looked),
            trusted=np.asfortranarray(self.trusted),
            measured={
                name: (np.asfortranarray(u), np.asfortranarray(p))
                for name, (u, p) in self.measured.items()
            },
            context={name: np.asfortranarray(units) for name, units in self.context.items()},
        )

    def shift(self, rows: int, clear_unit: float) -> Profiles:
        """Returns the profiles moved up by some rows; rows that come in hold no data.

        Args:
            rows: Number of rows; negative to move down.
            clear_unit: Reflectivity of the rows that come in [network units].
        """

        def move(values: np.ndarray, fill: float) -> np.ndarray:
            moved = np.full_like(values, fill)
            into, out_of = (
                slice(max(rows, 0), min(rows, 0) or None),
                slice(max(-rows, 0), min(-rows, 0) or None),
            )
            moved[:, into] = values[:, out_of]
            return moved

        lowered = np.zeros(len(self.looked), dtype=int) if self.lowered is None else self.lowered
        return replace(
            self,
            lowered=lowered - rows,
            reflectivity=move(self.reflectivity, clear_unit),
            looked=move(self.looked, False),
            trusted=move(self.trusted, False),
            measured={
                name: (move(u, ABSENT_UNIT), move(p, False))
                for name, (u, p) in self.measured.items()
            },
            context={name: move(units, ABSENT_UNIT) for name, units in self.context.items()},
        )

    def offset(self, units: float, floor_unit: float, scaling: ReflectivityScaling) -> Profiles:
        """Returns the profiles with all echo brighter by some units; none is left at the floor.

        Args:
            units: By how much [network units]; negative for fainter echo.
            floor_unit: Sensitivity floor [network units].
            scaling: Network units of reflectivity.
        """
        moved = np.minimum(self.reflectivity + np.float32(units), np.float32(scaling.highest_unit))
        was_echo = self.reflectivity > scaling.clear_limit
        is_echo = was_echo & (moved > floor_unit)
        measured = dict(self.measured)
        if "doppler_velocity" in measured:  # known where there is echo
            velocity, present = measured["doppler_velocity"]
            measured["doppler_velocity"] = (
                np.where(was_echo & ~is_echo, np.float32(ABSENT_UNIT), velocity),
                present,
            )
        return replace(
            self,
            reflectivity=np.where(is_echo, moved, np.float32(scaling.clear_unit)),
            measured=measured,
        )

    def without(self, names: tuple[str, ...]) -> Profiles:
        """Returns the profiles without some of their measured channels."""
        return replace(
            self, measured={name: pair for name, pair in self.measured.items() if name not in names}
        )


@lru_cache
def parse_time_context(name: str) -> TimeContext | None:
    """Returns the time context that a channel is named for; None if it is no time context."""
    found = _TIME_CONTEXT.fullmatch(name)
    return TimeContext(found[1], int(found[2])) if found else None


def list_channels(channels: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the names of all input planes: each measured channel is followed by its presence."""
    return tuple(
        name
        for asked in channels
        for name in ((asked, f"{asked}_present") if asked in MEASURED_CHANNELS else (asked,))
    )


def scale_measured(
    curtain: xr.Dataset,
    channels: tuple[str, ...],
    echo: np.ndarray,
    looked: np.ndarray,
    scalings: ChannelScalings,
) -> dict[str, _Measured]:
    """Returns units and presence of each measured channel that the curtain holds.

    Args:
        curtain: Gridded canonical curtain `(time, height)`.
        channels: Names of the channels of the network.
        echo: Where the radar sees an echo, `(time, height)`.
        looked: Where it delivered data, `(time, height)`.
        scalings: The ranges of the channels.
    """
    scaled = {}
    for name in MEASURED_CHANNELS:
        if name not in channels or name not in curtain:
            continue
        values = curtain[name].values
        if name == "doppler_velocity":
            # Positive away from the radar, which is upwards from the ground and downwards from
            # orbit.
            values = -values if looks_down(curtain) else values
            values, present = np.where(echo, values, np.nan), looked & ~(echo & np.isnan(values))
        elif name == "attenuated_backscatter":
            status = curtain["backscatter_status"].values
            present = (status == DetectionStatus.ECHO) | (status == DetectionStatus.NO_ECHO)
            seen = (status == DetectionStatus.ECHO) & (values > 0)
            values = np.log10(
                values, out=np.full(values.shape, np.nan, dtype=np.float32), where=seen
            )
        else:
            present = np.isfinite(values)
        scaled[name] = scalings.of(name).scale(values), present
    return scaled


def encode_measured(
    profiles: Profiles, name: str, hidden: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns input planes of a measured channel and of its presence, float32 `(time, height)`.

    Args:
        profiles: The profiles.
        name: The channel.
        hidden: Which pixels are hidden `(time, height)`.
    """
    if name not in profiles.measured:
        shape = profiles.reflectivity.shape
        return np.full(shape, ABSENT_UNIT, dtype=np.float32), np.zeros(shape, dtype=np.float32)
    units, present = profiles.measured[name]
    if name not in COLLOCATED_CHANNELS:
        units = repeat_downwards(units, hidden, ABSENT_UNIT)
        present = repeat_downwards(present, hidden, absent=0)
    return units, present.astype(np.float32)


def average_in_time(
    profiles: Profiles,
    hidden: np.ndarray,
    channels: tuple[str, ...],
    scaling: ReflectivityScaling,
    span: slice = slice(None),
) -> dict[str, np.ndarray]:
    """Returns the time contexts among some channels, from the visible part of profiles.

    Reflectivity is averaged in linear units (mm6 m-3), no echo as zero, and the mean is scaled as
    dBZ. The mean of echo is its share of the time. A pixel without data within the time gets the
    absent unit. Where a row is hidden in all profiles of a mean, the next row above that is not is
    repeated downwards.

    Args:
        profiles: All profiles that may count: a curtain, or a window with its surroundings.
        hidden: Which pixels are hidden `(time, height)`.
        channels: Names of channels.
        scaling: Network units of reflectivity.
        span: Which of the profiles to return.

    Returns:
        Float32 `(time, height)` by channel.

    Raises:
        CurtainError: If there are no times.
    """
    contexts = {name: context for name in channels if (context := parse_time_context(name))}
    if not contexts:
        return {}
    if profiles.time_s is None:
        raise CurtainError(
            f"the channels {', '.join(contexts)} need the time of each profile; there is none"
        )
    rows = profiles.reflectivity.shape[1]
    if profiles.context:
        # The means of fully visible profiles hold above the highest hidden row.
        highest = int(np.flatnonzero(hidden.any(axis=0)).max(initial=-1))
        rows = min(highest + 2, rows)
    sums = _sum_visible(profiles, hidden, rows, scaling)
    averaged = {}
    for name, context in contexts.items():
        first, last = _find_neighbours(
            profiles.time_s, profiles.time_s[span], 30.0 * context.minutes
        )
        below = sums.average(context, first, last, scaling)
        below = repeat_downwards(below, sums.find_hidden(first, last), ABSENT_UNIT)
        above = profiles.context[name][span, rows:] if profiles.context else below[:, rows:]
        averaged[name] = np.concatenate([below, above], axis=1)
    return averaged


@dataclass(frozen=True)
class _RunningSums:
    """Sums over all earlier profiles, each `(height, time + 1)`.

    Attributes:
        linear: Of linear reflectivity [mm6 m-3].
        echo: Of echo.
        counts: Of visible pixels with data.
        visible: Of visible pixels.
    """

    linear: np.ndarray
    echo: np.ndarray
    counts: np.ndarray
    visible: np.ndarray

    def average(
        self,
        context: TimeContext,
        first: np.ndarray,
        last: np.ndarray,
        scaling: ReflectivityScaling,
    ) -> np.ndarray:
        """Returns a time context of the profiles from `first` to before `last` `(time, height)`."""
        sums = self.linear if context.kind == "reflectivity_mean" else self.echo
        count = self.counts[:, last] - self.counts[:, first]
        mean = (sums[:, last] - sums[:, first]) / np.maximum(count, 1)
        if context.kind == "reflectivity_mean":
            mean = scaling.scale(
                10.0 * np.log10(mean, out=np.full(mean.shape, np.nan), where=mean > 0)
            )
        return np.where(count > 0, mean, ABSENT_UNIT).astype(np.float32).T

    def find_hidden(self, first: np.ndarray, last: np.ndarray) -> np.ndarray:
        """Returns what all profiles from `first` to before `last` hide, bool `(time, height)`."""
        return np.asarray(self.visible[:, last] == self.visible[:, first]).T


def _sum_visible(
    profiles: Profiles, hidden: np.ndarray, rows: int, scaling: ReflectivityScaling
) -> _RunningSums:
    """Returns the running sums of the visible part of the lowest rows."""
    # Rows first: a running sum along contiguous memory takes half the time. (time, height) ->
    # (height, time)
    units = np.ascontiguousarray(profiles.reflectivity[:, :rows].T)
    visible = ~hidden[:, :rows].T
    counted = visible & profiles.looked[:, :rows].T
    echo = counted & (units > scaling.clear_limit)
    linear = np.zeros(echo.shape)
    linear[echo] = 10.0 ** (0.1 * scaling.unscale(units[echo]).astype(np.float64))
    return _RunningSums(*map(_accumulate, (linear, echo, counted, visible)))


def longest_context_s(channels: tuple[str, ...]) -> float:
    """Returns how far the time contexts among some channels reach to either side [s]; 0 if none."""
    return max(
        (30.0 * context.minutes for name in channels if (context := parse_time_context(name))),
        default=0.0,
    )


def _accumulate(values: np.ndarray) -> np.ndarray:
    """Returns the sums `(height, time + 1)` of the values `(height, time)` before each profile."""
    sums = np.zeros((values.shape[0], values.shape[1] + 1))
    np.cumsum(values.astype(np.float64, copy=False), axis=1, out=sums[:, 1:])
    return sums


def _find_neighbours(
    time_s: np.ndarray, wanted_s: np.ndarray, half_s: float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the first profile within some seconds of each time, and the one after the last."""
    return np.searchsorted(time_s, wanted_s - half_s), np.searchsorted(
        time_s, wanted_s + half_s, side="right"
    )
