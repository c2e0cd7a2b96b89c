"""Calibrating a network: what is written, what is rejected, and what products then state."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from flow_calls import fill_days
from typer.testing import CliRunner

from blindzone.core.configuration import read_plain
from blindzone.core.errors import CatalogError, CheckpointError, ProductError
from blindzone.flows.calibrate import CalibrationPlan, CalibrationReport, calibrate
from blindzone.flows.commands.cli import app
from blindzone.flows.evaluate import EvaluationPlan, evaluate
from blindzone.flows.running.network_in_use import read_network_in_use
from blindzone.flows.running.plans import DataPlaces
from blindzone.flows.running.source_data import open_source
from blindzone.flows.running.trained_network import open_network
from blindzone.flows.running.workspace import SHIPPED_WEIGHTS
from blindzone.models.checkpoint import SUMS_NAME, read_checkpoint
from blindzone.models.monte_carlo import MonteCarloNetwork
from blindzone.pipeline.archive import Archive
from blindzone.pipeline.curtains.blind_zone import BlindZone
from blindzone.pipeline.curtains.flags import OutOfRangeFlag
from blindzone.pipeline.derivation.shallow import HIDDEN_ECHO_KEY, HiddenEcho
from blindzone.pipeline.inpainting.applicability import Applicability
from blindzone.pipeline.inpainting.calibration_fit import CalibrationConfig
from blindzone.pipeline.inpainting.calibration_verdict import PASSED, list_misses
from blindzone.pipeline.inpainting.inpaint_curtain import (
    fill_curtain,
    find_calibration,
    predict_curtain,
)
from blindzone.pipeline.inpainting.predictive_distribution import summarize_distribution
from blindzone.pipeline.network_input.preprocessing import Preprocessing
from blindzone.pipeline.products.drift import find_reference
from blindzone.pipeline.products.members import DEPENDENCE_KEY, read_dependence
from blindzone.pipeline.verification.curtain_scores import find_regimes

SOURCE = "short_days"
VALIDATION_DAY, TEST_DAY = date(2000, 1, 2), date(2000, 1, 3)


def run(
    catalog: Path, trained: tuple[Path, Path], output: Path | None, **options: Any
) -> CalibrationReport:
    archive, checkpoint = trained
    chosen: dict[str, Any] = {
        "checkpoint": checkpoint,
        "passes": 3,
        "output": output,
    } | options
    places = DataPlaces(catalog=catalog, archive=str(archive))
    return calibrate.fn(CalibrationPlan(**({"source": SOURCE, "places": places} | chosen)))


@pytest.fixture(scope="module")
def calibrated(
    catalog: Path,
    trained: tuple[Path, Path],
    simulated_days: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, CalibrationReport]:
    path = tmp_path_factory.mktemp("calibrated") / "calibrated.keras"
    return path, run(catalog, trained, path, fit=CalibrationConfig(member_days=1))


def test_checkpoint_carries_the_calibration_and_what_it_stands_on(
    calibrated: tuple[Path, CalibrationReport], catalog: Path, trained: tuple[Path, Path]
) -> None:
    path, report = calibrated
    found = read_checkpoint(path)
    record = found.calibration
    assert record is not None
    assert (report.written, report.sha256) == (path, found.sha256)
    assert {name: record[name] for name in ("source", "block", "days", "realizations", "seed")} == {
        "source": SOURCE,
        "block": "validation",
        "days": [str(VALIDATION_DAY)],
        "realizations": 3,
        "seed": 0,
    }
    data = open_source(SOURCE, DataPlaces(catalog=catalog, archive=str(trained[0])))
    assert record["data_sha256"] == data.hash_content([VALIDATION_DAY])
    # Three regimes in three bands; two hours are at most five half hours of the clock.
    assert len(report.groups) == 9
    assert all(days <= 1 and blocks <= 5 for _, _, days, blocks, _, _ in report.groups)
    # A single day cannot be judged by others.
    (depth,) = report.depths
    assert depth.after == {}
    assert record[PASSED] is None
    assert report.status.state == "unproven"
    assert "checked on no other" in report.status.text
    assert depth.before["CRPS [dB]"] > 0
    assert 0 <= depth.before["given echo: coverage 90 %"] <= 1
    assert "given echo: CRPS [dB]" in record["scores"]["before"]
    assert found.training == read_checkpoint(trained[1]).training
    members = read_dependence(record[DEPENDENCE_KEY], where="record")
    assert len(members.touching) == len(members.times_s)
    hidden = read_plain(HiddenEcho, record[HIDDEN_ECHO_KEY], where="record", error=ProductError)
    assert hidden.days == 1
    assert (
        find_reference(found.calibration) is None
    )  # two days, the one that it was trained on included, are too few


def test_members_keep_the_default_dependence_where_few_days_have_echo(
    catalog: Path, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    run(catalog, trained, tmp_path / "network.keras")
    record = read_checkpoint(tmp_path / "network.keras").calibration
    assert record is not None
    assert DEPENDENCE_KEY not in record
    assert HIDDEN_ECHO_KEY in record


def test_fill_is_that_of_the_calibrated_realizations(
    calibrated: tuple[Path, CalibrationReport], trained: tuple[Path, Path]
) -> None:
    checkpoint = read_checkpoint(calibrated[0])
    preprocessing = Preprocessing.from_dict(checkpoint.preprocessing)
    network = MonteCarloNetwork(checkpoint.network, checkpoint.config)
    curtain = Archive(trained[0]).read_day(SOURCE, TEST_DAY)
    calibration = find_calibration(checkpoint.calibration, preprocessing)
    assert calibration is not None
    probability, intensity, _ = predict_curtain(curtain, network, preprocessing, 3, 0)
    hidden = preprocessing.hidden_rows
    regime = find_regimes(
        curtain["reflectivity"].values[:, hidden:], -30.0, profiles=len(probability)
    )
    expected = summarize_distribution(
        *calibration.classes[0].apply(
            probability, intensity, regime=regime[:, None], row=np.arange(hidden)
        ),
        floor_dbz=-30.0,
    )
    found = fill_curtain(curtain, network, preprocessing, 3, 0, calibration=calibration)
    plain = fill_curtain(curtain, network, preprocessing, 3, 0)
    for name in (
        "hydrometeor_probability",
        "reflectivity_quantile",
        "reflectivity_quantile_given_echo",
    ):
        np.testing.assert_array_equal(found[name].values, expected[name].values)
        assert (found[name].values != plain[name].values).any()
    # Below the lowest trusted row it says what it says there.
    assert np.array_equal(
        found["hydrometeor_probability"][:, 0], found["hydrometeor_probability"][:, 2]
    )


def test_calibration_for_another_depth_is_not_applied(
    calibrated: tuple[Path, CalibrationReport],
) -> None:
    checkpoint = read_checkpoint(calibrated[0])
    preprocessing = Preprocessing.from_dict(checkpoint.preprocessing | {"deepest_m": 1250.0})
    assert find_calibration(checkpoint.calibration, preprocessing) is not None
    shallow = preprocessing.fit_zone(BlindZone(top_m=800.0), where="elsewhere")
    assert find_calibration(checkpoint.calibration, shallow) is None


def test_products_say_whether_they_lie_within_what_was_seen(
    calibrated: tuple[Path, CalibrationReport],
    catalog: Path,
    trained: tuple[Path, Path],
    tmp_path: Path,
) -> None:
    domain = Applicability.from_dict((read_checkpoint(calibrated[0]).calibration or {})["domain"])
    flags = {}
    for name, checkpoint in (("calibrated", calibrated[0]), ("plain", trained[1])):
        (path,) = fill_days(
            SOURCE, TEST_DAY, TEST_DAY, tmp_path / name, checkpoint, 2, catalog, trained[0]
        )
        with xr.open_dataset(path) as product:
            flags[name] = product["out_of_range_flag"].values
            scored = np.isfinite(product["out_of_range_score"].values)
            assert scored.all() == (name == "calibrated")
    assert (flags["plain"] == OutOfRangeFlag.NOT_ASSESSED).all()
    # The day of training is a part of what was seen, and the test day differs from both days in its
    # weather alone.
    assert domain.days == 2
    assert set(flags["calibrated"].tolist()) <= {0, int(OutOfRangeFlag.PROFILE_UNLIKE_TRAINING)}
    assert domain.frequency_ghz == 95  # the simulated files state it


def test_evaluation_scores_the_calibrated_answer_and_on_request_the_other(
    calibrated: tuple[Path, CalibrationReport],
    catalog: Path,
    trained: tuple[Path, Path],
    tmp_path: Path,
) -> None:
    path, report = calibrated
    chosen: dict[str, Any] = {
        "source": SOURCE,
        "schemes": (),
        "places": DataPlaces(catalog=catalog, archive=str(trained[0])),
        "passes": 3,
        "output": tmp_path,
    }
    seen = evaluate.fn(EvaluationPlan(checkpoints=(path,), uncalibrated=True, **chosen))
    assert set(seen.scores) == {"calibrated", "calibrated_uncalibrated"}
    # The same passes on the same day.
    for name in ("CRPS [dB]", "Brier", "coverage 90 % echo"):
        assert seen.scores["calibrated_uncalibrated"][name] == pytest.approx(
            report.depths[0].before[name], abs=1e-6
        )
    assert (
        seen.scores["calibrated"]["CRPS [dB]"]
        != seen.scores["calibrated_uncalibrated"]["CRPS [dB]"]
    )
    assert seen.notes[0].startswith(
        "calibrated was calibrated on 2000-01-02: its scores there are better"
    )
    assert len(seen.notes) == 1


def edit(catalog: Path, path: Path, old: str, new: str) -> Path:
    text = catalog.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


def test_days_that_the_network_was_trained_on_are_refused(
    catalog: Path, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    swapped = edit(
        catalog,
        tmp_path / "swapped.yaml",
        "training: [2000-01-01], validation: [2000-01-02]",
        "training: [2000-01-02], validation: [2000-01-01]",
    )
    with pytest.raises(CheckpointError, match="trained on 2000-01-01"):
        run(swapped, trained, tmp_path / "out.keras")
    with pytest.raises(CatalogError, match="no block 'training'"):
        run(catalog, trained, tmp_path / "out.keras", block="training")
    assert not (tmp_path / "out.keras").exists()


def test_checkpoint_whose_hash_is_fixed_is_refused_before_any_work(
    catalog: Path, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    copy = tmp_path / "fixed.keras"
    shutil.copy(trained[1], copy)
    copy.with_name(SUMS_NAME).write_text(f"{read_checkpoint(copy).sha256}  fixed.keras\n")
    before = copy.read_bytes()
    with pytest.raises(CheckpointError, match="must not change there"):
        run(catalog, trained, None, checkpoint=copy)
    assert copy.read_bytes() == before


def test_command_prints_both_tables_and_where_the_checkpoint_is(
    catalog: Path, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    copy = tmp_path / "own.keras"
    shutil.copy(trained[1], copy)
    longer = edit(
        catalog,
        tmp_path / "two.yaml",
        "validation: [2000-01-02], test: [2000-01-03]",
        "validation: [2000-01-02, 2000-01-03]",
    )
    arguments = [
        "calibrate",
        SOURCE,
        "--checkpoint",
        copy,
        "--realizations",
        2,
        "--catalog",
        longer,
        "--archive",
        trained[0],
    ]
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    # Four steps of training: what the intervals of one day hold tells nothing of the other.
    assert result.exit_code == 2, result.stderr
    assert "fills do not use this calibration" in result.stderr
    (line,) = [
        line for line in result.stdout.splitlines() if "CRPS" in line and "given echo" not in line
    ]
    before, after = (float(cell) for cell in line.replace("│", " ").split()[-2:])
    assert 0 < after != before
    found = read_checkpoint(copy)
    assert found.sha256 in result.stdout
    assert found.calibration is not None
    assert found.calibration["days"] == ["2000-01-02", "2000-01-03"]
    assert found.calibration[PASSED] is False
    assert list_misses(found.calibration["scores"]["after"])
    assert "not calibrated: fitted to 2 days (2000-01-02 to 2000-01-03)" in result.stdout
    assert find_calibration(found.calibration, Preprocessing.from_dict(found.preprocessing)) is None
    # Trained on 2000-01-01: three days are enough to tell how far another lies from them.
    reference = find_reference(found.calibration)
    assert reference is not None
    assert reference.days == 3
    assert found.calibration["scores"]["after"]["CRPS [dB]"] == pytest.approx(after, abs=6e-4)

    result = CliRunner().invoke(
        app, ["calibrate", SOURCE, "--checkpoint", "absent.keras", "--catalog", str(catalog)]
    )
    assert result.exit_code == 1
    assert "error:" in result.stderr


@pytest.fixture(scope="module")
def single(
    catalog: Path, trained: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, CalibrationReport]:
    path = tmp_path_factory.mktemp("single") / "single.keras"
    return path, run(catalog, trained, path, passes="single")


def test_single_passes_are_calibrated_beside_the_unchanged_network(
    single: tuple[Path, CalibrationReport], trained: tuple[Path, Path]
) -> None:
    path, report = single
    assert path.read_bytes() == trained[1].read_bytes()
    assert report.written == path.with_name("single.single.json")
    record = json.loads(report.written.read_text())
    assert record["realizations"] == "single"
    assert {"fit", "domain", "scores", "weights_sha256"} <= record.keys()


def test_product_of_a_single_pass_says_so_and_is_made_anew_with_another_calibration(
    single: tuple[Path, CalibrationReport],
    catalog: Path,
    trained: tuple[Path, Path],
    tmp_path: Path,
) -> None:
    path = Path(shutil.copy(single[0], tmp_path / "network.keras"))

    def fill(passes: Any = "single") -> dict[str, Any]:
        (product,) = fill_days(
            SOURCE, TEST_DAY, TEST_DAY, tmp_path / "out", path, passes, catalog, trained[0]
        )
        with xr.open_dataset(product) as opened:
            score = opened["out_of_range_score"].values
            return dict(opened.attrs) | {"assessed": np.isfinite(score).all()}

    before, with_dropout = fill(), fill(2)
    shutil.copy(single[1].written, tmp_path / "network.single.json")
    after = fill()
    for about in (before, after):
        assert about["realizations"] == 1
        assert "a single forward pass without dropout" in about["summary"]
        assert json.loads(about["configuration"])["realizations"] == "single"
    assert before["interval_calibration"].startswith("not calibrated for a single pass")
    assert after["interval_calibration"].startswith("calibrated on 1 day")
    assert (before["assessed"], after["assessed"]) == (False, True)
    assert before["target_sha256"] != after["target_sha256"]
    # What passes with dropout give has nothing to do with it.
    assert fill(2)["target_sha256"] == with_dropout["target_sha256"]
    assert "without dropout" not in with_dropout["summary"]


def test_evaluation_takes_the_calibration_of_single_passes(
    single: tuple[Path, CalibrationReport],
    catalog: Path,
    trained: tuple[Path, Path],
    tmp_path: Path,
) -> None:
    seen = evaluate.fn(
        EvaluationPlan(
            source=SOURCE,
            schemes=(),
            checkpoints=(single[0],),
            uncalibrated=True,
            places=DataPlaces(catalog=catalog, archive=str(trained[0])),
            passes="single",
            output=tmp_path,
        )
    )
    assert set(seen.scores) == {"single", "single_uncalibrated"}
    assert seen.scores["single_uncalibrated"]["CRPS [dB]"] == pytest.approx(
        single[1].depths[0].before["CRPS [dB]"], abs=1e-6
    )


def test_shipped_weights_have_a_calibration_of_single_passes_that_holds() -> None:
    network = open_network(SHIPPED_WEIGHTS).for_passes("single")
    assert network.calibration is not None
    assert network.status.state == "holds"
    line = str(read_network_in_use(SHIPPED_WEIGHTS, passes="single"))
    assert f"a single pass without dropout, {network.status.text}" in line
