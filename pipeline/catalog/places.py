"""Places of catalogue, data and simulated files; no other module of `pipeline` reads variables.

`BLINDZONE_CATALOG` names the catalogue file, `BLINDZONE_DATA` the data directory. `BLINDZONE_HOSTS`
names hosts inside this machine or its network that any catalogue may lead to, separated by commas.
They are read when a catalogue or a URL of it is opened, never while data are worked on.
"""

from __future__ import annotations

import os
import stat
from importlib.resources import files
from pathlib import Path

import platformdirs

from blindzone.core.errors import CatalogError

_SHIPPED = Path(str(files("blindzone"))).resolve() / "data_catalog.yaml"


def find_catalog() -> Path:
    """Returns the catalogue file.

    It is what `$BLINDZONE_CATALOG` names, else `data_catalog.yaml` in the working directory, else
    the one of the package.
    """
    named = os.environ.get("BLINDZONE_CATALOG")
    if named:
        return Path(named)
    here = Path("data_catalog.yaml")
    return here if here.is_file() else _SHIPPED


def find_own_catalog() -> Path:
    """Returns the catalogue file that entries are added to, which need not exist.

    It is what `find_catalog` returns, but never the package's: `data_catalog.yaml` in the working
    directory comes in its place.
    """
    found = find_catalog()
    return Path("data_catalog.yaml") if found == _SHIPPED else found


def find_shipped_catalog() -> Path:
    """Returns the catalogue file of the package."""
    return _SHIPPED


def find_data_directory() -> Path:
    """Returns the data directory: `$BLINDZONE_DATA`, else the user's own, which need not exist.

    Raises:
        CatalogError: If it is the user's own and others could have put files there.
    """
    named = os.environ.get("BLINDZONE_DATA")
    if named:
        return Path(named)
    folder = platformdirs.user_data_path("blindzone")
    _check_own(folder, "data directory", "BLINDZONE_DATA")
    return folder


def find_allowed_hosts() -> tuple[str, ...]:
    """Returns the hosts that the operator allows any catalogue to lead to, in lower case."""
    named = os.environ.get("BLINDZONE_HOSTS", "").split(",")
    return tuple(name.strip().strip("[]").lower() for name in named if name.strip())


def find_in_cache(name: str) -> Path:
    """Returns a folder of the user's cache, which need not exist.

    Raises:
        CatalogError: If others could have put files there.
    """
    cache = platformdirs.user_cache_path("blindzone")
    for folder in (cache, cache / name):
        _check_own(folder, "cache", "XDG_CACHE_HOME")
    return cache / name


def _check_own(folder: Path, what: str, variable: str) -> None:
    """Checks that a folder, if it exists, is this user's and that not everyone may write to it."""
    try:
        found = folder.stat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise CatalogError(f"{folder}: the {what} cannot be read: {error.strerror}") from error
    if found.st_uid != os.getuid() or found.st_mode & stat.S_IWOTH:
        raise CatalogError(
            f"{folder}: others may write to this {what}, so that its files are not trusted: it"
            f" belongs to user {found.st_uid}, {stat.filemode(found.st_mode)}; one that belongs"
            f" to user {os.getuid()} and that not everyone may write to is right, and"
            f" {variable} names another place"
        )
