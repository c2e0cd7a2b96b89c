"""EarthCARE CPR frames from ESA's MAAP, by the downloader of their community.

`earthcare-downloader` (the extra `earthcare`) searches and downloads. It takes the user's token
from `MAAP_TOKEN` or from its own file; here no token is read, kept or printed. The portal states
the size of a frame and no checksum: a frame is whole if it has that size and is read as a frame.
"""

from __future__ import annotations

import contextlib
import io
import re
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import aiohttp

from blindzone.core.errors import FetchError, FileUnavailableError, SourceFileError
from blindzone.core.files import write_atomically
from blindzone.pipeline.catalog.fetching import TEMPORARY
from blindzone.pipeline.catalog.portal_source import OnBytes, PortalSource
from blindzone.pipeline.readers import recognise

if TYPE_CHECKING:
    from earthcare_downloader.params import File

PRODUCTS = {
    "CPR_NOM_1B": "EarthCARE cloud radar, C-NOM Level 1b",
    "CPR_FMR_2A": "EarthCARE cloud radar, C-FMR Level 2a",
}
"""Products that the reader `earthcare` reads."""
LICENCE = "ESA terms and conditions for the use of data"
LICENCE_ADDRESS = "https://earth.esa.int/eogateway/documents/20142/1564626/Terms-and-Conditions-for-the-use-of-ESA-Data.pdf"
CITATION = "Wehr et al. 2023, doi 10.5194/amt-16-3581-2023"
TOKEN_VARIABLE = "MAAP_TOKEN"
TOKEN_PAGE = "https://portal.maap.eo.esa.int/ini/services/auth/token/90dToken.php"


@dataclass(frozen=True, kw_only=True)
class Area:
    """Where frames pass.

    Attributes:
        latitude: Latitude of the middle [degrees_north].
        longitude: Longitude of the middle [degrees_east].
        radius_km: Distance from it [km].
    """

    latitude: float
    longitude: float
    radius_km: float


