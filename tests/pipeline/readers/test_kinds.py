"""Files that no reader takes: told by their content, and named with the tool that helps.

What the tests write has only what tells the kind. The measured files of the kinds are the field
cases.
"""

from __future__ import annotations

import gzip
import io
import re
import struct
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
from commands import run
from field_cases import field_case
from flow_calls import ingest_granule
from raw_files import write_raw

import blindzone
from blindzone.core.errors import SourceFileError
from blindzone.pipeline.archive import Archive
from blindzone.pipeline.readers import find_readers, read_curtain, read_header, recognise
from blindzone.pipeline.readers._kinds import _KINDS

Make = Callable[[Path], object]


def write_names(*names: str, form: str = "NETCDF4", **attributes: str) -> Make:
    """Returns a maker of a netCDF file with these variables and global attributes."""
    raw = xr.Dataset(
        {name: (("time", "range"), np.ones((2, 3), np.float32)) for name in names}, attrs=attributes
    )
    return lambda path: write_raw(raw, path, form)


def write_paths(*paths: str, attributes: Mapping[str, str] | None = None) -> Make:
    """Returns a maker of an HDF5 file with datasets under these paths."""

    def make(path: Path) -> None:
        with h5py.File(path, "w") as file:
            file.attrs.update(attributes or {})
            for name in paths:
                file[name] = np.ones(3)

    return make


def write_hdf4(*names: str, product: str = "") -> Make:
    """Returns a maker of an HDF4 file with these arrays, in an HDF-EOS2 swath of this name."""

    def make(path: Path) -> None:
        hdf, sd = pytest.importorskip("pyhdf.HDF"), pytest.importorskip("pyhdf.SD")
        pytest.importorskip("pyhdf.VS")
        pytest.importorskip("pyhdf.V")
        arrays = sd.SD(str(path), sd.SDC.WRITE | sd.SDC.CREATE)
        for name in names:
            arrays.create(name, sd.SDC.FLOAT32, (2, 3))[:] = np.ones((2, 3), np.float32)
        arrays.end()
        if product:
            file = hdf.HDF(str(path), hdf.HC.WRITE)
            groups = file.vgstart()
            swath = groups.create(product)
            swath._class = "SWATH"
            swath.detach()
            groups.end()
            file.close()

    return make


def write_bytes(content: bytes) -> Make:
    return lambda path: path.write_bytes(content)


def write_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("radar.nc", b"CDF\x01")


def make_tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("radar.nc"))
    return buffer.getvalue()


LV0, LV1_OF_2013 = (struct.pack("<ii", code, 500) for code in (889346, 789345))

