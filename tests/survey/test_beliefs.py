"""Outages found while a survey runs, against the truth of the model and against the analysis of the whole survey."""

from typing import TYPE_CHECKING

import numpy as np
import pytest

from liveness.lab.model.change.answers import answers_at
from liveness.lab.model.population.load import Population
from liveness.lab.model.surveys.truth import events_at
from liveness.survey.beliefs import CAME_BACK, WENT_DOWN, Beliefs, availability_at
from tests.lab.model.change.support import STARTS_NS, blocks
from tests.lab.model.population.support import whole
from tests.survey.test_judgement import INTERVAL_NS, ROUNDS_A_DAY, population

if TYPE_CHECKING:
    from numpy.typing import NDArray

HOUR_NS = 3_600_000_000_000


def take(beliefs: Beliefs, number: int, positive: "NDArray[np.bool_]", sent: "NDArray[np.bool_] | None" = None) -> int:
    """Take a round of one /24 and return its change."""
    asked = np.ones(256, np.bool_) if sent is None else sent
    hour = int((STARTS_NS + number * INTERVAL_NS) // HOUR_NS % 24)
    planes = np.packbits(np.stack([asked, positive & asked]), axis=1, bitorder="little")
    changes, _ = beliefs.take(number, planes[0], planes[1], hour)
    return int(changes[0])


def some(share: float, seed: int) -> "NDArray[np.bool_]":
    return np.random.default_rng(seed).random(256) < share


def learned(share: float, rounds: int = 20) -> Beliefs:
    """Return beliefs about one /24 after so many rounds."""
    beliefs = Beliefs(1, rounds)
    for number in range(rounds):
        assert take(beliefs, number, some(share, number)) == 0
    return beliefs


def test_a_silent_round_is_an_outage_and_one_reply_its_end() -> None:
    beliefs = learned(0.5)
    nobody = np.zeros(256, np.bool_)
    assert take(beliefs, 20, some(0.5, 20)) == 0
    assert take(beliefs, 21, nobody) == WENT_DOWN
    assert (beliefs.down, beliefs.judged) == (1, 1)
    assert take(beliefs, 22, nobody) == 0
    one = nobody.copy()
    one[77] = True
    assert take(beliefs, 23, one) == CAME_BACK
    assert beliefs.down == 0


def test_nothing_is_judged_before_it_is_learned() -> None:
    beliefs = Beliefs(1, 20)
    for number in range(20):
        assert take(beliefs, number, some(0.5 if number < 10 else 0, number)) == 0
        assert beliefs.judged == 0


def test_rounds_that_were_not_sent_say_nothing() -> None:
    beliefs = learned(0.5)
    nobody = np.zeros(256, np.bool_)
    for number in range(20, 40):
        assert take(beliefs, number, nobody, nobody) == 0
    few = nobody.copy()
    few[:4] = True  # four silent addresses prove nothing
    assert take(beliefs, 40, nobody, few) == 0
    assert take(beliefs, 41, nobody) == WENT_DOWN


def test_a_sparse_24_needs_more_silence() -> None:
    beliefs = Beliefs(1, 60)
    members = np.arange(256) < 20
    for number in range(60):
        take(beliefs, number, some(0.3, number) & members)
    changes = [take(beliefs, number, np.zeros(256, np.bool_)) for number in range(60, 66)]
    # 0.7 to the power of 20 is 8e-4 a round: three rounds fall below 1e-9
    assert changes == [0, 0, WENT_DOWN, 0, 0, 0]


def test_availability_is_the_smallest_of_three_hours() -> None:
    sent, positive = np.zeros(24, np.int32), np.zeros(24, np.int32)
    assert availability_at(sent, positive, 5, 128) == 0
    sent[[22, 23, 0]], positive[[22, 23, 0]] = 256, (64, 32, 16)
    assert availability_at(sent, positive, 23, 128) == pytest.approx(16 / 128)
    assert availability_at(sent, positive, 22, 128) == pytest.approx(32 / 128)
    assert availability_at(sent, positive, 1, 128) == pytest.approx(16 / 128)
    assert availability_at(sent, positive, 12, 128) == pytest.approx(112 / 384)


def model_rounds(population: Population, number: int, rounds: int) -> "tuple[NDArray[np.bool_], NDArray[np.bool_]]":
    """Return which addresses of a /24 answer in each round, (256, rounds), and in which rounds an event hides it."""
    times_ns = STARTS_NS + np.arange(rounds) * INTERVAL_NS
    addresses = np.repeat(whole(np.array([number], np.uint32)), rounds)
    answers, event = np.zeros(256 * rounds, np.int64), np.zeros(rounds, np.bool_)
    answers_at(population.tables, addresses, 0, np.tile(times_ns, 256), answers)
    events_at(population.tables, addresses[:rounds], times_ns, event)
    return answers.reshape(256, rounds) & 0xF == 1, event


@pytest.mark.slow
def test_outages_of_the_model_are_found_as_they_happen_and_no_night_is_one() -> None:
    """Four weekdays, the first of which is learned: what goes down is in an event, and the events are found."""
    people = population()
    found = missed = nights = 0
    for number in blocks(people, 150).tolist():
        positive, event = model_rounds(people, number, 4 * ROUNDS_A_DAY)
        beliefs = Beliefs(1, ROUNDS_A_DAY)
        for r in range(positive.shape[1]):
            down = take(beliefs, r, positive[:, r]) == WENT_DOWN
            assert event[r] or not down, (number, r)
            found += down
            nights += r > ROUNDS_A_DAY and not positive[:, r].any() and not event[r]
            missed += bool(event[r] and beliefs.states.judged[0] and not beliefs.states.down[0])
    assert found > 10
    assert missed < found
    assert nights > 1_000
