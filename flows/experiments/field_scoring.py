"""Members of whole days, scored as fields, and the dependence that is fitted to such days."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
import xarray as xr

from blindzone.core.forward_passes import Passes
from blindzone.core.progress import OnProgress, ignore_progress
from blindzone.flows.running.source_data import SourceData
from blindzone.flows.running.trained_network import TrainedNetwork
from blindzone.pipeline.curtains.along_track import looks_down
from blindzone.pipeline.derivation.shallow_fit import ClearSky
from blindzone.pipeline.inpainting.dependence_fit import DependenceSums, sum_pairs
from blindzone.pipeline.inpainting.inpaint_curtain import check_fits
from blindzone.pipeline.inpainting.member_dependence import (
    WIND_M_S,
    MemberDependence,
    begin_field,
    continue_field,
    find_field_levels,
)
from blindzone.pipeline.inpainting.stored_distribution import StoredDistribution
from blindzone.pipeline.network_input.inference_windows import find_stretches
from blindzone.pipeline.verification.curtain_scores import (
    Regime,
    ScoredLayer,
    find_regimes,
    raise_to_floor,
)
from blindzone.pipeline.verification.field_scores import RANKED_MEMBERS, FieldSums, sum_fields
from blindzone.pipeline.verification.schaake import SchaakeShuffle

CLEAR_SKY_MEMBERS = 50
"""Members over which hidden echo is counted: enough for shares of a hundredth."""


@dataclass(frozen=True, kw_only=True, eq=False)
class DayFields:
    """A day's truth and distributions, of the scored rows alone.

    Attributes:
        truth: Measured max(dBZ, floor) [dBZ] `(time, row)`.
        visible: The same above the blind zone `(time, visible row)`.
        scored: Pixels whose truth counts, bool `(time, row)`.
        distribution: Distribution of each pixel, profile by profile.
        median: Median field [dBZ] `(time, row)`.
        regimes: `Regime` of each profile `(time,)`.
        seconds: Times of the profiles, or distance over wind [s] `(time,)`.
        heights_m: Heights of the rows [m].
        stretches: Profiles without a gap between them.
    """

    truth: np.ndarray
    visible: np.ndarray
    scored: np.ndarray
    distribution: StoredDistribution
    median: np.ndarray
    regimes: np.ndarray
    seconds: np.ndarray
    heights_m: np.ndarray
    stretches: tuple[slice, ...]

    def find_levels(self, field: np.ndarray, seed: int) -> np.ndarray:
        """Returns the levels of a field `(time, row)` in the distributions, of the same shape."""
        random = np.random.default_rng(seed)
        pixel = np.arange(field.size)
        return self.distribution.find_levels(pixel, field.ravel(), random).reshape(field.shape)

    def draw(self, dependence: MemberDependence, count: int, seed: int) -> np.ndarray:
        """Returns members `(member, time, row)`."""
        return np.stack(list(self._draw(dependence, count, seed)))

    def _draw(self, dependence: MemberDependence, count: int, seed: int) -> Iterator[np.ndarray]:
        everywhere = np.ones(self.truth.shape, dtype=bool)
        for member in range(1, count + 1):
            state = begin_field(seed, member)
            scales, _ = continue_field(state, self.seconds, self.heights_m, dependence)
            levels = find_field_levels(scales, self.regimes, dependence)
            yield self.distribution.read_field(levels, everywhere)

    def shuffle(self, schaake: SchaakeShuffle, count: int) -> np.ndarray:
        """Returns the members of a Schaake shuffle `(member, time, row)`."""
        everywhere = np.ones(self.truth.shape, dtype=bool)
        levels = schaake.draw_levels(self.visible, count, self.truth.shape[1])
        return np.stack([self.distribution.read_field(level, everywhere) for level in levels])

    def score(self, members: np.ndarray, seed: int = 0) -> FieldSums:
        """Returns the sums of members `(member, time, row)`."""
        ranked = [
            self.find_levels(member, seed + number)
            for number, member in enumerate(members[:RANKED_MEMBERS], start=1)
        ]
        return sum_fields(
            self.truth,
            members,
            self.median,
            truth_levels=self.find_levels(self.truth, seed),
            member_levels=np.stack(ranked),
            scored=self.scored,
            seconds=self.seconds,
            stretches=self.stretches,
        )

    def find_clear_sky(self, dependence: MemberDependence, seed: int = 0) -> ClearSky:
        """Returns the profiles without echo above the zone, counted over `CLEAR_SKY_MEMBERS`."""
        chosen = (self.regimes == Regime.CLEAR) & self.scored.all(axis=1)
        floor = np.float32(self.distribution.floor_dbz)
        members = np.zeros(chosen.sum())
        for field in self._draw(dependence, CLEAR_SKY_MEMBERS, seed):
            members += (field[chosen] > floor).any(axis=1)
        probability = self.distribution.probability.reshape(self.truth.shape)[chosen]
        return ClearSky(
            largest=probability.max(axis=1),
            members=members / CLEAR_SKY_MEMBERS,
            echo=(self.truth[chosen] > floor).any(axis=1),
        )

    def sum_pairs(self, seed: int = 0) -> DependenceSums:
        """Returns what a dependence is fitted to."""
        return sum_pairs(
            self.find_levels(self.truth, seed),
            self.distribution.probability.reshape(self.truth.shape),
            self.scored,
            seconds=self.seconds,
            regimes=self.regimes,
        )


def take_fields(curtain: xr.Dataset, summary: xr.Dataset, layer: ScoredLayer) -> DayFields:
    """Returns the truth and the distributions of a curtain.

    Args:
        curtain: The measured curtain `(time, height)`.
        summary: As `summarize_distribution` returns it, or a product.
        layer: Which rows are hidden and scored.
    """
    visible, hidden, trusted = layer.part(curtain)
    rows = slice(layer.lowest_row, layer.hidden_rows)
    probability, quantiles, given_echo = (
        summary[name].values[..., rows]
        for name in (
            "hydrometeor_probability",
            "reflectivity_quantile",
            "reflectivity_quantile_given_echo",
        )
    )
    known = np.isfinite(probability)
    levels = summary["quantile"].values
    flat = (levels.size, probability.size)
    distribution = StoredDistribution(
        probability=np.nan_to_num(probability).ravel(),
        quantiles=np.nan_to_num(quantiles, nan=layer.floor_dbz).reshape(flat),
        given_echo=np.nan_to_num(given_echo, nan=layer.floor_dbz).reshape(flat),
        levels=levels,
        floor_dbz=layer.floor_dbz,
    )
    times = curtain["time"].values
    seconds = (times - np.datetime64("1970-01-01")) / np.timedelta64(1, "s")
    if looks_down(curtain):
        seconds = curtain["along_track_distance"].values / WIND_M_S
    return DayFields(
        truth=raise_to_floor(hidden[:, rows], layer.floor_dbz),
        visible=raise_to_floor(visible, layer.floor_dbz),
        scored=trusted[:, rows] & known,
        distribution=distribution,
        median=quantiles[int(np.argmin(np.abs(levels - 0.5)))],
        regimes=find_regimes(visible, layer.floor_dbz, profiles=len(times)),
        seconds=seconds,
        heights_m=curtain["height"].values[rows],
        stretches=tuple(find_stretches(times, longest_gap_s=layer.longest_gap_s)),
    )


def predict_fields(
    data: SourceData,
    network: TrainedNetwork,
    layer: ScoredLayer,
    day: date,
    *,
    passes: Passes,
    seed: int = 0,
    on_progress: OnProgress = ignore_progress,
) -> DayFields:
    """Returns the truth of a day and what a network predicts of it.

    Raises:
        CurtainError: If the day does not fit the network.
    """
    curtain = data.read(day)
    check_fits(curtain, network.preprocessing, where=data.where(day))
    summary = network.fill(
        data.read_input(day, network.preprocessing, curtain),
        passes=passes,
        seed=seed,
        on_progress=on_progress,
        where=data.where(day),
    )
    return take_fields(curtain, summary, layer)


def fit_schaake(data: SourceData, layer: ScoredLayer, days: Iterable[date]) -> SchaakeShuffle:
    """Returns a Schaake shuffle of the measured fields of days."""
    schaake = SchaakeShuffle()
    rows = slice(layer.lowest_row, layer.hidden_rows)
    for day in days:
        visible, hidden, _ = layer.part(data.read(day))
        schaake.fit(
            raise_to_floor(visible, layer.floor_dbz),
            raise_to_floor(hidden[:, rows], layer.floor_dbz),
        )
    return schaake
