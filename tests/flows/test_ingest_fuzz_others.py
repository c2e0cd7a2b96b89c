"""Damaged and deceptive lidar, state, categorize and spaceborne files: ingested right or refused by name, nothing else.

Small valid files of eight kinds, written here to the documented layouts or cut from measured files,
are changed in some 150 ways each, the same ones in every run. What keeps its meaning must give the
curtain as it was; a change of meaning (units, times, calendars, axes) must be refused, or be
understood and give the same numbers.
"""

from __future__ import annotations

import json
import signal
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr

from blindzone.core.errors import BlindzoneError, SourceFileError
from blindzone.flows.ingest import ingest_granule
from blindzone.pipeline.archive import Archive
from blindzone.pipeline.curtains.curtain import check_curtain
from blindzone.pipeline.readers._hdf import read_hdf5
from blindzone.pipeline.readers._netcdf import read_netcdf

TIME_LIMIT_S = 10
WANTED = 32
PROFILES = 8
RIGHT_FILE = "right.nc"
FILL = np.float32(9.96921e36)
DPR_FILL = np.float32(-9999.9)
FILL_KEYS = ("_FillValue", "missing_value")
Raw = xr.Dataset
Change = Callable[[Raw], Raw]
Convert = Callable[[np.ndarray], Any]


class Expect(StrEnum):
    """What a changed file must come to."""

    SAME = "the curtain as it was"
    REFUSED = "a refusal"
    REST = "a refusal, or the curtain as it was in the profiles left alone"
    SOUND = "a refusal, or any sound curtain"


SAME, REFUSED, REST, SOUND = Expect


@dataclass(frozen=True, kw_only=True)
class Case:
    """A change of a file's content, or of its bytes once written."""

    name: str
    expect: Expect
    content: Change | None = None
    written: Callable[[Path], object] | None = None
    profiles: tuple[int, ...] = ()
    tolerance: float = 0.0
    form: str | None = None
    always: bool = False


@dataclass(frozen=True)
class ProductTask:
    """Another unit of some variables: how numbers convert to it, and what must come of it, declared and not."""

    names: str
    called: str
    convert: Convert
    declared: Expect = REFUSED
    silent: Expect | None = REFUSED
    """`None` where nothing can tell."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of file, and what its variables are to its reader.

    Attributes:
        reader: Name of the reader.
        unit: Day or granule.
        measured: Where measured files of it lie below the data directory.
        cut: What part of one is taken.
        write: Makes a small file of the layout.
        fields: Floats of profiles and levels that must be there.
        required: What else must be there.
        optional: What may be absent.
        labelled: Variables that must state their units.
        stated: Variables whose units may be left out.
        units: Other units.
        levels: Variable of the levels' heights, if they are those of all profiles.
        since: Variable that counts time since an instant, and the words of its units.
        clock: Calendar fields with wrong values.
        local: Variables of which a value changes its own profile alone.
        exceptions: What else than usual must come of a case.
    """

    reader: str
    unit: date
    measured: str
    cut: Mapping[str, slice]
    write: Callable[[], Raw]
    fields: tuple[str, ...]
    required: tuple[str, ...]
    optional: tuple[str, ...]
    labelled: tuple[str, ...]
    stated: tuple[str, ...]
    units: tuple[ProductTask, ...]
    levels: str = ""
    since: tuple[str, str] = ("", "")
    clock: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    profile_dims: tuple[str, ...] = ("time",)
    level_dim: str = "range"
    local: tuple[str, ...] = ()
    form: str = "NETCDF4"
    unit_key: str = "units"
    exceptions: Mapping[str, Expect] = field(default_factory=dict)


# Small files written to the layouts.


def lay_out(variables: Mapping[str, tuple[Any, ...]], *, key: str = "units", **attrs: Any) -> Raw:
    """A file's content of `(dims, values, units, attributes)`; all floats but times in single precision."""
    out: dict[str, Any] = {}
    for name, (dims, values, units, *more) in variables.items():
        array = np.asarray(values)
        single = array.dtype == np.float64 and not name.startswith("time")
        out[name] = (
            dims,
            array.astype(np.float32) if single else array,
            ({key: units} if units else {}) | dict(*more),
        )
    return xr.Dataset(out, attrs=attrs)


def make_site(names: str, *units: str) -> dict[str, Any]:
    return {
        n: ((), value, u)
        for n, value, u in zip(names.split(), (50.5, 6.25, 100.0), units, strict=True)
    }


def make_backscatter(range_m: np.ndarray) -> np.ndarray:
    """Noise of 1e-13 sr-1 m-3 with its range correction, and cloud of about 1e-4 sr-1 m-1 in gates 30 to 36."""
    beta = np.random.default_rng(0).normal(0, 1e-13, (PROFILES, range_m.size)) * range_m**2
    beta[:, 30:37] = 1e-4 * np.linspace(0.8, 1.2, PROFILES)[:, np.newaxis]
    return beta


def write_arm_ceilometer() -> Raw:
    range_m = 15 + 30.0 * np.arange(80)
    return lay_out(
        {
            "backscatter": (("time", "range"), 1e7 * make_backscatter(range_m), "1/(sr*km*10000)"),
            "range": ("range", range_m, "m"),
            "time_offset": (
                "time",
                21600 + 16.0 * np.arange(PROFILES),
                "seconds since 2019-01-03 00:00:00 0:00",
            ),
            "tilt_angle": ("time", np.ones(PROFILES), "degree"),
            "status_flag": ("time", np.ones(PROFILES, np.int16), "unitless"),
            **make_site("lat lon alt", "degree_N", "degree_E", "m"),
        }
    )


def write_cloudnet_ceilometer() -> Raw:
    range_m = 15 + 30.0 * np.arange(80)
    raw = make_backscatter(range_m)
    return lay_out(
        {
            "beta": (
                ("time", "range"),
                np.where(raw > 5e-5, raw, FILL),
                "sr-1 m-1",
                {"_FillValue": FILL},
            ),
            "beta_raw": (("time", "range"), raw, "sr-1 m-1"),
            "range": ("range", range_m, "m"),
            "time": (
                "time",
                6 + 0.01 * np.arange(PROFILES),
                "hours since 2022-07-29 00:00:00 +00:00",
            ),
            "zenith_angle": ((), 12.0, "degree"),
            **make_site("latitude longitude altitude", "degree_north", "degree_east", "m"),
        }
    )


