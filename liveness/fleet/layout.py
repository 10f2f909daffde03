"""Names of the objects of a fleet in its store.

::

    <census>/opt-outs.txt                             the published blocklists, united
    <census>/opt-outs/<SHA-256>.txt                   each of them as it was published
    <census>/drained/<vantage>.json                   a vantage point that gets no more work
    <census>/<run>/plan.json, targets.txt             jobs of a run, and their targets
    <census>/<run>/blocks.csv                         the /24s of a survey
    <census>/<run>/cancelled.json, ended.json
    <census>/<run>/<vantage>/<k>-of-<N>/lease-0001.json, lease-0002.json, …
    <census>/<run>/<vantage>/<k>-of-<N>/moved.json    who takes over from a lost vantage point
    <census>/<run>/<vantage>/<k>-of-<N>/0002/…        the run as the owner of that lease stored it, manifest.json last
    <census>/<run>/<vantage>/<k>-of-<N>/result.json   which of these counts
    <census>/<run>/<vantage>/<k>-of-<N>/redaction/lease-0001.json, …  who removes opted-out data from it
"""

from typing import Final

PLAN: Final = "plan.json"
TARGETS: Final = "targets.txt"
BLOCKS: Final = "blocks.csv"
"""The /24s of a survey."""
CANCELLED: Final = "cancelled.json"
ENDED: Final = "ended.json"
RESULT: Final = "result.json"
MOVED: Final = "moved.json"
FILES: Final = "files.json"
REDACTION: Final = "redaction"


def opt_outs(census: str) -> str:
    """Return the name of the published blocklists of a census."""
    return f"{census}/opt-outs.txt"


def published_list(census: str, digest: str = "") -> str:
    """Return the name of one list as it was published, or the prefix of all of them."""
    return f"{census}/opt-outs/{digest}.txt" if digest else f"{census}/opt-outs"


def drained(census: str, vantage: str = "") -> str:
    """Return the name of the mark of a drained vantage point, or the prefix of all of them."""
    return f"{census}/drained/{vantage}.json" if vantage else f"{census}/drained"


def of_run(census: str, run: str, name: str) -> str:
    """Return the name of an object of a run."""
    return f"{census}/{run}/{name}"


def of_job(census: str, run: str, job: str, name: str = "") -> str:
    """Return the name of an object of a job, or the prefix of all of them. `job` is ``<vantage>/<k>-of-<N>``."""
    return f"{census}/{run}/{job}" + (f"/{name}" if name else "")


def lease_name(generation: int) -> str:
    """Return the last part of the name of a lease."""
    return f"lease-{generation:04d}.json"


def stored_name(generation: int) -> str:
    """Return the last part of the prefix below which the owner of a lease stores its run."""
    return f"{generation:04d}"