FILES: dict[str, tuple[Make, str]] = {
    "MIRA, mmclx": (
        write_names(
            "Ze", "VEL", "SNRg", "VELg", form="NETCDF3_CLASSIC", title="MIRA Cloud Radar Data"
        ),
        "METEK MIRA.*mira2nc",
    ),
    "MIRA without attributes": (write_names("Ze", "VEL", "HSDco", "HSDcx"), "METEK MIRA.*mira2nc"),
    "BASTA level 1a": (
        write_names("raw_reflectivity", "raw_velocity", "reflectivity", "velocity"),
        "BASTA.*level 1a.*basta2nc",
    ),
    "Copernicus": (
        write_names("ZED_HC", "VEL_HC", radar="COPERNICUS"),
        "Copernicus.*copernicus2nc",
    ),
    "Galileo": (write_names("ZED_HC", "VEL_HC", radar="GALILEO"), "Galileo.*galileo2nc"),
    "MMCR": (
        write_names("Reflectivity", "MeanDopplerVelocity", "SignalToNoiseRatio", "time_offset"),
        "ARM MMCR.*mmcr2nc",
    ),
    "RPG LV0": (write_bytes(LV0 + bytes(range(50))), r"LV0.*rpgpy\.spectra2nc"),
    "RPG's own netCDF": (write_names("C1ZE", "C1MeanVel", "C2ZE"), "LV1.NC.*binary file"),
    "RPG spectra, rpgpy": (write_names("doppler_spectrum", "range_layers"), "LV0"),
    "RPG LV1 before 2015": (write_bytes(LV1_OF_2013 + bytes(range(50))), r"version 1.*rpg2nc"),
    "MRR-2 raw spectra": (
        write_bytes(b"MRR 150101000000 UTC DVS 6.00 DSN 0509106040 BW 37300\nH  30  60\n"),
        "MRR-2.*IMProToo.*mrr2c",
    ),
    "CHM15k raw": (
        write_names("beta_raw", "p_calc", "latitude", "longitude", title="CHM15k Nimbus"),
        "CHM15k.*uncalibrated.*ceilo2nc",
    ),
    "LD40": (write_bytes(b"\x02X4TA 9 015 22.05.15 10:08 06100\r\n"), "LD40.*ceilo2nc"),
    "PollyXT": (write_names("attenuated_backscatter_1064nm"), "PollyXT.*pollyxt2nc"),
    "E-PROFILE": (write_names("attenuated_backscatter_0", "range"), "E-PROFILE.*ceilo2nc"),
    "Licel": (
        write_bytes(
            b" RM1762107.030037\r\n SIRTA    21/06/2017 07:02:56 21/06/2017 07:03:26 0156\r\n"
        ),
        "Licel.*licel2scc",
    ),
    "Halo Doppler lidar": (
        write_bytes(b"Filename:\tStare_05_20210314_00.hpl\r\n"),
        "Doppler.*doppy",
    ),
    "Cloudnet Doppler lidar": (
        write_names("beta", "time", "range", "latitude", cloudnet_file_type="doppler-lidar"),
        "Doppler lidar",
    ),
    "Cloudnet ice water content": (
        write_names("iwc", cloudnet_file_type="iwc"),
        "a Cloudnet file of another product.*Level 1b",
    ),
    "HATPRO": (write_bytes(struct.pack("<ii", 934501000, 3) + b"\0" * 50), "HATPRO.*MWRpy"),
    "ARM radiometer": (
        write_names("tbsky23", "time_offset", "base_time", datastream="sgpmwrlosC1.b1"),
        "an ARM file of another datastream",
    ),
    "MODIS": (write_hdf4("Cloud_Top_Temperature", product="mod06"), "a MODIS granule"),
    "CALIPSO": (write_hdf4("Total_Attenuated_Backscatter_532"), "CALIPSO.*2B-GEOPROF"),
    "CloudSat 2B-CLDCLASS": (
        write_hdf4("cloud_scenario", "Height", product="2B-CLDCLASS"),
        "CloudSat granule of another product.*2B-GEOPROF is read",
    ),
    "TRMM 2A25": (write_hdf4("correctZFactor", "rain"), "TRMM"),
    "GPM combined": (
        write_paths("NS/precipTotRate", attributes={"FileHeader": "AlgorithmID=2BCMB;\n"}),
        "GPM file of another product.*2A Ku",
    ),
    "EarthCARE lidar": (
        write_paths("ScienceData/mie_attenuated_backscatter"),
        "EarthCARE file of another product.*C-NOM.*C-FMR",
    ),
    "ODIM": (
        write_paths("dataset1/data1/data", attributes={"Conventions": "ODIM_H5/V2_3"}),
        "ODIM.*Py-ART",
    ),
    "CfRadial": (
        write_names("DBZ", "sweep_number", "fixed_angle", Conventions="CF/Radial"),
        "CfRadial.*Py-ART",
    ),
    "NEXRAD": (write_bytes(b"AR2V0006.736\0\0J\x1e\x01ukKTLX"), "NEXRAD.*Py-ART"),
    "ERA5 at the surface": (
        write_names("t2m", "latitude", "longitude", "valid_time"),
        "gridded.*pressure levels",
    ),
    "GRIB": (write_bytes(b"GRIB\0\0\x9c\x01"), "GRIB.*cfgrib"),
    "BUFR": (write_bytes(b"BUFR\0\1\2\4"), "BUFR.*ecCodes"),
    "empty": (write_bytes(b""), "an empty file.*fetch it again"),
    "zeros": (write_bytes(b"\0" * 5000), "zeros.*fetch it again"),
    "HTML": (write_bytes(b"\n<!DOCTYPE html><html>log in"), "HTML.*log-in"),
    "XML of an object store": (
        write_bytes(b'<?xml version="1.0"?><Error><Code>AccessDenied'),
        "HTML or XML",
    ),
    "Git LFS": (
        write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:12\n"),
        "git lfs pull",
    ),
    "zip": (write_zip, "zip.*unpack it first"),
    "tar": (write_bytes(make_tar()), "tar.*unpack it first"),
    "Zstandard": (write_bytes(b"\x28\xb5\x2f\xfd\x04\x00"), "Zstandard.*unpack it first"),
    "gzip in gzip": (
        write_bytes(gzip.compress(gzip.compress(b"CDF\x01"))),
        "compressed twice.*unpack it",
    ),
    "NumPy": (write_bytes(b"\x93NUMPY\1\0v\0"), "NumPy.*xarray.Dataset"),
    "picture": (write_bytes(b"\x89PNG\r\n\x1a\n\0\0"), "picture"),
    "CSV": (write_bytes(b"time;height;dBZ\r\n2021-03-14;100;-12.5\r\n"), "a text file"),
}


