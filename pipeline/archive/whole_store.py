"""A zarr store that is whole: a chunk that is gone is an error."""

from __future__ import annotations

import re

from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import WrapperStore

from blindzone.core.errors import DamagedError

_CHUNK_KEY = re.compile(r"(^|/)c(/\d+)*$")


class WholeStore(WrapperStore[Store]):
    """A store that raises on a missing chunk, where zarr itself would read its fill value."""

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Returns what is stored under a key; None if it is absent and no chunk.

        Raises:
            DamagedError: If a chunk is gone.
        """
        found = await super().get(key, prototype, byte_range)
        if found is None and _CHUNK_KEY.search(key):
            raise DamagedError(
                f"{self._store}: '{key}' is gone; the store is damaged, or was replaced while it"
                " was open: open it again"
            )
        return found
