"""Simulated radar days: for demonstrations without measured data, and for tests.

A day is a sequence of scenes. Each gives the reflectivity [dBZ] that its hydrometeors would show;
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
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import xarray as xr

from blindzone.core.errors import CurtainError, SourceFileError
from blindzone.core.files import write_atomically

_FILL_VALUE = np.float32(9.96921e36)
_FAINTEST = np.float32(1e-12)
"""Linear reflectivity [mm6 m-3] of clear air: -120 dBZ, far below any floor."""
_VERSION = 1
"""Goes into `file_uuid`: to be raised with any change that changes the values of a day."""


@dataclass(frozen=True, kw_only=True)
class _Radar:
    """The simulated radar.

    Attributes:
        gates: Number of range gates; the first centre is half a gate above the radar.
        gate_m: Gate length [m].
        blank_m: No echo is recorded below this range [m], where the antennas' beams do not overlap.
        floor_dbz: Weakest detectable echo at 1 km [dBZ]; it rises with range squared.
        clutter_dbz: Strength of the ground clutter [dBZ].
        clutter_share: Share of profiles with clutter, by range gate [m].
    """

    gates: int = 480
    gate_m: float = 25.0
    blank_m: float = 75.0
    floor_dbz: float = -50.0
    clutter_dbz: float = -53.0
    clutter_share: tuple[tuple[float, float], ...] = ((187.5, 0.4), (212.5, 0.09))

    @property
    def range_m(self) -> np.ndarray:
        """Gate centres [m], shape `(range,)`."""
        return ((np.arange(self.gates) + 0.5) * self.gate_m).astype(np.float32)


_RADAR = _Radar()


@dataclass(frozen=True, kw_only=True)
class _Block:
    """The stretch of a day that one scene fills, with all its randomness.

    Attributes:
        rng: The scene's own random stream.
        step_s: Time between profiles [s].
        profiles: Number of profiles.
        height_m: Gate centres [m], shape `(range,)`.
        freezing_m: Height of the 0 degree level [m]; at or below 0, snow reaches the ground.
    """

    rng: np.random.Generator
    step_s: float
    profiles: int
    height_m: np.ndarray
    freezing_m: float

    @property
    def phase(self) -> np.ndarray:
        """How far the scene has gone, 0 to 1, shape `(time, 1)`."""
        return ((np.arange(self.profiles, dtype=np.float32) + 0.5) / self.profiles)[:, None]

    def series(self, minutes: float) -> np.ndarray:
        """Returns a random series in time with unit variance `(time, 1)`; see `noise`."""
        return _correlated_noise(self.rng, (self.profiles, 1), (minutes * 60 / self.step_s, 0.0))

    def noise(
        self,
        minutes: float,
        depth_m: float,
        delay_s: np.ndarray | None = None,
        *,
        slope: float = 5 / 3,
    ) -> np.ndarray:
        """Returns a random field with unit variance `(time, range)`.

        Args:
            minutes: Outer scale in time [min].
            depth_m: Outer scale in height [m].
            delay_s: How much later than at its source the same texture passes each gate [s],
                `(range,)`.
            slope: Steepness of the spectrum in time: 5/3 is turbulence, more is smoother.
        """
        scales = (minutes * 60 / self.step_s, depth_m / _RADAR.gate_m)
        delay = None if delay_s is None else delay_s / self.step_s
        return _correlated_noise(
            self.rng, (self.profiles, self.height_m.size), scales, delay, slope
        )

    def fall_delay(self, source_m: float, shear: float, fall_m_s: float = 1.0) -> np.ndarray:
        """Returns the delay [s] `(range,)` of a fall streak whose source drifts at `source_m` [m].

        In a wind that weakens linearly downwards, by the share `shear` at the ground, a particle
        falling at w lags behind by dt = shear (source - z) / source dz / w (Marshall 1953, J.
        Meteor. 10, 25). Below the freezing level it falls four times as fast, so that streaks
        steepen there.
        """
        fallen = np.clip(source_m - self.height_m, 0, None) / source_m
        speed = np.where(self.height_m < self.freezing_m, 4 * fall_m_s, fall_m_s)
        return np.asarray(np.cumsum((shear * fallen / speed * _RADAR.gate_m)[::-1])[::-1])

    def fade(self, share: float, ragged: np.ndarray) -> np.ndarray:
        """Returns the loss [dB] `(time, range)` over about `share` of the scene at ragged ends."""
        from_end = np.minimum(self.phase, 1 - self.phase) / share
        soft = 60 * np.clip(1 + 0.3 * ragged - from_end, 0, None)
        return np.asarray(soft + 200 * np.clip(0.2 - from_end, 0, None))

    def melting(self) -> np.ndarray:
        """Returns the gain by melting [dB] `(range,)`: at 94 GHz a step under a faint dark band.

        There is no bright band (Kollias and Albrecht 2005, doi 10.1029/2005GL024074).
        """
        below = (self.freezing_m - self.height_m) / 100
        return np.asarray(4.5 * np.clip(below / 2, 0, 1) - np.exp(-(below**2)))

    def low_level_change(self, mean_db: float, spread_db: float) -> np.ndarray:
        """Returns unpredictable low growth or (negative) evaporation [dB] `(time, range)`."""
        depth = np.clip(1 - self.height_m / 1500, 0, None)
        return np.asarray(depth * (mean_db + spread_db * self.series(20)))


def _correlated_noise(
    rng: np.random.Generator,
    shape: tuple[int, int],
    scales: tuple[float, float],
    delay: np.ndarray | None = None,
    slope: float = 5 / 3,
) -> np.ndarray:
    """Returns a Gaussian field `(time, range)` with zero mean and unit variance.

    Beyond the outer scales [pixels] its spectrum falls off as f^-slope in time, 5/3 being
    turbulence, and as k^-3 in height, since falling particles smooth what they bring down. `delay`
    [pixels] `(range,)` shifts each gate's series in time.
    """
    # Longer than wanted, so that its end is no copy of its beginning; multiples of 64 transform
    # fast.
    padded = ((shape[0] + int(min(2 * scales[0], shape[0]))) // 64 + 1) * 64
    frequency = np.fft.rfftfreq(padded).astype(np.float32)[:, None]
    wavenumber = np.fft.fftfreq(shape[1]).astype(np.float32)[None, :]
    amplitude = (1 + (2 * np.pi * frequency * scales[0]) ** 2) ** (-slope / 4)
    amplitude = amplitude * (1 + (2 * np.pi * wavenumber * scales[1]) ** 2) ** (-3 / 4)
    # All frequencies but the first and the last count twice, for their negative too.
    weight = np.full_like(frequency, 2)
    weight[[0, -1]] = 1
    amplitude /= np.sqrt((weight * amplitude**2).sum() / (padded * shape[1]))
    spectrum = np.fft.rfft(rng.standard_normal((padded, shape[1]), dtype=np.float32), axis=0)
    spectrum = np.fft.ifft(np.fft.fft(spectrum, axis=1) * amplitude, axis=1)
    if delay is not None:
        spectrum *= np.exp((-2j * np.pi * frequency * delay).astype(np.complex64))
    return np.fft.irfft(spectrum, n=padded, axis=0)[: shape[0]].astype(np.float32)


def _front(block: _Block) -> np.ndarray:
    """A warm front: cloud lowering to the ground, streaks of ice, melting, rain."""
    draw, z = block.rng.uniform, block.height_m
    top_m = draw(6000, 9500)
    delay_s = block.fall_delay(top_m, shear=draw(0.2, 0.9))
    bands = block.noise(20, 3000, delay_s)
    streaks = block.noise(3, 1500, delay_s)
    top = top_m + 400 * block.series(40) + 300 * bands
    dbz = (
        draw(-5, 6) + 5 * bands + 3.5 * streaks + block.melting() + block.low_level_change(-1, 3.5)
    )
    # Aggregation: particles grow on their way down, fast at first.
    dbz -= 28 * np.exp(-np.clip(top - z, 0, None) / 1500) + 0.08 * np.clip(z - top, 0, None)
    # The dry air ahead of the front eats the lower end of the streaks until the cloud has come
    # down.
    base = 0.85 * top_m * (1 - block.phase / draw(0.35, 0.6)) + 300 * block.series(30)
    dbz -= 25 * np.clip((base + 700 - z) / 700, 0, None) ** 2
    # Behind the front the dry intrusion takes the cloud from above.
    dry = np.clip((block.phase - draw(0.7, 0.85)) / 0.15, 0, None)
    dbz -= 0.02 * np.clip(z - top * (1 - 0.7 * dry), 0, None)
    return np.asarray(dbz - block.fade(0.08, bands))


def _showers(block: _Block) -> np.ndarray:
    """Convective showers: narrow, deep cells with rain to the ground and clear air between them."""
    draw, z = block.rng.uniform, block.height_m
    delay_s = block.fall_delay(4000, shear=draw(0.0, 0.5), fall_m_s=3)
    cells = block.noise(20, 6000, delay_s, slope=3) - draw(0.3, 0.9)
    streaks = block.noise(1.5, 1200, delay_s)
    top = draw(1800, 3200) + 1500 * cells + 250 * streaks
    strong = 24 * np.tanh(1.8 * cells) + 60 * np.clip(cells, None, 0)
    dbz = strong - draw(12, 17) + 3 * streaks + block.melting() + block.low_level_change(-2, 4)
    dbz -= 0.06 * np.clip(z - top, 0, None)
    return np.asarray(dbz - block.fade(0.03, streaks))


def _stratocumulus(block: _Block) -> np.ndarray:
    """Drizzling stratocumulus: a sharp top, patches of drizzle that evaporate below it."""
    draw, z = block.rng.uniform, block.height_m
    tendency_m = draw(-250, 250) * (block.phase - 0.5)
    top = draw(850, 1800) + tendency_m + 90 * block.series(60) + 20 * block.series(2)
    base = np.minimum(draw(400, 900) + 50 * block.series(30), top - 200)
    inside = (z - base) / (top - base)
    holes = 15 * np.clip(-draw(0.0, 1.5) - block.series(25), 0, None)
    above_top = 0.4 * np.clip(z - top, 0, None)
    texture = block.noise(2, 300)
    # Droplets grow with height above the base.
    cloud = (
        -36 + 9 * np.clip(inside, 0, 1) + 2 * texture - 0.2 * np.clip(base - z, 0, None) - above_top
    )
    shafts = block.noise(
        2.5, 800, block.fall_delay(float(top.mean()), shear=draw(0.1, 0.4), fall_m_s=1.5)
    )
    drizzle = (
        draw(-38, -17)
        + 6 * block.series(40)
        + 5 * shafts
        + 1.5 * texture
        - 8 * np.clip(inside, 0, 1)
    )
    evaporation_db_km = draw(10, 45) * np.exp(0.3 * block.series(15))
    drizzle -= evaporation_db_km * np.clip(base - z, 0, None) / 1000 + above_top
    return np.asarray(
        _to_dbz(_to_linear(cloud) + _to_linear(drizzle))
        - holes
        - block.fade(0.1, shafts + block.series(10))
    )


def _virga(block: _Block) -> np.ndarray:
    """Virga: snow or rain from mid-level cloud that evaporates before it reaches the ground."""
    draw, z = block.rng.uniform, block.height_m
    top_m = draw(4000, 7000)
    delay_s = block.fall_delay(top_m, shear=draw(0.3, 1.0))
    bands = block.noise(25, 2500, delay_s)
    streaks = block.noise(2.5, 1200, delay_s)
    top = top_m + 300 * block.series(40) + 200 * bands
    dbz = draw(-8, 5) + 6 * bands + 4 * streaks
    dbz -= 22 * np.exp(-np.clip(top - z, 0, None) / 600) + 0.08 * np.clip(z - top, 0, None)
    # Evaporation speeds up as particles shrink: a sharp lower edge, at `vanish` for an echo of
    # about 5 dBZ.
    vanish = draw(350, 2200) + 250 * block.series(30)
    dbz -= 30 * np.clip((vanish + 1000 - z) / 1000, 0, None) ** 3
    gaps = 20 * np.clip(-draw(0.0, 0.8) - block.series(30), 0, None)
    return np.asarray(dbz - gaps - block.fade(0.06, bands))


def _cirrus(block: _Block) -> np.ndarray:
    """Cirrus: thin, patchy ice cloud above 5 km, drawn out into long streaks."""
    draw, z = block.rng.uniform, block.height_m
    middle = draw(7200, 9000) + 250 * block.series(60)
    half = draw(500, 1100) * np.exp(0.3 * block.series(40))
    delay_s = block.fall_delay(10_000, shear=draw(0.5, 2.0), fall_m_s=0.7)
    bands = block.noise(20, 1500, delay_s)
    dbz = draw(-28, -18) + 7 * bands + 3.5 * block.noise(2, 700, delay_s)
    dbz -= 12 * ((z - middle) / half) ** 2 + 0.1 * np.clip(5900 - z, 0, None)
    return np.asarray(dbz - block.fade(0.08, bands))


def _clear(block: _Block) -> np.ndarray:
    """No hydrometeors."""
    return np.full((block.profiles, block.height_m.size), -np.inf, dtype=np.float32)


@dataclass(frozen=True, kw_only=True)
class _Scene:
    """One kind of weather.

    Attributes:
        dbz: Gives the reflectivity [dBZ] `(time, range)` over a block.
        weight: How often it is part of a day, relative to the other scenes.
        turbulence_m_s: Standard deviation of the vertical wind [m s-1].
        ceiling_m: Greatest height of its echo [m].
    """

    dbz: Callable[[_Block], np.ndarray]
    weight: float
    turbulence_m_s: float
    ceiling_m: float = 12_000.0


_SCENES = {
    "front": _Scene(dbz=_front, weight=0.09, turbulence_m_s=0.3),
    "showers": _Scene(dbz=_showers, weight=0.18, turbulence_m_s=0.9, ceiling_m=9000.0),
    "stratocumulus": _Scene(dbz=_stratocumulus, weight=0.28, turbulence_m_s=0.4, ceiling_m=2500.0),
    "virga": _Scene(dbz=_virga, weight=0.16, turbulence_m_s=0.3, ceiling_m=9000.0),
    "cirrus": _Scene(dbz=_cirrus, weight=0.12, turbulence_m_s=0.3),
    "clear": _Scene(dbz=_clear, weight=0.20, turbulence_m_s=0.3, ceiling_m=100.0),
}
SCENES = tuple(_SCENES)
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
        scenes: Names from `SCENES` to show one after the other, in equal shares of the time. By
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
    gates = _RADAR.range_m
    whole = _Block(
        rng=rng, step_s=profile_step_s, profiles=profiles, height_m=gates, freezing_m=freezing_m
    )
    linear = np.zeros((profiles, gates.size), dtype=np.float32)
    stirred = np.zeros_like(linear)
    for (name, begin, end), own_sequence in zip(spans, sequence.spawn(len(spans)), strict=True):
        scene = _SCENES[name]
        when = slice(round(begin * profiles), round(end * profiles))
        if when.start == when.stop:
            continue
        heights = gates[gates < scene.ceiling_m]
        own_rng = np.random.default_rng(own_sequence)
        block = replace(whole, rng=own_rng, profiles=when.stop - when.start, height_m=heights)
        own = _to_linear(scene.dbz(block))
        linear[when, : heights.size] += own
        stirred[when, : heights.size] += scene.turbulence_m_s * own
    reflectivity, velocity = _observe(linear, stirred / np.maximum(linear, _FAINTEST), whole)
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
        dataset.to_netcdf(partial, engine="h5netcdf", encoding=encoding)


def _check_settings(
    seed: int, hours: float, profile_step_s: float, scenes: tuple[str, ...] | None
) -> int:
    """Returns the number of profiles, after checking what was asked for."""
    unknown = [name for name in scenes or () if name not in _SCENES]
    if unknown or (scenes is not None and not scenes):
        raise CurtainError(
            f"simulation: no scene is called {unknown or 'nothing'}; right: {', '.join(SCENES)}"
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
    weights = np.array([scene.weight for scene in _SCENES.values()])
    names = rng.choice(
        SCENES, size=rng.integers(3, len(SCENES)), replace=False, p=weights / weights.sum()
    )
    limits = np.concatenate([[0.0], np.cumsum(rng.dirichlet(np.full(names.size, 6.0)))])
    passing = np.sort(rng.uniform(0, 1, size=2))
    return _spans(tuple(names.tolist()), limits, overlap=0.02) + _spans(("cirrus",), passing)


def _observe(
    linear: np.ndarray, turbulence_m_s: np.ndarray, block: _Block
) -> tuple[np.ndarray, np.ndarray]:
    """Returns recorded Zh [dBZ] and v [m s-1] `(time, range)`, NaN where there is no echo."""
    shape, missing = linear.shape, np.float32(np.nan)
    floor = _to_linear(_RADAR.floor_dbz + 20 * np.log10(block.height_m / 1000))
    # Fading of a finite number of pulses (about 5 %), and noise far below what would pass for an
    # echo.
    linear = linear * (1 + 0.05 * block.rng.standard_normal(shape, dtype=np.float32))
    linear = linear * _to_linear(0.8 * block.noise(0.3, 75))
    linear += 0.15 * floor * block.rng.standard_normal(shape, dtype=np.float32)
    linear[:, block.height_m < _RADAR.blank_m] = 0
    velocity = turbulence_m_s * block.noise(1, 500) - _fall_speed(_to_dbz(linear), block)
    for range_m, share in _RADAR.clutter_share:
        clutter = _RADAR.clutter_dbz + 1.5 * block.rng.standard_normal(shape[0], dtype=np.float32)
        hit = block.rng.uniform(size=shape[0]) < share
        gate = int(np.argmin(np.abs(block.height_m - range_m)))
        linear[:, gate] += np.where(hit, _to_linear(clutter), np.float32(0))
    echo = linear > floor
    return np.where(echo, _to_dbz(linear), missing), np.where(echo, velocity, missing).astype(
        np.float32
    )


def _fall_speed(dbz: np.ndarray, block: _Block) -> np.ndarray:
    """Returns the reflectivity-weighted fall speed [m s-1] `(time, range)`.

    Straight lines through what W-band radars see: ice 0.4 (-30 dBZ) to 1.2 (10 dBZ), liquid from
    cloud droplets (0 at -30 dBZ) over drizzle (1 at -20 dBZ) to rain (4 at 10 dBZ). Melting takes
    300 m.
    """
    ice = np.clip(1.0 + 0.02 * dbz, 0.2, 1.6)
    liquid = np.clip(3 + 0.1 * dbz, 0, 5.5)
    melted = np.clip((block.freezing_m - block.height_m) / 300, 0, 1)
    return np.asarray(ice + melted * (liquid - ice))


def _to_linear(dbz: np.ndarray | float) -> np.ndarray:
    return np.power(np.float32(10), np.asarray(0.1 * dbz, dtype=np.float32))


def _to_dbz(linear: np.ndarray) -> np.ndarray:
    return np.asarray(10 * np.log10(np.maximum(linear, _FAINTEST)), dtype=np.float32)


def _to_level_1b(
    day: date, hours: np.ndarray, reflectivity: np.ndarray, velocity: np.ndarray, settings: str
) -> xr.Dataset:
    """Returns the fields with the coordinates and attributes of a Cloudnet Level 1b radar file."""
    altitude_m = np.float32(100)
    values = {
        "Zh": (("time", "range"), reflectivity),
        "v": (("time", "range"), velocity),
        "height": (("range",), _RADAR.range_m + altitude_m),
        "latitude": ((), np.float32(50)),
        "longitude": ((), np.float32(5)),
        "altitude": ((), altitude_m),
        "zenith_angle": ((), np.float32(0)),
        "radar_frequency": ((), np.float32(95)),
        "nyquist_velocity": ((), np.float32(10)),
    }
    coordinates = {"time": (("time",), hours), "range": (("range",), _RADAR.range_m)}
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
