"""Curtains on the grid of a network: what is finer is averaged, and reported."""

from __future__ import annotations

import numpy as np
import xarray as xr

from blindzone.core.errors import CurtainError
from blindzone.flows.running.network_choice import COARSER, find_curtain_kind
from blindzone.pipeline.curtains.along_track import SAME_SPACING, average_along_track
from blindzone.pipeline.curtains.curtain import map_rays
from blindzone.pipeline.curtains.gridding import Grid, grid_curtain
from blindzone.pipeline.curtains.quality import QualityRules, apply_quality, flag_below_floor
from blindzone.pipeline.network_input.preprocessing import Preprocessing

NO_RULES = QualityRules()


def list_changes(curtain: xr.Dataset, preprocessing: Preprocessing) -> list[str]:
    """Returns what `regrid` makes coarser of a curtain `(time, height)` or swath, in words."""
    found = find_curtain_kind(curtain, None)
    notes = []
    depth_m, spacing_m = preprocessing.grid.row_depth_m, preprocessing.profile_spacing_m
    if found.row_depth_m * COARSER < depth_m:
        notes.append(f"regridded from {found.row_depth_m:.4g} m to {depth_m:.4g} m in height")
    if spacing_m is not None and (found.spacing_m or np.inf) * SAME_SPACING < spacing_m:
        notes.append(f"regridded from {found.spacing_m:.4g} m to {spacing_m:.4g} m along the track")
    return notes


def regrid(
    curtain: xr.Dataset,
    preprocessing: Preprocessing,
    quality: QualityRules = NO_RULES,
    *,
    where: str,
) -> xr.Dataset:
    """Returns a curtain, or swath, on the network's grid, cleaned by quality rules.

    Finer gates and profiles are averaged in linear units. Coarser ones cannot be made finer. What
    is on the grid already counts as cleaned.

    Args:
        curtain: Native or gridded curtain.
        preprocessing: Has the grid, and the distance between profiles along a track.
        quality: The rules; by default none.
        where: What to call the curtain in messages.

    Raises:
        CurtainError: If it is coarser than the grid.
    """
    grid, spacing_m = preprocessing.grid, preprocessing.profile_spacing_m
    is_gridded = grid.matches(curtain["height"].values) and "gate_height" not in curtain
    if not is_gridded:
        _check_regriddable(curtain["height"].values, grid, where)
        curtain = map_rays(
            lambda ray: grid_curtain(apply_quality(ray, quality), grid, where=where), curtain
        )
    if spacing_m is not None:
        curtain = average_along_track(curtain, spacing_m, where=where)
    if is_gridded:
        return curtain
    return map_rays(lambda ray: flag_below_floor(ray, quality.sensitivity_floor_dbz), curtain)


def _check_regriddable(heights: np.ndarray, grid: Grid, where: str) -> None:
    """Checks that gates at nominal heights [m] can become the rows of a grid."""
    expected = grid.centres_m
    spacing = float(np.median(np.diff(heights))) if heights.size > 1 else 0.0
    # A gate in the highest row is enough for it: a top a few centimetres low loses nothing.
    is_low = heights[-1] < grid.top_m - grid.row_depth_m
    if spacing > COARSER * grid.row_depth_m or heights.size < 2 or is_low:
        raise CurtainError(
            f"{where}: {heights.size} gates every {spacing:g} m from {heights[0]:g} to"
            f" {heights[-1]:g} m cannot become the grid that the checkpoint was made for,"
            f" {expected.size} rows every {grid.row_depth_m:g} m from {expected[0]:g} to"
            f" {expected[-1]:g} m; a checkpoint for a grid no finer and no higher is right"
        )
