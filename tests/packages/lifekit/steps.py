"""The steps of a package's life. Each begins with an active daemon and ends with one, but for the last; each says what it saw."""

import json
import re
import time

from cloudkit.bench import INTERVAL, SceneFailed
from cloudkit.bootscenes import BAD_CONFIG
from lifekit import files
from lifekit.machine import BINARY, CONFIG_FILE, STATE_DIR, UNIT, same, until

# Quick rounds, and stages that wait longer than a busy machine needs.
EDITED = """# Mine: edited by hand.
interval = "10s"
round_deadline = "5s"
[timeouts]
resolve = "2s"
connect = "2s"
tls = "2s"
http = "2s"
mtu = "3s"
[cloudwatch]
flush_interval = "10s"
"""
USER = "vpce-probe"
# A round has ended so long after its tick, also where an endpoint is silent.
EDGE_SECONDS = 5
MOST_EXPOSURE, JUDGED_SYSTEMD = 1.2, 252
RESTART_SECONDS = 5
NO_USERS = f"/etc/systemd/system/{UNIT}.d/10-no-user-namespaces.conf"


def install(life):
    """The daemon runs from the install on, as its own user, and says how it is."""
    machine = life.machine
    life.before = files.listing(machine)
    life.manager.install("first")
    _runs(life, "first")
    same("is-enabled", machine.sh("systemctl is-enabled " + UNIT, check=False), "enabled")
    same("restarts", machine.restarts(), 0)
    life.manager.verify(edited=False)
    type_, since = machine.state("Type", "ActiveEnterTimestampMonotonic")
    if not type_.startswith("notify") or not int(since):
        raise SceneFailed(f"no READY was seen: Type={type_}, ActiveEnterTimestampMonotonic={since}")
    status = until(lambda: _healthy(machine), 60, "healthy in STATUS")
    return f"{life.manager.version()}, active, enabled, READY; STATUS {status.partition(';')[0]}"


def sandbox(life):
    """What the unit promises holds for the process: no user 0, no capability, seccomp, nothing to write but its own."""
    machine, pid = life.machine, life.machine.pid()
    fields = dict(line.split(":\t", 1) for line in machine.sh(f"cat /proc/{pid}/status").splitlines() if ":\t" in line)
    none = "0" * 16
    wanted = {"CapInh": none, "CapPrm": none, "CapEff": none, "CapBnd": none, "CapAmb": none, "NoNewPrivs": "1", "Seccomp": "2"}
    same("/proc/PID/status", {name: fields[name] for name in wanted}, wanted)
    user, group = machine.sh(f"id -u {USER}"), machine.sh(f"id -g {USER}")
    same("Uid, Gid", [fields["Uid"].split(), fields["Gid"].split()], [[user] * 4, [group] * 4])
    if not 0 < int(user) < 1000:
        raise SceneFailed(f"{USER} has the number {user}")
    same("the state directory", machine.sh(f"stat -c '%a %U:%G' {STATE_DIR}"), f"750 {USER}:{USER}")
    # What it may write by the mounts alone, that is were it root; and then as who it is.
    inside = f"nsenter -t {pid} -m --"
    itself = f"{inside} setpriv --reuid={user} --regid={group} --clear-groups"
    for who, folder in [(inside, path) for path in ("/etc", "/usr/bin", "/var", "/root")] + [(itself, "/etc/vpce-probe")]:
        said = machine.sh(f"{who} touch {folder}/life", check=False)
        if "Read-only file system" not in said and "Permission denied" not in said:
            machine.sh(f"rm -f {folder}/life")
            raise SceneFailed(f"{folder} can be written in the sandbox: {said!r}")
    machine.sh(f"{itself} touch {STATE_DIR}/life && rm {STATE_DIR}/life")  # the look itself can tell one from the other
    (root,) = [line for line in machine.sh(f"cat /proc/{pid}/mounts").splitlines() if line.split()[1] == "/"][-1:]
    same("the root's mount", root.split()[3].split(",")[0], "ro")
    return f"uid {user}, CapEff 0, CapBnd 0, NoNewPrivs 1, Seccomp 2, / and /etc read-only, {STATE_DIR} 0750"


