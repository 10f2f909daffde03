"""The judge of the analysis: the contract's document of a run, counted address by address in plain Python.

Written from the paper's definitions and not from set algebra: each address is asked what it sent, and counted.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from liveness.replies import Kind
from tests.populations import CONTROL, Population, Reply

Facts = list[Reply]
Test = Callable[[Facts], bool]

NO_ERROR = (Kind.ECHO_REPLY, Kind.SYN_ACK, Kind.RST, Kind.ANSWER)


def family(probe: str) -> str:
    if probe == CONTROL:
        return "none"
    return {"icmp": "icmp", "dns": "udp", "ntp": "udp"}.get(probe, "tcp")


def ratio(part: int, whole: int) -> float | None:
    return None if whole == 0 else part / whole


class Witnesses:
    """Every source address of a population, with everything it sent."""

    def __init__(self, population: Population) -> None:
        self.population = population
        self.services = list(population.probes)
        self.tcp = [probe for probe in self.services if family(probe) == "tcp"]
        self.sent: dict[int, Facts] = defaultdict(list)
        for reply in population.replies:
            self.sent[reply.source].append(reply)

    def count(self, test: Test) -> int:
        return sum(1 for facts in self.sent.values() if test(facts))


def seen(facts: Facts, wanted: str) -> bool:
    """Whether these facts make an address network alive for a family."""
    return any(family(fact.probe) == wanted and fact.kind != Kind.PAYLOAD for fact in facts)


def coverage(people: list[Facts]) -> dict[str, Any]:
    result: dict[str, Any] = {"all": 0, **{name: {"total": 0, "unique": 0} for name in ("icmp", "tcp", "udp")}}
    for facts in people:
        by = [name for name in ("icmp", "tcp", "udp") if seen(facts, name)]
        result["all"] += bool(by)
        for name in by:
            result[name]["total"] += 1
            result[name]["unique"] += len(by) == 1
    return result


def prefixes(witnesses: Witnesses) -> list[Facts]:
    by_prefix: dict[int, Facts] = defaultdict(list)
    for address, facts in witnesses.sent.items():
        by_prefix[address // 256] += facts
    return list(by_prefix.values())


def replied(facts: Facts, name: str) -> bool:
    return any(family(fact.probe) == name and fact.kind in NO_ERROR for fact in facts)


def errors_of(facts: Facts, name: str) -> list[tuple[int, int]]:
    return [fact.error for fact in facts if family(fact.probe) == name and fact.error is not None]


def reply_types(witnesses: Witnesses, name: str) -> dict[str, int]:
    states = Counter((replied(facts, name), bool(errors_of(facts, name))) for facts in witnesses.sent.values())
    return {"reply_only": states[True, False], "error_only": states[False, True], "both": states[True, True]}


def error_only(witnesses: Witnesses) -> dict[str, int]:
    result = dict.fromkeys(("all", "icmp", "tcp", "udp"), 0)
    names = ("icmp", "tcp", "udp")
    for facts in witnesses.sent.values():
        if any(replied(facts, name) for name in names):
            continue
        by = [name for name in names if errors_of(facts, name)]
        result["all"] += bool(by)
        for name in by:
            result[name] += 1
    return result


def error_categories(witnesses: Witnesses, name: str) -> dict[str, int]:
    result = dict.fromkeys(("port", "host", "other_unreachable", "other", "multiple", "all"), 0)
    for facts in witnesses.sent.values():
        errors = errors_of(facts, name)
        if not errors:
            continue
        result["all"] += 1
        categories = set()
        for icmp_type, code in errors:
            if icmp_type in (4, 5, 11, 12):
                categories.add("other")
            elif code == 3:
                categories.add("port")
            elif code == 1:
                categories.add("host")
            else:
                categories.add("other_unreachable")
        result[categories.pop() if len(categories) == 1 else "multiple"] += 1
    return result


def error_messages(witnesses: Witnesses, name: str) -> dict[str, int]:
    errors = [error for facts in witnesses.sent.values() for error in errors_of(facts, name)]
    return {f"{icmp_type}/{code}": errors.count((icmp_type, code)) for icmp_type, code in set(errors)}


def error_sources(witnesses: Witnesses) -> dict[str, int]:
    result = {"primary": 0, "secondary": 0}
    for facts in witnesses.sent.values():
        errors = [fact for fact in facts if fact.kind == Kind.ERROR and fact.probe != CONTROL]
        if errors:
            result["primary" if any(fact.source == fact.target for fact in errors) else "secondary"] += 1
    return result


def from_port(facts: Facts, probe: str) -> str:
    """Return what an address sent from a port: ``a`` (SYN-ACK), ``r`` (RST), both or nothing."""
    syn_ack = any(fact.probe == probe and fact.kind == Kind.SYN_ACK for fact in facts)
    rst = any(fact.probe == probe and fact.kind == Kind.RST for fact in facts)
    return "a" * syn_ack + "r" * rst


SPLIT = {"a": "syn_ack_only", "r": "rst_only", "ar": "both"}


def transport(witnesses: Witnesses) -> dict[str, Any]:
    split = ("syn_ack_only", "rst_only", "both")
    numbers: dict[str, Any] = {str(k + 1): dict.fromkeys(split, 0) for k in range(len(witnesses.tcp))}
    ports: dict[str, Any] = {
        probe[4:]: dict.fromkeys(("active", "alive", "exclusive", *split), 0) for probe in witnesses.tcp
    }
    totals = Counter[str]()
    for facts in witnesses.sent.values():
        answers = {probe: said for probe in witnesses.tcp if (said := from_port(facts, probe))}
        if not answers:
            continue
        said_at_all = "".join(sorted(set("".join(answers.values()))))
        totals["active"] += 1
        totals["alive"] += "a" in said_at_all
        numbers[str(len(answers))][SPLIT[said_at_all]] += 1
        for probe, said in answers.items():
            port = ports[probe[4:]]
            port["active"] += 1
            port["alive"] += "a" in said
            port["exclusive"] += len(answers) == 1
            port[SPLIT[said]] += 1
    return {"active": totals["active"], "alive": totals["alive"], "ports_answered": numbers, "ports": ports}


def tarpits(witnesses: Witnesses) -> dict[str, Any]:
    def everywhere(facts: Facts) -> bool:
        return len(witnesses.tcp) > 1 and all("a" in from_port(facts, probe) for probe in witnesses.tcp)

    candidates = witnesses.count(everywhere)
    confirmed = witnesses.count(lambda facts: everywhere(facts) and "a" in from_port(facts, CONTROL))
    inflation = {}
    for probe in witnesses.tcp:
        rest = witnesses.count(lambda facts, probe=probe: "a" in from_port(facts, probe) and not everywhere(facts))  # type: ignore[misc]
        over_alive = ratio(candidates, rest + candidates)
        inflation[probe[4:]] = {"over_rest": ratio(candidates, rest), "over_alive": over_alive}
    return {
        "candidates": candidates,
        "confirmed": confirmed if witnesses.population.control else None,
        "inflation": inflation,
    }


def active(facts: Facts, probe: str, *, with_errors: bool) -> bool:
    return any(fact.probe == probe and (with_errors or fact.kind != Kind.ERROR) for fact in facts)


def conditional(witnesses: Witnesses, *, with_errors: bool) -> dict[str, dict[str, float | None]]:
    alone, together = Counter[str](), Counter[tuple[str, str]]()
    for facts in witnesses.sent.values():
        answered = [probe for probe in witnesses.services if active(facts, probe, with_errors=with_errors)]
        alone.update(answered)
        together.update(product(answered, answered))
    return {x: {y: ratio(together[x, y], alone[x]) for y in witnesses.services} for x in witnesses.services}


def patterns(witnesses: Witnesses, *, with_errors: bool) -> dict[str, int]:
    strings = Counter(
        "".join(str(int(active(facts, probe, with_errors=with_errors))) for probe in witnesses.services)
        for facts in witnesses.sent.values()
    )
    return {pattern: count for pattern, count in strings.items() if "1" in pattern}


def finding(witnesses: Witnesses, probe: str) -> Facts:
    """Return the replies by which a probe found its targets: the paper counts echo replies, SYN-ACKs, valid answers."""
    positives = tuple(Kind) if witnesses.population.older else (Kind.ECHO_REPLY, Kind.SYN_ACK, Kind.ANSWER)
    return [reply for reply in witnesses.population.replies if reply.probe == probe and reply.kind in positives]


def gains(witnesses: Witnesses, found: dict[str, Any]) -> dict[str, Any]:
    positives = (Kind.ECHO_REPLY, Kind.SYN_ACK, Kind.ANSWER)
    positive = witnesses.count(lambda facts: any(f.kind in positives and f.probe != CONTROL for f in facts))
    added = found["tcp"]["unique"] + found["udp"]["unique"]
    negative = found["all"] - positive
    retransmit = {}
    for probe in [*witnesses.services, *([CONTROL] if witnesses.population.control else [])]:
        of_probe = finding(witnesses, probe)
        first = {reply.target for reply in of_probe if reply.attempt == 0}
        recovered = {reply.target for reply in of_probe if reply.target not in first}
        gain = ratio(len(recovered), len(first))
        retransmit[probe] = {"first": len(first), "recovered": len(recovered), "gain": gain}
    return {
        "tcp_udp_over_icmp": {
            "of_all": ratio(added, found["all"]),
            "over_icmp": ratio(added, found["icmp"]["total"]),
        },
        "negative": {"over_positive": ratio(negative, positive), "of_all": ratio(negative, found["all"])},
        "retransmit": retransmit,
    }


def loss(witnesses: Witnesses) -> dict[str, Any]:
    """Count targets by attempts; the populations' manifests tell neither duplicates nor estimates."""
    result = {}
    for probe in [*witnesses.services, *([CONTROL] if witnesses.population.control else [])]:
        of_probe = finding(witnesses, probe)
        first = {reply.target for reply in of_probe if reply.attempt == 0}
        again = {reply.target for reply in of_probe if reply.attempt == 1}
        result[probe] = {
            "first_only": len(first - again),
            "both": len(first & again),
            "recovered": len(again - first),
            **dict.fromkeys(("missed", "missed_low", "missed_high")),
            "duplicates": [0, 0],
        }
    return result


