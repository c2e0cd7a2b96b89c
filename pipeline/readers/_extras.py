"""Optional packages that read files of some instruments."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType

from blindzone.core.errors import SourceFileError


def import_extra(module: str, extra: str, kind: str, path: Path) -> ModuleType:
    """Returns a module of an optional package.

    Args:
        module: The module, such as `pyhdf.SD`.
        extra: The extra of this package that installs it.
        kind: What it reads, with its article: 'an HDF4 file'.
        path: The file, for messages.

    Raises:
        SourceFileError: If the package is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise SourceFileError(
            f"{path}: {kind}, which the optional package {module.split('.')[0]} reads, and that is"
            f" not installed ({error}); \"pip install 'blindzone[{extra}]'\" is right"
        ) from error
