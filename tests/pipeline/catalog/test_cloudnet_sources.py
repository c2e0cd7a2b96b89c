"""Sources made of a site's files: grouped by instrument, named without doubt."""

from __future__ import annotations

from datetime import date

import pytest
from cloudnet_api_client.client import _build_meta_objects
from cloudnet_api_client.containers import ProductMetadata
from cloudnet_portal import Portal

from blindzone.core.errors import FetchError
from blindzone.pipeline.catalog.cloudnet_sources import (
    choose_sources,
    find_partners,
    group_sources,
)

FIRST, SECOND, THIRD = (date(2021, 3, number) for number in (14, 15, 16))


@pytest.fixture
def portal() -> Portal:
    return Portal()


def describe(portal: Portal) -> list[ProductMetadata]:
    """The portal's files as its client gives them."""
    return _build_meta_objects(portal.files)


def test_each_instrument_is_a_source_the_fullest_of_a_product_first(portal: Portal) -> None:
    portal.add("model", FIRST, b"1", instrument="ecmwf", name="ECMWF IFS")
    portal.add("lidar", FIRST, b"1", instrument="cl61d")
    for day in (SECOND, FIRST):
        portal.add("lidar", day, b"1", instrument="chm15k")
    portal.add("radar", FIRST, b"1")
    portal.add("mwr", FIRST, b"1", instrument="hatpro")
    portal.add("disdrometer", FIRST, b"1", instrument="parsivel")
    portal.add("weather-station", FIRST, b"1", instrument="weather-station")
    sources = group_sources(describe(portal))
    assert [(source.product, source.instrument) for source in sources] == [
        ("radar", "basta"),
        ("lidar", "chm15k"),
        ("lidar", "cl61d"),
        ("model", "ecmwf"),
        ("weather-station", "weather-station"),
        ("disdrometer", "parsivel"),
    ]
    assert list(sources[1].files) == [FIRST, SECOND]
    assert sources[3].instrument_name == "ECMWF IFS"
    assert find_partners(sources) == {
        "lidar": "cloudnet_palaiseau_chm15k",
        "state": "cloudnet_palaiseau_ecmwf",
        "surface": ["cloudnet_palaiseau_weather-station", "cloudnet_palaiseau_parsivel"],
    }


def test_of_two_instruments_of_a_kind_one_day_has_the_one_with_most_days(portal: Portal) -> None:
    portal.add("radar", FIRST, b"1", pid="https://pid/old")
    portal.add("radar", SECOND, b"1", pid="https://pid/old")
    for day in (SECOND, THIRD, date(2021, 3, 17)):
        portal.add("radar", day, b"1", pid="https://pid/new")
    (source,) = group_sources(describe(portal))
    # Replaced in between: no day is lost, and none has two files.
    pids = {day: file.instrument and file.instrument.pid for day, file in source.files.items()}
    assert pids[FIRST] == "https://pid/old"
    assert {pids[day] for day in source.files if day != FIRST} == {"https://pid/new"}


def test_named_instruments_take_the_place_of_the_fullest(portal: Portal) -> None:
    for instrument, days in (("chm15k", 2), ("cl61d", 1), ("cl31", 1)):
        for number in range(days):
            portal.add("lidar", date(2021, 3, 14 + number), b"1", instrument=instrument)
    portal.add("radar", FIRST, b"1")
    sources = group_sources(describe(portal))

    def choose(*names: str) -> list[str]:
        return [source.instrument for source in choose_sources(sources, names)]

    assert choose() == ["basta", "chm15k"]
    assert choose("cl61d", "cl31") == ["basta", "cl31", "cl61d"]
    with pytest.raises(FetchError, match="model mira; there are basta, chm15k, cl31, cl61d"):
        choose("mira")


@pytest.mark.parametrize(
    ("instrument", "name", "file"),
    [
        ("rpg-fmcw-94", "cloudnet_palaiseau_rpg-fmcw-94", "20210314_palaiseau_rpg-fmcw-94.nc"),
        ("a/../b c%Y*", "cloudnet_palaiseau_a___b_c_Y_", "20210314_palaiseau_a___b_c_Y_.nc"),
    ],
)
def test_names_are_those_of_sources_and_files(
    portal: Portal, instrument: str, name: str, file: str
) -> None:
    portal.add("radar", FIRST, b"1", instrument=instrument)
    (source,) = group_sources(describe(portal))
    assert source.name == name
    assert FIRST.strftime(source.pattern) == file


def test_texts_of_the_portal_are_one_plain_line(portal: Portal) -> None:
    portal.add("radar", FIRST, b"1", instrument="a\nb", name="BASTA\n\x1b[31m radar")
    (source,) = group_sources(describe(portal))
    assert (source.instrument, source.instrument_name) == ("a b", "BASTA [31m radar")
