"""Compares a report with a scenario's expectation; what comes out is a list of differences in words.

An expected value is compared with the value at the same place of the JSON: a table descends, a list means "one of
these", a string that starts with `re:` is a pattern, "none" is null; where the report has a list, it must hold all of
the expected. `problems` lists causes that must be among a target's problems, `not_problems` those that must not.
A string `A..B` is a range of numbers, with either end left out at will. `each_address` holds for every address of a
target. In `mtu`, `out_limit = N` (`in_limit`) is the path's true limit: the largest size that passes is at most that,
the smallest that fails is above, and they lie no further apart than a measurement may leave open.
`may_…` names what the contract leaves open, `any_findings` wants one of several. `finding` holds, by cause, what one
finding of that cause must say: `targets` are those that it joins, one pattern for `advice` fits one of its steps.
"""

import re

EXIT_OF_VERDICT = {"healthy": 0, "degraded": 1, "failed": 2}
ROUND_DEADLINE_MS, HOST_FACTS_MS = 10_000, 2_500
RANGE = re.compile(r"(\d+)?\.\.(\d+)?")
# How far apart the ends of a size bracket may lie: bytes up to 2,000, a share of the limit above.
BRACKET_BYTES, BRACKET_SHARE, SMALL_LIMIT = 50, 0.05, 2000
LIMITS = {"out_limit": ("out_ok", "out_fails"), "in_limit": ("in_ok", "in_fails")}
# What a measurement says beside its verdict: how much, how long.
MEASURES = {*LIMITS, "out_ok", "out_fails", "in_seen", "in_ok", "in_fails", "elapsed_ms", "connections"}

# Findings that join several targets: an unexpected one is a wrong story, even if each target is right.
ACROSS_TARGETS = {
    "endpoint-missing",
    "private-dns-off",
    "resolver-down",
    "egress-blocked",
    "endpoints-blocked",
    "path-mtu",
    "tls-inspection",
    "clock-wrong",
    "clock-skew",
    "proxy-interferes",
}
ROUND_KEYS = {
    "exit",
    "verdict",
    "others",
    "findings",
    "finding",
    "any_findings",
    "may_findings",
    "not_findings",
    "imds",
    "host",
    "host_problems",
    "may_host_problems",
    "targets",
    "max_ms",
    "elapsed_ms",
    "stdout",
    "not_stdout",
    "stderr",
}


# What a round may take longer while others run beside it: a time alone must not fail a busy machine's run.
CROWD = 1.5


def differences(expect, report, exit_code, wall_ms, crowded=True):
    """Every way in which a report is not what the scenario expects.

    `crowded`: many labs share the machine, so that a round's time is bounded loosely; a soak holds the bound itself.
    """
    if unknown := set(expect) - ROUND_KEYS:
        return [f"the scenario expects unknown things: {sorted(unknown)}"]
    found = _match("exit", expect.get("exit", expected_exits(expect)), exit_code)
    limit = expect.get("max_ms", ROUND_DEADLINE_MS + HOST_FACTS_MS)
    if wall_ms > limit:
        found.append(f"took {wall_ms:.0f} ms, more than {limit}")
    if report is None:
        return found
    found += _match("verdict", expect.get("verdict", "healthy"), report.get("verdict"))
    if "elapsed_ms" in expect:
        at_most = float(expect["elapsed_ms"].removeprefix("..")) * (CROWD if crowded else 1)
        found += _match("elapsed_ms", f"..{at_most:.0f}", report.get("elapsed_ms"))
    if EXIT_OF_VERDICT.get(report.get("verdict")) != exit_code:
        found.append(f"exit {exit_code} contradicts verdict {report.get('verdict')}")
    found += _contradictions(report, wall_ms)
    found += _findings(expect, report)
    found += _host(expect, report.get("host") or {})
    return found + _targets(expect, report.get("targets") or [])


def without_measures(expect):
    """The same expectation of the verdict alone: without sizes, times and counts."""
    return {
        key: without_measures(value) if isinstance(value, dict) else value
        for key, value in expect.items()
        if key not in MEASURES
    }


def wrong_words(expect, **streams):
    """What the streams say that they must not, or do not say and must; a stream that is not given is not looked at."""
    found = [
        f"{name} does not match /{expect[name]}/: {text!r}"
        for name, text in streams.items()
        if name in expect and not re.search(expect[name], text)
    ]
    if "not_stdout" in expect and re.search(expect["not_stdout"], "".join(streams.values())):
        found.append(f"the output matches /{expect['not_stdout']}/, which it must not")
    return found


def _contradictions(report, wall_ms):
    """What no report may say, whatever the scenario."""
    found = []
    if not 0 < report.get("elapsed_ms", 0) <= wall_ms:
        found.append(f"elapsed_ms {report.get('elapsed_ms')} is not within the {wall_ms:.0f} ms that the command took")
    told = {name for finding in report.get("findings") or [] if finding.get("advice") for name in finding["targets"]}
    for target in report.get("targets") or []:
        if target.get("verdict") == "failed" and target["name"] not in told:
            found.append(f"{target['name']} failed, and no finding says what to do about it")
        if target.get("verdict") == "healthy" and target.get("stage") and target.get("cause") is None:
            found.append(f"{target['name']} has a stage without a cause")
    return found