def analysis(life):
    """systemd-analyze: verify has nothing to say of the unit, security little."""
    machine = life.machine
    done = machine.exec("systemd-analyze", "verify", "--man=no", UNIT, check=False)
    same("systemd-analyze verify", (done.returncode, done.stdout + done.stderr), (0, ""))
    said = machine.sh(f"systemd-analyze security --no-pager {UNIT}", check=False)
    exposure = float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)[1])
    version = int(re.match(r"systemd (\d+)", machine.sh("systemctl --version"))[1])
    if version == JUDGED_SYSTEMD and exposure > MOST_EXPOSURE:
        raise SceneFailed(f"exposure {exposure}: " + "; ".join(line for line in said.splitlines() if line.startswith("✗")))
    return f"systemd {version}: verify clean, exposure {exposure}"


def rounds(life):
    """With an edited config: finished rounds, and their metrics at CloudWatch."""
    machine, stage = life.machine, life.stage
    machine.put(CONFIG_FILE, EDITED)
    machine.sh(f"systemctl restart {UNIT}")
    began = time.time()
    fresh = until(lambda: [t for t in stage.books().ticks() if t > began][1:], 90, "two rounds at CloudWatch")
    until(lambda: _healthy(machine), 30, "healthy in STATUS")
    same("vpce-probe status", machine.exec("vpce-probe", "status", check=False).returncode, 0)
    names = stage.ask_moto(lambda client: sorted({m["MetricName"] for m in client.list_metrics(Namespace="VpceProbe")["Metrics"]}))
    if missing := {"Healthy", "Success", "ConnectTime", "HandshakeTime"} - set(names):
        raise SceneFailed(f"not listed by moto: {missing} (it has {names})")
    return f"{len(fresh) + 1} rounds at CloudWatch, {len(names)} metrics listed"


def journal(life):
    """Fields in the journal, and the catalog's text to them."""
    machine = life.machine
    record = until(lambda: _record(machine, VPCE_EVENT="round-changed") or _record(machine, VPCE_EVENT="round"), 60, "a round's record")
    wanted = {"SYSLOG_IDENTIFIER": "vpce-probe", "_SYSTEMD_UNIT": UNIT, "VPCE_VERDICT": "healthy"}
    same("its fields", {name: record.get(name) for name in wanted}, wanted)
    for name in ("VPCE_ROUND", "VPCE_ELAPSED_MS", "VPCE_AT"):
        if not record.get(name):
            raise SceneFailed(f"no {name}: {record}")
    identity = record["MESSAGE_ID"]
    entry = machine.text("/usr/lib/systemd/catalog/vpce-probe.catalog").partition(f"-- {identity}\n")[2]
    subject = re.search(r"^Subject: (.*)$", entry, re.M)[1].replace("@VPCE_VERDICT@", "healthy")
    said = machine.sh(f"journalctl -x --no-pager -n 1 -t vpce-probe MESSAGE_ID={identity} VPCE_VERDICT=healthy")
    if f"Subject: {subject}" not in said or "Defined-By: vpce-probe" not in said:
        raise SceneFailed(f"the catalog's text ({subject}) is not in journalctl -x:\n{said}")
    return f"{sum(name.startswith('VPCE_') for name in record)} VPCE_ fields, MESSAGE_ID; journalctl -x: {subject}"


def reload_good(life):
    """`systemctl reload` takes a new config without a restart."""
    machine, stage, pid = life.machine, life.stage, life.machine.pid()
    machine.put(CONFIG_FILE, EDITED + 'detail = "heartbeat"\n')
    machine.sh(f"systemctl reload {UNIT}")
    until(lambda: stage.books().ticks("Heartbeat"), 60, "Heartbeat, which the new config asks for")
    same("main process", machine.pid(), pid)
    machine.put(CONFIG_FILE, EDITED)
    machine.sh(f"systemctl reload {UNIT}")
    until(lambda: _healthy(machine), 30, "healthy in STATUS")
    return "Heartbeat arrives, same process"


