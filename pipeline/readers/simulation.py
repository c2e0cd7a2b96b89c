"""Simulated radar days: for demonstrations without measured data, and for tests.

A day is a sequence of scenes. Each gives the reflectivity [dBZ] of its hydrometeors;
they add up in linear units, and one radar looks at the sum, with its noise, sensitivity floor and
ground clutter. Texture has the spectrum of turbulence and is carried down along fall streaks, so
echo above a height has some information on that below; how much evaporates or grows there is drawn
separately, so the information is never complete.

The numbers were set by eye and by percentile against 18 winter days of a 95-GHz radar at a
mid-latitude site. Not simulated: attenuation, insects, velocity folding. No score here speaks of
the real atmosphere.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import xarray as xr

from blindzone.core.errors import CurtainError, SourceFileError
from blindzone.core.files import write_atomically
from blindzone.pipeline.curtains.netcdf import encode_netcdf
from blindzone.pipeline.readers._scenes import FAINTEST, RADAR, SCENES, Block, to_dbz, to_linear

_FILL_VALUE = np.float32(9.96921e36)
_VERSION = 1
"""Goes into `file_uuid`: to be raised with any change that changes the values of a day."""


SCENE_NAMES = tuple(SCENES)
"""Names of the scenes that a simulated day can be made of."""


def simulate_day(
    day: date,
    *,
    seed: int = 0,
    hours: float = 24.0,
    profile_step_s: float = 12.0,
    scenes: tuple[str, ...] | None = None,
) -> xr.Dataset:
    """Returns one simulated UTC day of native radar fields in the Cloudnet Level 1b layout.

    The same arguments always give the same values (between machines, to rounding).

    Args:
        day: The UTC day; it sets the season, and with `seed` all random draws.
        seed: Seed of the archive, not negative.
        hours: Length from midnight [h], at most 24.
        profile_step_s: Time between profiles [s].
        scenes: Names from `SCENE_NAMES`, one after the other in equal shares of the time. By
            default each day draws its own mixture.

    Returns:
        A dataset with `Zh` [dBZ] and `v` [m s-1, positive away from the radar] `(time, range)`,
        float32, NaN where there is no echo, and the layout's other variables.

    Raises:
        CurtainError: If a scene is unknown, the seed negative, or no profile fits into the time
            given.
    """
    profiles = _check_settings(seed, hours, profile_step_s, scenes)
    sequence = np.random.SeedSequence([seed, day.toordinal()])
    rng = np.random.default_rng(sequence)
    freezing_m = _freezing_level(day, rng)
    spans = (
        _mixed_day(rng)
        if scenes is None
        else _spans(scenes, np.arange(len(scenes) + 1) / len(scenes))
    )
    gates = RADAR.range_m
    whole = Block(
        rng=rng, step_s=profile_step_s, profiles=profiles, height_m=gates, freezing_m=freezing_m
    )
    reflectivity, velocity = _observe(*_sum_scenes(spans, sequence, whole), whole)
    hours_of_day = (np.arange(profiles) + 0.5) * profile_step_s / 3600
    names = "mixed" if scenes is None else " ".join(scenes)
    settings = (
        f"version {_VERSION}, seed {seed}, {float(hours)} h by {float(profile_step_s)} s, scenes"
        f" {names}"
    )
    return _to_level_1b(day, hours_of_day, reflectivity, velocity, settings)


def write_simulated_day(
    day: date,
    path: Path,
    *,
    seed: int = 0,
    hours: float = 24.0,
    profile_step_s: float = 12.0,
    scenes: tuple[str, ...] | None = None,
) -> None:
    """Writes one simulated day as a Cloudnet Level 1b netCDF-4 file.

    The file is written next to its place and moved there whole, so that a killed writer leaves
    nothing, or the earlier file, under `path`. The other arguments, and what is raised of them, are
    those of `simulate_day`.
    """
    dataset = simulate_day(
        day, seed=seed, hours=hours, profile_step_s=profile_step_s, scenes=scenes
    )
    encoding: dict[str, dict[str, object]] = {
        str(name): {"_FillValue": None} for name in dataset.variables
    }
    for name in ("Zh", "v"):
        encoding[name] = {"_FillValue": _FILL_VALUE, "zlib": True, "complevel": 4, "shuffle": True}
    with write_atomically(path, error=SourceFileError) as partial:
        partial.write_bytes(encode_netcdf(dataset, encoding))


def _check_settings(
    seed: int, hours: float, profile_step_s: float, scenes: tuple[str, ...] | None
) -> int:
    """Returns the number of profiles, after checking what was asked for."""
    unknown = [name for name in scenes or () if name not in SCENES]
    if unknown or (scenes is not None and not scenes):
        raise CurtainError(
            f"simulation: no scene is called {unknown or 'nothing'}; right:"
            f" {', '.join(SCENE_NAMES)}"
        )
    if seed < 0:
        raise CurtainError(f"simulation: the seed must not be negative; found {seed}")
    if not (0 < hours <= 24 and profile_step_s > 0):
        raise CurtainError(
            f"simulation: found {hours} h in steps of {profile_step_s} s; 0 < h <= 24, s > 0 is"
            " right"
        )
    profiles = int(hours * 3600 / profile_step_s + 1e-6)
    if profiles < 1:
        raise CurtainError(f"simulation: no profile of {profile_step_s} s fits into {hours} h")
    return profiles


def _freezing_level(day: date, rng: np.random.Generator) -> float:
    """Returns the height of the 0 degree level [m], by season, as in northern mid-latitudes."""
    season = np.cos(2 * np.pi * (day.timetuple().tm_yday - 20) / 365.25)
    return float(2000 - 1200 * season + 500 * rng.standard_normal())


def _spans(
    names: tuple[str, ...], limits: np.ndarray, overlap: float = 0
) -> list[tuple[str, float, float]]:
    """Returns (name, begin, end) of scenes between limits `(scene + 1,)` [share of the day]."""
    begins, ends = np.maximum(limits[:-1] - overlap, 0), np.minimum(limits[1:] + overlap, 1)
    return list(zip(names, begins.tolist(), ends.tolist(), strict=True))


def _mixed_day(rng: np.random.Generator) -> list[tuple[str, float, float]]:
    """Returns a day's own mixture: some scenes, each once, with cirrus above any of them."""
    weights = np.array([scene.weight for scene in SCENES.values()])
    names = rng.choice(
        SCENE_NAMES,
        size=rng.integers(3, len(SCENE_NAMES)),
        replace=False,
        p=weights / weights.sum(),
    )
    limits = np.concatenate([[0.0], np.cumsum(rng.dirichlet(np.full(names.size, 6.0)))])
    passing = np.sort(rng.uniform(0, 1, size=2))
    return _spans(tuple(names.tolist()), limits, overlap=0.02) + _spans(("cirrus",), passing)


