"""A server of S3 on loopback: moto's, which answers over HTTP as Amazon's does."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.request import Request, urlopen

from tests.fleet.support import wait_for

CREDENTIALS: Final = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
}
BUCKET: Final = "bucket"


def free_port() -> int:
    """Return a port of loopback on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(address: str) -> bool:
    try:
        urlopen(f"{address}/moto-api/", timeout=5).close()  # noqa: S310 - loopback
    except OSError:
        return False
    return True


@contextmanager
def server_of_s3(folder: Path) -> Iterator[int]:
    """Start a server with a bucket; yield its port."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    environment = {**os.environ, **CREDENTIALS}
    with (
        (folder / "s3.log").open("wb") as log,
        subprocess.Popen(words, stdout=log, stderr=log, env=environment) as server,
    ):
        try:
            wait_for(lambda: answers(address), "the server of S3")
            urlopen(Request(f"{address}/{BUCKET}", method="PUT"), timeout=30).close()  # noqa: S310 - loopback
            yield port
        finally:
            server.kill()
