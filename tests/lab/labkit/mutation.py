"""Is every judging rule needed? Each is switched off in turn, and then some scenario must fail.

Needs a debug build, which leaves out the rule that VPCE_PROBE_WITHOUT_RULE names, and a lab whose scenarios all pass.
"""

import os
import pathlib
import re

from labkit import children, coverage, runner, scenario

RULE_TABLE = pathlib.Path(__file__).resolve().parents[3] / "src/judge/mod.rs"
RULE = re.compile(r'^\s*(?:layer|remark|target|across|host)\("([a-z0-9-]+)", \w', re.MULTILINE)
SWITCH = "VPCE_PROBE_WITHOUT_RULE"
# What they judge is not measured yet.
NOT_YET = {
    "mtu",
    "large-hello-blocked",
    "large-hello-blocked-across",
    "mtu-relies-on-icmp",
    "mtu-inconclusive",
    "path-mtu",
}


def run(binary, jobs):
    """Prints for each rule the scenario that fails without it; the exit code says whether each has one."""
    rules = [rule for rule in RULE.findall(RULE_TABLE.read_text()) if rule not in NOT_YET]
    survivors = []
    tasks = [(rule, f"m{os.getpid()}x{number}") for number, rule in enumerate(rules)]
    for (rule, _), witness in children.each(tasks, jobs, lambda task: _first_failing(*task, binary)):
        print(f"{rule:34}{witness or 'NOTHING FAILS WITHOUT IT'}", flush=True)
        survivors += [] if witness else [rule]
    print(f"{len(rules) - len(survivors)} rules needed, {len(survivors)} not")
    return 1 if survivors or not rules else 0


def _first_failing(rule, lab_id, binary):
    for name in _likely_first(rule):
        outcome = runner.run_one(name, lab_id, binary, env={SWITCH: rule})
        if outcome.problems:
            return name
    return None


def _likely_first(rule):
    """All scenarios, beginning with those that demand a cause of the rule's name."""
    likely = coverage.by_cause().get(rule.removesuffix("-across"), [])
    return likely + [name for name in scenario.all_names() if name not in likely]