def write_minimpl() -> Raw:
    rng, km = np.random.default_rng(1), 0.03 * np.arange(1, 161)
    variables: dict[str, Any] = {
        "range_raw": ("range_raw", km, "kilometers"),
        "range_nrb": ("range_nrb", km[3:80], ""),
    }
    for name, cloud in (("copol", 2.0), ("crosspol", 0.25)):
        rate = np.abs(rng.normal(1e-4, 5e-5, (PROFILES, km.size)))
        rate[:, :3] = 5
        nrb = (rate - 1e-4)[:, 3:80] / 3 * km[3:80] ** 2
        nrb[:, 40:44] = cloud
        variables[f"{name}_raw"] = (("time", "range_raw"), rate, "(counts/us)")
        variables[f"{name}_nrb"] = (
            ("time", "range_nrb"),
            nrb,
            "(counts/(microsecond*microjoule))*kilometer^2",
        )
    of_profiles = {
        "year": (2016, ""),
        "month": (6, ""),
        "day": (1, ""),
        "hour": (7, ""),
        "minute": (5 * np.arange(PROFILES), ""),
        "second": (0, ""),
        "laser_energy": (3, "microjoules"),
        "elevation_angle": (0, "degrees"),
        "azimuth_angle": (0, "degrees"),
        "latitude": (50.6, "degrees"),
        "longitude": (3.1, "degrees"),
        "altitude": (44, "meters"),
    }
    variables |= {
        n: ("time", np.full(PROFILES, value, np.float32), unit)
        for n, (value, unit) in of_profiles.items()
    }
    return lay_out(variables, key="unit", card_type="MiniMPL")


def make_state(time: str, level: str, height: np.ndarray) -> dict[str, Any]:
    """Colder by 6 K km-1, more humid and more windy from hour to hour; in Cloudnet's words."""
    grow = np.linspace(1, 2, PROFILES)[:, np.newaxis] * np.ones(height.shape)
    fields = {
        "temperature": 285 - 0.006 * height + 0 * grow,
        "q": 0.004 * grow,
        "uwind": 7 * grow,
        "vwind": -4 / grow,
    }
    units = ("K", "1", "m s-1", "m s-1")
    return {
        n: ((time, level), v, u, {"_FillValue": FILL})
        for (n, v), u in zip(fields.items(), units, strict=True)
    }


def write_categorize() -> Raw:
    dims, day, fill = (
        ("time", "height"),
        "hours since 2025-02-11 00:00:00 +00:00",
        {"_FillValue": FILL},
    )
    levels = np.array([60.0, 160, 660, 2060, 5000])
    echo = np.tile((np.arange(30) > 3) & (np.arange(30) < 20), (PROFILES, 1))
    return lay_out(
        {
            "Z": (
                dims,
                np.where(echo, np.random.default_rng(2).uniform(-30, 15, echo.shape), FILL),
                "dBZ",
                fill,
            ),
            "v": (dims, np.where(echo, -1.5, FILL), "m s-1", fill),
            "beta": (dims, np.where(echo, 2e-5, FILL), "sr-1 m-1", fill),
            "category_bits": (dims, np.where(echo, 2, 0).astype(np.int32), "1"),
            "quality_bits": (dims, np.where(echo, 3, 0).astype(np.int32), "1"),
            "time": ("time", 0.2 + np.arange(PROFILES) / 120, day),
            "height": ("height", 150 + 50.0 * np.arange(30), "m"),
            "model_time": ("model_time", np.arange(float(PROFILES)), day),
            "model_height": ("model_height", levels, "m"),
            **make_state("model_time", "model_height", levels),
            **make_site("latitude longitude altitude", "degree_north", "degree_east", "m"),
        }
    )


def write_model() -> Raw:
    height = (
        np.array([10.0, 100, 300, 500, 800, 1200, 2000, 5000])
        * np.linspace(1, 1.01, PROFILES)[:, np.newaxis]
    )
    missing = {"_FillValue": FILL}
    return lay_out(
        {
            **make_state("time", "level", height),
            "height": (("time", "level"), height, "m", missing),
            "time": ("time", np.arange(float(PROFILES)), "hours since 2019-05-17 00:00:00 +00:00"),
            "level": ("level", np.arange(8, 0, -1), "1"),
            "sfc_height_amsl": ("time", np.full(PROFILES, 154.0), "m", missing),
            "sfc_geopotential": ("time", np.full(PROFILES, 154 * 9.80665), "m2 s-2", missing),
            **make_site("latitude longitude altitude", "degrees_N", "degrees_E", "m"),
        }
    )


def write_trajectory() -> Raw:
    height = (
        np.array([18.0, 60, 120, 300, 600, 1200, 2500, 6000])
        * np.linspace(1, 1.01, PROFILES)[:, np.newaxis]
    )
    named = dict(
        zip(("Temp", "SH", "U", "V"), make_state("time", "pressure", height).values(), strict=True)
    )
    labels = {"SH": "kg/kg", "U": "m/s, positive = eastward", "V": "m/s, positive = northward"}
    return lay_out(
        {
            **{
                n: (dims, values, labels.get(n, units), fill)
                for n, (dims, values, units, fill) in named.items()
            },
            "GEOS_HT": (("time", "pressure"), height, "meter"),
            "Time": ("time", -np.arange(float(PROFILES)), "Hours since 2020-03-13-18"),
            "Latitude": ("latitude", np.linspace(69, 72, PROFILES), "Deg North"),
            "Longitude": ("latitude", np.linspace(15, 11, PROFILES), "Deg"),
        }
    )


def write_sonde() -> Raw:
    altitude = 300 + 20.0 * np.arange(100)
    values = {
        "pres": (1013 * np.exp(-altitude / 8200), "hPa"),
        "tdry": (10 - 0.006 * altitude, "C"),
        "dp": (5 - 0.006 * altitude, "C"),
        "u_wind": (12 + altitude / 500, "m/s"),
        "v_wind": (-5 + 0 * altitude, "m/s"),
        "wspd": (13 + 0 * altitude, "m/s"),
        "deg": (270 + 0 * altitude, "deg"),
        "alt": (altitude, "m"),
        "lat": (np.linspace(36.6, 37.0, 100), "degree_N"),
        "lon": (np.linspace(-97.5, -97.0, 100), "degree_E"),
    }
    missing = {"missing_value": np.float32(-9999)}
    return lay_out(
        {
            **{name: ("time", array, units, missing) for name, (array, units) in values.items()},
            **{
                f"qc_{name}": ("time", np.zeros(100, np.int32), "1")
                for name in ("pres", "tdry", "dp", "u_wind")
            },
            "time_offset": (
                "time",
                19920 + 4.0 * np.arange(100),
                "seconds since 2019-01-01 00:00:00 0:00",
            ),
        }
    )


