"""The picture of a sweep over learning rates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from blindzone.core.errors import ProductError
from blindzone.pipeline.plots.rate_sweep import draw_rate_sweep

RATES = np.geomspace(1e-7, 1, 30)
LOSSES = np.concatenate([np.linspace(5, 1, 29), [1e4]])


@pytest.mark.parametrize("suggested", [1e-3, None])
def test_picture_is_written_with_and_without_a_suggestion(
    tmp_path: Path, suggested: float | None
) -> None:
    path = tmp_path / "rates" / "a.png"
    path.parent.mkdir()
    draw_rate_sweep(RATES, LOSSES, LOSSES, suggested, path, title="$5 radar")
    assert path.stat().st_size > 5_000


def test_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProductError, match="unknown picture format"):
        draw_rate_sweep(RATES, LOSSES, LOSSES, None, tmp_path / "a.txt", title="radar")
