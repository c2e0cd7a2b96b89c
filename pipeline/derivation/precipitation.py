"""Snowfall and rain rate near the ground, from the ensemble members of a product.

The rate is that of the lowest trusted row, or of a row that is asked for. Members there become
rates under every published law of the radar's band (`relations`); their spread and that between
laws are kept apart (`mixture`). Where the temperature is known, rain or snow falls (`phase`);
where it is not, the rates are those if it rains, and if it snows. Reflectivity is never corrected
for attenuation: where liquid may attenuate, a flag says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntFlag

import numpy as np
import xarray as xr

from blindzone.core.errors import ProductError
from blindzone.pipeline.curtains.flags import InpaintingFlag
from blindzone.pipeline.derivation.phase import PrecipitationPhase, find_phase, is_snow
from blindzone.pipeline.derivation.rates import describe_rates, find_member_rates
from blindzone.pipeline.derivation.relations import LawChoice, Phase, choose_laws
from blindzone.pipeline.derivation.shallow import thin_row
from blindzone.pipeline.products.layout import FILLED_FLAGS, find_lowest_trusted_row
from blindzone.pipeline.products.provenance import FREQUENCY, find_named_frequency

RATE_NAMES = {Phase.SNOW: "snowfall_rate", Phase.RAIN: "rainfall_rate"}
"""Name of the rate of each phase."""
NOTICEABLE_PIA_DB = 1.0
"""Attenuation on the path that is flagged [dB]: a rate is then too low by a fifth (b near 1.3)."""
ATTENUATED_BANDS = ("Ka", "W")
"""Bands at which rain attenuates by decibels a kilometre."""
CEILING_DBZ = {"W": 21.8}
"""Reflectivity of rain that members do not exceed, by band [dBZ]. At W band larger drops scatter
less than the law of Rayleigh and attenuate more: 99.99 % of the echo within 1250 m above the ground
is below 21.8 dBZ on the training days of Palaiseau (481,852 pixels, 25.3 the strongest). Members
know no such limit: beyond their outermost stored quantile they go on to 60 dBZ, and a rate of such
an hour is made of these few values."""

_CHUNK_PROFILES = 16384
"""Profiles whose rates are computed at a time: two days of a ground radar."""


class PrecipitationFlag(IntFlag):
    """What to know about a profile's rates; 0 if nothing."""

    NO_DATA = 1
    """Nothing is known near the ground: the rates are missing."""
    FILLED = 2
    """The row near the ground is in the blind zone, and was filled."""
    PHASE_UNKNOWN = 4
    """The temperature is not known: rates are those if it rains, and if it snows."""
    BEYOND_VALIDITY = 8
    """Half of the members are stronger than a relation is valid for."""
    ATTENUATED = 16
    """Liquid on the path attenuated, which is not corrected: the rate is too low."""
    ATTENUATION_NOT_ASSESSED = 32
    """There is rain at a band at which it attenuates, and nothing says by how much."""


@dataclass(frozen=True, kw_only=True, eq=False)
class NearGround:
    """What a product has near the ground.

    Attributes:
        row: Reflectivity [dBZ] `(realization, time)`, at the floor without echo, NaN where missing;
            float32, lazy if the members are.
        height_m: Height of the row above the ground [m].
        floor_dbz: Sensitivity floor [dBZ].
        is_filled: Where the row was filled, bool `(time,)`.
    """

    row: xr.DataArray
    height_m: float
    floor_dbz: float
    is_filled: xr.DataArray


def find_frequency(product: xr.Dataset) -> float | None:
    """Returns the radar's frequency [GHz] that a product names, None if it names none.

    Its title or its instrument say `95-GHz` or `95 GHz`; else it may have a number for it.
    """
    texts = (str(product.attrs.get(name, "")) for name in ("title", "instrument", "source"))
    named = find_named_frequency(*texts)
    stated = product.attrs.get(FREQUENCY)
    return float(stated) if named is None and stated is not None else named


