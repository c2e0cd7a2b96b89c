"""Readers: one file an instrument family, each turning a file on disk into a canonical curtain."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import xarray as xr

from blindzone.pipeline.readers.arm_kazr import read_arm_kazr
from blindzone.pipeline.readers.cloudnet import read_cloudnet_radar
from blindzone.pipeline.readers.mrr import read_mrr
from blindzone.pipeline.readers.rpg import read_rpg_radar

READERS: dict[str, Callable[[Path], xr.Dataset]] = {
    "arm_kazr": read_arm_kazr,
    "cloudnet_radar": read_cloudnet_radar,
    "mrr": read_mrr,
    "rpg_fmcw94": read_rpg_radar,
}
"""The readers by the name that the catalogue uses; each takes a path and returns a native curtain."""
