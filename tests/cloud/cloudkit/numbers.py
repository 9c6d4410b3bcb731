"""What the daemon costs, and whether anything moves its ticks: measured from outside on stages that play side by side.

The bounds are ratios, counts and sizes, never this machine's milliseconds; but for the ticks, whose bound is far above
what a busy machine adds. docs/numbers.md tells the method and shows a run.
"""

import collections
import contextlib
import functools
import math
import os
import pathlib
import re
import select
import shutil
import socket
import statistics
import struct
import subprocess
import tempfile
import threading
import time
import traceback

from cloudkit.bench import SceneFailed, Stage, until
from labkit import children, lab, netns

INTERVAL, ROUNDS_A_FLUSH = 10, 5
# As the defaults are, but for the pace: still five rounds a flush. No measurement of a path MTU falls due.
CONFIG = """
interval = "10s"
round_deadline = "9s"
state_dir = "{state}/var"
runtime_dir = "{runtime}"
[mtu]
repeat_every = 100000
[cloudwatch]
flush_interval = "50s"
"""
WARM_ROUNDS = 2
# A round's end, and the next one's start: between them everything is to sleep.
QUIET_FROM, QUIET_TO = 1.5, 8.5

# Of the same handshakes alone: a round that does nothing more than those, and one as it is by default, which also asks
# a question over HTTP, watches each path's MTU, and ships.
MOST_CPU_BARE, MOST_CPU = 1.2, 1.4
MOST_RSS_KB = 11 * 1024
MAIN = "vpce-probe"
THREADS = {MAIN, "disk", "log"}
SPOOL_BYTES, LEAST_SPOOL_DAYS = 16_000_000, 7
DAY_FLUSHES, DAY_ROUNDS = 288, 1440
# A probe's connection and one that ships differ by more than this.
A_REQUEST = 1_000
# A timer that is far away costs the runtime's timer wheel some steps; nothing but timers may wake anything.
MOST_TIMERS = 4
# Of what a tick may come late. What hangs here does so for 4 s and more: a tick that waited for it is off by seconds.
MOST_JITTER_MS = 1_500


def run(options):
    """Plays all stages, prints the table; 1 where a bound is broken."""
    program = pathlib.Path(options.bin).resolve().parent / "examples" / "handshakes"
    if not program.exists():
        print(f"cloud: {program} is missing: cargo build --release --example handshakes")
        return 2
    prefix = f"n{os.getpid()}x"
    tasks = [(name, f"{prefix}{number}") for number, name in enumerate(options.names or STAGES)]
    broken = []
    for (name, _), found in children.each(tasks, len(tasks), lambda task: _play(*task, options, program)):
        lines, too_much = found or ([], ["its process ended without a result"])
        print(f"{name}: {STAGES[name].__doc__.splitlines()[0]}")
        for line in lines:
            print(f"  {line}")
        broken += [f"{name}: {line}" for line in too_much]
        print(flush=True)
    broken += [f"left behind: {line}" for line in lab.remains(prefix)]
    for line in broken:
        print(f"TOO MUCH: {line}")
    return int(bool(broken))


def _play(name, lab_id, options, program):
    stage, memory = Stage(lab_id, options.bin), tempfile.mkdtemp(dir="/dev/shm")
    try:
        stage.raise_all()
        _configure(stage, memory)
        return STAGES[name](stage, options.rounds, program)
    except Exception:
        log = stage.state / "daemon.log"
        return [], [traceback.format_exc(limit=-4) + (log.read_text()[-2000:] if log.exists() else "")]
    finally:
        stage.down()
        shutil.rmtree(memory)


def _configure(stage, runtime):
    (stage.state / "config.toml").write_text(CONFIG.format(state=stage.state, runtime=runtime))


# -- the stages --


def quiet(stage, rounds, program):
    """A healthy subnet: six names, twelve addresses, CloudWatch takes everything."""
    return _quiet(stage, rounds, program, MOST_CPU)


