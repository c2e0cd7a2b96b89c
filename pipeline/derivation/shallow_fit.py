"""Fits `HiddenEcho` to days: how often members have hidden echo under a clear sky, and the truth.

Both are isotonic curves of x, the largest probability of echo among the hidden rows: q(x) of the
members, c(x) of the truth. Days differ far more than networks are wrong: of n days, the own rate
counts n / (n + K) and the members' K / (n + K),

    a(x) = min(1, (n c(x) / q(x) + K) / (n + K)).

Under a clear sky the members' rate is that of the training days. With K = 0 five calm days in a row
would be taken for the climate: over the 28 training and validation days of Palaiseau, blocks of
five days fitted and the next five scored, K = 5 to 16 has the lowest Brier scores and K = 0 the
highest (`docs/derived.md`). Members cannot gain echo: a is at most 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import reduce
from operator import add

import numpy as np

from blindzone.pipeline.derivation.shallow import HiddenEcho
from blindzone.pipeline.inpainting.calibration_fit import isotonic_curve
from blindzone.pipeline.verification.class_scores import ReliabilitySums, sum_reliability

_DECIMALS = 4
"""Of the shares: finer than any of them is known."""
_LEAST = 1e-6
"""Where members have hidden echo less often than this, it is nothing to be corrected."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ClearSky:
    """Profiles of a day without echo above the blind zone.

    Attributes:
        largest: Largest probability of echo among the hidden rows with trusted truth `(time,)`.
        members: Share of the members with echo in any of them `(time,)`.
        echo: Whether there was any, bool `(time,)`.
    """

    largest: np.ndarray
    members: np.ndarray
    echo: np.ndarray


def fit_hidden_echo(days: Sequence[ClearSky], prior_days: float) -> HiddenEcho | None:
    """Returns the curve of days, None if none of them has a profile with a clear sky.

    Args:
        days: The profiles of each day.
        prior_days: K, for how many days the members' own rate counts.
    """
    clear = [day for day in days if day.echo.size]
    if not clear:
        return None
    largest, members, echo = (
        np.concatenate([getattr(day, field.name) for day in clear]) for field in fields(ClearSky)
    )
    had, found = isotonic_curve(largest, members), isotonic_curve(largest, echo)
    ratio = np.where(had > _LEAST, found / np.maximum(had, _LEAST), 1.0)
    shares = (len(clear) * ratio + prior_days) / (len(clear) + prior_days)
    kept = np.round(np.minimum(shares, 1.0), _DECIMALS)
    return HiddenEcho(shares=tuple(kept.tolist()), days=len(clear), prior_days=prior_days)


def compare_days(
    days: Sequence[ClearSky], prior_days: float
) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """Returns scores of the members' own chance, and of that by a curve of the other days.

    None are known of less than two days with a clear sky.
    """
    clear = [day for day in days if day.echo.size]
    if len(clear) < 2:
        return {}, {}
    before, after = [], []
    for number, day in enumerate(clear):
        others = fit_hidden_echo(clear[:number] + clear[number + 1 :], prior_days)
        share = 1.0 if others is None else others.find(day.largest)
        before.append(sum_reliability(day.members, day.echo))
        after.append(sum_reliability(share * day.members, day.echo))
    return _summarize(before), _summarize(after)


def _summarize(days: Sequence[ReliabilitySums]) -> dict[str, float]:
    whole = reduce(add, days)
    names = ("happened", "stated", "brier", "reliability")
    return {f"hidden echo: {name}": float(getattr(whole, name)) for name in names}
