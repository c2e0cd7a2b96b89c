"""Applicability: how far each profile of a curtain is outside a network's training data.

Intervals are calibrated on some days of some radar. For another band, another sensitivity or
another kind of weather their coverage is not known, and nothing in an interval says so. An
`Applicability` is fitted to whole days and is part of the checkpoint. For each profile its
`OutOfRangeFlag` says which bounds are exceeded.

The score of a profile compares its visible part (`inpainting.visible_features`) with those of the
fitted days:

    score = distance to the nearest reference profile / 99th percentile of that distance on withheld
    days

The distance to the nearest neighbour recognises data out of distribution well (Sun et al. 2022,
arXiv 2204.06507). `inpainting.applicability_fit` takes references and percentile from the days.

Neither flag nor score says how wrong an interval is. Profiles that look like the fitted days may
hide something else below, as at another site: so another site has a bit of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
import xarray as xr
from pydantic import Field

from blindzone.core.configuration import configuration, read_plain, to_plain
from blindzone.core.errors import CurtainError
from blindzone.pipeline.curtains.curtain import check_radar
from blindzone.pipeline.curtains.flags import OutOfRangeFlag
from blindzone.pipeline.curtains.gridding import Grid
from blindzone.pipeline.inpainting.visible_features import (
    POSITION,
    VisibleData,
    describe_visible,
    find_bands,
    find_distance,
    list_predictors,
    standardize,
)
from blindzone.pipeline.network_input.preprocessing import Preprocessing

RARE_SHARE = 0.01
"""What fewer of the fitted profiles than this had, or lacked, counts as absent from the training
data."""
BAND_FACTOR = 1.1
"""Frequencies within this factor are one band: 94 and 95 GHz are, or 33 and 36 GHz; 24 and 35 GHz
are not."""
TIME_STEP_FACTOR = 1.25
"""Steps between profiles within this factor are alike: a window then spans at most a quarter more
or less time."""
SENSITIVITY_MARGIN_DB = 3.0
"""By how much the sensitivity may be worse [dB]; the weakest echo of days of one radar differs by 2
dB."""
SAME_SITE_KM = 100.0
"""Profiles further than this from each fitted site are of another one [km]."""

_EARTH_RADIUS_KM = 6371.0

Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@configuration(error=CurtainError, what="applicability")
class Applicability:
    """Range of the training data of a network."""

    grid: Grid
    """Height grid."""
    hidden_rows: int
    """Number of lowest rows that are never compared: those that the network predicts."""
    floor_dbz: Finite
    """Sensitivity floor of the network [dBZ]."""
    frequency_ghz: Positive | None
    """Radar frequency [GHz], if known."""
    sites: tuple[tuple[float, float], ...] | None
    """Latitude and longitude [degree] of each site that is known; `None` if a platform moved."""
    weakest_echo_dbz: Finite
    """The 1 % quantile of visible echo [dBZ], of the day on which it was highest."""
    time_steps_s: tuple[Finite, Finite]
    """Shortest and longest time between profiles [s], the median of a day."""
    presence: dict[str, Finite]
    """Share of the profiles that have each predictor: `reflectivity`, then the measured
    channels."""
    centres: tuple[tuple[Finite, ...], ...]
    """Mean of the summaries of each kind and band `(kind, band)`; 0 for reflectivity."""
    scales: tuple[Positive, ...]
    """Root mean square of the summaries of each kind about their centres `(kind,)`."""
    references: tuple[tuple[Finite, ...], ...]
    """Features of the reference profiles `(reference, feature)`."""
    limit: Positive
    """The distance that scores 1."""
    days: int
    """Number of fitted days."""

    def __post_init__(self) -> None:
        if not 0 <= self.hidden_rows < self.grid.rows:
            raise ValueError(
                f"hidden_rows: fewer than the {self.grid.rows} of the grid are right; found"
                f" {self.hidden_rows}"
            )
        kinds, bands = 1 + len(self.presence), find_bands(self.grid.rows - self.hidden_rows).size
        _check_shape("centres", self.centres, kinds, bands)
        _check_shape("scales", [self.scales], 1, kinds)
        _check_shape("references", self.references, len(self.references), 2 * kinds * bands)
        if not self.references:
            raise ValueError("references: one at least is right; found none")

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as plain values, for JSON."""
        return to_plain(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Applicability:
        """Returns the applicability that `to_dict` gave.

        Raises:
            CurtainError: If it is not understood.
        """
        return read_plain(cls, content, where="the checkpoint's applicability", error=CurtainError)

    def assess(
        self,
        curtain: xr.Dataset,
        preprocessing: Preprocessing,
        *,
        frequency_ghz: float | None = None,
        floor_dbz: float | None = None,
    ) -> xr.Dataset:
        """Returns how far each profile of a curtain is outside the training data.

        Args:
            curtain: Gridded radar curtain `(time, height)`, with its collocated fields where the
                network uses them.
            preprocessing: How curtains become input of the network.
            frequency_ghz: Radar frequency of the curtain [GHz], if known.
            floor_dbz: Sensitivity floor that the curtain's source states [dBZ], if it does.

        Returns:
            `out_of_range_flag` (int16, bits of `OutOfRangeFlag`) and `out_of_range_score`
            (float32), both `(time,)`, with the curtain's times. The score is NaN where nothing is
            visible, and throughout if the grid differs.

        Raises:
            CurtainError: If the curtain has no radar echo, or the applicability is that of
                another network.
        """
        check_radar(curtain, where="out-of-range assessment")
        self._check_network(preprocessing)
        flag = np.full(curtain.sizes["time"], self._compare_source(frequency_ghz, floor_dbz))
        if self.sites is not None:
            flag[_find_elsewhere(curtain, self.sites)] |= OutOfRangeFlag.SITE_DIFFERS
        if not self.grid.matches(curtain["height"].values):
            return _make_assessment(
                curtain, flag | OutOfRangeFlag.GRID_DIFFERS, np.full(flag.size, np.nan)
            )
        visible = describe_visible(curtain, preprocessing)
        flag |= self._compare_sampling(visible)
        for name, present in visible.present.items():
            alike = np.where(present, self.presence[name], 1 - self.presence[name])
            flag[alike < RARE_SHARE] |= OutOfRangeFlag.PREDICTORS_DIFFER
        score = self._score(visible)
        with np.errstate(invalid="ignore"):
            flag[score > 1] |= OutOfRangeFlag.PROFILE_UNLIKE_TRAINING
        flag[~visible.visible] |= OutOfRangeFlag.NO_VISIBLE_DATA
        return _make_assessment(curtain, flag, score)

    def _check_network(self, preprocessing: Preprocessing) -> None:
        ours = (self.grid, self.hidden_rows, self.floor_dbz, tuple(self.presence))
        asked = (
            preprocessing.grid,
            preprocessing.compared_rows,
            preprocessing.floor_dbz,
            list_predictors(preprocessing),
        )
        if ours != asked:
            raise CurtainError(
                f"the applicability was fitted for another network: it has {ours}; this network has"
                f" {asked}"
            )

    def _compare_source(self, frequency_ghz: float | None, floor_dbz: float | None) -> int:
        """Returns the bits that follow from the source alone."""
        bits = 0
        if frequency_ghz is None or self.frequency_ghz is None:
            bits |= OutOfRangeFlag.BAND_UNKNOWN
        elif not 1 / BAND_FACTOR <= frequency_ghz / self.frequency_ghz <= BAND_FACTOR:
            bits |= OutOfRangeFlag.BAND_DIFFERS
        # Of a more sensitive source the network's own floor removes the weaker echo.
        if floor_dbz is not None and floor_dbz > self.floor_dbz + SENSITIVITY_MARGIN_DB:
            bits |= OutOfRangeFlag.SENSITIVITY_DIFFERS
        return bits

    def _compare_sampling(self, visible: VisibleData) -> int:
        """Returns the bits of a whole curtain."""
        bits = 0
        shortest, longest = self.time_steps_s
        # NaN is not alike either.
        if not shortest / TIME_STEP_FACTOR <= visible.step_s <= longest * TIME_STEP_FACTOR:
            bits |= OutOfRangeFlag.TIME_STEP_DIFFERS
        if visible.weakest_echo_dbz > self.weakest_echo_dbz + SENSITIVITY_MARGIN_DB:
            bits |= OutOfRangeFlag.SENSITIVITY_DIFFERS
        return bits

    def _score(self, visible: VisibleData) -> np.ndarray:
        """Returns the score `(time,)` as it is published, float32."""
        features = standardize(visible, np.asarray(self.centres), np.asarray(self.scales))
        distance = find_distance(features, np.asarray(self.references))
        return np.where(visible.visible, distance / self.limit, np.nan).astype(np.float32)


def _make_assessment(curtain: xr.Dataset, flag: np.ndarray, score: np.ndarray) -> xr.Dataset:
    variables = {
        "out_of_range_flag": ("time", flag.astype(np.int16)),
        "out_of_range_score": ("time", score.astype(np.float32)),
    }
    return xr.Dataset(variables, {"time": curtain["time"].values})


def _check_shape(name: str, lines: Sequence[Sequence[float]], count: int, length: int) -> None:
    found = [len(line) for line in lines]
    if found != [length] * count:
        raise ValueError(f"{name}: {count} lines of {length} numbers are right; found {found}")


def _find_elsewhere(curtain: xr.Dataset, sites: Sequence[tuple[float, float]]) -> np.ndarray:
    """Returns which profiles `(time,)` are not known to be within 100 km of a site."""
    shape = (curtain.sizes["time"], 1)
    north, east = (
        np.broadcast_to(np.radians(curtain[name].values.reshape(-1, 1)), shape) for name in POSITION
    )
    north_of, east_of = np.radians(np.reshape(sites, (-1, 2))).T
    cosine = np.sin(north) * np.sin(north_of) + np.cos(north) * np.cos(north_of) * np.cos(
        east - east_of
    )
    # NaN is not near either.
    near = _EARTH_RADIUS_KM * np.arccos(np.clip(cosine, -1, 1)) <= SAME_SITE_KM
    elsewhere: np.ndarray = ~np.any(near, axis=1)
    return elsewhere
