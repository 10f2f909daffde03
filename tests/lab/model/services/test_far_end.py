"""Segments of the far end, judged by scapy: numbers, flags, checksums and data of every behaviour on every port."""

from typing import Any

import pytest
from pyroaring import BitMap
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from liveness.applications.registry import ENTRIES, definition_of
from liveness.lab.model.population.truth import truth
from liveness.lab.model.responder.verdict import Verdict
from liveness.lab.services.behaviours import LABELS, PORTS, Behaviour
from liveness.lab.services.scripts import outcome
from liveness.lab.services.voices import Voice, is_answer, text_of
from liveness.replies import Kind, ReplyKey, Role, SetKey
from liveness.space.addresses import format_address
from tests.lab.model.responder.support import FarEnd, packaged, probe_frame, sample, talk_frame
from tests.lab.model.responder.test_replies import check_sums
from tests.lab.model.services.support import with_services

ENDS: dict[Behaviour, FarEnd] = {}
NAMES = {port: name for name, port in PORTS.items()}


def end_of(behaviour: Behaviour) -> FarEnd:
    """Return a far end all of whose open ports have one behaviour."""
    if behaviour not in ENDS:
        ENDS[behaviour] = FarEnd(with_services(ports={"tcp": {behaviour.label: 1}}))
    return ENDS[behaviour]


def targets_of(port: int, *, both: bool = False) -> BitMap:
    """Return targets whose port is open; with `both`, those that reset the connection at once."""
    sets = truth(packaged(), sample(), [f"tcp/{port}"])
    opened, reset = (
        sets.get(SetKey(ReplyKey(f"tcp/{port}", kind), Role.TARGET), BitMap()) for kind in (Kind.SYN_ACK, Kind.RST)
    )
    return opened & reset if both else opened - reset


def request_of(port: int, target: int) -> bytes:
    """Return what our scanner sends."""
    entry = next(entry for entry in ENTRIES if entry.port == port)
    return definition_of(entry).request("https://example.org/scan").text_for(format_address(target))


class Talk:
    """A talk with a port: what opened it, what was asked, and what came back."""

    def __init__(self, behaviour: Behaviour, port: int, flags: str = "A", *, both: bool = False) -> None:
        self.target = targets_of(port, both=both)[3]
        end = end_of(behaviour)
        syn = probe_frame(f"tcp/{port}", self.target)
        self.opened, *self.at_once = end.replies(syn)
        self.request = request_of(port, self.target)
        self.asked = Ether(talk_frame(syn, self.opened[TCP].seq, self.request, flags))
        self.verdict = end.take(bytes(self.asked))
        self.back: list[Any] = [Ether(frame) for frame in end.due(2 * 10**18)]

    @property
    def stream(self) -> bytes:
        """The data of all segments, put together by sequence number."""
        stream = bytearray()
        for packet in self.back:
            data = bytes(packet[TCP].payload) if packet[IP].len > 40 else b""
            at = (packet[TCP].seq - self.opened[TCP].seq - 1) % 2**32
            if "S" not in packet[TCP].flags:
                assert at == len(stream)
                stream += data
        return bytes(stream)


@pytest.mark.parametrize("port", PORTS.values())
@pytest.mark.parametrize("behaviour", [one for one in LABELS.values() if one is not Behaviour.ZERO_WINDOW])
def test_every_segment_is_of_its_connection(behaviour: Behaviour, port: int) -> None:
    talk = Talk(behaviour, port, "PA")
    assert talk.verdict is Verdict.TALK
    assert talk.at_once == []
    begun, asked = talk.asked[TCP].seq, len(talk.request)
    for packet in talk.back:
        check_sums(bytes(packet))
        assert (packet[IP].src, packet[IP].dst) == (talk.asked[IP].dst, talk.asked[IP].src)
        assert (packet[TCP].sport, packet[TCP].dport) == (port, talk.asked[TCP].sport)
        assert "A" in packet[TCP].flags
        assert (packet[TCP].ack - begun) % 2**32 in (0, 10, asked)
    right = text_of(port, Voice.RIGHT)
    said = {
        Behaviour.SPEAKS: right,
        Behaviour.PUSHED: right,
        Behaviour.REPEATS: right,
        Behaviour.SPLIT: right,
        Behaviour.ENDLESS: right + text_of(port, Voice.FLOOD) * 8,
        Behaviour.OTHER: text_of(port, Voice.OTHER),
    }
    assert talk.stream == said.get(behaviour, b"")


@pytest.mark.parametrize("port", PORTS.values())
def test_a_pushed_segment_alone_draws_data_from_some(port: int) -> None:
    assert Talk(Behaviour.PUSHED, port, "A").back == []
    assert Talk(Behaviour.PUSHED, port, "PA").stream == text_of(port, Voice.RIGHT)


@pytest.mark.parametrize("port", PORTS.values())
def test_nobody_may_speak_into_a_window_of_zero(port: int) -> None:
    talk = Talk(Behaviour.ZERO_WINDOW, port)
    assert (talk.opened[TCP].flags, talk.opened[TCP].window) == ("SA", 0)
    assert (talk.verdict, talk.back) == (Verdict.TALK_WINDOW, [])
    assert Verdict.TALK_WINDOW.malformed


def test_who_has_reset_the_connection_resets_what_follows() -> None:
    talk = Talk(Behaviour.SPEAKS, 80, both=True)
    assert [packet[TCP].flags for packet in talk.at_once] == ["RA"]
    (packet,) = talk.back
    assert (packet[TCP].flags, packet[TCP].seq) == ("R", talk.asked[TCP].ack)


@pytest.mark.parametrize("port", PORTS.values())
def test_the_outcomes_are_those_of_the_contract(port: int) -> None:
    """By hand, from the contract of the kinds."""
    silent = "mute" if port in (22, 23) else "acked"
    expected = {
        "speaks": "answer", "other": "payload", "acks": silent, "tarpit": "mute", "swallows": "mute",
        "ignores": "mute", "closes": "closed", "closes-later": "closed", "resets": "closed",
        "resets-later": "closed", "zero-window": "zero-window", "endless": "answer",
        "split": "answer" if port == 23 else "payload", "pushed": "answer", "repeats": "answer",
    }  # fmt: skip
    assert {label: outcome(behaviour, port).label for label, behaviour in LABELS.items()} == expected


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("voice", Voice)
def test_the_scanner_judges_the_data_as_the_lab_does(entry: Any, voice: Voice) -> None:  # noqa: ANN401 - an Entry
    """Two judges that share no code."""
    import numpy as np  # noqa: PLC0415 - here alone

    text = text_of(entry.port, voice)
    frame = np.frombuffer(text, np.uint8)
    assert bool(definition_of(entry).is_answer(frame, 0, len(text))) is is_answer(entry.port, voice)


def test_the_lab_knows_every_application() -> None:
    assert {entry.name: entry.port for entry in ENTRIES} == PORTS
