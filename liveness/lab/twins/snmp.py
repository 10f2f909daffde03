"""SNMP (RFC 3416): an agent of version 2c, community public, on scapy's layers, and its twin in the model Internet."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scapy.asn1.asn1 import ASN1_STRING
from scapy.error import Scapy_Exception
from scapy.layers.snmp import SNMP, SNMPget, SNMPresponse, SNMPvarbind

from liveness.kernel import int64, kernel
from liveness.lab.model.population.answer import ANSWERED, DNS, ERROR, NTP, PAYLOAD, SILENT, WHAT_MASK
from liveness.lab.model.responder.verdict import Verdict
from liveness.packets.bytes import copy_bytes

VERDICT: Final = Verdict.UDP_REQUEST
COMMUNITY: Final = b"public"
SYSTEM: Final = "1.3.6.1.2.1.1.1.0"
"""sysDescr.0 (RFC 3418)."""

_REQUEST_HEAD: Final = np.frombuffer(bytes.fromhex("30290201010406") + COMMUNITY + bytes.fromhex("a01c0204"), np.uint8)
_REQUEST_TAIL: Final = np.frombuffer(bytes.fromhex("020100020100300e300c06082b060102010101000500"), np.uint8)
_DESCRIPTION: Final = b"lab"
_ANSWER_HEAD: Final = np.frombuffer(bytes.fromhex("302c0201010406") + COMMUNITY + bytes.fromhex("a21f0204"), np.uint8)
_ANSWER_TAIL: Final = np.frombuffer(
    bytes.fromhex("0201000201003011300f06082b060102010101000403") + _DESCRIPTION, np.uint8
)
_WORDS: Final = np.frombuffer(b"0\x03no", np.uint8)
"""A malformed sequence: its length is 3, but it contains two bytes."""


def respond(request: bytes) -> bytes | None:
    """Answer a GET for community public: sysDescr.0, or noSuchObject for other names; None for other requests."""
    try:
        query = SNMP(request)
        if not isinstance(query.PDU, SNMPget) or query.version.val != 1 or query.community.val != COMMUNITY:
            return None
        bindings = [
            SNMPvarbind(oid=binding.oid, value=ASN1_STRING(_DESCRIPTION))
            if binding.oid.val.removeprefix(".") == SYSTEM
            else SNMPvarbind(oid=binding.oid, noSuchObject=0)
            for binding in query.PDU.varbindlist
        ]
        response = SNMPresponse(id=query.PDU.id, varbindlist=bindings)
        return bytes(SNMP(version="v2c", community=COMMUNITY, PDU=response))
    except (Scapy_Exception, AttributeError, IndexError, TypeError, ValueError):  # scapy's errors for malformed bytes
        return None


def modelled(kind: str, answers: tuple[int, ...]) -> int:
    """Return the packed answer of hosts of a kind: NTP servers and gateways answer; errors and payloads as for DNS."""
    if answers[DNS] & WHAT_MASK in (ERROR, PAYLOAD):
        return answers[DNS]
    return ANSWERED if kind == "gateway" or answers[NTP] & WHAT_MASK == ANSWERED else SILENT


@kernel
def _is_at(frame: NDArray[np.uint8], at: int, text: NDArray[np.uint8]) -> bool:
    for i in range(len(text)):  # noqa: SIM110 - a plain loop compiles
        if int64(frame[at + i]) != int64(text[i]):
            return False
    return True


@kernel
def is_request(frame: NDArray[np.uint8], at: int, end: int) -> bool:
    """Return whether frame[at:end] is a GET of sysDescr.0 whose request id has four bytes."""
    if end - at != len(_REQUEST_HEAD) + 4 + len(_REQUEST_TAIL):
        return False
    return _is_at(frame, at, _REQUEST_HEAD) and _is_at(frame, at + len(_REQUEST_HEAD) + 4, _REQUEST_TAIL)


@kernel
def answer(out: NDArray[np.uint8], at: int, frame: NDArray[np.uint8], request: int, _request_end: int) -> int:
    """Write a response with the request id of the request."""
    copy_bytes(_ANSWER_HEAD, 0, len(_ANSWER_HEAD), out, at)
    at += len(_ANSWER_HEAD)
    copy_bytes(frame, request + len(_REQUEST_HEAD), 4, out, at)
    copy_bytes(_ANSWER_TAIL, 0, len(_ANSWER_TAIL), out, at + 4)
    return at + 4 + len(_ANSWER_TAIL)


@kernel
def nonsense(
    out: NDArray[np.uint8], at: int, _frame: NDArray[np.uint8], _request: int, _request_end: int, _target: int
) -> int:
    """Write bytes that are not an SNMP message."""
    copy_bytes(_WORDS, 0, len(_WORDS), out, at)
    return at + len(_WORDS)
