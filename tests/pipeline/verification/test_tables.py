"""What is written of an evaluation: lines, and files that are whole."""

from __future__ import annotations

import csv
import json
import math
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blindzone.core.errors import ProductError
from blindzone.pipeline.verification.curtain_scores import CurtainSums, sum_curtain
from blindzone.pipeline.verification.pixel_scores import EVALUATION_LEVELS
from blindzone.pipeline.verification.tables import (
    IDEAL_SCORES,
    Evaluation,
    SchemeResult,
    read_sums,
    write_sums,
    write_tables,
)

FLOOR, ROWS, PROFILES = -30.0, 4, 300
DAYS = (date(2000, 1, 1), date(2000, 1, 2))


def score_day(seed: int, *, deterministic: bool, clear: bool = False) -> CurtainSums:
    rng = np.random.default_rng(seed)
    truth = (
        np.maximum(rng.normal(-25, 12, (PROFILES, ROWS)), FLOOR)
        if not clear
        else np.full((PROFILES, ROWS), FLOOR)
    )
    spread = 0.0 if deterministic else 8.0
    levels = np.array(EVALUATION_LEVELS)[:, None, None] - 0.5
    quantiles = np.maximum(truth + rng.normal(0, 5, truth.shape) + spread * levels, FLOOR)
    echo = quantiles[10] > FLOOR
    probability = echo.astype(float) if deterministic else np.where(echo, 0.8, 0.3)
    visible = np.where(rng.random((PROFILES, 6)) < 0.5, np.nan, 0.0)
    return sum_curtain(
        truth, probability, quantiles, EVALUATION_LEVELS, floor_dbz=FLOOR, visible=visible
    )


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    """Two schemes on two days."""
    results = {
        name: SchemeResult(
            days={
                day: score_day(seed, deterministic=deterministic) for seed, day in enumerate(DAYS)
            },
            is_deterministic=deterministic,
            configuration={"scheme": name},
        )
        for name, deterministic in (("repeat", True), ("network", False))
    }
    return Evaluation(
        source="somewhere",
        block="validation",
        rows_m=(100.0, 200.0, 300.0, 400.0),
        results=results,
        configuration={"sensitivity_floor_dbz": FLOOR},
    )


def test_table_holds_every_score_pooled_and_by_day_height_and_regime(
    evaluation: Evaluation, tmp_path: Path
) -> None:
    table, record = write_tables(evaluation, tmp_path)
    with table.open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    found = {
        (line["scheme"], line["group"], line["member"], line["score"]): float(line["value"])
        for line in lines
    }

    pooled = evaluation.results["network"].pooled
    assert found["network", "pooled", "all", "CRPS [dB]"] == pytest.approx(
        pooled.scores()["CRPS [dB]"], rel=1e-5
    )
    day = evaluation.results["repeat"].days[DAYS[1]].scores()
    assert found["repeat", "day", "2000-01-02", "CSI"] == pytest.approx(day["CSI"], rel=1e-5)
    row = pooled.pixels.select(row=2).scores()
    assert found["network", "height [m]", "300.0", "MAE [dB]"] == pytest.approx(
        row["MAE [dB]"], rel=1e-5
    )
    regimes = {member for _, group, member, _ in found if group == "regime"}
    assert regimes == {"touching", "aloft"}  # some ten clear profiles: 40 pixels are too few

    scores = json.loads(record.read_text())["schemes"]["network"]["scores"]
    assert scores["pooled"]["all"]["CSI"] == pytest.approx(pooled.scores()["CSI"])
    assert set(scores) == {"pooled", "day", "height [m]", "regime", "season"}
    assert set(scores["season"]) == {"DJF"}


def test_deterministic_scheme_is_not_judged_by_intervals(evaluation: Evaluation) -> None:
    names = {
        scheme: {line[3] for line in evaluation.lines() if line[0] == scheme}
        for scheme in evaluation.results
    }
    assert "coverage 90 % echo" in names["network"]
    assert not [
        name for name in names["repeat"] if name.startswith(("coverage", "width", "spread"))
    ]


