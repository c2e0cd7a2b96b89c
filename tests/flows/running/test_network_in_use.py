"""The line that says which network fills."""

from __future__ import annotations

from pathlib import Path

import pytest

from blindzone.core.errors import CurtainError
from blindzone.flows.running.network_in_use import name_checkpoint, read_network_in_use
from blindzone.flows.running.workspace import SHIPPED_WEIGHTS
from blindzone.models.checkpoint_record import hash_file, read_record
from blindzone.pipeline.curtains.blind_zone import BlindZone


def test_line_names_place_hash_training_and_calibration() -> None:
    content = read_record(SHIPPED_WEIGHTS).content
    trained, calibrated = content["training"]["training_days"], content["calibration"]["days"]
    line = str(read_network_in_use(SHIPPED_WEIGHTS))
    assert line.startswith(
        f"network: palaiseau.keras of the package, SHA-256 {hash_file(SHIPPED_WEIGHTS)[:12]},"
        f" trained on {len(trained)} days of palaiseau_basta, calibrated on {len(calibrated)} days"
        f" ({calibrated[0]} to {calibrated[-1]})"
    )
    assert "\n" not in line


def test_experimental_network_is_said_to_be() -> None:
    line = str(read_network_in_use(SHIPPED_WEIGHTS.with_name("cloudsat.keras")))
    assert line.startswith("network: experimental cloudsat.keras of the package, SHA-256 ")


def test_network_without_calibration_is_said_to_have_none(trained: tuple[Path, Path]) -> None:
    line = str(read_network_in_use(trained[1]))
    assert f"network: {trained[1]}, SHA-256" in line
    assert "trained on 1 day of short_days, not calibrated" in line


def test_blind_zone_beyond_that_of_training_is_an_error() -> None:
    with pytest.raises(CurtainError, match="station: the blind zone reaches up to 3000 m"):
        read_network_in_use(SHIPPED_WEIGHTS, BlindZone(top_m=3000.0), where="station")


def test_place_outside_the_package_is_named_whole() -> None:
    assert name_checkpoint(Path("a/palaiseau.keras")) == "a/palaiseau.keras"
