"""``liveness flows`` as a user runs it: documents, lines, exit codes, and a collector that is killed."""

import json
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from scapy.utils import wrpcap

from liveness.cli.flows import command as flows_command
from liveness.cli.lab_traffic import traffic as traffic_command
from liveness.system.child import run_in_child
from liveness.system.namespace import enter_private_network
from tests.cli.support import liveness
from tests.flows.test_exports import ADDRESSES, ipfix, record_of, set_of, template_of
from tests.flows.traffic import Traffic, make_traffic


@pytest.fixture(scope="module")
def traffic(tmp_path_factory: pytest.TempPathFactory) -> Traffic:
    return make_traffic(tmp_path_factory.mktemp("traffic") / "traffic.pcap", 200)


def test_info_cat_convert_and_meter_agree(traffic: Traffic, tmp_path: Path) -> None:
    info = json.loads(liveness("flows", "info", "--json", traffic.path).out)
    assert (info["format"], info["packets"], info["bytes"]) == ("capture", 200, traffic.bytes)
    assert info["start"] == "2023-11-14T22:13:20." + f"{round(float(traffic.packets[0].time) % 1 * 1e6):06d}000Z"
    assert info["undecoded"] == {}
    lines = liveness("flows", "cat", traffic.path).out.splitlines()
    assert lines[0] == "start,end,src,dst,sport,dport,protocol,packets,bytes,flags,exporter"
    assert len(lines) == 1 + info["records"]
    objects = [json.loads(line) for line in liveness("flows", "cat", "--json", traffic.path).out.splitlines()]
    assert [",".join(map(str, each.values())) for each in objects] == lines[1:]
    done = liveness("flows", "convert", traffic.path, "-o", tmp_path / "flows.parquet")
    assert (done.code, done.out) == (0, "")
    assert f"{info['records']:,} flows written" in done.err
    printed = liveness("flows", "cat", tmp_path / "flows.parquet").out
    assert printed.splitlines() == lines
    assert liveness("flows", "cat", "--from", "csv", tmp_path / "flows.parquet").code == 2
    assert liveness("flows", "meter", traffic.path, "-o", tmp_path / "m.csv").code == 0
    assert (tmp_path / "m.csv").read_text().splitlines() == lines
    assert len(liveness("flows", "cat", "-n", "3", traffic.path).out.splitlines()) == 4


