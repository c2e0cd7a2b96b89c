"""Networks of two filters with random weights, for radars from above, as a plan would make them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from blindzone.flows.experiments.training_data import fit_config
from blindzone.models.checkpoint import Checkpoint, write_checkpoint
from blindzone.models.checkpoint_record import TRUNK_KEY
from blindzone.models.families import build_network
from blindzone.models.network_config import NetworkConfig
from blindzone.pipeline.curtains.blind_zone import BlindZone
from blindzone.pipeline.curtains.gridding import Grid
from blindzone.pipeline.network_input.preprocessing import Preprocessing

CLOUDSAT = {"grid": Grid(rows=64, row_depth_m=240.0), "profile_spacing_m": 1090.0}
EARTHCARE = {"grid": Grid(rows=128, row_depth_m=100.0), "profile_spacing_m": 500.0}
GPM = {"grid": Grid(rows=64, row_depth_m=250.0), "profile_spacing_m": 5000.0}


def write_network(
    path: Path, frequency_ghz: float | None = 94.05, *, is_trunk: bool = False, **changes: Any
) -> Path:
    """Writes a network with the grid and profile spacing of `CLOUDSAT`, or of what is given.

    Args:
        path: The checkpoint, `*.keras`.
        frequency_ghz: What its training states.
        is_trunk: Whether it is marked as a pretrained trunk.
        changes: Fields of its preprocessing; by default it fills zones of up to 2.2 km.
    """
    given: dict[str, Any] = {
        **CLOUDSAT,
        "blind_zone": BlindZone(top_m=1250.0),
        "floor_dbz": -28.0,
        "window_profiles": 64,
        "deepest_m": 2200.0,
        "outages": True,
    }
    preprocessing = Preprocessing(**(given | changes))
    config = fit_config(NetworkConfig(filters=2, depth=2), preprocessing)
    training = {"source": "tiny", "training_days": ["2008-10-17"], "simulated": True}
    if frequency_ghz is not None:
        training["frequency_ghz"] = frequency_ghz
    if is_trunk:
        training[TRUNK_KEY] = True
    network = Checkpoint(
        network=build_network(config),
        config=config,
        preprocessing=preprocessing.to_dict(),
        training=training,
    )
    write_checkpoint(path, network)
    return path


def write_repairing(path: Path, *, is_trunk: bool = False) -> Path:
    """Writes a network that repairs all kinds of holes of a ground radar, or such a trunk."""
    return write_network(
        path,
        frequency_ghz=95.0,
        is_trunk=is_trunk,
        grid=Grid(),
        profile_spacing_m=None,
        deepest_m=None,
        floor_dbz=-30.0,
        lowest_trusted_m=234.0,
        holes=("outages", "lines", "shadows", "zone", "files"),
    )
