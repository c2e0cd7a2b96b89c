"""Physically plausible mutations of excerpts of measured files, each with its right verdict.

An excerpt is written as its instrument's files are, changed in one place as people and programs do
change files, and read. What the file alone reveals must be refused, flagged or harmless.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
import xarray as xr
from raw_files import Change, with_attrs, with_units

SEED = 20210314
PROFILES = 30


class Verdict(StrEnum):
    """What a reader does with a mutated file."""

    REFUSED = "refused"
    FLAGGED = "flagged"
    HARMLESS = "harmless"
    UNSEEN = "the file alone does not reveal it"


@dataclass(frozen=True)
class Excerpt:
    """A part of a measured file: where it is, from which profile on, and what is kept of it."""

    path: str
    start: int
    names: tuple[str, ...]
    profiles: int = PROFILES

    def read(self, data: Path) -> xr.Dataset:
        """Returns the excerpt as it is stored, undecoded."""
        with xr.open_dataset(data / self.path, decode_cf=False) as raw:
            kept = raw[[name for name in self.names if name in raw.variables]]
            part = kept.isel(time=slice(self.start, self.start + self.profiles)).load()
        # The classic form, which is written and read fastest, knows no other integers.
        whole = {name: one.astype(np.int32) for name, one in part.items() if one.dtype.kind in "iu"}
        return part.assign(whole)


@dataclass(frozen=True)
class Mutation:
    """A change of an excerpt, and what must become of it."""

    of: str
    name: str
    change: Change
    verdict: Verdict

    def __str__(self) -> str:
        return f"{self.of}: {self.name}"


EXCERPTS = {
    "level1b": Excerpt(
        "palaiseau_basta/20210314_palaiseau_basta.nc",
        8700,
        (
            *("time", "range", "height", "Zh", "v", "latitude", "longitude", "altitude"),
            *("zenith_angle", "radar_frequency", "nyquist_velocity"),
        ),
    ),
    "rpg": Excerpt(
        "rpg94_ny_alesund/mirac-a_nya_compact_20180905010002_P01_ZEN.nc",
        100,
        ("time", "sampleTms", "range", "Ze", "vm", "range_offsets", "Lat", "Lon", "MSL", "freq"),
    ),
    "mrr": Excerpt(
        "mrr_pro/20230322_013000.nc",
        0,
        (
            *("time", "range", "Ze", "VEL", "transfer_function", "elevation"),
            *("latitude", "longitude", "altitude"),
        ),
    ),
    "kazr": Excerpt(
        "arm_kazr/olikazrgeM1.a1.20160926.000000.part.nc",
        0,
        (
            *("time", "time_offset", "range", "reflectivity", "mean_doppler_velocity"),
            *("signal_to_noise_ratio_copolar_h", "elevation", "nyquist_velocity", "frequency"),
            *("latitude", "longitude", "altitude"),
        ),
    ),
    "categorize": Excerpt(
        "cabauw_categorize/20250211_cabauw_categorize_part.nc",
        0,
        (
            *("time", "height", "Z", "v", "beta", "category_bits", "quality_bits", "altitude"),
            *("latitude", "longitude", "radar_frequency", "nyquist_velocity"),
            *("model_time", "model_height", "temperature", "q", "uwind", "vwind"),
        ),
    ),
    "ceilometer": Excerpt(
        "norunda_ceilometer/20220729_norunda_cl51.nc",
        0,
        (
            *("time", "range", "height", "beta", "zenith_angle"),
            *("latitude", "longitude", "altitude"),
        ),
    ),
}


def scale(name: str, factor: float, offset: float = 0.0, *, limits: float = 1e30) -> Change:
    """Returns the change of a variable's numbers, fill values left out, units as they were."""

    def change(raw: xr.Dataset) -> xr.Dataset:
        values = raw[name].values.astype(np.float64)
        known = np.isfinite(values) & (np.abs(values) < limits)
        dtype = raw[name].dtype if raw[name].dtype.kind == "f" else np.float64
        out = np.where(known, values * factor + offset, values).astype(dtype)
        return raw.assign({name: (raw[name].dims, out, raw[name].attrs)})

    return change


def fill(name: str, number: float, *, declared: bool = False) -> Change:
    """Returns the change of what is missing in a variable into a number."""

    def change(raw: xr.Dataset) -> xr.Dataset:
        values = raw[name].values
        known = np.isfinite(values) & (np.abs(values) < 1e30)
        out = np.where(known, values, np.asarray(number, values.dtype))
        attrs = {key: value for key, value in raw[name].attrs.items() if key != "_FillValue"}
        attrs |= {"_FillValue": np.asarray(number, values.dtype)[()]} if declared else {}
        return raw.assign({name: (raw[name].dims, out, attrs)})

    return change


