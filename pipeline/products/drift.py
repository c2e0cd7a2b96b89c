"""Drift: how far the visible part of a day lies from that of the days that the network and its calibration saw.

Above the blind zone, three bands of height are looked at, each twice as high as the one below it.
In each,

    distance = least mean change of max(reflectivity, floor) that turns one distribution into the
    other [dB]

(the Wasserstein distance of order 1), so that a new bias of the radar by 3 dB, echo where there was
none and a lost transmitter all show in decibels. Beside it stand by how much echo is more frequent,
and by how much it is stronger.

Days differ. So an `InputReference` keeps, beside what all its days were like together, how far the
furthest of them lay from all the others, its limit in each band:

    score = largest, over the bands, of distance / limit

Of N further days like those of the reference, each band is left by about N / (days + 1)
(leave-one-out, as Barber et al. 2021, arXiv 1905.02928). The weather of a day varies by more than
radars err: what drifts slowly shows in means of occurrence and intensity over some weeks, for which
these two have their sign.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
import xarray as xr

from blindzone.core.errors import CurtainError
from blindzone.pipeline.curtains.cf import InpaintingFlag
from blindzone.pipeline.curtains.curtain import DetectionStatus, check_radar

BANDS = ("low", "middle", "high")
"""From the blind zone's top to twice its height, from there to four times, and all above."""

LEAST_DAYS = 3
"""Fewer days do not tell how much days differ."""

_LEVELS = 60
"""Levels of reflectivity above the floor, a decibel each; stronger echo counts as the strongest."""
_ENOUGH_ECHO = 1000
"""Pixels with echo, below which nothing is said of how strong it is."""
_SMALLEST_LIMIT_DB = 0.1
"""What never varied in the reference's days does not count for more [dB]."""


