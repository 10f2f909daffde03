"""Loading: precedence, file names, targets, and that every wrong value is told by file, path and value."""

import bz2
import gzip
import json
import lzma
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from liveness.config.checks import VARIABLE
from liveness.config.estimate import Estimate, estimate
from liveness.config.load import load_config, resolve_targets
from liveness.config.model import Config, Limits, Network, Retransmit, TargetLists, from_document, to_document
from liveness.config.units import Duration, PortRange, Rate, TargetLimit
from liveness.errors import ConfigWarning, RefusedError, UsageError
from liveness.files.yaml import dump_yaml, parse_yaml
from liveness.space.addresses import format_address
from tests.ipsets.support import written

MINIMAL = "name: x\ntargets: {allow: [1.0.0.0/24]}\n"
CONFIGS = Path(__file__).parents[2] / "configs"

configs = st.builds(
    Config,
    name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True),
    seed=st.integers(0, (1 << 63) - 1),
    targets=st.builds(TargetLists, allow=st.just(("1.0.0.0/24", "9.9.9.9")), block=st.just(("1.0.0.0-1.0.0.7",))),
    probes=st.sets(st.sampled_from(["icmp", "dns", "ntp", "tcp/1", "tcp/65535"]), min_size=1).map(tuple),
    control=st.booleans(),
    rate=st.integers(1, 1_000_000_000).map(Rate)
    | st.sampled_from([Rate("auto"), Rate("10Mbps"), Rate("0.2pps"), Rate("7/min")]),
    rate_limit=st.none() | st.sampled_from([Rate("100kpps"), Rate("1.5Gbps")]),
    block_prefix=st.integers(1, 24),
    retransmit=st.builds(Retransmit, attempts=st.integers(1, 4), queue=st.integers(0, 1 << 20)),
    probe_spacing=st.integers(0, 1 << 40).map(lambda span_us: Duration(f"{span_us}us")),
    cooldown=st.integers(0, 1 << 40).map(lambda span_us: Duration(f"{span_us}us")),
    senders=st.one_of(st.just("auto"), st.integers(1, 64)),
    tcp_options=st.sampled_from(["windows", "linux", "mss", "none"]),
    checksum=st.sampled_from(["strict", "ignore"]),
    network=st.builds(
        Network,
        interface=st.sampled_from(["auto", "eth0", "wlp3s0.7"]),
        source_addresses=st.sampled_from(
            [(), ("10.0.0.1",), ("10.0.0.1", "10.0.0.2"), ("10.0.0.4-10.0.0.7", "10.1.0.0/30")]
        ),
        source_ports=st.just(PortRange("1024-65535")),
        gateway_mac=st.sampled_from(["auto", "02:00:5e:10:00:01", "10:20:30:40:50:55"]),
    ),
    contact=st.text(st.characters(codec="ascii", categories=("L", "N", "P")), max_size=40).filter(
        lambda text: not VARIABLE.search(text)
    ),
    limits=st.builds(
        Limits,
        max_targets=st.none() | st.integers(1, 1 << 32).map(TargetLimit) | st.just(TargetLimit("1%")),
        max_runtime=st.none() | st.integers(1, 1 << 40).map(lambda span_us: Duration(f"{span_us}us")),
    ),
)


def load(tmp_path: Path, text: str, overrides: Mapping[str, object] | None = None, **environment: str) -> Config:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    return load_config(path, overrides, environment)


def message_of(tmp_path: Path, text: str, overrides: Mapping[str, object] | None = None, **environment: str) -> str:
    with pytest.raises(UsageError) as caught:
        load(tmp_path, text, overrides, **environment)
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(f"{tmp_path}/")


@given(configs)
def test_a_resolved_config_reads_back_equal(config: Config) -> None:
    document = to_document(config)
    assert from_document(json.loads(json.dumps(document))) == config
    assert from_document(parse_yaml(dump_yaml(document), "dump")) == config


