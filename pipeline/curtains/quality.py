"""Quality rules: what a source's catalogue entry distrusts in its curtains.

Every rule is one step from curtain to curtain. A step that removes or doubts echo sets a
`QualityFlag` bit in `quality_flags` of each pixel concerned. It also sets `detection_status` or
`backscatter_status` where the pixel no longer counts as an observation. No value vanishes without
its bit. All steps but `flag_below_floor` work on native gates.

The steps touch only the gates below a rule's height and copy only what they change: a day has
millions of gates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
import xarray as xr
from pydantic import Field

from blindzone.core.configuration import configuration
from blindzone.core.errors import CurtainError
from blindzone.pipeline.curtains.along_track import looks_down
from blindzone.pipeline.curtains.curtain import (
    DIMS,
    LIDAR_FIELDS,
    RADAR_FIELDS,
    STATE_FIELDS,
    ZERO_CELSIUS_K,
    DetectionStatus,
    QualityFlag,
)
from blindzone.pipeline.curtains.surface import check_surface_measured, is_surface

_STATUSES = ("detection_status", "backscatter_status")


@configuration(error=CurtainError, what="clutter")
class ClutterRule:
    """Radar echo below a height and weaker than a reflectivity is ground clutter."""

    below_m: float
    """Height above the ground [m] below which the rule applies."""
    weaker_than_dbz: float
    """Reflectivity [dBZ] below which an echo there is removed."""


@configuration(error=CurtainError, what="insects")
class InsectRule:
    """Radar echo that is low, weak, and where and when it is warm enough, is insects."""

    below_m: float
    """Height above the ground [m] below which the rule applies."""
    weaker_than_dbz: float
    """Reflectivity [dBZ] below which an echo there is removed."""
    warmer_than_k: float | None = None
    """Temperature [K] up to which there are no insects; used where the curtain has temperature."""
    months: tuple[Annotated[int, Field(ge=1, le=12)], ...] = ()
    """Months (1 to 12, UTC) with insects; none named: all."""


@configuration(error=CurtainError, what="attenuation")
class AttenuationRule:
    """Echo above rain is attenuated: for a ground radar of W or Ka band without correction.

    A profile in which an echo near the ground exceeds a reflectivity has rain there. Where the
    curtain has temperature, echo at or below 0 degree C is snow, which attenuates little, and does
    not count.
    """

    rain_dbz: float = 0.0
    """Reflectivity [dBZ] that only rain exceeds. Above the default, CloudSat takes a W-band echo
    near the surface, corrected for attenuation, for certain rain (Haynes et al. 2009, doi
    10.1029/2008JD009973)."""
    below_m: float = 1000.0
    """Height above the ground [m] below which rain is looked for, down to the lowest trusted
    gate."""


@configuration(error=CurtainError, what="quality")
class QualityRules:
    """Quality rules of a source, as its catalogue entry states them."""

    clutter: tuple[ClutterRule, ...] = ()
    """Rules for ground clutter, applied in order."""
    insects: tuple[InsectRule, ...] = ()
    """Rules for insects, applied in order, after those for clutter."""
    lowest_trusted_m: float = 0.0
    """Height above the ground [m] below which no measurement is trusted; in curtains of a radar
    and a lidar together, none of the radar."""
    lidar_lowest_trusted_m: float | None = None
    """The same for the lidar. By default that of the source, or zero where there is a radar."""
    attenuation: AttenuationRule | None = None
    """Set if attenuation by rain matters and is not corrected."""
    sensitivity_floor_dbz: float = -30.0
    """Echo at or below this reflectivity [dBZ] counts as none, after gridding. The default is the
    class of CloudSat."""
    empty_day: Literal["error", "clear"] = "error"
    """Meaning of a day on which no gate of any profile has a value. `error` rejects it, since most
    radars record some noise or clutter on the clearest day; `clear` takes it for a day without
    echo."""


def apply_quality(
    curtain: xr.Dataset, rules: QualityRules, *, where: str = "curtain"
) -> xr.Dataset:
    """Returns a native curtain `(time, height)` after every rule, with `quality_flags`.

    A curtain of nothing but state comes back as it is.

    Args:
        curtain: The curtain.
        rules: The rules.
        where: What to call the curtain in a message.

    Raises:
        CurtainError: If a rule does not fit the curtain.
    """
    if not any(status in curtain for status in _STATUSES):
        return curtain
    for clutter in rules.clutter:
        curtain = remove_clutter(curtain, clutter)
    for insects in rules.insects:
        curtain = remove_insects(curtain, insects)
    curtain = mark_untrusted(
        curtain, rules.lowest_trusted_m, lidar_lowest_trusted_m=rules.lidar_lowest_trusted_m
    )
    if rules.attenuation is None:
        return curtain
    return flag_attenuation(curtain, rules.attenuation, where=where)


def check_measured(curtain: xr.Dataset, rules: QualityRules, *, where: str) -> None:
    """Checks that a native curtain `(time, height)`, or swath, has a measured value.

    State in the curtain of a radar or lidar does not count: it comes from elsewhere. A state
    without any value is never right.

    Raises:
        CurtainError: If no gate of any profile has a value and the rules do not take that for a
            clear day.
    """
    if is_surface(curtain):
        check_surface_measured(curtain, where=where)
        return
    measured = [name for name in (RADAR_FIELDS[0], *LIDAR_FIELDS) if name in curtain]
    fields = measured or [name for name in STATE_FIELDS if name in curtain]
    if (measured and rules.empty_day == "clear") or any(
        np.isfinite(curtain[name].values).any() for name in fields
    ):
        return
    gates = curtain.sizes["height"]
    profiles = curtain[fields[0]].size // gates
    empty = f"{where}: no {' or '.join(fields)} in any of {profiles} profiles x {gates}"
    if not measured:
        raise CurtainError(f"{empty} levels; at least one value is right")
    raise CurtainError(
        f"{empty} gates, so the instrument probably delivered no data; a clear day still holds some"
        " noise or clutter. If this instrument writes nothing at all on a clear day, set 'quality:"
        " {empty_day: clear}' for the source in the catalogue"
    )


def remove_clutter(curtain: xr.Dataset, rule: ClutterRule) -> xr.Dataset:
    """Returns the curtain `(time, height)` without weak low echo, flagged `CLUTTER`."""
    if "reflectivity" not in curtain:
        return curtain
    return _remove_echo(curtain, _find_weak_echo(curtain, rule), QualityFlag.CLUTTER)


def remove_insects(curtain: xr.Dataset, rule: InsectRule) -> xr.Dataset:
    """Returns the curtain `(time, height)` without weak low echo, flagged `INSECTS`."""
    if "reflectivity" not in curtain:
        return curtain
    removed = _find_weak_echo(curtain, rule)
    if rule.warmer_than_k is not None and "temperature" in curtain:
        removed &= ~(curtain["temperature"].values[:, : removed.shape[1]] <= rule.warmer_than_k)
    if rule.months:
        months = (
            curtain["time"].values.astype("datetime64[M]").astype(np.int64) % 12 + 1
        )  # counted from January 1970
        removed &= np.isin(months, rule.months)[:, np.newaxis]
    return _remove_echo(curtain, removed, QualityFlag.INSECTS)


def mark_untrusted(
    curtain: xr.Dataset, lowest_trusted_m: float, *, lidar_lowest_trusted_m: float | None = None
) -> xr.Dataset:
    """Returns the curtain with everything below the lowest trusted height marked untrusted.

    Every such pixel with data becomes `UNTRUSTED`, flagged as `BELOW_LOWEST_TRUSTED_GATE`.

    Args:
        curtain: Native curtain of a radar, a lidar, or both.
        lowest_trusted_m: Height above the ground [m] for the radar, or for a lidar without a radar.
        lidar_lowest_trusted_m: The same for the lidar, where it differs or there is a radar too.
    """
    if lidar_lowest_trusted_m is None:
        lidar_lowest_trusted_m = 0.0 if "detection_status" in curtain else lowest_trusted_m
    limits = dict(zip(_STATUSES, (lowest_trusted_m, lidar_lowest_trusted_m), strict=True))
    changed: dict[str, np.ndarray] = {}
    for name, limit_m in limits.items():
        if name in curtain:
            low = _find_gates_below(curtain, limit_m)
            untrusted = low & (curtain[name].values[:, : low.shape[1]] != DetectionStatus.NO_DATA)
            changed[name] = _replace(curtain[name].values, untrusted, DetectionStatus.UNTRUSTED)
            curtain = add_flag(curtain, untrusted, QualityFlag.BELOW_LOWEST_TRUSTED_GATE)
    return _assign(curtain, changed)


def flag_attenuation(
    curtain: xr.Dataset, rule: AttenuationRule, *, where: str = "curtain"
) -> xr.Dataset:
    """Returns the curtain `(time, height)` with radar echo above the lowest rain flagged.

    The flag is `ATTENUATION_NOT_CORRECTED`.

    Raises:
        CurtainError: If the radar looks down: there the rain does not weaken what is above it.
    """
    if "reflectivity" not in curtain:
        return curtain
    if looks_down(curtain):
        raise CurtainError(
            f"{where}: attenuation: this rule is for a radar that looks up; a spaceborne one looks"
            " down"
        )
    low = _find_gates_below(curtain, rule.below_m)
    gates = low.shape[1]
    status = curtain["detection_status"].values
    with np.errstate(invalid="ignore"):
        rain = low & (curtain["reflectivity"].values[:, :gates] > rule.rain_dbz)
    rain &= status[:, :gates] == DetectionStatus.ECHO  # not below the lowest trusted gate
    if "temperature" in curtain:
        rain &= ~(curtain["temperature"].values[:, :gates] <= ZERO_CELSIUS_K)
    raining = np.flatnonzero(rain.any(axis=1))
    if not raining.size:  # there may be no gate at all below the height
        return add_flag(curtain, rain, QualityFlag.ATTENUATION_NOT_CORRECTED)
    lowest = np.argmax(rain[raining], axis=1)  # (raining profile,)
    above = np.zeros(status.shape, dtype=bool)
    above[raining] = np.arange(status.shape[1]) > lowest[:, np.newaxis]
    return add_flag(
        curtain, above & (status == DetectionStatus.ECHO), QualityFlag.ATTENUATION_NOT_CORRECTED
    )


def flag_below_floor(curtain: xr.Dataset, floor_dbz: float) -> xr.Dataset:
    """Returns a gridded curtain with radar echo at or below the sensitivity floor [dBZ] flagged.

    The flag is `BELOW_SENSITIVITY_FLOOR`.
    """
    if "reflectivity" not in curtain:
        return curtain
    return add_flag(
        curtain, curtain["reflectivity"].values <= floor_dbz, QualityFlag.BELOW_SENSITIVITY_FLOOR
    )


def apply_floor(reflectivity: np.ndarray, floor_dbz: float) -> np.ndarray:
    """Returns reflectivity [dBZ] of any shape, NaN where it does not exceed the floor [dBZ]."""
    with np.errstate(invalid="ignore"):
        return np.where(reflectivity > floor_dbz, reflectivity, np.float32(np.nan)).astype(
            np.float32
        )


def _find_gates_below(curtain: xr.Dataset, limit_m: float) -> np.ndarray:
    """Returns the mask of gates below a height [m], `(time, gate)`, `(1, gate)` if all agree.

    It ends with the last gate that is below in any profile.
    """
    if "gate_height" not in curtain:
        return np.ones((1, int(np.searchsorted(curtain["height"].values, limit_m))), dtype=bool)
    below = curtain["gate_height"].values < limit_m
    gates = np.flatnonzero(below.any(axis=0))
    return np.asarray(below[:, : gates[-1] + 1 if gates.size else 0])


def _find_weak_echo(curtain: xr.Dataset, rule: ClutterRule | InsectRule) -> np.ndarray:
    """Returns the mask `(time, lowest gates)` of echo lower and weaker than a rule's limits."""
    low = _find_gates_below(curtain, rule.below_m)
    gates = low.shape[1]
    with np.errstate(invalid="ignore"):
        weak = curtain["reflectivity"].values[:, :gates] < rule.weaker_than_dbz
    return np.asarray(
        low & weak & (curtain["detection_status"].values[:, :gates] == DetectionStatus.ECHO)
    )