def write_dpr() -> Raw:
    shape, pixels, scans = (
        (PROFILES, 2),
        ("nscan", "nray"),
        np.arange(float(PROFILES))[:, np.newaxis],
    )
    z = np.full((*shape, 176), DPR_FILL)
    z[:, :, 140:] = np.random.default_rng(3).uniform(15, 40, (*shape, 36))
    place = {
        "Latitude": (-25 + 0.04 * scans, "degrees"),
        "Longitude": (152 + 0.03 * scans, "degrees"),
        "PRE/localZenithAngle": (np.array([0.0, 9.0]) + 0 * scans, "degree"),
        "PRE/ellipsoidBinOffset": (20 + scans, "m"),
        "PRE/elevation": (50 + scans, "m"),
    }
    bins = {"PRE/binClutterFreeBottom": 166, "PRE/binRealSurface": 175, "FLG/qualityFlag": 0}
    clock = {
        "Year": 2014,
        "Month": 12,
        "DayOfMonth": 6,
        "Hour": 9,
        "Minute": 50,
        "Second": 2 + scans[:, 0],
    }
    content: dict[str, Any] = {"SLV/zFactorCorrected": (("nscan", "nray", "nbin"), z, "dBZ")}
    content |= {
        name: (pixels, np.broadcast_to(value, shape), units)
        for name, (value, units) in place.items()
    }
    content |= {name: (pixels, np.full(shape, value, np.int16), "") for name, value in bins.items()}
    content |= {
        f"ScanTime/{n}": ("nscan", np.full(PROFILES, value, np.int16), "")
        for n, value in clock.items()
    }
    content["ScanTime/MilliSecond"] = ("nscan", np.full(PROFILES, 300, np.int16), "")
    content["scanStatus/dataQuality"] = ("nscan", np.zeros(PROFILES, np.int8), "")
    raw = lay_out(
        {f"NS/{name}": value for name, value in content.items()}, FileHeader="AlgorithmID=2AKu;\n"
    )
    for variable in raw.variables.values():
        variable.attrs["_FillValue"] = (
            DPR_FILL if variable.dtype.kind == "f" else variable.dtype.type(-99)
        )
    return raw


# The kinds.


def times(factor: float) -> Convert:
    return lambda values: values * factor


def plus(offset: float) -> Convert:
    return lambda values: values + offset


def decibels(values: np.ndarray) -> np.ndarray:
    return np.asarray(10 * np.log10(np.maximum(np.abs(values), 1e-12)))


def linear(values: np.ndarray) -> np.ndarray:
    return np.asarray(10 ** (values / 10))


def state_units(
    temperature: str, humidity: str, eastward: str, northward: str
) -> tuple[ProductTask, ...]:
    return (
        ProductTask(temperature, "degC", plus(-273.15)),
        ProductTask(temperature, "degF", lambda t: (t - 273.15) * 1.8 + 32),
        ProductTask(humidity, "g kg-1", times(1000)),
        ProductTask(humidity, "%", times(10000)),
        ProductTask(eastward, "cm s-1", times(100)),
        ProductTask(northward, "mm s-1", times(1000)),
        ProductTask(eastward, "knots", times(1.944), silent=None),
    )


