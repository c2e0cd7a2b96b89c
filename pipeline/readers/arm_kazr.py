"""ARM Ka-band radars (KAZR, KAZR2): `ge` and `md` moments of level a1 and b1, and ARSCL.

Moments have a value in every gate, most of it noise. Echo is separated from noise by power, profile
by profile: the signal-to-noise ratio where the file has it, else the range-corrected reflectivity
turned back to power (the two differ by a constant). The noise level is that of Hildebrand and
Sekhon (1974, doi 10.1175/1520-0450(1974)013<0808:ODOTNL>2.0.CO;2); what exceeds it by 5 dB and has
such a gate among its eight neighbours in time and height is echo, the rest no echo. Missing values
are no data there, since a gate without echo holds noise.

ARSCL (arsclkazr1kollias; Clothiaux et al. 2000, doi
10.1175/1520-0450(2000)039<0645:ODOCHA>2.0.CO;2) is masked already: missing values are no echo, or
no data in profiles whose `instrument_availability_flag` says that the radar was off. Its heights
are above ground, the antenna some 4 m higher. In both, values that the `qc_` companion calls bad
are no data.

Velocities are positive away from the radar. Times come from `time_offset`, exact where `time` may
be rounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.readers._arm import find_rejected, read_arm_times
from blindzone.pipeline.readers._assembly import build_curtain
from blindzone.pipeline.readers._checks import (
    check_credible,
    check_dims,
    check_variables,
    find_off_zenith,
)
from blindzone.pipeline.readers._netcdf import Header
from blindzone.pipeline.readers._numbers import (
    has_neighbour,
    is_missing,
    read_integers,
    read_numbers,
)
from blindzone.pipeline.readers._origin import pick_frequency, pick_provenance, read_site
from blindzone.pipeline.readers._profiles import keep_sound
from blindzone.pipeline.readers._registry import Reader
from blindzone.pipeline.readers._tables import drop_time_axis
from blindzone.pipeline.readers._units import (
    ABOVE_GROUND,
    ABOVE_SEA,
    DBZ,
    DEGREES,
    UPWARD,
    to_stated_units,
    to_units,
)
from blindzone.pipeline.readers._valid_range import find_dropped


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """Names of variables in one generation of files; of `power`, the first that a file has."""

    kind: str
    reflectivity: str
    velocity: str
    gates: str = "range"
    power: tuple[str, ...] = ()
    holds_noise: bool = True

    @property
    def gridded(self) -> tuple[str, ...]:
        """Names of the variables in time and height."""
        return (self.reflectivity, self.velocity, *self.power)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all variables of the layout."""
        return (*self.gridded, self.gates, f"qc_{self.reflectivity}")


_LAYOUTS = (
    _Layout(
        kind="a KAZR-ARSCL file",
        reflectivity="reflectivity_best_estimate",
        velocity="mean_doppler_velocity",
        gates="height",
        holds_noise=False,
    ),
    _Layout(
        kind="a KAZR file",
        reflectivity="reflectivity_copol",
        velocity="mean_doppler_velocity_copol",
        power=("signal_to_noise_ratio_copol",),
    ),
    _Layout(
        kind="a KAZR2 file",
        reflectivity="reflectivity",
        velocity="mean_doppler_velocity",
        power=("signal_to_noise_ratio_copolar_h", "snr_copol"),
    ),
)
_SITE = (("latitude", "lat"), ("longitude", "lon"), ("altitude", "alt"))
_OTHERS = (
    "time",
    "time_offset",
    "elevation",
    "instrument_availability_flag",
    "frequency",
    *(name for pair in _SITE for name in pair),
)
_PROVENANCE = {"instrument": "datastream", "site": "facility_id", "references": "doi"}
_NAMES = tuple({name: None for layout in _LAYOUTS for name in layout.names}) + _OTHERS

_STATED_UNITS = {
    **dict.fromkeys(_SITE[0], DEGREES),
    **dict.fromkeys(_SITE[1], DEGREES),
    **dict.fromkeys(_SITE[2], ABOVE_SEA),
    "elevation": DEGREES,
}
_CREDIBLE_POWER_DB = (-np.inf, 200.0)

