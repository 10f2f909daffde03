"""The watch on outages over sessions, on a clock that jumps: what it reports, what it learns again, when it waits."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from liveness.clock import utc
from liveness.survey.message import SurveyMessage
from liveness.survey.outage_watch import OutageChange, OutageWatch, RoundOutages
from tests.survey.virtual import START_NS_2020, Reply, VirtualSurvey, survey_config, virtual_survey

INTERVAL_NS = 660_000_000_000
SILENT = range(8, 11)
"""Rounds in which the second /24 is silent."""


def answering(target: int, probe: str, time_ns: int) -> tuple[Reply, ...]:
    del probe
    silent = target >> 8 & 0xFF == 1 and (time_ns - START_NS_2020) // INTERVAL_NS in SILENT
    return () if silent else (Reply(20_000_000, "positive"),)


@dataclass
class Watched:
    """A survey whose every pause is a look for outages."""

    virtual: VirtualSurvey
    paused: bool = False
    found: list[RoundOutages] = field(default_factory=list)

    def begin(self) -> None:
        """Begin the watch of a session."""
        virtual = self.virtual
        self.watch = OutageWatch.of(virtual.recorder, virtual.survey.config.notify, virtual.network.now_ns)
        virtual.slept = self.look

    def look(self, virtual: VirtualSurvey) -> None:
        judged = self.watch.look(virtual.network.now_ns, paused=self.paused)
        if judged is not None:
            self.found.append(judged)

    def changes(self) -> list[tuple[int, list[OutageChange], list[OutageChange]]]:
        return [(one.number, one.went_down, one.came_back) for one in self.found if one.went_down or one.came_back]


def watched(path: Path, prefixes: tuple[str, ...] = ()) -> Watched:
    config = survey_config(
        survey={"blocks": "x", "interval": "11m", "duration": "154m"},
        notify={"learn": "33m", "prefixes": list(prefixes)},
    )
    virtual = virtual_survey(path, config, ("10.1.0.0", "10.1.1.0"), answering)
    virtual.open()
    found = Watched(virtual)
    found.begin()
    return found


def at(number: int) -> str:
    return utc(START_NS_2020 + number * INTERVAL_NS)


def test_an_outage_is_reported_once_and_ends_in_a_later_session(tmp_path: Path) -> None:
    survey = watched(tmp_path)
    virtual = survey.virtual
    virtual.run(until_ns=START_NS_2020 + int(9.9 * INTERVAL_NS))
    assert survey.changes() == [(8, [OutageChange("10.1.1.0/24", at(8), None, 256)], [])]
    assert [one.judged for one in survey.found[:5]] == [0, 0, 0, 2, 2], "three rounds are learned"
    survey.found.clear()
    virtual.kill(2 * INTERVAL_NS)
    survey.begin()
    virtual.run()
    (end,) = survey.changes()
    number, went_down, (back,) = end
    assert (went_down, back.block, back.start, back.end) == ([], "10.1.1.0/24", at(8), at(number))
    assert number >= 11, "after the rounds that nobody could observe"
    assert all(one.number >= 11 for one in survey.found), "earlier rounds are learned and not reported"


@pytest.mark.parametrize(
    ("prefixes", "chosen"),
    [
        ((), [0, 1]),
        (("10.1.1.64/26",), [1]),
        (("10.1.0.7", "10.1.2.0/24"), [0]),
        (("10.1.0.255-10.1.1.0",), [0, 1]),
        (("10.0.255.255", "10.1.2.0"), []),
        (("10.1.0.0/16",), [0, 1]),
    ],
)
def test_a_24_is_watched_if_any_address_of_it_is_chosen(
    tmp_path: Path, prefixes: tuple[str, ...], chosen: list[int]
) -> None:
    assert watched(tmp_path, prefixes).watch.chosen.tolist() == chosen


def test_only_chosen_prefixes_are_watched(tmp_path: Path) -> None:
    survey = watched(tmp_path, ("10.1.0.0/24",))
    survey.virtual.run()
    assert survey.changes() == []
    assert survey.found[-1].judged == 1


def test_nothing_is_judged_while_the_path_of_this_host_is_broken(tmp_path: Path) -> None:
    survey = watched(tmp_path)
    virtual = survey.virtual
    virtual.run(until_ns=START_NS_2020 + int(8.5 * INTERVAL_NS))
    survey.paused = True
    virtual.run(until_ns=START_NS_2020 + int(12.5 * INTERVAL_NS))
    assert survey.changes() == []
    virtual.recorder.cut(START_NS_2020 + 8 * INTERVAL_NS, START_NS_2020 + 11 * INTERVAL_NS, "no carrier")
    survey.paused = False
    virtual.run()
    assert survey.changes() == []
    assert survey.found[-1].number >= 12


def test_a_message_names_some_24s_and_suspects_this_host_where_most_fail() -> None:
    changes = [OutageChange(f"10.1.{block}.0/24", at(8), None, 90) for block in range(9)]
    message = SurveyMessage.of_round("week", "run", "/srv/week/run", RoundOutages(8, changes, changes[:1], 12, 8))
    assert message.events == ["outage", "recovery"]
    assert message.summary == (
        "survey week/run: round 8: 10.1.0.0/24, 10.1.1.0/24, 10.1.2.0/24 and 6 more went down; 10.1.0.0/24 came back;"
        " so many at once: this host may have lost its connection; 8 down"
    )
    assert (message.went_down, message.came_back, message.down) == (9, 1, 8)
    assert message.variables["SURVEY_EVENTS"] == "outage recovery"
    few = SurveyMessage.of_round("week", "run", "/srv/week/run", RoundOutages(8, changes[:4], [], 12, 4))
    assert "this host" not in few.summary