def _sum_scenes(
    spans: Sequence[tuple[str, float, float]], sequence: np.random.SeedSequence, whole: Block
) -> tuple[np.ndarray, np.ndarray]:
    """Returns reflectivity [mm6 m-3] and turbulence [m s-1] of all scenes, `(time, range)`."""
    profiles, gates = whole.profiles, whole.height_m
    linear = np.zeros((profiles, gates.size), dtype=np.float32)
    stirred = np.zeros_like(linear)
    for (name, begin, end), own_sequence in zip(spans, sequence.spawn(len(spans)), strict=True):
        scene = SCENES[name]
        when = slice(round(begin * profiles), round(end * profiles))
        if when.start == when.stop:
            continue
        heights = gates[gates < scene.ceiling_m]
        own_rng = np.random.default_rng(own_sequence)
        block = replace(whole, rng=own_rng, profiles=when.stop - when.start, height_m=heights)
        own = to_linear(scene.dbz(block))
        linear[when, : heights.size] += own
        stirred[when, : heights.size] += scene.turbulence_m_s * own
    return linear, stirred / np.maximum(linear, FAINTEST)


def _observe(
    linear: np.ndarray, turbulence_m_s: np.ndarray, block: Block
) -> tuple[np.ndarray, np.ndarray]:
    """Returns recorded Zh [dBZ] and v [m s-1] `(time, range)`, NaN where there is no echo."""
    shape, missing = linear.shape, np.float32(np.nan)
    floor = to_linear(RADAR.floor_dbz + 20 * np.log10(block.height_m / 1000))
    # Fading of a finite number of pulses (about 5 %), and noise far below what would pass for an
    # echo.
    linear = linear * (1 + 0.05 * block.rng.standard_normal(shape, dtype=np.float32))
    linear = linear * to_linear(0.8 * block.noise(0.3, 75))
    linear += 0.15 * floor * block.rng.standard_normal(shape, dtype=np.float32)
    linear[:, block.height_m < RADAR.blank_m] = 0
    velocity = turbulence_m_s * block.noise(1, 500) - _fall_speed(to_dbz(linear), block)
    for range_m, share in RADAR.clutter_share:
        clutter = RADAR.clutter_dbz + 1.5 * block.rng.standard_normal(shape[0], dtype=np.float32)
        hit = block.rng.uniform(size=shape[0]) < share
        gate = int(np.argmin(np.abs(block.height_m - range_m)))
        linear[:, gate] += np.where(hit, to_linear(clutter), np.float32(0))
    echo = linear > floor
    return np.where(echo, to_dbz(linear), missing), np.where(echo, velocity, missing).astype(
        np.float32
    )


