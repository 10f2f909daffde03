"""A prediction equals the census it stands for: exactly where targets are few, closely where they are sampled."""

import math
import tempfile
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from liveness.config.estimate import estimate
from liveness.config.load import load_config, resolve_targets
from liveness.config.model import Config
from liveness.ipsets.roaring import write_roaring
from liveness.kernel import COMPILED
from liveness.lab.documents import prediction_document
from liveness.lab.model.population.burden import burden_of, rarest
from liveness.lab.model.population.load import load_population, parse_population
from liveness.lab.model.population.predict import predict, sampled_targets
from liveness.lab.model.population.sample import public_space, sample24, used24
from liveness.lab.model.population.set_size import Spread
from liveness.lab.model.population.truth import truth
from liveness.replies import CONTROL, Kind, ReplyKey, Role, SetKey
from liveness.report.views.prediction import basis_text, burden_text
from liveness.space.addresses import format_address
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets
from tests.lab.model.population.support import SMALL, small

WIRE_BITS = 9 * 84 * 8


def config_of(tmp_path: Path, text: str) -> tuple[Config, Targets]:
    path = tmp_path / "census.yaml"
    path.write_text(f"name: test\ncontact: a@b.example\ncooldown: 0s\nprobe_spacing: 0s\n{text}")
    config = load_config(path, environment={})
    return config, resolve_targets(config, lab=False)


def addresses_of(targets: Targets) -> np.ndarray:
    return targets.intervals.address_at(np.arange(targets.count))


def test_few_targets_are_counted_one_at_a_time(tmp_path: Path) -> None:
    config, targets = config_of(
        tmp_path, "targets: {allow: [46.0.0.0/21, 8.8.0.0/23], block: [46.0.2.0/24, 46.0.3.128/25]}\nrate: 10kpps\n"
    )
    population = small()
    prediction = predict(config, targets, WIRE_BITS, population)
    sets = truth(population, addresses_of(targets))
    assert prediction.exact
    assert prediction.sampled == targets.count == 2048 + 512 - 256 - 128
    assert {entry.key: entry.members for entry in prediction.sets} == {
        key: len(members) for key, members in sets.items()
    }
    for entry in prediction.sets:
        path = tmp_path / "one.roaring"
        write_roaring(path, sets[entry.key])
        assert entry.size == path.stat().st_size
    probes = (*config.probes, CONTROL)
    answered = {probe: BitMap() for probe in probes}
    replies = dict.fromkeys(probes, 0)
    for key, members in sets.items():
        if key.role is Role.TARGET:
            answered[key.reply.probe] |= members
            replies[key.reply.probe] += 2 * len(members)  # two attempts
    assert {probe.probe: probe.targets for probe in prediction.probes} == {
        probe: len(of) for probe, of in answered.items()
    }
    assert {probe.probe: probe.replies for probe in prediction.probes} == replies
    assert sum(replies.values()) == prediction.replies
    for probe in prediction.probes:
        assert probe.hit_rate == probe.targets / targets.count
        # two attempts of each target at 10,000 packets a second of each probe
        assert probe.replies_pps == pytest.approx(probe.replies / (2 * targets.count / 10_000))
    assert prediction.estimate.duration_s == pytest.approx(2 * targets.count / 10_000)


def test_only_the_probes_of_the_config_count_and_repeats_may_be_spared(tmp_path: Path) -> None:
    config, targets = config_of(
        tmp_path,
        "targets: {allow: [46.0.0.0/21]}\nprobes: [dns, tcp/80]\ncontrol: false\n"
        "retransmit: {attempts: 3, only_unanswered: true}\n",
    )
    prediction = predict(config, targets, WIRE_BITS, small())
    sets = truth(small(), addresses_of(targets), ("dns", "tcp/80"))
    assert [probe.probe for probe in prediction.probes] == ["dns", "tcp/80"]
    assert {entry.key for entry in prediction.sets} == set(sets)
    assert prediction.replies == sum(len(members) for key, members in sets.items() if key.role is Role.TARGET)