@given(configs)
def test_a_dumped_config_loads_equal(tmp_path_factory: pytest.TempPathFactory, config: Config) -> None:
    path = tmp_path_factory.getbasetemp() / "dumped.yaml"
    path.write_text(dump_yaml(to_document(config)))
    assert load_config(path, None, {}) == config


def test_everything_but_name_and_targets_has_a_default(tmp_path: Path) -> None:
    config = load(tmp_path, MINIMAL)
    assert config == Config(name="x", targets=TargetLists(allow=("1.0.0.0/24",)))
    assert (config.senders, config.receive.receivers, config.max_runtime_s) == ("auto", "auto", None)
    assert (config.rate.pps, config.probe_spacing_s, config.cooldown_s) == (1_000, 0.1, 10.0)
    assert (config.network.source_ports.first, config.network.ttl, config.receive.ring_mib) == (32_768, 64, 64)
    assert (config.control, config.checksum, config.tcp_options, config.replies) == (True, "strict", "windows", "none")


def test_flag_over_environment_over_file_over_default(tmp_path: Path) -> None:
    text = MINIMAL + "rate: 1kpps\nseed: 1\ncooldown: 1s\nretransmit: {queue: 1}\n"
    environment = {"LIVENESS_RATE": "2kpps", "LIVENESS_SEED": "2", "LIVENESS_RETRANSMIT__QUEUE": "2"}
    config = load(tmp_path, text, {"rate": "3kpps", "retransmit.attempts": 3, "seed": None}, **environment)
    assert (config.rate, config.seed, config.cooldown) == ("3kpps", 2, "1s")
    assert config.retransmit == Retransmit(attempts=3, queue=2)


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("LIVENESS_PROBES", "icmp, dns", "probes", ("icmp", "dns")),
        ("LIVENESS_PROBES", "[icmp, tcp/80]", "probes", ("icmp", "tcp/80")),
        ("LIVENESS_CONTACT", "mail: a@b.example", "contact", "mail: a@b.example"),
        ("LIVENESS_NAME", "2017", "name", "2017"),
        ("LIVENESS_SENDERS", "3", "senders", 3),
        ("LIVENESS_SENDERS", "auto", "senders", "auto"),
        ("LIVENESS_CONTROL", "false", "control", False),
        ("LIVENESS_COOLDOWN", "3", "cooldown", "3s"),
        ("LIVENESS_LIMITS__MAX_RUNTIME", "2m", "limits", Limits(max_runtime=Duration("2m"))),
        ("LIVENESS_LIMITS__MAX_TARGETS", "null", "limits", Limits()),
    ],
)
def test_the_environment_is_typed_by_the_field(
    tmp_path: Path, variable: str, text: str, field: str, value: object
) -> None:
    assert getattr(load(tmp_path, MINIMAL, None, **{variable: text}), field) == value


def test_variables_of_others_are_left_alone(tmp_path: Path) -> None:
    assert load(tmp_path, MINIMAL, None, PATH="/bin", RATE="x").rate == "1kpps"


def test_the_process_environment_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVENESS_SEED", "99")
    (tmp_path / "x.yaml").write_text(MINIMAL)
    assert load_config(tmp_path / "x.yaml").seed == 99


def test_a_config_can_come_from_overrides_alone() -> None:
    config = load_config(None, {"name": "ad-hoc", "targets.allow": ["1.0.0.0/30"]}, {})
    assert config == Config(name="ad-hoc", targets=TargetLists(allow=("1.0.0.0/30",)))
    with pytest.raises(UsageError, match=r"^command line: \$\.targets: missing: every config needs it$"):
        load_config(None, {"name": "ad-hoc"}, {})


