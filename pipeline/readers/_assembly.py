"""The native curtain, made of what a reader has found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.curtains.curtain import (
    DIMS,
    SITE_COORDINATES,
    DetectionStatus,
    QualityFlag,
    check_curtain,
)
from blindzone.pipeline.readers._checks import LARGEST_SPEED, RADAR_TOP_M, check_top
from blindzone.pipeline.readers._numbers import are_within
from blindzone.pipeline.readers._origin import Site


def build_curtain(
    fields: Mapping[str, np.ndarray],
    *,
    time: np.ndarray,
    height: np.ndarray,
    site: Site,
    attrs: Mapping[str, Any],
    path: Path,
) -> xr.Dataset:
    """Returns the checked native curtain.

    Args:
        fields: Arrays of shape `(time, height)`: `reflectivity` [dBZ], NaN without echo; `no_data`,
            true where the radar delivered nothing; optionally `doppler_velocity` [m s-1], positive
            away from the radar, of which the part without echo is dropped; optionally `rejected`,
            true where the file rejects a value of its own.
        time: `datetime64[ns]`, shape `(time,)`.
        height: Height above the radar [m], shape `(height,)`.
        site: Latitude, longitude and altitude, each a number or `(time,)`; NaN where the file does
            not say.
        attrs: Origin of the file, under our names.
        path: The file, for messages.

    Raises:
        SourceFileError: If a velocity is beyond what any radar measures, or the heights are.
        CurtainError: If the times or heights do not increase strictly, or another rule of the
            canonical form is broken.
    """
    check_top(height, path, RADAR_TOP_M)
    # A day holds some 10 million gates: no array is copied, or made of wider numbers, without need.
    echo = ~np.isnan(fields["reflectivity"])
    status = np.full(echo.shape, DetectionStatus.NO_ECHO, dtype=np.int8)
    np.copyto(status, np.int8(DetectionStatus.ECHO), where=echo)
    status[fields["no_data"] & ~echo] = DetectionStatus.NO_DATA
    rejected = fields.get("rejected", np.zeros(1, dtype=bool))
    variables: dict[str, np.ndarray] = {
        "reflectivity": fields["reflectivity"].astype(np.float32, copy=False),
        "detection_status": status,
    }
    if "doppler_velocity" in fields:
        velocity = fields["doppler_velocity"]
        if not np.all(np.isnan(velocity) | echo):
            velocity = np.where(echo, velocity, np.nan)
        _check_credible_velocity(velocity, path)
        variables["doppler_velocity"] = velocity.astype(np.float32, copy=False)
    if rejected.any():
        status[rejected & ~echo] = DetectionStatus.NO_DATA
        variables["quality_flags"] = np.where(rejected, QualityFlag.REJECTED, 0).astype(np.uint8)
    return assemble_curtain(variables, time=time, height=height, site=site, attrs=attrs, path=path)


def assemble_curtain(
    variables: Mapping[str, np.ndarray],
    *,
    time: np.ndarray,
    height: np.ndarray,
    site: Site,
    attrs: Mapping[str, Any],
    path: Path,
    track: Mapping[str, np.ndarray] | None = None,
) -> xr.Dataset:
    """Returns the checked native curtain of variables that are as the canonical form wants them.

    Args:
        variables: Arrays `(time, height)` under the canonical names.
        time: `datetime64[ns]`, shape `(time,)`.
        height: Height [m] above the ground at the instrument, shape `(height,)`; nominal where
            there is `gate_height`.
        site: Latitude, longitude and altitude, each a number or `(time,)`; NaN where the file does
            not say.
        attrs: Origin of the file, under our names.
        path: The file, for messages.
        track: Coordinates of a spaceborne curtain, `(time,)`.

    Raises:
        CurtainError: If a rule of the canonical form is broken.
    """
    coordinates: dict[str, Any] = {"time": time, "height": np.asarray(height, dtype=np.float64)}
    for name, value in zip(SITE_COORDINATES, site, strict=True):
        coordinates[name] = value if np.ndim(value) == 0 else ("time", value)
    coordinates |= {name: ("time", values) for name, values in (track or {}).items()}
    curtain = xr.Dataset(
        {name: (DIMS, values) for name, values in variables.items()}, coordinates, dict(attrs)
    )
    check_curtain(curtain, where=str(path))
    return curtain


def _check_credible_velocity(velocity: np.ndarray, path: Path) -> None:
    if not are_within(velocity, -LARGEST_SPEED, LARGEST_SPEED):
        wrong = np.abs(velocity) > LARGEST_SPEED
        raise SourceFileError(
            f"{path}: {int(wrong.sum())} Doppler velocities exceed {LARGEST_SPEED:.0f} m s-1"
            f" (first: {velocity[wrong][0]:g}); an undeclared fill value or another unit would look"
            " like this"
        )