def reload_bad(life):
    """A bad config is refused in journal and STATUS; the old one stays in force."""
    machine, pid = life.machine, life.machine.pid()
    # The refusal stands in STATUS until the next round: one has just been.
    written = machine.sh("stat -c %Y /run/vpce-probe/last.json")
    until(lambda: machine.sh("stat -c %Y /run/vpce-probe/last.json") != written, INTERVAL + 6, "a round")
    machine.put(CONFIG_FILE, BAD_CONFIG)
    machine.sh(f"systemctl reload {UNIT}", check=False)
    status = until(lambda: status if "refused" in (status := machine.status()) else None, INTERVAL, "the refusal in STATUS")
    refused = until(lambda: _record(machine, VPCE_EVENT="reload-refused"), 15, "the refusal in the journal")
    machine.put(CONFIG_FILE, EDITED)
    arrived = life.stage.books().ticks()[-1]
    until(lambda: life.stage.books().ticks()[-1] > arrived, 45, "a round by the old config")
    same("main process", machine.pid(), pid)
    same("PRIORITY", refused["PRIORITY"], "3")
    return f"STATUS: {status.partition(':')[0]}; rounds go on, same process"


def hung(life):
    """A daemon that hangs is killed by the watchdog and started again."""
    machine, before = life.machine, life.machine.restarts()
    (limit,) = machine.state("WatchdogUSec")
    began = time.monotonic()
    machine.signal("STOP", machine.pid())
    until(lambda: machine.restarts() == before + 1 and machine.is_active(), 120, f"active again (watchdog {limit})")
    seconds = time.monotonic() - began
    if "Watchdog timeout" not in machine.sh(f"journalctl -u {UNIT} --no-pager -o cat"):
        raise SceneFailed("the journal knows of no watchdog timeout")
    until(lambda: _healthy(machine), 30, "healthy in STATUS")
    return f"watchdog {limit}: active again after {seconds:.0f} s"


def killed(life):
    """kill -9 while CloudWatch is away: started again, and what waited on disk is delivered."""
    machine, before = life.machine, life.machine.restarts()
    owed = _outage(life)
    machine.signal("KILL", machine.pid())
    began = time.monotonic()
    until(lambda: machine.restarts() == before + 1 and machine.is_active(), 30, "active again")
    seconds = time.monotonic() - began
    _delivered(life, owed)
    return f"active again after {seconds:.0f} s; {_many(owed)} from before delivered"


def bad_config(life):
    """A bad config: 78, failed, no restart, and a reader of `systemctl status` knows why."""
    machine = life.machine
    machine.put(CONFIG_FILE, BAD_CONFIG)
    if machine.exec("systemctl", "restart", UNIT, check=False).returncode == 0:
        raise SceneFailed("it became active with a bad config")
    before = machine.restarts()
    time.sleep(RESTART_SECONDS + 2)
    same("the unit", machine.state("ExecMainStatus", "ActiveState", "SubState"), ["78", "failed", "failed"])
    same("restarts", machine.restarts(), before)
    said = machine.sh(f"systemctl status --no-pager {UNIT}", check=False)
    mistakes = re.findall(r"config\.toml:\d+:\d+: (.*)", said)
    if not any("interval" in line for line in mistakes) or not any("unknown" in line for line in mistakes):
        raise SceneFailed(f"systemctl status does not tell the mistakes:\n{said}")
    machine.put(CONFIG_FILE, EDITED)
    machine.sh(f"systemctl reset-failed {UNIT}; systemctl start {UNIT}")
    return f"exit 78, failed, no restart; status: {mistakes[0]}"


def reinstall(life):
    """The same version once more: nothing is lost, it runs."""
    life.manager.reinstall("first")
    _runs(life, "first")
    _config_is_kept(life)
    life.manager.verify(edited=True)
    return "active, config kept"


