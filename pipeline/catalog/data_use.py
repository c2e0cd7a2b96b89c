"""The terms of fetched files, in a file next to them: licence, what to cite, their identifiers.

`data_use.json` in a source's folder has what the portal states: terms of the source as a whole, and
under `files` each file by its name. Files that were fetched before stay listed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from blindzone.core.errors import FetchError
from blindzone.core.files import write_atomically

DATA_USE_FILE = "data_use.json"


def read_data_use(folder: Path) -> dict[str, Any]:
    """Returns the terms that are kept in a folder; nothing where there are none.

    Raises:
        FetchError: If they cannot be read.
    """
    path = folder / DATA_USE_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise FetchError(
            f"{path}: cannot be read: {error}; moving it away and fetching again is right"
        ) from error
    if not isinstance(content, dict) or not isinstance(content.get("files", {}), dict):
        raise FetchError(f"{path}: no terms of fetched files; moving it away is right")
    return content


def write_data_use(
    folder: Path, terms: Mapping[str, Any], files: Mapping[str, Mapping[str, Any]]
) -> None:
    """Writes the terms of a folder's files, those of earlier ones included.

    Args:
        folder: The folder.
        terms: Terms of the source as a whole.
        files: What is stated of each file, by its name in the folder.

    Raises:
        FetchError: If they cannot be written, or those that are there cannot be read.
    """
    listed = {**read_data_use(folder).get("files", {}), **files}
    content = {**terms, "files": dict(sorted(listed.items()))}
    with write_atomically(
        folder / DATA_USE_FILE, error=FetchError, what="the file of terms"
    ) as path:
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
