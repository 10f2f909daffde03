"""Real daemons of the lab: their configuration, their start in the namespace of a host, and the wait for service."""

import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from liveness.errors import LivenessError
from liveness.lab.hosts.document import Daemon, Host
from liveness.lab.hosts.servers import nginx_ports

ANSWER_ADDRESS = "192.0.2.53"  # TEST-NET-1: the answer to every query
START_TIMEOUT_S = 10.0
POLL_S = 0.01
OUTPUT_BYTES = 600
"""Bytes from the end of a failed daemon's output that an error repeats."""

TCP_LISTEN = "0A"  # state of a listening socket in /proc/net/tcp


@dataclass(frozen=True, slots=True)
class Running:
    """A started daemon: its process, the file with its output, and its UDP and TCP ports."""

    name: str
    process: subprocess.Popen[bytes]
    output: Path
    udp: tuple[int, ...]
    tcp: tuple[int, ...]

    def last_words(self) -> str:
        """Return the end of the daemon's output as one line."""
        text = self.output.read_bytes()[-OUTPUT_BYTES:].decode(errors="replace")
        return " ".join(text.split()) or "it said nothing"

    def await_service(self) -> None:
        """Wait until the daemon's ports are bound in the current namespace; LivenessError with its output if not."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while not (_bound("udp", self.udp) and _bound("tcp", self.tcp)):
            code = self.process.poll()
            if code is not None:
                raise LivenessError(f"the lab's {self.name} ended with code {code}: {self.last_words()}")
            if time.monotonic() > deadline:
                raise LivenessError(
                    f"the lab's {self.name} serves nothing after {START_TIMEOUT_S:.0f} s: {self.last_words()}"
                )
            time.sleep(POLL_S)


def start_daemon(daemon: Daemon, program: str, host: Host, folder: Path) -> Running:
    """Start a daemon in the current namespace. `folder` is created here; the daemon writes nowhere else."""
    folder.mkdir(parents=True)
    arguments, udp, tcp = COMMANDS[daemon](program, host, folder)
    output = folder / "output"
    with output.open("wb") as stream:
        process = subprocess.Popen(
            arguments, cwd=folder, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, env=_environment()
        )
    return Running(f"{daemon} of network {host.name!r}", process, output, udp, tcp)


Command = tuple[list[str], tuple[int, ...], tuple[int, ...]]
"""A command line, and the UDP and TCP ports that it serves."""


def _dnsmasq(program: str, _host: Host, _folder: Path) -> Command:
    options = [
        "--no-daemon",  # in the foreground, and without changing user: a user namespace has only root
        "--conf-file=/dev/null",
        "--pid-file=",
        "--no-resolv",
        "--no-hosts",
        "--no-poll",
        f"--address=/#/{ANSWER_ADDRESS}",
    ]
    return [program, *options], (53,), (53,)


def _unbound(program: str, _host: Host, folder: Path) -> Command:
    config = folder / "unbound.conf"
    config.write_text(
        "server:\n"
        "  interface: 0.0.0.0\n"
        "  interface-automatic: yes\n"  # reply from the address that was queried
        "  access-control: 0.0.0.0/0 allow\n"
        '  username: ""\n  chroot: ""\n  pidfile: ""\n'
        f'  directory: "{folder}"\n'
        "  use-syslog: no\n  do-ip6: no\n  do-daemonize: no\n  num-threads: 1\n"
        '  module-config: "iterator"\n'
        '  local-zone: "." redirect\n'
        f'  local-data: ". 60 IN A {ANSWER_ADDRESS}"\n'
        "remote-control:\n  control-enable: no\n"
    )
    return [program, "-d", "-c", str(config)], (53,), (53,)


def _chronyd(program: str, _host: Host, folder: Path) -> Command:
    config = folder / "chrony.conf"
    config.write_text(
        f"local stratum 2\nallow all\ncmdport 0\nbindcmdaddress /\nuser root\npidfile {folder}/chronyd.pid\n"
    )
    return [program, "-d", "-x", "-f", str(config)], (123,), ()  # -x: do not adjust the system clock


def _nginx(program: str, host: Host, folder: Path) -> Command:
    ports = nginx_ports(host)
    config = folder / "nginx.conf"
    temporary = "".join(
        f"  {kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    listens = "".join(f"    listen 0.0.0.0:{port};\n" for port in ports)
    server = f"  server {{\n{listens}    return 200 'a host of the lab\\n';\n  }}\n"
    config.write_text(
        f"daemon off;\nmaster_process off;\nuser root;\npid {folder}/nginx.pid;\nerror_log stderr;\n"
        "events { worker_connections 256; }\n"
        f"http {{\n  access_log off;\n{temporary}{server}}}\n"
    )
    return [program, "-p", str(folder), "-e", "stderr", "-c", str(config)], (), tuple(ports)


def _sshd(program: str, _host: Host, folder: Path) -> Command:
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd's privilege separation directory; /run belongs to the lab
    key = folder / "host_key"
    made = subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        raise LivenessError(f"the lab cannot make a key for sshd: ssh-keygen: {' '.join(made.stderr.split())}")
    options = [f"HostKey={key}", "PidFile=none", "ListenAddress=0.0.0.0", "UsePAM=no"]
    arguments = [program, "-D", "-e", "-f", "/dev/null"]
    for option in options:
        arguments += ["-o", option]
    return arguments, (), (22,)


COMMANDS: dict[Daemon, Callable[[str, Host, Path], Command]] = {
    Daemon.DNSMASQ: _dnsmasq,
    Daemon.UNBOUND: _unbound,
    Daemon.CHRONYD: _chronyd,
    Daemon.NGINX: _nginx,
    Daemon.SSHD: _sshd,
}


def _bound(protocol: str, ports: tuple[int, ...]) -> bool:
    """Return whether all ports have a socket in the current namespace (/proc/net format: address:port in hex)."""
    found = set()
    for line in Path(f"/proc/thread-self/net/{protocol}").read_text().splitlines()[1:]:
        fields = line.split()
        if protocol == "udp" or fields[3] == TCP_LISTEN:
            found.add(int(fields[1].rpartition(":")[2], 16))
    return set(ports) <= found


def _environment() -> dict[str, str]:
    """Return the environment of a daemon: PATH alone, nothing else of the user's environment."""
    return {"PATH": os.environ.get("PATH", os.defpath)}
