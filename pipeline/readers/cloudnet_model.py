"""Cloudnet single-site model files: hourly profiles of a weather model, one UTC day a file.

Layout: Cloudnet (Illingworth et al. 2007, doi 10.1175/BAMS-88-6-883), as seen in files of ECMWF and
ICON. `temperature` [K], `q` [1], `uwind` and `vwind` [m s-1] by `time` and `level`; `height` [m] is
above the model's ground, and is taken for geometric as Cloudnet itself does. That ground,
`sfc_height_amsl` [m] or `sfc_geopotential` [m2 s-2], may be far from the station's: 154 m and 11 m
at Ny-Alesund.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.curtains.state import height_of_geopotential
from blindzone.pipeline.readers._checks import (
    check_dims,
    check_variables,
)
from blindzone.pipeline.readers._netcdf import Header
from blindzone.pipeline.readers._numbers import read_numbers, read_values
from blindzone.pipeline.readers._origin import pick_provenance, read_site
from blindzone.pipeline.readers._profiles import keep_sound
from blindzone.pipeline.readers._registry import Reader
from blindzone.pipeline.readers._state import assemble_state
from blindzone.pipeline.readers._times import decode_times
from blindzone.pipeline.readers._units import (
    ABOVE_GROUND,
    ABOVE_SEA,
    DEGREES,
    EASTWARD,
    NORTHWARD,
    to_stated_units,
    to_units,
)

FIELDS = {
    "temperature": "temperature",
    "specific_humidity": "q",
    "eastward_wind": "uwind",
    "northward_wind": "vwind",
}
"""Cloudnet's names of the state, in model and in categorize files."""
FIELD_UNITS = {
    "temperature": "K",
    "q": "1",
    "uwind": EASTWARD,
    "vwind": NORTHWARD,
}
_REQUIRED = ("time", "height", *FIELDS.values())
_GROUND = {"height": "sfc_height_amsl", "geopotential": "sfc_geopotential", "station": "altitude"}
_SITE = ("latitude", "longitude")
_CREDIBLE_GROUND_M = (-500.0, 9000.0)
_STATED_UNITS = {
    "latitude": DEGREES,
    "longitude": DEGREES,
    **dict.fromkeys((_GROUND["height"], _GROUND["station"]), ABOVE_SEA),
    _GROUND["geopotential"]: "m2 s-2",
}
_PROVENANCE = {
    "instrument": "source",
    "site": "location",
    "file_uuid": "file_uuid",
    "references": "references",
}


def read_cloudnet_model(path: Path) -> xr.Dataset:
    """Returns the native state curtain `(time, height)` above the ground of a Cloudnet model.

    Raises:
        SourceFileError: If the file cannot be read, lacks a variable or the height of its ground,
            or has units, times, heights or values that do not fit the layout.
        CurtainError: If its times do not increase strictly.
    """
    raw = read_numbers(path, (*_REQUIRED, *_SITE, *_GROUND.values()))
    check_variables(raw, _REQUIRED, "a Cloudnet model file", path)
    check_dims(raw, ("height", *FIELDS.values()), ("time", "level"), path)
    check_dims(raw, ("time",), ("time",), path)
    raw = to_units(raw, {"height": ABOVE_GROUND, **FIELD_UNITS}, path)
    raw = to_stated_units(raw, _STATED_UNITS, path)
    raw, time = keep_sound(raw, decode_times(raw["time"], path), path)
    latitude, longitude, _ = read_site(raw, (*_SITE, _GROUND["station"]))
    return assemble_state(
        read_values(raw, FIELDS, path),
        time=time,
        gate_height=read_values(raw, {"height": "height"}, path)["height"],
        site=(latitude, longitude, _find_ground(raw, path)),
        attrs=pick_provenance(raw, _PROVENANCE),
        path=path,
    )


def _find_ground(raw: xr.Dataset, path: Path) -> float | np.ndarray:
    """Returns the altitude [m] of the model's ground, `(time,)` where it changes.

    It is the station's where the file has no other.
    """
    stated = read_values(raw, _GROUND, path)
    if "geopotential" in stated:
        stated["geopotential"] = height_of_geopotential(stated["geopotential"])
    lowest, highest = _CREDIBLE_GROUND_M
    for name in _GROUND:
        ground = np.ravel(stated.get(name, np.nan)).astype(np.float64)
        if ground.size and np.all((ground >= lowest) & (ground <= highest)):
            return float(ground[0]) if np.all(ground == ground[0]) else ground
    raise SourceFileError(
        f"{path}: the height of the model's ground is not known; one of"
        f" {', '.join(_GROUND.values())} with a value from {lowest:g} to {highest:g} m for every"
        " time is right"
    )


def _recognises(header: Header) -> bool:
    return header.has(*_REQUIRED, "level")


STATE = Reader(
    name="cloudnet_model",
    title="a Cloudnet model file",
    read=read_cloudnet_model,
    recognises=_recognises,
)
