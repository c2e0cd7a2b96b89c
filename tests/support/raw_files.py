"""Raw files for the tests of readers: written as they are, changed in one place, and rejected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from blindzone.core.errors import BlindzoneError, SourceFileError
from blindzone.pipeline.curtains.findings import PROFILES_DROPPED, read_counts

Change = Callable[[xr.Dataset], xr.Dataset]


def write_raw(raw: xr.Dataset, path: Path, form: str = "NETCDF4") -> Path:
    """Writes a file's content just as it is, without fill values of xarray's own.

    Args:
        raw: The content.
        path: The file.
        form: Form of the netCDF file, as `Dataset.to_netcdf` names it.
    """
    encoding: dict[str, Any] = {
        str(n): {"_FillValue": None} for n in raw.variables if "_FillValue" not in raw[n].attrs
    }
    raw.drop_encoding().to_netcdf(path, engine="netcdf4", format=form, encoding=encoding)  # type: ignore[call-overload]
    return path


def with_attrs(raw: xr.Dataset, name: str, **attrs: Any) -> xr.Dataset:
    """Returns the content with other attributes of a variable; `None` removes one."""
    out = raw.copy(deep=True)
    out[name].attrs = {
        key: value for key, value in {**raw[name].attrs, **attrs}.items() if value is not None
    }
    return out


def with_units(raw: xr.Dataset, name: str, units: str | None) -> xr.Dataset:
    """Returns the content with other units of a variable, or with none."""
    return with_attrs(raw, name, units=units)


def with_value(raw: xr.Dataset, name: str, index: Any, value: float | np.ndarray) -> xr.Dataset:
    """Returns the content with another value at some index of a variable, of the same type."""
    values = raw[name].values.copy()
    values[index] = value
    return raw.assign({name: (raw[name].dims, values, raw[name].attrs)})


def set_units(name: str, units: str) -> Change:
    """Returns a change of a variable's units."""
    return lambda raw: with_units(raw, name, units)


def set_value(name: str, index: Any, value: float) -> Change:
    """Returns a change of one value of a variable."""
    return lambda raw: with_value(raw, name, index, value)


@dataclass(frozen=True)
class BadFile:
    """A way to break a file, and the message that it requires.

    Attributes:
        name: Its name among the tests.
        make: Returns the broken content: from nothing, or from that of the valid file.
        says: Pattern of the message after the file's path.
        error: Type of the error.
    """

    name: str
    make: Callable[..., xr.Dataset]
    says: str
    error: type[BlindzoneError] = SourceFileError


@dataclass(frozen=True)
class FaultyProfiles:
    """A fault of single profiles of a file.

    Attributes:
        name: Its name among the tests.
        make: Returns the content with the fault: from nothing, or from that of the valid file.
        dropped: Number of profiles that are left out, by reason.
    """

    name: str
    make: Callable[..., xr.Dataset]
    dropped: dict[str, int]


REPEATED = "at the time of another"
UNTIMED = "without a credible time"
OFF_ZENITH = "off zenith"
OFF_BEAM = "off the beam of the others"
INFINITE = "with infinite values"


def check_left_out(curtain: xr.Dataset, faulty: FaultyProfiles, profiles: int) -> None:
    """Checks that of so many profiles the faulty ones are left out and counted, no others."""
    assert read_counts(curtain.attrs, PROFILES_DROPPED) == faulty.dropped
    assert curtain.sizes["time"] == profiles - sum(faulty.dropped.values())
    assert (np.diff(curtain["time"].values) > np.timedelta64(0)).all()


def check_rejected(
    read: Callable[[Path], xr.Dataset], path: Path, says: str, error: type[BlindzoneError]
) -> None:
    """Checks that a reader rejects a file with a message that names it."""
    with pytest.raises(error, match=rf"^{path}: .*{says}"):
        read(path)
