"""Plans in the store: made for a new run, and found again by the next command.

Everybody who can write to the store can write a plan. A plan whose names lead elsewhere, or that differs from what the
command would plan, is refused.
"""

import hashlib
import time

from liveness.config.checks import NAME
from liveness.errors import LivenessError, RefusedError, UsageError
from liveness.fleet import layout, marks
from liveness.fleet.plan import Plan
from liveness.fleet.store import Store
from liveness.fleet.work import Work
from liveness.runs.rundir import check_names, new_run_id
from liveness.space.prefixes import parse_lines


def find_or_make_plan(work: Work, store: Store, run: str | None) -> tuple[Plan, bool]:
    """Return the plan of the run that was begun with the same vantage file and config, or of a new one.

    Returns whether it is new. A run that has ended, or was cancelled, is not taken up again unless it is named. Raises
    UsageError if the named run is another one, and LivenessError for a plan or targets that are not to be believed.
    """
    census = work.config.name
    check_names(census, run)
    for name in [run] if run is not None else reversed(store.folders(census)):
        plan = stored_plan(store, census, name)
        if plan is None:
            continue
        if plan.digest == work.digest and (run is not None or is_open(store, plan)):
            _check_work(work, store, plan)
            return plan, False
        if run is not None:
            raise UsageError(f"{run}: this run was planned with another config or vantage file: give another --run-id")
    plan = work.plan(run or new_run_id(), time.time())
    for file, content in work.files.items():
        store.put(layout.of_run(census, plan.run, file), content)
    if not store.create_document(layout.of_run(census, plan.run, layout.PLAN), plan):
        raise RefusedError(f"{plan.run}: another command has begun this run at the same moment: run this again")
    return plan, True


def is_open(store: Store, plan: Plan) -> bool:
    """Return whether a run is to be continued: no command has seen its end, and nobody has cancelled it."""
    names = (plan.census, plan.run)
    return not marks.is_ended(store, *names) and not marks.is_cancelled(store, *names)


def find_plan(store: Store, census: str, run: str | None) -> Plan:
    """Return the plan of a run, the newest one of the census if none is named.

    UsageError if there is none, LivenessError if it is damaged.
    """
    check_names(census, run)
    runs = [name for name in store.folders(census) if store.tag(layout.of_run(census, name, layout.PLAN)) is not None]
    name = run if run is not None else max(runs, default=None)
    plan = None if name is None else stored_plan(store, census, name)
    if plan is None:
        shown = f"the newest are {', '.join(sorted(runs)[-3:])}" if runs else "nothing of this census is stored"
        raise UsageError(f"{store.url}: {census}{f'/{run}' if run else ''}: no such run: {shown}")
    return plan


def stored_plan(store: Store, census: str, run: str) -> Plan | None:
    """Return the plan of a run; None if there is none. LivenessError if its names lead to another place than its own.

    They become names of objects and of directories.
    """
    name = layout.of_run(census, run, layout.PLAN)
    plan = store.document(name, Plan)
    if plan is None:
        return None
    if (plan.census, plan.run) != (census, run):
        raise LivenessError(f"{store.url}: {name}: a damaged plan: it is of {f'{plan.census}/{plan.run}'!r}")
    if not plan.jobs or len({planned.job for planned in plan.jobs}) < len(plan.jobs):
        raise LivenessError(f"{store.url}: {name}: a damaged plan: no jobs, or one of them twice")
    for planned in plan.jobs:
        if (
            not NAME.fullmatch(planned.vantage)
            or not 0 <= planned.shard < planned.shards
            or planned.job != f"{planned.vantage}/{planned.shard}-of-{planned.shards}"
        ):
            raise LivenessError(f"{store.url}: {name}: a damaged plan: job {planned.job!r} of {planned.vantage!r}")
    return plan


def _check_work(work: Work, store: Store, plan: Plan) -> None:
    """Raise LivenessError if a stored plan has other jobs than this command, or targets that it does not allow."""
    name = layout.of_run(plan.census, plan.run, layout.PLAN)
    mine = work.plan(plan.run, time.time())
    starts = (plan.start_at, mine.start_at) if work.fleet.start is not None else ()
    if plan.blocks_sha256 != mine.blocks_sha256:
        raise LivenessError(f"{store.url}: {name}: a damaged plan: its /24s are not those of this survey")
    if (plan.mode, plan.jobs) != (mine.mode, mine.jobs) or len(set(starts)) > 1:
        raise LivenessError(f"{store.url}: {name}: a damaged plan: its jobs are not those of this vantage file")
    name = layout.of_run(plan.census, plan.run, layout.TARGETS)
    content = store.get(name)
    if content is None or hashlib.sha256(content).hexdigest() != plan.targets_sha256:
        raise LivenessError(f"{store.url}: {name}: not the targets of the plan: its SHA-256 differs")
    stored = parse_lines(content.decode("utf-8", "replace").splitlines(), f"{store.url}: {name}")
    beyond = stored.difference(work.allowed)
    if len(beyond):
        raise LivenessError(
            f"{store.url}: {name}: {beyond.count:,} addresses that the config does not allow, the first is"
            f" {next(beyond.entries())}"
        )