@dataclass(frozen=True, kw_only=True)
class InputReference:
    """What the visible part of some days was like.

    Attributes:
        edges_m: Lower edge of each band, and the top of the highest, above the ground [m]; `BANDS`
            from the lowest.
        floor_dbz: Sensitivity floor [dBZ]: weaker echo is none.
        shares: Of each band, the share of pixels without echo, then of those in each decibel above
            the floor `(band, 1 + level)`; the days count alike.
        limits_db: The distance that scores 1 in each band [dB].
        days: Number of days.
    """

    edges_m: tuple[float, ...]
    floor_dbz: float
    shares: tuple[tuple[float, ...], ...]
    limits_db: tuple[float, ...]
    days: int

    def __post_init__(self) -> None:
        shares, limits = (
            np.asarray(self.shares, dtype=float),
            np.asarray(self.limits_db, dtype=float),
        )
        bands = len(self.edges_m) - 1
        # Written so that NaN, which is neither, is refused too.
        is_right = (
            1 <= bands <= len(BANDS)
            and bool((np.diff(self.edges_m) > 0).all())
            and np.isfinite(self.floor_dbz)
        )
        if (
            not is_right
            or shares.shape != (bands, 1 + _LEVELS)
            or not np.allclose(shares.sum(axis=1), 1, atol=1e-3)
        ):
            raise CurtainError(
                f"input reference: bands of rising edges, {1 + _LEVELS} shares each that add up to"
                f" 1, and a floor are right; found {shares.shape} shares, edges {self.edges_m} m"
                f" and a floor of {self.floor_dbz} dBZ"
            )
        if limits.shape != (bands,) or not ((limits > 0) & np.isfinite(limits)).all():
            raise CurtainError(
                f"input reference: {bands} positive limits are right; found {self.limits_db}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as plain values, for JSON."""
        lists = {"edges_m": list(self.edges_m), "limits_db": list(self.limits_db)}
        return asdict(self) | lists | {"shares": [list(line) for line in self.shares]}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Returns what `to_dict` gave.

        Raises:
            CurtainError: If it is not understood.
        """
        try:
            values = dict(content)
            return cls(
                edges_m=tuple(map(float, values.pop("edges_m"))),
                shares=tuple(tuple(map(float, line)) for line in values.pop("shares")),
                limits_db=tuple(map(float, values.pop("limits_db"))),
                **values,
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CurtainError(
                f"the checkpoint's input reference is not understood: {error}"
            ) from error


def fit_inputs(
    curtains: Iterable[xr.Dataset], *, top_m: float, floor_dbz: float
) -> InputReference | None:
    """Returns what the visible part of days was like; None if fewer than `LEAST_DAYS` have any visible data.

    Args:
        curtains: Gridded radar curtains `(time, height)` of one grid, one a day; each is looked at
            once.
        top_m: Height of the blind zone's top above the ground [m].
        floor_dbz: Sensitivity floor [dBZ].

    Raises:
        CurtainError: If a curtain holds no radar echo, or other rows than the first.
    """
    heights: np.ndarray | None = None
    edges: tuple[float, ...] = ()
    days = []
    for number, curtain in enumerate(curtains, start=1):
        check_radar(curtain, where=f"input reference, curtain {number}")
        found = curtain["height"].values
        if heights is None:
            heights, edges = found, _find_edges(found, top_m)
        if not np.array_equal(found, heights):
            raise CurtainError(
                f"input reference, curtain {number}: {found.size} rows up to {found[-1]:.1f} m; the"
                f" {heights.size} rows up to {heights[-1]:.1f} m of the first are right"
            )
        looked = curtain["detection_status"].values != DetectionStatus.NO_DATA
        counts = _count(curtain["reflectivity"].values, looked, found, edges, floor_dbz)
        if counts.sum(axis=1).all():
            days.append(_share(counts))
    if len(days) < LEAST_DAYS:
        return None
    pooled = np.mean(days, axis=0)
    return InputReference(
        edges_m=edges,
        floor_dbz=floor_dbz,
        shares=tuple(map(tuple, pooled.round(6).tolist())),
        limits_db=tuple(_find_limits(days).round(4).tolist()),
        days=len(days),
    )


def measure_drift(product: xr.Dataset, reference: InputReference) -> dict[str, float]:
    """Returns how far the visible part of a product's day lies from that of the reference's days.

    Args:
        product: A product, as built or reopened.
        reference: What it is held against.

    Returns:
        By the names of `products.product_statistics.PRODUCT_STATISTICS`; what nothing stands behind is left
        out.
    """
    looked = product["inpainting_flag"].values != InpaintingFlag.NO_DATA
    heights = product["height"].values
    counts = _count(
        product["reflectivity_observed"].values,
        looked,
        heights,
        reference.edges_m,
        reference.floor_dbz,
    )
    found: dict[str, float] = {}
    scores = []
    for name, band, usual, limit in zip(
        BANDS, counts, np.array(reference.shares), reference.limits_db, strict=False
    ):
        if not band.any():
            continue
        shares = _share(band)
        distance = float(_find_distance(shares, usual))
        scores.append(distance / limit)
        found[f"drift_{name}_distance_db"] = distance
        found[f"drift_{name}_occurrence"] = float(usual[0] - shares[0])
        if band[1:].sum() >= _ENOUGH_ECHO and usual[0] < 1:
            found[f"drift_{name}_intensity_db"] = _mean_level(shares) - _mean_level(usual)
    return found | ({"drift_score": max(scores)} if scores else {})


def _find_edges(heights_m: np.ndarray, top_m: float) -> tuple[float, ...]:
    """Returns the edges of as many bands as the rows reach into [m]."""
    top = float(heights_m[-1]) + float(heights_m[-1] - heights_m[-2]) / 2
    return (*(edge for edge in (top_m, 2 * top_m, 4 * top_m) if edge < heights_m[-1]), top)


def _count(
    dbz: np.ndarray,
    looked: np.ndarray,
    heights_m: np.ndarray,
    edges_m: Sequence[float],
    floor_dbz: float,
) -> np.ndarray:
    """Returns the pixels without echo and at each level of each band, `(band, 1 + level)`.

    Args:
        dbz: Reflectivity [dBZ] `(time, height)`, NaN where there is no echo.
        looked: Where there are data `(time, height)`.
        heights_m: Centres of the rows [m].
        edges_m: Edges of the bands [m].
        floor_dbz: Sensitivity floor [dBZ].
    """
    # Echo of the floor or less is none: level 0. The first decibel above it is level 1.
    level = np.ceil(np.nan_to_num(dbz, nan=floor_dbz) - floor_dbz).clip(0, _LEVELS).astype(np.int64)
    counts = []
    for lowest, highest in pairwise(edges_m):
        rows = (heights_m > lowest) & (heights_m < highest)
        counts.append(np.bincount(level[:, rows][looked[:, rows]], minlength=1 + _LEVELS))
    return np.stack(counts)


def _share(counts: np.ndarray) -> np.ndarray:
    shares: np.ndarray = counts / counts.sum(axis=-1, keepdims=True)
    return shares


def _find_distance(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Returns the Wasserstein distance [dB] of shares `(..., 1 + level)`, `(...)`.

    It is the area between the two cumulative distributions, which are taken as straight within a
    decibel.
    """
    distance: np.ndarray = np.trapezoid(np.abs(np.cumsum(one - other, axis=-1)), axis=-1)
    return distance


def _mean_level(shares: np.ndarray) -> float:
    """Returns the mean of echo above the floor [dB], each at the middle of its decibel."""
    return float(np.average(np.arange(_LEVELS) + 0.5, weights=shares[1:]))


def _find_limits(days: Sequence[np.ndarray]) -> np.ndarray:
    """Returns the largest distance of any day to all the others together, of each band [dB] `(band,)`."""
    total = np.sum(days, axis=0)
    distances = [_find_distance(day, (total - day) / (len(days) - 1)) for day in days]
    limits: np.ndarray = np.maximum(np.max(distances, axis=0), _SMALLEST_LIMIT_DB)
    return limits
