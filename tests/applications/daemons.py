"""Real daemons as services: OpenSSH, nginx, the telnet daemon of BusyBox, and OpenSSL for each version of TLS."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from liveness.lab.tools import SYSTEM_PATHS
from liveness.system.namespace import Namespace
from tests.applications.support import WITHIN_S

WHOLE = "10.9.0.16"
"""A host with each of the five services."""
TLS = {"tls1": "10.9.0.17", "tls1_1": "10.9.0.18", "tls1_2": "10.9.0.19", "tls1_3": "10.9.0.20"}
"""Servers of one version of TLS each, by the option of `openssl s_server`."""
ALERTING = "10.9.0.21"
"""A server of TLS that has no cipher suite in common with anybody."""
WRONG = "10.9.0.22"
"""A host whose services have moved: each port has the service of another one."""
ADDRESSES = (WHOLE, *TLS.values(), ALERTING, WRONG)
CERTIFICATE, KEY = "certificate.pem", "key.pem"


def program(name: str) -> str:
    """Return the path of a program, which must be there."""
    path = shutil.which(name, path=f"/usr/bin:/bin:{SYSTEM_PATHS}")
    assert path is not None, f"{name} is not installed: .ci/run has its package"
    return path


def commands(folder: Path) -> list[list[str]]:
    """Return the command lines of all daemons; they stay in the foreground and write into the folder only."""
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd's privilege separation directory
    subprocess.run(
        [program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "host_key")],
        check=True,
        capture_output=True,
    )
    files = ("-keyout", KEY, "-out", CERTIFICATE)
    subprocess.run(
        [program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=talks", *files],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    ssh = [f"-oListenAddress={WHOLE}:22", *(f"-oListenAddress={WRONG}:{port}" for port in (80, 23))]
    # An option for each limit that many connections at once could meet.
    sshd = [program("sshd"), "-D", "-e", "-f", "/dev/null", *ssh, "-oPidFile=none", "-oUsePAM=no"]
    sshd += [f"-oHostKey={folder / 'host_key'}", "-oMaxStartups=1000"]
    telnet = [[program("busybox"), "telnetd", "-F", "-l", program("cat"), "-b", f"{WHOLE}:23"]]
    telnet += [[*telnet[0][:-1], f"{WRONG}:{port}"] for port in (22, 7547)]
    serve = [program("openssl"), "s_server", "-4", "-quiet", "-cert", CERTIFICATE, "-key", KEY]
    old = ["-cipher", "DEFAULT:@SECLEVEL=0"]
    tls = [[*serve, *old, f"-{version}", "-accept", f"{address}:443"] for version, address in TLS.items()]
    tls.append([*serve, "-tls1_2", "-cipher", "PSK-AES128-GCM-SHA256", "-accept", f"{ALERTING}:443"])
    (folder / "nginx.conf").write_text(nginx_config(folder))
    nginx = [program("nginx"), "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]
    return [sshd, *telnet, *tls, nginx]


def nginx_config(folder: Path) -> str:
    """Return a config with HTTP, HTTPS, and a server that demands a Digest login as CWMP does."""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"  {kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    return (
        f"daemon off;\nmaster_process off;\nuser root;\npid {folder}/nginx.pid;\nerror_log stderr;\n"
        "events { worker_connections 256; }\n"
        f"http {{\n  access_log off;\n{temporary}"
        f"  server {{ listen {WHOLE}:80; listen {WRONG}:443; return 200 'here\\n'; }}\n"
        f"  server {{ listen {WHOLE}:443 ssl; return 204;\n"
        f"    ssl_certificate {CERTIFICATE}; ssl_certificate_key {KEY}; }}\n"
        f"  server {{ listen {WHOLE}:7547;\n"
        '    add_header WWW-Authenticate \'Digest realm="acs", qop="auth", nonce="1"\' always; return 401; }\n'
        "}\n"
    )


LISTENING = 3 + 3 + len(TLS) + 1 + 4
"""Sockets that listen once every daemon is ready."""


@contextmanager
def daemons(peer: Namespace, folder: Path) -> Iterator[None]:
    """Run all daemons at the far end, until the block ends."""
    with ExitStack() as stack:
        outputs = []
        for number, command in enumerate(commands(folder)):
            output = folder / f"{number}-{Path(command[0]).name}.output"
            stream = stack.enter_context(output.open("wb"))
            process = subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.PIPE,  # s_server ends when its input does
                stdout=stream,
                stderr=subprocess.STDOUT,
                preexec_fn=peer.enter,  # noqa: PLW1509 - one system call in the child
            )
            stack.callback(_end, process)
            outputs.append((process, output))
        deadline = time.monotonic() + WITHIN_S
        while (ready := peer.run(_listening)) < LISTENING:
            for process, output in outputs:
                assert process.poll() is None, (process.args, output.read_text())
            assert time.monotonic() < deadline, f"{ready} of {LISTENING} listen"
            time.sleep(0.05)
        yield
        for process, output in outputs:
            assert process.poll() is None, (process.args, output.read_text())


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()
    assert process.stdin is not None
    process.stdin.close()


def _listening() -> int:
    lines = Path("/proc/self/net/tcp").read_text().splitlines()[1:]
    return sum(line.split()[3] == "0A" for line in lines)