def find_row(product: xr.Dataset, height_m: float | None) -> int:
    """Returns the index of the row that a height [m] is in, the lowest trusted row by default.

    Raises:
        ProductError: If the height is outside of the rows, or no row was observed or filled.
    """
    if height_m is None:
        row = find_lowest_trusted_row(product["inpainting_flag"])
        if row is None:
            raise ProductError("precipitation: no row of the product was observed or filled")
        return row
    heights = product["height"].values
    half = (heights[1] - heights[0]) / 2 if heights.size > 1 else np.inf
    row = int(np.argmin(np.abs(heights - height_m)))
    if abs(heights[row] - height_m) > half:
        raise ProductError(
            f"precipitation: height_m is {height_m:g}; a height from {heights[0] - half:g} to"
            f" {heights[-1] + half:g} m is right"
        )
    return row


def take_near_ground(
    product: xr.Dataset,
    members: xr.DataArray,
    height_m: float | None = None,
    ceiling_dbz: float | None = None,
    seed: int = 0,
) -> NearGround:
    """Returns the reflectivity of all members at a row near the ground.

    Hidden echo that they have too often under a clear sky is taken away (`shallow`). No member is
    stronger than the product's outermost quantiles.

    Args:
        product: A product `(time, height)`, or a swath's.
        members: Its members [dBZ] `(realization, time, height)`, as `draw_members` returns them, or
            the row of them alone.
        height_m: A height in the row [m]; the lowest trusted row by default.
        ceiling_dbz: What members do not exceed [dBZ]; what was observed is as it is.
        seed: Seed of the members.

    Raises:
        ProductError: If no row is trusted, or the height is outside of the rows.
    """
    at = find_row(product, height_m)
    floor_dbz = float(product["sensitivity_floor"])
    height_of_row = float(product["height"][at])
    of_row = product[["inpainting_flag", "reflectivity"]].isel(height=at).drop_vars("height")
    flag = of_row["inpainting_flag"]
    observed = of_row["reflectivity"].fillna(floor_dbz).clip(min=floor_dbz)
    observed = observed.where(flag == InpaintingFlag.OBSERVED)
    is_filled = flag.isin(FILLED_FLAGS)
    drawn = _select_row(members, height_of_row).clip(max=ceiling_dbz)
    strongest = _find_strongest(product, at)
    drawn = drawn.where(~(drawn > strongest), strongest)
    drawn = thin_row(product, drawn, seed=seed)
    row = drawn.where(is_filled, observed).astype(np.float32)
    return NearGround(
        row=row.transpose(..., "realization", "time").drop_attrs(),
        height_m=height_of_row,
        floor_dbz=floor_dbz,
        is_filled=is_filled,
    )


def _find_strongest(product: xr.Dataset, row: int) -> xr.DataArray:
    """Returns the strongest echo that a product states at a row [dBZ] `(time,)`.

    It is the higher one of its outermost quantiles, of all and given echo. What is beyond them is
    not known, and linear sums are ruled by it: of the rain below echo at the top of the zone 0.6 %
    is from beyond on the validation days of Palaiseau and 0.4 % on its training days, of that of
    members that go on beyond more than half.
    """
    names = ("reflectivity_quantile", "reflectivity_quantile_given_echo")
    outermost = [product[name].isel(height=row, quantile=-1, drop=True) for name in names]
    first, second = (each.reset_coords(drop=True).drop_attrs() for each in outermost)
    return first.where(~(second > first), second)


def _select_row(members: xr.DataArray, height_m: float) -> xr.DataArray:
    """Returns the row of members whose centre is at a height [m]."""
    at = np.flatnonzero(members["height"].values == height_m)
    if at.size != 1:
        raise ProductError(
            f"precipitation: the members have no row at {height_m:g} m; all rows of the product, or"
            " that one, are right"
        )
    return members.isel(height=int(at[0])).drop_vars("height")


