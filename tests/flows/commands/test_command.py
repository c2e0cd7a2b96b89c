"""What every command does besides its work: old spellings, errors, remedies with options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from blindzone.core.errors import ArchiveError
from blindzone.flows.commands.command import Command, respell
from blindzone.flows.commands.options import ArchiveFolder, CatalogFile

KNOWN = {"--passes", "--members", "--output"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["--realizations", "5"], ["--passes", "5"]),
        (["--realizations=auto"], ["--passes=auto"]),
        (["--samples", "3", "--output", "x"], ["--members", "3", "--output", "x"]),
        (["--passes", "5"], ["--passes", "5"]),
        (["--", "--realizations"], ["--", "--realizations"]),
    ],
)
def test_old_spellings_become_the_new_ones(given: list[str], expected: list[str]) -> None:
    assert list(respell(given, KNOWN)) == expected


def test_old_spelling_is_left_to_commands_without_the_new_one() -> None:
    assert list(respell(["--samples", "3"], {"--output"})) == ["--samples", "3"]


app = typer.Typer(rich_markup_mode=None)


@app.command("ingest", cls=Command)
def ingest(catalog: CatalogFile = None, archive: ArchiveFolder = None) -> None:
    raise ArchiveError("nothing here; 'blindzone ingest here' adds it")


@app.command("repair", cls=Command)
def repair(
    archive: ArchiveFolder = None, passes: Annotated[int, typer.Option("--passes")] = 1
) -> None:
    if passes != 1:
        typer.echo(f"passes {passes}")
        return
    raise ArchiveError(
        "damaged; 'blindzone repair', then 'blindzone ingest x --archive other', or"
        " 'blindzone nonsense', mends it, unless it is 'held'"
    )


def fail(*arguments: str, env: dict[str, str] | None = None) -> str:
    result = CliRunner().invoke(app, arguments, env=env)
    assert result.exit_code == 1
    assert result.stdout == ""
    return result.stderr


def test_error_is_one_message_on_standard_error() -> None:
    assert fail("ingest") == "error: nothing here; 'blindzone ingest here' adds it\n"


def test_remedy_gets_the_options_that_the_user_gave() -> None:
    err = fail("ingest", "--catalog", "c.yaml", "--archive", "s3://bucket/a")
    assert "'blindzone ingest here --catalog c.yaml --archive s3://bucket/a'" in err


def test_remedy_quotes_a_path_with_a_space() -> None:
    assert "'blindzone ingest here --archive \"my archive\"'" in fail(
        "ingest", "--archive", "my archive"
    )


def test_remedy_keeps_its_own_options_and_other_quoted_words_stay() -> None:
    err = fail("repair", "--archive", "mine")
    assert "'blindzone repair --archive mine'" in err
    assert "'blindzone ingest x --archive other'" in err
    assert "'blindzone nonsense'" in err
    assert "'held'" in err


def test_remedy_leaves_out_what_the_environment_says_anyway() -> None:
    err = fail("ingest", env={"BLINDZONE_CATALOG": "c.yaml"})
    assert "--catalog" not in err


def test_old_spelling_is_accepted_with_one_notice(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["repair", "--realizations", "7"])
    assert (result.exit_code, result.stdout) == (0, "passes 7\n")
    assert result.stderr == "note: --realizations is now called --passes\n"
