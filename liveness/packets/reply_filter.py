"""The capture filter of a scan: a classic BPF program that lets only possible replies into the receive ring."""

from collections.abc import Sequence

from liveness.errors import UsageError
from liveness.packets import headers as hdr
from liveness.system.bpf import (
    ACCEPT,
    DROP,
    JUMP,
    JUMP_EQUAL,
    JUMP_GREATER,
    JUMP_GREATER_EQUAL,
    JUMP_SET,
    LD_BYTE,
    LD_BYTE_X,
    LD_HALF,
    LD_HALF_X,
    LD_WORD,
    LDX_HEADER,
    RETURN,
    Instruction,
    Program,
    assemble,
)

ADDRESSES_A_RUN = 100
"""How many addresses are compared before a jump: a conditional jump reaches 255 instructions far."""


def reply_filter(
    local_addresses: Sequence[int],
    port_first: int,
    port_last: int,
    icmp_types: Sequence[int],
    *,
    ethernet: bool = True,
) -> Program:
    """Return the program that accepts what can be a reply to a probe, and drops everything else.

    Accepted are Ethernet frames of IPv4, bare or behind one 802.1Q tag, to one of `local_addresses` (host order), that
    hold TCP or UDP to a port from `port_first` to `port_last`, ICMP of one of `icmp_types`, or any fragment of these
    protocols but the first (it has no ports; it is accepted to be counted). A packet too short to judge is dropped.
    Without `ethernet` packets begin with their IP header, as those of an interface without Ethernet do.
    """
    addresses, types = sorted(set(local_addresses)), sorted(set(icmp_types))
    starts = (14, 18) if ethernet else (0,)
    source = _find_ipv4() if ethernet else _check_ipv4()
    for ip in starts:
        source += _ipv4(ip, addresses, port_first, port_last, types)
    try:
        return assemble(source)
    except ValueError as error:
        raise UsageError(f"{len(local_addresses)} source addresses are too many for one filter: {error}") from error


def _check_ipv4() -> list[Instruction | str]:
    """Return the part that drops what is not IPv4 where the IP header comes first."""
    return [
        Instruction(LD_BYTE, 0),
        Instruction(JUMP_GREATER_EQUAL, 0x40, "", "drop here"),
        Instruction(JUMP_GREATER, 0x4F, "drop here", "version 4"),
        "drop here",
        Instruction(RETURN, DROP),
        "version 4",
    ]


def _find_ipv4() -> list[Instruction | str]:
    """Return the part that drops what is not IPv4, and finds the IP header behind Ethernet and at most one tag."""
    return [
        Instruction(LD_HALF, 12),
        Instruction(JUMP_EQUAL, hdr.ETHERTYPE_IPV4, "bare"),
        Instruction(JUMP_EQUAL, hdr.ETHERTYPE_VLAN, "", "drop here"),
        Instruction(LD_HALF, 16),
        Instruction(JUMP_EQUAL, hdr.ETHERTYPE_IPV4, "tagged"),
        "drop here",
        Instruction(RETURN, DROP),
        "tagged",
        Instruction(JUMP, true="ip 18"),
        "bare",
    ]


def _ipv4(
    ip: int, addresses: Sequence[int], port_first: int, port_last: int, icmp_types: Sequence[int]
) -> list[Instruction | str]:
    """Return the part that judges an IPv4 packet whose header begins at byte `ip` of the frame."""
    ours, drop, accept, icmp, first = (f"{name} {ip}" for name in ("ours", "drop", "accept", "icmp", "first"))
    source: list[Instruction | str] = [f"ip {ip}", Instruction(LD_WORD, ip + 16)]
    for start in range(0, len(addresses), ADDRESSES_A_RUN):  # in runs, because a conditional jump reaches 255 far
        hit, missed = f"hit {ip} {start}", f"missed {ip} {start}"
        source += [Instruction(JUMP_EQUAL, address, hit) for address in addresses[start : start + ADDRESSES_A_RUN]]
        source += [Instruction(JUMP, true=missed), hit, Instruction(JUMP, true=ours), missed]
    source += [Instruction(RETURN, DROP), ours, Instruction(LD_BYTE, ip + 9)]
    known = f"known {ip}"
    source += [
        Instruction(JUMP_EQUAL, hdr.PROTOCOL_TCP, known),
        Instruction(JUMP_EQUAL, hdr.PROTOCOL_UDP, known),
        Instruction(JUMP_EQUAL, hdr.PROTOCOL_ICMP, known, drop),
        known,
        Instruction(LD_HALF, ip + 6),
        Instruction(JUMP_SET, hdr.IPV4_OFFSET_MASK, accept, first),
        first,
        Instruction(LDX_HEADER, ip),
        Instruction(LD_BYTE, ip + 9),
        Instruction(JUMP_EQUAL, hdr.PROTOCOL_ICMP, icmp),
        Instruction(LD_HALF_X, ip + 2),  # the destination port
        Instruction(JUMP_GREATER_EQUAL, port_first, "", drop),
        Instruction(JUMP_GREATER, port_last, drop, accept),
        icmp,
        Instruction(LD_BYTE_X, ip),
    ]
    source += [Instruction(JUMP_EQUAL, icmp_type, accept) for icmp_type in icmp_types]
    source += [drop, Instruction(RETURN, DROP), accept, Instruction(RETURN, ACCEPT)]
    return source
