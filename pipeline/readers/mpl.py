"""Micropulse lidars (532 nm): SigmaSpace MiniMPL files; ARM `mplpolfs` and `minimpl` of level b1.

Both switch polarization from pulse to pulse (Flynn et al. 2007, doi 10.1364/OE.15.002785): the
signal that a lidar without polarization would see is co-polar + 2 * cross-polar, the linear
depolarization ratio cross / (co + cross). The `depolarization_ratio` of the measured MiniMPL files
confirms it. A count rate of 1 us-1 is 1 MHz, so that normalized relative backscatter (NRB) in
counts km2 us-1 uJ-1 is in MHz km2 uJ-1 already. Noise is that of far gates, where background
alone is counted; what exceeds it by the rules of `_lidar` is signal, molecules included.

MiniMPL: `copol_nrb` and `crosspol_nrb` `(time, range_nrb)` come corrected, units in the attribute
`unit`; `range_nrb` states none and has those of `range_raw`, of which it is a part. Ranges are
taken as they are. Noise comes from the farthest quarter of `copol_raw` and `crosspol_raw`. The
calendar fields `year` to `second` are taken for UTC, which the files do not state; an elevation and
azimuth of zero, as a lidar without a scanner writes them, for the zenith.

ARM b1: raw count rates and the tables that correct them. Each rate and its background are
multiplied by the factor of the dead-time table, unless `dead_time_corrected` says that this is
done; the background is subtracted, and the afterpulse less its dark counts, which the background
holds; the sum is multiplied by range^2 and overlap factor and divided by the pulse energy (Campbell
et al. 2002, doi 10.1175/1520-0426(2002)019<0431:FTESCA>2.0.CO;2). A value whose overlap factor
exceeds 2 is kept and not trusted; nor is a rate beyond the dead-time table. Values that a `qc_`
companion calls bad are no data. Layout: header of `sgpminimplC1.b1`, ingest-mplpolfs-1.24; no file
    of it is at hand.
"""

from __future__ import annotations

import itertools
from datetime import datetime
from pathlib import Path

import numpy as np
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.curtains.curtain import SITE_COORDINATES, QualityFlag
from blindzone.pipeline.readers._arm import find_rejected, read_arm_times
from blindzone.pipeline.readers._checks import check_dims, check_variables, read_zenith
from blindzone.pipeline.readers._lidar import (
    build_lidar_curtain,
    check_within,
    exceeds_noise,
    fill_noise,
    find_off_beam,
    to_height,
)
from blindzone.pipeline.readers._netcdf import Header
from blindzone.pipeline.readers._numbers import is_missing, read_numbers
from blindzone.pipeline.readers._origin import pick_provenance, read_site
from blindzone.pipeline.readers._profiles import is_mostly, keep_sound
from blindzone.pipeline.readers._registry import Reader
from blindzone.pipeline.readers._tables import drop_time_axis
from blindzone.pipeline.readers._times import decode_seconds
from blindzone.pipeline.readers._units import (
    ABOVE_SEA,
    DEGREES,
    METRES,
    find_unit_text,
    to_stated_units,
    to_units,
)

_COUNT_RATE, _ENERGY, _NRB = "MHz", "uJ", "MHz km2 uJ-1"
_CROSS_POLAR_WEIGHT = 2.0
_CREDIBLE_NRB = (-900.0, 1e6)
"""MHz km2 uJ-1: noise at 30 km by day stays within 100, and the fill values -999 and -9999 are
outside."""
_CREDIBLE_RATE = (0.0, 1e3)
"""Photons are not counted faster than detectors recover, some 20 a microsecond."""
_CREDIBLE_ENERGY = (0.05, 500.0)
"""Of one pulse [uJ]: 3 to 4 of a MiniMPL, some 10 of an MPL; without a pulse it is zero or
missing."""
_HIGHEST_GATE_M = 30e3
"""Above is background alone, which the ARM files hold up to 60 km."""
_LARGEST_OVERLAP_FACTOR = 2.0
"""Above, more than half of a corrected value is correction, the largest uncertainty near the lidar
(Welton and Campbell 2002, doi 10.1175/1520-0426(2002)019<2089:MLSUA>2.0.CO;2)."""
_LEAST_FACTOR = 0.9
"""A smaller correction factor is a fraction to divide by, which another writer may mean by the
name."""