def _remove_echo(curtain: xr.Dataset, removed: np.ndarray, flag: QualityFlag) -> xr.Dataset:
    """Returns the curtain with radar values removed: flagged, status `CLUTTER_REMOVED`."""
    changed = {
        name: _replace(curtain[name].values, removed, np.nan)
        for name in RADAR_FIELDS
        if name in curtain
    }
    changed["detection_status"] = _replace(
        curtain["detection_status"].values, removed, DetectionStatus.CLUTTER_REMOVED
    )
    return _assign(add_flag(curtain, removed, flag), changed)


def add_flag(curtain: xr.Dataset, mask: np.ndarray, flag: QualityFlag) -> xr.Dataset:
    """Returns the curtain with a bit of `quality_flags` set in a mask `(time, lowest gates)`."""
    shape = (curtain.sizes["time"], curtain.sizes["height"])
    if "quality_flags" not in curtain:
        flags = np.zeros(shape, dtype=np.uint8)
    elif mask.any():
        flags = curtain["quality_flags"].values.copy()
    else:
        return curtain
    lowest = flags[:, : mask.shape[1]]
    np.bitwise_or(lowest, np.uint8(flag), out=lowest, where=mask)
    return _assign(curtain, {"quality_flags": flags})


def _replace(values: np.ndarray, mask: np.ndarray, value: float) -> np.ndarray:
    """Returns values with another one in a mask `(time, lowest gates)`; not copied for none."""
    if not mask.any():
        return values
    out = values.copy()
    np.copyto(out[:, : mask.shape[1]], np.asarray(value, dtype=out.dtype), where=mask)
    return out


def _assign(curtain: xr.Dataset, changed: Mapping[str, np.ndarray]) -> xr.Dataset:
    return curtain.assign({name: (DIMS, values) for name, values in changed.items()})
