"""From a curtain to what the network is shown and what it should answer.

Everything that decides these numbers is in one `Preprocessing`, which travels inside the
checkpoint: a curtain is always shown to a network just as it was in training. Profiles are first
*encoded*, whole, in network units, and then *hidden* below the top of a blind zone, which may
differ from profile to profile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr

from blindzone.core.errors import CurtainError
from blindzone.core.network_units import ABSENT_UNIT
from blindzone.pipeline.curtains.blind_zone import BlindZone, repeat_downwards, soft_mask
from blindzone.pipeline.curtains.curtain import DetectionStatus
from blindzone.pipeline.curtains.gridding import Grid
from blindzone.pipeline.curtains.quality import apply_floor
from blindzone.pipeline.network_input.channels import (
    COLLOCATED_CHANNELS,
    MEASURED_CHANNELS,
    Profiles,
    average_in_time,
    list_channels,
    parse_time_context,
    scale_measured,
    show_measured,
)
from blindzone.pipeline.network_input.scaling import (
    ChannelScalings,
    LinearScaling,
    ReflectivityScaling,
)

CHANNELS = ("reflectivity", "soft_mask", "height")
"""What a network sees if nothing else is asked for, in this order.

`reflectivity` is in network units; in the blind zone it repeats the lowest visible row. `soft_mask`
falls from 1 to 0 above the blind zone. `height` rises from 0 on the ground to 1 at the grid's top:
a convolution cannot tell one row from another.
"""

REQUIRED_CHANNELS = CHANNELS[:2]
"""The first two of every network, which reads off them where to start from and what is hidden."""


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """How curtains are shown to a network.

    Attributes:
        grid: Height grid of the curtains.
        blind_zone: What is hidden.
        floor_dbz: Sensitivity floor [dBZ]: weaker echo is none.
        lowest_trusted_m: Height [m] below which no truth was trusted in training.
        scaling: Network units of reflectivity.
        window_profiles: Width of the network's map in profiles.
        channels: What the network sees: `reflectivity` and `soft_mask` first, then any of `height`,
            the measured channels and the time contexts of
            `blindzone.pipeline.network_input.channels`.
        channel_scalings: Ranges of the measured channels.
        deepest_m: Top [m] of the deepest blind zone that the network was trained to fill, if that
            varied.
        outages: Whether it was trained on profiles that are missing wholly, so that such ones are
            shown as hidden.
    """

    grid: Grid
    blind_zone: BlindZone
    floor_dbz: float
    lowest_trusted_m: float = 0.0
    scaling: ReflectivityScaling = field(default_factory=ReflectivityScaling)
    window_profiles: int = 128
    channels: tuple[str, ...] = CHANNELS
    channel_scalings: ChannelScalings = field(default_factory=ChannelScalings)
    deepest_m: float | None = None
    outages: bool = False

    def __post_init__(self) -> None:
        _check_channels(self.channels)
        if self.deepest_m is not None and self.deepest_m < self.blind_zone.top_m:
            raise CurtainError(
                f"the deepest blind zone, {self.deepest_m} m, must not be shallower than the blind"
                f" zone, {self.blind_zone.top_m} m"
            )

    @cached_property
    def hidden_rows(self) -> int:
        """Number of rows in the blind zone."""
        return self.blind_zone.rows(self.grid)

    @cached_property
    def output_rows(self) -> int:
        """Number of rows that the network answers for: those of the deepest blind zone it was trained to fill."""
        if self.deepest_m is None:
            return self.hidden_rows
        return replace(self.blind_zone, top_m=self.deepest_m).rows(self.grid)

    @cached_property
    def untrusted_rows(self) -> int:
        """Number of rows near the ground, at least one fewer than hidden, on which the network was never trained."""
        return min(self.grid.row_of(self.lowest_trusted_m), self.hidden_rows - 1)

    @cached_property
    def floor_unit(self) -> float:
        """The sensitivity floor in network units."""
        return float(self.scaling.scale(np.asarray(self.floor_dbz)))

    @cached_property
    def channel_names(self) -> tuple[str, ...]:
        """Names of the network's channels: those asked for, each measured one followed by its presence flag."""
        return list_channels(self.channels)

    @property
    def uses_collocated(self) -> bool:
        """Whether a channel may come from a partner of the source: lidar or state."""
        return any(name in COLLOCATED_CHANNELS for name in self.channels)

    def fit_zone(self, blind_zone: BlindZone, *, where: str) -> Preprocessing:
        """Returns how curtains with another blind zone are shown to the same network.

        One trained on a single depth always gets that depth: more is hidden from it than need be,
            never less.

        Args:
            blind_zone: The other zone; how its mask fades out stays as in training.
            where: Whose it is, for the message.

        Raises:
            CurtainError: If that zone is deeper than any the network was trained to fill.
        """
        if blind_zone.rows(self.grid) > self.output_rows:
            raise CurtainError(
                f"{where}: the blind zone reaches up to {blind_zone.top_m:g} m; the network was"
                f" trained to fill at most {self.deepest_m or self.blind_zone.top_m:g} m"
            )
        if self.deepest_m is None:
            return self
        return replace(self, blind_zone=replace(self.blind_zone, top_m=blind_zone.top_m))

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as plain values, for JSON."""
        return asdict(self) | {"channels": list(self.channels)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Preprocessing:
        """Returns what `to_dict` gave, of this version or an earlier one.

        Raises:
            CurtainError: If it asks for channels that this version does not make, or is not
                understood.
        """
        values = dict(content)
        scalings = values.pop("channel_scalings", {})
        try:
            return cls(
                grid=Grid(**values.pop("grid")),
                blind_zone=BlindZone(**values.pop("blind_zone")),
                scaling=ReflectivityScaling(**values.pop("scaling")),
                channels=tuple(values.pop("channels")),
                channel_scalings=ChannelScalings(
                    **{name: LinearScaling(**ends) for name, ends in scalings.items()}
                ),
                **values,
            )
        except (KeyError, TypeError, AttributeError, CurtainError) as error:
            raise CurtainError(
                f"the checkpoint's preprocessing is not understood: {error}"
            ) from error

    def encode(
        self,
        reflectivity_dbz: np.ndarray,
        status: np.ndarray | None = None,
        *,
        time_s: np.ndarray | None = None,
    ) -> Profiles:
        """Returns profiles in network units, nothing hidden, without measured channels.

        Args:
            reflectivity_dbz: Reflectivity [dBZ] `(time, height)`, NaN where there is no echo.
            status: `DetectionStatus` codes `(time, height)`; observed and trusted everywhere
                without them.
            time_s: Time of each profile [s] since any one moment, for time contexts.
        """
        looked = (
            np.ones(reflectivity_dbz.shape, dtype=bool)
            if status is None
            else status != DetectionStatus.NO_DATA
        )
        return Profiles(
            reflectivity=self.scaling.scale(apply_floor(reflectivity_dbz, self.floor_dbz)),
            looked=looked,
            trusted=looked if status is None else looked & (status != DetectionStatus.UNTRUSTED),
            time_s=time_s,
        )

    def encode_curtain(self, curtain: xr.Dataset) -> Profiles:
        """Returns a gridded radar curtain in network units, nothing hidden, with all that the channels ask for."""
        times = curtain["time"].values
        encoded = self.encode(
            curtain["reflectivity"].values,
            curtain["detection_status"].values,
            time_s=(times - times[:1]) / np.timedelta64(1, "s"),
        )
        echo = encoded.reflectivity > self.scaling.clear_limit
        measured = scale_measured(
            curtain, self.channels, echo, encoded.looked, self.channel_scalings
        )
        return self._add_context(replace(encoded, measured=measured))

    def find_hidden(self, profiles: Profiles, hidden_rows: np.ndarray | None = None) -> np.ndarray:
        """Returns the number of hidden rows of each profile `(time,)`: all of them where a profile is missing.

        Args:
            profiles: The profiles.
            hidden_rows: How many are hidden where it is not; the blind zone's by default.
        """
        hidden = (
            np.full(len(profiles.looked), self.hidden_rows) if hidden_rows is None else hidden_rows
        )
        if not self.outages:
            return hidden
        # Told from rows that no blind zone hides.
        missing = ~profiles.looked[:, self.output_rows :].any(axis=1)
        return np.where(missing, self.grid.rows, hidden)

    def show(self, reflectivity_dbz: np.ndarray, *, time_s: np.ndarray | None = None) -> np.ndarray:
        """Returns what the network sees of profiles of which reflectivity alone is known.

        Args:
            reflectivity_dbz: Reflectivity [dBZ] `(time, height)`, NaN where there is no echo.
            time_s: Time of each profile [s] since any one moment, for time contexts.

        Returns:
            Channels in network units, float32 `(time, height, channel)`; nothing of their blind
            zone.
        """
        profiles = self._add_context(self.encode(reflectivity_dbz, time_s=time_s))
        return self.encode_profiles(profiles, self.find_hidden(profiles))

    def encode_input(self, curtain: xr.Dataset) -> np.ndarray:
        """Returns what the network sees of a gridded radar curtain, float32 `(time, height, channel)`."""
        profiles = self.encode_curtain(curtain)
        return self.encode_profiles(profiles, self.find_hidden(profiles))

    def encode_profiles(
        self, profiles: Profiles, hidden_rows: np.ndarray, span: slice = slice(None)
    ) -> np.ndarray:
        """Returns what the network sees of profiles, never anything of what the radar measured in their hidden rows.

        Args:
            profiles: The profiles, with what lies around them if tops differ and there is a time
                context.
            hidden_rows: Number of hidden rows of each profile `(time,)`.
            span: Which of the profiles to show; with a step of -1, the other way round in time.

        Returns:
            Channels in network units, float32 `(time, height, channel)`.
        """
        hidden, shown = hidden_rows[span], profiles.select(span)
        if (hidden_rows == hidden_rows[:1]).all():
            context = {
                name: repeat_downwards(units, hidden, ABSENT_UNIT)
                for name, units in shown.context.items()
            }
        else:  # what is hidden differs, and with it what may count in a mean
            context = average_in_time(profiles, hidden_rows, self.channels, self.scaling, span)
        planes = [
            plane
            for name in self.channels
            for plane in self._show_channel(name, shown, hidden, context)
        ]
        return _stack_in_network_order(planes, (len(hidden), self.grid.rows))

    def answer(
        self, reflectivity_dbz: np.ndarray, detection_status: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Returns what the network should say of profiles, as `encode_targets` does, below the blind zone's own top.

        Args:
            reflectivity_dbz: Reflectivity [dBZ] `(time, height)`.
            detection_status: `DetectionStatus` codes `(time, height)`.
        """
        profiles = self.encode(reflectivity_dbz, detection_status)
        return self.encode_targets(profiles, self.find_hidden(profiles))

    def encode_targets(self, profiles: Profiles, hidden_rows: np.ndarray) -> dict[str, np.ndarray]:
        """Returns what the network should say of profiles, with the mask of what is hidden and whose truth is trusted.

        Args:
            profiles: The profiles.
            hidden_rows: Number of hidden rows of each profile `(time,)`.

        Returns:
            Float32 `(time, answer row, 2)` each, a value and its mask: `occurrence` (echo, 1 or 0),
            `intensity` (reflectivity in network units, counted where there is echo) and `value`
            (the same, and where there is no echo the unit of clear sky).
        """
        units = profiles.reflectivity[:, : self.output_rows]
        hidden = np.arange(units.shape[1]) < hidden_rows[:, None]
        counted = profiles.trusted[:, : self.output_rows] & hidden
        echo = units > self.scaling.clear_limit
        answers = {
            "occurrence": (echo, counted),
            "intensity": (np.where(echo, units, np.float32(0)), echo & counted),
            "value": (units, counted),
        }
        return {name: _stack_in_network_order(pair, units.shape) for name, pair in answers.items()}

    def _add_context(self, profiles: Profiles) -> Profiles:
        nothing_hidden = np.zeros(len(profiles.looked), dtype=int)
        return replace(
            profiles, context=average_in_time(profiles, nothing_hidden, self.channels, self.scaling)
        )

    def _show_channel(
        self,
        name: str,
        profiles: Profiles,
        hidden_rows: np.ndarray,
        context: Mapping[str, np.ndarray],
    ) -> tuple[np.ndarray, ...]:
        """Returns the planes that one name of `channels` stands for, each of a shape that fits `(time, height)`."""
        if name == "reflectivity":
            return (repeat_downwards(profiles.reflectivity, hidden_rows, self.scaling.clear_unit),)
        if name == "soft_mask":
            same_depth = bool((hidden_rows == hidden_rows[:1]).all())
            rows = hidden_rows[:1] if same_depth else hidden_rows
            return (soft_mask(self.grid.rows, rows, self.blind_zone.soft_rows),)
        if name == "height":
            return ((self.grid.centres_m / self.grid.top_m).astype(np.float32),)
        return (
            show_measured(profiles, name, hidden_rows)
            if name in MEASURED_CHANNELS
            else (context[name],)
        )


def check_finite(curtain: xr.Dataset, *, where: str) -> None:
    """Checks that no field of a curtain in memory is infinite: clipped to its range, it would pass for a value.

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

    In memory it is `(height, time, plane)`, so that `swapaxes(0, 1)`, the network's order, is
    contiguous.
    """
    memory = np.empty((shape[1], shape[0], len(planes)), dtype=np.float32)
    stacked = memory.swapaxes(0, 1)
    for number, plane in enumerate(planes):
        stacked[..., number] = plane
    return stacked


def _check_channels(channels: tuple[str, ...]) -> None:
    known = (*CHANNELS, *MEASURED_CHANNELS)
    wrong = [name for name in channels if name not in known and parse_time_context(name) is None]
    if wrong or channels[:2] != REQUIRED_CHANNELS or len(set(channels)) < len(channels):
        raise CurtainError(
            f"a network is asked for with the channels {channels}; this version makes"
            f" {', '.join(known)}, reflectivity_mean_<minutes>min and echo_share_<minutes>min, each"
            f" at most once, {' and '.join(REQUIRED_CHANNELS)} first"
        )