def names_and_handshakes(stage, rounds, program):
    """The same with no question over HTTP, no path MTU, no metrics: a round that does what the bare handshakes do."""
    path = stage.state / "config.toml"
    text = path.read_text().replace("[mtu]", 'http = false\n[mtu]\nmode = "off"')
    path.write_text(text.replace("[cloudwatch]", "[cloudwatch]\nenabled = false"))
    return _quiet(stage, rounds, program, MOST_CPU_BARE)


def _quiet(stage, rounds, program, most_cpu):
    # Else the daemon finds the agent stale after five minutes, which is not a healthy host.
    threading.Thread(target=_hold_agents_connection, args=(stage,), daemon=True).start()
    watched = Watched(stage).start()
    watched.await_rounds(WARM_ROUNDS)
    _sleep_until(watched.starts[-1] + INTERVAL / 2)
    # From here on: the first round's connections measured path MTUs.
    wire, wired = Wire(f"vp{stage.id}-world", stage.addresses_of("monitoring")), time.time()
    limit = _Limit(stage, program)
    for pid in (stage.daemon.child.pid, limit.pid):
        _pin(pid)
    watch = _Quiet(stage, watched, limit)
    for _ in range(rounds + 1):
        watched.await_rounds(1)
        watch.look()
    stage.daemon.stop()
    limit.kill()
    flows = wire.flows()
    lines, broken = _tell_cpu(watch, most_cpu)
    return (lines, broken) if most_cpu == MOST_CPU_BARE else _tell_quiet(stage, watch, watched, (flows, wired), lines, broken)


def _hold_agents_connection(stage):
    """As the SSM agent does on a healthy host; a server that gives it up is called again."""
    netns.enter(f"vp{stage.id}-host")  # this thread alone
    with contextlib.suppress(OSError):  # the stage is gone
        while True:
            with socket.create_connection((stage.addresses_of("ssmmessages")[0], 443)) as held:
                held.recv(1)


def probe_hangs(stage, rounds, _):
    """One endpoint swallows every packet: its target's connects end after 4 s."""
    watched = Watched(stage).start()
    watched.await_rounds(WARM_ROUNDS)
    stage.silence(*stage.addresses_of("logs"))
    # What is not settled is looked at again soon: those rounds have no tick.
    return _ticks(stage, watched, rounds)


def cloudwatch_hangs(stage, rounds, _):
    """CloudWatch takes every request and never answers."""
    watched = Watched(stage).start()
    _await_first_ticks(stage)
    stage.cloudwatch(mode="hang")
    time.sleep(2 * INTERVAL)
    folder = stage.state / "var" / "spool"
    before, begun = _size(folder), len(watched.starts)
    lines, broken = _ticks(stage, watched, rounds)
    a_round = (_size(folder) - before) / (len(watched.starts) - begun)
    if a_round <= 0:
        raise SceneFailed(f"the spool does not grow: {before} bytes, {[(p.name, p.stat().st_size) for p in folder.iterdir()]}")
    days = SPOOL_BYTES / a_round / DAY_ROUNDS
    lines.append(f"spool: {a_round:.0f} bytes a healthy round; 16 MB hold {days:.0f} days of one round a minute")
    if days < LEAST_SPOOL_DAYS:
        broken.append(f"16 MB hold {days:.1f} days, not at least {LEAST_SPOOL_DAYS}")
    return lines, broken


def disk_stalls(stage, rounds, _):
    """The file system of spool and last.json is frozen: every write waits."""
    place, image = stage.state / "var", stage.state / "image"
    with open(image, "wb") as file:
        file.truncate(32 << 20)
    netns.run("mkfs.ext4", "-q", str(image))
    netns.run("mount", "-o", "loop", str(image), str(place))
    try:
        _configure(stage, f"{place}/run")
        watched = Watched(stage).start()
        _await_first_ticks(stage)
        netns.run("fsfreeze", "-f", str(place))
        try:
            return _ticks(stage, watched, rounds)
        finally:
            netns.run("fsfreeze", "-u", str(place))
    finally:
        if stage.daemon.child:
            stage.daemon.child.kill()
            stage.daemon.child.wait()
        netns.run("umount", str(place))


