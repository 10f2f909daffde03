"""What the UDP probes share: the checksum, and matching an ICMP error that quotes a datagram."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import kernel
from liveness.probes.template import proven_attempt
from liveness.types import Kind, Rejection, Tier
from liveness.wire import cookie
from liveness.wire import headers as hdr
from liveness.wire import parse as p
from liveness.wire.checksum import read_u16

_ERROR: Final = int(Kind.ERROR)
_WEAK: Final = int(Tier.WEAK)
_STRONG: Final = int(Tier.STRONG)
_BAD_PORT: Final = int(Rejection.BAD_PORT)


@kernel
def match_quote(
    frame: NDArray[np.uint8],
    row: NDArray[np.int64],
    hashed: int,
    sent_checksum: int,
    constants: np.void,
    reply: np.void,
) -> int:
    """Match the quoted start of a datagram against the hash of the quoted destination.

    Ports are required. The datagram's checksum, which covers the cookie it carries, and the IP ID are each 16 bits
    more; a NAT on the way rewrites either, so one of the two makes the evidence strong, and none leaves it weak.
    """
    at = row[p.QUOTED_AT]
    attempt = proven_attempt(read_u16(frame, at), hashed, constants)
    if attempt < 0:
        return _BAD_PORT
    proven = read_u16(frame, at + hdr.UDP_CHECKSUM) == sent_checksum or row[p.QUOTED_IP_ID] == cookie.ip_id(hashed)
    reply["kind"] = _ERROR
    reply["attempt"] = attempt
    reply["tier"] = _STRONG if proven else _WEAK
    return p.ACCEPTED
