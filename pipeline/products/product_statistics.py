"""Product statistics: numbers that follow from a product's file alone, at any time.

`PRODUCT_STATISTICS` has unit and meaning of each number. The page of a run, the help lines for
Prometheus and the table in `docs/metrics.md` are made from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import xarray as xr

from blindzone.core.errors import ProductError
from blindzone.pipeline.curtains.echo import find_weakest_echo
from blindzone.pipeline.curtains.flags import InpaintingFlag, OutOfRangeFlag
from blindzone.pipeline.products.drift import BANDS
from blindzone.pipeline.products.swath import line_up_rays
from blindzone.pipeline.verification.statistics import ratio

_NEEDED = (
    "hydrometeor_probability",
    "inpainting_flag",
    "out_of_range_flag",
    "out_of_range_score",
    "reflectivity",
    "reflectivity_observed",
    "reflectivity_quantile",
    "sensitivity_floor",
    "blind_zone_top",
    "height_bounds",
)
_INTERVAL = (0.05, 0.95)
_LIKELY = 0.5


@dataclass(frozen=True, kw_only=True)
class ProductStatistic:
    """One line of the table: what a number is.

    Attributes:
        unit: Its unit; `1` for a share.
        what: What it is, in words.
    """

    unit: str
    what: str


_BAND_TEXT = {
    "low": "from the blind zone's top to twice its height",
    "middle": "from twice to four times the height of the blind zone's top",
    "high": "above four times the height of the blind zone's top",
}

PRODUCT_STATISTICS: Mapping[str, ProductStatistic] = MappingProxyType(
    {
        "filled_pixel_share": ProductStatistic(
            unit="1", what="share of the blind zone's pixels that were filled"
        ),
        "filled_profile_share": ProductStatistic(
            unit="1", what="share of profiles with any filled pixel"
        ),
        "no_data_share": ProductStatistic(
            unit="1", what="share of all pixels for which the source has nothing"
        ),
        "visible_echo_share": ProductStatistic(
            unit="1",
            what=(
                "share of pixels with data above the blind zone that have echo above the"
                " sensitivity floor"
            ),
        ),
        "filled_echo_share": ProductStatistic(
            unit="1",
            what=(
                "share of filled pixels in which echo is more likely than none, and reflectivity"
                " is given"
            ),
        ),
        "weakest_visible_echo_dbz": ProductStatistic(
            unit="dBZ",
            what=(
                "1 % quantile of echo above the blind zone, weaker than the floor too: the"
                " sensitivity"
            ),
        ),
        "interval_width_db": ProductStatistic(
            unit="dB", what="mean width of the 90 % interval over all filled pixels"
        ),
        "interval_width_likely_echo_db": ProductStatistic(
            unit="dB",
            what="mean width of the 90 % interval where hydrometeor_probability exceeds 0.5",
        ),
        "out_of_range_share": ProductStatistic(
            unit="1", what="share of profiles with any bit of out_of_range_flag"
        ),
        **{
            f"out_of_range_share_{bit.name.lower()}": ProductStatistic(
                unit="1",
                what=f"share of profiles with the bit {bit.name.lower()} of out_of_range_flag",
            )
            for bit in OutOfRangeFlag
            if bit.name
        },
        "out_of_range_score_median": ProductStatistic(
            unit="1", what="median of out_of_range_score over the profiles"
        ),
        "out_of_range_score_p95": ProductStatistic(
            unit="1", what="95 % quantile of out_of_range_score over the profiles"
        ),
        "drift_score": ProductStatistic(
            unit="1",
            what=(
                "how far the visible part of the day is from that of the reference days; above 1 it"
                " is, in some band of height, further from them than each of them from all others"
            ),
        ),
        **{
            f"drift_{band}_{name}": ProductStatistic(unit=unit, what=f"{what}, {_BAND_TEXT[band]}")
            for band in BANDS
            for name, unit, what in (
                (
                    "distance_db",
                    "dB",
                    (
                        "distance of visible reflectivity from that of the reference days"
                        " (Wasserstein)"
                    ),
                ),
                (
                    "occurrence",
                    "1",
                    "share of visible pixels with echo less that of the reference days",
                ),
                ("intensity_db", "dB", "mean of visible echo less that of the reference days"),
            )
        },
    }
)


def measure_product(product: xr.Dataset) -> dict[str, float]:
    """Returns the statistics of a product, by the names of `PRODUCT_STATISTICS`.

    Those without data are left out.

    Args:
        product: A product `(time, height)`, or that of a swath, as built or reopened; its
            distribution is read chunk by chunk if it is lazy.

    Raises:
        ProductError: If it is no product, or lacks the bounds of the 90 % interval.
    """
    absent = [name for name in _NEEDED if name not in product.variables]
    if absent:
        raise ProductError(f"no product can be measured without {', '.join(absent)}")
    product = line_up_rays(product)
    found = _measure_fill(product) | _measure_visible(product) | _measure_range(product)
    return {name: float(value) for name, value in found.items() if np.isfinite(value)}


def describe_statistics() -> str:
    """Returns the table as Markdown."""
    lines = [
        f"| `{name}` | {statistic.unit} | {statistic.what} |"
        for name, statistic in PRODUCT_STATISTICS.items()
    ]
    return "\n".join(["| name | unit | what it is |", "|---|---|---|", *lines])


def _find_blind(product: xr.Dataset) -> np.ndarray:
    """Returns the pixels of the blind zone `(time, height)`: rows that begin below its top."""
    begins = product["height_bounds"].values[:, 0]
    return np.asarray(begins < product["blind_zone_top"].values[:, None] - 1e-3)


def _measure_fill(product: xr.Dataset) -> dict[str, float]:
    flag, blind = product["inpainting_flag"].values, _find_blind(product)
    filled = np.isin(flag, (InpaintingFlag.FILLED, InpaintingFlag.FILLED_BEYOND_TRUSTED_TRUTH))
    low, high = (_read_quantile(product, level) for level in _INTERVAL)
    width = (high - low)[filled]
    likely = product["hydrometeor_probability"].values[filled] > _LIKELY
    return {
        "filled_pixel_share": ratio((filled & blind).sum(), blind.sum()),
        "filled_profile_share": ratio(filled.any(axis=1).sum(), len(filled)),
        "no_data_share": ratio((flag == InpaintingFlag.NO_DATA).sum(), flag.size),
        "filled_echo_share": ratio(
            np.isfinite(product["reflectivity"].values[filled]).sum(), filled.sum()
        ),
        "interval_width_db": ratio(width.sum(dtype=np.float64), width.size),
        "interval_width_likely_echo_db": ratio(width[likely].sum(dtype=np.float64), likely.sum()),
    }


def _measure_visible(product: xr.Dataset) -> dict[str, float]:
    visible = ~_find_blind(product) & (product["inpainting_flag"].values != InpaintingFlag.NO_DATA)
    dbz = product["reflectivity_observed"].values[visible]
    echo = dbz[np.isfinite(dbz)]
    found = {
        "visible_echo_share": ratio((echo > product["sensitivity_floor"].values).sum(), dbz.size)
    }
    if np.isfinite(weakest := find_weakest_echo(echo)):
        found["weakest_visible_echo_dbz"] = weakest
    return found


def _measure_range(product: xr.Dataset) -> dict[str, float]:
    flag, score = product["out_of_range_flag"].values, product["out_of_range_score"].values
    shares = {
        f"out_of_range_share_{bit.name.lower()}": ratio((flag & bit != 0).sum(), flag.size)
        for bit in OutOfRangeFlag
        if bit.name
    }
    scored = score[np.isfinite(score)]
    median, p95 = np.quantile(scored, (0.5, 0.95)) if scored.size else (np.nan, np.nan)
    return {
        "out_of_range_share": ratio((flag != 0).sum(), flag.size),
        **shares,
        "out_of_range_score_median": median,
        "out_of_range_score_p95": p95,
    }


def _read_quantile(product: xr.Dataset, level: float) -> np.ndarray:
    """Returns one quantile [dBZ] `(time, height)`."""
    levels = product["quantile"].values
    found = np.flatnonzero(np.isclose(levels, level))
    if found.size != 1:
        raise ProductError(f"the product lacks the quantile {level}; it has {levels.tolist()}")
    return np.asarray(product["reflectivity_quantile"][int(found[0])].values)
