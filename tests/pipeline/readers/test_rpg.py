"""RPG-FMCW-94 files: the curtain that is read, and rejected files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from raw_files import (
    INFINITE,
    REPEATED,
    UNTIMED,
    BadFile,
    FaultyProfiles,
    check_left_out,
    check_rejected,
    with_attrs,
    with_value,
    write_raw,
)

from blindzone.core.errors import CurtainError, SourceFileError
from blindzone.pipeline.curtains.curtain import DetectionStatus, check_curtain
from blindzone.pipeline.readers.rpg import read_rpg_radar

PROFILES, GATES = 6, 8
HEIGHTS = np.array([100, 136, 172, 190, 200, 210, 230, 250], dtype=np.float32)
# 2018-12-02 10:00:00, 6544 days after 2001-01-01: 6544 * 86400 + 36000 s.
TEN_O_CLOCK = 565437600
ECHO, NO_ECHO = DetectionStatus.ECHO, DetectionStatus.NO_ECHO


def make_raw() -> xr.Dataset:
    """Six profiles 3.5 s apart, eight gates of three chirps; echo is 0.01 mm6 m-3 = -20 dBZ."""
    ze = np.full((PROFILES, GATES), 0.01, dtype=np.float32)
    ze[:, 5] = np.nan
    ze[1, 6], ze[2, 6], ze[3, 6] = 0, -1e-6, -999
    milliseconds = 250 + 3500 * np.arange(PROFILES)
    return xr.Dataset(
        {
            "Ze": (("time", "range"), ze, {"units": "mm^6/m^3"}),
            "vm": (
                ("time", "range"),
                np.where(np.isnan(ze), np.nan, -1.5).astype(np.float32),
                {"units": "m/s"},
            ),
            "sampleTms": ("time", (milliseconds % 1000).astype(np.int32), {"units": "mu s"}),
            "range_offsets": ("chirp_sequences", np.array([1, 4, 7], dtype=np.int32)),
            "Lat": ("scalar", np.array([50.9], dtype=np.float32), {"units": "degrees"}),
            "Lon": ("scalar", np.array([6.4], dtype=np.float32), {"units": "degrees"}),
            "MSL": ("scalar", np.array([111.0], dtype=np.float32), {"units": "m"}),
            "time": (
                "time",
                (TEN_O_CLOCK + milliseconds // 1000).astype(np.uint32),
                {"units": "seconds UTC", "long_name": "Time in sec since 2001.01.01. 00:00:00"},
            ),
            "range": ("range", HEIGHTS, {"units": "m"}),
        },
        attrs={"model_type": "94 GHz dual pol.", "contact": "left out"},
    )


def read_raw(raw: xr.Dataset, folder: Path) -> xr.Dataset:
    return read_rpg_radar(write_raw(raw, folder / "181202_100002_ZEN.nc"))


def with_heights(raw: xr.Dataset, heights: list[float]) -> xr.Dataset:
    return raw.assign_coords(range=("range", np.array(heights, dtype=np.float32), {"units": "m"}))


def test_linear_reflectivity_becomes_dbz_and_seconds_and_milliseconds_add_up(
    tmp_path: Path,
) -> None:
    curtain = read_raw(make_raw(), tmp_path)
    check_curtain(curtain)
    assert curtain["reflectivity"].values[0, 0] == pytest.approx(-20, abs=1e-4)
    assert curtain["doppler_velocity"].values[0, 0] == -1.5
    start = np.datetime64("2018-12-02T10:00:00.250", "ns")
    assert np.array_equal(
        curtain["time"].values, start + np.arange(PROFILES) * np.timedelta64(3500, "ms")
    )
    assert np.array_equal(curtain["height"].values, HEIGHTS)
    assert [
        curtain[name].item() for name in ("latitude", "longitude", "altitude")
    ] == pytest.approx([50.9, 6.4, 111])
    assert curtain.attrs == {"instrument": "94 GHz dual pol."}


def test_nan_zero_negative_and_fill_are_no_echo_and_have_no_velocity(tmp_path: Path) -> None:
    raw = make_raw()
    raw["Ze"].attrs["_FillValue"] = np.float32(77)
    raw["Ze"].values[4, 6] = 77
    curtain = read_raw(raw, tmp_path)
    none = np.zeros((PROFILES, GATES), dtype=bool)
    none[:, 5] = True
    none[1:5, 6] = True
    assert np.array_equal(curtain["detection_status"].values == NO_ECHO, none)
    assert np.array_equal(curtain["detection_status"].values == ECHO, ~none)
    assert np.array_equal(np.isnan(curtain["doppler_velocity"].values), none)


def test_upper_chirp_loses_the_heights_that_it_shares_with_the_lower_one(tmp_path: Path) -> None:
    # The second chirp, gates 4 to 6, begins below the end of the first; the third repeats the
    # second's last gate.
    raw = with_heights(make_raw(), [100, 136, 172, 160, 172, 184, 184, 200])
    raw["Ze"].values[:, 7] = 1.0
    curtain = read_raw(raw, tmp_path)
    assert curtain["height"].values.tolist() == [100, 136, 172, 184, 200]
    assert (
        curtain["reflectivity"].values[0].tolist()[-1] == 0
    )  # 10 log10(1), still with its own gate
    assert np.isnan(
        curtain["reflectivity"].values[:, 3]
    ).all()  # gate 6 of the file, and not the gate 7 that repeats it


def test_preset_altitude_of_zero_is_unknown_and_so_is_a_site_not_stated(tmp_path: Path) -> None:
    curtain = read_raw(with_value(make_raw(), "MSL", 0, 0.0).drop_vars(["Lat", "Lon"]), tmp_path)
    assert all(np.isnan(curtain[name].item()) for name in ("latitude", "longitude", "altitude"))


def test_velocity_may_be_absent(tmp_path: Path) -> None:
    assert "doppler_velocity" not in read_raw(make_raw().drop_vars("vm"), tmp_path)


def test_clear_hour_is_read_as_one_without_echo(tmp_path: Path) -> None:
    raw = make_raw()
    raw["Ze"].values[:] = np.nan
    assert (read_raw(raw, tmp_path)["detection_status"].values == NO_ECHO).all()


BAD_FILES = (
    BadFile(
        "no Ze",
        lambda r: r.drop_vars("Ze"),
        r"not an RPG-FMCW-94 file: it lacks Ze \(has \['Lat', ",
    ),
    BadFile("no sampleTms", lambda r: r.drop_vars("sampleTms"), "it lacks sampleTms"),
    BadFile(
        "Ze in dBZ",
        lambda r: with_attrs(r, "Ze", units="dBZ"),
        "'Ze' has units 'dBZ'; 'mm6 m-3' is right",
    ),
    BadFile(
        "no units",
        lambda r: with_attrs(r, "Ze", units=None),
        "'Ze' has units 'none at all'; 'mm6 m-3' is right, or what converts to it",
    ),
    BadFile(
        "range in km",
        lambda r: with_attrs(r, "range", units="km"),
        "its heights end at .* heights in km",
    ),
    BadFile(
        "vm in knots",
        lambda r: with_attrs(r, "vm", units="kn"),
        "'vm' has units 'kn'; 'm s-1' is right",
    ),
    BadFile(
        "another epoch",
        lambda r: with_attrs(r, "time", long_name="Time in sec since 1970.01.01."),
        "'time' begins at .*, before the radar's clock; seconds since 2001-01-01 are",
    ),
    BadFile(
        "hours",
        lambda r: with_attrs(r, "time", units="hours since 2001-01-01"),
        "times outside the years 1970 to 2099",
    ),
    BadFile(
        "sampleTms in s",
        lambda r: with_attrs(r, "sampleTms", units="s"),
        "'sampleTms' holds .* values outside 0 to 999 milliseconds",
    ),
    BadFile(
        "MSL in hPa",
        lambda r: with_attrs(r, "MSL", units="hPa"),
        "'MSL' has units 'hPa'; 'm' is right",
    ),
    BadFile(
        "undeclared fill",
        lambda r: with_value(r, "vm", (0, 0), -888),
        r"1 Doppler velocities exceed 150 m s-1 \(first: -888\); an undeclared fill value",
    ),
    BadFile(
        "no epoch",
        lambda r: with_attrs(r, "time", long_name=None),
        "'time' has units 'seconds UTC'; .* it names no instant to count from",
    ),
    BadFile("no profile", lambda r: r.isel(time=slice(0)), "'time' is empty", CurtainError),
    BadFile("no gate", lambda r: r.isel(range=slice(0)), "'height' is empty", CurtainError),
    BadFile(
        "gates backwards inside a chirp",
        lambda r: with_heights(r, [100, 136, 120, 190, 200, 210, 230, 250]),
        "height runs backwards at index 2",
        CurtainError,
    ),
    BadFile(
        "overlap, chirps not stated",
        lambda r: with_heights(r, [100, 136, 172, 160, 172, 184, 190, 200]).drop_vars(
            "range_offsets"
        ),
        "height runs backwards at index 3",
        CurtainError,
    ),
    BadFile(
        "swapped",
        lambda r: r.transpose("range", "time", ...),
        r"'Ze' has dimensions \('range', 'time'\)",
    ),
    BadFile(
        "absurd value",
        lambda r: with_value(r, "Ze", (0, 0), 1e30),
        r"'Ze' holds 1 values outside -120 to 80 dBZ \(first: 300\)",
    ),
    BadFile(
        "tilted beam",
        lambda r: r.assign(Elv=("time", np.full(PROFILES, 30.0))),
        "the beam points 60.0 degrees off zenith; at most 5 make a curtain",
    ),
)


@pytest.mark.parametrize("bad", BAD_FILES, ids=lambda bad: bad.name)
def test_bad_file_is_rejected_with_its_name_what_was_found_and_what_would_be_right(
    bad: BadFile, tmp_path: Path
) -> None:
    path = write_raw(bad.make(make_raw()), tmp_path / "181202_100002_ZEN.nc")
    check_rejected(read_rpg_radar, path, bad.says, bad.error)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "no such file"),
        (b"", r"not a netCDF file \(an empty file\)"),
        (b"time,Ze\n", r"not a netCDF file \(first"),
    ],
    ids=["missing", "empty", "text"],
)
def test_what_is_no_file_of_the_format_is_rejected(
    content: bytes | None, says: str, tmp_path: Path
) -> None:
    path = tmp_path / "181202_100002_ZEN.nc"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceFileError, match=rf"^{path}: {says}"):
        read_rpg_radar(path)


def test_truncated_file_is_rejected(tmp_path: Path) -> None:
    path = write_raw(make_raw(), tmp_path / "181202_100002_ZEN.nc")
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(
        SourceFileError, match=rf"^{path}: cannot be read as netCDF, it may be cut short"
    ):
        read_rpg_radar(path)


@pytest.mark.parametrize(
    ("name", "echo_share", "lowest_m"),
    [
        ("rpg94_juelich/181202_100002_P09_ZEN_compact.nc", 0.184, 216.0),
        ("rpg94_juelich/181202_150002_P09_ZEN_compact.nc", 0.195, 216.0),
        ("rpg94_ny_alesund/mirac-a_nya_compact_20180905010002_P01_ZEN.nc", 0.283, 102.2),
        ("bucharest_rpg94_lv1/200402_070003_P08_ZEN.LV1", 0.048, 119.2),
    ],
)
def test_measured_hour_is_read(
    name: str, echo_share: float, lowest_m: float, measured_directory: Path
) -> None:
    path = measured_directory / name
    if not path.is_file():
        pytest.skip(f"no measured file {path}")
    if path.suffix == ".LV1":
        pytest.importorskip("rpgpy")
    curtain = read_rpg_radar(path)
    # The share of positive Ze, counted in the file apart from this reader.
    assert (curtain["detection_status"].values == ECHO).mean() == pytest.approx(
        echo_share, abs=0.001
    )
    assert curtain["height"].values[0] == pytest.approx(lowest_m, abs=0.1)
    assert curtain["height"].values[-1] > 11_900
    assert (curtain["time"].values[-1] - curtain["time"].values[0]) / np.timedelta64(
        1, "s"
    ) == pytest.approx(3597, abs=3)
    assert -1.5 < np.nanmedian(curtain["doppler_velocity"].values) < 0  # hydrometeors fall


FAULTY = (
    FaultyProfiles("repeated time", lambda r: r.isel(time=[0, 1, 1, 2]), {REPEATED: 1}),
    FaultyProfiles("infinite value", lambda r: with_value(r, "Ze", (0, 0), np.inf), {INFINITE: 1}),
    FaultyProfiles("microseconds", lambda r: with_value(r, "sampleTms", 2, 250000), {UNTIMED: 1}),
)


@pytest.mark.parametrize("faulty", FAULTY, ids=lambda faulty: faulty.name)
def test_faulty_profiles_are_left_out_and_counted(faulty: FaultyProfiles, tmp_path: Path) -> None:
    path = write_raw(faulty.make(make_raw()), tmp_path / "181202_100002_ZEN.nc")
    check_left_out(read_rpg_radar(path), faulty, faulty.make(make_raw()).sizes["time"])