@pytest.mark.parametrize("kind", FILES)
def test_file_that_no_reader_takes_is_named_with_what_helps(kind: str, tmp_path: Path) -> None:
    make, says = FILES[kind]
    path = tmp_path / "20210314_radar.nc"  # its name says nothing
    make(path)
    with pytest.raises(SourceFileError, match=rf"(?s)^{path}: .*{says}"):
        read_curtain(path)


@pytest.mark.parametrize("kind", ["MIRA, mmclx", "CHM15k raw", "HTML", "GRIB"])
def test_reader_named_in_the_catalogue_does_not_take_it_either(kind: str, tmp_path: Path) -> None:
    make, says = FILES[kind]
    path = tmp_path / "20210314_radar.nc"
    make(path)
    for reader in find_readers():
        with pytest.raises(SourceFileError, match=rf"(?s)^{path}: .*{says}"):
            read_curtain(path, reader)


@pytest.mark.parametrize(
    ("make", "reader", "lacks"),
    [
        (
            write_names("Zh", "range", cloudnet_file_type="radar", title="MIRA-35 of Munich"),
            "cloudnet_radar",
            "it lacks time, latitude",
        ),
        (
            write_names("reflectivity", "range", datastream="sgpkazrgeC1.a1"),
            "arm_kazr",
            "lacks time",
        ),
    ],
)
def test_reader_named_in_the_catalogue_says_what_a_file_of_its_family_lacks(
    make: Make, reader: str, lacks: str, tmp_path: Path
) -> None:
    path = tmp_path / "20210314_radar.nc"
    make(path)
    with pytest.raises(SourceFileError, match=rf"^{path}: .*{lacks}"):
        read_curtain(path, reader)


def test_every_kind_is_told_by_its_own_files_alone(tmp_path: Path) -> None:
    # The first kind of the table names a file: none may hide one behind it.
    named = set()
    for number, (make, _) in enumerate(FILES.values()):
        path = tmp_path / f"{number}.nc"
        make(path)
        named |= {kind.title for kind in _KINDS if kind.recognises(read_header(path))}
    assert len({kind.title for kind in _KINDS}) == len(_KINDS)
    untested = {kind.title.split("(")[0].strip() for kind in _KINDS if kind.title not in named}
    assert untested == {
        "WRF model output",
        "a MATLAB file",
        "a Radiometrics microwave radiometer file",
        "a blindzone product",
        "a weather radar volume of a GAMIC radar",
    }


def test_inspect_fill_and_ingest_say_the_same_of_a_foreign_file(tmp_path: Path) -> None:
    path = tmp_path / "data" / "20100511_mira.nc"
    path.parent.mkdir()
    FILES["MIRA, mmclx"][0](path)
    with pytest.raises(SourceFileError) as refusal:
        recognise(path)
    message = str(refusal.value)
    assert run("inspect", path) == (1, "", f"error: {message}\n")
    with pytest.raises(SourceFileError, match=rf"^{re.escape(message)}$"):
        blindzone.fill(path)
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text(
        "version: 1\nsources:\n  mira:\n    directory: data\n    files: '%Y%m%d_mira.nc'\n"
    )
    _, rejected = ingest_granule(
        "mira", date(2010, 5, 11), (path,), catalog, Archive(tmp_path / "archive").root
    )
    assert rejected == {"20100511_mira.nc": message}


def test_measured_mira_file_is_no_micro_rain_radar() -> None:
    for name in ("20100511_0000-trunc.mmclx", "same_in_dBZ.nc"):
        path = field_case("05") / name
        for reader in ("auto", "mrr"):
            with pytest.raises(SourceFileError, match=rf"^{path}: a METEK MIRA.*mira2nc$"):
                read_curtain(path, reader)


def test_measured_chm15k_file_is_no_cloudnet_file_and_no_unit_is_asked_for() -> None:
    (path,) = field_case("10").glob("*.nc")
    with pytest.raises(SourceFileError, match=rf"^{path}: .*CHM15k.*uncalibrated") as refusal:
        read_curtain(path)
    assert "sr-1" not in str(refusal.value)
