"""Faults as packet filters: security groups at the ENIs, NACL and loss in the fabric, a firewall on the host itself."""

import ipaddress

from labkit import netns

# How a guarded address treats packets; `aws` servers stand behind it, unreachable.
VERDICTS = {
    "drop": "drop",
    "reject": "reject with tcp reset",
    "unreachable": "reject with icmpx type host-unreachable",
    "prohibited": "reject with icmpx type admin-prohibited",
}


def family(address):
    """`ip` or `ip6`, as nft spells it, of an address or a network."""
    return "ip6" if ipaddress.ip_network(address, strict=False).version == 6 else "ip"


def guard_endpoints(namespace, guarded):
    """Security groups: `guarded` maps addresses to one of VERDICTS. The counters are the witness."""
    rules = [f"{family(a)} daddr {a} tcp dport 443 counter {VERDICTS[verdict]}" for a, verdict in guarded.items()]
    # `input`, because only there may nft answer with a reject.
    _load(namespace, "inet", "security_group", "input", rules)


def filter_fabric(namespace, egress_drop, loss_percent):
    """What the own subnet's NACL or the host's security group drops, and random loss in both directions."""
    rules = [f'iifname "port0" {family(n)} daddr {n} tcp dport 443 counter drop' for n in egress_drop]
    if loss_percent:
        rules.append(f"numgen random mod 100 < {loss_percent} counter drop")
    _load(namespace, "bridge", "nacl", "prerouting", rules)
    if loss_percent:  # what the fabric itself sends to the host or forwards to it enters the bridge from above
        _load(namespace, "bridge", "nacl_out", "output", [f"numgen random mod 100 < {loss_percent} counter drop"])


def filter_host(namespace, rules):
    """The instance's own firewall: nft rules for its output."""
    _load(namespace, "inet", "host_firewall", "output", rules)


def _load(namespace, kind, table, hook, rules):
    if not rules:
        return
    body = "\n    ".join(rules)
    text = (
        f"table {kind} {table} {{\n  chain {hook} {{\n    type filter hook {hook} priority 0;\n    {body}\n  }}\n}}\n"
    )
    netns.run("ip", "netns", "exec", namespace, "nft", "-f", "-", stdin=text)
