"""Former parameters and keys: deployments made before each flow took one plan go on working."""

from __future__ import annotations

import logging
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from prefect import Flow
from prefect.utilities.schema_tools.validation import validate

from blindzone.core.adaptive_sampling import AdaptiveSampling
from blindzone.core.errors import PlanError
from blindzone.flows.calibrate import CalibrationPlan
from blindzone.flows.calibrate import calibrate as calibrate_flow
from blindzone.flows.demo import DemoPlan
from blindzone.flows.demo import demo as demo_flow
from blindzone.flows.evaluate import EvaluationPlan
from blindzone.flows.evaluate import evaluate as evaluate_flow
from blindzone.flows.experiments.training_plan import TrainingPlan
from blindzone.flows.ingest import ingest as ingest_flow
from blindzone.flows.inpaint import InpaintPlan
from blindzone.flows.inpaint import inpaint as inpaint_flow
from blindzone.flows.nightly import nightly as nightly_flow
from blindzone.flows.reprocess import reprocess as reprocess_flow
from blindzone.flows.running.ingestion import IngestPlan
from blindzone.flows.running.old_parameters import also_takes
from blindzone.flows.running.plans import DataPlaces, Filling, Places
from blindzone.flows.sweep import SweepPlan
from blindzone.flows.sweep import sweep as sweep_flow
from blindzone.flows.train import TrainPlan
from blindzone.flows.train import train as train_flow
from blindzone.models.training_config import TrainingConfig

DAY = date(2021, 3, 14)
DATA = DataPlaces(catalog=Path("c.yaml"), archive="s3://bucket/archive")
PLACES = {"catalog": "c.yaml", "archive": "s3://bucket/archive"}
ONE_STEP = TrainingPlan(training=TrainingConfig(steps=1))

FORMER: list[tuple[Flow[..., Any], dict[str, Any], Any]] = [
    (
        ingest_flow,
        {"source": "a", "start": "2021-03-14", **PLACES},
        IngestPlan(source="a", start=DAY, places=DATA),
    ),
    (
        evaluate_flow,
        {"source": "a", "checkpoints": ["x.keras"], "schemes": ["repeat"], "passes": 4, **PLACES},
        EvaluationPlan(
            source="a",
            checkpoints=(Path("x.keras"),),
            schemes=("persistence",),
            passes=4,
            places=DATA,
        ),
    ),
    (
        calibrate_flow,
        {"source": "a", "checkpoint": "x.keras", "realizations": 7, **PLACES},
        CalibrationPlan(source="a", checkpoint=Path("x.keras"), passes=7, places=DATA),
    ),
    (
        inpaint_flow,
        {
            "source": "a",
            "start": "2021-03-14",
            "end": "2021-03-14",
            "output": "products",
            "passes": {"tolerance_db": 0.5},
            "samples": 3,
            "force": True,
            **PLACES,
        },
        InpaintPlan(
            source="a",
            start=DAY,
            end=DAY,
            filling=Filling(passes=AdaptiveSampling(tolerance_db=0.5), members=3),
            places=Places(catalog=Path("c.yaml"), archive=DATA.archive, products="products"),
            force=True,
        ),
    ),
    (
        train_flow,
        {"source": "a", "plan": {"training": {"steps": 1}}, "start_from": ["x.keras"], **PLACES},
        TrainPlan(source="a", training_plan=ONE_STEP, start_from=(Path("x.keras"),), places=DATA),
    ),
    (
        sweep_flow,
        {"source": "a", "trials": 2, "plan": {"training": {"steps": 1}}, **PLACES},
        SweepPlan(source="a", trials=2, training_plan=ONE_STEP, places=DATA),
    ),
    (
        demo_flow,
        {"source": "a", "minutes": 1.5, "output": "o", "catalog": "c.yaml"},
        DemoPlan(source="a", minutes=1.5, output=Path("o"), catalog=Path("c.yaml")),
    ),
]


class Taken(BaseException):
    """Ends a flow where it begins, with its plan."""

    def __init__(self, plan: Any) -> None:
        self.plan = plan


@pytest.mark.parametrize(
    ("flow", "parameters", "expected"), FORMER, ids=lambda value: getattr(value, "name", "")
)
def test_former_parameters_of_a_deployment_become_the_plan_with_a_notice(
    flow: Flow[..., Any],
    parameters: dict[str, Any],
    expected: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    # As Prefect's server checks a deployment's parameters, and its engine calls the flow.
    validate(parameters, flow.parameters.model_dump(), raise_on_error=True)
    taken = flow.validate_parameters(parameters)

    def take(plan: Any) -> None:
        raise Taken(plan)

    outer = flow.fn
    body = outer.__closure__
    assert body is not None
    (cell,) = [
        cell for cell in body if getattr(cell.cell_contents, "__name__", "") == flow.fn.__name__
    ]
    function, cell.cell_contents = cell.cell_contents, take
    try:
        with pytest.raises(Taken) as found, caplog.at_level(logging.WARNING, "blindzone"):
            outer(**taken)
    finally:
        cell.cell_contents = function
    assert found.value.plan == expected
    assert "separate parameters are an older form" in caplog.text


def test_plan_and_former_parameters_together_are_rejected() -> None:
    with pytest.raises(PlanError, match="ingest: found a plan and end next to it"):
        ingest_flow.fn(IngestPlan(source="a"), end=DAY)


def test_no_parameter_at_all_is_an_error_that_names_the_key() -> None:
    with pytest.raises(PlanError, match="the plan of ingest: source: this key is missing"):
        ingest_flow.fn()


def test_former_keys_of_a_plan_are_taken_with_a_notice(caplog: pytest.LogCaptureFixture) -> None:
    former = {"sources": ["a"], "filling": {"realizations": 30, "samples": 4}}
    for flow in (nightly_flow, reprocess_flow):
        validate({"plan": former}, flow.parameters.model_dump(), raise_on_error=True)
        with caplog.at_level(logging.WARNING, "blindzone"):
            plan = flow.validate_parameters({"plan": former})["plan"]
        assert plan.filling == Filling(passes=30, members=4)
    assert "filling: the key 'realizations' is now called 'passes'" in caplog.text
    assert "filling: the key 'samples' is now called 'members'" in caplog.text


def test_key_under_both_names_is_rejected() -> None:
    with pytest.raises(PlanError, match="samples is the former name of members; found both"):
        Filling(members=3, samples=4)  # type: ignore[call-arg]


def test_wrapped_function_is_called_with_the_plan_alone() -> None:
    @also_takes(IngestPlan, source="source", archive="places.archive")
    def name_archive(plan: IngestPlan) -> str:
        return f"{plan.source} in {plan.places.archive}"

    assert name_archive(IngestPlan(source="a")) == "a in None"
    assert name_archive(source="a", archive="b") == "a in b"
