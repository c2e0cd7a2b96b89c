"""A layer that a radar sees takes the place of its blind zone: an honest score without any truth.

A radar that looks down never sees its lowest kilometre. The next one up it does see: lowered to the
ground, hidden and filled from what is above it, that layer says how well the blind zone is filled.
It is another layer, though: nearer to the cloud, further from the ground.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import xarray as xr
from pydantic import Field

from blindzone.core.configuration import configuration
from blindzone.core.errors import CurtainError
from blindzone.pipeline.curtains.curtain import DIMS, DetectionStatus
from blindzone.pipeline.curtains.gridding import Grid

Metres = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@configuration(error=CurtainError, what="layer")
class LayerView:
    """Which layer of a source's curtains is hidden and compared with what was measured."""

    bottom_m: Metres = 0.0
    """Height of the layer's bottom [m] above the ground; of a radar that looks down, above the
    lowest row that it measured in a profile."""
    depth_m: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Its depth [m]; by default that of the source's blind zone."""

    def apply(self, curtain: xr.Dataset, grid: Grid) -> xr.Dataset:
        """Returns a curtain in which the layer begins at the ground, without tops of its own.

        Of a radar that looks down, `layer_bottom (time,)` [m] says by how much profiles were
        lowered.

        Args:
            curtain: Gridded radar curtain `(time, height)`.
            grid: Its grid.
        """
        cut = grid.row_of(self.bottom_m)
        if "blind_zone_top" not in curtain.coords:
            return lower_curtain(curtain, np.full(curtain.sizes["time"], cut)) if cut else curtain
        lowest = find_lowest_measured(curtain)
        rows = np.where(lowest < grid.rows, lowest + cut, cut)
        lowered = lower_curtain(curtain, rows).drop_vars("blind_zone_top")
        return lowered.assign_coords(layer_bottom=("time", grid.row_depth_m * rows))


def find_lowest_measured(curtain: xr.Dataset) -> np.ndarray:
    """Returns the lowest row of each profile with data `(time,)`, all rows if there are none."""
    measured = curtain["detection_status"].values != DetectionStatus.NO_DATA
    return np.asarray(
        np.where(measured.any(axis=1), np.argmax(measured, axis=1), measured.shape[1])
    )


def lower_curtain(curtain: xr.Dataset, rows: np.ndarray) -> xr.Dataset:
    """Returns a curtain with each profile moved down; what comes in at the top holds no data.

    Args:
        curtain: Gridded curtain `(time, height)`.
        rows: By how many rows each profile is moved `(time,)`.
    """
    if not rows.any():
        return curtain
    count = curtain.sizes["height"]
    source = np.arange(count) + rows[:, None]
    inside = source < count
    source = np.minimum(source, count - 1)
    moved = {}
    for name, field in curtain.data_vars.items():
        if field.dims != DIMS:
            continue
        absent = np.nan if field.dtype.kind == "f" else 0  # DetectionStatus.NO_DATA, no flag
        values = np.take_along_axis(field.values, source, axis=1)
        moved[name] = (DIMS, np.where(inside, values, np.asarray(absent, dtype=field.dtype)))
    return curtain.assign(moved)
