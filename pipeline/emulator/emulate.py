"""From a ground radar's native curtain to the native curtain of a spaceborne radar.

What it is not: a mean wind turns time into space, so that the emulated track shows what passes over
one place. Nothing evolves while the satellite flies by.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from blindzone.core.errors import CurtainError
from blindzone.pipeline.curtains.curtain import DIMS, DetectionStatus, QualityFlag
from blindzone.pipeline.curtains.findings import pick_findings
from blindzone.pipeline.emulator.along_track import Track, Wind, lay_track
from blindzone.pipeline.emulator.attenuation import Attenuation, find_attenuation
from blindzone.pipeline.emulator.doppler import find_motion_velocity, measure_velocity
from blindzone.pipeline.emulator.frequency import convert_dielectric_factor, to_w_band
from blindzone.pipeline.emulator.noise import find_echo, measure_reflectivity
from blindzone.pipeline.emulator.range_weighting import find_share_below, weigh_gates
from blindzone.pipeline.emulator.sensor import Sensor
from blindzone.pipeline.emulator.settings import FASTEST, SLOWEST, EmulationSettings
from blindzone.pipeline.emulator.surface_echo import find_blind_zone_top

EMULATED_FROM = "emulated_from"
"""Attribute of every emulated curtain: the instrument that was there."""
_LEAST_KNOWN = 0.5
"""Share of a pulse that must be in known gates; else it is no measurement."""
_SLOWEST_WIND = 1.0
"""Wind of a state or station is no slower [m s-1]: still air would pass no distance at all."""
_KEPT = (
    "site",
    "institution",
    "creator",
    "publisher",
    "license",
    "references",
    "file_uuid",
    "reader",
)
"""Attributes of the ground radar's curtain that stay."""


@dataclass(frozen=True, kw_only=True)
class _Averages:
    """Averages over beam, pulses and range, `(profile, sensor gate)`.

    Attributes:
        linear: Reflectivity [mm6 m-3], where known.
        known: Share of the pulse that is in known gates, 0 to 1.
        untrusted: Share that is in untrusted gates or below the lowest gate.
        velocity: Mean Doppler velocity, positive away from the spaceborne radar [m s-1], NaN where
            none is known; none of a sensor or a ground radar without it.
        width: Width of the spectrum within the volume [m s-1].
    """

    linear: np.ndarray
    known: np.ndarray
    untrusted: np.ndarray
    velocity: np.ndarray | None
    width: np.ndarray | None


def emulate(
    curtain: xr.Dataset,
    settings: EmulationSettings,
    *,
    frequency_ghz: float | None = None,
    state: xr.Dataset | None = None,
    station: xr.Dataset | None = None,
) -> xr.Dataset:
    """Returns the native curtain `(time, height)` that a spaceborne radar would measure.

    The same curtain and settings give the same bits. In the blind zone there is what the radar
    would see without the surface echo; `blind_zone_top` states how far up that hides it.

    Args:
        curtain: Native curtain of a ground radar at W or Ka band, quality rules applied. Untrusted
            gates and those without data are unknown. Its state, where it has one, gives
            temperature and humidity.
        settings: Sensor, wind and the rest.
        frequency_ghz: Frequency of the ground radar [GHz]; the curtain's own by default.
        state: State curtain of the whole day, for its wind; the curtain's own by default.
        station: Surface series `(time,)` of the whole day, for its wind.

    Raises:
        CurtainError: If it is no curtain of a ground radar, its band is another one, it is shorter
            than one profile, or the wind of its state or of a station is asked for and there is
            none.
    """
    check_ground_radar(curtain)
    sensor = settings.spaceborne
    stated = curtain.attrs.get("frequency_ghz") if frequency_ghz is None else frequency_ghz
    echo = curtain["detection_status"].values == DetectionStatus.ECHO
    dbz = to_w_band(np.where(echo, curtain["reflectivity"].values, np.nan), stated)
    dbz = dbz + convert_dielectric_factor(settings.dielectric_factor, sensor.dielectric_factor)
    lost = find_attenuation(
        curtain,
        dbz,
        frequency_ghz=sensor.frequency_ghz,
        ground_frequency_ghz=sensor.frequency_ghz if stated is None else stated,
    )
    times = curtain["time"].values
    wind = find_wind(times[0], curtain if state is None else state, settings, station)
    track = lay_track(times, wind, sensor, settings.phase)
    averages = _average(curtain, _to_linear(dbz, lost, settings), track, sensor)
    random = np.random.default_rng([settings.seed, _count_seconds(curtain)])
    tops = find_blind_zone_top(sensor, settings.surface, _transmit(lost, track, settings), random)
    fields = _measure(averages, sensor, random if settings.noise else None)
    return _build(curtain, fields, track, tops, sensor)


