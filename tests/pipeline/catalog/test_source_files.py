from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import fsspec
import pytest

from blindzone.core.errors import CatalogError, SourceFileError
from blindzone.pipeline.catalog import source_files
from blindzone.pipeline.catalog.source_files import (
    check_pattern,
    fetch,
    find_by_day,
    find_newest,
    find_undated,
    is_url,
    leads_away,
    name_of,
)


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


@pytest.mark.parametrize(
    "pattern",
    [
        "%Y%m%d.nc",
        "%y%m%d_*.nc",
        "%Y/%m/x_%Y%m%d.nc",
        "%Y%j.hdf",
        "%Y%m%d-S%H%M%S.h5",
        "%Y%j%H%M%S_*.hdf",
        "leg_%d%b%Y.nc",
        "all_days.nc",
    ],
)
def test_sound_pattern_is_taken(pattern: str) -> None:
    assert check_pattern(pattern) == pattern


@pytest.mark.parametrize(
    "pattern", ["%Y%m.nc", "%m%d.nc", "%Y%m%d%M.nc", "%Y%m%d%q.nc", "../%Y%m%d.nc", "/%Y%m%d.nc"]
)
def test_pattern_that_leaves_doubt_is_rejected(pattern: str) -> None:
    with pytest.raises(ValueError, match="must be a path below the directory"):
        check_pattern(pattern)


def test_folders_may_carry_the_date_too_and_must_agree_with_the_name(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "2021/03/x_20210314.nc",
        "2021/04/x_20210402.nc",
        "2020/03/x_20210315.nc",
        "x_20210316.nc",
    )
    found = find_by_day(tmp_path, "%Y/%m/x_%Y%m%d.nc")
    assert list(found) == [date(2021, 3, 14), date(2021, 4, 2)]
    assert found[date(2021, 3, 14)] == (tmp_path / "2021/03/x_20210314.nc",)


def test_day_of_the_year_is_understood(tmp_path: Path) -> None:
    touch(tmp_path, "2020366_a.hdf", "2021366_a.hdf", "2021000_a.hdf", "2021060_a.hdf")
    # 2020 is a leap year, 2021 is not; day 60 of a common year is the first of March.
    assert list(find_by_day(tmp_path, "%Y%j_*.hdf")) == [date(2020, 12, 31), date(2021, 3, 1)]


def test_name_of_a_month_is_understood_in_any_case(tmp_path: Path) -> None:
    touch(tmp_path, "a_15Jan2023.nc", "a_02FEB2022.nc", "a_31Apr2023.nc", "a_15Foo2023.nc")
    found = find_by_day(tmp_path, "a_%d%b%Y.nc")
    assert list(found) == [date(2022, 2, 2), date(2023, 1, 15)]
    assert find_newest(tmp_path, "a_%d%b%Y.nc") == date(2023, 1, 15)
    short = find_by_day(tmp_path, "a_%d%b%Y.nc", start=date(2022, 2, 1), end=date(2022, 2, 3))
    assert list(short) == [date(2022, 2, 2)]


def test_files_without_a_date_are_found_as_they_are(tmp_path: Path) -> None:
    touch(tmp_path, "data/b.nc", "data/a.nc", "data/notes.txt")
    folder = tmp_path / "data"
    assert find_undated(folder, "*.nc") == (folder / "a.nc", folder / "b.nc")
    with pytest.raises(CatalogError, match=r"no file is named like 'c\.nc'"):
        find_undated(folder, "c.nc")
    (folder / "out.nc").symlink_to("/etc/hostname")
    with pytest.raises(CatalogError, match="leads out of the data directory"):
        find_undated(folder, "*.nc", root=tmp_path)


def test_time_of_day_makes_each_file_a_granule(tmp_path: Path) -> None:
    touch(tmp_path, "x.20141206-S095002.h5", "x.20141206-S112233.h5", "x.20141206-S250000.h5")
    assert list(find_by_day(tmp_path, "x.%Y%m%d-S%H%M%S.h5")) == [
        datetime(2014, 12, 6, 9, 50, 2),
        datetime(2014, 12, 6, 11, 22, 33),
    ]


def test_star_does_not_cross_a_folder(tmp_path: Path) -> None:
    touch(tmp_path, "20210301_a.nc", "sub/20210302_a.nc")
    assert list(find_by_day(tmp_path, "%Y%m%d_*.nc")) == [date(2021, 3, 1)]


@pytest.fixture
def remote() -> str:
    files = fsspec.filesystem("memory")
    files.pipe("/bucket/radar/20210301.nc", b"first")
    files.pipe("/bucket/radar/20210302.nc", b"second")
    files.pipe("/bucket/radar/notes.txt", b"")
    return "memory://bucket/radar"


def test_files_of_a_url_are_found_and_fetched(remote: str) -> None:
    found = find_by_day(remote, "%Y%m%d.nc")
    assert list(found) == [date(2021, 3, 1), date(2021, 3, 2)]
    (address,) = found[date(2021, 3, 2)]
    assert name_of(address) == "20210302.nc"
    with fetch(address) as path:
        assert path.name == "20210302.nc"
        assert path.read_bytes() == b"second"
    assert not path.exists()  # the copy


def test_local_file_is_fetched_as_itself(tmp_path: Path) -> None:
    with fetch(tmp_path / "a.nc") as path:
        assert path == tmp_path / "a.nc"


def test_url_that_cannot_be_reached_is_an_error_that_names_it(remote: str) -> None:
    with pytest.raises(CatalogError, match=r"^nowhere://x: cannot be listed"):
        find_by_day("nowhere://x", "%Y%m%d.nc")
    with (
        pytest.raises(SourceFileError, match=r"^memory://bucket/radar/gone\.nc: cannot be fetched"),
        fetch("memory://bucket/radar/gone.nc"),
    ):
        pass


