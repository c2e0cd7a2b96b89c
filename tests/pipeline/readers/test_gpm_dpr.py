"""GPM Ku-band files: the swath that is read, and rejected files.

Files of version 05 are measured. What the tests write follows the documented layout of versions 05
and 07.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from blindzone.core.errors import BlindzoneError, SourceFileError
from blindzone.pipeline.curtains.curtain import (
    BlindZoneOrigin,
    DetectionStatus,
    QualityFlag,
    check_curtain,
)
from blindzone.pipeline.curtains.findings import PROFILES_DROPPED, read_counts, read_doubts
from blindzone.pipeline.readers._hdf import read_hdf5
from blindzone.pipeline.readers._netcdf import read_header
from blindzone.pipeline.readers.gpm_dpr import RADAR, read_gpm_dpr

SCANS, RAYS, BINS = 4, 3, 176
FILL = np.float32(-9999.9)
NO_DATA, NO_ECHO, ECHO = DetectionStatus.NO_DATA, DetectionStatus.NO_ECHO, DetectionStatus.ECHO
MEASURED = (
    "gpm_dpr/2A-CS-151E24S154E30S.GPM.Ku.V7-20170308.20141206-S095002-E095137.004383.V05A.HDF5"
)
BY_FREQUENCY = ("zFactorFinal", "binClutterFreeBottom", "localZenithAngle")
Z = "SLV/zFactorCorrected"
Content = dict[str, tuple[np.ndarray, str | None]]


def make_content() -> Content:
    """Four scans of three rays, the outer ones 60 degrees off (cosine 0.5); values with units.

    Echo of 20 dBZ in bins 150 to 176, of which those below 166 lie in clutter; the ellipsoid is the
    surface.
    """
    z = np.full((SCANS, RAYS, BINS), FILL)
    z[:, :, 149:] = 20
    pixels = np.ones((SCANS, RAYS), dtype=np.float32)
    clock = {"Year": 2016, "Month": 12, "DayOfMonth": 31, "Hour": 23, "Minute": 59, "Second": 59}
    content: Content = {
        "SLV/zFactorCorrected": (z, "dBZ"),
        "PRE/binClutterFreeBottom": (np.full((SCANS, RAYS), 166, np.int16), None),
        "PRE/binRealSurface": (np.full((SCANS, RAYS), 176, np.int16), None),
        "PRE/localZenithAngle": (pixels * np.array([25.0, 0, 25], np.float32), "degree"),
        "PRE/ellipsoidBinOffset": (pixels * 0, "m"),
        "PRE/elevation": (pixels * 0, "m"),
        "FLG/qualityFlag": (np.zeros((SCANS, RAYS), np.int8), None),
        "Latitude": (
            pixels * 10 + 0.04 * np.arange(SCANS, dtype=np.float32)[:, np.newaxis],
            "degrees",
        ),
        "Longitude": (pixels * 20, "degrees"),
        "scanStatus/dataQuality": (np.zeros(SCANS, np.int8), None),
        **{
            f"ScanTime/{name}": (np.full(SCANS, value, np.int16), None)
            for name, value in clock.items()
        },
        "ScanTime/MilliSecond": (np.array([0, 300, 600, 900], np.int16), "ms"),
    }
    return content


def write_content(
    content: Content,
    path: Path,
    *,
    swath: str = "NS",
    algorithm: str = "2AKu",
    frequencies: bool = False,
) -> Path:
    dims = {1: "nscan", 2: "nscan,nray", 3: "nscan,nray,nbin"}
    with h5py.File(path, "w") as file:
        file.attrs["FileHeader"] = np.bytes_(
            f"DOI=10.5067/X;\nAlgorithmID={algorithm};\nSatelliteName=GPM;\nInstrumentName=DPR;\n".encode()
        )
        for name, (values, units) in content.items():
            doubled = frequencies and name.split("/")[-1] in (
                "zFactorFinal",
                "binClutterFreeBottom",
                "localZenithAngle",
            )
            stored = _double(values) if doubled else values
            item = file.create_dataset(f"{swath}/{name}", data=stored)
            item.attrs["DimensionNames"] = np.bytes_(
                (dims[values.ndim] + (",nfreq" if doubled else "")).encode()
            )
            item.attrs["_FillValue"] = FILL if values.dtype.kind == "f" else values.dtype.type(-99)
            if units:
                item.attrs["units"] = np.bytes_(units.encode())
    return path


def _double(values: np.ndarray) -> np.ndarray:
    """Returns the values of both bands, `(..., nfreq)`; those of Ka are larger by one."""
    return np.stack([values, np.where(values == FILL, values, values + 1)], axis=-1)


def read_content(content: Content, folder: Path) -> xr.Dataset:
    return read_gpm_dpr(write_content(content, folder / "2A.GPM.Ku.HDF5"))


def with_value(content: Content, name: str, index: object, value: float) -> Content:
    values, units = content[name]
    changed = values.copy()
    changed[index] = value  # type: ignore[index]
    return content | {name: (changed, units)}


def without(content: Content, *names: str) -> Content:
    return {name: item for name, item in content.items() if name not in names}


def test_each_ray_is_a_curtain_whose_bins_lie_along_the_ray(tmp_path: Path) -> None:
    swath = read_content(make_content(), tmp_path)
    assert dict(swath.sizes) == {"ray": RAYS, "time": SCANS, "height": BINS}
    assert swath["ray"].values.tolist() == [0, 1, 2]
    for ray in range(RAYS):
        check_curtain(swath.isel(ray=ray))
    # Bin 176 lies on the ellipsoid, the next ones 125 m higher along the ray.
    assert swath["gate_height"].values[1, 0, :3].tolist() == [0, 125, 250]
    assert swath["gate_height"].values[0, 0, 1] == pytest.approx(
        125 * np.cos(np.radians(25)), abs=1e-4
    )
    assert swath["height"].values[[0, -1]].tolist() == [0, 21875]
    # Bin 166 is the lowest free of clutter, its lower edge 10.5 - 1 bins above bin 176.
    assert swath["blind_zone_top"].values[1] == pytest.approx(np.full(SCANS, 9.5 * 125))
    assert swath["blind_zone_top"].values[2] == pytest.approx(
        np.full(SCANS, 9.5 * 125 * np.cos(np.radians(25)))
    )
    assert swath.attrs == {
        "instrument": "GPM DPR Ku",
        "references": "10.5067/X",
        "frequency_ghz": 13.6,
    }


def test_values_below_the_clutter_free_bottom_are_no_data_and_fill_above_is_no_echo(
    tmp_path: Path,
) -> None:
    swath = read_content(make_content(), tmp_path)
    # Upwards: bins 176 to 167 in clutter, 166 to 150 echo, the rest without.
    expected = [NO_DATA] * 10 + [ECHO] * 17 + [NO_ECHO] * 149
    assert (swath["detection_status"].values == np.array(expected)).all()
    assert (
        swath["quality_flags"].values == np.array([QualityFlag.SURFACE_CLUTTER] * 10 + [0] * 166)
    ).all()
    assert np.nanmax(swath["reflectivity"].values) == np.nanmin(swath["reflectivity"].values) == 20


def test_heights_count_from_the_elevation_of_the_surface_and_bins_below_it_say_so(
    tmp_path: Path,
) -> None:
    content = with_value(make_content(), "PRE/elevation", (0, 1), 300)
    content = with_value(content, "PRE/ellipsoidBinOffset", (0, 1), 60)
    curtain = read_content(content, tmp_path).isel(ray=1)
    assert curtain["altitude"].values.tolist() == [300, 0, 0, 0]
    assert curtain["gate_height"].values[0, :3].tolist() == [60 - 300, 185 - 300, 310 - 300]
    assert curtain["blind_zone_top"].values[0] == 9.5 * 125 + 60 - 300
    below, clutter = int(QualityFlag.BELOW_SURFACE), int(QualityFlag.SURFACE_CLUTTER)
    assert curtain["quality_flags"].values[0, :3].tolist() == [below, below, clutter]


def test_surface_bin_gives_the_elevation_where_the_file_has_none(tmp_path: Path) -> None:
    content = with_value(make_content(), "PRE/binRealSurface", (0, 1), 174)
    assert read_content(without(content, "PRE/elevation"), tmp_path)["altitude"].values[1, 0] == 250
    assert (
        read_content(with_value(content, "PRE/elevation", (0, 1), FILL), tmp_path)[
            "altitude"
        ].values[1, 0]
        == 250
    )
    assert (
        read_content(without(content, "PRE/ellipsoidBinOffset"), tmp_path)["gate_height"].values[
            1, 1, 0
        ]
        == 0
    )


def test_time_is_made_of_its_fields_and_a_leap_second_is_the_next_second(tmp_path: Path) -> None:
    content = make_content()
    content["ScanTime/Second"] = (np.array([59, 59, 60, 60], np.int16), "s")
    start = np.datetime64("2016-12-31T23:59:59", "ns")
    expected = start + np.array([0, 300, 1600, 1900]) * np.timedelta64(1, "ms")
    assert np.array_equal(read_content(content, tmp_path)["time"].values, expected)


def test_distance_runs_along_each_ray(tmp_path: Path) -> None:
    distance = read_content(make_content(), tmp_path)["along_track_distance"].values
    # 0.04 degrees of latitude at 10 degrees north, 110.608 km each (WGS84).
    assert distance[2] == pytest.approx(4424.3 * np.arange(SCANS), abs=1)


def test_bad_scans_and_bad_pixels_hold_no_data_and_say_that_the_file_rejects_them(
    tmp_path: Path,
) -> None:
    content = with_value(make_content(), "scanStatus/dataQuality", 1, 32)
    content = with_value(content, "FLG/qualityFlag", (2, 0), 2)
    content = with_value(content, "FLG/qualityFlag", (3, 0), -99)
    content = with_value(content, "FLG/qualityFlag", (0, 0), 1)  # a warning, the retrieval stands
    swath = read_content(content, tmp_path)
    rejected = (swath["quality_flags"].values & QualityFlag.REJECTED) > 0
    assert np.array_equal(rejected.all(axis=2), [[0, 1, 1, 1], [0, 1, 0, 0], [0, 1, 0, 0]])
    assert (swath["detection_status"].values[rejected] == NO_DATA).all()


def test_missing_scan_without_time_or_position_is_a_gap(tmp_path: Path) -> None:
    content = with_value(make_content(), "scanStatus/dataQuality", 1, 1)
    for name in ("ScanTime/Year", "Latitude"):
        content = with_value(content, name, 1, -99 if "Time" in name else FILL)
    swath = read_content(content, tmp_path)
    assert swath.sizes["time"] == 3
    assert swath["along_track_distance"].values[0] == pytest.approx(
        4424.3 * np.array([0, 2, 3]), abs=1
    )


def test_pixel_without_a_clutter_free_bottom_holds_no_data(tmp_path: Path) -> None:
    curtain = read_content(
        with_value(make_content(), "PRE/binClutterFreeBottom", (1, 1), -99), tmp_path
    ).isel(ray=1)
    assert np.isnan(curtain["blind_zone_top"].values).tolist() == [False, True, False, False]
    assert (curtain["detection_status"].values[1] == NO_DATA).all()


def test_noise_codes_are_no_echo(tmp_path: Path) -> None:
    content = with_value(make_content(), "SLV/zFactorCorrected", (0, 1, 149), -28888)
    content = with_value(content, "SLV/zFactorCorrected", (0, 1, 150), -29999)
    status = read_content(content, tmp_path)["detection_status"].values[1, 0]
    assert status[[26, 25, 24]].tolist() == [NO_ECHO, NO_ECHO, ECHO]


@pytest.mark.parametrize("frequencies", [False, True], ids=["2AKu", "2ADPR"])
def test_version_7_names_its_swath_and_reflectivity_otherwise(
    frequencies: bool, tmp_path: Path
) -> None:
    content = make_content()
    content["SLV/zFactorFinal"] = content.pop("SLV/zFactorCorrected")
    algorithm = "2ADPR" if frequencies else "2AKu"
    path = write_content(
        content, tmp_path / "V07.HDF5", swath="FS", algorithm=algorithm, frequencies=frequencies
    )
    swath = read_gpm_dpr(path)
    assert RADAR.recognises(read_header(path))
    assert swath["reflectivity"].values[1, 0, 10] == 20  # the first of two frequencies
    assert swath["blind_zone_top"].values[1, 0] == 9.5 * 125


@dataclass(frozen=True)
class BadFile:
    """A way to break a file, and what its one message must say."""

    name: str
    break_it: Callable[[Content], Content]
    says: str
    error: type[BlindzoneError] = SourceFileError


BAD_FILES = (
    BadFile("no Z", lambda c: without(c, Z), f"not a GPM 2A radar file: it lacks NS/{Z} or MS/"),
    BadFile(
        "no surface", lambda c: without(c, "PRE/binRealSurface"), "it lacks PRE/binRealSurface"
    ),
    BadFile(
        "no quality",
        lambda c: without(c, "scanStatus/dataQuality"),
        "it lacks scanStatus/dataQuality",
    ),
    BadFile(
        "linear Z", lambda c: c | {Z: (c[Z][0], "mm6/m")}, "'z' has units 'mm6/m'; 'dBZ' is right"
    ),
    BadFile(
        "elevation in hPa",
        lambda c: c | {"PRE/elevation": (c[Z][0][..., 0], "hPa")},
        "has units 'hPa'; 'm' is",
    ),
    BadFile(
        "88 bins",
        lambda c: c | {Z: (c[Z][0][:, :, ::2], "dBZ")},
        "'NS/SLV/zFactorCorrected' has 3 rays of 88 bins; 176 bins of 125 m in every ray are",
    ),
    BadFile(
        "bin 0",
        lambda c: with_value(c, "PRE/binClutterFreeBottom", (0, 0), 0),
        "'PRE/binClutterFreeBottom' holds 1 values outside 1 to 1",
    ),
    BadFile(
        "month 13",
        lambda c: with_value(c, "ScanTime/Month", 0, 13),
        "'ScanTime/Month' holds 1 values outside 1 to",
    ),
    BadFile(
        "linear values", lambda c: with_value(c, Z, (0, 0, 0), 1e5), "values outside -120 to 80"
    ),
)


@pytest.mark.parametrize("bad", BAD_FILES, ids=lambda bad: bad.name)
def test_bad_file_is_rejected_with_its_name_what_was_found_and_what_would_be_right(
    bad: BadFile, tmp_path: Path
) -> None:
    path = write_content(bad.break_it(make_content()), tmp_path / "2A.GPM.Ku.HDF5")
    with pytest.raises(bad.error, match=rf"^{path}: .*{bad.says}"):
        read_gpm_dpr(path)


def test_file_of_another_algorithm_is_rejected(tmp_path: Path) -> None:
    path = write_content(make_content(), tmp_path / "2A.GPM.HDF5", algorithm="2APR")
    with pytest.raises(
        SourceFileError, match=rf"^{path}: AlgorithmID is '2APR'; 2AKu or 2AKa or 2ADPR is right"
    ):
        read_gpm_dpr(path)
    path = write_content(make_content(), tmp_path / "2A.GPM.Ka.HDF5", algorithm="2AKa")
    with pytest.raises(SourceFileError, match="it lacks NS/"):  # NS is never Ka's
        read_gpm_dpr(path)


@pytest.mark.parametrize("asked", [13.6, 35.5])
def test_file_of_the_ka_band_alone_is_read_as_such(asked: float, tmp_path: Path) -> None:
    path = write_content(make_content(), tmp_path / "Ka.HDF5", swath="MS", algorithm="2AKa")
    assert RADAR.recognises(read_header(path))
    swath = read_gpm_dpr(path, asked)
    assert swath.attrs["frequency_ghz"] == 35.5
    assert swath.attrs["instrument"] == "GPM DPR Ka"
    assert swath["blind_zone_top"].values[1, 0] == 9.5 * 125


def test_high_sensitivity_rays_have_bins_of_250_m(tmp_path: Path) -> None:
    content = make_content()
    content[Z] = (content[Z][0][:, :, 88:], "dBZ")
    for name, bins in (("binClutterFreeBottom", 83), ("binRealSurface", 88)):
        content[f"PRE/{name}"] = (np.full((SCANS, RAYS), bins, np.int16), None)
    swath = read_gpm_dpr(write_content(content, tmp_path / "HS.HDF5", swath="HS", algorithm="2AKa"))
    assert swath["gate_height"].values[1, 0, :3].tolist() == [0, 250, 500]
    # Bin 83 is the lowest free of clutter, its lower edge 4.5 bins above bin 88.
    assert swath["blind_zone_top"].values[1, 0] == 4.5 * 250


def test_band_of_a_file_of_both_is_the_one_asked_for(tmp_path: Path) -> None:
    content = make_content()
    content["SLV/zFactorFinal"] = content.pop("SLV/zFactorCorrected")
    path = write_content(
        content, tmp_path / "V07.HDF5", swath="FS", algorithm="2ADPR", frequencies=True
    )
    ku, ka = read_gpm_dpr(path), read_gpm_dpr(path, 35.5)
    assert (ku["reflectivity"].values[1, 0, 10], ka["reflectivity"].values[1, 0, 10]) == (20, 21)
    assert (ku.attrs["frequency_ghz"], ka.attrs["frequency_ghz"]) == (13.6, 35.5)
    alone = write_content(content, tmp_path / "one.HDF5", swath="FS", algorithm="2ADPR")
    with pytest.raises(SourceFileError, match="is of 1 bands, so that Ka cannot be found"):
        read_gpm_dpr(alone, 35.5)


def test_rays_that_were_not_measured_hold_no_data(tmp_path: Path) -> None:
    content = make_content()
    measured = np.full((SCANS, RAYS, BINS), np.float32(5))
    measured[:, 2] = FILL
    content["PRE/zFactorMeasured"] = (measured, "dBZ")
    status = read_content(content, tmp_path)["detection_status"].values
    assert (status[2] == NO_DATA).all()
    assert (status[1] != NO_DATA).any()


def test_attenuation_and_surface_echo_are_those_of_each_ray(tmp_path: Path) -> None:
    content = make_content()
    pixels = np.arange(SCANS * RAYS, dtype=np.float32).reshape(SCANS, RAYS)
    content["SLV/piaFinal"], content["PRE/sigmaZeroMeasured"] = (pixels, "dB"), (-pixels, "dB")
    swath = read_content(content, tmp_path)
    assert swath["path_integrated_attenuation"].values.tolist() == pixels.T.tolist()
    assert swath["surface_echo"].values.tolist() == (-pixels.T).tolist()
    assert (swath["blind_zone_origin"].values == BlindZoneOrigin.FILE).all()


def test_broken_ray_is_left_out_and_the_others_keep_their_numbers(tmp_path: Path) -> None:
    content = with_value(make_content(), "Latitude", (slice(None), 1), FILL)
    swath = read_content(content, tmp_path)
    assert swath["ray"].values.tolist() == [0, 2]
    assert swath.sizes["time"] == SCANS
    assert read_doubts(swath.attrs) == ("rays without a position are left out: 1",)
    nowhere = with_value(make_content(), "Longitude", slice(None), FILL)
    with pytest.raises(SourceFileError, match="none of its 3 rays has positions"):
        read_content(nowhere, tmp_path)


@pytest.fixture(scope="module")
def measured_file(measured_directory: Path) -> Path:
    path = measured_directory / MEASURED
    if not path.is_file():
        pytest.skip(f"no measured file {path}")
    return path


def test_measured_swath_is_read(measured_file: Path) -> None:
    assert RADAR.recognises(read_header(measured_file))
    swath = read_gpm_dpr(measured_file)
    assert dict(swath.sizes) == {"ray": 49, "time": 136, "height": 176}
    # Values above -9999 in bins down to binClutterFreeBottom, counted in the file apart from this
    # reader; 17492 more lie below it.
    status = swath["detection_status"].values
    assert int((status == ECHO).sum()) == 67797
    # Percentiles 0, 50 and 100 of the height of the lower edge, computed apart from this reader.
    assert np.percentile(swath["blind_zone_top"].values, [0, 50, 100]) == pytest.approx(
        [507, 1199, 2426], abs=1
    )
    # Near nadir the blind zone is shallower than at the edges.
    by_ray = swath["blind_zone_top"].median("time").values
    assert by_ray[24] < 900 < 1800 < by_ray[0]
    assert np.diff(swath["along_track_distance"].values, axis=1).mean() == pytest.approx(
        4915, abs=15
    )
    start = np.datetime64("2014-12-06T09:50:02.500", "ns")
    assert swath["time"].values[0] == start
    assert (swath["time"].values[-1] - start) / np.timedelta64(1, "s") == 94.5
    # Of piaFinal (dB), computed apart from this reader.
    assert swath["path_integrated_attenuation"].values.max() == pytest.approx(11.7749, abs=1e-3)


def test_measured_heights_agree_with_those_that_the_file_has_of_storm_tops(
    measured_file: Path,
) -> None:
    names = ("NS/PRE/binStormTop", "NS/PRE/heightStormTop", "NS/PRE/elevation")
    bins, above_ellipsoid, elevation = (
        read_hdf5(measured_file, names)[name].values.astype(float) for name in names
    )
    scan, ray = np.nonzero(bins > 0)
    gates = read_gpm_dpr(measured_file)["gate_height"].values[
        ray, scan, 176 - bins[scan, ray].astype(int)
    ]
    away = above_ellipsoid[scan, ray] - elevation[scan, ray] - gates
    assert np.abs(away).max() < 62.5  # half a bin


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda c: with_value(c, "ScanTime/Hour", 1, -99), "without a credible time"),
        (lambda c: with_value(c, "Latitude", (2, 1), FILL), "without a position"),
    ],
)
def test_faulty_profile_is_left_out_and_counted(
    change: Callable[[Content], Content], reason: str, tmp_path: Path
) -> None:
    curtain = read_gpm_dpr(write_content(change(make_content()), tmp_path / "2A.GPM.Ku.HDF5"))
    assert read_counts(curtain.attrs, PROFILES_DROPPED) == {reason: 1}
    assert curtain.sizes["time"] == SCANS - 1