_EPOCH = datetime(1970, 1, 1)
_CALENDAR = ("year", "month", "day", "hour", "minute", "second")
_SIGMA_REQUIRED = (
    "copol_nrb",
    "crosspol_nrb",
    "range_nrb",
    "copol_raw",
    "crosspol_raw",
    "range_raw",
    "laser_energy",
    *_CALENDAR,
)
_SIGMA_OPTIONAL = ("elevation_angle", "azimuth_angle", "latitude", "longitude", "altitude")
_SIGMA_UNITS = {
    "copol_nrb": _NRB,
    "crosspol_nrb": _NRB,
    "copol_raw": _COUNT_RATE,
    "crosspol_raw": _COUNT_RATE,
    "laser_energy": _ENERGY,
    "range_nrb": METRES,
    "range_raw": METRES,
}
_SIGMA_STATED_UNITS = {
    "elevation_angle": DEGREES,
    "azimuth_angle": DEGREES,
    "latitude": DEGREES,
    "longitude": DEGREES,
    "altitude": ABOVE_SEA,
}

_POLARIZATIONS = {"co_pol": 1.0, "cross_pol": _CROSS_POLAR_WEIGHT}
_ARM_SIGNALS = tuple(f"signal_return_{name}" for name in _POLARIZATIONS)
_ARM_BACKGROUNDS = tuple(f"background_signal_{name}" for name in _POLARIZATIONS)
_ARM_AFTERPULSES = tuple(f"afterpulse_correction_{name}" for name in _POLARIZATIONS)
_ARM_TABLES = (
    ("deadtime_correction_counts", "deadtime_correction"),
    ("overlap_correction_heights", "overlap_correction"),
)
"""Each with the axis that it is a function of."""
_ARM_REQUIRED = (
    *_ARM_SIGNALS,
    *_ARM_BACKGROUNDS,
    *_ARM_AFTERPULSES,
    "height",
    "energy_monitor",
    *itertools.chain(*_ARM_TABLES),
)
_ARM_OPTIONAL = (
    "time",
    "time_offset",
    "dead_time_corrected",
    "lat",
    "lon",
    "alt",
    *(f"qc_{name}" for name in _ARM_SIGNALS),
)
_ARM_UNITS = {
    **dict.fromkeys(
        (*_ARM_SIGNALS, *_ARM_BACKGROUNDS, *_ARM_AFTERPULSES, "deadtime_correction_counts"),
        _COUNT_RATE,
    ),
    "energy_monitor": _ENERGY,
    **dict.fromkeys(("height", "overlap_correction_heights"), METRES),
}
_ARM_STATED_UNITS = {"lat": DEGREES, "lon": DEGREES, "alt": ABOVE_SEA}


def read_mpl(path: Path) -> xr.Dataset:
    """Returns the native curtain `(time, height)` of a MiniMPL or ARM micropulse lidar file.

    Raises:
        SourceFileError: If the file cannot be read, lacks a variable, or has units, times, gates or
            values that do not fit the layout.
        CurtainError: If its times or gates do not increase strictly.
    """
    raw = read_numbers(
        path,
        tuple(dict.fromkeys((*_SIGMA_REQUIRED, *_SIGMA_OPTIONAL, *_ARM_REQUIRED, *_ARM_OPTIONAL))),
    )
    return _read_arm(raw, path) if _ARM_SIGNALS[0] in raw.variables else _read_sigma(raw, path)


