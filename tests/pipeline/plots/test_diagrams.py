"""Diagrams of an evaluation: numbers of the sums, and files in both formats."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from blindzone.pipeline.plots import diagrams
from blindzone.pipeline.plots.diagrams import plot_diagrams
from blindzone.pipeline.verification.curtain_scores import CurtainSums, sum_curtain
from blindzone.pipeline.verification.pixel_scores import EVALUATION_LEVELS
from blindzone.pipeline.verification.tables import Evaluation, SchemeResult

NAMES = {
    "performance",
    "reliability",
    "coverage",
    "pit",
    "crps_by_height",
    "frequency_by_altitude",
    "spectrum_vertical",
    "spectrum_temporal",
    "spread_skill",
    "discard",
}
FLOOR = -30.0


def score_day(seed: int, *, deterministic: bool, clear: bool) -> CurtainSums:
    rng = np.random.default_rng(seed)
    truth = np.maximum(rng.normal(-25, 12, (150, 4)), FLOOR)
    truth = np.full_like(truth, FLOOR) if clear else truth
    levels = np.array(EVALUATION_LEVELS)[:, None, None] - 0.5
    spread = 0.0 if deterministic else 8.0
    quantiles = np.maximum(truth + rng.normal(0, 5, truth.shape) + spread * levels, FLOOR)
    echo = quantiles[10] > FLOOR
    probability = echo.astype(float) if deterministic else np.where(echo, 0.8, 0.3)
    return sum_curtain(truth, probability, quantiles, EVALUATION_LEVELS, floor_dbz=FLOOR)


def evaluate(*, days: int = 4, clear: bool = False) -> Evaluation:
    results = {
        name: SchemeResult(
            days={
                date(2000, 1, 1 + day): score_day(day, deterministic=deterministic, clear=clear)
                for day in range(days)
            },
            is_deterministic=deterministic,
            configuration=configuration,
        )
        for name, deterministic, configuration in (
            ("persistence", True, {}),
            ("network", False, {"checkpoint": "network.keras"}),
        )
    }
    return Evaluation(
        source="$omewhere",
        block="validation",
        rows_m=(100.0, 200.0, 300.0, 400.0),
        results=results,
        configuration={"sensitivity_floor_dbz": FLOOR},
    )


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return evaluate()


@pytest.fixture(scope="module")
def figures(evaluation: Evaluation) -> dict[str, Figure]:
    return dict(plot_diagrams(evaluation))


def test_every_diagram_is_drawn_and_has_labels_with_units(figures: dict[str, Figure]) -> None:
    assert set(figures) == NAMES
    for name in NAMES - {"frequency_by_altitude", "reliability"}:
        (ax,) = figures[name].axes
        assert ax.get_xlabel()
        assert ax.get_ylabel()


def test_performance_is_detection_over_success(
    figures: dict[str, Figure], evaluation: Evaluation
) -> None:
    points = [
        (float(line.get_xdata()[0]), float(line.get_ydata()[0]))  # type: ignore[index]
        for line in figures["performance"].axes[0].lines
        if len(np.atleast_1d(line.get_xdata())) == 1
    ]
    scores = [result.pooled.scores() for result in evaluation.results.values()]
    expected = [(1 - of["FAR"], of["POD"]) for of in scores]
    assert np.array(sorted(points)) == pytest.approx(np.array(sorted(expected)))


def test_all_pixels_are_counted_under_the_reliability(figures: dict[str, Figure]) -> None:
    counts = figures["reliability"].axes[1].patches[0].get_data().values  # type: ignore[attr-defined]
    assert counts[counts > 1].sum() == 4 * 150 * 4  # days, profiles, rows


def test_discarding_nothing_leaves_the_whole_error(
    figures: dict[str, Figure], evaluation: Evaluation
) -> None:
    line = figures["discard"].axes[0].lines[0]
    crps = evaluation.results["network"].pooled.scores()["CRPS [dB]"]
    assert np.asarray(line.get_xdata())[-1] == 0
    assert np.asarray(line.get_ydata())[-1] == pytest.approx(crps)


def test_bounds_are_drawn_of_networks_with_enough_days(figures: dict[str, Figure]) -> None:
    assert len(figures["crps_by_height"].axes[0].collections) == 1
    assert not dict(plot_diagrams(evaluate(days=2)))["crps_by_height"].axes[0].collections


def test_clear_days_have_diagrams_too() -> None:
    assert {name for name, _ in plot_diagrams(evaluate(days=1, clear=True))} == NAMES


def test_each_is_written_for_print_and_for_screens(
    figures: dict[str, Figure],
    evaluation: Evaluation,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(diagrams, "plot_diagrams", lambda _: [("pit", figures["pit"])])
    pdf, png = diagrams.write_diagrams(evaluation, tmp_path / "figures")
    assert pdf.read_bytes().startswith(b"%PDF")
    assert png.read_bytes().startswith(b"\x89PNG")
    assert png.name == "pit.png"
