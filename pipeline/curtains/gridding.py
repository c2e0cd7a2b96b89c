"""Native gates to the model's grid.

Reflectivity is averaged in linear units (Ze = 10^(dBZ/10) [mm6 m-3]), where no echo is zero:
averaging decibels would give a number that no radar measures.

A gate belongs to the row that contains its centre. Most gates are empty, so all sums run over those
with a value, by the flat index of their pixel. This is the same for one set of heights and for
gates that slope from profile to profile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import xarray as xr
from pydantic import Field

from blindzone.core.configuration import configuration
from blindzone.core.errors import CurtainError
from blindzone.pipeline.curtains.along_track import looks_down
from blindzone.pipeline.curtains.curtain import DIMS, LIDAR_FIELDS, STATE_FIELDS, DetectionStatus
from blindzone.pipeline.curtains.state import interpolate_in_height

_SAME_HEIGHT_M = 1e-3
_SAME_DEPTH_M = 1e-6
"""Depths that differ by less are the same, but for rounding."""


@configuration(error=CurtainError, what="grid")
class Grid:
    """The model's heights: rows of one depth, the first one on the ground.

    The default is that of King et al. (2024, doi 10.1175/AIES-D-23-0063.1): 128 rows of 78.125 m up
    to 10 km.
    """

    rows: Annotated[int, Field(ge=1, le=10_000)] = 128
    """Number of rows."""
    row_depth_m: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 78.125
    """Depth of a row [m]."""

    @property
    def top_m(self) -> float:
        """Upper edge of the highest row [m]."""
        return self.rows * self.row_depth_m

    @property
    def edges_m(self) -> np.ndarray:
        """Row edges [m], shape `(rows + 1,)`."""
        return np.arange(self.rows + 1) * self.row_depth_m

    @property
    def centres_m(self) -> np.ndarray:
        """Row centres [m], shape `(rows,)`: the curtain's `height`."""
        return (np.arange(self.rows) + 0.5) * self.row_depth_m

    def matches(self, heights_m: np.ndarray) -> bool:
        """Returns whether heights [m] `(height,)` are the centres of this grid's rows."""
        return are_same_heights(heights_m, self.centres_m)

    def row_of(self, height_m: float) -> int:
        """Returns the first row that is wholly at or above a height [m]."""
        return int(np.searchsorted(self.edges_m[:-1], height_m - 1e-6))


def are_same_heights(heights_m: np.ndarray, others_m: np.ndarray) -> bool:
    """Returns whether two sets of heights [m] `(height,)` are the same to a millimetre."""
    return heights_m.shape == others_m.shape and np.allclose(
        heights_m, others_m, rtol=0, atol=_SAME_HEIGHT_M
    )


def grid_curtain(curtain: xr.Dataset, grid: Grid, *, where: str = "curtain") -> xr.Dataset:
    """Returns the curtain on the model's grid, profiles kept as they are.

    Of the gates whose centres are inside a row,

    - reflectivity is the mean in linear units, gates without echo counting as zero and gates
    without data not counting;
    - Doppler velocity is the mean over echo weighted with linear reflectivity, or the plain mean
    where there is no reflectivity;
    - a lidar's field is the arithmetic mean, gates without a return counting as zero and gates
    without data not;
    - a status is the strongest claim of any gate: no data, no echo, clutter removed, echo,
    untrusted, in this order;
    - `quality_flags` has the bits of every gate.

    A row between the centres of gates deeper than itself takes the gate that contains the row's
    centre, as it is; a gate reaches halfway to its neighbours. State is interpolated linearly to
    the centres of the rows.

    Rows above or below all gates have no data. For a radar with fixed gates that is rejected, since
    a row that never has data is no truth to train on; lidars, states and spaceborne radars end
    where they end.

    Args:
        curtain: Native curtain, with `gate_height` where its gates slope.
        grid: The grid.
        where: What to call the curtain in a message.

    Returns:
        A new curtain with the fields, statuses and flags of the native one, and its variables
        `(time,)`.

    Raises:
        CurtainError: If the gates of a radar on the ground end below the grid's top.
    """
    _check_reaches_top(curtain, grid, where)
    heights = _gate_heights(curtain)
    gates = _count_gates(heights, grid)
    heights = heights[:, :gates]
    native = {
        str(name): field.values[:, :gates]
        for name, field in curtain.data_vars.items()
        if field.dims == DIMS
    }
    rows = _Rows.assign(heights, curtain.sizes["time"], grid)
    fields = _grid_fields(native, heights, rows, grid)
    coordinates = {
        name: coord.variable for name, coord in curtain.coords.items() if "height" not in coord.dims
    }
    of_profiles = {
        name: field.variable
        for name, field in curtain.data_vars.items()
        if "height" not in field.dims
    }
    gridded = {name: (DIMS, values) for name, values in fields.items()}
    return xr.Dataset(
        gridded | of_profiles, coordinates | {"height": grid.centres_m}, curtain.attrs
    )


