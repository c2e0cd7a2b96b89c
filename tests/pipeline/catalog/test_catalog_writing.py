"""Entries that are added to a catalogue file: all that was there stays, comments too."""

from __future__ import annotations

from pathlib import Path

import pytest

from blindzone.core.errors import CatalogError
from blindzone.pipeline.catalog.catalog import read_catalog
from blindzone.pipeline.catalog.catalog_writing import NewEntry, add_entries, open_catalog_text

NEW = {"new": NewEntry(values={"directory": "new", "files": "%Y%m%d.nc"}, comment="how it came")}
OLD = '  old: {directory: old, files: "%Y%m%d.nc"}\n'


def add(path: Path) -> tuple[str, ...]:
    return add_entries(open_catalog_text(path), NEW)


@pytest.mark.parametrize(
    "text",
    [
        f"version: 1 # one\nsources:\n  # mine\n{OLD}",
        f"version: 1\nsources:\n{OLD}  # of the sources\n# of the file\n",
        f"version: 1\nsources:\n{OLD}".rstrip("\n"),
        f"sources:\n{OLD}  # of the sources\n\n# of the version\nversion: 1\n",
        f"  sources:\n  {OLD}  version: 1\n",
        "version: 1\nsources: {}\n",
        "sources: {} # none\nversion: 1",
    ],
)
def test_entry_comes_behind_the_last_source_and_no_other_line_changes(
    tmp_path: Path, text: str
) -> None:
    path = tmp_path / "catalog.yaml"
    path.write_text(text)
    before = dict(read_catalog(path))
    assert add(path) == ("new",)
    after = read_catalog(path)
    assert after["new"].directory == "new"
    assert {name: after[name] for name in before} == before
    lines = path.read_text().splitlines()
    (first,) = (number for number, line in enumerate(lines) if line.strip() == "# how it came")
    assert lines[first + 1].split() == ["new:", "{directory:", "new,", "files:", "'%Y%m%d.nc'}"]
    del lines[first : first + 2]
    assert "".join(lines).replace(" ", "") == "".join(text.splitlines()).replace("{}", "").replace(
        " ", ""
    )


def test_comment_before_the_next_key_stays_there(tmp_path: Path) -> None:
    path = tmp_path / "catalog.yaml"
    path.write_text(f"sources:\n{OLD}\n# of the version\nversion: 1\n")
    add(path)
    assert path.read_text().endswith("\n\n# of the version\nversion: 1\n")


def test_indentation_and_line_breaks_of_the_file_are_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "catalog.yaml"
    old = "version: 1\nsources:\n    old:\n        directory: old\n        files: '%Y%m%d'\n"
    old = old.replace("\n", "\r\n")
    path.write_bytes(old.encode())
    add(path)
    text = path.read_bytes().decode()
    assert text.startswith(old)
    assert text[len(old) :].startswith("    # how it came\r\n    new:")
    assert "\n" not in text.replace("\r\n", "")


def test_comment_is_one_line_whatever_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "catalog.yaml"
    values = {"directory": "new", "files": "%Y%m%d.nc"}
    entry = NewEntry(values=values, comment="a site\n  evil: {directory: /}\x1b\u2028x")
    add_entries(open_catalog_text(path), {"new": entry})
    assert "  # a site evil: {directory: /} x\n  new:" in path.read_text()


def test_entry_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "catalog.yaml"
    path.write_text(f"version: 1\nsources:\n{OLD.replace('old:', 'new:', 1)}")
    before = path.read_bytes()
    assert add(path) == ()
    assert path.read_bytes() == before


def test_what_was_edited_since_the_file_was_opened_stays(tmp_path: Path) -> None:
    path = tmp_path / "catalog.yaml"
    path.write_text(f"version: 1\nsources:\n{OLD}")
    opened = open_catalog_text(path)
    path.write_text(f"version: 1\nsources:\n{OLD}  # later\n{OLD.replace('old:', 'later:', 1)}")
    assert add_entries(opened, NEW) == ("new",)
    assert list(read_catalog(path)) == ["old", "later", "new"]
    assert "# later" in path.read_text()


def test_named_file_that_is_not_there_is_begun(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "mine.yaml"
    assert add(path) == ("new",)
    assert list(read_catalog(path)) == ["new"]


def test_own_file_begins_as_the_catalogue_of_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, catalog_file: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BLINDZONE_CATALOG", raising=False)
    assert add_entries(open_catalog_text(), NEW) == ("new",)
    text = Path("data_catalog.yaml").read_text()
    assert text.startswith(catalog_file.read_text())
    assert add_entries(open_catalog_text(), NEW) == ()  # it is the catalogue of this folder now


def test_link_stays_a_link_and_permissions_stay(tmp_path: Path) -> None:
    real, link = tmp_path / "real.yaml", tmp_path / "link.yaml"
    real.write_text("version: 1\nsources: {}\n")
    real.chmod(0o640)
    link.symlink_to(real)
    add(link)
    assert link.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert list(read_catalog(real)) == ["new"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            'version: 1\nsources: {old: {directory: old, files: "%Y%m%d"}}\n',
            "line 2: sources: entries can be added to a block",
        ),
        ("version: 2\nsources: {}\n", "line 1: version: "),
        ("version: [1\n", "not valid YAML"),
    ],
)
def test_file_that_entries_cannot_be_added_to_is_refused_before_any_work(
    tmp_path: Path, text: str, says: str
) -> None:
    path = tmp_path / "catalog.yaml"
    path.write_text(text)
    with pytest.raises(CatalogError, match=says):
        open_catalog_text(path)
    assert path.read_text() == text


def test_entry_that_makes_no_catalogue_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "catalog.yaml"
    path.write_text(f"version: 1\nsources:\n{OLD}")
    bad = {"new": NewEntry(values={"directory": "../new", "files": "%Y%m%d.nc"})}
    with pytest.raises(CatalogError, match=r"sources\.new\.directory"):
        add_entries(open_catalog_text(path), bad)
    assert path.read_text() == f"version: 1\nsources:\n{OLD}"