def check_ground_radar(curtain: xr.Dataset) -> None:
    """Checks that a dataset is a curtain `(time, height)` of a radar on the ground.

    Raises:
        CurtainError: If not.
    """
    if "reflectivity" not in curtain or "ray" in curtain.dims:
        raise CurtainError(
            f"emulation: it holds {', '.join(map(str, curtain.data_vars))} over"
            f" {tuple(map(str, curtain.sizes))}; reflectivity over {DIMS} is right"
        )
    if "along_track_distance" in curtain.coords:
        raise CurtainError(
            "emulation: the curtain is a spaceborne radar's already; that of a radar on the ground"
            " is right"
        )
    if "gate_height" in curtain:
        raise CurtainError(
            "emulation: the gates of the curtain slope; gates at the same heights in all profiles"
            " are right"
        )


def find_wind(
    start: np.datetime64,
    state: xr.Dataset,
    settings: EmulationSettings,
    station: xr.Dataset | None = None,
) -> Wind:
    """Returns the wind that turns time into distance.

    Args:
        start: Time of the first profile.
        state: Curtain with winds `(time, height)`, if it is to be theirs: the speed of the mean
            over all heights. One of the whole day gives all files of the day one track.
        settings: Which wind.
        station: Surface series `(time,)`, if it is to be its speed. Directions are not needed.

    Raises:
        CurtainError: If it is to be that of the state or of a station, and there is none.
    """
    day = start.astype("datetime64[D]")
    if settings.wind == "drawn":
        random = np.random.default_rng([settings.seed, int(day.astype(np.int64))])
        return Wind.constant(random.uniform(SLOWEST, FASTEST), day)
    if settings.wind == "station":
        return _find_station_wind(station)
    if settings.wind != "state":
        return Wind.constant(float(settings.wind), day)
    names = ("eastward_wind", "northward_wind")
    parts = [state[name].values for name in names if name in state]
    is_known = np.logical_and.reduce([np.isfinite(part) for part in parts])
    if len(parts) < len(names) or not is_known.any():
        raise CurtainError(
            "emulation: 'wind: state' needs a state with both winds on the day; ingest the source"
            " that 'partners: {state: ...}' names, or state a speed in m s-1 or 'drawn'"
        )
    used = is_known.any(axis=1)
    east, north = (
        np.mean(part[used], axis=1, where=is_known[used], dtype=np.float64) for part in parts
    )
    speed = np.maximum(np.hypot(east, north), _SLOWEST_WIND)
    return Wind(time=state["time"].values[used], speed=speed)


def _find_station_wind(station: xr.Dataset | None) -> Wind:
    """Returns the wind of a station, linear over the times at which it measured none."""
    known = np.empty(0, dtype=bool)
    if station is not None and "wind_speed" in station:
        known = np.isfinite(station["wind_speed"].values)
    if station is None or not known.any():
        raise CurtainError(
            "emulation: 'wind: station' needs a wind_speed measured at the surface on the day;"
            " ingest the weather station that 'partners: {surface: [...]}' names, or state a speed"
            " in m s-1 or 'drawn'"
        )
    speed = station["wind_speed"].values[known].astype(np.float64)
    return Wind(time=station["time"].values[known], speed=np.maximum(speed, _SLOWEST_WIND))


def _to_linear(dbz: np.ndarray, lost: Attenuation, settings: EmulationSettings) -> np.ndarray:
    """Returns reflectivity [mm6 m-3] as seen from above, 0 where there is no echo."""
    if settings.attenuation:
        dbz = dbz - lost.from_above
        if settings.attenuated_from_below:
            dbz = dbz + lost.from_below
    return np.nan_to_num(10 ** (0.1 * dbz), nan=0.0)


def _transmit(lost: Attenuation, track: Track, settings: EmulationSettings) -> np.ndarray:
    """Returns the share of the surface echo that comes through, `(profile,)`."""
    if not settings.attenuation:
        return np.ones(track.time.size)
    weight = np.asarray(track.weights.sum(axis=1))
    through = track.weights @ 10 ** (-0.1 * lost.total)
    # In a gap nothing is known, and nothing of it is kept.
    return np.asarray(through / np.where(weight > 0, weight, np.inf))


def _average(curtain: xr.Dataset, linear: np.ndarray, track: Track, sensor: Sensor) -> _Averages:
    """Returns averages of reflectivity [mm6 m-3] `(time, gate)` and velocity."""
    heights, status = curtain["height"].values, curtain["detection_status"].values
    in_range = weigh_gates(heights, sensor).T
    untrusted = status == DetectionStatus.UNTRUSTED
    usable = ~untrusted & (status != DetectionStatus.NO_DATA)

    def weigh(values: np.ndarray) -> np.ndarray:
        return np.asarray((track.weights @ values) @ in_range)

    known = weigh(usable.astype(np.float64))
    # Where nothing is known there is no mean.
    share = np.where(known > 0, known, np.nan)
    mean = np.nan_to_num(weigh(linear * usable) / share, nan=0.0)
    below = find_share_below(max(float(heights[0]), 0.0), sensor)
    untrusted_share = weigh(untrusted.astype(np.float64)) + below
    velocity = width = None
    if sensor.measures_doppler and "doppler_velocity" in curtain:
        velocity, width = _average_velocity(
            curtain["doppler_velocity"].values, linear * usable, track, in_range, sensor
        )
        # What is known of a beam may be ahead of its axis or behind: that moves no target.
        ahead = (track.moments @ usable.astype(np.float64)) @ in_range / share
        velocity = velocity - find_motion_velocity(sensor, ahead)
    return _Averages(
        linear=mean, known=known, untrusted=untrusted_share, velocity=velocity, width=width
    )


