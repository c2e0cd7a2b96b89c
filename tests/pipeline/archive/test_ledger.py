"""The ledger: records of this version and of an earlier one are read as written."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blindzone.core.errors import ArchiveError
from blindzone.core.granule import Granule
from blindzone.pipeline.archive.ledger import (
    AbsentRecord,
    DayRecord,
    FileRecord,
    Verdict,
    describe_configuration,
    describe_file,
    find_granules,
    is_same_configuration,
    now_text,
    record_name,
)

GRANULE = datetime(2014, 12, 6, 9, 50, 2)

units = st.dates() | st.datetimes().map(lambda start: start.replace(microsecond=0))
texts = st.text(max_size=20)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
file_records = st.builds(
    FileRecord,
    name=texts,
    size=st.integers(0, 2**60),
    sha256=texts,
    uuid=texts,
    reader=texts,
    version=texts,
    first_time=texts,
    last_time=texts,
    profiles=st.integers(0),
    verdict=st.sampled_from(Verdict),
    reason=texts,
)
files = st.lists(file_records, max_size=3).map(tuple)
day_records = st.builds(
    DayRecord,
    source=texts,
    day=units,
    store=texts,
    files=files,
    configuration=st.dictionaries(texts, json_values, max_size=3),
    profiles=st.integers(0),
    first_time=texts,
    last_time=texts,
    written=texts,
    version=texts,
    grid=texts,
    grid_hash=texts,
    content_hash=texts,
    size=st.integers(0),
    gaps=st.integers(0),
    gap_seconds=st.floats(0, 1e6),
    rays=st.integers(0),
)
absent_records = st.builds(
    AbsentRecord,
    source=texts,
    day=units,
    verdict=st.sampled_from(Verdict),
    files=files,
    written=texts,
)


def test_record_is_named_by_the_key_of_its_granule() -> None:
    assert record_name("radar", date(2014, 12, 6)) == "radar/ledger/20141206.json"
    assert record_name("gpm", GRANULE, "absent") == "gpm/ledger/20141206T095002.absent.json"


def test_granule_with_a_time_zone_is_rejected() -> None:
    with pytest.raises(
        ArchiveError, match=r"2014-12-06T09:50:02\+00:00: a granule's start is a UTC time without a"
    ):
        record_name("gpm", GRANULE.replace(tzinfo=UTC))


def test_keys_are_found_among_other_names() -> None:
    names = [
        "20141207.json",
        "20141206.json",
        "20141208.absent.json",
        "20141209.damaged.json",
        ".20141210.json.ff.partial",
        "20149999.json",
        "notes.txt",
    ]
    assert find_granules(names) == tuple(map(Granule.parse, ("20141206", "20141207")))
    assert find_granules(names, ".absent.json") == (Granule.parse("20141208"),)


@settings(max_examples=25)
@given(day_records)
def test_record_comes_back_through_json(record: DayRecord) -> None:
    text = record.to_json()
    assert DayRecord.from_json(text) == record
    assert json.loads(text)["ledger_version"] == 2


@settings(max_examples=25)
@given(absent_records)
def test_absent_record_comes_back_through_json(record: AbsentRecord) -> None:
    assert AbsentRecord.from_json(record.to_json()) == record


VERSION_1 = """{
 "source": "station", "day": "2021-03-14", "store": "20210314-0123456789ab.zarr",
 "files": [{"name": "20210314_station.nc", "size": 12, "sha256": "ab", "uuid": "1234"}],
 "configuration": {"reader": "cloudnet_radar"}, "profiles": 300,
  "first_time": "2021-03-14T00:00:04.503Z",
 "last_time": "2021-03-14T00:44:55.802Z", "written": "2021-03-15T00:00:00+00:00",
  "ledger_version": 1
}"""
"""A record as the first version of the ledger has it."""


def test_records_keep_the_words_of_earlier_versions_and_people_read_others() -> None:
    file = FileRecord(
        name="a.nc", size=1, sha256="ab", verdict=Verdict.REJECTED, reason="cut short"
    )
    day, verdict = date(2021, 3, 14), Verdict.REJECTED
    note = AbsentRecord(source="station", day=day, verdict=verdict, files=(file,), written="now")
    assert json.loads(note.to_json())["verdict"] == "refused"
    assert note.describe() == ["2021-03-14: rejected: a.nc: cut short"]


def test_record_of_version_1_is_read_and_what_it_lacks_is_empty() -> None:
    record = DayRecord.from_json(VERSION_1)
    assert record.files == (
        FileRecord(name="20210314_station.nc", size=12, sha256="ab", uuid="1234"),
    )
    assert (record.content_hash, record.grid_hash, record.size, record.rays) == ("", "", 0, 0)
    # It does not say how many profiles come from each file: all of its files count.
    assert record.contributing == record.files


def test_findings_are_kept_and_known_to_be_newer_than_version_2() -> None:
    found = FileRecord(
        name="a.nc", size=1, sha256="ab", profiles_dropped={"off zenith": 10}, doubts=("its clock",)
    )
    text = AbsentRecord(
        source="radar",
        day=date(2021, 3, 14),
        verdict=Verdict.REJECTED,
        files=(found,),
        written=now_text(),
    ).to_json()
    assert json.loads(text)["ledger_version"] == 3
    assert AbsentRecord.from_json(text).files == (found,)
    assert found.findings == ["10 profiles dropped: off zenith", "doubtful: its clock"]


def test_record_of_a_newer_version_is_rejected_as_such() -> None:
    newer = json.dumps(json.loads(VERSION_1) | {"ledger_version": 4})
    with pytest.raises(
        ArchiveError, match=r"newer blindzone.*ledger version 4, this one knows 3.*update blindzone"
    ):
        DayRecord.from_json(newer)


@pytest.mark.parametrize(
    "change",
    [
        {"profiles": "300"},
        {"configuration": []},
        {"day": "yesterday"},
        {"files": [{"name": "a", "size": "12", "sha256": ""}]},
        {"files": [{"name": "a", "size": 12, "sha256": "", "verdict": "perhaps"}]},
        {"files": ["a"]},
        {"unheard_of": 1},
    ],
    ids=str,
)
def test_record_with_a_wrong_value_is_damaged(change: dict[str, object]) -> None:
    with pytest.raises((ValueError, TypeError, KeyError, AttributeError)):
        DayRecord.from_json(json.dumps(json.loads(VERSION_1) | change))


def test_files_without_profiles_do_not_contribute() -> None:
    one = FileRecord(name="a", size=1, sha256="", profiles=3)
    other = FileRecord(name="b", size=1, sha256="", verdict=Verdict.SUPERSEDED)
    record = DayRecord(
        source="s",
        day=date(2021, 3, 14),
        store="",
        files=(one, other),
        configuration={},
        profiles=3,
        first_time="",
        last_time="",
        written="",
        content_hash="ab",
    )
    assert record.contributing == (one,)


def test_configurations_are_compared_whatever_the_order_of_keys_and_the_sort_of_sequence() -> None:
    one = {"grid": {"rows": 16, "edges": (1, 2)}, "start": date(2021, 3, 14)}
    other = {"start": "2021-03-14", "grid": {"edges": [1, 2], "rows": 16}}
    assert describe_configuration(one) == describe_configuration(other)


def test_file_is_described_by_size_and_hash(tmp_path: Path) -> None:
    path = tmp_path / "file.nc"
    path.write_bytes(b"abc")
    # SHA-256 of "abc", from FIPS 180-2, appendix B.1.
    assert describe_file(path, file_uuid="1234") == FileRecord(
        name="file.nc",
        size=3,
        sha256="ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        uuid="1234",
    )


def test_whole_numbers_and_decimals_of_one_value_are_the_same_configuration() -> None:
    one = {"grid": {"rows": 128, "row_depth_m": 75}, "since": date(2021, 3, 14)}
    other = {"since": "2021-03-14", "grid": {"row_depth_m": 75.0, "rows": 128}}
    assert is_same_configuration(one, other)
    assert not is_same_configuration(one, {**other, "grid": {"rows": 128, "row_depth_m": 75.5}})
