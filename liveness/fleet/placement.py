"""Placement of jobs on vantage points through Dask: a scheduler somewhere, or a cluster within this process."""

import logging
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import dask
import msgspec
from distributed import Client, Scheduler, SpecCluster, Worker
from distributed.security import Security

from liveness.errors import LivenessError, RefusedError
from liveness.fleet.job import Job, Outcome
from liveness.fleet.vantages import Fleet, SchedulerPlace, VantagePoint
from liveness.fleet.worker import facts, run_job, stop_runners

LOOPBACK: Final = "127.0.0.1:0"
CONNECT_S: Final = 10
ANSWER_S: Final = 30
"""Seconds in which scheduler and workers answer; if they do not, they are asked again later."""
QUESTIONS: Final = 3
SETTINGS: Final = {
    "distributed.scheduler.allowed-failures": 1_000_000,  # a job takes days, and its worker may be restarted often
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.admin.tick.limit": "1h",
    "distributed.comm.timeouts.connect": f"{CONNECT_S}s",
}
"""The cluster within this process serves nothing by HTTP."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a worker says of itself.

    `ahead_ms` is by how much its clock is ahead of ours at least, as the network shows it: 0 if the time of the answer
    lies between those of question and answer here. `offset_ms` is what its machine knows of true time, if it does.
    """

    version: str
    python: str
    offset_ms: float | None
    ahead_ms: float


@dataclass(slots=True)
class Placement:
    """Connection to a scheduler. Operations raise LivenessError if it is gone."""

    client: Any
    address: str
    embedded: bool
    _futures: dict[str, Any] = field(default_factory=dict, init=False)

    def workers(self) -> dict[str, str]:
        """Return the addresses of the workers by the resources that they offer, the first one for each."""
        found: dict[str, str] = {}
        for address, worker in self._info()["workers"].items():
            for resource in worker.get("resources", {}):
                found.setdefault(resource, address)
        return found

    def facts(self, worker: str) -> Facts | None:
        """Ask a worker for its version and its clock; None if it does not answer in time.

        Raises LivenessError if liveness cannot run there.
        """
        least_ms, most_ms = -math.inf, math.inf
        answer: dict[str, Any] = {}
        for _ in range(QUESTIONS):  # the first one waits until liveness is imported there
            before_s = time.time()
            found = self._asked(worker)
            after_s = time.time()
            if found is None:
                return None
            answer = found
            least_ms = max(least_ms, (answer["time_s"] - after_s) * 1e3)
            most_ms = min(most_ms, (answer["time_s"] - before_s) * 1e3)
        ahead_ms = least_ms if least_ms > 0 else min(most_ms, 0.0)
        return Facts(answer["version"], answer["python"], answer["offset_ms"], ahead_ms)

    def submit(self, job: Job, vantage: VantagePoint) -> None:
        """Give a job to its vantage point: it waits until a worker offers the resource of that name."""
        resources = {vantage.name: 1.0, **vantage.resources}
        document = msgspec.json.encode(job)
        self._futures[job.job] = self.client.submit(
            run_job, document, key=job.key, resources=resources, pure=False, retries=1_000, allow_other_workers=False
        )

    def forget(self, job: str) -> None:
        """Forget a job, so that it can be submitted again."""
        future = self._futures.pop(job, None)
        if future is not None:
            with suppress(Exception):
                future.release()

    def submitted(self) -> list[str]:
        """Return the jobs that were submitted, and have not ended."""
        return list(self._futures)

    def ended(self) -> Iterator[Outcome]:
        """Yield the outcomes of jobs that have ended, each once; a job that Dask lost is yielded as stopped."""
        for job, future in list(self._futures.items()):
            if not future.done():
                continue
            try:
                outcome = msgspec.json.decode(future.result(timeout=CONNECT_S), type=Outcome)
            except Exception as error:  # noqa: BLE001 - whatever Dask raises of a worker that died
                self.check()
                vantage = job.partition("/")[0]
                outcome = Outcome(job=job, vantage=vantage, state="stopped", exit_code=1, message=f"Dask: {error}")
            self.forget(job)
            yield outcome

    def is_gone(self) -> bool:
        """Return whether the scheduler is gone."""
        return bool(self.client.status != "running")

    def check(self) -> None:
        """Raise LivenessError if the scheduler is gone."""
        if self.is_gone():
            raise LivenessError(
                f"{self.address}: the scheduler is gone: scans go on at the vantage points; start it, and run the same"
                " command again"
            )

    def stop(self) -> list[str]:
        """Stop the scans of a cluster within this process, and wait for their ends; return the jobs that go on."""
        if not self.embedded:
            return self.submitted()
        stop_runners()
        for future in self._futures.values():
            with suppress(Exception):
                future.result(timeout=CONNECT_S * 6)
        return [job for job, future in self._futures.items() if not future.done()]

    def _info(self) -> dict[str, Any]:
        """Return what the scheduler knows of its workers; nothing if it does not answer in time."""
        self.check()
        try:
            info: dict[str, Any] = self.client.sync(
                self.client.scheduler.identity, n_workers=-1, callback_timeout=ANSWER_S
            )
        except (OSError, TimeoutError):
            self.check()
            return {"workers": {}}
        return info

    def _asked(self, worker: str) -> dict[str, Any] | None:
        """Return the facts of a worker; None if it does not answer in time."""
        self.check()
        try:
            answers = self.client.sync(self.client._run, facts, workers=[worker], callback_timeout=ANSWER_S)  # noqa: SLF001 - `run` waits without an end
            return dict(answers[worker])
        except (OSError, TimeoutError, KeyError):  # it is busy, or has just ended
            self.check()
            return None
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            raise LivenessError(f"{worker}: cannot run liveness there: {reason}: install liveness[fleet]") from error


