"""The header of a netCDF-3 file: enough of it to know how long the file must be.

Format: NetCDF User's Guide, appendix B.
"""

from __future__ import annotations

import math
import struct
from typing import BinaryIO

_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8, 7: 1, 8: 2, 9: 4, 10: 8, 11: 8}
_STREAMING = (2**32 - 1, 2**64 - 1)
"""Stands for a number of records that its writer did not settle, with 4-byte counts and with 8-byte
ones."""


class _Header:
    """A header that is read item by item, in the byte widths of its version."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        version = stream.read(4)[3]
        self.streaming = _STREAMING[version == 5]
        self._count, self._offset = (
            ">Q" if version == 5 else ">I",
            ">I" if version == 1 else ">Q",
        )

    def _read(self, form: str) -> int:
        return int(struct.unpack(form, self.stream.read(struct.calcsize(form)))[0])

    def read_count(self) -> int:
        """Returns a number of items, bytes or values."""
        return self._read(self._count)

    def read_type_bytes(self) -> int:
        """Returns the size of one value [byte], of its type."""
        return _TYPE_BYTES[self._read(">I")]

    def read_offset(self) -> int:
        """Returns a position in the file [byte]."""
        return self._read(self._offset)

    def read_items(self) -> range:
        """Returns the numbers of a list's items, after its tag."""
        self._read(">I")
        return range(self.read_count())

    def skip_padded(self, size: int) -> None:
        """Skips bytes, and those that fill them up to a multiple of four."""
        self.stream.seek(size + -size % 4, 1)

    def skip_name(self) -> None:
        """Skips the name of an item."""
        self.skip_padded(self.read_count())

    def skip_attributes(self) -> None:
        """Skips a list of attributes."""
        for _ in self.read_items():
            self.skip_name()
            width = self.read_type_bytes()
            self.skip_padded(self.read_count() * width)


def find_least_size(stream: BinaryIO) -> int:
    """Returns the least size [byte] of a netCDF-3 file, by its header.

    Args:
        stream: The file, at its beginning.

    Raises:
        struct.error, KeyError, IndexError, OverflowError, OSError: If the header is damaged.
    """
    header = _Header(stream)
    records = header.read_count()
    lengths: list[int] = []
    for _ in header.read_items():
        header.skip_name()
        lengths.append(header.read_count())
    header.skip_attributes()
    ends, recorded = [stream.tell()], []  # first record and bytes per record of a variable
    for _ in header.read_items():
        header.skip_name()
        shape = [lengths[header.read_count()] for _ in range(header.read_count())]
        header.skip_attributes()
        width, _, begin = header.read_type_bytes(), header.read_count(), header.read_offset()
        along_records = shape[:1] == [0]
        size = math.prod(shape[along_records:]) * width
        if along_records:
            recorded.append((begin, size))
        else:
            ends.append(begin + size)
    if 0 < records < header.streaming:
        padded = [size + -size % 4 for _, size in recorded]
        step = sum(padded) if len(recorded) > 1 else sum(size for _, size in recorded)
        ends += [begin + (records - 1) * step + size for begin, size in recorded]
    return max(ends)
