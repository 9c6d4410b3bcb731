"""Runs scenarios: raise, see the fault with an independent tool, run the probe, compare, take down."""

import dataclasses
import functools
import json
import os
import re
import time

from labkit import children, expect
from labkit.lab import Lab, remains
from labkit.scenario import load

PROBE_TIMEOUT, WITNESS_TIMEOUT = 60, 20


@dataclasses.dataclass
class Outcome:
    """How one scenario went."""

    name: str
    expected: str
    got: str
    wall_ms: float
    problems: list
    raise_ms: float = 0
    report: str = ""
    screen: str = ""

    @property
    def passed(self):
        return not self.problems


def run_all(names, options):
    """Runs many scenarios at once; returns an exit code that tells the truth."""
    if options.reports:
        options.reports.mkdir(parents=True, exist_ok=True)
    prefix = f"t{os.getpid()}x"
    width = max(map(len, names)) + 2
    print(f"{'scenario':{width}}{'expected':<34}{'got':<34}{'ms':>7}", flush=True)
    failed = []
    tasks = [(name, f"{prefix}{number}") for number, name in enumerate(names)]
    for (name, _), outcome in children.each(
        tasks, options.jobs, lambda task: run_one(*task, options.bin, options.reports, options.keep)
    ):
        outcome = outcome or Outcome(name, "", "", 0, ["its process ended without a result"])
        print(
            f"{outcome.name:{width}}{outcome.expected[:33]:<34}{outcome.got[:33]:<34}{outcome.wall_ms:>7.0f}"
            + ("" if outcome.passed else "  FAILED"),
            flush=True,
        )
        failed += [] if outcome.passed else [outcome]
    for outcome in sorted(failed, key=lambda o: o.name):
        _tell(outcome)
    leftovers = [] if options.keep else remains(prefix)
    for line in leftovers:
        print(f"left behind: {line}")
    print(f"{len(names) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed or leftovers else 0


def run_one(name, lab_id, binary, reports=None, keep=False):
    """One scenario in a lab of its own; without a binary only its witnesses."""
    scenario, lab = load(name), Lab(lab_id)
    outcome = Outcome(name, _summary_expected(scenario["expect"]), "-", 0, [])
    try:
        started = time.monotonic()
        lab.up(scenario)
        outcome.raise_ms = (time.monotonic() - started) * 1000
        outcome.problems += [line for witness in scenario["witness"] for line in check_witness(lab, witness)]
        if binary and not outcome.problems:
            _probe(lab, binary, outcome, reports)
        elif not outcome.problems:
            outcome.got, outcome.wall_ms = "(witness only)", outcome.raise_ms
    except Exception as problem:  # one broken scenario must not hide the others
        outcome.problems.append(f"{type(problem).__name__}: {problem}")
    finally:
        if keep and outcome.problems:
            outcome.problems.append(f"kept: tests/lab/lab exec --id {lab_id} COMMAND")
        else:
            lab.down()
    return outcome


def check_witness(lab, witness):
    """Shows a fault with a tool that is not ours; returns what is not as the scenario says."""
    command = lab.scenario.substitute(witness["run"])
    where, _, rest = command.partition(": ")
    if where in ("fabric", "world"):
        done = lab.run_inside(where, ["sh", "-c", rest])
    else:
        done = lab.run(["sh", "-c", command], WITNESS_TIMEOUT)
    printed = done.stdout + done.stderr
    problems = []
    if "exit" in witness and done.returncode != witness["exit"]:
        problems.append(f"exit {done.returncode}, not {witness['exit']}")
    if "prints" in witness and not _matches(lab, witness["prints"], printed):
        problems.append(f"does not print /{witness['prints']}/")
    if "not_prints" in witness and _matches(lab, witness["not_prints"], printed):
        problems.append(f"prints /{witness['not_prints']}/")
    return [f"witness `{command}`: {p}; it printed:\n{printed}" for p in problems]


def _matches(lab, pattern, text):
    return re.search(lab.scenario.substitute(pattern), text, re.MULTILINE)


def _probe(lab, binary, outcome, reports=None):
    expected = lab.scenario["expect"]
    started = time.monotonic()
    done = lab.probe(binary, ["once", "--format", "json"], PROBE_TIMEOUT)
    outcome.wall_ms = (time.monotonic() - started) * 1000
    report = _parse(done, expected, outcome)
    if reports and report is not None:
        (reports / f"{outcome.name}.json").write_text(done.stdout)
    outcome.got = _summary(done.returncode, report)
    outcome.problems += expect.differences(expected, report, done.returncode, outcome.wall_ms)
    outcome.problems += expect.wrong_words(expected, stdout=done.stdout, stderr=done.stderr)
    if outcome.problems:
        outcome.report = done.stdout + done.stderr
        outcome.screen = screen(lab, binary)


def _parse(done, expected, outcome):
    if expected.get("exit") == 3:
        return None  # "could not judge" has no report
    try:
        report = json.loads(done.stdout)
    except ValueError as problem:
        outcome.problems.append(f"stdout is no JSON: {problem}")
        return None
    if report.get("schema_version") != 1:
        outcome.problems.append(f"schema_version is {report.get('schema_version')!r}")
    return report


def compare_all(folders):
    """Prints `DIR<tab>NAME<tab>difference` for all that reports say and their scenarios do not expect.

    No process ran, so a report stands for its own time and exit code. The exit code is 1 where something differs.
    """
    wanted, found = functools.cache(lambda name: load(name)["expect"]), False
    for path in [path for folder in folders for path in sorted(folder.glob("*.json"))]:
        text = path.read_text()
        report, expected = json.loads(text), wanted(path.stem)
        code = expect.EXIT_OF_VERDICT[report["verdict"]]
        wrong = expect.differences(expected, report, code, report["elapsed_ms"])
        for line in wrong + expect.wrong_words(expected, stdout=text):
            found = True
            print(path.parent, path.stem, " ".join(line.split()), sep="\t")
    return int(found)


def screen(lab, binary):
    """What a person would see."""
    done = lab.probe(binary, ["once"], PROBE_TIMEOUT, {"COLUMNS": "80"})
    return done.stdout + done.stderr


def _summary_expected(wanted):
    if wanted.get("exit") == 3:
        return "exit 3"
    causes = [*wanted.get("findings", []), *wanted.get("finding", [])] or [
        t["cause"] for t in wanted.get("targets", {}).values() if isinstance(t.get("cause"), str)
    ]
    verdict = wanted.get("verdict", "healthy")
    return " ".join([verdict if isinstance(verdict, str) else "/".join(verdict), *dict.fromkeys(causes)])


def _summary(code, report):
    if report is None:
        return f"exit {code}"
    causes = [f["cause"] for f in report.get("findings") or []]
    causes += [
        t["cause"] for t in report.get("targets") or [] if t.get("cause") and t.get("verdict") in ("failed", "degraded")
    ]
    return " ".join([str(report.get("verdict")), *dict.fromkeys(causes)])


def _tell(outcome):
    print(f"\n--- {outcome.name}")
    for problem in outcome.problems:
        print(f"  {problem}")
    for title, text in (("JSON", outcome.report), ("table", outcome.screen)):
        if text:
            print(f"  --- {title}\n{text}")


def soak(name, binary, rounds):
    """Repeats one scenario's probe in one raised lab and counts what it says."""
    lab, counts, slowest = Lab(f"s{os.getpid()}"), {}, 0
    try:
        lab.up(load(name))
        for _ in range(rounds):
            outcome = Outcome(name, "", "", 0, [])
            _probe(lab, binary, outcome)
            key = outcome.got if outcome.passed else f"{outcome.got} — {outcome.problems[0]}"
            counts[key] = counts.get(key, 0) + 1
            slowest = max(slowest, outcome.wall_ms)
    finally:
        lab.down()
    for said, count in sorted(counts.items(), key=lambda item: -item[1]):
        print(f"{count:5}  {said}")
    wrong = sum(count for said, count in counts.items() if " — " in said)
    print(f"{name}: {rounds} rounds, {wrong} not as expected, slowest {slowest:.0f} ms")
    return 1 if wrong else 0


DEMO = ["healthy", "endpoint-security-group", "private-dns-off", "partial-own-subnet"]


def demo(binary):
    """A healthy private subnet and three broken ones, as a user on the instance would see them."""
    lab = Lab(f"d{os.getpid()}")
    try:
        for name in DEMO:
            scenario = load(name)
            lab.up(scenario)
            print(f"\n=== {scenario['title']}\n    {scenario['plays']}\n\n$ vpce-probe once", flush=True)
            done = lab.probe(binary, ["once"], PROBE_TIMEOUT, {"COLUMNS": "80"})
            print(done.stdout + f"$ echo $?\n{done.returncode}", flush=True)
            expected = scenario["expect"]
            if done.returncode not in expect.expected_exits(expected):
                print(done.stderr + f"demo: {name} should end with verdict {expected.get('verdict', 'healthy')}")
                return 1
    finally:
        lab.down()
    return 0
