"""The scenes: what goes wrong, what the daemon must do, and what the books must say afterwards.

A scene plays on a raised stage and returns (account, what was said). Whatever it asserts raises.
"""

import datetime
import os
import random
import re
import signal
import time
import typing

from cloudkit import bench
from cloudkit.bench import INTERVAL, SceneFailed, until

# With a flush interval of 10 s the waits between requests are at most 10 s, and backfill goes out every 3 s.
CAUGHT_UP_SECONDS = 60
SOON = 3 * INTERVAL
REQUIRED = ("ssm", "ssmmessages", "s3")


class Scene(typing.NamedTuple):
    """One scene and its setting."""

    play: typing.Callable
    seconds: float
    setting: dict
    life_seconds: float
    soak: bool


ALL = {}


def scene(seconds=60, life_seconds=3600, soak=False, **setting):
    """Puts a function into ALL, by its name with dashes."""

    def put(play):
        ALL[play.__name__.replace("_", "-")] = Scene(play, seconds, setting, life_seconds, soak)
        return play

    return put


# -- healthy --


@scene(60)
def healthy(stage):
    """Three rounds delivered, read back through moto: names, dimensions, values, timestamps."""
    stage.daemon.start()
    await_ticks(stage, 3)
    series = stage.books().series()
    vpc = ("VpcId", "vpc-0123456789abcdef0")
    for metric, dimensions in {
        "Healthy": {(vpc,)},
        "Success": {(("Target", name), vpc) for name in stage.scenario.names},
        "AddressSuccess": {(("Target", name), vpc) for name in stage.scenario.names},
        "ConnectTime": {(("Target", name), vpc) for name in stage.scenario.names},
    }.items():
        same(f"dimensions of {metric}", series[metric], dimensions)
    same("a steady series of this host", {m for m, sets in series.items() if any("InstanceId" in dict(d) for d in sets)}, set())
    tick = stage.books().ticks()[1]
    read = stage.ask_moto(lambda client: _read_back(client, tick))
    same("what boto3 lists", set(read["listed"]), set(series))
    same("Healthy at the tick", read["healthy"], [1.0])
    same("hosts at the tick", read["hosts"], [1.0])
    same("share of live addresses", read["share"], [1.0])
    same("addresses of ssm", read["addresses"], [2.0])
    datums = [datum for entry in stage.books().entries for datum in entry["datums"]]
    if any(datum["is_set"] or not datum["counts"] for datum in datums):
        raise SceneFailed("a datum without Values and Counts: no percentile can be had of it")
    sent = next(d for d in datums if d["metric"] == "ConnectTime" and d["timestamp"] == tick and d["dimensions"]["Target"] == "ssm")
    same("least and most ConnectTime of ssm", [read["least"], read["most"]], [[min(sent["values"])], [max(sent["values"])]])
    return settle(stage, "delivered at once")


@scene(60, more='detail = "instance"\nfixed_dimensions = { Team = "core" }\nextra_dimension_sets = [["AvailabilityZoneId", "Target"]]')
def detail_instance(stage):
    """Every series that the config can ask for."""
    stage.daemon.start()
    await_ticks(stage, 2)
    series = stage.books().series()
    team, host = ("Team", "core"), ("InstanceId", "i-0123456789abcdef0")
    same("dimensions of Heartbeat", series["Heartbeat"], {(host, team)})
    for wanted in ((host, ("Target", "ssm"), team), (("AvailabilityZoneId", "euw1-az1"), ("Target", "ssm"), team)):
        if wanted not in series["Success"]:
            raise SceneFailed(f"no Success with {wanted}: {sorted(series['Success'])}")
    return settle(stage, "every series is there")


# -- faults of CloudWatch --


@scene(200)
def away(stage):
    """CloudWatch swallows every packet for 45 s."""
    return _outage(
        stage,
        45,
        begin=lambda: stage.silence(*stage.addresses_of("monitoring")),
        end=stage.silence,
        cause="publish-unreachable",
    )


@scene(200)
def refused(stage):
    """Nobody listens at CloudWatch for 35 s."""
    return _faulty(stage, "refuse", "publish-unreachable")


