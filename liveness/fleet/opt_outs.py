"""Opt-outs of a fleet: published to the store, from where each scan gets them, and applied to stored runs."""

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from liveness import log
from liveness.config.load import read_entries
from liveness.errors import LivenessError, UsageError
from liveness.fleet import layout
from liveness.fleet.claim import claimed
from liveness.fleet.download import download
from liveness.fleet.job import Outcome
from liveness.fleet.plan import Plan
from liveness.fleet.plans import stored_plan
from liveness.fleet.store import Store, StoreError
from liveness.fleet.upload import Upload, other_places, remove_others
from liveness.optouts.redaction import redact_run
from liveness.space.intervals import Intervals
from liveness.space.prefixes import Skipped, parse_lines


def published(store: Store, census: str) -> bytes:
    """Return the published blocklists of a census, empty if there are none."""
    return store.get(layout.opt_outs(census)) or b""


def text_of(entries: Sequence[str]) -> bytes:
    """Return what lists block as one text. UsageError names a list that cannot be read."""
    return "".join(f"{entry}\n" for entry in read_entries(entries, Skipped()).entries()).encode()


def publish(store: Store, census: str, text: bytes, warn: Callable[[str], None] = log.warning) -> bool:
    """Publish lists in addition to what is published already; return whether anything is new.

    What was published once stays: an opt-out that is withdrawn counts from the next census on. Two commands may do this
    at the same moment, and the store writes one list over the other. So each list is an object of its own first, which
    nothing replaces, and who has written the united list looks for further ones until it has them all. So a united list
    that is damaged is written again from them; `warn` gets a line about it. LivenessError if one of them is damaged.
    """
    name = layout.opt_outs(census)
    wanted = intervals_of(store, name, text)
    new = noted = False
    while True:
        before = published(store, census)
        try:
            united = intervals_of(store, name, before)
        except LivenessError as error:
            if not noted:
                warn(f"{error}: it is written again from the lists that were published one by one")
            noted, united = True, Intervals.empty()
        if len(wanted.difference(united)):
            store.create(layout.published_list(census, hashlib.sha256(text).hexdigest()), text)
        united = united.union(wanted)
        for part in store.names(layout.published_list(census)):
            united = united.union(intervals_of(store, part, store.get(part) or b""))
        content = "".join(f"{entry}\n" for entry in united.entries()).encode()
        if content == before:
            return new
        store.put(name, content)
        new = True


def intervals_of(store: Store, name: str, text: bytes) -> Intervals:
    """Return the addresses of a list in the store; its lines are never names of files.

    LivenessError names the store, the object and the line if it is damaged.
    """
    try:
        return parse_lines(text.decode("ascii", "replace").splitlines(), f"{store.url}: {name}")
    except UsageError as error:  # nobody here gave it
        raise LivenessError(str(error)) from error


def apply_to_stored(store: Store, plan: Plan, note: Callable[[str], None]) -> list[LivenessError]:
    """Remove what is published from the stored runs of a plan that may still have it; `note` gets a line for each.

    A changed run is stored again, below another prefix, before the copy that has the opted-out data is removed. Returns
    what kept it from being removed from some, such as one that is damaged: the others do without it nevertheless.
    StoreError if the store is gone.
    """
    problems = []
    digest = hashlib.sha256(published(store, plan.census)).hexdigest()
    for planned in plan.jobs:
        job = layout.of_job(plan.census, plan.run, planned.job)
        try:
            result = store.document(f"{job}/{layout.RESULT}", Outcome)
            if result is None or not result.place:
                continue
            if result.opt_outs_sha256 == digest and not any(other_places(store, job, result.place)):
                continue
            with claimed(store, job, note) as check:
                if _apply_to_one(store, plan.census, job, check):
                    note(f"{planned.job}: opted-out data removed from the stored run")
        except LivenessError as error:
            problems.append(error)
            if isinstance(error, StoreError):
                published(store, plan.census)  # if the store is gone, the next runs are not waited for
    return problems


def apply_to_all(store: Store, census: str, note: Callable[[str], None]) -> list[LivenessError]:
    """Remove what is published from all stored runs of a census; return what kept it from being removed from some."""
    problems = []
    for run in store.folders(census):
        try:
            plan = stored_plan(store, census, run)
            if plan is not None:
                problems += apply_to_stored(store, plan, note)
        except LivenessError as error:
            problems.append(error)
    return problems


def _apply_to_one(store: Store, census: str, job: str, check: Callable[[], None]) -> bool:
    """Remove what is published from the stored run of a claimed job; return whether it had any of it.

    The result names the digest of the list only when no other copy is left, so that the next command removes what this
    one could not.
    """
    name = f"{job}/{layout.RESULT}"
    content = published(store, census)
    digest = hashlib.sha256(content).hexdigest()
    result = store.document(name, Outcome)
    if result is None or not result.place:
        return False
    redacted = None
    if content and result.opt_outs_sha256 != digest:
        redacted = _redacted(store, census, job, result, content)
    check()
    if redacted is not None:
        result = redacted
        store.put_document(name, result)
    remove_others(store, job, result.place)
    if result.opt_outs_sha256 != digest:
        check()
        store.put_document(name, msgspec.structs.replace(result, opt_outs_sha256=digest))
    return redacted is not None


def _redacted(store: Store, census: str, job: str, result: Outcome, content: bytes) -> Outcome | None:
    """Store a run again without what a list blocks; return its result, or None if nothing of it was in the run."""
    with tempfile.TemporaryDirectory(prefix="liveness-fleet-") as folder:
        listed = Path(folder) / "opt-outs.txt"
        listed.write_bytes(content)
        run = download(store, job, result, Path(folder) / "run")
        change = redact_run(run, intervals_of(store, layout.opt_outs(census), content), [listed])
        if not (change.sets or change.segments or change.logs or change.targets):
            return None
        generation, _, version = result.place.partition(".")
        place = f"{generation}.{int(version or 0) + 1}"
        for left in store.names(f"{job}/{place}"):  # by a command that was killed
            store.remove(left)
        manifest = Upload(store, f"{job}/{place}").store(run)
        return msgspec.structs.replace(result, place=place, manifest_sha256=manifest)
