"""The catalogue: its content, the line and key of each mistake, and how files are found."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from pathlib import Path

import pytest

from blindzone.core.configuration import read_plain, to_plain
from blindzone.core.errors import CatalogError
from blindzone.pipeline.catalog.catalog import Source, plain_source, read_catalog
from blindzone.pipeline.catalog.entry_parts import Period, Split
from blindzone.pipeline.curtains.gridding import Grid
from blindzone.pipeline.readers import read_curtain

# Line numbers below count from the first line of this text.
TEXT = """\
version: 1
sources:
  station:
    title: A radar
    reader: cloudnet_radar
    directory: station
    files: "%Y%m%d_station.nc"
    instrument: 95 GHz cloud radar
    site: A station
    grid: {rows: 128, row_depth_m: 78.125}
    quality:
      clutter: [{below_m: 400, weaker_than_dbz: -45}]
      lowest_trusted_m: 234
    blind_zone: {top_m: 1250}
    split:
      training: [2021-02-01, 2021-02-02]
      validation: [2021-03-06]
      test: [2021-03-14]
  other:
    title: Another radar
    reader: cloudnet_radar
    directory: other
    files: "%Y%m%d_other.nc"
    instrument: 35 GHz cloud radar
    site: Another station
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data_catalog.yaml"


def make_source(files: str) -> Source:
    return Source(
        title="A radar",
        reader="cloudnet_radar",
        directory="station",
        files=files,
        instrument="radar",
        site="site",
    )


def find_in(folder: Path, files: str, *names: str) -> dict[date, list[str]]:
    """The names by day that a pattern finds among some files."""
    (folder / "station").mkdir(exist_ok=True)
    for name in names:
        (folder / "station" / name).touch()
    return {
        day: [found.name for found in paths]
        for day, paths in make_source(files).find_days(folder).items()
    }


def test_shipped_catalogue_holds_what_the_evaluation_needs(catalog_file: Path) -> None:
    catalog = read_catalog(catalog_file)
    assert {"palaiseau_basta", "granada_rpg94", "schneefernerhaus_mira", "simulated"} <= set(
        catalog
    )
    entry = catalog["palaiseau_basta"]
    assert [
        len(days) for days in (entry.split.training, entry.split.validation, entry.split.test)
    ] == [23, 5, 5]
    assert (entry.quality.sensitivity_floor_dbz, entry.quality.lowest_trusted_m) == (-30, 234)
    assert [(rule.below_m, rule.weaker_than_dbz) for rule in entry.quality.clutter] == [(400, -45)]
    assert (entry.grid, entry.blind_zone.rows(entry.grid)) == (
        Grid(rows=128, row_depth_m=78.125),
        16,
    )


def test_shipped_simulated_source_has_a_file_for_every_day_of_its_split(catalog_file: Path) -> None:
    entry = read_catalog(catalog_file)["simulated"]
    assert entry.simulation is not None
    days = entry.simulation.list_days()
    assert [*entry.split.training, *entry.split.validation, *entry.split.test] == list(days)
    assert (days[0], days[-1]) == (date(2000, 1, 1), date(2000, 1, 8))


def test_every_shipped_source_states_what_a_product_must_say_of_it(catalog_file: Path) -> None:
    for name, entry in read_catalog(catalog_file).items():
        assert all((entry.title, entry.instrument, entry.site, entry.licence)), name


def test_text_is_read_with_defaults(path: Path) -> None:
    path.write_text(TEXT)
    catalog = read_catalog(path)
    assert (list(catalog), len(catalog), catalog.path) == (["station", "other"], 2, path)
    assert catalog["station"].split.training == (date(2021, 2, 1), date(2021, 2, 2))
    other = catalog["other"]
    assert (other.grid, other.simulation, other.licence) == (Grid(), None, "unknown")
    assert (other.quality.clutter, other.quality.empty_day) == ((), "error")


def test_source_knows_its_name_and_its_entry_does_not(path: Path) -> None:
    path.write_text(TEXT)
    source = read_catalog(path)["station"]
    assert source.name == "station"
    assert replace(source, outside=True).name == "station"
    assert "name" not in plain_source(source)


