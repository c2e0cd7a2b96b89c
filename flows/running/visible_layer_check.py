"""Verification without any truth: the lowest layer that a radar sees, hidden and filled.

A spaceborne radar never sees what a product fills. So the same network fills the lowest kilometre
that it does see, from what is above that, and is compared with what was measured. It is another
layer than the blind zone, nearer to the cloud: the scores say how the network does on the weather
of this granule, and not more.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from operator import add

import numpy as np
import xarray as xr

from blindzone.core.errors import CurtainError
from blindzone.core.forward_passes import SINGLE
from blindzone.flows.running.trained_network import TrainedNetwork
from blindzone.pipeline.curtains.blind_zone import BlindZone
from blindzone.pipeline.inpainting.inpaint_curtain import fill_curtain
from blindzone.pipeline.verification.curtain_scores import CurtainSums, ScoredLayer, raise_to_floor
from blindzone.pipeline.verification.pixel_scores import EVALUATION_LEVELS
from blindzone.pipeline.verification.visible_layer import LayerView

DEPTH_M = 1000.0
"""Depth of the layer [m]."""
MOST_PROFILES = 4096
"""More profiles than these add little to the scores of a granule: of longer ones, so many are taken
in stretches that are evenly spaced."""
PASSES = 16
"""Forward passes, as many as an evaluation takes; a network of single passes takes one."""
NAMES = ("CSI", "MAE [dB]", "CRPS [dB]", "coverage 90 % echo")
"""The scores."""
PREFIX = "visible layer: "
"""Before their names."""

_STRETCHES = 8
_LEAST_ECHO_PIXELS = 100
"""Fewer pixels with echo give no score that means anything."""


def check_visible_layer(
    curtain: xr.Dataset, network: TrainedNetwork, *, seed: int = 0
) -> dict[str, float]:
    """Returns scores of a granule's lowest visible kilometre, filled by a network.

    Beside those of the network there is the CSI of persistence, the lowest visible row repeated
    downwards. Nothing is returned where there is too little echo.

    Args:
        curtain: Gridded curtain `(time, height)` of a radar that looks down.
        network: The network that fills it.
        seed: Seed of its passes.
    """
    preprocessing = network.preprocessing
    try:
        fitting = network.fit_zone(BlindZone(top_m=DEPTH_M), where="visible layer")
    except CurtainError:  # the network fills less than a kilometre
        fitting = network
    hidden = fitting.preprocessing.hidden_rows
    layer = ScoredLayer(
        hidden_rows=hidden,
        lowest_row=0,
        floor_dbz=preprocessing.floor_dbz,
        longest_gap_s=np.inf,
    )
    sums = [
        _score(part, fitting, layer, seed)
        for part in _thin(LayerView().apply(curtain, preprocessing.grid))
    ]
    filled, repeated = (reduce(add, parts) for parts in zip(*sums, strict=True))
    if (filled.pixels.hits + filled.pixels.misses).sum() < _LEAST_ECHO_PIXELS:
        return {}
    scores = filled.scores()
    found = {f"{PREFIX}{name}": scores[name] for name in NAMES}
    return found | {f"{PREFIX}CSI of persistence": repeated.scores()["CSI"]}


def _thin(curtain: xr.Dataset) -> Iterator[xr.Dataset]:
    """Yields a curtain, or evenly spaced stretches of a long one."""
    profiles = curtain.sizes["time"]
    if profiles <= MOST_PROFILES:
        yield curtain
        return
    length = MOST_PROFILES // _STRETCHES
    for start in np.linspace(0, profiles - length, _STRETCHES).astype(int):
        yield curtain.isel(time=slice(start, start + length))


def _score(
    curtain: xr.Dataset, network: TrainedNetwork, layer: ScoredLayer, seed: int
) -> tuple[CurtainSums, CurtainSums]:
    """Returns the sums of the network and of persistence on a curtain `(time, height)`."""
    filled = fill_curtain(
        curtain,
        network.network,
        network.preprocessing,
        SINGLE if network.is_single else PASSES,
        seed,
        levels=EVALUATION_LEVELS,
        calibration=network.calibration,
    )
    # Where no profile can be filled there are fewer rows; none of them is scored.
    lacking = [(0, 0), (0, layer.hidden_rows - filled.sizes["height"])]
    lowest = raise_to_floor(layer.part(curtain)[0][:, :1], layer.floor_dbz)
    shape = (len(EVALUATION_LEVELS), len(lowest), layer.hidden_rows)
    repeated = np.broadcast_to(lowest, shape)
    return (
        layer.score(
            curtain,
            np.pad(filled["hydrometeor_probability"].values, lacking),
            np.pad(filled["reflectivity_quantile"].values, [(0, 0), *lacking]),
        ),
        layer.score(curtain, (repeated[0] > layer.floor_dbz).astype(np.float32), repeated),
    )
