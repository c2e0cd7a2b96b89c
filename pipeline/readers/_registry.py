"""What a reader is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import xarray as xr

from blindzone.pipeline.readers._netcdf import Header


@dataclass(frozen=True, kw_only=True)
class Reader:
    """How files of one instrument family become curtains.

    Attributes:
        name: The name that the catalogue uses.
        title: What its files are, in a few words, with their article: 'a Cloudnet Level 1b radar
            file'.
        read: Takes a path; returns a native curtain, or a swath of them. Raises `SourceFileError`
            or `CurtainError`.
        recognises: Whether a file with this head is one of its files. Exactly one reader should say
            so.
        read_at: For files that cover an area, such as a reanalysis: takes a path, latitude
            [degrees_north] and longitude [degrees_east]; returns the curtain of the column there.
        read_band: For files of several radars: takes a path and a frequency [GHz]; returns the
            curtain of the radar nearest to it. `read` takes the one that the reader prefers.
    """

    name: str
    title: str
    read: Callable[[Path], xr.Dataset]
    recognises: Callable[[Header], bool]
    read_at: Callable[[Path, float, float], xr.Dataset] | None = None
    read_band: Callable[[Path, float], xr.Dataset] | None = None