def test_file_without_a_date_holds_every_day_of_the_period(tmp_path: Path) -> None:
    (tmp_path / "station").mkdir()
    (tmp_path / "station" / "all.nc").touch()
    period = Period(start=date(2000, 1, 1), end=date(2000, 1, 3))
    source = replace(make_source("%Y%m%d.nc"), files="all.nc", period=period)
    path = tmp_path / "station" / "all.nc"
    assert source.shares_files
    assert source.find_days(tmp_path) == {date(2000, 1, day): (path,) for day in (1, 2, 3)}
    assert list(source.find_days(tmp_path, date(2000, 1, 3))) == [date(2000, 1, 3)]
    assert source.find_days(tmp_path, date(2001, 1, 1)) == {}
    assert source.find_newest(tmp_path) == date(2000, 1, 3)


@pytest.mark.parametrize("period", [None, Period(start=date(2000, 1, 1))], ids=["none", "open"])
def test_file_without_a_date_needs_a_period_with_an_end(period: Period | None) -> None:
    with pytest.raises(CatalogError, match=r"'all\.nc' names no day.*'period' with start and end"):
        replace(make_source("%Y%m%d.nc"), files="all.nc", period=period)


def test_split_names_starts_of_granules_and_of_blocks_of_them() -> None:
    stated = {"test": [datetime(2014, 12, 6, 9, 50, 2), "2014-12-06T09:51:21", "2014-12-07"]}
    split = read_plain(Split, stated, where="here", error=CatalogError)
    assert split.test == (
        datetime(2014, 12, 6, 9, 50, 2),
        datetime(2014, 12, 6, 9, 51, 21),
        date(2014, 12, 7),
    )
    assert type(split.test[2]) is date
    assert to_plain(split)["test"] == [
        "2014-12-06T09:50:02",
        "2014-12-06T09:51:21",
        "2014-12-07",
    ]
    for wrong in ("2014-12-06T09:61", "2014-12-06T09:51:21Z"):
        with pytest.raises(CatalogError, match=r"test\.0"):
            read_plain(Split, {"test": [wrong]}, where="here", error=CatalogError)


def test_interval_of_a_split_is_all_its_days() -> None:
    days = ["2000-02-28/2000-03-01", "2000-05-01"]
    split = read_plain(Split, {"training": days}, where="here", error=CatalogError)
    assert [day.isoformat() for day in split.training] == [
        "2000-02-28",
        "2000-02-29",
        "2000-03-01",
        "2000-05-01",
    ]
    for wrong in ("2000-03-01/2000-02-28", "2000-02-30/2000-03-01", "1950-01-01/2100-01-01"):
        with pytest.raises(CatalogError, match="training"):
            read_plain(Split, {"training": [wrong]}, where="here", error=CatalogError)


SHORT = """\
version: 1
sources:
  station:
    directory: station
    files: "%Y%m%d_station.nc"
"""
STATED = {
    "title": "A radar from its file",
    "instrument": "MIRA",
    "site": "Leipzig",
    "institution": "TROPOS",
    "creator": "A person",
    "publisher": "A centre",
    "license": "CC BY 4.0",
    "references": "doi 1",
    "frequency_ghz": 35.5,
}


def test_entry_needs_no_more_than_where_its_files_are(path: Path) -> None:
    path.write_text(SHORT)
    source = read_catalog(path)["station"]
    assert (source.reader, source.full_title) == ("auto", "station")
    described = source.describe()
    assert (described.title, described.instrument, described.site) == ("station",) * 3
    assert (described.institution, described.creator, described.publisher) == ("",) * 3
    assert (described.licence, described.reference) == ("unknown", "")
    assert described.frequency_ghz is None


def test_source_is_described_as_its_files_state_it(path: Path) -> None:
    path.write_text(SHORT)
    described = read_catalog(path)["station"].describe(STATED)
    assert list(asdict(described).values()) == list(STATED.values())