def taxonomy(witnesses: Witnesses) -> dict[str, int]:
    def sent(*kinds: Kind) -> Test:
        return lambda facts: any(fact.probe != CONTROL and fact.kind in kinds for fact in facts)

    return {
        "network_alive": len(witnesses.sent),
        "transport_active": witnesses.count(sent(Kind.SYN_ACK, Kind.RST)),
        "transport_alive": witnesses.count(sent(Kind.SYN_ACK)),
        "application_active": witnesses.count(sent(Kind.ANSWER, Kind.PAYLOAD)),
        "application_alive": witnesses.count(sent(Kind.ANSWER)),
    }


def run_document(population: Population) -> dict[str, Any]:
    """Return what ``analyze --json`` must print for one run."""
    witnesses = Witnesses(population)
    names = ("icmp", "tcp", "udp")
    found = coverage(list(witnesses.sent.values()))
    return {
        "run": f"{population.name}/{population.run_id}",
        "status": population.status,
        "targets": 4096,
        "response_rates": {probe: response_rate(population, probe) for probe in probed(population)},
        "taxonomy": taxonomy(witnesses),
        "coverage": {"addresses": found, "prefixes24": coverage(prefixes(witnesses))},
        "reply_types": {name: reply_types(witnesses, name) for name in names},
        "error_only": error_only(witnesses),
        "error_categories": {name: error_categories(witnesses, name) for name in names},
        "error_messages": {name: error_messages(witnesses, name) for name in names},
        "error_sources": error_sources(witnesses),
        "transport": transport(witnesses),
        "tarpits": tarpits(witnesses),
        "conditional": {
            "replies": conditional(witnesses, with_errors=False),
            "with_errors": conditional(witnesses, with_errors=True),
        },
        "patterns": {
            "probes": witnesses.services,
            "replies": patterns(witnesses, with_errors=False),
            "with_errors": patterns(witnesses, with_errors=True),
        },
        "gains": gains(witnesses, found),
        "loss": loss(witnesses),
    }


