"""What masscan and nmap write, made here and now in a private network without a way out, against what listens there."""

import subprocess
import sys
from pathlib import Path

import pytest
from pyroaring import BitMap
from pyroute2 import IPRoute

from liveness.errors import UsageError
from liveness.ipsets.files import Reader
from liveness.ipsets.formats.codec import PLAIN, Choice
from liveness.space.addresses import parse_address
from liveness.system.child import run_in_child
from liveness.system.namespace import Namespace, enter_private_network
from tests.net.support import cable

OPEN = (2, 7, 200)
"""Hosts of 10.9.0.0/24 that listen on TCP port 80."""
REFUSING = (9, 77)
"""Hosts there whose port is closed."""
ABSENT = 100
"""An address there that nobody has."""
TARGETS = [f"10.9.0.{host}" for host in (*OPEN, *REFUSING, ABSENT)]
WAIT_S = 60


MASSCAN = {
    "-oL": "masscan.list",
    "-oJ": "masscan.json",
    "-oD": "masscan.ndjson",
    "-oX": "masscan.xml",
    "-oG": "masscan.gnmap",
}
NMAP = ("nmap.xml", "nmap.gnmap")
ALIVE = ("up.xml", "up.gnmap")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    run_in_child(lambda: scan(folder))
    return folder


def hosts(*last: int) -> BitMap:
    return BitMap([parse_address(f"10.9.0.{host}") for host in last])


def read(path: Path, choice: Choice = PLAIN) -> tuple[str, BitMap]:
    found = Reader(choice=choice).read(str(path))
    return found.format, found.addresses


@pytest.mark.lab
@pytest.mark.slow
@pytest.mark.parametrize("name", [*MASSCAN.values(), "masscan.stdout", *NMAP])
def test_open_and_closed_ports_are_those_of_the_hosts(results: Path, name: str) -> None:
    closed = Choice(ports=frozenset({"tcp/80"}), states=frozenset({"closed"}))
    assert read(results / name) == (name.partition(".")[0], hosts(*OPEN))
    assert read(results / name, closed)[1] == hosts(*REFUSING)
    assert read(results / name, Choice(ports=frozenset({"tcp/81"})))[1] == hosts()


@pytest.mark.lab
@pytest.mark.slow
@pytest.mark.parametrize("name", ALIVE)
def test_hosts_that_nmap_finds_alive(results: Path, name: str) -> None:
    assert read(results / name) == ("nmap", hosts(*OPEN, *REFUSING))


@pytest.mark.lab
@pytest.mark.slow
@pytest.mark.parametrize("name", ["nmap.nmap", "nmap.stdout"])
def test_what_nmap_writes_for_people_is_refused_with_the_remedy(results: Path, name: str) -> None:
    with pytest.raises(UsageError, match=rf"{name}:\d+: .*for people: have it write -oX FILE or -oG FILE"):
        read(results / name)


def scan(folder: Path) -> None:
    """Scan the far side of a cable with both programs, in every layout that they have. Nothing has a way out."""
    enter_private_network()
    with cable() as peer:
        peer.run(add_hosts)
        listeners = start_listeners(peer)
        try:
            nmap = ["nmap", "-n", "-e", "v0"]
            ports = [*nmap, "-sS", "-Pn", "-p", "80", "--max-retries", "1"]
            run([*ports, "-oN", "nmap.nmap", "-oG", "nmap.gnmap", "-oX", "nmap.xml", *TARGETS], folder, "nmap.stdout")
            run([*nmap, "-sn", "-oG", "up.gnmap", "-oX", "up.xml", *TARGETS], folder)
            masscan = ["masscan", ",".join(TARGETS), "-p80", "--rate", "1000", "--wait", "1", "-e", "v0"]
            masscan += ["--source-port", "61000", "--router-mac", "02-00-00-00-00-02", "--show", "closed"]
            begun = [
                subprocess.Popen([*masscan, *words], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                for words in MASSCAN.items()
            ]
            run(masscan, folder, "masscan.stdout")
            assert [process.wait(WAIT_S) for process in begun] == [0] * len(begun)
        finally:
            listeners.kill()
            listeners.communicate()


def add_hosts() -> None:
    """Give the far end of the cable the addresses of all hosts but the first, which it has."""
    with IPRoute() as there:
        index = there.link_lookup(ifname="v1")[0]
        for host in (*OPEN[1:], *REFUSING):
            there.addr("add", index=index, address=f"10.9.0.{host}", prefixlen=24)


def start_listeners(peer: Namespace) -> "subprocess.Popen[bytes]":
    """Start a process on the far side that listens on port 80 of the open hosts."""
    code = (
        "import socket, time\n"
        f"listeners = [socket.create_server((f'10.9.0.{{host}}', 80)) for host in {OPEN}]\n"
        "print('ready', flush=True)\ntime.sleep(600)"
    )
    network = f"--net=/proc/{peer.pid}/ns/net"
    process = subprocess.Popen(["nsenter", network, sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def run(words: list[str], folder: Path, output: str = "stdout") -> None:
    with (folder / output).open("wb") as out:
        assert subprocess.run(words, cwd=folder, stdout=out, timeout=WAIT_S, check=False).returncode == 0, words
