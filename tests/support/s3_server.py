"""An S3 server on loopback that has one bucket, for what must work on object stores too."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

KEY, SECRET, REGION = "key", "secret", "us-east-1"


@contextmanager
def serving_s3() -> Iterator[str]:
    """Yields its address; the test is skipped where the packages for it are not installed."""
    pytest.importorskip("s3fs", reason="needs s3fs")
    moto = pytest.importorskip("moto.server", reason="needs moto's server")
    import fsspec

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        address = f"http://{host}:{port}"
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_DEFAULT_REGION", REGION)
            fsspec.filesystem("s3", key=KEY, secret=SECRET, endpoint_url=address).mkdir("bucket")
            yield address
    finally:
        server.stop()