def split_phases(
    ground: NearGround, temperature_k: xr.DataArray | None
) -> dict[Phase, xr.DataArray]:
    """Returns the reflectivity of rain and of snow near the ground [dBZ] `(realization, time)`.

    Where the temperature says that the other falls, it is at the floor: none. Where it is not
    known, both are as they would be.

    Args:
        ground: What there is near the ground.
        temperature_k: Air temperature near the ground [K] `(time,)`.

    Raises:
        ProductError: If the temperature has other times than the product, or is none.
    """
    row = ground.row
    if temperature_k is None:
        return {Phase.SNOW: row, Phase.RAIN: row}
    values = _check_temperature(row, temperature_k)
    snows = xr.DataArray(is_snow(values, row["realization"].values), dims=("realization", "time"))
    unknown = xr.DataArray(np.isnan(values), dims="time")
    silent = row.where(row.isnull(), ground.floor_dbz)
    return {
        Phase.SNOW: row.where(snows | unknown, silent),
        Phase.RAIN: row.where(~snows | unknown, silent),
    }


@dataclass(frozen=True, kw_only=True, eq=False)
class Precipitation:
    """What falls near the ground, and the laws for it.

    Attributes:
        ground: Reflectivity near the ground.
        rows: Of it that of snow and of rain [dBZ] `(realization, time)`.
        choices: The laws of both.
        phase: `PrecipitationPhase`, int8 `(time,)`.
        flag: `PrecipitationFlag` bits, int8 `(time,)`.
    """

    ground: NearGround
    rows: Mapping[Phase, xr.DataArray]
    choices: Mapping[Phase, LawChoice]
    phase: xr.DataArray
    flag: xr.DataArray


def open_precipitation(
    product: xr.Dataset,
    members: xr.DataArray,
    *,
    frequency_ghz: float | None = None,
    temperature_k: xr.DataArray | None = None,
    attenuated: xr.DataArray | None = None,
    height_m: float | None = None,
    in_memory: bool = False,
    seed: int = 0,
) -> Precipitation:
    """Returns what falls near the ground, lazily if the members are.

    Args:
        product: A product `(time, height)`, or a swath's.
        members: Its members [dBZ] `(realization, time, height)`, as `draw_members` returns them.
        frequency_ghz: Frequency of the radar [GHz]; by default as the product names it.
        temperature_k: Air temperature near the ground [K] `(time,)`, NaN where it is not known.
        attenuated: Where liquid attenuates on the way to the row, bool `(time,)`.
        height_m: A height in the row [m]; the lowest trusted row by default.
        in_memory: Whether to compute the row of all members now, once: four bytes a member and
            profile.
        seed: Seed of the members.

    Raises:
        ProductError: If no row is trusted, the height is outside of the rows, or the temperature
            has other times than the product.
    """
    frequency = find_frequency(product) if frequency_ghz is None else frequency_ghz
    choices = {phase: choose_laws(frequency, phase) for phase in Phase}
    ceiling_dbz = CEILING_DBZ.get(choices[Phase.RAIN].band or "")
    ground = take_near_ground(product, members, height_m, ceiling_dbz, seed)
    if in_memory:
        ground = replace(ground, row=_compute(ground.row))
    phase = _describe_phase(ground, temperature_k)
    return Precipitation(
        ground=ground,
        rows=split_phases(ground, temperature_k),
        choices=choices,
        phase=phase,
        flag=_find_flags(product, ground, choices, phase, attenuated),
    )


def _compute(row: xr.DataArray) -> xr.DataArray:
    """Returns a row in memory; of a lazy one in chunks, so that few of its rates are at a time."""
    computed = row.compute()
    return computed if row.chunks is None else computed.chunk(time=_CHUNK_PROFILES)


