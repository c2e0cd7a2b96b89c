"""Product tasks: a product is known by all that it is made from, and made once."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from blindzone.core.adaptive_sampling import AdaptiveSampling
from blindzone.core.errors import ArchiveError, CurtainError, PlanError
from blindzone.flows.experiments.training_data import fit_config
from blindzone.flows.running import product_task, trained_network
from blindzone.flows.running.plans import Filling, Places
from blindzone.flows.running.product_task import ProductTask, fill_task, find_unchanged
from blindzone.models.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from blindzone.models.families import build_network
from blindzone.models.network_config import NetworkConfig
from blindzone.pipeline.archive import Archive, FileRecord
from blindzone.pipeline.catalog.catalog import read_catalog
from blindzone.pipeline.curtains.curtain import DetectionStatus
from blindzone.pipeline.network_input.channels import CHANNEL_GROUPS
from blindzone.pipeline.network_input.preprocessing import CHANNELS, Preprocessing

SOURCE, DAY = "short_days", date(2000, 1, 2)
MINUTE = np.timedelta64(60, "s")

Change = Callable[[ProductTask], ProductTask]


@pytest.fixture(scope="module")
def made(
    catalog: Path, trained: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> ProductTask:
    """A task whose product is there; tests change copies of what it is made from."""
    archive, checkpoint = trained
    folder = tmp_path_factory.mktemp("made")
    places = Places(
        catalog=catalog,
        archive=str(archive),
        products=str(folder / "products"),
        reports=folder / "reports",
    )
    task = ProductTask(
        source=SOURCE,
        day=DAY,
        filling=Filling(passes=2, checkpoint=checkpoint),
        places=places.settle(),
    )
    assert fill_task(task).status == "created"
    return task


def with_filling(task: ProductTask, **changes: object) -> ProductTask:
    return dataclasses.replace(task, filling=dataclasses.replace(task.filling, **changes))  # type: ignore[arg-type]


def with_places(task: ProductTask, **changes: object) -> ProductTask:
    return dataclasses.replace(task, places=dataclasses.replace(task.places, **changes))  # type: ignore[arg-type]


def with_catalog(task: ProductTask, folder: Path, old: str, new: str) -> ProductTask:
    """The task with a catalogue of which a piece is another."""
    text = Path(str(task.places.catalog)).read_text()
    assert text.count(old) == 1
    (folder / "changed.yaml").write_text(text.replace(old, new))
    return with_places(task, catalog=folder / "changed.yaml")


def copy_archive(task: ProductTask, folder: Path) -> ProductTask:
    return with_places(
        task, archive=str(shutil.copytree(str(task.places.archive), folder / "archive"))
    )


def path_of(task: ProductTask) -> Path:
    return Path(str(task.places.products)) / f"{task.source}_{task.day:%Y%m%d}_blindzone.nc"


def test_product_that_is_there_is_held_and_left_alone(made: ProductTask) -> None:
    before = path_of(made).stat()
    held, again = find_unchanged(made), fill_task(made)
    assert held is not None
    for report in (held, again):
        assert (report.source, report.day, report.status, report.product) == (
            SOURCE,
            DAY,
            "unchanged",
            str(path_of(made)),
        )
        with xr.open_dataset(path_of(made)) as product:
            assert report.target == product.attrs["target_sha256"]
    after = path_of(made).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_report_of_what_was_made_tells_of_the_product(made: ProductTask, tmp_path: Path) -> None:
    report = fill_task(with_places(made, products=str(tmp_path)))
    assert (report.status, report.profiles) == ("created", 600)
    assert report.seconds > 0
    assert {"POD", "FAR", "CSI"} <= report.scores.keys()  # simulated radars see what was hidden
    with xr.open_dataset(str(report.product)) as product:
        assert product.sizes["time"] == 600


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"passes": 3}, {"members": 2}, {"passes": AdaptiveSampling()}],
)
def test_another_filling_is_another_product(made: ProductTask, change: dict[str, object]) -> None:
    assert find_unchanged(with_filling(made, **change)) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("title: Two", "title: Some"),
        ("simulated radar", "94 GHz radar"),
        ("site: simulated", "licence: CC0\n    site: simulated"),
        ("site: simulated", "reference: a paper\n    site: simulated"),
        ("simulated site", "another site"),
        ("site: simulated", "institution: An observatory\n    site: simulated"),
        ("site: simulated", "frequency_ghz: 35\n    site: simulated"),
        ("lowest_trusted_m: 234", "lowest_trusted_m: 312"),
        ("quality:", "blind_zone: {top_m: 1000}\n    quality:"),
    ],
    ids=[
        "title",
        "instrument",
        "licence",
        "reference",
        "site",
        "institution",
        "frequency",
        "quality",
        "blind zone",
    ],
)
def test_another_entry_of_the_catalogue_is_another_product(
    made: ProductTask, tmp_path: Path, old: str, new: str
) -> None:
    assert find_unchanged(with_catalog(made, tmp_path, old, new)) is None


def test_frequency_that_the_title_stated_before_makes_no_other_product(
    made: ProductTask, tmp_path: Path
) -> None:
    older = with_catalog(made, tmp_path, "simulated radar", "95 GHz radar")
    older = with_places(older, products=str(tmp_path / "products"))
    fill_task(older)
    (tmp_path / "newer").mkdir()
    stated = "frequency_ghz: 95\n    site: simulated"
    assert find_unchanged(with_catalog(older, tmp_path / "newer", "site: simulated", stated))


def test_product_names_the_people_whom_the_catalogue_names(
    made: ProductTask, tmp_path: Path
) -> None:
    people = "institution: An observatory\n    creator: A group\n    publisher: A portal\n    "
    task = with_catalog(made, tmp_path, "site: simulated", f"{people}site: simulated")
    with xr.open_dataset(str(fill_task(with_places(task, products=str(tmp_path))).product)) as new:
        assert new.attrs["institution"] == "An observatory"
        assert (new.attrs["creator_name"], new.attrs["publisher_name"]) == ("A group", "A portal")
    with xr.open_dataset(path_of(made)) as product:
        assert product.attrs["institution"] == "not stated"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("version: 1", "# a comment\nversion: 1"),
        ("directory: short_days", "directory: elsewhere"),
        ("reader: cloudnet_radar", "reader: mrr"),
        (", test: [2000-01-03]", ""),
    ],
    ids=["comment", "directory", "reader", "split"],
)
def test_what_a_product_does_not_follow_from_makes_no_other(
    made: ProductTask, tmp_path: Path, old: str, new: str
) -> None:
    assert find_unchanged(with_catalog(made, tmp_path, old, new)) is not None


def test_another_version_of_products_is_another_product(
    made: ProductTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(product_task, "PRODUCT_VERSION", "another")
    assert find_unchanged(made) is None


def test_another_checkpoint_is_another_product_and_the_same_elsewhere_is_not(
    made: ProductTask, tmp_path: Path
) -> None:
    copied = shutil.copy(made.checkpoint, tmp_path / "copied.keras")
    os.utime(copied, (0, 0))
    assert find_unchanged(with_filling(made, checkpoint=copied)) is not None
    # At the same path, and read a moment ago.
    write_checkpoint(
        copied, dataclasses.replace(read_checkpoint(made.checkpoint), training={"steps": 1})
    )
    assert find_unchanged(with_filling(made, checkpoint=copied)) is None


def test_another_curtain_or_another_file_of_it_is_another_product(
    made: ProductTask, tmp_path: Path
) -> None:
    task = copy_archive(made, tmp_path)
    assert find_unchanged(task) is not None  # the same content elsewhere
    archive = Archive(str(task.places.archive))
    curtain, record = archive.read_granule(SOURCE, DAY)
    (file,) = record.contributing
    assert find_unchanged(dataclasses.replace(task, day=DAY + timedelta(days=1))) is None

    renewed = dataclasses.replace(file, sha256="ab" * 32, profiles_dropped={"off zenith": 3})
    archive.upsert(SOURCE, DAY, {renewed: curtain.drop_vars("source_file")}, record.configuration)
    assert (
        find_unchanged(task) is None
    )  # the same values, but the product names its files with their hashes
    elsewhere = with_places(task, products=str(tmp_path / "products"))
    assert fill_task(elsewhere).status == "created"
    with xr.open_dataset(path_of(elsewhere)) as new, xr.open_dataset(path_of(made)) as old:
        assert new.attrs["profiles_dropped"] == "off zenith: 3"
        assert "profiles_dropped" not in old.attrs

    changed = curtain.drop_vars("source_file").copy(deep=True)
    changed["reflectivity"][300] -= np.float32(1)
    archive.upsert(
        SOURCE, DAY, {dataclasses.replace(file, sha256="cd" * 32): changed}, record.configuration
    )
    assert find_unchanged(with_places(task, products=str(tmp_path / "products"))) is None


def test_force_makes_anew_what_is_there_bit_for_bit_but_for_the_time_of_making(
    made: ProductTask, tmp_path: Path
) -> None:
    task = with_places(
        made, products=str(shutil.copytree(str(made.places.products), tmp_path / "products"))
    )
    before = path_of(task).stat().st_ino
    assert fill_task(dataclasses.replace(task, force=True)).status == "created"
    assert path_of(task).stat().st_ino != before
    with xr.open_dataset(path_of(made)) as first, xr.open_dataset(path_of(task)) as second:
        xr.testing.assert_equal(first, second)
        changed = {name for name in first.attrs if first.attrs[name] != second.attrs[name]}
    assert changed <= {
        "history",
        *(f"date_{what}" for what in ("created", "modified", "issued", "metadata_modified")),
    }


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def overwrite(path: Path) -> None:
    path.write_text("no HDF5")


@pytest.mark.parametrize("damage", [cut_short, overwrite, Path.unlink])
def test_product_that_is_not_whole_is_made_anew(
    made: ProductTask, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    task = with_places(
        made, products=str(shutil.copytree(str(made.places.products), tmp_path / "products"))
    )
    damage(path_of(task))
    assert find_unchanged(task) is None
    assert fill_task(task).status == "created"
    assert find_unchanged(task) is not None


def test_day_that_is_not_held_or_not_understood_is_refused_and_its_product_stays(
    made: ProductTask, tmp_path: Path
) -> None:
    with pytest.raises(ArchiveError, match="no short_days for 1999-01-01"):
        fill_task(dataclasses.replace(made, day=date(1999, 1, 1)))
    task = with_places(
        copy_archive(made, tmp_path),
        products=str(shutil.copytree(str(made.places.products), tmp_path / "products")),
    )
    before = path_of(task).read_bytes()
    deep = with_catalog(task, tmp_path, "quality:", "blind_zone: {top_m: 2000}\n    quality:")
    with pytest.raises(
        CurtainError, match=r"reaches up to 2000 m; the network was trained to fill at most 1250"
    ):
        fill_task(deep)
    archive = Archive(str(task.places.archive))
    curtain, record = archive.read_granule(SOURCE, DAY)
    coarse = curtain.drop_vars("source_file").isel(height=slice(64))
    other = Archive(tmp_path / "other")
    other.upsert(SOURCE, DAY, {record.files[0]: coarse}, record.configuration)
    with pytest.raises(
        CurtainError, match=r"the curtain has 64 rows .* the checkpoint was made for 128 rows"
    ):
        fill_task(with_places(task, archive=str(tmp_path / "other")))
    assert path_of(task).read_bytes() == before
    assert [path.name for path in path_of(task).parent.iterdir() if path.is_file()] == [
        path_of(task).name
    ]


def make_lidar(day: date, value: float) -> xr.Dataset:
    """Two hours of a lidar that sees the same everywhere."""
    times = np.datetime64(day, "ns") + np.arange(120) * MINUTE
    shape = (times.size, 128)
    return xr.Dataset(
        {
            "attenuated_backscatter": (("time", "height"), np.full(shape, value, dtype=np.float32)),
            "backscatter_status": (
                ("time", "height"),
                np.full(shape, DetectionStatus.ECHO, dtype=np.int8),
            ),
        },
        {
            "time": times,
            "height": (np.arange(128) + 0.5) * 78.125,
            "latitude": 48.7,
            "longitude": 2.2,
            "altitude": 100.0,
        },
    )


def archive_lidar(task: ProductTask, value: float) -> None:
    file = FileRecord(name="lidar.nc", size=1, sha256=f"{value:.0e}")
    Archive(str(task.places.archive)).upsert("lidar", DAY, {file: make_lidar(DAY, value)}, {})


@pytest.fixture
def with_lidar(made: ProductTask, tmp_path: Path) -> ProductTask:
    """A task whose network takes a collocated lidar; archive and products are the test's."""
    entry = (
        "\n  lidar: {title: a, reader: ceilometer, directory: lidar, files: '%Y%m%d.nc',"
        " instrument: a, site: a}\n"
    )
    task = with_catalog(
        copy_archive(made, tmp_path), tmp_path, "quality:", "partners: {lidar: lidar}\n    quality:"
    )
    catalog = Path(str(task.places.catalog))
    catalog.write_text(catalog.read_text().rstrip() + entry)
    shown = Preprocessing.from_dict(read_checkpoint(task.checkpoint).preprocessing)
    shown = dataclasses.replace(shown, channels=(*CHANNELS, *CHANNEL_GROUPS["lidar"]))
    config = fit_config(NetworkConfig(filters=2, depth=2), shown)
    network = Checkpoint(
        network=build_network(config), config=config, preprocessing=shown.to_dict()
    )
    write_checkpoint(tmp_path / "lidar.keras", network)
    archive_lidar(task, 1e-6)
    return with_places(
        with_filling(task, checkpoint=tmp_path / "lidar.keras"), products=str(tmp_path / "products")
    )


