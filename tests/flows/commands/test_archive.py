"""The commands of `archive`, wrong input included."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import xarray as xr
from commands import run

from blindzone.pipeline.catalog.catalog import read_catalog

SOURCE = "short_days"


@pytest.fixture
def held(catalog: Path, tmp_path: Path) -> Path:
    """An archive of the three short days."""
    run("ingest", SOURCE, "--catalog", catalog, "--archive", tmp_path / "held")
    return tmp_path / "held"


def test_archive_show_lists_what_is_archived(held: Path) -> None:
    code, out, _ = run("archive", "show", "--archive", held)
    assert code == 0
    (line,) = [line for line in out.splitlines() if SOURCE in line]
    assert [cell.strip() for cell in line.split("│")[1:9]] == [
        SOURCE,
        "3",
        "2000-01-01",
        "2000-01-03",
        "1800",
        "0",
        "0",
        "0",
    ]


def test_archive_show_as_json_is_one_document(held: Path) -> None:
    code, out, err = run("archive", "show", SOURCE, "--archive", held, "--json")
    assert (code, err) == (0, "")
    (found,) = json.loads(out)
    assert found["source"] == SOURCE
    # Three days of two hours, a profile every 12 s.
    assert (found["granules"], found["profiles"]) == (3, 1800)
    assert (found["first"], found["last"]) == ("2000-01-01", "2000-01-03")
    assert (found["missing"], found["rejected"], found["damaged"]) == (0, 0, 0)
    assert found["bytes"] > 0


def test_archive_of_nothing_is_an_error(tmp_path: Path) -> None:
    for words in (("show",), ("show", "--json"), ("show", SOURCE), ("verify",), ("repair",)):
        code, out, err = run("archive", *words, "--archive", tmp_path / "empty")
        assert (code, out) == (1, "")
        assert "empty: nothing is archived here; 'blindzone ingest SOURCE --archive " in err


def test_verify_names_the_repair_of_the_same_archive(held: Path) -> None:
    (held / SOURCE / "ledger" / "20000101.json").write_text("{}")
    code, out, err = run("archive", "verify", SOURCE, "--archive", held)
    assert code == 2
    assert "damaged record" in out
    assert f"1 findings; 'blindzone archive repair --archive {held}' mends" in err


def test_archive_of_an_unknown_source_names_its_sources(held: Path) -> None:
    for command in ("show", "verify", "repair"):
        code, _, err = run("archive", command, "nowhere", "--archive", held)
        assert code == 1
        assert f"no source 'nowhere'; it holds {SOURCE}" in err


def test_damaged_day_is_found_set_aside_and_made_anew(held: Path, catalog: Path) -> None:
    assert run("archive", "verify", "--archive", held)[:2] == (0, "nothing wrong\n")
    (store,) = (held / SOURCE / "stores").glob("20000102-*.zarr")
    (shard,) = [
        path
        for path in (store / "reflectivity").rglob("*")
        if path.is_file() and path.name != "zarr.json"
    ]
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1  # one bit
    shard.write_bytes(content)

    code, out, _ = run("archive", "verify", "--archive", held)
    assert code == 2
    assert "20000102" in out or "2000-01-02" in out
    assert run("archive", "repair", "--dry-run", "--archive", held)[0] == 0
    assert run("archive", "verify", "--archive", held)[0] == 2  # nothing was done
    assert run("archive", "repair", "--archive", held)[0] == 0
    code, out, _ = run("ingest", SOURCE, "--catalog", catalog, "--archive", held)
    assert "1 created" in out
    assert "2 unchanged" in out
    assert run("archive", "verify", "--archive", held)[0] == 0


def test_archive_export_writes_files_that_xarray_opens(
    held: Path, catalog: Path, tmp_path: Path
) -> None:
    code, out, _ = run(
        "archive",
        "export",
        SOURCE,
        "--start",
        "2000-01-02",
        "--output",
        tmp_path / "out",
        "--archive",
        held,
        "--catalog",
        catalog,
    )
    assert code == 0
    paths = [Path(line) for line in out.split()]
    assert len(paths) == 2
    with xr.open_dataset(paths[0]) as day:
        assert day.sizes == {"time": 600, "height": 128}
        assert day["reflectivity"].attrs["units"] == "dBZ"


def test_quicklook_shows_the_zone_that_the_catalogue_gives_a_radar(
    held: Path, catalog: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[xr.Dataset] = []
    monkeypatch.setattr(
        "blindzone.pipeline.plots.quicklooks.draw_curtain",
        lambda curtain, path, **options: drawn.append(curtain),
    )
    for options in ((), ("--catalog", catalog)):
        run("archive", "quicklook", SOURCE, "2000-01-02", "--archive", held, *options)
    without, with_zone = drawn
    assert "blind_zone_top" not in without.coords  # no source of the package's catalogue
    top_m = read_catalog(catalog)[SOURCE].blind_zone.top_m
    assert (with_zone["blind_zone_top"] == top_m).all()


def test_archive_quicklook_and_inspect_draw(
    held: Path, simulated_days: Path, tmp_path: Path
) -> None:
    code, out, _ = run(
        "archive",
        "quicklook",
        SOURCE,
        "2000-01-02",
        "--output",
        tmp_path / "a.png",
        "--archive",
        held,
    )
    assert code == 0
    assert Path(out.strip()).stat().st_size > 10_000
    file = simulated_days / SOURCE / "20000102_radar.nc"
    code, out, _ = run("inspect", file, "--picture", tmp_path / "b.png")
    assert code == 0
    assert "a Cloudnet Level 1b radar file" in out
    assert "600 profiles" in out
    assert (tmp_path / "b.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["inspect", "nowhere.nc"], "nowhere.nc: no such file"),
        (["inspect", __file__], "not a netCDF file"),
        (["inspect", __file__, "--reader", "nonsense"], "unknown reader 'nonsense'"),
        (["archive", "quicklook", "nowhere", "2000-01-02"], "no nowhere for 2000-01-02"),
        (["archive", "export", "nowhere", "--output", "out"], "nowhere"),
    ],
    ids=["no file", "other file", "reader", "quicklook", "export"],
)
def test_wrong_input_to_the_archive_commands_gives_one_clear_error(
    arguments: list[str], message: str
) -> None:
    code, _, err = run(*arguments)
    assert code == 1
    assert message in err