def journald_stalls(stage, rounds, _):
    """Nobody reads journald's socket any more, and there is much to say: every stage of every probe."""
    place, silent = stage.state / "journal", socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    place.mkdir()
    silent.bind(str(place / "socket"))
    (stage.state / "run" / "systemd" / "journal").mkdir(parents=True)

    def become(of):
        of._become(of.binary)
        netns.mount(str(place), "/run/systemd/journal", None, netns.MS_BIND)

    stage.daemon.arguments, stage.daemon.become = ["--verbose"], become
    watched = Watched(stage).start(VPCE_PROBE_LOG="journal")
    _await_first_ticks(stage)
    full = bool(select.select([silent], [], [], 0)[0])
    lines, broken = _ticks(stage, watched, rounds)
    if not full:
        broken.append("nothing came to the socket: the stall was not played")
    return lines, broken


STAGES = {
    play.__name__.replace("_", "-"): play for play in (quiet, names_and_handshakes, probe_hangs, cloudwatch_hangs, disk_stalls, journald_stalls)
}


# -- ticks --


class Watched:
    """The moments at which the daemon's rounds began, as systemd would hear of them: nothing that may stall is asked."""

    def __init__(self, stage):
        self.stage, self.starts = stage, []
        self._read = 0

    def start(self, **env):
        self.stage.daemon.start(**env)
        return self

    def await_rounds(self, count):
        """Waits until so many more rounds have ended."""
        wanted = len(self.starts) + count
        until(lambda: self._collect() >= wanted, (count + 2) * INTERVAL, f"{count} rounds")

    def _collect(self):
        notes = self.stage.daemon.notes
        for at, text in notes[self._read :]:
            if found := re.search(r"^STATUS=.*last round \S+ \((\d+) ms\)", text, re.MULTILINE):
                self.starts.append(at - int(found[1]) / 1000)
        self._read = len(notes)
        return len(self.starts)


def _await_first_ticks(stage):
    until(lambda: len(stage.books().ticks()) >= 2, 9 * INTERVAL, "ticks at CloudWatch")


def _ticks(stage, watched, rounds):
    """Watches so many rounds, and tells how far from the grid they began."""
    begun = len(watched.starts)
    watched.await_rounds(rounds)
    until(lambda: stage.books().ticks(), 9 * INTERVAL, "ticks at CloudWatch")
    return _jitter(stage, watched.starts[begun:])


def _jitter(stage, starts):
    """CloudWatch's ledger shows the grid; each of its moments must have a round that began there."""
    phase = stage.books().ticks()[-1] % INTERVAL
    late, grid = {}, lambda start: math.floor((start - phase) / INTERVAL + 0.5)
    for start in starts:
        place = grid(start)
        off = (start - phase - place * INTERVAL) * 1000
        # Rounds between the ticks confirm a result.
        if place not in late or abs(off) < abs(late[place]):
            late[place] = off
    missed = max(late) - min(late) + 1 - len(late)
    ordered = sorted(abs(off) for off in late.values())
    p99 = ordered[max(0, math.ceil(0.99 * len(ordered)) - 1)]
    words = f"ticks: {len(late)} rounds, {missed} missed; off the grid by {statistics.median(ordered):.1f} ms (median)"
    broken = []
    if missed:
        broken.append(f"{missed} ticks without a round")
    if ordered[-1] > MOST_JITTER_MS:
        broken.append(f"a tick moved by {ordered[-1]:.0f} ms, not at most {MOST_JITTER_MS}")
    return [f"{words}, {p99:.1f} ms (p99), {ordered[-1]:.1f} ms (most)"], broken


