"""What a checkpoint knows of the inputs that it was made from: the reference that drift is measured against."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from blindzone.models.checkpoint import Checkpoint
from blindzone.pipeline.archive import Archive
from blindzone.pipeline.network_input.preprocessing import Preprocessing
from blindzone.pipeline.products.drift import InputReference, fit_inputs

KEY = "inputs"
"""Under which a calibration's record keeps the reference."""


def find_reference(trained: Checkpoint) -> InputReference | None:
    """Returns what a checkpoint knows of its inputs; None if it does not tell.

    Raises:
        CurtainError: If what it tells is not understood.
    """
    kept = (trained.calibration or {}).get(KEY)
    return None if kept is None else InputReference.from_dict(kept)


def make_reference(
    store: Archive, source: str, preprocessing: Preprocessing, days: Iterable[date]
) -> InputReference | None:
    """Returns what archived days were like above the blind zone; None if they are too few."""
    return fit_inputs(
        (store.read_granule(source, day)[0] for day in sorted(days)),
        top_m=preprocessing.blind_zone.top_m,
        floor_dbz=preprocessing.floor_dbz,
    )
