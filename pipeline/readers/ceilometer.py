"""Ceilometers (Vaisala CL31, CL51, CL61, Lufft CHM15k): ARM `ceil` b1 and Cloudnet lidar files.

ARM: `backscatter(time, range)`, range-corrected, in '1/(sr*km*10000)', that is 1e-4 km-1 sr-1 =
1e-7 sr-1 m-1: so scaled, its integral over range is the file's own `sum_backscatter`. It holds
noise in every gate, and is screened as `_lidar` says. Missing values (-9999, which the file need
not declare) are no data, and so are profiles during an alarm of the instrument (`status_flag` 2)
and values that a `qc_` companion calls bad, both flagged as rejected. A time is the end of its
averaging interval.

Cloudnet Level 1b (cloudnetpy; Tukiainen et al. 2020, doi 10.21105/joss.02123): `beta(time, range)`
[sr-1 m-1] is screened by the network, its fill value means noise; a profile that `beta_raw`
lacks altogether is no data. Where there is `beta_raw` alone, it is screened as `_lidar` says.
`beta_smooth` is an average and not read.

Ceilometers are often tilted a few degrees, to keep the sun and rain off their window: height is
range * cos(tilt). Neither layout states where the beam and the telescope overlap fully: the
catalogue's `lowest_trusted_m` does.
"""

from __future__ import annotations

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
    find_off_beam,
    screen_noise,
    to_height,
)
from blindzone.pipeline.readers._netcdf import Header
from blindzone.pipeline.readers._numbers import find_missing, is_missing, read_numbers
from blindzone.pipeline.readers._origin import pick_provenance, read_site
from blindzone.pipeline.readers._profiles import keep_sound
from blindzone.pipeline.readers._registry import Reader
from blindzone.pipeline.readers._tables import drop_time_axis
from blindzone.pipeline.readers._times import decode_day
from blindzone.pipeline.readers._units import (
    ABOVE_SEA,
    DEGREES,
    METRES,
    to_stated_units,
    to_units,
)
from blindzone.pipeline.readers._valid_range import find_dropped

PER_STERADIAN_METRE = "sr-1 m-1"

_ARM_GRIDDED = ("backscatter", "qc_backscatter")
_ARM_NAMES = (
    *_ARM_GRIDDED,
    "time",
    "time_offset",
    "range",
    "status_flag",
    "tilt_angle",
    "lat",
    "lon",
    "alt",
)
_ARM_STATED_UNITS = {"tilt_angle": DEGREES, "lat": DEGREES, "lon": DEGREES, "alt": ABOVE_SEA}
_ARM_PROVENANCE = {"instrument": "datastream", "site": "facility_id", "references": "doi"}
_ARM_MISSING = -9999.0
_ARM_ALARM = 2

_CLOUDNET_GRIDDED = ("beta", "beta_raw")
_CLOUDNET_NAMES = (*_CLOUDNET_GRIDDED, "time", "range", "zenith_angle", *SITE_COORDINATES)
_CLOUDNET_STATED_UNITS = {
    "latitude": DEGREES,
    "longitude": DEGREES,
    "altitude": ABOVE_SEA,
    "zenith_angle": DEGREES,
}
_CLOUDNET_PROVENANCE = {
    "instrument": "source",
    "site": "location",
    "file_uuid": "file_uuid",
    "references": "references",
}
_OF_OTHERS = ("category_bits", "Zh", "Z", "p_calc", "p_cal", "scaling", "base")
"""Variables of radars, of categorize files, and of raw CHM15k files, whose `beta_raw` is counts."""
_LARGEST_NEGATIVE_SHARE = 0.01
"""Of screened values: noise has a half."""

_CREDIBLE = (-0.1, 1.0)
"""Attenuated backscatter [sr-1 m-1] with its noise: liquid cloud reaches about 1e-3, noise by day
1e-4 at 15 km."""


def read_ceilometer(path: Path) -> xr.Dataset:
    """Returns the native curtain `(time, height)` of an ARM or a Cloudnet ceilometer file.

    Raises:
        SourceFileError: If the file cannot be read, lacks a variable, has units, times, gates or
            values that do not fit the layout, or has no noise to separate signal from where it
            should.
        CurtainError: If its times or gates do not increase strictly.
    """
    raw = read_numbers(path, tuple(dict.fromkeys((*_ARM_NAMES, *_CLOUDNET_NAMES))))
    raw = drop_time_axis(raw, ("range",), path)
    if "backscatter" in raw.variables:
        return _read_arm(raw, path)
    if any(name in raw.variables for name in _CLOUDNET_GRIDDED):
        return _read_cloudnet(raw, path)
    raise SourceFileError(
        f"{path}: not a ceilometer file: it has none of backscatter, beta, beta_raw "
        f"(has {sorted(map(str, raw.variables))})"
    )


