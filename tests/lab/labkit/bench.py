"""Times the probe in the healthy lab beside curl and dig doing the same work, in turn, so that noise hits both alike."""

import os
import statistics
import time

from labkit import hostview
from labkit.lab import Lab
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
    print(f"{'ratio ours / reference':24}{ours[0] / peer[0]:>10.2f}{ours[1] / peer[1]:>10.2f}{ours[2] / peer[2]:>14.2f}")
    return 0


def _reference(scenario):
    """One curl for all (name, address) pairs at once, after one dig for all names."""
    zone = scenario.zone()
    pairs = [(host, address) for host, answer in zone.items() for address in answer]
    requests = " --next ".join(f"-s -o /dev/null --connect-to ::{address}:443 https://{host}/" for host, address in pairs)
    return f"dig +short {' '.join(zone)} >/dev/null; exec curl -Z --parallel-immediate --parallel-max 50 {requests}"


def _measure(lab, command, binary):
    """Wall time, CPU time and peak memory of one run. The shell's start is in the reference's numbers: ~1 ms."""
    started = time.monotonic()
    child = lab.popen(command, binary)
    _, status, usage = os.wait4(child.pid, 0)
    wall = (time.monotonic() - started) * 1000
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"bench: {command[0]} ended with {child.returncode}")
    return wall, (usage.ru_utime + usage.ru_stime) * 1000, usage.ru_maxrss / 1024
