"""What an HDF4 file says of its elements, read without the HDF4 library.

Every element has a descriptor of 12 bytes: tag, reference, offset, length, in blocks that each name
the next (HDF Specification and Developer's Guide, chapters 2 and 9). Arrays are groups (Vgroups) of
class `Var0.0`, tables Vdatas; HDF-EOS2 adds groups of class `SWATH` and `GRID`, whose names are
those of the product.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from typing import NamedTuple

MAGIC = b"\x0e\x03\x13\x01"
_NULL_TAG, _TABLE_TAG, _GROUP_TAG = 1, 1962, 1965
_DESCRIPTOR_BYTES = 12
_UNDEFINED = 0xFFFFFFFF
"""Offset and length of an element that was named and never written."""
_ARRAY, _ATTRIBUTE, _PRODUCTS = "Var0.0", "Attr0.0", ("SWATH", "GRID")
_UNNAMED_DIMENSION = "fakeDim"


class Element(NamedTuple):
    """An element: what it is, and where in the file."""

    tag: int
    offset: int
    length: int


class Contents(NamedTuple):
    """Names of the arrays and tables of a file, and of its HDF-EOS2 swaths and grids."""

    variables: frozenset[str]
    products: tuple[str, ...]


def list_elements(content: bytes | mmap.mmap) -> Iterator[Element]:
    """Yields every element of an HDF4 file.

    Raises:
        struct.error: If the list is cut short.
        ValueError: If it does not end.
    """
    block, seen = len(MAGIC), set[int]()
    while block:
        if block in seen:
            raise ValueError("its list of elements runs in a circle")
        seen.add(block)
        count, following = struct.unpack_from(">hI", content, block)
        for at in range(block + 6, block + 6 + count * _DESCRIPTOR_BYTES, _DESCRIPTOR_BYTES):
            tag, _, offset, length = struct.unpack_from(">HHII", content, at)
            if tag != _NULL_TAG and offset != _UNDEFINED and length != _UNDEFINED:
                yield Element(tag, offset, length)
        block = following


def list_contents(content: bytes | mmap.mmap) -> Contents:
    """Returns the names in an HDF4 file; those of attributes are left out.

    Raises:
        struct.error: If the file is cut short.
        ValueError: If its list of elements does not end.
    """
    names: set[str] = set()
    products: list[str] = []
    for element in list_elements(content):
        if element.tag == _TABLE_TAG:
            name, kind = _read_table_name(content, element.offset)
            if kind != _ATTRIBUTE:
                names.add(name)
        elif element.tag == _GROUP_TAG:
            name, kind = _read_group_name(content, element.offset)
            if kind == _ARRAY:
                names.add(name)
            elif kind in _PRODUCTS:
                products.append(name)
    listed = frozenset(name for name in names if name and not name.startswith(_UNNAMED_DIMENSION))
    return Contents(listed, tuple(products))


def _read_group_name(content: bytes | mmap.mmap, at: int) -> tuple[str, str]:
    (members,) = struct.unpack_from(">H", content, at)
    return _read_names(content, at + 2 + 4 * members)


def _read_table_name(content: bytes | mmap.mmap, at: int) -> tuple[str, str]:
    (columns,) = struct.unpack_from(">H", content, at + 8)
    at += 10 + 8 * columns  # four numbers of two bytes a column: type, size, offset, order
    for _ in range(columns):
        (length,) = struct.unpack_from(">H", content, at)
        at += 2 + length
    return _read_names(content, at)


def _read_names(content: bytes | mmap.mmap, at: int) -> tuple[str, str]:
    """Returns the two texts, name and class, that begin at an offset."""
    texts = []
    for _ in range(2):
        (length,) = struct.unpack_from(">H", content, at)
        texts.append(bytes(content[at + 2 : at + 2 + length]).decode("latin-1").rstrip("\0"))
        at += 2 + length
    return texts[0], texts[1]