# -- a healthy daemon at rest --


class _Quiet:
    """The daemon and the bare handshakes, looked at between rounds."""

    def __init__(self, stage, watched, limit):
        self.stage, self.watched, self.limit = stage, watched, limit
        self.pid = stage.daemon.child.pid
        self.costs, self.wakes = [], []
        self.threads, self.memory = set(), {}
        self._before = None

    def look(self):
        """To be called when a round has ended: looks twice before the next one begins."""
        start = self.watched.starts[-1]
        _sleep_until(start + QUIET_FROM)
        first = _switches(self.pid)
        _sleep_until(start + QUIET_TO)
        last = _switches(self.pid)
        self.threads, self.memory = {name for name, _ in last}, _memory(self.pid)
        woken = {name: count - first.get((name, tid), 0) for (name, tid), count in last.items()}
        self.wakes.append((start, {name: count for name, count in woken.items() if count}))
        now = (_cpu(self.pid), _cpu(self.limit.pid), self.limit.rounds())
        if self._before:
            ours, theirs, count = (b - a for a, b in zip(self._before, now))
            self.costs.append((start, ours, theirs / count))
        self._before = now


def _tell_cpu(watch, most_cpu):
    lines, broken = [], []
    pairs = sorted(ours / theirs for _, ours, theirs in watch.costs)
    _, our_costs, their_costs = zip(*watch.costs)
    ours, theirs, mean = *(statistics.median(c) * 1000 for c in (our_costs, their_costs)), sum(our_costs) / sum(their_costs)
    # The median's confidence interval by ranks, as in labkit/bench.py.
    least = pairs[max(0, math.floor(len(pairs) / 2 - 0.98 * math.sqrt(len(pairs))))]
    lines.append(
        f"CPU: {ours:.2f} ms a round, {theirs:.2f} ms its handshakes alone (medians of {len(pairs)}): "
        f"×{statistics.median(pairs):.2f} (at least {least:.2f}); with all deliveries, of the sums ×{mean:.2f}; "
        f"at most {most_cpu}"
    )
    if least > most_cpu:
        broken.append(f"CPU at least {least:.2f} times that of the handshakes, not at most {most_cpu}")
    return lines, broken


def _tell_quiet(stage, watch, watched, wired, lines, broken):
    (flows, since), books = wired, stage.books()
    flushes = [entry["time"] for entry in books.entries if entry["outcome"] == "accepted"]
    for found, more in zip((lines, broken), _jitter(stage, watched.starts[WARM_ROUNDS:])):
        found += more

    memory = watch.memory
    lines.append("memory: " + ", ".join(f"{name} {size} kB" for name, size in memory.items()))
    lines.append(f"threads: {', '.join(sorted(watch.threads))}; after {len(flushes)} requests to CloudWatch")
    if memory["VmRSS"] > MOST_RSS_KB:
        broken.append(f"{memory['VmRSS']} kB resident, not at most {MOST_RSS_KB}")
    if watch.threads != THREADS:
        broken.append(f"threads {watch.threads}, not {THREADS}")

    def is_flushed(start):
        return any(start + QUIET_FROM - 1 <= at <= start + QUIET_TO + 1 for at in flushes)

    at_rest = [woken for start, woken in watch.wakes if not is_flushed(start)]
    told = collections.Counter()
    for woken in at_rest:
        told.update(woken)
    pauses = f"{len(at_rest)} pauses of {QUIET_TO - QUIET_FROM:.0f} s without a delivery"
    lines.append(f"wake-ups in {pauses}: {', '.join(f'{count} of {name}' for name, count in told.items()) or 'none'}")
    if not at_rest or set(told) - {MAIN} or any(woken.get(MAIN, 0) > MOST_TIMERS for woken in at_rest):
        broken.append(f"woken between rounds by more than timers: {at_rest}")

    usual = statistics.median(out + back for out, back in flows)
    ships = [out + back for out, back in flows if out + back > usual + A_REQUEST]
    a_flush, shipped = statistics.mean(ships) if ships else math.nan, sum(at > since for at in flushes)
    lines.append(
        f"wire: {a_flush:.0f} bytes a request to CloudWatch, both ways, TCP, TLS and its handshake included "
        f"({len(ships)} connections, {shipped} requests); {a_flush * DAY_FLUSHES / 1e6:.2f} MB a day at the defaults"
    )
    if abs(len(ships) - shipped) > 1:
        broken.append(f"{len(ships)} connections that ship for {shipped} requests")
    return lines, broken