@scene(200)
def throttled(stage):
    """Every request is throttled for 35 s."""
    return _faulty(stage, "throttle", "publish-throttled")


@scene(200)
def throttled_half(stage):
    """Half of the requests are throttled."""
    stage.daemon.start()
    await_ticks(stage, 1)
    stage.cloudwatch(mode="throttle:50")
    time.sleep(45)
    stage.cloudwatch(heal=True)
    caught_up(stage)
    return settle(stage)


@scene(200)
def errors_500(stage):
    """Every request ends with 500 for 35 s."""
    return _faulty(stage, "500", "publish-failing")


@scene(200)
def hanging(stage):
    """CloudWatch takes requests and never answers, for 45 s; rounds go on in time."""
    return _faulty(stage, "hang", "publish-failing|publish-unreachable", seconds=45)


@scene(200)
def slow(stage):
    """CloudWatch answers after 3 s: no round is late, nothing is sent twice."""
    stage.daemon.start()
    stage.cloudwatch(mode="slow:3")
    await_ticks(stage, 4, SOON + 4 * INTERVAL)
    steady(stage)
    stage.cloudwatch(heal=True)
    return settle(stage)


@scene(200)
def closes_early(stage):
    """CloudWatch closes before it has read a request, for 35 s."""
    return _faulty(stage, "close-early", "publish-failing|publish-unreachable")


@scene(200)
def captive_portal(stage):
    """What answers for 35 s is no CloudWatch: 200, and a page."""
    return _faulty(stage, "garbage", "publish-failing|publish-unreachable")


@scene(240)
def replies_lost(stage):
    """CloudWatch does what it is asked and does not say so, for 35 s: nothing more than twice."""
    account, said = _faulty(stage, "lost-reply", "publish-failing|publish-unreachable", doubles=2)
    return account, said


@scene(200)
def denied_by_iam(stage):
    """The role may not for 35 s; the advice says that it is the role's policy."""
    account, said = _faulty(stage, "denied-by-iam", "publish-denied")
    return account, said


@scene(200)
def denied_by_endpoint_policy(stage):
    """The endpoint's policy says no for 35 s, and the daemon tells it from the role's."""
    return _faulty(stage, "denied-by-endpoint-policy", "publish-denied", words="endpoint policy")


@scene(200)
def expired_token(stage):
    """CloudWatch calls the session expired for 35 s."""
    return _faulty(stage, "expired-token", "credentials-expired")


@scene(120)
def poison(stage):
    """One metric's datums are refused: they are found, counted and left out; all else arrives."""
    stage.daemon.start()
    await_ticks(stage, 1)
    stage.cloudwatch(poison="ResolveTime")
    before = len(stage.books().ticks())
    await_ticks(stage, before + 3, 90)
    stage.cloudwatch(heal=True)
    caught_up(stage)
    lost = stage.daemon.shipping().get("lost", 0)
    if lost < len(stage.scenario.names):
        raise SceneFailed(f"ResolveTime was refused, and {lost} datums are counted as lost")
    return settle(stage, lost=lost)


# -- clocks --


@scene(90)
def clock_wrong(stage):
    """This host's clock is 20 minutes slow from the start: rounds are stamped and requests signed by AWS's."""
    _start_by_own_clock(stage, -1200)
    await_ticks(stage, 3)
    same("what is said of the requests", set(stage.books().outcomes()) - {"accepted", "SignatureDoesNotMatch"}, set())
    return settle(stage)


@scene(120)
def clock_a_day_ahead(stage):
    """This host's clock jumps a day ahead while it runs, and back: rounds go on, and are stamped and signed by AWS's."""
    return _jump(stage, 86_400)


@scene(120)
def clock_a_day_behind(stage):
    """This host's clock jumps a day back while it runs, and forward again."""
    return _jump(stage, -86_400)


