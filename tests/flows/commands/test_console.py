"""Results on standard output, JSON that any parser reads."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
import typer
from rich.table import Table

from blindzone.core.errors import CatalogError
from blindzone.flows.commands.console import explained, print_json, print_table


def test_json_has_null_for_what_is_no_number_and_text_for_dates_and_paths(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_json({"scores": {"CSI": float("nan"), "MAE": 1.5}, 2: (date(2021, 3, 14), Path("a/b"))})
    assert json.loads(capsys.readouterr().out) == {
        "scores": {"CSI": None, "MAE": 1.5},
        "2": ["2021-03-14", "a/b"],
    }


def test_table_in_a_pipe_is_not_cut(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("name")
    table.add_row("x" * 200)
    print_table(table)
    assert "x" * 200 in capsys.readouterr().out


def test_explained_prints_our_errors_and_passes_others_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(typer.Exit) as ended, explained(str.upper):
        raise CatalogError("no such source")
    assert ended.value.exit_code == 1
    assert capsys.readouterr() == ("", "error: NO SUCH SOURCE\n")
    with pytest.raises(ZeroDivisionError), explained():
        raise ZeroDivisionError
