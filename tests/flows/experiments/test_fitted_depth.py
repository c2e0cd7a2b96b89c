"""The record of a calibration, of one depth of the blind zone and of several."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from blindzone.flows.experiments.fitted_depth import FittedDepth, join_depths
from blindzone.pipeline.derivation.shallow import HIDDEN_ECHO_KEY
from blindzone.pipeline.inpainting.calibration import Calibration
from blindzone.pipeline.inpainting.calibration_verdict import BY_DEPTH, PASSED
from blindzone.pipeline.inpainting.member_dependence import PALAISEAU, MemberDependence
from blindzone.pipeline.products.members import DEPENDENCE_KEY, read_dependence

HOLDS = {f"given echo: coverage {level} %": level / 100 for level in (50, 80, 90, 95)}
FAILS = dict.fromkeys(HOLDS, 0.2)


def fitted(after: dict[str, float], members: MemberDependence | None = None) -> FittedDepth:
    return FittedDepth(
        calibration=cast(Calibration, SimpleNamespace(to_dict=lambda: {"groups": []})),
        members=members,
        hidden_echo=None,
        scores={"before": {"CSI": np.nan, "CRPS [dB]": 1.0000049}, "after": after},
    )


def test_record_has_no_score_that_is_not_known() -> None:
    record = join_depths([fitted({})])
    assert record["scores"] == {"before": {"CRPS [dB]": 1.0}, "after": {}}
    assert record["fit"] == {"groups": []}


def test_record_has_only_fits_that_were_made() -> None:
    assert not {DEPENDENCE_KEY, HIDDEN_ECHO_KEY} & join_depths([fitted({})]).keys()
    record = join_depths([fitted({}, PALAISEAU)])
    assert read_dependence(record[DEPENDENCE_KEY], where="record") == PALAISEAU


@pytest.mark.parametrize(
    ("depths", "passed"),
    [((HOLDS, HOLDS), True), ((HOLDS, {}), None), (({}, FAILS), False), ((FAILS, HOLDS), False)],
)
def test_depth_that_failed_decides_then_one_that_nothing_is_known_of(
    depths: tuple[dict[str, Any], ...], passed: bool | None
) -> None:
    record = join_depths([fitted(after) for after in depths])
    assert record[PASSED] is passed
    assert len(record[BY_DEPTH]) == 2
