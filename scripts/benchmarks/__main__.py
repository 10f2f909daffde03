"""Runs the benchmarks' command line; a failure is one line on standard error."""

import sys

from liveness.errors import LivenessError
from scripts.benchmarks.main import group

try:
    group(prog_name="scripts/bench")
except LivenessError as error:
    sys.exit(f"scripts/bench: {error}")
