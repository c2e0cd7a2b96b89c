"""The command `calibrate`: what reaches the flow, and what is printed of its report."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from commands import catch_flow, run

from blindzone.flows.commands.calibrate import format_score

REPORT = SimpleNamespace(
    source="station",
    block="validation",
    days=("2000-01-02",),
    depths=[
        SimpleNamespace(
            hidden_rows=16,
            before={
                "CSI": 0.5,
                "Brier": 0.12345,
                "coverage 50 % aloft": 0.4,
                "coverage 90 % aloft": 0.8,
            },
            after={"CSI": 0.625, "Brier": 0.1},
        )
    ],
    groups=[("stratiform", "low", 1, 2, 1, 2)],
    written=Path("a.keras"),
    sha256="ab" * 32,
    status=SimpleNamespace(state="holds", text="calibrated on 4 days"),
)


def test_options_reach_the_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = catch_flow(monkeypatch, REPORT)
    options = ("--block", "test", "--checkpoint", "b.keras", "--depth", 500, "--depth", 750.5)
    code, _, err = run("calibrate", "station", "--realizations", 7, *options)
    assert code == 0
    assert err == "note: --realizations is now called --passes\n"
    found = sent()
    assert (found["flow"], found["source"], found["block"]) == ("calibrate", "station", "test")
    assert (found["passes"], found["checkpoint"]) == (7, Path("b.keras"))
    assert (found["depths_m"], found["bottom_m"]) == ((500.0, 750.5), 0.0)


def test_each_depth_has_its_table(monkeypatch: pytest.MonkeyPatch) -> None:
    depths = [SimpleNamespace(hidden_rows=rows, before={"CSI": 0.5}, after={}) for rows in (3, 5)]
    catch_flow(monkeypatch, SimpleNamespace(**(vars(REPORT) | {"depths": depths})))
    _, out, _ = run("calibrate", "station")
    words = " ".join(out.split())  # a narrow table breaks its title
    assert "block, 3 rows hidden" in words
    assert "block, 5 rows hidden" in words


def test_scores_before_and_after_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    catch_flow(monkeypatch, REPORT)
    _, out, _ = run("calibrate", "station")
    rows = {
        cells[1]: cells[2:4]
        for line in out.splitlines()
        if len(cells := [cell.strip() for cell in line.split("│")]) == 5
    }
    assert rows["CSI"] == ["0.500", "0.625"]
    assert rows["Brier"] == ["0.1235", "0.1000"]
    assert rows["coverage 90 % aloft"] == ["0.800", "-"]
    assert "coverage 50 % aloft" not in rows
    assert out.endswith(f"checkpoint: a.keras, SHA-256 {'ab' * 32}\ncalibrated on 4 days\n")


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("CSI", 0.12345, "0.123"),
        ("reliability", 0.12345, "0.1235"),
        ("CSI", float("nan"), "-"),
        ("CSI", None, "-"),
    ],
)
def test_score_is_formatted(name: str, value: float | None, text: str) -> None:
    assert format_score(name, value) == text


def test_one_pass_is_too_few() -> None:
    code, _, err = run("calibrate", "station", "--passes", 1)
    assert code == 2
    assert "'--passes'" in err
