"""The command line as a user meets it, wrong input included."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import xarray as xr
import yaml
from typer.testing import CliRunner

from blindzone.flows.commands.cli import app

SOURCE = "short_days"


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    # Anything but a clean exit would reach the user as a traceback.
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


COMMANDS = (
    "ingest train sweep runs evaluate calibrate inpaint reprocess nightly demo catalog archive"
    " inspect"
)


@pytest.mark.parametrize("arguments", [[], *([name] for name in COMMANDS.split())], ids=str)
def test_every_command_has_help(arguments: list[str]) -> None:
    code, out, _ = run(*arguments, "--help")
    assert code == 0
    assert "Usage" in out


def test_help_loads_neither_tensorflow_nor_prefect() -> None:
    program = (
        "import sys; from blindzone.flows.commands.cli import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit(sorted({'tensorflow', 'keras', 'prefect', 'xarray'} & set(sys.modules)) or 0)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, timeout=60)


def test_ingest_prints_what_it_did(catalog: Path, tmp_path: Path) -> None:
    code, out, _ = run("ingest", SOURCE, "--catalog", catalog, "--archive", tmp_path / "archive")
    assert code == 0
    assert "3 days (3 ingested, 0 updated, 0 replaced, 0 unchanged, 0 refused)" in out


def test_inpaint_prints_the_path_of_each_product(
    catalog: Path, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    archive, checkpoint = trained
    code, out, _ = run(
        "inpaint",
        SOURCE,
        "--start",
        "2000-01-02",
        "--end",
        "2000-01-03",
        "--output",
        tmp_path,
        "--archive",
        archive,
        "--checkpoint",
        checkpoint,
        "--catalog",
        catalog,
        "--passes",
        2,
    )
    assert code == 0
    paths = [Path(line) for line in out.split()]
    assert [path.name for path in paths] == [
        f"{SOURCE}_{day}_blindzone.nc" for day in ("20000102", "20000103")
    ]
    for path in paths:
        with xr.open_dataset(path) as product:
            assert product["reflectivity_quantile"].dims == ("quantile", "time", "height")


def test_inpaint_writes_members_and_takes_as_many_passes_as_a_tolerance_needs(
    catalog: Path, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    archive, checkpoint = trained
    code, out, _ = run(
        "inpaint",
        SOURCE,
        "--start",
        "2000-01-03",
        "--end",
        "2000-01-03",
        "--output",
        tmp_path,
        "--archive",
        archive,
        "--checkpoint",
        checkpoint,
        "--catalog",
        catalog,
        "--passes",
        "auto",
        "--tolerance",
        1000,
        "--members",
        2,
    )
    assert code == 0
    with xr.open_dataset(out.strip()) as product:
        assert product.sizes["realization"] == 2
        # Good enough as soon as it is looked at.
        assert (product.attrs["realizations"], product.attrs["realizations_tolerance_db"]) == (
            16,
            1000,
        )


ONE_DAY = ["inpaint", SOURCE, "--start", "2000-01-01", "--end", "2000-01-01"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["ingest", "nowhere"], 1, "no source 'nowhere'; it has short_days"),
        (["ingest", SOURCE, "--start", "2001-01-01"], 1, "no file between 2001-01-01"),
        (["ingest", SOURCE, "--start", "01.02.2021"], 2, "YYYY-MM-DD is right"),
        (["train", SOURCE], 1, "at least one of each is needed"),
        (["train", SOURCE, "--minutes", "0"], 2, "minutes"),
        (ONE_DAY, 1, "blindzone ingest short_days"),
        (
            [*ONE_DAY, "--passes", "1"],
            2,
            "'--passes': '1': a number of at least 2, or auto, is right",
        ),
        ([*ONE_DAY, "--passes", "0"], 2, "'0': a number of at least 2, or auto, is right"),
        (
            [*ONE_DAY, "--passes", "many"],
            2,
            "'many': a number of at least 2, or auto, is right",
        ),
        (
            [*ONE_DAY, "--members", "1"],
            2,
            "'--members': Input should be greater than or equal to 2",
        ),
        (
            [*ONE_DAY, "--tolerance", "0.25"],
            2,
            "goes with --passes auto; found --passes 50",
        ),
        (
            [*ONE_DAY, "--passes", "auto", "--tolerance", "0"],
            2,
            "'--tolerance': Input should be greater than",
        ),
        (
            [*ONE_DAY, "--passes", "auto", "--tolerance", "inf"],
            1,
            "a positive number of dB is right; found inf",
        ),
        (["reprocess"], 2, "Missing argument 'SOURCE'"),
        (
            ["reprocess", SOURCE],
            1,
            "no short_days; it holds no day of it. 'blindzone ingest short_days --catalog ",
        ),
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
        (
            ["reprocess", SOURCE, "--tolerance", "0.25"],
            2,
            "goes with --passes auto; found --passes 50",
        ),
        (["nightly"], 2, "Missing argument 'SOURCE'"),
        (["nightly", SOURCE, "--days", "0"], 2, "'--days'"),
        (
            ["nightly", SOURCE, "--passes", "1"],
            2,
            "'1': a number of at least 2, or auto, is right",
        ),
        (["nightly", "nowhere"], 1, "no source 'nowhere'"),
    ],
    ids=[
        "source",
        "range",
        "date",
        "nothing-to-train-on",
        "minutes",
        "not-ingested",
        "one-realization",
        "no-realization",
        "realizations",
        "one-sample",
        "tolerance-alone",
        "no-tolerance",
        "any-tolerance",
        "reprocess-nothing",
        "reprocess-not-ingested",
        "reprocess-source",
        "reprocess-range",
        "runner",
        "workers-here",
        "no-worker",
        "seed",
        "reprocess-tolerance",
        "nightly-nothing",
        "no-day",
        "nightly-realization",
        "nightly-source",
    ],
)
def test_wrong_input_gives_one_clear_error(
    catalog: Path, arguments: list[str], code: int, message: str
) -> None:
    found, _, err = run(*arguments, "--catalog", catalog)
    assert found == code
    assert message in " ".join(err.replace("│", " ").split())
    assert "Traceback" not in err


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
    code, out, err = run("reprocess", SOURCE, "--start", "2000-01-02", *options)
    assert code == 0
    assert "reprocess: 2 days (2 made, 0 held, 0 refused, 0 failed)" in out

    (archive / SOURCE / "ledger" / "20000101.json").write_text("{}")
    code, out, err = run("reprocess", SOURCE, *options)
    assert code == 2
    assert "reprocess: 3 days (0 made, 2 held, 1 refused, 0 failed)" in out
    assert f"refused: {SOURCE} 2000-01-01: " in err

    code, out, err = run("reprocess", SOURCE, "--end", "2000-01-01", *options)
    assert code == 1
    assert "(0 made, 0 held, 1 refused, 0 failed)" in out

    code, out, err = run("reprocess", SOURCE, "--end", "1999-12-31", *options)
    assert (code, out) == (1, "")
    assert f"no {SOURCE} for" in err


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
    assert "nightly: 1 day (1 made, 0 held, 0 refused, 0 failed)" in out

    (data / SOURCE / "20000102_radar.nc").write_bytes(b"nothing of use")
    code, out, err = run("nightly", SOURCE, "--days", 2, *options)
    assert code == 2
    assert "nightly: 1 day (0 made, 1 held, 0 refused, 0 failed)" in out
    assert f"rejected: {SOURCE} 2000-01-02 20000102_radar.nc: " in err

    shutil.rmtree(data / SOURCE)
    code, out, err = run("nightly", SOURCE, *options)
    assert (code, out) == (1, "")
    assert f"error: {SOURCE}: " in err


def test_unknown_key_in_the_catalogue_is_quoted_with_its_line(
    catalog: Path, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(catalog.read_text().replace("site:", "sight: x\n    site:"))
    line = 1 + wrong.read_text().splitlines().index("    sight: x")

    code, _, err = run("ingest", SOURCE, "--catalog", wrong)

    assert code == 1
    assert f"line {line}: sources.{SOURCE}.sight: unknown key" in err


def test_demo_without_measured_data_says_so_and_takes_simulated_curtains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from blindzone.flows.demo import choose_source

    monkeypatch.setenv("BLINDZONE_DATA", str(tmp_path))
    source, reason = choose_source(None, Path(__file__).parents[3] / "data_catalog.yaml")

    assert source == "simulated"
    assert str(tmp_path) in reason
    assert "simulated" in reason
    assert "\n" not in reason


def test_catalog_commands_list_show_and_check(catalog: Path) -> None:
    code, out, _ = run("catalog", "list", "--catalog", catalog)
    assert code == 0
    assert SOURCE in out
    assert " 3 " in out  # three days of files

    code, out, _ = run("catalog", "show", SOURCE, "--catalog", catalog)
    assert code == 0
    assert yaml.safe_load(out)["blind_zone"] == {
        "top_m": 1250.0,
        "soft_rows": 5,
    }  # a default, filled in

    code, out, _ = run("catalog", "check", "--catalog", catalog)
    assert code == 0
    assert "1 sources, nothing wrong" in out


@pytest.fixture
def held(catalog: Path, tmp_path: Path) -> Path:
    """An archive of the three short days."""
    run("ingest", SOURCE, "--catalog", catalog, "--archive", tmp_path / "held")
    return tmp_path / "held"


def test_ingest_with_a_refused_file_ends_with_status_2_and_its_reason(
    catalog: Path, simulated_days: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(simulated_days, tmp_path / "data")
    monkeypatch.setenv("BLINDZONE_DATA", str(tmp_path / "data"))
    (tmp_path / "data" / SOURCE / "20000102_radar.nc").write_bytes(b"nothing of use")
    code, out, err = run("ingest", SOURCE, "--catalog", catalog, "--archive", tmp_path / "archive")
    assert code == 2
    assert "2 ingested" in out
    assert "1 refused" in out
    assert "rejected: 2000-01-02 20000102_radar.nc: " in err
    assert "not a netCDF file" in err

    code, out, _ = run("archive", "show", SOURCE, "--archive", tmp_path / "archive")
    assert code == 0
    assert "2000-01-02" in out
    assert "not a netCDF file" in out


def test_archive_show_tells_what_is_held(held: Path) -> None:
    code, out, _ = run("archive", "show", "--archive", held)
    assert code == 0
    (line,) = [line for line in out.splitlines() if SOURCE in line]
    assert [cell.strip() for cell in line.split("│")[1:9]] == [
        SOURCE,
        "3",
        "2000-01-01",
        "2000-01-03",
        "1800",
        "0",
        "0",
        "0",
    ]


def test_archive_of_an_unknown_source_says_what_it_holds(held: Path) -> None:
    for command in ("show", "verify", "repair"):
        code, _, err = run("archive", command, "nowhere", "--archive", held)
        assert code == 1
        assert f"no source 'nowhere'; it holds {SOURCE}" in err


def test_damaged_day_is_found_set_aside_and_made_anew(held: Path, catalog: Path) -> None:
    assert run("archive", "verify", "--archive", held)[:2] == (0, "nothing wrong\n")
    (store,) = (held / SOURCE / "stores").glob("20000102-*.zarr")
    (shard,) = [
        path
        for path in (store / "reflectivity").rglob("*")
        if path.is_file() and path.name != "zarr.json"
    ]
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1  # one bit
    shard.write_bytes(content)

    code, out, _ = run("archive", "verify", "--archive", held)
    assert code == 2
    assert "20000102" in out or "2000-01-02" in out
    assert run("archive", "repair", "--dry-run", "--archive", held)[0] == 0
    assert run("archive", "verify", "--archive", held)[0] == 2  # nothing was done
    assert run("archive", "repair", "--archive", held)[0] == 0
    code, out, _ = run("ingest", SOURCE, "--catalog", catalog, "--archive", held)
    assert "1 ingested" in out
    assert "2 unchanged" in out
    assert run("archive", "verify", "--archive", held)[0] == 0


def test_archive_export_writes_files_that_xarray_opens(
    held: Path, catalog: Path, tmp_path: Path
) -> None:
    code, out, _ = run(
        "archive",
        "export",
        SOURCE,
        "--start",
        "2000-01-02",
        "--output",
        tmp_path / "out",
        "--archive",
        held,
        "--catalog",
        catalog,
    )
    assert code == 0
    paths = [Path(line) for line in out.split()]
    assert len(paths) == 2
    with xr.open_dataset(paths[0]) as day:
        assert day.sizes == {"time": 600, "height": 128}
        assert day["reflectivity"].attrs["units"] == "dBZ"


def test_archive_quicklook_and_inspect_draw(
    held: Path, simulated_days: Path, tmp_path: Path
) -> None:
    code, out, _ = run(
        "archive",
        "quicklook",
        SOURCE,
        "2000-01-02",
        "--output",
        tmp_path / "a.png",
        "--archive",
        held,
    )
    assert code == 0
    assert Path(out.strip()).stat().st_size > 10_000
    file = simulated_days / SOURCE / "20000102_radar.nc"
    code, out, _ = run("inspect", file, "--picture", tmp_path / "b.png")
    assert code == 0
    assert "a Cloudnet Level 1b radar file" in out
    assert "600 profiles" in out
    assert (tmp_path / "b.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["inspect", "nowhere.nc"], "nowhere.nc: no such file"),
        (["inspect", __file__], "not a netCDF file"),
        (["inspect", __file__, "--reader", "nonsense"], "unknown reader 'nonsense'"),
        (["archive", "quicklook", "nowhere", "2000-01-02"], "no nowhere for 2000-01-02"),
        (["archive", "export", "nowhere", "--output", "out"], "nowhere"),
    ],
    ids=["no file", "other file", "reader", "quicklook", "export"],
)
def test_wrong_input_to_the_archive_commands_gives_one_clear_error(
    arguments: list[str], message: str
) -> None:
    code, _, err = run(*arguments)
    assert code == 1
    assert message in err