DETECTION_DB = 5.0
"""Echo exceeds the noise level by more than this [dB]. Of 14850 gates without echo (KAZR2, Oliktok,
above 13.7 km), noise does so in 5 of 10000, and never in two neighbouring ones."""
_NOISE_AVERAGES = 4
"""Independent samples behind each noise power: few enough that no noise is cut off. Measured noise
(Oliktok) spreads by 0.35 of its mean, as that of eight samples; the levels for four and for six
samples differ by less than 0.3 dB."""
_LEAST_NOISE_SHARE = 0.1
"""The noise level of a profile with a smaller share of noise gates is not known."""
_LARGEST_RISE_DB = 2.0
"""A profile's level may exceed the file's lowest decile by this [dB], which leaves room for the
noise that rain emits: what rises further is weak echo in a profile full of cloud. The levels of a
measured hour (SGP) span 1 dB."""
_PROFILES_AT_ONCE = 2000


def read_arm_kazr(path: Path) -> xr.Dataset:
    """Returns the native curtain `(time, height)` of an ARM KAZR, KAZR2 or KAZR-ARSCL file.

    Raises:
        SourceFileError: If the file cannot be read, lacks a variable, has units, times, gates or
            values that do not fit the layout, or has no noise to separate echo from.
        CurtainError: If its times or gates do not increase strictly.
    """
    raw = read_numbers(path, _NAMES)
    layout = _find_layout(raw, path)
    raw = _check_layout(drop_time_axis(raw, (layout.gates,), path), layout, path)
    raw, time = keep_sound(
        raw,
        read_arm_times(raw, path),
        path,
        find_off_zenith(raw, "elevation", from_horizon=True),
    )
    missing = is_missing(raw[layout.reflectivity])
    reflectivity = np.where(missing, np.nan, raw[layout.reflectivity].values)
    check_credible(reflectivity, layout.reflectivity, path)
    rejected = find_rejected(raw, layout.reflectivity, path) & ~missing
    if layout.holds_noise:
        power = _find_power(raw, layout, reflectivity, path)
        no_data = missing | rejected | np.isnan(power)
        echo = detect_echo(np.where(no_data, np.nan, power), path)
    else:
        no_data = rejected | (missing & _is_off(raw, path)[:, np.newaxis])
        echo = ~missing & ~rejected
    fields = {
        "reflectivity": np.where(echo, reflectivity, np.nan),
        "no_data": no_data,
        "rejected": find_dropped(raw[layout.reflectivity]),
    }
    if layout.velocity in raw:
        velocity = raw[layout.velocity]
        fields["doppler_velocity"] = np.where(is_missing(velocity), np.nan, velocity.values)
    latitude, longitude, altitude = (
        current if current in raw.variables else older for current, older in _SITE
    )
    return build_curtain(
        fields,
        time=time,
        height=raw[layout.gates].values,
        site=read_site(raw, (latitude, longitude, altitude)),
        attrs=pick_provenance(raw, _PROVENANCE)
        | pick_frequency(raw, "frequency", "radar_operating_frequency"),
        path=path,
    )


def detect_echo(power_db: np.ndarray, path: Path) -> np.ndarray:
    """Returns the mask of echo `(time, height)` in power [dB] of any reference, NaN if missing.

    Raises:
        SourceFileError: If no profile has enough gates of noise for its level.
    """
    if power_db.size == 0:
        return np.zeros(power_db.shape, dtype=bool)
    level_db, share = estimate_noise_db(power_db)
    own = share >= _LEAST_NOISE_SHARE
    if not own.any():
        raise SourceFileError(
            f"{path}: no profile holds noise in {_LEAST_NOISE_SHARE:.0%} of its gates"
            f" ({int(np.isfinite(power_db).sum())} of {power_db.size} gates hold a value), so that"
            " echo cannot be separated from noise; moments with a value in every gate are right"
        )
    level_db = np.fmin(level_db, np.quantile(level_db[own], 0.1) + _LARGEST_RISE_DB)
    with np.errstate(invalid="ignore"):
        strong = power_db > level_db[:, np.newaxis] + DETECTION_DB
    return np.asarray(strong & has_neighbour(strong))