def test_json_is_a_config_too(tmp_path: Path) -> None:
    config = load(tmp_path, MINIMAL + "rate: 7kpps\n")
    assert load(tmp_path, json.dumps(to_document(config), indent=1)) == config


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("retransmit: {queue: -5}", "$.retransmit.queue: -5: expected a whole number, at least 0"),
        ("retransmit: {attempts: 5}", "$.retransmit.attempts: 5: expected a whole number, at most 4"),
        ("retransmit: {queue: many}", "$.retransmit.queue: 'many': expected a whole number, not text"),
        ("retransmit: 5", "$.retransmit: 5: expected a mapping of names to values, not a whole number"),
        ("retransmit:", "$.retransmit: null: expected a mapping of names to values, not nothing"),
        ("retransmit: {quue: 5}", "$.retransmit.quue: 5: no such field, did you mean 'queue'?"),
        ("raet: 5", "$.raet: 5: no such field, did you mean 'rate'?"),
        ("xyzzy: {a: 1}", '$.xyzzy: {"a": 1}: no such field (there are name, seed, targets,'),
        ("rate: 0", "$.rate: 0: expected a rate from 1/h, a packet an hour, to 1Gpps"),
        ("rate: fast", "$.rate: 'fast': expected a rate such as 100kpps, 1.5Mpps, 0.2pps, 12/min or 10Mbps, or auto"),
        ("rate: [1]", "$.rate: [1]: expected a rate"),
        ("cooldown: -1", "$.cooldown: -1: expected a duration such as 100ms, 10s, 2m, 3h30m, 24h or 14d"),
        ("limits: {max_runtime: 0}", "$.limits.max_runtime: '0s': expected a duration above 0s, or null for none"),
        (
            "limits: {max_targets: 0}",
            "$.limits.max_targets: 0: expected a whole number of targets from 1 on, or a share",
        ),
        ("tcp_options: macos", "$.tcp_options: 'macos': expected one of windows, linux, mss, none"),
        (
            "talk: {first_bytes: 9}\nreplies: pcap\napplications: [http]",
            "$.talk.first_bytes: 9: the log of replies keeps them, and there is none: replies: parquet, or both",
        ),
        (
            "talk: {first_bytes: 9}\nreplies: parquet",
            "$.talk.first_bytes: 9: only services that are talked to send data, and none are: name applications",
        ),
        ("talk: {first_bytes: 257}", "$.talk.first_bytes: 257: "),
        (
            "tcp_options: linux\napplications: [ssh]",
            "$.tcp_options: 'linux': expected windows, mss or none with applications",
        ),
        ("senders: many", "$.senders: 'many': expected one of whole numbers, auto"),
        ("senders: 0", "$.senders: 0: expected a whole number, at least 1"),
        ("replies: csv", "$.replies: 'csv': expected one of none, parquet, pcap, both"),
        (
            "network: {transport: pigeon}",
            "$.network.transport: 'pigeon': expected one of auto, af_xdp, af_packet, xdp_live",
        ),
        ("network: {ttl: 0}", "$.network.ttl: 0: expected a whole number, at least 1"),
        (
            "network: {source_ports: 1-100}",
            "$.network.source_ports: '1-100': expected at least 64 ports for each of 2 attempts",
        ),
        (
            "network: {source_ports: 80}",
            "$.network.source_ports: 80: expected a range of ports low-high within 1-65535",
        ),
        (
            "network: {source_addresses: [fe80::1]}",
            "$.network.source_addresses[0]: 'fe80::1': expected addresses of this host",
        ),
        (
            "network: {source_addresses: [224.0.0.1]}",
            "$.network.source_addresses[0]: '224.0.0.1': expected addresses of this host",
        ),
        (
            "receive: {capture: xdp}\nnetwork: {zero_copy: require}",
            "$.receive.capture: 'xdp': expected 'packet' with network.zero_copy: require",
        ),
        ("network: {source_addresses: [9.9.9.9, 9.9.9.9]}", "$.network.source_addresses[1]: '9.9.9.9': stands twice"),
        (
            "network: {source_addresses: [9.9.9.4-9.9.9.7, 9.9.9.6/31]}",
            "$.network.source_addresses[1]: '9.9.9.6/31': 9.9.9.6 stands twice: first in $.network.source_addresses[0]",
        ),
        (
            "network: {source_addresses: [9.9.9.7-9.9.9.4]}",
            "$.network.source_addresses[0]: '9.9.9.7-9.9.9.4': '9.9.9.7-9.9.9.4' ends before it begins",
        ),
        (
            "network: {source_addresses: [9.9.9.7, 9.9.8.0/24]}",
            "$.network.source_addresses[1]: '9.9.8.0/24': makes 257 source addresses: expected at most 256 in all",
        ),
        (
            "network: {source_addresses: [223.255.255.0-224.0.0.1]}",
            "$.network.source_addresses[0]: '223.255.255.0-224.0.0.1': expected addresses of this host",
        ),
        ("network: {gateway_mac: router}", "$.network.gateway_mac: 'router': expected 'auto' or a MAC"),
        (
            "network: {gateway_mac: 'ff:ff:ff:ff:ff:ff'}",
            "$.network.gateway_mac: 'ff:ff:ff:ff:ff:ff': expected 'auto' or a MAC",
        ),
        ("network: {interface: ''}", "$.network.interface: '': expected 'auto' or the name of an interface"),
        ("block_prefix: 25", "$.block_prefix: 25: expected a whole number, at most 24"),
        ("block_prefix: true", "$.block_prefix: true: expected a whole number, not true or false"),
        ("probes: []", "$.probes: []: expected 1 to 15 probes, not 0"),
        ("probes: icmp", "$.probes: 'icmp': expected a list, not text"),
        ("probes: [icmp, 7]", "$.probes[1]: 7: expected text, not a whole number"),
        (
            "probes: [icmp, tcp]",
            "$.probes[1]: 'tcp': no such probe: expected icmp, dns, ntp, udp/1900, snmp, tcp/<port>",
        ),
        ("probes: [tcp/0]", "$.probes[0]: 'tcp/0': no such probe"),
        ("probes: [tcp/65536]", "$.probes[0]: 'tcp/65536': no such probe"),
        ("probes: [dns, icmp, dns]", "$.probes[2]: 'dns': stands twice: first in $.probes[0]"),
        ("probes: [tcp/90-80]", "$.probes[0]: 'tcp/90-80': the range ends before it begins: write tcp/80-90"),
        ("probes: [tcp/1-65535]", "$.probes[0]: 'tcp/1-65535': makes 65,535 probes, a census has at most 15"),
        ("probes: [tcp/1-10, tcp/20-25]", '$.probes: ["tcp/1-10", "tcp/20-25"]: expected 1 to 15 probes, not 16'),
        ("probes: [tcp/80, tcp/79-81]", "$.probes[1]: 'tcp/79-81': tcp/80 stands twice: first in $.probes[0]"),
        ("probes: [tcp/80-65536]", "$.probes[0]: 'tcp/80-65536': no such probe"),
        ("probes: [tcp/control]", "$.probes[0]: 'tcp/control': the tarpit control is switched by 'control'"),
        (f"contact: {'x' * 201}", f"$.contact: '{'x' * 59}…: expected at most 200 bytes of printable text"),
        ('contact: "a\\nb"', r"$.contact: 'a\nb': expected at most 200 bytes of printable text"),
        ("output: ''", "$.output: '': expected a directory"),
    ],
)
def test_a_wrong_value_is_reported_by_file_path_and_value(tmp_path: Path, line: str, message: str) -> None:
    assert message_of(tmp_path, MINIMAL + line + "\n").startswith(f"x.yaml:3: {message}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("targets: {allow: [1.0.0.0/8]}\n", "x.yaml: $.name: missing: every config needs it"),
        ("name: x\n", "x.yaml: $.targets: missing: every config needs it"),
        ("name: ../x\ntargets: {allow: [1.0.0.0/8]}\n", "x.yaml:1: $.name: '../x': expected a folder name"),
        ("name: x\ntargets: {allow: []}\n", "x.yaml:2: $.targets.allow: []: expected at least one prefix"),
        ("name: x\ntargets: {allow: 1.0.0.0/8}\n", "x.yaml:2: $.targets.allow: '1.0.0.0/8': expected a list, not text"),
        ("name: x\ntargets: {allow: [7]}\n", "x.yaml:2: $.targets.allow[0]: 7: expected text, not a whole number"),
        ("name: x\ntargets: {allow: ['-'], block: ['-']}\n", "x.yaml:2: $.targets: '-': expected standard input"),
        ("", "x.yaml: $: nothing: expected fields such as 'name: census'"),
        ("- a\n", 'x.yaml: $: ["a"]: expected fields such as'),
        ("name: [\n", "x.yaml:2:1: wrong YAML: "),
        (
            "name: x\ntargets: {allow: [1.0.0.0/8, 1.0.0.0/33]}\n",
            "x.yaml:2: $.targets.allow[1]: '1.0.0.0/33' is not a prefix, range or address",
        ),
        (
            "name: x\ntargets: {allow: [1.0.0.7/8]}\n",
            "x.yaml:2: $.targets.allow[0]: '1.0.0.7/8' has host bits set: write 1.0.0.0/8, or 1.0.0.7",
        ),
        (
            "name: x\ntargets: {allow: [1.0.0.0/8], block: [none.txt]}\n",
            "x.yaml:2: $.targets.block[0]: 'none.txt': neither a prefix, range or address nor an existing",
        ),
    ],
)
def test_a_wrong_file_is_reported_by_its_name(tmp_path: Path, text: str, message: str) -> None:
    assert message_of(tmp_path, text).startswith(message)


