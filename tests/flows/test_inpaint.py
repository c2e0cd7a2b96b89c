"""Inpaint: plans that it rejects, and what it writes into a product."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
import xarray as xr
from flow_calls import fill_days

from blindzone.core.adaptive_sampling import AdaptiveSampling
from blindzone.core.errors import PlanError
from blindzone.flows.inpaint import inpaint
from blindzone.pipeline.products.checks import check_product

SOURCE = "short_days"


def test_deployment_gives_the_tolerance_as_json() -> None:
    given = {"source": "station", "start": "2021-03-14", "end": "2021-03-14"}
    for passes, expected in (({"tolerance_db": 0.1}, AdaptiveSampling(tolerance_db=0.1)), (30, 30)):
        content = {"plan": given | {"filling": {"passes": passes}}}
        assert inpaint.validate_parameters(content)["plan"].filling.passes == expected


@pytest.mark.parametrize(
    "counts",
    [{"passes": 1}, {"realizations": 0}, {"samples": 1}, {"samples": 0}],
    ids=str,
)
def test_too_few_passes_or_members_are_rejected_before_anything_is_read(
    counts: dict[str, int],
) -> None:
    ((name, count),) = counts.items()
    name = "members" if name == "samples" else "passes"
    day = date(2000, 1, 1)
    with pytest.raises(PlanError, match=f"{name}: a distribution needs at least 2; found {count}"):
        inpaint.fn(source="nowhere", start=day, end=day, **counts)


def test_product_has_members_and_states_how_many_passes_a_tolerance_took(
    catalog: Path, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    archive, checkpoint = trained
    day, effort = date(2000, 1, 3), AdaptiveSampling(tolerance_db=0.5, least=2, most=6)
    (path,) = fill_days(SOURCE, day, day, tmp_path, checkpoint, effort, catalog, archive, members=3)
    with xr.open_dataset(path) as product:
        assert product["reflectivity_realization"].shape == (3, 600, 128)
        check_product(product.load())
        assert 2 <= product.attrs["realizations"] <= 6
        assert product.attrs["realizations_tolerance_db"] == 0.5
        stated = json.loads(product.attrs["configuration"])["realizations"]
    assert stated == {"tolerance_db": 0.5, "least": 2, "most": 6}
