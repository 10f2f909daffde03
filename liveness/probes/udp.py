"""What the UDP probes share: the checksum, and matching an ICMP error that quotes a datagram."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import kernel
from liveness.packets import cookie
from liveness.packets import headers as hdr
from liveness.packets import parse as p
from liveness.packets.bytes import read_be16
from liveness.probes.template import attempt_or_unknown, proven_attempt
from liveness.replies import Kind, Rejection, Tier

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
    numbers: np.void,
    reply: np.void,
) -> int:
    """Match the quoted start of a datagram against the hash of the quoted destination.

    Three fields carry the cookie: the source port, the datagram's checksum (it covers what the datagram carries; a
    NAT that rewrites address or port corrects it, so it is compared with that of the quoted ones) and the IP ID. NATs
    rewrite any of them: two of the three are strong evidence, the port alone is weak, anything else proves nothing.
    """
    at = row[p.QUOTED_AT]
    attempt = proven_attempt(read_be16(frame, at), hashed, numbers)
    same_checksum = read_be16(frame, at + hdr.UDP_CHECKSUM) == sent_checksum
    same_id = row[p.QUOTED_IP_ID] == cookie.ip_id(hashed)
    if attempt < 0 and not (same_checksum and same_id):
        return _BAD_PORT
    reply["kind"] = _ERROR
    reply["attempt"] = attempt_or_unknown(attempt, numbers)
    reply["tier"] = _STRONG if same_checksum or same_id else _WEAK
    return p.ACCEPTED
