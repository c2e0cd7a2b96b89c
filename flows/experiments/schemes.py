"""The simple schemes that networks are compared with, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from blindzone.models.baselines import (
    Baseline,
    BaselineConfig,
    Climatology,
    ClimatologyConfig,
    LinearExtrapolation,
    LinearExtrapolationConfig,
    MarchingAverage,
    MarchingAverageConfig,
    Persistence,
    PersistenceWithBias,
)
from blindzone.models.boosting import DAY_AVERAGES, Boosting, BoostingConfig
from blindzone.pipeline.verification.curtain_scores import ScoredLayer
from blindzone.pipeline.verification.pixel_scores import EVALUATION_LEVELS

_SCHEMES: Mapping[str, Callable[..., Baseline[Any]]] = {
    "persistence": lambda **shape: Persistence(BaselineConfig(**shape)),
    "persistence_bias": lambda **shape: PersistenceWithBias(BaselineConfig(**shape)),
    "linear": lambda **shape: LinearExtrapolation(LinearExtrapolationConfig(**shape)),
    "marching_average": lambda **shape: MarchingAverage(MarchingAverageConfig(**shape)),
    "climatology": lambda **shape: Climatology(ClimatologyConfig(**shape)),
    "boosting": lambda **shape: Boosting(BoostingConfig(**shape)),
    "boosting_time": lambda **shape: Boosting(
        BoostingConfig(average_profiles=DAY_AVERAGES, **shape)
    ),
}

SCHEMES = tuple(_SCHEMES)
"""Names of the simple schemes, in tables and on the command line."""

FORMER_SCHEMES = {"repeat": "persistence", "repeat_bias": "persistence_bias"}
"""Schemes by their former names."""


CLIMATOLOGY_TRACK_M = 45_000.0
"""Track [m] below which a class of the climatology borrows: what drifts over a place in the 75
minutes of its default at 10 m s-1."""


def build_schemes(
    schemes: Sequence[str], layer: ScoredLayer, profile_spacing_m: float | None = None
) -> dict[str, Baseline[Any]]:
    """Returns simple schemes by name, not fitted yet.

    They predict the hidden rows of a layer at `EVALUATION_LEVELS`.

    Args:
        schemes: Names, of `SCHEMES`.
        layer: The rows that are hidden.
        profile_spacing_m: Distance between profiles [m] along a track, if they follow one.
    """
    shape: dict[str, Any] = {
        "hidden_rows": layer.hidden_rows,
        "floor_dbz": layer.floor_dbz,
        "levels": EVALUATION_LEVELS,
    }
    built = {scheme: _SCHEMES[scheme](**shape) for scheme in schemes}
    if "climatology" in built and profile_spacing_m is not None:
        least = max(1, round(CLIMATOLOGY_TRACK_M / profile_spacing_m))
        built["climatology"] = Climatology(ClimatologyConfig(**shape, minimum_profiles=least))
    return built