def test_mistakes_are_one_line(traffic: Traffic, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    for arguments, code, says in (
        (["info", tmp_path / "nope"], 2, "nope: cannot read these flows: No such file"),
        (["cat", tmp_path / "nope"], 2, "nope: cannot read these flows: No such file"),
        (["info", tmp_path / "text"], 2, "text: no flow file that can be read: it begins with 68656c6c"),
        (["info", "--from", "nfdump", traffic.path], 2, "--from nfdump: no such format: name one of nfcapd"),
        (["info", "--from", "nfcapd", traffic.path], 2, "not an nfcapd file"),
        (["convert", traffic.path, "-o", tmp_path / "x.xlsx"], 2, "written as .csv or .parquet"),
        (["convert", traffic.path, "-o", traffic.path], 2, "this is one of the inputs"),
        (["cat", "--column", "src", traffic.path], 2, "not of the form OURS=THEIRS"),
        (["cat", "-"], 2, "standard input: name its format with --from"),
    ):
        run = liveness("flows", *arguments)
        assert (run.code, run.out, run.err.count("\n")) == (code, "", 1), run
        assert says in run.err


def test_a_cut_file_is_used_as_far_as_it_goes(traffic: Traffic, tmp_path: Path) -> None:
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(traffic.path.read_bytes()[:-1])
    run = liveness("flows", "info", "--json", cut)
    assert run.code == 5
    assert json.loads(run.out)["packets"] == 199
    assert run.err.startswith(f"liveness: error: {cut}: cut: its last ")
    assert run.err.count("\n") == 1


def test_exports_inside_a_capture(tmp_path: Path) -> None:
    fields = [*ADDRESSES, (2, 4, 7), (1, 4, 280)]
    message = ipfix(set_of(2, template_of(fields)), set_of(256, record_of(fields) * 2))
    for port, options in ((4739, []), (6343, ["--export-port", "6343"])):
        path = tmp_path / f"{port}.pcap"
        wrpcap(str(path), [Ether() / IP(src="192.0.2.9", dst="192.0.2.1") / UDP(dport=port) / Raw(message)])
        info = json.loads(liveness("flows", "info", "--json", *options, path).out)
        assert (info["records"], info["packets"], info["exporters"]) == (2, 14, ["192.0.2.9"])
    metered = json.loads(liveness("flows", "info", "--json", path).out)
    assert (metered["records"], metered["packets"]) == (1, 1)


def collected(folder: Path) -> int:
    """Return how many flows the files of a collector hold."""
    files = [path for path in sorted(folder.iterdir()) if path.suffix in (".parquet", ".spool")]
    documents = [json.loads(liveness("flows", "info", "--json", path).out) for path in files]
    return sum(document["records"] for document in documents)


def datagrams(count: int, records: int) -> list[bytes]:
    """Return IPFIX messages, the first with the template."""
    fields = [*ADDRESSES, (2, 4, 1), (1, 4, 40)]
    messages = [ipfix(set_of(2, template_of(fields)))]
    body = set_of(256, record_of(fields) * records)
    return messages + [ipfix(body, sequence=number * records) for number in range(count)]


def test_a_collector_loses_nothing_when_it_is_stopped_or_killed(tmp_path: Path) -> None:
    def inside() -> list[str]:
        enter_private_network()
        said = []
        for ending, sent in ((signal.SIGKILL, datagrams(300, 30)), (signal.SIGTERM, datagrams(200, 30)[1:])):
            # the second has no template of its own: it knows the first one's only if that was kept
            process = subprocess.Popen(
                [sys.executable, "-m", "liveness", "flows", "collect", "--port", "4739",
                 "-o", str(tmp_path), "--interval", "2"],
                stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            assert process.stderr is not None
            assert "listening" in process.stderr.readline()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                for place, datagram in enumerate(sent):
                    sender.sendto(datagram, ("127.0.0.1", 4739))
                    if place % 50 == 0:
                        time.sleep(0.05)
            wait_until((tmp_path / "templates.json").exists, 60)
            time.sleep(1.5)  # what has come is on disk within a second
            process.send_signal(ending)
            said.append(process.communicate(timeout=60)[1])
        return said

    said = run_in_child(inside)
    assert "6,000 flows from 200 datagrams; 0 were no exports; lost: 0 datagrams here, 0 by sequence numbers" in said[1]
    wait_until(lambda: not list(tmp_path.glob("*.spool")), 60)
    assert collected(tmp_path) == 300 * 30 + 200 * 30


def wait_until(true: object, seconds: float) -> None:
    assert callable(true)
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    def inside() -> tuple[int, str]:
        enter_private_network()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("127.0.0.1", 2055))
            run = liveness("flows", "collect", "-o", tmp_path)
            return run.code, run.err

    code, said = run_in_child(inside)
    assert (code, said.count("\n")) == (2, 1)
    assert "cannot listen on 127.0.0.1 port 2055: Address already in use" in said


def test_noise_on_the_port_is_counted(tmp_path: Path) -> None:
    (tmp_path / "noise.bin").write_bytes(struct.pack(">HH", 10, 4) + bytes(20))
    assert liveness("flows", "info", tmp_path / "noise.bin").code == 2


@pytest.mark.parametrize("value", ["nan", "inf", "1e10"])
def test_times_that_are_no_time(tmp_path: Path, value: str) -> None:
    for option in ("--idle", "--active"):
        done = CliRunner().invoke(flows_command, ["meter", str(tmp_path / "x"), option, value])
        assert done.exit_code == 2, done.output
        assert f"Invalid value for '{option}'" in done.output
    done = CliRunner().invoke(traffic_command, [str(tmp_path / "y"), "--scale", value])
    assert done.exit_code == 2, done.output
    assert "Invalid value for '--scale'" in done.output
