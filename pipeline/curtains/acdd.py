"""Global attributes of ACDD 1.3: place and time of a dataset, and the people behind its source."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from blindzone.pipeline.curtains.along_track import find_spacing, looks_down
from blindzone.pipeline.curtains.position import find_extent, measure_track

NOT_STATED = "not stated"
"""Value of an attribute that ACDD asks for and nobody states."""


def or_not_stated(text: str | None) -> str:
    """Returns a text, or `not stated` if there is none."""
    return text or NOT_STATED


def describe_people(*, institution: str, creator: str, publisher: str) -> dict[str, str]:
    """Returns the ACDD attributes of those behind a source; empty texts are not stated.

    Args:
        institution: Where the source's data were produced.
        creator: Who made them.
        publisher: Who offers them.
    """
    where = or_not_stated(institution)
    people: dict[str, str] = {"institution": where}
    for role, name in (("creator", creator), ("publisher", publisher)):
        is_institution = name == institution and where != NOT_STATED
        people |= {
            f"{role}_name": or_not_stated(name),
            f"{role}_type": "institution" if is_institution else "group",
            f"{role}_institution": where if role == "creator" else NOT_STATED,
            f"{role}_url": NOT_STATED,
            f"{role}_email": NOT_STATED,
        }
    known = where != NOT_STATED
    return people | {
        "naming_authority": NOT_STATED,
        "project": NOT_STATED,
        "program": NOT_STATED,
        "contributor_name": where,
        "contributor_role": "source of the profiles" if known else NOT_STATED,
    }


def describe_coverage(dataset: xr.Dataset) -> dict[str, Any]:
    """Returns the ACDD attributes of place [degree, m] and time that coordinates state."""
    out = _place(dataset)
    if "height" in dataset:
        heights = dataset["height"].values
        out |= {
            "geospatial_vertical_min": float(heights[0]),
            "geospatial_vertical_max": float(heights[-1]),
            "geospatial_vertical_units": "m",
            "geospatial_vertical_positive": "up",
            "geospatial_vertical_resolution": (
                f"{np.median(np.diff(heights)) if heights.size > 1 else 0:g} m"
            ),
            "geospatial_bounds_vertical_crs": (
                f"height above the {_find_zero(dataset)}, which has no EPSG code"
            ),
        }
    if "time" in dataset:
        times = dataset["time"].values.astype("datetime64[ns]")
        step = np.median(np.diff(times).astype(np.int64)) if times.size > 1 else 0
        out |= {
            "time_coverage_start": _format_time(times[0]),
            "time_coverage_end": _format_time(times[-1]),
            "time_coverage_duration": f"PT{(times[-1] - times[0]).astype(np.int64) / 1e9:.3f}S",
            "time_coverage_resolution": f"PT{step / 1e9:.3f}S",
        }
    return out


def _find_zero(dataset: xr.Dataset) -> str:
    """Returns what heights count from, in words."""
    is_from_above = looks_down(dataset)
    return "surface below the radar" if is_from_above else "ground at the radar"


def _place(dataset: xr.Dataset) -> dict[str, Any]:
    """Returns the ACDD attributes of the site, or of the box around a track."""
    where = {}
    for name in ("latitude", "longitude"):
        values = np.ravel(dataset[name].values) if name in dataset else np.empty(0)
        where[name] = values[np.isfinite(values)]  # not every file states its site
    if not all(values.size for values in where.values()):
        return {}
    south, north = (float(limit(where["latitude"])) for limit in (np.min, np.max))
    west, east = find_extent(where["longitude"])
    # Well-known text in the axis order of EPSG:4326, latitude first, as ACDD 1.3 asks. A box over
    # the date line goes on beyond 180 degrees; of its limits the western one is the greater.
    right = east if east >= west else east + 360
    corners = [(south, west), (south, right), (north, right), (north, west), (south, west)]
    fixed = (south, west) == (north, east)
    box = ", ".join(f"{latitude:g} {longitude:g}" for latitude, longitude in corners)
    out: dict[str, Any] = {
        "geospatial_bounds": f"POINT ({south:g} {west:g})" if fixed else f"POLYGON (({box}))",
        "geospatial_bounds_crs": "EPSG:4326",
    }
    for axis, low, high, units in (
        ("lat", south, north, "degrees_north"),
        ("lon", west, east, "degrees_east"),
    ):
        out |= {
            f"geospatial_{axis}_min": low,
            f"geospatial_{axis}_max": high,
            f"geospatial_{axis}_units": units,
        }
        out[f"geospatial_{axis}_resolution"] = "point" if fixed else _find_step(dataset)
    return out


def _find_step(dataset: xr.Dataset) -> str:
    """Returns the usual distance between the profiles of a track, in words."""
    if looks_down(dataset):
        spacing_m = find_spacing(dataset)
    else:
        # Of a swath, one of the two may be the same for all rays.
        place = xr.broadcast(dataset["latitude"], dataset["longitude"])
        fixes = np.stack([np.ravel(part.values) for part in place])
        steps = np.diff(measure_track(*fixes[:, np.isfinite(fixes).all(axis=0)]))
        spacing_m = float(np.median(steps)) if steps.size else 0.0
    return f"{spacing_m:.4g} m along the track"


def _format_time(time: np.datetime64) -> str:
    """Returns a UTC time as ISO 8601 text to the second, such as `2021-03-14T00:00:04Z`."""
    return f"{np.datetime_as_string(time, unit='s')}Z"
