"""Kernel that makes the frames of talks: acknowledgments with a request, and resets."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from liveness.applications.registry import ENTRIES, definition_of
from liveness.kernel import int64, kernel
from liveness.packets import cookie
from liveness.packets import headers as hdr
from liveness.packets.bytes import copy_bytes, put_be16, put_be32
from liveness.packets.checksum import checksum, u32_sum, words_sum
from liveness.probes.probe import Probe
from liveness.probes.run_constants import NO_APPLICATION, RunConstants
from liveness.probes.tcp import request_length
from liveness.probes.template import IP_AT, TRANSPORT_AT, hash_of
from liveness.scan.talk.actions import (
    ACKNOWLEDGMENT,
    ACTION,
    ASK,
    ASK_AGAIN,
    ATTEMPT,
    FROM,
    PROBE,
    RESET_HEARD,
    RESET_IT,
    SEQUENCE,
    TARGET,
)

DATA_AT: Final = TRANSPORT_AT + hdr.TCP_MIN_LENGTH
LONGEST_ADDRESS: Final = len("255.255.255.255")
WINDOW: Final = 1460
"""Window that we offer: the data of one segment. Scaled by 8 bits, as our SYN allows, it is some segments more."""
MAC_BYTES: Final = 12
_DONT_FRAGMENT: Final = 0x4000
_VERSION_AND_LENGTH: Final = 0x45
_IP_TTL: Final = 8
_DOT: Final = ord(".")
_ZERO: Final = ord("0")


class Requests(NamedTuple):
    """The requests of a run, by probe: all bytes in one array."""

    text: NDArray[np.uint8]
    bounds: NDArray[np.int64]  # (probes, 3) begin, where the address belongs, end


def requests_of(probes: Sequence[Probe], constants: RunConstants, contact: str) -> Requests:
    """Return the requests of the applications that talk to the services of each probe."""
    text = b""
    bounds = np.zeros((len(probes), 3), np.int64)
    for index in range(len(probes)):
        number = int(constants.numbers["application"][index])
        if number != NO_APPLICATION:
            request = definition_of(ENTRIES[number]).request(contact)
            begin = len(text)
            text += request.before + request.after
            bounds[index] = begin, begin + len(request.before), len(text)
    return Requests(np.frombuffer(text or b"\0", np.uint8), bounds)


def longest_frame(requests: Requests) -> int:
    """Return the length of the longest frame of a talk in bytes."""
    longest = int((requests.bounds[:, 2] - requests.bounds[:, 0]).max(initial=0))
    return DATA_AT + longest + LONGEST_ADDRESS


@kernel
def _put_address(frame: NDArray[np.uint8], at: int, address: int) -> int:
    """Write an address in dotted form; return where it ends."""
    for shift in range(24, -8, -8):
        octet = (address >> shift) & 0xFF
        if octet > 99:  # noqa: PLR2004 - three digits
            frame[at] = _ZERO + octet // 100
            at += 1
        if octet > 9:  # noqa: PLR2004 - two digits or more
            frame[at] = _ZERO + octet // 10 % 10
            at += 1
        frame[at] = _ZERO + octet % 10
        at += 1
        if shift > 0:
            frame[at] = _DOT
            at += 1
    return at


@kernel
def _put_request(frame: NDArray[np.uint8], requests: Requests, probe: int, target: int, names_target: bool) -> int:
    """Write the request to a target behind the TCP header; return where it ends."""
    begin, middle, end = requests.bounds[probe, 0], requests.bounds[probe, 1], requests.bounds[probe, 2]
    at = DATA_AT
    copy_bytes(requests.text, begin, middle - begin, frame, at)
    at += middle - begin
    if names_target:
        at = _put_address(frame, at, target)
    copy_bytes(requests.text, middle, end - middle, frame, at)
    return int64(at + end - middle)


@kernel
def _put_headers(
    frame: NDArray[np.uint8],
    ttl: int,
    end: int,
    source: int,
    target: int,
    ports: int,
    sequence: int,
    acknowledgment: int,
    flags: int,
    identification: int,
) -> None:
    """Write IP and TCP header of a frame that ends at byte `end`; `ports` are source and destination in one number."""
    frame[IP_AT : TRANSPORT_AT + hdr.TCP_MIN_LENGTH] = 0
    frame[IP_AT] = _VERSION_AND_LENGTH
    put_be16(frame, IP_AT + hdr.IPV4_TOTAL_LENGTH, end - IP_AT)
    put_be16(frame, IP_AT + hdr.IPV4_ID, identification)
    put_be16(frame, IP_AT + hdr.IPV4_FRAGMENT, _DONT_FRAGMENT)
    frame[IP_AT + _IP_TTL] = ttl
    frame[IP_AT + hdr.IPV4_PROTOCOL] = hdr.PROTOCOL_TCP
    put_be32(frame, IP_AT + hdr.IPV4_SOURCE, source)
    put_be32(frame, IP_AT + hdr.IPV4_DESTINATION, target)
    put_be16(frame, IP_AT + hdr.IPV4_CHECKSUM, checksum(words_sum(frame, IP_AT, TRANSPORT_AT)))
    put_be32(frame, TRANSPORT_AT, ports)
    put_be32(frame, TRANSPORT_AT + hdr.TCP_SEQUENCE, sequence)
    put_be32(frame, TRANSPORT_AT + hdr.TCP_ACKNOWLEDGMENT, acknowledgment)
    frame[TRANSPORT_AT + hdr.TCP_DATA_OFFSET] = hdr.TCP_MIN_LENGTH << 2
    frame[TRANSPORT_AT + hdr.TCP_FLAGS] = flags
    put_be16(frame, TRANSPORT_AT + hdr.TCP_WINDOW, 0 if flags == hdr.TCP_FLAG_RST else WINDOW)
    pseudo = u32_sum(source) + u32_sum(target) + hdr.PROTOCOL_TCP + end - TRANSPORT_AT
    put_be16(frame, TRANSPORT_AT + hdr.TCP_CHECKSUM, checksum(pseudo + words_sum(frame, TRANSPORT_AT, end)))


@kernel
def fill_actions(
    actions: NDArray[np.int64],
    begin: int,
    count: int,
    constants: RunConstants,
    requests: Requests,
    ports: NDArray[np.int64],
    ttl: int,
    flat: NDArray[np.uint8],
    step: int,
    first_slot: int,
    lengths: NDArray[np.uint16],
) -> None:
    """Fill the frames of the actions `begin` to `begin` + `count`, in slots from `first_slot` on, and their `lengths`.

    `flat` has all frames of the ring in one array, `step` bytes apart: rows would have a type that depends on
    the ring. `ports` are the destination ports of the probes. The Ethernet addresses are those of the templates.
    """
    macs = constants.templates.view(np.uint8)
    for i in range(count):
        action, at = actions[begin + i], (first_slot + i) * step
        frame = flat[at : at + step]
        target, probe, kind = action[TARGET], action[PROBE], action[ACTION]
        numbers = constants.numbers[probe]
        hashed = hash_of(numbers, target)
        source_port = cookie.source_port(hashed, numbers["port_first"], numbers["port_stride"], action[ATTEMPT])
        sequence, acknowledgment, end = cookie.sequence(hashed) + 1, int64(0), int64(DATA_AT)
        flags = hdr.TCP_FLAG_RST
        if kind in (ASK, ASK_AGAIN):
            end = _put_request(frame, requests, probe, target, bool(numbers["names_target"]))
            acknowledgment = action[ACKNOWLEDGMENT]
            flags = hdr.TCP_FLAG_ACK | (hdr.TCP_FLAG_PSH if kind == ASK_AGAIN else 0)
        elif kind == RESET_IT:
            sequence = action[SEQUENCE]
        elif kind == RESET_HEARD:
            sequence += request_length(numbers, target)
        for byte in range(MAC_BYTES):
            frame[byte] = macs[0, byte]
        put_be16(frame, hdr.ETHERTYPE_OFFSET, hdr.ETHERTYPE_IPV4)
        _put_headers(
            frame,
            ttl,
            end,
            action[FROM],
            target,
            source_port << 16 | ports[probe],
            sequence & 0xFFFFFFFF,
            acknowledgment,
            flags,
            (cookie.ip_id(hashed) + 1 + kind) & 0xFFFF,
        )
        lengths[first_slot + i] = end
