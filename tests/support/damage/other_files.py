"""Small valid files of lidars, states, categorize and spaceborne radars, and facts on each kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import xarray as xr
from surface_files import make_disdrometer_raw, make_station_raw

from damage.cases import REFUSED, REST, Expect, Raw

PROFILES = 8
FILL = np.float32(9.96921e36)
DPR_FILL = np.float32(-9999.9)
Convert = Callable[[np.ndarray], Any]


@dataclass(frozen=True)
class OtherUnit:
    """Another unit of some variables: its conversion, and its outcome, declared and not."""

    names: str
    called: str
    convert: Convert
    declared: Expect = REST
    silent: Expect | None = REFUSED
    """`None` where it cannot be noticed."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of file, and the part of its variables for its reader.

    Attributes:
        reader: Name of the reader.
        unit: Day or granule.
        measured: Measured files of it, below the data directory.
        cut: Part of one that is taken.
        write: Makes a small file of the layout.
        fields: Floats of profiles and levels that must be there.
        required: Other variables that must be there.
        optional: Variables that may be absent.
        labelled: Variables that must state their units.
        stated: Variables whose units may be left out.
        units: Other units.
        levels: Variable of the levels' heights, if they are those of all profiles.
        since: Variable that counts time since an instant, and the words of its units.
        clock: Calendar fields with wrong values.
        local: Variables of which a value changes its own profile alone.
        exceptions: Other required outcomes than usual, by case.
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
    units: tuple[OtherUnit, ...]
    levels: str = ""
    since: tuple[str, str] = ("", "")
    clock: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    profile_dims: tuple[str, ...] = ("time",)
    level_dim: str = "range"
    local: tuple[str, ...] = ()
    form: str = "NETCDF4"
    unit_key: str = "units"
    exceptions: Mapping[str, Expect] = field(default_factory=dict)


def lay_out(variables: Mapping[str, tuple[Any, ...]], *, key: str = "units", **attrs: Any) -> Raw:
    """A file's content of `(dims, values, units, attributes)`; floats but times are single."""
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
    """Noise of 1e-13 sr-1 m-3, range-corrected, and cloud of 1e-4 sr-1 m-1 in gates 30 to 36."""
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


def write_station() -> Raw:
    return make_station_raw("2021-03-11", PROFILES)


def write_disdrometer() -> Raw:
    return make_disdrometer_raw(minutes=PROFILES)
