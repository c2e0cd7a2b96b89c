"""Evaluation on short simulated days: same pixels, kept days, clear rejections."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from blindzone.core.errors import ArchiveError, CatalogError, CheckpointError, CurtainError
from blindzone.flows import evaluate as module
from blindzone.flows.commands.cli import app
from blindzone.flows.evaluate import EvaluationPlan, EvaluationReport, evaluate
from blindzone.flows.experiments.scored_layer import layer_of
from blindzone.flows.running.plans import DataPlaces
from blindzone.models.checkpoint import read_checkpoint
from blindzone.models.monte_carlo import MonteCarloNetwork
from blindzone.pipeline.archive import Archive
from blindzone.pipeline.catalog.catalog import read_catalog
from blindzone.pipeline.inpainting.inpaint_curtain import fill_curtain
from blindzone.pipeline.network_input.preprocessing import Preprocessing
from blindzone.pipeline.plots.evaluation_page import draw_report
from blindzone.pipeline.verification.pixel_scores import EVALUATION_LEVELS
from blindzone.pipeline.verification.statistics import LEAST_CASES

SOURCE = "short_days"
VALIDATION_DAY = date(2000, 1, 2)


def run(
    catalog: Path, trained: tuple[Path, Path], output: Path, **options: Any
) -> EvaluationReport:
    archive, checkpoint = trained
    chosen = {
        "schemes": ("persistence", "climatology"),
        "checkpoints": (checkpoint,),
        "passes": 2,
    } | options
    places = DataPlaces(catalog=catalog, archive=str(archive))
    return evaluate.fn(
        EvaluationPlan(**({"source": SOURCE, "output": output, "places": places} | chosen))
    )


@pytest.fixture(autouse=True)
def _no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page takes longer than all else; one test draws it."""
    monkeypatch.setattr(module, "draw_report", lambda *_: None)


def test_network_and_schemes_are_scored_on_the_same_pixels(
    catalog: Path, trained: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "draw_report", draw_report)
    report = run(catalog, trained, tmp_path)
    assert report.days == (VALIDATION_DAY,)
    assert set(report.scores) == {"persistence", "climatology", "tiny"}
    # Columns are the truth's: what is shallow does not depend on who looks.
    assert len({scores["shallow share"] for scores in report.scores.values()}) == 1
    record = json.loads(report.record.read_text())
    # Blind zone of 16 rows of 78.125 m, truth trusted from 234 m up: 13 rows of 600 profiles.
    assert len(record["rows_m"]) == 13
    for scheme in record["schemes"].values():
        assert sum(scheme["reliability"]["pixels"]) == 13 * 600
    assert record["schemes"]["climatology"]["configuration"]["training_days"] == ["2000-01-01"]
    assert report.picture.stat().st_size > 20_000


