"""What a file alone reveals is refused or flagged: mutations of excerpts of measured files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from mutations import EXCERPTS, Mutation, Verdict, list_mutations
from raw_files import write_raw

from blindzone.core.errors import BlindzoneError
from blindzone.pipeline.curtains.curtain import SITE_COORDINATES
from blindzone.pipeline.curtains.findings import pick_findings
from blindzone.pipeline.readers import read_curtain

FORM = "NETCDF3_64BIT"
MUTATIONS = tuple(list_mutations())
FIELDS = ("reflectivity", "doppler_velocity", "attenuated_backscatter", "temperature")


@pytest.fixture(scope="module")
def right_curtains(
    measured_directory: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[xr.Dataset, xr.Dataset]]:
    """Returns the excerpts, as stored and as curtains."""
    folder = tmp_path_factory.mktemp("excerpts")
    raw = {name: excerpt.read(measured_directory) for name, excerpt in EXCERPTS.items()}
    return {
        name: (content, read_curtain(write_raw(content, folder / f"{name}.nc", FORM)))
        for name, content in raw.items()
    }


def judge(mutation: Mutation, raw: xr.Dataset, right: xr.Dataset, path: Path) -> Verdict:
    """Returns what becomes of a mutated excerpt."""
    write_raw(mutation.change(raw), path, FORM)
    try:
        found = read_curtain(path)
    except BlindzoneError as error:
        return Verdict.REFUSED if str(error).startswith(str(path)) else Verdict.UNSEEN
    if pick_findings(found.attrs):
        return Verdict.FLAGGED
    return Verdict.HARMLESS if are_equal(found, right) else Verdict.UNSEEN


def are_equal(found: xr.Dataset, right: xr.Dataset) -> bool:
    """Returns whether two curtains have the same fields, heights and site, packing aside."""
    names = [name for name in (*FIELDS, "height") if name in right]
    fields = all(
        found[name].shape == right[name].shape
        and np.allclose(found[name].values, right[name].values, atol=0.01, equal_nan=True)
        for name in names
    )
    turn = {"longitude": 360.0}
    site = all(
        np.allclose(
            *(one[name] % turn.get(name, np.inf) for one in (found, right)),
            atol=20.0 if name == "altitude" else 0.01,
            equal_nan=True,
        )
        for name in SITE_COORDINATES
    )
    return fields and site and found.attrs.get("frequency_ghz") == right.attrs.get("frequency_ghz")


@pytest.mark.parametrize("mutation", MUTATIONS, ids=str)
def test_mutation_gets_its_verdict(
    mutation: Mutation,
    right_curtains: dict[str, tuple[xr.Dataset, xr.Dataset]],
    tmp_path: Path,
) -> None:
    raw, right = right_curtains[mutation.of]

    assert judge(mutation, raw, right, tmp_path / "mutated.nc") is mutation.verdict


def test_unchanged_excerpts_raise_no_doubt(
    right_curtains: dict[str, tuple[xr.Dataset, xr.Dataset]],
) -> None:
    assert not any(pick_findings(curtain.attrs) for _, curtain in right_curtains.values())


def test_set_is_large_and_little_of_it_unseen() -> None:
    unseen = [mutation for mutation in MUTATIONS if mutation.verdict is Verdict.UNSEEN]

    assert len(MUTATIONS) >= 80
    assert len(unseen) <= 8
