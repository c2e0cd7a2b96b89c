"""Which network fills a curtain, by its band, platform and grid."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from tiny_networks import EARTHCARE, GPM, write_network, write_repairing

from blindzone.core.errors import CheckpointError, CurtainError
from blindzone.flows.running import network_choice
from blindzone.flows.running.network_choice import (
    CurtainKind,
    check_kind,
    choose_network,
    choose_repairing,
    find_curtain_kind,
    find_entry_kind,
    find_network_kind,
    list_shipped,
    read_preprocessing,
    trained_checkpoint,
)
from blindzone.flows.running.workspace import SHIPPED_WEIGHTS
from blindzone.models.checkpoint_record import open_record, read_record
from blindzone.pipeline.catalog.catalog import read_catalog

GROUND = CurtainKind(frequency_ghz=95.0, looks_down=False, row_depth_m=25.0)
CPR = CurtainKind(frequency_ghz=94.05, looks_down=True, row_depth_m=239.83, spacing_m=1080.0)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of networks as the package has it, for CloudSat, EarthCARE and GPM too."""
    folder = tmp_path_factory.mktemp("weights")
    (folder / "palaiseau.keras").symlink_to(SHIPPED_WEIGHTS)
    write_network(folder / "cloudsat.keras")
    write_network(folder / "earthcare.keras", **EARTHCARE)
    write_network(folder / "gpm.keras", 13.6, floor_dbz=12.0, **GPM)
    write_repairing(folder / "a_repair.keras")
    write_repairing(folder / "a_trunk.keras", is_trunk=True)
    write_network(folder / "b_trunk.keras", is_trunk=True)
    (folder / "damaged.keras").write_bytes(b"PK")
    return folder


@pytest.fixture(autouse=True)
def _ship(shipped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_choice, "SHIPPED_WEIGHTS", shipped / "palaiseau.keras")


def test_networks_that_can_be_read_are_listed_with_what_they_were_made_for(shipped: Path) -> None:
    found = {path.name: kind for path, kind in list_shipped().items()}
    assert list(found) == ["cloudsat.keras", "earthcare.keras", "gpm.keras", "palaiseau.keras"]
    assert found["palaiseau.keras"] == replace(GROUND, row_depth_m=78.125)
    assert found["cloudsat.keras"] == replace(CPR, row_depth_m=240.0, spacing_m=1090.0)
    assert str(found["gpm.keras"]) == (
        "a radar from above at 13.6 GHz, rows every 250 m, profiles every 5000 m"
    )
    assert str(found["palaiseau.keras"]) == "a radar on the ground at 95 GHz, rows every 78.12 m"


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (CPR, "cloudsat.keras"),
        # Both fit: the finer grid.
        (replace(CPR, row_depth_m=100.0, spacing_m=500.0), "earthcare.keras"),
        (replace(CPR, row_depth_m=100.0, spacing_m=1000.0), "cloudsat.keras"),
        (replace(CPR, row_depth_m=26.0, spacing_m=float("nan")), "earthcare.keras"),
        (replace(CPR, frequency_ghz=13.9, row_depth_m=125.0, spacing_m=5200.0), "gpm.keras"),
        (GROUND, "palaiseau.keras"),
        (replace(GROUND, frequency_ghz=35.0), "palaiseau.keras"),
        (replace(GROUND, frequency_ghz=None, row_depth_m=500.0), "palaiseau.keras"),
    ],
    ids=["CloudSat", "EarthCARE", "coarse", "one profile", "GPM", "ground", "Ka", "unknown"],
)
def test_network_is_that_of_the_band_and_platform_with_the_finest_grid_that_fits(
    kind: CurtainKind, name: str
) -> None:
    assert choose_network(kind, where="here").name == name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frequency_ghz": 35.5}, r"at 35.5 GHz, rows every 239.8 m, profiles every 1080 m; a"),
        ({"frequency_ghz": None}, r"unknown frequency.*the frequency \(frequency_ghz\) to be"),
        ({"row_depth_m": 250.0}, "cloudsat.keras: a radar from above at 94.05 GHz, rows every 240"),
        ({"spacing_m": 1400.0}, "trained for its band and a grid no finer is right"),
    ],
    ids=["band", "no band", "rows", "profiles"],
)
def test_curtain_from_above_that_none_fits_is_one_error(
    change: dict[str, Any], message: str
) -> None:
    with pytest.raises(CurtainError, match=f"^here: the curtain is that of a radar.*{message}"):
        choose_network(replace(CPR, **change), where="here")


@pytest.mark.parametrize(
    ("frequency_ghz", "spacing_m", "found"),
    [(13.6, 4916.0, "gpm_ku.keras"), (13.91, 95.7, "gpm_ku.keras"), (35.5, 4916.0, None)],
)
def test_ku_band_from_above_has_a_network_and_ka_band_none(
    frequency_ghz: float, spacing_m: float, found: str | None
) -> None:
    kind = CurtainKind(
        frequency_ghz=frequency_ghz, looks_down=True, row_depth_m=125.0, spacing_m=spacing_m
    )
    fitting = {
        path.name
        for path in SHIPPED_WEIGHTS.parent.glob("*.keras")
        if find_network_kind(read_record(path).content).fits(kind)
    }
    assert fitting == ({found} if found else set())


