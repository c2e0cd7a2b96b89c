"""Older tools read every kind of file that is written: its text attributes are NC_CHAR."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import date
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

import blindzone
from blindzone.pipeline.archive import Archive, FileRecord
from blindzone.pipeline.archive.exporting import export_days
from blindzone.pipeline.curtains.netcdf import encode_netcdf
from blindzone.pipeline.products.product_store import ProductStore, product_name
from blindzone.pipeline.readers.simulation import write_simulated_day
from tests.support.tiny_products import make_product

DAY = date(2021, 3, 14)
KINDS = ("product", "written", "export", "simulated")

FORTRAN = """
program older_reader
  use netcdf
  implicit none
  character(len=256) :: path, name
  character(len=80) :: units
  integer :: file, variable
  units = ' '
  call get_command_argument(1, path)
  call get_command_argument(2, name)
  call check(nf90_open(trim(path), nf90_nowrite, file))
  call check(nf90_inq_varid(file, trim(name), variable))
  call check(nf90_get_att(file, variable, 'units', units))
  print '(a)', trim(units)
contains
  subroutine check(status)
    integer, intent(in) :: status
    if (status /= nf90_noerr) stop 'netCDF-Fortran cannot read it'
  end subroutine
end program
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A file of each kind that the package writes."""
    folder = tmp_path_factory.mktemp("kinds")
    product = make_product()
    product.attrs["target_sha256"] = "ab" * 32
    ProductStore(folder).write(product, "station", DAY)
    written = blindzone.write(product, folder / "written.nc")
    simulated = folder / "simulated.nc"
    write_simulated_day(DAY, simulated, hours=0.2, scenes=("front",))
    curtain = blindzone.open_curtain(simulated)
    archive = Archive(folder / "archive")
    archive.upsert("station", DAY, {FileRecord(name="a", size=1, sha256="cd"): curtain}, {})
    (export,) = export_days(archive, "station", DAY, DAY, folder / "out")
    return dict(
        zip(
            KINDS,
            (folder / product_name("station", DAY), written, export, simulated),
            strict=True,
        )
    )


@pytest.mark.parametrize("kind", KINDS)
def test_text_attributes_of_every_written_kind_are_characters(
    kind: str, files: dict[str, Path]
) -> None:
    with h5py.File(files[kind], "r") as file:
        types = {
            f"{name}@{key}": group.attrs.get_id(key).dtype
            for name, group in (("", file), *file.items())
            for key in group.attrs
            if not key.endswith("_LIST")  # of the dimension scales of HDF5
        }
    texts = {name: found for name, found in types.items() if found.kind in "OSU"}
    assert "time@units" in texts
    assert [name for name, found in texts.items() if found.kind != "S"] == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.skipif(shutil.which("ncdump") is None, reason="no ncdump (Debian: netcdf-bin)")
def test_ncdump_shows_no_attribute_as_string(kind: str, files: dict[str, Path]) -> None:
    header = run("ncdump", "-h", files[kind])
    assert "time:units = " in header
    assert re.findall(r"^\s*string .*:.*", header, flags=re.MULTILINE) == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.skipif(shutil.which("cdo") is None, reason="no cdo (Debian: cdo)")
def test_cdo_reads_times_and_units(kind: str, files: dict[str, Path]) -> None:
    name = "Zh" if kind == "simulated" else "reflectivity"
    assert "2021-03-14" in run("cdo", "-s", "showdate", f"-selname,{name}", files[kind])
    assert "dBZ" in run("cdo", "-s", "showunit", f"-selname,{name}", files[kind])


@pytest.fixture(scope="module")
def fortran_reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A compiled program that prints the units of a variable."""
    if shutil.which("gfortran") is None or shutil.which("nf-config") is None:
        pytest.skip("no gfortran with netCDF (Debian: gfortran, libnetcdff-dev)")
    folder = tmp_path_factory.mktemp("fortran")
    (folder / "reader.f90").write_text(FORTRAN)
    options = run("nf-config", "--fflags", "--flibs").split()
    run("gfortran", folder / "reader.f90", "-o", folder / "reader", *options)
    return folder / "reader"


