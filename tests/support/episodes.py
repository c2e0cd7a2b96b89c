"""Gridded days of independent episodes of weather, for a network with one measured channel."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from blindzone.pipeline.curtains.blind_zone import BlindZone
from blindzone.pipeline.curtains.curtain import DetectionStatus
from blindzone.pipeline.curtains.gridding import Grid
from blindzone.pipeline.inpainting.applicability import Applicability
from blindzone.pipeline.network_input.preprocessing import CHANNELS, Preprocessing

ROWS, HIDDEN, EPISODE, EPISODES = 24, 4, 30, 12
STEP_S = 9.001
FREQUENCY = 95.0
NETWORK = Preprocessing(
    grid=Grid(rows=ROWS, row_depth_m=78.125),
    blind_zone=BlindZone(top_m=HIDDEN * 78.125),
    floor_dbz=-30,
    channels=(*CHANNELS, "doppler_velocity"),
)


def make_day(seed: int, episodes: int = EPISODES) -> xr.Dataset:
    """A gridded day of independent episodes, each clear sky (one of three) or a cloud below row 16.

    A cloud reaches over 2 to 7 rows and keeps its own reflectivity of -25 to -5 dBZ (with 2 dB of
    noise) and velocity of -1.5 to 0.5 m s-1. Its top is faint, as the edges of clouds are: about
    -29 dBZ.
    """
    rng = np.random.default_rng(seed)
    profiles = EPISODE * episodes
    dbz, velocity = np.full((2, profiles, ROWS), np.nan, dtype=np.float32)
    for number in range(episodes):
        if rng.random() < 1 / 3:
            continue
        base, depth = rng.integers(2, 9), rng.integers(2, 8)
        where = slice(number * EPISODE, (number + 1) * EPISODE), slice(base, base + depth)
        dbz[where] = rng.uniform(-25, -5) + rng.normal(0, 2, (EPISODE, depth))
        dbz[where[0], base + depth - 1] = rng.uniform(-29.9, -28, EPISODE)
        velocity[where] = rng.uniform(-1.5, 0.5)
    return make_curtain(dbz, velocity)


def make_curtain(dbz: np.ndarray, velocity: np.ndarray | None = None) -> xr.Dataset:
    """A gridded curtain: echo where there is a value, clear sky elsewhere."""
    status = np.where(np.isfinite(dbz), DetectionStatus.ECHO, DetectionStatus.NO_ECHO).astype(
        np.int8
    )
    dims = ("time", "height")
    fields = {"reflectivity": (dims, dbz.astype(np.float32)), "detection_status": (dims, status)}
    if velocity is not None:
        fields["doppler_velocity"] = (dims, velocity.astype(np.float32))
    times = np.datetime64("2021-03-14", "ns") + np.arange(len(dbz)) * np.timedelta64(
        round(1000 * STEP_S), "ms"
    )
    site = {"latitude": 48.7, "longitude": 2.2, "altitude": 156.0}
    return xr.Dataset(fields, {"time": times, "height": NETWORK.grid.centres_m, **site})


def assess(
    domain: Applicability, curtain: xr.Dataset, **known: Any
) -> tuple[np.ndarray, np.ndarray]:
    found = domain.assess(
        curtain, NETWORK, **({"frequency_ghz": FREQUENCY, "floor_dbz": -30.0} | known)
    )
    assert np.array_equal(found["time"].values, curtain["time"].values)
    return found["out_of_range_flag"].values, found["out_of_range_score"].values


def find_cloudy(curtain: xr.Dataset) -> np.ndarray:
    """Profiles with visible echo."""
    cloudy: np.ndarray = np.isfinite(curtain["reflectivity"].values[:, HIDDEN:]).any(axis=1)
    return cloudy
