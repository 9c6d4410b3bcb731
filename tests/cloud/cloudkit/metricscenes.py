"""Scenes of the metrics themselves: what `check` lists and what alarms read is what is put; what is put can be read back."""

import collections
import datetime
import json
import pathlib
import re
import subprocess
import sys
import time
import typing

from cloudkit.bench import INTERVAL, SceneFailed, until
from cloudkit.scenes import announced, await_ticks, caught_up, past_the_start, same, scene, settle

ALARMS = pathlib.Path(__file__).resolve().parents[1] / "alarms" / "alarms.py"
VPC = "vpc-0123456789abcdef0"
EVERYTHING = """detail = "instance"
fixed_dimensions = { Team = "core", "Cost Center" = "7" }
extra_dimension_sets = [["AvailabilityZoneId", "Target"]]"""
# PathMtuOut is put in rounds that measured it.
EACH_ROUND = "[mtu]\nrepeat_every = 1"
# The alarm on failures wants three minutes of five.
FAILING_SECONDS = 135
# So long the host was healthy before, in the replay.
BEFORE_SECONDS = 2400
# Which alarms read something that a healthy host does not put, and when it is put.
ONLY_IN_TROUBLE = {"sick-hosts": "failing", "lost-data": "losing"}


class Listed(typing.NamedTuple):
    """A line of `check`'s list of series."""

    count: int
    dimensions: frozenset
    metrics: frozenset
    is_steady: bool


@scene(230, top=EACH_ROUND)
def alarms_read_what_is_put(stage):
    """Healthy, failing for minutes, recovered, a loss: the default template reads all of it, and says the right things."""
    phases, said = _through_all_states(stage, FAILING_SECONDS)
    replayed = _replayed(stage, phases)
    entries = stage.books().entries
    begin, recovery, end = phases["failing"][1], phases["recovered"][1], entries[-1]["time"]
    # Alarm → when it must fire, once, and how it ends. With this config most look at minutes. Whether one that keeps its
    # state in silence clears within the seconds that are recorded after the recovery depends on where the minutes begin;
    # that it clears is for `alarms.py play` to hold.
    expected = {
        "failures": (begin + 60, recovery + 60, "OK|ALARM"),
        "sick-hosts": (begin + 60, recovery + 60, "OK|ALARM"),
        "healthy-hosts": (begin, recovery + 60, "OK|ALARM"),
        "interfaces-ssm": (begin, recovery + 60, "INSUFFICIENT_DATA"),
        "lost-data": (phases["losing"][1], end + 60, "OK"),
        "silent-hosts": (end + 600, end + 17 * 60, "ALARM"),
    }
    # What was before the recording is not judged.
    since_then = {name: [change for change in every if change[0] > entries[0]["time"]] for name, every in replayed.items()}
    for name, (earliest, latest, ends) in expected.items():
        states = since_then[name]
        fired = [moment for moment, state in states if state == "ALARM"]
        if len(fired) != 1 or not earliest <= fired[0] <= latest or states[0][1] != "ALARM" or states[-1][1] not in ends.split("|"):
            raise SceneFailed(f"{name} did not fire once from {earliest:.0f} to {latest:.0f} and end {ends}: {states}")
    silent = since_then["silent-hosts"][0][0]
    fired = sorted(name for name, states in since_then.items() if "ALARM" in [state for _, state in states])
    same("alarms that fired", fired, sorted(expected))
    said |= {"fired in replay": f"{' '.join(fired)}; silence told after {(silent - end) / 60:.0f} min"}
    return _settled(stage, said)


@scene(120, top=EACH_ROUND, more=EVERYTHING)
def alarms_by_every_setting(stage):
    """Alarms read what is put, also with fixed dimensions, further sets and a series for each host."""
    _, said = _through_all_states(stage, 0)
    return _settled(stage, said)


@scene(90, top=EACH_ROUND)
def check_lists_what_is_put(stage):
    """Every series that `check` lists as steady is put by a healthy host, and nothing else."""
    stage.daemon.start()
    await_ticks(stage, 3)
    said = _checked(stage)
    same("in trouble", {one for one in _groups(stage) if one[0] in ("InstanceHealthy", "Delivered", "Lost")}, set())
    return settle(stage, said)