@pytest.mark.parametrize("kind", KINDS)
def test_netcdf_fortran_reads_units(
    kind: str, files: dict[str, Path], fortran_reader: Path
) -> None:
    name = "Zh" if kind == "simulated" else "reflectivity"
    assert run(fortran_reader, files[kind], name).strip() == "dBZ"


def run(*command: str | Path) -> str:
    """Returns what a program prints; fails with its words if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_is_written_is_what_xarray_writes_itself() -> None:
    """Values, types, chunks and text read back as from `Dataset.to_netcdf`."""
    product = make_product().assign_attrs(empty="", site="Orléans", numbers=[1, 2])
    encoding = {
        "time": {"units": "seconds since 1970-01-01", "dtype": "float64", "_FillValue": None},
        "reflectivity": {"_FillValue": np.float32(-9), "zlib": True, "chunksizes": (2, 8)},
    }
    plain = product.to_netcdf(engine="h5netcdf", encoding=encoding)
    before = product.copy(deep=True)
    ours = encode_netcdf(product, encoding)
    found, right = (
        xr.open_dataset(BytesIO(bytes(content)), engine="h5netcdf").load()
        for content in (ours, plain)
    )
    xr.testing.assert_identical(found, right)
    for name, variable in right.variables.items():
        assert found[name].encoding.get("chunksizes") == variable.encoding.get("chunksizes")
        assert found[name].dtype == variable.dtype
    assert [found.encoding for found in product.variables.values()] == [
        found.encoding for found in before.variables.values()
    ]


def test_text_beyond_ascii_and_long_text_are_kept() -> None:
    """Characters have no encoding, so that other text stays a string; 64 KiB are no limit."""
    texts = {"site": "Orléans", "source_files": "a.nc; " * 20_000}
    dataset = xr.Dataset({"a": ("x", [1.0], texts)}, attrs=texts)
    with h5py.File(BytesIO(encode_netcdf(dataset, {})), "r") as file:
        for holder in (file, file["a"]):
            assert holder.attrs["site"] == texts["site"]
            assert holder.attrs["source_files"].decode() == texts["source_files"]


@pytest.mark.parametrize("rows", [0, 3, 8])
def test_last_rows_without_values_take_no_room_and_read_back_as_such(rows: int) -> None:
    values = np.random.default_rng(0).normal(size=(2, 4, 8)).astype(np.float32)
    values[..., rows:] = np.nan
    values[1, 2, 1] = np.nan
    dataset = xr.Dataset({"a": (("n", "time", "height"), values)})
    encoding = {"_FillValue": np.float32(np.nan), "zlib": True, "chunksizes": (1, 4, 2)}
    content = encode_netcdf(dataset, {"a": encoding})
    with h5py.File(BytesIO(content)) as file:
        assert np.array_equal(file["a"][...], values, equal_nan=True)
        assert file["a"].id.get_num_chunks() == 2 * -(-rows // 2)


def test_nan_is_written_where_it_is_not_the_fill_value() -> None:
    values = np.full((2, 3), np.nan, np.float32)
    for fill in (None, np.float32(-9)):
        dataset = xr.Dataset({"a": (("time", "height"), values)})
        content = encode_netcdf(dataset, {"a": {"_FillValue": fill, "chunksizes": (1, 3)}})
        with h5py.File(BytesIO(content)) as file:
            expected = values if fill is None else np.full_like(values, fill)
            assert np.array_equal(file["a"][...], expected, equal_nan=True)


def test_fields_in_other_chunks_are_written_all_the_same() -> None:
    values = np.arange(6.0).reshape(2, 3)
    lazy = xr.Dataset(
        {"whole": (("time", "height"), values), "apart": (("time", "height"), values)}
    )
    lazy["whole"], lazy["apart"] = lazy["whole"].chunk(height=3), lazy["apart"].chunk(height=1)
    found = xr.load_dataset(BytesIO(encode_netcdf(lazy, {})), engine="h5netcdf")
    for name in ("whole", "apart"):
        np.testing.assert_array_equal(found[name].values, values)
