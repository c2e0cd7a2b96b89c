"""Scenes of weather, as the reflectivity that a simulated radar would receive from each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

FAINTEST = np.float32(1e-12)
"""Linear reflectivity [mm6 m-3] of clear air: -120 dBZ, far below any floor."""


@dataclass(frozen=True, kw_only=True)
class Radar:
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


RADAR = Radar()


@dataclass(frozen=True, kw_only=True)
class Block:
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
        scales = (minutes * 60 / self.step_s, depth_m / RADAR.gate_m)
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
        return np.asarray(np.cumsum((shear * fallen / speed * RADAR.gate_m)[::-1])[::-1])

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


def _front(block: Block) -> np.ndarray:
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


def _showers(block: Block) -> np.ndarray:
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


def _stratocumulus(block: Block) -> np.ndarray:
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
        to_dbz(to_linear(cloud) + to_linear(drizzle))
        - holes
        - block.fade(0.1, shafts + block.series(10))
    )


def _virga(block: Block) -> np.ndarray:
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


def _cirrus(block: Block) -> np.ndarray:
    """Cirrus: thin, patchy ice cloud above 5 km, drawn out into long streaks."""
    draw, z = block.rng.uniform, block.height_m
    middle = draw(7200, 9000) + 250 * block.series(60)
    half = draw(500, 1100) * np.exp(0.3 * block.series(40))
    delay_s = block.fall_delay(10_000, shear=draw(0.5, 2.0), fall_m_s=0.7)
    bands = block.noise(20, 1500, delay_s)
    dbz = draw(-28, -18) + 7 * bands + 3.5 * block.noise(2, 700, delay_s)
    dbz -= 12 * ((z - middle) / half) ** 2 + 0.1 * np.clip(5900 - z, 0, None)
    return np.asarray(dbz - block.fade(0.08, bands))


def _clear(block: Block) -> np.ndarray:
    """No hydrometeors."""
    return np.full((block.profiles, block.height_m.size), -np.inf, dtype=np.float32)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One kind of weather.

    Attributes:
        dbz: Gives the reflectivity [dBZ] `(time, range)` over a block.
        weight: How often it is part of a day, relative to the other scenes.
        turbulence_m_s: Standard deviation of the vertical wind [m s-1].
        ceiling_m: Greatest height of its echo [m].
    """

    dbz: Callable[[Block], np.ndarray]
    weight: float
    turbulence_m_s: float
    ceiling_m: float = 12_000.0


SCENES = {
    "front": Scene(dbz=_front, weight=0.09, turbulence_m_s=0.3),
    "showers": Scene(dbz=_showers, weight=0.18, turbulence_m_s=0.9, ceiling_m=9000.0),
    "stratocumulus": Scene(dbz=_stratocumulus, weight=0.28, turbulence_m_s=0.4, ceiling_m=2500.0),
    "virga": Scene(dbz=_virga, weight=0.16, turbulence_m_s=0.3, ceiling_m=9000.0),
    "cirrus": Scene(dbz=_cirrus, weight=0.12, turbulence_m_s=0.3),
    "clear": Scene(dbz=_clear, weight=0.20, turbulence_m_s=0.3, ceiling_m=100.0),
}


def to_linear(dbz: np.ndarray | float) -> np.ndarray:
    """Returns linear reflectivity [mm6 m-3], float32, of reflectivity [dBZ] of any shape."""
    return np.power(np.float32(10), np.asarray(0.1 * dbz, dtype=np.float32))


def to_dbz(linear: np.ndarray) -> np.ndarray:
    """Returns reflectivity [dBZ], float32, of linear reflectivity [mm6 m-3] of any shape."""
    return np.asarray(10 * np.log10(np.maximum(linear, FAINTEST)), dtype=np.float32)