def test_network_of_another_platform_or_band_is_refused_with_the_right_one() -> None:
    made_for = {path.name: kind for path, kind in list_shipped().items()}
    check_kind(made_for["cloudsat.keras"], CPR, name="a", where="here")
    check_kind(made_for["palaiseau.keras"], replace(GROUND, frequency_ghz=35), name="a", where="b")
    unknown = replace(made_for["cloudsat.keras"], frequency_ghz=None)
    check_kind(unknown, CPR, name="a", where="here")
    check_kind(made_for["cloudsat.keras"], replace(CPR, frequency_ghz=None), name="a", where="b")
    for name, kind, right in (
        ("palaiseau.keras", CPR, "cloudsat.keras of the package is right"),
        ("gpm.keras", CPR, "cloudsat.keras of the package is right"),
        ("cloudsat.keras", GROUND, "palaiseau.keras of the package is right"),
        ("earthcare.keras", CPR, "cloudsat.keras of the package is right"),
    ):
        with pytest.raises(CurtainError) as raised:
            check_kind(made_for[name], kind, name=name, where="here")
        assert str(raised.value) == (
            f"here: the curtain is that of {kind}, the network {name} was made for"
            f" {made_for[name]}; {right}"
        )


def test_band_is_that_of_the_training_or_of_the_applicability() -> None:
    shipped = read_record(SHIPPED_WEIGHTS).content
    # Trainings of former versions did not state a frequency.
    former = {key: value for key, value in shipped["training"].items() if key != "frequency_ghz"}
    content = shipped | {"training": former}
    assert find_network_kind(content).frequency_ghz == 95.0
    trained = content | {"training": {"frequency_ghz": 35.0}}
    assert find_network_kind(trained).frequency_ghz == 35.0
    assert find_network_kind(content | {"calibration": None}).frequency_ghz is None


def test_trunk_is_not_chosen_and_fills_nothing(shipped: Path) -> None:
    chosen = {*list_shipped(), *list_shipped(repairs=True)}
    assert {path.name for path in chosen}.isdisjoint({"a_trunk.keras", "b_trunk.keras"})
    path = shipped / "a_trunk.keras"
    with pytest.raises(CheckpointError, match=r"a pretrained trunk, .*'blindzone train SOURCE"):
        read_preprocessing(path, open_record(path))


def test_kind_of_a_swath_is_that_of_its_middle_ray() -> None:
    along = np.array([[0.0, 5000, 10_000], [0, 5100, 10_200], [0, 4000, 8000]])
    swath = xr.Dataset(
        coords={
            "height": [62.5, 187.5, 312.5],
            "along_track_distance": (("ray", "time"), along),
        }
    )
    assert find_curtain_kind(swath, 13.6) == CurtainKind(
        frequency_ghz=13.6, looks_down=True, row_depth_m=125.0, spacing_m=5100.0
    )
    assert not find_curtain_kind(swath.drop_vars("along_track_distance"), None).looks_down


def test_source_is_filled_by_its_own_checkpoint_or_the_weights_of_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLINDZONE_WORKSPACE", str(tmp_path))
    assert trained_checkpoint("station") == network_choice.SHIPPED_WEIGHTS
    assert network_choice.SHIPPED_WEIGHTS.is_file()
    own = tmp_path / "checkpoints" / "station.keras"
    own.parent.mkdir()
    own.touch()
    assert trained_checkpoint("station") == own


def test_source_without_a_checkpoint_gets_the_one_that_fits_its_entry(
    tmp_path: Path, catalog_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLINDZONE_WORKSPACE", str(tmp_path))
    entry = read_catalog(catalog_file)["simulated"]
    assert trained_checkpoint("simulated", find_entry_kind(entry)).name == "palaiseau.keras"
    above = replace(entry, frequency_ghz=94.0, grid=entry.grid, profile_spacing_m=500.0)
    assert find_entry_kind(above).looks_down
    fine = replace(above, grid=replace(entry.grid, rows=128, row_depth_m=100.0))
    assert trained_checkpoint("space", find_entry_kind(fine)).name == "earthcare.keras"
    with pytest.raises(CurtainError, match=r"^space: the curtain is that of a radar from above at"):
        trained_checkpoint("space", find_entry_kind(replace(fine, frequency_ghz=35.0)))


def test_holes_are_repaired_by_the_network_that_was_made_for_that_alone(
    shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It does not fill blind zones, though it is the first by its name.
    assert choose_network(GROUND, where="here").name == "palaiseau.keras"
    assert choose_repairing(GROUND, where="here").name == "a_repair.keras"
    assert choose_repairing(replace(GROUND, frequency_ghz=35.0), where="here").name == (
        "a_repair.keras"
    )
    with pytest.raises(CurtainError, match="no network of the package repairs"):
        choose_repairing(CPR, where="here")
    monkeypatch.setattr(network_choice, "SHIPPED_WEIGHTS", tmp_path / "palaiseau.keras")
    with pytest.raises(CurtainError, match=r"windows: holes"):
        choose_repairing(GROUND, where="here")
