"""Terms that are kept with fetched files."""

from __future__ import annotations

from pathlib import Path

import pytest

from blindzone.core.errors import FetchError
from blindzone.pipeline.catalog.data_use import DATA_USE_FILE, read_data_use, write_data_use


def test_earlier_files_stay_listed_and_terms_are_the_newest(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    assert read_data_use(folder) == {}
    write_data_use(folder, {"licence": "old"}, {"b.nc": {"pid": "1"}, "c.nc": {"pid": "2"}})
    write_data_use(folder, {"licence": "new"}, {"a.nc": {"pid": "Ä"}, "b.nc": {"pid": "3"}})
    assert read_data_use(folder) == {
        "licence": "new",
        "files": {"a.nc": {"pid": "Ä"}, "b.nc": {"pid": "3"}, "c.nc": {"pid": "2"}},
    }
    assert [path.name for path in folder.iterdir()] == [DATA_USE_FILE]


@pytest.mark.parametrize("text", ["{", "[]", '{"files": []}', "[" * 100_000])
def test_damaged_terms_are_refused_and_left_as_they_are(tmp_path: Path, text: str) -> None:
    path = tmp_path / DATA_USE_FILE
    path.write_text(text)
    with pytest.raises(FetchError, match=f"^{path}: .*moving it away"):
        write_data_use(tmp_path, {}, {})
    assert path.read_text() == text
