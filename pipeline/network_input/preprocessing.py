"""From a curtain to network input and targets.

Everything that decides these numbers is in one `Preprocessing`, which is stored in the checkpoint:
a network gets its input just as in training. Profiles are first *encoded*, whole, in network units.
Then pixels are *hidden*: those below the top of a blind zone, which may differ from profile to
profile, and those without data (`pipeline.curtains.hidden`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Annotated, Any

import numpy as np
import xarray as xr
from pydantic import Field

from blindzone.core.configuration import configuration, read_plain, to_plain
from blindzone.core.errors import CurtainError
from blindzone.core.network_units import ABSENT_UNIT
from blindzone.pipeline.curtains.blind_zone import BlindZone
from blindzone.pipeline.curtains.curtain import DetectionStatus
from blindzone.pipeline.curtains.gridding import Grid
from blindzone.pipeline.curtains.hidden import (
    fill_from_neighbours,
    find_depth,
    find_zone_depth,
    hide_below,
    repeat_downwards,
    soft_mask,
)
from blindzone.pipeline.curtains.holes import guess_hidden, measure_distance
from blindzone.pipeline.curtains.quality import apply_floor
from blindzone.pipeline.network_input.channels import (
    COLLOCATED_CHANNELS,
    MEASURED_CHANNELS,
    Profiles,
    average_in_time,
    encode_measured,
    list_channels,
    parse_time_context,
    scale_measured,
)
from blindzone.pipeline.network_input.scaling import ChannelScalings, ReflectivityScaling

CHANNELS = ("reflectivity", "soft_mask", "height")
"""Input channels by default, in this order.