def test_partner_that_comes_or_changes_makes_another_product_where_the_network_sees_it(
    made: ProductTask, with_lidar: ProductTask
) -> None:
    assert fill_task(with_lidar).status == "created"
    assert find_unchanged(with_lidar) is not None
    archive_lidar(with_lidar, 2e-6)
    assert find_unchanged(with_lidar) is None
    # The other network sees no lidar.
    blind = with_filling(with_lidar, checkpoint=made.checkpoint)
    assert fill_task(blind).status == "created"
    archive_lidar(blind, 3e-6)
    assert find_unchanged(blind) is not None


def test_partner_at_the_surface_makes_no_other_product(made: ProductTask, tmp_path: Path) -> None:
    entry = (
        "\n  mast: {title: a, reader: cloudnet_weather_station, directory: mast,"
        " files: '%Y%m%d.nc', instrument: a, site: a}\n"
    )
    task = with_catalog(made, tmp_path, "quality:", "partners: {surface: [mast]}\n    quality:")
    catalog = Path(str(task.places.catalog))
    catalog.write_text(catalog.read_text().rstrip() + entry)
    assert find_unchanged(made) is not None
    assert find_unchanged(task) is not None


def test_partner_that_changes_while_a_day_is_filled_is_not_taken_for_what_it_was_made_from(
    with_lidar: ProductTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_curtain = trained_network.fill_curtain

    def change_and_fill(*args: object, **kwargs: object) -> xr.Dataset:
        archive_lidar(with_lidar, 2e-6)
        return fill_curtain(*args, **kwargs)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(trained_network, "fill_curtain", change_and_fill)
        assert fill_task(with_lidar).status == "created"
    assert find_unchanged(with_lidar) is None
    assert fill_task(with_lidar).status == "created"
    assert find_unchanged(with_lidar) is not None


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"passes": 1}, "passes: a distribution needs at least 2; found 1 .'single' is one .*"),
        ({"passes": "two"}, "passes: a number of stochastic .* or 'single', .*; found 'two'"),
        ({"members": 1}, "members: a distribution needs at least 2; found 1"),
        ({"seed": -1}, "seed: a number of at least 0 is right; found -1"),
    ],
    ids=str,
)
def test_filling_that_makes_no_sense_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(PlanError, match=f"^filling: {message}$"):
        Filling(**wrong)


