"""Scripts of nftables and ipset: what the kernel holds after them is what we read, command by command."""

import subprocess
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from liveness.errors import UsageError
from liveness.ipsets.formats.codec import Choice
from liveness.system.child import run_in_child
from liveness.system.namespace import enter_private_network
from tests.ipsets.support import read

ADDRESSES = st.integers(0, 15).map(lambda host: f"10.0.0.{host}")
NETS = st.integers(28, 32).flatmap(
    lambda length: st.integers(0, 2 ** (length - 28) - 1).map(lambda at: f"10.0.0.{at << (32 - length)}/{length}")
)
SPANS = st.tuples(st.integers(0, 15), st.integers(1, 4)).map(lambda pair: f"10.0.0.{pair[0]}-10.0.0.{sum(pair)}")
NFT_SETS = ("ip t a", "t a", "inet t i", "inet u m")
NFT_START = (
    "table ip t { set a { type ipv4_addr; elements = { 10.0.0.1, 10.0.0.2 }; }\n"
    "  map v { type ipv4_addr : verdict; elements = { 10.0.0.9 : drop }\n}\n}\n"
    "add table inet t\nadd set inet t i { type ipv4_addr; flags interval; }\n"
    "table inet u { set m { type ipv4_addr; flags interval; auto-merge; elements = { 10.0.0.0/29 }; }; }\n"
    "define x = { 10.0.0.4, 10.0.0.5 }\n"
)
NFT_NAMES = {"a": "ip t a", "i": "inet t i", "m": "inet u m"}


def elements(name: str) -> st.SearchStrategy[str]:
    element = ADDRESSES if name.endswith("a") else ADDRESSES | NETS | SPANS
    return st.lists(element, min_size=1, max_size=3, unique=True).map(", ".join) | st.just("$x")


NFT_COMMANDS = st.sampled_from(NFT_SETS).flatmap(
    lambda name: st.one_of(
        st.tuples(st.sampled_from(["add", "add", "create", "delete", "delete"]), elements(name)).map(
            lambda pair: f"{pair[0]} element {name} {{ {pair[1]} }}"
        ),
        st.just(f"flush set {name}"),
        elements(name).map(lambda text: f"element {name} {{ {text} }}; # a comment"),
    )
) | st.sampled_from(
    [
        "delete set t a\nadd set ip t a { type ipv4_addr; }",
        "delete set inet t i",
        "add set inet t i { type ipv4_addr; flags interval; elements = { 10.0.0.8/30 }; }",
        "flush table ip t",
        "delete table inet u\ntable inet u { set m { type ipv4_addr; flags interval; auto-merge; }; }",
        "add element ip t v { 10.0.0.3 : drop }",
        "add chain ip t c; add rule ip t c ip saddr { 10.0.0.7, 10.0.0.8 } \\\n  accept",
    ]
)

IPSET_START = "create a hash:ip\ncreate n hash:net\ncreate b hash:net\ncreate w hash:ip netmask 30\n"
IPSET_COMMANDS = st.one_of(
    st.tuples(
        st.sampled_from(["add", "del"]), st.sampled_from("aw"), ADDRESSES | SPANS, st.sampled_from(["", " -exist"])
    ),
    st.tuples(st.sampled_from(["add", "del"]), st.sampled_from("nb"), NETS | SPANS, st.sampled_from(["", " -exist"])),
).map(lambda parts: f"{parts[0]} {parts[1]} {parts[2]}{parts[3]}") | st.sampled_from(
    ["flush a", "flush", "swap n b", "destroy a\ncreate a hash:ip", "create a hash:ip -exist", "rename b c\nrename c b"]
)


def ours(text: str, style: str, name: str) -> BitMap | str:
    try:
        return read(text.encode(), style, Choice(set_name=name))
    except UsageError as error:
        return str(error)


def judged(style: str, names: list[str], commands: list[str], run: Callable[[str], dict[str, str] | None]) -> None:
    """Assert that we read what the program holds after a script; what it refuses we may read or refuse."""
    script = "\n".join(commands) + "\n"
    held = run(script)
    if held is None:
        return
    for name in names:
        expected = ours(held[name], style, name)
        got = ours(script, style, name)
        if isinstance(expected, str):
            assert isinstance(got, str), (script, held[name], got)
        else:
            assert got == expected, (script, held[name])


