"""The command line as a whole: help, version, completion, and what it loads."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from commands import one_line, run

COMMANDS = (
    "fill inspect plot ingest inpaint train calibrate lighten evaluate sweep nightly reprocess"
    " doctor serve demo archive catalog runs"
)
GROUPS = {
    "archive": ("show", "verify", "repair", "export", "quicklook"),
    "catalog": ("list", "show", "check"),
    "runs": ("list", "compare"),
}
EVERY = [
    [],
    *([name] for name in COMMANDS.split()),
    *([group, name] for group, names in GROUPS.items() for name in names),
]
HEAVY = {"tensorflow", "keras", "prefect", "xarray", "matplotlib", "zarr", "rich"}


@pytest.mark.parametrize("arguments", EVERY, ids=" ".join)
def test_every_command_has_help_that_is_whole_at_80_columns(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = run(*arguments, "--help")
    assert code == 0
    assert out.startswith("Usage:")
    # What is cut off ends in one of these.
    assert "…" not in out
    assert "..." not in out.replace("[ARGS]...", "").replace("}...", "").replace("]...", "")
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize("arguments", EVERY, ids=" ".join)
def test_help_names_no_old_spelling(arguments: list[str]) -> None:
    _, out, _ = run(*arguments, "--help")
    assert "--realizations" not in out
    assert "--samples" not in out


def test_help_lists_every_command_and_the_environment() -> None:
    _, out, _ = run("--help")
    for name in COMMANDS.split():
        assert f"\n  {name} " in out
    for name in ("BLINDZONE_DATA", "BLINDZONE_CATALOG", "BLINDZONE_WORKSPACE"):
        assert f"\n  {name} " in out


def test_help_of_a_command_names_the_variable_that_sets_an_option() -> None:
    _, out, _ = run("ingest", "--help")
    assert "[env var: BLINDZONE_CATALOG]" in one_line(out)
    assert "$BLINDZONE_WORKSPACE/archive" in one_line(out)


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys; from blindzone.flows.commands.cli import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        f"sys.exit(', '.join({HEAVY} & set(sys.modules)) or 0)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, timeout=60, text=True
    )
    assert ended.returncode == 0, ended.stderr


def test_version_is_that_of_the_package() -> None:
    assert run("--version") == (0, f"blindzone {version('blindzone')}\n", "")


def test_completion_can_be_installed_and_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    _, out, _ = run("--help")
    assert "--install-completion" in out
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    code, out, _ = run("--show-completion", "bash")
    assert code == 0
    assert "complete" in out


def test_unknown_command_is_an_error_that_names_the_nearest() -> None:
    code, _, err = run("inpain")
    assert code == 2
    assert "No such command 'inpain'. Did you mean 'inpaint'?" in err


def run_apart(output: int) -> tuple[int, str]:
    """Runs the command line in a process of its own, with a file as its standard output."""
    start = "from blindzone.flows.commands.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", start, "--help"], stdout=output, stderr=subprocess.PIPE, check=False
    )
    return done.returncode, done.stderr.decode()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_full_disk_below_the_output_is_one_error() -> None:
    with Path("/dev/full").open("wb") as full:
        found = run_apart(full.fileno())
    assert found == (1, "error: standard output cannot be written: No space left on device\n")


def test_closed_pipe_is_one_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        found = run_apart(writer)
    finally:
        os.close(writer)
    assert found == (1, "error: standard output cannot be written: Broken pipe\n")