@scene(150)
def frozen(stage):
    """The daemon stands still for three rounds and a half: they are counted as missed, and later ones are on the grid."""
    daemon = stage.daemon.start()
    await_ticks(stage, 2)
    # Between two rounds, with no request under way.
    time.sleep((stage.books().ticks()[-1] + INTERVAL * 0.6 - time.time()) % INTERVAL)
    daemon.lives[-1][1] = time.time()
    daemon.send(signal.SIGSTOP)
    time.sleep(3.5 * INTERVAL)
    begun = time.time()
    daemon.send(signal.SIGCONT)
    # The round that is made now stands for the tick of a second ago.
    daemon.lives.append([begun - INTERVAL / 2, None])
    until(lambda: "3 rounds were not made" in daemon.log(), 2 * INTERVAL, "the missed rounds in the log")
    await_ticks(stage, 5)
    # One at once, then one a tick.
    again = [start for start in daemon.status_times() if start > begun]
    if len(again) > 2 + (time.time() - begun) / INTERVAL:
        raise SceneFailed(f"{len(again)} rounds in {time.time() - begun:.0f} s: what was missed is made up for")
    return settle(stage)


# -- credentials and IMDS --


@scene(120, life_seconds=40)
def credentials_rotate(stage):
    """Sessions end after 40 s: the daemon uses the new ones in time."""
    stage.daemon.start()
    await_ticks(stage, 8, 120)
    keys = [entry["key"] for entry in stage.books().entries]
    if len(set(keys)) < 3:
        raise SceneFailed(f"keys used: {len(set(keys))} in {len(keys)} requests")
    refused = {outcome: n for outcome, n in stage.books().outcomes().items() if outcome != "accepted"}
    same("refusals", refused, {})
    return settle(stage, f"{len(set(keys))} keys")


@scene(120)
def imds_gone(stage):
    """IMDS stops to answer after the start: rounds and deliveries go on with what is known."""
    stage.daemon.start()
    await_ticks(stage, 2)
    stage.imds(mode="gone")
    await_ticks(stage, 6, 70)
    steady(stage)
    return settle(stage)


@scene(200)
def no_role(stage):
    """Without a role nothing is sent, and that is said; a role that comes later is used."""
    stage.imds(mode="no-role")
    stage.daemon.start()
    until(lambda: "credentials-missing" in stage.daemon.causes(), SOON, "credentials-missing in last.json")
    time.sleep(INTERVAL)
    same("requests", len(stage.books().entries), 0)
    stage.imds(mode="ok")
    caught_up(stage, 330)
    return settle(stage)


# -- ends and restarts --


@scene(120)
def killed(stage):
    """kill -9 five times at odd moments: what was measured is delivered, once."""
    for pause in (13, 7, 11.3, 16.7, 9.1):
        stage.daemon.start()
        time.sleep(pause)
        stage.daemon.stop(signal.SIGKILL)
    stage.daemon.start()
    caught_up(stage)
    # A request that was under way when the process died is one whose reply is lost.
    return settle(stage, doubles=2)


@scene(240)
def stopped_in_an_outage(stage):
    """SIGTERM while CloudWatch is away: it ends within 4 s, and the next start delivers what was left."""
    stage.daemon.start()
    await_ticks(stage, 1)
    stage.silence(*stage.addresses_of("monitoring"))
    time.sleep(2.5 * INTERVAL)
    code, seconds = stage.daemon.stop()
    same("exit code", code, 0)
    if seconds > 4:
        raise SceneFailed(f"took {seconds:.1f} s to stop")
    time.sleep(5)
    stage.silence()
    stage.daemon.start()
    caught_up(stage)
    return settle(stage, f"stopped in {seconds:.1f} s")


@scene(90)
def terminated(stage):
    """READY, STATUS and STOPPING on the notify socket; the last round is flushed on the way out."""
    daemon = stage.daemon.start()
    await_ticks(stage, 2)
    code, seconds = daemon.stop()
    same("exit code", code, 0)
    for word in ("READY=1", "STATUS=", "WATCHDOG=1", "WATCHDOG_USEC=", "STOPPING=1"):
        until(lambda: daemon.told(word), 2, word)
    if seconds > 4:
        raise SceneFailed(f"took {seconds:.1f} s to stop")
    return close_books(stage, 0, f"stopped in {seconds:.1f} s")


