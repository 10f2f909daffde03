"""Maker of the seeds that other programs write (nfdump, softflowd, argus): python -m tests.fuzzing.make_seeds.

They lie in tests/fuzzing/seeds, so that a mutant is the same on every machine, whatever versions it has.
"""

import socket
import subprocess
import tempfile
from functools import partial
from pathlib import Path
from typing import Final

import zstandard

from liveness.flows import table_queries
from liveness.flows.nfcapd import BLOCK_BYTES, HEADER_BYTES
from liveness.system.child import run_in_child
from liveness.system.namespace import enter_private_network
from tests.flows.traffic import make_traffic

SEEDS: Final = Path(__file__).parent / "seeds"
COMPRESSIONS: Final = {"plain": [], "lzo": ["-z"], "lz4": ["-y"], "bz2": ["-j"]}
PACKETS: Final = 40
ZSTD: Final = 4
RECORDS_BLOCKS: Final = (3, 4)


def main() -> None:
    """Write all seeds."""
    SEEDS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        capture = Path(folder) / "traffic.pcap"
        make_traffic(capture, PACKETS)
        _nfdump(capture, Path(folder))
        for version in (5, 9, 10):
            datagrams = run_in_child(partial(_softflowd, capture, version))
            (SEEDS / f"softflowd-v{version}").write_bytes(b"".join(datagrams))
        binary = Path(folder) / "argus"
        subprocess.run(["argus", "-r", capture, "-w", binary], check=True)
        command: list[str | Path] = ["ra", "-r", binary, "-c,", "-u", "-n", "-s", *table_queries.ARGUS_COLUMNS.split()]
        (SEEDS / "argus.csv").write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)


def _nfdump(capture: Path, folder: Path) -> None:
    nfcapd = folder / "nfcapd"
    nfcapd.mkdir()
    subprocess.run(["nfpcapd", "-r", capture, "-w", nfcapd], check=True, capture_output=True)
    for name, options in COMPRESSIONS.items():
        path = SEEDS / f"nfdump-{name}"
        subprocess.run(["nfdump", "-R", nfcapd, *options, "-w", path], check=True, capture_output=True)
    (SEEDS / "nfdump-zstd").write_bytes(with_zstd((SEEDS / "nfdump-plain").read_bytes()))


def with_zstd(plain: bytes) -> bytes:
    """Return an uncompressed file of nfdump with its blocks compressed by zstd, which Debian's nfdump lacks."""
    packed = bytearray(plain[:HEADER_BYTES])
    packed[16] = ZSTD
    at = HEADER_BYTES
    while at < len(plain):
        size = int.from_bytes(plain[at + 4 : at + 8], "little")
        head = bytearray(plain[at : at + BLOCK_BYTES])
        content = plain[at + BLOCK_BYTES : at + BLOCK_BYTES + size]
        if int.from_bytes(head[8:10], "little") in RECORDS_BLOCKS and not head[10] & 1:
            content = zstandard.ZstdCompressor().compress(content)
            head[4:8] = len(content).to_bytes(4, "little")
        packed += head + content
        at += BLOCK_BYTES + size
    return bytes(packed)


def _softflowd(capture: Path, version: int) -> list[bytes]:
    enter_private_network()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(1)
        where = f"127.0.0.1:{receiver.getsockname()[1]}"
        command = ["softflowd", "-r", str(capture), "-n", where, "-v", str(version), "-d"]
        subprocess.run(command, capture_output=True, timeout=60, check=False)
        received = []
        while True:
            try:
                received.append(receiver.recv(65535))
            except TimeoutError:
                return received


if __name__ == "__main__":
    main()
