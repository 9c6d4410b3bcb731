"""What the deployed alarms say, minute by minute, to the data of a fleet: which fire, how soon, and that no other does."""

import dataclasses
import math
import random

import evaluate
import hosts
from hosts import between

BEGIN = 1_800_000_000
# Trouble begins here: everything before is a quiet hour.
ONSET = 3600
# How long trouble lasts where nothing else is said.
TROUBLE = 2700
# How many periods beyond N CloudWatch looks at is not documented.
BEYOND = (0, 2, 5)
GROUP = "web"


@dataclasses.dataclass
class Expected:
    """An alarm that must fire, and when, in minutes: after the onset, and after the end of the trouble (None: later)."""

    alarm: str
    fires: float
    clears: float | None
    # It may also stay silent.
    optional: bool = False


@dataclasses.dataclass
class Scenario:
    """A fleet and its trouble."""

    name: str
    arrange: object
    expected: list
    end: float = ONSET + TROUBLE
    cut: object = hosts.never
    group: bool = False
    # (moment, hosts in service), for the group's own metric.
    in_service: object = None
    contributors: list = dataclasses.field(default_factory=list)
    steady: list = dataclasses.field(default_factory=list)


def play(scenario, alarms, seed):
    """Yields (alarm, fired, cleared) in minutes, for one fleet and every evaluation range; raises on a surprise."""
    chance = random.Random(f"{scenario.name} {seed}")
    fleet = hosts.fleet(10, chance)
    scenario.arrange(fleet, chance)
    length = scenario.end + 3000
    entries = hosts.ledger(fleet, BEGIN, length, chance, scenario.cut)
    if scenario.group:
        entries = sorted(entries + list(_group_metric(scenario.in_service, length)), key=lambda entry: entry["time"])
    outcomes = []
    for changes, named in replay(entries, alarms, BEGIN + ONSET - 1200, BEGIN + length, BEYOND):
        outcomes += list(_judge(scenario, seed, changes))
        for contributors in scenario.contributors:
            wanted = [fleet[n].name for n in contributors]
            if named.get("sick-hosts") != wanted:
                raise AssertionError(f"{scenario.name}, seed {seed}: named {named.get('sick-hosts')}, not {wanted}")
    return outcomes