def test_wrong_overrides_and_variables_name_where_they_came_from(tmp_path: Path) -> None:
    assert message_of(tmp_path, MINIMAL, {"rate": 0}).startswith("command line: $.rate: 0: expected a rate from 1/h")
    assert message_of(tmp_path, MINIMAL, {"rat": 0}) == "command line: $.rat: no such field, did you mean 'rate'?"
    assert message_of(tmp_path, MINIMAL, None, LIVENESS_RATE="x").startswith("environment LIVENESS_RATE: $.rate: 'x'")
    with pytest.warns(ConfigWarning, match="LIVENESS_RETRANSMIT__QUEU: .* did you mean LIVENESS_RETRANSMIT__QUEUE"):
        assert load(tmp_path, MINIMAL, None, LIVENESS_RETRANSMIT__QUEU="1").retransmit == Retransmit()
    with pytest.warns(ConfigWarning, match="LIVENESS_RETRANSMIT: names no field"):
        load(tmp_path, MINIMAL, None, LIVENESS_RETRANSMIT="1")
    assert message_of(tmp_path, MINIMAL, None, LIVENESS_PROBES="icmp,telnet").startswith(
        "environment LIVENESS_PROBES: $.probes[1]: 'telnet': no such probe"
    )
    assert message_of(tmp_path, MINIMAL, {"targets.block": ["none"]}).startswith(
        "command line: $.targets.block[0]: 'none'"
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.mkdir(), "cannot read the config: is a directory"),
        (lambda path: path.write_bytes(b"name: \xff\n"), "not a text file: byte 6 is no UTF-8"),
        (lambda path: path.write_bytes(b"name: \0\n"), "not a text file: special characters are not allowed"),
        (Path.is_file, "cannot read the config: no such file or directory"),  # does nothing: there is none
    ],
)
def test_an_unreadable_config_is_one_clear_error(tmp_path: Path, make: object, message: str) -> None:
    path = tmp_path / "c.yaml"
    assert callable(make)
    make(path)
    with pytest.raises(UsageError) as caught:
        load_config(path, None, {})
    assert str(caught.value) == f"{path}: {message}"


