"""Values of a native curtain that cannot be: masked, and counted in its attributes.

Only what the values themselves show is judged: a number written for 'no echo', and velocities that
nothing falls or rises with.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr

from blindzone.pipeline.curtains.curtain import (
    DIMS,
    LIDAR_FIELDS,
    STATUS_OF,
    DetectionStatus,
    QualityFlag,
)
from blindzone.pipeline.curtains.findings import with_count, with_doubt
from blindzone.pipeline.curtains.quality import add_flag
from blindzone.pipeline.readers._numbers import are_within

_LARGEST_SAMPLE = 50_000
_LEAST_SAMPLE = 100
_LEAST_SHARE = 0.02
_LEAST_MULTIPLE = 20
"""A value that more than one pixel in fifty holds exactly, twenty times as many as any other,
was written and not measured. Of 30 measured files the commonest reflectivity has 1 pixel in 1600,
and the commonest velocity, the lowest of a micro rain radar, 1 in 180."""
FASTEST_FALL = 15.0
"""The largest raindrops fall with 9.65 m s-1 at sea level, the limit of 9.65 - 10.3 exp(-0.6 D)
(Atlas et al. 1973, doi 10.1029/RG011i001p00001). With the air's density to the power -0.4 (Foote
and du Toit 1969, doi 10.1175/1520-0450(1969)008<0249:TVORA>2.0.CO;2) that is 11.8 at 5 km of the
standard atmosphere; a downdraught of 3 m s-1 is added, a choice. The hail that falls faster is
beyond what cloud radars see through."""
FASTEST_RISE = 20.0
"""Updraught cores beyond 15 m s-1 are observed routinely (Giangrande et al. 2013, doi
10.1175/JAMC-D-12-0185.1), and what such air carries falls through it; 5 m s-1 are added, a
choice."""
_FASTEST_RAIN = 10.0
"""The limit of raindrops at sea level, rounded up. Beyond it nothing is credible in a profile that
holds what cannot be: its unfolding failed."""
_UNFOLDED_INTERVALS = 3.0
"""Unfolding by one interval reaches three times the Nyquist velocity."""
_LARGEST_UNFOLDED_SHARE = 0.1
"""Of velocities beyond the Nyquist velocity; measured files that are unfolded have up to 0.007."""
_RAIN_DBZ = 5.0
_LEAST_RISING = 500
_RISING_SPEED = 1.0
"""Echo of rain that rises with a median of more than this [m s-1] has velocities of the other
sign."""


def screen_values(curtain: xr.Dataset, nyquist: float | None = None) -> xr.Dataset:
    """Returns the native curtain `(time, height)`, or swath, without values that cannot be.

    Args:
        curtain: A native curtain; one of state comes back as it is.
        nyquist: The largest Nyquist velocity [m s-1] that its file states, if any.
    """
    for field in ("reflectivity", *LIDAR_FIELDS):
        if field in curtain:
            curtain = _mask_no_echo(curtain, field)
    if "doppler_velocity" in curtain:
        curtain = _mask_velocity(curtain, nyquist)
        curtain = _doubt_unit(_doubt_sign(curtain), nyquist)
    return curtain


def find_written_value(values: np.ndarray) -> float | None:
    """Returns the number that a file wrote where it measured none, of any shape, if there is one.

    NaN is skipped. Of large arrays a sample is looked at.
    """
    known = values[np.isfinite(values)]
    sample = known[:: max(1, known.size // _LARGEST_SAMPLE)]
    if sample.size < _LEAST_SAMPLE:
        return None
    found, counts = np.unique(sample, return_counts=True)
    order = np.argsort(counts)
    most, second = counts[order[-1]], counts[order[-2]] if counts.size > 1 else 0
    if most < max(_LEAST_SHARE * sample.size, _LEAST_MULTIPLE * second):
        return None
    return float(found[order[-1]])


def _mask_no_echo(curtain: xr.Dataset, field: str) -> xr.Dataset:
    """Returns the curtain without a weakest value, or zero, that stands for 'no echo'."""
    values = curtain[field].values
    code = find_written_value(values)
    if code is None:
        return curtain
    status = curtain[STATUS_OF[field]]
    if code != 0 and code > np.nanmin(values):
        doubt = f"{field} {code:g} is in {np.mean(values == code):.1%} of all pixels, exactly"
        return curtain.assign_attrs(with_doubt(curtain.attrs, doubt))
    mask = (values == code) & (status.values == DetectionStatus.ECHO)
    fields = [name for name, of in STATUS_OF.items() if of == status.name and name in curtain]
    if field == "reflectivity" and "doppler_velocity" in curtain:
        fields.append("doppler_velocity")
    blank = {name: _fill(curtain[name], mask, np.nan) for name in fields}
    blank[str(status.name)] = _fill(status, mask, DetectionStatus.NO_ECHO)
    return curtain.assign(blank).assign_attrs(
        with_count(curtain.attrs, f"{field} {code:g} written for no echo", int(mask.sum()))
    )


def _mask_velocity(curtain: xr.Dataset, nyquist: float | None) -> xr.Dataset:
    """Returns the curtain without velocities beyond what falls or rises, or can be unfolded."""
    velocity = _find_upward(curtain)
    limit = np.inf if nyquist is None else _UNFOLDED_INTERVALS * nyquist
    reasons: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        f"velocity beyond {FASTEST_FALL:g} m s-1 down or {FASTEST_RISE:g} up, with what is beyond"
        f" {_FASTEST_RAIN:g} in the same profile": _find_impossible,
        f"velocity beyond {_UNFOLDED_INTERVALS:g} times the Nyquist velocity {nyquist} m s-1": (
            lambda values: (values < -limit) | (values > limit)
        ),
        "one velocity written in many pixels": _find_written,
    }
    attrs, masked = curtain.attrs, np.zeros(velocity.shape, dtype=bool)
    for reason, find in reasons.items():
        mask = find(velocity) & ~masked
        attrs, masked = with_count(attrs, reason, int(mask.sum())), masked | mask
    if not masked.any():
        return curtain
    kept = {"doppler_velocity": _fill(curtain["doppler_velocity"], masked, np.nan)}
    return _flag(curtain.assign(kept), masked).assign_attrs(attrs)


def _find_impossible(velocity: np.ndarray) -> np.ndarray:
    """Returns the mask of velocities [m s-1] `(time, height)` that nothing has."""
    if are_within(velocity, -FASTEST_FALL, FASTEST_RISE):
        return np.zeros(velocity.shape, dtype=bool)
    with np.errstate(invalid="ignore"):
        impossible = (velocity < -FASTEST_FALL) | (velocity > FASTEST_RISE)
        failed = impossible.any(axis=-1, keepdims=True)
        return np.asarray(impossible | (failed & (np.abs(velocity) > _FASTEST_RAIN)))


def _find_written(velocity: np.ndarray) -> np.ndarray:
    code = find_written_value(velocity)
    return np.zeros(velocity.shape, dtype=bool) if code is None else np.asarray(velocity == code)


def _find_upward(curtain: xr.Dataset) -> np.ndarray:
    """Returns velocities [m s-1], of their shape, positive upwards: away from the ground.

    Of a radar that looks down they are positive downwards.
    """
    velocity: np.ndarray = curtain["doppler_velocity"].values
    return -velocity if "along_track_distance" in curtain.coords else velocity


def _doubt_sign(curtain: xr.Dataset) -> xr.Dataset:
    """Returns the curtain with a doubt where its rain rises."""
    if "reflectivity" not in curtain:
        return curtain
    velocity = _find_upward(curtain)
    with np.errstate(invalid="ignore"):
        rain = velocity[(curtain["reflectivity"].values > _RAIN_DBZ) & np.isfinite(velocity)]
    if rain.size < _LEAST_RISING or np.median(rain) < _RISING_SPEED:
        return curtain
    doubt = (
        f"echo above {_RAIN_DBZ:g} dBZ rises with {np.median(rain):.1f} m s-1: velocities may have"
        " the other sign"
    )
    return curtain.assign_attrs(with_doubt(curtain.attrs, doubt))


def _doubt_unit(curtain: xr.Dataset, nyquist: float | None) -> xr.Dataset:
    """Returns the curtain with a doubt where many velocities exceed what the radar resolves."""
    velocity = curtain["doppler_velocity"].values
    if nyquist is None or are_within(velocity, -nyquist, nyquist):
        return curtain
    known = velocity[np.isfinite(velocity)]
    share = float(np.mean(np.abs(known) > nyquist))
    if share < _LARGEST_UNFOLDED_SHARE or known.size < _LEAST_SAMPLE:
        return curtain
    doubt = (
        f"{share:.0%} of all velocities exceed the Nyquist velocity {nyquist:g} m s-1: they may"
        " have another unit"
    )
    return curtain.assign_attrs(with_doubt(curtain.attrs, doubt))


def _fill(variable: xr.DataArray, mask: np.ndarray, value: float) -> xr.DataArray:
    return variable.copy(data=np.where(mask, np.asarray(value, variable.dtype), variable.values))


def _flag(curtain: xr.Dataset, mask: np.ndarray) -> xr.Dataset:
    if curtain["doppler_velocity"].dims == DIMS:
        return add_flag(curtain, mask, QualityFlag.REJECTED)
    return curtain