`reflectivity` is in network units; in the blind zone it repeats the lowest visible row. `soft_mask`
falls from 1 to 0 above the blind zone. `height` rises from 0 on the ground to 1 at the grid's top:
a convolution cannot tell one row from another.
"""

HOLE_DISTANCE = "hole_distance"
"""Optional channel: how far a pixel is from the nearest visible one, 0 there, 1 at 255 profiles."""

REQUIRED_CHANNELS = CHANNELS[:2]
"""The first two channels of every network."""


@configuration(error=CurtainError, what="preprocessing")
class Preprocessing:
    """How curtains become network input."""

    grid: Grid
    """Height grid of the curtains."""
    blind_zone: BlindZone
    """What is hidden."""
    floor_dbz: float
    """Sensitivity floor [dBZ]: weaker echo is none."""
    lowest_trusted_m: float = 0.0
    """Height [m] below which no truth was trusted in training."""
    scaling: ReflectivityScaling = ReflectivityScaling()
    """Network units of reflectivity."""
    window_profiles: int = 128
    """Width of the network's map in profiles."""
    channels: tuple[str, ...] = CHANNELS
    """Input channels: `reflectivity` and `soft_mask` first, then any of `height`, the measured
    channels and the time contexts of `blindzone.pipeline.network_input.channels`."""
    channel_scalings: ChannelScalings = ChannelScalings()
    """Ranges of the measured channels."""
    deepest_m: float | None = None
    """Top [m] of the deepest blind zone that the network was trained to fill, if depths varied."""
    outages: bool = False
    """Whether the network was trained on missing profiles; then such profiles count as hidden."""
    profile_spacing_m: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Distance between profiles [m] along the track of a radar that looks down; None if profiles
    follow each other in time above a place."""
    holes: tuple[str, ...] = ()
    """Kinds of holes that the network was trained to fill, anywhere in a curtain: then all rows are
    its output, and hidden pixels get a first guess from what is visible around them. Without any it
    fills blind zones."""

    def __post_init__(self) -> None:
        _check_channels(self.channels)
        if self.deepest_m is not None and self.deepest_m < self.blind_zone.top_m:
            raise ValueError(
                f"the deepest blind zone, {self.deepest_m} m, must not be shallower than the blind"
                f" zone, {self.blind_zone.top_m} m"
            )

    @cached_property
    def hidden_rows(self) -> int:
        """Number of rows in the blind zone."""
        return self.blind_zone.rows(self.grid)

    @cached_property
    def output_rows(self) -> int:
        """Number of rows of the network's output: those of the deepest blind zone in training.

        Of a network that fills holes anywhere they are all.
        """
        if self.holes:
            return self.grid.rows
        if self.deepest_m is None:
            return self.hidden_rows
        return replace(self.blind_zone, top_m=self.deepest_m).rows(self.grid)

    @property
    def compared_rows(self) -> int:
        """Number of lowest rows that profiles are not compared by: those that are predicted.

        Of a network that fills holes anywhere it is an eighth, where they are seldom.
        """
        return self.grid.rows // 8 if self.holes else self.output_rows

    @cached_property
    def least_rows(self) -> int:
        """Number of rows that training windows hide at least: one with trusted truth."""
        return min(self.untrusted_rows + 1, self.hidden_rows)

    @property
    def least_hidden_rows(self) -> int:
        """Number of rows that a filled profile hides at least: all, where depths never varied."""
        if self.holes:
            return 0
        return self.hidden_rows if self.deepest_m is None else self.least_rows

    @cached_property
    def untrusted_rows(self) -> int:
        """Number of lowest rows without trusted truth in training; at least one hidden row more."""
        return min(self.grid.row_of(self.lowest_trusted_m), self.hidden_rows - 1)

    @cached_property
    def floor_unit(self) -> float:
        """The sensitivity floor in network units."""
        return float(self.scaling.scale(np.asarray(self.floor_dbz)))

    @cached_property
    def channel_names(self) -> tuple[str, ...]:
        """Names of all input planes: each measured channel is followed by its presence flag."""
        return list_channels(self.channels)

    @property
    def uses_collocated(self) -> bool:
        """Whether a channel may come from a collocated source: lidar or state."""
        return any(name in COLLOCATED_CHANNELS for name in self.channels)

    def fit_zone(self, blind_zone: BlindZone, *, where: str) -> Preprocessing:
        """Returns the preprocessing of curtains with another blind zone for the same network.

        A network trained on a single depth always gets that depth: more is hidden than need be,
        never less.

        Args:
            blind_zone: The other zone; how its mask fades out stays as in training.
            where: Whose zone it is, for the message.

        Raises:
            CurtainError: If that zone is deeper than any in training.
        """
        if blind_zone.rows(self.grid) > self.output_rows:
            raise CurtainError(
                f"{where}: the blind zone reaches up to {blind_zone.top_m:g} m; the network was"
                f" trained to fill at most {self.deepest_m or self.blind_zone.top_m:g} m"
            )
        if self.deepest_m is None and not self.holes:
            return self
        return replace(self, blind_zone=replace(self.blind_zone, top_m=blind_zone.top_m))

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as plain values, for JSON.

        `profile_spacing_m` and `holes` are left out where they are not set: earlier records do not
        have them.
        """
        plain: dict[str, Any] = to_plain(self)
        if self.profile_spacing_m is None:
            del plain["profile_spacing_m"]
        if not self.holes:
            del plain["holes"]
        return plain

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Preprocessing:
        """Returns what `to_dict` gave, in this version or an earlier one.

        Raises:
            CurtainError: If a value is wrong, or this version does not make a channel.
        """
        return read_plain(
            cls, dict(content), where="the checkpoint's preprocessing", error=CurtainError
        )

    def encode_curtain(self, curtain: xr.Dataset) -> Profiles:
        """Returns a gridded radar curtain `(time, height)` in network units, nothing hidden yet."""
        times, status = curtain["time"].values, curtain["detection_status"].values
        looked = status != DetectionStatus.NO_DATA
        units = self.scaling.scale(apply_floor(curtain["reflectivity"].values, self.floor_dbz))
        profiles = Profiles(
            reflectivity=units,
            looked=looked,
            trusted=looked & (status != DetectionStatus.UNTRUSTED),
            measured=scale_measured(
                curtain,
                self.channels,
                units > self.scaling.clear_limit,
                looked,
                self.channel_scalings,
            ),
            time_s=(times - times[:1]) / np.timedelta64(1, "s"),
            zone_depth=self._find_own_depth(curtain),
            lowered=self._find_lowered(curtain),
        )
        nothing_hidden = np.zeros(looked.shape, dtype=bool)
        context = average_in_time(profiles, nothing_hidden, self.channels, self.scaling)
        return replace(profiles, context=context)

    def _find_own_depth(self, curtain: xr.Dataset) -> np.ndarray | None:
        if "blind_zone_top" not in curtain.coords:
            return None
        return find_zone_depth(curtain, self.grid, self.hidden_rows)

    def _find_lowered(self, curtain: xr.Dataset) -> np.ndarray | None:
        if "layer_bottom" not in curtain.coords:
            return None
        return np.asarray(np.rint(curtain["layer_bottom"].values / self.grid.row_depth_m))

    def find_hidden(self, profiles: Profiles, depth: np.ndarray | None = None) -> np.ndarray:
        """Returns the mask of hidden pixels `(time, height)`: of the blind zone, and without data.

        A network trained on a single depth always gets that depth: more is hidden than need be.
        Where a profile's own zone is deeper than any in training, all of it is hidden; nothing
        can be predicted there.

        Args:
            profiles: The profiles.
            depth: Depth of the blind zone of each profile [rows] `(time,)`; by default its own,
                else that of the source.
        """
        if depth is None:
            depth = self.find_depth(profiles)
        hidden = hide_below(depth, self.grid.rows)
        return hidden if profiles.looked.all() else hidden | ~profiles.looked

    def find_depth(self, profiles: Profiles) -> np.ndarray:
        """Returns the depth [rows] `(time,)` that the blind zone of each profile is given."""
        own = profiles.zone_depth
        if own is None:
            is_hidden = not self.holes or "zone" in self.holes
            return np.full(len(profiles.looked), self.hidden_rows if is_hidden else 0)
        return np.asarray(np.maximum(own, self.least_hidden_rows))

    def encode_input(self, curtain: xr.Dataset) -> np.ndarray:
        """Returns network input of a gridded radar curtain, float32 `(time, height, channel)`."""
        profiles = self.encode_curtain(curtain)
        return self.encode_profiles(profiles, self.find_hidden(profiles))

    def is_separable(self, hidden: np.ndarray) -> bool:
        """Returns whether the input of each profile is made from itself, time contexts aside.

        Then `encode_profiles` gives the same of any span as of the whole.

        Args:
            hidden: Which pixels are hidden `(time, height)`.
        """
        if self.holes:  # a guess comes from other profiles
            return not hidden.any()
        # Otherwise another profile stands in for what the network was not trained on.
        return self.outages or bool((find_depth(hidden) <= self.output_rows).all())

    def encode_profiles(
        self, profiles: Profiles, hidden: np.ndarray, span: slice = slice(None)
    ) -> np.ndarray:
        """Returns network input of profiles, without anything the radar measured in hidden pixels.

        Args:
            profiles: The profiles, with their surroundings if masks differ and there is a time
                context.
            hidden: Which pixels are hidden `(time, height)`.
            span: Which of the profiles to return; with a step of -1, reversed in time.

        Returns:
            Channels in network units, float32 `(time, height, channel)`.
        """
        selected, mask = profiles.select(span), hidden[span]
        depth = find_depth(hidden).min(initial=self.grid.rows)
        if (hidden & profiles.looked)[:, depth:].any():
            # Masks differ, and with them the pixels with data that count in a mean.
            context = average_in_time(profiles, hidden, self.channels, self.scaling, span)
        else:
            lowest = hide_below(np.full(len(mask), depth), self.grid.rows)
            context = {
                name: repeat_downwards(units, lowest, ABSENT_UNIT)
                for name, units in selected.context.items()
            }
        planes = [
            plane
            for name in self.channels
            for plane in self._encode_channel(name, selected, mask, context)
        ]
        return _stack_in_network_order(planes, mask.shape)

    def encode_targets(self, profiles: Profiles, hidden: np.ndarray) -> dict[str, np.ndarray]:
        """Returns training targets of profiles: values, and a mask of hidden and trusted pixels.

        Args:
            profiles: The profiles.
            hidden: Which pixels are hidden `(time, height)`.

        Returns:
            Float32 `(time, output row, 2)` each, a value and its mask: `occurrence` (echo, 1 or 0),
            `intensity` (reflectivity in network units, counted where there is echo) and `value`
            (the same, and the clear unit where there is no echo).
        """
        units = profiles.reflectivity[:, : self.output_rows]
        counted = profiles.trusted[:, : self.output_rows] & hidden[:, : self.output_rows]
        echo = units > self.scaling.clear_limit
        targets = {
            "occurrence": (echo, counted),
            "intensity": (np.where(echo, units, np.float32(0)), echo & counted),
            "value": (units, counted),
        }
        return {name: _stack_in_network_order(pair, units.shape) for name, pair in targets.items()}

    def _encode_channel(
        self,
        name: str,
        profiles: Profiles,
        hidden: np.ndarray,
        context: Mapping[str, np.ndarray],
    ) -> tuple[np.ndarray, ...]:
        """Returns the input planes of a channel, each of a shape that fits `(time, height)`."""
        if name == HOLE_DISTANCE:
            return (np.minimum(np.log2(1 + measure_distance(hidden)) / 8, np.float32(1)),)
        if name == "reflectivity" and self.holes:
            return (self._guess(profiles.reflectivity, hidden),)
        if name == "reflectivity":
            units = repeat_downwards(profiles.reflectivity, hidden, self.scaling.clear_unit)
            return (self._stand_in(units, hidden),)
        if name == "soft_mask":
            return (soft_mask(self._mask_as_trained(hidden), self.blind_zone.soft_rows),)
        if name == "height":
            return (self._encode_height(profiles),)
        if name in MEASURED_CHANNELS:
            return encode_measured(profiles, name, hidden)
        return (context[name],)

    def _guess(self, units: np.ndarray, hidden: np.ndarray) -> np.ndarray:
        """Returns reflectivity `(time, height)` with a first guess in the hidden pixels."""
        return guess_hidden(
            units,
            hidden,
            absent=self.scaling.clear_unit,
            least_echo=self.scaling.clear_limit,
        )

    def _encode_height(self, profiles: Profiles) -> np.ndarray:
        """Returns the height of rows in units of the grid's top, `(row,)` or `(time, row)`.

        Along a track it is that above the surface, also of layers that were lowered. Above a place
        it is that above the lowered ground: so the networks there were trained.
        """
        heights_m = self.grid.centres_m
        if self.profile_spacing_m is not None and profiles.lowered is not None:
            heights_m = heights_m + self.grid.row_depth_m * profiles.lowered[:, None]
        return np.asarray((heights_m / self.grid.top_m).astype(np.float32))

    def _stand_in(self, units: np.ndarray, hidden: np.ndarray) -> np.ndarray:
        """Returns units in which no missing profile looks like clear sky.

        A network that was not trained on outages gets the nearest profile in place of a missing
        one. To one that was, the soft mask says that the profile is hidden.
        """
        missing = np.asarray(hidden.all(axis=1))
        return units if self.outages else fill_from_neighbours(units, missing)

    def _mask_as_trained(self, hidden: np.ndarray) -> np.ndarray:
        """Returns the mask that the soft mask is made of: of kinds that the network was trained on.

        Without outages in training that is the blind zone alone, no deeper than any in training.
        """
        if self.outages or self.holes:
            return hidden
        depth = find_depth(hidden)
        seen = depth <= self.output_rows
        depth = np.where(seen, depth, depth[seen].max(initial=self.hidden_rows))
        return hide_below(depth, hidden.shape[1])