@scene(40)
def second_instance(stage):
    """A second instance says so and ends with 75; the first goes on."""
    stage.daemon.start()
    second = stage.daemon.spawn()
    try:
        same("exit code of the second", second.wait(10), 75)
    finally:
        second.kill()
    if "another vpce-probe runs" not in stage.daemon.log():
        raise SceneFailed("the second did not say why it ends")
    await_ticks(stage, 1)
    return settle(stage)


@scene(20)
def bad_config(stage):
    """A bad config: 78, and no READY."""
    (stage.state / "config.toml").write_text('interval = "1s"\nunknown = 1\n')
    child = stage.daemon.spawn()
    try:
        same("exit code", child.wait(10), 78)
    finally:
        child.kill()
    same("notes", stage.daemon.told("READY=1"), [])
    for word in ("interval", "unknown"):
        if word not in stage.daemon.log():
            raise SceneFailed(f"{word} is not named in the log")
    return None, {}


# -- reload --


@scene(120)
def reloaded(stage):
    """SIGHUP while CloudWatch hangs: RELOADING, READY, the new config holds, nothing is lost."""
    daemon = stage.daemon.start()
    await_ticks(stage, 1)
    stage.cloudwatch(mode="hang")
    time.sleep(INTERVAL)
    stage.configure(cloudwatch='detail = "heartbeat"')
    before = len(daemon.notes)
    daemon.send(signal.SIGHUP)
    until(lambda: daemon.told("RELOADING=1", before) and daemon.told("READY=1", before), 20, "RELOADING and READY")
    stage.cloudwatch(heal=True)
    until(lambda: stage.books().ticks("Heartbeat"), CAUGHT_UP_SECONDS, "Heartbeat, which the new config asks for")
    caught_up(stage)
    # What hangs takes nothing, so that nothing can come twice.
    return settle(stage)


@scene(120)
def reloaded_replies_lost(stage):
    """SIGHUP twice while replies are lost: the old delivery's doubts are the new one's, nothing comes more than twice."""
    daemon = stage.daemon.start()
    await_ticks(stage, 1)
    stage.cloudwatch(mode="lost-reply")
    for detail in ("heartbeat", "fleet"):
        time.sleep(INTERVAL)
        stage.configure(cloudwatch=f'detail = "{detail}"')
        before = len(daemon.notes)
        daemon.send(signal.SIGHUP)
        until(lambda: daemon.told("READY=1", before), 20, "READY")
    time.sleep(INTERVAL)
    stage.cloudwatch(heal=True)
    caught_up(stage)
    return settle(stage, doubles=2)


@scene(150)
def metrics_turned_off(stage):
    """An outage, then a reload with metrics off: probing goes on, nothing is put; on again: what waited arrives, once."""
    daemon = stage.daemon.start()
    await_ticks(stage, 1)
    stage.cloudwatch(mode="500")
    time.sleep(2 * INTERVAL)
    _reload(stage, "enabled = false")
    daemon.lives[-1][1] = time.time()
    stage.cloudwatch(heal=True)
    # A request that was under way at that moment may still arrive.
    time.sleep(INTERVAL)
    before, rounds = len(accepted(stage)), len(daemon.status_lines())
    time.sleep(2 * INTERVAL)
    same("requests while metrics are off", len(accepted(stage)), before)
    if len(daemon.status_lines()) <= rounds or daemon.last().get("shipping"):
        raise SceneFailed(f"no round, or one that tells of deliveries: {daemon.status_lines()[-2:]}, {daemon.last().get('shipping')}")
    _reload(stage, "")
    daemon.lives.append([time.time(), None])
    await_ticks(stage, len(stage.books().ticks()) + 2)
    caught_up(stage)
    return settle(stage)


def _reload(stage, cloudwatch):
    stage.configure(cloudwatch=cloudwatch)
    before = len(stage.daemon.notes)
    stage.daemon.send(signal.SIGHUP)
    until(lambda: stage.daemon.told("READY=1", before), 20, "READY")