def test_entry_counts_more_than_files(path: Path) -> None:
    path.write_text(SHORT)
    own = {
        "title": "Ours",
        "instrument": "a radar",
        "site": "here",
        "institution": "us",
        "creator": "me",
        "publisher": "you",
        "licence": "open",
        "reference": "a paper",
        "frequency_ghz": 94.0,
    }
    source = replace(read_catalog(path)["station"], **own)
    assert asdict(source.describe(STATED)) == own


def test_archived_curtain_describes_its_instrument_as_its_source(path: Path) -> None:
    path.write_text(SHORT)
    source = read_catalog(path)["station"]
    assert source.describe({"source": "MIRA-35", "site": " "}).instrument == "MIRA-35"
    assert source.describe({"source": "MIRA-35", "site": " "}).site == "station"


def test_simulated_source_says_so_under_any_title(path: Path) -> None:
    path.write_text(SHORT + "    simulation: {days: 1}\n")
    source = read_catalog(path)["station"]
    assert source.full_title == "station (simulated)"
    assert source.describe(STATED).title == "A radar from its file (simulated)"
    assert source.describe({"title": "simulated radar"}).title == "simulated radar"


@pytest.mark.parametrize(
    ("title", "instrument", "frequency"),
    [
        ("95-GHz BASTA cloud radar at Palaiseau", "BASTA, 94 GHz radar", 95.0),
        ("13.6-GHz GPM DPR spaceborne radar", "", 13.6),
        ("A radar", "94 GHz dual pol.", 94.0),
        ("RPG-FMCW-94", "METEK MIRA-35", None),
        ("", "", None),
    ],
)
def test_frequency_is_read_from_the_words_of_an_older_entry(
    title: str, instrument: str, frequency: float | None
) -> None:
    source = replace(make_source("%Y%m%d.nc"), title=title, instrument=instrument)
    assert source.find_frequency() == frequency


def test_frequency_of_the_entry_then_of_the_file_counts_before_words() -> None:
    source = replace(make_source("%Y%m%d.nc"), title="95-GHz radar")
    assert source.find_frequency({"frequency_ghz": 94.05}) == 94.05
    assert replace(source, frequency_ghz=35.0).find_frequency({"frequency_ghz": 94.05}) == 35.0


def test_shipped_sources_state_the_band_that_their_words_name(catalog_file: Path) -> None:
    sources = read_catalog(catalog_file)
    found = {name: source.frequency_ghz for name, source in sources.items()}
    in_words = {
        name: replace(source, frequency_ghz=None).find_frequency()
        for name, source in sources.items()
    }
    assert found == in_words
    assert (found["palaiseau_basta"], found["schneefernerhaus_mira"], found["gpm_dpr_ku"]) == (
        95.0,
        35.0,
        13.6,
    )
    assert found["sonde_sgp"] is None


@pytest.mark.parametrize(
    "name", ["schneefernerhaus_mira", "rpg94_ny_alesund", "arm_kazr_oliktok", "mrr_pro"]
)
def test_measured_files_state_the_band_of_their_entry(
    name: str, catalog_file: Path, measured_directory: Path
) -> None:
    source = read_catalog(catalog_file)[name]
    file = next(iter(source.find_days(measured_directory).values()))[0]
    assert isinstance(file, Path)
    stated = read_curtain(file, source.reader).attrs["frequency_ghz"]
    assert stated == pytest.approx(source.frequency_ghz, rel=0.02)


def test_unknown_source_is_rejected_with_those_that_are_known(path: Path) -> None:
    path.write_text(TEXT)
    with pytest.raises(
        CatalogError, match=rf"^{path}: no source 'stattion'; it has station, other$"
    ):
        read_catalog(path)["stattion"]
    assert "station" in read_catalog(path)
    assert "stattion" not in read_catalog(path)


@dataclass(frozen=True)
class Mistake:
    """One change of the text, the line and key it is found at, and what the message says of it."""

    name: str
    old: str
    new: str
    line: int
    key: str
    says: str