def nft(script: str) -> dict[str, str] | None:
    subprocess.run(["nft", "flush", "ruleset"], check=True, capture_output=True)
    loaded = subprocess.run(["nft", "-f", "-"], input=script, text=True, check=False, capture_output=True)
    if loaded.returncode:
        return None

    def listed(name: str) -> str:
        found = subprocess.run(["nft", "list", "set", *name.split()], check=False, capture_output=True, text=True)
        return found.stdout or "table ip none { }"

    return {short: listed(name) for short, name in NFT_NAMES.items()}


def ipset(script: str) -> dict[str, str] | None:
    subprocess.run(["ipset", "destroy"], check=True, capture_output=True)
    loaded = subprocess.run(["ipset", "restore"], input=script, text=True, check=False, capture_output=True)
    if loaded.returncode:
        return None
    return {
        name: subprocess.run(["ipset", "save", name], check=True, capture_output=True, text=True).stdout
        for name in "anbw"
    }


@pytest.mark.lab
@pytest.mark.parametrize(
    ("style", "start", "commands", "run", "names"),
    [
        ("nft", NFT_START, NFT_COMMANDS, nft, list(NFT_NAMES)),
        ("ipset", IPSET_START, IPSET_COMMANDS, ipset, list("anbw")),
    ],
    ids=["nft", "ipset"],
)
def test_scripts_leave_what_the_kernel_holds_after_them(
    style: str,
    start: str,
    commands: st.SearchStrategy[str],
    run: Callable[[str], dict[str, str] | None],
    names: list[str],
) -> None:
    accepted = 0

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
    @given(st.lists(commands, max_size=6))
    def judge(script: list[str]) -> None:
        nonlocal accepted

        def counted(text: str) -> dict[str, str] | None:
            nonlocal accepted
            held = run(text)
            accepted += held is not None
            return held

        judged(style, names, [start, *script], counted)

    def inside() -> int:
        enter_private_network()
        judge()
        return accepted

    assert run_in_child(inside) > 20  # the program itself took enough of them


@pytest.mark.parametrize(
    ("style", "script", "message"),
    [
        ("nft", 'table ip t { set a { type ipv4_addr; } }\ninclude "more.nft"\n', r"file:2: include"),
        (
            "nft",
            "add element t a { 10.0.0.1 }\n\ndelete element t a { 10.0.0.2 }\n",
            r"file:3: delete element: one is not",
        ),
        ("nft", "add element t a { 10.0.0.1 }\ndelete set t handle 5\n", r"file:2: what a handle stands for"),
        ("nft", "add element t a { $none }\n", r"file:1: \$none: nothing of that name"),
        ("ipset", "add a 10.0.0.1\ndel a 10.0.0.2\n", r"file:2: del a 10.0.0.2: not in the set"),
        ("ipset", "add a 10.0.0.1\nswap a b\n", r"file:2: swap a b: no such set"),
        ("ipset", "create a hash:ip\ncreate a hash:ip\n", r"file:2: create a: there is such a set already"),
    ],
)
def test_what_cannot_be_executed_is_refused_by_name(style: str, script: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read(script.encode(), style)


def test_what_destroy_says_is_done_by_name_or_not_at_all() -> None:
    """The nft of older distributions has no destroy; it differs from delete where there is nothing to remove."""
    script = b"add element t a { 10.0.0.1, 10.0.0.2 }\ndestroy element t a { 10.0.0.2, 10.0.0.3 }\ndestroy set t b\n"
    assert read(script, "nft") == BitMap([0x0A000001])
    refreshed = b"flush set inet f s\nadd element inet f s { 10.0.0.1 }\n"
    assert read(refreshed, "nft") == BitMap([0x0A000001])
    assert read(b"destroy a\nflush b\ncreate a hash:ip\nadd a 10.0.0.1\n", "ipset") == BitMap([0x0A000001])
