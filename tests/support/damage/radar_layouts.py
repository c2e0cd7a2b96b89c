"""Small valid radar files of every layout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from blindzone.pipeline.readers._netcdf import read_netcdf
from blindzone.pipeline.readers.simulation import write_simulated_day
from damage.cases import Raw

DAY = date(2000, 1, 2)
MIDNIGHT_S = 946771200
"""2000-01-02 in seconds since 1970: 10958 days."""
PROFILES, GATES = 48, 48
FILL = np.float32(-9999)
LAYOUT_NAMES = ("cloudnet", "rpg", "kazr", "arscl", "mrr", "improtoo")


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A valid small file, and the names of its variables."""

    name: str
    reader: str
    raw: Raw
    field: str
    velocity: str
    gates: str = "range"
    time: str = "time"
    linear: bool = False
    finds_noise: bool = False
    day: date = DAY


def make_reflectivity() -> np.ndarray:
    """Cloud of -30 to 5 dBZ in gates 10 to 30 of the first 36 profiles, NaN elsewhere."""
    z = np.full((PROFILES, GATES), np.nan)
    z[:36, 10:30] = np.random.default_rng(5).uniform(-30, 5, (36, 20))
    return z


def make_grids(z: np.ndarray, fill: float, units: str) -> dict[str, Any]:
    dims, attrs = ("time", "range"), {"_FillValue": np.float32(fill)}
    velocity = np.where(np.isnan(z), fill, np.linspace(-3, 1, PROFILES)[:, np.newaxis])
    return {
        "z": (dims, np.where(np.isnan(z), fill, z).astype(np.float32), {"units": units, **attrs}),
        "v": (dims, velocity.astype(np.float32), {"units": "m/s", **attrs}),
    }


def make_base() -> Raw:
    """Profiles 10 s apart from 06:00 on, gates of 30 m."""
    gates = (15 + 30 * np.arange(GATES)).astype(np.float32)
    return xr.Dataset(coords={"range": ("range", gates, {"units": "m"})})


def make_seconds(since: str, start_s: float) -> tuple[str, np.ndarray, dict[str, str]]:
    return "time", start_s + 21600 + 10.0 * np.arange(PROFILES), {"units": f"seconds since {since}"}


def make_site(*names: str) -> dict[str, Any]:
    values = zip(names, (50.5, 6.25, 90.0), ("degrees_north", "degrees_east", "m"), strict=True)
    return {name: ((), np.float32(value), {"units": units}) for name, value, units in values}


def make_rpg() -> Raw:
    z = make_reflectivity()
    raw = make_base().assign(make_grids(10 ** (z / 10), -999, "mm^6/m^3")).rename(z="Ze", v="vm")
    # 2000-01-02 is before the epoch of 2001, which its unsigned seconds cannot say: a year and a
    # day later.
    seconds = (366 * 86400 + 21600 + 10 * np.arange(PROFILES)).astype(np.uint32)
    described = {"units": "seconds UTC", "long_name": "Time in sec since 2001.01.01. 00:00:00"}
    milliseconds = np.full(PROFILES, 250, dtype=np.int32)
    return raw.assign(
        {"sampleTms": ("time", milliseconds, {"units": "mu s"}), **make_site("Lat", "Lon", "MSL")}
    ).assign_coords(time=("time", seconds, described))


def make_kazr() -> Raw:
    power = -22 + 10 * np.log10(np.random.default_rng(3).gamma(8, 1 / 8, (PROFILES, GATES)))
    z = make_reflectivity()
    power = np.where(np.isnan(z), power, -2)
    grids = make_grids(np.where(np.isnan(z), power - 30, z), FILL, "dBZ")
    raw = make_base().assign(grids).rename(z="reflectivity_copol", v="mean_doppler_velocity_copol")
    offset = make_seconds("2000-01-02 00:00:00 0:00", 0)
    snr = (("time", "range"), power.astype(np.float32), {"units": "dB", "_FillValue": FILL})
    return raw.assign(
        {
            "time_offset": offset,
            "signal_to_noise_ratio_copol": snr,
            **make_site("lat", "lon", "alt"),
        }
    ).assign(elevation=("time", np.full(PROFILES, 90, np.float32), {"units": "degree"}))


