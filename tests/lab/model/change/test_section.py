"""The `time` section of a population file: what it accepts, and how a fault in it is named."""

import pytest

from liveness.errors import UsageError
from tests.lab.model.change.support import STARTS_NS, changing


def test_the_whole_section() -> None:
    population = changing(
        "{starts: 2026-12-09T12:00:00+01:00, speed: 600, zones: [-8, 0, 9],"
        " behaviours: [{name: a, kind: diurnal, weight: 2, begins: 7h, ends: 19h, days: [sat], jitter: 1h, present: 1,"
        " always_on: 0}, {name: b, kind: sessions, slot: 1h, up: 1}, {name: c, kind: pool, lease: 12h},"
        " {name: d, kind: always, sites: [town]}],"
        " outages: {share: 0.003, shortest: 30m, longest: 6h, prefix: 24},"
        " fates: {within: 336h, born: 0.1, dies: 0.1, firewalled: 0.1, renumbered: 0.1},"
        " events: [{kind: renumbered, prefix: 46.0.0.0/22, to: 46.0.4.0/22, at: 1h}],"
        " slow_first: {hosts: 0.1}, late: {hosts: 0.1}}"
    )
    assert population.model.time is not None
    assert population.model.time.starts_ns == STARTS_NS + (2 * 24 + 11) * 3600 * 10**9


@pytest.mark.parametrize(
    ("section", "fault"),
    [
        ("{speeds: 2}", "$.time.speeds: 2: no such field, did you mean 'speed'?"),
        ("{speed: 0}", "$.time.speed: 0: "),
        ("{starts: yesterday}", "$.time.starts: 'yesterday': "),
        ("{starts: '2026-12-09T12:00:00'}", "$.time.starts: '2026-12-09T12:00:00': expected a time with its zone"),
        ("{starts: '1969-12-09T12:00:00Z'}", "expected a year from 1971 to 2170"),
        ("{zones: []}", "$.time.zones"),
        ("{zones: [15]}", "$.time.zones[0]: 15: "),
        ("{behaviours: [{name: a, kind: nightly}]}", "expected one of always, diurnal, sessions, pool"),
        ("{behaviours: [{name: a, kind: pool, lease: 0s}]}", "$.time.behaviours[0].lease: 0s: expected a time above 0"),
        ("{behaviours: [{name: a, kind: pool, weight: 1.0e+400}]}", "$.time.behaviours[0].weight: "),
        ("{behaviours: [{name: a, kind: pool, sites: [x]}]}", "behaviours[0].sites: 'x': no site has this name"),
        ("{behaviours: [{name: a, kind: diurnal, days: [mo]}]}", "behaviours[0].days: 'mo': expected some of mon, "),
        ("{behaviours: [{name: a, kind: diurnal, ends: 25h}]}", "behaviours[0].ends: 25h: at most 24h"),
        ("{outages: {share: 0.9, longest: 6h}}", "$.time.outages: 0.9 of the time"),
        ("{outages: {share: 0.1, shortest: 7h}}", "$.time.outages: 0.1 of the time"),
        ("{fates: {born: 0.6, dies: 0.6}}", "$.time.fates: born, dies and firewalled are more than all"),
        ("{fates: {within: 0s}}", "$.time.fates.within: 0s"),
        ("{events: [{kind: outage, prefix: 46.0.0.0/24, at: 1h}]}", "$.time.events[0].length: missing"),
        (
            "{events: [{kind: dies, prefix: 46.0.0.0/24, at: 1h, length: 1h}]}",
            "only an outage or a firewall has a length",
        ),
        ("{events: [{kind: dies, prefix: 46.0.0.0/25, at: 1h}]}", "events[0].prefix: '46.0.0.0/25': expected a prefix"),
        ("{events: [{kind: dies, prefix: somewhere, at: 1h}]}", "events[0].prefix: "),
        ("{events: [{kind: renumbered, prefix: 46.0.0.0/24, at: 1h}]}", "events[0].to: expected for 'renumbered'"),
        ("{events: [{kind: dies, prefix: 46.0.0.0/24, to: 46.0.1.0/24, at: 1h}]}", "events[0].to: expected for"),
        (
            "{events: [{kind: renumbered, prefix: 46.0.0.0/24, to: 46.0.0.0/24, at: 1h}]}",
            "events[0].to: '46.0.0.0/24': expected another prefix, as long as 46.0.0.0/24",
        ),
        ("{late: {hosts: 0.1, up_to: 2h}}", "$.time.late.up_to: 2h: at most 1h"),
        ("{slow_first: {hosts: 2}}", "$.time.slow_first.hosts: 2"),
    ],
)
def test_a_fault_is_named_in_one_line(section: str, fault: str) -> None:
    with pytest.raises(UsageError) as raised:
        changing(section)
    message = str(raised.value)
    assert fault in message
    assert message.startswith("changing.yaml")
    assert "\n" not in message
