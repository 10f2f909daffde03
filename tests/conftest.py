"""Settings of every test run: how deep hypothesis digs, and where compiled kernels are kept."""

import hashlib
import os
from itertools import chain
from pathlib import Path

from hypothesis import settings

# The first call of a kernel compiles it, so no example has a deadline. As plain Python kernels are far slower.
settings.register_profile("default", max_examples=100, deadline=None)
settings.register_profile("plain", max_examples=25, deadline=None)
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE") or ("plain" if os.environ.get("NUMBA_DISABLE_JIT", "0") != "0" else "default")
)


def _kernel_sources_digest() -> str:
    """Return a digest of everything that compiled kernels are made of."""
    package = Path(__file__).parents[1] / "liveness"
    parts = (package / part for part in ("types.py", "kernel.py", "net/tpacket.py"))
    floors = (sorted((package / floor).glob("*.py")) for floor in ("wire", "probes", "space", "scan"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in chain(parts, *floors))).hexdigest()[:16]


# Numba keeps a compiled kernel until the kernel's own file changes, even when one it calls has changed in another file:
# a test would then judge yesterday's code.
os.environ.setdefault(
    "NUMBA_CACHE_DIR", str(Path(__file__).parents[1] / ".pytest_cache" / "kernels" / _kernel_sources_digest())
)