DPR_CLOCK = {
    "Year": (-9999, 14, 0, 32767),
    "Month": (0, 13, -99),
    "DayOfMonth": (0, 32),
    "Hour": (24, -1),
    "Minute": (60, -9999),
    "Second": (61, -1),
    "MilliSecond": (1000, -9999),
}
DPR_PRE = tuple(
    f"NS/PRE/{name}"
    for name in (
        "localZenithAngle",
        "ellipsoidBinOffset",
        "elevation",
        "binClutterFreeBottom",
        "binRealSurface",
    )
)
KINDS: dict[str, Kind] = {
    "arm_ceilometer": Kind(
        reader="ceilometer",
        unit=date(2019, 1, 3),
        measured="arm_ceilometer/sgpceilC1.b1.20190103.*.nc",
        cut={"time": slice(2000, 2012)},
        write=write_arm_ceilometer,
        form="NETCDF3_CLASSIC",
        fields=("backscatter",),
        required=("range", "time_offset"),
        optional=("tilt_angle", "status_flag", "lat", "lon", "alt"),
        levels="range",
        labelled=("backscatter", "range"),
        stated=("lat", "lon", "alt", "tilt_angle"),
        local=("backscatter",),
        since=("time_offset", "seconds since 2019-01-03"),
        units=(
            ProductTask("backscatter", "sr-1 m-1", times(1e-7), SAME, None),
            ProductTask("backscatter", "1/(sr km)", times(1e-4), SAME, None),
            ProductTask("backscatter", "counts", times(1e7)),
            ProductTask("backscatter", "dB", decibels, silent=None),
            ProductTask("range", "km", times(1e-3)),
            ProductTask("range", "mm", times(1e3)),
            ProductTask("alt", "km", times(1e-3), silent=None),
            ProductTask("lat lon", "radian", np.radians, silent=None),
            ProductTask("tilt_angle", "radian", np.radians, silent=None),
        ),
        exceptions={"no time_offset": SOUND},  # measured files have a rounded `time` beside it
    ),
    "cloudnet_ceilometer": Kind(
        reader="ceilometer",
        unit=date(2022, 7, 29),
        measured="norunda_ceilometer/20220729_norunda_cl51.nc",
        cut={"time": slice(100, 112), "range": slice(300)},
        write=write_cloudnet_ceilometer,
        fields=("beta",),
        required=("range", "time"),
        optional=("beta_raw", "zenith_angle", "latitude", "longitude", "altitude"),
        labelled=("beta", "range"),
        stated=("zenith_angle", "latitude", "longitude", "altitude"),
        levels="range",
        local=("beta", "beta_raw"),
        since=("time", "hours since 2022-07-29"),
        units=(
            ProductTask("beta", "km-1 sr-1", times(1e3), SAME, None),
            ProductTask("beta", "1/(sr*km*10000)", times(1e7), SAME),
            ProductTask("beta", "dB", decibels),
            ProductTask("range", "km", times(1e-3)),
            ProductTask("range", "mm", times(1e3)),
            ProductTask("altitude", "km", times(1e-3), silent=None),
            ProductTask("time", "seconds since 2022-07-29", times(3600)),
            ProductTask("latitude longitude", "radian", np.radians, silent=None),
            ProductTask("zenith_angle", "radian", np.radians, silent=None),
        ),
        exceptions={"no beta": SOUND, "field is a group": SOUND},  # beta_raw takes its place
    ),
    "minimpl": Kind(
        reader="mpl",
        unit=date(2016, 6, 1),
        measured="minimpl_lille/MPL_5030_20160601*.nc",
        cut={},
        write=write_minimpl,
        unit_key="unit",
        fields=("copol_nrb", "crosspol_nrb"),
        level_dim="range_nrb",
        required=(
            "copol_raw",
            "crosspol_raw",
            "range_nrb",
            "range_raw",
            "laser_energy",
            "year",
            "minute",
            "second",
        ),
        optional=("elevation_angle", "azimuth_angle", "latitude", "longitude", "altitude"),
        levels="range_nrb",
        labelled=(
            "copol_nrb",
            "crosspol_nrb",
            "copol_raw",
            "crosspol_raw",
            "laser_energy",
            "range_raw",
        ),
        stated=("elevation_angle", "azimuth_angle", "latitude", "longitude", "altitude"),
        local=("copol_nrb", "crosspol_nrb", "copol_raw"),
        clock={
            "year": (16, -1, 0, 2015, np.inf, 1e30, np.nan),
            "month": (0, 13, 6.5),
            "day": (0, 32, 2),
            "hour": (-1, 24, 7.5, -np.inf),
            "minute": (60, 1e9),
            "second": (60, -1, np.nan, np.inf),
        },
        units=(
            ProductTask("range_raw range_nrb", "m", times(1e3), SAME),
            ProductTask("range_raw range_nrb", "mm", times(1e6)),
            ProductTask("range_raw", "miles", times(0.621)),
            ProductTask("laser_energy", "mJ", times(1e-3)),
            ProductTask("copol_nrb crosspol_nrb", "counts*m^2/(us*uJ)", times(1e6)),
            ProductTask("laser_energy", "nJ", times(1e3)),
            ProductTask("copol_nrb crosspol_nrb", "dB", decibels, silent=None),
            ProductTask("copol_raw crosspol_raw", "counts/s", times(1e6)),
            ProductTask("altitude", "km", times(1e-3), silent=None),
        ),
    ),
    "categorize": Kind(
        reader="cloudnet_categorize",
        unit=date(2025, 2, 11),
        measured="cabauw_categorize/20250211*.nc",
        cut={
            "time": slice(40, 52),
            "height": slice(80),
            "model_time": slice(8),
            "model_height": slice(60),
        },
        write=write_categorize,
        fields=("Z", "beta", "temperature", "q", "uwind", "vwind"),
        level_dim="height",
        required=(
            "time",
            "height",
            "category_bits",
            "quality_bits",
            "altitude",
            "model_time",
            "model_height",
        ),
        optional=("v", "latitude", "longitude"),
        stated=("latitude", "longitude"),
        levels="height",
        labelled=(
            "Z",
            "v",
            "beta",
            "height",
            "altitude",
            "model_height",
            "temperature",
            "q",
            "uwind",
            "vwind",
        ),
        local=("Z", "v", "beta", "category_bits", "quality_bits"),
        since=("time", "hours since 2025-02-11"),
        units=(
            *state_units("temperature", "q", "uwind", "vwind"),
            ProductTask("Z", "mm6 m-3", linear, silent=None),
            ProductTask("Z", "0.01 dBZ", times(100)),
            ProductTask("v", "mm s-1", times(1000)),
            ProductTask("v", "km/h", times(3.6), silent=None),
            ProductTask("beta", "km-1 sr-1", times(1e3), silent=None),
            ProductTask("beta", "1/(sr*km*10000)", times(1e7)),
            ProductTask("height", "km", times(1e-3)),
            ProductTask("model_height", "km", times(1e-3)),
            ProductTask("altitude", "km", times(1e-3), silent=None),
            ProductTask("time", "seconds since 2025-02-11 00:00:00", times(3600), REST),
            ProductTask("model_time", "minutes since 2025-02-11", times(60), REST, None),
        ),
    ),
    "model": Kind(
        reader="cloudnet_model",
        unit=date(2019, 5, 17),
        measured="state_profiles/20190517_mace-head_ecmwf.nc",
        cut={"time": slice(8), "level": slice(0, 60, 3)},
        write=write_model,
        level_dim="level",
        fields=("temperature", "q", "uwind", "vwind", "height"),
        required=("time",),
        optional=("latitude", "longitude", "sfc_geopotential"),
        stated=("sfc_height_amsl", "latitude", "longitude"),
        labelled=("temperature", "q", "uwind", "vwind", "height"),
        since=("time", "hours since 2019-05-17"),
        local=("temperature", "q", "uwind", "vwind", "height"),
        units=(
            *state_units("temperature", "q", "uwind", "vwind"),
            ProductTask("height", "km", times(1e-3)),
            ProductTask("height", "mm", times(1e3)),
            ProductTask("sfc_height_amsl", "km", times(1e-3), silent=None),
            ProductTask("sfc_geopotential", "m", times(1 / 9.80665), silent=None),
            ProductTask("time", "seconds since 2019-05-17 00:00:00", times(3600), REST),
        ),
        exceptions={"levels reversed": SAME},
    ),
    "trajectory": Kind(
        reader="era5",
        unit=datetime(2020, 3, 13, 18),
        measured="state_profiles/theta_*_era5ml_*.nc",
        cut={"time": slice(8), "latitude": slice(8), "pressure": slice(0, 60, 3)},
        write=write_trajectory,
        fields=("Temp", "SH", "U", "V", "GEOS_HT"),
        required=("Time", "Latitude", "Longitude"),
        optional=(),
        labelled=("Temp", "SH", "U", "V", "GEOS_HT"),
        stated=("Latitude", "Longitude"),
        level_dim="pressure",
        since=("Time", "Hours since 2020-03-13-18"),
        profile_dims=("time", "latitude"),
        local=("Temp", "SH", "U", "V", "GEOS_HT"),
        units=(
            *state_units("Temp", "SH", "U", "V"),
            ProductTask("GEOS_HT", "km", times(1e-3)),
            ProductTask("GEOS_HT", "m2 s-2", times(9.80665), silent=None),
            ProductTask("Latitude Longitude", "radian", np.radians, silent=None),
            ProductTask("Time", "Days since 2020-03-13-18", times(1 / 24), silent=None),
        ),
        exceptions={"levels reversed": SAME, "profiles reversed": SAME, "profiles shuffled": SAME},
    ),
    "sonde": Kind(
        reader="arm_sonde",
        unit=date(2019, 1, 1),
        measured="state_profiles/sgpsondewnpnC1.b1.20190101.*.cdf",
        cut={"time": slice(0, 3000, 25)},
        write=write_sonde,
        form="NETCDF3_CLASSIC",
        level_dim="",
        fields=("pres", "tdry", "dp", "alt"),
        required=("time_offset",),
        stated=("lat", "lon"),
        optional=("wspd", "deg", "u_wind", "lat", "lon", "qc_pres"),
        since=("time_offset", "seconds since 2019-01-01"),
        labelled=("pres", "tdry", "dp", "alt", "u_wind", "v_wind", "wspd", "deg"),
        units=(
            ProductTask("pres", "Pa", times(100)),
            ProductTask("pres", "kPa", times(0.1)),
            ProductTask("tdry dp", "K", plus(273.15)),
            ProductTask("tdry", "K", plus(273.15)),
            ProductTask("dp", "K", plus(273.15)),
            ProductTask("alt", "km", times(1e-3)),
            ProductTask("alt", "cm", times(100)),
            ProductTask("alt", "ft", times(3.2808)),
            ProductTask("pres", "mmHg", times(0.75)),
            ProductTask("u_wind", "cm/s", times(100)),
            ProductTask("v_wind wspd", "knots", times(1.944), silent=None),
            ProductTask("deg", "radian", np.radians, silent=None),
        ),
    ),
    "gpm_dpr": Kind(
        reader="gpm_dpr",
        unit=datetime(2014, 12, 6, 9, 50, 2),
        measured="gpm_dpr/2A-CS-*.HDF5",
        form="HDF5",
        cut={"nscan": slice(60, 68), "nray": slice(23, 25)},
        write=write_dpr,
        fields=("NS/SLV/zFactorCorrected",),
        required=(
            "NS/Latitude",
            "NS/Longitude",
            "NS/ScanTime/Year",
            "NS/ScanTime/Second",
            "NS/scanStatus/dataQuality",
            DPR_PRE[0],
            *DPR_PRE[3:],
        ),
        optional=(*DPR_PRE[1:3], "NS/FLG/qualityFlag"),
        level_dim="nbin",
        profile_dims=("nscan",),
        stated=(),
        labelled=("NS/SLV/zFactorCorrected", "NS/Latitude", "NS/Longitude", *DPR_PRE[:3]),
        local=("NS/SLV/zFactorCorrected", "NS/FLG/qualityFlag", *DPR_PRE),
        clock={f"NS/ScanTime/{name}": values for name, values in DPR_CLOCK.items()},
        units=(
            ProductTask("NS/SLV/zFactorCorrected", "mm^6/m^3", linear),
            ProductTask("NS/SLV/zFactorCorrected", "cdBZ", times(100)),
            ProductTask("NS/Latitude NS/Longitude", "radian", np.radians, silent=None),
            ProductTask("NS/PRE/localZenithAngle", "radian", np.radians, silent=None),
            ProductTask("NS/PRE/elevation", "km", times(1e-3), silent=None),
            ProductTask("NS/PRE/elevation", "mm", times(1e3)),
            ProductTask("NS/PRE/ellipsoidBinOffset", "mm", times(1e3)),
            ProductTask("NS/PRE/binClutterFreeBottom", "m", times(125)),
        ),
        exceptions={
            "levels reversed": SOUND,
            "levels shuffled": SOUND,
        },  # bins are told by their number alone
    ),
}