def attributes(name: str, **attrs: object) -> Change:
    """Returns the change of a variable's attributes; `None` removes one."""
    return lambda raw: with_attrs(raw, name, **attrs)


def units(name: str, text: str) -> Change:
    """Returns the change of what a variable states as its units."""
    return lambda raw: with_units(raw, name, text)


def put(name: str, value: float) -> Change:
    """Returns the change of all numbers of a variable into one."""
    return lambda raw: raw.assign(
        {name: (raw[name].dims, np.full(raw[name].shape, value, raw[name].dtype), raw[name].attrs)}
    )


def spoil(name: str, share: float, low: float, high: float) -> Change:
    """Returns the change of a share of a variable's pixels with echo into numbers of a range."""

    def change(raw: xr.Dataset) -> xr.Dataset:
        generator = np.random.default_rng(SEED)
        values = raw[name].values.copy()
        known = np.isfinite(values) & (np.abs(values) < 1e30)
        hit = known & (generator.random(values.shape) < share)
        values[hit] = generator.uniform(low, high, int(hit.sum()))
        return raw.assign({name: (raw[name].dims, values, raw[name].attrs)})

    return change


def swap(one: str, other: str) -> Change:
    """Returns the change of two variables' numbers for each other's."""
    return lambda raw: raw.assign(
        {
            one: (raw[one].dims, raw[other].values, raw[one].attrs),
            other: (raw[other].dims, raw[one].values, raw[other].attrs),
        }
    )


def chain(*changes: Change) -> Change:
    """Returns several changes after each other."""

    def change(raw: xr.Dataset) -> xr.Dataset:
        for one in changes:
            raw = one(raw)
        return raw

    return change


def drop(*names: str) -> Change:
    """Returns the content without variables."""
    return lambda raw: raw.drop_vars(names)


def state(**attrs: object) -> Change:
    """Returns the change of global attributes."""
    return lambda raw: raw.assign_attrs(attrs)


def pack(name: str, factor: float, fill_value: int = -32768, **limits: object) -> Change:
    """Returns the change of a variable into packed shorts."""

    def change(raw: xr.Dataset) -> xr.Dataset:
        values = raw[name].values.astype(np.float64)
        known = np.isfinite(values) & (np.abs(values) < 1e30)
        packed = np.where(known, np.round(np.where(known, values, 0) / factor), fill_value)
        attrs = raw[name].attrs | {"scale_factor": factor, "_FillValue": np.int16(fill_value)}
        attrs |= {key: np.asarray(value) for key, value in limits.items()}
        return raw.assign({name: (raw[name].dims, packed.astype(np.int16), attrs)})

    return change


def list_mutations() -> Iterator[Mutation]:
    """Yields all mutations."""
    for of, verdicts in _MUTATIONS.items():
        for verdict, changes in verdicts.items():
            for name, change in changes.items():
                yield Mutation(of, name, change, verdict)


