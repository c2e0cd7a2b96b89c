"""Tables of an evaluation, and its sums of each day on disk.

Every score is given pooled, by day, height, regime, season, hour and temperature. Each is one line
of a table: scheme, group, member, score, value. Pooled scores have bounds (`bootstrap`). A score of
fewer than `LEAST_CASES` pixels or columns is left out.
"""

from __future__ import annotations

import csv
import json
import math
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property, reduce
from operator import add
from pathlib import Path
from typing import Any, TypeVar
from zipfile import BadZipFile, ZipFile

import numpy as np

from blindzone.core.errors import ProductError
from blindzone.core.files import write_atomically
from blindzone.pipeline.verification.bootstrap import (
    DrawnScores,
    Estimate,
    bound_value,
    draw_scores,
)
from blindzone.pipeline.verification.curtain_scores import (
    HOUR_STRATA,
    HOURS_PER_STRATUM,
    CurtainSums,
    Phase,
    Regime,
)
from blindzone.pipeline.verification.pixel_scores import PIT_BINS, PixelSums
from blindzone.pipeline.verification.statistics import LEAST_CASES

IDEAL_SCORES = {
    "POD": 1.0,
    "FAR": 0.0,
    "CSI": 1.0,
    "Dice": 1.0,
    "frequency bias": 1.0,
    "Brier": 0.0,
    "reliability": 0.0,
    "MAE [dB]": 0.0,
    "MAE hits [dB]": 0.0,
    "RMSE hits [dB]": 0.0,
    "EMD [dB]": 0.0,
    "spectral distance vertical [dB]": 0.0,
    "spectral distance temporal [dB]": 0.0,
    "CRPS [dB]": 0.0,
    "coverage 90 %": 0.9,
    "coverage 90 % echo": 0.9,
    "spread-skill ratio": 1.0,
    "shallow CSI": 1.0,
    "virga CSI": 1.0,
}
"""The scores of the short table with their ideal values; the files hold all others."""

_OF_AN_INTERVAL = ("coverage", "width", "spread")

Line = tuple[str, str, str, str, float]
"""Scheme, group, member of the group, score, value."""

_COLUMNS = ("scheme", "group", "member", "score", "value", "low", "high")
_SEASONS = ("DJF", "MAM", "JJA", "SON")


