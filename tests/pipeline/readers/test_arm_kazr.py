"""ARM KAZR files: echo and noise, the curtain that is read, and rejected files.

Moments are tested on measured files too (KAZR at SGP, KAZR2 at Oliktok). No KAZR-ARSCL file is at
hand: those written here follow the header that the ARM archive publishes for arsclkazr1kollias.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from raw_files import (
    OFF_ZENITH,
    REPEATED,
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
from blindzone.pipeline.readers.arm_kazr import (
    DETECTION_DB,
    detect_echo,
    estimate_noise_db,
    read_arm_kazr,
)

PROFILES, GATES = 40, 120
NO_DATA, NO_ECHO, ECHO = DetectionStatus.NO_DATA, DetectionStatus.NO_ECHO, DetectionStatus.ECHO
START = np.datetime64("2019-05-29T15:00:00", "ns")
NOISE_DB = -22.0
CLOUD = (slice(None), slice(40, 60))
HEIGHTS = (100 + 30 * np.arange(GATES)).astype(np.float32)
FILL = -9999.0
DIMS = ("time", "range")
Names = dict[str, str]
KAZR: Names = {
    "z": "reflectivity_copol",
    "v": "mean_doppler_velocity_copol",
    "snr": "signal_to_noise_ratio_copol",
}
KAZR2: Names = {"z": "reflectivity", "v": "mean_doppler_velocity", "snr": "snr_copol"}
KAZR2_B1: Names = {**KAZR2, "snr": "signal_to_noise_ratio_copolar_h"}


def make_noise(profiles: int = PROFILES, gates: int = GATES, seed: int = 0) -> np.ndarray:
    """Noise power [dB] about NOISE_DB: gamma of shape 8, with the spread of 0.35 of Oliktok."""
    power = np.random.default_rng(seed).gamma(8, 1 / 8, (profiles, gates))
    return np.asarray(NOISE_DB + 10 * np.log10(power))


def make_moments(names: Names = KAZR) -> xr.Dataset:
    """Forty profiles 2 s apart, gates of 30 m: cloud 20 dB above noise at gates 40 to 59."""
    snr = make_noise()
    snr[CLOUD] = NOISE_DB + 20
    z = snr + 20 * np.log10(HEIGHTS) - 85  # the constant is that of the measured file
    velocity = np.random.default_rng(1).uniform(-6, 6, snr.shape)
    velocity[CLOUD] = -1
    fill = {"_FillValue": np.float32(FILL)}
    return xr.Dataset(
        {
            names["z"]: (DIMS, z.astype(np.float32), {"units": "dBZ", **fill}),
            names["v"]: (DIMS, velocity.astype(np.float32), {"units": "m/s", **fill}),
            names["snr"]: (DIMS, snr.astype(np.float32), {"units": "dB", **fill}),
            "time_offset": (
                "time",
                54000 + 2.0 * np.arange(PROFILES),
                {"units": "seconds since 2019-05-29 00:00:00 0:00"},
            ),
            "lat": ((), np.float32(36.5), {"units": "degree_N"}),
            "lon": ((), np.float32(-97.5), {"units": "degree_E"}),
            "alt": ((), np.float32(316), {"units": "m"}),
        },
        {
            "time": ("time", np.arange(PROFILES), {"units": "minutes since 2019-05-29 15:00:00"}),
            "range": ("range", HEIGHTS, {"units": "m"}),
        },
        {"datastream": "sgpkazrgeC1.a1", "facility_id": "C1: Lamont, Oklahoma"},
    )


def make_arscl() -> xr.Dataset:
    """Ten profiles 4 s apart: echo at gates 2 to 5, a bad value, radar off in the last two."""
    z = np.full((10, 8), FILL, dtype=np.float32)
    z[:8, 2:6] = -12.5
    qc = np.where(z == FILL, 4, 0).astype(np.int32)  # bit 3: not available in the input
    z[3, 7], qc[3, 7] = 60, 2  # bit 2: above valid_max
    dims = ("time", "height")
    fill = {"missing_value": np.float32(FILL)}
    return xr.Dataset(
        {
            "reflectivity": (
                dims,
                np.zeros_like(z),
                {"units": "dBZ", **fill},
            ),  # of all detections, clutter included
            "reflectivity_best_estimate": (dims, z, {"units": "dBZ", **fill}),
            "qc_reflectivity_best_estimate": (
                dims,
                qc,
                {"units": "unitless", **{f"bit_{bit}_assessment": "Bad" for bit in (1, 2, 3)}},
            ),
            "mean_doppler_velocity": (dims, np.full_like(z, -0.5), {"units": "m/s", **fill}),
            "instrument_availability_flag": (
                "time",
                np.array([31] * 8 + [30, -9999], dtype=np.int32),
            ),
            "time_offset": (
                "time",
                4.0 * np.arange(10),
                {"units": "seconds since 2019-05-29 00:00:00 0:00"},
            ),
            "lat": ((), np.float32(38.95)),
            "lon": ((), np.float32(-106.99)),
            "alt": ((), np.float32(2886)),
        },
        {
            "time": (
                "time",
                4.0 * np.arange(10),
                {"units": "seconds since 2019-05-29 00:00:00 0:00"},
            ),
            "height": ("height", (160 + 30 * np.arange(8)).astype(np.float32), {"units": "m"}),
        },
        {"datastream": "gucarsclkazr1kolliasM1.c0", "doi": "10.5439/1393437"},
    )


def read_raw(raw: xr.Dataset, folder: Path, form: str = "NETCDF4") -> xr.Dataset:
    return read_arm_kazr(write_raw(raw, folder / "sgpkazrgeC1.a1.20190529.000002.cdf", form))


def with_times_for_each_gate(raw: xr.Dataset) -> xr.Dataset:
    offsets = np.repeat(raw["time_offset"].values[:, np.newaxis], GATES, axis=1)
    return raw.assign(time_offset=(DIMS, offsets, raw["time_offset"].attrs))


def is_cloud() -> np.ndarray:
    cloud = np.zeros((PROFILES, GATES), dtype=bool)
    cloud[CLOUD] = True
    return cloud


@pytest.mark.parametrize("strong_gates", [0, 30, 90], ids=["clear", "cloud", "deep cloud"])
def test_noise_level_is_that_of_the_noise_whatever_cloud_lies_among_it(strong_gates: int) -> None:
    power = make_noise(gates=200)
    power[:, 200 - strong_gates :] = (
        0  # at the top, where a level taken from fixed upper gates would be misled
    )
    level, share = estimate_noise_db(power)
    # The mean of 110 to 200 gates that spread by 0.35 is good to 0.35 / sqrt(110) = 3.3 %, 0.15 dB:
    # four times that.
    assert np.abs(level - NOISE_DB).max() < 0.6
    assert share == pytest.approx(1 - strong_gates / 200, abs=0.05)


def test_noise_level_skips_missing_gates() -> None:
    power = make_noise()
    level, share = estimate_noise_db(np.where(np.arange(GATES) < 60, power, np.nan))
    expected, _ = estimate_noise_db(power[:, :60])
    assert np.allclose(level, expected)
    assert share.max() <= 0.5


def test_many_profiles_are_estimated_in_blocks_as_each_alone() -> None:
    power = make_noise(profiles=2003, gates=20)
    level, _ = estimate_noise_db(power)
    assert level.shape == (2003,)
    assert np.allclose(
        level[[0, 1999, 2000, 2002]], estimate_noise_db(power[[0, 1999, 2000, 2002]])[0]
    )


def test_noise_gives_hardly_any_echo_and_cloud_is_kept_whole() -> None:
    power = make_noise(profiles=200)
    assert detect_echo(power, Path("clear.nc")).mean() < 1e-3
    power[:, 40:60] = NOISE_DB + DETECTION_DB + 1.5
    assert detect_echo(power, Path("cloud.nc"))[:, 40:60].all()


def test_speck_without_neighbours_is_removed_and_a_pair_is_kept() -> None:
    power = np.full((PROFILES, GATES), NOISE_DB)
    power[10, 20] = power[20, 40] = power[21, 41] = 0  # one alone, two across a corner
    power[0, 0] = power[-1, -1] = 0  # no neighbours across the edges
    assert np.argwhere(detect_echo(power, Path("specks.nc"))).tolist() == [[20, 40], [21, 41]]


def test_profile_full_of_cloud_is_kept_by_the_noise_level_of_the_others() -> None:
    power = make_noise()
    power[5] = np.linspace(-10, 30, GATES)  # all echo, the weakest of which would pass for noise
    assert detect_echo(power, Path("deep.nc"))[5].all()


@pytest.mark.parametrize("names", [KAZR, KAZR2, KAZR2_B1], ids=["KAZR", "KAZR2", "KAZR2 b1"])
def test_each_generation_of_moments_is_read_alike(names: Names, tmp_path: Path) -> None:
    curtain = read_raw(make_moments(names), tmp_path)
    check_curtain(curtain)
    status = curtain["detection_status"].values
    assert (status[is_cloud()] == ECHO).all()
    assert (status[~is_cloud()] == NO_ECHO).mean() > 0.99
    assert np.unique(curtain["doppler_velocity"].values[is_cloud()]).tolist() == [-1]
    assert curtain["time"].values[0] == START  # not the rounded minutes of `time`
    assert curtain["time"].values[1] - START == np.timedelta64(2, "s")
    assert np.array_equal(curtain["height"].values, HEIGHTS)
    assert [curtain[name].item() for name in ("latitude", "longitude", "altitude")] == [
        36.5,
        -97.5,
        316,
    ]
    assert curtain.attrs == {"instrument": "sgpkazrgeC1.a1", "site": "C1: Lamont, Oklahoma"}


def test_classic_netcdf_is_read_alike(tmp_path: Path) -> None:
    raw = make_moments().assign_coords(
        time=("time", np.arange(PROFILES, dtype=np.int32), {"units": "1"})
    )
    assert read_raw(raw, tmp_path, "NETCDF3_CLASSIC").identical(read_raw(raw, tmp_path))


def test_power_comes_from_range_corrected_reflectivity_where_the_ratio_is_absent(
    tmp_path: Path,
) -> None:
    curtain = read_raw(make_moments().drop_vars(KAZR["snr"]), tmp_path)
    expected = read_raw(make_moments(), tmp_path)
    assert curtain["detection_status"].equals(expected["detection_status"])


def test_time_repeated_for_each_gate_is_read_as_one_a_profile(tmp_path: Path) -> None:
    assert read_raw(with_times_for_each_gate(make_moments()), tmp_path).identical(
        read_raw(make_moments(), tmp_path)
    )


def test_time_itself_is_read_where_the_offset_is_absent(tmp_path: Path) -> None:
    raw = with_units(
        make_moments().drop_vars("time_offset"), "time", "seconds since 2019-05-29 15:00:00.250"
    )
    assert read_raw(raw, tmp_path)["time"].values[1] == START + np.timedelta64(1250, "ms")


def test_missing_moments_are_no_data_since_a_clear_gate_holds_noise(tmp_path: Path) -> None:
    raw = with_value(make_moments(), KAZR["z"], (3, 50), FILL)
    raw = with_value(with_value(raw, KAZR["z"], (4, 100), np.nan), KAZR["snr"], (5, 50), FILL)
    status = read_raw(raw, tmp_path)["detection_status"].values
    assert np.argwhere(status == NO_DATA).tolist() == [[3, 50], [4, 100], [5, 50]]


@pytest.mark.parametrize(
    ("assessment", "expected"), [("Bad", NO_DATA), ("Indeterminate", ECHO), (None, NO_DATA)]
)
def test_moments_that_their_quality_bits_call_bad_are_no_data(
    assessment: str | None, expected: DetectionStatus, tmp_path: Path
) -> None:
    qc = np.zeros((PROFILES, GATES), dtype=np.int32)
    qc[3, 50] = 2
    raw = make_moments().assign({f"qc_{KAZR['z']}": (DIMS, qc, {"units": "unitless"})})
    if assessment is not None:
        raw.attrs["qc_bit_2_assessment"] = assessment
    status = read_raw(raw, tmp_path)["detection_status"].values
    assert status[3, 50] == expected
    assert (status == NO_DATA).sum() == (expected == NO_DATA)


def test_arscl_is_taken_as_masked_and_no_echo_kept_apart_from_no_data(tmp_path: Path) -> None:
    curtain = read_raw(make_arscl(), tmp_path)
    check_curtain(curtain)
    expected = np.full((10, 8), NO_ECHO)
    expected[:8, 2:6] = ECHO
    expected[3, 7] = NO_DATA  # called bad
    expected[8:] = NO_DATA  # the radar was off
    assert np.array_equal(curtain["detection_status"].values, expected)
    assert np.unique(curtain["reflectivity"].values[expected == ECHO]).tolist() == [-12.5]
    assert np.unique(curtain["doppler_velocity"].values[expected == ECHO]).tolist() == [-0.5]
    assert curtain["height"].values[0] == 160
    assert curtain.attrs == {
        "instrument": "gucarsclkazr1kolliasM1.c0",
        "references": "10.5439/1393437",
    }


def test_arscl_without_flag_and_quality_bits_is_read(tmp_path: Path) -> None:
    raw = make_arscl().drop_vars(["instrument_availability_flag", "qc_reflectivity_best_estimate"])
    status = read_raw(raw, tmp_path)["detection_status"].values
    assert status[3, 7] == ECHO
    assert not (status == NO_DATA).any()


Z, V, SNR = KAZR["z"], KAZR["v"], KAZR["snr"]
BAD_FILES = (
    BadFile(
        "no reflectivity",
        lambda: make_moments().drop_vars(Z),
        r"not an ARM KAZR file: it has none of reflectivity_best_estimate, reflectivity_copol,"
        r" reflectivity \(has \[",
    ),
    BadFile(
        "no range", lambda: make_moments().drop_vars("range"), "not a KAZR file: it lacks range"
    ),
    BadFile(
        "no height",
        lambda: make_arscl().drop_vars("height"),
        "not a KAZR-ARSCL file: it lacks height",
    ),
    BadFile(
        "no time",
        lambda: make_moments(KAZR2).drop_vars(["time", "time_offset"]),
        "not a KAZR2 file: it lacks time",
    ),
    BadFile(
        "linear",
        lambda: with_units(make_moments(), Z, "mm6 m-3"),
        f"'{Z}' has units 'mm6 m-3' and holds .* linear reflectivity is",
    ),
    BadFile(
        "no units",
        lambda: with_units(make_moments(), Z, None),
        f"'{Z}' has units 'none at all'; 'dBZ' is right",
    ),
    BadFile(
        "v",
        lambda: with_units(make_moments(), V, "cm/h/s"),
        f"'{V}' has units 'cm/h/s'; 'm s-1' is right",
    ),
    BadFile(
        "snr", lambda: with_units(make_moments(), SNR, "1"), f"'{SNR}' has units '1'; 'dB' is right"
    ),
    BadFile(
        "range",
        lambda: with_units(make_moments(), "range", "km"),
        "its heights end at .* heights in km or mm would look like this",
    ),
    BadFile(
        "no gate at all",
        lambda: make_moments().isel(range=slice(0)),
        "'height' is empty",
        CurtainError,
    ),
    BadFile(
        "absurd snr",
        lambda: with_value(make_moments(), SNR, (0, 0), 1e30),
        rf"'{SNR}' holds 1 values outside -inf to 200 dB",
    ),
    BadFile(
        "qc that is no bits",
        lambda: make_arscl().assign(
            qc_reflectivity_best_estimate=make_arscl()["qc_reflectivity_best_estimate"].astype(
                float
            )
            / 3
        ),
        "'qc_reflectivity_best_estimate' holds values of type float64 such as",
    ),
    BadFile(
        "alt", lambda: with_units(make_moments(), "alt", "s"), "'alt' has units 's'; 'm' is right"
    ),
    BadFile(
        "time without units",
        lambda: with_units(make_moments(), "time_offset", None),
        "'time_offset' has units none at all; 'seconds since YYYY-MM-DD hh:mm:ss', or",
    ),
    BadFile(
        "times that differ between gates",
        lambda: with_value(with_times_for_each_gate(make_moments()), "time_offset", (3, 4), 0.0),
        r"'time_offset' has dimensions \('time', 'range'\) and differs between gates; one time a"
        r" profile is right",
    ),
    BadFile(
        "one time for all",
        lambda: make_moments().assign(time_offset=((), 0.0, {"units": "seconds since 2019-05-29"})),
        r"'time_offset' has dimensions \(\); \('time',\) is right",
    ),
    BadFile(
        "no profile", lambda: make_moments().isel(time=slice(0)), "'time' is empty", CurtainError
    ),
    BadFile(
        "swapped",
        lambda: make_moments().transpose("range", "time"),
        r"has dimensions \('range', 'time'\)",
    ),
    BadFile(
        "gates downwards",
        lambda: make_moments().isel(range=slice(None, None, -1)),
        "height runs backwards",
        CurtainError,
    ),
    BadFile(
        "all missing",
        lambda: with_value(make_moments(), Z, slice(None), FILL),
        r"no profile holds noise in 10% of its gates \(0 of 4800 gates hold a value\), so that echo"
        r" cannot be separated",
    ),
    BadFile(
        "undeclared fill",
        lambda: with_value(make_moments(), Z, (0, 3), -999),
        rf"'{Z}' holds 1 values outside -120 to 80 dBZ \(first: -999\)",
    ),
    BadFile(
        "tilted",
        lambda: make_moments().assign(elevation=("time", np.full(PROFILES, 60.0))),
        "the beam points 30.0 degrees off zenith; at most 5 make a curtain",
    ),
)


@pytest.mark.parametrize("bad", BAD_FILES, ids=lambda bad: bad.name)
def test_bad_file_is_rejected_with_its_name_what_was_found_and_what_would_be_right(
    bad: BadFile, tmp_path: Path
) -> None:
    path = write_raw(bad.make(), tmp_path / "sgpkazrgeC1.a1.20190529.000002.cdf")
    check_rejected(read_arm_kazr, path, bad.says, bad.error)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "no such file"),
        (b"", r"not a netCDF file \(an empty file\)"),
        (b"netcdf sgp {\n", "not a netCDF file"),
    ],
    ids=["missing", "empty", "text"],
)
def test_what_is_no_file_of_the_format_is_rejected(
    content: bytes | None, says: str, tmp_path: Path
) -> None:
    path = tmp_path / "sgpkazrgeC1.a1.20190529.000002.cdf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceFileError, match=rf"^{path}: {says}"):
        read_arm_kazr(path)


def test_truncated_file_is_rejected(tmp_path: Path) -> None:
    path = write_raw(make_moments(), tmp_path / "sgpkazrgeC1.a1.20190529.000002.cdf")
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(
        SourceFileError, match=rf"^{path}: cannot be read as netCDF, it may be cut short"
    ):
        read_arm_kazr(path)


def read_measured(directory: Path, name: str) -> xr.Dataset:
    path = directory / "arm_kazr" / name
    if not path.is_file():
        pytest.skip(f"no measured file {path}")
    return read_arm_kazr(path)


def test_measured_deep_cloud_is_kept_and_the_noise_above_it_gone(measured_directory: Path) -> None:
    curtain = read_measured(measured_directory, "olikazrgeM1.a1.20160926.000000.part.nc")
    echo = curtain["detection_status"] == ECHO
    assert echo.sel(height=slice(0, 4000)).all()  # precipitating cloud up to some 4.3 km
    assert not echo.sel(height=slice(5000, None)).any()
    # It fell at about 1 m s-1; noise would spread evenly to the Nyquist velocity of 5.98 m s-1.
    assert curtain["doppler_velocity"].min() > -3
    assert curtain["altitude"].item() == 2


def test_measured_high_cloud_is_kept_and_the_noise_below_it_gone(measured_directory: Path) -> None:
    curtain = read_measured(measured_directory, "sgpkazrgeC1.a1.20190529.000002.cdf")
    echo = curtain["detection_status"] == ECHO
    assert echo.sel(height=slice(6500, 8000)).mean() > 0.98
    assert echo.sel(height=slice(3000, 4400)).mean() < 2e-3
    assert curtain["time"].values[0] == np.datetime64("2019-05-29T14:59:58.794")
    assert curtain["latitude"].item() == pytest.approx(36.606, abs=1e-3)


FAULTY = (
    FaultyProfiles(
        "earlier time", lambda: with_value(make_moments(), "time_offset", 7, 54000), {REPEATED: 1}
    ),
    FaultyProfiles(
        "repeated time", lambda: with_value(make_arscl(), "time_offset", 7, 24.0), {REPEATED: 1}
    ),
    FaultyProfiles(
        "scan",
        lambda: make_moments().assign(
            elevation=("time", np.where(np.arange(PROFILES) < 3, 30.0, 90.0))
        ),
        {OFF_ZENITH: 3},
    ),
)


@pytest.mark.parametrize("faulty", FAULTY, ids=lambda faulty: faulty.name)
def test_faulty_profiles_are_left_out_and_counted(faulty: FaultyProfiles, tmp_path: Path) -> None:
    path = write_raw(faulty.make(), tmp_path / "sgpkazrgeC1.a1.20190529.000002.cdf")
    check_left_out(read_arm_kazr(path), faulty, faulty.make().sizes["time"])