def test_file_names_start_at_the_config_and_on_the_command_line_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "block.txt").write_text("1.0.0.0/31\n")
    (tmp_path / "more.txt").write_text("1.0.0.2\n")
    (tmp_path / "configs" / "x.yaml").write_text(
        "name: x\ncontact: c\ntargets: {allow: [1.0.0.0/29], block: [block.txt]}\n"
    )
    monkeypatch.chdir(tmp_path)
    config = load_config("configs/x.yaml", {"targets.block": ["more.txt"]}, {"LIVENESS_TARGETS__BLOCK": "1.0.0.3"})
    # a blocklist is added to, never replaced
    assert config.targets.block == (str(tmp_path / "configs/block.txt"), "1.0.0.3", str(tmp_path / "more.txt"))
    assert resolve_targets(config, lab=False).intervals.prefixes() == ["1.0.0.4/30"]
    monkeypatch.chdir("/")
    assert resolve_targets(config, lab=False).count == 4


def test_a_broken_blocklist_stops(tmp_path: Path) -> None:
    (tmp_path / "block.txt").write_text("1.0.0.0/31\n10.0.0.0/33\n")
    config = load(tmp_path, "name: x\ntargets: {allow: [1.0.0.0/29], block: [block.txt]}\n")
    with pytest.raises(UsageError) as caught:
        resolve_targets(config, lab=False)
    assert str(caught.value) == f"{tmp_path}/block.txt:2: '10.0.0.0/33' is not a prefix, range or address"