def _read_sigma(raw: xr.Dataset, path: Path) -> xr.Dataset:
    check_variables(raw, _SIGMA_REQUIRED, "a MiniMPL file", path)
    check_dims(raw, ("copol_nrb", "crosspol_nrb"), ("time", "range_nrb"), path)
    check_dims(raw, ("copol_raw", "crosspol_raw"), ("time", "range_raw"), path)
    check_dims(
        raw, (*_CALENDAR, "laser_energy", "elevation_angle", "azimuth_angle"), ("time",), path
    )
    for name in ("range_nrb", "range_raw"):
        check_dims(raw, (name,), (name,), path)
    raw = to_units(_complete_range(raw, path), _SIGMA_UNITS, path)
    raw = to_stated_units(raw, _SIGMA_STATED_UNITS, path)
    raw, time = keep_sound(raw, _sigma_times(raw, path), path, find_off_beam(_sigma_zenith(raw)))
    range_m = _read_table(raw["range_nrb"], path)
    nrb = _add_polarizations(raw, "copol_nrb", "crosspol_nrb")
    check_within(nrb, _CREDIBLE_NRB, "copol_nrb + 2 crosspol_nrb", "MHz km2 uJ-1", path)
    rate = _add_polarizations(raw, "copol_raw", "crosspol_raw")
    # Of the noise some values may be below zero, where a writer subtracted it.
    check_within(np.abs(rate), _CREDIBLE_RATE, "copol_raw + 2 crosspol_raw", "counts/us", path)
    energy = _read_energy(raw["laser_energy"], path)
    with np.errstate(invalid="ignore", divide="ignore"):
        noise = _measure_noise(rate / energy[:, np.newaxis], path)
    fields = {
        "normalized_relative_backscatter": nrb,
        "signal": exceeds_noise(nrb / (range_m / 1e3) ** 2, noise),
        "no_data": np.isnan(nrb),
    }
    return build_lidar_curtain(
        fields,
        "normalized_relative_backscatter",
        time=time,
        height=to_height(range_m, _sigma_zenith(raw)),
        site=read_site(raw, SITE_COORDINATES),
        attrs=pick_provenance(raw, {"instrument": "card_type", "site": "lidar_site"}),
        path=path,
    )


