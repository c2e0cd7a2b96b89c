"""Entries of emulated sources: what they take from the source that they are emulated from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

from pydantic import Field

from blindzone.core.configuration import configuration, line_of
from blindzone.core.errors import CatalogError
from blindzone.core.fence import quote
from blindzone.pipeline.emulator.sensor import SENSORS
from blindzone.pipeline.emulator.settings import EmulationSettings

_OF_FILES = {
    "directory": None,
    "files": None,
    "outside": False,
    "reader": "auto",
    "unit": "day",
    "position": None,
    "first_gate_m": None,
    "simulation": None,
}
"""Keys that say where files are and how they are read, with their defaults: always those of its
source."""
_SHARED = (
    "site",
    "institution",
    "creator",
    "publisher",
    "licence",
    "reference",
    "period",
    "partners",
    "split",
)
"""Keys that an emulated source has of its source unless it states its own."""


@configuration(error=CatalogError, what="emulate")
class Emulation(EmulationSettings):
    """A source that is emulated from the files of a radar on the ground."""

    of: Annotated[str, Field(min_length=1)]
    """Name of the source whose native files are read, with its reader and quality rules."""


def complete_entry(name: str, stated: Mapping[Any, Any], *, where: str, text: str) -> Any:
    """Returns the values of an entry, those of an emulated one with what it takes from its source.

    All else is left to the checks of entries.

    Args:
        name: Name of the source.
        stated: All entries of the catalogue as plain values, by name.
        where: The catalogue, for the message.
        text: Its text, for the line in the message.

    Raises:
        CatalogError: If the source that it is emulated from is not named, unknown, or emulated
            itself; or if files of its own are stated.
    """
    values = stated[name]
    emulation = values.get("emulate") if isinstance(values, Mapping) else None
    if emulation is None:
        return values

    def refuse(key: str, problem: str) -> CatalogError:
        location = ["sources", name, *key.split(".")]
        return CatalogError(
            f"{where}, line {line_of(text, location)}: {'.'.join(location)}: {problem}"
        )

    if not isinstance(emulation, Mapping):
        raise refuse("emulate", f"must be a mapping of keys, found {quote(emulation)}")
    of = str(emulation.get("of"))
    ground = stated.get(of)
    if not isinstance(ground, Mapping) or "emulate" in ground:
        others = sorted(
            str(other)
            for other, entry in stated.items()
            if isinstance(entry, Mapping) and "emulate" not in entry
        )
        what = "is emulated itself" if isinstance(ground, Mapping) else "is no source"
        raise refuse("emulate.of", f"{of!r} {what}; one of {', '.join(others)} is right")
    for key, default in _OF_FILES.items():
        if key in values and values[key] != ground.get(key, default):
            raise refuse(key, f"an emulated source takes it from {of!r}; no such key is right")
    return (
        _make_defaults(emulation.get("sensor"))
        | {key: ground[key] for key in (*_OF_FILES, *_SHARED) if key in ground}
        | dict(values)
    )


def _make_defaults(sensor: object) -> dict[str, Any]:
    """Returns what the sensor decides unless the entry does: grid, frequency and quality."""
    quality: dict[str, Any] = {"quality": {"empty_day": "clear"}}
    if isinstance(sensor, str) and sensor in SENSORS:
        known = SENSORS[sensor]
        return quality | {"grid": asdict(known.grid), "frequency_ghz": known.frequency_ghz}
    if isinstance(sensor, Mapping) and {"gates", "gate_spacing_m"} <= sensor.keys():
        rows = {"rows": sensor["gates"], "row_depth_m": sensor["gate_spacing_m"]}
        return quality | {"grid": rows, "frequency_ghz": sensor.get("frequency_ghz", 94.05)}
    return quality
