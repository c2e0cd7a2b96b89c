"""How ensemble members depend in time and height: a Gaussian copula of few parameters.

A member is a field of levels u = Phi(x) at which each pixel's own quantile function is read
(`stored_distribution`). So each pixel follows its predictive distribution over all members,
whatever the dependence. Echo comes in patches where x is coherent. The field is a sum over scales
s,

    x(t, h) = sum over s of sqrt(w[regime(t), s]) y_s(t, h),
    corr(y_s(t, h), y_s(t', h')) = M(|t - t'| / T_s) M(|h - h'| / H),
    M(d) = (1 + sqrt(3) d) exp(-sqrt(3) d),

Matern's correlation with smoothness 3/2. Rougher fields speckle the edges of echo: exponential
correlation fits the levels of the truth as closely, and its spectra are far from the truth's
(`docs/members.md`). The shares w depend on the visible echo above the profile (`Regime`). The y_s
are drawn once and do not, so neighbours of two regimes depend too. All regimes share the ladder of
times T_s and the length H.

In time each y_s and its derivative are a Markov process, exact at any spacing of profiles
(Hartikainen and Sarkka 2010, IEEE MLSP, 379): gaps and uneven profiles need no care, and a field
goes on from where it ended. From above, time is distance along the track over `WIND_M_S`.
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

_ROUNDING = 1e-3
"""How far shares may add up to other than 1: they are rounded where they are kept."""

WIND_M_S = 10.0
"""Speed [m s-1] at which distance becomes time: that of the emulated training sources
(`data_catalog.yaml`, `wind: 10`)."""

TIMES_S = (60.0, 300.0, 1500.0, 7500.0, 37500.0)
"""Times T [s] of the scales. The shares decide; a denser ladder scores no better. With a shortest
time of 30 s the spectra of members have too much of short waves."""

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
            if len(shares) != len(self.times_s) or abs(sum(shares) - 1) > _ROUNDING:
                raise ValueError(
                    f"{len(self.times_s)} shares that add up to 1 are right for each regime;"
                    f" found {shares}"
                )

    def amplitudes(self, regimes: np.ndarray) -> np.ndarray:
        """Returns the amplitude of each scale `(time, scale)`.

        Args:
            regimes: `Regime` of each profile `(time,)`.
        """
        shares = np.array([self.touching, self.aloft, self.clear, self.clear])
        table = np.sqrt(shares / shares.sum(axis=1, keepdims=True))
        return np.asarray(table[regimes])


PALAISEAU = MemberDependence(
    touching=(0.5419, 0.0, 0.2842, 0.0424, 0.1315),
    aloft=(0.0856, 0.0, 0.3494, 0.0, 0.565),
    clear=(0.0, 0.0219, 0.0798, 0.1566, 0.7418),
    height_m=600.0,
)
"""The default, for networks whose calibration has no fit of its own: of the first shipped
ground-radar network on the training and validation days of Palaiseau. `python benchmarks/members.py
--fit` makes such a one; `blindzone calibrate` fits that of another network."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FieldState:
    """Where a member's field ended, from which it goes on.

    Attributes:
        random: The member's own draws, not used since.
        seconds: Time of the last profile [s]; None before the first.
        scales: Its value and derivative of each scale, in units of their spread,
            `(2, scale, row)`; None before the first.
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


def correlate(distance: np.ndarray) -> np.ndarray:
    """Returns Matern's correlation with smoothness 3/2 at a distance in units of its length."""
    scaled = np.sqrt(3) * np.abs(distance)
    return np.asarray((1 + scaled) * np.exp(-scaled))


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
        Unit normal values, float32 `(time, scale, row)`.
    """
    random = deepcopy(state.random)
    times = np.asarray(dependence.times_s)
    shape = (2, times.size, heights_m.size)
    apart = (heights_m[:, None] - heights_m) / dependence.height_m
    # The least of a variance keeps the factor of rows that are all but equal finite.
    root = np.linalg.cholesky(correlate(apart) + 1e-6 * np.eye(heights_m.size))
    normal = random.standard_normal((seconds.size, *shape), dtype=np.float32)
    drawn = normal @ root.T.astype(np.float32)
    first = np.inf if state.seconds is None else seconds[0] - state.seconds
    steps = np.abs(np.concatenate([[first], np.diff(seconds)]))
    links, innovations = _find_transitions(steps[:, None] / times)
    last = np.zeros(shape, dtype=np.float32) if state.scales is None else state.scales
    values = innovations[:, 0] * drawn[:, 0]  # (time, scale, row); what is linked is added
    slopes = innovations[:, 1] * drawn[:, 0] + innovations[:, 2] * drawn[:, 1]
    value, slope = last
    for (link_a, link_b, link_c, link_d), of_value, of_slope in zip(
        links, values, slopes, strict=True
    ):
        before = value
        value = np.add(link_a * before + link_b * slope, of_value, out=of_value)
        slope = np.add(link_c * before + link_d * slope, of_slope, out=of_slope)
    last = np.stack([value, slope])
    return values, FieldState(random=random, seconds=float(seconds[-1]), scales=last)


def _find_transitions(steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns how value and derivative go on over steps in units of T, `(time, 4 or 3, scale, 1)`.

    The former are the transition's rows, the latter the Cholesky factor of what is drawn anew: the
    derivative is in units of its spread, sqrt(3) / T, so both have variance 1 and no covariance.
    """
    # Beyond 50 T nothing is left.
    rate = np.sqrt(3) * np.minimum(steps, 50.0)
    fall = np.exp(-rate)
    link = np.stack([(1 + rate) * fall, rate * fall, -rate * fall, (1 - rate) * fall], axis=1)
    of_value = np.maximum(1 - link[:, 0] ** 2 - link[:, 1] ** 2, 0.0)
    both = -(link[:, 0] * link[:, 2] + link[:, 1] * link[:, 3])
    of_slope = np.maximum(1 - link[:, 2] ** 2 - link[:, 3] ** 2, 0.0)
    first = np.sqrt(of_value)
    across = both / np.maximum(first, 1e-12)
    second = np.sqrt(np.maximum(of_slope - across**2, 0.0))
    innovation = np.stack([first, across, second], axis=1)
    return link[..., None].astype(np.float32), innovation[..., None].astype(np.float32)


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
