#!/usr/bin/env python3
"""Holds what `vpce-probe alarms` prints against CloudFormation, CloudWatch's rules and recorded data. Run by tests/alarms.rs."""

import argparse
import json
import math
import pathlib
import sys

import evaluate
import hosts
import rules
import scenarios
import stack


def main():
    """Parses the command line and runs one verb."""
    top = argparse.ArgumentParser(description=__doc__)
    verbs = top.add_subparsers(required=True, metavar="VERB")

    def verb(name, act, text):
        sub = verbs.add_parser(name, help=text, description=text)
        sub.set_defaults(act=act)
        return sub

    verb("rules", check_rules, "the evaluator against the guide's tables on missing data")
    series = verb("series", check_series, "deploy a template; every alarm's series must be among those that are put")
    series.add_argument("--put", type=pathlib.Path, help='JSON: [{"metric": …, "dimensions": {…}}, …]')
    series.add_argument("--ledger", type=pathlib.Path, help="what a CloudWatch received, as the bench records it")
    series.add_argument("--phase", action="append", default=[], metavar="NAME=LINE", help="begins at this line of the ledger")
    series.add_argument("--json", action="store_true", help="say in which phase each alarm's series were all there")
    play = verb("play", play_scenarios, "deploy a template and play every scenario against its alarms")
    play.add_argument("--seeds", type=int, default=4)
    again = verb("replay", replay_ledger, "deploy a template and print what its alarms say to a ledger")
    again.add_argument("--ledger", type=pathlib.Path, required=True)
    for sub in (series, play, again):
        sub.add_argument("template", type=pathlib.Path)
        sub.add_argument("--parameter", action="append", default=[], metavar="NAME=VALUE")
    options = top.parse_args()
    try:
        options.act(options)
    except AssertionError as problem:
        sys.exit(f"{options.act.__name__}: {problem}")


def check_rules(_):
    print(f"{rules.check()} cells of the guide's tables agree")


def check_series(options):
    deployed = _deploy(options)
    put = _put(options)
    # `as_json` first: which series nobody reads is worth knowing as well.
    wanted = {key for alarm in deployed.alarms for key in _reads(alarm, put)}
    foreign = {key for key in wanted if key[0] == "AWS/AutoScaling"}
    if strange := wanted - foreign - put:
        raise AssertionError(f"alarms read what nobody puts: {sorted(map(_words, strange))}")
    drawn = {key for body in deployed.dashboards.values() for key in _drawn(body)}
    if strange := drawn - put:
        raise AssertionError(f"the dashboard shows what nobody puts: {sorted(map(_words, strange))}")
    if options.json:
        print(json.dumps({"alarms": _needs(deployed.alarms, options), "series": len(wanted), "drawn": len(drawn)}))
        return
    print(f"{deployed.status}: {len(deployed.alarms)} alarms read {len(wanted)} series, the dashboard {len(drawn)}")


def _needs(alarms, options):
    """Alarm → the first phase at whose end all that it reads had been put."""
    entries = list(map(json.loads, options.ledger.read_text().splitlines()))
    begins = [(name, int(line)) for name, _, line in (phase.partition("=") for phase in options.phase)]
    ends = [line for _, line in begins[1:]] + [len(entries)]
    needs = {}
    for (phase, _), end in zip(begins, ends, strict=True):
        put = _of_ledger(entries[:end])
        for alarm in alarms:
            try:
                complete = set(_reads(alarm, put)) <= put
            except NothingFound:
                complete = False
            if complete:
                needs.setdefault(alarm["AlarmName"].partition("-")[2], phase)
    return needs


class NothingFound(AssertionError):
    """A query matches no series."""


def play_scenarios(options):
    deployed = _deploy(options)
    grouped = _deploy(options, {"AutoScalingGroupName": scenarios.GROUP, "SilentPeriods": 3})
    print("| scenario | alarm | fires, min | clears, min |\n|---|---|---|---|")
    for scenario in scenarios.SCENARIOS:
        alarms = (grouped if scenario.group else deployed).alarms
        found = {}
        for seed in range(options.seeds):
            for alarm, fired, cleared in scenarios.play(scenario, alarms, seed):
                # The targets' certificates are one line.
                kind = "certificate-…" if alarm.startswith("certificate-") else alarm
                found.setdefault(kind, []).append((fired, cleared))
        for alarm, times in sorted(found.items()) or [("none", [])]:
            spans = [_span(column) for column in zip(*times)] or ["", ""]
            print(f"| {scenario.name} | {alarm} | {' | '.join(spans)} |")


def _span(minutes):
    low, high = min(minutes), max(minutes)
    if math.isnan(low):
        return "later"
    return f"{low:.0f}" if low == high else f"{low:.0f} to {high:.0f}"


def replay_ledger(options):
    deployed = _deploy(options)
    entries = sorted(map(json.loads, options.ledger.read_text().splitlines()), key=lambda entry: entry["time"])
    if not entries:
        raise AssertionError("the ledger is empty")
    end = entries[-1]["time"] + 3600
    ((changes, _),) = scenarios.replay(entries, deployed.alarms, entries[0]["time"], end, beyond=(2,))
    for alarm, history in sorted(changes.items()):
        for moment, state in history:
            print(f"{moment} {alarm} {state}")


def _deploy(options, more=None):
    chosen = dict(pair.split("=", 1) for pair in options.parameter) | (more or {})
    deployed = stack.deploy(options.template.read_text(), chosen)
    if deployed.status != "CREATE_COMPLETE" or not deployed.alarms or not deployed.dashboards:
        raise AssertionError(f"{deployed.status}, {len(deployed.alarms)} alarms, {len(deployed.dashboards)} dashboards")
    return deployed


def _put(options):
    put = set()
    if options.put:
        for series in json.loads(options.put.read_text()):
            put.add((series["namespace"], series["metric"], frozenset(series["dimensions"].items())))
    if options.ledger:
        put |= _of_ledger(map(json.loads, options.ledger.read_text().splitlines()))
    if not put:
        raise AssertionError("nothing was put: give --put or --ledger")
    return put


def _of_ledger(entries):
    put = set()
    for entry in entries:
        if entry["outcome"] == "accepted":
            put |= {(entry["namespace"], d["metric"], frozenset(d["dimensions"].items())) for d in entry["datums"]}
    return put


def _reads(alarm, put):
    if not alarm.get("Metrics"):
        return [evaluate.series_key(alarm)]
    keys = []
    for query in alarm["Metrics"]:
        if query.get("MetricStat"):
            keys.append(evaluate.series_key(query["MetricStat"]["Metric"]))
        elif query["Expression"].startswith("SELECT"):
            store = evaluate.Store()
            store.series = dict.fromkeys(put)
            found = evaluate.select(query["Expression"], store)
            if not found:
                raise NothingFound(f"{alarm['AlarmName']} finds no series: {query['Expression']}")
            keys += found.values()
    return keys


def _drawn(body):
    for widget in body["widgets"]:
        for line in widget["properties"].get("metrics", []):
            names = [word for word in line if isinstance(word, str)]
            if names:
                yield names[0], names[1], frozenset(zip(names[2::2], names[3::2], strict=True))


def _words(key):
    return f"{key[0]} {key[1]} {dict(sorted(key[2]))}"


if __name__ == "__main__":
    main()
