"""Settings of an emulation."""

from __future__ import annotations

import pytest

from blindzone.core.errors import CurtainError
from blindzone.pipeline.emulator.sensor import CLOUDSAT
from blindzone.pipeline.emulator.settings import EmulationSettings


def test_sensor_is_found_by_name_or_given() -> None:
    assert EmulationSettings(sensor="cloudsat").spaceborne is CLOUDSAT
    assert EmulationSettings(sensor=CLOUDSAT).spaceborne is CLOUDSAT


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"sensor": "gpm"}, "sensor"),
        ({"wind": 0}, "wind"),
        ({"wind": "north"}, "wind"),
        ({"phase": 1.0}, "phase"),
        ({"seed": -1}, "seed"),
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, object], match: str) -> None:
    with pytest.raises(CurtainError, match=match):
        EmulationSettings(**{"sensor": "cloudsat"} | wrong)  # type: ignore[arg-type]
