"""What a run draws by chance: the cookie key and the control port, which shards derive from a common secret."""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

from liveness.config.model import Config
from liveness.errors import UsageError
from liveness.files.reading import read_bytes

CONTROL_PORTS: Final = range(49_152, 65_536)
"""The dynamic ports (RFC 6335, section 6), on which no service is expected."""
KEY_BYTES: Final = 16
SECRET_BYTES: Final = 4_096
"""Largest size of a secret."""
LEAST_SECRET_BYTES: Final = 16

Draw = Callable[[str, int], bytes]
"""Returns so many bytes for a purpose."""


def draw_key(config: Config) -> bytes:
    """Return the cookie key: random, or the same for all runs of a config that are given the same secret.

    Raises UsageError for a secret that cannot be read.
    """
    return _from_secret(config)("key", KEY_BYTES) if config.secret else secrets.token_bytes(KEY_BYTES)


def draw_control_port(config: Config) -> int | None:
    """Return a high port for the control probe of a run, or None if the config switches it off.

    It is random for a run on one machine. Shards of a census have to probe the same port: it follows from the secret,
    and without one from the seed and the name. Raises UsageError for a secret that cannot be read.
    """
    if not config.control:
        return None
    probed = {f"tcp/{port}" for port in CONTROL_PORTS} & set(config.probes)
    ports = [port for port in CONTROL_PORTS if f"tcp/{port}" not in probed]
    if config.secret:
        drawn = _from_secret(config)("control port", 8)
    elif config.shard.of > 1:
        drawn = hashlib.sha256(f"{config.seed}|{config.name}|control port".encode()).digest()[:8]
    else:
        return secrets.choice(ports)
    return ports[int.from_bytes(drawn, "big") % len(ports)]


def _from_secret(config: Config) -> Draw:
    """Return a function that derives bytes from the config's secret; another name, seed or start gives others."""
    where = f"config {config.name!r}: $.secret: {config.secret!r}"
    try:
        secret = read_bytes(Path(config.secret), SECRET_BYTES)  # a regular file: it is read once for each purpose
    except OSError as problem:
        raise UsageError(f"{where}: cannot read this file: {(problem.strerror or str(problem)).lower()}") from problem
    if len(secret) < LEAST_SECRET_BYTES:
        remedy = f"make one with `head -c 32 /dev/urandom > {config.secret}`"
        raise UsageError(f"{where}: {len(secret)} bytes, at least {LEAST_SECRET_BYTES} are needed: {remedy}")

    def draw(purpose: str, count: int) -> bytes:
        text = f"{purpose}|{config.name}|{config.seed}|{config.start_at or ''}"
        return hmac.digest(secret, text.encode(), "sha256")[:count]

    return draw
