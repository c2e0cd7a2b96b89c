"""Where catalogue, data and simulated files are found, and folders that are not trusted."""

from __future__ import annotations

from pathlib import Path

import platformdirs
import pytest

from blindzone.core.errors import CatalogError
from blindzone.pipeline.catalog.catalog import read_catalog
from blindzone.pipeline.catalog.places import find_catalog, find_data_directory, find_in_cache


def test_named_data_directory_is_taken(
    tmp_path: Path, catalog_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLINDZONE_DATA", str(tmp_path / "mine"))
    assert find_data_directory() == tmp_path / "mine"
    assert read_catalog(catalog_file).data_directory("palaiseau_basta") == tmp_path / "mine"


def test_data_are_in_the_user_s_own_folder_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BLINDZONE_DATA", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert find_data_directory() == tmp_path / "blindzone"


def test_simulated_files_are_in_the_cache_by_seed(
    tmp_path: Path, catalog_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLINDZONE_DATA", str(tmp_path))
    expected = platformdirs.user_cache_path("blindzone") / "seed0"
    assert read_catalog(catalog_file).data_directory("simulated") == expected


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "blindzone"


@pytest.mark.parametrize("below", ["", "seed0"])
def test_cache_that_everyone_may_write_to_is_rejected(below: str, cache: Path) -> None:
    # Not there yet, to be made by this user.
    assert find_in_cache("seed0") == cache / "seed0"
    (cache / "seed0").mkdir(parents=True)
    assert find_in_cache("seed0") == cache / "seed0"
    (cache / below).chmod(0o777)
    message = rf"^{cache / below}: others may write to this cache, .*drwxrwxrwx.*XDG_CACHE_HOME"
    with pytest.raises(CatalogError, match=message):
        find_in_cache("seed0")


def test_cache_of_another_user_is_rejected(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.mkdir()
    owner = cache.stat().st_uid
    monkeypatch.setattr("os.getuid", lambda: owner + 1)
    message = (
        rf"^{cache}: others may write .* belongs to user {owner}, .*belongs to user {owner + 1} "
    )
    with pytest.raises(CatalogError, match=message):
        find_in_cache("seed0")


def test_default_data_directory_that_everyone_may_write_to_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BLINDZONE_DATA", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    (tmp_path / "blindzone").mkdir()
    (tmp_path / "blindzone").chmod(0o777)
    message = rf"^{tmp_path}/blindzone: others may write to this data directory, .*BLINDZONE_DATA"
    with pytest.raises(CatalogError, match=message):
        find_data_directory()


def test_named_catalogue_is_taken_then_the_one_here_then_the_shipped_one(
    tmp_path: Path, catalog_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BLINDZONE_CATALOG", raising=False)
    assert find_catalog().resolve() == catalog_file
    text = 'version: 1\nsources: {one: {directory: one, files: "%Y%m%d.nc"}}\n'
    (tmp_path / "data_catalog.yaml").write_text(text)
    assert list(read_catalog()) == ["one"]
    monkeypatch.setenv("BLINDZONE_CATALOG", str(tmp_path / "mine.yaml"))
    assert find_catalog() == tmp_path / "mine.yaml"
