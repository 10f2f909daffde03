"""Packets of conversations as a capture file: headers without payload, as taken with a small snap length."""

import struct
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.lab.traffic.conversation import FIN, ICMP, RST, SYN, TCP, UDP, Answer, Conversations
from liveness.lab.traffic.records import ERROR_BYTES, PORT_UNREACHABLE

MAGIC: Final = 0xA1B2C3D4
"""Of captures with microseconds (draft-ietf-opsawg-pcap)."""
ETHERNET: Final = 1
SNAP_BYTES: Final = 128
_LINK: Final = bytes.fromhex("020000000002020000000001") + b"\x08\x00"
_RECORD: Final = 16
_IP_AT: Final = _RECORD + len(_LINK)
_L4_AT: Final = _IP_AT + 20
_WIDTH: Final = _L4_AT + 36
_CAPTURED: Final = {TCP: 20, UDP: 8}
_ERROR_TYPES: Final = (3, 11)
_BATCH: Final = 1 << 17

PACKET_DTYPE: Final = np.dtype(
    [
        ("time_ms", np.int64),
        ("src", np.uint32),
        ("dst", np.uint32),
        ("sport", np.uint16),
        ("dport", np.uint16),  # ICMP: type * 256 + code
        ("size", np.uint16),
        ("protocol", np.uint8),
        ("flags", np.uint8),
        ("quote_src", np.uint32),  # of an ICMP error: the packet it quotes
        ("quote_dst", np.uint32),
        ("quote_ports", np.uint32),
        ("quote_protocol", np.uint8),
    ]
)
Packets = NDArray[np.void]
"""An array of PACKET_DTYPE."""


def packets_of(made: Conversations) -> Packets:
    """Return every packet of conversations, in order of time."""
    answered = made[made["answer"] != Answer.NONE]
    packets = np.concatenate([_direction(made, answer=False), _direction(answered, answer=True)])
    return packets[np.argsort(packets["time_ms"], kind="stable")]


def _direction(made: Conversations, *, answer: bool) -> Packets:
    error = answer & (made["answer"] == Answer.ERROR)
    count = np.where(error, 1, made["answer_packets"] if answer else made["packets"]).astype(np.int64)
    row = np.repeat(np.arange(len(made)), count)
    place = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    all_ = made[row]
    packets = np.zeros(len(row), PACKET_DTYPE)
    begin_ms = all_["start_ms"] + (all_["delay_ms"] if answer else 0)
    packets["time_ms"] = begin_ms + all_["duration_ms"] * place // np.maximum(1, count[row] - 1) * (count[row] > 1)
    ends = (("dst", "src"), ("dport", "sport")) if answer else (("src", "dst"), ("sport", "dport"))
    (packets["src"], packets["dst"]), (packets["sport"], packets["dport"]) = (
        (all_[first], all_[second]) for first, second in ends
    )
    packets["protocol"], packets["size"] = all_["protocol"], all_["answer_size" if answer else "size"]
    packets["flags"] = _flags(all_["answer_flags" if answer else "flags"], place, count[row])
    icmp = all_["protocol"] == ICMP
    if answer:
        packets["sport"][icmp] = packets["dport"][icmp] = 0
        _turn_into_errors(packets, all_, error[row])
    else:
        forged = icmp & np.isin(
            all_["dport"] >> 8, _ERROR_TYPES
        )  # the flood was forged: what it quotes never left here
        packets["quote_src"][forged], packets["quote_dst"][forged] = all_["dst"][forged], all_["src"][forged]
        packets["quote_ports"][forged], packets["quote_protocol"][forged] = 50_000 << 16 | 80, TCP
    return packets


def _turn_into_errors(packets: Packets, all_: Conversations, error: NDArray[np.bool_]) -> None:
    packets["protocol"][error], packets["sport"][error], packets["dport"][error] = ICMP, 0, PORT_UNREACHABLE
    packets["size"][error], packets["flags"][error] = ERROR_BYTES, 0
    for name in ("src", "dst", "protocol"):
        packets[f"quote_{name}"][error] = all_[name][error]
    packets["quote_ports"][error] = all_["sport"][error].astype(np.uint32) << 16 | all_["dport"][error]


