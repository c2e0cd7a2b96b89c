"""An evaluation as CF netCDF and as a Markdown table with bounds."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import xarray as xr

from blindzone.core.errors import ProductError
from blindzone.core.files import write_atomically
from blindzone.pipeline.curtains.netcdf import encode_netcdf
from blindzone.pipeline.verification.bootstrap import Estimate
from blindzone.pipeline.verification.tables import IDEAL_SCORES, Evaluation


def write_dataset(evaluation: Evaluation, path: Path) -> Path:
    """Writes all scores as CF netCDF, whole or not at all, and returns the file.

    Raises:
        ProductError: If it cannot be written.
    """
    dataset = build_dataset(evaluation)
    with write_atomically(path, error=ProductError) as temporary:
        temporary.write_bytes(encode_netcdf(dataset, {}))
    return path


def build_dataset(evaluation: Evaluation) -> xr.Dataset:
    """Returns all scores of an evaluation.

    A pooled score is `(scheme,)`, its bounds `(scheme, bound)`, a score by group `(scheme,
    member)`. Undefined ones are NaN.
    """
    schemes, bounds = list(evaluation.results), evaluation.bounds
    lines = list(evaluation.lines())
    groups: dict[str, list[str]] = {}
    for _, group, member, _, _ in lines:
        members = groups.setdefault(group, [])
        if member not in members:
            members.append(member)
    coordinates: dict[str, object] = {"scheme": schemes, "bound": [0.025, 0.975]}
    variables: dict[str, tuple[tuple[str, ...], np.ndarray, dict[str, str]]] = {}
    for scheme, group, member, score, value in lines:
        name, dimension = _name(score), _name(group)
        if group == "pooled":
            values = _find(variables, name, ("scheme",), (len(schemes),), score)
            values[schemes.index(scheme)] = value
            ends = _find(variables, f"{name}_bounds", ("scheme", "bound"), (len(schemes), 2), score)
            of = bounds[scheme][score]
            ends[schemes.index(scheme)] = of.low, of.high
        else:
            coordinates[dimension] = _to_coordinate(group, groups[group])
            shape = (len(schemes), len(groups[group]))
            of_group = f"{name}_by_{dimension}"
            values = _find(variables, of_group, ("scheme", dimension), shape, f"{score} by {group}")
            values[schemes.index(scheme), groups[group].index(member)] = value
    dataset = xr.Dataset(variables, coords=coordinates)
    dataset["bound"].attrs = {"long_name": "share of the draws of days below the bound"}
    dataset["scheme"].attrs = {"long_name": "name of the scheme or network"}
    if "height" in dataset:
        dataset["height"].attrs = {"standard_name": "height", "units": "m", "positive": "up"}
    days = sorted({str(day) for result in evaluation.results.values() for day in result.days})
    return dataset.assign_attrs(
        Conventions="CF-1.11",
        title=f"Scores of {evaluation.source}, {evaluation.block} block",
        source_name=evaluation.source,
        block=evaluation.block,
        days=" ".join(days),
        comment="Bounds are of 95 %, over days drawn with replacement.",
    )


def _find(
    variables: dict[str, tuple[tuple[str, ...], np.ndarray, dict[str, str]]],
    name: str,
    dimensions: tuple[str, ...],
    shape: tuple[int, ...],
    title: str,
) -> np.ndarray:
    """Returns the values of a variable, which is made of NaN if there is none yet."""
    if name not in variables:
        attributes = {"long_name": title, "units": "dB" if "[dB]" in title else "1"}
        variables[name] = dimensions, np.full(shape, np.nan), attributes
    return variables[name][1]


def _name(text: str) -> str:
    """Returns a score or group as the name of a variable: `coverage 90 %` is `coverage_90`."""
    return re.sub(r"[^a-z0-9]+", "_", re.sub(r"\[.*?\]", "", text.lower())).strip("_")


def _to_coordinate(group: str, members: list[str]) -> tuple[str, list[str] | np.ndarray]:
    heights = group.startswith("height")
    return _name(group), np.array(members, dtype=float) if heights else members


def write_markdown(evaluation: Evaluation, path: Path) -> Path:
    """Writes the short table for people, with bounds, whole or not at all; returns the file.

    Raises:
        ProductError: If it cannot be written.
    """
    with write_atomically(path, error=ProductError) as temporary:
        temporary.write_text("\n".join(_describe(evaluation)) + "\n", encoding="utf-8")
    return path


def _describe(evaluation: Evaluation) -> Iterator[str]:
    bounds, leaders = evaluation.bounds, evaluation.leaders
    yield f"Scores of {evaluation.source}, {evaluation.block} block, with 95 % bounds over days."
    yield "Bold: the lead over the best other scheme is apart from zero.\n"
    yield f"| score | {' | '.join(bounds)} |"
    yield f"|---|{'---|' * len(bounds)}"
    for score in IDEAL_SCORES:
        cells = (
            f"**{text}**" if leaders.get(score) == scheme else text
            for scheme, of_scheme in bounds.items()
            for text in [describe_estimate(of_scheme.get(score))]
        )
        yield f"| {score} | {' | '.join(cells)} |"


def describe_estimate(of: Estimate | None, digits: int = 3) -> str:
    """Returns a score with its bounds as text; a dash if there is none."""
    if of is None or math.isnan(of.value):
        return "-"
    text = f"{of.value:.{digits}f}"
    return text if math.isnan(of.low) else f"{text} ({of.low:.{digits}f} to {of.high:.{digits}f})"
