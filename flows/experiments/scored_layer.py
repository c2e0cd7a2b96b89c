"""Which part of a source's curtains is hidden and scored, as its catalogue entry states it."""

from __future__ import annotations

from blindzone.pipeline.catalog.catalog import Source
from blindzone.pipeline.inpainting.inpaint_curtain import LONGEST_GAP_S
from blindzone.pipeline.verification.curtain_scores import ScoredLayer


def layer_of(entry: Source) -> ScoredLayer:
    """Returns the part of a source's curtains that is hidden and scored.

    Raises:
        CurtainError: If no hidden row is trusted.
    """
    return ScoredLayer(
        hidden_rows=entry.blind_zone.rows(entry.grid),
        lowest_row=entry.grid.row_of(entry.quality.lowest_trusted_m),
        floor_dbz=entry.quality.sensitivity_floor_dbz,
        longest_gap_s=LONGEST_GAP_S,
    )
