"""Fetches of several sources: one bar, each file's outcome, and what no catalogue needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from blindzone.core.errors import FetchError, FileUnavailableError
from blindzone.core.progress import OnProgress
from blindzone.flows.running import fetched as module
from blindzone.flows.running.fetched import fetch_sources
from blindzone.pipeline.catalog.catalog_writing import open_catalog_text
from blindzone.pipeline.catalog.data_use import read_data_use
from blindzone.pipeline.catalog.portal_source import OnBytes, PortalSource


@dataclass(frozen=True)
class File:
    outcome: bool | Exception = True
    size: int = 10

    def fetch(self, path: Path, on_bytes: OnBytes) -> bool:
        assert read_data_use(path.parent)["licence"] == "open"  # before any file
        if isinstance(self.outcome, Exception):
            raise self.outcome
        on_bytes(self.size)
        path.write_bytes(b"1")
        return self.outcome

    def describe(self) -> dict[str, Any]:
        return {"size": self.size}


def make_source(name: str, *files: File, reader: str | None = "mrr") -> PortalSource:
    return PortalSource(
        name=name,
        title=name.title(),
        files={f"2000010{number}.nc": file for number, file in enumerate(files, start=1)},
        pattern="%Y%m%d.nc",
        reader=reader,
        terms={"licence": "open"},
    )


def test_each_file_has_its_outcome_and_the_bar_ends_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares: list[float] = []

    @contextmanager
    def watch(name: str) -> Iterator[OnProgress]:
        yield lambda share, note="": shares.append(share)

    monkeypatch.setattr(module, "stage", watch)
    radar = make_source("radar", File(), File(False), File(FileUnavailableError("gone")))
    station = make_source("station", File(size=10), reader=None)
    report = fetch_sources([radar, station], open_catalog_text(tmp_path / "c.yaml"), tmp_path)
    first, second = report.sources
    assert (first.fetched, first.unchanged, first.failed) == (1, 1, {"20000103.nc": "gone"})
    assert (second.fetched, second.is_usable) == (1, False)
    assert report.added == ("radar",)
    # 10 of 40 bytes each; the third brought none.
    assert shares == [0.25, 0.5, 1.0]


def test_whatever_one_file_raises_the_others_are_fetched(tmp_path: Path) -> None:
    radar = make_source("radar", File(RuntimeError("odd")), File())
    report = fetch_sources([radar], open_catalog_text(tmp_path / "c.yaml"), tmp_path)
    (source,) = report.sources
    assert (source.fetched, source.failed) == (1, {"20000101.nc": "RuntimeError: odd"})


def test_what_ends_a_fetch_leaves_the_catalogue_as_it_was(tmp_path: Path) -> None:
    source = make_source("radar", File(), File(FetchError("gone for good")))
    with pytest.raises(FetchError, match="gone for good"):
        fetch_sources([source], open_catalog_text(tmp_path / "c.yaml"), tmp_path)
    assert not (tmp_path / "c.yaml").exists()
    assert (tmp_path / "radar" / "20000101.nc").exists()


def test_damaged_terms_are_refused_before_any_file_is_fetched(tmp_path: Path) -> None:
    (tmp_path / "radar").mkdir()
    (tmp_path / "radar" / "data_use.json").write_text("{")
    with pytest.raises(FetchError, match=r"data_use\.json: cannot be read"):
        fetch_sources(
            [make_source("radar", File())], open_catalog_text(tmp_path / "c.yaml"), tmp_path
        )
    assert len(list((tmp_path / "radar").iterdir())) == 1
