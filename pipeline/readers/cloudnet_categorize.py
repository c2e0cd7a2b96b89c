"""Cloudnet categorize files: radar, lidar and model state of one site and UTC day on one grid.

Layout: cloudnetpy (Tukiainen et al. 2020, doi 10.21105/joss.02123; bits after Hogan and O'Connor
    2004, 'Facilitating
cloud radar and lidar algorithms: the Cloudnet Instrument Synergy/Target Categorization product').
`Z` [dBZ], `v` [m s-1, positive away from the radar] and `beta` [sr-1 m-1] by `time` and `height` [m
above mean sea level]; `temperature`, `q`, `uwind` and `vwind` by `model_time` and `model_height`,
put on the same pixels here. Files from before cloudnetpy, and those of a radar and a lidar
alone, lack some of these: then the state is left out.

Of the radar, echo is what quality bit 0 says and has a value, the rest no echo: a profile without
any is a clear one, or an outage: the file does not say. Of the lidar, the same is true of
quality bit 1, but that a profile without any return is taken for no data, since near the ground
there is always one. What the bits call clutter is removed, and what they call insects and nothing
else, unless it is too strong for them. Where they say that rain, liquid cloud or melting ice below
attenuates and nothing corrects for it, echo or not, the pixel is flagged.
"""

from __future__ import annotations

from pathlib import Path

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
from blindzone.pipeline.curtains.position import find_middle
from blindzone.pipeline.curtains.state import match_state
from blindzone.pipeline.readers._assembly import build_curtain
from blindzone.pipeline.readers._checks import (
    check_credible,
    check_dims,
    check_top,
    check_variables,
)
from blindzone.pipeline.readers._netcdf import Header
from blindzone.pipeline.readers._numbers import (
    is_missing,
    read_integers,
    read_numbers,
    read_values,
)
from blindzone.pipeline.readers._origin import (
    check_site_known,
    pick_frequency,
    pick_provenance,
    read_site,
)
from blindzone.pipeline.readers._profiles import keep_sound
from blindzone.pipeline.readers._registry import Reader
from blindzone.pipeline.readers._state import assemble_state
from blindzone.pipeline.readers._tables import drop_time_axis
from blindzone.pipeline.readers._times import decode_day, decode_times
from blindzone.pipeline.readers._units import (
    ABOVE_SEA,
    DBZ,
    DEGREES,
    UPWARD,
    to_stated_units,
    to_units,
)
from blindzone.pipeline.readers._valid_range import find_dropped
from blindzone.pipeline.readers.cloudnet_model import FIELD_UNITS, FIELDS

_BITS = ("category_bits", "quality_bits")
_ON_GRID = ("Z", "v", "beta", *_BITS)
_REQUIRED = ("time", "height", "Z", "beta", *_BITS, "altitude")
_RADAR = {"reflectivity": "Z", "doppler_velocity": "v"}
_STATE = ("model_time", "model_height", *FIELDS.values())
_UNITS = {
    "Z": DBZ,
    "v": UPWARD,
    "beta": "sr-1 m-1",
    "height": ABOVE_SEA,
    "altitude": ABOVE_SEA,
    "model_height": ABOVE_SEA,
    **FIELD_UNITS,
}
_STATED_UNITS = {"latitude": DEGREES, "longitude": DEGREES}
_PROVENANCE = {
    "instrument": "source",
    "site": "location",
    "file_uuid": "file_uuid",
    "references": "references",
}
_LARGEST_BETA = 1.0
"""Liquid cloud returns 1e-3 to 1e-2 sr-1 m-1 at most; what is beyond is a fill value or another
unit."""

