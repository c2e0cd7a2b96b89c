"""Shared by the lidar readers: signal and noise, heights of a tilted beam, the curtain.

A lidar without screening holds a value in every gate, most of it noise that grows with the range
correction. Divided by that correction, the noise of a profile has one level. What exceeds it
`DETECTION_MULTIPLE` times, and has such a gate among its eight neighbours in time and height, is
signal: cloud, precipitation, aerosol, or molecules where a lidar sees them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.curtains.curtain import DetectionStatus, QualityFlag
from blindzone.pipeline.readers._assembly import assemble_curtain
from blindzone.pipeline.readers._checks import check_top
from blindzone.pipeline.readers._numbers import has_neighbour
from blindzone.pipeline.readers._origin import Site
from blindzone.pipeline.readers._profiles import Fault

DETECTION_MULTIPLE = 4.0
"""Signal exceeds this multiple of the noise level. Gaussian noise does so in 3.2 of 100000 gates,
and in a pair of neighbours in some 8 of a thousand million. Of 191000 measured gates in 997
profiles without cloud (CL31, SGP, above 1.8 km), noise mirrored about zero does so in 1 of 10000,
and never in two neighbouring ones."""
_RANGE_CORRECTED_TO_M = 2400.0
"""Where their setting `profile noise_h2` is off, CL31 and CL51 let the range correction grow no
further than to this range [m] outside of clouds (ARM data quality report D100514.1), as in the
measured CL51 file of Norunda."""
_LEAST_NOISE_SHARE = 0.1
"""A profile whose upper half has a smaller share of negative gates is full of cloud. Noise alone
has a half; the least share in a measured day of rain is a third."""
_LARGEST_ZENITH_ANGLE = 30.0
_LEAST_ZENITH_ANGLE = 2.0
"""A smaller tilt [degree] lowers no gate by more than 0.06 %, and its sensor reports whole degrees:
left out, the heights stay the same from file to file."""
_LARGEST_HEIGHT_CHANGE = 0.01
_LEAST_DISTANCE_M = 1.0
"""Stands for the range [m] of a gate at the lidar itself, where noise has no level otherwise."""


def screen_noise(backscatter: np.ndarray, range_m: np.ndarray, path: Path) -> np.ndarray:
    """Returns the mask of signal `(time, range)` in backscatter with noise in every gate.

    Whether the range correction goes all the way up is found from the noise itself.

    Args:
        backscatter: Range-corrected backscatter of any unit, shape `(time, range)`, NaN where there
            is none.
        range_m: Distance of the gates [m], shape `(range,)`.
        path: The file, for messages.

    Raises:
        SourceFileError: If no profile holds noise.
    """
    if backscatter.size == 0:
        return np.zeros(backscatter.shape, dtype=bool)
    scaled = backscatter / _find_range_correction(backscatter, range_m)
    return exceeds_noise(scaled, _estimate_noise(_upper_half(scaled), path))


def exceeds_noise(signal: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Returns the mask of signal `(time, range)` above each profile's noise level `(time,)`."""
    with np.errstate(invalid="ignore"):
        strong = np.asarray(signal > DETECTION_MULTIPLE * noise[:, np.newaxis])
    return np.asarray(strong & has_neighbour(strong))


def fill_noise(level: np.ndarray, known: np.ndarray, path: Path) -> np.ndarray:
    """Returns noise levels `(time,)`; the median of the others for profiles without one.

    Raises:
        SourceFileError: If no profile has enough noise for its level.
    """
    if level.size and not known.any():
        raise SourceFileError(
            f"{path}: none of {level.size} profiles holds noise in its upper gates, so that signal"
            " cannot be separated from it; a value in every gate, noise not removed, is right"
        )
    return np.where(known, level, np.median(level[known]) if level.size else 0.0)


def _estimate_noise(scaled: np.ndarray, path: Path) -> np.ndarray:
    """Returns each profile's noise standard deviation `(time,)`, from the gates below zero alone.

    Noise is symmetric about zero and signal only adds to it, so that cloud among these gates does
    not raise the level.
    """
    negative = scaled < 0
    count = negative.sum(axis=1)
    squares = np.square(np.where(negative, scaled, 0), dtype=np.float64).sum(axis=1)
    return fill_noise(
        np.sqrt(squares / np.maximum(count, 1)), count >= _LEAST_NOISE_SHARE * scaled.shape[1], path
    )


def _find_range_correction(backscatter: np.ndarray, range_m: np.ndarray) -> np.ndarray:
    """Returns the range correction `(range,)` [m2] that makes noise in the upper half most even."""
    distance = np.maximum(range_m, _LEAST_DISTANCE_M)
    corrections = [np.square(np.minimum(distance, top)) for top in (np.inf, _RANGE_CORRECTED_TO_M)]

    def measure_unevenness(correction: np.ndarray) -> float:
        lower, upper = np.array_split(_upper_half(backscatter / correction), 2, axis=1)
        spreads = [
            float(np.square(part, where=part < 0, out=np.zeros(part.shape)).sum())
            for part in (lower, upper)
        ]
        counts = [int((part < 0).sum()) for part in (lower, upper)]
        if not all(spreads):
            return 0.0
        return abs(float(np.log(spreads[0] / counts[0]) - np.log(spreads[1] / counts[1])))

    return min(corrections, key=measure_unevenness)


