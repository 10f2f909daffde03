"""The constants of a run that every kernel needs: templates, sums, cookie key, ports and the probes in arrays.

`build_constants` makes them once, from the probes and the path to the network. They are a named tuple of arrays and
numpy numbers, so that compiled kernels take them as one argument.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from liveness.applications.registry import ENTRIES, definition_of, number_of
from liveness.packets import headers as hdr
from liveness.probes.dispatch import DEFINITIONS
from liveness.probes.hops import MAC_WORDS, Hops
from liveness.probes.probe import Probe
from liveness.probes.template import FrameOptions, LinkAddresses, partial_sums

NO_PROBE = -1
NO_APPLICATION = -1
MOST_TEMPLATES: Final = 256
"""Frames kept: scapy takes milliseconds for each, and the length of a run's frames is needed again and again."""

NUMBERS_DTYPE = np.dtype(
    [
        ("method", np.int64),  # the number of the probe's file
        ("is_udp", np.int64),
        ("echoes_cookie", np.int64),  # what its Description says about UDP answers
        ("any_port", np.int64),
        ("code", np.int64),  # the number of the probe in the cookie
        ("ip_sum", np.int64),  # sum of the constant words of the IP header
        ("transport_sum", np.int64),  # the same of the transport segment and pseudo header
        ("key0", np.uint64),  # the run's cookie key
        ("key1", np.uint64),
        ("port_first", np.int64),  # where the source ports begin
        ("port_stride", np.int64),  # source ports an attempt
        ("attempts", np.int64),
        ("application", np.int64),  # the number of the application that talks to its services, NO_APPLICATION if none
        ("request_bytes", np.int64),  # data of its request, without the target's address
        ("names_target", np.int64),  # whether the request has the target's address in it
    ]
)
"""Numbers of one probe, and those of the run again for each, so that one record has all that a kernel needs."""

BY_ICMP, BY_TCP, BY_UDP = 0, 1, 2
"""Rows of `RunConstants.by_port`."""


class RunConstants(NamedTuple):
    """Constants of a run. Addresses are host-order uint32."""

    numbers: NDArray[np.void]  # (probes,) NUMBERS_DTYPE
    templates: NDArray[np.uint16]  # (probes, frame words): constant bytes, varying fields zero, in wire order
    lengths: NDArray[np.uint16]  # (probes,) frame bytes
    by_port: NDArray[np.int16]  # (3, 65536) probe index by protocol and destination port (ICMP: 0), or NO_PROBE
    sources: NDArray[np.uint32]  # the scanner's addresses, ascending
    hop_first: NDArray[np.uint32]  # next hops as `probes.hops` has them; empty where the templates hold the only one
    hop_macs: NDArray[np.uint16]


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


def _template(probe: Probe, link: LinkAddresses, options: FrameOptions) -> bytes:
    return _built(DEFINITIONS[probe.number].verbs["template"], link, options, probe.port)


@lru_cache(maxsize=MOST_TEMPLATES)
def _built(build: Callable[..., bytes], link: LinkAddresses, options: FrameOptions, port: int) -> bytes:
    return build(link, options, port)


def frame_lengths(probes: Sequence[Probe], *, contact: str, tcp_options: str) -> list[int]:
    """Return the length of each probe's frame in bytes, from the Ethernet header on."""
    nowhere = LinkAddresses(bytes(6), bytes(6))
    return [len(_template(probe, nowhere, FrameOptions(0, contact, tcp_options))) for probe in probes]


def _by_port(probes: Sequence[Probe]) -> NDArray[np.int16]:
    rows = {hdr.PROTOCOL_ICMP: BY_ICMP, hdr.PROTOCOL_TCP: BY_TCP, hdr.PROTOCOL_UDP: BY_UDP}
    table = np.full((len(rows), 65536), NO_PROBE, np.int16)
    for index, probe in enumerate(probes):
        table[rows[probe.protocol], probe.port] = index
    return table


def _application(probe: Probe, applications: Sequence[str], contact: str) -> tuple[int, int, bool]:
    number = number_of(probe.name, applications)
    if number is None:
        return NO_APPLICATION, 0, False
    request = definition_of(ENTRIES[number]).request(contact)
    return number, len(request.before) + len(request.after), request.names_target


def build_constants(
    probes: Sequence[Probe],
    cookie: CookieParameters,
    link: LinkAddresses,
    sources: Sequence[int],
    *,
    ttl: int = 64,
    contact: str = "",
    tcp_options: str = "windows",
    applications: Sequence[str] = (),
) -> RunConstants:
    """Return the constants of a run.

    `sources` are host-order addresses, `link` the Ethernet addresses of both ends of the first hop; `contact` is put
    into every ICMP echo and into requests; `tcp_options` is one of `tcp.OPTIONS`; `applications` are the names of
    those that talk to services.
    """
    frames = [_template(probe, link, FrameOptions(ttl, contact, tcp_options)) for probe in probes]
    width = (max(len(frame) for frame in frames) + 1) // 2
    templates = np.zeros((len(probes), width * 2), np.uint8)
    for row, frame in zip(templates, frames, strict=True):
        row[: len(frame)] = np.frombuffer(frame, np.uint8)
    key0, key1 = (int.from_bytes(half, "little") for half in (cookie.key[:8], cookie.key[8:]))
    numbers = np.zeros(len(probes), NUMBERS_DTYPE)
    run = (key0, key1, cookie.port_first, cookie.stride, cookie.attempts)
    for index, (probe, frame) in enumerate(zip(probes, frames, strict=True)):
        udp = (probe.protocol == hdr.PROTOCOL_UDP, probe.description.echoes_cookie, probe.description.any_port)
        numbers[index] = (
            probe.number,
            *udp,
            probe.code,
            *partial_sums(frame),
            *run,
            *_application(probe, applications, contact),
        )
    return RunConstants(
        numbers=numbers,
        templates=templates.view(np.uint16),
        lengths=np.array([len(frame) for frame in frames], np.uint16),
        by_port=_by_port(probes),
        sources=np.unique(np.array(sources, np.uint32)),
        hop_first=np.empty(0, np.uint32),
        hop_macs=np.empty((0, MAC_WORDS), np.uint16),
    )


def with_hops(constants: RunConstants, hops: Hops) -> RunConstants:
    """Return the constants of a run whose frames go to other next hops from now on."""
    templates = constants.templates.copy()
    templates[:, :MAC_WORDS] = hops.macs[0]
    templates[:, MAC_WORDS : 2 * MAC_WORDS] = hops.own
    several = len(hops.first) > 1
    return constants._replace(
        templates=templates,
        hop_first=hops.first if several else hops.first[:0],
        hop_macs=hops.macs if several else hops.macs[:0],
    )
