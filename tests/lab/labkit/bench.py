"""What a healthy round costs: beside curl and dig at the same work, and with the path MTU measured beside without.

All contestants take turns, so that noise hits them alike. What goes over the wire is counted by a router on the path.
"""

import dataclasses
import json
import math
import os
import statistics

from labkit import hostview, native
from labkit.lab import CACHE, Lab
from labkit.scenario import load

MODES = ("off", "full")
# Scenarios without latency, with the bytes that one address may cost more on the wire, out and in together.
WIRE_BYTES = {"mtu-ok-1500": 3_000, "mtu-ok": 11_000}
# Two that differ in their round trip alone, in milliseconds: what the longer one costs more is not this machine's time.
ROUND_TRIP_MS = {"mtu-ok-rtt20": 20, "mtu-ok-rtt80": 80}
# Round trips come whole: half a one is noise.
MOST_ROUND_TRIPS, NOISE = 1, 0.5
MOST_CPU = 1.10
FAR_RUNS = 7

# A SYN is a connection; the router's own ICMP is not on the way to be forwarded.
COUNTERS = """
table inet cost {
  counter connections { }
  counter out { }
  counter in { }
  chain forward {
    type filter hook forward priority 10;
    tcp dport 443 tcp flags & (syn | ack) == syn counter name connections
    iifname "inner" tcp dport 443 counter name out
    iifname "narrow" tcp sport 443 counter name in
  }
}
"""


def run(binary, runs, cpu_runs):
    """Prints both comparisons; 1 where a measurement of the path MTU costs more than it may."""
    _beside_curl(binary, runs)
    lines = [_mtu_cost(binary, name, cpu_runs) for name in WIRE_BYTES]
    lines += [_mtu_cost(binary, name, FAR_RUNS) for name in ROUND_TRIP_MS]
    return int(_tell_costs(lines))


def _beside_curl(binary, runs):
    lab = Lab(f"b{os.getpid()}")
    try:
        lab.up(load("healthy"))
        contestants = {
            "vpce-probe once": lab.probe_command("once", "--format", "json"),
            "curl -Z + dig": ["sh", "-c", _reference(lab.scenario)],
            "vpce-probe --version": [hostview.PROBE, "--version"],
        }
        samples = {name: [] for name in contestants}
        for _ in range(runs):
            for name, command in contestants.items():
                samples[name].append(_measure(lab, command, binary))
    finally:
        lab.down()
    medians = {name: [statistics.median(column) for column in zip(*rows)] for name, rows in samples.items()}
    print(f"{'median of ' + str(runs):24}{'wall ms':>10}{'CPU ms':>10}{'peak RSS MB':>14}")
    for name, (wall, cpu, memory) in medians.items():
        print(f"{name:24}{wall:>10.1f}{cpu:>10.1f}{memory:>14.1f}")
    ours, peer = medians["vpce-probe once"], medians["curl -Z + dig"]
    print(
        f"{'ratio ours / reference':24}{ours[0] / peer[0]:>10.2f}{ours[1] / peer[1]:>10.2f}{ours[2] / peer[2]:>14.2f}"
    )


def _reference(scenario):
    """One curl for all (name, address) pairs at once, after one dig for all names."""
    zone = scenario.zone()
    pairs = [(host, address) for host, answer in zone.items() for address in answer]
    requests = " --next ".join(
        f"-s -o /dev/null --connect-to ::{address}:443 https://{host}/" for host, address in pairs
    )
    return f"dig +short {' '.join(zone)} >/dev/null; exec curl -Z --parallel-immediate --parallel-max 50 {requests}"


def _measure(lab, command, binary):
    """Wall and CPU milliseconds and peak memory in MB of one run."""
    done = lab.popen([str(native.measure(CACHE)), *command], binary)
    wall, cpu, memory, code = map(int, done.communicate()[0].split())
    if code:
        raise SystemExit(f"bench: {command[0]} ended with {code}")
    return wall / 1000, cpu / 1000, memory / 1024


@dataclasses.dataclass
class Sample:
    """One round; what went over the wire is that of one address."""

    wall_ms: float
    cpu_ms: float
    memory_mb: float
    connections: float
    packets: float
    bytes: float


@dataclasses.dataclass
class Cost:
    """What `full` costs more than `off` in one scenario."""

    name: str
    runs: int
    off: Sample
    full: Sample
    # Of the fastest rounds: whatever else a machine does, it only makes a round longer.
    later_ms: float
    # The median of all pairs' ratios, and below what it lies hardly ever (2.5 %).
    cpu_ratio: float
    cpu_at_least: float

    def broken_bounds(self):
        """What costs more than it may, in words."""
        found = []
        if self.full.connections != self.off.connections:
            found.append(f"{self.full.connections:g} connections an address, not {self.off.connections:g}")
        if (most := WIRE_BYTES.get(self.name)) and self.full.bytes - self.off.bytes > most:
            found.append(f"{self.full.bytes - self.off.bytes:.0f} bytes more an address, not at most {most}")
        if self.name in WIRE_BYTES and self.cpu_at_least > MOST_CPU:
            found.append(f"CPU at least {self.cpu_at_least:.2f} times as much, not at most {MOST_CPU:.2f}")
        return [f"{self.name}: {line}" for line in found]


