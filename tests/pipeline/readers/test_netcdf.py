"""The door to netCDF files: both forms, undecoded, safe in threads, and plain about damage."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.readers._netcdf import read_header, read_netcdf

FORMATS = ("NETCDF4", "NETCDF4_CLASSIC", "NETCDF3_CLASSIC", "NETCDF3_64BIT")


def write_file(path: Path, form: str = "NETCDF4") -> Path:
    """Writes 50 times, and a packed variable with its fill value as stored."""
    packed = np.arange(50, dtype=np.int16)
    packed[7] = -99
    attributes = {"_FillValue": np.int16(-99), "scale_factor": 0.5, "units": "dBZ"}
    dataset = xr.Dataset(
        {"packed": ("time", packed, attributes), "other": ("time", np.linspace(0, 1, 50))},
        {"time": ("time", np.arange(50.0), {"units": "hours since 2021-03-14"})},
    )
    dataset.to_netcdf(path, engine="netcdf4", format=form)  # type: ignore[call-overload]
    return path


@pytest.mark.parametrize("form", FORMATS)
def test_each_form_is_read_as_stored(form: str, tmp_path: Path) -> None:
    raw = read_netcdf(write_file(tmp_path / "file.nc", form))
    assert raw["packed"].dtype == np.int16
    assert raw["packed"].values[[6, 7, 8]].tolist() == [6, -99, 8]
    assert raw["packed"].attrs["scale_factor"] == 0.5
    assert raw["time"].dtype == np.float64
    assert raw["time"].attrs["units"] == "hours since 2021-03-14"


@pytest.mark.parametrize("form", FORMATS)
def test_only_the_named_variables_are_read_and_absent_ones_left_out(
    form: str, tmp_path: Path
) -> None:
    raw = read_netcdf(write_file(tmp_path / "file.nc", form), ("time", "packed", "nowhere"))
    assert set(raw.variables) == {"time", "packed"}


def test_content_is_in_memory_when_the_file_is_gone(tmp_path: Path) -> None:
    path = write_file(tmp_path / "file.nc")
    raw = read_netcdf(path)
    path.unlink()
    assert float(raw["other"].values[-1]) == 1.0


def test_missing_file_and_folder_are_rejected(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.nc", tmp_path):
        with pytest.raises(SourceFileError, match=rf"^{path}: no such file$"):
            read_netcdf(path)


def test_empty_file_is_rejected_as_empty(tmp_path: Path) -> None:
    path = tmp_path / "file.nc"
    path.touch()
    with pytest.raises(
        SourceFileError,
        match=rf"{path}: not a netCDF file \(an empty file\).*netCDF-4 \(HDF5\) is right",
    ):
        read_netcdf(path)


def test_text_file_is_rejected_with_its_first_bytes(tmp_path: Path) -> None:
    path = tmp_path / "file.nc"
    path.write_text("<html>not found</html>")
    with pytest.raises(
        SourceFileError, match=rf"{path}: not a netCDF file \(first bytes b'<html>no'\)"
    ):
        read_netcdf(path)


def test_file_that_may_not_be_read_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_file(tmp_path / "file.nc")

    def refuse(self: Path, *args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # a test that runs as root may read anything
    with pytest.raises(SourceFileError, match=rf"{path}: cannot be read: Permission denied"):
        read_netcdf(path)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("form", ["NETCDF4", "NETCDF3_CLASSIC"])
def test_file_cut_short_is_rejected_wherever_it_is_cut(
    form: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = write_file(tmp_path / "whole.nc", form).read_bytes()
    path = tmp_path / "cut.nc"
    # Between the first 8 bytes, which identify the form, and the last value, of 8 bytes too.
    lengths = np.random.default_rng(0).integers(9, len(whole) - 8, 20)
    for length in lengths:
        path.write_bytes(whole[:length])
        with pytest.raises(
            SourceFileError, match=rf"{path}: cannot be read as netCDF, .*\({length} bytes\)"
        ):
            read_netcdf(path)
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(("values", "records"), [(1, None), (1, 5), (3, None), (3, 5)])
@pytest.mark.parametrize("form", ["NETCDF3_CLASSIC", "NETCDF3_64BIT", "NETCDF3_64BIT_DATA"])
def test_netcdf3_file_is_whole_to_the_last_value(
    form: str, values: int, records: int | None, tmp_path: Path
) -> None:
    # netCDF-C pads to 4 bytes, so that of 2-byte values at most the last 2 bytes do not count. What
    # is missing before them would be read as zeros.
    path = tmp_path / "whole.nc"
    dataset = xr.Dataset(
        {name: (("time", "range"), np.ones((5, values), np.int16)) for name in ("a", "b")}
    )
    unlimited = [] if records is None else ["time"]
    dataset.to_netcdf(path, engine="netcdf4", format=form, unlimited_dims=unlimited)  # type: ignore[call-overload]
    whole = path.read_bytes()
    assert (read_netcdf(path)["b"].values == 1).all()
    path.write_bytes(whole[:-4])
    with pytest.raises(
        SourceFileError, match=rf"cut short \({len(whole) - 4} bytes\); \d+ are right"
    ):
        read_netcdf(path)


@pytest.mark.parametrize("form", ["NETCDF4", "NETCDF3_CLASSIC"])
def test_damaged_file_is_rejected_or_read_and_nothing_else(form: str, tmp_path: Path) -> None:
    whole = write_file(tmp_path / "whole.nc", form).read_bytes()
    path, rng, refused = tmp_path / "damaged.nc", np.random.default_rng(1), 0
    for _ in range(40):
        damaged = np.frombuffer(whole, dtype=np.uint8).copy()
        damaged[rng.integers(0, damaged.size, 20)] = rng.integers(0, 256, 20)
        path.write_bytes(damaged.tobytes())
        try:
            read_netcdf(path)
        except SourceFileError:
            refused += 1
    assert refused > 0


def test_damage_to_the_structure_prints_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: printed.append(args.exc_value))
    whole = write_file(tmp_path / "whole.nc").read_bytes()
    path, rng = tmp_path / "damaged.nc", np.random.default_rng(2)
    for _ in range(60):
        damaged = np.frombuffer(whole, dtype=np.uint8).copy()
        damaged[rng.integers(8, 1000, 20)] ^= 1
        path.write_bytes(damaged.tobytes())
        with pytest.raises(SourceFileError, match="cannot be read as netCDF"):
            read_netcdf(path)
    assert printed == []


def test_heap_that_hdf5_would_never_leave_is_rejected(tmp_path: Path) -> None:
    path = write_file(tmp_path / "endless.nc")
    content = bytearray(path.read_bytes())
    first = content.index(b"GCOL") + 16
    content[first : first + 16] = bytes(16)  # free space, index 0, of length 0
    path.write_bytes(content)
    with pytest.raises(
        SourceFileError, match=rf"{path}: cannot be read as netCDF, .*free space of no length"
    ):
        read_netcdf(path)


def test_type_that_numpy_does_not_know_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "file.nc"
    with h5py.File(path, "w") as file:
        units = file.create_dataset("z", data=[1.0]).id
        scalar = h5py.h5s.create(h5py.h5s.SCALAR)
        h5py.h5a.create(units, b"units", h5py.h5t.UNIX_D32LE, scalar)
    with pytest.raises(SourceFileError, match=f"{path}: cannot be read as netCDF.*TypeTimeID"):
        read_header(path)


def test_variable_larger_than_memory_is_rejected(tmp_path: Path) -> None:
    path = write_file(tmp_path / "huge.nc")
    with h5py.File(path, "r+") as file:
        # 2^38 values of 4 bytes: 1024 GiB, none of them on disk.
        file.create_dataset("huge", shape=(2**20, 2**18), chunks=(64, 64), dtype="f4")
    with pytest.raises(SourceFileError, match=r"it would take 1\.02e\+03 GiB of memory"):
        read_netcdf(path)


def test_threads_read_both_forms_at_once(tmp_path: Path) -> None:
    paths = [
        write_file(tmp_path / f"{form}_{i}.nc", form)
        for form in ("NETCDF4", "NETCDF3_CLASSIC")
        for i in range(2)
    ]
    expected = np.linspace(0, 1, 50)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(read_netcdf, paths * 15))
    assert len(results) == 60
    for raw in results:
        assert np.array_equal(raw["other"].values, expected)
