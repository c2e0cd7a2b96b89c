"""From a curtain to what the network is shown and what it should answer.

Everything that decides these numbers is in one `Preprocessing`, which travels inside the checkpoint: a curtain is
always shown to a network just as it was in training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from blindzone.pipeline.blind_zone import BlindZone, soft_mask
from blindzone.pipeline.curtain import DetectionStatus
from blindzone.pipeline.errors import CurtainError
from blindzone.pipeline.gridding import Grid
from blindzone.pipeline.quality import apply_floor
from blindzone.pipeline.scaling import ReflectivityScaling

CHANNELS = ("reflectivity", "soft_mask", "height")
"""What the network sees, in this order.

`reflectivity` is in network units; in the blind zone it repeats the lowest visible row. `soft_mask` falls from 1 to 0
above the blind zone. `height` rises from 0 on the ground to 1 at the grid's top: a convolution cannot tell one row from
another.
"""


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
    """

    grid: Grid
    blind_zone: BlindZone
    floor_dbz: float
    lowest_trusted_m: float = 0.0
    scaling: ReflectivityScaling = field(default_factory=ReflectivityScaling)
    window_profiles: int = 128

    @property
    def hidden_rows(self) -> int:
        """Number of rows in the blind zone."""
        return self.blind_zone.rows(self.grid)

    @property
    def untrusted_rows(self) -> int:
        """Number of rows near the ground, at least one fewer than hidden, on which the network was never trained."""
        return min(self.grid.row_of(self.lowest_trusted_m), self.hidden_rows - 1)

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as plain values, for JSON."""
        return asdict(self) | {"channels": list(CHANNELS)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Preprocessing:
        """Returns what `to_dict` gave.

        Raises:
            CurtainError: If it asks for other channels than this version makes, or is not understood.
        """
        values = dict(content)
        channels = tuple(values.pop("channels", ()))
        if channels != CHANNELS:
            raise CurtainError(f"the checkpoint was made for the channels {channels}; this version makes {CHANNELS}")
        try:
            return cls(
                grid=Grid(**values.pop("grid")),
                blind_zone=BlindZone(**values.pop("blind_zone")),
                scaling=ReflectivityScaling(**values.pop("scaling")),
                **values,
            )
        except (KeyError, TypeError) as error:
            raise CurtainError(f"the checkpoint's preprocessing is not understood: {error}") from error

    def show(self, reflectivity_dbz: np.ndarray) -> np.ndarray:
        """Returns what the network sees of profiles, never anything of their blind zone.

        Args:
            reflectivity_dbz: Reflectivity [dBZ] `(time, height)`, NaN where there is no echo.

        Returns:
            Channels in network units, float32 `(time, height, channel)`.
        """
        hidden = self.hidden_rows
        visible = apply_floor(reflectivity_dbz, self.floor_dbz)
        # The lowest visible row repeated downwards: the network starts from persistence and learns what to change.
        visible[:, :hidden] = visible[:, hidden : hidden + 1]
        mask = soft_mask(self.grid.rows, hidden, self.blind_zone.soft_rows)
        height = (self.grid.centres_m / self.grid.top_m).astype(np.float32)
        rows = (np.broadcast_to(values, visible.shape) for values in (mask, height))
        return np.stack([self.scaling.scale(visible), *rows], axis=-1)

    def answer(self, reflectivity_dbz: np.ndarray, detection_status: np.ndarray) -> dict[str, np.ndarray]:
        """Returns what the network should say of profiles, with the mask of pixels whose truth is trusted.

        Args:
            reflectivity_dbz: Reflectivity [dBZ] `(time, height)`.
            detection_status: `DetectionStatus` codes `(time, height)`.

        Returns:
            `occurrence` (echo, mask) and `intensity` (reflectivity in network units, mask), float32
            `(time, hidden row, 2)`.
        """
        hidden = self.hidden_rows
        truth = apply_floor(reflectivity_dbz[:, :hidden], self.floor_dbz)
        status = detection_status[:, :hidden]
        trusted = ((status != DetectionStatus.UNTRUSTED) & (status != DetectionStatus.NO_DATA)).astype(np.float32)
        echo = np.isfinite(truth).astype(np.float32)
        intensity = np.where(echo > 0, self.scaling.scale(truth), np.float32(0))
        return {
            "occurrence": np.stack([echo, trusted], axis=-1),
            "intensity": np.stack([intensity, echo * trusted], axis=-1),
        }
