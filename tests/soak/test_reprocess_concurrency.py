"""Two `nightly` and one `reprocess` at once, as processes: products as of one alone."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from crashing import Stage, find_partial, find_products, staging, watching

from blindzone.pipeline.archive import Archive
from blindzone.pipeline.archive.care import verify_archive

pytestmark = pytest.mark.soak

ROUNDS = 3


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staging(tmp_path_factory.mktemp("at_once"), days=6) as stage:
        yield stage


def plan_in(stage: Stage, folder: Path, **changes: Any) -> dict[str, Any]:
    """A plan whose archive and products lie in a folder."""
    plan = stage.plan(folder / "products", **changes)
    return plan | {"places": plan["places"] | {"archive": str(folder / "archive")}}


@pytest.mark.parametrize("is_archived", [True, False], ids=["archived", "to be ingested"])
def test_runs_over_the_same_days_at_once_make_each_product_once(
    stage: Stage, tmp_path: Path, is_archived: bool
) -> None:
    for number in range(ROUNDS):
        folder = tmp_path / f"{number}"
        if is_archived:
            shutil.copytree(stage.root / "archive", folder / "archive")
        with watching(folder / "products") as seen:
            nightly = plan_in(stage, folder, pictures=False)
            runs = [
                stage.start(folder / "products", flow="nightly", plan=nightly) for _ in range(2)
            ]
            if is_archived:  # otherwise there is nothing yet to reprocess
                runs.append(stage.start(folder / "products", plan=plan_in(stage, folder)))
            codes = [run.wait() for run in runs]
            assert codes == [0] * len(runs), "\n".join(run.log for run in runs)
        made = Counter(
            name for run in runs for name, status in run.days.items() if status == "created"
        )
        assert made == dict.fromkeys(stage.days, 1)
        assert all(run.days.keys() == set(stage.days) for run in runs)
        assert {name: len(identities) for name, identities in seen.items()} == dict.fromkeys(
            stage.days, 1
        )
        assert find_products(folder / "products").keys() == set(stage.days)
        assert find_partial(folder / "products") == []
        assert list((folder / "products" / ".locks").iterdir()) == []
        stage.check(folder / "products")
        assert verify_archive(Archive(folder / "archive")) == []
        print(
            f"\nround {number}: made by the runs"
            f" {[list(run.days.values()).count('created') for run in runs]}"
        )


def test_runs_by_force_at_once_take_turns(stage: Stage, tmp_path: Path) -> None:
    products = tmp_path / "products"
    runs = [stage.start(products, plan=stage.plan(products, force=True)) for _ in range(2)]
    assert [run.wait() for run in runs] == [0, 0], "\n".join(run.log for run in runs)
    assert [run.days for run in runs] == [dict.fromkeys(stage.days, "created")] * 2
    stage.check(products)
    assert find_products(products).keys() == set(stage.days)
    assert find_partial(products) == []


def test_runs_that_want_another_product_of_the_same_days_leave_whole_ones(
    stage: Stage, tmp_path: Path
) -> None:
    products = tmp_path / "products"
    other = stage.plan(products)
    other = other | {"filling": other["filling"] | {"seed": 1}}
    with watching(products):
        runs = [stage.start(products), stage.start(products, plan=other)]
        assert [run.wait() for run in runs] == [0, 0], "\n".join(run.log for run in runs)
    # Whichever came last; the next run that is asked for the one has it.
    run = stage.start(products)
    assert run.wait() == 0, run.log
    stage.check(products)
    assert find_products(products).keys() == set(stage.days)
