"""The whole job on two simulated hours a day, and on a measured day where the data are at hand."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from flow_calls import fill_days, ingest_days

from blindzone.core.errors import ArchiveError, CheckpointError, CurtainError, WindowError
from blindzone.flows.demo import score_day
from blindzone.flows.experiments.training_plan import TrainingPlan
from blindzone.flows.running.plans import DataPlaces
from blindzone.flows.running.trained_network import open_network
from blindzone.flows.train import TrainPlan, train
from blindzone.models.network_config import NetworkConfig
from blindzone.models.training_config import TrainingConfig
from blindzone.pipeline.archive import Archive
from blindzone.pipeline.inpainting.inpaint_curtain import fill_curtain

SOURCE = "short_days"
BRIEF = TrainingPlan(
    network=NetworkConfig(filters=2, depth=2),
    training=TrainingConfig(steps=4, batch_size=2, steps_between_validations=2),
)


def test_two_simulated_hours_become_a_product(
    catalog: Path, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    archive, checkpoint = trained
    day = date(2000, 1, 3)
    (path,) = fill_days(SOURCE, day, day, tmp_path / "out", checkpoint, 4, catalog, archive)

    with xr.open_dataset(path) as product:
        curtain = Archive(archive).open_day(SOURCE, day)
        assert product["time"].dtype.kind == "M"
        assert {name: product.sizes[name] for name in ("time", "height", "quantile")} == {
            "time": 600,
            "height": 128,
            "quantile": 9,
        }
        np.testing.assert_array_equal(product["reflectivity_observed"], curtain["reflectivity"])
        np.testing.assert_array_equal(
            product["reflectivity"][:, 16:], curtain["reflectivity"][:, 16:]
        )
        # Blind zone of 16 rows; the lowest three lie below the lowest trusted height of 234 m.
        flags = product["inpainting_flag"].values
        assert [int(value) for value in np.unique(flags[:, :3])] == [2]
        assert [int(value) for value in np.unique(flags[:, 3:16])] == [1]
        assert [int(value) for value in np.unique(flags[:, 16:])] == [0]
        assert product.attrs["realizations"] == 4
    scores = score_day(SOURCE, day, Path(path), archive)
    assert set(scores) == {"fill", "repeat"}


def test_same_seed_gives_the_same_product_and_another_seed_another(
    catalog: Path, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    archive, checkpoint = trained
    day = date(2000, 1, 3)

    def quantiles(name: str, seed: int) -> np.ndarray:
        (path,) = fill_days(
            SOURCE, day, day, tmp_path / name, checkpoint, 3, catalog, archive, seed=seed
        )
        with xr.open_dataset(path) as product:
            return product["reflectivity_quantile"].values

    first = quantiles("a", 7)
    np.testing.assert_allclose(quantiles("b", 7), first, atol=1e-4)
    assert np.nanmax(np.abs(quantiles("c", 8) - first)) > 0.01


def test_all_clear_day_gives_a_valid_product(
    catalog: Path, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    archive, checkpoint = trained
    opened = open_network(checkpoint)
    curtain = Archive(archive).open_day(SOURCE, date(2000, 1, 3)).load()
    clear = curtain.assign(reflectivity=curtain["reflectivity"].where(False))

    fill = fill_curtain(clear, opened.network, opened.preprocessing, passes=3, seed=0)

    assert np.isfinite(fill["hydrometeor_probability"]).all()
    assert float(fill["reflectivity_quantile"].min()) >= opened.preprocessing.floor_dbz


def test_day_shorter_than_a_window_is_filled(
    catalog: Path, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    held, checkpoint = trained
    day, archive = date(2000, 1, 3), tmp_path / "archive"
    shutil.copytree(held, archive)
    store = Archive(archive)
    record, curtain = store.record(SOURCE, day), store.open_day(SOURCE, day).load()
    store.upsert(SOURCE, day, {record.files[0]: curtain.isel(time=slice(0, 100))}, {})

    (path,) = fill_days(SOURCE, day, day, tmp_path / "out", checkpoint, 3, catalog, archive)
    with xr.open_dataset(path) as product:
        assert product.sizes["time"] == 100
        assert np.isfinite(product["reflectivity_quantile"].isel(height=slice(0, 16))).all()


def test_missing_day_and_missing_checkpoint_say_what_would_be_right(
    catalog: Path, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    archive, checkpoint = trained
    day = date(2001, 1, 1)
    with pytest.raises(ArchiveError, match="blindzone ingest short_days --start 2001-01-01"):
        fill_days(SOURCE, day, day, tmp_path / "out", checkpoint, 3, catalog, archive)
    day = date(2000, 1, 1)
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        fill_days(
            SOURCE, day, day, tmp_path / "out", tmp_path / "absent.keras", 3, catalog, archive
        )


def test_checkpoint_made_for_another_grid_is_refused(
    catalog: Path, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    _, checkpoint = trained
    coarse = tmp_path / "coarse.yaml"
    coarse.write_text(
        catalog.read_text().replace(
            "site: simulated site", "site: x\n    grid: {rows: 64, row_depth_m: 156.25}"
        )
    )
    archive, day = tmp_path / "coarse_archive", date(2000, 1, 1)
    ingest_days(SOURCE, day, day, coarse, archive)

    with pytest.raises(CurtainError, match=r"64 rows .* the checkpoint was made for 128 rows"):
        fill_days(SOURCE, day, day, tmp_path / "out", checkpoint, 3, coarse, archive)


def test_training_without_validation_days_is_refused(catalog: Path, tmp_path: Path) -> None:
    day, archive = date(2000, 1, 1), tmp_path / "archive"
    ingest_days(SOURCE, day, day, catalog, archive)

    with pytest.raises(WindowError, match="1 to train and 0 to validate"):
        train.fn(
            TrainPlan(
                source=SOURCE,
                training_plan=BRIEF,
                checkpoint=tmp_path / "x.keras",
                places=DataPlaces(catalog=catalog, archive=str(archive)),
            )
        )
    assert not (tmp_path / "x.keras").exists()


def test_measured_day_is_filled_and_nothing_observed_is_altered(
    trained: tuple[Path, Path],
    tmp_path: Path,
    catalog_file: Path,
    measured_directory: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, checkpoint = trained
    catalog = catalog_file
    monkeypatch.setenv("BLINDZONE_DATA", str(measured_directory))
    source, day, archive = "palaiseau_basta", date(2021, 3, 9), tmp_path / "measured"
    ingest_days(source, day, day, catalog, archive)
    (path,) = fill_days(source, day, day, tmp_path / "out", checkpoint, 2, catalog, archive)

    with xr.open_dataset(path) as product:
        curtain = Archive(archive).open_day(source, day)
        np.testing.assert_array_equal(product["reflectivity_observed"], curtain["reflectivity"])
        # The day lacks four minutes: 9508 profiles, and no time is made up between them.
        assert product.sizes["time"] == 9508
        assert float(product["time"].diff("time").max() / np.timedelta64(1, "s")) > 200
