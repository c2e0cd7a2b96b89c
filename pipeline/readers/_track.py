"""Shared by the readers of spaceborne radars: the track on the ground, the curtain below it.

A spaceborne radar looks down. Its lowest gates hold the echo of the surface, not of the air above
it, and those below the surface nothing of use: both are `NO_DATA`, with the reason in
`quality_flags`, whatever value the file has there.

A profile without a bin that is free of the surface's echo is hidden up to its highest gate. One
whose surface is not known has no data at all, without a flag, since its heights are not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.curtains.curtain import BlindZoneOrigin, DetectionStatus, QualityFlag
from blindzone.pipeline.curtains.position import measure_track
from blindzone.pipeline.readers._assembly import assemble_curtain
from blindzone.pipeline.readers._numbers import is_missing
from blindzone.pipeline.readers._profiles import Fault

LARGEST_SURFACE_OFFSET_M = 1000.0
"""Of the gate that a file takes for the surface's from the terrain model: beyond it, it is a
cloud's. The model's mountains are smoother than the true ones, by less."""


@dataclass(frozen=True, kw_only=True)
class Track:
    """The profiles of one curtain on the ground; every array has the shape `(time,)`.

    Attributes:
        time: `datetime64[ns]` [UTC].
        latitude: Geodetic latitude [degrees_north].
        longitude: Longitude [degrees_east].
        altitude: Elevation of the surface [m], in the frame of the file: `gate_height` counts from
            it.
        blind_zone_top: Height above the surface [m] below which surface echo hides the air; NaN if
            not known.
        origin: How the top is known, `BlindZoneOrigin`; of all profiles, or `(time,)`.
        fields: Further variables `(time,)` of `PROFILE_FIELDS`, those that the file has.
    """

    time: np.ndarray
    latitude: np.ndarray
    longitude: np.ndarray
    altitude: np.ndarray
    blind_zone_top: np.ndarray
    origin: np.ndarray | BlindZoneOrigin
    fields: Mapping[str, np.ndarray] = field(default_factory=dict)


def find_upward_order(heights: np.ndarray, name: str, path: Path) -> slice:
    """Returns how to take the gates of heights `(time, gate)` so that they increase with the index.

    Raises:
        SourceFileError: If the heights do not fall with every gate of every profile, nor rise.
    """
    steps = np.diff(heights, axis=1)
    rising, falling, equal = (int(count.sum()) for count in (steps > 0, steps < 0, steps == 0))
    if equal or (rising and falling):
        raise SourceFileError(
            f"{path}: '{name}' does not run one way: of the steps from gate to gate {rising} go up,"
            f" {falling} go down and {equal} are zero; heights that fall, or rise, with every"
            " gate of every profile are right"
        )
    return slice(None, None, -1 if falling else 1)


def check_range(raw: xr.Dataset, limits: Mapping[str, tuple[float, float]], path: Path) -> None:
    """Checks that named variables, of any shape, that the file has are within limits.

    Missing values are skipped.

    Raises:
        SourceFileError: With the first variable that does not.
    """
    for name in (name for name in limits if name in raw.variables):
        lowest, highest = limits[name]
        values = read_values(raw, name)
        wrong = (values < lowest) | (values > highest)
        if wrong.any():
            raise SourceFileError(
                f"{path}: '{name}' holds {int(wrong.sum())} values outside {lowest:g} to"
                f" {highest:g} (first: {values[wrong][0]:g}); an undeclared fill value or another"
                " unit would look like this"
            )


def read_values(raw: xr.Dataset, name: str) -> np.ndarray:
    """Returns a variable's values as float64 of its shape, NaN where they are missing."""
    return np.where(is_missing(raw[name]), np.nan, raw[name].values.astype(np.float64))


def find_unplaced(raw: xr.Dataset, latitude: str, longitude: str) -> Fault:
    """Returns the profiles `(time,)` that have no position, in any of their pixels."""
    placed = [np.isfinite(read_values(raw, name)) for name in (latitude, longitude)]
    unplaced = ~(placed[0] & placed[1])
    return Fault("without a position", unplaced.any(axis=tuple(range(1, unplaced.ndim))))


def find_lower_edges(gate_height: np.ndarray) -> np.ndarray:
    """Returns the lower edges [m] of gates `(time, height)`: half-way to the gate below."""
    steps = np.diff(gate_height, axis=1)
    return gate_height - 0.5 * np.concatenate([steps[:, :1], steps], axis=1)


