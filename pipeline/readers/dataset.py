"""A user's own Dataset as a curtain: Cloudnet Level 1b opened by xarray, or any radar's profiles.

Reflectivity and height are found by CF standard names, units and common names, or named by the
caller. A curtain of this package passes as it is.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from blindzone.core.errors import CurtainError, SourceFileError
from blindzone.pipeline.curtains.curtain import SITE_COORDINATES, check_radar
from blindzone.pipeline.curtains.position import find_middle
from blindzone.pipeline.readers._assembly import build_curtain
from blindzone.pipeline.readers._checks import check_credible, find_off_zenith
from blindzone.pipeline.readers._numbers import is_missing
from blindzone.pipeline.readers._origin import Site, pick_frequency, pick_provenance, read_site
from blindzone.pipeline.readers._profiles import Fault, keep_sound
from blindzone.pipeline.readers._screening import screen_values
from blindzone.pipeline.readers._units import (
    DBZ,
    DEGREES,
    METRES,
    UPWARD,
    find_unit_text,
    is_in,
    parse_unit,
    to_stated_units,
)
from blindzone.pipeline.readers._valid_range import drop_invalid, find_all_invalid, find_dropped
from blindzone.pipeline.readers._witnesses import check_gates

_REFLECTIVITY_NAME = "equivalent_reflectivity_factor"
_VELOCITY_NAME = "radial_velocity_of_scatterers_away_from_instrument"
_REFLECTIVITY_WORDS = ("reflectivity", "Zh", "Ze", "Z", "dbz", "dBZ")
_VELOCITY_WORDS = ("doppler_velocity", "v")
_HEIGHT_WORDS = ("range", "height")
"""A range counts from the radar; a height next to it, as in Cloudnet files, from the sea."""
_SITE_WORDS = {
    "latitude": ("latitude", "lat"),
    "longitude": ("longitude", "lon"),
    "altitude": ("altitude", "alt"),
}
_ZENITH_WORDS, _ELEVATION_WORDS = ("zenith_angle",), ("elevation", "elevation_angle")
"""Of the beam, if their units are those of angles."""
_ABOVE_SEA_LEVEL = ("height_above_mean_sea_level", "altitude")
_CREDIBLE_TOP_M = (300.0, 100_000.0)
"""Of heights without units [m]: below lies the top of a profile in km, above that in mm."""
_FREQUENCY = ("radar_frequency", "frequency")
_PROVENANCE = {
    "title": "title",
    "instrument": "source",
    "site": "location",
    "file_uuid": "file_uuid",
    "references": "references",
}


def adopt_dataset(
    dataset: xr.Dataset,
    *,
    reflectivity: str | None = None,
    height: str | None = None,
    where: str = "dataset",
) -> xr.Dataset:
    """Returns the canonical curtain of a user's own radar Dataset, in memory.

    Heights come in increasing order, in metres above the radar. Reflectivity in linear units
    [mm6 m-3] becomes dBZ, zero becomes no echo. NaN is no echo.

    Args:
        dataset: Radar profiles over time and height, with arrays of numpy or dask.
        reflectivity: Name of the reflectivity [dBZ or mm6 m-3]; by default found by its CF standard
            name `equivalent_reflectivity_factor`, its units, or a common name.
        height: Name of the height above the radar [m or km] `(height,)`; by default `range` or
            `height`. A height above mean sea level needs the altitude of the radar.
        where: What to call the Dataset in messages.

    Returns:
        Curtain `(time, height)` with `reflectivity` [dBZ] and `detection_status`; latitude,
        longitude and altitude are NaN where the Dataset has none.

    Raises:
        CurtainError: If something is missing, ambiguous or of unknown units.
        SourceFileError: If values are beyond what a radar measures.
    """
    if {"reflectivity", "detection_status"} <= set(dataset.data_vars) and reflectivity is None:
        return _adopt_curtain(dataset, where)
    names = _find_names(dataset, reflectivity, height, where)
    needed = [name for name in (*names.site.values(), *names.of_profiles) if name is not None]
    chosen = _decode(dataset[list(dict.fromkeys(needed))], names.time, where)
    chosen = chosen.transpose(names.time_dim, names.height_dim, ...).compute()
    path, dim = Path(where), str(names.time_dim)
    chosen = _drop_invalid(chosen, names, path)
    chosen, times = keep_sound(
        chosen,
        _take_times(chosen[names.time], where),
        path,
        *_find_scans(chosen, dim),
        dim=dim,
    )
    heights = _take_heights(chosen, names, where)
    order = slice(None, None, -1) if heights.size > 1 and heights[0] > heights[-1] else slice(None)
    values = _take_values(chosen, names.reflectivity, DBZ, where)[:, order]
    check_credible(values, names.reflectivity, path)
    dropped = find_dropped(chosen[names.reflectivity])[:, order]
    fields = {"reflectivity": values, "no_data": dropped, "rejected": dropped}
    if names.velocity is not None:
        fields["doppler_velocity"] = _take_values(chosen, names.velocity, UPWARD, where)[:, order]
    curtain = build_curtain(
        fields,
        time=times,
        height=heights[order],
        site=_take_site(chosen, names),
        attrs=pick_provenance(chosen, _PROVENANCE) | pick_frequency(dataset, *_FREQUENCY),
        path=path,
    )
    return screen_values(check_gates(curtain, path))


def _find_scans(chosen: xr.Dataset, dim: str) -> Iterator[Fault | None]:
    for name in _ZENITH_WORDS:
        yield find_off_zenith(chosen, name, dim=dim)
    for name in _ELEVATION_WORDS:
        yield find_off_zenith(chosen, name, from_horizon=True, dim=dim)


def _drop_invalid(chosen: xr.Dataset, names: _Names, where: Path) -> xr.Dataset:
    """Returns the fields without values outside their own valid range, which xarray keeps.

    That of packed numbers is meant for them, and they are unpacked.
    """
    fields = tuple(
        name
        for name in (names.reflectivity, names.velocity)
        if name is not None
        and "scale_factor" not in chosen[name].encoding
        and chosen[name].dtype.kind == "f"
    )
    found = find_all_invalid(chosen, fields, lambda values: np.isnan(values.values), where)
    return drop_invalid(chosen, found)


def _adopt_curtain(dataset: xr.Dataset, where: str) -> xr.Dataset:
    """Returns a curtain or swath of this package, its profiles in order of time."""
    check_radar(dataset.isel(ray=0) if "ray" in dataset.dims else dataset, where=where)
    curtain = dataset.compute()
    if curtain["time"].dims != ("time",) or curtain["time"].dtype.kind != "M":
        return curtain
    return keep_sound(curtain, curtain["time"].values, Path(where))[0]


@dataclass(frozen=True, kw_only=True)
class _Names:
    """Names of what a curtain is made from in a Dataset."""

    reflectivity: str
    velocity: str | None
    time: str
    height: str
    time_dim: Hashable
    height_dim: Hashable
    site: dict[str, str | None]

    angles: tuple[str, ...]

    @property
    def of_profiles(self) -> tuple[str | None, ...]:
        return (self.reflectivity, self.velocity, self.time, self.height, *self.angles)


def _find_names(
    dataset: xr.Dataset, reflectivity: str | None, height: str | None, where: str
) -> _Names:
    found = _find_reflectivity(dataset, reflectivity, where)
    dims = dataset[found].dims
    if len(dims) != 2:
        advice = (
            "select one ray, dataset.isel(ray=number)"
            if "ray" in dims
            else "two dimensions are right"
        )
        raise CurtainError(
            f"{where}: '{found}' has the dimensions {dims}; time and height are right: {advice}"
        )
    time = _find_time(dataset, dims, where)
    (time_dim,) = dataset[time].dims
    (height_dim,) = (dim for dim in dims if dim != time_dim)
    return _Names(
        reflectivity=found,
        velocity=_find_velocity(dataset, dims),
        time=time,
        height=_find_height(dataset, height_dim, height, where),
        time_dim=time_dim,
        height_dim=height_dim,
        site={
            name: next((word for word in words if word in dataset.variables), None)
            for name, words in _SITE_WORDS.items()
        },
        angles=tuple(
            name
            for name in (*_ZENITH_WORDS, *_ELEVATION_WORDS)
            if name in dataset.variables and is_in(dataset[name], DEGREES)
        ),
    )


def _find_reflectivity(dataset: xr.Dataset, named: str | None, where: str) -> str:
    if named is not None:
        if named not in dataset.data_vars:
            raise CurtainError(
                f"{where}: no variable '{named}'; it has {', '.join(map(str, dataset.data_vars))}"
            )
        return named
    fields = {str(name): field for name, field in dataset.data_vars.items() if field.ndim >= 2}
    by_standard_name = [
        name
        for name, field in fields.items()
        if str(field.attrs.get("standard_name", "")).startswith(_REFLECTIVITY_NAME)
    ]
    by_units = [name for name, field in fields.items() if is_in(field, DBZ)]
    for candidates in (by_standard_name, by_units):
        likely = [name for name in _REFLECTIVITY_WORDS if name in candidates] or candidates
        if len(candidates) == 1 or likely != candidates:
            return likely[0]
        if candidates:
            raise CurtainError(
                f"{where}: {', '.join(candidates)} may each be the reflectivity; name one:"
                f" reflectivity='{candidates[0]}'"
            )
    raise CurtainError(
        f"{where}: no radar reflectivity: no variable has the standard name {_REFLECTIVITY_NAME} or"
        f" the units dBZ; it has {_list_variables(dataset)}. Name it: reflectivity='NAME'"
    )


def _list_variables(dataset: xr.Dataset) -> str:
    named = [
        f"{name} [{field.attrs.get('units', 'no units')}]"
        for name, field in dataset.data_vars.items()
    ]
    return ", ".join(named) or "no variable at all"


def _find_time(dataset: xr.Dataset, dims: tuple[Hashable, ...], where: str) -> str:
    along = [
        str(name)
        for name, one in dataset.variables.items()
        if one.ndim == 1 and one.dims[0] in dims
    ]
    times = [name for name in along if dataset[name].dtype.kind == "M"]
    if "time" in along:
        return "time"
    if len(times) == 1:
        return times[0]
    raise CurtainError(
        f"{where}: no time of the profiles: a variable 'time' over one of {dims} is right; along"
        f" these it has {along or 'nothing'}. Give it its name: dataset.rename({{'NAME': 'time'}})"
    )


def _find_height(dataset: xr.Dataset, dim: Hashable, named: str | None, where: str) -> str:
    along = [str(name) for name, one in dataset.variables.items() if one.dims == (dim,)]
    if named is not None:
        if named not in along:
            raise CurtainError(
                f"{where}: no height '{named}' over ('{dim}',); along it there is"
                f" {along or 'nothing'}"
            )
        return named
    found = next((name for name in _HEIGHT_WORDS if name in along), None)
    if found is None:
        raise CurtainError(
            f"{where}: no height of the gates: a variable 'range' or 'height' over ('{dim}',) is"
            f" right; along it there is {along or 'nothing'}. Name it: height='NAME'"
        )
    return found


def _find_velocity(dataset: xr.Dataset, dims: tuple[Hashable, ...]) -> str | None:
    for name, field in dataset.data_vars.items():
        is_named = name in _VELOCITY_WORDS or field.attrs.get("standard_name") == _VELOCITY_NAME
        if is_named and set(field.dims) == set(dims) and is_in(field, UPWARD):
            return str(name)
    return None


def _decode(chosen: xr.Dataset, time: str, where: str) -> xr.Dataset:
    """Returns a Dataset whose times and missing values are decoded, if it was opened without."""
    packed = any(
        key in one.attrs
        for one in chosen.variables.values()
        for key in ("_FillValue", "missing_value", "scale_factor", "add_offset")
    )
    if not packed and chosen[time].dtype.kind == "M":
        return chosen
    try:
        return xr.decode_cf(chosen)
    except ValueError as error:
        raise CurtainError(f"{where}: '{time}' cannot be decoded: {error}") from error


def _take_times(time: xr.DataArray, where: str) -> np.ndarray:
    """Returns the times `(time,)`, datetime64[ns]."""
    if time.size == 0:
        raise CurtainError(f"{where}: it has no profile; at least one is right")
    if time.dtype.kind != "M":
        raise CurtainError(
            f"{where}: '{time.name}' holds {time.dtype}, units {time.attrs.get('units')!r}; times"
            " are right: datetime64, or numbers with units such as 'seconds since 1970-01-01'"
        )
    return np.asarray(time.values.astype("datetime64[ns]"))


def _take_heights(chosen: xr.Dataset, names: _Names, where: str) -> np.ndarray:
    """Returns heights above the radar [m] `(height,)`, in the Dataset's order."""
    height = chosen[names.height]
    text = find_unit_text(height)
    values = _in_units(chosen, names.height, METRES, where).values.astype(np.float64)
    unit = None if text is None else parse_unit(text)
    lowest, highest = _CREDIBLE_TOP_M
    top = float(np.nanmax(values, initial=0.0))
    if unit is None and not lowest <= top <= highest:
        raise CurtainError(
            f"{where}: '{names.height}' has no units and ends at {top:g}; state them:"
            f" dataset['{names.height}'].attrs['units'] = 'm'"
        )
    is_above_sea = unit is not None and unit.sense == "sea"
    if is_above_sea or height.attrs.get("standard_name") in _ABOVE_SEA_LEVEL:
        altitude = find_middle(np.ravel(_take_site(chosen, names)[2]))
        if np.isnan(altitude):
            raise CurtainError(
                f"{where}: '{names.height}' counts from mean sea level, and the radar's altitude is"
                " unknown; a variable 'altitude' [m] is right"
            )
        values = values - altitude
    return np.asarray(values)


def _in_units(chosen: xr.Dataset, name: str, wanted: str, where: str) -> xr.DataArray:
    """Returns a variable in our units, which a Dataset need not state."""
    if chosen[name].dtype.kind not in "iuf":
        raise CurtainError(f"{where}: '{name}' holds {chosen[name].dtype}; numbers are right")
    try:
        return to_stated_units(chosen, {name: wanted}, Path(where))[name]
    except SourceFileError as error:
        raise CurtainError(str(error)) from error


def _take_values(chosen: xr.Dataset, name: str, wanted: str, where: str) -> np.ndarray:
    """Returns a field in our units `(time, height)`, float32, NaN where there is no echo."""
    field = _in_units(chosen, name, wanted, where)
    return np.where(is_missing(field), np.nan, field.values).astype(np.float32)


def _take_site(chosen: xr.Dataset, names: _Names) -> Site:
    """Returns the site, NaN where the Dataset has none; `(time,)` of a platform that moves."""
    latitude, longitude, altitude = (names.site[name] or name for name in SITE_COORDINATES)
    return read_site(chosen, (latitude, longitude, altitude), dim=str(names.time_dim))
