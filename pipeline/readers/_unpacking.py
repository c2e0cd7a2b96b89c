"""Compressed files: gzip, bzip2 and xz, known by their first bytes and unpacked for a while."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from blindzone.core.errors import BlindzoneError, SourceFileError
from blindzone.core.memory import find_available
from blindzone.pipeline.readers._netcdf import describe_damage, read_magic

_Open = Callable[[Path], io.BufferedIOBase]
_FORMS: dict[bytes, tuple[str, _Open]] = {
    b"\x1f\x8b": ("gzip", gzip.GzipFile),
    b"BZh": ("bzip2", bz2.BZ2File),
    b"\xfd7zXZ\0": ("xz", lzma.LZMAFile),
}
"""By their first bytes (RFC 1952, section 2.3; the formats' own documents)."""
_SUFFIXES = (".gz", ".bz2", ".xz")
_CHUNK_BYTES = 4 * 2**20
_DAMAGE = (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError)


@contextmanager
def unpack(path: Path) -> Iterator[Path]:
    """Gives a file as it is, or if it is compressed, an unpacked copy that is gone afterwards.

    Errors raised with the copy at hand name the file.

    Raises:
        SourceFileError: If the file is missing, cut short, damaged, or too large when unpacked.
    """
    magic = read_magic(path)
    form = next((form for opening, form in _FORMS.items() if magic.startswith(opening)), None)
    if form is None:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="blindzone-") as folder:
        copy = Path(folder) / path.stem
        _copy(path, copy, *form)
        try:
            yield copy
        except BlindzoneError as error:
            raise type(error)(str(error).replace(str(copy), str(path))) from error


def find_stem(name: str) -> str:
    """Returns a file's name without its ending and that of its compression: `x` of `x.nc.gz`."""
    plain = name.removesuffix(Path(name).suffix) if name.endswith(_SUFFIXES) else name
    return Path(plain).stem


def _copy(path: Path, copy: Path, name: str, open_packed: _Open) -> None:
    """Unpacks a file, as far as there is memory to read it and room to write it."""
    most = min(find_available(), shutil.disk_usage(copy.parent).free // 2)
    written = 0
    try:
        with open_packed(path) as packed, copy.open("wb") as out:
            while chunk := packed.read(_CHUNK_BYTES):
                written += len(chunk)
                if written > most:
                    break
                out.write(chunk)
    except _DAMAGE as error:
        raise describe_damage(path, error, name) from error
    if written > most:
        raise SourceFileError(
            f"{path}: unpacked it takes more than {most / 2**30:.3g} GiB, which is what memory and"
            " the temporary folder hold"
        )