def _memory(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return {name: int(fields[name].split()[0]) for name in ("VmRSS", "RssAnon", "RssFile", "VmHWM")}


def _switches(pid):
    """How often each thread went to sleep so far, which is how often it was woken: (name, id) → count."""
    found = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        fields = dict(line.split(":", 1) for line in (task / "status").read_text().splitlines() if ":" in line)
        found[(fields["Name"].strip(), task.name)] = int(fields["voluntary_ctxt_switches"])
    return found


def _cpu(pid):
    """CPU seconds of all threads of a process, by its own clock (clock_getcpuclockid(3))."""
    return time.clock_gettime((~pid << 3) | 2)


def _pin(pid):
    """One CPU for all threads of both: what else that CPU does, and how far it is from memory, falls on both alike."""
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), {max(os.sched_getaffinity(0))})


def _sleep_until(moment):
    time.sleep(max(0, moment - time.time()))


def _size(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


class _Limit:
    """The handshakes alone, at the daemon's pace."""

    def __init__(self, stage, program):
        names = {stage.scenario.host_name(service): ",".join(found) for service, found in stage.scenario.names.items()}
        targets = [f"{name}={addresses}" for name, addresses in names.items()]
        command = [str(program), "10.0.0.2", str(INTERVAL), *targets]
        self._out = open(stage.state / "limit.log", "w+")
        become = functools.partial(stage._become, stage.binary)
        quiet = {"stdin": subprocess.DEVNULL, "stdout": self._out, "stderr": self._out}
        self._child = subprocess.Popen(command, env=stage._environment(), preexec_fn=become, **quiet)
        self.pid = self._child.pid

    def rounds(self):
        """Finished so far."""
        if self._child.poll() is not None:
            raise SceneFailed(f"the bare handshakes ended: {pathlib.Path(self._out.name).read_text()[-500:]}")
        return pathlib.Path(self._out.name).read_text().count("round")

    def kill(self):
        self._child.kill()
        self._child.wait()


class Wire:
    """What goes over the wire between the instance and some addresses, connection by connection."""

    def __init__(self, namespace, addresses):
        self._bytes, self._addresses = collections.defaultdict(lambda: [0, 0]), {socket.inet_aton(a) for a in addresses}
        opened = threading.Event()
        threading.Thread(target=self._listen, args=(namespace, opened), daemon=True).start()
        if not opened.wait(10):
            raise SceneFailed("no packet socket")

    def flows(self):
        """(out, back) in bytes of IP packets of each connection."""
        return [tuple(pair) for pair in list(self._bytes.values())]

    def _listen(self, namespace, opened):
        netns.enter(namespace)  # this thread alone
        everything = 3  # ETH_P_ALL
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(everything))
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        opened.set()
        while True:
            packet = wire.recv(65536)
            if len(packet) < 40 or packet[0] >> 4 != 4 or packet[9] != socket.IPPROTO_TCP:
                continue
            size, head = struct.unpack("!H", packet[2:4])[0], 4 * (packet[0] & 15)
            ports = struct.unpack("!HH", packet[head : head + 4])
            if packet[16:20] in self._addresses and ports[1] == 443:
                self._bytes[(packet[16:20], ports[0])][0] += size
            elif packet[12:16] in self._addresses and ports[0] == 443:
                self._bytes[(packet[12:16], ports[1])][1] += size