@pytest.mark.parametrize(
    ("directory", "url"), [("s3://a/b", True), ("data/x", False), ("/data", False)]
)
def test_url_is_told_from_a_folder(directory: str, *, url: bool) -> None:
    assert is_url(directory) is url


@pytest.mark.parametrize(
    ("directory", "away"),
    [
        ("radar/2021", False),
        ("/radar", True),
        ("s3://bucket/radar", False),
        ("https://host/radar", False),
        ("file:///radar", True),
        ("local:///radar", True),
        ("zip://a.zip", True),
        ("reference://x", True),
        ("s3://bucket/a::file:///b", True),
        ("FILE:///radar", False),
    ],
)
def test_directory_that_may_lie_anywhere_here_is_told(directory: str, *, away: bool) -> None:
    # FILE:/// is no URL to fsspec, which knows lower case alone, and so a folder below the data
    # directory.
    assert leads_away(directory) is away


def test_no_file_may_lie_outside_the_root_if_one_is_named(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "data/a/20210301.nc",
        "data/b/20210302.nc",
        "other/20210303.nc",
        "database/20210304.nc",
    )
    (tmp_path / "data/a/20210302.nc").symlink_to(tmp_path / "data/b/20210302.nc")
    assert len(find_by_day(tmp_path / "data/a", "%Y%m%d.nc", root=tmp_path / "data")) == 2
    # A name that begins like the root's is not below it.
    for number, outside in ((3, "other"), (4, "database")):
        link = tmp_path / f"data/a/2021030{number}.nc"
        link.symlink_to(tmp_path / outside / link.name)
        assert len(find_by_day(tmp_path / "data/a", "%Y%m%d.nc")) == 3
        with pytest.raises(
            CatalogError, match=rf"^{link}: leads out of the data directory {tmp_path}/data, to "
        ):
            find_by_day(tmp_path / "data/a", "%Y%m%d.nc", root=tmp_path / "data")
        link.unlink()


@pytest.mark.parametrize(
    "pattern", ["%Y/%m/%d.nc", "%Y%m%d_a.nc", "%y%j_*.nc", "%Y/%Y%m%d.*.nc", "*/x.%Y-%m-%d"]
)
def test_range_of_days_has_the_files_that_all_days_have(pattern: str, tmp_path: Path) -> None:
    days = [date(2020, 12, 25) + timedelta(days=number) for number in range(15)]
    for day in days:
        path = tmp_path / day.strftime(pattern).replace("*", "0")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "notes.txt").touch()
    every = find_by_day(tmp_path, pattern)
    assert list(every) == days
    assert find_newest(tmp_path, pattern) == days[-1]
    for first, last in ((0, 0), (5, 8), (0, 14), (14, 14)):
        found = find_by_day(tmp_path, pattern, start=days[first], end=days[last])
        assert found == {day: every[day] for day in days[first : last + 1]}
    assert find_by_day(tmp_path, pattern, start=days[9]) == {day: every[day] for day in days[9:]}
    assert find_by_day(tmp_path, pattern, end=date(2019, 1, 1)) == {}


def test_short_range_of_a_folder_without_anything_open_lists_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "20210314.nc").touch()
    monkeypatch.setattr(source_files, "_list_folder", lambda folder: pytest.fail(folder))
    day = date(2021, 3, 14)
    found = find_by_day(tmp_path, "%Y%m%d.nc", start=day, end=day)
    assert found == {day: (tmp_path / "20210314.nc",)}


@pytest.mark.parametrize(
    "pattern",
    [
        "%Y%m%d_x.nc",
        "x_%Y-%m-%d_*.nc",
        "%Y/%m/%Y%m%d_*.nc",
        "data/%Y/%j.nc",
        "%d%m%Y.nc",
        "%Y_*/%m%d.nc",
        "*/%Y%m%d.nc",
        "%m/%Y%m%d.nc",
        "*%Y%m%d.nc",
    ],
)
def test_newest_is_that_of_all_whatever_the_order_of_the_fields(
    tmp_path: Path, pattern: str
) -> None:
    days = [date(2019, 12, 30), date(2020, 12, 2), date(2021, 1, 31), date(2021, 2, 1)]
    for number, day in enumerate(days):
        # What stands for a star is in no order of time.
        touch(tmp_path, day.strftime(pattern).replace("*", str(9 - number)))
    touch(tmp_path, "zzz.nc", "9999/12/31.nc", "99999999_x.nc")
    assert find_newest(tmp_path, pattern) == days[-1]


def test_of_the_folders_of_years_and_months_the_last_alone_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, *(f"{year}/{month:02d}/01.nc" for year in (2019, 2020) for month in (1, 2)))
    list_folder, listed = source_files._list_folder, list[str]()
    monkeypatch.setattr(
        source_files, "_list_folder", lambda folder: listed.append(folder) or list_folder(folder)
    )
    assert find_newest(tmp_path, "%Y/%m/%d.nc") == date(2020, 2, 1)
    assert listed == [str(tmp_path), f"{tmp_path}/2020", f"{tmp_path}/2020/02"]


def test_newest_is_the_last_date_and_not_the_last_digits(tmp_path: Path) -> None:
    for name in ("20210314_0.nc", "20209999_0.nc", "20210399_9.nc", "99999999_1.nc"):
        (tmp_path / name).touch()
    assert find_newest(tmp_path, "%Y%m%d_*.nc") == date(2021, 3, 14)
    with pytest.raises(CatalogError, match="no file is named like"):
        find_newest(tmp_path, "x%Y%m%d.nc")
