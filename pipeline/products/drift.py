"""Drift: how far the visible part of a day is from that of the days of training and calibration.

Three bands of height above the blind zone are compared, each twice as high as the one below it. In
each,

    distance = least mean change of max(reflectivity, floor) that turns one distribution into the
    other [dB]

(the Wasserstein distance of order 1). A new bias of the radar by 3 dB, echo where there was none
and a lost transmitter all show in decibels. Two more numbers say by how much echo is more frequent,
and by how much it is stronger.

Days differ. An `InputReference` has the distribution of all its days together. In each band its
limit is the distance of the furthest of these days from all the others:

    score = largest, over the bands, of distance / limit

Of N further days like those of the reference, each band is left by about N / (days + 1)
(leave-one-out, as Barber et al. 2021, arXiv 1905.02928). The weather of a day varies by more than
radars err. Slow drift shows in means of occurrence and intensity over some weeks; these two have a
sign.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from itertools import pairwise
from typing import Any, Self

import numpy as np
import xarray as xr

from blindzone.core.configuration import configuration, read_plain, to_plain
from blindzone.core.errors import CurtainError
from blindzone.pipeline.archive import Archive
from blindzone.pipeline.curtains.curtain import DetectionStatus, check_radar
from blindzone.pipeline.curtains.flags import InpaintingFlag
from blindzone.pipeline.network_input.preprocessing import Preprocessing
from blindzone.pipeline.products.swath import line_up_rays
from blindzone.pipeline.verification.statistics import wasserstein_distance

BANDS = ("low", "middle", "high")
"""From the blind zone's top to twice its height, from there to four times, and all above."""
LEAST_DAYS = 3
"""Fewer days do not show how much days differ."""
REFERENCE_KEY = "inputs"
"""Key of the reference in a calibration's record."""

_LEVELS = 60
"""Levels of reflectivity above the floor, a decibel each; stronger echo counts as the strongest."""
_ENOUGH_ECHO = 1000
"""Least number of pixels with echo for a mean of its strength."""
_SMALLEST_LIMIT_DB = 0.1
"""Least limit [dB], for what never varied in the days of the reference."""


@configuration(error=CurtainError, what="input reference")
class InputReference:
    """Distribution of the visible reflectivity of some days."""

    edges_m: tuple[float, ...]
    """Lower edge of each band, and the top of the highest, above the ground [m]; `BANDS` from the
    lowest."""
    floor_dbz: float
    """Sensitivity floor [dBZ]: weaker echo is none."""
    shares: tuple[tuple[float, ...], ...]
    """Of each band, the share of pixels without echo, then of those in each decibel above the floor
    `(band, 1 + level)`; the days count alike."""
    limits_db: tuple[float, ...]
    """The distance that scores 1 in each band [dB]."""
    days: int
    """Number of days."""

    def __post_init__(self) -> None:
        bands = len(self.edges_m) - 1
        # Written so that NaN fails too.
        rise = 1 <= bands <= len(BANDS) and all(low < high for low, high in pairwise(self.edges_m))
        if not (rise and np.isfinite(self.floor_dbz)):
            raise ValueError(
                f"edges_m and floor_dbz: 2 to {1 + len(BANDS)} rising heights and a finite floor"
                f" are right; found {self.edges_m} m and {self.floor_dbz} dBZ"
            )
        found = [len(line) for line in self.shares]
        add_up = all(abs(sum(line) - 1) <= 1e-3 for line in self.shares)
        if found != [1 + _LEVELS] * bands or not add_up:
            raise ValueError(
                f"shares: for each of {bands} bands {1 + _LEVELS} that add up to 1 are right; found"
                f" {found}"
            )
        if len(self.limits_db) != bands or not all(0 < limit < np.inf for limit in self.limits_db):
            raise ValueError(f"limits_db: {bands} positive are right; found {self.limits_db}")

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as plain values, for JSON."""
        return to_plain(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Returns the reference that `to_dict` gave.

        Raises:
            CurtainError: If it is not understood.
        """
        return read_plain(
            cls, content, where="the checkpoint's input reference", error=CurtainError
        )


def find_reference(record: Mapping[str, Any] | None) -> InputReference | None:
    """Returns the input reference in a calibration's record; None if there is none.

    Raises:
        CurtainError: If it is not understood.
    """
    content = (record or {}).get(REFERENCE_KEY)
    return None if content is None else InputReference.from_dict(content)