@scene(90)
def bad_reload(stage):
    """SIGHUP with a bad config: refused with every mistake, said in STATUS, the old one stays."""
    daemon = stage.daemon.start()
    await_ticks(stage, 1)
    (stage.state / "config.toml").write_text('interval = "1s"\nunknown = 1\n')
    before = len(daemon.notes)
    daemon.send(signal.SIGHUP)
    until(lambda: daemon.told("READY=1", before), 20, "READY")
    until(lambda: "unknown" in daemon.log() and "interval" in daemon.log(), 5, "the mistakes in the log")
    lines = [text for _, text in daemon.notes[before:] if "STATUS=" in text]
    if not any("config" in line for line in lines):
        raise SceneFailed(f"STATUS does not say that the config was refused: {lines}")
    await_ticks(stage, len(stage.books().ticks()) + 2)
    return settle(stage)


# -- targets --


@scene(120)
def target_fails(stage):
    """ssm dies and comes back: both are announced within 20 s, the host's own series names it, then falls silent."""
    daemon = stage.daemon.start()
    past_the_start(stage)
    seconds = {}
    for what, addresses, healthy in (("failure", stage.addresses_of("ssm"), False), ("recovery", [], True)):
        before, began = len(daemon.log()), time.monotonic()
        stage.silence(*addresses)
        until(lambda: announced(daemon.log()[before:], "ssm"), INTERVAL + 20, f"the {what} of ssm announced")
        seconds[what] = time.monotonic() - began
    sick = [d for e in stage.books().entries for d in e.get("datums", []) if d["metric"] == "InstanceHealthy"]
    if 0.0 not in [value for datum in sick for value in datum["values"]]:
        raise SceneFailed("InstanceHealthy never said 0")
    # From the first tick that can see it: a round is at most one interval away.
    for what, took in seconds.items():
        if took > INTERVAL + 20:
            raise SceneFailed(f"the {what} was announced after {took:.0f} s")
    same("announcements", len(announced(daemon.log(), "ssm")), 2)
    return settle(stage, f"announced after {seconds['failure']:.0f} and {seconds['recovery']:.0f} s")


@scene(90)
def blip(stage):
    """ssm is away for one round only: in the data, not announced."""
    daemon = stage.daemon.start()
    past_the_start(stage)
    before = len(daemon.log())
    stage.silence(*stage.addresses_of("ssm"))
    # Back before the check that follows after 5 s.
    until(lambda: verdict(daemon, "ssm") == "failed", INTERVAL + 5, "ssm failed in last.json")
    stage.silence()
    time.sleep(2 * INTERVAL)
    if announced(daemon.log()[before:], "ssm"):
        raise SceneFailed("a blip was announced")
    success = [d for e in stage.books().entries for d in e.get("datums", []) if d["metric"] == "Success"]
    zeros = {d["timestamp"] for d in success if d["values"] == [0.0] and d["dimensions"].get("Target") == "ssm"}
    same("ticks with Success 0 of ssm", len(zeros), 1)
    return settle(stage)


# -- soak --


@scene(1200, soak=True)
def away_for_ten_minutes(stage):
    """CloudWatch swallows every packet for ten minutes."""
    return _outage(
        stage,
        600,
        begin=lambda: stage.silence(*stage.addresses_of("monitoring")),
        end=stage.silence,
        cause="publish-unreachable",
        catch_up=900,
    )


@scene(3600, soak=True)
def killed_often(stage):
    """kill -9 at 200 odd moments."""
    chance = random.Random(4)
    for _ in range(200):
        stage.daemon.start()
        time.sleep(chance.uniform(0.05, 15))
        stage.daemon.stop(signal.SIGKILL)
    stage.daemon.start()
    caught_up(stage, 900)
    return settle(stage, doubles=2)