def _average_velocity(
    upward: np.ndarray, linear: np.ndarray, track: Track, in_range: np.ndarray, sensor: Sensor
) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean and width [m s-1] `(profile, sensor gate)` of upward velocities."""
    echo = np.isfinite(upward) & (linear > 0)
    weight = np.where(echo, linear, 0.0)
    away = np.where(echo, -upward.astype(np.float64), 0.0)
    total = (track.weights @ weight) @ in_range
    total = np.where(total > 0, total, np.nan)
    mean = (track.weights @ (weight * away)) @ in_range / total
    square = (track.weights @ (weight * away**2)) @ in_range / total
    ahead = (track.moments @ weight) @ in_range / total
    width = np.sqrt(np.maximum(square - mean**2, 0.0))
    return mean + find_motion_velocity(sensor, ahead), width


def _measure(
    averages: _Averages, sensor: Sensor, random: np.random.Generator | None
) -> dict[str, np.ndarray]:
    """Returns the fields `(profile, sensor gate)` that the sensor reports."""
    is_known = averages.known >= _LEAST_KNOWN
    linear = averages.linear
    if random is None:
        measured, echo = linear, is_known & (linear > 0)
    else:
        measured = measure_reflectivity(linear, sensor, random)
        echo = find_echo(measured, is_known, sensor)
    status = np.where(is_known, int(DetectionStatus.NO_ECHO), int(DetectionStatus.NO_DATA))
    untrusted = ~is_known & (2 * averages.untrusted >= 1 - averages.known)
    status[untrusted] = DetectionStatus.UNTRUSTED
    status[echo] = DetectionStatus.ECHO
    dbz = np.full(linear.shape, np.nan, dtype=np.float32)
    dbz[echo] = 10 * np.log10(measured[echo])
    flag = np.uint8(QualityFlag.BELOW_LOWEST_TRUSTED_GATE)
    fields: dict[str, np.ndarray] = {
        "reflectivity": dbz,
        "detection_status": status.astype(np.int8),
        "quality_flags": np.where(untrusted, flag, np.uint8(0)),
    }
    if averages.velocity is not None and averages.width is not None:
        signal = np.where(echo, np.maximum(linear, measured), np.nan) / 10 ** (
            0.1 * sensor.noise_dbz
        )
        velocity = measure_velocity(sensor, averages.velocity, averages.width, signal, random)
        fields["doppler_velocity"] = np.where(echo, velocity, np.nan).astype(np.float32)
    return fields


def _count_seconds(curtain: xr.Dataset) -> int:
    """Returns the second at which a curtain begins, so that each has random numbers of its own."""
    return abs(int(curtain["time"].values[0].astype("datetime64[s]").astype(np.int64)))


def _build(
    curtain: xr.Dataset,
    fields: dict[str, np.ndarray],
    track: Track,
    tops: np.ndarray,
    sensor: Sensor,
) -> xr.Dataset:
    """Returns the curtain of the profiles of which anything is known."""
    seen = (fields["detection_status"] != DetectionStatus.NO_DATA) & (
        fields["detection_status"] != DetectionStatus.UNTRUSTED
    )
    kept = np.flatnonzero(seen.any(axis=1))
    if not kept.size:
        raise CurtainError("emulation: no gate of any profile is known; data are right")
    about = curtain.attrs
    ground = str(about.get("instrument", "a ground radar"))
    at = f" at {about['site']}" if "site" in about else ""
    positions = {
        name: curtain[name].variable
        if not curtain[name].ndim
        else ("time", _interpolate(curtain, name, track.time[kept]))
        for name in ("latitude", "longitude", "altitude")
    }
    return xr.Dataset(
        {name: (DIMS, values[kept]) for name, values in fields.items()},
        {
            "time": track.time[kept],
            "height": sensor.grid.centres_m,
            "along_track_distance": ("time", track.distance[kept]),
            "blind_zone_top": ("time", tops[kept].astype(np.float64)),
            **positions,
        },
        {name: about[name] for name in _KEPT if name in about}
        | pick_findings(about)
        | {
            "title": f"Emulated {sensor.name} over {ground}{at}",
            "instrument": f"emulated {sensor.name} from {ground}",
            "frequency_ghz": sensor.frequency_ghz,
            EMULATED_FROM: ground,
        },
    )


def _interpolate(curtain: xr.Dataset, name: str, times: np.ndarray) -> np.ndarray:
    """Returns a position at other times, `(time,)`; longitudes do not cross the date line here."""
    known = curtain["time"].values.astype(np.int64)
    return np.asarray(np.interp(times.astype(np.int64), known, curtain[name].values))