@scene(90)
def read_back_through_boto3(stage):
    """Sample counts are addresses and rounds, statistics those that were put, timestamps the ticks of the grid."""
    stage.daemon.start()
    await_ticks(stage, 4)
    code, _ = stage.daemon.stop()
    same("exit code", code, 0)
    ticks = stage.books().ticks()
    sent = collections.defaultdict(list)
    for entry in stage.books().entries:
        for datum in entry["datums"]:
            for value, count in zip(datum["values"], datum["counts"], strict=True):
                sent[datum["metric"], datum["dimensions"].get("Target")] += [value] * int(count)
    read = stage.ask_moto(lambda client: _statistics(client, ticks, sorted(stage.scenario.names)))
    same("seconds at which Healthy stands", read["seconds"], [int(tick) for tick in ticks])
    same("distances of the ticks", {round(b - a, 3) for a, b in zip(ticks, ticks[1:])}, {float(INTERVAL)})
    same("hosts, summed over the rounds", read["Healthy"], [len(ticks), 1.0, 1.0, 1.0])
    for target, addresses in stage.scenario.names.items():
        for metric in ("ConnectTime", "HandshakeTime", "AddressSuccess"):
            values = sent[metric, target]
            same(f"values of {metric} of {target} that were put", len(values), len(ticks) * len(addresses))
            wanted = [len(values), min(values), max(values), sum(values) / len(values)]
            found = read[f"{metric} {target}"]
            if any(abs(a - b) > 1e-6 * max(1.0, abs(b)) for a, b in zip(found, wanted, strict=True)):
                raise SceneFailed(f"{metric} of {target} reads {found}, not {wanted}")
    return settle(stage, f"{sum(map(len, sent.values()))} values in {len(ticks)} rounds")


# -- what they share --


def _settled(stage, said):
    """Closes the books; what the scene has to say goes along."""
    lost = stage.daemon.shipping().get("lost", 0)
    return settle(stage, *(f"{key} {value}" for key, value in said.items()), lost=lost)


def _through_all_states(stage, failing_seconds):
    """Healthy, ssm failing and meanwhile an outage, recovered, datums refused. Then alarms and `check` against what was put.

    Returns where in the ledger each phase begins, and when, and what is to be said.
    """
    daemon = stage.daemon.start()
    phases = {"healthy": (0, time.time())}

    def begin(phase):
        phases[phase] = (len(stage.books().entries), time.time())

    past_the_start(stage)
    begin("failing")
    before, ends = len(daemon.log()), time.monotonic() + failing_seconds
    stage.silence(*stage.addresses_of("ssm"))
    until(lambda: announced(daemon.log()[before:], "ssm"), INTERVAL + 20, "the failure of ssm announced")
    # What waits for longer than three flushes comes late, and Delivered counts it.
    stage.cloudwatch(mode="500")
    until(lambda: daemon.shipping().get("spooled", 0) >= 3, 5 * INTERVAL, "three rounds wait")
    stage.cloudwatch(heal=True)
    until(lambda: "Delivered" in stage.books().series(), 6 * INTERVAL, "Delivered at CloudWatch")
    time.sleep(max(0.0, ends - time.monotonic()))
    begin("recovered")
    before = len(daemon.log())
    stage.silence()
    until(lambda: announced(daemon.log()[before:], "ssm"), INTERVAL + 20, "the recovery of ssm announced")
    await_ticks(stage, len(stage.books().ticks()) + 1)
    begin("losing")
    stage.cloudwatch(poison="ResolveTime")
    until(lambda: daemon.shipping().get("lost", 0), 3 * INTERVAL, "datums lost")
    stage.cloudwatch(heal=True)
    until(lambda: "Lost" in stage.books().series(), 3 * INTERVAL, "Lost at CloudWatch")
    caught_up(stage)
    return phases, {"": _alarms(stage, phases), "check:": _checked(stage)}


def _alarms(stage, phases):
    """Holds the template against the ledger, and says which alarms need more than a healthy host puts."""
    done = stage.command("alarms", "--expected-hosts", "1")
    same("exit code of alarms", (done.returncode, done.stderr), (0, ""))
    (stage.state / "alarms.json").write_text(done.stdout)
    begins = [f"{name}={line}" for name, (line, _) in phases.items()]
    needs = json.loads(_reader(stage, stage.books().entries, "series", *(word for begin in begins for word in ("--phase", begin)), "--json"))
    late = {name: phase for name, phase in needs["alarms"].items() if phase != "healthy"}
    same("alarms that read what a healthy host does not put", late, ONLY_IN_TROUBLE)
    return f"{len(needs['alarms'])} alarms read {needs['series']} series; {', '.join(f'{n} while {p}' for n, p in late.items())}"


