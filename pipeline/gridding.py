"""Native gates to the model's grid.

Reflectivity is averaged in linear units (Ze = 10^(dBZ/10) [mm6 m-3]), where no echo is zero: averaging decibels would
give a number that no radar measures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from blindzone.pipeline.curtain import DIMS, SITE_COORDINATES, DetectionStatus
from blindzone.pipeline.errors import CurtainError


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The model's heights: `rows` rows of `row_depth_m` [m], the first one lying on the ground.

    The default is that of King et al. (2024, doi 10.1175/AIES-D-23-0063.1): 128 rows of 78.125 m up to 10 km.
    """

    rows: int = 128
    row_depth_m: float = 78.125

    def __post_init__(self) -> None:
        if self.rows < 1 or self.row_depth_m <= 0:
            raise CurtainError(f"grid: rows and row_depth_m must be positive; found {self.rows} and {self.row_depth_m}")

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

    def row_of(self, height_m: float) -> int:
        """Returns the first row that lies wholly at or above a height [m]."""
        return int(np.searchsorted(self.edges_m[:-1], height_m - 1e-6))


def grid_curtain(curtain: xr.Dataset, grid: Grid, *, where: str = "curtain") -> xr.Dataset:
    """Returns the curtain on the model's grid, profiles kept as they are.

    A row's reflectivity is the mean over the gates whose centres lie inside the row, in linear units, gates without
    echo counting as zero and gates without data not counting. A row's velocity is the mean over its echo gates weighted
    with their linear reflectivity. A row is untrusted if any of its gates is.

    Raises:
        CurtainError: If the gates end below the grid's top.
    """
    heights = curtain["height"].values
    gate_step = float(heights[-1] - heights[-2]) if heights.size > 1 else 0.0
    if heights[-1] + gate_step < grid.top_m - grid.row_depth_m / 2:
        raise CurtainError(
            f"{where}: the gates end at {heights[-1]:.0f} m, the grid's top is {grid.top_m:.0f} m "
            f"({grid.rows} rows of {grid.row_depth_m} m); a source that sees less needs a lower grid in the catalogue"
        )
    inside = (heights >= 0) & (heights < grid.top_m)
    row_of_gate = np.searchsorted(grid.edges_m, heights[inside], side="right") - 1
    rows_hit, first_gate = np.unique(row_of_gate, return_index=True)

    def sum_rows(values: np.ndarray) -> np.ndarray:
        out = np.zeros((values.shape[0], grid.rows), dtype=np.float64)  # (time, row)
        out[:, rows_hit] = np.add.reduceat(values, first_gate, axis=1, dtype=np.float64)
        return out

    status = curtain["detection_status"].values[:, inside]
    dbz = curtain["reflectivity"].values[:, inside]
    linear = np.where(np.isfinite(dbz), np.power(10.0, 0.1 * dbz, dtype=np.float32), np.float32(0))
    linear_sum = sum_rows(linear)
    with np.errstate(divide="ignore", invalid="ignore"):
        gridded_dbz = 10.0 * np.log10(linear_sum / sum_rows(status != DetectionStatus.NO_DATA))
    has_echo = linear_sum > 0
    gridded_status = _grid_status(status, has_echo, sum_rows)
    fields = {
        "reflectivity": (DIMS, np.where(has_echo, gridded_dbz, np.nan).astype(np.float32)),
        "detection_status": (DIMS, gridded_status),
    }
    if "doppler_velocity" in curtain:
        velocity = curtain["doppler_velocity"].values[:, inside]
        weight = np.where(np.isfinite(velocity), linear, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean_velocity = sum_rows(np.nan_to_num(velocity) * weight) / sum_rows(weight)
        fields["doppler_velocity"] = (DIMS, np.where(has_echo, mean_velocity, np.nan).astype(np.float32))
    coordinates = {"time": curtain["time"], "height": grid.centres_m}
    coordinates |= {name: curtain[name] for name in SITE_COORDINATES}
    return xr.Dataset(fields, coordinates, curtain.attrs)


def _grid_status(status: np.ndarray, has_echo: np.ndarray, sum_rows: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Returns the status of each row `(time, row)` from that of its gates `(time, gate)`."""
    # From the weakest claim to the strongest: a later line overrides an earlier one.
    out = np.full(has_echo.shape, DetectionStatus.NO_DATA, dtype=np.int8)
    looked = sum_rows(status != DetectionStatus.NO_DATA) > 0
    out[looked] = DetectionStatus.NO_ECHO
    out[sum_rows(status == DetectionStatus.CLUTTER_REMOVED) > 0] = DetectionStatus.CLUTTER_REMOVED
    out[has_echo] = DetectionStatus.ECHO
    out[sum_rows(status == DetectionStatus.UNTRUSTED) > 0] = DetectionStatus.UNTRUSTED
    return out