@scene(7200, soak=True)
def many_rounds(stage):
    """Rounds by the hundred, with faults in between: memory, descriptors and spool do not grow."""
    rounds = int(os.environ.get("VPCE_SOAK_ROUNDS", "600"))
    stage.daemon.start()
    await_ticks(stage, 10, 200)
    began = stage.daemon.footprint()
    faults = ("ok", "throttle:50", "ok", "hang", "ok", "500")
    for number in range(rounds // 30):
        stage.cloudwatch(mode=faults[number % len(faults)])
        time.sleep(30 * INTERVAL)
    stage.cloudwatch(heal=True)
    caught_up(stage, 1800)
    ended = stage.daemon.footprint()
    if ended[0] > began[0] + 2048 or ended[1] > began[1] + 4 or ended[2] > began[2]:
        raise SceneFailed(f"grown: (kB, descriptors, threads) {began} -> {ended}")
    return settle(stage, f"{began} -> {ended}", doubles=2)


# -- what scenes share --


def _faulty(stage, mode, cause, seconds=35, doubles=0, words=None):
    return _outage(
        stage,
        seconds,
        begin=lambda: stage.cloudwatch(mode=mode),
        end=lambda: stage.cloudwatch(heal=True),
        cause=cause,
        doubles=doubles,
        words=words,
    )


def _outage(stage, seconds, begin, end, cause, doubles=0, catch_up=CAUGHT_UP_SECONDS, words=None):
    """Healthy, a fault of CloudWatch for a while, healthy again: the cause is named, and nothing is missing in the end."""
    daemon = stage.daemon.start()
    await_ticks(stage, 1)
    begin()
    ends = time.monotonic() + seconds
    wanted = set(cause.split("|"))
    until(lambda: wanted & set(daemon.causes()), seconds, f"{cause} in last.json")
    said = daemon.shipping()["problems"]
    until(lambda: wanted & {c for c in wanted if c in " ".join(daemon.status_lines())}, 15, f"{cause} in STATUS")
    if words and not any(words in str(problem) for problem in said):
        raise SceneFailed(f"no word of {words}: {said}")
    time.sleep(max(0.0, ends - time.monotonic()))
    spooled = daemon.shipping().get("spooled", 0)
    steady(stage)
    end()
    caught_up(stage, catch_up)
    until(lambda: not daemon.causes(), SOON, "the problem is over in last.json")
    return settle(stage, f"{cause}, {spooled} spooled at the worst", doubles=doubles)


def _jump(stage, seconds):
    clock = _start_by_own_clock(stage, 0)
    await_ticks(stage, 2)
    clock.write_text(f"{seconds:+d}")
    await_ticks(stage, 5, 80)
    steady(stage)
    clock.write_text("+0")
    await_ticks(stage, 7, 80)
    code, _ = stage.daemon.stop()
    same("exit code", code, 0)
    now = time.time()
    wrong = [tick for tick in stage.books().ticks() if not now - 300 <= tick <= now + INTERVAL]
    # The round that finds the jump out is stamped before it knows.
    if len(wrong) > 2:
        raise SceneFailed(f"{len(wrong)} rounds stamped by the wrong clock")
    return None, {"": outcomes(stage.books()), "stamped by the wrong clock": len(wrong)}


def _start_by_own_clock(stage, seconds):
    """Starts the daemon with a clock of its own, so many seconds off; returns the file that moves it."""
    if not os.path.exists(bench.FAKETIME):
        raise SceneFailed(f"{bench.FAKETIME} is missing: run tests/lab/setup")
    clock = stage.state / "clock"
    clock.write_text(f"{seconds:+d}")
    stage.daemon.start(
        LD_PRELOAD=bench.FAKETIME,
        FAKETIME_TIMESTAMP_FILE=str(clock),
        FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
        # What waits for monotonic time waits by the true one.
        FAKETIME_DONT_RESET="1",
    )
    return clock


def outcomes(seen):
    return ", ".join(f"{count} {outcome}" for outcome, count in sorted(seen.outcomes().items()))


def settle(stage, *words, doubles=0, lost=0, gone=()):
    """Stops the daemon, and closes the books: every round that was due has arrived."""
    if stage.daemon.alive():
        code, _ = stage.daemon.stop()
        same("exit code", code, 0)
    return close_books(stage, doubles, *words, lost=lost, gone=gone)


def close_books(stage, doubles, *words, lost=0, gone=()):
    """Every round that was due has arrived, but for those `gone` (ticks), which must not have."""
    seen = stage.books()
    account = seen.account(stage.daemon.closed_lives(), INTERVAL)
    if account.missing != sorted(gone):
        raise SceneFailed(f"of {account.due} rounds there did not arrive {account.missing}, but {sorted(gone)} are told as lost")
    for target in REQUIRED:
        ticks = {d["timestamp"] for e in seen.entries if e["outcome"] == "accepted" for d in e["datums"]
                 if d["metric"] == "Success" and d["dimensions"].get("Target") == target}
        if len(ticks) != account.delivered:
            raise SceneFailed(f"Success of {target} came for {len(ticks)} of {account.delivered} rounds")
    if account.most > max(1, doubles):
        raise SceneFailed(f"{account.doubled} datums came more than once, up to {account.most} times")
    return account, {"": outcomes(seen), "lost": lost} | ({"-": "; ".join(words)} if words else {})


def await_ticks(stage, count, seconds=SOON + 2 * INTERVAL):
    """Until so many rounds have arrived."""
    until(lambda: len(stage.books().ticks()) >= count, max(seconds, (count + 3) * INTERVAL), f"{count} rounds at CloudWatch")


def caught_up(stage, seconds=CAUGHT_UP_SECONDS, gone=()):
    """Until every round of before now has arrived, but for those `gone`."""
    began = time.time()

    def done():
        account = stage.books().account(stage.daemon.closed_lives(), INTERVAL)
        return account.delivered and not [t for t in account.missing if t < began - INTERVAL and t not in gone]

    until(done, seconds, "all rounds at CloudWatch")


def accepted(stage):
    return [entry for entry in stage.books().entries if entry["outcome"] == "accepted"]


def steady(stage):
    """last.json is never older than an interval and a round."""
    age = time.time() - (stage.state / "runtime" / "last.json").stat().st_mtime
    if age > INTERVAL + 5:
        raise SceneFailed(f"last.json is {age:.0f} s old: a sink holds the rounds up")


def past_the_start(stage):
    """The first two rounds after the start announce nothing."""
    await_ticks(stage, 3)


def verdict(daemon, name):
    """A target's verdict in last.json."""
    return next(target["verdict"] for target in daemon.last()["targets"] if target["name"] == name)


def announced(text, target):
    """The announcements of changes of this target's verdict, but for that of the start."""
    return re.findall(rf"\b{target} (?:has failed|is degraded|is healthy)\b.*(?:it was|it had|again)", text)


def announced_once(daemon, words):
    """The log has these words in one line."""
    same(f"lines with {words!r}", sum(words in line for line in daemon.log().splitlines()), 1)


def _read_back(client, tick):
    vpc = {"Name": "VpcId", "Value": "vpc-0123456789abcdef0"}
    def ask(metric, statistic, target=None):
        dimensions = [vpc] + ([{"Name": "Target", "Value": target}] if target else [])
        query = {"Namespace": "VpceProbe", "MetricName": metric, "Dimensions": dimensions}
        second = datetime.datetime.fromtimestamp(int(tick), datetime.timezone.utc)
        answer = client.get_metric_data(
            StartTime=second,
            EndTime=second + datetime.timedelta(seconds=2),
            MetricDataQueries=[{"Id": "a", "MetricStat": {"Metric": query, "Period": 1, "Stat": statistic}}],
        )
        return answer["MetricDataResults"][0]["Values"]

    listed = []
    for page in client.get_paginator("list_metrics").paginate(Namespace="VpceProbe"):
        listed += [metric["MetricName"] for metric in page["Metrics"]]
    return {
        "listed": sorted(set(listed)),
        "healthy": ask("Healthy", "Average"),
        "hosts": ask("Healthy", "SampleCount"),
        "share": ask("AddressSuccess", "Average", "ssm"),
        "addresses": ask("AddressSuccess", "SampleCount", "ssm"),
        # moto has no percentiles.
        "least": ask("ConnectTime", "Minimum", "ssm"),
        "most": ask("ConnectTime", "Maximum", "ssm"),
    }


def same(what, found, expected):
    if found != expected:
        raise SceneFailed(f"{what}: {found!r}, not {expected!r}")
