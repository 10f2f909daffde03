"""Runs a command in a lab whose core router lets only so many packets a second of the scanner's pass.

Usage: python -m tests.census.policed LAB_FILE PACKETS_A_SECOND COMMAND [ARGUMENT]... - leaves with the command's exit
code. Replies pass freely, and so does what the scanner's kernel says to them.
"""

import subprocess
import sys

from liveness.system.child import run_in_child
from liveness.system.namespace import enter_private_network

RULES = """
table ip police {{
  chain in {{
    type filter hook prerouting priority -300; policy accept;
    tcp flags rst accept
    iifname "scanner" limit rate over {pps}/second burst {burst} packets drop
  }}
}}
"""
BURST_S = 0.02
"""What the policer's bucket holds, as time at its rate: what a small router buffers."""


def main() -> int:
    """Build the lab, police its core, run the command; return its exit code."""
    lab_file, pps, *command = sys.argv[1:]
    enter_private_network()
    # what these import may start threads, and a user namespace wants one
    from liveness.lab.hosts.filters import load_ruleset  # noqa: PLC0415
    from liveness.lab.load import load_internet  # noqa: PLC0415
    from liveness.lab.supervisor import Lab  # noqa: PLC0415
    from liveness.lab.tools import Tools, find_tools  # noqa: PLC0415

    nft = find_tools().nft
    if nft is None:
        sys.stderr.write("the policer needs nft: install nftables\n")
        return 3
    with Lab(load_internet(lab_file), Tools()) as lab:
        rules = RULES.format(pps=pps, burst=int(int(pps) * BURST_S))
        router = lab.router()

        def police() -> None:
            router.enter()
            load_ruleset(nft, rules, "the core router")

        run_in_child(police)
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
