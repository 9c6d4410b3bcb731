"""Runs scenarios: raise, see the fault with an independent tool, run the probe, compare, take down."""

import collections
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
    code: int | None = None
    parsed: dict | None = None

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
    scenario, lab = load(name), Lab(lab_id, binary)
    outcome = Outcome(name, " → ".join(_summary_expected(step["expect"]) for step in scenario.steps()), "-", 0, [])
    try:
        started = time.monotonic()
        lab.up(scenario)
        outcome.raise_ms = (time.monotonic() - started) * 1000
        said = [_step(lab, number, step, binary, outcome, reports) for number, step in enumerate(scenario.steps())]
        outcome.got = " → ".join(said)
        if not binary and not outcome.problems:
            outcome.got, outcome.wall_ms = "(witness only)", outcome.raise_ms
    except Exception as problem:  # one broken scenario must not hide the others
        outcome.problems.append(f"{type(problem).__name__}: {problem}")
    finally:
        if keep and outcome.problems:
            outcome.problems.append(f"kept: tests/lab/lab exec --id {lab_id} COMMAND")
        else:
            lab.down()
    return outcome


def _step(lab, number, step, binary, outcome, reports):
    """Changes the lab, sees that it did, runs the probe; returns what that said. After a problem nothing is done."""
    outcome.got = "-"
    if outcome.problems:
        return outcome.got
    lab.prepare(step["run"])
    outcome.problems += [line for witness in step["witness"] for line in check_witness(lab, witness)]
    if binary and not outcome.problems:
        # `compare` holds reports against the scenario as its file begins: a later step's is not kept.
        _probe(lab, binary, outcome, None if number else reports, step["expect"])
        if outcome.problems:
            outcome.screen = screen(lab, binary)
    if number:
        outcome.problems = [f"step {number}: {line}" for line in outcome.problems]
    return outcome.got


def check_witness(lab, witness):
    """Shows a fault with a tool that is not ours; returns what is not as the scenario says."""
    done = lab.run_where(witness["run"], WITNESS_TIMEOUT)
    printed = done.stdout + done.stderr
    problems = []
    if "exit" in witness and done.returncode != witness["exit"]:
        problems.append(f"exit {done.returncode}, not {witness['exit']}")
    if "prints" in witness and not _matches(lab, witness["prints"], printed):
        problems.append(f"does not print /{witness['prints']}/")
    if "not_prints" in witness and _matches(lab, witness["not_prints"], printed):
        problems.append(f"prints /{witness['not_prints']}/")
    return [f"witness `{witness['run']}`: {p}; it printed:\n{printed}" for p in problems]


def _matches(lab, pattern, text):
    return re.search(lab.scenario.substitute(pattern), text, re.MULTILINE)


def _probe(lab, binary, outcome, reports=None, expected=None, crowded=True):
    expected = lab.scenario["expect"] if expected is None else expected
    if not lab.scenario["path"]["learnt"]:
        lab.forget_paths()  # the witnesses and the round before have taught the kernels
    started = time.monotonic()
    done = lab.probe(binary, ["once", "--format", "json"], PROBE_TIMEOUT)
    outcome.wall_ms = (time.monotonic() - started) * 1000
    report = _parse(done, expected, outcome)
    outcome.code, outcome.parsed = done.returncode, report
    if reports and report is not None:
        (reports / f"{outcome.name}.json").write_text(done.stdout)
    outcome.got = _summary(done.returncode, report)
    outcome.problems += expect.differences(expected, report, done.returncode, outcome.wall_ms, crowded)
    outcome.problems += expect.wrong_words(expected, stdout=done.stdout, stderr=done.stderr)
    if outcome.problems:
        outcome.report = done.stdout + done.stderr


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


def soak(names, options):
    """Repeats scenarios' probes, several labs side by side; 1 if any did not keep the shares of its `[soak]`.

    The rounds of one scenario are shared out to `options.labs` labs, which changes nothing but the time that it takes.
    """
    if options.reports:
        options.reports.mkdir(parents=True, exist_ok=True)
    turns = [(name, lab) for name in dict.fromkeys(names) for lab in range(min(options.labs, options.rounds))]
    tasks = [(name, f"s{os.getpid()}x{number}", lab) for number, (name, lab) in enumerate(turns)]
    tallies, kept = {name: [] for name in names}, True

    def work(task):
        name, lab_id, lab = task
        # Round 0 of the first lab, round 0 of the second, …: every number is there once.
        return _repeat(name, lab_id, range(lab, options.rounds, options.labs), options)

    for (name, _, _), tally in children.each(tasks, options.jobs, work):
        if tally is None:
            print(f"{name}: its process ended without a result", flush=True)
            kept = False
            continue
        tallies[name] += tally
        if len(tallies[name]) == options.rounds:
            kept &= _tell_tally(name, tallies[name], load(name)["soak"])
    return int(not kept)


