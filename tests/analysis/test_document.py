"""Every number of the analysis equals a count over the replies in plain Python."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liveness.analysis.document import document, encode
from liveness.analysis.measures.loss import Loss, loss
from liveness.analysis.results import analyze_sets
from liveness.replies import Kind
from liveness.runs.manifest import Manifest, Missed, ProbeCounts
from tests.analysis import brute_force
from tests.populations import CONTROL, EIGHT, Population, Reply, town

ADDRESSES = st.integers(0, 15).map(lambda n: 0x0A000000 + 256 * (n % 3) + n) | st.sampled_from([0, 2**32 - 1])
ERRORS = st.sampled_from([(3, 0), (3, 1), (3, 3), (3, 10), (3, 13), (4, 0), (5, 1), (11, 0), (12, 0)])
KINDS = {
    "icmp": [Kind.ECHO_REPLY, Kind.ERROR],
    "tcp": [Kind.SYN_ACK, Kind.RST, Kind.ERROR],
    "udp": [Kind.ANSWER, Kind.PAYLOAD, Kind.ERROR],
}
PROBE_LISTS = st.sampled_from([EIGHT, EIGHT, EIGHT[::-1], ("tcp/8080",), ("icmp",), ("ntp", "tcp/1", "tcp/65535"), ()])


@st.composite
def replies(draw: st.DrawFn, probes: tuple[str, ...]) -> Reply:
    probe = draw(st.sampled_from(probes))
    family = "icmp" if probe == "icmp" else "tcp" if probe.startswith("tcp/") else "udp"
    kind = draw(st.sampled_from(KINDS[family]))
    source = draw(ADDRESSES)
    target = draw(st.just(source) | ADDRESSES)
    error = draw(ERRORS) if kind == Kind.ERROR else None
    return Reply(probe, kind, source, target, error, attempt=draw(st.integers(0, 1)))


@st.composite
def populations(draw: st.DrawFn) -> Population:
    probes, control = draw(PROBE_LISTS), draw(st.booleans())
    probed = (*probes, CONTROL) if control else probes
    sent = draw(st.lists(replies(probed), max_size=60)) if probed else []
    return Population(sent, probes, control, older=draw(st.booleans()))


def computed(population: Population) -> dict[str, Any]:
    """Return the document's part of one run, as a reader of the JSON sees it."""
    results = analyze_sets([(population.manifest(), population.open_set)])
    whole = msgspec.json.decode(encode(results), type=dict[str, Any])
    assert whole["schema"] == 1
    part: dict[str, Any] = whole["runs"][0]
    return part


@settings(max_examples=200, deadline=None)
@given(populations())
def test_every_number_equals_the_count_over_replies(population: Population) -> None:
    result, expected = computed(population), brute_force.run_document(population)
    assert result.keys() == expected.keys()
    for name, part in expected.items():
        assert result[name] == part, name


def test_the_town_has_every_kind_of_result() -> None:
    result = computed(town())
    assert result == brute_force.run_document(town())
    assert result["tarpits"]["confirmed"] == result["tarpits"]["candidates"] == 4
    assert all(result["error_categories"]["tcp"][name] for name in ("host", "other_unreachable", "all"))
    assert result["gains"]["retransmit"]["icmp"]["recovered"] > 0
    assert all(result["transport"]["ports_answered"][number] != 0 for number in "12345")


@settings(max_examples=60, deadline=None)
@given(populations(), populations())
def test_changes_equal_the_count_over_replies(before: Population, after: Population) -> None:
    found = document(analyze_sets([(run.manifest(), run.open_set) for run in (before, after)]))
    if not {*before.probes} & {*after.probes}:
        assert found["changes"] == []
        return
    [compared] = found["changes"]
    assert compared.pop("from") == compared.pop("to") == "census/2026-11-21T000000Z"
    alone = {"from": set(before.probes) - set(after.probes), "to": set(after.probes) - set(before.probes)}
    left_out = compared.pop("left_out")
    assert {name: set(probes) for name, probes in left_out["probes"].items()} == alone
    assert left_out["targets"] == {"from": 0, "to": 0}
    assert compared == brute_force.turnover(before, after)


@settings(max_examples=60, deadline=None)
@given(populations())
def test_parts_add_up(population: Population) -> None:
    result = computed(population)
    for family in ("icmp", "tcp", "udp"):
        total = result["coverage"]["addresses"][family]["total"]
        assert sum(result["reply_types"][family].values()) == total
        categories = dict(result["error_categories"][family])
        errors = result["reply_types"][family]["error_only"] + result["reply_types"][family]["both"]
        assert categories.pop("all") == sum(categories.values()) == errors
    answered = sum(sum(split.values()) for split in result["transport"]["ports_answered"].values())
    assert answered == result["transport"]["active"] == result["taxonomy"]["transport_active"]
    assert sum(result["patterns"]["replies"].values()) <= result["taxonomy"]["network_alive"]


def test_control_is_in_no_family() -> None:
    sent = [Reply(CONTROL, Kind.SYN_ACK, 1, 1), Reply(CONTROL, Kind.ERROR, 2, 3, (3, 13))]
    result = computed(Population(sent))
    assert result["taxonomy"]["network_alive"] == 2
    assert result["taxonomy"]["transport_active"] == result["transport"]["active"] == 0
    assert result["coverage"]["addresses"]["all"] == result["error_only"]["all"] == 0
    assert result["error_messages"] == {"icmp": {}, "tcp": {}, "udp": {}}
    assert result["error_sources"] == {"primary": 0, "secondary": 0}
    assert CONTROL not in result["patterns"]["probes"]