def write_field_scores(scores: Mapping[str, Mapping[str, Estimate]], path: Path) -> Path:
    """Writes scores of members as fields, one a line, and returns the file.

    Args:
        scores: Scores with their bounds by scheme.
        path: The file, CSV.

    Raises:
        ProductError: If it cannot be written.
    """
    with (
        write_atomically(path, error=ProductError) as partial,
        partial.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(("scheme", "score", "value", "low", "high"))
        for scheme, of_scheme in scores.items():
            writer.writerows(
                (scheme, name, *(f"{value:.6g}" for value in (of.value, of.low, of.high)))
                for name, of in of_scheme.items()
            )
    return path


T = TypeVar("T")


def _score(sums: CurtainSums | PixelSums) -> dict[str, float]:
    return sums.scores(least=LEAST_CASES)


@dataclass(frozen=True, kw_only=True)
class SchemeResult:
    """Result of one scheme or network.

    Attributes:
        days: Its sums by day.
        is_deterministic: Whether it predicts one value per pixel, without intervals.
        configuration: Its configuration, as plain values.
    """

    days: Mapping[date, CurtainSums]
    is_deterministic: bool
    configuration: Mapping[str, Any]

    @cached_property
    def pooled(self) -> CurtainSums:
        """The sums over all days."""
        return reduce(add, self.days.values())

    @cached_property
    def drawn(self) -> DrawnScores:
        """Pooled scores, and those of draws of the days."""
        return draw_scores([sums.pool() for sums in self.days.values()], _score)

    @property
    def seasons(self) -> dict[str, CurtainSums]:
        """The sums over the days of each season that has some."""
        parts: dict[str, list[CurtainSums]] = {name: [] for name in _SEASONS}
        for day, sums in self.days.items():
            parts[_SEASONS[day.month % 12 // 3]].append(sums)
        return {name: reduce(add, of) for name, of in parts.items() if of}

    def keep(self, scores: Mapping[str, T]) -> dict[str, T]:
        """Returns the scores that apply to the scheme."""
        return {
            name: value
            for name, value in scores.items()
            if not (self.is_deterministic and name.startswith(_OF_AN_INTERVAL))
        }


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Schemes scored on the same pixels.

    Attributes:
        source: Name of the source.
        block: Name of the block of days.
        rows_m: Heights of the centres of the scored rows [m].
        results: Result of each scheme.
        configuration: What else the numbers depend on, as plain values.
    """

    source: str
    block: str
    rows_m: tuple[float, ...]
    results: Mapping[str, SchemeResult]
    configuration: Mapping[str, Any]

    @cached_property
    def bounds(self) -> dict[str, dict[str, Estimate]]:
        """Pooled scores with their 95 % bounds, by scheme."""
        return {name: result.keep(result.drawn.bound()) for name, result in self.results.items()}

    @cached_property
    def leaders(self) -> dict[str, str]:
        """The scheme that leads in each score of the short table, where one does.

        Its distance to the ideal is less than that of the best other scheme, and the 95 % bounds of
        the difference, over the same draws, exclude zero.
        """
        found = {score: self._find_leader(score) for score in IDEAL_SCORES}
        return {score: scheme for score, scheme in found.items() if scheme is not None}

    def _find_leader(self, score: str) -> str | None:
        ideal = IDEAL_SCORES[score]
        distances = {
            name: result.drawn
            for name, result in self.results.items()
            if not math.isnan(result.keep(result.drawn.whole).get(score, math.nan))
        }
        if len(distances) < 2:
            return None
        ordered = sorted(distances, key=lambda name: abs(distances[name].whole[score] - ideal))
        first, second = (distances[name] for name in ordered[:2])
        lead = abs(first.whole[score] - ideal) - abs(second.whole[score] - ideal)
        drawn = np.abs(first.draws[score] - ideal) - np.abs(second.draws[score] - ideal)
        apart = bound_value(lead, drawn, days=first.days).is_apart_from_zero
        return ordered[0] if apart else None

    def lines(self) -> Iterator[Line]:
        """Yields every score of every scheme, pooled and by group; NaN is left out."""
        yield from self._lines

    @cached_property
    def _lines(self) -> tuple[Line, ...]:
        return tuple(self._list_lines())

    def _list_lines(self) -> Iterator[Line]:
        for scheme, result in self.results.items():
            for group, member, scores in self._group(result):
                for score, value in result.keep(scores).items():
                    if not math.isnan(value):
                        yield scheme, group, member, score, value

    def _group(self, result: SchemeResult) -> Iterator[tuple[str, str, dict[str, float]]]:
        pooled = result.pooled
        yield "pooled", "all", _score(pooled)
        for day, sums in result.days.items():
            yield "day", str(day), _score(sums)
        for row, height_m in enumerate(self.rows_m):
            yield "height [m]", f"{height_m:.1f}", _score(pooled.pixels.select(row=row))
        for regime in Regime:
            yield "regime", regime.name.lower(), _score(pooled.pixels.select(regime=regime))
        for season, sums in result.seasons.items():
            yield "season", season, _score(sums)
        yield from _group_strata(pooled.strata)


def _group_strata(strata: PixelSums) -> Iterator[tuple[str, str, dict[str, float]]]:
    for number in range(HOUR_STRATA - 1):
        hours = (number * HOURS_PER_STRATUM, (number + 1) * HOURS_PER_STRATUM)
        yield "hour [UTC]", "{:02d}-{:02d}".format(*hours), _score(strata.select(row=number))
    for phase, name in {Phase.COLD: "up to 0 degree C", Phase.WARM: "above 0 degree C"}.items():
        yield "temperature", name, _score(strata.select(regime=phase))


def write_tables(evaluation: Evaluation, folder: Path) -> tuple[Path, Path]:
    """Writes `scores.csv` and `scores.json`, each whole or not at all, and returns their paths.

    Raises:
        ProductError: If the folder or a file cannot be written.
    """
    table, record = folder / "scores.csv", folder / "scores.json"
    bounds = evaluation.bounds
    with (
        write_atomically(table, error=ProductError) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        for scheme, group, member, score, value in evaluation.lines():
            of = bounds[scheme][score] if group == "pooled" else None
            known = of is not None and not math.isnan(of.low)
            ends = (f"{of.low:.6g}", f"{of.high:.6g}") if of is not None and known else ("", "")
            writer.writerow((scheme, group, member, score, f"{value:.6g}", *ends))
    with write_atomically(record, error=ProductError) as temporary:
        temporary.write_text(
            json.dumps(_describe(evaluation), indent=1, allow_nan=False), encoding="utf-8"
        )
    return table, record


def write_sums(sums: CurtainSums, path: Path) -> None:
    """Writes sums, whole or not at all.

    Raises:
        ProductError: If the file cannot be written.
    """
    with write_atomically(path, error=ProductError) as temporary:
        np.savez_compressed(temporary, allow_pickle=False, **sums.to_arrays())


def read_sums(path: Path) -> CurtainSums | None:
    """Returns sums that `write_sums` wrote; None if the file is missing or damaged."""
    try:
        with ZipFile(path) as archive:
            if archive.testzip() is not None:  # numpy reads a member without its checksum
                return None
        with np.load(path, allow_pickle=False) as arrays:
            return CurtainSums.from_arrays(arrays)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error):
        return None


def _describe(evaluation: Evaluation) -> dict[str, Any]:
    """Returns an evaluation as plain values for JSON."""
    schemes: dict[str, Any] = {}
    for scheme, result in evaluation.results.items():
        sums = result.pooled
        prediction, seen, count = sums.pixels.reliability_curve()
        schemes[scheme] = {
            "deterministic": result.is_deterministic,
            "configuration": dict(result.configuration),
            "reliability": {
                "probability": _plain(prediction),
                "frequency": _plain(seen),
                "pixels": _plain(count),
            },
            "spectra": {
                name: _plain(values) for name, values in sums.spectra.mean_spectra().items()
            },
        }
        if not result.is_deterministic:
            pit = sums.pixels.pit.sum(axis=(0, 1))
            schemes[scheme]["pit"] = _plain(pit * PIT_BINS / max(pit.sum(), 1))
        schemes[scheme]["bounds"] = {
            score: [of.low, of.high]
            for score, of in evaluation.bounds[scheme].items()
            if not math.isnan(of.low)
        }
    for scheme, group, member, score, value in evaluation.lines():
        schemes[scheme].setdefault("scores", {}).setdefault(group, {}).setdefault(member, {})[
            score
        ] = value
    return {
        "source": evaluation.source,
        "block": evaluation.block,
        "rows_m": list(evaluation.rows_m),
        **evaluation.configuration,
        "leaders": evaluation.leaders,
        "schemes": schemes,
    }


def _plain(values: np.ndarray) -> list[float | None]:
    return [None if math.isnan(value) else float(value) for value in values]