MISTAKES = (
    Mistake(
        "unknown key",
        "title: A radar",
        "titel: x\n    title: x",
        4,
        "station.titel",
        "unknown key; known keys here: bl",
    ),
    Mistake(
        "unknown key of the file",
        "version: 1",
        "version: 1\nextra: 2",
        2,
        "extra",
        "known keys here: sources, version",
    ),
    Mistake(
        "unknown key of the grid",
        "rows: 128,",
        "rows: 1, n: 2,",
        10,
        "grid.n",
        "known keys here: row_depth_m, rows",
    ),
    Mistake(
        "unknown key of a rule",
        "{below_m: 400,",
        "{below_m: 400, above_m: 1,",
        12,
        "quality.clutter.0.above_m",
        "unknown key; known keys here: below_m, weaker_than_dbz",
    ),
    Mistake(
        "unknown reader",
        "cloudnet_radar",
        "basta",
        5,
        "reader",
        "unknown reader 'basta'; known readers: .*cloudnet_radar",
    ),
    Mistake(
        "wrong type",
        "rows: 128",
        "rows: many",
        10,
        "grid.rows",
        "should be a valid integer.*found 'many'",
    ),
    Mistake(
        "missing key",
        "    directory: station\n",
        "",
        3,
        "station.directory",
        "this key is missing",
    ),
    Mistake(
        "name as a key",
        "title: A radar",
        "name: other",
        4,
        "station.name",
        "unknown key; known keys here: blind_zone, creator, directory, ",
    ),
    Mistake(
        "frequency in words",
        "title: A radar",
        "frequency_ghz: 95 GHz",
        4,
        "station.frequency_ghz",
        "should be a valid number.*found '95 GHz'",
    ),
    Mistake(
        "missing key of a rule",
        ", weaker_than_dbz: -45",
        "",
        12,
        "clutter.0.weaker_than_dbz",
        "this key is missing",
    ),
    Mistake(
        "number for a mapping",
        "{top_m: 1250}",
        "1250",
        14,
        "blind_zone",
        "must be a mapping of keys, found 1250",
    ),
    Mistake(
        "no such choice",
        "lowest_trusted_m: 234",
        "empty_day: no",
        13,
        "empty_day",
        "'error' or 'clear'.*found False",
    ),
    Mistake(
        "impossible grid",
        "rows: 128",
        "rows: 0",
        10,
        "grid.rows",
        "should be greater than or equal to 1 .found 0",
    ),
    Mistake(
        "impossible blind zone",
        "1250",
        "-1",
        14,
        "blind_zone.top_m",
        "should be greater than 0 .found -1",
    ),
    Mistake(
        "pattern without day",
        "%Y%m%d_st",
        "%Y%m_st",
        7,
        "files",
        "'%Y%m_station.nc' must be a path below the directory with %Y",
    ),
    Mistake("pattern without year", "%Y%m%d_st", "%m%d_st", 7, "files", "must be a path below"),
    Mistake("pattern that climbs", "%Y%m%d_st", "../%Y%m%d_st", 7, "files", "must be a path below"),
    Mistake(
        "pattern with minutes",
        "%Y%m%d_st",
        "%Y%m%d%M_st",
        7,
        "files",
        "'[*]' stands for anything else",
    ),
    Mistake(
        "pattern of granules",
        "%Y%m%d_st",
        "%Y%m%d%H_st",
        3,
        "station",
        "files: .* is wrong for 'unit: day'",
    ),
    Mistake(
        "folder outside",
        "directory: station",
        "directory: a/../../b",
        6,
        "directory",
        "must stay inside",
    ),
    Mistake(
        "URL that climbs",
        "directory: station",
        "directory: s3://a/../b",
        6,
        "directory",
        "must stay inside",
    ),
    Mistake(
        "absolute folder",
        "directory: station",
        "directory: /etc",
        3,
        "station",
        "directory: '/etc' .*'outside: true'",
    ),
    Mistake(
        "URL of files here",
        "directory: station",
        "directory: file:///etc",
        3,
        "station",
        "'outside: true'",
    ),
    Mistake(
        "URL through a file",
        "directory: station",
        "directory: zip://a::/etc/b.zip",
        3,
        "station",
        "outside",
    ),
    Mistake(
        "chained URL",
        "directory: station",
        "directory: s3://a::file:///b",
        3,
        "station",
        "'outside: true'",
    ),
    Mistake(
        "name that climbs",
        "  station:\n",
        "  ../station:\n",
        3,
        "sources.../station",
        "letters, digits, .* are",
    ),
    Mistake(
        "name of a hidden folder",
        "  station:\n",
        "  .station:\n",
        3,
        "sources..station",
        "cannot name a source",
    ),
    Mistake(
        "name with a slash", "  station:\n", "  a/b:\n", 3, "sources.a/b", "cannot name a source"
    ),
    Mistake(
        "simulated files elsewhere",
        "directory: station",
        "directory: /etc\n    outside: true\n    simulation: {days: 1}",
        3,
        "station",
        "its files are written to the cache",
    ),
    Mistake(
        "unknown partner",
        "site: A station",
        "site: A station\n    partners: {state: nowhere}",
        10,
        "station.partners.state",
        "no other source 'nowhere'; others are other",
    ),
    Mistake(
        "unknown partner at the surface",
        "site: A station",
        "site: A station\n    partners: {surface: [other, nowhere]}",
        10,
        "station.partners.surface",
        "no other source 'nowhere'; others are other",
    ),
    Mistake(
        "own partner",
        "site: A station",
        "site: A station\n    partners: {lidar: station}",
        10,
        "station.partners.lidar",
        "no other source 'station'",
    ),
    Mistake(
        "period backwards",
        "site: A station",
        "site: A station\n    period: {start: 2021-02-02, end: 2021-02-01}",
        10,
        "period",
        "start must not be after end",
    ),
    Mistake(
        "insects in month 13",
        "lowest_trusted_m: 234",
        "insects: [{below_m: 1, weaker_than_dbz: 1, months: [13]}]",
        13,
        "quality.insects.0.months.0",
        "should be less than or equal to 12 .found 13",
    ),
    Mistake(
        "day in two blocks",
        "test: [2021-03-14]",
        "test: [2021-03-06]",
        15,
        "split",
        "in several: 2021-03-06",
    ),
    Mistake(
        "no day", "[2021-03-06]", "[march]", 17, "split.validation.0", "valid date.*found 'march'"
    ),
    Mistake("other version", "version: 1", "version: 2", 1, "version", "should be 1.*found 2"),
    Mistake(
        "sources as a list",
        TEXT[TEXT.index("  station:") :],
        "  - station\n",
        2,
        "sources",
        "valid dictionary",
    ),
)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_mistake_is_shown_with_its_line_and_key(mistake: Mistake, path: Path) -> None:
    assert mistake.old in TEXT
    path.write_text(TEXT.replace(mistake.old, mistake.new, 1))
    pattern = (
        rf"^{re.escape(str(path))}, line {mistake.line}: \S*{re.escape(mistake.key)}:"
        rf" .*{mistake.says}"
    )
    with pytest.raises(CatalogError, match=pattern) as caught:
        read_catalog(path).check_entries()
    assert "\n" not in str(caught.value)


