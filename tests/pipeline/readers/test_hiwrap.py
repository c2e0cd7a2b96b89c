"""HIWRAP legs: bands, the surface that is found, the skirt of its echo, and rejected files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from raw_files import (
    REPEATED,
    BadFile,
    FaultyProfiles,
    check_left_out,
    check_rejected,
    set_value,
    write_raw,
)

from blindzone.pipeline.catalog.catalog import read_catalog
from blindzone.pipeline.curtains.curtain import DetectionStatus, QualityFlag, check_curtain
from blindzone.pipeline.readers import read_curtain, recognise
from blindzone.pipeline.readers.hiwrap import GATE_DEPTH_M, read_hiwrap

PROFILES, GATES, CLUTTER = 4, 100, 80
SURFACES = (85, 86, 98, 85)
"""Gates with the surface echo."""


@pytest.fixture
def raw() -> xr.Dataset:
    """Four profiles: echo of 4 to 10 dBZ down to the surface's echo of 60 dBZ, and below it."""
    z = np.full((PROFILES, GATES), np.nan, np.float32)
    z[:, 40:] = np.arange(4, 10, 0.1)
    z[np.arange(PROFILES), SURFACES] = 60
    return xr.Dataset(
        {
            "zKu": (("time", "range"), z + np.float32(25)),
            "zKa": (("time", "range"), z),
            "cl": ("time", np.full(PROFILES, CLUTTER)),
            "lat": ("time", 37 + 0.001 * np.arange(PROFILES)),
            "lon": ("time", np.full(PROFILES, -68.0)),
        },
        coords={"time": 1_673_804_982.0 + 0.5 * np.arange(PROFILES)},
    )


def test_heights_count_from_the_surface_of_each_profile(raw: xr.Dataset, tmp_path: Path) -> None:
    path = write_raw(raw, tmp_path / "leg.nc")
    assert recognise(path).name == "hiwrap"
    curtain = read_curtain(path)
    check_curtain(curtain)
    assert str(curtain["time"].values[0]) == "2023-01-15T17:49:42.000000000"
    heights = curtain["gate_height"].values[:, ::-1]  # downwards, as in the file
    assert [heights[number, gate] for number, gate in enumerate(SURFACES)] == [0, 0, 0, 0]
    assert heights[0, 0] == 85 * GATE_DEPTH_M
    assert (np.diff(curtain["height"].values) == GATE_DEPTH_M).all()


def test_zone_reaches_to_the_first_clutter_or_over_the_skirt(
    raw: xr.Dataset, tmp_path: Path
) -> None:
    curtain = read_hiwrap(write_raw(raw, tmp_path / "leg.nc"))
    # Ka's skirt has 16 gates; the surface at gate 98 has its first clutter 18 gates above.
    gates = np.array([16.5, 16.5, 18.5, 16.5])
    assert np.array_equal(curtain["blind_zone_top"].values, gates * GATE_DEPTH_M)
    status, flags = (curtain[n].values[:, ::-1] for n in ("detection_status", "quality_flags"))
    assert (status[2, [79, 80]] == [DetectionStatus.ECHO, DetectionStatus.NO_DATA]).all()
    assert flags[2, [79, 80, 98, 99]].tolist() == [
        0,
        QualityFlag.SURFACE_CLUTTER,
        QualityFlag.SURFACE_CLUTTER,
        QualityFlag.BELOW_SURFACE,
    ]
    assert (status[:, :40] == DetectionStatus.NO_ECHO).all()


def test_band_is_the_one_nearest_to_the_frequency(raw: xr.Dataset, tmp_path: Path) -> None:
    path = write_raw(raw, tmp_path / "leg.nc")
    ka, ku = read_curtain(path), read_curtain(path, frequency_ghz=13.9)
    assert (ka.attrs["instrument"], ku.attrs["instrument"]) == ("HIWRAP Ka", "HIWRAP Ku")
    assert (ka.attrs["frequency_ghz"], ku.attrs["frequency_ghz"]) == (35.56, 13.91)
    # The surface of 85 dBZ is beyond hydrometeors, and hidden with 21 gates above it: the third
    # profile's lowest visible gate is 76, of 7.6 + 25 dBZ.
    assert np.nanmax(ku["reflectivity"].values) == pytest.approx(32.6, abs=1e-4)
    assert ku["blind_zone_top"].values[0] == 21.5 * GATE_DEPTH_M


def test_profile_without_a_surface_holds_no_data(raw: xr.Dataset, tmp_path: Path) -> None:
    changed = set_value("zKa", (1, slice(CLUTTER, None)), np.nan)(raw)
    curtain = read_hiwrap(write_raw(changed, tmp_path / "leg.nc"))
    assert (curtain["detection_status"].values[1] == DetectionStatus.NO_DATA).all()
    assert np.isnan(curtain["blind_zone_top"].values).tolist() == [False, True, False, False]


BAD_FILES = (
    BadFile("no band", lambda raw: raw.drop_vars("zKa"), "it lacks zKa"),
    BadFile("transposed", lambda raw: raw.transpose(), "'zKa' has dimensions"),
    BadFile("linear", set_value("zKa", (0, 45), 1000), "values outside -120 to 80 dBZ"),
    BadFile("clutter nowhere", set_value("cl", 0, 200), "'cl' holds 1 values outside 1 to 99"),
    BadFile("off the globe", set_value("lat", 0, 95), "'lat' holds 1 values outside -90"),
    BadFile(
        "no surface",
        set_value("zKa", (slice(None), slice(CLUTTER, None)), np.nan),
        "so that the surface is not known",
    ),
)


@pytest.mark.parametrize("bad", BAD_FILES, ids=lambda bad: bad.name)
def test_bad_file_is_rejected(bad: BadFile, raw: xr.Dataset, tmp_path: Path) -> None:
    path = write_raw(bad.make(raw), tmp_path / "leg.nc")
    check_rejected(read_hiwrap, path, bad.says, bad.error)


FAULTY = (
    FaultyProfiles("lost", set_value("lat", 1, np.nan), {"without a position": 1}),
    FaultyProfiles(
        "twice",
        lambda raw: raw.assign_coords(time=raw["time"].values[[0, 0, 2, 3]]),
        {REPEATED: 1},
    ),
)


@pytest.mark.parametrize("faulty", FAULTY, ids=lambda faulty: faulty.name)
def test_faulty_profile_is_left_out(
    faulty: FaultyProfiles, raw: xr.Dataset, tmp_path: Path
) -> None:
    curtain = read_hiwrap(write_raw(faulty.make(raw), tmp_path / "leg.nc"))
    check_left_out(curtain, faulty, PROFILES)


def test_measured_leg_has_its_surface_where_it_is_known_to_be(
    measured_directory: Path, catalog_file: Path
) -> None:
    catalog = read_catalog(catalog_file)
    for source in ("impacts_hiwrap_ka", "impacts_hiwrap_ku"):
        ((_, (path,)),) = catalog[source].find_days(measured_directory).items()
        curtain = read_curtain(path, frequency_ghz=catalog[source].frequency_ghz)
        assert curtain.attrs["frequency_ghz"] == catalog[source].frequency_ghz
        surface = curtain["gate_height"].values[:, -1] / GATE_DEPTH_M  # gates above it
        assert 557 <= surface.min() <= surface.max() <= 573
        # 191 km in 2000 profiles.
        assert curtain["along_track_distance"].values[-1] == pytest.approx(191e3, rel=0.01)
        assert curtain["blind_zone_top"].values.max() < 600
