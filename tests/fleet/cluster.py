"""A fleet of several processes on loopback: Dask's scheduler and workers with TLS, and a store that can be killed."""

import ipaddress
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.fleet.s3 import BUCKET, CREDENTIALS, free_port, server_of_s3
from tests.fleet.support import PATIENCE_S, Command, Place, kill_left

PEM: Final = serialization.Encoding.PEM
VICTIMS: Final = ("scheduler", "v0", "v1", "runner", "scan", "tree", "store", "command")


def write_certificates(folder: Path) -> dict[str, str]:
    """Write a certificate that signs itself; all parties have it, and trust it alone."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fleet")])
    now = datetime.now(UTC)
    alternatives = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(alternatives, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(PEM))
    private = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(private)
    return {"ca": str(folder / "cert.pem"), "cert": str(folder / "cert.pem"), "key": str(folder / "key.pem")}


class Cluster:
    """The processes. What is killed is started again by `mend`."""

    def __init__(self, place: Place, s3_port: int, **changes: object) -> None:
        self.place = place
        self.s3_port = s3_port
        self.store_port, self.scheduler_port = free_port(), free_port()
        self.files = write_certificates(place.folder)
        self.address = f"tls://127.0.0.1:{self.scheduler_port}"
        document = yaml.safe_load(place.file.read_text())
        endpoint = f"http://127.0.0.1:{self.store_port}"
        url = f"s3://{BUCKET}/{place.folder.name}"
        document["store"] = {"url": url, "endpoint": endpoint, "region": "us-east-1", "allow_http": True}
        document["scheduler"] = {"address": self.address, **self.files}
        place.file.write_text(yaml.safe_dump({**document, "lease": "5s", **changes}))
        place.variables |= CREDENTIALS
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.mend()

    def _start(self, name: str, *words: str) -> None:
        log = (self.place.folder / f"{name}.log").open("ab")
        environment = self.place.environment(DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="1000")
        self.processes[name] = subprocess.Popen(
            [sys.executable, "-m", *words],
            stdout=log,
            stderr=log,
            env=environment,
            cwd=self.place.folder,
            start_new_session=True,
        )
        log.close()

    def mend(self) -> None:
        """Start what does not run."""
        for name, process in list(self.processes.items()):
            if process.poll() is not None:
                del self.processes[name]
        tls = [f"--tls-{place}" for place in ("ca-file", "cert", "key")]
        files = [word for pair in zip(tls, self.files.values(), strict=True) for word in pair]
        here = ("--host", "tls://127.0.0.1")
        if "store" not in self.processes:
            self._start("store", "tests.fleet.forwarder", str(self.store_port), str(self.s3_port))
        if "scheduler" not in self.processes:
            port = ("--port", str(self.scheduler_port))
            self._start("scheduler", "distributed.cli.dask_scheduler", *here, *port, "--no-dashboard", *files)
        for name in ("v0", "v1"):
            if name not in self.processes:
                options = (
                    "--name",
                    name,
                    "--resources",
                    f"{name}=1",
                    "--nthreads",
                    "1",
                    "--no-nanny",
                    "--no-dashboard",
                )
                self._start(
                    name,
                    "distributed.cli.dask_worker",
                    self.address,
                    *options,
                    "--no-dashboard",
                    "--host",
                    "tls://127.0.0.1",
                    *files,
                )

    def kill(self, victim: str, command: Command) -> None:
        """Kill a part of the fleet with SIGKILL: one process, or all processes of it and of its scans."""
        if victim in self.processes:
            self._kill_one(self.processes[victim])
        elif victim == "command":
            command.process.kill()
        elif victim == "tree":
            for process in self.processes.values():
                self._kill_one(process)
            command.process.kill()
            kill_left(self.place)
        else:
            kill_left(self.place, {"runner": "liveness.fleet.runner", "scan": "tests.fleet.fake_scan"}[victim])

    @staticmethod
    def _kill_one(process: "subprocess.Popen[bytes]") -> None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(PATIENCE_S)


@contextmanager
def cluster(place: Place, **changes: object) -> Iterator[Cluster]:
    """Start a fleet, and leave no process behind."""
    with server_of_s3(place.folder) as port:
        made = Cluster(place, port, **changes)
        try:
            yield made
        finally:
            for process in made.processes.values():
                made._kill_one(process)
            kill_left(place)
