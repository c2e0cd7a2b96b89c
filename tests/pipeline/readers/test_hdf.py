"""HDF files: grouped HDF5, HDF4 arrays and tables, undecoded, and messages about damage."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.readers._hdf import read_hdf4, read_hdf5, read_text_attributes

NAMES = ("Radar_Reflectivity", "Latitude", "TAI_start")


def write_hdf5(path: Path) -> Path:
    """Writes a group of two variables, one with own dimension names, and a long header."""
    with h5py.File(path, "w") as file:
        file.attrs["FileHeader"] = np.bytes_(b"AlgorithmID=2AKu;\nDOI=10.5067/X;\nempty=;\n")
        z = file.create_dataset("NS/SLV/z", data=np.arange(24, dtype=np.float32).reshape(2, 3, 4))
        z.attrs["DimensionNames"] = np.bytes_(b"nscan,nray,nbin")
        z.attrs["_FillValue"] = np.float32(-9999.9)
        file.create_dataset("NS/time", data=np.arange(2.0)).attrs["units"] = "s"
        file.create_dataset("NS/count", data=np.arange(2))
    return path


def write_hdf4(path: Path) -> Path:
    """Writes an array, tables, and an attribute in a table of its own, as HDF-EOS2 does."""
    hdf, sd = pytest.importorskip("pyhdf.HDF"), pytest.importorskip("pyhdf.SD")
    pytest.importorskip("pyhdf.VS")
    file = sd.SD(str(path), sd.SDC.WRITE | sd.SDC.CREATE | sd.SDC.TRUNC)
    array = file.create("Radar_Reflectivity", sd.SDC.INT16, (7, 5))
    array[:] = np.arange(35).reshape(7, 5).astype(np.int16)
    array.units = "dBZe"
    array.endaccess()
    file.end()
    file = hdf.HDF(str(path), hdf.HC.WRITE)
    tables = file.vstart()
    for name, field, kind, records in (
        ("Latitude", "Latitude", hdf.HC.FLOAT32, [[0.5 * number] for number in range(7)]),
        ("TAI_start", "TAI_start", hdf.HC.FLOAT64, [[4.0e8]]),
        ("Radar_Reflectivity.factor", "AttrValues", hdf.HC.FLOAT64, [[100.0]]),
    ):
        table = tables.create(name, [(field, kind, 1)])
        if "." in name:
            table._class = "Attr0.0"
        table.write(records)
        table.detach()
    table = tables.create("two_columns", [("a", hdf.HC.FLOAT64, 1), ("b", hdf.HC.INT16, 1)])
    table.write([[1.0, 2]])
    table.detach()
    tables.end()
    file.close()
    return path


def test_hdf5_variables_come_by_path_as_stored_with_their_dimensions(tmp_path: Path) -> None:
    raw = read_hdf5(
        write_hdf5(tmp_path / "file.h5"), ("NS/SLV/z", "NS/time", "NS/count", "NS/nowhere")
    )
    assert set(raw.variables) == {"NS/SLV/z", "NS/time", "NS/count"}
    assert raw["NS/SLV/z"].dims == ("nscan", "nray", "nbin")
    assert raw["NS/SLV/z"].values[1, 2, 3] == 23
    assert raw["NS/SLV/z"].attrs["_FillValue"] == np.float32(-9999.9)
    assert raw["NS/time"].dims == raw["NS/count"].dims == ("axis0_2",)
    assert raw["NS/time"].attrs == {"units": "s"}
    assert read_text_attributes(raw.attrs, "FileHeader") == {
        "AlgorithmID": "2AKu",
        "DOI": "10.5067/X",
        "empty": "",
    }
    assert read_text_attributes(raw.attrs, "absent") == {}


def test_hdf5_dimension_scales_name_the_dimensions(tmp_path: Path) -> None:
    path = tmp_path / "file.h5"
    with h5py.File(path, "w") as file:
        for name, length in (("along_track", 3), ("CPR_height", 3)):
            file.create_dataset(f"ScienceData/{name}", data=np.arange(length)).make_scale(name)
        z = file.create_dataset("ScienceData/z", data=np.zeros((3, 3)))
        for axis, name in enumerate(("along_track", "CPR_height")):
            z.dims[axis].attach_scale(file[f"ScienceData/{name}"])
    raw = read_hdf5(path, ("ScienceData/z",))
    assert raw["ScienceData/z"].dims == ("along_track", "CPR_height")
    assert raw["ScienceData/z"].attrs == {}


def test_hdf5_text_and_packed_values_and_groups_are_told_apart(tmp_path: Path) -> None:
    path = write_hdf5(tmp_path / "file.h5")
    with h5py.File(path, "a") as file:
        file["NS/text"] = "words"
        file["NS/time"].attrs["scale_factor"] = 0.5
    with pytest.raises(
        SourceFileError, match=rf"^{path}: 'NS/text' holds values of type .S5; numbers are right"
    ):
        read_hdf5(path, ("NS/text",))
    with pytest.raises(
        SourceFileError, match=r"'NS/time' is packed with .*0\.5.*; unpacked values are right"
    ):
        read_hdf5(path, ("NS/time",))
    assert set(read_hdf5(path, ("NS/SLV", "NS/count")).variables) == {"NS/count"}


def test_hdf5_of_contradicting_dimensions_is_rejected(tmp_path: Path) -> None:
    path = write_hdf5(tmp_path / "file.h5")
    with h5py.File(path, "a") as file:
        file["NS/count"].attrs["DimensionNames"] = np.bytes_(
            b"nray"
        )  # it has two entries, z has three rays
    with pytest.raises(
        SourceFileError, match=rf"^{path}: cannot be read as HDF5, it may be cut short or damaged"
    ):
        read_hdf5(path, ("NS/SLV/z", "NS/count"))


def test_hdf4_arrays_and_tables_come_with_the_attributes_beside_them(tmp_path: Path) -> None:
    raw = read_hdf4(write_hdf4(tmp_path / "file.hdf"), (*NAMES, "nowhere"))
    assert set(raw.variables) == set(NAMES)
    assert raw["Radar_Reflectivity"].dtype == np.int16
    assert raw["Radar_Reflectivity"].dims == ("axis0_7", "axis1_5")
    assert raw["Radar_Reflectivity"].values[6, 4] == 34
    assert raw["Radar_Reflectivity"].attrs == {"units": "dBZe", "factor": 100.0}
    assert raw["Latitude"].dims == ("axis0_7",)
    assert raw["Latitude"].dtype == np.float32
    assert raw["Latitude"].values.tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3]
    assert raw["TAI_start"].values.tolist() == [4.0e8]


def test_hdf4_table_of_two_columns_is_rejected(tmp_path: Path) -> None:
    path = write_hdf4(tmp_path / "file.hdf")
    with pytest.raises(
        SourceFileError, match=rf"^{path}: .*table 'two_columns' has 2 columns, one is right"
    ):
        read_hdf4(path, ("two_columns",))


def test_hdf4_is_safe_in_threads(tmp_path: Path) -> None:
    path = write_hdf4(tmp_path / "file.hdf")
    with ThreadPoolExecutor(4) as pool:
        found = list(
            pool.map(lambda _: int(read_hdf4(path, NAMES)["Radar_Reflectivity"].sum()), range(40))
        )
    assert set(found) == {595}  # 34 * 35 / 2


def test_hdf4_without_its_package_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_hdf4(tmp_path / "file.hdf")
    monkeypatch.setitem(sys.modules, "pyhdf.SD", None)
    with pytest.raises(
        SourceFileError,
        match=rf"^{path}: an HDF4 file, .*install 'blindzone\[cloudsat\]'\" is right",
    ):
        read_hdf4(path, NAMES)


@pytest.mark.parametrize("read", [read_hdf4, read_hdf5], ids=["HDF4", "HDF5"])
def test_what_is_no_file_of_the_form_is_rejected(read: object, tmp_path: Path) -> None:
    assert callable(read)
    path = tmp_path / "file"
    with pytest.raises(SourceFileError, match=rf"^{path}: no such file"):
        read(path, NAMES)
    for content in (b"", b"<html>not found</html>"):
        path.write_bytes(content)
        with pytest.raises(
            SourceFileError,
            match=rf"^{path}: not an HDF[45] file \(first bytes b'{content[:8].decode()}'\)",
        ):
            read(path, NAMES)


def test_hdf4_file_cut_short_is_rejected_wherever_it_is_cut(tmp_path: Path) -> None:
    whole = write_hdf4(tmp_path / "whole.hdf").read_bytes()
    path = tmp_path / "cut.hdf"
    for length in (*range(4, len(whole), 53), len(whole) - 2):  # the last byte is of no element
        path.write_bytes(whole[:length])
        with pytest.raises(
            SourceFileError, match=rf"^{path}: cannot be read as HDF4, .*\({length} bytes\)"
        ):
            read_hdf4(path, NAMES)


def test_hdf4_list_of_elements_that_runs_in_a_circle_is_rejected(tmp_path: Path) -> None:
    path = write_hdf4(tmp_path / "file.hdf")
    content = bytearray(path.read_bytes())
    content[6:10] = (4).to_bytes(4)  # the first block, at byte 4, names itself as the next
    path.write_bytes(bytes(content))
    with pytest.raises(SourceFileError, match="its list of elements runs in a circle"):
        read_hdf4(path, NAMES)


def test_hdf5_file_cut_short_is_rejected_wherever_it_is_cut(tmp_path: Path) -> None:
    whole = write_hdf5(tmp_path / "whole.h5").read_bytes()
    path = tmp_path / "cut.h5"
    for length in range(9, len(whole) - 8, 997):
        path.write_bytes(whole[:length])
        with pytest.raises(
            SourceFileError, match=rf"^{path}: cannot be read as HDF5, .*\({length} bytes\)"
        ):
            read_hdf5(path, ("NS/SLV/z",))