def test_settled_places_and_fillings_mean_the_same_in_another_folder_and_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, catalog: Path, trained: tuple[Path, Path]
) -> None:
    here = tmp_path / "here"
    (here / "work" / "checkpoints").mkdir(parents=True)
    monkeypatch.chdir(here)
    monkeypatch.setenv("BLINDZONE_WORKSPACE", "work")
    shutil.copy(catalog, "data_catalog.yaml")
    shutil.copy(trained[1], f"work/checkpoints/{SOURCE}.keras")
    places, filling = Places().settle(), Filling().settle(SOURCE)
    task = ProductTask(source=SOURCE, day=DAY, filling=filling, places=places)

    # As a worker elsewhere sees it.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BLINDZONE_WORKSPACE", str(tmp_path / "of the worker"))
    assert places.catalog == here / "data_catalog.yaml"
    assert (places.archive, places.products) == (
        str(here / "work/archive"),
        str(here / "work/products"),
    )
    assert places.reports == here / "work/reports"
    assert task.checkpoint == here / f"work/checkpoints/{SOURCE}.keras"
    assert SOURCE in read_catalog(places.catalog)


def test_url_is_settled_already() -> None:
    places = Places(archive="s3://bucket/archive", products="memory://products").settle()
    assert (places.archive, places.products) == ("s3://bucket/archive", "memory://products")


def test_product_that_is_there_gets_what_is_derived_of_it_without_being_made_anew(
    made: ProductTask,
) -> None:
    derived = Path(made.places.products) / f"{SOURCE}_20000102_blindzone_derived.nc"
    task = dataclasses.replace(made, derive=True)
    assert find_unchanged(task) is None
    report = fill_task(task)
    assert (report.status, report.flaws, derived.exists()) == ("unchanged", (), True)
    found = find_unchanged(task)
    assert found is not None
    assert found.status == "unchanged"
