"""SSDP (UPnP Device Architecture 1.1, section 1.3): a device that answers searches, and its twin in the model."""

import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel
from liveness.lab.model.population.answer import ANSWERED as ANSWERS
from liveness.lab.model.population.answer import DNS, ERROR, PAYLOAD, SILENT, WHAT_MASK
from liveness.lab.model.responder.verdict import Verdict
from liveness.packets.bytes import copy_bytes

VERDICT: Final = Verdict.UDP_REQUEST
DEVICE: Final = "uuid:6c697665-6e65-7373-0000-00000000001a"
REPLY: Final = (
    "HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=1800\r\nEXT:\r\nLOCATION: http://192.0.2.190/device.xml\r\n"
    "SERVER: unix/5 UPnP/1.1 lab/1.0\r\nST: {target}\r\nUSN: {name}\r\nBOOTID.UPNP.ORG: 1\r\n\r\n"
)
ROOT: Final = "upnp:rootdevice"

_START: Final = np.frombuffer(b"M-SEARCH * HTTP/1.1\r\n", np.uint8)
_MAN: Final = np.frombuffer(b'\r\nMAN: "ssdp:discover"\r\n', np.uint8)
_ST: Final = np.frombuffer(b"\r\nST: upnp:rootdevice\r\n", np.uint8)
_EMPTY_LINE: Final = np.frombuffer(b"\r\n\r\n", np.uint8)
_FOUND: Final = np.frombuffer(REPLY.format(target=ROOT, name=f"{DEVICE}::{ROOT}").encode(), np.uint8)
_NOTIFY: Final = np.frombuffer(b"NOTIFY * HTTP/1.1\r\nNTS: ssdp:alive\r\n\r\n", np.uint8)


def respond(request: bytes) -> bytes | None:
    """Answer a search for root devices, for all devices or for this device; None for anything else."""
    start, *lines = request.decode("latin-1").split("\r\n")
    fields = {name.upper(): value.strip() for name, _, value in (line.partition(":") for line in lines) if name}
    if start != "M-SEARCH * HTTP/1.1" or fields.get("MAN") != '"ssdp:discover"':
        return None
    if not re.fullmatch("[1-5]", fields.get("MX", "")):  # as devices that treat every search as multicast
        return None
    target = {"ssdp:all": ROOT}.get(fields.get("ST", ""), fields.get("ST", ""))
    if target not in (ROOT, DEVICE):
        return None
    name = DEVICE if target == DEVICE else f"{DEVICE}::{target}"
    return REPLY.format(target=target, name=name).encode()


def modelled(kind: str, answers: tuple[int, ...]) -> int:
    """Return the packed answer of hosts of a kind: home routers answer; errors and payloads are as for DNS."""
    if answers[DNS] & WHAT_MASK in (ERROR, PAYLOAD):
        return answers[DNS]
    return ANSWERS if kind == "cpe" else SILENT


@kernel
def _is_at(frame: NDArray[np.uint8], at: int, end: int, text: NDArray[np.uint8]) -> bool:
    if at < 0 or end - at < len(text):
        return False
    for i in range(len(text)):  # noqa: SIM110 - a plain loop compiles
        if int64(frame[at + i]) != int64(text[i]):
            return False
    return True


@kernel
def _holds(frame: NDArray[np.uint8], at: int, end: int, text: NDArray[np.uint8]) -> bool:
    for place in range(at, end):  # noqa: SIM110 - a plain loop compiles
        if _is_at(frame, place, end, text):
            return True
    return False


@kernel
def is_request(frame: NDArray[np.uint8], at: int, end: int) -> bool:
    """Return whether frame[at:end] is a search for root devices that ends with an empty line."""
    whole = _is_at(frame, at, end, _START) and _is_at(frame, end - len(_EMPTY_LINE), end, _EMPTY_LINE)
    return whole and _holds(frame, at, end, _MAN) and _holds(frame, at, end, _ST)


@kernel
def answer(out: NDArray[np.uint8], at: int, _frame: NDArray[np.uint8], _request: int, _request_end: int) -> int:
    """Write the response of a root device."""
    copy_bytes(_FOUND, 0, len(_FOUND), out, at)
    return at + len(_FOUND)


@kernel
def nonsense(
    out: NDArray[np.uint8], at: int, _frame: NDArray[np.uint8], _request: int, _request_end: int, _target: int
) -> int:
    """Write a notification, which is not an answer."""
    copy_bytes(_NOTIFY, 0, len(_NOTIFY), out, at)
    return at + len(_NOTIFY)
