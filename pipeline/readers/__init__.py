"""Readers: one file an instrument family, each turning a file on disk into a canonical curtain."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import xarray as xr

from blindzone.pipeline.readers.cloudnet import read_cloudnet_radar

READERS: dict[str, Callable[[Path], xr.Dataset]] = {"cloudnet_radar": read_cloudnet_radar}
"""The readers by the name that the catalogue uses; each takes a path and returns a native curtain."""
