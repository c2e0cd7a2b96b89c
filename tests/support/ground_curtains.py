"""Curtains of a radar on the ground, of any shape."""

from __future__ import annotations

import numpy as np
import xarray as xr

from blindzone.pipeline.curtains.curtain import DIMS, DetectionStatus


def make_ground(
    dbz: np.ndarray,
    velocity: np.ndarray | None = None,
    *,
    status: np.ndarray | None = None,
    step_s: float = 10.0,
    gate_m: float = 25.0,
) -> xr.Dataset:
    """A ground radar's curtain of reflectivity `(time, gate)`; NaN is no echo."""
    if status is None:
        status = np.where(np.isfinite(dbz), DetectionStatus.ECHO, DetectionStatus.NO_ECHO)
    fields = {
        "reflectivity": (DIMS, dbz.astype(np.float32)),
        "detection_status": (DIMS, status.astype(np.int8)),
    }
    if velocity is not None:
        fields["doppler_velocity"] = (DIMS, velocity.astype(np.float32))
    seconds = (np.arange(dbz.shape[0]) + 0.5) * step_s
    start = np.datetime64("2021-03-12", "ns")
    return xr.Dataset(
        fields,
        {
            "time": start + np.rint(seconds * 1e9).astype("timedelta64[ns]"),
            "height": (np.arange(dbz.shape[1]) + 0.5) * gate_m,
            "latitude": 48.7,
            "longitude": 2.2,
            "altitude": 0.0,
        },
        {"frequency_ghz": 95.0, "instrument": "BASTA", "site": "Palaiseau"},
    )