def _upper_half(values: np.ndarray) -> np.ndarray:
    return values[:, values.shape[1] // 2 :]


def find_off_beam(zenith: np.ndarray) -> Fault:
    """Returns the profiles whose beam has another zenith angle [degree] `(time,)` than most.

    So has one beyond 30 degrees. NaN says nothing.
    """
    usable = zenith[zenith <= _LARGEST_ZENITH_ANGLE]
    # Of two angles that are equally frequent, the lower one.
    usual = np.quantile(usable, 0.5, method="lower") if usable.size else 0.0
    change = np.abs(np.cos(np.radians(zenith)) - np.cos(np.radians(usual)))
    off = (zenith > _LARGEST_ZENITH_ANGLE) | (change > _LARGEST_HEIGHT_CHANGE)
    return Fault(
        "off the beam of the others",
        off,
        f"the beam points {np.max(zenith, where=off, initial=0):.1f} degrees off zenith; at most"
        f" {_LARGEST_ZENITH_ANGLE:.0f} make a curtain, and one angle for all profiles",
    )


def to_height(range_m: np.ndarray, zenith: np.ndarray) -> np.ndarray:
    """Returns heights above the lidar [m], shape `(range,)`: range * cos(zenith angle).

    Args:
        range_m: Distance of the gates [m], shape `(range,)`.
        zenith: Angle of the beam [degree], shape `(time,)`; NaN says nothing.
    """
    stated = zenith[np.isfinite(zenith)]
    angle = float(np.median(stated)) if stated.size else 0.0
    return range_m if angle < _LEAST_ZENITH_ANGLE else range_m * np.cos(np.radians(angle))


def check_within(
    values: np.ndarray, limits: tuple[float, float], name: str, unit: str, path: Path
) -> None:
    """Checks that no value, of any shape, is beyond what lidars measure; NaN is skipped."""
    lowest, highest = limits
    wrong = (values < lowest) | (values > highest)
    if wrong.any():
        raise SourceFileError(
            f"{path}: '{name}' holds {int(wrong.sum())} values outside {lowest:g} to {highest:g}"
            f" {unit} (first: {values[wrong][0]:g}); an undeclared fill value or another unit would"
            " look like this"
        )


def build_lidar_curtain(
    fields: Mapping[str, np.ndarray],
    field: str,
    *,
    time: np.ndarray,
    height: np.ndarray,
    site: Site,
    attrs: Mapping[str, Any],
    path: Path,
) -> xr.Dataset:
    """Returns the checked native curtain of a lidar.

    Args:
        fields: Arrays of shape `(time, height)`: the backscatter under the name of `field`;
            `signal`, true where it exceeds the noise; `no_data`, true where the lidar
            delivered nothing; optionally `quality_flags`, the `QualityFlag` bits: what has any is
            untrusted; optionally `rejected`, true where the file rejects a value of its own.
        field: Canonical name of the backscatter, in its canonical unit.
        time: `datetime64[ns]`, shape `(time,)`.
        height: Height above the lidar [m], shape `(height,)`.
        site: Latitude, longitude and altitude, each a number or `(time,)`; NaN where the file does
            not say.
        attrs: Origin of the file, under our names.
        path: The file, for messages.

    Raises:
        SourceFileError: If the heights are not credible.
        CurtainError: If a rule of the canonical form is broken.
    """
    check_top(height, path)
    signal, no_data = (
        np.broadcast_to(fields[name], fields[field].shape) for name in ("signal", "no_data")
    )
    signal = signal & ~no_data & ~fields.get("rejected", np.zeros(1, dtype=bool))
    status = np.where(signal, DetectionStatus.ECHO, DetectionStatus.NO_ECHO).astype(np.int8)
    variables: dict[str, np.ndarray] = {
        field: np.where(signal, fields[field], np.nan).astype(np.float32)
    }
    rejected = fields.get("rejected", np.zeros(1, dtype=bool))
    if "quality_flags" in fields or rejected.any():
        flags = np.where(rejected, QualityFlag.REJECTED, 0) | fields.get("quality_flags", 0)
        flags = np.broadcast_to(flags, status.shape).astype(np.uint8)
        status[flags != 0] = DetectionStatus.UNTRUSTED
        variables["quality_flags"] = flags
    status[no_data | rejected] = DetectionStatus.NO_DATA
    variables["backscatter_status"] = status
    return assemble_curtain(variables, time=time, height=height, site=site, attrs=attrs, path=path)