@pytest.mark.parametrize(("control", "confirmed"), [(True, 0), (False, None)])
def test_tarpits_without_confirmation(*, control: bool, confirmed: int | None) -> None:
    sent = [Reply(probe, Kind.SYN_ACK, 1, 1) for probe in ("tcp/22", "tcp/80")]
    result = computed(Population([*sent, Reply("tcp/80", Kind.SYN_ACK, 2, 2)], ("tcp/22", "tcp/80"), control))
    assert result["tarpits"] == {
        "candidates": 1,
        "confirmed": confirmed,
        "inflation": {
            "22": {"over_rest": None, "over_alive": 1.0},
            "80": {"over_rest": 1.0, "over_alive": 0.5},
        },
    }


def test_one_tcp_port_has_no_tarpits() -> None:
    result = computed(Population([Reply("tcp/80", Kind.SYN_ACK, 1, 1)], ("tcp/80",), control=False))
    assert result["tarpits"] == {
        "candidates": 0,
        "confirmed": None,
        "inflation": {"80": {"over_rest": 0.0, "over_alive": 0.0}},
    }


CONTRACT: dict[str, Any] = msgspec.json.decode("""
{"run": "census/2026-11-21T000000Z", "status": "complete", "targets": 123,
 "response_rates": {"icmp": {"targets": 0, "answered": 0, "rate": 0.0, "low": null, "high": null}},
 "taxonomy": {"network_alive": 0, "transport_active": 0, "transport_alive": 0, "application_active": 0,
              "application_alive": 0},
 "coverage": {"addresses": {"all": 0, "icmp": {"total": 0, "unique": 0}, "tcp": {}, "udp": {}},
              "prefixes24": {"all": 0, "icmp": {}, "tcp": {}, "udp": {}}},
 "reply_types": {"icmp": {"reply_only": 0, "error_only": 0, "both": 0}, "tcp": {}, "udp": {}},
 "error_only": {"all": 0, "icmp": 0, "tcp": 0, "udp": 0},
 "error_categories": {"icmp": {"port": 0, "host": 0, "other_unreachable": 0, "other": 0, "multiple": 0, "all": 0},
                      "tcp": {}, "udp": {}},
 "error_messages": {"icmp": {"11/0": 0}, "tcp": {}, "udp": {}}, "error_sources": {"primary": 0, "secondary": 0},
 "transport": {"active": 0, "alive": 0, "ports_answered": {"1": {"syn_ack_only": 0, "rst_only": 0, "both": 0}},
               "ports": {"80": {"active": 0, "alive": 0, "exclusive": 0, "syn_ack_only": 0, "rst_only": 0,
                                "both": 0}}},
 "tarpits": {"candidates": 0, "confirmed": 0, "inflation": {"80": {"over_rest": 0.0, "over_alive": 0.0}}},
 "conditional": {"replies": {"icmp": {"tcp/22": 0.0}}, "with_errors": {}},
 "patterns": {"probes": [], "replies": {"10000000": 0}, "with_errors": {}},
 "gains": {"tcp_udp_over_icmp": {"of_all": 0.0, "over_icmp": 0.0}, "negative": {"over_positive": 0.0, "of_all": 0.0},
           "retransmit": {"icmp": {"first": 0, "recovered": 0, "gain": 0.0}}},
 "loss": {"icmp": {"first_only": 0, "both": 0, "recovered": 0, "missed": null, "missed_low": null, "missed_high": null,
                   "duplicates": []}}}
""")


DATA = ("icmp", "tcp/22", "10000000", "11/0", "1", "80")
"""Keys of the example that stand for a run's own probes, patterns, codes, numbers of ports and ports."""


def test_the_estimate_and_the_duplicates_of_a_manifest_are_shown() -> None:
    lossy = Manifest(
        name="census",
        run_id="1",
        status="complete",
        seed=1,
        config={},
        started="2026-11-21T00:00:00Z",
        targets=9,
        probes={"icmp": ProbeCounts(sent=[9, 9]), "dns": ProbeCounts(sent=[9, 9])},
        sets=[],
        attempts={"icmp": {"11": 5, "10": 2, "01": 1}},
        missed={"icmp": Missed(estimate=0.333, low=0.1, high=2.5)},
        duplicates={"icmp": {"echo-reply": [3, 0], "error-3-1": [1, 4]}},
    )
    assert loss(lossy) == {
        "icmp": Loss(
            first_only=2, both=5, recovered=1, missed=0.333, missed_low=0.1, missed_high=2.5, duplicates=[4, 4]
        ),
        "dns": Loss(
            first_only=0, both=0, recovered=0, missed=None, missed_low=None, missed_high=None, duplicates=[0, 0]
        ),
    }


def test_the_form_is_the_contracts() -> None:
    def compare(example: object, ours: object, path: str) -> None:
        assert type(ours) is type(example), path
        if not isinstance(example, dict) or not isinstance(ours, dict) or not example:
            return  # an empty example is one the contract spells out elsewhere
        assert set(example) <= set(ours), path
        assert len(example) == len(ours) or (len(example) == 1 and set(example) <= set(DATA)), path
        for name in example:
            compare(example[name], ours[name], f"{path}.{name}")

    result = computed(Population([*town().replies, Reply("icmp", Kind.ECHO_REPLY, 9, 9)]))
    compare(CONTRACT, result, "$")
    assert list(result) == list(CONTRACT)
