"""The commands of `fetch`: what they hand to their flows, and what they print."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from cloudnet_files import make_radar
from cloudnet_portal import Portal, serving_portal
from commands import catch_flow, one_line, run

from blindzone.flows.running.fetched import FetchedSource, FetchReport

DAY = date(2021, 3, 14)
RANGE = ("--start", DAY, "--end", DAY)
EMPTY = FetchReport(sources=(), catalog=Path("c.yaml"), added=())


@pytest.fixture
def portal(tmp_path: Path) -> Iterator[Portal]:
    with serving_portal() as served:
        served.add("radar", DAY, make_radar(DAY, tmp_path))
        yield served


def test_fetched_site_is_ready_for_the_ingest_that_is_named(
    portal: Portal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLINDZONE_DATA", str(tmp_path / "data"))
    catalog = tmp_path / "own.yaml"
    options = ("--portal", portal.address, "--catalog", catalog)
    code, out, _ = run("fetch", "cloudnet", "palaiseau", *RANGE, *options)
    assert code == 0
    name = "cloudnet_palaiseau_basta"
    assert f"added:     {name}\n" in out
    next_line = f"next:      blindzone ingest {name} --catalog {catalog}"
    assert next_line in out.splitlines()
    code, out, _ = run(*next_line.split()[2:], "--archive", tmp_path / "archive")
    assert code == 0
    code, out, _ = run("fetch", "cloudnet", "palaiseau", *RANGE, *options)
    assert "added:     nothing\n" in out
    assert f"left as they are: {name}\n" in out


def test_unknown_site_is_one_line_with_the_nearest(portal: Portal, tmp_path: Path) -> None:
    places = ("--portal", portal.address, "--catalog", tmp_path / "c.yaml")
    code, out, err = run("fetch", "cloudnet", "palaisau", *RANGE, *places)
    assert (code, out) == (1, "")
    assert err == f"error: {portal.address}: no site 'palaisau' among 1; nearest: palaiseau\n"


def test_options_reach_the_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = catch_flow(monkeypatch, EMPTY)
    products = ("--product", "radar", "--product", "model", "--instrument", "ecmwf")
    places = ("--output", "there", "--catalog", "c.yaml")
    run("fetch", "cloudnet", "juelich", *RANGE, *products, *places)
    assert sent()["flow"] == "fetch"
    assert sent()["products"] == ("radar", "model")
    assert sent()["instruments"] == ("ecmwf",)
    assert (sent()["output"], sent()["portal"]) == (Path("there"), "https://cloudnet.fmi.fi/api/")
    run("fetch", "cloudnet", "juelich", *RANGE)
    assert sent()["products"] == ("radar", "lidar", "model", "weather-station", "disdrometer")
    run("fetch", "earthcare", *RANGE, "--latitude", 48, "--longitude", 2, "--radius", 50)
    assert sent()["flow"] == "fetch-earthcare"
    assert (sent()["products"], sent()["radius_km"]) == (("CPR_FMR_2A",), 50)


def test_files_that_could_not_be_had_are_named_and_the_status_is_2(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = FetchedSource(
        name="radar",
        title="A radar",
        folder=Path("f"),
        fetched=1,
        unchanged=2,
        failed={"a.nc": "a.nc: refused: 403"},
        is_readable=True,
    )
    station = FetchedSource(
        name="station",
        title="A station",
        folder=Path("s"),
        fetched=1,
        unchanged=0,
        failed={},
        is_readable=False,
    )
    report = FetchReport(
        sources=(source, station),
        catalog=Path("c.yaml"),
        added=("radar",),
        left_out=("lidar cl61d (1 day)",),
    )
    catch_flow(monkeypatch, report)
    code, out, err = run("fetch", "cloudnet", "palaiseau", *RANGE)
    assert code == 2
    assert err == "not to be had: a.nc: refused: 403\n"
    assert "no reader reads A station yet" in out
    assert "not fetched: lidar cl61d (1 day); --instrument ID takes them" in out


def test_help_says_what_is_kept() -> None:
    code, out, _ = run("fetch", "cloudnet", "--help")
    assert code == 0
    assert "Licence and identifiers are kept" in one_line(out)