def _flags(union: NDArray[np.uint8], place: NDArray[np.int64], count: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the flags of each packet: of a session SYN first and FIN last; else all packets have all flags."""
    session = (union & (FIN | SYN) == FIN | SYN) & (count > 1)
    first, last = session & (place == 0), session & (place == count - 1)
    flags = np.where(session, union & ~np.uint8(SYN | FIN | RST), union)
    flags = np.where(last, union & ~np.uint8(SYN), flags)
    return np.where(first, SYN, flags).astype(np.uint8)


def capture_bytes(packets: Packets) -> Iterator[bytes]:
    """Yield the parts of a capture file."""
    yield struct.pack("<IHHiIII", MAGIC, 2, 4, 0, 0, SNAP_BYTES, ETHERNET)
    for first in range(0, len(packets), _BATCH):
        yield _records(packets[first : first + _BATCH])


def _put(out: NDArray[np.uint8], at: int, values: NDArray[np.generic] | int, width: int, order: str = "big") -> None:
    """Write an integer of each row to columns at..at+width."""
    wide: NDArray[np.int64] = np.asarray(values, np.int64)
    for i in range(width):
        shift = 8 * (width - 1 - i if order == "big" else i)
        out[:, at + i] = wide >> shift & 255


def _records(packets: Packets) -> bytes:
    out = np.zeros((len(packets), _WIDTH), np.uint8)
    protocol = packets["protocol"]
    error = (protocol == ICMP) & np.isin(packets["dport"] >> 8, _ERROR_TYPES)
    captured = np.select([protocol == TCP, protocol == UDP, error], [20, 8, 36], 8)
    captured = np.minimum(captured, packets["size"].astype(np.int64) - 20) + len(_LINK) + 20
    _put(out, 0, packets["time_ms"] // 1000, 4, "little")
    _put(out, 4, packets["time_ms"] % 1000 * 1000, 4, "little")
    _put(out, 8, captured, 4, "little")
    _put(out, 12, packets["size"].astype(np.int64) + len(_LINK), 4, "little")
    out[:, _RECORD:_IP_AT] = np.frombuffer(_LINK, np.uint8)
    _put_ip(out, _IP_AT, packets["size"], protocol, packets["src"], packets["dst"])
    ports = protocol != ICMP
    _put(out, _L4_AT, np.where(ports, packets["sport"], packets["dport"]), 2)
    _put(out, _L4_AT + 2, np.where(ports, packets["dport"], 0), 2)
    tcp, udp = protocol == TCP, protocol == UDP
    out[tcp, _L4_AT + 12] = 5 << 4
    out[tcp, _L4_AT + 13] = packets["flags"][tcp]
    length = packets["size"].astype(np.int64) - 20
    out[udp, _L4_AT + 4], out[udp, _L4_AT + 5] = length[udp] >> 8, length[udp] & 255
    quoting = out[error]
    quoted = packets[error]
    _put_ip(
        quoting,
        _L4_AT + 8,
        np.full(len(quoted), 60),
        quoted["quote_protocol"],
        quoted["quote_src"],
        quoted["quote_dst"],
    )
    _put(quoting, _L4_AT + 28, quoted["quote_ports"], 4)
    out[error] = quoting
    # Rows have different lengths: a mask takes the bytes in use, row by row.
    return bytes(out[np.arange(_WIDTH) < (captured + _RECORD)[:, None]].tobytes())


def _put_ip(
    out: NDArray[np.uint8], at: int, size: NDArray[np.generic], protocol: NDArray[np.generic],
    src: NDArray[np.generic], dst: NDArray[np.generic],
) -> None:  # fmt: skip
    """Write IPv4 headers (RFC 791) with their checksum."""
    out[:, at], out[:, at + 8] = 0x45, 64
    _put(out, at + 2, size, 2)
    out[:, at + 9] = protocol
    _put(out, at + 12, src, 4)
    _put(out, at + 16, dst, 4)
    words = out[:, at : at + 20 : 2].astype(np.int64) << 8 | out[:, at + 1 : at + 20 : 2]
    total = words.sum(axis=1)
    total = (total & 0xFFFF) + (total >> 16)
    _put(out, at + 10, ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF, 2)
