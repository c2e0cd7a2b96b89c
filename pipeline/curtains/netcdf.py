"""The content of netCDF-4 files that older tools read, too.

h5netcdf writes text attributes as strings of variable length (NC_STRING), which `nc_get_att_text`
refuses: netCDF-Fortran, netCDF-C++ and what is built on them then see no units. The netCDF
libraries themselves write text as characters (NC_CHAR) where it is ASCII, and so does this module.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from xarray.backends import H5NetCDFStore
from xarray.backends.common import ArrayWriter


def encode_netcdf(
    dataset: xr.Dataset, encoding: Mapping[str, Mapping[str, Any]]
) -> bytes | memoryview:
    """Returns a dataset as the content of a netCDF-4 file; every writer's files come from here.

    It is made in memory: on a full disk HDF5 leaves a file that it cannot close, and the process
    crashes on it later.

    Args:
        dataset: What is to be written.
        encoding: How each variable is written, as `Dataset.to_netcdf` takes it.
    """
    encoded = dataset.copy()
    for name, entry in encoding.items():
        encoded[name].encoding = {**encoded[name].encoding, **entry}
    # First all that CF adds, such as units of time: these attributes are text as well.
    variables, attributes = xr.conventions.encode_dataset_coordinates(encoded)
    variables, attributes = xr.conventions.cf_encoder(variables, attributes)
    attributes = _detach_altitude(variables, attributes)
    plain = {
        name: xr.Variable(
            variable.dims,
            variable.data,
            _fix_texts(variable.attrs),
            # Of variables that have one it is an attribute by now; for others xarray would add it.
            {"_FillValue": None, **variable.encoding},
        )
        for name, variable in variables.items()
    }
    described = xr.Dataset(plain, attrs=_fix_texts(attributes))
    if any(variable.chunks for variable in plain.values()):
        return described.to_netcdf(engine="h5netcdf", format="NETCDF4")
    # Without dask arrays the same but for a question which of dask's schedulers is at work: for its
    # answer xarray imports the whole of distributed, half a second.
    content = io.BytesIO()
    store = H5NetCDFStore.open(content, mode="w", lock=False)
    try:
        described.dump_to_store(store, writer=_Writer())  # type: ignore[no-untyped-call]
    finally:
        store.close()
    return content.getbuffer()


class _Writer(ArrayWriter):
    """Leaves out the last rows of numbers if they are all NaN, and NaN is what stands for none.

    HDF5 gives chunks that were never written as just that, and need not compress them: of a
    product, seven rows of eight.
    """

    def add(self, source: Any, target: Any, region: Any = None) -> None:
        """Writes the values of a variable into the file."""
        fill = target.get_array().attrs.get("_FillValue", 0)
        if source.ndim > 1 and source.dtype.kind == "f" and np.isnan(fill).all():
            some = np.flatnonzero(~np.isnan(source).all(axis=tuple(range(source.ndim - 1))))
            last = some[-1] + 1 if some.size else 0
            target[..., :last] = source[..., :last]
        else:
            super().add(source, target, region)  # type: ignore[no-untyped-call]


def _detach_altitude(
    variables: Mapping[Any, xr.Variable], attributes: Mapping[Any, Any]
) -> dict[Any, Any]:
    """Takes the site's altitude from the coordinates of fields over height, in place.

    It is not where their pixels are, and CDO takes it for their vertical axis and skips them.
    Returns the global attributes, which name it as a coordinate if no variable does any more.
    """
    named: set[str] = set()
    for variable in variables.values():
        names = variable.attrs.get("coordinates", "").split()
        if "height" in variable.dims and "altitude" in names:
            names.remove("altitude")
            variable.attrs["coordinates"] = " ".join(names)
        named.update(names)
    if "altitude" not in variables or "altitude" in named:
        return dict(attributes)
    others = str(attributes.get("coordinates", "")).split()
    return {**attributes, "coordinates": " ".join([*others, "altitude"])}


def _fix_texts(attributes: Mapping[Any, Any]) -> dict[Any, Any]:
    """Returns attributes with ASCII text as bytes, which h5netcdf writes as characters."""
    return {
        name: np.bytes_(value) if isinstance(value, str) and value.isascii() else value
        for name, value in attributes.items()
    }
