"""Frame templates: the constant bytes of a probe, built once with scapy, and the partial checksums they fix.

In a template every field that varies from target to target is zero: addresses, IP ID, source port, both checksums and
the fields that carry the cookie.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scapy.layers.inet import IP
from scapy.layers.l2 import Ether

from liveness.kernel import kernel, uint64
from liveness.packets import headers as hdr
from liveness.packets.checksum import words_sum
from liveness.packets.cookie import attempt_of_port, cookie
from liveness.replies import UNKNOWN_ATTEMPT

IP_AT: Final = hdr.ETHERNET_LENGTH
TRANSPORT_AT: Final = IP_AT + hdr.IPV4_MIN_LENGTH
NO_ADDRESS: Final = "0.0.0.0"  # noqa: S104 - nothing is bound: the field is filled in for each target


@dataclass(frozen=True, slots=True)
class LinkAddresses:
    """The Ethernet addresses of the first hop, six bytes each: the scanner's own and the gateway's."""

    own: bytes
    gateway: bytes


@dataclass(frozen=True, slots=True)
class FrameOptions:
    """What a config may choose about frames: TTL, the contact text of echo requests, one of `tcp.OPTIONS`."""

    ttl: int = 64
    contact: str = ""
    tcp_options: str = "windows"


def build_frame(link: LinkAddresses, ttl: int, transport: Any) -> bytes:  # noqa: ANN401 - scapy's layers have no types
    """Return the frame of a transport layer with zero addresses and checksums; Don't Fragment is set."""
    ethernet = Ether(src=link.own.hex(":"), dst=link.gateway.hex(":"), type=hdr.ETHERTYPE_IPV4)
    return bytes(ethernet / IP(src=NO_ADDRESS, dst=NO_ADDRESS, id=0, flags="DF", ttl=ttl, chksum=0) / transport)


def partial_sums(frame: bytes) -> tuple[int, int]:
    """Return what the constant words add to the IP checksum and to the transport checksum (pseudo header included)."""
    data = np.frombuffer(frame, np.uint8)
    transport = int(words_sum(data, TRANSPORT_AT, len(frame)))
    protocol = frame[IP_AT + hdr.IPV4_PROTOCOL]
    if protocol != hdr.PROTOCOL_ICMP:  # ICMP's checksum has no pseudo header
        transport += protocol + len(frame) - TRANSPORT_AT
    return int(words_sum(data, IP_AT, TRANSPORT_AT)), transport


@kernel
def hash_of(numbers: np.void, target: int) -> int:
    """Return the cookie of a target and a probe; `numbers` is the probe's record of NUMBERS_DTYPE."""
    return cookie(uint64(target), numbers["code"], numbers["key0"], numbers["key1"])


@kernel
def proven_attempt(port: int, hashed: int, numbers: np.void) -> int:
    """Return the attempt that a source port of ours proves, or -1; `numbers` is the probe's record."""
    return attempt_of_port(port, hashed, numbers["port_first"], numbers["port_stride"], numbers["attempts"])


@kernel
def attempt_or_unknown(attempt: int, numbers: np.void) -> int:
    """Return what a quote proves of its attempt, given what its port proves: -1 where a NAT has rewritten the port."""
    if attempt >= 0:
        return attempt
    return 0 if numbers["attempts"] == 1 else UNKNOWN_ATTEMPT
