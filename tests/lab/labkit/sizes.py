"""What was expected and what was measured of the path MTU, as a table in Markdown: reports that `lab test` kept."""

import json

from labkit.scenario import load

TITLES = ["scenario", "expected", "got", "out passes..fails", "in passes..fails", "in seen", "more connections", "ms"]


def table(folder):
    """One row for each scenario of a path, or of hellos, and for each different result of its addresses."""
    print("| " + " | ".join(TITLES) + " |\n" + "|---" * len(TITLES) + "|")
    for path in sorted(folder.glob("*.json")):
        scenario = load(path.stem)
        if scenario.has_path or scenario["inspection"]["hello"]:
            for row in _rows(scenario, json.loads(path.read_text())):
                print("| " + " | ".join(row) + " |")


def _rows(scenario, report):
    """Addresses of the same expectation and the same outcome share a row, with the range of what was measured."""
    groups = {}
    for target in report["targets"]:
        for address in target["addresses"]:
            wanted = _expected(scenario["expect"], target["name"], address["address"])
            groups.setdefault((wanted, _got(address)), []).append(address.get("mtu") or {})
    for (wanted, got), records in groups.items():
        if wanted == "-" and len(groups) > 1:
            continue  # the addresses beside those that the scenario is about
        yield [
            f"{scenario.name}{f' ({len(records)})' if len(groups) > 1 else ''}",
            wanted,
            got,
            _bracket(records, "out_ok", "out_fails"),
            _bracket(records, "in_ok", "in_fails"),
            _range(records, "in_seen"),
            _range(records, "connections"),
            _range(records, "elapsed_ms"),
        ]


def _expected(expect, target, address):
    """What the scenario wants of an address: its path MTU's outcome, the limits, a large hello that is blocked."""
    of_target = expect.get("targets", {}).get(target, expect.get("others", {}))
    of_target = of_target if isinstance(of_target, dict) else {}
    wanted = of_target.get("addresses", {}).get(address) or of_target.get("each_address") or {}
    mtu = wanted.get("mtu") or {}
    outcome = mtu.get("outcome", [])
    words = outcome if isinstance(outcome, list) else [outcome]
    limits = [f"{way} {mtu[key]}" for way, key in (("out", "out_limit"), ("in", "in_limit")) if key in mtu]
    blocked = (wanted.get("tls") or {}).get("large_hello") == "blocked"
    return ", ".join([" or ".join(words), *limits, *["large hello blocked"] * blocked]).removeprefix(", ") or "-"


def _got(address):
    mtu, tls = address.get("mtu"), address.get("tls") or {}
    outcome = mtu["outcome"] if mtu else "not measured"
    return outcome + (", large hello blocked" if tls.get("large_hello") == "blocked" else "")


def _bracket(records, passes, fails):
    both = (_range(records, passes), _range(records, fails))
    return "-" if both == ("-", "-") else "..".join(both)


def _range(records, key):
    known = sorted({round(record[key]) for record in records if record.get(key) is not None})
    return "-" if not known else str(known[0]) if len(known) == 1 else f"{known[0]}–{known[-1]}"