def test_network_is_scored_by_its_own_fill(
    catalog: Path, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    archive, checkpoint = trained
    report = run(catalog, trained, tmp_path, schemes=(), passes=3, seed=5)

    network = read_checkpoint(checkpoint)
    preprocessing = Preprocessing.from_dict(network.preprocessing)
    curtain = Archive(archive).read_day(SOURCE, VALIDATION_DAY)
    prediction = fill_curtain(
        curtain,
        MonteCarloNetwork(network.network, network.config),
        preprocessing,
        3,
        5,
        levels=EVALUATION_LEVELS,
    )
    layer = layer_of(read_catalog(catalog)[SOURCE])
    expected = layer.score(
        curtain,
        prediction["hydrometeor_probability"].values,
        prediction["reflectivity_quantile"].values,
    )
    assert report.scores["tiny"] == pytest.approx(
        expected.scores(least=LEAST_CASES), nan_ok=True, abs=1e-4
    )


def test_repeat_has_the_error_of_the_repeated_row(
    catalog: Path, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    report = run(catalog, trained, tmp_path, schemes=("persistence",), checkpoints=())
    curtain = Archive(trained[0]).read_day(SOURCE, VALIDATION_DAY)
    z = np.nan_to_num(np.maximum(curtain["reflectivity"].values, -30.0), nan=-30.0)
    assert report.scores["persistence"]["MAE [dB]"] == pytest.approx(
        np.abs(z[:, 3:16] - z[:, 16:17]).mean(), rel=1e-5
    )


def test_days_that_were_scored_are_not_scored_again(
    catalog: Path, trained: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(catalog, trained, tmp_path)
    (broken,) = (tmp_path / "days").glob("climatology_*.npz")
    broken.write_bytes(b"cut short")

    def refuse(*_: Any, **__: Any) -> None:
        pytest.fail("a kept day was filled again")

    monkeypatch.setattr(module, "fill_curtain", refuse)
    again = run(catalog, trained, tmp_path)  # the broken one is made anew
    for scheme, scores in first.scores.items():
        assert again.scores[scheme] == pytest.approx(scores, nan_ok=True, rel=1e-12)
    monkeypatch.setattr(module, "fill_curtain", fill_curtain)
    other = run(catalog, trained, tmp_path, passes=3)
    assert other.scores["tiny"]["CRPS [dB]"] != first.scores["tiny"]["CRPS [dB]"]


def test_test_block_must_be_asked_for(
    catalog: Path, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    report = run(catalog, trained, tmp_path, block="test", checkpoints=())
    assert (report.block, report.days) == ("test", (date(2000, 1, 3),))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"block": "training"},
            CatalogError,
            "no block 'training' to score on; validation or test is right",
        ),
        (
            {"schemes": ("kriging",)},
            CatalogError,
            "no scheme 'kriging'; there are persistence, persistence_bias",
        ),
        ({"schemes": (), "checkpoints": ()}, CatalogError, "nothing to score"),
        ({"checkpoints": (Path("absent.keras"),)}, CheckpointError, "no such checkpoint"),
    ],
    ids=["block", "scheme", "nothing", "checkpoint"],
)
def test_wrong_requests_are_refused(
    catalog: Path,
    trained: tuple[Path, Path],
    tmp_path: Path,
    options: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        run(catalog, trained, tmp_path, **options)


def edit(catalog: Path, path: Path, old: str, new: str) -> Path:
    text = catalog.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


def test_block_of_which_the_archive_lacks_a_day_is_refused(
    catalog: Path, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    longer = edit(
        catalog,
        tmp_path / "a.yaml",
        "validation: [2000-01-02]",
        "validation: [2000-01-02, 2000-01-09]",
    )
    with pytest.raises(
        ArchiveError, match=r"lacks 1 of 2 days of the validation block \(2000-01-09\)"
    ):
        run(longer, trained, tmp_path)
    longer = edit(
        catalog, tmp_path / "b.yaml", "training: [2000-01-01]", "training: [2000-01-01, 2000-01-08]"
    )
    with pytest.raises(
        ArchiveError, match=r"lacks 1 of 2 days of the training block \(2000-01-08\)"
    ):
        run(longer, trained, tmp_path, checkpoints=())
    none = edit(catalog, tmp_path / "c.yaml", "training: [2000-01-01], ", "")
    with pytest.raises(CatalogError, match="names no training day"):
        run(none, trained, tmp_path, checkpoints=())
    none = edit(catalog, tmp_path / "d.yaml", ", test: [2000-01-03]", "")
    with pytest.raises(CatalogError, match="names no test day"):
        run(none, trained, tmp_path, block="test")


def test_network_that_was_trained_on_the_block_is_refused(
    catalog: Path, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    swapped = edit(
        catalog,
        tmp_path / "a.yaml",
        "training: [2000-01-01], validation: [2000-01-02]",
        "training: [2000-01-02], validation: [2000-01-01]",
    )
    with pytest.raises(CheckpointError, match="trained on 2000-01-01, which would be scored"):
        run(swapped, trained, tmp_path, schemes=())


def test_network_of_another_floor_is_refused(
    catalog: Path, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    other = edit(
        catalog,
        tmp_path / "a.yaml",
        "lowest_trusted_m: 234",
        "lowest_trusted_m: 234, sensitivity_floor_dbz: -20",
    )
    with pytest.raises(
        CurtainError,
        match=r"made for a sensitivity floor of -30.0 dBZ; short_days is scored with -20.0",
    ):
        run(other, trained, tmp_path, schemes=())


def test_blind_zone_without_trusted_truth_is_refused(
    catalog: Path, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    other = edit(catalog, tmp_path / "a.yaml", "lowest_trusted_m: 234", "lowest_trusted_m: 2000")
    with pytest.raises(CurtainError, match="nothing is left to score"):
        run(other, trained, tmp_path, schemes=("persistence",))


def test_checkpoints_of_one_name_are_told_apart_by_their_folders(
    catalog: Path, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    copies = [tmp_path / folder / "network.keras" for folder in ("a", "b")]
    for copy in copies:
        copy.parent.mkdir()
        shutil.copy(trained[1], copy)
    report = run(catalog, trained, tmp_path / "out", schemes=(), checkpoints=tuple(copies))
    assert set(report.scores) == {"a_network", "b_network"}
    with pytest.raises(CatalogError, match="several checkpoints would be called a_network"):
        run(catalog, trained, tmp_path / "out", checkpoints=(copies[0], copies[0]))


def test_command_prints_a_table_and_where_the_files_are(
    catalog: Path, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    shared = ["--catalog", catalog, "--archive", trained[0], "--output", tmp_path]
    result = CliRunner().invoke(
        app, [str(a) for a in ("evaluate", SOURCE, "--schemes", "repeat, climatology", *shared)]
    )
    assert result.exit_code == 0, result.stderr
    (line,) = [line for line in result.stdout.splitlines() if "CRPS" in line]
    assert "*" not in line  # a single day says nothing of others
    assert (tmp_path / "scores.nc").exists()
    assert f"record: {tmp_path / 'scores.json'}" in result.stdout

    for options, code, message in (
        (["--schemes", "nonsense"], 1, "no scheme 'nonsense'"),
        (["--schemes", "none"], 1, "nothing to score"),
        (["--block", "training"], 2, "--block"),
    ):
        result = CliRunner().invoke(
            app, [str(argument) for argument in ("evaluate", SOURCE, *options, *shared)]
        )
        assert result.exit_code == code
        assert message in " ".join(result.stderr.replace("│", " ").split())


def test_members_are_scored_as_fields_beside_a_schaake_shuffle(
    catalog: Path, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    report = run(catalog, trained, tmp_path, schemes=("persistence",), members=3)
    (name,) = (name for name in report.fields if not name.endswith("_schaake"))
    assert set(report.fields) == {name, f"{name}_schaake"}
    for scores in report.fields.values():
        assert scores["energy score [dB]"].value > 0
        assert -1 <= scores["rank correlation 9 s member"].value <= 1
    assert report.fields_table is not None
    lines = report.fields_table.read_text().splitlines()
    assert lines[0] == "scheme,score,value,low,high"
    assert len(lines) == 1 + sum(map(len, report.fields.values()))
