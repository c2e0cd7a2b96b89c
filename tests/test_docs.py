"""Pages for people name what is there: links, files of this repository, and commands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from blindzone.flows.commands.cli import app

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = sorted(
    [
        *REPOSITORY.glob("*.md"),
        *REPOSITORY.glob("docs/*.md"),
        *REPOSITORY.glob("models/weights/*.md"),
    ]
)
# Places in this repository; not NAME.py, `*.py` or nightly/every-night.
_PLACE = re.compile(
    r"`((?:core|pipeline|models|flows|tests|benchmarks|docs)/[a-z0-9_/]*[a-z0-9_.]+)`"
)
_LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")
# `createdb --owner blindzone blindzone` names a database.
_COMMAND = re.compile(r"(?<!--owner )\bblindzone ([a-z]+)\b(?!\.)")


@pytest.fixture(params=PAGES, ids=lambda page: page.name)
def page(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


def find_links(page: Path) -> Iterator[str]:
    for link in _LINK.findall(page.read_text(encoding="utf-8")):
        if "://" not in link:
            yield link


def find_commands(page: Path) -> set[str]:
    """Returns what follows `blindzone` in code, in line or in a block."""
    text = page.read_text(encoding="utf-8")
    code = re.findall(r"```.*?```|`[^`]+`|^ {4}.*$", text, flags=re.DOTALL | re.MULTILINE)
    return set(_COMMAND.findall("\n".join(code)))


def test_links_lead_somewhere(page: Path) -> None:
    assert [link for link in find_links(page) if not (page.parent / link).exists()] == []


def test_places_in_the_repository_exist(page: Path) -> None:
    places = _PLACE.findall(page.read_text(encoding="utf-8"))
    assert [place for place in places if not (REPOSITORY / place).exists()] == []


def test_commands_exist(page: Path) -> None:
    assert find_commands(page) - set(get_command(app).commands) == set()


def test_readme_names_every_command() -> None:
    named = set(re.findall(r"[a-z]+", (REPOSITORY / "README.md").read_text(encoding="utf-8")))
    assert set(get_command(app).commands) - named == set()