def test_talks_are_counted_by_their_syn_acks(tmp_path: Path) -> None:
    text = "targets: {allow: [46.0.0.0/21]}\nprobes: [icmp, tcp/22, tcp/80]\napplications: [ssh, http]\n"
    config, targets = config_of(tmp_path, text)
    talks = predict(config, targets, WIRE_BITS, small()).talks
    sets = truth(small(), addresses_of(targets))
    opened = [SetKey(ReplyKey(f"tcp/{port}", Kind.SYN_ACK), Role.TARGET) for port in (22, 80)]
    services = sum(len(sets[key]) for key in opened)
    assert talks is not None
    assert services > 0
    assert (talks.services, talks.frames) == (services, 4 * services)


def test_the_load_on_a_24_has_the_talks_of_the_one_with_the_most_open_ports(tmp_path: Path) -> None:
    text = "targets: {allow: [46.0.0.0/18]}\nrate: 512pps\nblock_prefix: 18\nprobes: [icmp, tcp/22, tcp/80]\n"
    silent, targets = config_of(tmp_path, text)
    talking, _ = config_of(tmp_path, f"{text}applications: [ssh, http]\ntalk: {{rate: 1kpps}}\n")
    sets = truth(small(), addresses_of(targets))
    opened = [SetKey(ReplyKey(f"tcp/{port}", Kind.SYN_ACK), Role.TARGET) for port in (22, 80)]
    ports = max(
        sum(sets[key].range_cardinality(at, at + 256) for key in opened)
        for at in range(46 << 24, (46 << 24) + targets.count, 256)
    )
    without, found = (predict(config, targets, WIRE_BITS, small()).burden for config in (silent, talking))
    assert ports > 0
    assert found.packets == without.packets + 4 * ports
    assert found.mean_pps == pytest.approx(without.mean_pps * found.packets / without.packets)
    assert found.peak_pps == without.peak_pps + math.ceil(without.peak_pps / 4 * 3 * ports / 256)
    slow, _ = config_of(tmp_path, f"{text}applications: [ssh, http]\ntalk: {{rate: 1pps}}\n")
    assert predict(slow, targets, WIRE_BITS, small()).burden.peak_pps == without.peak_pps + 2


def test_a_prediction_has_the_census_with_its_talks(tmp_path: Path) -> None:
    text = "targets: {allow: [46.0.0.0/21]}\nrate: 1kpps\nprobes: [icmp, tcp/22, tcp/80]\napplications: [ssh, http]\n"
    config, targets = config_of(tmp_path, f"{text}talk: {{rate: 10pps, wait: 3s}}\n")
    prediction = predict(config, targets, WIRE_BITS, small())
    talks, forecast = prediction.talks, prediction.estimate
    assert talks is not None
    total = prediction_document("census", prediction)["talks"]["total"]
    assert total["packets"] == forecast.packets + talks.frames
    assert total["bits"] == forecast.bits + talks.bits
    assert total["seconds"] == pytest.approx(talks.frames / 10 + 3)
    assert total["seconds"] > forecast.duration_s
    assert f"at most {total['packets']:,.0f} packets" in burden_text(prediction, auto=False)


def test_sets_of_talks_are_predicted(tmp_path: Path) -> None:
    text = "targets: {allow: [46.0.0.0/20]}\nprobes: [tcp/22, tcp/443]\ncontrol: false\napplications: [tls]\n"
    config, targets = config_of(tmp_path, text)
    services = "services: {ports: {tcp: {speaks: 2, closes: 1, acks: 1, zero-window: 1}}}\n"
    population = parse_population(SMALL + services, "small.yaml")
    found = {entry.key.reply: entry.members for entry in predict(config, targets, WIRE_BITS, population).sets}
    opened = truth(population, addresses_of(targets), ("tcp/443",))[
        SetKey(ReplyKey("tcp/443", Kind.SYN_ACK), Role.TARGET)
    ]
    kinds = (Kind.ANSWER, Kind.CLOSED, Kind.ACKED, Kind.ZERO_WINDOW)
    assert sum(found[ReplyKey("tcp/443", kind)] for kind in kinds) == len(opened)
    assert min(found[ReplyKey("tcp/443", kind)] for kind in kinds) > 0
    assert {reply.probe for reply in found if reply.of_talk} == {"tcp/443"}


