"""Waiting for the carrier of a card that attaching an XDP program resets: links and clock are stand-ins."""

from types import SimpleNamespace

import pytest

from liveness.errors import UsageError
from liveness.net import links, receiving
from liveness.net.links import CARRIER_LOOK_S, CARRIER_S, Link, carrier_awaited
from liveness.net.receiving import XDP, open_receiving


class Card:
    """A link with a list of carriers, one for each look; None means that it was removed."""

    def __init__(self, *carriers: bool | None, then: bool = True) -> None:
        self.carriers = iter(carriers)
        self.then = then
        self.now_s = 0.0
        self.looks = 0

    def find_link(self, name: str) -> Link:
        self.looks += 1
        carrier = next(self.carriers, self.then)
        if carrier is None:
            raise UsageError("there is no such interface")
        return Link(name, 1, 1500, bytes(6), up=True, carrier=carrier, ethernet=True)

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    def play(self, monkeypatch: pytest.MonkeyPatch) -> "Card":
        """Take the place of links and clock."""
        monkeypatch.setattr(links, "find_link", self.find_link)
        monkeypatch.setattr(links, "time", self)
        return self


def test_a_carrier_that_was_there_is_awaited(monkeypatch: pytest.MonkeyPatch) -> None:
    card = Card(True, False, False, True).play(monkeypatch)
    with carrier_awaited("eth0"):
        assert card.looks == 1
    assert (card.looks, card.now_s) == (4, 2 * CARRIER_LOOK_S)


@pytest.mark.parametrize("carriers", [(False,), (True, None), (True, True)])
def test_nothing_else_is_awaited(carriers: tuple[bool | None, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    card = Card(*carriers, then=False).play(monkeypatch)
    with carrier_awaited("eth0"):
        pass
    assert card.now_s == 0


def test_a_carrier_that_does_not_come_is_awaited_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    card = Card(True, then=False).play(monkeypatch)
    with carrier_awaited("eth0"):
        pass
    assert CARRIER_S <= card.now_s < CARRIER_S + 2 * CARRIER_LOOK_S


def test_a_capture_by_xdp_is_open_when_its_card_has_a_carrier_again(monkeypatch: pytest.MonkeyPatch) -> None:
    card = Card(True, False, False, True).play(monkeypatch)
    looks_when_attached = []

    def attach(*_: object) -> list[SimpleNamespace]:
        looks_when_attached.append(card.looks)
        return [SimpleNamespace()]

    monkeypatch.setattr(receiving, "open_xdp_rings", attach)
    assert len(open_receiving("eth0", b"", 1, 2, XDP).rings) == 1  # type: ignore[arg-type]
    assert (looks_when_attached, card.looks) == ([1], 4)