def estimate_noise_db(power_db: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns each profile's noise level [dB] and its share of noise gates, both `(time,)`.

    Noise of n averages has a variance of mean^2 / n; the weakest gates that keep within it are
    noise (Hildebrand and Sekhon 1974). Strong gates are left out wherever they are, so that high
    cloud does not raise the level.

    Args:
        power_db: Power [dB] of shape `(time, height)`, NaN where there is none.
    """
    levels, shares = [np.empty(0)], [np.empty(0)]
    for start in range(
        0, len(power_db), _PROFILES_AT_ONCE
    ):  # sums in double precision, a day at once takes gigabytes
        power = np.sort(
            10 ** (0.1 * power_db[start : start + _PROFILES_AT_ONCE].astype(np.float64)), axis=1
        )
        count = np.arange(1, power.shape[1] + 1)
        mean = np.cumsum(power, axis=1) / count
        variance = np.cumsum(power**2, axis=1) / count - mean**2
        noise = (
            variance <= mean**2 / _NOISE_AVERAGES
        )  # never so from the first NaN on: these are sorted last
        noise_gates = np.max(np.where(noise, count, 0), axis=1, initial=0)
        mean_noise = np.take_along_axis(
            mean, np.maximum(noise_gates - 1, 0)[:, np.newaxis], axis=1
        )[:, 0]
        levels.append(10 * np.log10(mean_noise))
        shares.append(noise_gates / power.shape[1])
    return np.concatenate(levels), np.concatenate(shares)


def _find_layout(raw: xr.Dataset, path: Path) -> _Layout:
    for layout in _LAYOUTS:
        if layout.reflectivity in raw.variables:
            return layout
    wanted = ", ".join(layout.reflectivity for layout in _LAYOUTS)
    raise SourceFileError(
        f"{path}: not an ARM KAZR file: it has none of {wanted} (has"
        f" {sorted(map(str, raw.variables))})"
    )


def _check_layout(raw: xr.Dataset, layout: _Layout, path: Path) -> xr.Dataset:
    """Returns the file's content in our units, if it is of the layout."""
    time = "time_offset" if "time_offset" in raw.variables else "time"
    check_variables(raw, (time, layout.gates), layout.kind, path)
    check_dims(raw, layout.gridded, ("time", layout.gates), path)
    units = {layout.reflectivity: DBZ, layout.velocity: UPWARD, layout.gates: ABOVE_GROUND}
    raw = to_units(raw, units | dict.fromkeys(layout.power, "dB"), path)
    check_dims(raw, (layout.gates,), (layout.gates,), path)
    raw = to_stated_units(raw, _STATED_UNITS, path)
    check_dims(raw, ("instrument_availability_flag",), ("time",), path)
    return raw


def _find_power(
    raw: xr.Dataset, layout: _Layout, reflectivity: np.ndarray, path: Path
) -> np.ndarray:
    """Returns power [dB] up to a constant, shape `(time, range)`, NaN where it is missing."""
    for name in layout.power:
        if name in raw.variables:
            power = np.where(is_missing(raw[name]), np.nan, raw[name].values)
            check_credible(power, name, path, _CREDIBLE_POWER_DB)
            return power
    # The lowest gates of some files are at or below the antenna, where only the logarithm would
    # mind.
    return np.asarray(reflectivity - 20 * np.log10(np.maximum(raw["range"].values, 1.0)))


def _is_off(raw: xr.Dataset, path: Path) -> np.ndarray:
    """Returns the mask `(time,)` of profiles without KAZR data: bit 1 of ARSCL's flag unset."""
    if "instrument_availability_flag" not in raw.variables:
        return np.zeros(raw.sizes["time"], dtype=bool)
    flag = read_integers(raw["instrument_availability_flag"], path)
    return np.asarray((flag < 0) | (flag & 1 == 0))


def _recognises(header: Header) -> bool:
    return any(header.has("time_offset", layout.reflectivity, layout.gates) for layout in _LAYOUTS)


RADAR = Reader(
    name="arm_kazr", title="an ARM KAZR file", read=read_arm_kazr, recognises=_recognises
)
