"""Times the probe in the healthy lab beside curl and dig at the same work, in turn, so that noise hits both."""

import os
import statistics

from labkit import hostview, native
from labkit.lab import CACHE, Lab
from labkit.scenario import load


def run(binary, runs):
    """Prints medians and ratios of interleaved runs."""
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
    return 0


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
