"""What is checked before libraries load, and which ones a command without work never loads."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from commands import run

from blindzone.core.errors import BlindzoneError, CatalogError, CheckpointError, SourceFileError
from blindzone.flows.commands.early_checks import check_checkpoints, check_file, check_sources

SOURCE = "short_days"
HEAVY = ("tensorflow", "keras", "prefect", "matplotlib", "scipy", "sklearn", "zarr", "dask")
PROGRAM = f"""
import json, sys
from blindzone.flows.commands.cli import app
for words in json.loads(sys.argv[1]):
    try:
        app(words)
    except SystemExit as end:
        loaded = [name for name in {(*HEAVY, "xarray")} if name in sys.modules]
        print(json.dumps([end.code, loaded]))
"""


def run_apart(commands: Sequence[Sequence[object]]) -> list[tuple[int, list[str]]]:
    """Runs commands in one new process; returns status and heavy modules loaded so far of each."""
    words = json.dumps([[str(word) for word in command] for command in commands])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, words], capture_output=True, text=True, check=True
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("[")]
    assert len(lines) == len(commands), done.stdout + done.stderr
    return [(code, loaded) for code, loaded in map(json.loads, lines)]


def test_refusals_load_no_network_and_no_server(catalog: Path, tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no radar")
    places, days = ("--catalog", catalog), ("--start", "2000-01-01", "--end", "2000-01-02")
    missing = ("--checkpoint", tmp_path / "none.keras")
    commands = [
        ("fill", tmp_path / "none.nc"),
        ("plot", tmp_path / "none.nc"),
        ("fill", tmp_path / "none.nc", text, "--output", tmp_path),
        ("plot", text),
        *((name, "nosuch", *places) for name in ("train", "calibrate", "evaluate", "sweep")),
        *((name, "nosuch", *places) for name in ("ingest", "reprocess", "nightly")),
        ("inpaint", "nosuch", *days, *places),
        ("evaluate", SOURCE, *places, *missing),
        ("calibrate", SOURCE, *places, *missing),
    ]
    found = run_apart(commands)
    assert found[:2] == [(1, []), (1, [])]
    assert found[2:] == [(1, ["xarray"])] * (len(commands) - 2)


def test_product_that_is_there_unchanged_needs_no_network(
    trained: tuple[Path, Path], catalog: Path, simulated_days: Path, tmp_path: Path
) -> None:
    archive, checkpoint = trained
    options = ("--checkpoint", checkpoint, "--passes", 2, "--output", tmp_path)
    places = (*options, "--catalog", catalog, "--archive", archive)
    days = ("--start", "2000-01-03", "--end", "2000-01-03")
    commands = [
        ("inpaint", SOURCE, *days, *places),
        ("reprocess", SOURCE, *days, *places),
        ("fill", simulated_days / SOURCE / "20000103_radar.nc", *options),
    ]
    for command in (commands[0], commands[2]):
        assert run(*command)[0] == 0
    *archived, (code, loaded) = run_apart(commands)
    assert archived == [(0, ["xarray"])] * 2
    # A file is read and gridded first, in parts.
    assert (code, set(loaded) <= {"xarray", "scipy", "dask"}) == (0, True)


def test_checks_raise_what_the_command_would(catalog: Path, tmp_path: Path) -> None:
    wrong: list[tuple[type[BlindzoneError], str, object]] = [
        (SourceFileError, "a.nc: no such file", lambda: check_file(tmp_path / "a.nc")),
        (CatalogError, "no source 'nosuch'", lambda: check_sources(["nosuch"], catalog)),
        (CatalogError, "'b'", lambda: check_sources([SOURCE, "b"], catalog)),
        (CatalogError, "'a'", lambda: check_sources(["a", "b"], catalog, any_will_do=True)),
        (CheckpointError, "no such", lambda: check_checkpoints([None, tmp_path / "a.keras"])),
    ]
    for error, message, check in wrong:
        with pytest.raises(error, match=message):
            check()  # type: ignore[operator]
    check_file(catalog)
    check_sources(["a", SOURCE], catalog, any_will_do=True)
    check_checkpoints([None])
