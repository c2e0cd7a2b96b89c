"""Tables of scores at the ground: all of them as CSV, and what people read as Markdown."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from operator import add
from pathlib import Path

from blindzone.core.errors import ProductError
from blindzone.core.files import write_atomically
from blindzone.flows.experiments.ground_scoring import FILLED, SCHEMES, GroundReport
from blindzone.pipeline.verification.at_ground import GroundSums
from blindzone.pipeline.verification.bootstrap import Estimate
from blindzone.pipeline.verification.curtain_scores import Regime

REGIMES = (Regime.TOUCHING, Regime.ALOFT, Regime.CLEAR)
_COUNTS = ("minutes", "windows", ": wet", "happened", "truth [mm h-1]", "truth [mm]")
"""What describes the days, and is no score: it has neither bounds nor a difference."""
_OF_REGIMES = ("echo: Brier", "rain: CSI", "rain: Brier", "rate: bias")
_OF_DAYS = ("rain: minutes", "rain: CSI", "rain: Brier", "day: truth [mm]", "day: bias")


def write_ground_tables(report: GroundReport, folder: Path) -> tuple[Path, Path]:
    """Writes all scores, one a line, and the tables for people; returns both files.

    Raises:
        ProductError: If they cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    table, page = folder / "at_ground.csv", folder / "at_ground.md"
    with (
        write_atomically(table, error=ProductError) as partial,
        partial.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(("scheme", "group", "member", "score", "value", "low", "high"))
        writer.writerows(_list_lines(report))
    with write_atomically(page, error=ProductError) as partial:
        partial.write_text(describe_ground(report), encoding="utf-8")
    return table, page


def pool_scheme(report: GroundReport, scheme: str) -> GroundSums:
    """Returns the sums of a scheme over all days."""
    return reduce(add, (of_day[scheme] for of_day in report.days.values()))


def _list_lines(report: GroundReport) -> Iterator[Sequence[object]]:
    """Yields scores: pooled with bounds, by day and by regime."""
    for scheme, scores in report.scores.items():
        for name, of in scores.items():
            yield scheme, "pooled", "", name, *_round(of.value, of.low, of.high)
        for day, of_day in report.days.items():
            for name, value in of_day[scheme].scores().items():
                yield scheme, "day", day, name, *_round(value)
        for regime in REGIMES:
            for name, value in pool_scheme(report, scheme).scores(regime).items():
                yield scheme, "regime", regime.name.lower(), name, *_round(value)
    for name, of in report.gains.items():
        yield FILLED, "less persistence", "", name, *_round(of.value, of.low, of.high)


def _round(*values: float) -> tuple[str, ...]:
    return tuple(f"{value:.6g}" for value in values)


def describe_ground(report: GroundReport) -> str:
    """Returns the tables as Markdown: pooled with 95 % bounds, by regime, by day."""
    title = f"{report.block} block, {len(report.days)} days"
    return "\n".join(
        [
            *_describe_pooled(report, title),
            "",
            *_describe_regimes(report),
            "",
            *_describe_days(report),
            "",
        ]
    )


def _describe_pooled(report: GroundReport, title: str) -> Iterator[str]:
    yield _row(title, *SCHEMES, "filled less persistence")
    yield _rule(len(SCHEMES) + 2)
    for name, gain in report.gains.items():
        of_schemes = [report.scores[scheme][name] for scheme in SCHEMES]
        if name.endswith(_COUNTS):
            yield _row(name, *(f"{of.value:.5g}" for of in of_schemes), "")
            continue
        apart = _bounds(gain)
        bold = f"**{apart}**" if gain.is_apart_from_zero else apart
        yield _row(name, *map(_bounds, of_schemes), bold)


def _describe_regimes(report: GroundReport) -> Iterator[str]:
    yield _row("above the blind zone", "score", *SCHEMES)
    yield _rule(len(SCHEMES) + 2)
    for regime in REGIMES:
        scores = {scheme: pool_scheme(report, scheme).scores(regime) for scheme in SCHEMES}
        minutes, kind = scores[FILLED]["minutes"], regime.name.lower()
        for name in _OF_REGIMES:
            yield _row(f"{kind}, {minutes:.0f} minutes", name, *_cells(scores, name))


def _describe_days(report: GroundReport) -> Iterator[str]:
    yield _row("day", "score", *SCHEMES)
    yield _rule(len(SCHEMES) + 2)
    for day, of_day in report.days.items():
        scores = {scheme: sums.scores() for scheme, sums in of_day.items()}
        for name in _OF_DAYS:
            yield _row(str(day), name, *_cells(scores, name))


def _cells(scores: Mapping[str, Mapping[str, float]], name: str) -> list[str]:
    return [f"{scores[scheme][name]:.3g}" for scheme in SCHEMES]


def _bounds(of: Estimate) -> str:
    if of.low == of.high or of.low != of.low:  # NaN: no draw has it
        return f"{of.value:.3g}"
    return f"{of.value:.3g} ({of.low:.3g} to {of.high:.3g})"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _rule(columns: int) -> str:
    return f"|{'---|' * columns}"
