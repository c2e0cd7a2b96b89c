"""Drawn holes of archived days: hidden, filled by a network, and set beside what was hidden."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import xarray as xr

from blindzone.core.forward_passes import Passes
from blindzone.flows.running.source_data import SourceData
from blindzone.flows.running.trained_network import TrainedNetwork
from blindzone.pipeline.inpainting.fill_mask import FillMask
from blindzone.pipeline.inpainting.hole_calibration_fit import HolePixels
from blindzone.pipeline.inpainting.inpaint_curtain import (
    PredictedPart,
    fill_curtain,
    predict_parts,
)
from blindzone.pipeline.inpainting.repair_mask import find_repair_mask, list_repaired
from blindzone.pipeline.verification.curtain_scores import find_scored, raise_to_floor
from blindzone.pipeline.verification.hole_scores import (
    HoleSums,
    draw_scored_holes,
    sum_holes,
)
from blindzone.pipeline.verification.pixel_scores import EVALUATION_LEVELS

MOST_PIXELS = 60_000
"""Pixels of a day that a calibration is fitted to and scored on; more say hardly more."""


@dataclass(frozen=True, kw_only=True)
class HiddenDay:
    """A day with holes of one kind.

    Attributes:
        curtain: The day as it was measured `(time, height)`.
        truth: Its reflectivity as max(dBZ, floor) `(time, row)`.
        hidden: What is hidden, bool `(time, row)`.
        scored: Which of these pixels have trusted truth.
        floor_dbz: Sensitivity floor [dBZ].
    """

    curtain: xr.Dataset
    truth: np.ndarray
    hidden: np.ndarray
    scored: np.ndarray
    floor_dbz: float


def hide_day(data: SourceData, day: date, kind: str, *, seed: int = 0) -> HiddenDay:
    """Returns a day with holes of one of `SCORED_HOLES`, the same for the same seed.

    Raises:
        ArchiveError: If the archive lacks the day.
    """
    curtain, entry = data.read(day), data.entry
    floor_dbz = entry.quality.sensitivity_floor_dbz
    truth = raise_to_floor(curtain["reflectivity"].values, floor_dbz)
    hidden = draw_scored_holes(
        kind, truth, row_depth_m=entry.grid.row_depth_m, seed=(seed, day.toordinal())
    )
    lowest = entry.grid.row_of(entry.quality.lowest_trusted_m)
    scored = hidden & find_scored(curtain["detection_status"].values)
    scored[:, :lowest] = False
    return HiddenDay(
        curtain=curtain, truth=truth, hidden=hidden, scored=scored, floor_dbz=floor_dbz
    )


def find_mask(network: TrainedNetwork, hidden: HiddenDay) -> FillMask:
    """Returns which holes of a day the network fills: all of those that were drawn."""
    preprocessing = network.preprocessing
    return find_repair_mask(
        hidden.curtain,
        preprocessing,
        list_repaired(preprocessing),
        hidden.hidden,
        zone_rows=0,  # it is visible unless it was drawn
    )


def score_day(
    network: TrainedNetwork, hidden: HiddenDay, *, passes: Passes, seed: int = 0
) -> HoleSums:
    """Returns the sums of scores of a network that fills the holes of a day.

    Raises:
        CurtainError: If it was not trained to repair holes of this kind.
    """
    mask = find_mask(network, hidden)
    fill = fill_curtain(
        hidden.curtain,
        network.network,
        network.preprocessing,
        passes,
        seed,
        levels=EVALUATION_LEVELS,
        calibration=network.calibration,
        mask=mask,
    )
    lowest = np.s_[:, : mask.rows]
    return sum_holes(
        hidden.truth[lowest],
        (hidden.scored & mask.filled)[lowest],
        fill["hydrometeor_probability"].values,
        fill["reflectivity_quantile"].values,
        fill["reflectivity_quantile_given_echo"].values,
        floor_dbz=hidden.floor_dbz,
    )


def predict_pixels(
    network: TrainedNetwork, hidden: HiddenDay, *, passes: Passes, seed: int = 0
) -> HolePixels:
    """Returns the uncalibrated predictions of at most `MOST_PIXELS` scored pixels of a day."""
    mask = find_mask(network, hidden)
    places = np.flatnonzero(hidden.scored & mask.filled)
    if places.size > MOST_PIXELS:
        random = np.random.default_rng(seed)
        places = np.sort(random.choice(places, MOST_PIXELS, replace=False))
    profile, row = np.unravel_index(places, hidden.scored.shape)
    found = [
        _take(part, profile, row)
        for part in predict_parts(
            hidden.curtain,
            network.network,
            network.preprocessing,
            passes,
            seed,
            rows=mask.rows,
            hidden=mask.hidden,
            used=[],
        )
    ]
    probability, intensity = zip(*found, strict=True)
    return HolePixels(
        kinds=mask.kinds[profile, row],
        distance=mask.distance[profile, row],
        time=hidden.curtain["time"].values[profile],
        truth=hidden.truth[profile, row],
        probability=np.concatenate(probability),
        intensity_dbz=np.concatenate(intensity),
        floor_dbz=hidden.floor_dbz,
    )


def _take(
    part: PredictedPart, profile: np.ndarray, row: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns probability and intensities of the pixels that lie in a part, in order."""
    inside = (profile >= part.profiles.start) & (profile < part.profiles.stop)
    place = profile[inside] - part.profiles.start, row[inside]
    return part.probability[place], part.intensity_dbz[place]
