"""`reprocess` as processes of its own: killed, and two at once; `make soak` has long proofs."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from crashing import find_partial, find_products, tell_phase, watching
from forking import Forker, forking

from blindzone.flows.reprocess import reprocess

SOURCE = "short_days"
NAMES = tuple(f"{SOURCE}_2000010{number}_blindzone.nc" for number in (1, 2, 3))


@pytest.fixture(scope="module")
def forker(tmp_path_factory: pytest.TempPathFactory, simulated_days: Path) -> Iterator[Forker]:
    folder = tmp_path_factory.mktemp("processes")
    with forking(
        folder / "runs",
        BLINDZONE_DATA=str(simulated_days),
        BLINDZONE_WORKSPACE=str(folder / "workspace"),
    ) as forker:
        yield forker


@pytest.fixture
def plan(catalog: Path, trained: tuple[Path, Path], tmp_path: Path) -> dict[str, Any]:
    """A plan over the three days, as JSON; products are the test's own."""
    places = {
        "catalog": str(catalog),
        "archive": str(trained[0]),
        "products": str(tmp_path / "products"),
    }
    return {
        "sources": [SOURCE],
        "filling": {"passes": 2, "checkpoint": str(trained[1])},
        "places": places | {"reports": str(tmp_path / "reports")},
    }


def test_killed_run_leaves_whole_products_and_the_next_makes_the_rest_each_once(
    forker: Forker, plan: dict[str, Any], tmp_path: Path
) -> None:
    products = tmp_path / "products"
    with watching(products) as seen:
        # In the middle of writing the first day; then, in the next run, between the second's move
        # and all that follows.
        for point, name, phase, there in (
            ("half written", NAMES[0], "writing", ()),
            ("moved", NAMES[1], "done with a day", NAMES[:2]),
        ):
            run = forker.start("plan", flow="reprocess", plan=plan, dies=point, on=name)
            assert run.wait() == -signal.SIGKILL, run.log
            assert tell_phase(products, NAMES) == phase
            assert set(find_products(products)) == set(there)
        before = find_products(products)
        report = reprocess.fn(reprocess.validate_parameters({"plan": plan})["plan"])
        assert [day.status for day in report.days] == ["unchanged", "unchanged", "created"]
        assert find_products(products).items() >= before.items()
        assert find_partial(products) == []
    # Nothing was made twice, in three runs.
    assert {name: len(identities) for name, identities in seen.items()} == dict.fromkeys(NAMES, 1)


def test_runs_over_the_same_days_at_once_make_each_product_once(
    forker: Forker, plan: dict[str, Any], tmp_path: Path
) -> None:
    with watching(tmp_path / "products") as seen:
        runs = [forker.start("plan", flow="reprocess", plan=plan) for _ in range(2)]
        assert [run.wait() for run in runs] == [0, 0], "\n".join(run.log for run in runs)
    made = Counter(name for run in runs for name, status in run.days.items() if status == "created")
    assert made == dict.fromkeys(NAMES, 1)
    assert {name: len(identities) for name, identities in seen.items()} == dict.fromkeys(NAMES, 1)
    assert find_partial(tmp_path / "products") == []