# Changes of content.


def with_attrs(name: str, **attrs: Any) -> Change:
    """Sets attributes; `None` removes one."""

    def change(raw: Raw) -> Raw:
        out = raw.copy()
        out[name].attrs = {
            key: value for key, value in {**raw[name].attrs, **attrs}.items() if value is not None
        }
        return out

    return change


def with_values(name: str, convert: Convert, **attrs: Any) -> Change:
    """Converts all values; the fill value follows their type if it can."""

    def change(raw: Raw) -> Raw:
        values, kept = np.asarray(convert(raw[name].values)), raw[name].attrs | attrs
        for key in set(FILL_KEYS) & kept.keys():
            kept[key] = values.dtype.type(kept[key]) if values.dtype.kind in "iuf" else None
        kept = {key: value for key, value in kept.items() if value is not None}
        return raw.assign({name: xr.Variable(raw[name].dims, values, kept)})

    return change


def find_missing(variable: xr.DataArray) -> np.ndarray:
    codes = [variable.attrs[key] for key in FILL_KEYS if key in variable.attrs]
    return np.asarray(np.isnan(variable.values) | np.isin(variable.values, codes))


def in_units(unit: ProductTask, /, **attrs: Any) -> Change:
    """Converts the values that are not missing."""

    def change(raw: Raw) -> Raw:
        for name in unit.names.split():
            missing, values = find_missing(raw[name]), raw[name].values
            converted = unit.convert(np.where(missing, 1, values).astype(np.float64)).astype(
                values.dtype
            )
            raw = with_values(
                name, lambda old, m=missing, new=converted: np.where(m, old, new), **attrs
            )(raw)
        return raw

    return change


def put(name: str, where: Any, value: float) -> Change:
    def convert(values: np.ndarray) -> np.ndarray:
        out = values.copy()
        if out.dtype.kind in "iu":  # wide enough for the value
            out = out.astype(np.result_type(out, np.min_scalar_type(int(value))))
        with np.errstate(over="ignore"):
            out[where] = np.float64(value)
        return out

    return with_values(name, convert)


def reorder(dims: tuple[str, ...], order: Callable[[int], Any]) -> Change:
    return lambda raw: raw.isel({dim: order(raw.sizes[dim]) for dim in dims if dim in raw.dims})


def as_text(name: str) -> Change:
    return with_values(name, lambda values: values.astype(str).astype(object))


def pack(name: str) -> Change:
    """Packs a variable in integers of 32 bits, as CF asks."""

    def change(raw: Raw) -> Raw:
        missing, values = find_missing(raw[name]), raw[name].values.astype(np.float64)
        low, high = values[~missing].min(), values[~missing].max()
        scale = (high - low or 1.0) / 2**30
        packed = np.where(
            missing, -1, np.round((np.where(missing, low, values) - low) / scale)
        ).astype(np.int32)
        attrs = {key: value for key, value in raw[name].attrs.items() if key not in FILL_KEYS}
        attrs |= {"scale_factor": scale, "add_offset": low, "_FillValue": np.int32(-1)}
        return raw.assign({name: xr.Variable(raw[name].dims, packed, attrs)})

    return change


