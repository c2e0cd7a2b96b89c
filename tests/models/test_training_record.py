"""The record of a training: plain values for JSON, and back."""

from __future__ import annotations

import json

from blindzone.models.training_record import TrainingRecord


def test_a_record_survives_plain_values() -> None:
    record = TrainingRecord(
        steps=8,
        seconds=1.5,
        ended="patience",
        best_step=6,
        loss=0.5,
        validation_loss=0.25,
        validation_score=0.125,
        validation_absolute_error_units=0.75,
        wait_share=0.1,
        resumed_at=(3, 5),
        notes=("memory was short",),
    )
    plain = record.to_dict()
    assert TrainingRecord(**plain) == record
    lists = {"resumed_at": [3, 5], "notes": ["memory was short"]}
    assert json.loads(json.dumps(plain)) == plain | lists
