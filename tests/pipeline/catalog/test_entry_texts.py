"""Texts of a catalogue's entries: one that is no YAML costs itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from blindzone.core.errors import CatalogError
from blindzone.pipeline.catalog.catalog import parse_catalog, read_catalog
from blindzone.pipeline.catalog.entry_texts import drop_broken_entries

ENTRY = '    directory: data\n    files: "%Y%m%d.nc"\n'
HEAD, TAIL = "version: 1\n# all\nsources:  # of ours\n\n", "# the end\n"
PATH = Path("catalog.yaml")


def write(*entries: str) -> str:
    return HEAD + "".join(entries) + TAIL


@pytest.mark.parametrize(
    "odd",
    [
        "    reader: !!python/name:os.system\n",
        "    title: " + "[" * 60 + "]" * 60 + "\n",
        "    title: [1, 2\n",
        "    title: 'no end\n",
        "\ttitle: tab\n",
        "    title: *nothing\n",
        "    title: bell \a\n",
        "    title: a: b\n",
    ],
    ids=["tag", "deep", "bracket", "quote", "tab", "alias", "control", "colon"],
)
def test_entry_that_is_no_yaml_costs_itself_and_lines_stay_right(odd: str) -> None:
    text = write("  first:\n", ENTRY, "  odd:\n", ENTRY, odd, "  last:\n", ENTRY, "    no_key: 1\n")
    catalog = parse_catalog(PATH, text)
    assert list(catalog) == ["first"]
    assert set(catalog.faults) == {"odd", "last"}
    assert catalog.faults["odd"].startswith("catalog.yaml, line 8: sources.odd: not valid")
    assert catalog.faults["last"].startswith("catalog.yaml, line 15: sources.last.no_key: unknown")


def test_line_of_a_broken_entry_is_that_of_the_file() -> None:
    text = write("  first:\n", ENTRY, "  'odd one':\n", "    title: [1, 2\n", "  last:\n", ENTRY)
    sound, faults = drop_broken_entries(text, "catalog.yaml")
    assert set(faults) == {"odd one"}
    assert "line 9" in faults["odd one"]
    assert (
        sound.splitlines()
        == text.replace("  'odd one':", "").replace("    title: [1, 2", "").splitlines()
    )


def test_bytes_that_are_no_text_cost_their_entry_and_elsewhere_the_file(tmp_path: Path) -> None:
    path = tmp_path / "catalog.yaml"
    text = write("  first:\n", ENTRY, "  odd:\n", ENTRY, "    title: caf?\n", "  last:\n", ENTRY)
    path.write_bytes(text.encode().replace(b"?", b"\xe9"))
    catalog = read_catalog(path)
    assert list(catalog) == ["first", "last"]
    assert catalog.faults["odd"].startswith(f"{path}, line 8: sources.odd: not valid YAML: ")
    assert catalog.faults["odd"].isascii()
    path.write_bytes(b"# caf\xe9\n" + text.encode())
    with pytest.raises(CatalogError, match="the catalogue is not UTF-8 text"):
        read_catalog(path)


@pytest.mark.parametrize(
    "text",
    [
        "version: 1\nsources: {first: [}\n",
        "version: [\nsources:\n  first:\n    directory: data\n",
        "sources:\n  odd:\n    title: [1\n",
        "no catalogue: [",
    ],
    ids=["flow", "elsewhere", "only", "none"],
)
def test_file_that_is_no_yaml_as_a_whole_is_rejected(text: str) -> None:
    with pytest.raises(CatalogError, match="not valid YAML"):
        parse_catalog(PATH, text)
