"""An S3 server on loopback, for what must work on object stores too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from s3_server import KEY, SECRET, serving_s3


@pytest.fixture(scope="session")
def s3() -> Iterator[dict[str, Any]]:
    """Options of an S3 server on loopback that has one bucket."""
    with serving_s3() as address:
        yield {"key": KEY, "secret": SECRET, "endpoint_url": address}
