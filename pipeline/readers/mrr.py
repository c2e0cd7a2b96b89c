"""METEK micro rain radars, 24 GHz: MRR-Pro files, and MRR-2 files processed by IMProToo.

MRR-Pro (CfRadial 1.3, one file every ten minutes): `Ze(time, range)` [dBZ] is the equivalent
reflectivity factor with the attenuation by rain corrected (`Zea` is the one without, `Z` assumes
rain drops), `VEL(time, range)` [m s-1] is positive *towards* the radar, from 0 to the Nyquist
limit: weak updraughts appear folded, as some 11 m s-1 downwards.

IMProToo (Maahn and Kollias 2012, doi 10.5194/amt-5-2661-2012): `Ze(time, range)` [dBZ] and `W(time,
range)` [m s-1] of the most significant peak, positive *towards* the radar; `height(time, range)`
[m] above it, in which every profile must agree; `time` in seconds since 1970 with or without units
saying so, at the end of each averaging interval.

The fill value (NaN in MRR-Pro files, -9999 in those of IMProToo) means no echo and no
data, and is taken for no echo. No data are a NaN that is not the fill value, and gates whose
`transfer_function` is zero, where MRR-Pro files carry it. Neither layout need state the site, whose
coordinates are then NaN.

The first gate of an MRR-Pro is the antenna: the transfer function is zero there and no echo ever
comes from it. Noise over the transfer function grows with the square of the distance from it. What
`range` says of it is the altitude that the operator has set, or one gate, and is taken off; so does
cloudnetpy since 1.85.5 (commit e31b652f). RaProM-Pro counts gates from 0 alike, to the square of
which it scales the spectra (Garcia-Benadi et al. 2021, doi 10.3390/rs13214323).
"""

from __future__ import annotations

import re
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
from blindzone.pipeline.readers._origin import pick_provenance, read_site
from blindzone.pipeline.readers._profiles import keep_sound
from blindzone.pipeline.readers._registry import Reader
from blindzone.pipeline.readers._tables import drop_time_axis
from blindzone.pipeline.readers._times import decode_times
from blindzone.pipeline.readers._units import (
    ABOVE_GROUND,
    ABOVE_SEA,
    DBZ,
    DEGREES,
    DOWNWARD,
    to_stated_units,
    to_units,
)
from blindzone.pipeline.readers._valid_range import find_dropped

_NAMES = (
    "time",
    "range",
    "height",
    "Ze",
    "VEL",
    "W",
    "transfer_function",
    "elevation",
    "latitude",
    "longitude",
    "altitude",
)
_NAMING_ATTRIBUTES = ("title", "instrument_name", "source", "history")
_NAMES_MRR = re.compile(r"\bMRR\b|micro rain radar|IMProToo", re.IGNORECASE)
FREQUENCY_GHZ = 24.2
"""Of every MRR, within the band from 24.0 to 24.25 GHz."""
_EPOCH_UNITS = "seconds since 1970-01-01"
_SAME_HEIGHT_M = 0.5
_LEAST_ECHOES = 30
"""So many echoes in the second gate and none in the first show that the first is the antenna."""
_STATED_UNITS = {
    "latitude": DEGREES,
    "longitude": DEGREES,
    "altitude": ABOVE_SEA,
    "elevation": DEGREES,
}
_PROVENANCE = {"instrument": "instrument_name", "site": "site_name", "references": "references"}
_IMPROTOO_PROVENANCE = {"instrument": "source", "site": "site_name", "references": "references"}


def read_mrr(path: Path) -> xr.Dataset:
    """Returns the native curtain `(time, height)` of an MRR-Pro, or IMProToo MRR-2, file.

    Raises:
        SourceFileError: If the file cannot be read, lacks a variable, or has units, times, gates or
            values that do not fit the layout.
        CurtainError: If its times or gates do not increase strictly.
    """
    raw = read_numbers(path, _NAMES)
    from_improtoo = "height" in raw.variables
    kind, gates, velocity = (
        ("an MRR-2 file processed by IMProToo", "height", "W")
        if from_improtoo
        else ("an MRR-Pro file", "range", "VEL")
    )
    check_variables(raw, ("time", gates, "Ze"), kind, path)
    check_dims(raw, ("Ze", velocity), ("time", "range"), path)
    raw = to_units(raw, {"Ze": DBZ, velocity: DOWNWARD, gates: ABOVE_GROUND}, path)
    raw = to_stated_units(raw, _STATED_UNITS, path)
    check_dims(raw, ("time",), ("time",), path)
    raw, time = keep_sound(
        raw,
        decode_times(raw["time"], path, assumed=_EPOCH_UNITS if from_improtoo else None),
        path,
        find_off_zenith(raw, "elevation", from_horizon=True),
    )
    raw = drop_time_axis(raw, (gates,), path, tolerance=_SAME_HEIGHT_M)
    check_dims(raw, ("range", gates), ("range",), path)
    not_a_number, fill = find_missing(raw["Ze"])
    reflectivity = np.where(not_a_number | fill, np.nan, raw["Ze"].values)
    check_credible(reflectivity, "Ze", path)
    fields = {
        "reflectivity": reflectivity,
        "no_data": not_a_number | _is_blind(raw),
        "rejected": find_dropped(raw["Ze"]),
    }
    if velocity in raw:
        fields["doppler_velocity"] = -np.where(
            is_missing(raw[velocity]), np.nan, raw[velocity].values
        )
    return build_curtain(
        fields,
        time=time,
        height=(
            raw[gates].values
            if from_improtoo
            else _count_from_antenna(raw["range"].values, reflectivity, raw)
        ),
        site=read_site(raw, SITE_COORDINATES),
        attrs=pick_provenance(raw, _IMPROTOO_PROVENANCE if from_improtoo else _PROVENANCE)
        | {"frequency_ghz": FREQUENCY_GHZ},
        path=path,
    )


def _is_blind(raw: xr.Dataset) -> np.ndarray:
    """Returns the mask `(range,)` of gates through which the receiver lets nothing."""
    if "transfer_function" not in raw.variables or raw["transfer_function"].dims != ("range",):
        return np.zeros(raw.sizes["range"], dtype=bool)
    return np.asarray(raw["transfer_function"].values == 0)


def _count_from_antenna(gates: np.ndarray, reflectivity: np.ndarray, raw: xr.Dataset) -> np.ndarray:
    """Returns the distances [m] `(range,)` from the antenna, of gates that may count from the sea.

    A file without the transfer function shows by its echo whether it begins at the antenna.

    Args:
        gates: The file's own distances [m] `(range,)`.
        reflectivity: Of `(time, range)`, NaN without echo.
        raw: The file's content.
    """
    if gates.size < 2:
        return gates
    echoes = np.isfinite(reflectivity[:, :2]).sum(axis=0)
    at_antenna = _is_blind(raw)[0] or (echoes[0] == 0 and echoes[1] >= _LEAST_ECHOES)
    return np.asarray(gates - gates[0]) if at_antenna else gates


def _recognises(header: Header) -> bool:
    """Returns whether a file is of an MRR: other radars of METEK name their variables alike."""
    stated = " ".join(header.attributes.get(name, "") for name in _NAMING_ATTRIBUTES)
    says_mrr = _NAMES_MRR.search(stated) is not None
    is_pro = header.has("time", "range", "Ze", "VEL") and (says_mrr or header.has("Zea"))
    from_improtoo = header.has("time", "height", "Ze", "W") and (
        says_mrr or header.has("TF", "quality")
    )
    return is_pro or from_improtoo


RADAR = Reader(name="mrr", title="a METEK MRR file", read=read_mrr, recognises=_recognises)
