"""A file that ends the process which opens it, or never lets go of it, is rejected alone."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from damage import bench

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.readers import _hdf5_walk
from blindzone.pipeline.readers._hdf5_walk import DeadlyFileError, check_survives
from blindzone.pipeline.readers._netcdf import read_header

DEADLY = """
import os, time

def walk(path):
    if "aborts" in path:
        os.abort()
    if "endless" in path:
        time.sleep(600)
"""


@pytest.fixture
def each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is walked each time."""
    monkeypatch.setattr(_hdf5_walk, "_read_state", lambda path: None)


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    path = tmp_path / "whole.nc"
    with h5py.File(path, "w") as file:
        file["reflectivity"] = np.zeros((2, 3), "f4")
    return path


@pytest.fixture
def deadly_walk(monkeypatch: pytest.MonkeyPatch, each_time: None) -> None:
    """A walk that dies, or does not end, of files by their names."""
    monkeypatch.setattr(_hdf5_walk, "_WALK", DEADLY)
    monkeypatch.setattr(_hdf5_walk, "_SERVER", _hdf5_walk._Server())
    monkeypatch.setattr(_hdf5_walk, "LONGEST_WALK_S", 0.5)


def copy(whole: Path, name: str) -> Path:
    path = whole.with_name(name)
    path.write_bytes(whole.read_bytes())
    return path


def test_whole_file_survives_and_is_read(whole: Path) -> None:
    check_survives(whole)
    assert read_header(whole).variables == {"reflectivity"}


def test_file_with_damage_that_hdf5_reports_is_left_to_who_opens_it(whole: Path) -> None:
    whole.write_bytes(whole.read_bytes()[:100])
    check_survives(whole)
    with pytest.raises(SourceFileError, match="cut short or damaged"):
        read_header(whole)


@pytest.mark.usefixtures("deadly_walk")
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("aborts.nc", r"ended the process that read it \(SIGABRT\)"),
        ("endless.nc", r"did not return within"),
    ],
)
def test_deadly_file_is_rejected_and_the_next_is_read(whole: Path, name: str, reason: str) -> None:
    deadly = copy(whole, name)
    for _ in range(2):
        with pytest.raises(SourceFileError, match=rf"{name}: cannot be read as netCDF.*{reason}"):
            read_header(deadly)
        assert read_header(whole).variables == {"reflectivity"}


@pytest.mark.usefixtures("deadly_walk")
def test_server_that_ended_in_between_is_started_again(whole: Path) -> None:
    check_survives(whole)
    server = _hdf5_walk._SERVER._process
    assert server is not None
    server.kill()
    check_survives(whole)
    with pytest.raises(DeadlyFileError):
        check_survives(copy(whole, "aborts.nc"))


@pytest.mark.usefixtures("deadly_walk")
def test_answer_of_an_interrupted_walk_is_not_the_next_files(
    whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "TIME_LIMIT_S", 0.2)
    with pytest.raises(TimeoutError), bench.limit_time():
        check_survives(copy(whole, "endless.nc"))
    with pytest.raises(DeadlyFileError, match="SIGABRT"):
        check_survives(copy(whole, "aborts.nc"))
    check_survives(whole)


def test_without_another_process_files_are_opened_all_the_same(
    whole: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(_hdf5_walk, "_SERVER", _hdf5_walk._Server())
    monkeypatch.setattr(_hdf5_walk.subprocess, "Popen", refuse)
    assert read_header(whole).variables == {"reflectivity"}
    assert "without a walk ahead" in caplog.text


def test_file_is_walked_again_only_after_it_changed(
    whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walked: list[Path] = []
    monkeypatch.setattr(_hdf5_walk, "_SURVIVED", {})

    def walk(path: Path) -> int:
        walked.append(path)
        return 0

    monkeypatch.setattr(_hdf5_walk._SERVER, "walk", walk)
    for _ in range(2):
        check_survives(whole)
    assert walked == [whole]
    whole.write_bytes(whole.read_bytes() + b" ")
    check_survives(whole)
    assert walked == [whole, whole]
