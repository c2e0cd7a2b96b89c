"""What a reader left out and what it doubts, on its way to the ledger in a curtain's attributes.

A value that its own file contradicts is masked, a profile with a fault of its own is dropped; both
are counted by reason. What may be wrong, and cannot be decided from the file alone, is a doubt. The
attributes are JSON text, so that the curtain can be written as it is; an archived curtain has none
of them, its ledger record does.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date
from types import MappingProxyType
from typing import Any

import numpy as np
import xarray as xr

VALUES_MASKED = "values_masked"
PROFILES_DROPPED = "profiles_dropped"
DOUBTS = "doubts"
_DROPPED_BY_DAY = "profiles_dropped_by_day"
"""Of the profiles dropped, those of which the time is known: counts by reason, by UTC day."""
_ATTRIBUTES = (VALUES_MASKED, PROFILES_DROPPED, _DROPPED_BY_DAY, DOUBTS)


def read_counts(attrs: Mapping[str, Any], name: str = VALUES_MASKED) -> dict[str, int]:
    """Returns the counts by reason that attributes carry under a name; empty if none."""
    return {str(reason): int(count) for reason, count in json.loads(attrs.get(name, "{}")).items()}


def read_doubts(attrs: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the doubts that attributes carry, in the order of their finding."""
    return tuple(json.loads(attrs.get(DOUBTS, "[]")))


def add_up(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Returns the sums of counts by reason."""
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return dict(total)


def with_count(
    attrs: Mapping[str, Any], reason: str, count: int, name: str = VALUES_MASKED
) -> dict[str, Any]:
    """Returns attributes with a count added to a reason; zero changes nothing."""
    if not count:
        return dict(attrs)
    counts = read_counts(attrs, name)
    return dict(attrs) | {name: json.dumps(counts | {reason: counts.get(reason, 0) + int(count)})}


def with_dropped(attrs: Mapping[str, Any], reason: str, times: np.ndarray) -> dict[str, Any]:
    """Returns attributes with dropped profiles added, of `datetime64` times `(profile,)` or NaT."""
    counted = with_count(attrs, reason, times.size, PROFILES_DROPPED)
    by_day = json.loads(attrs.get(_DROPPED_BY_DAY, "{}"))
    known = times[~np.isnat(times)].astype("datetime64[D]")
    for day, count in zip(*np.unique(known, return_counts=True), strict=True):
        counts = by_day.setdefault(str(day), {})
        counts[reason] = counts.get(reason, 0) + int(count)
    return counted | ({_DROPPED_BY_DAY: json.dumps(by_day)} if by_day else {})


def read_dropped(attrs: Mapping[str, Any], day: date, *, own: bool) -> dict[str, int]:
    """Returns how many profiles of a UTC day were dropped, by reason.

    Args:
        attrs: Attributes of a file's native curtain.
        day: The day.
        own: Whether the file is the day's own: then those of an unknown time count, too.
    """
    by_day = json.loads(attrs.get(_DROPPED_BY_DAY, "{}"))
    counts = Counter(read_counts(attrs, PROFILES_DROPPED))
    if not own:
        return dict(by_day.get(str(day), {}))
    for other in by_day.keys() - {str(day)}:
        counts -= Counter(by_day[other])
    return dict(counts)


def with_doubt(attrs: Mapping[str, Any], doubt: str) -> dict[str, Any]:
    """Returns attributes with a doubt added; the same one twice is one."""
    found = dict.fromkeys((*read_doubts(attrs), doubt))
    return dict(attrs) | {DOUBTS: json.dumps(list(found))}


def pick_findings(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """Returns those of the attributes that carry findings."""
    return {name: attrs[name] for name in _ATTRIBUTES if name in attrs}


def drop_findings(curtain: xr.Dataset) -> xr.Dataset:
    """Returns the curtain `(time, height)` without the attributes that carry findings."""
    return curtain.drop_attrs(deep=False).assign_attrs(
        {name: value for name, value in curtain.attrs.items() if name not in _ATTRIBUTES}
    )


def join_findings(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns attributes with the findings of several curtains: counts added up, doubts once."""
    joined: dict[str, Any] = {}
    for attrs in parts:
        for name in (VALUES_MASKED, PROFILES_DROPPED):
            for reason, count in read_counts(attrs, name).items():
                joined = with_count(joined, reason, count, name)
        for doubt in read_doubts(attrs):
            joined = with_doubt(joined, doubt)
    return joined


def describe_findings(
    values_masked: Mapping[str, int],
    doubts: tuple[str, ...],
    profiles_dropped: Mapping[str, int] = MappingProxyType({}),
) -> list[str]:
    """Returns lines for people, one a reason and one a doubt."""
    dropped = [f"{count} profiles dropped: {reason}" for reason, count in profiles_dropped.items()]
    masked = [f"{count} values masked: {reason}" for reason, count in values_masked.items()]
    return [*dropped, *masked, *(f"doubtful: {doubt}" for doubt in doubts)]


def describe_attributes(attrs: Mapping[str, Any]) -> list[str]:
    """Returns lines for people on the findings that attributes carry."""
    return describe_findings(
        read_counts(attrs), read_doubts(attrs), read_counts(attrs, PROFILES_DROPPED)
    )
