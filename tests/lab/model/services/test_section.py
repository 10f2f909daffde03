"""The `services` section: its errors in one line, and the shares that its weights give."""

import numpy as np
import pytest
from pyroaring import BitMap

from liveness.errors import UsageError
from liveness.lab.model.population.load import parse_population
from liveness.lab.model.population.truth import truth
from liveness.lab.model.services.drawn import behaviours_of
from liveness.lab.model.services.truth import outcomes, with_talks
from liveness.lab.services.behaviours import PROBES as TALKED
from liveness.lab.services.behaviours import Behaviour
from liveness.replies import Kind, ReplyKey, Role, SetKey
from tests.lab.model.population.support import SMALL, small, whole
from tests.lab.model.responder.support import packaged, sample
from tests.lab.model.services.support import with_services


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("{ports: {tcp/81: {speaks: 1}}}", r"\$\.services\.ports: 'tcp/81': expected one of tcp, tcp/22, "),
        ("{ports: {tcp: {talks: 1}}}", r"\$\.services\.ports\.tcp: 'talks': expected one of speaks, other, "),
        ("{ports: {tcp: {refuses: 1}}}", r"\$\.services\.ports\.tcp: 'refuses': expected one of speaks"),
        ("{ports: {tcp: {}}}", r"\$\.services\.ports\.tcp: no weight is above 0"),
        ("{ports: {tcp: {acks: 0}}}", r"\$\.services\.ports\.tcp: no weight is above 0"),
        ("{ports: {tcp: {acks: -1}}}", r"\$\.services\.ports"),
        (
            "{hosts: {fridge: {tcp: {acks: 1}}}}",
            r"\$\.services\.hosts: 'fridge': no profile is of this kind: expected ",
        ),
        ("{hosts: {web: {tcp/1: {acks: 1}}}}", r"\$\.services\.hosts\.web: 'tcp/1'"),
        ("{middleboxes: [{prefix: 24, share: 2, does: acks}]}", r"\$\.services\.middleboxes\[0\]\.share"),
        ("{middleboxes: [{prefix: 24, share: 1, does: no}]}", r"\$\.services\.middleboxes\[0\]\.does: 'no'"),
        ("{port: {}}", r"\$\.services"),
    ],
)
def test_what_is_wrong_is_named(section: str, message: str) -> None:
    with pytest.raises(UsageError, match=r"small\.yaml(:30)?: " + message) as raised:
        parse_population(f"{SMALL}services: {section}\n", "small.yaml")
    assert "\n" not in str(raised.value)


def shares(population_hosts: dict[str, object], probe: str, addresses: BitMap) -> dict[str, float]:
    """Return the share of each behaviour at addresses."""
    population = with_services(**population_hosts)
    does = np.empty(len(addresses), np.uint8)
    number = 1 + TALKED.index(probe)
    behaviours_of(population.tables, np.array(addresses.to_array(), np.uint32), number, does)
    counts = np.bincount(does, minlength=len(Behaviour))
    return {behaviour.label: counts[behaviour] / len(addresses) for behaviour in Behaviour if counts[behaviour]}


def test_weights_are_shares_of_addresses_and_independent_by_port() -> None:
    addresses = BitMap(sample(1 << 15).tolist())
    section: dict[str, object] = {"ports": {"tcp": {"speaks": 3, "acks": 1}, "tcp/80": {"resets": 1, "split": 9}}}
    assert shares(section, "tcp/22", addresses) == pytest.approx({"speaks": 0.75, "acks": 0.25}, abs=0.01)
    assert shares(section, "tcp/80", addresses) == pytest.approx({"resets": 0.1, "split": 0.9}, abs=0.01)
    both = outcomes(with_services(**section), addresses, "tcp/443")[Kind.ACKED]
    again = outcomes(with_services(**section), addresses, "tcp/7547")[Kind.ACKED]
    assert len(both & again) == pytest.approx(len(addresses) / 16, rel=0.1)


def test_middleboxes_decide_for_whole_prefixes() -> None:
    section = {"ports": {"tcp": {"speaks": 1}}, "middleboxes": [{"prefix": 20, "share": 0.3, "does": "acks"}]}
    population = with_services(**section)
    prefixes = np.arange(2000, dtype=np.uint32) * np.uint32(4099 * 4096)
    addresses = BitMap((prefixes[:, None] + np.arange(4, dtype=np.uint32) * np.uint32(999)).ravel().tolist())
    acked = outcomes(population, addresses, "tcp/80")[Kind.ACKED]
    assert {address >> 12 for address in acked} & {address >> 12 for address in addresses - acked} == set()
    assert len(acked) == pytest.approx(0.3 * len(addresses), rel=0.15)
    assert outcomes(population, addresses, "tcp/22")[Kind.MUTE] == acked


def test_kinds_of_hosts_have_weights_of_their_own() -> None:
    population = parse_population(
        f"{SMALL}services: {{ports: {{tcp: {{closes: 1}}}}, hosts: {{tarpit: {{tcp: {{tarpit: 1}}}}}}}}\n", "small.yaml"
    )
    addresses = whole(np.arange(0x200000, 0x200200, dtype=np.uint32))
    plain = truth(small(), addresses, ("tcp/22", "tcp/443"))
    sets = with_talks(population, plain, ("tcp/22", "tcp/443"))

    def members(probe: str, kind: Kind) -> BitMap:
        return sets.get(SetKey(ReplyKey(probe, kind), Role.TARGET), BitMap())

    # Tarpits alone accept connections on port 22; on 443 hosts of the web do, too.
    assert members("tcp/22", Kind.MUTE) == members("tcp/22", Kind.SYN_ACK) == members("tcp/443", Kind.MUTE)
    assert members("tcp/443", Kind.CLOSED) == members("tcp/443", Kind.SYN_ACK) - members("tcp/443", Kind.MUTE)
    assert len(members("tcp/443", Kind.CLOSED)) > 100
    assert len(members("tcp/22", Kind.MUTE)) > 100


@pytest.mark.parametrize(
    ("probe", "published"),
    [
        # Shares of the SYN-ACKs (Izhikevich et al. 2021, table 4): expected protocol, other data, zero window.
        ("tcp/80", {Kind.ANSWER: 0.873, Kind.PAYLOAD: 0.004, Kind.ZERO_WINDOW: 0.021}),
        ("tcp/443", {Kind.ANSWER: 0.844, Kind.PAYLOAD: 0.025, Kind.ZERO_WINDOW: 0.041}),
        ("tcp/23", {Kind.ANSWER: 0.423, Kind.PAYLOAD: 0.036, Kind.ZERO_WINDOW: 0.156}),
    ],
)
def test_the_packaged_shares_are_the_published_ones(probe: str, published: dict[Kind, float]) -> None:
    """Tarpits apart, which the publication counts among all others."""
    addresses = BitMap(sample(1 << 16).tolist())
    found = outcomes(with_services(ports=packaged().model.services.ports), addresses, probe)  # type: ignore[union-attr]
    for kind, share in published.items():
        assert len(found[kind]) / len(addresses) == pytest.approx(share, abs=0.01), kind