@contextmanager
def connected(fleet: Fleet) -> Iterator[Placement]:
    """Connect to the fleet's scheduler, or start a cluster within this process. Raises LivenessError."""
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with dask.config.set(SETTINGS):
        if fleet.scheduler is None:
            with _embedded(fleet) as cluster, Client(cluster, set_as_default=False) as client:
                yield Placement(client, "this process", embedded=True)
            return
        client = _client(fleet.scheduler)
        try:
            yield Placement(client, fleet.scheduler.address, embedded=False)
        finally:
            with suppress(Exception):
                client.close(timeout=1)


@contextmanager
def _embedded(fleet: Fleet) -> Iterator[Any]:
    """Start a scheduler and a worker for each vantage point in threads of this process; nothing listens elsewhere."""
    common = {"protocol": "inproc://", "dashboard_address": LOOPBACK, "dashboard": False}
    workers = {
        vantage.name: {
            "cls": Worker,
            "options": {
                **common,
                "nthreads": 1,
                "memory_limit": 0,
                "resources": {vantage.name: 1.0, **vantage.resources},
            },
        }
        for vantage in fleet.vantages
    }
    cluster = SpecCluster(workers=workers, scheduler={"cls": Scheduler, "options": common}, silence_logs=False)
    try:
        yield cluster
    finally:
        with suppress(Exception):
            cluster.close(timeout=CONNECT_S)


def _client(scheduler: SchedulerPlace) -> Any:  # noqa: ANN401 - Dask's client
    security = None
    if scheduler.address.startswith("tls://"):
        for place, name in (("ca", scheduler.ca), ("cert", scheduler.cert), ("key", scheduler.key)):
            if not os.access(name, os.R_OK):
                raise LivenessError(f"{name}: cannot read this file of TLS: $.scheduler.{place} names it")
        security = Security(
            tls_ca_file=scheduler.ca,
            tls_client_cert=scheduler.cert,
            tls_client_key=scheduler.key,
            require_encryption=True,
        )
    try:
        return Client(scheduler.address, security=security, timeout=CONNECT_S, set_as_default=False)
    except (OSError, TimeoutError) as error:
        reason = str(error).partition("\n")[0] or "no answer"
        raise LivenessError(
            f"{scheduler.address}: cannot reach the scheduler: {reason}: start it with `dask scheduler`; scans go on"
        ) from error
    except ValueError as error:
        raise RefusedError(f"{scheduler.address}: {error}") from error
