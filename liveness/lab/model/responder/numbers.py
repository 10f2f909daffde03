"""The far end's initial sequence number: a hash, so that no connection has to be remembered."""

from liveness.kernel import int64, kernel, uint64
from liveness.mixing import mix64


@kernel
def initial_sequence(syn: int, target: int) -> int:
    """Return the initial sequence number of `target` (host order) in the connection of a SYN with number `syn`."""
    return int64(mix64(uint64(syn) ^ uint64(target) << uint64(32)) & uint64(0xFFFFFFFF))
