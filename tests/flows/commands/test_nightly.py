"""The command `nightly`, wrong input included."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from commands import one_line, run

SOURCE = "short_days"


def test_nightly_says_what_it_did_and_by_its_status_how_it_ended(
    catalog: Path,
    trained: tuple[Path, Path],
    simulated_days: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("blindzone.flows.reports.writing.draw_trends", lambda points, path: False)
    data = Path(shutil.copytree(simulated_days, tmp_path / "data"))
    monkeypatch.setenv("BLINDZONE_DATA", str(data))
    options = [
        "--catalog",
        catalog,
        "--archive",
        tmp_path / "archive",
        "--output",
        tmp_path / "products",
        "--checkpoint",
        trained[1],
        "--passes",
        2,
        "--no-pictures",
    ]
    code, out, _ = run("nightly", SOURCE, "--days", 1, *options)
    assert code == 0
    assert "nightly: 1 day (1 created, 0 unchanged, 0 rejected, 0 failed)" in out

    (data / SOURCE / "20000102_radar.nc").write_bytes(b"nothing of use")
    code, out, err = run("nightly", SOURCE, "--days", 2, *options)
    assert code == 2
    assert "nightly: 1 day (0 created, 1 unchanged, 0 rejected, 0 failed)" in out
    assert f"rejected: {SOURCE} 2000-01-02 20000102_radar.nc: " in err

    shutil.rmtree(data / SOURCE)
    code, out, err = run("nightly", SOURCE, *options)
    assert (code, out) == (1, "")
    assert f"error: {SOURCE}: " in err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nightly"], 2, "Missing argument 'SOURCE'"),
        (["nightly", SOURCE, "--days", "0"], 2, "'--days'"),
        (["nightly", SOURCE, "--passes", "1"], 2, "'1': a number of at least 2, or auto, is right"),
        (["nightly", "nowhere"], 1, "no source 'nowhere'"),
    ],
)
def test_wrong_input_gives_one_clear_error(
    catalog: Path, arguments: list[str], code: int, message: str
) -> None:
    found, _, err = run(*arguments, "--catalog", catalog)
    assert found == code
    assert message in one_line(err)
    assert "Traceback" not in err
