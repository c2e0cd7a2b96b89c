"""Tables of an evaluation, and its sums of each day on disk.

Every score is given pooled, by day, by row and by regime. Each is one line of a table: scheme,
group, member, score, value.
"""

from __future__ import annotations

import csv
import json
import math
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np

from blindzone.core.errors import ProductError
from blindzone.core.files import write_atomically
from blindzone.pipeline.verification.curtain_scores import CurtainSums, Regime
from blindzone.pipeline.verification.pixel_scores import PIT_BINS

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


def write_field_scores(scores: Mapping[str, Mapping[str, float]], path: Path) -> Path:
    """Writes scores of members as fields, one a line, and returns the file.

    Args:
        scores: Scores by scheme.
        path: The file, CSV.

    Raises:
        ProductError: If it cannot be written.
    """
    with (
        write_atomically(path, error=ProductError) as partial,
        partial.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(("scheme", "score", "value"))
        for scheme, of_scheme in scores.items():
            writer.writerows((scheme, name, f"{value:.6g}") for name, value in of_scheme.items())
    return path


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

    @property
    def pooled(self) -> CurtainSums:
        """The sums over all days."""
        return reduce(add, self.days.values())

    def keep(self, scores: Mapping[str, float]) -> dict[str, float]:
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

    def lines(self) -> Iterator[Line]:
        """Yields every score of every scheme, pooled and by group; NaN is left out."""
        for scheme, result in self.results.items():
            for group, member, scores in self._group(result):
                for score, value in result.keep(scores).items():
                    if not math.isnan(value):
                        yield scheme, group, member, score, value

    def _group(self, result: SchemeResult) -> Iterator[tuple[str, str, dict[str, float]]]:
        pooled = result.pooled
        yield "pooled", "all", pooled.scores()
        for day, sums in result.days.items():
            yield "day", str(day), sums.scores()
        for row, height_m in enumerate(self.rows_m):
            yield "height [m]", f"{height_m:.1f}", pooled.pixels.select(row=row).scores()
        for regime in Regime:
            yield "regime", regime.name.lower(), pooled.pixels.select(regime=regime).scores()


def find_best(scores: Mapping[str, Mapping[str, float]], score: str) -> set[str]:
    """Returns the schemes nearest to a score's ideal: several in a tie, none if all tie."""
    distances = {
        scheme: abs(values[score] - IDEAL_SCORES[score])
        for scheme, values in scores.items()
        if not math.isnan(values.get(score, math.nan))
    }
    best = min(distances.values(), default=math.nan)
    found = {
        scheme
        for scheme, distance in distances.items()
        if math.isclose(distance, best, rel_tol=1e-9)
    }
    return found if len(found) < len(distances) or len(found) == 1 else set()


def write_tables(evaluation: Evaluation, folder: Path) -> tuple[Path, Path]:
    """Writes `scores.csv` and `scores.json`, each whole or not at all, and returns their paths.

    Raises:
        ProductError: If the folder or a file cannot be written.
    """
    table, record = folder / "scores.csv", folder / "scores.json"
    with (
        write_atomically(table, error=ProductError) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(["scheme", "group", "member", "score", "value"])
        writer.writerows((*names, f"{value:.6g}") for *names, value in evaluation.lines())
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
    for scheme, group, member, score, value in evaluation.lines():
        schemes[scheme].setdefault("scores", {}).setdefault(group, {}).setdefault(member, {})[
            score
        ] = value
    return {
        "source": evaluation.source,
        "block": evaluation.block,
        "rows_m": list(evaluation.rows_m),
        **evaluation.configuration,
        "schemes": schemes,
    }


def _plain(values: np.ndarray) -> list[float | None]:
    return [None if math.isnan(value) else float(value) for value in values]
