"""The least size of netCDF-3 files, against those that the netCDF library writes."""

from __future__ import annotations

import io
from pathlib import Path

import netCDF4
import numpy as np
import pytest

from blindzone.pipeline.readers._classic import find_least_size

FORMS = ("NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF3_64BIT_DATA")


def write_file(path: Path, form: str, *, records: int, recorded: int) -> bytes:
    """A fixed variable of 5 shorts, and so many variables of 3 shorts a record."""
    with netCDF4.Dataset(path, "w", format=form) as file:  # type: ignore[arg-type]
        file.title = "odd"
        file.createDimension("x", 5)
        file.createDimension("y", 3)
        file.createDimension("time", None)
        fixed = file.createVariable("fixed", "i2", ("x",))
        fixed.units = "m"
        fixed[:] = np.arange(5)
        for number in range(recorded):
            variable = file.createVariable(f"v{number}", "i2", ("time", "y"))
            variable[:] = np.ones((records, 3))
    return path.read_bytes()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("records", "recorded"), [(0, 1), (4, 0), (4, 1), (4, 3)])
def test_size_is_that_of_the_written_file_but_for_padding(
    form: str, records: int, recorded: int, tmp_path: Path
) -> None:
    whole = write_file(tmp_path / "a.nc", form, records=records, recorded=recorded)
    found = find_least_size(io.BytesIO(whole))
    # The last value may be followed by up to three bytes of padding.
    assert len(whole) - 4 < found <= len(whole)


def test_records_that_a_writer_did_not_settle_are_not_counted(tmp_path: Path) -> None:
    whole = bytearray(write_file(tmp_path / "a.nc", FORMS[0], records=4, recorded=1))
    whole[4:8] = b"\xff" * 4
    assert find_least_size(io.BytesIO(whole)) <= len(whole) - 4 * 3 * 2


def test_damaged_header_raises() -> None:
    with pytest.raises((IndexError, KeyError)):
        find_least_size(io.BytesIO(b"CDF"))
