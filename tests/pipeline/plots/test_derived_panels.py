"""The picture of a derived product: drawn of what there is, refused of what is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_products import make_product

from blindzone.core.errors import ProductError
from blindzone.pipeline.derivation.columns import CLASS_NAMES
from blindzone.pipeline.derivation.derived_product import derive_product
from blindzone.pipeline.plots.derived_panels import draw_derived, plot_derived


def test_classes_of_the_picture_stack_up_to_one() -> None:
    derived = derive_product(make_product(), members=4)
    classes, bases, rates, amounts = plot_derived(derived).axes
    top = max(
        path.vertices[:, 1].max() for part in classes.collections for path in part.get_paths()
    )
    assert top == pytest.approx(1)
    labels = [text.get_text() for text in classes.get_legend().get_texts()]
    assert len(labels) == len(CLASS_NAMES) + 1
    assert bases.get_ylabel() == "km"
    assert len(rates.lines) == 2
    assert amounts.get_title(loc="left").startswith("Hourly sums")


def test_sum_is_as_high_as_its_mean() -> None:
    derived = derive_product(make_product(), members=4)
    heights = [patch.get_height() for patch in plot_derived(derived).axes[3].patches]
    expected = np.concatenate(
        [derived[f"hourly_{phase}_amount"].values for phase in ("rainfall", "snowfall")]
    )
    np.testing.assert_allclose(heights, expected[np.isfinite(expected)])


def test_picture_is_written_by_the_name_s_suffix(tmp_path: Path) -> None:
    draw_derived(derive_product(make_product(), members=2), tmp_path / "day.png")
    assert (tmp_path / "day.png").read_bytes().startswith(b"\x89PNG")


def test_product_that_is_not_derived_is_refused() -> None:
    with pytest.raises(ProductError, match="no derived product"):
        plot_derived(make_product())
