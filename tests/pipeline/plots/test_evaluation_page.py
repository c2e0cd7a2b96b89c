"""The page of an evaluation: each curve has the scores of its scheme."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from blindzone.core.errors import ProductError
from blindzone.pipeline.plots.evaluation_page import draw_report, plot_evaluation
from blindzone.pipeline.verification.curtain_scores import CurtainSums, sum_curtain
from blindzone.pipeline.verification.pixel_scores import EVALUATION_LEVELS
from blindzone.pipeline.verification.tables import Evaluation, SchemeResult

FLOOR, ROWS, PROFILES = -30.0, 4, 300
DAYS = (date(2000, 1, 1), date(2000, 1, 2))


def score_day(seed: int, *, deterministic: bool, clear: bool = False) -> CurtainSums:
    rng = np.random.default_rng(seed)
    drawn = np.maximum(rng.normal(-25, 12, (PROFILES, ROWS)), FLOOR)
    truth = np.full_like(drawn, FLOOR) if clear else drawn
    levels = np.array(EVALUATION_LEVELS)[:, None, None] - 0.5
    spread = 0.0 if deterministic else 8.0
    quantiles = np.maximum(truth + rng.normal(0, 5, truth.shape) + spread * levels, FLOOR)
    echo = quantiles[10] > FLOOR
    probability = echo.astype(float) if deterministic else np.where(echo, 0.8, 0.3)
    visible = np.where(rng.random((PROFILES, 6)) < 0.5, np.nan, 0.0)
    return sum_curtain(
        truth, probability, quantiles, EVALUATION_LEVELS, floor_dbz=FLOOR, visible=visible
    )


def make_evaluation(*, clear: bool = False, days: tuple[date, ...] = DAYS) -> Evaluation:
    """Two schemes on some days."""
    results = {
        name: SchemeResult(
            days={
                day: score_day(seed, deterministic=deterministic, clear=clear)
                for seed, day in enumerate(days)
            },
            is_deterministic=deterministic,
            configuration={},
        )
        for name, deterministic in (("persistence", True), ("network", False))
    }
    return Evaluation(
        source="$omewhere",
        block="validation",
        rows_m=(100.0, 200.0, 300.0, 400.0),
        results=results,
        configuration={},
    )


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return make_evaluation()


@pytest.fixture(scope="module")
def panels(evaluation: Evaluation) -> list[Axes]:
    return [ax for ax in plot_evaluation(evaluation).axes if ax.get_title(loc="left")]


def curve_of(panel: Axes, colour: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the first curve of a colour."""
    line = next(line for line in panel.lines if to_hex(str(line.get_color())) == colour.lower())
    return np.asarray(line.get_xdata()), np.asarray(line.get_ydata())


PERSISTENCE, NETWORK = "#0072B2", "#D55E00"


def test_six_panels_are_lettered(panels: list[Axes]) -> None:
    assert [panel.get_title(loc="left")[:3] for panel in panels] == [
        f"({letter})" for letter in "abcdef"
    ]


def test_reliability_curve_is_that_of_the_sums(panels: list[Axes], evaluation: Evaluation) -> None:
    predicted, observed, count = evaluation.results["network"].pooled.pixels.reliability_curve()
    x, y = curve_of(panels[0], NETWORK)
    assert x == pytest.approx(predicted[count >= 50])
    assert y == pytest.approx(observed[count >= 50])
    assert x == pytest.approx([0.3, 0.8], abs=0.02)  # it predicts nothing else


def test_coverage_is_that_of_distributions_alone(
    panels: list[Axes], evaluation: Evaluation
) -> None:
    nominal, inside = curve_of(panels[1], NETWORK)
    scores = evaluation.results["network"].pooled.pixels.scores()
    assert inside == pytest.approx([100 * scores[f"coverage {level} %"] for level in nominal])
    with pytest.raises(StopIteration):
        curve_of(panels[1], PERSISTENCE)


def test_scores_by_height_are_those_of_each_row(panels: list[Axes], evaluation: Evaluation) -> None:
    scores, heights = curve_of(panels[3], PERSISTENCE)
    assert heights == pytest.approx([0.1, 0.2, 0.3, 0.4])
    pixels = evaluation.results["persistence"].pooled.pixels
    assert scores == pytest.approx(
        [pixels.select(row=row).scores()["CRPS [dB]"] for row in range(ROWS)]
    )


def test_title_has_the_days_and_no_formula(evaluation: Evaluation) -> None:
    title = plot_evaluation(evaluation).get_suptitle()
    assert title.startswith("$omewhere, validation block: 2 days, 2000-01-01 to 2000-01-02")


def test_clear_days_have_a_page_too(tmp_path: Path) -> None:
    draw_report(make_evaluation(clear=True, days=DAYS[:1]), tmp_path / "clear.png")
    assert (tmp_path / "clear.png").stat().st_size > 10_000


def test_page_is_written_in_the_format_asked_for(evaluation: Evaluation, tmp_path: Path) -> None:
    draw_report(evaluation, tmp_path / "page.webp")
    assert (tmp_path / "page.webp").read_bytes()[8:12] == b"WEBP"
    with pytest.raises(ProductError, match="unknown picture format"):
        draw_report(evaluation, tmp_path / "page.bmp")
