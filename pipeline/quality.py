"""Quality rules: what is taken out of a curtain before gridding, each rule leaving its reason in `detection_status`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import xarray as xr

from blindzone.pipeline.curtain import DetectionStatus
from blindzone.pipeline.errors import CurtainError


@dataclass(frozen=True, kw_only=True)
class ClutterRule:
    """Echo below a height and weaker than a reflectivity is clutter or insects.

    Attributes:
        below_m: Height above the radar [m] below which the rule holds.
        weaker_than_dbz: Reflectivity [dBZ] below which an echo there is removed.
    """

    below_m: float
    weaker_than_dbz: float


@dataclass(frozen=True, kw_only=True)
class QualityRules:
    """What a source's catalogue entry says of its data's quality.

    Attributes:
        clutter: Rules for ground clutter and insects, applied in order.
        lowest_trusted_m: Height above the radar [m] below which nothing is trusted.
        sensitivity_floor_dbz: Echo at or below this reflectivity [dBZ] counts as none, after gridding. The default is
            the class of CloudSat.
        empty_day: What a day means in which no gate of any profile holds a value. `error` refuses it, since most
            radars record some noise or clutter on the clearest day; `clear` takes it for a day without echo.
    """

    clutter: tuple[ClutterRule, ...] = ()
    lowest_trusted_m: float = 0.0
    sensitivity_floor_dbz: float = -30.0
    empty_day: Literal["error", "clear"] = "error"


def apply_quality(curtain: xr.Dataset, rules: QualityRules) -> xr.Dataset:
    """Returns the curtain with every quality rule applied, on native gates."""
    for rule in rules.clutter:
        curtain = remove_clutter(curtain, rule)
    return mark_untrusted(curtain, rules.lowest_trusted_m)


def check_measured(curtain: xr.Dataset, rules: QualityRules, *, where: str) -> None:
    """Checks that a day holds at least one measured value.

    Raises:
        CurtainError: If no gate of any profile holds a value and the rules do not take that for a clear day.
    """
    if rules.empty_day == "clear" or bool(np.isfinite(curtain["reflectivity"].values).any()):
        return
    profiles, gates = curtain["reflectivity"].shape
    raise CurtainError(
        f"{where}: no reflectivity in any of {profiles} profiles x {gates} gates, so the radar probably delivered no "
        "data; a clear day still holds some noise or clutter. If this radar writes nothing at all on a clear day, set "
        "'quality: {empty_day: clear}' for the source in the catalogue"
    )


def remove_clutter(curtain: xr.Dataset, rule: ClutterRule) -> xr.Dataset:
    """Returns the curtain without the weak low echo that a rule describes."""
    low = curtain["height"] < rule.below_m
    weak = curtain["reflectivity"] < rule.weaker_than_dbz
    removed = low & weak & (curtain["detection_status"] == DetectionStatus.ECHO)
    fields = {
        "detection_status": curtain["detection_status"].where(~removed, np.int8(DetectionStatus.CLUTTER_REMOVED)),
        "reflectivity": curtain["reflectivity"].where(~removed),
    }
    if "doppler_velocity" in curtain:
        fields["doppler_velocity"] = curtain["doppler_velocity"].where(~removed)
    return curtain.assign({name: field.transpose("time", "height") for name, field in fields.items()})


def mark_untrusted(curtain: xr.Dataset, lowest_trusted_m: float) -> xr.Dataset:
    """Returns the curtain with every gate below the lowest trusted height [m] marked as untrusted, values kept."""
    untrusted = curtain["height"] < lowest_trusted_m
    has_data = curtain["detection_status"] != DetectionStatus.NO_DATA
    status = curtain["detection_status"].where(~(untrusted & has_data), np.int8(DetectionStatus.UNTRUSTED))
    return curtain.assign(detection_status=status.transpose("time", "height"))


def apply_floor(reflectivity: np.ndarray, floor_dbz: float) -> np.ndarray:
    """Returns reflectivity [dBZ] of any shape with NaN wherever it does not exceed the sensitivity floor [dBZ]."""
    with np.errstate(invalid="ignore"):
        return np.where(reflectivity > floor_dbz, reflectivity, np.float32(np.nan)).astype(np.float32)
