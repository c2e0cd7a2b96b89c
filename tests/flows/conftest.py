"""A workspace of its own for every test; a catalogue, short simulated days, a tiny network."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from textwrap import dedent

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")

# Prefect sets logging up when it is first imported. Inside a test's runner of commands it would
# log to the runner's standard error, and close the handlers that TensorFlow has made before.
import prefect.main  # noqa: F401

from blindzone.pipeline.readers.simulation import write_simulated_day

DAYS = (date(2000, 1, 1), date(2000, 1, 2), date(2000, 1, 3))
SOURCE = "short_days"


@pytest.fixture(scope="session")
def simulated_days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hours of three simulated days, in a folder as a user would have it."""
    folder = tmp_path_factory.mktemp("data")
    (folder / SOURCE).mkdir()
    for day in DAYS:
        path = folder / SOURCE / f"{day:%Y%m%d}_radar.nc"
        write_simulated_day(day, path, hours=2.0, scenes=("front", "stratocumulus"))
    return folder


@pytest.fixture(autouse=True)
def _own_workspace(tmp_path: Path, simulated_days: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLINDZONE_DATA", str(simulated_days))
    monkeypatch.setenv("BLINDZONE_WORKSPACE", str(tmp_path / "workspace"))


@pytest.fixture(scope="session")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue of one source, whose data directory `BLINDZONE_DATA` names."""
    path = tmp_path_factory.mktemp("catalog") / "catalog.yaml"
    path.write_text(
        dedent(f"""
            version: 1
            sources:
              {SOURCE}:
                title: Two simulated hours a day
                reader: cloudnet_radar
                directory: {SOURCE}
                files: "%Y%m%d_radar.nc"
                instrument: simulated radar
                site: simulated site
                quality: {{lowest_trusted_m: 234}}
                split: {{training: [2000-01-01], validation: [2000-01-02], test: [2000-01-03]}}
            """)
    )
    return path


@pytest.fixture(scope="session")
def trained(
    catalog: Path, simulated_days: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """An archive of three short days and a tiny network; tests must not write to them."""
    from eager import eagerly
    from flow_calls import ingest_days

    from blindzone.flows.experiments.training_plan import TrainingPlan, ValidationPlan
    from blindzone.flows.running.plans import DataPlaces
    from blindzone.flows.train import TrainPlan, train
    from blindzone.models.network_config import NetworkConfig
    from blindzone.models.training_config import TrainingConfig

    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BLINDZONE_DATA", str(simulated_days))
        patch.setenv("BLINDZONE_WORKSPACE", str(folder))
        ingest_days(SOURCE, None, None, catalog, folder / "archive")
        training_plan = TrainingPlan(
            network=NetworkConfig(filters=2, depth=2),
            training=TrainingConfig(steps=4, batch_size=2, steps_between_validations=2),
            validation=ValidationPlan(windows=8),
        )
        plan = TrainPlan(
            source=SOURCE,
            training_plan=training_plan,
            checkpoint=folder / "tiny.keras",
            places=DataPlaces(catalog=catalog, archive=str(folder / "archive")),
        )
        with eagerly():
            train.fn(plan)
    return folder / "archive", folder / "tiny.keras"
