"""METEK micro rain radars: the curtain that is read, and rejected files.

MRR-Pro files are tested on measured ones too. No MRR-2 file processed by IMProToo is at hand: those
written here follow the layout that its writer documents (IMProToo 0.107, `writeNetCDF`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from raw_files import (
    INFINITE,
    OFF_ZENITH,
    REPEATED,
    UNTIMED,
    BadFile,
    FaultyProfiles,
    check_left_out,
    check_rejected,
    with_units,
    with_value,
    write_raw,
)

from blindzone.core.errors import CurtainError, SourceFileError
from blindzone.pipeline.curtains.curtain import DetectionStatus, check_curtain
from blindzone.pipeline.readers import read_curtain
from blindzone.pipeline.readers.mrr import read_mrr

PROFILES, GATES = 6, 8
NO_DATA, NO_ECHO, ECHO = DetectionStatus.NO_DATA, DetectionStatus.NO_ECHO, DetectionStatus.ECHO
START = np.datetime64("2023-03-22T01:30:00", "ns")
START_S = 1679448600.0
"""The same in seconds since 1970: 19438 days and 5400 s."""
NETCDF_FILL = 9.969209968386869e36


def make_pro() -> xr.Dataset:
    """Six MRR-Pro profiles 10 s apart, eight gates: 4 m s-1 down, gate 5 empty, gate 0 blind."""
    ze = np.full((PROFILES, GATES), 12.5)
    ze[:, [0, 5]] = np.nan
    nan = {"_FillValue": np.nan}
    site = {"units": "degrees_north"}
    return xr.Dataset(
        {
            "Ze": (("time", "range"), ze, {"units": "dBZ", **nan}),
            "Zea": (("time", "range"), ze - 1, {"units": "dBZ", **nan}),
            "VEL": (
                ("time", "range"),
                np.where(np.isnan(ze), np.nan, 4).astype(np.float32),
                {"units": "m s-1", **nan},
            ),
            "transfer_function": ("range", np.linspace(0, 1, GATES)),
            "elevation": ("time", np.full(PROFILES, 90, dtype=np.float32), {"units": "degrees"}),
            "latitude": ((), NETCDF_FILL, site),
            "longitude": ((), NETCDF_FILL, site),
            "altitude": ((), NETCDF_FILL, {"units": "meters"}),
        },
        {
            "time": (
                "time",
                START_S + 10 * np.arange(PROFILES),
                {"units": "seconds since 1970-01-01T00:00:00Z"},
            ),
            "range": (
                "range",
                (50 * np.arange(1, GATES + 1)).astype(np.float32),
                {"units": "meters"},
            ),
        },
        {"instrument_name": "METEK MRR Pro 1.2.5", "site_name": "Firs", "references": ""},
    )


def make_improtoo() -> xr.Dataset:
    """The same as an MRR-2 file of IMProToo: heights per profile, fill -9999, 60 s apart."""
    ze = np.full((PROFILES, GATES), 12.5, dtype=np.float32)
    ze[:, [0, 5]] = -9999
    ze[3, 4] = np.nan
    heights = np.tile((100 * np.arange(1, GATES + 1)).astype(np.float32), (PROFILES, 1))
    fill = {"_FillValue": np.float32(-9999)}
    dims = ("time", "range")
    return xr.Dataset(
        {
            "Ze": (dims, ze, {"units": "dBz", **fill}),
            "W": (dims, np.where(ze > 0, 4, -9999).astype(np.float32), {"units": "m/s", **fill}),
            "height": (dims, heights, {"units": "m", **fill}),
        },
        {
            "time": (
                "time",
                (START_S + 60 * np.arange(PROFILES)).astype(np.int32),
                {"_FillValue": np.int32(-9999)},
            ),
            "range": ("range", np.arange(1, GATES + 1, dtype=np.int32), {"units": "#"}),
        },
        {"source": "Created with IMProToo v0.107"},
    )


def read_raw(raw: xr.Dataset, folder: Path) -> xr.Dataset:
    return read_mrr(write_raw(raw, folder / "20230322_013000.nc"))


def test_mrr_pro_file_is_read_with_velocity_turned_away_from_the_radar(tmp_path: Path) -> None:
    curtain = read_raw(make_pro(), tmp_path)
    check_curtain(curtain)
    assert curtain["reflectivity"].values[0, 1] == 12.5  # Ze, not Zea
    assert np.unique(
        curtain["doppler_velocity"].values[curtain["detection_status"].values == ECHO]
    ).tolist() == [-4]
    assert np.array_equal(
        curtain["time"].values, START + 10 * np.arange(PROFILES) * np.timedelta64(1, "s")
    )
    assert curtain["height"].values.tolist() == [50 * i for i in range(GATES)]
    assert curtain.attrs == {
        "instrument": "METEK MRR Pro 1.2.5",
        "site": "Firs",
        "frequency_ghz": 24.2,
    }


def test_empty_coordinates_of_the_site_are_nan(tmp_path: Path) -> None:
    curtain = read_raw(make_pro(), tmp_path)
    assert all(np.isnan(curtain[name].item()) for name in ("latitude", "longitude", "altitude"))


def test_declared_nan_is_no_echo_and_the_blind_gate_no_data(tmp_path: Path) -> None:
    status = read_raw(make_pro(), tmp_path)["detection_status"].values
    assert (status[:, 5] == NO_ECHO).all()
    assert (status[:, 0] == NO_DATA).all()
    assert (status == ECHO).sum() == PROFILES * (GATES - 2)
    without = read_raw(make_pro().drop_vars("transfer_function"), tmp_path)[
        "detection_status"
    ].values
    assert (without[:, 0] == NO_ECHO).all()


def test_time_noise_below_a_millisecond_is_rounded_away(tmp_path: Path) -> None:
    times = START_S + 10 * np.arange(PROFILES) + np.array([0, 1, -1, 2, 0, -2]) * 1e-4
    raw = make_pro().assign_coords(time=("time", times, make_pro()["time"].attrs))
    assert np.all(np.diff(read_raw(raw, tmp_path)["time"].values) == np.timedelta64(10, "s"))


@pytest.mark.parametrize("units", [None, "seconds since 1970-01-01"])
def test_improtoo_file_is_read_with_or_without_time_units(
    units: str | None, tmp_path: Path
) -> None:
    curtain = read_raw(with_units(make_improtoo(), "time", units), tmp_path)
    check_curtain(curtain)
    assert curtain["time"].values[1] == START + np.timedelta64(60, "s")
    assert curtain["height"].values.tolist() == [100 * i for i in range(1, GATES + 1)]
    assert curtain["reflectivity"].values[0, 1] == 12.5
    assert curtain["doppler_velocity"].values[0, 1] == -4
    assert curtain.attrs == {"instrument": "Created with IMProToo v0.107", "frequency_ghz": 24.2}


def test_improtoo_fill_is_no_echo_and_literal_nan_no_data(tmp_path: Path) -> None:
    status = read_raw(make_improtoo(), tmp_path)["detection_status"].values
    assert (status[:, [0, 5]] == NO_ECHO).all()
    assert status[3, 4] == NO_DATA
    assert (status == ECHO).sum() == PROFILES * (GATES - 2) - 1


def test_improtoo_profile_without_heights_takes_those_of_the_others(tmp_path: Path) -> None:
    curtain = read_raw(with_value(make_improtoo(), "height", 0, -9999), tmp_path)
    assert curtain["height"].values[0] == 100


BAD_FILES = (
    BadFile(
        "no Ze", lambda: make_pro().drop_vars("Ze"), r"not an MRR-Pro file: it lacks Ze \(has \["
    ),
    BadFile(
        "no range", lambda: make_pro().drop_vars("range"), "not an MRR-Pro file: it lacks range"
    ),
    BadFile(
        "IMProToo without Ze",
        lambda: make_improtoo().drop_vars("Ze"),
        "not an MRR-2 file processed by IMProToo: it lacks Ze",
    ),
    BadFile(
        "Ze in dBm",
        lambda: with_units(make_pro(), "Ze", "dBm"),
        "'Ze' has units 'dBm'; 'dBZ' is right",
    ),
    BadFile(
        "no units",
        lambda: with_units(make_pro(), "Ze", None),
        "'Ze' has units 'none at all'; 'dBZ' is right",
    ),
    BadFile(
        "VEL",
        lambda: with_units(make_pro(), "VEL", "Hz"),
        "'VEL' has units 'Hz'; 'm s-1' is right",
    ),
    BadFile(
        "range",
        lambda: with_units(make_pro(), "range", "km"),
        "its heights end at .* heights in km",
    ),
    BadFile(
        "height",
        lambda: with_units(make_improtoo(), "height", "km"),
        "its heights end at .* heights in km",
    ),
    BadFile(
        "time without units",
        lambda: with_units(make_pro(), "time", None),
        "'time' has units none at all; 'seconds since YYYY-MM-DD hh:mm:ss', or",
    ),
    BadFile(
        "time in hours",
        lambda: with_units(make_pro(), "time", "hours since 2023-03-22"),
        "'time' holds 6 times outside the years 1970 to 2099",
    ),
    BadFile(
        "time from no date",
        lambda: with_units(make_pro(), "time", "seconds since 1970-02-30"),
        "'time' has units 'seconds since 1970-02-30'; .* '1970-02-30' is no date",
    ),
    BadFile("no profile", lambda: make_pro().isel(time=slice(0)), "'time' is empty", CurtainError),
    BadFile(
        "no IMProToo profile",
        lambda: make_improtoo().isel(time=slice(0)),
        "no profile of 'height' states every",
    ),
    BadFile(
        "swapped",
        lambda: make_pro().transpose("range", "time"),
        r"'Ze' has dimensions \('range', 'time'\)",
    ),
    BadFile(
        "one height for all",
        lambda: make_improtoo().isel(range=0),
        r"'Ze' has dimensions \('time',\); \('time', 'range'\)",
    ),
    BadFile(
        "heights that change",
        lambda: with_value(make_improtoo(), "height", 4, 35.0),
        r"'height' changes within the file \(entry 0: 100, in profile 4 35\)",
    ),
    BadFile(
        "calendar",
        lambda: make_pro().assign_coords(
            time=(
                "time",
                make_pro()["time"].values,
                make_pro()["time"].attrs | {"calendar": "noleap"},
            )
        ),
        "'time' has calendar 'noleap'; 'standard' is right",
    ),
    BadFile(
        "heights nowhere whole",
        lambda: with_value(make_improtoo(), "height", (slice(None), 3), -9999),
        "no profile of 'height' states every entry",
    ),
    BadFile(
        "undeclared fill",
        lambda: with_value(make_pro(), "Ze", (0, 3), -9999),
        r"'Ze' holds 1 values outside -120 to 80 dBZ \(first: -9999\)",
    ),
)


@pytest.mark.parametrize("bad", BAD_FILES, ids=lambda bad: bad.name)
def test_bad_file_is_rejected_with_its_name_what_was_found_and_what_would_be_right(
    bad: BadFile, tmp_path: Path
) -> None:
    path = write_raw(bad.make(), tmp_path / "20230322_013000.nc")
    check_rejected(read_mrr, path, bad.says, bad.error)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "no such file"),
        (b"", r"not a netCDF file \(an empty file\)"),
        (b"MRR RAW\n", r"not a netCDF file \(first"),
    ],
    ids=["missing", "empty", "text"],
)
def test_what_is_no_file_of_the_format_is_rejected(
    content: bytes | None, says: str, tmp_path: Path
) -> None:
    path = tmp_path / "20230322_013000.nc"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceFileError, match=rf"^{path}: {says}"):
        read_mrr(path)


def test_truncated_file_is_rejected(tmp_path: Path) -> None:
    path = write_raw(make_pro(), tmp_path / "20230322_013000.nc")
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(
        SourceFileError, match=rf"^{path}: cannot be read as netCDF, it may be cut short"
    ):
        read_mrr(path)


@pytest.mark.parametrize(
    ("name", "profiles", "echoes"),
    [
        # Echoes: the finite values of `Ze`, counted in the files apart from this reader.
        ("20230322_mrrpro_daily_nospectra.nc", 8640, 65823),
        ("20230322_013000.nc", 60, 3323),
        ("20230322_120000.nc", 60, 7),
    ],
)
def test_measured_file_is_read(
    name: str, profiles: int, echoes: int, measured_directory: Path
) -> None:
    path = measured_directory / "mrr_pro" / name
    if not path.is_file():
        pytest.skip(f"no measured file {path}")
    curtain = read_mrr(path)
    assert curtain.sizes["time"] == profiles
    assert (curtain["detection_status"].values == ECHO).sum() == echoes
    assert curtain["height"].values.tolist() == [50 * i for i in range(128)]
    assert np.isnan(curtain["latitude"].item())


def test_measured_rain_falls_faster_than_the_snow_above_it(measured_directory: Path) -> None:
    path = measured_directory / "mrr_pro" / "20230322_013000.nc"
    if not path.is_file():
        pytest.skip(f"no measured file {path}")
    velocity = read_mrr(path)["doppler_velocity"]
    assert velocity.sel(height=slice(300, 1000)).median() < -3
    assert -2 < velocity.sel(height=slice(2300, 3000)).median() < -0.3


def with_range(raw: xr.Dataset, first_m: float) -> xr.Dataset:
    """Returns the content with gates 50 m apart that begin elsewhere."""
    gates = (first_m + 50 * np.arange(GATES)).astype(np.float32)
    return raw.assign_coords(range=("range", gates, raw["range"].attrs))


@pytest.mark.parametrize("first_m", [0, 50, 103])
def test_gates_count_from_the_antenna_wherever_the_operator_is(
    first_m: float, tmp_path: Path
) -> None:
    path = write_raw(with_range(make_pro(), first_m), tmp_path / "a.nc")

    assert read_curtain(path)["height"].values.tolist() == [50 * i for i in range(GATES)]


def test_gates_from_elsewhere_are_refused_until_the_catalogue_states_them(tmp_path: Path) -> None:
    raw = with_range(make_pro(), 120).drop_vars("transfer_function")
    path = write_raw(with_value(raw, "Ze", (slice(None), 0), 3.0), tmp_path / "a.nc")

    with pytest.raises(SourceFileError, match=r"2\.40 spacings from the radar.*'first_gate_m'"):
        read_curtain(path)

    assert read_curtain(path, first_gate_m=0)["height"].values.tolist() == [
        50 * i for i in range(GATES)
    ]


FAULTY = (
    FaultyProfiles("missing time", lambda: with_value(make_pro(), "time", 2, np.nan), {UNTIMED: 1}),
    FaultyProfiles(
        "fill value", lambda: with_value(make_improtoo(), "time", 2, -9999), {UNTIMED: 1}
    ),
    FaultyProfiles(
        "absurd time", lambda: with_value(make_pro(), "time", 2, NETCDF_FILL), {UNTIMED: 1}
    ),
    FaultyProfiles(
        "repeated time", lambda: with_value(make_improtoo(), "time", 2, START_S + 60), {REPEATED: 1}
    ),
    FaultyProfiles(
        "infinite height",
        lambda: with_value(make_improtoo(), "height", (1, 3), np.inf),
        {INFINITE: 1},
    ),
    FaultyProfiles(
        "tilted once", lambda: with_value(make_pro(), "elevation", 1, 45), {OFF_ZENITH: 1}
    ),
)


@pytest.mark.parametrize("faulty", FAULTY, ids=lambda faulty: faulty.name)
def test_faulty_profiles_are_left_out_and_counted(faulty: FaultyProfiles, tmp_path: Path) -> None:
    path = write_raw(faulty.make(), tmp_path / "20230322_013000.nc")
    check_left_out(read_mrr(path), faulty, faulty.make().sizes["time"])
