"""The command `train`: what reaches the flow, and wrong input."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from commands import TRAIN_REPORT, catch_flow, one_line, run

from blindzone.flows.experiments.training_plan import RECIPE, read_plan

SOURCE = "short_days"


def test_options_change_single_choices_of_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = catch_flow(monkeypatch, TRAIN_REPORT)
    code, out, err = run("train", SOURCE, "--steps", 12, "--filters", 4, "--seed", 3)
    assert code == 0
    found = sent()
    assert (found["flow"], found["source"]) == ("train", SOURCE)
    assert found["filters"] == 4
    assert [(stage.steps, stage.seed) for stage in found["stages"]] == [(12, 3)] * 2
    assert (
        "a.keras: 12 steps in 0.5 min on 2 days, loss 0.250 on 1 validation days (CSI 0.700)" in out
    )
    assert "12.5% of the time waiting for data" in out
    assert err == "note: few days\n"


def test_printed_plan_reads_back_as_the_same_plan(tmp_path: Path) -> None:
    code, text, _ = run("train", "--print-plan", "--minutes", 7, "--seed", 3)
    assert code == 0
    (path := tmp_path / "plan.yaml").write_text(text)
    assert read_plan(path) == read_plan(RECIPE, {"training": {"minutes": 7.0, "seed": 3}})
    assert "# Name prefixes of layers whose weights stay unchanged." in text
    # Printed again it is the same text.
    assert run("train", "--print-plan", "--config", path)[1] == text


def test_printed_plan_has_what_follows_from_the_source(catalog: Path) -> None:
    _, text, _ = run("train", SOURCE, "--print-plan", "--catalog", catalog)
    plan = yaml.safe_load(text)
    assert plan["network"]["input_profiles"] == plan["window_profiles"] == 256
    assert plan["network"]["channels"] == len(plan["channels"]) + 1  # a velocity has two


def test_found_rate_is_printed_and_nothing_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    report = SimpleNamespace(stage="a", planned=0.002, suggested=1.7e-4, picture=Path("a.png"))
    sent = catch_flow(monkeypatch, report)
    code, out, _ = run("train", SOURCE, "--find-rate", "--batch-size", 4)
    assert code == 0
    assert (sent()["flow"], sent()["source"]) == ("find-rate", SOURCE)
    assert sent()["stages"][0].batch_size == 4
    assert out == (
        "suggested learning rate of stage 'a': 0.00017 (the plan has 0.002)\npicture: a.png\n"
    )


def test_run_is_resumed_with_no_other_option(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = catch_flow(monkeypatch, TRAIN_REPORT)
    assert run("train", "--resume", "abc")[0] == 0
    assert (sent()["flow"], sent()["run"]) == ("resume", "abc")
    code, _, err = run("train", SOURCE, "--resume", "abc", "--batch-size", 4)
    assert code == 2
    assert "with the options that it was begun with; found --resume and --batch-size, SOURCE" in (
        one_line(err)
    )


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["train"], 2, "a source is needed, or --resume RUN"),
        (["train", SOURCE], 1, "at least one of each is needed"),
        (["train", SOURCE, "--minutes", "0"], 2, "minutes"),
    ],
)
def test_wrong_input_gives_one_clear_error(
    catalog: Path, arguments: list[str], code: int, message: str
) -> None:
    found, _, err = run(*arguments, "--catalog", catalog)
    assert found == code
    assert message in one_line(err)
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("in_use", "kept", "expected"),
    [
        (
            False,
            None,
            "kept, not used: scores; 'blindzone runs use station/a' uses it all the same",
        ),
        (True, None, "used from now on: scores"),
        (True, Path("replaced/b.keras"), "the replaced one is kept: replaced/b.keras"),
    ],
)
def test_end_says_whether_the_network_is_used(
    in_use: bool, kept: Path | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = {"contest": "scores", "in_use": in_use, "kept": kept}
    catch_flow(monkeypatch, SimpleNamespace(**(vars(TRAIN_REPORT) | about)))
    code, out, _ = run("train", "--resume", "abc")
    assert code == 0
    assert expected in out
    assert ("not calibrated yet" in out) == in_use
