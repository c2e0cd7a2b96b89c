"""Default places of all that a run makes.

That is `$BLINDZONE_WORKSPACE`, else the folder `workspace` in the current one.
"""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

SHIPPED_WEIGHTS = Path(str(files("blindzone.models") / "weights" / "palaiseau.keras"))
"""Trained on the training days of `palaiseau_basta`; its card is next to it."""


def workspace() -> Path:
    """Returns the workspace folder."""
    return Path(os.environ.get("BLINDZONE_WORKSPACE", "workspace"))


def archive_folder() -> Path:
    """Returns the default folder of the zarr archive."""
    return workspace() / "archive"


def checkpoint_file(source: str) -> Path:
    """Returns the default checkpoint of a source."""
    return workspace() / "checkpoints" / f"{source}.keras"


def product_folder() -> Path:
    """Returns the default folder of products."""
    return workspace() / "products"


def repair_folder() -> Path:
    """Returns the default folder of repaired products, which others of the same day are not in."""
    return workspace() / "repaired"


def report_folder() -> Path:
    """Returns the default folder of the reports of runs."""
    return workspace() / "reports"


def log_folder() -> Path:
    """Returns the default folder of the logs of runs without a report."""
    return workspace() / "logs"