def make_arscl() -> Raw:
    grids = make_grids(make_reflectivity(), FILL, "dBZ")
    raw = (
        make_base()
        .assign(grids)
        .rename(z="reflectivity_best_estimate", v="mean_doppler_velocity", range="height")
    )
    qc = np.where(raw["reflectivity_best_estimate"] == FILL, 4, 0).astype(np.int32)
    flag = np.full(PROFILES, 31, dtype=np.int32)
    return raw.assign(
        {
            "qc_reflectivity_best_estimate": (("time", "height"), qc, {"bit_3_assessment": "Bad"}),
            "instrument_availability_flag": ("time", flag),
            "time_offset": make_seconds("2000-01-02 00:00:00 0:00", 0),
            **make_site("lat", "lon", "alt"),
        }
    )


def make_mrr() -> Raw:
    raw = make_base().assign(make_grids(make_reflectivity(), np.nan, "dBZ")).rename(z="Ze", v="VEL")
    elevation = ("time", np.full(PROFILES, 90, np.float32), {"units": "degrees"})
    site = make_site("latitude", "longitude", "altitude")
    return raw.assign({"elevation": elevation, **site}).assign_coords(
        time=make_seconds("1970-01-01", MIDNIGHT_S)
    )


def make_improtoo() -> Raw:
    raw = make_base().assign(make_grids(make_reflectivity(), FILL, "dBz")).rename(z="Ze", v="W")
    heights = (
        ("time", "range"),
        np.tile(raw["range"].values, (PROFILES, 1)),
        {"units": "m", "_FillValue": FILL},
    )
    raw = raw.assign(height=heights).assign_coords(
        range=("range", np.arange(1, GATES + 1), {"units": "#"})
    )
    return raw.assign_coords(time=make_seconds("1970-01-01", MIDNIGHT_S))


def make_simulated(folder: Path) -> Raw:
    path = folder / "simulated.nc"
    write_simulated_day(DAY, path, hours=0.5, scenes=("front",))
    return cut(read_netcdf(path), 150, 56)


def cut(raw: Raw, profiles: int, gates: int | None = None) -> Raw:
    """The first profiles and gates of a file."""
    wanted = {"time": slice(profiles), "range": slice(gates)}
    return raw.isel({name: part for name, part in wanted.items() if name in raw.dims})


def make_layout(name: str, folder: Path) -> Layout:
    arscl = {
        "field": "reflectivity_best_estimate",
        "velocity": "mean_doppler_velocity",
        "gates": "height",
    }
    layouts: dict[str, Callable[[], dict[str, Any]]] = {
        "cloudnet": lambda: {
            "reader": "cloudnet_radar",
            "raw": make_simulated(folder),
            "field": "Zh",
            "velocity": "v",
        },
        "rpg": lambda: {
            "reader": "rpg_fmcw94",
            "raw": make_rpg(),
            "field": "Ze",
            "velocity": "vm",
            "linear": True,
            "day": date(2002, 1, 2),
        },
        "kazr": lambda: {
            "reader": "arm_kazr",
            "raw": make_kazr(),
            "field": "reflectivity_copol",
            "time": "time_offset",
            "velocity": "mean_doppler_velocity_copol",
            "finds_noise": True,
        },
        "arscl": lambda: {
            "reader": "arm_kazr",
            "raw": make_arscl(),
            "time": "time_offset",
            **arscl,
        },
        "mrr": lambda: {"reader": "mrr", "raw": make_mrr(), "field": "Ze", "velocity": "VEL"},
        "improtoo": lambda: {
            "reader": "mrr",
            "raw": make_improtoo(),
            "field": "Ze",
            "velocity": "W",
            "gates": "height",
        },
    }
    return Layout(name=name, **layouts[name]())
