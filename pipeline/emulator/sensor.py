"""Spaceborne radars as numbers, each with its published source."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from blindzone.core.configuration import configuration
from blindzone.core.errors import CurtainError
from blindzone.pipeline.curtains.gridding import Grid

SPEED_OF_LIGHT = 299_792_458.0
"""[m s-1], exact by definition of the metre."""
_GRAVITATION = 3.986004418e14
"""Gravitational constant times the mass of the Earth [m3 s-2] (WGS84)."""
_EARTH_RADIUS_M = 6_371_008.8
"""Mean radius of the Earth (Moritz 2000, doi 10.1007/s001900050278)."""

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@configuration(error=CurtainError, what="sensor")
class Sensor:
    """A spaceborne radar that looks at nadir."""

    name: Annotated[str, Field(min_length=1)]
    """Name, as titles state it."""
    frequency_ghz: Annotated[float, Field(ge=90, le=100)] = 94.05
    """Frequency [GHz]; W band, since only Ka to W is converted."""
    altitude_m: Annotated[float, Field(ge=100_000, le=2_000_000)]
    """Altitude above the surface [m]."""
    beamwidth_deg: Annotated[float, Field(gt=0, le=1)]
    """Full width at half power of the one-way antenna pattern [degree]."""
    beam_reach: Positive | None = None
    """Distance from the axis at which the pattern ends [footprints]; none: it has no end."""
    profile_spacing_m: Positive
    """Distance between profiles [m]."""
    integration_m: Positive
    """Length along the track over which pulses are averaged [m]."""
    pulse_repetition_hz: Positive
    """Pulses a second [Hz]."""
    pulse_length_m: Positive
    """Half of the speed of light times the duration of the pulse [m]."""
    pulse_reach_m: Positive | None = None
    """Distance from a gate's centre at which the pulse ends [m]; none: it has no end."""
    range_response: tuple[tuple[float, float], ...] = ()
    """Response to a point target, in place of that of the pulse's length: height of the target
    above the gate's centre [m] and response [dB], heights increasing. Between two, decibels are
    interpolated; outside there is no response."""
    gate_spacing_m: Positive
    """Distance between gates [m]; the lowest is centred at half of it."""
    gates: Annotated[int, Field(ge=1, le=10_000)]
    """Number of gates."""
    noise_dbz: Annotated[float, Field(ge=-100, le=100)]
    """Reflectivity of which one pulse's echo equals the noise [dBZ]."""
    dielectric_factor: Annotated[float, Field(gt=0, le=1)] = 0.75
    """Squared dielectric factor of water that its reflectivity is defined with."""
    measures_doppler: bool = False
    """Whether it measures Doppler velocity."""

    def __post_init__(self) -> None:
        heights = [height for height, _ in self.range_response]
        if heights and (len(heights) < 2 or sorted(set(heights)) != heights):
            raise ValueError(
                f"range_response: heights are {heights}; two or more that increase are right"
            )

    @property
    def wavelength_m(self) -> float:
        """Wavelength [m]."""
        return SPEED_OF_LIGHT / (self.frequency_ghz * 1e9)

    @property
    def footprint_m(self) -> float:
        """Width of the beam at the surface, of the one-way pattern at half power [m]."""
        return self.altitude_m * math.radians(self.beamwidth_deg)

    @property
    def orbital_speed(self) -> float:
        """Speed on a circular orbit [m s-1]."""
        return math.sqrt(_GRAVITATION / (_EARTH_RADIUS_M + self.altitude_m))

    @property
    def ground_speed(self) -> float:
        """Speed of the footprint, without the rotation of the Earth [m s-1]."""
        return self.orbital_speed * _EARTH_RADIUS_M / (_EARTH_RADIUS_M + self.altitude_m)

    @property
    def pulses(self) -> float:
        """Number of pulses that one profile averages."""
        return self.pulse_repetition_hz * self.integration_m / self.ground_speed

    @property
    def sensitivity_dbz(self) -> float:
        """Standard deviation of the averaged noise [dBZ], as Tanelli et al. (2008) define it."""
        return self.noise_dbz - 5 * math.log10(self.pulses)

    @property
    def nyquist_velocity(self) -> float:
        """Largest velocity that is not folded [m s-1]."""
        return self.wavelength_m * self.pulse_repetition_hz / 4

    @property
    def grid(self) -> Grid:
        """The grid whose rows are its gates."""
        return Grid(rows=self.gates, row_depth_m=self.gate_spacing_m)


CLOUDSAT = Sensor(
    # Altitude, pulses a second, footprint of 1.4 km: CloudSat Data Processing Center, "CloudSat
    # mission sensor data".
    name="CloudSat CPR",
    altitude_m=705_000,
    beamwidth_deg=math.degrees(1_400 / 705_000),
    pulse_repetition_hz=4300,
    # 0.16 s of pulses without a pause: the spacing of measured profiles.
    profile_spacing_m=1090,
    integration_m=1090,
    # 3.33 microseconds sampled every 240 m (Tanelli et al. 2008, doi 10.1109/TGRS.2008.2002030),
    # an effective 480 m (Skofronick-Jackson et al. 2019, doi 10.1175/JAMC-D-18-0124.1, table 1).
    pulse_length_m=480,
    gate_spacing_m=240,
    gates=64,
    # -30 dBZ in orbit (Tanelli et al. 2008), times the square root of 694 pulses.
    noise_dbz=-15.8,
)
"""The radar of CloudSat, 2006-2023."""

EARTHCARE = Sensor(
    # Beam, pulse of 3.3 microseconds (500 m), sampling and 6100 to 7500 pulses a second, of which
    # this is the middle: ESA Earth Online, "CPR overview". Altitude and 500 m a profile: Wehr et
    # al. (2023, doi 10.5194/amt-16-3581-2023).
    name="EarthCARE CPR",
    altitude_m=393_000,
    beamwidth_deg=0.095,
    pulse_repetition_hz=6800,
    profile_spacing_m=500,
    integration_m=500,
    pulse_length_m=500,
    # Its surface echo ends one length of the pulse above the surface, unlike CloudSat's (Lamer et
    # al. 2020, doi 10.5194/amt-13-2363-2020).
    pulse_reach_m=500,
    gate_spacing_m=100,
    gates=128,
    # Kollias et al. (2014, doi 10.1175/JTECH-D-11-00202.1), table 1; -35 dBZ a profile there. That
    # is expected; the mission guarantees -35 dBZ over 10 km, and the reader of measured frames
    # counts on no more (FLOOR_DBZ there).
    noise_dbz=-21.5,
    measures_doppler=True,
)
"""The radar of EarthCARE, since 2024."""

SensorName = Literal["cloudsat", "earthcare"]
SENSORS: dict[SensorName, Sensor] = {"cloudsat": CLOUDSAT, "earthcare": EARTHCARE}
"""Sensors by the name that a catalogue uses."""


def find_sensor(sensor: SensorName | Sensor) -> Sensor:
    """Returns a sensor by its name, or as it is."""
    return sensor if isinstance(sensor, Sensor) else SENSORS[sensor]