def test_every_mistake_has_a_line_of_its_own(path: Path) -> None:
    path.write_text(
        TEXT.replace("rows: 128", "rows: many").replace("reader: cloudnet_radar", "reader: basta")
    )
    with pytest.raises(CatalogError) as caught:
        read_catalog(path).check_entries()
    lines = sorted(
        int(number) for number in re.findall(r"^\S+, line (\d+): ", str(caught.value), re.MULTILINE)
    )
    assert lines == [5, 10, 21]


HOSTILE = {
    "unknown key": ("title: A radar", "titel: A radar", "line 4: sources.station.titel: unknown"),
    "mistyped year": (
        "site: A station",
        "site: A station\n    period: {start: 0202-03-01}",
        "line 10: sources.station.period.start: ",
    ),
    "no day of the calendar": (
        "site: A station",
        "site: A station\n    period: {start: 2021-02-30}",
        "line 10: sources.station.period.start: .*found '2021-02-30'",
    ),
    "endless number": ("rows: 128", f"rows: {'9' * 10_000}", "line 10: sources.station.grid.rows"),
    "name that climbs": ("  station:\n", "  ../up:\n", "line 3: sources.../up: .*cannot name"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_entry_with_a_fault_costs_its_own_source_alone(name: str, path: Path) -> None:
    old, new, message = HOSTILE[name]
    path.write_text(TEXT)
    sound = read_catalog(path)["other"]
    assert old in TEXT
    path.write_text(TEXT.replace(old, new, 1))
    catalog = read_catalog(path)
    assert dict(catalog) == {"other": sound}
    (faulty,) = catalog.faults
    with pytest.raises(CatalogError, match=rf"^{path}, {message}") as caught:
        catalog[faulty]
    assert str(caught.value) == catalog.faults[faulty]


def test_source_whose_partner_has_a_fault_is_right_itself(path: Path) -> None:
    path.write_text(
        TEXT.replace("site: A station", "site: A station\n    partners: {state: other}").replace(
            "  other:\n", "  other:\n    no_key: 1\n"
        )
    )
    catalog = read_catalog(path)
    assert list(catalog) == ["station"]
    assert list(catalog.faults) == ["other"]


@pytest.mark.parametrize("text", ["- 1\n", "7\n"])
def test_file_that_is_no_mapping_is_rejected(text: str, path: Path) -> None:
    path.write_text(text)
    with pytest.raises(CatalogError, match=rf"^{path}, line 1: must be a mapping of keys, found"):
        read_catalog(path)


@pytest.mark.parametrize("text", ["", "# nothing\n"])
def test_empty_file_is_rejected_with_the_keys_that_it_needs(text: str, path: Path) -> None:
    path.write_text(text)
    with pytest.raises(CatalogError) as caught:
        read_catalog(path)
    keys = re.findall(r": (\w+): this key is missing$", str(caught.value), re.MULTILINE)
    assert sorted(keys) == ["sources", "version"]


@pytest.mark.parametrize("text", ["sources: [", "a: b: c", "sources: {x: !!map 1}", "\x07"])
def test_text_that_is_no_yaml_is_rejected(text: str, path: Path) -> None:
    path.write_text(text)
    with pytest.raises(CatalogError, match=rf"^{path}: not valid YAML: "):
        read_catalog(path)


def test_file_that_is_no_text_is_rejected(path: Path) -> None:
    path.write_bytes(b"\x89HDF\xff")
    with pytest.raises(CatalogError, match=rf"^{path}: the catalogue is not UTF-8 text: "):
        read_catalog(path)


def test_missing_catalogue_is_rejected_with_its_path(path: Path) -> None:
    with pytest.raises(CatalogError, match=rf"^{path}: the catalogue cannot be read: No such file"):
        read_catalog(path)


def test_days_are_found_in_order_and_other_files_passed_over(tmp_path: Path) -> None:
    names = (
        "20210302_station.nc",
        "20210301_station.nc",
        "20210301_other.nc",
        "20210301_station.nc.part",
        "notes.txt",
    )
    found = find_in(tmp_path, "%Y%m%d_station.nc", *names)
    assert list(found.items()) == [
        (date(2021, 3, 1), ["20210301_station.nc"]),
        (date(2021, 3, 2), ["20210302_station.nc"]),
    ]


def test_star_stands_for_anything_and_a_day_may_have_many_files(tmp_path: Path) -> None:
    names = (
        "181202_150002_P09_ZEN.nc",
        "181202_100002_P09_ZEN.nc",
        "181203_000000_P01_ZEN.nc",
        "181203.nc",
    )
    assert find_in(tmp_path, "%y%m%d_*_ZEN.nc", *names) == {
        date(2018, 12, 2): ["181202_100002_P09_ZEN.nc", "181202_150002_P09_ZEN.nc"],
        date(2018, 12, 3): ["181203_000000_P01_ZEN.nc"],
    }


def test_digits_that_are_no_date_are_passed_over(tmp_path: Path) -> None:
    names = ("20211301_station.nc", "20210230_station.nc", "20210228_station.nc")
    assert list(find_in(tmp_path, "%Y%m%d_station.nc", *names)) == [date(2021, 2, 28)]


def test_dots_and_brackets_of_a_pattern_stand_for_themselves(tmp_path: Path) -> None:
    names = ("radar.C1(a).20210301.nc", "radarxC1(a)x20210301.nc", "radar.C1a.20210302.nc")
    assert find_in(tmp_path, "radar.C1(a).%Y%m%d.nc", *names) == {
        date(2021, 3, 1): ["radar.C1(a).20210301.nc"]
    }


def test_missing_folder_is_rejected_with_the_variable_to_set(tmp_path: Path) -> None:
    message = (
        rf"^{tmp_path / 'station'}: no such folder; set BLINDZONE_DATA to the folder that holds"
        r" 'station'$"
    )
    with pytest.raises(CatalogError, match=message):
        make_source("%Y%m%d_station.nc").find_days(tmp_path)


def test_folder_without_a_fitting_file_is_rejected_with_the_pattern(tmp_path: Path) -> None:
    with pytest.raises(
        CatalogError, match=rf"^{tmp_path / 'station'}: no file is named like '%Y%m%d_station\.nc'$"
    ):
        find_in(tmp_path, "%Y%m%d_station.nc", "20210301_other.nc")


@pytest.mark.parametrize(
    "directory", ["/data/station", "file:///data/station", "zip://station::/data/a.zip"]
)
def test_files_may_lie_elsewhere_if_the_entry_says_so(directory: str, path: Path) -> None:
    path.write_text(
        TEXT.replace("directory: station", f"directory: {directory}\n    outside: true")
    )
    entry = read_catalog(path)["station"]
    assert (entry.outside, str(entry.locate(Path("/x")))) == (True, directory)


def test_url_of_another_store_needs_no_leave(path: Path) -> None:
    path.write_text(TEXT.replace("directory: station", "directory: s3://bucket/station"))
    assert read_catalog(path)["station"].locate(Path("/x")) == "s3://bucket/station"


def link_out(folder: Path, *, what: str) -> Path:
    """A data directory whose one file of the day lies outside, itself linked in or its folder."""
    outside, data = folder / "outside", folder / "data"
    outside.mkdir()
    (outside / "20210301_station.nc").touch()
    if what == "folder":
        data.mkdir()
        (data / "station").symlink_to(outside)
    else:
        (data / "station").mkdir(parents=True)
        (data / "station" / "20210301_station.nc").symlink_to(outside / "20210301_station.nc")
    return data


@pytest.mark.parametrize("what", ["file", "folder"])
def test_link_that_leads_out_is_rejected_unless_the_entry_allows_it(
    what: str, tmp_path: Path
) -> None:
    data = link_out(tmp_path, what=what)
    entry = make_source("%Y%m%d_station.nc")
    leaving = (
        rf"{data}/station/20210301_station\.nc: leads out of the data directory {data}, to"
        rf" {tmp_path}/outside/"
    )
    with pytest.raises(CatalogError, match=rf"^{leaving}20210301_station\.nc; .* 'outside: true'"):
        entry.find_days(data)
    assert list(replace(entry, outside=True).find_days(data)) == [date(2021, 3, 1)]


def test_data_directory_may_itself_be_a_link_and_links_within_it_hold(tmp_path: Path) -> None:
    (tmp_path / "disk" / "station").mkdir(parents=True)
    (tmp_path / "disk" / "20210301_station.nc").touch()
    (tmp_path / "disk" / "station" / "20210301_station.nc").symlink_to(
        tmp_path / "disk" / "20210301_station.nc"
    )
    (tmp_path / "data").symlink_to(tmp_path / "disk")
    assert list(make_source("%Y%m%d_station.nc").find_days(tmp_path / "data")) == [date(2021, 3, 1)]