def test_score_without_foundation_is_left_out_and_json_stays_valid(tmp_path: Path) -> None:
    clear = SchemeResult(
        days={DAYS[0]: score_day(0, deterministic=True, clear=True)},
        is_deterministic=True,
        configuration={},
    )
    evaluation = Evaluation(
        source="clear",
        block="test",
        rows_m=(1.0, 2.0, 3.0, 4.0),
        results={"repeat": clear},
        configuration={},
    )
    _, record = write_tables(evaluation, tmp_path)
    content = json.loads(
        record.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON")
    )
    assert "POD" not in content["schemes"]["repeat"]["scores"]["pooled"]["all"]


def lead(*days: tuple[float, float]) -> dict[str, str]:
    """Leaders of two schemes with errors [dB] of some days."""
    truth = np.full((100, ROWS), 0.0)
    results = {
        name: SchemeResult(
            days={
                date(2000, 1, 1 + number): sum_curtain(
                    truth,
                    np.ones_like(truth),
                    np.full((len(EVALUATION_LEVELS), *truth.shape), errors[which]),
                    EVALUATION_LEVELS,
                    floor_dbz=FLOOR,
                )
                for number, errors in enumerate(days)
            },
            is_deterministic=True,
            configuration={},
        )
        for which, name in enumerate(("a", "b"))
    }
    return Evaluation(
        source="s", block="test", rows_m=(1.0, 2.0, 3.0, 4.0), results=results, configuration={}
    ).leaders


def test_scheme_leads_only_if_its_difference_over_days_excludes_zero() -> None:
    assert lead((1, 2), (1, 3), (2, 3), (1, 2), (1, 4))["MAE [dB]"] == "a"
    # Better by 2 dB in the mean, and worse on two of five days.
    assert "MAE [dB]" not in lead((1, 9), (3, 1), (1, 6), (5, 2), (1, 3))
    assert "MAE [dB]" not in lead((1, 2), (1, 3), (2, 3))  # three days have no bounds
    assert "CSI" not in lead((1, 2), (1, 3), (2, 3), (1, 2))  # all alike


def test_score_of_few_pixels_is_undefined() -> None:
    # A hundred pixels are enough; one echo pixel among them is not.
    truth = np.full((100, 1), FLOOR)
    truth[0] = 0.0
    sums = sum_curtain(
        truth,
        (truth > FLOOR).astype(float),
        np.broadcast_to(truth, (len(EVALUATION_LEVELS), 100, 1)),
        EVALUATION_LEVELS,
        floor_dbz=FLOOR,
    )
    assert sums.scores()["CSI"] == 1.0
    scores = sums.scores(least=100)
    assert math.isnan(scores["CSI"])
    assert scores["MAE [dB]"] == 0.0
    assert math.isnan(sums.scores(least=101)["MAE [dB]"])


def test_every_score_of_the_short_table_exists(evaluation: Evaluation) -> None:
    assert set(IDEAL_SCORES) <= set(evaluation.results["network"].pooled.scores())


def test_kept_sums_are_those_that_were_written(tmp_path: Path) -> None:
    sums, path = score_day(3, deterministic=False), tmp_path / "day.npz"
    write_sums(sums, path)
    again = read_sums(path)
    assert again is not None
    assert again.scores() == pytest.approx(sums.scores(), nan_ok=True)
    assert (again + sums).columns.columns == 2 * PROFILES


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flip(content: bytes) -> bytes:
    within = content.index(b"pixels.absolute_error.npy") + 120  # past the member's header
    return content[:within] + bytes([content[within] ^ 1]) + content[within + 1 :]


@pytest.mark.parametrize("damage", [cut, flip, lambda _: b"", lambda _: b"nothing of use"])
def test_damaged_sums_count_as_absent(tmp_path: Path, damage: Any) -> None:
    path = tmp_path / "day.npz"
    write_sums(score_day(4, deterministic=True), path)
    path.write_bytes(damage(path.read_bytes()))
    assert read_sums(path) is None
    assert read_sums(tmp_path / "absent.npz") is None


def test_sums_of_another_version_count_as_absent(tmp_path: Path) -> None:
    np.savez(tmp_path / "day.npz", pixels=np.zeros(3))
    assert read_sums(tmp_path / "day.npz") is None


def test_folder_that_cannot_be_written_is_one_clear_error(
    evaluation: Evaluation, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ProductError, match="cannot be written"):
        write_tables(evaluation, tmp_path / "file" / "below")