def expected_exits(expect):
    """The exit codes that fit the expected verdict, or verdicts."""
    verdicts = expect.get("verdict", "healthy")
    return [EXIT_OF_VERDICT[v] for v in (verdicts if isinstance(verdicts, list) else [verdicts])]


def _findings(expect, report):
    got = {finding["cause"] for finding in report.get("findings") or []}
    told = expect.get("finding", {})
    wanted = set(expect.get("findings", [])) | set(told)
    found = [f"finding {cause} is missing" for cause in sorted(wanted - got)]
    for cause in told.keys() & got:
        found += _one_of([f for f in report["findings"] if f["cause"] == cause], told[cause])
    either = set(expect.get("any_findings", []))
    if either and not either & got:
        found.append(f"none of the findings {_either(sorted(either))} is there")
    allowed = wanted | either | set(expect.get("may_findings", []))
    unwanted = got & (set(expect.get("not_findings", [])) | (ACROSS_TARGETS - allowed))
    return found + [f"finding {cause} is wrong here" for cause in sorted(unwanted)]


def _one_of(findings, wanted):
    """One and the same finding must say all that is wanted; else what the first lacks is shown."""
    wrong = [_match(f"finding {finding['cause']}", wanted, finding) for finding in findings]
    return wrong[0] if all(wrong) else []


def _host(expect, host):
    found = _match("host.imds", expect.get("imds", ["ok", "slow"]), host.get("imds"))
    found += _match("host", expect.get("host", {}), host)
    got = {problem["cause"] for problem in host.get("problems") or []}
    wanted = set(expect.get("host_problems", []))
    if not wanted <= got <= wanted | set(expect.get("may_host_problems", [])):
        found.append(f"host.problems: expected {sorted(wanted)}, got {sorted(got)}")
    return found


def _targets(expect, targets):
    if not targets:
        return ["the report has no targets"]
    by_name, wanted = {t["name"]: t for t in targets}, expect.get("targets", {})
    others = expect.get("others", "healthy")
    others = others if isinstance(others, dict) else {"verdict": others}
    found = [f"target {name} is missing" for name in wanted.keys() - by_name.keys()]
    for name, target in by_name.items():
        found += _target(name, wanted.get(name, others), target)
    return found


def _target(name, wanted, target):
    causes = {problem["cause"] for problem in target.get("problems") or []}
    found = [f"{name}: problem {c} is missing" for c in wanted.get("problems", []) if c not in causes]
    found += [f"{name}: problem {c} is wrong here" for c in wanted.get("not_problems", []) if c in causes]
    by_address = {a["address"]: a for a in target.get("addresses") or []}
    for address, facts in wanted.get("addresses", {}).items():
        found += _match(f"{name}.{address}", facts, by_address.get(address))
    if "each_address" in wanted:
        found += [] if by_address else [f"{name}: it has no address"]
        for address, record in by_address.items():
            found += _match(f"{name}.{address}", wanted["each_address"], record)
    plain = {k: v for k, v in wanted.items() if k not in ("problems", "not_problems", "addresses", "each_address")}
    return found + _match(name, plain, target)


def _match(where, wanted, got):
    """Differences between an expected value and the one that was found."""
    if isinstance(wanted, dict):
        if not isinstance(got, dict):
            return [f"{where}: expected {wanted}, got {got!r}"]
        return [line for key, value in wanted.items() for line in _entry(where, key, value, got)]
    if isinstance(got, list):
        values = wanted if isinstance(wanted, list) else [wanted]
        missing = [value for value in values if not any(_fits(value, item) for item in got)]
        return [f"{where}: {_either(missing)} is not among {got}"] if missing else []
    accepted = wanted if isinstance(wanted, list) else [wanted]
    if any(_fits(value, got) for value in accepted):
        return []
    return [f"{where}: expected {_either(accepted)}, got {got!r}"]


def _entry(where, key, wanted, got):
    if key in LIMITS:
        return _bracket(f"{where}.{key}", wanted, *(got.get(end) for end in LIMITS[key]))
    return _match(f"{where}.{key}", wanted, got.get(key))


def _bracket(where, limit, passes, fails):
    """Whether the largest size that passes and the smallest that fails enclose the true limit tightly."""
    width = BRACKET_BYTES if limit <= SMALL_LIMIT else limit * BRACKET_SHARE
    told = isinstance(passes, int) and isinstance(fails, int)
    if told and passes <= limit < fails and fails - passes <= width:
        return []
    return [f"{where}: {passes} passes and {fails} fails, the true limit is {limit}, the width at most {width:.0f}"]


def _fits(wanted, got):
    """Whether a single value is the wanted one, or fits its pattern, or lies in its range."""
    if isinstance(wanted, str) and isinstance(got, (int, float)) and (ends := RANGE.fullmatch(wanted)):
        least, most = ends.groups()
        return int(least or 0) <= got and (most is None or got <= int(most))
    if isinstance(wanted, str) and wanted.startswith("re:"):
        return isinstance(got, str) and re.search(wanted[3:], got) is not None
    # TOML has no null: "none" stands for it.
    return wanted == ("none" if got is None else got)


def _either(values):
    return " or ".join(map(str, values))
