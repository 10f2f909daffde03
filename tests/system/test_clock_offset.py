"""The clock's offset: what chrony and the kernel say of it, with chronyd itself as the judge."""

import shutil
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from liveness.system.clock_offset import CHRONY, KERNEL, ClockReading, chrony_reading, kernel_reading, read_clock

SINCE_1900_S: Final = 2_208_988_800
LONGEST_S: Final = 60.0
LINE: Final = (
    "C0000201,192.0.2.1,3,1795807903.602679522,{slow},-0.000000513,0.000003775,"
    "-6.693,-0.004,12.825,0.004000000,0.001500000,64.2,{leap}\n"
)


def test_a_slow_clock_is_behind() -> None:
    """What chrony gives is the time by which the clock is slow; the error is bounded as in its manual."""
    reading = chrony_reading(LINE.format(slow="0.120000000", leap="Normal"))
    assert reading == ClockReading(CHRONY, synchronised=True, offset_ms=-120.0, error_ms=3.5, stratum=3)


def test_a_clock_without_a_source_has_no_offset() -> None:
    reading = chrony_reading(LINE.format(slow="0.000000000", leap="Not synchronised"))
    assert reading == ClockReading(CHRONY, synchronised=False)


@pytest.mark.parametrize("line", ["", "506 Cannot talk to daemon\n", LINE.format(slow="nan", leap="Normal"), "," * 13])
def test_what_is_no_line_of_chrony_leaves_the_kernel_s_word(line: str) -> None:
    assert read_clock(lambda: line).source == KERNEL
    assert read_clock(lambda: None) == kernel_reading()


def _ntp_time(now_s: float) -> bytes:
    whole = int(now_s)
    return struct.pack(">II", whole + SINCE_1900_S, int((now_s - whole) * 2**32))


@contextmanager
def server(ahead_s: float) -> Iterator[int]:
    """Serve NTP on loopback from a clock that is ahead of this machine's; yield the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        door.bind(("127.0.0.1", 0))
        door.settimeout(0.1)
        ended = threading.Event()

        def serve() -> None:
            while not ended.is_set():
                try:
                    request, client = door.recvfrom(512)
                except TimeoutError:
                    continue
                now = _ntp_time(time.time() + ahead_s)
                head = struct.pack(">BBbbII4s", 0x24, 1, 0, -20, 0, 0, b"TEST")
                door.sendto(head + now + request[40:48] + now + now, client)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield door.getsockname()[1]
        finally:
            ended.set()
            thread.join()


@contextmanager
def chronyd(folder: Path, port: int) -> Iterator[Path]:
    """Run a chronyd that measures against a server and leaves the clock alone; yield the socket of its commands."""
    program = shutil.which("chronyd", path="/usr/sbin:/usr/bin:/sbin:/bin")
    assert program is not None, "install chrony"
    folder.chmod(0o700)
    config, commands = folder / "chrony.conf", folder / "commands"
    config.write_text(
        f"server 127.0.0.1 port {port} iburst minpoll -4 maxpoll -4\nport 0\ncmdport 0\n"
        f"bindcmdaddress {commands}\nuser root\npidfile {folder}/pid\n"
    )
    words = ["unshare", "--user", "--map-root-user", program, "-x", "-d", "-f", str(config)]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as daemon:
        try:
            yield commands
        finally:
            daemon.terminate()


def test_chronyd_s_own_word_has_the_right_sign(tmp_path: Path) -> None:
    """The server's clock is half a second ahead: ours is half a second behind."""
    with server(0.5) as port, chronyd(tmp_path, port) as commands:

        def tracking() -> str | None:
            words = ["chronyc", "-h", str(commands), "-c", "-n", "tracking"]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            return done.stdout if done.returncode == 0 else None

        deadline = time.monotonic() + LONGEST_S
        reading = read_clock(tracking)
        while reading.offset_ms is None:
            assert time.monotonic() < deadline, "chronyd measures nothing"
            time.sleep(0.1)
            reading = read_clock(tracking)
    assert (reading.source, reading.synchronised, reading.stratum) == (CHRONY, True, 2)
    assert -1000 < reading.offset_ms < -100
