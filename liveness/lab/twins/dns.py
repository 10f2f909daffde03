"""DNS (RFC 1035): a server on dnspython that resolves every name, and its twin in the model Internet."""

import struct
from typing import Final

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.rrset
import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel, uint64
from liveness.lab.hosts.daemons import ANSWER_ADDRESS
from liveness.lab.model.population.answer import DNS
from liveness.lab.model.responder.verdict import Verdict
from liveness.mixing import mix64
from liveness.packets.bytes import copy_bytes, put_be16, read_be16, read_be32

VERDICT: Final = Verdict.DNS_QUERY
HEADER: Final = 12
STANDARD_QUERY: Final = 0x0100
"""The flag of RFC 1035 4.1.1 that a standard query may have: recursion desired."""
MAX_LABEL: Final = 63
MAX_NAME: Final = 255

_RECORD: Final = np.frombuffer(bytes.fromhex("c00c000100010000012c00048efab64e"), np.uint8)
"""An A record whose name points to the question (RFC 1035 4.1.4), with a TTL of 300 s."""
_WORDS: Final = np.frombuffer(b"ERR no such command\r\n", np.uint8)


def respond(request: bytes) -> bytes | None:
    """Return the reply to a query: ANSWER_ADDRESS for every name, FORMERR if malformed, None if not a query."""
    try:
        query = dns.message.from_wire(request)
    except dns.exception.DNSException:
        if len(request) < HEADER or request[2] & 0x80:  # no complete header, or a response (QR bit)
            return None
        return request[:2] + struct.pack("!5H", 0x8000 | dns.rcode.FORMERR, 0, 0, 0, 0)
    if query.flags & dns.flags.QR or query.opcode() != dns.opcode.QUERY:
        return None
    response = dns.message.make_response(query, recursion_available=True)
    for question in query.question:
        if question.rdtype == dns.rdatatype.A:
            response.answer.append(dns.rrset.from_text(question.name, 60, "IN", "A", ANSWER_ADDRESS))
    return response.to_wire()


def modelled(_kind: str, answers: tuple[int, ...]) -> int:
    """Return the answer in the population file, which has a word for this probe."""
    return answers[DNS]


@kernel
def _question_end(frame: NDArray[np.uint8], at: int, end: int) -> int:
    """Return the index after the question at frame[at] (name, type, class IN), or -1 if it is malformed."""
    start = at
    while at < end:
        length = int64(frame[at])
        at += 1
        if length == 0:
            if at - start > MAX_NAME or at + 4 > end or read_be16(frame, at + 2) != 1:
                return -1
            return at + 4
        if length > MAX_LABEL:
            return -1
        at += length
    return -1


@kernel
def is_request(frame: NDArray[np.uint8], at: int, end: int) -> bool:
    """Return whether frame[at:end] is a standard query with exactly one question and no other record."""
    if end - at < HEADER or read_be16(frame, at + 2) & ~STANDARD_QUERY != 0:
        return False
    one_question = read_be16(frame, at + 4) == 1
    no_records = read_be16(frame, at + 6) == 0 and read_be32(frame, at + 8) == 0
    return one_question and no_records and _question_end(frame, at + HEADER, end) == end


@kernel
def answer(out: NDArray[np.uint8], at: int, frame: NDArray[np.uint8], request: int, request_end: int) -> int:
    """Write the question with one A record."""
    copy_bytes(frame, request, request_end - request, out, at)
    out[at + 2] = int64(out[at + 2]) | 0x80  # a response; recursion desired is copied
    out[at + 3] = 0x80  # recursion available, no error
    put_be16(out, at + 6, 1)
    end = at + request_end - request
    copy_bytes(_RECORD, 0, len(_RECORD), out, end)
    return end + len(_RECORD)


@kernel
def nonsense(
    out: NDArray[np.uint8], at: int, frame: NDArray[np.uint8], request: int, _request_end: int, target: int
) -> int:
    """Write the header of the query unchanged, or text, depending on the target's address."""
    if mix64(uint64(target)) & uint64(1) == uint64(1):
        copy_bytes(frame, request, HEADER, out, at)
        return at + HEADER
    copy_bytes(_WORDS, 0, len(_WORDS), out, at)
    return at + len(_WORDS)
