"""Small files of a day at one site in Cloudnet layouts: radar, lidar, model, weather station."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import xarray as xr
from raw_files import write_raw

from blindzone.pipeline.readers.simulation import write_simulated_day

PROFILES = 60
FILL = np.float32(9.96921e36)
"""Fill value of netCDF."""


def make_radar(day: date, folder: Path) -> bytes:
    """Half an hour of a front."""
    path = folder / "radar.nc"
    write_simulated_day(day, path, hours=0.5, profile_step_s=30, scenes=("front",))
    return path.read_bytes()


def make_lidar(day: date, folder: Path) -> bytes:
    """Half an hour with cloud from 1 to 1.5 km."""
    height = np.arange(25.0, 8000.0, 50.0, dtype=np.float32)
    beta = np.full((PROFILES, height.size), FILL)
    gates = (height > 1000) & (height < 1500)
    # No two values are the same: one that comes often may stand for "no echo".
    beta[:, gates] = np.linspace(1e-5, 2e-5, PROFILES * gates.sum()).reshape(PROFILES, -1)
    raw = _lay_out(
        day,
        {
            "beta": (("time", "range"), beta, {"units": "sr-1 m-1", "_FillValue": FILL}),
            "range": ("range", height, {"units": "m"}),
            "zenith_angle": ((), np.float32(0), {"units": "degree"}),
        },
        source="Lufft CHM15k",
    )
    return write_raw(raw, folder / "lidar.nc").read_bytes()


def make_model(day: date, folder: Path) -> bytes:
    """Profiles that are 6 K km-1 colder above."""
    heights = np.tile(np.arange(10.0, 12_000.0, 500.0, dtype=np.float32), (PROFILES, 1))
    fields = {
        "temperature": (np.float32(280) - np.float32(0.006) * heights, "K"),
        "q": (np.full_like(heights, 0.003), "1"),
        "uwind": (np.full_like(heights, 7), "m s-1"),
        "vwind": (np.full_like(heights, -3), "m s-1"),
        "height": (heights, "m"),
    }
    profiles = {
        name: (("time", "level"), values, {"units": units})
        for name, (values, units) in fields.items()
    }
    ground = ("time", np.full(PROFILES, 156, dtype=np.float32), {"units": "m"})
    raw = _lay_out(day, {**profiles, "sfc_height_amsl": ground}, source="ECMWF IFS")
    return write_raw(raw, folder / "model.nc").read_bytes()


def _lay_out(day: date, variables: dict[str, tuple[object, ...]], *, source: str) -> xr.Dataset:
    hours = np.arange(PROFILES) / 120
    site = {
        "latitude": ((), np.float32(48.717), {"units": "degree_north"}),
        "longitude": ((), np.float32(2.209), {"units": "degree_east"}),
        "altitude": ((), np.float32(156), {"units": "m"}),
    }
    time = ("time", hours, {"units": f"hours since {day} 00:00:00 +00:00"})
    return xr.Dataset(
        {**variables, **site, "time": time}, attrs={"location": "Palaiseau", "source": source}
    )