def _replayed(stage, phases):
    """What each alarm says to the ledger: [(moment, state)].

    An alarm looks at half an hour, a scene lasts for minutes. So the healthy rounds that were recorded first are put before
    the recording, again and again.
    """
    entries = stage.books().entries
    healthy = entries[: phases["failing"][0]]
    length = INTERVAL * len({d["timestamp"] for e in healthy for d in e["datums"] if d["metric"] == "Healthy"})
    before = [_earlier(entry, length * number) for number in range(BEFORE_SECONDS // length, 0, -1) for entry in healthy]
    states = collections.defaultdict(list)
    for line in _reader(stage, before + entries, "replay").splitlines():
        moment, name, state = line.split(" ", 2)
        states[name].append((int(moment), state))
    return states


def _earlier(entry, seconds):
    datums = [datum | {"timestamp": datum["timestamp"] - seconds} for datum in entry["datums"]]
    return entry | {"time": entry["time"] - seconds, "datums": datums}


def _reader(stage, entries, verb, *words):
    # A copy: the daemon goes on meanwhile.
    ledger = stage.state / "read.jsonl"
    ledger.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    command = [sys.executable, str(ALARMS), verb, "--ledger", str(ledger), "--parameter", f"VpcId={VPC}"]
    command += ["--parameter", "AlarmOnWarnings=yes", *words, str(stage.state / "alarms.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode:
        raise SceneFailed(f"alarms.py {verb}: {done.stderr[-1500:]}")
    return done.stdout


def _checked(stage):
    """Holds the list of `check` against the ledger."""
    done = stage.command("check")
    same("exit code of check", done.returncode, 0)
    listed, put = _listed(done.stdout), _groups(stage)
    for (metric, names), series in put.items():
        if not any(metric in one.metrics and names == one.dimensions for one in listed):
            raise SceneFailed(f"check does not list {metric} by {sorted(names)}: {sorted(series)[:3]}")
    for one in listed:
        arrived = {series for metric in one.metrics for series in put.get((metric, one.dimensions), ())}
        if one.is_steady:
            # A severity that is put in trouble alone has a line of its own.
            arrived = {s for s in arrived if dict(s[1]).get("Severity") != "note"}
            same(f"series of {sorted(one.metrics)} by {sorted(one.dimensions)}", len(arrived), one.count)
        elif len(arrived) > one.count + 2 * ("Severity" in one.dimensions):
            raise SceneFailed(f"check allows {one.count} of {sorted(one.metrics)} by {sorted(one.dimensions)}: {sorted(arrived)}")
    return f"{sum(one.count for one in listed if one.is_steady)} steady series"


def _groups(stage):
    """(metric, names of the dimensions) → the series that arrived."""
    found = collections.defaultdict(set)
    for metric, sets in stage.books().series().items():
        for dimensions in sets:
            found[metric, frozenset(dict(dimensions))].add((metric, dimensions))
    return found


def _listed(text):
    """The groups of series in what `check` prints."""
    steady, further = text.split("Metric series in namespace")[1].split("Further ones")
    further, _, rest = further.partition("What they cost")
    fixed = re.search(r"Each has also ((?:.|\n)*?)\n\n", further)
    always = {pair.partition("=")[0] for pair in re.split(r",\s+", fixed[1])} if fixed else set()
    found = []
    for part, is_steady in ((steady, True), (further.partition("Each has also")[0], False)):
        for count, head, metrics in re.findall(r"^ +(\d+)  (.+?): ((?:.+\n)(?:       .+\n)*)", part, re.MULTILINE):
            names = re.sub(r" \(.*\)$", "", head).split(" + ")
            kinds = frozenset(re.findall(r"\w+", metrics))
            found.append(Listed(int(count), frozenset(names) | always, kinds, is_steady))
    if not found or not rest:
        raise SceneFailed(f"check's list cannot be read:\n{text}")
    return found


def _statistics(client, ticks, targets):
    begin = datetime.datetime.fromtimestamp(int(ticks[0]), datetime.timezone.utc)
    end = datetime.datetime.fromtimestamp(int(ticks[-1]) + 2, datetime.timezone.utc)

    def ask(metric, statistic, period, target=None):
        dimensions = [{"Name": "VpcId", "Value": VPC}] + ([{"Name": "Target", "Value": target}] if target else [])
        query = {"Namespace": "VpceProbe", "MetricName": metric, "Dimensions": dimensions}
        answer = client.get_metric_data(
            StartTime=begin,
            EndTime=end,
            ScanBy="TimestampAscending",
            MetricDataQueries=[{"Id": "a", "MetricStat": {"Metric": query, "Period": period, "Stat": statistic}}],
        )
        return answer["MetricDataResults"][0]

    def all_of(metric, target=None):
        counts, least, most, sums = (
            ask(metric, statistic, 1, target)["Values"] for statistic in ("SampleCount", "Minimum", "Maximum", "Sum")
        )
        return [sum(counts), min(least), max(most), sum(sums) / sum(counts)]

    read = {"seconds": [int(moment.timestamp()) for moment in ask("Healthy", "Average", 1)["Timestamps"]]}
    read["Healthy"] = all_of("Healthy")
    for target in targets:
        for metric in ("ConnectTime", "HandshakeTime", "AddressSuccess"):
            read[f"{metric} {target}"] = all_of(metric, target)
    return read