def _mtu_cost(binary, name, runs):
    """Rounds of one scenario with the measurement and without, in turn."""
    lab, samples = Lab(f"b{os.getpid()}"), {mode: [] for mode in MODES}
    try:
        lab.up(load(name))
        loaded = lab.run_inside("r1", ["sh", "-c", f"nft -f - <<'END'\n{COUNTERS}END"])
        if loaded.returncode:
            raise SystemExit(f"bench: the router does not count: {loaded.stderr}")
        for mode in MODES:
            (lab.state / f"{mode}.toml").write_text(f'[mtu]\nmode = "{mode}"\n')
        for mode in MODES:
            _round(lab, binary, mode)  # the first one of each finds caches cold
        for _ in range(runs):
            for mode in MODES:
                samples[mode].append(_round(lab, binary, mode))
    finally:
        lab.down()
    ratios = sorted(full.cpu_ms / off.cpu_ms for off, full in zip(*samples.values()))
    # The median's confidence interval by ranks: half of the pairs lie below it, give or take two standard deviations.
    rank = max(0, math.floor(runs / 2 - 0.98 * math.sqrt(runs)))
    off, full = (_median(samples[mode]) for mode in MODES)
    later_ms = min(one.wall_ms for one in samples["full"]) - min(one.wall_ms for one in samples["off"])
    return Cost(name, runs, off, full, later_ms, statistics.median(ratios), ratios[rank])


def _round(lab, binary, mode):
    _counted(lab)
    config = ["--config", f"{lab.state}/{mode}.toml"]
    spent = _measure(lab, [*lab.probe_command("once", "--format", "json"), *config], binary)
    counted, addresses = _counted(lab), len(lab.scenario.addresses())
    both = [counted["out"][unit] + counted["in"][unit] for unit in ("packets", "bytes")]
    return Sample(*spent, *(count / addresses for count in (counted["connections"]["packets"], *both)))


def _counted(lab):
    """What the router counted since it was asked last."""
    done = lab.run_inside("r1", ["nft", "-j", "reset", "counters", "table", "inet", "cost"])
    entries = json.loads(done.stdout)["nftables"]
    return {entry["counter"]["name"]: entry["counter"] for entry in entries if "counter" in entry}


def _median(samples):
    return Sample(*(statistics.median(column) for column in zip(*map(dataclasses.astuple, samples))))


def _tell_costs(costs):
    """Prints them as one table; whether a bound is broken."""
    print("\nThe path MTU measured (full) beside not measured (off); connections, packets and bytes are an address's.")
    print(
        f"{'scenario':14}{'mode':>5}{'connections':>12}{'packets':>9}{'bytes':>8}{'wall ms':>9}{'CPU ms':>8}{'RSS MB':>8}"
    )
    for cost in costs:
        for mode, sample in (("off", cost.off), ("full", cost.full)):
            print(
                f"{cost.name:14}{mode:>5}{sample.connections:>12g}{sample.packets:>9.1f}{sample.bytes:>8.0f}"
                f"{sample.wall_ms:>9.1f}{sample.cpu_ms:>8.1f}{sample.memory_mb:>8.1f}"
            )
        print(
            f"{'':14} more: {cost.full.connections - cost.off.connections:g} connections, "
            f"{cost.full.packets - cost.off.packets:.1f} packets, {cost.full.bytes - cost.off.bytes:.0f} bytes, {cost.later_ms:.1f} ms; "
            f"CPU ×{cost.cpu_ratio:.2f} (at least {cost.cpu_at_least:.2f}; {cost.runs} pairs)"
        )
    broken = [line for cost in costs for line in cost.broken_bounds()]
    near, far = (cost for cost in costs if cost.name in ROUND_TRIP_MS)
    trips = (far.later_ms - near.later_ms) / (ROUND_TRIP_MS[far.name] - ROUND_TRIP_MS[near.name])
    print(f"{trips:.2f} round trips more: from {near.name} to {far.name}")
    if trips > MOST_ROUND_TRIPS + NOISE:
        broken.append(f"{trips:.2f} round trips more, not at most {MOST_ROUND_TRIPS}")
    for line in broken:
        print(f"TOO MUCH: {line}")
    return bool(broken)