_FEET = 1 / 0.3048
_F = np.float32
_MUTATIONS: dict[str, dict[Verdict, dict[str, Callable[[xr.Dataset], xr.Dataset]]]] = {
    "level1b": {
        Verdict.REFUSED: {
            "range in feet": scale("range", _FEET),
            "range and height in feet": chain(scale("range", _FEET), scale("height", _FEET)),
            "range in feet, no height": chain(scale("range", _FEET), drop("height")),
            "range in km": scale("range", 1e-3),
            "range in km, no height": chain(scale("range", 1e-3), drop("height")),
            "range in cm, no height": chain(scale("range", 100), drop("height")),
            "height in feet": scale("height", _FEET),
            "height in km": scale("height", 1e-3),
            "range above sea level": scale("range", 1, 156),
            "height above ground": scale("height", 1, -156),
            "range begins at -200 m": scale("range", 1, -212.5),
            "range begins at -200 m, no height": chain(scale("range", 1, -212.5), drop("height")),
            "altitude 8848 m": put("altitude", 8848),
            "altitude 8848 m, no height": chain(put("altitude", 8848), drop("height")),
            "altitude -700 m": put("altitude", -700),
            "range of gates half as far apart": scale("range", 0.5),
            "zenith angle of 30 degrees in radian": put("zenith_angle", 30.0),
            "zenith angle 0.52 with elevation 60": lambda raw: put("zenith_angle", 0.52)(
                raw
            ).assign(elevation=((), _F(60.0), {"units": "degree"})),
            "zenith angle that is an elevation": put("zenith_angle", 90.0),
            "zenith angle with the name of an elevation": attributes(
                "zenith_angle", standard_name="sensor_elevation_angle"
            ),
            "latitude beyond the pole": chain(put("latitude", 138.5), put("longitude", 36.0)),
            "longitude of 400": put("longitude", 400.0),
            "swapped position, attributes state it": chain(
                swap("latitude", "longitude"),
                state(geospatial_lat_min=48.716, geospatial_lon_min=2.212),
            ),
            "reflectivity in linear units": lambda raw: raw.assign(
                Zh=(
                    raw["Zh"].dims,
                    np.where(
                        raw["Zh"].values < 1e30, 10 ** (0.1 * raw["Zh"].values + 6), 9.96921e36
                    ).astype(_F),
                    raw["Zh"].attrs,
                )
            ),
            "no echo as -999": fill("Zh", -999.0),
            "no echo as -9999": fill("Zh", -9999.0),
            "velocity in cm s-1": scale("v", 100),
            "all reflectivity outside its valid range": attributes(
                "Zh", valid_range=np.array([100, 200], _F)
            ),
            "units of range in feet": units("range", "feet"),
            "units of reflectivity mm6 m-3": units("Zh", "mm6 m-3"),
            "time outside its valid range": attributes("time", valid_range=np.array([0, 10], _F)),
        },
        Verdict.FLAGGED: {
            "no echo as -99": fill("Zh", -99.0),
            "no echo as -100": fill("Zh", -100.0),
            "no echo as -60": fill("Zh", -60.0),
            "no echo as -40": fill("Zh", -40.0),
            "no echo as 0": fill("Zh", 0.0),
            "no echo as -120": fill("Zh", -120.0),
            "weak echo and none raised to -30": chain(
                fill("Zh", -30.0),
                lambda raw: raw.assign(
                    Zh=(raw["Zh"].dims, np.maximum(raw["Zh"].values, _F(-30)), raw["Zh"].attrs)
                ),
            ),
            "valid range": attributes("Zh", valid_range=np.array([-20, 5], _F)),
            "valid minimum": attributes("Zh", valid_min=_F(-10)),
            "valid maximum": attributes("Zh", valid_max=_F(0)),
            "valid range of velocity": attributes("v", valid_range=np.array([-3, 1], _F)),
            "packed, valid range packed": pack(
                "Zh", 0.01, valid_range=np.array([-4000, 500], np.int16)
            ),
            "packed, valid range not packed": pack("Zh", 0.01, valid_range=np.array([-40.0, 5.0])),
            "velocities of a failed unfolding": spoil("v", 0.1, -42, -20),
            "velocities of an updraught of 40": spoil("v", 0.05, 30, 45),
            "velocities of -99": spoil("v", 0.1, -99, -99),
            "velocities of 0 in many pixels": spoil("v", 0.5, 0, 0),
            "velocity beyond thrice the Nyquist velocity": chain(
                spoil("v", 0.2, -9.5, -9.0), put("nyquist_velocity", 2.5)
            ),
            "altitude in km": scale("altitude", 1e-3),
            "altitude in feet": scale("altitude", _FEET),
            "altitude of 16 m": put("altitude", 16),
            "range 53 m too high": scale("range", 1, 53),
            "range above sea level, no height": chain(scale("range", 1, 156), drop("height")),
            "velocity in km h-1": scale("v", 3.6),
            "frequency in MHz called GHz": put("radar_frequency", 95000),
            "position elsewhere than the attributes": state(geospatial_lat_min=40.0),
            "swapped position, one attribute": chain(
                swap("latitude", "longitude"), state(geospatial_lat_min=48.716)
            ),
            "range begins at -50 m, no height": chain(scale("range", 1, -62.5), drop("height")),
        },
        Verdict.HARMLESS: {
            "no echo as -999, declared": fill("Zh", -999.0, declared=True),
            "no echo as -99, declared": fill("Zh", -99.0, declared=True),
            "valid range that holds all": attributes("Zh", valid_range=np.array([-90, 50], _F)),
            "valid range that is no range": attributes("Zh", valid_range=np.array([5, -5], _F)),
            "valid range in words": attributes("Zh", valid_range="-30.f,20.f"),
            "height left out": drop("height"),
            "velocity without echo": fill("v", 55.0),
            "altitude of the mast": scale("altitude", 1, 12),
            "attributes state the position": state(
                geospatial_lat_min="48.716", geospatial_lon_min="2.212 degrees"
            ),
        },
        Verdict.UNSEEN: {
            "swapped position": swap("latitude", "longitude"),
            "velocity of the other sign, rain folded": scale("v", -1),
            "velocity in knots, rain folded": scale("v", 1.944),
            "reflectivity 3 dB too high": scale("Zh", 1, 3),
            "altitude in km, no height": chain(scale("altitude", 1e-3), drop("height")),
            "frequency of another band": put("radar_frequency", 35.5),
        },
    },
    "rpg": {
        Verdict.REFUSED: {
            "range in feet": scale("range", _FEET),
            "range in km": scale("range", 1e-3),
            "range begins at -400 m": scale("range", 1, -500),
            "altitude 8848 m": put("MSL", 8848),
            "latitude beyond the pole": put("Lat", 101.9),
            "reflectivity in dBZ called linear, as packed": scale("Ze", 1e9),
            "elevation of 60 degrees": lambda raw: raw.assign(
                Elv=("time", np.full(raw.sizes["time"], 60, _F), {"units": "degrees"})
            ),
        },
        Verdict.FLAGGED: {
            "no echo as 1e-10": fill("Ze", 1e-10),
            "no echo as 1e-6": fill("Ze", 1e-6),
            "valid range": attributes("Ze", valid_range=np.array([1e-2, 0.1], _F)),
            "velocities of a failed unfolding": spoil("vm", 0.1, -42, -20),
            "valid minimum of velocity": attributes("vm", valid_min=_F(-2)),
        },
        Verdict.HARMLESS: {
            "no echo as 0": fill("Ze", 0.0),
            "no echo as -1": fill("Ze", -1.0),
            "no echo as -999": fill("Ze", -999.0),
        },
        Verdict.UNSEEN: {"velocity in halves": scale("vm", 0.5)},
    },
    "mrr": {
        Verdict.REFUSED: {
            "gates that state another spacing": scale("range", _FEET),
            "range in km": scale("range", 1e-3),
            "elevation in radian": put("elevation", np.pi / 2),
            "no echo as -999": fill("Ze", -999.0),
        },
        Verdict.FLAGGED: {
            "no echo as -99": fill("Ze", -99.0),
            "no echo as -50": fill("Ze", -50.0),
            "valid range": attributes("Ze", valid_range=np.array([5, 20], _F)),
            "velocity of the other sign": scale("VEL", -1),
            "velocities of hail": spoil("VEL", 0.1, 20, 40),
        },
        Verdict.HARMLESS: {
            "range above sea level": chain(
                scale("range", 1, 53), attributes("range", meters_to_center_of_first_gate=_F(103))
            ),
            "range above sea level, no transfer function": chain(
                scale("range", 1, 53),
                attributes("range", meters_to_center_of_first_gate=_F(103)),
                drop("transfer_function"),
            ),
            "range from the antenna": chain(
                scale("range", 1, -50), attributes("range", meters_to_center_of_first_gate=_F(0))
            ),
        },
    },
    "kazr": {
        Verdict.REFUSED: {
            "range in feet": chain(scale("range", _FEET)),
            "range begins at -300 m": chain(
                scale("range", 1, -357), attributes("range", meters_to_center_of_first_gate=None)
            ),
            "elevation in radian": put("elevation", np.pi / 2),
            "altitude -600 m": put("altitude", -600),
            "longitude of -500": put("longitude", -380),
        },
        Verdict.FLAGGED: {
            "valid maximum": attributes("reflectivity", valid_max=_F(10)),
            "velocities of a failed unfolding": spoil("mean_doppler_velocity", 0.1, -42, -20),
        },
        Verdict.HARMLESS: {"longitude from 0 to 360": scale("longitude", 1, 360)},
    },
    "categorize": {
        Verdict.REFUSED: {
            "height in feet": scale("height", _FEET),
            "height in km": scale("height", 1e-3),
            "altitude 5000 m": put("altitude", 5000),
            "beta in km-1": scale("beta", 1e5),
            "temperature in degree Celsius": scale("temperature", 1, -273.15),
        },
        Verdict.FLAGGED: {
            "valid range": attributes("Z", valid_range=np.array([-20, 10], _F)),
            "valid maximum of beta": attributes("beta", valid_max=_F(1e-6)),
            "velocities of a failed unfolding": spoil("v", 0.1, -42, -20),
        },
    },
    "ceilometer": {
        Verdict.REFUSED: {
            "range in feet": scale("range", _FEET),
            "range in feet, no height": chain(scale("range", _FEET), drop("height")),
            "range in km": scale("range", 1e-3),
            "zenith angle in radian": chain(put("zenith_angle", 28.0)),
            "backscatter in 1e-7 sr-1 m-1": scale("beta", 1e7),
        },
        Verdict.FLAGGED: {
            "altitude in km": scale("altitude", 1e-3),
            "no signal as 1e-12": fill("beta", 1e-12),
            "no signal as 1e-9": fill("beta", 1e-9),
            "valid range": attributes("beta", valid_range=np.array([0, 1e-7], _F)),
        },
        Verdict.HARMLESS: {
            "no signal as 0": fill("beta", 0.0),
            "no signal as -1e-3": fill("beta", -1e-3),
        },
    },
}