def _read_arm(raw: xr.Dataset, path: Path) -> xr.Dataset:
    raw = _check_arm(raw, path)
    raw, time = keep_sound(raw, read_arm_times(raw, path), path)
    range_m = _read_table(raw["height"], path)
    rate, beyond = _correct_rate(raw, path)
    missing = np.isnan(rate)
    rejected = (
        np.logical_or.reduce([find_rejected(raw, name, path) for name in _ARM_SIGNALS]) & ~missing
    )
    rate = np.where(rejected, np.nan, rate)
    signal = exceeds_noise(rate, _measure_noise(rate[:, range_m > 0], path))
    overlap = _read_overlap(raw, range_m, path)
    near = np.where(overlap > _LARGEST_OVERLAP_FACTOR, QualityFlag.BELOW_LOWEST_TRUSTED_GATE, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        per_energy = rate / _read_energy(raw["energy_monitor"], path)[:, np.newaxis]
    nrb = per_energy * (overlap * (range_m / 1e3) ** 2)
    kept = (range_m > 0) & (range_m <= _HIGHEST_GATE_M)
    fields = {
        "normalized_relative_backscatter": nrb,
        "signal": signal,
        "no_data": np.isnan(nrb),
        "quality_flags": near | np.where(beyond | rejected, QualityFlag.REJECTED, 0),
    }
    return build_lidar_curtain(
        {name: values[:, kept] for name, values in fields.items()},
        "normalized_relative_backscatter",
        time=time,
        height=range_m[kept],
        site=read_site(raw, ("lat", "lon", "alt")),
        attrs=pick_provenance(
            raw, {"instrument": "datastream", "site": "facility_id", "references": "doi"}
        ),
        path=path,
    )


def _check_arm(raw: xr.Dataset, path: Path) -> xr.Dataset:
    """Returns the file's content in our units, each table once, if it is of the layout."""
    time = "time_offset" if "time_offset" in raw.variables else "time"
    check_variables(raw, (time, *_ARM_REQUIRED), "an ARM micropulse lidar file", path)
    raw = drop_time_axis(raw, ("height", *_ARM_AFTERPULSES, *itertools.chain(*_ARM_TABLES)), path)
    gates = str(raw["height"].dims[-1]) if raw["height"].dims else "range_bins"
    check_dims(raw, ("height", *_ARM_AFTERPULSES), (gates,), path)
    check_dims(raw, _ARM_SIGNALS, ("time", gates), path)
    check_dims(raw, (*_ARM_BACKGROUNDS, "energy_monitor", "dead_time_corrected"), ("time",), path)
    for axis, table in _ARM_TABLES:
        check_dims(
            raw,
            (axis, table),
            (str(raw[axis].dims[-1]) if raw[axis].dims else "one dimension",),
            path,
        )
    return to_stated_units(to_units(raw, _ARM_UNITS, path), _ARM_STATED_UNITS, path)


def _correct_rate(raw: xr.Dataset, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rate of co- + 2 * cross-polar counts [us-1] `(time, gate)`, corrected.

    Range and overlap are not corrected.

    NaN where a value is missing. The second array is true where a rate exceeds those that the
    dead-time table corrects.
    """
    counts = _read_table(raw["deadtime_correction_counts"], path)
    factors = _read_table(raw["deadtime_correction"], path)
    _check_factors(factors, "deadtime_correction", path)
    order = np.argsort(counts)
    done = (
        raw["dead_time_corrected"].values == 1
        if "dead_time_corrected" in raw
        else np.zeros(raw.sizes["time"], bool)
    )

    def correct(rate: np.ndarray) -> np.ndarray:
        factor = np.interp(rate, counts[order], factors[order])
        return np.asarray(
            rate
            * np.where(done.reshape(-1, *[1] * (rate.ndim - 1)), 1.0, factor).astype(rate.dtype)
        )

    total: np.ndarray = np.zeros(1, dtype=np.float32)
    beyond: np.ndarray = np.zeros(1, dtype=bool)
    for name, weight in _POLARIZATIONS.items():
        measured = _read_present(raw[f"signal_return_{name}"])
        check_within(measured, _CREDIBLE_RATE, f"signal_return_{name}", "counts/us", path)
        background = correct(_read_present(raw[f"background_signal_{name}"]))
        afterpulse = _read_table(raw[f"afterpulse_correction_{name}"], path)
        # Where the afterpulse has died away only dark counts are left, which the background holds
        # too.
        afterpulse = (afterpulse - np.mean(_farthest_quarter(afterpulse))).astype(measured.dtype)
        total = total + weight * (correct(measured) - background[:, np.newaxis] - afterpulse)
        beyond = beyond | ((measured > counts.max()) & ~done[:, np.newaxis])
    return total, beyond


def _read_overlap(raw: xr.Dataset, range_m: np.ndarray, path: Path) -> np.ndarray:
    """Returns the overlap factor `(gate,)` for what the telescope does not see; 1 above."""
    heights_m = _read_table(raw["overlap_correction_heights"], path)
    factors = _read_table(raw["overlap_correction"], path)
    # At the lidar itself there is no signal to correct, whatever the table says.
    heights_m, factors = heights_m[heights_m > 0], factors[heights_m > 0]
    _check_factors(factors, "overlap_correction", path)
    order = np.argsort(heights_m)
    return np.asarray(np.interp(range_m, heights_m[order], factors[order], right=1.0))


def _check_factors(factors: np.ndarray, name: str, path: Path) -> None:
    if factors.size == 0 or factors.min() < _LEAST_FACTOR:
        raise SourceFileError(
            f"{path}: '{name}' holds {factors.min():g}; factors of 1 and more, which multiply the"
            " signal, are right"
        )


def _measure_noise(rate: np.ndarray, path: Path) -> np.ndarray:
    """Returns each profile's standard deviation `(time,)` over its farthest quarter of gates."""
    spread = np.ma.masked_invalid(_farthest_quarter(rate)).std(axis=-1).filled(np.nan)
    with np.errstate(invalid="ignore"):
        return fill_noise(spread, spread > 0, path)


def _farthest_quarter(values: np.ndarray) -> np.ndarray:
    return values[..., values.shape[-1] * 3 // 4 :]


def _read_present(variable: xr.DataArray) -> np.ndarray:
    """Returns a variable's values, NaN where missing; single precision is kept."""
    return np.where(is_missing(variable), np.float32(np.nan), variable.values)


def _read_energy(variable: xr.DataArray, path: Path) -> np.ndarray:
    """Returns the energies of the pulses [uJ], shape `(time,)`, NaN where there was none."""
    energy = _read_present(variable)
    energy = np.where(energy > 0, energy, np.nan)
    check_within(energy, _CREDIBLE_ENERGY, str(variable.name), "uJ", path)
    return energy


def _read_table(variable: xr.DataArray, path: Path) -> np.ndarray:
    """Returns the values of a table that must be whole."""
    values = _read_present(variable).astype(np.float64)
    if values.size == 0 or np.isnan(values).any():
        found = f"{int(np.isnan(values).sum())} missing values" if values.size else "no value"
        raise SourceFileError(f"{path}: '{variable.name}' holds {found}; a whole table is right")
    return values


def _add_polarizations(raw: xr.Dataset, co_polar: str, cross_polar: str) -> np.ndarray:
    return np.asarray(
        _read_present(raw[co_polar]) + _CROSS_POLAR_WEIGHT * _read_present(raw[cross_polar])
    )


def _complete_range(raw: xr.Dataset, path: Path) -> xr.Dataset:
    """Returns the file's content with units of `range_nrb`: by itself, or those of `range_raw`."""
    if find_unit_text(raw["range_nrb"]) is not None:
        return raw
    ours, theirs = (raw[name].values.astype(np.float64) for name in ("range_nrb", "range_raw"))
    if not np.isclose(ours[:, np.newaxis], theirs, rtol=1e-5, atol=0).any(axis=1).all():
        raise SourceFileError(
            f"{path}: 'range_nrb' states no units and is no part of 'range_raw', which does; a part"
            " of it, or units ('m', or what converts to it), is right"
        )
    units = {"units": find_unit_text(raw["range_raw"])}
    return raw.assign_coords(range_nrb=raw["range_nrb"].assign_attrs(units))


def _sigma_zenith(raw: xr.Dataset) -> np.ndarray:
    """Returns the beam's zenith angle [degree] `(time,)`, NaN where the file does not say."""
    zenith = read_zenith(raw, "elevation_angle", from_horizon=True)
    if zenith is None:
        return np.full(raw.sizes["time"], np.nan)
    azimuth = (
        _read_present(raw["azimuth_angle"])
        if "azimuth_angle" in raw.variables
        else np.zeros(zenith.shape)
    )
    return np.where((raw["elevation_angle"].values == 0) & (azimuth == 0), 0.0, zenith)


def _sigma_times(raw: xr.Dataset, path: Path) -> np.ndarray:
    fields = np.stack([_read_present(raw[name]) for name in _CALENDAR], axis=1)  # (time, field)
    seconds = np.array([_count_seconds([float(value) for value in profile]) for profile in fields])
    untimed = np.isnan(seconds)
    if is_mostly(untimed):
        found = ", ".join(f"{value:g}" for value in fields[untimed][0])
        raise SourceFileError(f"{path}: {', '.join(_CALENDAR)} are {found}, which is no time")
    return decode_seconds(seconds, np.datetime64(_EPOCH, "ms"), ", ".join(_CALENDAR), path)


def _count_seconds(calendar: list[float]) -> float:
    """Returns the seconds since 1970 of a year, month, day, hour, minute and second.

    NaN if they are no time; only seconds may have a fraction.
    """
    if any(value % 1 for value in calendar[:-1]):
        return float("nan")
    try:
        instant = datetime(*map(int, calendar))  # type: ignore[arg-type]
    except (ValueError, OverflowError):
        return float("nan")
    return (instant - _EPOCH).total_seconds() + calendar[-1] % 1


def _recognises(header: Header) -> bool:
    return header.has("copol_nrb", "crosspol_nrb", "range_nrb") or header.has(
        *_ARM_SIGNALS, "height"
    )


LIDAR = Reader(name="mpl", title="a micropulse lidar file", read=read_mpl, recognises=_recognises)
