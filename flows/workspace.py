"""Where a run keeps what it makes, unless told otherwise.

That is `$BLINDZONE_WORKSPACE`, else the folder `workspace` in the current one.
"""

from __future__ import annotations

import os
from pathlib import Path


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
