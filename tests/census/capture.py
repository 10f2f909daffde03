"""Runs a command in a lab while the core router writes down every frame that the scanner sends.

Usage: python -m tests.census.capture LAB_FILE FRAMES_FILE COMMAND [ARGUMENT]... - a line of the frames' file is a
receive time in ns since 1970 and a frame in hex. Leaves with the command's exit code.
"""

import os
import select
import subprocess
import sys
from pathlib import Path

from liveness.system.namespace import enter_private_network

LINK_TO_SCANNER = "scanner"
READY = b"1"


def main() -> int:
    """Build the lab, start capturing, run the command, stop capturing; return the command's exit code."""
    lab_file, frames_file, *command = sys.argv[1:]
    enter_private_network()
    # what these import may start threads, and a user namespace wants one
    from liveness.lab.load import load_internet  # noqa: PLC0415
    from liveness.lab.supervisor import Lab  # noqa: PLC0415
    from liveness.lab.tools import Tools  # noqa: PLC0415

    with Lab(load_internet(lab_file), Tools()) as lab:
        router = lab.router()
        ready, say_ready = os.pipe()
        stop, say_stop = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(say_stop)
                router.enter()
                capture(Path(frames_file), say_ready, stop)
            finally:
                os._exit(1)
        os.close(say_ready)
        if os.read(ready, 1) != READY:
            return 1
        done = subprocess.run(command, check=False)
        os.close(say_stop)
        _, status = os.waitpid(pid, 0)
        return done.returncode or status


def capture(file: Path, say_ready: int, stop: int) -> None:
    """In the router: write frames that come in from the scanner, until `stop` is closed and none is left."""
    from liveness.net.rx_packet import PacketRxRing  # noqa: PLC0415
    from liveness.packets.block import unpack_block  # noqa: PLC0415
    from liveness.system.bpf import ACCEPT, RETURN, Instruction, assemble  # noqa: PLC0415

    ring = PacketRxRing(LINK_TO_SCANNER, assemble([Instruction(RETURN, ACCEPT)]), ring_mib=8)
    os.write(say_ready, READY)
    with file.open("w") as lines:
        while True:
            stopping = bool(select.select([stop], [], [], 0)[0])
            block = ring.blocks(0.1)
            if block is None:
                if stopping:
                    break
                continue
            lines.writelines(f"{time_ns} {frame.hex()}\n" for time_ns, frame in unpack_block(block))
            ring.release()
    if ring.statistics().drops == 0:
        os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
