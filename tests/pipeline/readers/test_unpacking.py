"""Compressed files: read as what they hold, and refused where they hold nothing whole."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from flow_calls import ingest_granule

from blindzone.core.errors import SourceFileError
from blindzone.core.files import sha256_file
from blindzone.pipeline.archive import Archive
from blindzone.pipeline.catalog.source_files import find_by_day
from blindzone.pipeline.readers import _unpacking, read_curtain, recognise
from blindzone.pipeline.readers._unpacking import find_stem, unpack

DAY = date(2000, 1, 1)
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}


@pytest.fixture(autouse=True)
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where copies are unpacked; nothing may be left there."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.parametrize("suffix", COMPRESS)
def test_compressed_file_reads_as_what_it_holds(
    suffix: str, simulated_file: Path, tmp_path: Path, temporary_folder: Path
) -> None:
    path = tmp_path / f"20000101_radar.nc{suffix}"
    path.write_bytes(COMPRESS[suffix](simulated_file.read_bytes()))
    assert recognise(path).name == "cloudnet_radar"
    assert read_curtain(path).identical(read_curtain(simulated_file))
    assert read_curtain(path, "cloudnet_radar").identical(read_curtain(simulated_file))
    assert list(temporary_folder.iterdir()) == []


def test_plain_file_is_not_copied(simulated_file: Path) -> None:
    with unpack(simulated_file) as unpacked:
        assert unpacked == simulated_file


def test_error_about_the_content_names_the_file_and_not_the_copy(
    tmp_path: Path, temporary_folder: Path
) -> None:
    path = tmp_path / "20000101_radar.nc.gz"
    path.write_bytes(gzip.compress(b"<!DOCTYPE html><html>"))
    with pytest.raises(SourceFileError, match=rf"^{path}: .*HTML") as refusal:
        read_curtain(path)
    assert str(temporary_folder) not in str(refusal.value)
    assert list(temporary_folder.iterdir()) == []


@pytest.mark.parametrize("suffix", COMPRESS)
def test_file_cut_short_or_changed_is_rejected(suffix: str, tmp_path: Path) -> None:
    path, content = tmp_path / f"radar.nc{suffix}", COMPRESS[suffix](bytes(range(256)) * 40)
    for broken in (content[:-5], content[:12], content[:20] + b"\0\0\0\0" + content[24:]):
        path.write_bytes(broken)
        with pytest.raises(SourceFileError, match=rf"^{path}: cannot be read as (gzip|bzip2|xz)"):
            read_curtain(path)


def test_file_that_grows_beyond_memory_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, temporary_folder: Path
) -> None:
    path = tmp_path / "radar.nc.gz"
    path.write_bytes(gzip.compress(bytes(32 * 2**20)))  # 32 KiB
    monkeypatch.setattr(_unpacking, "find_available", lambda: 2**20)
    with pytest.raises(
        SourceFileError, match=rf"^{path}: unpacked it takes more than 0.000977 GiB"
    ):
        read_curtain(path)
    assert list(temporary_folder.iterdir()) == []


def test_compressed_files_of_a_source_are_found_and_archived_by_their_own_hash(
    simulated_file: Path, tmp_path: Path
) -> None:
    path = tmp_path / "data" / "20000101_radar.nc.gz"
    path.parent.mkdir()
    path.write_bytes(gzip.compress(simulated_file.read_bytes()))
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text(
        "version: 1\nsources:\n  radar:\n    directory: data\n    files: '%Y%m%d_radar.nc.gz'\n"
    )
    assert find_by_day(path.parent, "%Y%m%d_radar.nc.gz") == {DAY: (path,)}
    archive = Archive(tmp_path / "archive")
    _, rejected = ingest_granule("radar", DAY, (path,), catalog, archive.root)
    assert rejected == {}
    (file,) = archive.record("radar", DAY).files
    assert (file.name, file.sha256) == (path.name, sha256_file(path))


def test_stem_is_without_the_endings_of_file_and_compression() -> None:
    names = {
        "x.nc": "x",
        "x.nc.gz": "x",
        "x.y.nc.bz2": "x.y",
        "x.gz": "x",
        "%Y_x_*.nc.xz": "%Y_x_*",
    }
    assert {name: find_stem(name) for name in names} == names
