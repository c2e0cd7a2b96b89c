"""The command `reprocess`, wrong input included."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from commands import one_line, run

SOURCE = "short_days"


def test_reprocess_says_what_it_did_and_by_its_status_how_it_ended(
    catalog: Path, trained: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blindzone.flows.reports.writing.draw_trends", lambda points, path: False)
    archive = shutil.copytree(trained[0], tmp_path / "archive")
    options = [
        "--catalog",
        catalog,
        "--archive",
        archive,
        "--output",
        tmp_path / "products",
        "--checkpoint",
        trained[1],
        "--passes",
        2,
    ]
    code, out, err = run("reprocess", SOURCE, "--plan", *options)
    assert code == 0
    first, with_dropout, single = out.splitlines()
    assert first == "3 of 3 products are to be made, of 1800 profiles"
    assert with_dropout.startswith("2 passes with dropout: about ")
    assert single.startswith("a single pass without dropout: about ")
    assert not (tmp_path / "products").exists()

    code, out, err = run("reprocess", SOURCE, "--start", "2000-01-02", *options)
    assert code == 0
    assert "reprocess: 2 days (2 created, 0 unchanged, 0 rejected, 0 failed)" in out

    (archive / SOURCE / "ledger" / "20000101.json").write_text("{}")
    code, out, err = run("reprocess", SOURCE, *options)
    assert code == 2
    assert "reprocess: 3 days (0 created, 2 unchanged, 1 rejected, 0 failed)" in out
    assert f"rejected: {SOURCE} 2000-01-01: " in err

    code, out, err = run("reprocess", SOURCE, "--end", "2000-01-01", *options)
    assert code == 1
    assert "(0 created, 0 unchanged, 1 rejected, 0 failed)" in out

    code, out, err = run("reprocess", SOURCE, "--end", "1999-12-31", *options)
    assert (code, out) == (1, "")
    assert f"no {SOURCE} for" in err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["reprocess"], 2, "Missing argument 'SOURCE'"),
        (["reprocess", SOURCE], 1, "no short_days; it holds no day of it. 'blindzone ingest"),
        (["reprocess", "nowhere"], 1, "no source 'nowhere'; it has short_days"),
        (
            ["reprocess", SOURCE, "--start", "2000-01-02", "--end", "2000-01-01"],
            1,
            "start must not be after end",
        ),
        (["reprocess", SOURCE, "--runner", "slurm"], 2, "'slurm' is not one of 'local', 'dask'"),
        (["reprocess", SOURCE, "--workers", "2"], 1, "with them the runner dask is right"),
        (["reprocess", SOURCE, "--workers", "0"], 2, "'--workers'"),
        (["reprocess", SOURCE, "--seed", "-1"], 2, "'--seed'"),
        (["reprocess", SOURCE, "--tolerance", "0.25"], 2, "goes with --passes auto"),
    ],
)
def test_wrong_input_gives_one_clear_error(
    catalog: Path, arguments: list[str], code: int, message: str
) -> None:
    found, _, err = run(*arguments, "--catalog", catalog)
    assert found == code
    assert message in one_line(err)
    assert "Traceback" not in err