_HYDROMETEORS = 1 << 0 | 1 << 1 | 1 << 3
"""Category bits: droplets, falling hydrometeors, melting ice."""
_INSECTS = 1 << 5
_STRONGEST_INSECTS_DBZ = 10.0
"""In the measured file (Cabauw, 94 GHz) the bit for insects is set in 408 pixels of 13 to 18 dBZ
that fall at 2 to 5 m s-1 amid rain of the same strength: that is rain. Insects seen by such radars
stay far below."""
_RADAR_ECHO, _LIDAR_ECHO, _CLUTTER = 1 << 0, 1 << 1, 1 << 2
_ATTENUATED_CORRECTED = ((1 << 4, 1 << 5), (1 << 6, 1 << 7), (1 << 8, 1 << 9))
"""Quality bits: attenuation by liquid, rain and melting ice, each with the one that says it is
corrected. Files of cloudnetpy before the last two were separate have the first pair only, for all
three."""


def read_cloudnet_categorize(path: Path) -> xr.Dataset:
    """Returns the native curtain `(time, height)` of a categorize file: radar, lidar, state.

    Raises:
        SourceFileError: If the file cannot be read, lacks a variable, or has units, times, heights
            or values that do not fit the layout.
        CurtainError: If its times or heights do not increase strictly.
    """
    raw, lacking = _read_layout(path)
    raw, time = keep_sound(raw, decode_day(raw["time"], path), path)
    quality, category = (
        read_integers(raw[name], path) for name in ("quality_bits", "category_bits")
    )
    unknown = is_missing(raw["quality_bits"]) | is_missing(raw["category_bits"])
    measured = read_values(raw, {**_RADAR, "attenuated_backscatter": "beta"}, path)
    check_credible(measured["reflectivity"], "Z", path)
    site = read_site(raw, SITE_COORDINATES)
    check_site_known((0.0, 0.0, site[2]), SITE_COORDINATES, path)
    base = find_middle(np.ravel(site[2]))  # of a platform that climbs, heights count from one level

    seen = (quality & _RADAR_ECHO != 0) & ~unknown
    echo = seen & ~np.isnan(measured["reflectivity"])
    clutter = echo & (quality & _CLUTTER != 0)
    insects = echo & ~clutter & _find_insects(category, measured["reflectivity"])
    removed = clutter | insects
    radar = {
        name: np.where(echo & ~removed, measured[name], np.nan)
        for name in _RADAR
        if name in measured
    }
    curtain = build_curtain(
        radar | {"no_data": unknown | (seen & ~echo), "rejected": find_dropped(raw["Z"])},
        time=time,
        height=raw["height"].values.astype(np.float64) - base,
        site=site,
        attrs={
            name: ", ".join(text.splitlines())
            for name, text in pick_provenance(raw, _PROVENANCE).items()
        }
        | pick_frequency(raw, "radar_frequency")
        | ({"comment": f"No state: the file lacks {', '.join(lacking)}."} if lacking else {}),
        path=path,
    )
    status = np.where(
        removed, np.int8(DetectionStatus.CLUTTER_REMOVED), curtain["detection_status"].values
    )
    lidar = _read_lidar(
        measured["attenuated_backscatter"], (quality & _LIDAR_ECHO != 0) & ~unknown, unknown, path
    )
    flags = _make_flags(clutter, insects, _find_attenuated(quality) & ~unknown)
    flags[find_dropped(raw["Z"])] |= np.uint8(QualityFlag.REJECTED)
    added = lidar | {"detection_status": status, "quality_flags": flags}
    curtain = curtain.assign({name: (DIMS, values) for name, values in added.items()})
    if not lacking:
        curtain = _add_state(curtain, raw, base, path)
    check_curtain(curtain, where=str(path))
    return curtain


def _make_flags(clutter: np.ndarray, insects: np.ndarray, attenuated: np.ndarray) -> np.ndarray:
    """Returns the `QualityFlag` bits of three masks, all `(time, height)`."""
    flags = np.zeros(clutter.shape, dtype=np.uint8)
    flags[clutter] |= np.uint8(QualityFlag.CLUTTER)
    flags[insects] |= np.uint8(QualityFlag.INSECTS)
    flags[attenuated] |= np.uint8(QualityFlag.ATTENUATION_NOT_CORRECTED)
    return flags


