"""The constants of a run that every kernel needs: templates, sums, cookie key, ports and the probes in arrays.

Built once by `build_kit` from the probes and the path to the network; a named tuple of arrays and numpy numbers, so
that compiled kernels take it as one argument.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, uint64
from liveness.probes import dns, icmp, ntp, tcp
from liveness.probes.probe import Method, Probe
from liveness.probes.template import LinkAddresses, partial_sums
from liveness.wire import headers as hdr

NO_PROBE = -1


class Kit(NamedTuple):
    """Constants of a run; arrays have one entry a probe unless said otherwise. Addresses are host-order uint32.

    Numbers are numpy scalars of fixed width (keys uint64, the rest int64), so that kernels are compiled for one type.
    """

    methods: NDArray[np.int64]
    codes: NDArray[np.int64]
    templates: NDArray[np.uint16]  # (probes, frame words): constant bytes, varying fields zero, in wire order
    lengths: NDArray[np.uint16]  # frame bytes
    ip_sums: NDArray[np.int64]  # sum of the constant words of the IP header
    transport_sums: NDArray[np.int64]  # the same of the transport segment and pseudo header
    icmp_probe: int  # index of the ICMP probe, or NO_PROBE
    tcp_probes: NDArray[np.int16]  # (65536,) probe index by destination port, or NO_PROBE
    udp_probes: NDArray[np.int16]  # (65536,)
    question: NDArray[np.uint8]  # the DNS question section
    sources: NDArray[np.uint32]  # the scanner's addresses
    key0: int
    key1: int
    port_first: int
    port_stride: int  # source ports an attempt
    attempts: int


@dataclass(frozen=True, slots=True)
class CookieParameters:
    """What the cookie of a run depends on: its 16-byte key, source port range (inclusive) and number of attempts."""

    key: bytes
    port_first: int
    port_last: int
    attempts: int

    @property
    def stride(self) -> int:
        """Source ports an attempt has to itself."""
        return (self.port_last - self.port_first + 1) // self.attempts


def _template(probe: Probe, link: LinkAddresses, ttl: int, contact: str, tcp_options: str) -> bytes:
    match probe.method:
        case Method.ICMP:
            return icmp.template(link, ttl, contact)
        case Method.TCP:
            return tcp.template(link, ttl, probe.port, tcp_options)
        case Method.DNS:
            return dns.template(link, ttl)
        case Method.NTP:
            return ntp.template(link, ttl)


def _by_port(probes: Sequence[Probe], protocol: int) -> NDArray[np.int16]:
    table = np.full(65536, NO_PROBE, np.int16)
    for index, probe in enumerate(probes):
        if probe.protocol == protocol:
            table[probe.port] = index
    return table


def build_kit(
    probes: Sequence[Probe],
    cookie: CookieParameters,
    link: LinkAddresses,
    sources: Sequence[int],
    *,
    ttl: int = 64,
    contact: str = "",
    tcp_options: str = "windows",
) -> Kit:
    """Return the constants of a run.

    `sources` are host-order addresses, `link` the Ethernet addresses of both ends of the first hop; `contact` is put
    into every ICMP echo; `tcp_options` is one of `tcp.OPTIONS`.
    """
    frames = [_template(probe, link, ttl, contact, tcp_options) for probe in probes]
    width = (max(len(frame) for frame in frames) + 1) // 2
    templates = np.zeros((len(probes), width * 2), np.uint8)
    for row, frame in zip(templates, frames, strict=True):
        row[: len(frame)] = np.frombuffer(frame, np.uint8)
    sums = [partial_sums(frame) for frame in frames]
    icmp_probe = next((i for i, probe in enumerate(probes) if probe.method == Method.ICMP), NO_PROBE)
    return Kit(
        methods=np.array([probe.method for probe in probes], np.int64),
        codes=np.array([probe.code for probe in probes], np.int64),
        templates=templates.view(np.uint16),
        lengths=np.array([len(frame) for frame in frames], np.uint16),
        ip_sums=np.array([ip_sum for ip_sum, _ in sums], np.int64),
        transport_sums=np.array([transport_sum for _, transport_sum in sums], np.int64),
        icmp_probe=int64(icmp_probe),
        tcp_probes=_by_port(probes, hdr.PROTOCOL_TCP),
        udp_probes=_by_port(probes, hdr.PROTOCOL_UDP),
        question=np.frombuffer(dns.QUESTION, np.uint8),
        sources=np.array(sources, np.uint32),
        key0=uint64(int.from_bytes(cookie.key[:8], "little")),
        key1=uint64(int.from_bytes(cookie.key[8:], "little")),
        port_first=int64(cookie.port_first),
        port_stride=int64(cookie.stride),
        attempts=int64(cookie.attempts),
    )