def probed(population: Population) -> list[str]:
    return [*population.probes, *(["tcp/control"] if population.control else [])]


def response_rate(population: Population, probe: str) -> dict[str, float | None]:
    answered = len({reply.target for reply in population.replies if reply.probe == probe})
    return {"targets": 4096, "answered": answered, "rate": answered / 4096, "low": None, "high": None}


Seen = Callable[[Facts], bool]


def compared(before: Population, after: Population, is_seen: Seen) -> dict[str, int]:
    old, new = (
        {address for address, facts in Witnesses(run).sent.items() if is_seen(facts)} for run in (before, after)
    )
    result = dict.fromkeys(("born", "died", "stayed"), 0)
    for address in {*old, *new}:
        result["stayed" if address in old and address in new else "born" if address in new else "died"] += 1
    return result


def alive_anywhere(facts: Facts) -> bool:
    return any(seen(facts, name) for name in ("icmp", "tcp", "udp"))


def shared_part(run: Population, probes: Sequence[str], targets: Collection[int] | None) -> Population:
    """Return a run as if it had sent only these probes, to only these targets; None: to all of its own."""
    kept = [r for r in run.replies if r.probe in probes and (targets is None or r.source in targets)]
    return replace(run, replies=kept, probes=probes)


def turnover(before: Population, after: Population, targets: Collection[int] | None = None) -> dict[str, Any]:
    """Return what ``changes`` must say of two runs on their common targets, names and what is left out apart."""
    probes = [probe for probe in after.probes if probe in before.probes]
    before, after = (shared_part(run, probes, targets) for run in (before, after))
    both = Witnesses(after).tcp
    return {
        "targets": 4096 if targets is None else len(targets),
        "probes": probes,
        **compared(before, after, alive_anywhere),
        "by_family": {
            name: compared(before, after, lambda facts, name=name: seen(facts, name))  # type: ignore[misc]
            for name in ("icmp", "tcp", "udp")
        },
        "by_port": {
            probe[4:]: compared(before, after, lambda facts, probe=probe: "a" in from_port(facts, probe))  # type: ignore[misc]
            for probe in both
        },
    }


def retention(runs: Sequence[Population]) -> list[dict[str, Any]]:
    """Return the curves, names apart: who of each run is alive later, and who all the way."""
    alive = [{address for address, facts in Witnesses(run).sent.items() if alive_anywhere(facts)} for run in runs]
    curves = []
    for place, first in enumerate(alive[:-1]):
        later = [sum(address in other for address in first) for other in alive[place + 1 :]]
        throughout = [
            sum(all(address in other for other in alive[place : end + 1]) for address in first)
            for end in range(place + 1, len(alive))
        ]
        curves.append(
            {
                "addresses": len(first),
                "alive": later,
                "share": [ratio(number, len(first)) for number in later],
                "throughout": throughout,
                "throughout_share": [ratio(number, len(first)) for number in throughout],
            }
        )
    return curves
