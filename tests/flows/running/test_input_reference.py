"""The reference for drift in a checkpoint: made from archived days, and found again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from blindzone.flows.running.input_reference import KEY, find_reference, make_reference
from blindzone.models.checkpoint import read_checkpoint
from blindzone.pipeline.archive import Archive
from blindzone.pipeline.curtains.cf import InpaintingFlag
from blindzone.pipeline.network_input.preprocessing import Preprocessing
from blindzone.pipeline.products.drift import measure_drift

SOURCE = "short_days"


def test_reference_of_archived_days_is_found_in_the_record_that_keeps_it(
    trained: tuple[Path, Path],
) -> None:
    archive, checkpoint = trained
    store, plain = Archive(archive), read_checkpoint(checkpoint)
    preprocessing = Preprocessing.from_dict(plain.preprocessing)
    assert find_reference(plain) is None

    reference = make_reference(store, SOURCE, preprocessing, store.days(SOURCE))

    assert reference is not None
    assert reference.days == 3
    assert reference.edges_m[0] == preprocessing.blind_zone.top_m
    assert find_reference(replace(plain, calibration={KEY: reference.to_dict()})) == reference
    # Each of its own days lies nearer to all of them than the furthest to the others.
    curtain, _ = store.read_granule(SOURCE, store.days(SOURCE)[0])
    inputs = {
        "reflectivity_observed": curtain["reflectivity"],
        "inpainting_flag": 0 * curtain["detection_status"],
    }
    assert InpaintingFlag.OBSERVED == 0
    assert 0 < measure_drift(curtain.assign(inputs), reference)["drift_score"] < 1


def test_too_few_days_make_no_reference(trained: tuple[Path, Path]) -> None:
    store = Archive(trained[0])
    preprocessing = Preprocessing.from_dict(read_checkpoint(trained[1]).preprocessing)
    assert make_reference(store, SOURCE, preprocessing, store.days(SOURCE)[:2]) is None