def _repeat(name, lab_id, numbers, options):
    """The outcomes of rounds of one scenario in one raised lab, and whether the verdict was right in each."""
    scenario, lab, tally = load(name), Lab(lab_id, options.bin), []
    verdict_alone = expect.without_measures(scenario["expect"])
    try:
        lab.up(scenario)
        for number in numbers:
            outcome = Outcome(name, "", "", 0, [])
            _probe(lab, options.bin, outcome, crowded=False)
            wrong = expect.differences(verdict_alone, outcome.parsed, outcome.code, outcome.wall_ms, crowded=False)
            tally.append((outcome, not wrong))
            if options.reports and (outcome.problems or _is_unclear(outcome.parsed)):
                (options.reports / f"{name}.{number}.json").write_text(outcome.report or json.dumps(outcome.parsed))
    finally:
        lab.down()
    return tally


def _tell_tally(name, tally, shares):
    """Prints what the rounds said, how often; whether the shares that the scenario asks for were kept."""
    rounds, times = len(tally), sorted(outcome.wall_ms for outcome, _ in tally)
    records = [_mtu_records(outcome.parsed) for outcome, _ in tally]
    unclear = sum(_is_unclear(outcome.parsed) for outcome, _ in tally)
    as_expected = sum(outcome.passed for outcome, _ in tally)
    print(
        f"\n{name}: right verdict in {sum(right for _, right in tally)} of {rounds} rounds, all as expected in "
        f"{as_expected}, inconclusive in {unclear}; median {times[rounds // 2]:.0f} ms, slowest {times[-1]:.0f} ms"
    )
    _tell_counts("verdict", [outcome.got for outcome, _ in tally])
    _tell_counts("path MTU of an address", [said for round_ in records for said in round_])
    _tell_counts("not as expected", [line for outcome, _ in tally for line in outcome.problems[:1]])
    kept = 100 * as_expected >= shares["right_percent"] * rounds
    kept &= 100 * unclear <= shares["inconclusive_percent"] * rounds
    print(
        f"  {'kept' if kept else 'NOT KEPT'}: as expected at least {shares['right_percent']} %, "
        f"inconclusive at most {shares['inconclusive_percent']} %",
        flush=True,
    )
    return kept


def _tell_counts(title, lines):
    for line, count in collections.Counter(lines).most_common():
        print(f"  {count:5}  {title}: {line}")


def _is_unclear(report):
    """Whether the path MTU of any address could not be told."""
    return any(said.startswith("inconclusive") for said in _mtu_records(report))


def _mtu_records(report):
    """One line for every address whose path MTU was measured: outcome, and both brackets."""

    def bracket(*ends):
        return "..".join("-" if end is None else str(end) for end in ends)

    addresses = [a for target in (report or {}).get("targets") or [] for a in target.get("addresses") or []]
    return [
        f"{mtu['outcome']}, out {bracket(mtu['out_ok'], mtu['out_fails'])}, "
        f"in {bracket(mtu['in_ok'], mtu['in_fails'])}, in seen {bracket(mtu['in_seen'])}"
        for mtu in (address.get("mtu") for address in addresses)
        if mtu
    ]


DEMO = [
    "healthy",
    "endpoint-security-group",
    "private-dns-off",
    "partial-own-subnet",
    "mtu-out-1400-at-1500",
    "large-hello-dropped",
]


def demo(binary):
    """A healthy private subnet and five broken ones, as a user on the instance would see them."""
    lab = Lab(f"d{os.getpid()}")
    try:
        for name in DEMO:
            scenario = load(name)
            lab.up(scenario)
            command = " ".join(["vpce-probe once", *map(scenario.substitute, scenario["probe"]["args"])])
            print(f"\n=== {scenario['title']}\n    {scenario['plays']}\n\n$ {command}", flush=True)
            done = lab.probe(binary, ["once"], PROBE_TIMEOUT, {"COLUMNS": "80"})
            print(done.stdout + f"$ echo $?\n{done.returncode}", flush=True)
            expected = scenario["expect"]
            if done.returncode not in expect.expected_exits(expected):
                print(done.stderr + f"demo: {name} should end with verdict {expected.get('verdict', 'healthy')}")
                return 1
    finally:
        lab.down()
    return 0