def upgrade(life):
    """A higher version, while CloudWatch is away: the new binary runs with the old config and the old spool."""
    machine, old = life.machine, life.machine.pid()
    owed = _outage(life)
    life.manager.upgrade("next")
    _runs(life, "next")
    if machine.pid() == old:
        raise SceneFailed("it was not restarted")
    _config_is_kept(life)
    beside = machine.text(life.manager.new_defaults)
    if beside is None or "later version" not in beside:
        raise SceneFailed(f"{life.manager.new_defaults} does not hold the new defaults: {beside}")
    life.manager.verify(edited=True)
    _delivered(life, owed)
    return f"{life.manager.version()}, new process, config kept, new defaults beside it, {_many(owed)} from before delivered"


def downgrade(life):
    """Back to the version before. Who has switched it off finds it off."""
    machine = life.machine
    machine.sh(f"systemctl disable --now {UNIT}")
    life.manager.downgrade("first")
    same("it was switched off", machine.state("ActiveState", "UnitFileState"), ["inactive", "disabled"])
    machine.sh(f"systemctl enable --now {UNIT}")
    _runs(life, "first")
    _config_is_kept(life)
    return f"{life.manager.version()}, stays switched off, config kept"


def changed_for_old(life):
    """Uninstall and reinstall, with the version before, as the agent does when an installation fails."""
    life.manager.downgrade("first")
    _runs(life, "first")
    _config_is_kept(life)
    return f"{life.manager.version()}, active, config kept"


def broken_upgrade(life):
    """An update that cannot work fails, and the old version goes on: a torn file, a program for other machines, a daemon
    that never gets ready. Then the agent's rollback, which installs the old version again.
    """
    said = []
    for which in ("torn", "foreign", "mute"):
        done = life.manager.run(which, "update.sh", "Update", check=False)
        if done.returncode == 0:
            raise SceneFailed(f"update.sh of the {which} package says that all is well:\n{done.stdout}{done.stderr}")
        _runs(life, "first")
        same(f"enabled, after the {which} one", life.machine.state("UnitFileState"), ["enabled"])
        _config_is_kept(life)
        said.append(f"{which}: exit {done.returncode}")
    _goes_on(life)
    life.manager.install("first")
    _runs(life, "first")
    return f"{', '.join(said)}; each time the old one runs on"


def remove(life):
    """Removed while CloudWatch is away: nothing runs, config and spool stay."""
    machine = life.machine
    life.owed = _outage(life)
    life.manager.remove()
    same("processes", machine.sh("for p in /proc/[0-9]*; do readlink $p/exe; done | grep -c vpce-probe", check=False), "0")
    active, loaded = machine.state("ActiveState", "LoadState")
    same("the unit", (active, loaded in life.manager.removed_unit), ("inactive", True))
    same("files", machine.sh(f"ls {BINARY} /usr/lib/systemd/system/{UNIT} /run/vpce-probe 2>/dev/null", check=False), "")
    same("the config", machine.text(life.manager.config_after_removal), EDITED)
    if not machine.sh(f"find {STATE_DIR}/spool -type f -size +0", check=False):
        raise SceneFailed("the spool is gone")
    return f"stopped; {life.manager.config_after_removal} and {_many(life.owed)} in the spool stay"


def again(life):
    """Installed anew: it takes up the config and the spool that were left."""
    machine = life.machine
    if life.manager.config_after_removal != CONFIG_FILE:  # as an administrator would
        machine.sh(f"mv {life.manager.config_after_removal} {CONFIG_FILE}")
    life.manager.install("first")
    _runs(life, "first")
    _config_is_kept(life)
    _delivered(life, life.owed)
    return f"active; config in force, {_many(life.owed)} from before delivered"


def no_user_namespaces(life):
    """On a host that forbids user namespaces, the package brings the drop-in without which the unit would not start."""
    machine, limit = life.machine, "/proc/sys/user/max_user_namespaces"
    install_again = getattr(life.manager, "reinstall", life.manager.install)
    machine.sh(f"echo 0 >/run/none; mount --bind /run/none {limit}")
    try:
        install_again("first")
    finally:
        machine.sh(f"umount {limit}; rm /run/none")
    _runs(life, "first")
    forbidden = machine.sh(f"systemctl show -p PrivateUsers {UNIT}"), machine.sh(f"ls {NO_USERS}")
    install_again("first")
    _runs(life, "first")
    same("the sandbox where they are forbidden, and allowed again",
         (*forbidden, machine.sh(f"systemctl show -p PrivateUsers {UNIT}"), machine.sh(f"ls {NO_USERS} 2>/dev/null", check=False)),
         ("PrivateUsers=no", NO_USERS, "PrivateUsers=yes", ""))
    return "active without a user namespace; after the next installation, with namespaces again, with one"


