"""How many forward passes a window needs: as many as its interval bounds ask for."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field, field_validator

from blindzone.core.configuration import configuration
from blindzone.core.errors import ModelError

Count = Annotated[int, Field(ge=2)]
Level = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]


@configuration(error=ModelError, what="adaptive sampling")
class AdaptiveSampling:
    """As many forward passes of each window as its interval bounds need."""

    tolerance_db: float = 0.25
    """Monte Carlo standard error of the interval bounds [dB] that is small enough."""
    least: Count = 16
    """Number of passes after which the error is first estimated, and again after each as many."""
    most: Count = 200
    """Number of passes at which sampling ends in any case."""
    share: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 0.99
    """Share of a window's pixels that must meet the tolerance [1]."""
    levels: Annotated[tuple[Level, ...], Field(min_length=1)] = (0.05, 0.95)
    """Levels of the bounds [1]."""
    values: Count = 50
    """Number of ordered intensities that are returned, whatever the number of passes."""

    @field_validator("tolerance_db")
    @classmethod
    def _check_tolerance(cls, tolerance_db: float) -> float:
        if not 0 < tolerance_db < math.inf:
            raise ValueError(f"a positive number of dB is right; found {tolerance_db}")
        return tolerance_db

    def __post_init__(self) -> None:
        if self.most < self.least:
            raise ValueError(f"most must be no less than least; found {self.most} and {self.least}")
