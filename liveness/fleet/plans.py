"""Plans in the store: made for a new run, and found again by the next command."""

import time

from liveness.errors import RefusedError, UsageError
from liveness.fleet import layout, marks
from liveness.fleet.plan import Plan, Work
from liveness.fleet.store import Store
from liveness.runs.rundir import check_names, new_run_id


def find_or_make_plan(work: Work, store: Store, run: str | None) -> tuple[Plan, bool]:
    """Return the plan of the run that was begun with the same vantage file and config, or of a new one.

    Returns whether it is new. A run that has ended, or was cancelled, is not taken up again unless it is named. Raises
    UsageError if the named run is another one.
    """
    census = work.config.name
    check_names(census, run)
    for name in [run] if run is not None else reversed(store.folders(census)):
        plan = store.document(layout.of_run(census, name, layout.PLAN), Plan)
        if plan is None:
            continue
        if plan.digest == work.digest and (run is not None or is_open(store, plan)):
            return plan, False
        if run is not None:
            raise UsageError(f"{run}: this run was planned with another config or vantage file: give another --run-id")
    plan = work.plan(run or new_run_id(), time.time())
    store.put(layout.of_run(census, plan.run, layout.TARGETS), work.entries)
    if not store.create_document(layout.of_run(census, plan.run, layout.PLAN), plan):
        raise RefusedError(f"{plan.run}: another command has begun this run at the same moment: run this again")
    return plan, True


def is_open(store: Store, plan: Plan) -> bool:
    """Return whether a run is to be continued: no command has seen its end, and nobody has cancelled it."""
    names = (plan.census, plan.run)
    return not marks.is_ended(store, *names) and not marks.is_cancelled(store, *names)


def find_plan(store: Store, census: str, run: str | None) -> Plan:
    """Return the plan of a run, the newest one of the census if none is named. UsageError if there is none."""
    check_names(census, run)
    runs = [name for name in store.folders(census) if store.tag(layout.of_run(census, name, layout.PLAN)) is not None]
    name = run if run is not None else max(runs, default=None)
    plan = None if name is None else store.document(layout.of_run(census, name, layout.PLAN), Plan)
    if plan is None:
        shown = f"the newest are {', '.join(sorted(runs)[-3:])}" if runs else "nothing of this census is stored"
        raise UsageError(f"{store.url}: {census}{f'/{run}' if run else ''}: no such run: {shown}")
    return plan
