"""Small Cloudnet files of a weather station and a disdrometer, as CloudnetPy lays them out."""

from __future__ import annotations

import numpy as np
import xarray as xr

MINUTES = 120
FILL = np.float32(9.96921e36)
"""Fill value of netCDF."""
_FILE = "cloudnet_file_type"


def make_station_raw(day: str = "2021-03-14", minutes: int = MINUTES) -> xr.Dataset:
    """Air that warms by 0.01 K a minute in a wind of 4 m s-1, and rain of 1 mm h-1 throughout."""
    minute = np.arange(minutes, dtype=np.float32)
    fields = {
        "air_temperature": (280 + minute / 100, "K"),
        "relative_humidity": (np.full_like(minute, 0.8), "1"),
        "air_pressure": (np.full_like(minute, 1e5), "Pa"),
        "wind_speed": (np.full_like(minute, 4), "m s-1"),
        "wind_direction": (np.full_like(minute, 270), "degree"),
        "rainfall_rate": (np.full_like(minute, 1e-3 / 3600), "m s-1"),
        "rainfall_amount": (minute * np.float32(1e-3 / 60), "m"),
    }
    return _lay_out(day, fields, "weather-station")


def make_disdrometer_raw(day: str = "2021-03-14", minutes: int = MINUTES) -> xr.Dataset:
    """Rain of 2 mm h-1 in every other minute, from the first on; no particle in the others."""
    is_wet = np.arange(minutes) % 2 == 0
    fields = {
        "rainfall_rate": (np.where(is_wet, 2e-3 / 3600, 0), "m s-1"),
        "snowfall_rate": (np.zeros(minutes), "m s-1"),
        "radar_reflectivity": (np.where(is_wet, 25, -9.999), "dBZ"),
        "visibility": (np.where(is_wet, 5000, 20_000), "m"),
        "n_particles": (np.where(is_wet, 40, 0), "1"),
    }
    raw = _lay_out(day, fields, "disdrometer")
    state = ("time", np.zeros(minutes, dtype=np.int32), {"units": "1"})
    return raw.assign(state_sensor=state)


def _lay_out(day: str, fields: dict[str, tuple[np.ndarray, str]], kind: str) -> xr.Dataset:
    site = {"latitude": 48.716, "longitude": 2.212, "altitude": 156.0}
    units = {"latitude": "degree_north", "longitude": "degree_east", "altitude": "m"}
    minutes = len(next(iter(fields.values()))[0])
    return xr.Dataset(
        {
            name: ("time", values.astype(np.float32), {"units": unit, "_FillValue": FILL})
            for name, (values, unit) in fields.items()
        }
        | {name: ((), np.float32(value), {"units": units[name]}) for name, value in site.items()},
        {
            "time": (
                "time",
                (np.arange(minutes) / 60).astype(np.float32),
                {"units": f"hours since {day} 00:00:00 +00:00"},
            )
        },
        {"location": "Palaiseau", "source": "instrument", _FILE: kind},
    )
