"""The metadata table put on datasets: attributes of variables, and the global ones of coordinates.

The table itself is `pipeline.curtains.cf_table`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntFlag
from typing import Any

import numpy as np
import xarray as xr

from blindzone.core.errors import ProductError
from blindzone.pipeline.curtains.acdd import describe_coverage
from blindzone.pipeline.curtains.along_track import looks_down
from blindzone.pipeline.curtains.cf_table import AT_SURFACE, FROM_ABOVE, METADATA, Metadata
from blindzone.pipeline.curtains.curtain import SITE_COORDINATES
from blindzone.pipeline.curtains.surface import is_surface

CONVENTIONS = "CF-1.11, ACDD-1.3"
STANDARD_NAME_VOCABULARY = "CF Standard Name Table v93"
TIME_UNITS = "seconds since 1970-01-01 00:00:00"


def to_cf(
    dataset: xr.Dataset, *, simulated: bool = False, table: Mapping[str, Metadata] = METADATA
) -> xr.Dataset:
    """Returns the dataset with the table's attributes and the global ones of its coordinates.

    Every other attribute of a variable is dropped; global attributes that the table does not set
    are kept.

    Args:
        dataset: A curtain or a product `(time, height)`, of any of the table's variables.
        simulated: Whether its source is simulated: then no variable is described as a physical
            measurement.
        table: The table: that of curtains and products, or one that has theirs and more.

    Raises:
        ProductError: If a variable has no entry in the table.
    """
    out = dataset.copy()
    for name in map(str, dataset.variables):
        out[name].attrs = _attributes(name, dataset, simulated, table)
    described = {"Conventions": CONVENTIONS, "standard_name_vocabulary": STANDARD_NAME_VOCABULARY}
    return out.assign_attrs(described | describe_coverage(dataset))


def check_cf(dataset: xr.Dataset, *, table: Mapping[str, Metadata] = METADATA) -> None:
    """Checks variables against the table: dimensions such as `(time, height)`, units, names.

    Checkers of conventions accept a wrong unit.

    Raises:
        ProductError: With the first variable that has no entry, or other dimensions, units, or
            standard name.
    """
    for name in map(str, dataset.variables):
        entry, variable = _entry(name, dataset, table), dataset[name]
        dims = tuple(dim for dim in variable.dims if dim != "ray" or name == "ray")
        moves = name in SITE_COORDINATES and dims == ("time",)
        if dims != entry.dims and not moves:
            raise ProductError(f"'{name}' has dimensions {variable.dims}; {entry.dims} is right")
        for attribute, right in (
            ("units", entry.units),
            ("standard_name", entry.standard_name or None),
        ):
            found = variable.attrs.get(attribute)
            if found != right:
                raise ProductError(
                    f"'{name}' has {attribute} {_quote(found)}; {_quote(right)} is right"
                )


def _quote(value: object) -> str:
    return "none" if value is None else repr(value)


def _entry(name: str, dataset: xr.Dataset, table: Mapping[str, Metadata]) -> Metadata:
    if name not in table:
        raise ProductError(
            f"'{name}' has no entry in the table of blindzone.pipeline.curtains.cf_table; known:"
            f" {', '.join(table)}"
        )
    special = FROM_ABOVE if looks_down(dataset) else AT_SURFACE if is_surface(dataset) else {}
    return special.get(name, table[name])


def _attributes(
    name: str, dataset: xr.Dataset, simulated: bool, table: Mapping[str, Metadata]
) -> dict[str, Any]:
    entry = _entry(name, dataset, table)
    content, long_name = entry.content, entry.long_name
    if content == "physicalMeasurement" and simulated:
        content, long_name = "modelResult", f"simulated {long_name}"
    elif name == "reflectivity" and "inpainting_flag" in dataset:
        content, long_name = "modelResult", f"{long_name}, its blind zone filled"
    text = {
        "long_name": long_name,
        "standard_name": entry.standard_name,
        "units": entry.units,
        "comment": entry.comment,
        "coverage_content_type": content,
        "ancillary_variables": " ".join(other for other in entry.ancillary if other in dataset),
        "bounds": f"{name}_bounds" if f"{name}_bounds" in dataset else "",
        **entry.extra,
    }
    attributes: dict[str, Any] = {key: value for key, value in text.items() if value}
    if entry.flags is not None:
        # CF wants the codes in the variable's own type; an archive may have changed it.
        attribute = "flag_masks" if issubclass(entry.flags, IntFlag) else "flag_values"
        attributes[attribute] = np.array(
            [code.value for code in entry.flags], dtype=dataset[name].dtype
        )
        attributes["flag_meanings"] = " ".join(name.lower() for name in entry.flags.__members__)
    return attributes