def _grid_fields(
    native: Mapping[str, np.ndarray], heights: np.ndarray, rows: _Rows, grid: Grid
) -> dict[str, np.ndarray]:
    """Returns fields, statuses and flags `(time, row)` from those of the gates `(time, gate)`."""
    fields: dict[str, np.ndarray] = {}
    if "reflectivity" in native:
        fields |= _grid_radar(native, rows)
    elif "doppler_velocity" in native:
        fields["doppler_velocity"] = _grid_velocity(native["doppler_velocity"], rows)
    for name in (name for name in LIDAR_FIELDS if name in native):
        fields |= _grid_lidar(native, name, rows)
    for name in (name for name in STATE_FIELDS if name in native):
        levels = np.broadcast_to(heights, native[name].shape)
        fields[name] = interpolate_in_height(native[name], levels, grid.centres_m)
    if "quality_flags" in native:
        fields["quality_flags"] = _grid_flags(native["quality_flags"], rows)
    return fields


def _check_reaches_top(curtain: xr.Dataset, grid: Grid, where: str) -> None:
    """Checks that the gates of a radar on the ground reach the highest row."""
    if "reflectivity" not in curtain or "gate_height" in curtain or looks_down(curtain):
        return
    heights = curtain["height"].values
    gate_step = float(heights[-1] - heights[-2]) if heights.size > 1 else 0.0
    if heights[-1] + gate_step < grid.top_m - grid.row_depth_m / 2:
        raise CurtainError(
            f"{where}: the gates end at {heights[-1]:.0f} m, the grid's top is {grid.top_m:.0f} m"
            f" ({grid.rows} rows of {grid.row_depth_m} m); a source that sees less needs a lower"
            " grid in the catalogue"
        )


def _gate_heights(curtain: xr.Dataset) -> np.ndarray:
    """Returns the heights [m] of the gates, `(time, gate)`, or `(1, gate)` where profiles agree."""
    if "gate_height" in curtain:
        return curtain["gate_height"].values.astype(np.float64)
    return np.asarray(curtain["height"].values[np.newaxis])


