"""Experimental networks of the package are known by their hashes."""

from __future__ import annotations

from pathlib import Path

import pytest

from blindzone.core.errors import CheckpointError
from blindzone.flows.running.network_status import TABLE, find_experimental, read_reasons
from blindzone.models.checkpoint_record import hash_file


def test_networks_from_above_are_experimental_and_those_of_the_ground_are_not() -> None:
    found = {path.name: find_experimental(hash_file(path)) for path in TABLE.parent.glob("*.keras")}
    assert {name for name, reason in found.items() if not reason} == {
        "palaiseau.keras",
        "repair.keras",
        "trunk.keras",
    }
    cards = {name for name in found if "**experimental**" in _read_card(name)}
    assert cards == {name for name, reason in found.items() if reason}
    assert find_experimental("of nobody") == ""


def _read_card(name: str) -> str:
    return (TABLE.parent / name).with_suffix(".md").read_text()


@pytest.mark.parametrize(
    ("text", "message"),
    [("b.keras: new", "no weights of the package: b.keras"), ("a.keras: [1]", "a.keras")],
)
def test_table_that_is_wrong_is_named(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "SHA256SUMS").write_text("0123  a.keras\n")
    (tmp_path / "table.yaml").write_text(text)
    with pytest.raises(CheckpointError, match=rf"table.yaml: .*{message}"):
        read_reasons(tmp_path / "table.yaml")
