"""Talks with the model Internet: every kind is the population's truth, and with loss what was let through."""

import pytest
from pyroaring import BitMap

from liveness.lab.model.check import compare, delivered_sets
from liveness.lab.model.services.truth import outcomes
from liveness.lab.services.behaviours import PROBES as TALKED
from liveness.replies import TALK, Kind, ReplyKey, Role, SetKey
from tests.lab.model.services.support import EVERYTHING, Talked, open_somewhere, with_services


@pytest.mark.parametrize("senders", [1, 2, 3])
def test_every_kind_of_every_application_equals_the_truth(senders: int) -> None:
    talked = Talked(with_services(ports={"tcp": EVERYTHING}), senders=senders)
    assert talked.plan.senders == senders
    assert talked.found == talked.expected
    assert talked.comparison.equal, (talked.comparison.imperfect, talked.comparison.problems)
    kinds = {(key.reply.probe, key.reply.kind) for key in talked.found if key.reply.of_talk}
    spoken = {(probe, kind) for probe in TALKED for kind in (*TALK, Kind.ZERO_WINDOW)}
    assert spoken - kinds == {("tcp/22", Kind.ACKED), ("tcp/23", Kind.ACKED)}


@pytest.fixture(scope="module", params=[1, 2, 3])
def lossy(request: pytest.FixtureRequest) -> Talked:
    """Take a census with so many senders in a network that loses much."""
    network = {"loss": 0.25, "duplicates": 0.1, "reordered": 0.1, "noise": 0.001}
    return Talked(with_services(ports={"tcp": EVERYTHING}), network, senders=request.param)


def test_with_loss_every_kind_is_what_was_let_through(lossy: Talked) -> None:
    talked = lossy
    assert talked.comparison.equal, (talked.comparison.imperfect, talked.comparison.problems)
    assert talked.found != talked.expected
    judged = {judged.key: judged for judged in talked.comparison.judged}
    mute = judged[SetKey(ReplyKey("tcp/80", Kind.MUTE), Role.TARGET)]
    answer = judged[SetKey(ReplyKey("tcp/80", Kind.ANSWER), Role.TARGET)]
    assert mute.changed > 0
    assert answer.lost > 0
    assert answer.changed == 0
    assert 0 < answer.recall < 1 == answer.precision == answer.recall_of_passed == mute.recall_of_passed  # type: ignore[operator]
    assert talked.summary.lost["tcp/80"]["request"] > 0


def test_the_judge_names_what_is_wrong(lossy: Talked) -> None:
    """It is no rubber stamp: a service that was heard and is kept as mute differs on both sides."""
    talked = lossy
    answer, mute = (SetKey(ReplyKey("tcp/443", kind), Role.TARGET) for kind in (Kind.ANSWER, Kind.MUTE))
    moved = BitMap(talked.found[answer][:1])
    talked.found[answer] = talked.found[answer] - moved
    talked.found[mute] = talked.found[mute] | moved
    wrong = {judged.key: (judged.unexplained, judged.extra) for judged in talked.judge().imperfect}
    talked.found[answer], talked.found[mute] = talked.found[answer] | moved, talked.found[mute] - moved
    assert wrong == {answer: (moved, BitMap()), mute: (BitMap(), moved)}


def test_the_judge_names_services_that_only_losses_make_mute(lossy: Talked) -> None:
    """Where all services speak, none is mute without loss: a run that found no mute one still differs."""
    population = with_services()
    mute = SetKey(ReplyKey("tcp/80", Kind.MUTE), Role.TARGET)
    expected = {key: members for key, members in lossy.expected.items() if key.reply.kind is not Kind.MUTE}
    found = {key: members for key, members in lossy.found.items() if key.reply.kind is not Kind.MUTE}
    passed = delivered_sets(population, expected, lossy.delivered, TALKED, lossy.talked)
    judged = {one.key: one for one in compare(lossy.manifest, expected, found, passed, None, lossy.talked).judged}
    assert judged[mute].unexplained == lossy.found[mute]
    assert (judged[mute].expected, judged[mute].found) == (0, 0)


def test_a_scan_that_does_not_talk_finds_what_it_always_found() -> None:
    talked = Talked(with_services(ports={"tcp": EVERYTHING}), applications=[])
    assert talked.found == talked.expected
    assert not any(key.reply.of_talk for key in talked.found)
    assert talked.comparison.equal, talked.comparison.imperfect
    assert any(kind is Kind.CLOSED for _, kind in talked.delivered)  # the resets that follow a SYN-ACK


def test_a_scan_may_talk_on_some_ports_only() -> None:
    talked = Talked(with_services(ports={"tcp": EVERYTHING}), {"loss": 0.1}, applications=["http", "ssh"])
    assert {key.reply.probe for key in talked.found if key.reply.of_talk} == {"tcp/80", "tcp/22"}
    assert talked.comparison.equal, talked.comparison.imperfect


def test_without_a_section_every_open_port_speaks() -> None:
    population = with_services()
    opened = BitMap(open_somewhere(50))
    assert all(outcomes(population, opened, probe) == {Kind.ANSWER: opened} for probe in TALKED)