def find_zone_top(gate_height: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Returns the height [m] `(time,)` below which a profile is blind: its lowest usable edge.

    The upper edge of the highest gate where none is usable, NaN where no height is known.

    Args:
        gate_height: Above the surface [m], `(time, height)`, rising with the index.
        usable: Which gates show the air, of the same shape.
    """
    edges = find_lower_edges(gate_height)
    usable = usable & np.isfinite(edges)
    lowest = np.argmax(usable, axis=1)[:, np.newaxis]
    top = np.take_along_axis(edges, lowest, axis=1)[:, 0]
    known = np.isfinite(gate_height)
    highest = np.max(np.where(known, 2 * gate_height - edges, -np.inf), axis=1)
    return np.where(usable.any(axis=1), top, np.where(np.isfinite(highest), highest, np.nan))


def measure_along_track(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Returns the distance [m] `(time,)` along the track; a profile without a position is between.

    NaN if no position is known.
    """
    known = np.isfinite(latitude) & np.isfinite(longitude)
    if known.all() or not known.any():
        return measure_track(latitude, longitude)
    index = np.arange(latitude.size)
    distance = measure_track(latitude[known], longitude[known])
    return np.asarray(np.interp(index, index[known], distance))


def build_track_curtain(
    fields: Mapping[str, np.ndarray],
    track: Track,
    *,
    height: np.ndarray,
    attrs: Mapping[str, Any],
    path: Path,
) -> xr.Dataset:
    """Returns the checked native curtain of a radar that looks down.

    Gates below the surface, below `blind_zone_top`, in surface clutter or rejected are `NO_DATA`
    with the flag that says so; gates without data are `NO_DATA` without a flag. None of them keeps
    a value.

    Args:
        fields: Arrays of shape `(time, height)`, heights increasing with the index: `reflectivity`
            [dBZ], NaN without echo; `gate_height` [m] above the surface, NaN where not known;
            `no_data`, true where the file has nothing; optionally `rejected`, true where its
            quality control rejects what it has, `clutter`, true where it calls a gate surface
            clutter, and `doppler_velocity` [m s-1], positive away from the radar, of which the
            part without echo is dropped. A radar without reflectivity has velocities alone.
        track: The profiles on the ground.
        height: Nominal heights [m], shape `(height,)`.
        attrs: Origin of the file, under our names.
        path: The file, for messages.

    Raises:
        CurtainError: If the times or heights do not increase strictly, or another rule of the
            canonical form is broken.
    """
    flags = _flag_gates(fields, track)
    hidden = (flags > 0) | fields["no_data"] | np.isnan(fields["gate_height"])
    curtain = assemble_curtain(
        _hide(fields, hidden)
        | {
            "quality_flags": flags.astype(np.uint8),
            "gate_height": fields["gate_height"].astype(np.float32),
        },
        time=track.time,
        height=height,
        site=(track.latitude, track.longitude, track.altitude),
        attrs=attrs,
        path=path,
        track={
            "along_track_distance": measure_along_track(track.latitude, track.longitude),
            "blind_zone_top": track.blind_zone_top,
        },
    )
    unknown = np.isnan(track.blind_zone_top)
    origin = np.where(unknown, BlindZoneOrigin.UNKNOWN, track.origin).astype(np.int8)
    of_profiles = {name: values.astype(np.float32) for name, values in track.fields.items()}
    return curtain.assign(
        {
            name: ("time", values)
            for name, values in (of_profiles | {"blind_zone_origin": origin}).items()
        }
    )


def _hide(fields: Mapping[str, np.ndarray], hidden: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the radar's fields `(time, height)` without a value in what is hidden."""
    if "reflectivity" not in fields:
        return {
            "doppler_velocity": np.where(hidden, np.nan, fields["doppler_velocity"]).astype(
                np.float32
            )
        }
    reflectivity = np.where(hidden, np.nan, fields["reflectivity"]).astype(np.float32)
    echo = ~np.isnan(reflectivity)
    status = np.where(echo, DetectionStatus.ECHO, DetectionStatus.NO_ECHO)
    visible: dict[str, np.ndarray] = {
        "reflectivity": reflectivity,
        "detection_status": np.where(hidden, DetectionStatus.NO_DATA, status).astype(np.int8),
    }
    if "doppler_velocity" in fields:
        visible["doppler_velocity"] = np.where(echo, fields["doppler_velocity"], np.nan).astype(
            np.float32
        )
    return visible


def _flag_gates(fields: Mapping[str, np.ndarray], track: Track) -> np.ndarray:
    """Returns the `QualityFlag` bits `(time, height)` of gates without a measurement of the air."""
    gate_height = fields["gate_height"]
    nowhere = np.zeros(gate_height.shape, dtype=bool)
    with np.errstate(invalid="ignore"):
        below = gate_height < 0
        low = gate_height < track.blind_zone_top[:, np.newaxis]
    clutter = low | fields.get("clutter", nowhere)
    flags = np.where(
        below, QualityFlag.BELOW_SURFACE, np.where(clutter, QualityFlag.SURFACE_CLUTTER, 0)
    )
    return flags + np.where(fields.get("rejected", nowhere), QualityFlag.REJECTED, 0)