class Cases:
    """Makes the cases of one kind."""

    def __init__(self, kind: Kind, raw: Raw) -> None:
        self.kind, self.raw = kind, raw

    def case(self, name: str, expect: Expect, content: Change, **more: Any) -> Case:
        return Case(
            name=name, expect=self.kind.exceptions.get(name, expect), content=content, **more
        )

    def units(self) -> Iterator[Case]:
        """Other units, declared or not: refused, or understood."""
        key = self.kind.unit_key
        odd = ("", "furlong", 7, np.array([1, 2]), ["m", "K"], "\u03bcm")
        for number, name in enumerate(self.kind.labelled):
            for units in (None, odd[number % len(odd)]):
                # netCDF-3 has no lists of text.
                form = "NETCDF4" if isinstance(units, list) and self.kind.form != "HDF5" else None
                yield self.case(
                    f"{name} in {units!r}", REFUSED, with_attrs(name, **{key: units}), form=form
                )
        for name in self.kind.stated:
            yield self.case(f"{name} in furlong", REFUSED, with_attrs(name, **{key: "furlong"}))
            yield self.case(f"{name} in no units", SAME, with_attrs(name, **{key: None}))
        for unit in self.kind.units:
            title = f"{unit.names} in {unit.called}"
            yield self.case(
                title, unit.declared, in_units(unit, **{key: unit.called}), tolerance=1e-4
            )
            if unit.silent is not None:
                yield self.case(
                    f"{title}, not said", unit.silent, in_units(unit), tolerance=1e-4, always=True
                )

    def order(self) -> Iterator[Case]:
        """Profiles and levels out of order, doubled, or gone."""
        dims, levels = self.kind.profile_dims, (self.kind.level_dim,)
        count = self.raw.sizes[dims[0]]
        yield self.case(
            "profiles reversed", REFUSED, reorder(dims, lambda n: slice(None, None, -1))
        )
        yield self.case(
            "profiles doubled", REFUSED, reorder(dims, lambda n: np.repeat(np.arange(n), 2))
        )
        yield self.case("no profile", REFUSED, reorder(dims, lambda n: slice(0)))
        for seed in range(2):
            rng = np.random.default_rng(seed)
            order, at = rng.permutation(count), int(rng.integers(1, count - 1))
            yield self.case(
                "profiles shuffled", REFUSED, reorder(dims, lambda n, order=order: order)
            )
            twice = np.insert(np.arange(count), at, at)
            yield self.case(
                f"profile {at} twice", REFUSED, reorder(dims, lambda n, order=twice: order)
            )
        if self.kind.level_dim:
            shuffled = np.random.default_rng(9).permutation(self.raw.sizes[levels[0]])
            yield self.case(
                "levels reversed", REFUSED, reorder(levels, lambda n: slice(None, None, -1))
            )
            yield self.case("no level", REFUSED, reorder(levels, lambda n: slice(0)))
            yield self.case("levels shuffled", REFUSED, reorder(levels, lambda n: shuffled))
            yield self.case(
                "levels doubled", REFUSED, reorder(levels, lambda n: np.repeat(np.arange(n), 2))
            )
            yield self.case("one level", SOUND, reorder(levels, lambda n: slice(1)))

    def clock(self) -> Iterator[Case]:
        """Other clocks, and times that cannot be."""
        for name, values in self.kind.clock.items():
            for value in values:
                yield self.case(f"{name} {value:g}", REFUSED, put(name, 3, value))
        time, since = self.kind.since
        if not time:
            return
        step, _, start = since.partition(" since ")
        zones = (" 00:00:00 +01:00", " 00:00:00 -05:00", " 00:00:00+0100", " CET", " 25:00:00")
        others = (
            f"days since {start}",
            f"{step} since 2019-02-30",
            f"{step} since yesterday",
            step,
            12,
            None,
            "\u03bcs",
        )
        for units in (*(since + zone for zone in zones), *others):
            yield self.case(f"time {units}", REFUSED, with_attrs(time, units=units))
        for calendar in ("noleap", "julian", "360_day", 4):
            yield self.case(f"calendar {calendar}", REFUSED, with_attrs(time, calendar=calendar))
        for years in (-1, 40):
            units_off = years * 365 * 86400 / (1 if step == "seconds" else 3600)
            yield self.case(f"times {years} years off", REFUSED, with_values(time, plus(units_off)))
        for at, value in (
            (4, np.nan),
            (0, np.inf),
            (-1, -np.inf),
            (3, 9.96921e36),
            (0, -9999.0),
            (5, 1e300),
        ):
            odd = with_values(
                time,
                lambda t, i=at, v=value: np.where(
                    np.arange(t.size) == i % t.size, np.float64(v), t
                ),
            )
            yield self.case(f"time {at} of {value}", REFUSED, odd)
        yield self.case(
            "time 4 as time 3", REFUSED, lambda raw: put(time, 4, float(raw[time].values[3]))(raw)
        )
        yield self.case("times as text", REFUSED, as_text(time))
        yield self.case(
            "times in double precision", SAME, with_values(time, lambda t: t.astype(np.float64))
        )
        if time not in self.raw.dims:
            yield self.case(
                "time of one value", REFUSED, lambda raw: raw.assign({time: raw[time][0]})
            )

    def shape(self) -> Iterator[Case]:
        """Variables that are gone, turned, cut, or of another type, and levels that cannot be."""
        for name in (*self.kind.fields, *self.kind.required, *self.kind.optional):
            expect = SOUND if name in self.kind.optional else REFUSED
            yield self.case(f"no {name}", expect, lambda raw, name=name: raw.drop_vars(name))
        if levels := (self.kind.level_dim,) * bool(self.kind.level_dim):
            yield self.case("all turned", REFUSED, lambda raw: raw.transpose(*levels, ...))
        for name in self.kind.fields:
            first, *rest = map(str, self.raw[name].dims)
            if rest:
                yield self.case(
                    f"{name} turned",
                    REFUSED,
                    lambda raw, n=name: raw.assign({n: raw[n].transpose()}),
                )
            one = lambda raw, n=name, d=first: raw.assign({n: raw[n].variable[{d: 0}]})  # noqa: E731
            yield self.case(f"{name} of one profile", REFUSED, one)
            others = (
                self.raw[[name]]
                .isel({first: slice(3)})
                .rename_dims({first: "elsewhere"})[name]
                .variable
            )
            yield self.case(
                f"{name} of other profiles",
                REFUSED,
                lambda raw, n=name, v=others: raw.assign({n: v}),
            )
        yield self.case("field as text", REFUSED, as_text(self.kind.fields[-1]))
        if axis := self.kind.levels:
            yield self.case("levels as text", REFUSED, as_text(axis))
            for at, value in (
                (7, np.nan),
                (7, np.inf),
                (0, -np.inf),
                (7, -1e6),
                (7, 1e30),
                (-1, 1e30),
                (..., np.nan),
            ):
                yield self.case(f"level {at} at {value}", REFUSED, put(axis, at, value))

    def fill(self) -> Iterator[Case]:
        """Fill values, packing and attributes, right in other ways or wrong."""
        hdf5, name = self.kind.form == "HDF5", self.kind.fields[0]
        for each in self.kind.fields:
            double = with_values(each, lambda z: z.astype(np.float64))
            yield self.case(f"{each} in double precision", SAME, double, tolerance=1e-6)
            yield self.case(f"{each} packed", REFUSED if hdf5 else SAME, pack(each), tolerance=1e-3)
            for value in (np.inf, -np.inf, 1e30):
                where = (2, 1)[: self.raw[each].ndim]
                yield self.case(f"{each} of {value}", REFUSED, put(each, where, value))
            yield self.case(f"{each} all NaN", SOUND, put(each, ..., np.nan))
        one, dim = (
            {"scale_factor": np.float32(1), "add_offset": np.float32(0)},
            self.raw[name].dims[0],
        )
        missing = with_attrs(name, missing_value=np.array([-888, -777], np.float32))
        odd: dict[str, Any] = {"source": 5, "history": np.arange(3), "location": ""}
        yield self.case("as it is", SAME, lambda raw: raw)
        yield self.case("scale of one", SAME, with_attrs(name, **one))
        yield self.case("list of missing values", SAME, missing)
        yield self.case("odd attributes", SAME, lambda raw: raw.assign_attrs(odd))
        yield self.case(
            "text beside",
            SAME,
            lambda raw: raw.assign(note=(dim, np.full(raw.sizes[dim], "a", object))),
        )
        for scale in ("0.1", np.nan, np.inf, 0.0, 0.1, np.array([0.1, 0.2])):
            yield self.case(f"scale {scale!r}", REFUSED, with_attrs(name, scale_factor=scale))
        yield self.case("offset as text", REFUSED, with_attrs(name, add_offset="none"))
        for text in ("none", "", "-9999 m"):
            yield self.case(
                f"missing value {text!r}", REFUSED, with_attrs(name, missing_value=text)
            )

    def values(self) -> Iterator[Case]:
        """Single values that are other values: the other profiles stay as they were."""
        names = self.kind.local or self.kind.fields
        for seed in range(16):
            rng = np.random.default_rng(100 + seed)
            name = names[seed % len(names)]
            variable = self.raw[name]
            at = tuple(int(rng.integers(0, size)) for size in variable.shape)
            odd = [np.nan, np.inf, -np.inf, 0, -40, 300, -9999, -1e9, 1e300, 9.96921e36]
            if variable.dtype.kind in "iu":
                odd = [np.iinfo(variable.dtype).min, np.iinfo(variable.dtype).max, 0, 1, 99, -1]
            value = float(rng.choice(odd))
            from_both_ends = (at[0], variable.shape[0] - 1 - at[0])  # a trajectory runs backwards
            near = tuple(profile + step for profile in from_both_ends for step in (-1, 0, 1))
            expect = REST if self.kind.local else SOUND
            yield self.case(
                f"{name}{list(at)} = {value}", expect, put(name, at, value), profiles=near
            )

    def bytes(self, whole: bytes) -> Iterator[Case]:
        """Files cut short, with flipped bits, or of no kind at all."""
        rng = np.random.default_rng(len(whole))
        damaged = {f"cut to {n}": whole[: int(n)] for n in rng.integers(1, len(whole) - 1, 8)}
        for content in (
            b"",
            b"\n",
            b"t,Z\n0,1\n",
            b"\x89HDF\r\n\x1a\n",
            b"CDF\x01",
            bytes(4096),
            b"PK\x03\x04" + bytes(99),
        ):
            damaged[f"bytes {content[:12]!r}"] = content
        for name, content in damaged.items():
            yield Case(name=name, expect=REFUSED, written=partial(Path.write_bytes, data=content))
        for number in range(20):
            # Half of the flips fall on the structure, which stands at the beginning.
            reach = len(whole) if number % 2 else min(len(whole), 6000)
            flipped = np.frombuffer(whole, dtype=np.uint8).copy()
            at = rng.integers(0, reach, int(rng.choice([1, 4, 20])))
            flipped[at] ^= (1 << rng.integers(0, 8, at.size)).astype(np.uint8)
            yield Case(
                name=f"flip {number}",
                expect=SOUND,
                written=partial(Path.write_bytes, data=flipped.tobytes()),
            )

    def hdf5(self) -> Iterator[Case]:
        """What the netCDF library would not write: attributes and types that HDF5 allows."""
        name = self.kind.fields[0]

        def edit(title: str, expect: Expect, change: Callable[[h5py.File], object]) -> Case:
            def written(path: Path) -> None:
                with h5py.File(path, "r+") as file:
                    change(file)

            form = None if self.kind.form == "HDF5" else "NETCDF4"
            return self.case(title, expect, lambda raw: raw, written=written, form=form)

        def set_attribute(key: str, value: Any) -> Callable[[h5py.File], object]:
            return lambda file: file[name].attrs.create(key, value)

        fill = self.raw[name].attrs.get("_FillValue", np.float32(-888))
        for value in (np.float64(fill), np.array([fill], np.float64)):
            yield edit(f"fill as {value!r}", SAME, set_attribute("_FillValue", value))
        for text in ("none", b"\xff\xfe", ["a", "b"]):
            yield edit(f"fill as {text!r}", REFUSED, set_attribute("_FillValue", text))
        yield edit("bad UTF-8", REFUSED, set_attribute(self.kind.unit_key, np.bytes_(b"m\xff")))
        for title, dtype in (
            ("truth values", "?"),
            ("records", "f4,f4"),
            ("complex numbers", "c8"),
        ):
            yield edit(title, REFUSED, partial(replace_values, name=name, dtype=dtype))
        yield edit(
            "a terabyte of nothing",
            REFUSED,
            partial(replace_values, name=name, dtype="f4", length=2**38),
        )
        yield edit("field is a group", REFUSED, partial(replace_by_group, name=name))

    def all(self, whole: bytes) -> list[Case]:
        groups = (self.units, self.order, self.clock, self.shape, self.fill, self.values, self.hdf5)
        return [case for group in groups for case in group()] + list(self.bytes(whole))


