"""How ensemble members depend in time and height: a Gaussian copula of few parameters.

A member is a field of levels u = Phi(x) at which each pixel's own quantile function is read
(`stored_distribution`). So each pixel follows its predictive distribution over all members,
whatever the dependence. Echo comes in patches where x is coherent. The field is a sum over scales
s,

    x(t, h) = sum over s of sqrt(w[regime(t), s]) y_s(t, h),
    corr(y_s(t, h), y_s(t', h')) = exp(-|t - t'| / T_s - |h - h'| / H),

and white noise with the share that is left. The shares w depend on the visible echo above the
profile (`Regime`). The y_s are drawn once and do not, so neighbours of two regimes depend too. All
regimes share the ladder of times T_s and the length H.

Exponential correlation is that of a first-order autoregression, exact at any spacing of profiles
(Uhlenbeck and Ornstein 1930, Phys. Rev. 36, 823): gaps and uneven profiles need no care, and a
field goes on from where it ended. From above, time is distance along the track over `WIND_M_S`.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field
from scipy.special import ndtr

from blindzone.core.configuration import configuration
from blindzone.core.errors import CurtainError
from blindzone.pipeline.verification.curtain_scores import Regime

WIND_M_S = 10.0
"""Speed [m s-1] at which distance becomes time: that of the emulated training sources
(`data_catalog.yaml`, `wind: 10`)."""

TIMES_S = (30.0, 300.0, 1800.0, 7200.0, 36000.0)
"""Times T [s] of the scales. The shares decide; a denser ladder fits no closer."""

Shares = tuple[Annotated[float, Field(ge=0, le=1)], ...]


@configuration(error=CurtainError, what="dependence of members")
class MemberDependence:
    """Shares of the scales in each regime."""

    touching: Shares
    """Where echo touches the blind zone's top: one share for each of `times_s`."""
    aloft: Shares
    """Where there is echo above, but not at the top."""
    clear: Shares
    """Where there is none."""
    height_m: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """Length H [m] over which the correlation falls to 1/e in height."""
    times_s: tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...] = TIMES_S
    """Times T [s] over which it does in time."""

    def __post_init__(self) -> None:
        for shares in (self.touching, self.aloft, self.clear):
            if len(shares) != len(self.times_s) or sum(shares) > 1 + 1e-6:
                raise ValueError(
                    f"{len(self.times_s)} shares that add up to at most 1 are right for each"
                    f" regime; found {shares}"
                )

    def amplitudes(self, regimes: np.ndarray) -> np.ndarray:
        """Returns the amplitude of each scale, and last of the noise, `(time, scale + 1)`.

        Args:
            regimes: `Regime` of each profile `(time,)`.
        """
        shares = np.array([self.touching, self.aloft, self.clear, self.clear])
        noise = np.clip(1 - shares.sum(axis=1, keepdims=True), 0, 1)
        table = np.sqrt(np.concatenate([shares, noise], axis=1))
        return np.asarray(table[regimes])


PALAISEAU = MemberDependence(
    touching=(0.1752, 0.302, 0.1453, 0.1893, 0.0798),
    aloft=(0.0378, 0.0066, 0.3419, 0.0, 0.578),
    clear=(0.023, 0.0296, 0.0643, 0.0, 0.8441),
    height_m=1000.0,
)
"""The default, for networks whose calibration has no fit of its own: of the shipped ground-radar
network on the training and validation days of Palaiseau. `python benchmarks/members.py --fit` makes
it; `blindzone calibrate` fits that of another network."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FieldState:
    """Where a member's field ended, from which it goes on.

    Attributes:
        random: The member's own draws, not used since.
        seconds: Time of the last profile [s]; None before the first.
        scales: Its value of each scale `(scale, row)`.
    """

    random: np.random.Generator
    seconds: float | None = None
    scales: np.ndarray | None = None


def begin_field(seed: int, member: int, ray: int = 0) -> FieldState:
    """Returns the beginning of a member's field: its own, however many members are drawn.

    Args:
        seed: Seed of all members.
        member: Number of the member.
        ray: Number of the ray of a swath.
    """
    return FieldState(random=np.random.default_rng([seed, member, ray]))


def continue_field(
    state: FieldState, seconds: np.ndarray, heights_m: np.ndarray, dependence: MemberDependence
) -> tuple[np.ndarray, FieldState]:
    """Returns the scales of a member's field for further profiles, and where it ended then.

    Args:
        state: Where the field ended.
        seconds: Times of the profiles, increasing [s] `(time,)`.
        heights_m: Heights of the rows [m] `(row,)`.
        dependence: How members depend.

    Returns:
        Unit normal values, float32 `(time, scale + 1, row)`, the noise last.
    """
    random = deepcopy(state.random)
    scales = len(dependence.times_s)
    values = random.standard_normal((seconds.size, scales + 1, heights_m.size), dtype=np.float32)
    down = np.exp(-np.abs(np.diff(heights_m)) / dependence.height_m)
    for row, link in enumerate(down, start=1):
        fresh = np.sqrt(1 - link**2) * values[:, :scales, row]
        values[:, :scales, row] = link * values[:, :scales, row - 1] + fresh
    first = np.inf if state.seconds is None else seconds[0] - state.seconds
    steps = np.concatenate([[first], np.diff(seconds)])
    link = np.exp(-np.abs(steps)[:, None] / np.asarray(dependence.times_s))
    fresh_share = np.sqrt(-np.expm1(2 * np.log(np.maximum(link, 1e-300))))
    links, shares = (x.astype(np.float32)[..., None] for x in (link, fresh_share))
    last = np.zeros((scales, heights_m.size), np.float32) if state.scales is None else state.scales
    for profile, link_of, share in zip(values[:, :scales], links, shares, strict=True):
        profile *= share
        profile += link_of * last
        last = profile
    return values, FieldState(random=random, seconds=float(seconds[-1]), scales=last.copy())


def find_field_levels(
    scales: np.ndarray, regimes: np.ndarray, dependence: MemberDependence
) -> np.ndarray:
    """Returns a member's field of levels u = Phi(x) `(time, row)`, of which each is uniform.

    Each regime has its shares of the scales.

    Args:
        scales: As `continue_field` returns them.
        regimes: `Regime` of each profile `(time,)`.
        dependence: How members depend.
    """
    amplitudes = dependence.amplitudes(regimes).astype(np.float32)
    return np.asarray(ndtr(np.einsum("ts,tsr->tr", amplitudes, scales).astype(np.float64)))


REGIMES: Sequence[Regime] = (Regime.TOUCHING, Regime.ALOFT, Regime.CLEAR)
"""Regimes that have shares of their own; a profile whose regime is not known has those of clear."""