def derive_rates(precipitation: Precipitation, *, with_members: bool = False) -> xr.Dataset:
    """Returns rain and snowfall rates near the ground with their uncertainty, lazily.

    Args:
        precipitation: What falls.
        with_members: Whether to return the rate of each member too.

    Returns:
        For `rainfall_rate` and `snowfall_rate`: mean [mm h-1], `_variance_of_members`,
        `_variance_of_relations` [mm2 h-2] `(time,)`, `_quantile (quantile, time)` and, if asked
        for, `_realization (realization, time)`; `precipitation_phase`, `precipitation_flag`
        `(time,)`; coordinate `precipitation_height` [m].
    """
    variables: dict[str, xr.DataArray] = {}
    for phase, name in RATE_NAMES.items():
        of_phase = precipitation.rows[phase], precipitation.choices[phase]
        rates = describe_rates(*of_phase, precipitation.ground.floor_dbz, name)
        variables |= {str(each): rates[each] for each in rates.data_vars}
        if with_members:
            of_members = find_member_rates(*of_phase, precipitation.ground.floor_dbz)
            variables[f"{name}_realization"] = of_members
    variables["precipitation_phase"] = precipitation.phase
    variables["precipitation_flag"] = precipitation.flag
    return xr.Dataset(variables).assign_coords(precipitation_height=precipitation.ground.height_m)


def _describe_phase(ground: NearGround, temperature_k: xr.DataArray | None) -> xr.DataArray:
    """Returns the `PrecipitationPhase`, int8 `(time,)`."""
    times = ground.row["time"]
    values = np.full(times.size, np.nan)
    if temperature_k is not None:
        values = _check_temperature(ground.row, temperature_k)
    return xr.DataArray(find_phase(values), {"time": times}, "time")


def _find_flags(
    product: xr.Dataset,
    ground: NearGround,
    choices: dict[Phase, LawChoice],
    phase: xr.DataArray,
    attenuated: xr.DataArray | None,
) -> xr.DataArray:
    """Returns the `PrecipitationFlag` bits, int8 `(time,)`."""
    missing = ground.row.isnull().any("realization")
    laws = [law for choice in choices.values() for law in choice.laws]
    strongest = min((law.strongest_dbz for law in laws if law.strongest_dbz), default=np.inf)
    beyond = (ground.row > strongest).mean("realization") > 0.5
    may_rain = (ground.row > ground.floor_dbz).mean("realization") > 0.5
    may_rain &= phase != PrecipitationPhase.SNOW
    known = _find_attenuated(product, attenuated)
    not_assessed = may_rain & (known is None and choices[Phase.RAIN].band in ATTENUATED_BANDS)
    bits = {
        PrecipitationFlag.NO_DATA: missing,
        PrecipitationFlag.FILLED: ground.is_filled,
        PrecipitationFlag.PHASE_UNKNOWN: phase == PrecipitationPhase.UNKNOWN,
        PrecipitationFlag.BEYOND_VALIDITY: beyond & (phase != PrecipitationPhase.RAIN),
        PrecipitationFlag.ATTENUATED: xr.zeros_like(missing) if known is None else known,
        PrecipitationFlag.ATTENUATION_NOT_ASSESSED: not_assessed,
    }
    flag = xr.zeros_like(missing, dtype=np.int8)
    for bit, on in bits.items():
        flag = flag.where(~on, flag + np.int8(bit))
    return flag


def _find_attenuated(product: xr.Dataset, attenuated: xr.DataArray | None) -> xr.DataArray | None:
    """Returns where attenuation is known to be noticeable, None if nothing says so."""
    if attenuated is not None:
        return attenuated.drop_vars([name for name in attenuated.coords if name != "time"])
    if "path_integrated_attenuation" in product:
        return product["path_integrated_attenuation"] > NOTICEABLE_PIA_DB
    return None


def _check_temperature(row: xr.DataArray, temperature_k: xr.DataArray) -> np.ndarray:
    """Returns the temperature [K], float64 `(time,)`."""
    if temperature_k.dims != ("time",) or not np.array_equal(temperature_k["time"], row["time"]):
        raise ProductError(
            f"temperature: found dimensions {temperature_k.dims}; the times of the product,"
            f" {row.sizes['time']} of them, are right"
        )
    return np.asarray(temperature_k.values, dtype=np.float64)
