"""Calibration of a network that repairs holes, from drawn holes to the checkpoint."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tiny_networks import write_repairing

from blindzone.core.errors import PlanError
from blindzone.flows.calibrate import CalibrationPlan, calibrate
from blindzone.flows.experiments.hole_scoring import hide_day, score_day
from blindzone.flows.running.plans import DataPlaces
from blindzone.flows.running.source_data import open_source
from blindzone.flows.running.trained_network import open_network
from blindzone.pipeline.inpainting.calibration_verdict import HOLES
from blindzone.pipeline.inpainting.hole_calibration import CALIBRATED_KINDS, DISTANCES


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that repairs all kinds of holes, of random weights."""
    return write_repairing(tmp_path_factory.mktemp("network") / "repair.keras")


def test_network_is_calibrated_by_kind_and_distance_and_scored_with_that(
    network: Path, trained: tuple[Path, Path], catalog: Path, tmp_path: Path
) -> None:
    places = DataPlaces(catalog=catalog, archive=str(trained[0]))
    target = tmp_path / "calibrated.keras"
    plan = CalibrationPlan(
        source="short_days", checkpoint=network, output=target, passes=2, places=places
    )
    report = calibrate.fn(plan)
    assert len(report.groups) == len(CALIBRATED_KINDS) * len(DISTANCES)
    opened = open_network(target)
    record = opened.checkpoint.calibration
    assert record is not None
    assert json.loads(json.dumps(record[HOLES])) == record[HOLES]
    assert record["domain"]["hidden_rows"] == 16
    # One day: there is no other to score it by, and nothing is known.
    assert report.status.state == "unproven"
    assert opened.calibration is not None
    data = open_source("short_days", places)
    hidden = hide_day(data, data.days[2], "outage of 13")
    before, after = (
        score_day(one, hidden, passes=2).scores() for one in (open_network(network), opened)
    )
    assert np.isfinite(after["CRPS [dB]"])
    assert after["CRPS [dB]"] != before["CRPS [dB]"]


def test_depths_of_a_zone_are_no_matter_of_holes(
    network: Path, trained: tuple[Path, Path], catalog: Path
) -> None:
    plan = CalibrationPlan(
        source="short_days",
        checkpoint=network,
        depths_m=(500.0,),
        places=DataPlaces(catalog=catalog, archive=str(trained[0])),
    )
    with pytest.raises(PlanError, match="no depth"):
        calibrate.fn(plan)
