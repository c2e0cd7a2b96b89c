"""The flow that fills days: what it refuses, and what it leaves in a product."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
import xarray as xr

from blindzone.core.adaptive_sampling import AdaptiveSampling
from blindzone.core.errors import PlanError
from blindzone.flows.inpaint import inpaint
from blindzone.pipeline.products.checks import check_product

SOURCE = "short_days"


def test_deployment_gives_the_tolerance_as_json() -> None:
    given = {"source": "station", "start": "2021-03-14", "end": "2021-03-14"}
    found = inpaint.validate_parameters(given | {"passes": {"tolerance_db": 0.1}})
    assert found["passes"] == AdaptiveSampling(tolerance_db=0.1)
    assert inpaint.validate_parameters(given | {"passes": 30})["passes"] == 30


@pytest.mark.parametrize(
    "counts", [{"passes": 1}, {"passes": 0}, {"samples": 1}, {"samples": 0}], ids=str
)
def test_too_few_realizations_or_samples_are_refused_before_anything_is_read(
    counts: dict[str, int],
) -> None:
    ((name, count),) = counts.items()
    with pytest.raises(PlanError, match=f"^{name}: a distribution needs at least 2; found {count}"):
        inpaint.fn("nowhere", date(2000, 1, 1), date(2000, 1, 1), **counts)


def test_product_holds_samples_and_tells_how_many_realizations_a_tolerance_took(
    catalog: Path, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    archive, checkpoint = trained
    day, effort = date(2000, 1, 3), AdaptiveSampling(tolerance_db=0.5, least=2, most=6)
    (path,) = inpaint.fn(
        SOURCE, day, day, tmp_path, checkpoint, effort, 0, catalog, archive, samples=3
    )
    with xr.open_dataset(path) as product:
        assert product["reflectivity_realization"].shape == (3, 600, 128)
        check_product(product.load())
        assert 2 <= product.attrs["realizations"] <= 6
        assert product.attrs["realizations_tolerance_db"] == 0.5
        told = json.loads(product.attrs["configuration"])["realizations"]
    assert told == {"tolerance_db": 0.5, "least": 2, "most": 6}