def test_a_blocklist_that_is_a_directory_stops(tmp_path: Path) -> None:
    (tmp_path / "block").mkdir()
    config = load(tmp_path, "name: x\ntargets: {allow: [1.0.0.0/29], block: [block]}\n")
    with pytest.raises(UsageError, match="block: a directory, not an address list"):
        resolve_targets(config, lab=False)


def test_a_blocklist_that_may_not_be_read_stops(tmp_path: Path) -> None:
    path = tmp_path / "block.txt"
    path.write_text("1.0.0.0/31\n")
    config = load(tmp_path, "name: x\ntargets: {allow: [1.0.0.0/29], block: [block.txt]}\n")
    path.unlink()
    path.symlink_to("/proc/self/mem")  # readable to nobody at its start, root included
    assert os.path.lexists(path)
    with pytest.raises(UsageError, match=r"block\.txt: cannot read this address list: "):
        resolve_targets(config, lab=False)


def test_no_target_left_names_the_config_and_what_removed_them(tmp_path: Path) -> None:
    config = load(tmp_path, "name: x\ntargets: {allow: [10.0.0.0/24]}\n")
    with pytest.raises(UsageError) as caught:
        resolve_targets(config, lab=False, origin="configs/x.yaml")
    assert str(caught.value).startswith('configs/x.yaml: $.targets.allow: ["10.0.0.0/24"]: no target is left: all 256')
    assert resolve_targets(config, lab=True).count == 256


def test_public_targets_need_a_contact(tmp_path: Path) -> None:
    config = load(tmp_path, MINIMAL + "contact: ' '\n")
    with pytest.raises(RefusedError) as caught:
        resolve_targets(config, lab=False)
    assert str(caught.value).startswith("config 'x': $.contact: ' ': 256 targets, public addresses among them")
    assert caught.value.exit_code == 4
    assert resolve_targets(load(tmp_path, MINIMAL + "contact: me\n"), lab=False).count == 256


def test_the_papers_census(tmp_path: Path) -> None:
    config = load_config(CONFIGS / "sept5.yaml", None, {})
    targets = resolve_targets(config, lab=False)
    assert targets.count == (1 << 32) - 592_708_864
    assert (config.rate.pps, config.seed, config.retransmit) == (100_000, 73, Retransmit(attempts=2, queue=1_000_000))
    assert config.targets.block == (str(CONFIGS / "blocklist.txt"),)
    forecast = estimate(config, targets, 9 * 84 * 8)
    assert (forecast.blocks, forecast.probes, forecast.rate_pps) == (7, 9, 900_000)
    assert (forecast.probe_rate_pps, forecast.bandwidth_bps) == (100_000, 604_800_000)
    assert forecast.packets == targets.count * 18
    assert forecast.duration_s == pytest.approx(targets.count * 2 / 100_000 + 7 * (10 + 8 * 0.15))
    assert 20 < forecast.duration_s / 3600 < 24  # the paper: under 24 hours
    assert not list(tmp_path.iterdir())


def test_the_lab_census_has_private_targets_only() -> None:
    config = load_config(CONFIGS / "lab.yaml", None, {})
    assert not resolve_targets(config, lab=True).public
    with pytest.raises(UsageError, match="probed inside a lab only"):
        resolve_targets(config, lab=False)


