"""ARM radiosondes (sondewnpn, level b1): one ascent a file, at one or two seconds a level.

`pres` [hPa], `tdry` and `dp` [degree C], `u_wind` and `v_wind` [m s-1], or `wspd` and `deg` in
their place, and `alt` [m]. `alt` says 'above mean sea level' and is geopotential height: in the two
measured ascents it equals the hypsometric integral of the file's own pressure, temperature and
humidity to 1 m at 19 and 21 km, where geometric height is 56 and 69 m above. It is converted.

The balloon rises at some 5 m s-1 and drifts, at 10 km by tens of kilometres; here it is one profile
at the place and time of launch.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.curtains.curtain import ZERO_CELSIUS_K
from blindzone.pipeline.curtains.state import (
    geometric_height,
    humidity_of_dew_point,
    wind_components,
)
from blindzone.pipeline.readers._arm import find_rejected
from blindzone.pipeline.readers._checks import (
    check_dims,
    check_variables,
)
from blindzone.pipeline.readers._netcdf import Header
from blindzone.pipeline.readers._numbers import read_numbers, read_values
from blindzone.pipeline.readers._origin import pick_provenance, read_first_fix
from blindzone.pipeline.readers._registry import Reader
from blindzone.pipeline.readers._state import assemble_state
from blindzone.pipeline.readers._times import decode_times
from blindzone.pipeline.readers._units import (
    ABOVE_SEA,
    DEGREES,
    EASTWARD,
    METRES_PER_SECOND,
    NORTHWARD,
    to_stated_units,
    to_units,
)

LARGEST_GAP_M = 300.0
"""Missing values are interpolated between values at most this far apart in height [m]: a minute of
ascent."""
_LEAST_RISING_SHARE = 0.5
"""Of the samples up to the burst, those that are higher than all before: 5821 of 5918 at Andenes. A
damaged height near the ground, which nothing after it exceeds, leaves few."""
_SEA_LEVEL_HPA, _SCALE_M, _EXPONENT, _TROPOPAUSE_M = 1013.25, 44_330.8, 5.25588, 11_000.0
"""Of the standard atmosphere's troposphere, p = p0 (1 - H / scale)^exponent (ISO 2533:1975)."""
_LARGEST_PRESSURE_RATIO = 1.25
"""Of measured to standard pressure, or its inverse: weather and season change it by some 12 %, mmHg
for hPa by 33 %."""
_CREDIBLE_ALTITUDE_M = (-500.0, 50_000.0)

_REQUIRED = ("time_offset", "pres", "tdry", "dp", "alt")
_WINDS = (("u_wind", "v_wind"), ("wspd", "deg"))
_SITE = ("lat", "lon")
_MEASURED = (*_REQUIRED[1:], *(name for pair in _WINDS for name in pair), *_SITE)
_UNITS = {
    "pres": "hPa",
    "tdry": "C",
    "dp": "C",
    "alt": ABOVE_SEA,
    "u_wind": EASTWARD,
    "v_wind": NORTHWARD,
    "wspd": METRES_PER_SECOND,
    "deg": DEGREES,
}
_STATED_UNITS = {"lat": DEGREES, "lon": DEGREES}


def read_arm_sonde(path: Path) -> xr.Dataset:
    """Returns the native state curtain `(time, height)` of one radiosonde: a single profile.

    Kept are the samples that are higher than all before, so that neither a balloon that sinks for a
    moment nor the fall after its burst counts twice. Values that the `qc_` companions call bad are
    missing; gaps of up to `LARGEST_GAP_M` are interpolated linearly in height.

    Raises:
        SourceFileError: If the file cannot be read, lacks a variable, has units, times, heights or
            values that do not fit the layout, or does not rise.
    """
    raw = read_numbers(path, (*_MEASURED, *(f"qc_{name}" for name in _MEASURED), "time_offset"))
    winds = _WINDS[0] if all(name in raw.variables for name in _WINDS[0]) else _WINDS[1]
    check_variables(raw, (*_REQUIRED, *winds), "an ARM radiosonde file", path)
    names = ("time_offset", *_MEASURED, *(f"qc_{name}" for name in _MEASURED))
    check_dims(raw, names, ("time",), path)
    raw = to_stated_units(to_units(raw, _UNITS, path), _STATED_UNITS, path)
    times = decode_times(raw["time_offset"], path)
    if np.isnat(times).any() or np.any(np.diff(times) <= np.timedelta64(0)):
        raise SourceFileError(
            f"{path}: 'time_offset' repeats or runs backwards; the time of every sample is right"
        )
    measured = {
        name: np.where(find_rejected(raw, name, path), np.nan, values.astype(np.float64))
        for name, values in read_values(raw, {name: name for name in _MEASURED}, path).items()
    }
    rising = _find_rising(measured["alt"], measured["pres"], path)
    _check_pressure(measured["alt"], measured["pres"], path)
    height = geometric_height(measured["alt"][rising])
    levels, fields = _bridge_gaps(
        height, {n: v[rising] for n, v in _to_state(measured, winds, path).items()}
    )
    latitude, longitude = read_first_fix(raw, _SITE)
    return assemble_state(
        {name: values[np.newaxis] for name, values in fields.items()},
        time=times[:1],
        gate_height=(levels - height[0])[np.newaxis],
        site=(latitude, longitude, float(height[0])),
        attrs=pick_provenance(
            raw, {"instrument": "datastream", "site": "facility_id", "references": "doi"}
        ),
        path=path,
    )


