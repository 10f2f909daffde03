"""Lab files: what is accepted, and that every mistake is told with file, path and value."""

from pathlib import Path

import pytest

from liveness.errors import UsageError
from liveness.lab.hosts.document import Action, Host, Service
from liveness.lab.load import load_internet, packaged, parse_internet
from liveness.lab.tools import find_tools

HOST = "{name: a, kind: host, prefixes: [10.1.0.0/24]"


def lab(*networks: str) -> str:
    return "name: test\nnetworks:\n" + "".join(f"  - {network}\n" for network in networks)


def test_the_default_lab_loads_and_has_every_kind() -> None:
    internet = load_internet()
    assert {network.kind for network in internet.networks} == {
        "host", "silent", "unreachable", "prohibit", "throw", "no-host", "loop",
    }  # fmt: skip
    assert 2000 <= sum(network.addresses for network in internet.networks) <= 3000
    assert packaged() == ["default", "services"]


def test_a_host_has_the_defaults_of_an_idle_machine() -> None:
    (host,) = parse_internet(lab(HOST + "}"), "x").networks
    assert isinstance(host, Host)
    assert (host.echo, host.open_ports, host.dns, host.ntp) == (True, [], Service.CLOSED, Service.CLOSED)
    assert not host.needs_nft


def test_a_dns_server_has_tcp_53_open_and_a_tarpit_its_listener() -> None:
    (host,) = parse_internet(
        lab(HOST + ", dns: answer, listen: [80], rules: [{match: tcp, do: redirect}]}"), "x"
    ).networks
    assert isinstance(host, Host)
    assert host.open_ports == [53, 80, 65535]
    assert host.rules[0].do is Action.REDIRECT


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: test\nnetworks: [", "lab.yaml:2:12: wrong YAML"),
        ("name: test", "lab.yaml: $.networks: missing"),
        ("name: test\nnetworks: []", "lab.yaml:2: $.networks: []: "),
        (lab("{name: a, kind: hots, prefixes: [10.1.0.0/24]}"), "$.networks[0].kind: 'hots'"),
        (lab(HOST + ", lisen: [80]}"), "lisen"),
        (lab(HOST + ", listen: [0]}"), "$.networks[0].listen[0]: 0: expected a whole number, at least 1"),
        (lab(HOST + ", dns: maybe}"), "$.networks[0].dns: 'maybe'"),
        (lab("{name: a, kind: silent, prefixes: [10.1.0.0/33]}"), "prefixes[0]: '10.1.0.0/33': not an IPv4 prefix"),
        (lab("{name: a, kind: silent, prefixes: [10.1.0.1/24]}"), "prefix: host bits are set: 10.1.0.0/24?"),
        (lab("{name: a, kind: silent, prefixes: [10.255.3.0/24]}"), "the lab's own wiring"),
        (lab("{name: a, kind: silent, prefixes: [127.0.0.0/24]}"), "no host can have addresses of 127.0.0.0/8"),
        (lab("{name: a, kind: silent, prefixes: [224.0.0.0/24]}"), "no host can have addresses of 224.0.0.0/3"),
        (lab("{name: a, kind: throw, prefixes: [10.1.0.0/31]}"), "a throw prefix has length 32 or longer: the kernel"),
        (lab("{name: a, kind: no-host, prefixes: [10.1.0.0/28]}"), "a no-host prefix has length 29 or longer"),
        (lab("{name: a, kind: loop, prefixes: [10.1.0.0/23]}"), "a loop prefix has length 24 or longer"),
        (lab("{name: A b, kind: silent, prefixes: [10.1.0.0/24]}"), "$.networks[0].name: 'A b'"),
        (lab(HOST + "}", HOST.replace("10.1", "10.2") + "}"), "$.networks[1].name: 'a': another network"),
        (lab(HOST + "}", "{name: b, kind: silent, prefixes: [10.0.0.0/9]}"), "of 'a' overlaps 10.0.0.0/9 of 'b'"),
        (lab("{name: a, kind: silent, prefixes: [10.1.0.0/24, 10.1.0.8/32]}"), "overlaps"),
        (lab(HOST + ", rules: [{match: tcp/0, do: drop}]}"), "$.networks[0].rules[0].match: 'tcp/0'"),
        (lab(HOST + ", rules: [{match: tcp/65536, do: drop}]}"), "rules[0].match: 'tcp/65536'"),
        (lab(HOST + ", rules: [{match: icmp/8, do: drop}]}"), "rules[0].match: 'icmp/8'"),
        (lab(HOST + ", rules: [{match: any, do: explode}]}"), "$.networks[0].rules[0].do: 'explode'"),
        (lab(HOST + ", rules: [{match: udp, do: tcp-reset}]}"), "rules[0].do: 'tcp-reset': only TCP"),
        (lab(HOST + ", firewall: [{match: tcp, do: redirect}]}"), "firewall[0].do: 'redirect': a host redirects"),
        (lab(HOST + ", rules: [{to: 10.2.0.0/25, match: any, do: drop}]}"), "rules[0].to: '10.2.0.0/25': outside"),
        (lab(HOST + ", rules: [{to: all, match: any, do: drop}]}"), "rules[0].to: 'all': not an IPv4 prefix"),
        (lab(HOST + ", daemons: [dnsmasq]}"), "$.networks[0].daemons: 'dnsmasq': it serves DNS"),
        (lab(HOST + ", daemons: [chronyd]}"), "'chronyd': it serves NTP"),
        (lab(HOST + ", daemons: [sshd]}"), "'sshd': it serves port 22"),
        (lab(HOST + ", listen: [22], daemons: [nginx]}"), "'nginx': it serves the ports of listen"),
        (lab(HOST + ", dns: answer, daemons: [dnsmasq, unbound]}"), "two want the same port"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_with_file_path_and_value(text: str, expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_internet(text, "lab.yaml")
    message = str(caught.value)
    assert expected in message
    assert message.startswith("lab.yaml")
    assert "\n" not in message


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"nowhere\.yaml: cannot read this lab file: no such file.*packaged ones: default"
    ):
        load_internet("nowhere.yaml")
    junk = tmp_path / "junk.yaml"
    junk.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not a text file: byte 0 is no UTF-8"):
        load_internet(str(junk))


def test_without_nft_its_networks_are_left_out_and_named() -> None:
    internet, tools = load_internet(), find_tools(plain=True)
    left = tools.fit(internet)
    gone = {network.name for network in internet.networks} - {network.name for network in left.networks}
    assert gone == {"border", "refusers", "campus", "filtered", "tarpit"}
    assert tools.notes(internet) == [
        "nft is not in use: left out, and silent: border, refusers, campus, filtered, tarpit"
    ]
    assert "resolvers: dnsmasq is not in use, Python serves instead" in tools.choices(internet)
