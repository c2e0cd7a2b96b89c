"""Origin of a raw file: its site, instrument, terms and radar frequency."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.curtains.findings import pick_findings
from blindzone.pipeline.curtains.position import climbs, find_middle, moves
from blindzone.pipeline.readers._numbers import is_missing
from blindzone.pipeline.readers._units import find_unit_text, parse_unit

Coordinate = float | np.ndarray
Site = tuple[Coordinate, Coordinate, Coordinate]
"""Latitude [degrees_north], longitude [degrees_east] and altitude [m], each a number or `(time,)`;
NaN where not known."""

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
_CREDIBLE_GHZ = (0.1, 1000.0)
"""From wind profilers to beyond G band."""


def read_site(raw: xr.Dataset, names: tuple[str, str, str], *, dim: str = "time") -> Site:
    """Returns latitude, longitude [degree] and altitude [m] of a file's profiles.

    Numbers at a fixed site, and `(time,)` of a platform that moves: one whose fixes leave a place
    by more than their noise. NaN where the file does not say, or says what cannot be. Latitude and
    longitude of exactly 0 are what a receiver without a fix writes.

    Args:
        raw: The file's content.
        names: The three variables; a file need not have them.
        dim: The dimension of profiles in the file.
    """
    north, east = _read_fixes(raw, names[:2])
    altitude = _read_stated(raw, names[2])
    profiles = (raw.sizes.get(dim, 0),)
    follow = [name in raw.variables and raw[name].dims == (dim,) for name in names]
    if any(follow[:2]) and all(part.shape in (profiles, (), (1,)) for part in (north, east)):
        pair = [np.broadcast_to(part, profiles).copy() for part in (north, east)]
        if moves(*pair):
            return pair[0], pair[1], _read_altitude(altitude, follow[2])
    return (
        find_middle(north.ravel()),
        find_middle(east.ravel(), turn=360.0),
        _read_altitude(altitude, follow[2]),
    )


def read_first_fix(raw: xr.Dataset, names: tuple[str, str]) -> tuple[float, float]:
    """Returns the first latitude and longitude [degree] that a file states; NaN without one."""
    north, east = (part.ravel() for part in _read_fixes(raw, names))
    if north.size == east.size:
        known = np.isfinite(north) & np.isfinite(east)
        north, east = north[known], east[known]
    first, second = (next(iter(part[np.isfinite(part)]), np.nan) for part in (north, east))
    return float(first), float(second)


def _read_fixes(raw: xr.Dataset, names: tuple[str, str]) -> tuple[np.ndarray, np.ndarray]:
    """Returns latitude and longitude [degree] in their shapes, NaN without a fix."""
    north, east = (_read_stated(raw, name) for name in names)
    if north.size != east.size:
        return north, east
    no_fix = (north.ravel() == 0) & (east.ravel() == 0)
    placed = [np.where(no_fix.reshape(part.shape), np.nan, part) for part in (north, east)]
    return placed[0], placed[1]


def _read_altitude(altitude: np.ndarray, follows: bool) -> float | np.ndarray:
    return altitude if follows and climbs(altitude) else find_middle(altitude.ravel())


def _read_stated(raw: xr.Dataset, name: str) -> np.ndarray:
    """Returns a coordinate of the site in its shape, NaN where it is not stated."""
    if name not in raw.variables:
        return np.array(np.nan)
    lowest, highest = _CREDIBLE_SITE[name[:3].lower()]
    values = np.where(is_missing(raw[name]), np.nan, raw[name].values.astype(np.float64))
    return np.where((values >= lowest) & (values <= highest), values, np.nan)


def check_site_known(site: Site, names: tuple[str, str, str], path: Path) -> None:
    """Checks that latitude, longitude [degree] and altitude [m] of a site are stated."""
    for name, value in zip(names, site, strict=True):
        if not np.isfinite(value).any():
            raise SourceFileError(f"{path}: '{name}' holds no value; the radar's place is needed")


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
    """Returns the radar frequency [GHz] as the attribute `frequency_ghz`, if the file states one.

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
        text = find_unit_text(raw[name])
        values = raw[name].values[~is_missing(raw[name])].astype(np.float64)
    else:
        text, values = _read_text(raw, name), np.ones(1)
    unit, ours = parse_unit(text or ""), parse_unit("GHz")
    if unit is None or ours is None or unit.powers != ours.powers:
        return None
    ghz = np.unique(values) * float(unit.scale / ours.scale)
    lowest, highest = _CREDIBLE_GHZ
    return float(ghz[0]) if ghz.size == 1 and lowest <= ghz[0] <= highest else None
