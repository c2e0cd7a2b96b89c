"""Ensemble members under several laws, all weighted: means, variances and quantiles.

A quantity has a value x_lk under each law l, of weight w_l, for each of K equally likely members k.
By the law of total variance, with m_l the mean of the members under a law and m that over laws,

    var x = sum_l w_l mean_k (x_lk - m_l)^2  +  sum_l w_l (m_l - m)^2

where the first part is the spread of members, the second that between laws.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True, eq=False)
class Moments:
    """Mean and parts of the variance, any shape.

    Attributes:
        mean: Mean over members and laws.
        of_members: Variance of members, mean over laws.
        of_laws: Variance between laws of the mean of members.
    """

    mean: np.ndarray
    of_members: np.ndarray
    of_laws: np.ndarray


def find_moments(values: np.ndarray, weights: np.ndarray) -> Moments:
    """Returns mean and parts of the variance.

    Args:
        values: The quantity `(law, realization, ...)`.
        weights: Weights of the laws `(law,)`, which sum to 1.
    """
    values = values.astype(np.float64, copy=False)
    by_law = values.mean(axis=1)
    mean = np.tensordot(weights, by_law, axes=1)
    return Moments(
        mean=mean,
        of_members=np.tensordot(weights, values.var(axis=1), axes=1),
        of_laws=np.tensordot(weights, (by_law - mean) ** 2, axes=1),
    )


def find_quantiles(values: np.ndarray, weights: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Returns quantiles over members and laws, `(quantile, ...)`.

    A sorted value is at the level of the middle of its weight, and levels in between are linear
    (Hazen's plotting position, for weights that are equal).

    Args:
        values: The quantity `(law, realization, ...)`.
        weights: Weights of the laws `(law,)`, which sum to 1.
        levels: Levels of the quantiles, inside (0, 1), `(quantile,)`.
    """
    laws, members, *shape = values.shape
    flat = values.reshape(laws * members, -1)  # (law and member, any)
    if laws == 1:
        ordered = np.sort(flat, axis=0)
        at = np.clip(np.asarray(levels) * members - 0.5, 0, members - 1)
        below = np.minimum(at.astype(np.intp), max(members - 2, 0))
        above = np.minimum(below + 1, members - 1)
        share = (at - below)[:, None]
        found = ordered[below] * (1 - share) + ordered[above] * share
    else:
        each = np.repeat(weights / members, members)
        order = np.argsort(flat, axis=0)
        ordered = np.take_along_axis(flat, order, axis=0)
        middles = np.cumsum(each[order], axis=0) - each[order] / 2
        columns = range(flat.shape[1])
        found = np.stack(
            [np.interp(levels, middles[:, at], ordered[:, at]) for at in columns], axis=-1
        )
    return np.asarray(found).reshape(len(levels), *shape)