def replay(entries, alarms, start, end, beyond):
    """For each guess of `beyond`: the changes of state by alarm, [(moment, state)], and whom each alarm named at most."""
    store = evaluate.Store()
    evaluators = [evaluate.Evaluator(alarm, beyond) for alarm in alarms]
    results = {guess: ({}, {}) for guess in beyond}
    following = 0
    for now in range(int(start // 60) * 60, int(end), 60):
        while following < len(entries) and entries[following]["time"] <= now:
            entry = entries[following]
            # A request whose reply was lost was taken all the same: the ledger says `accepted`.
            if entry["outcome"] == "accepted":
                for datum in entry["datums"]:
                    store.put(entry["namespace"], datum)
            following += 1
        for evaluator in evaluators:
            name = evaluator.name.partition("-")[2]
            for guess, state in evaluator.evaluate(store, now).items():
                changes, named = results[guess]
                history = changes.setdefault(name, [])
                if not history or history[-1][1] != state:
                    history.append((now, state))
                named[name] = max(named.get(name, []), evaluator.contributors(guess), key=len)
    return list(results.values())


def _judge(scenario, seed, changes):
    where = f"{scenario.name}, seed {seed}"
    expected = {each.alarm: each for each in scenario.expected}
    for alarm, history in changes.items():
        fired = [moment for moment, state in history if state == evaluate.ALARM]
        if alarm not in expected:
            if fired:
                raise AssertionError(f"{where}: {alarm} fired {_minutes(fired[0])} min after the onset")
            continue
        each = expected[alarm]
        if not fired and each.optional:
            continue
        if not fired or _minutes(fired[0]) > each.fires or fired[0] < BEGIN + ONSET:
            raise AssertionError(f"{where}: {alarm} fired at {[_minutes(f) for f in fired]}, due by {each.fires} min")
        ended = [moment for moment, state in history if moment > fired[-1]]
        if each.clears is None:
            yield alarm, _minutes(fired[0]), math.nan
            continue
        if not ended:
            raise AssertionError(f"{where}: {alarm} never ended")
        cleared = (ended[0] - BEGIN - scenario.end) / 60
        if cleared > each.clears:
            raise AssertionError(f"{where}: {alarm} cleared after {cleared} min, due by {each.clears}")
        if alarm in scenario.steady and (len(fired) > 1 or history[-1][1] != evaluate.OK):
            raise AssertionError(f"{where}: {alarm} wavered: {history}")
        yield alarm, _minutes(fired[0]), cleared
    missing = set(expected) - set(changes)
    if missing:
        raise AssertionError(f"{where}: no such alarms: {missing}")


def _minutes(moment):
    return (moment - BEGIN - ONSET) / 60


def _group_metric(in_service, length):
    for minute in range(int(length // 60)):
        dimensions = {"AutoScalingGroupName": GROUP}
        datum = {"metric": "GroupInServiceInstances", "dimensions": dimensions, "timestamp": BEGIN + minute * 60}
        datum |= {"values": [in_service(minute * 60)]}
        yield {"time": BEGIN + minute * 60 + 50, "outcome": "accepted", "namespace": "AWS/AutoScaling", "datums": [datum]}


def _nothing(fleet, chance):
    pass


def _silent(fleet, chance):
    fleet[3].silent = between(ONSET, ONSET + TROUBLE)


def _silent_and_doubled(fleet, chance):
    _silent(fleet, chance)
    # The worst: replies are lost for every other host, just when the silence would be seen.
    for host in fleet:
        if host is not fleet[3]:
            host.doubled = between(ONSET + 300, ONSET + 300 + hosts.FLUSH)


def _rebooted(fleet, chance):
    fleet[3].silent = between(ONSET, ONSET + 240)


def _sick(fleet, chance):
    fleet[3].sick = between(ONSET, ONSET + TROUBLE)


def _sick_and_doubled(fleet, chance):
    _sick(fleet, chance)
    # The worst: of the sick host every request in a while, of no other.
    fleet[3].doubled = between(ONSET + 1500, ONSET + 1500 + hosts.FLUSH)


def _blip(fleet, chance):
    tick = fleet[3].phase + ONSET
    fleet[3].sick = between(tick - 1, tick + 1)


def _all_sick(fleet, chance):
    for host in fleet:
        host.sick = between(ONSET, ONSET + TROUBLE)


def _dead_interface(fleet, chance):
    for host in fleet:
        host.dead_interface = between(ONSET, ONSET + TROUBLE)


def _doubled(fleet, chance):
    for host in fleet:
        start = chance.uniform(ONSET, ONSET + TROUBLE)
        host.doubled = between(start, start + hosts.FLUSH)


def _lossy(fleet, chance):
    tick = fleet[3].phase + ONSET
    fleet[3].lossy = between(tick - 1, tick + 1)


def _expiring(fleet, chance):
    for host in fleet:
        host.expiring = between(ONSET, ONSET + TROUBLE)


def _scaled_out(fleet, chance):
    for host in fleet[5:]:
        # In service three minutes before its daemon runs.
        host.silent = between(0, ONSET + 180)


def _scaled_out_then_silent(fleet, chance):
    fleet[3].silent = between(ONSET, ONSET + TROUBLE)


SCENARIOS = [
    Scenario("all healthy", _nothing, []),
    Scenario("one host silent for 45 min", _silent, [Expected("silent-hosts", 17, 22)], steady=["silent-hosts"]),
    Scenario("one host reboots, away for 4 min", _rebooted, [], end=ONSET + 240),
    Scenario(
        "one of ten hosts sick for 45 min",
        _sick,
        [Expected("failures", 5, 12), Expected("sick-hosts", 5, 10), Expected("interfaces-ssm", 17, 27)],
        contributors=[[3]],
        steady=["failures", "sick-hosts"],
    ),
    Scenario("one host fails one round", _blip, [], end=ONSET + 60),
    Scenario(
        "all hosts sick for 45 min",
        _all_sick,
        [
            Expected("failures", 5, 12),
            Expected("sick-hosts", 5, 10),
            Expected("healthy-hosts", 15, 25),
            Expected("interfaces-ssm", 15, 27),
        ],
        contributors=[list(range(10))],
        steady=["failures", "sick-hosts", "healthy-hosts"],
    ),
    Scenario(
        "all sick, and CloudWatch away from 20 to 40 min",
        _all_sick,
        [
            Expected("failures", 5, 12),
            Expected("healthy-hosts", 15, 25),
            Expected("interfaces-ssm", 15, 27),
            Expected("sick-hosts", 5, 10),
            Expected("silent-hosts", 45, 20),
        ],
        cut=between(ONSET + 1200, ONSET + 2400),
        steady=["failures", "healthy-hosts"],
    ),
    Scenario(
        "one of three interfaces dead for 45 min",
        _dead_interface,
        [Expected("interfaces-ssm", 15, 27), Expected("failures", 5, 12), Expected("sick-hosts", 5, 10)],
    ),
    Scenario(
        "CloudWatch away for 10 min, then backfill",
        _nothing,
        [Expected("silent-hosts", 20, 15, optional=True)],
        cut=between(ONSET, ONSET + 600),
        end=ONSET + 600,
    ),
    Scenario("every host's requests doubled for 5 min", _doubled, []),
    Scenario(
        "one of ten sick, its requests doubled",
        _sick_and_doubled,
        [Expected("failures", 5, 12), Expected("sick-hosts", 5, 10), Expected("interfaces-ssm", 17, 27)],
    ),
    Scenario("one host silent, the others' requests doubled", _silent_and_doubled, [Expected("silent-hosts", 37, 22)]),
    Scenario("a host loses data once", _lossy, [Expected("lost-data", 8, 17)], end=ONSET + 60),
    Scenario("certificates with 13 days left", _expiring, [Expected(f"certificate-{t}", 6, None) for t in hosts.TARGETS]),
    Scenario("group: five hosts come in, daemons 3 min later", _scaled_out, [], group=True,
             in_service=lambda moment: 5 if moment < ONSET else 10),
    Scenario("group: one of ten silent for 45 min", _scaled_out_then_silent, [Expected("silent-hosts", 27, 22)], group=True,
             in_service=lambda moment: 10),
]
