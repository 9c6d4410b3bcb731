"""Hosts as the contract describes them, reduced to what they send and when: entries of the bench's ledger.

A round every interval, at the host's own phase. While a host is not healthy, Problems and InstanceHealthy go at once; all
else goes every flush interval, at another phase. What could not be sent: newest first, then backfill.
"""

import dataclasses
import random
import typing

INTERVAL, FLUSH = 60, 300
NAMESPACE, VPC = "VpceProbe", "vpc-0123456789abcdef0"
TARGETS = ("ssm", "ssmmessages", "s3", "ec2messages", "logs", "monitoring")
INTERFACES = 3


def never(_):
    """No moment."""
    return False


def between(start, end):
    """Whether a moment lies from start to before end."""
    return lambda moment: start <= moment < end


@dataclasses.dataclass
class Host:
    """One host; each function takes a moment, in seconds from the beginning of the scenario."""

    name: str
    phase: float
    flush_phase: float
    sick: typing.Callable = never
    silent: typing.Callable = never
    dead_interface: typing.Callable = never
    lossy: typing.Callable = never
    doubled: typing.Callable = never
    expiring: typing.Callable = never


def fleet(count, chance):
    """Hosts of random phases."""
    return [Host(f"i-{n:017x}", chance.uniform(0, INTERVAL), chance.uniform(0, FLUSH)) for n in range(count)]


def ledger(hosts, begin, length, chance, cut=never):
    """What CloudWatch receives, in order. `cut`: when it is out of everybody's reach."""
    entries = [entry for host in hosts for entry in _entries(host, begin, length, chance, cut)]
    return sorted(entries, key=lambda entry: entry["time"])


def _entries(host, begin, length, chance, cut):
    # What waits: (tick, datums). What happens: rounds and attempts to send, by time.
    waiting, sent, recovered = [], [], None
    flushes = [host.flush_phase + n * FLUSH for n in range(int(length // FLUSH) + 1)]
    ticks = [host.phase + n * INTERVAL for n in range(int(length // INTERVAL) + 1)]
    agenda = sorted([(at + 1, "round", at) for at in ticks] + [(at, "flush", None) for at in flushes], key=lambda e: e[0])
    failures = 0
    while agenda:
        now, what, tick = agenda.pop(0)
        if host.silent(now):
            # Off: what waits is on its disk.
            continue
        if what == "round":
            sick = host.sick(tick) or host.dead_interface(tick)
            if sick:
                recovered = None
            elif recovered is None and _was_sick(host, tick):
                recovered = tick
            lately = recovered is not None and tick - recovered < 900
            urgent, scheduled = _datums(host, begin + tick, tick, sick, lately)
            waiting.append((tick, scheduled))
            if not sick and tick != recovered:
                waiting.append((tick, urgent))
                continue
            if cut(now):
                waiting.append((tick, urgent))
                failures += 1
                agenda.append((now + chance.uniform(0, min(300, 2.0**failures)), "flush", None))
                agenda.sort(key=lambda e: e[0])
                continue
            sent += _request(host, begin, now, [urgent])
            continue
        if cut(now):
            failures += 1
            agenda.append((now + chance.uniform(0, min(300, 2.0**failures)), "flush", None))
            agenda.sort(key=lambda e: e[0])
            continue
        failures = 0
        newest = [datums for at, datums in waiting if what == "flush" and at > now - FLUSH - INTERVAL]
        older = [pair for pair in waiting if pair[0] <= now - FLUSH - INTERVAL]
        if what == "backfill":
            newest, older, kept = [datums for _, datums in older[-25:]], older[:-25], [p for p in waiting if p not in older]
            waiting = older + kept
        else:
            waiting = older
        if newest:
            sent += _request(host, begin, now, newest)
        if older and not any(event == "backfill" for _, event, _ in agenda):
            agenda.append((now + chance.uniform(45, 135), "backfill", None))
            agenda.sort(key=lambda e: e[0])
    return sent


def _was_sick(host, tick):
    """Whether the round before was not healthy."""
    return host.sick(tick - INTERVAL) or host.dead_interface(tick - INTERVAL)


def _request(host, begin, now, parts):
    datums = [datum for part in parts for datum in part]
    entry = {"time": begin + now + 0.2, "outcome": "accepted", "namespace": NAMESPACE, "datums": datums}
    if not datums:
        return []
    again = [entry | {"time": entry["time"] + _delay_of_the_double(host, now)}] if host.doubled(now) else []
    return [entry, *again]


def _delay_of_the_double(host, now):
    """When a request whose reply was lost comes again, in seconds after it."""
    return random.Random(f"{host.name} {now}").uniform(5, 90)


def _datums(host, moment, tick, sick, lately):
    def datum(metric, values, **dimensions):
        return {"metric": metric, "dimensions": dimensions, "timestamp": moment, "values": values, "counts": None}

    dead = host.dead_interface(tick)
    failed = host.sick(tick)
    scheduled = [
        datum("Healthy", [0 if failed else 1], VpcId=VPC),
        datum("Delivered", [0], VpcId=VPC),
        datum("Lost", [40 if host.lossy(tick) else 0], VpcId=VPC),
    ]
    for target in TARGETS:
        broken = failed and target == "ssm"
        alive = 0 if broken else INTERFACES - 1 if dead and target == "ssm" else INTERFACES
        scheduled.append(datum("Success", [0 if broken else 1], VpcId=VPC, Target=target))
        scheduled.append(datum("AddressSuccess", [1] * alive + [0] * (INTERFACES - alive), VpcId=VPC, Target=target))
        if alive:
            scheduled.append(datum("CertificateDaysLeft", [13 if host.expiring(tick) else 200] * alive, VpcId=VPC, Target=target))
            scheduled.append(datum("HandshakeTime", [12.5] * alive, VpcId=VPC, Target=target))
    counts = {"failure": 3 if failed else 1 if dead else 0, "warning": 1 if dead else 0, "note": 0}
    urgent = [datum("Problems", [count], VpcId=VPC, Severity=severity) for severity, count in counts.items()]
    if sick:
        urgent.append(datum("Problems", [counts["failure"]], VpcId=VPC, Cause="tcp-timeout"))
        urgent.append(datum("InstanceHealthy", [0], InstanceId=host.name))
    elif lately:
        urgent.append(datum("InstanceHealthy", [1], InstanceId=host.name))
    return urgent, scheduled