def _to_state(
    measured: dict[str, np.ndarray], winds: tuple[str, str], path: Path
) -> dict[str, np.ndarray]:
    """Returns the canonical fields `(sample,)` of what the sonde measured."""
    for name, lowest, highest in (
        ("pres", 0.1, 1100.0),
        ("dp", -130.0, 60.0),
    ):  # beyond it the formula does not apply
        wrong = (measured[name] < lowest) | (measured[name] > highest)
        if wrong.any():
            raise SourceFileError(
                f"{path}: '{name}' holds {int(wrong.sum())} values outside {lowest:g} to"
                f" {highest:g} {_UNITS[name]} (first: {measured[name][wrong][0]:g}); an"
                " undeclared fill value or another unit would look like this"
            )
    first, second = (measured[name] for name in winds)
    eastward, northward = (first, second) if winds == _WINDS[0] else wind_components(first, second)
    return {
        "temperature": measured["tdry"] + ZERO_CELSIUS_K,
        "specific_humidity": humidity_of_dew_point(measured["dp"], measured["pres"]),
        "eastward_wind": eastward,
        "northward_wind": northward,
    }


def _find_rising(altitude: np.ndarray, pressure: np.ndarray, path: Path) -> np.ndarray:
    """Returns the mask `(sample,)` of the samples that are higher than every one before."""
    known = np.isfinite(altitude)
    lowest, highest = _CREDIBLE_ALTITUDE_M
    wrong = (altitude < lowest) | (altitude > highest)
    if wrong.any() or not known.any():
        found = f"a height of {altitude[wrong][0]:g} m" if wrong.any() else "no height"
        raise SourceFileError(f"{path}: 'alt' holds {found}; {lowest:g} to {highest:g} m is right")
    before = np.append(-np.inf, np.maximum.accumulate(np.where(known, altitude, -np.inf))[:-1])
    rising = known & (altitude > before)
    # Pressure has the burst even where a height is damaged.
    burst = int(np.nanargmin(pressure)) + 1 if np.isfinite(pressure).any() else altitude.size
    if rising.sum() < max(2, _LEAST_RISING_SHARE * burst):
        raise SourceFileError(
            f"{path}: 'alt' rises above all before at {int(rising.sum())} of the {burst} samples up"
            " to the burst; an ascent with a sound height in most of them is right"
        )
    return np.asarray(rising)


def _check_pressure(altitude: np.ndarray, pressure: np.ndarray, path: Path) -> None:
    """Checks that heights [m] and pressures [hPa] agree up to the tropopause."""
    known = np.isfinite(altitude) & (altitude < _TROPOPAUSE_M) & (pressure > 0)
    standard = _SEA_LEVEL_HPA * (1 - altitude[known] / _SCALE_M) ** _EXPONENT
    ratio = float(np.median(pressure[known] / standard)) if known.any() else 1.0
    if not 1 / _LARGEST_PRESSURE_RATIO <= ratio <= _LARGEST_PRESSURE_RATIO:
        raise SourceFileError(
            f"{path}: 'pres' is {ratio:.3g} times that of the standard atmosphere at the heights of"
            f" 'alt'; {1 / _LARGEST_PRESSURE_RATIO:g} to {_LARGEST_PRESSURE_RATIO:g} is right, and"
            " another unit of either would look like this"
        )


def _bridge_gaps(
    height: np.ndarray, fields: dict[str, np.ndarray]
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Returns heights and fields `(level,)`: short gaps filled, an empty level in long ones."""
    long = np.flatnonzero(np.diff(height) > LARGEST_GAP_M)
    levels = np.insert(height, long + 1, (height[long] + height[long + 1]) / 2)
    filled = {}
    for name, values in fields.items():
        spread = np.insert(values, long + 1, np.nan)
        known = np.flatnonzero(np.isfinite(spread))
        if known.size:
            after = np.searchsorted(known, np.arange(spread.size))
            above = levels[known[np.minimum(after, known.size - 1)]]
            below = levels[known[np.maximum(after - 1, 0)]]
            between = np.interp(levels, levels[known], spread[known], left=np.nan, right=np.nan)
            spread = np.where(
                np.isfinite(spread) | (above - below > LARGEST_GAP_M), spread, between
            )
        filled[name] = spread
    return levels, filled


def _recognises(header: Header) -> bool:
    return header.has(*_REQUIRED)


STATE = Reader(
    name="arm_sonde", title="an ARM radiosonde file", read=read_arm_sonde, recognises=_recognises
)