def replace_values(file: h5py.File, name: str, dtype: str, length: int | None = None) -> None:
    """Puts a dataset of another type or length that holds nothing in the place of one, with its units."""
    old = file[name]
    shape = old.shape if length is None else (length, *old.shape[1:])
    attrs = {key: old.attrs[key] for key in ("units", "unit", "DimensionNames") if key in old.attrs}
    scales = [axis[0] if len(axis) else None for axis in old.dims]
    del file[name]
    new = file.create_dataset(
        name, shape=shape, dtype=dtype, chunks=None if length is None else True
    )
    new.attrs.update(attrs)
    for axis, scale in enumerate(scales):
        if scale is not None:
            new.dims[axis].attach_scale(scale)


def replace_by_group(file: h5py.File, name: str) -> None:
    del file[name]
    file.create_group(name)


# The run of the cases.


def write_raw(raw: Raw, path: Path, form: str) -> Path:
    """Writes a file's content just as it is; `HDF5` the way GPM files are, with groups and names of dimensions."""
    if form == "HDF5":
        with h5py.File(path, "w") as file:
            file.attrs.update({str(key): value for key, value in raw.attrs.items()})
            for name, variable in raw.variables.items():
                item = file.create_dataset(str(name), data=variable.values)
                item.attrs.update(
                    variable.attrs | {"DimensionNames": ",".join(map(str, variable.dims))}
                )
        return path
    form = "NETCDF4" if 0 in raw.sizes.values() else form  # no length means an open one to netCDF-3
    encoding: dict[str, Any] = {
        str(n): {"_FillValue": None} for n in raw.variables if "_FillValue" not in raw[n].attrs
    }
    raw.drop_encoding().to_netcdf(path, engine="netcdf4", format=form, encoding=encoding)  # type: ignore[call-overload]
    return path