def test_the_first_scan_probes_nobody_until_it_is_filled_in() -> None:
    path = CONFIGS / "small.yaml"
    with pytest.raises(UsageError, match="Documentation"):
        resolve_targets(load_config(path, None, {}), lab=False)
    with pytest.raises(RefusedError, match="contact"):
        resolve_targets(load_config(path, {"targets.allow": ["1.0.0.0/24"]}, {}), lab=False)
    filled = load_config(path, {"targets.allow": ["1.0.0.0/24"], "contact": "me@example.org"}, {})
    assert estimate(filled, resolve_targets(filled, lab=False), 9 * 84 * 8).rate_pps == 900


def test_the_forecast_of_slots_ends_with_the_last_block(tmp_path: Path) -> None:
    text = "name: x\ncontact: c\ntargets: {allow: [1.0.0.0/8, 100.0.0.0/10]}\nlimits: {max_targets: 5}\ncooldown: 1s\n"
    config = load(tmp_path, text + "rate: 10pps\nprobes: [icmp]\ncontrol: false\nslot: 1m\n")
    forecast = estimate(config, resolve_targets(config, lab=False), 6_048)
    assert (forecast.duration_s, forecast.longest_block_s) == (60 + 0.2 + 1.0, 1.8)


def test_the_forecast_respects_the_limit(tmp_path: Path) -> None:
    text = "name: x\ncontact: c\ntargets: {allow: [1.0.0.0/8, 100.0.0.0/10]}\nlimits: {max_targets: 5}\ncooldown: 1s\n"
    config = load(tmp_path, text + "rate: 10pps\nprobes: [icmp]\ncontrol: false\n")
    forecast = estimate(config, resolve_targets(config, lab=False), 6_048)
    assert forecast == Estimate(
        targets=5,
        blocks=2,
        probes=1,
        packets=10,
        bits=60_480,
        rate_pps=10,
        probe_rate_pps=10,
        bandwidth_bps=60_480,
        duration_s=1 + 2 * 1.0,
        peak_pps_per_24=5.0,
        longest_block_s=0.8 + 1.0,
        schedule=forecast.schedule,
        talks=None,
    )


def test_configs_are_immutable(tmp_path: Path) -> None:
    config = load(tmp_path, MINIMAL)
    with pytest.raises(AttributeError):
        config.name = "y"  # type: ignore[misc]
    assert msgspec.structs.replace(config, name="y").name == "y"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("TCP/80", "tcp/80"),
        ("tcp80", "tcp/80"),
        ("tcp/http", "tcp/80"),
        ("https", "tcp/443"),
        ("80", "tcp/80"),
        ("TCP/80-90", "tcp/80-90"),
        ("udp/53", "dns"),
        ("UDP/123", "ntp"),
        ("DNS", "dns"),
        ("ping", "icmp"),
        ("icmp/8", "icmp"),
    ],
)
def test_a_probe_that_is_nearly_right_is_named(tmp_path: Path, written: str, meant: str) -> None:
    message = message_of(tmp_path, MINIMAL + f"probes: ['{written}']\n")
    assert message.startswith(
        f"x.yaml:3: $.probes[0]: '{written}': no such probe: expected icmp, dns, ntp, udp/1900, snmp, tcp/<port>"
    )
    assert message.endswith(f", did you mean '{meant}'?")


@pytest.mark.parametrize("written", ["udp/4000", "sctp/80", "tcp/99999", "tcp/gopher", ""])
def test_a_probe_that_is_far_from_any_gets_no_hint(tmp_path: Path, written: str) -> None:
    assert "did you mean" not in message_of(tmp_path, MINIMAL + f"probes: ['{written}']\n")