def _count_gates(heights: np.ndarray, grid: Grid) -> int:
    """Returns the number of gates up to the first at or above the grid's top in all profiles."""
    reaching = np.flatnonzero((heights < grid.top_m).any(axis=0))
    return min(int(reaching[-1]) + 2, heights.shape[1]) if reaching.size else 1


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """Pixels of the grid that the gates belong to, by the flat index of profile and row.

    Attributes:
        shape: Profiles and rows.
        row_of_gate: Row of each gate's centre, `(time, gate)` or `(1, gate)`; -1 off the grid.
        gates_in_row: Number of centres in each row, `(time, row)` or `(1, row)`.
        lent: Profile, gate and pixel, one entry for each pixel without a centre that takes a gate
            as it is.
    """

    shape: tuple[int, int]
    row_of_gate: np.ndarray
    gates_in_row: np.ndarray
    lent: tuple[np.ndarray, np.ndarray, np.ndarray]

    @classmethod
    def assign(cls, heights: np.ndarray, profiles: int, grid: Grid) -> _Rows:
        """Returns the rows of gates at heights [m], `(time or 1, gate)`, NaN where unknown."""
        row_of_gate = np.searchsorted(grid.edges_m, heights, side="right") - 1
        row_of_gate[row_of_gate >= grid.rows] = -1
        profile, gate = np.nonzero(row_of_gate >= 0)
        pixel = profile * grid.rows + row_of_gate[profile, gate]
        gates_in_row = np.bincount(pixel, minlength=len(heights) * grid.rows).reshape(
            len(heights), grid.rows
        )
        return cls(
            shape=(profiles, grid.rows),
            row_of_gate=row_of_gate,
            gates_in_row=gates_in_row,
            lent=_lend(heights, gates_in_row, profiles, grid),
        )

    def find(self, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns profile, gate and pixel of the gates in a mask `(time, gate)` that have a row."""
        profile, gate = np.divmod(
            np.flatnonzero(mask), mask.shape[1]
        )  # thrice as fast as np.nonzero
        row = self.row_of_gate[profile if len(self.row_of_gate) > 1 else 0, gate]
        inside = row >= 0
        if not inside.all():
            profile, gate, row = profile[inside], gate[inside], row[inside]
        return profile, gate, profile * self.shape[1] + row

    def sum(self, pixel: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Returns the sum of weights, or the number of gates, of each pixel, `(time, row)`."""
        return np.bincount(pixel, weights, minlength=self.shape[0] * self.shape[1]).reshape(
            self.shape
        )

    def count_seen(self, status: np.ndarray) -> np.ndarray:
        """Returns the number of gates with data of each pixel, `(time, row)`, by gate status."""
        pixel = self.find(status == DetectionStatus.NO_DATA)[2]
        seen = self.gates_in_row - self.sum(pixel) if pixel.size else self.gates_in_row
        return np.broadcast_to(seen, self.shape)

    def lend(self, gridded: np.ndarray, native: np.ndarray) -> np.ndarray:
        """Returns values `(time, row)`; pixels without a centre take the gate around them."""
        profile, gate, pixel = self.lent
        gridded.reshape(-1)[pixel] = native[profile, gate]
        return gridded


def _lend(
    heights: np.ndarray, gates_in_row: np.ndarray, profiles: int, grid: Grid
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns profile, gate and pixel of rows without a gate whose centre is in a deeper gate."""
    if heights.shape[1] == 1:  # the depth of a single gate is not known
        return (np.empty(0, dtype=np.int64),) * 3
    middle = (heights[:, 1:] + heights[:, :-1]) / 2
    lower = np.concatenate(
        [2 * heights[:, :1] - middle[:, :1], middle], axis=1
    )  # (time or 1, gate)
    upper = np.concatenate([middle, 2 * heights[:, -1:] - middle[:, -1:]], axis=1)
    deep = upper - lower > grid.row_depth_m + _SAME_DEPTH_M
    profile, gate = np.nonzero(deep & (upper > 0) & (lower < grid.top_m))
    # Rows with their centre (row + 1/2) depth in [lower, upper).
    first, end = (np.ceil(edge[profile, gate] / grid.row_depth_m - 0.5) for edge in (lower, upper))
    first, end = (np.clip(row, 0, grid.rows).astype(np.int64) for row in (first, end))
    count = end - first
    profile, gate = np.repeat(profile, count), np.repeat(gate, count)
    row = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count - first, count)
    vacant = gates_in_row[profile, row] == 0
    profile, gate, row = profile[vacant], gate[vacant], row[vacant]
    if len(heights) < profiles:  # the same for all profiles
        profile = np.repeat(np.arange(profiles), row.size)
        gate, row = np.tile(gate, profiles), np.tile(row, profiles)
    return profile, gate, profile * grid.rows + row


def _grid_radar(native: Mapping[str, np.ndarray], rows: _Rows) -> dict[str, np.ndarray]:
    """Returns the radar's fields and status `(time, row)` from those of the gates."""
    status = native["detection_status"]
    profile, gate, pixel = rows.find(np.isfinite(native["reflectivity"]))
    linear = np.power(10.0, 0.1 * native["reflectivity"][profile, gate], dtype=np.float32)
    seen = rows.count_seen(status)
    linear_sum = rows.sum(pixel, linear)
    has_echo = linear_sum > 0
    reflectivity = np.full(rows.shape, np.nan, dtype=np.float32)
    reflectivity[has_echo] = 10.0 * np.log10(linear_sum[has_echo] / seen[has_echo])
    fields = {
        "reflectivity": rows.lend(reflectivity, native["reflectivity"]),
        "detection_status": _grid_status(status, seen, has_echo, rows),
    }
    if "doppler_velocity" in native:
        speed = native["doppler_velocity"][profile, gate]
        known = np.isfinite(speed)
        if not known.all():
            speed, linear, pixel = speed[known], linear[known], pixel[known]
        weight_sum = rows.sum(pixel, linear)
        moves = weight_sum > 0
        velocity = np.full(rows.shape, np.nan, dtype=np.float32)
        velocity[moves] = rows.sum(pixel, speed * linear)[moves] / weight_sum[moves]
        fields["doppler_velocity"] = rows.lend(velocity, native["doppler_velocity"])
    return fields


def _grid_velocity(velocity: np.ndarray, rows: _Rows) -> np.ndarray:
    """Returns velocities `(time, row)` of a radar that gives nothing else, NaN without any."""
    profile, gate, pixel = rows.find(np.isfinite(velocity))
    count = rows.sum(pixel)
    known = count > 0
    gridded = np.full(rows.shape, np.nan, dtype=np.float32)
    gridded[known] = rows.sum(pixel, velocity[profile, gate])[known] / count[known]
    return rows.lend(gridded, velocity)


def _grid_lidar(native: Mapping[str, np.ndarray], name: str, rows: _Rows) -> dict[str, np.ndarray]:
    """Returns a field of the lidar and its status `(time, row)` from those of the gates."""
    status = native["backscatter_status"]
    profile, gate, pixel = rows.find(np.isfinite(native[name]))
    seen = rows.count_seen(status)
    has_return = rows.sum(pixel) > 0
    values = np.full(rows.shape, np.nan, dtype=np.float32)
    values[has_return] = rows.sum(pixel, native[name][profile, gate])[has_return] / seen[has_return]
    return {
        name: rows.lend(values, native[name]),
        "backscatter_status": _grid_status(status, seen, has_return, rows),
    }


def _grid_status(
    status: np.ndarray, seen: np.ndarray, has_value: np.ndarray, rows: _Rows
) -> np.ndarray:
    """Returns the status of each pixel `(time, row)` from that of its gates `(time, gate)`."""
    # From the weakest claim to the strongest: a later line overrides an earlier one.
    out = np.where(seen > 0, np.int8(DetectionStatus.NO_ECHO), np.int8(DetectionStatus.NO_DATA))
    out.reshape(-1)[rows.find(status == DetectionStatus.CLUTTER_REMOVED)[2]] = (
        DetectionStatus.CLUTTER_REMOVED
    )
    out[has_value] = DetectionStatus.ECHO
    out.reshape(-1)[rows.find(status == DetectionStatus.UNTRUSTED)[2]] = DetectionStatus.UNTRUSTED
    return rows.lend(out, status)


def _grid_flags(flags: np.ndarray, rows: _Rows) -> np.ndarray:
    """Returns the bits of each pixel `(time, row)`: those of all its gates `(time, gate)`."""
    out = np.zeros(rows.shape, dtype=np.uint8)
    profile, gate, pixel = rows.find(flags != 0)
    np.bitwise_or.at(out.reshape(-1), pixel, flags[profile, gate])
    return rows.lend(out, flags)
