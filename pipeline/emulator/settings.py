"""What an emulation is made with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from blindzone.core.configuration import configuration
from blindzone.core.errors import CurtainError
from blindzone.pipeline.emulator.sensor import SENSORS, Sensor, SensorName, find_sensor

SurfaceKind = Literal["sea", "land"]
_CROSS_SECTION_DB: dict[SurfaceKind, tuple[float, float]] = {"sea": (11.0, 2.0), "land": (3.0, 5.0)}
"""Mean and standard deviation of sigma0 at nadir [dB]: sea at usual winds (Tanelli et al. 2008, doi
10.1109/TGRS.2008.2002030; Haynes et al. 2009, doi 10.1029/2008JD009973), and land, which varies
more with what grows there (Durden et al. 2011, IEEE Geosci. Remote Sens. Lett. 8, 3)."""

SLOWEST, FASTEST = 5.0, 25.0
"""Bounds of a wind that is drawn [m s-1]."""


_LEAST_SPEED, _LARGEST_SPEED = 0.5, 150.0
"""Bounds of a wind that is stated [m s-1]: still air passes no distance, and no jet is faster."""


def _known_sensor(sensor: object) -> object:
    if isinstance(sensor, (Sensor, Mapping)) or sensor in SENSORS:
        return sensor
    raise ValueError(
        f"unknown sensor {sensor!r}; {', '.join(SENSORS)}, or the numbers of another one, is right"
    )


def _known_wind(wind: object) -> object:
    right = "'state', 'station', 'drawn' or a speed in m s-1"
    if wind in ("state", "station", "drawn"):
        return wind
    if isinstance(wind, bool) or not isinstance(wind, (int, float)):
        raise ValueError(f"found {wind!r}; {right} is right")
    if not _LEAST_SPEED <= wind <= _LARGEST_SPEED:
        raise ValueError(
            f"found {wind} m s-1; {_LEAST_SPEED:g} to {_LARGEST_SPEED:g} m s-1 is right"
        )
    return float(wind)


@configuration(error=CurtainError, what="surface")
class Surface:
    """What is below the spaceborne radar."""

    kind: SurfaceKind = "land"
    """Sea or land."""
    cross_section_db: Annotated[float, Field(ge=-50, le=80)] | None = None
    """Mean of sigma0 at nadir [dB]; that of the kind by default."""
    spread_db: Annotated[float, Field(ge=0, le=20)] | None = None
    """Its standard deviation from profile to profile [dB]; that of the kind by default."""
    slope: Annotated[float, Field(ge=0, le=2)] = 0.0
    """Rise over run along the track."""

    @property
    def cross_section(self) -> tuple[float, float]:
        """Mean and standard deviation of sigma0 [dB]."""
        mean, spread = _CROSS_SECTION_DB[self.kind]
        return (
            mean if self.cross_section_db is None else self.cross_section_db,
            spread if self.spread_db is None else self.spread_db,
        )


@configuration(error=CurtainError, what="emulation")
class EmulationSettings:
    """What an emulation is made with."""

    sensor: Annotated[
        Annotated[SensorName, Tag("name")] | Annotated[Sensor, Tag("numbers")],
        Discriminator(lambda sensor: "name" if isinstance(sensor, str) else "numbers"),
        BeforeValidator(_known_sensor),
    ]
    """The spaceborne radar, by name or by its numbers."""
    wind: Annotated[float | Literal["state", "station", "drawn"], BeforeValidator(_known_wind)] = (
        "drawn"
    )
    """Speed that turns time into distance [m s-1]: a number, the mean of the collocated `state`,
    that of a collocated weather `station`, or `drawn` evenly from 5 to 25 m s-1 for each day."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of all that is drawn."""
    phase: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Shift of the profiles along the track [profile spacings]."""
    surface: Surface = Surface()
    """What is below the radar."""
    attenuation: bool = True
    """Whether the path from above attenuates."""
    attenuated_from_below: bool = True
    """Whether the path from the ground attenuates the ground radar's reflectivity, as in Level 1
    files. Not in Cloudnet categorize files, which are corrected."""
    dielectric_factor: Annotated[float, Field(gt=0, le=1)] | None = None
    """Squared dielectric factor of the ground radar's reflectivity; by default the sensor's."""
    noise: bool = True
    """Whether there is noise and a limit of detection."""

    @property
    def spaceborne(self) -> Sensor:
        """The spaceborne radar."""
        return find_sensor(self.sensor)