def check_finite(curtain: xr.Dataset, *, where: str) -> None:
    """Checks that no field `(time, height)` of a curtain is infinite, which clipping would hide.

    Raises:
        CurtainError: With the first field that is, and how many of its values are.
    """
    for name, field_values in curtain.data_vars.items():
        found = int(np.isinf(field_values.values).sum())
        if found:
            raise CurtainError(
                f"{where}: {found} values of '{name}' are infinite; what is missing must be NaN"
            )


def _stack_in_network_order(planes: Sequence[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """Returns planes side by side, float32 `(time, height, plane)`.

    Their order in memory is `(height, time, plane)`, the network's: `swapaxes(0, 1)` is contiguous.
    """
    memory = np.empty((shape[1], shape[0], len(planes)), dtype=np.float32)
    stacked = memory.swapaxes(0, 1)
    for number, plane in enumerate(planes):
        stacked[..., number] = plane
    return stacked


def _check_channels(channels: tuple[str, ...]) -> None:
    known = (*CHANNELS, HOLE_DISTANCE, *MEASURED_CHANNELS)
    wrong = [name for name in channels if name not in known and parse_time_context(name) is None]
    if wrong or channels[:2] != REQUIRED_CHANNELS or len(set(channels)) < len(channels):
        raise ValueError(
            f"found the channels {channels}; this version makes"
            f" {', '.join(known)}, reflectivity_mean_<minutes>min and echo_share_<minutes>min, each"
            f" at most once, {' and '.join(REQUIRED_CHANNELS)} first"
        )