def test_a_range_of_ports_is_a_probe_each(tmp_path: Path) -> None:
    config = load(tmp_path, MINIMAL + "probes: [icmp, tcp/80-83, tcp/443]\n")
    assert config.probes == ("icmp", "tcp/80", "tcp/81", "tcp/82", "tcp/83", "tcp/443")
    assert load(tmp_path, MINIMAL, {"probes": ("tcp/1-15",)}).probes == tuple(f"tcp/{port}" for port in range(1, 16))


def test_source_ranges_and_prefixes_are_their_addresses(tmp_path: Path) -> None:
    config = load(tmp_path, MINIMAL + "network: {source_addresses: [10.0.0.4-10.0.0.6, 10.0.1.0/31, 10.0.0.9]}\n")
    assert [format_address(address) for address in config.network.sources] == [
        "10.0.0.4",
        "10.0.0.5",
        "10.0.0.6",
        "10.0.1.0",
        "10.0.1.1",
        "10.0.0.9",
    ]
    assert load(tmp_path, MINIMAL).network.sources == ()


def test_a_share_of_the_targets(tmp_path: Path) -> None:
    lists = "targets: {allow: [1.0.0.0/16, 100.0.0.0/16]}\nlimits: {max_targets: 1%}\n"
    config = load(tmp_path, "name: x\ncontact: c\n" + lists)
    targets = resolve_targets(config, lab=True)
    assert targets.count == 1 << 17
    assert config.quotas(targets).tolist() == [655, 655]
    assert estimate(config, targets, 1000).targets == 1310
    assert to_document(config)["limits"]["max_targets"] == "1%"  # type: ignore[index]


@pytest.mark.parametrize(("rate", "per_second"), [("0.2pps", 0.2), ("12/min", 0.2), ("1/h", 1 / 3600)])
def test_the_forecast_of_a_slow_census(tmp_path: Path, rate: str, per_second: float) -> None:
    text = f"name: x\ncontact: c\ntargets: {{allow: [1.0.0.0/30]}}\nrate: {rate}\ncooldown: 10s\ncontrol: false\n"
    config = load(tmp_path, text + "probes: [icmp, tcp/80]\n")
    forecast = estimate(config, resolve_targets(config, lab=True), 1000)
    assert forecast.rate_pps == pytest.approx(2 * per_second, abs=0.001)
    assert forecast.probe_rate_pps == per_second
    assert forecast.duration_s == pytest.approx(8 / per_second + 1 / per_second + 10)


@pytest.mark.parametrize("style", ["roaring", "silk", "csv", "jsonl", "ipset", "nft", "text"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress], ids=["", "gz", "bz2", "xz"])
def test_targets_are_what_sets_reads(tmp_path: Path, style: str, pack: Callable[[bytes], bytes]) -> None:
    wanted = BitMap([*range(0x01000000, 0x01000100), 0x01020304])
    (tmp_path / "web.set").write_bytes(pack(written(wanted, style)))
    (tmp_path / "block.txt.gz").write_bytes(gzip.compress(b"1.2.3.4 ; a comment\n"))
    config = load(tmp_path, "name: x\ncontact: me\ntargets: {allow: [web.set, 1.0.1.0/31], block: [block.txt.gz]}\n")
    targets = resolve_targets(config, lab=False)
    assert targets.intervals.prefixes() == ["1.0.0.0/24", "1.0.1.0/31"]


def test_lines_of_ipv6_are_refused_by_name_or_skipped_and_counted(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("2001:db8::/32 # doc\n1.0.0.0/30\n2001:db8::1-2001:db8::2\n")
    document = "name: x\ncontact: me\ntargets: {allow: [list.txt]"
    with pytest.raises(UsageError, match=r"list\.txt:1: '2001:db8::/32' is IPv6: .*--skip-ipv6"):
        resolve_targets(load(tmp_path, document + "}\n"), lab=False)
    targets = resolve_targets(load(tmp_path, document + ", ipv6: skip}\n"), lab=False)
    assert (targets.count, targets.ipv6_lines) == (4, 2)
    with pytest.raises(UsageError, match=r"allow\[0\]: '2001:db8::/32' is IPv6"):
        load(tmp_path, "name: x\ntargets: {allow: ['2001:db8::/32']}\n")