def test_the_load_on_a_24_is_that_of_all_shards_together(tmp_path: Path) -> None:
    text = "targets: {allow: [46.0.0.0/12]}\n"
    config, targets = config_of(tmp_path, text)
    shared, _ = config_of(tmp_path, text + "shard: {index: 1, of: 4}\n")
    alone, together = burden_of(config, targets, 400.0), burden_of(shared, targets, 100.0)
    assert (together.packets, together.mean_pps, together.peak_pps) == (alone.packets, alone.mean_pps, alone.peak_pps)
    assert burden_of(config, targets, 100.0).mean_pps == together.mean_pps / 4


def test_many_targets_are_sampled_by_whole_24s(tmp_path: Path) -> None:
    size = "/9" if COMPILED else "/17"
    config, targets = config_of(tmp_path, f"targets: {{allow: [77.0.0.0{size}]}}\n")
    population = load_population()
    prediction = predict(config, targets, WIRE_BITS, population, most=targets.count // 4)
    assert not prediction.exact
    assert prediction.sampled == targets.count // 4
    sets = truth(population, addresses_of(targets))
    tolerance = 0.05 if COMPILED else 0.5
    for entry in prediction.sets:
        if len(sets[entry.key]) > 20_000:
            assert entry.members == pytest.approx(len(sets[entry.key]), rel=tolerance), entry.key.file
    for probe in prediction.probes:
        found = BitMap()
        for key, members in sets.items():
            if key.role is Role.TARGET and key.reply.probe == probe.probe:
                found |= members
        assert probe.targets == pytest.approx(len(found), rel=tolerance)


def test_sizes_of_sets_are_estimated_from_members_alone(tmp_path: Path) -> None:
    targets = Intervals.from_bounds([77 << 24], [(77 << 24) + (1 << (23 if COMPILED else 18)) - 1])
    population = load_population()
    sets = truth(population, targets.address_at(np.arange(targets.count)))
    spread = Spread(population, targets)
    estimated = in_truth = 0
    for key, members in sets.items():
        write_roaring(tmp_path / "one", members)
        size = (tmp_path / "one").stat().st_size
        estimated += spread.bytes_of(len(members))
        in_truth += size
        if len(members) > 50_000 and key.reply.kind is not Kind.ERROR:  # what gateways speak for are neighbours
            assert spread.bytes_of(len(members)) == pytest.approx(size, rel=0.35), key.file
    assert estimated == pytest.approx(in_truth, rel=0.15)
    assert spread.bytes_of(0) == 8


def test_limited_targets_meet_routers_as_often_as_a_census_of_that_many_would() -> None:
    population = small()
    targets = Intervals.from_bounds([46 << 24], [(46 << 24) + (1 << (22 if COMPILED else 14)) - 1])
    wanted = targets.count // 64
    key = SetKey(
        next(
            key.reply for key in truth(population, targets.address_at(np.arange(512))) if key.reply.kind is Kind.ERROR
        ),
        Role.SOURCE,
    )
    generator = np.random.default_rng(1)
    drawn = np.sort(generator.choice(targets.count, wanted, replace=False))
    found = len(truth(population, targets.address_at(drawn)).get(key, BitMap()))
    addresses = sampled_targets(targets, wanted, wanted, 3)
    assert len(addresses) == wanted
    assert (np.diff(addresses.astype(np.int64)) > 0).all()
    assert len(truth(population, addresses).get(key, BitMap())) == pytest.approx(found, rel=0.1, abs=30)
    fewer = sampled_targets(targets, wanted, wanted // 4, 3)
    assert len(fewer) == pytest.approx(wanted // 4, rel=0.01)
    assert 4 * len(truth(population, fewer).get(key, BitMap())) == pytest.approx(found, rel=0.15, abs=60)


@pytest.mark.parametrize("mean", [0.01, 0.4, 3, 50, 400])
@pytest.mark.parametrize("chance", [0.5, 1e-3, 1e-9])
def test_rarest_is_where_the_tail_of_poisson_falls_below(mean: float, chance: float) -> None:
    terms = (math.exp(-mean + k * math.log(mean) - math.lgamma(k + 1)) for k in range(2000))
    below = list(accumulate(terms, initial=0.0))
    number = rarest(mean, chance)
    tails = [
        sum(math.exp(-mean + k * math.log(mean) - math.lgamma(k + 1)) for k in range(start, start + 900))
        for start in (number, number - 1)
    ]
    assert tails[0] <= chance
    assert number == 0 or tails[1] > chance
    assert below[number] == pytest.approx(1 - tails[0])


def test_the_load_on_a_24_is_what_random_orders_bring(tmp_path: Path) -> None:
    config, targets = config_of(tmp_path, "targets: {allow: [46.0.0.0/18]}\nrate: 512pps\nblock_prefix: 18\n")
    burden = burden_of(config, targets, 512.0)
    assert burden.packets == 256 * 9 * 2
    seconds = targets.count * 2 / 512
    assert burden.mean_pps == pytest.approx(burden.packets / seconds)
    generator = np.random.default_rng(4)
    worst = []
    for _ in range(20):
        order = np.concatenate([generator.permutation(targets.count), generator.permutation(targets.count)]) // 256
        at = np.arange(len(order)) // 512
        worst.append(np.unique(at * 64 + order, return_counts=True)[1].max())
    assert np.median(worst) * 9 == pytest.approx(burden.peak_pps, abs=18)


def test_the_load_on_a_single_24_is_the_rate(tmp_path: Path) -> None:
    config, targets = config_of(tmp_path, "targets: {allow: [46.0.0.0/24]}\nrate: 100pps\nblock_prefix: 24\n")
    burden = burden_of(config, targets, 100.0)
    assert burden.mean_pps == pytest.approx(900)
    assert burden.peak_pps == 900


def test_what_the_model_leaves_unused_is_reported(tmp_path: Path) -> None:
    population = small()
    everything = sample24(public_space(), 4096, 1)
    used = [number for number in everything.tolist() if used24(population, np.array([number], np.uint32))]
    unused = next(number for number in everything.tolist() if number not in used)
    assert used24(population, everything) == len(used) > 0
    for numbers, expected in (([unused], 0), ([used[0]], 1), ([unused, used[0]], 1)):
        allow = ", ".join(f"{format_address(number << 8)}/24" for number in numbers)
        config, targets = config_of(tmp_path, f"targets: {{allow: [{allow}]}}\nrate: 1kpps\n")
        prediction = predict(config, targets, WIRE_BITS, population)
        assert (prediction.prefixes24, prediction.used24) == (len(numbers), expected)
        text = basis_text("census", prediction)
        if expected == 0:
            assert prediction.replies == 0
            assert "The model leaves all of the 1 /24 looked at unused" in text
        elif expected < len(numbers):
            assert "The model uses 1 of the 2 /24s looked at; nobody answers in the others" in text
        else:
            assert "\n" not in text


@settings(max_examples=15, deadline=None)
@given(
    st.integers(8, 28),
    st.sampled_from(["10pps", "1kpps", "10kpps", "1Mpps"]),
    st.integers(1, 3),
    st.sampled_from([3, 16, 24]),
)
def test_no_peak_is_below_the_average(length: int, rate: str, attempts: int, prefix: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        config, targets = config_of(
            Path(folder),
            f"targets: {{allow: [46.0.0.0/{length}]}}\nrate: {rate}\nblock_prefix: {prefix}\n"
            f"retransmit: {{attempts: {attempts}, queue: 10}}\n",
        )
    forecast = estimate(config, targets, WIRE_BITS)
    burden = burden_of(config, targets, forecast.probe_rate_pps)
    assert burden.mean_pps <= burden.peak_pps
    of_a_24 = min(256, targets.count) * attempts * forecast.probes
    lasts_s = max(1.0, forecast.targets * attempts / forecast.probe_rate_pps)
    assert forecast.peak_pps_per_24 >= math.floor(of_a_24 / lasts_s)
