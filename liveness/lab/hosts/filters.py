"""Packet filters of the lab: rules of a lab file as nft rule sets, loaded into a namespace."""

import subprocess

from liveness.errors import LivenessError
from liveness.lab.hosts.document import REDIRECT_PORT, REJECT_CODES, Action, Host, Rule
from liveness.lab.services.behaviours import Behaviour


def host_ruleset(host: Host) -> str:
    """Return the filter of the host itself, in the input path: refusals are sent from the probed address."""
    chains = [_chain("input", "type filter hook input priority 0; policy accept;", host, host.rules)]
    if host.redirects:
        # The NAT hook runs before the filter hook. A packet that an earlier rule decides about must reach the filter
        # unchanged, and a packet that was redirected has already been decided about.
        chains.append(_chain("prerouting", "type nat hook prerouting priority -100; policy accept;", host, host.rules))
    return _table(chains + _port_chains(host))


def firewall_ruleset(host: Host) -> str:
    """Return the filter of the router before the host, in the forward path: refusals are sent from the router."""
    return _table([_chain("forward", "type filter hook forward priority 0; policy accept;", host, host.firewall)])


def load_ruleset(nft: str, ruleset: str, name: str) -> None:
    """Load a rule set into the current namespace. Raises LivenessError with the message of nft."""
    done = subprocess.run([nft, "-f", "-"], input=ruleset, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = " ".join(done.stderr.split())
        raise LivenessError(f"the lab's network {name!r}: {nft} refuses its rules: {reason}")


def _table(chains: list[str]) -> str:
    return "table ip lab {\n" + "".join(chains) + "}\n"


def _chain(name: str, hook: str, host: Host, rules: list[Rule]) -> str:
    nat = name == "prerouting"
    if not nat:  # the nat chain does the redirects
        rules = [rule for rule in rules if rule.do is not Action.REDIRECT]
    lines = [hook]
    if host.redirects and not nat:
        lines.append("ct status dnat accept")
    lines += [f"{_matching(host, rule)} {_verdict(rule.do, nat=nat)}" for rule in rules]
    return f"  chain {name} {{\n" + "".join(f"    {line}\n" for line in lines) + "  }\n"


def _port_chains(host: Host) -> list[str]:
    """Return the chains that give ports their behaviour after the handshake.

    A port that ignores the handshake gets nothing but SYNs, so that the kernel repeats its SYN-ACK. One that swallows
    data completes the handshake, and nothing but its SYN-ACK leaves.
    """
    ends = {
        Behaviour.IGNORES: ("input", "dport", "tcp flags & syn == 0 drop"),
        Behaviour.SWALLOWS: ("output", "sport", "tcp flags & syn == 0 drop"),
        Behaviour.ZERO_WINDOW: ("output", "sport", "tcp flags & syn == syn tcp window set 0"),
    }
    lines: dict[str, list[str]] = {}
    for port, behaviour in host.filtered_ports.items():
        hook, end, does = ends[behaviour]
        lines.setdefault(hook, []).append(f"    tcp {end} {port} {does}\n")
    return [
        f"  chain ports_{hook} {{\n    type filter hook {hook} priority -150; policy accept;\n{''.join(rules)}  }}\n"
        for hook, rules in lines.items()
    ]


def _matching(host: Host, rule: Rule) -> str:
    blocks = host.blocks if rule.block is None else [rule.block]
    to = f"ip daddr {{ {', '.join(str(block) for block in blocks)} }}"
    if rule.protocol is None:
        return to
    if rule.port is None:
        return f"{to} ip protocol {rule.protocol}"
    return f"{to} {rule.protocol} dport {rule.port}"


def _verdict(action: Action, *, nat: bool) -> str:
    if action is Action.REDIRECT:
        return f"redirect to :{REDIRECT_PORT}"
    if nat or action is Action.ACCEPT:
        return "accept"
    if action is Action.DROP:
        return "drop"
    if action is Action.TCP_RESET:
        return "reject with tcp reset"
    assert action in REJECT_CODES, action  # noqa: S101 - every action is one of the above
    return f"reject with icmp type {action}"