def _read_arm(raw: xr.Dataset, path: Path) -> xr.Dataset:
    time = "time_offset" if "time_offset" in raw.variables else "time"
    check_variables(raw, (time, "range"), "an ARM ceilometer file", path)
    check_dims(raw, _ARM_GRIDDED, ("time", "range"), path)
    check_dims(raw, ("status_flag",), ("time",), path)
    raw = raw.assign(backscatter=raw["backscatter"].assign_attrs(fill_value=_ARM_MISSING))
    raw = _to_our_units(raw, ("backscatter",), _ARM_STATED_UNITS, path)
    raw, times = _keep_sound(raw, read_arm_times(raw, path), "tilt_angle", path)
    missing = is_missing(raw["backscatter"])
    backscatter = _take_credible(raw["backscatter"], missing, path)
    rejected = (find_rejected(raw, "backscatter", path) | _has_alarm(raw)[:, np.newaxis]) & ~missing
    range_m = raw["range"].values.astype(np.float64)
    known = np.where(rejected, np.nan, backscatter)
    fields = {
        "attenuated_backscatter": backscatter,
        "signal": screen_noise(known, range_m, path),
        "no_data": missing | rejected,
        "rejected": find_dropped(raw["backscatter"]),
        "quality_flags": np.where(rejected, QualityFlag.REJECTED, 0),
    }
    return build_lidar_curtain(
        fields,
        "attenuated_backscatter",
        time=times,
        height=to_height(range_m, _zenith(raw, "tilt_angle")),
        site=read_site(raw, ("lat", "lon", "alt")),
        attrs=pick_provenance(raw, _ARM_PROVENANCE),
        path=path,
    )


def _read_cloudnet(raw: xr.Dataset, path: Path) -> xr.Dataset:
    check_variables(raw, ("time", "range"), "a Cloudnet lidar file", path)
    check_dims(raw, _CLOUDNET_GRIDDED, ("time", "range"), path)
    check_dims(raw, ("time",), ("time",), path)
    raw = _to_our_units(raw, _CLOUDNET_GRIDDED, _CLOUDNET_STATED_UNITS, path)
    raw, times = _keep_sound(raw, decode_day(raw["time"], path), "zenith_angle", path)
    range_m = raw["range"].values.astype(np.float64)
    variable = raw["beta" if "beta" in raw.variables else "beta_raw"]
    missing = is_missing(variable)
    backscatter = _take_credible(variable, missing, path)
    if "beta" in raw.variables and not _holds_noise(backscatter):
        no_data = find_missing(variable)[0] | _is_off(raw)[:, np.newaxis]
        with np.errstate(invalid="ignore"):
            signal = backscatter > 0
    else:
        no_data, signal = missing, screen_noise(backscatter, range_m, path)
    return build_lidar_curtain(
        {
            "attenuated_backscatter": backscatter,
            "signal": signal,
            "no_data": no_data,
            "rejected": find_dropped(variable),
        },
        "attenuated_backscatter",
        time=times,
        height=to_height(range_m, _zenith(raw, "zenith_angle")),
        site=read_site(raw, SITE_COORDINATES),
        attrs=pick_provenance(raw, _CLOUDNET_PROVENANCE),
        path=path,
    )


def _holds_noise(backscatter: np.ndarray) -> bool:
    """Returns whether backscatter `(time, range)` was not screened: then it is negative at times.

    The network leaves no negative value; files of others in its form, such as those of the Met
    Office, hold the noise. One negative value throughout is no noise, and stands for no signal.
    """
    negative = backscatter[backscatter < 0]
    many = negative.size > _LARGEST_NEGATIVE_SHARE * np.count_nonzero(~np.isnan(backscatter))
    return bool(many and np.ptp(negative) > 0)


def _to_our_units(
    raw: xr.Dataset, backscatter: tuple[str, ...], stated: dict[str, str], path: Path
) -> xr.Dataset:
    check_dims(raw, ("range",), ("range",), path)
    units = {"range": METRES, **dict.fromkeys(backscatter, PER_STERADIAN_METRE)}
    return to_stated_units(to_units(raw, units, path), stated, path)


def _take_credible(variable: xr.DataArray, missing: np.ndarray, path: Path) -> np.ndarray:
    """Returns attenuated backscatter [sr-1 m-1] of the variable's shape, NaN if missing."""
    backscatter = np.where(missing, np.float32(np.nan), variable.values)
    check_within(backscatter, _CREDIBLE, str(variable.name), PER_STERADIAN_METRE, path)
    return backscatter


def _keep_sound(
    raw: xr.Dataset, time: np.ndarray, angle: str, path: Path
) -> tuple[xr.Dataset, np.ndarray]:
    return keep_sound(raw, time, path, find_off_beam(_zenith(raw, angle)))


def _zenith(raw: xr.Dataset, name: str) -> np.ndarray:
    """Returns the zenith angle [degree] of each profile `(time,)`, NaN where it is not stated."""
    found = read_zenith(raw, name)
    return np.full(raw.sizes["time"], np.nan) if found is None else found


def _has_alarm(raw: xr.Dataset) -> np.ndarray:
    """Returns the mask `(time,)` of profiles during an alarm: the instrument has failed."""
    if "status_flag" not in raw.variables:
        return np.zeros(raw.sizes["time"], dtype=bool)
    return np.asarray(raw["status_flag"].values == _ARM_ALARM)


def _is_off(raw: xr.Dataset) -> np.ndarray:
    """Returns the mask `(time,)` of profiles whose unscreened backscatter is empty."""
    if "beta_raw" not in raw.variables:
        return np.zeros(raw.sizes["time"], dtype=bool)
    return np.asarray(is_missing(raw["beta_raw"]).all(axis=1))


def _recognises(header: Header) -> bool:
    from_arm = header.has("time_offset", "backscatter", "range", "first_cbh")
    from_cloudnet = (
        header.has("time", "range", *SITE_COORDINATES)
        and not header.variables.isdisjoint(_CLOUDNET_GRIDDED)
        and header.variables.isdisjoint(_OF_OTHERS)
        and header.attributes.get("cloudnet_file_type", "lidar") == "lidar"
    )
    return from_arm or from_cloudnet


LIDAR = Reader(
    name="ceilometer", title="a ceilometer file", read=read_ceilometer, recognises=_recognises
)