def make_reference(
    archive: Archive, source: str, preprocessing: Preprocessing, days: Iterable[date]
) -> InputReference | None:
    """Returns the input reference of archived days; None if they are too few.

    Args:
        archive: The archive.
        source: Name of the source.
        preprocessing: Has the blind zone's top and the sensitivity floor.
        days: UTC days or granules.
    """
    return fit_inputs(
        (archive.read_granule(source, day)[0] for day in sorted(days)),
        top_m=preprocessing.blind_zone.top_m,
        floor_dbz=preprocessing.floor_dbz,
    )


def fit_inputs(
    curtains: Iterable[xr.Dataset], *, top_m: float, floor_dbz: float
) -> InputReference | None:
    """Returns the input reference of curtains; None if fewer than `LEAST_DAYS` have visible data.

    Args:
        curtains: Gridded radar curtains `(time, height)` of one grid, one a day; each is read once.
        top_m: Height of the blind zone's top above the ground [m].
        floor_dbz: Sensitivity floor [dBZ].

    Raises:
        CurtainError: If a curtain has no radar echo, or other rows than the first.
    """
    heights: np.ndarray | None = None
    edges: tuple[float, ...] = ()
    days = []
    for number, curtain in enumerate(curtains, start=1):
        where = f"input reference, curtain {number}"
        check_radar(curtain, where=where)
        found = curtain["height"].values
        if heights is None:
            heights, edges = found, _find_edges(found, top_m)
        _check_heights(found, heights, where)
        known = curtain["detection_status"].values != DetectionStatus.NO_DATA
        counts = _count(curtain["reflectivity"].values, known, found, edges, floor_dbz)
        if counts.sum(axis=1).all():
            days.append(_share(counts))
    if len(days) < LEAST_DAYS:
        return None
    return InputReference(
        edges_m=edges,
        floor_dbz=floor_dbz,
        shares=tuple(map(tuple, np.mean(days, axis=0).round(6).tolist())),
        limits_db=tuple(_find_limits(days).round(4).tolist()),
        days=len(days),
    )


def _check_heights(found: np.ndarray, right: np.ndarray, where: str) -> None:
    if not np.array_equal(found, right):
        raise CurtainError(
            f"{where}: {found.size} rows up to {found[-1]:.1f} m; the {right.size} rows up to"
            f" {right[-1]:.1f} m of the first are right"
        )


def measure_drift(product: xr.Dataset, reference: InputReference) -> dict[str, float]:
    """Returns how far the visible part of a product's day is from the days of a reference.

    Args:
        product: A product `(time, height)`, or that of a swath, as built or reopened.
        reference: What it is compared with.

    Returns:
        Numbers by the names of `PRODUCT_STATISTICS`; those without enough data are left out.
    """
    product = line_up_rays(product)
    counts = _count(
        product["reflectivity_observed"].values,
        product["inpainting_flag"].values != InpaintingFlag.NO_DATA,
        product["height"].values,
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
        distance = float(wasserstein_distance(shares, usual, step_db=1.0))
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
    known: np.ndarray,
    heights_m: np.ndarray,
    edges_m: Sequence[float],
    floor_dbz: float,
) -> np.ndarray:
    """Returns the pixels without echo and at each level of each band, `(band, 1 + level)`.

    Args:
        dbz: Reflectivity [dBZ] `(time, height)`, NaN where there is no echo.
        known: Where there are data `(time, height)`.
        heights_m: Centres of the rows [m].
        edges_m: Edges of the bands [m].
        floor_dbz: Sensitivity floor [dBZ].
    """
    # Echo of the floor or less is none: level 0. The first decibel above it is level 1.
    level = np.ceil(np.nan_to_num(dbz, nan=floor_dbz) - floor_dbz).clip(0, _LEVELS).astype(np.int64)
    counts = []
    for lowest, highest in pairwise(edges_m):
        rows = (heights_m > lowest) & (heights_m < highest)
        counts.append(np.bincount(level[:, rows][known[:, rows]], minlength=1 + _LEVELS))
    return np.stack(counts)


def _share(counts: np.ndarray) -> np.ndarray:
    shares: np.ndarray = counts / counts.sum(axis=-1, keepdims=True)
    return shares


def _mean_level(shares: np.ndarray) -> float:
    """Returns the mean of echo above the floor [dB], each at the middle of its decibel."""
    return float(np.average(np.arange(_LEVELS) + 0.5, weights=shares[1:]))


def _find_limits(days: Sequence[np.ndarray]) -> np.ndarray:
    """Returns the largest distance of a day to all others together [dB], `(band,)`."""
    total = np.sum(days, axis=0)
    distances = [
        wasserstein_distance(day, (total - day) / (len(days) - 1), step_db=1.0) for day in days
    ]
    limits: np.ndarray = np.maximum(np.max(distances, axis=0), _SMALLEST_LIMIT_DB)
    return limits
