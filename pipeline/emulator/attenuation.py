"""Attenuation on the way from above instead of from below."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from blindzone.pipeline.emulator.atmosphere import find_atmosphere
from blindzone.pipeline.emulator.gas import attenuate_by_gas
from blindzone.pipeline.emulator.liquid import attenuate_by_liquid, find_liquid
from blindzone.pipeline.emulator.range_weighting import find_gate_edges


@dataclass(frozen=True, kw_only=True)
class Attenuation:
    """Two-way attenuation [dB].

    Attributes:
        from_above: Between space and the centre of each gate, `(time, gate)`.
        from_below: Between the ground radar and the centre of each gate, `(time, gate)`.
        total: Between space and the ground, `(time,)`.
    """

    from_above: np.ndarray
    from_below: np.ndarray
    total: np.ndarray


def find_attenuation(
    curtain: xr.Dataset,
    reflectivity_dbz: np.ndarray,
    *,
    frequency_ghz: float,
    ground_frequency_ghz: float,
) -> Attenuation:
    """Returns how much is lost on both ways.

    Args:
        curtain: Native curtain `(time, height)`, with state or without.
        reflectivity_dbz: Its reflectivity at W band [dBZ], NaN where there is no echo.
        frequency_ghz: Frequency of the spaceborne radar [GHz].
        ground_frequency_ghz: That of the ground radar. At Ka band it sees no loss by liquid here.
    """
    air = find_atmosphere(curtain)
    is_liquid = find_liquid(curtain, air.temperature)
    liquid = attenuate_by_liquid(reflectivity_dbz, air.temperature, frequency_ghz, is_liquid)
    depth_km = np.diff(find_gate_edges(curtain["height"].values)) / 1000
    lost = 2 * depth_km * (attenuate_by_gas(air, frequency_ghz) + liquid)
    ground_gas = attenuate_by_gas(air, ground_frequency_ghz)
    is_same_band = abs(ground_frequency_ghz / frequency_ghz - 1) < 0.05
    ground_lost = 2 * depth_km * (ground_gas + (liquid if is_same_band else 0.0))
    shape = reflectivity_dbz.shape
    total = np.broadcast_to(lost.sum(axis=-1), shape[:1])
    below, ground_below = (np.cumsum(part, axis=-1) - part / 2 for part in (lost, ground_lost))
    return Attenuation(
        from_above=np.broadcast_to(total[:, np.newaxis] - below, shape),
        from_below=np.broadcast_to(ground_below, shape),
        total=total,
    )