def _fall_speed(dbz: np.ndarray, block: Block) -> np.ndarray:
    """Returns the reflectivity-weighted fall speed [m s-1] `(time, range)`.

    Straight lines through what W-band radars see: ice 0.4 (-30 dBZ) to 1.2 (10 dBZ), liquid from
    cloud droplets (0 at -30 dBZ) over drizzle (1 at -20 dBZ) to rain (4 at 10 dBZ). Melting takes
    300 m.
    """
    ice = np.clip(1.0 + 0.02 * dbz, 0.2, 1.6)
    liquid = np.clip(3 + 0.1 * dbz, 0, 5.5)
    melted = np.clip((block.freezing_m - block.height_m) / 300, 0, 1)
    return np.asarray(ice + melted * (liquid - ice))


def _to_level_1b(
    day: date, hours: np.ndarray, reflectivity: np.ndarray, velocity: np.ndarray, settings: str
) -> xr.Dataset:
    """Returns the fields with the coordinates and attributes of a Cloudnet Level 1b radar file."""
    altitude_m = np.float32(100)
    values = {
        "Zh": (("time", "range"), reflectivity),
        "v": (("time", "range"), velocity),
        "height": (("range",), RADAR.range_m + altitude_m),
        "latitude": ((), np.float32(50)),
        "longitude": ((), np.float32(5)),
        "altitude": ((), altitude_m),
        "zenith_angle": ((), np.float32(0)),
        "radar_frequency": ((), np.float32(95)),
        "nyquist_velocity": ((), np.float32(10)),
    }
    coordinates = {"time": (("time",), hours), "range": (("range",), RADAR.range_m)}
    identity = f"blindzone simulated radar day {day.isoformat()}, {settings}"
    dataset = xr.Dataset(values, coordinates)
    for name, attributes in _ATTRIBUTES.items():
        dataset[name].attrs = dict(attributes)
    dataset["time"].attrs["units"] = f"hours since {day.isoformat()} 00:00:00 +00:00"
    dataset.attrs = {
        "Conventions": "CF-1.8",
        "title": f"Simulated cloud radar day {day.isoformat()}, no measurement",
        "source": "simulated 95 GHz cloud radar",
        "location": "simulated site",
        "cloudnet_file_type": "radar",
        **dict(zip(("year", "month", "day"), day.isoformat().split("-"), strict=True)),
        "file_uuid": str(uuid.uuid5(uuid.NAMESPACE_URL, identity)),
        "history": f"simulated by blindzone.pipeline.readers.simulation, {settings}",
        "references": "Layout: Cloudnet Level 1b, https://doi.org/10.21105/joss.02123",
    }
    return dataset


_ATTRIBUTES = {
    "Zh": {"units": "dBZ", "long_name": "Simulated radar reflectivity factor"},
    "v": {
        "units": "m s-1",
        "long_name": "Simulated Doppler velocity",
        "comment": "Positive away from the radar.",
    },
    "height": {"units": "m", "standard_name": "height_above_mean_sea_level"},
    "latitude": {"units": "degree_north", "standard_name": "latitude"},
    "longitude": {"units": "degree_east", "standard_name": "longitude"},
    "altitude": {"units": "m", "standard_name": "altitude"},
    "zenith_angle": {"units": "degree", "standard_name": "zenith_angle"},
    "radar_frequency": {"units": "GHz", "long_name": "Radar transmit frequency"},
    "nyquist_velocity": {"units": "m s-1", "long_name": "Nyquist velocity"},
    "range": {"units": "m", "long_name": "Range from instrument", "axis": "Z"},
    "time": {"long_name": "Time UTC", "standard_name": "time", "axis": "T", "calendar": "standard"},
}