def _read_layout(path: Path) -> tuple[xr.Dataset, list[str]]:
    """Returns checked variables in our units, and the names that a state would need beside them."""
    raw = read_numbers(path, (*_REQUIRED, *SITE_COORDINATES[:2], "v", "radar_frequency", *_STATE))
    check_variables(raw, _REQUIRED, "a Cloudnet categorize file", path)
    axes: tuple[str, ...] = ("time", "height")
    lacking = [name for name in _STATE if name not in raw.variables]
    if lacking:
        raw = raw.drop_vars(_STATE, errors="ignore")
    else:
        check_dims(raw, tuple(FIELDS.values()), ("model_time", "model_height"), path)
        axes += ("model_time", "model_height")
    raw = drop_time_axis(raw, ("height",), path)
    check_dims(raw, _ON_GRID, ("time", "height"), path)
    for name in axes:
        check_dims(raw, (name,), (name,), path)
    raw = to_stated_units(to_units(raw, _UNITS, path), _STATED_UNITS, path)
    check_top(raw["height"].values, path)
    return raw, lacking


def _find_insects(category: np.ndarray, reflectivity: np.ndarray) -> np.ndarray:
    """Returns the mask `(time, height)` of pixels with insects and no hydrometeors."""
    alone = (category & _INSECTS != 0) & (category & _HYDROMETEORS == 0)
    return np.asarray(alone & (reflectivity < _STRONGEST_INSECTS_DBZ))


def _find_attenuated(quality: np.ndarray) -> np.ndarray:
    """Returns the mask `(time, height)` of pixels with radar attenuation not corrected for."""
    masks = [
        (quality & cause != 0) & (quality & cure == 0) for cause, cure in _ATTENUATED_CORRECTED
    ]
    return np.asarray(np.logical_or.reduce(masks))


def _read_lidar(
    beta: np.ndarray, seen: np.ndarray, unknown: np.ndarray, path: Path
) -> dict[str, np.ndarray]:
    """Returns backscatter and its status, `(time, height)`."""
    wrong = beta > _LARGEST_BETA
    if wrong.any():
        raise SourceFileError(
            f"{path}: 'beta' holds {int(wrong.sum())} values above {_LARGEST_BETA:g} sr-1 m-1"
            f" (first: {beta[wrong][0]:g}); an undeclared fill value or another unit would look"
            " like this"
        )
    stands_out = seen & (beta > 0)
    status = np.where(stands_out, DetectionStatus.ECHO, DetectionStatus.NO_ECHO).astype(np.int8)
    no_data = unknown | (seen & np.isnan(beta)) | ~stands_out.any(axis=1, keepdims=True)
    status[no_data] = DetectionStatus.NO_DATA
    backscatter = np.where(stands_out, beta, np.nan).astype(np.float32)
    return {"attenuated_backscatter": backscatter, "backscatter_status": status}


def _add_state(curtain: xr.Dataset, raw: xr.Dataset, base: float, path: Path) -> xr.Dataset:
    """Returns the curtain with the model's state on its pixels; heights count from a base [m]."""
    times = decode_times(raw["model_time"], path)
    raw, time = keep_sound(raw, times, path, dim="model_time")
    above_site = raw["model_height"].values.astype(np.float64) - base
    state = assemble_state(
        read_values(raw, FIELDS, path),
        time=time,
        gate_height=np.broadcast_to(above_site, raw["temperature"].shape),
        site=(float("nan"), float("nan"), base),
        attrs={},
        path=path,
    )
    return match_state(curtain, state)


def _recognises(header: Header) -> bool:
    return header.has(*_REQUIRED)


CATEGORIZE = Reader(
    name="cloudnet_categorize",
    title="a Cloudnet categorize file",
    read=read_cloudnet_categorize,
    recognises=_recognises,
)