def purge(life):
    """Nothing is left: what lies on the disk is what lay there before, but for the system user."""
    stays = life.manager.purge()
    left = files.changes(life.before, files.listing(life.machine))
    shared = [f"came: {folder} (None -> d 755 0:0 )" for folder in life.manager.shared_folders]
    left = [line for line in left if line not in shared]
    same("left behind", [line for line in left if not any(line.startswith(f"came: {path}") for path in stays)], [])
    same("the unit", life.machine.state("ActiveState", "LoadState"), ["inactive", "not-found"])
    names = [line.split()[1].removeprefix(STATE_DIR + "/") for line in left if "-> f" in line]
    return "nothing left but the system user" + (f", and of its own {' '.join(names)}" if stays else "")


# -- what steps share --


def restore(life):
    """An active daemon with the edited config, whatever was before; for what follows a step that failed."""
    machine = life.machine
    life.stage.cloudwatch(heal=True)
    machine.put(CONFIG_FILE, EDITED)
    machine.sh(f"systemctl enable {UNIT}; systemctl reset-failed {UNIT}; systemctl restart {UNIT}", check=False)


def _runs(life, which):
    machine = life.machine
    until(machine.is_active, 30, f"active ({machine.state('ActiveState', 'SubState', 'Result')})")
    same(f"what runs is the {which} package's binary", machine.running_hash(), life.hashes[which])


def _healthy(machine):
    status = machine.status()
    return status if status.startswith("healthy") else None


def _record(machine, **fields):
    """The last such record of the journal."""
    words = [f"{name}={value}" for name, value in fields.items()]
    lines = machine.exec("journalctl", "-o", "json", "--no-pager", "-q", "-n", "1", "-t", "vpce-probe", *words).stdout.splitlines()
    return json.loads(lines[-1]) if lines else None


def _config_is_kept(life):
    same("the config", life.machine.text(CONFIG_FILE), EDITED)


def _goes_on(life):
    arrived = life.stage.books().ticks()[-1]
    until(lambda: life.stage.books().ticks()[-1] > arrived, 60, "the next round at CloudWatch")


def _outage(life):
    """CloudWatch fails from now on; returns the ticks of rounds that were made since and can only be on the disk."""
    life.stage.cloudwatch(mode="500")
    began = time.time()
    phase = life.stage.books().ticks()[-1] % INTERVAL
    first = began - (began - phase) % INTERVAL + INTERVAL

    def owed():
        count = int((time.time() - EDGE_SECONDS - first) // INTERVAL) + 1
        return [round(first + number * INTERVAL, 3) for number in range(count)]

    return until(owed, 2 * INTERVAL + EDGE_SECONDS, "a round")


def _delivered(life, owed):
    """CloudWatch is well again: what it is owed arrives, and was not there before."""
    if early := set(owed) & _arrived(life):
        raise SceneFailed(f"CloudWatch had {sorted(early)} although it failed")
    life.stage.cloudwatch(heal=True)
    until(lambda: set(owed) <= _arrived(life), 90, f"the rounds of {owed} at CloudWatch")


def _arrived(life):
    return {round(tick, 3) for tick in life.stage.books().ticks()}


def _many(owed):
    return f"{len(owed)} round{'s' * (len(owed) != 1)}"


BY_HAND = [
    install, sandbox, analysis, rounds, journal, reload_good, reload_bad, hung, killed, bad_config, reinstall, upgrade, downgrade, remove, again,
    no_user_namespaces, purge,
]  # fmt: skip
BY_AGENT = [install, sandbox, analysis, rounds, reinstall, broken_upgrade, upgrade, changed_for_old, remove, again, no_user_namespaces, purge]
