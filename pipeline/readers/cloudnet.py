"""Cloudnet Level 1b radar files: calibrated reflectivity on native gates, one UTC day a file.

Layout: cloudnetpy (Tukiainen et al. 2020, doi 10.21105/joss.02123). `Zh(time, range)` [dBZ] and
`v(time, range)` [m s-1, positive away from the radar]; the fill value means no echo; `time`
counts hours from the midnight that its units name; `range` is the distance from the radar [m].
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from blindzone.pipeline.curtains.curtain import SITE_COORDINATES
from blindzone.pipeline.readers._assembly import build_curtain
from blindzone.pipeline.readers._checks import (
    check_credible,
    check_dims,
    check_variables,
    find_off_zenith,
)
from blindzone.pipeline.readers._netcdf import Header
from blindzone.pipeline.readers._numbers import find_missing, is_missing, read_numbers
from blindzone.pipeline.readers._origin import (
    check_site_known,
    pick_frequency,
    pick_provenance,
    read_site,
)
from blindzone.pipeline.readers._profiles import keep_sound
from blindzone.pipeline.readers._registry import Reader
from blindzone.pipeline.readers._tables import drop_time_axis
from blindzone.pipeline.readers._times import decode_day
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

_REQUIRED = ("time", "range", "Zh", *SITE_COORDINATES)
_FREQUENCY = ("radar_frequency", "frequency")
_OPTIONAL = ("v", "zenith_angle", *_FREQUENCY)
_UNITS = {"range": ABOVE_GROUND, "Zh": DBZ, "v": UPWARD}
_STATED_UNITS = {
    "latitude": DEGREES,
    "longitude": DEGREES,
    "altitude": ABOVE_SEA,
    "zenith_angle": DEGREES,
}
_PROVENANCE = {
    "instrument": "source",
    "site": "location",
    "file_uuid": "file_uuid",
    "references": "references",
}


def read_cloudnet_radar(path: Path) -> xr.Dataset:
    """Returns the native curtain `(time, height)` of a Cloudnet Level 1b radar file.

    Raises:
        SourceFileError: If the file cannot be read, lacks a variable, or has units, times, gates or
            values that do not fit the layout.
        CurtainError: If its times or gates do not increase strictly.
    """
    raw = read_numbers(path, (*_REQUIRED, *_OPTIONAL))
    check_variables(raw, _REQUIRED, "a Cloudnet Level 1b radar file", path)
    raw = drop_time_axis(raw, ("range",), path)
    check_dims(raw, ("Zh", "v"), ("time", "range"), path)
    check_dims(raw, ("time",), ("time",), path)
    check_dims(raw, ("range",), ("range",), path)
    raw = to_stated_units(to_units(raw, _UNITS, path), _STATED_UNITS, path)
    raw, time = keep_sound(
        raw, decode_day(raw["time"], path), path, find_off_zenith(raw, "zenith_angle")
    )
    no_data, no_echo = find_missing(raw["Zh"])
    reflectivity = _take_values(raw["Zh"], no_data | no_echo)
    check_credible(reflectivity, "Zh", path)
    fields = {
        "reflectivity": reflectivity,
        "no_data": no_data,
        "rejected": find_dropped(raw["Zh"]),
    }
    if "v" in raw:
        fields["doppler_velocity"] = _take_values(raw["v"], is_missing(raw["v"]))
    site = read_site(raw, SITE_COORDINATES)
    check_site_known(site, SITE_COORDINATES, path)
    return build_curtain(
        fields,
        time=time,
        height=raw["range"].values,
        site=site,
        attrs=pick_provenance(raw, _PROVENANCE) | pick_frequency(raw, *_FREQUENCY),
        path=path,
    )


def _take_values(variable: xr.DataArray, missing: np.ndarray) -> np.ndarray:
    """Returns a variable's values, NaN where missing, in the memory of the raw ones.

    Copying a day's fields takes a tenth of the time of reading them, and the raw ones are of no
    further use.
    """
    if variable.dtype.kind != "f":
        return np.where(missing, np.float32(np.nan), variable.values)
    values = variable.values
    np.copyto(values, np.nan, where=missing)
    return values


def _recognises(header: Header) -> bool:
    return (
        header.has(*_REQUIRED)
        and not header.has("category_bits")
        and header.attributes.get("cloudnet_file_type", "radar") in ("radar", "rain-radar")
    )


RADAR = Reader(
    name="cloudnet_radar",
    title="a Cloudnet Level 1b radar file",
    read=read_cloudnet_radar,
    recognises=_recognises,
)
