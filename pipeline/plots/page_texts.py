"""Texts and tables of a product's page: where it comes from, and how it compares with the truth."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from blindzone.core.printable import to_text
from blindzone.pipeline.curtains.acdd import NOT_STATED
from blindzone.pipeline.curtains.curtain import DIMS, DetectionStatus
from blindzone.pipeline.plots.error_panel import find_errors
from blindzone.pipeline.plots.product_view import ProductView
from blindzone.pipeline.verification.curtain_scores import score_product
from blindzone.pipeline.verification.statistics import LEAST_CASES

_FACTS = {
    "summary": "What it is",
    "comment": "To be kept in mind",
    "network_status": "Status of the network",
    "interval_calibration": "Calibration of the intervals",
    "instrument": "Instrument",
    "site": "Site",
    "source_files": "Source files",
    "profiles_dropped": "Profiles left out",
    "checkpoint_sha256": "SHA-256 of the network",
    "realizations": "Forward passes",
    "seed": "Seed",
    "target_sha256": "SHA-256 of all inputs",
    "software_version": "Version of blindzone",
    "product_version": "Version of the product",
    "date_created": "Created",
    "history": "History",
    "license": "Licence",
    "acknowledgement": "Acknowledgement",
    "references": "References",
}
_SCORES = {
    "POD": "share of true echo that was filled as echo; 1 is best",
    "FAR": "share of filled echo that is none in truth; 0 is best",
    "CSI": "hits among hits, misses and false alarms; 1 is best",
    "frequency bias": "filled echo over true echo; 1 is best",
    "Brier": "mean square error of the probability of echo; 0 is best",
    "MAE [dB]": "mean error of the median, no echo counted as the floor",
    "MAE hits [dB]": "the same where truth and median have echo",
    "coverage 50 % echo": "share of true echo inside the 50 % interval",
    "coverage 80 % echo": "share of true echo inside the 80 % interval",
    "coverage 90 % echo": "share of true echo inside the 90 % interval",
    "coverage 95 % echo": "share of true echo inside the 95 % interval",
    "coverage 90 %": "share of all pixels inside the 90 % interval",
    "virga CSI": "CSI of columns with virga",
    "shallow CSI": "CSI of columns whose echo is hidden wholly",
}
_OF_ECHO = tuple(name for name in _SCORES if name not in ("Brier", "MAE [dB]", "coverage 90 %"))
"""Scores that say nothing where echo is too rare."""
_RARE = ": too few for scores of echo"
_NO_TRUTH = (
    "The radar measured nothing in the zone that was filled. So there are no scores, no truth to"
    " switch to. Emulated days of the same radar, filled by the same network, show how far its"
    " filling holds."
)
_NOTHING_TRUSTED = (
    "No filled row has trusted truth, so nothing can be scored. The truth can be looked at."
)
_HOW = (
    "Of filled pixels in rows with trusted truth. A pixel without a measured value counts as no"
    " echo. A dash: not defined, or not stated. A single day says little: 'blindzone evaluate'"
    " scores whole blocks of days."
)


def list_facts(product: xr.Dataset) -> list[list[str]]:
    """Returns what a product states of itself: pairs of a label and a text, then all the rest.

    Texts of attributes are as they are; whoever shows them escapes them.
    """
    about = product.attrs
    known = [(label, about[name]) for name, label in _FACTS.items() if name in about]
    rest = [(name, value) for name, value in about.items() if name not in _FACTS]
    return [
        [to_text(str(label)), text]
        for label, value in [*known, *sorted(rest)]
        if (text := _to_text(label, value)) not in ("", NOT_STATED)
    ]


def _to_text(name: str, value: Any) -> str:
    text = str(value)
    if name == "configuration":
        try:
            text = json.dumps(json.loads(text), indent=1)
        except ValueError:
            return to_text(text)
    return to_text(text)


def verify(view: ProductView) -> dict[str, Any]:
    """Returns scores of a product and of persistence, or why there are none.

    Args:
        view: The product `(time, height)`.

    Returns:
        `scores`: rows of name, meaning, score of the fill and of persistence; None where a score is
        not defined. `how`: what was scored. `reason`: why there is no score.
    """
    if not view.truth.any():
        reason = _NO_TRUTH if view.unseen.any() or not view.hidden.any() else _NOTHING_TRUSTED
        return {"scores": [], "how": "", "reason": reason}
    product, status = view.product, _guess_status(view)
    sums = score_product(product, status, floor_dbz=float(product["sensitivity_floor"]))
    scores = {scheme: found.scores() for scheme, found in sums.items()}
    echo = int((status.values == DetectionStatus.ECHO)[view.truth].sum())
    is_rare = find_errors(view).echo < LEAST_CASES
    return {
        "scores": [
            [name, what, *((None, None) if is_rare and name in _OF_ECHO else _pick(scores, name))]
            for name, what in _SCORES.items()
        ],
        "how": f"{_HOW} {echo} of them have echo in truth{_RARE if is_rare else ''}.",
        "reason": "",
    }


def _guess_status(view: ProductView) -> xr.DataArray:
    """Returns the status of the measured pixels as far as a product alone states it."""
    floor = float(view.product["sensitivity_floor"])
    has_echo = view.product["reflectivity_observed"].values > floor
    status = np.where(has_echo, DetectionStatus.ECHO, DetectionStatus.NO_ECHO)
    status[view.hidden & ~view.truth] = DetectionStatus.UNTRUSTED
    status[view.no_data] = DetectionStatus.NO_DATA
    return xr.DataArray(status, dims=DIMS)


def _pick(
    scores: Mapping[str, Mapping[str, float]], name: str
) -> tuple[float | None, float | None]:
    """Returns a score of the fill and of persistence, which states no interval."""
    repeated = None if name.startswith("coverage") else _take(scores["repeat"].get(name))
    return _take(scores["fill"].get(name)), repeated


def _take(score: float | None) -> float | None:
    return None if score is None or not math.isfinite(score) else round(score, 3)
