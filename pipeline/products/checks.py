"""Checks of a product: no variable contradicts another."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from blindzone.core.errors import ProductError
from blindzone.pipeline.curtains.flags import InpaintingFlag, OutOfRangeFlag
from blindzone.pipeline.products.layout import (
    ASSESSMENT_NAMES,
    MEMBERS_NAME,
    find_median,
    is_filled,
    keep_echo,
    list_fill_names,
)

_LEAST_CHANCE = 1e-12
"""Binomial probability below which so many members with echo are no chance: a product has at most
10^7 pixels."""

_Rules = Mapping[str, np.ndarray]
"""What is wrong, and where: true where a pixel or profile breaks the rule."""


def check_product(product: xr.Dataset, *, first_profile: int = 0) -> None:
    """Checks that a product `(time, height)` does not contradict itself.

    Args:
        product: The product, or a part of it in time.
        first_profile: Number of its first profile, for the message.

    Raises:
        ProductError: If a flag is unknown, an observed pixel is altered, a filled one lacks a
            number or has one that contradicts the others, or a pixel that is not filled has a
            number; or if flag and score of a profile contradict each other.
    """
    with np.errstate(invalid="ignore"):
        profiles = _find_wrong_profiles(product)
        pixels = {
            **_find_wrong_flags(product),
            **_find_wrong_quantiles(product),
            **_find_lacking(product),
            **(_find_wrong_members(product) if MEMBERS_NAME in product else {}),
        }
    _raise_first(profiles, "profiles", first_profile)
    _raise_first(pixels, "pixels", first_profile)


def _raise_first(rules: _Rules, of: str, first_profile: int) -> None:
    for rule, broken in rules.items():
        if broken.any():
            place = np.argwhere(broken)[0]
            place[0] += first_profile
            places = zip(("profile", "row"), place, strict=False)
            first = ", ".join(f"{name} {number}" for name, number in places)
            raise ProductError(f"{int(broken.sum())} {of} {rule} (first: {first})")


def _find_wrong_flags(product: xr.Dataset) -> _Rules:
    """Returns where reflectivity contradicts its flag, `(time, height)` a rule."""
    flag = product["inpainting_flag"].values
    reflectivity, observed = product["reflectivity"].values, product["reflectivity_observed"].values
    median = product["reflectivity_quantile"].values[find_median(product)]
    best = keep_echo(median, float(product["sensitivity_floor"]))
    no_data = flag == InpaintingFlag.NO_DATA
    altered = (flag == InpaintingFlag.OBSERVED) & ~_are_same(reflectivity, observed)
    return {
        "have an unknown inpainting_flag": ~np.isin(flag, [code.value for code in InpaintingFlag]),
        "are flagged as observed and altered": altered,
        "are flagged as no data and have a reflectivity": no_data & np.isfinite(reflectivity),
        "are filled with another value than the median": (
            is_filled(flag) & ~_are_same(reflectivity, best)
        ),
    }


def _find_wrong_quantiles(product: xr.Dataset) -> _Rules:
    """Returns where quantiles cross or leave their range, `(time, height)` a rule."""
    quantiles, given_echo = (
        product[f"reflectivity_quantile{of}"].values for of in ("", "_given_echo")
    )
    floor = product["sensitivity_floor"].values
    return {
        "have quantiles that cross": _any_level(np.diff(quantiles, axis=0) < 0),
        "have a quantile below the sensitivity floor": _any_level(quantiles < floor),
        "have quantiles given echo that cross": _any_level(np.diff(given_echo, axis=0) < 0),
        "have a quantile given echo at or below the sensitivity floor": (
            _any_level(given_echo <= floor)
        ),
    }


def _any_level(wrong: np.ndarray) -> np.ndarray:
    """Returns where any of the quantiles `(quantile, time, height)` is wrong."""
    return np.asarray(wrong.any(axis=0))


def _find_lacking(product: xr.Dataset) -> _Rules:
    """Returns where the distribution is absent though filled, or the reverse, `(time, height)`."""
    filled = is_filled(product["inpainting_flag"].values)
    rules = {}
    for name in list_fill_names(product):
        finite = np.isfinite(product[name].values)
        present = finite.all(axis=0) if finite.ndim == 3 else finite
        anywhere = finite.any(axis=0) if finite.ndim == 3 else finite
        rules[f"are filled and lack '{name}'"] = filled & ~present
        rules[f"are not filled and have '{name}'"] = ~filled & anywhere
    return rules


def _find_wrong_members(product: xr.Dataset) -> _Rules:
    """Returns where ensemble members contradict their distribution, `(time, height)` a rule."""
    # Late: few products have members, and SciPy takes a quarter of a command's start.
    from scipy.special import bdtr, bdtrc

    members, floor = product[MEMBERS_NAME].values, product["sensitivity_floor"].values
    probability = product["hydrometeor_probability"].values
    count = len(members)
    with_echo = (members > floor).sum(axis=0)
    return {
        "have an ensemble member below the sensitivity floor": (members < floor).any(axis=0),
        "have echo in more or fewer ensemble members than is probable": (
            np.minimum(
                bdtr(with_echo, count, probability), bdtrc(with_echo - 1, count, probability)
            )
            < _LEAST_CHANCE
        ),
    }


def _find_wrong_profiles(product: xr.Dataset) -> _Rules:
    """Returns where flag and score of a profile contradict each other, `(time,)` a rule."""
    flag, score = (product[name].values for name in ASSESSMENT_NAMES)
    empty = (product["inpainting_flag"].values == InpaintingFlag.NO_DATA).all(axis=1)
    skipped, sightless = flag == OutOfRangeFlag.NOT_ASSESSED, flag & OutOfRangeFlag.NO_VISIBLE_DATA
    # Of a granule's profile only rows below the network's highest may be visible, which are not
    # compared.
    denied = (sightless != 0) & ~empty & ("hidden_kind" not in product)
    without_score = (
        OutOfRangeFlag.NOT_ASSESSED | OutOfRangeFlag.NO_VISIBLE_DATA | OutOfRangeFlag.GRID_DIFFERS
    )
    scored = flag & without_score == 0
    return {
        "have an unknown out_of_range_flag": (flag & ~sum(OutOfRangeFlag)) != 0,
        "are flagged as not assessed and as something else": (
            (flag & OutOfRangeFlag.NOT_ASSESSED != 0) & ~skipped
        ),
        "have something, or nothing visible against their flag": (
            ~skipped & (denied | (empty & (sightless == 0)))
        ),
        "have, or lack, an out_of_range_score against their flag": np.isfinite(score) != scored,
        "have a negative out_of_range_score": score < 0,
        "have an out_of_range_score that their flag denies": (
            scored & ((score > 1) != (flag & OutOfRangeFlag.PROFILE_UNLIKE_TRAINING != 0))
        ),
    }


def _are_same(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.asarray((one == other) | (np.isnan(one) & np.isnan(other)))
