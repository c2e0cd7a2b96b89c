"""What an emulation is made with."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from blindzone.core.configuration import configuration
from blindzone.core.errors import CurtainError
from blindzone.pipeline.emulator.sensor import Sensor, SensorName, find_sensor
from blindzone.pipeline.emulator.surface_echo import Surface

SLOWEST, FASTEST = 5.0, 25.0
"""Bounds of a wind that is drawn [m s-1]."""


def _known_wind(wind: str | float) -> str | float:
    if wind == "station":
        raise ValueError(
            "the wind of a weather station is not read; 'state', 'drawn' or a speed in m s-1 is"
            " right"
        )
    return wind


Wind = Annotated[
    Annotated[float, Field(gt=0.5, le=150)] | Literal["state", "drawn", "station"],
    AfterValidator(_known_wind),
]


@configuration(error=CurtainError, what="emulation")
class EmulationSettings:
    """What an emulation is made with."""

    sensor: SensorName | Sensor
    """The spaceborne radar, by name or by its numbers."""
    wind: Wind = "drawn"
    """Speed that turns time into distance [m s-1]: a number, the mean of the collocated `state`, or
    `drawn` evenly from 5 to 25 m s-1 for each day."""
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