class Bench:
    """An archive with an earlier day or granule, into which one changed file after the other is ingested."""

    def __init__(self, kind: Kind, raw: Raw, folder: Path) -> None:
        self.kind, self.raw, self.folder, self.catalog = kind, raw, folder, folder / "catalog.yaml"
        clock, unit = ("-%H%M%S", "granule") if isinstance(kind.unit, datetime) else ("", "day")
        self.catalog.write_text(
            "version: 1\nsources:\n  fuzz:\n    title: small files\n    directory: fuzz\n    site:"
            f" none\n    instrument: none\n    reader: {kind.reader}\n    files:"
            f" '%Y%m%d{clock}.nc'\n    unit: {unit}\n    grid: {{rows: 16, row_depth_m: 78.125}}\n "
            "   quality: {empty_day: clear}\n"
        )
        self.archive = Archive(folder / "archive")
        self.right = write_raw(raw, folder / RIGHT_FILE, kind.form)
        self.ingest(self.right)
        self.expected = self.archive.open_day("fuzz", kind.unit).load()
        # The right curtain, a day earlier.
        held = self.archive.record("fuzz", kind.unit)
        earlier = self.expected.assign_coords(time=self.expected["time"] - np.timedelta64(1, "D"))
        kept = earlier.drop_vars("source_file", errors="ignore")
        self.archive.upsert(
            "fuzz", kind.unit - timedelta(days=1), {held.files[0]: kept}, held.configuration
        )
        self.entries = self.count_entries()
        self.outcomes: Counter[str] = Counter()

    def count_entries(self) -> int:
        return len(list(self.archive.root.glob("fuzz/*/*")))

    def ingest(self, path: Path) -> None:
        _, refused = ingest_granule(
            "fuzz", self.kind.unit, (path,), self.catalog, self.archive.root
        )
        if refused:
            raise SourceFileError("\n".join(refused.values()))

    def snapshot(self, without: str = "/") -> dict[str, bytes]:
        """Every file of the archive but those with a word in their name, notes of refused files left out."""
        files = {
            str(path.relative_to(self.archive.root)): path for path in self.archive.root.rglob("*")
        }
        return {
            name: (
                without_refusals(path)
                if "/ledger/" in name and path.suffix == ".json"
                else path.read_bytes()
            )
            for name, path in files.items()
            if without not in name and path.is_file()
        }

    def run(self, case: Case) -> str | None:
        """Returns what is wrong with the outcome of a case, if anything is."""
        path = (
            self.folder / "case" / RIGHT_FILE
        )  # a newer version of the file that the archive holds
        path.parent.mkdir(exist_ok=True)
        if case.content is not None:
            write_raw(case.content(self.raw), path, case.form or self.kind.form)
        if case.written is not None:
            case.written(path)
        before = self.snapshot("\0")
        try:
            with limit_time(), warnings.catch_warnings():
                warnings.simplefilter("error")
                self.ingest(path)
        except BlindzoneError as error:
            self.outcomes["refused"] += 1
            return self._judge_refusal(case, str(error), path.name, before)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        finally:
            path.unlink()
        self.outcomes["ingested"] += 1
        return self._judge_curtain(case, before)

    def _judge_refusal(
        self, case: Case, message: str, name: str, before: dict[str, bytes]
    ) -> str | None:
        if case.expect is SAME:
            return f"refused: {message}"
        if name not in message:
            return f"refused without its name: {message}"
        after = self.snapshot("\0")
        changed = [
            name for name in before.keys() | after.keys() if before.get(name) != after.get(name)
        ]
        return f"refused, and not as before: {changed}" if changed else None

    def _judge_curtain(self, case: Case, before: dict[str, bytes]) -> str | None:
        if case.expect is REFUSED:
            return "ingested"
        stamp = f"{self.kind.unit:%Y%m%d}"
        others = {name: content for name, content in before.items() if stamp not in name}
        if self.snapshot(stamp) != others or self.count_entries() != self.entries:
            return "ingested, and the earlier day is not as it was, or something is left over"
        found = self.archive.open_day("fuzz", self.kind.unit).load()
        for curtain in (
            (found.isel(ray=number) for number in range(found.sizes["ray"]))
            if "ray" in found.dims
            else (found,)
        ):
            check_curtain(curtain)
        return None if case.expect is SOUND else self._compare(case, found)

    def _compare(self, case: Case, found: xr.Dataset) -> str | None:
        right = self.expected
        if found.sizes != right.sizes or found.variables.keys() != right.variables.keys():
            return f"sizes {dict(found.sizes)}, variables {sorted(map(str, found.variables))}"
        step = np.abs(found["time"].values - right["time"].values).max() / np.timedelta64(1, "s")
        if step > (0.1 if case.tolerance else 0.002):
            return f"times differ by {step} s"
        kept = ~np.isin(np.arange(right.sizes["time"]), case.profiles)
        for name in found.variables.keys() - {"time", "source_file"}:
            here, there = (
                data[name].isel(time=kept, missing_dims="ignore").values for data in (found, right)
            )
            largest = np.max(np.abs(there), where=np.isfinite(there), initial=0.0)
            if not np.allclose(here, there, rtol=0, atol=case.tolerance * largest, equal_nan=True):
                return f"{name} differs"
        return None


def without_refusals(path: Path) -> bytes:
    """A ledger's record without what it notes of refused files, and when."""
    record = json.loads(path.read_text())
    del record["written"]
    record["files"] = [entry for entry in record["files"] if entry["verdict"] != "refused"]
    return json.dumps(record).encode()


@contextmanager
def limit_time() -> Iterator[None]:
    """Ends a case that takes too long."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"more than {TIME_LIMIT_S} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, TIME_LIMIT_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def run_cases(
    kind: Kind, raw: Raw, folder: Path, monkeypatch: pytest.MonkeyPatch, *, shifted: bool = False
) -> None:
    """Runs `WANTED` cases and units that nothing declares; or, shifted, as many other cases."""
    unraisable: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: unraisable.append(args.exc_value))
    bench = Bench(kind, raw, folder)
    cases, wrong = Cases(kind, raw).all(bench.right.read_bytes()), {}
    order = np.random.default_rng(1).permutation(len(cases))
    chosen = set(order[WANTED : 2 * WANTED] if shifted else order[:WANTED])
    cases = [
        case
        for number, case in enumerate(cases)
        if number in chosen or (case.always and not shifted)
    ]
    for case in cases:
        finding = bench.run(case)
        if finding or unraisable:
            wrong[case.name] = finding or f"on standard error: {unraisable.pop()!r}"
    print(f"{kind.reader}: {len(cases)} cases, {dict(bench.outcomes)}")
    assert not wrong, "\n".join(f"{name}: {finding}" for name, finding in wrong.items())
    assert len(cases) >= WANTED
    assert min(bench.outcomes["ingested"], bench.outcomes["refused"]) >= 3


@pytest.mark.parametrize("name", KINDS)
def test_changed_file_of_the_layout_is_ingested_right_or_refused_by_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    run_cases(KINDS[name], KINDS[name].write(), tmp_path, monkeypatch)
    assert capfd.readouterr().err == ""


def read_measured(kind: Kind, paths: list[Path]) -> Raw:
    """An excerpt of a measured file, or of several joined in time, with the variables that the reader takes."""
    named = (
        *kind.fields,
        *kind.required,
        *kind.optional,
        *kind.labelled,
        *kind.stated,
        *kind.clock,
    )
    names = tuple(dict.fromkeys((*named, "level")))
    if kind.form == "HDF5":
        return read_hdf5(paths[0], names).isel(kind.cut)
    parts = [read_netcdf(path, names) for path in paths[:PROFILES]]
    if len(parts) == 1:
        return parts[0].isel(kind.cut)
    common: dict[str, Any] = {
        "data_vars": "minimal",
        "coords": "minimal",
        "compat": "override",
        "join": "override",
    }
    return xr.concat(parts, dim="time", combine_attrs="override", **common)


@pytest.mark.parametrize("name", KINDS)
def test_changed_excerpt_of_a_measured_file_likewise(
    name: str,
    measured_directory: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    paths = sorted(measured_directory.glob(KINDS[name].measured))
    if not paths:
        pytest.skip(f"no measured file {measured_directory / KINDS[name].measured}")
    run_cases(KINDS[name], read_measured(KINDS[name], paths), tmp_path, monkeypatch, shifted=True)
    assert capfd.readouterr().err == ""
