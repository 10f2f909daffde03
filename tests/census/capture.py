"""Runs a command in a lab while the core router writes down every frame that the scanner sends.

Usage: python -m tests.census.capture LAB_FILE FRAMES_FILE COMMAND [ARGUMENT]... - a line of the frames' file is a
receive time in ns since 1970 and a frame in hex. Leaves with the command's exit code.
"""

import os
import select
import subprocess
import sys
from pathlib import Path

from liveness.system.child import fork
from liveness.system.namespace import enter_private_network

LINK_TO_SCANNER = "scanner"
READY = b"1"
RING_MIB = 64
RETIRE_MS = 100
"""The ring takes a block for each RETIRE_MS at most, so that frames stay in it while this process waits for a core."""
MISSED = 9
"""Exit code if the ring was full, so that frames are missing."""


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
        pid = fork()
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
        return done.returncode or os.waitstatus_to_exitcode(status)


def capture(file: Path, say_ready: int, stop: int) -> None:
    """In the router: write frames that come in from the scanner, until `stop` is closed and none is left."""
    from liveness.net.rx_packet import PacketRxRing  # noqa: PLC0415
    from liveness.packets.block import pack_block, unpack_block  # noqa: PLC0415
    from liveness.system.bpf import ACCEPT, RETURN, Instruction, assemble  # noqa: PLC0415

    list(unpack_block(pack_block([(0, b"compiled")])))  # compiling takes longer than the ring lasts
    ring = PacketRxRing(LINK_TO_SCANNER, assemble([Instruction(RETURN, ACCEPT)]), RING_MIB, RETIRE_MS)
    os.write(say_ready, READY)
    with file.open("w") as lines:
        while True:
            stopping = bool(select.select([stop], [], [], 0)[0])
            block = ring.blocks(5 * RETIRE_MS / 1000)
            if block is None:
                if stopping:
                    break
                continue
            lines.writelines(f"{time_ns} {frame.hex()}\n" for time_ns, frame in unpack_block(block))
            ring.release()
    drops = ring.statistics().drops
    if drops:
        sys.stderr.write(f"the capture missed {drops} frames\n")
        os._exit(MISSED)
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