def find_frames(
    products: Iterable[str], start: date, end: date, area: Area | None = None
) -> list[PortalSource]:
    """Returns the frames of products in a range of days, each product as a source.

    Args:
        products: Names of `PRODUCTS`.
        start: First UTC day.
        end: Last UTC day, inclusive.
        area: Where they pass; anywhere by default.

    Raises:
        FetchError: If the portal does not answer, has none, or the extra is not installed.
    """
    place = {"lat": area.latitude, "lon": area.longitude, "radius": area.radius_km} if area else {}
    try:
        frames = _import("earthcare_downloader").search(list(products), start, end, **place)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise FetchError(f"ESA MAAP: cannot be asked: {_describe(error)}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise FetchError(f"ESA MAAP: its answer is not understood: {error!r}") from error
    sources = [_make_source(product, frames) for product in PRODUCTS if _select(product, frames)]
    if not sources:
        raise FetchError(
            f"ESA MAAP: no frame of {', '.join(products)} from {start} to {end}"
            f"{' in that area' if area else ''}; the mission's data begin on 2024-05-28"
        )
    return sources


def check_token(environment: Mapping[str, str]) -> None:
    """Checks that the downloader finds a token; without one it would ask for it and keep it.

    Raises:
        FetchError: If it does not, or the extra is not installed.
    """
    kept = _import("earthcare_downloader.dl").TOKEN_PATH
    if not environment.get(TOKEN_VARIABLE) and not kept.exists():
        raise FetchError(
            f"no token for ESA MAAP: {TOKEN_VARIABLE} is not set and {kept} does not exist; one"
            f" from {TOKEN_PAGE} is right"
        )


def _import(name: str) -> ModuleType:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise FetchError(
            f"EarthCARE frames need a package that is not installed ({error.name});"
            " pip install 'blindzone[earthcare]' adds it"
        ) from error


def _select(product: str, frames: Iterable[File]) -> list[File]:
    """Returns a product's frames whose names are those of its files, in order."""
    form = re.compile(rf"ECA_\w{{4}}_{product}_\d{{8}}T\d{{6}}Z_\w+\.(h5|zip)", re.IGNORECASE)
    ours = [frame for frame in frames if form.fullmatch(frame.filename)]
    return sorted(ours, key=lambda frame: frame.filename)


def _make_source(product: str, frames: Iterable[File]) -> PortalSource:
    return PortalSource(
        name=f"earthcare_{product.lower()}",
        title=PRODUCTS[product],
        files={
            f"{Path(frame.filename).stem}.h5": EarthcareFile(about=frame)
            for frame in _select(product, frames)
        },
        pattern=f"ECA_*_{product}_%Y%m%dT%H%M%SZ_*.h5",
        reader="earthcare",
        terms={
            "portal": "ESA MAAP",
            "product": product,
            "licence": LICENCE,
            "licence_address": LICENCE_ADDRESS,
            "citation": CITATION,
        },
        stated={
            "unit": "granule",
            "instrument": "EarthCARE CPR",
            "frequency_ghz": 94.05,
            "site": "on orbit",
            "institution": "ESA, JAXA",
            "licence": LICENCE,
            "reference": CITATION,
        },
        comment="Fetched by 'blindzone fetch earthcare'.",
    )


@dataclass(frozen=True, kw_only=True)
class EarthcareFile:
    """A frame at the portal.

    Attributes:
        about: What the portal states of it.
    """

    about: File

    @property
    def size(self) -> int:
        """Its size [bytes]; 0 if the portal does not state it."""
        return self.about.file_size or 0

    def describe(self) -> dict[str, Any]:
        """Returns what the portal states of the frame."""
        return {
            "identifier": self.about.identifier,
            "portal_name": self.about.filename,
            "baseline": self.about.baseline,
            "size": self.about.file_size,
        }

    def fetch(self, path: Path, on_bytes: OnBytes) -> bool:
        """Fetches the frame unless it is there whole, and returns whether it was fetched.

        Raises:
            FileUnavailableError: If it cannot be had.
            FetchError: If no frame can be had any more, or nothing can be written.
        """
        if self._is_whole(path):
            on_bytes(self.size)
            return False
        with write_atomically(path, error=FetchError, what="the frame") as partial:
            with tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=path.parent) as folder:
                self._download(Path(folder)).rename(partial)
            if not self._is_whole(partial):
                raise FileUnavailableError(
                    f"{self.about.filename}: came damaged or cut short; fetching it later is right"
                )
        on_bytes(self.size)
        return True

    def _is_whole(self, path: Path) -> bool:
        is_packed = self.about.filename.lower().endswith(".zip")  # the size is that of the archive
        try:
            if self.size and not is_packed and path.stat().st_size != self.size:
                return False
            return path.is_file() and recognise(path).name == "earthcare"
        except (OSError, SourceFileError):
            return False

    def _download(self, folder: Path) -> Path:
        """Downloads the frame into a folder and returns its file."""
        download = _import("earthcare_downloader").download
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # it prints a line of its own
                paths = download([self.about], output_path=folder, quiet=True)
        except aiohttp.ClientResponseError as error:
            raise FileUnavailableError(
                f"{self.about.filename}: refused: {error.status} {error.message}"
            ) from error
        except (aiohttp.ClientPayloadError, zipfile.BadZipFile) as error:
            raise FileUnavailableError(f"{self.about.filename}: the transfer broke off") from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise FetchError(f"ESA MAAP: cannot be reached: {_describe(error)}") from error
        except RuntimeError as error:
            # What the server says of a token is not passed on.
            status = re.search(r"\((\d{3})\)", str(error))
            raise FetchError(
                f"ESA MAAP: the token is refused ({status[1] if status else 'no reason'}); a new"
                f" one from {TOKEN_PAGE} is right, in {TOKEN_VARIABLE}"
            ) from None
        found = [Path(file) for file in paths if Path(file).suffix.lower() == ".h5"]
        if len(found) != 1:
            raise FileUnavailableError(
                f"{self.about.filename}: {len(found)} frames came; one is right"
            )
        return found[0]


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
