"""Origin of a raw file: its site, instrument, terms and radar frequency."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.curtains.findings import pick_findings
from blindzone.pipeline.readers._numbers import is_missing

_CREDIBLE_SITE = {
    "lat": (-90.0, 90.0),
    "lon": (-180.0, 360.0),
    "alt": (-500.0, 9000.0),
    "msl": (-500.0, 9000.0),
}
"""By the first three letters of a name; what is outside is a fill value."""
_COMMON_PROVENANCE = {
    "title": ("title",),
    "institution": ("institution",),
    "creator": ("creator_name", "creator"),
    "publisher": ("publisher_name", "publisher"),
    "license": ("license", "licence"),
}
"""Attributes of a curtain by those of CF 1.11 and ACDD 1.3, with the British spelling."""
_FREQUENCY = re.compile(r"(?P<number>\d+(?:\.\d+)?) ?(?P<unit>[kMG]?Hz)")
_GHZ_PER = {"GHz": 1.0, "MHz": 1e-3, "kHz": 1e-6, "Hz": 1e-9}
_CREDIBLE_GHZ = (0.1, 1000.0)
"""From wind profilers to beyond G band."""


def find_site_value(raw: xr.Dataset, name: str) -> float:
    """Returns the median of a site's latitude, longitude [degree] or altitude [m], or NaN."""
    if name not in raw.variables:
        return float("nan")
    values = np.where(is_missing(raw[name]), np.nan, raw[name].values.astype(np.float64)).ravel()
    lowest, highest = _CREDIBLE_SITE[name[:3].lower()]
    stated = values[(values >= lowest) & (values <= highest)]
    return float(np.median(stated)) if stated.size else float("nan")


def read_site_value(raw: xr.Dataset, name: str, path: Path) -> float:
    """Returns a site's latitude, longitude [degree] or altitude [m], which must be stated."""
    value = find_site_value(raw, name)
    if np.isnan(value):
        raise SourceFileError(f"{path}: '{name}' holds no value; a fixed radar site is needed")
    return value


def find_position(raw: xr.Dataset, name: str) -> float | np.ndarray:
    """Returns latitude, longitude or altitude: a number, or `(time,)` of a moving platform.

    NaN where the file does not say, or says what cannot be.
    """
    if name in raw.variables and raw[name].dims == ("time",):
        lowest, highest = _CREDIBLE_SITE[name[:3].lower()]
        values = np.where(is_missing(raw[name]), np.nan, raw[name].values.astype(np.float64))
        values[~((values >= lowest) & (values <= highest))] = np.nan
        if np.any(values != values[:1]):
            return values
    return find_site_value(raw, name)


def pick_provenance(raw: xr.Dataset, names: Mapping[str, str]) -> dict[str, str]:
    """Returns origin and terms as the file states them; empty ones are left out.

    Args:
        raw: The file's content.
        names: Attributes of the file's kind, as `{ours: theirs}`. Those of CF and ACDD (title,
            institution, creator, publisher, license) are taken in any case, and so is what
            `read_numbers` found.
    """
    spellings = _COMMON_PROVENANCE | {ours: (theirs,) for ours, theirs in names.items()}
    found = {
        ours: next((text for name in theirs if (text := _read_text(raw, name))), "")
        for ours, theirs in spellings.items()
    }
    return {ours: text for ours, text in found.items() if text} | pick_findings(raw.attrs)


def _read_text(raw: xr.Dataset, attribute: str) -> str:
    return str(raw.attrs.get(attribute, "")).strip()


def pick_frequency(raw: xr.Dataset, *names: str) -> dict[str, float]:
    """Returns the radar frequency [GHz] as attribute `frequency_ghz`, if the file states one.

    Args:
        raw: The file's content.
        names: Variables or global attributes that may state it, the first one that does counts. A
            variable needs units of frequency, an attribute is text such as `34.83 GHz`.
    """
    found = (_find_ghz(raw, name) for name in names)
    frequency = next((ghz for ghz in found if ghz is not None), None)
    return {} if frequency is None else {"frequency_ghz": round(frequency, 4)}


def _find_ghz(raw: xr.Dataset, name: str) -> float | None:
    if name in raw.variables:
        values = raw[name].values[~is_missing(raw[name])].astype(np.float64)
        unit = str(raw[name].attrs.get("units", ""))
    else:
        match = _FREQUENCY.fullmatch(_read_text(raw, name))
        values, unit = (
            (np.array([float(match["number"])]), match["unit"]) if match else (np.empty(0), "")
        )
    ghz = np.unique(values) * _GHZ_PER.get(unit, np.nan)
    lowest, highest = _CREDIBLE_GHZ
    return float(ghz[0]) if ghz.size == 1 and lowest <= ghz[0] <= highest else None
