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

# The first segment of a ClientHello, behind the 32 bytes of TCP header that every segment with a timestamp has: a TLS
# record of type handshake whose message is a ClientHello; its length stands in bytes 3 and 4.
HELLO, RECORD_LENGTH, RECORD_HEADER = "tcp doff 8 @th,256,16 0x1603 @th,296,8 1", "@th,280,16", 5
# A segment's payload by the length that its IP header tells.
IP_LENGTH = {"ip": ("ip length", 52), "ip6": ("ip6 length", 32)}
# nft does not subtract: a hello is split where its segment holds at most one of these, and the record is longer.
ROOMS = (524, 1000, 1428, 1448)
HELLO_VERDICTS = {
    "drop": "counter drop",
    "reset": "counter reject with tcp reset",
    # What follows carries the same acknowledgement, as the server has not spoken yet.
    "drop-second": "add @halves { tcp sport . tcp ackseq } counter accept",
}


def family(address):
    """`ip` or `ip6`, as nft spells it, of an address or a network."""
    return "ip6" if ipaddress.ip_network(address, strict=False).version == 6 else "ip"


def guard_endpoints(namespace, guarded):
    """Security groups: `guarded` maps addresses to one of VERDICTS. The counters are the witness."""
    rules = [f"{family(a)} daddr {a} tcp dport 443 counter {VERDICTS[verdict]}" for a, verdict in guarded.items()]
    # `input`, because only there may nft answer with a reject.
    _load(namespace, "inet", "security_group", "input", rules)


def inspect_hellos(host, world, hello, over, to):
    """A firewall that mishandles ClientHellos which come in several segments, or those of more than `over` bytes."""
    if not hello:
        return
    rules = []
    for network in to or ["0.0.0.0/0", "::/0"]:
        start, (length, headers) = f"{family(network)} daddr {network} tcp dport 443", IP_LENGTH[family(network)]
        sizes = [f"{RECORD_LENGTH} > {room - RECORD_HEADER} {length} <= {room + headers}" for room in ROOMS]
        if over:
            sizes = [f"{RECORD_LENGTH} > {over - RECORD_HEADER}"]
        if hello == "drop-second":
            rules.append(f"{start} {length} > {headers} tcp sport . tcp ackseq @halves counter drop")
        rules += [f"{start} {HELLO} {size} {HELLO_VERDICTS[hello]}" for size in sizes]
    # A driver's promise to segment later would pass as one large packet.
    netns.run("ip", "netns", "exec", host, "ethtool", "-K", "eth0", "tso", "off", "gso", "off")
    halves = ["set halves { typeof tcp sport . tcp ackseq; flags dynamic; timeout 1m; }"] * (hello == "drop-second")
    _load(world, "inet", "inspection", "input", rules, *halves)


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


def _load(namespace, kind, table, hook, rules, *sets):
    if not rules:
        return
    chain = "\n    ".join([f"type filter hook {hook} priority 0;", *rules])
    body = "\n  ".join([*sets, f"chain {hook} {{\n    {chain}\n  }}"])
    text = f"table {kind} {table} {{\n  {body}\n}}\n"
    netns.run("ip", "netns", "exec", namespace, "nft", "-f", "-", stdin=text)
