"""Where the blind zone is, and how it is hidden."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from blindzone.pipeline.errors import CurtainError
from blindzone.pipeline.gridding import Grid


@dataclass(frozen=True, kw_only=True)
class BlindZone:
    """A blind zone of fixed depth.

    Attributes:
        top_m: Height above the ground [m] below which nothing is seen. The default, 1250 m, is that of King et al.
            (2024) and close to what CloudSat CPR loses over land.
        soft_rows: Number of rows above the top over which the soft mask falls linearly from 1 to 0.
    """

    top_m: float = 1250.0
    soft_rows: int = 5

    def __post_init__(self) -> None:
        if self.top_m <= 0 or self.soft_rows < 0:
            raise CurtainError(
                "blind zone: top_m must be positive and soft_rows not negative; "
                f"found {self.top_m} and {self.soft_rows}"
            )

    def rows(self, grid: Grid) -> int:
        """Returns the number of hidden rows: those that begin below the top.

        Raises:
            CurtainError: If the zone leaves no row of the grid visible.
        """
        hidden = grid.row_of(self.top_m)
        if hidden >= grid.rows:
            raise CurtainError(
                f"blind zone: its top at {self.top_m} m leaves nothing visible of a grid up to {grid.top_m} m"
            )
        return hidden


def mask_blind_zone(curtain: xr.Dataset, hidden_rows: int) -> xr.Dataset:
    """Returns the curtain with every measured field missing in its lowest `hidden_rows` rows."""
    visible = xr.DataArray(np.arange(curtain.sizes["height"]) >= hidden_rows, dims="height")
    fields = [name for name in ("reflectivity", "doppler_velocity") if name in curtain]
    return curtain.assign({name: curtain[name].where(visible) for name in fields})


def soft_mask(rows: int, hidden_rows: int, soft_rows: int) -> np.ndarray:
    """Returns the soft mask `(rows,)`: 1 in the blind zone, falling linearly to 0 above it (King et al. 2024)."""
    distance = np.arange(rows) - (hidden_rows - 1)  # rows above the highest hidden one
    return np.clip(1.0 - distance / (soft_rows + 1.0), 0.0, 1.0).astype(np.float32)
