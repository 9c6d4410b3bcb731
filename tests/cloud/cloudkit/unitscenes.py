"""The unit's sandbox on a booted machine: that it is on, that the daemon sees through it what it needs, and that the unit
works where systemd is too old for most of it.
"""

import json
import re

from cloudkit import booted, systemd219
from cloudkit.bench import SceneFailed, until
from cloudkit.booted import CONFIG, CONFIG_FILE, DROP_INS, EXAMPLE_FILE, UNIT, UNIT_FILE

USER = "vpce-probe"
STATE, RUNTIME = "/var/lib/vpce-probe", "/run/vpce-probe"
MOST_EXPOSURE = 1.2
DROP_IN = f"{DROP_INS}/local.conf"
OVER = f"/etc/systemd/system/{UNIT}"
AGENT = "amazon-ssm-agent.service"
AGENT_FILE = f"/usr/lib/systemd/system/{AGENT}"
UPSTREAM_FILE = "/run/systemd/resolve/resolv.conf"
LONGEST = 'interval = "24h"\nround_deadline = "10m"\n'
TEXTFILE = "/var/lib/node_exporter/vpce_probe.prom"
NODE_EXPORTER = "node_exporter"
ASKER = "/usr/local/lib/ask.pl"
# Of system calls on x86-64, what they are called with, and what the kernel says to it: 1 is EPERM, 97 EAFNOSUPPORT, and 13,
# EACCES, where systemd has the kernel itself deny writable code (254 and later).
CALLS = {
    "ptrace": (101, "0,0,0,0", 1),
    "personality": (135, "8", 1),
    "setpriority": (141, "0,0,6", 1),
    "mount": (165, "0,0,0,0,0", 1),
    "clock_settime": (227, "0,0", 1),
    "add_key": (248, "0,0,0,0,0", 1),
    "unshare": (272, "0x10000000", 1),
    "perf_event_open": (298, "0,0,0,0,0", 1),
    "process_vm_readv": (310, "1,0,0,0,0,0", 1),
    "bpf": (321, "0,0,0", 1),
    "userfaultfd": (323, "0", 1),
    "io_uring_setup": (425, "1,0", 1),
    "mmap of writable code": (9, "0,4096,7,0x22,-1,0", (1, 13)),
    "socket AF_PACKET": (41, "17,3,0", 97),
    "socket AF_NETLINK": (41, "16,3,0", 0),
    "socket AF_INET": (41, "2,1,0", 0),
}
# Without the sandbox these are allowed to everybody, or refused with another word: so the asker can tell the difference.
TELLING = ("ptrace", "personality", "setpriority", "process_vm_readv", "mmap of writable code", "socket AF_PACKET")
READABLE = (
    "/proc/net/tcp", "/proc/net/tcp6", "/proc/net/route", "/proc/net/ipv6_route", "/etc/resolv.conf", UPSTREAM_FILE,
    "/etc/ssl/certs/ca-certificates.crt", CONFIG_FILE, f"/sys/fs/cgroup/system.slice/{AGENT}/cgroup.procs", AGENT_FILE,
)  # fmt: skip
READ_ONLY = (
    "/", "/etc", "/etc/vpce-probe", "/usr", "/usr/bin", "/boot", "/opt", "/srv", "/var", "/var/lib", "/var/log", "/run",
    "/run/lock", "/sys/fs/cgroup",
)  # fmt: skip
SIOCETHTOOL, GSTATS = 0x8946, 0x1D
LIMITS = {
    "MemoryMax": str(64 << 20), "TasksMax": "32", "CPUWeight": "20", "IOWeight": "10", "Nice": "5", "IOSchedulingClass": "3",
    "LimitNOFILE": "16384", "LimitCORE": "0", "OOMPolicy": "kill", "User": USER, "DynamicUser": "no",
}  # fmt: skip


def analyzed(machine, _):
    """systemd finds no fault in the unit, and its exposure is low."""
    done = machine.exec("systemd-analyze", "verify", "--man=no", UNIT, check=False)
    booted.same("systemd-analyze verify", (done.returncode, done.stdout + done.stderr), (0, ""))
    said = machine.exec("systemd-analyze", "security", "--no-pager", UNIT).stdout
    exposure = float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", said).group(1))
    if exposure > MOST_EXPOSURE:
        raise SceneFailed(said)
    version = machine.exec("systemctl", "--version").stdout.split()[1]
    return f"systemd {version}: verify clean, exposure {exposure}"


def sandboxed(machine, _):
    """No privilege, no file to write but its own, no call that it does not need; limits as written."""
    pid = machine.main_pid(UNIT)
    lines = machine.exec("cat", f"/proc/{pid}/status").stdout.splitlines()
    fields = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    nothing = "0" * 16
    wanted = {name: nothing for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} | {"NoNewPrivs": "1", "Seccomp": "2"}
    booted.same("the process", {name: fields[name] for name in wanted}, wanted)
    user = machine.exec("id", "-u", USER).stdout.strip()
    booted.same("its user", set(fields["Uid"].split()), {user})
    booted.same("limits", machine.show(UNIT, *LIMITS), LIMITS)
    _writes_nowhere_else(machine, pid)
    _calls_nothing_else(machine)
    return f"user {user}, {len(CALLS)} calls and {len(READ_ONLY)} folders tried"


def _writes_nowhere_else(machine, pid):
    """Root itself, in the daemon's view of the file system, can write to its two folders and its own /tmp only."""

    def touch(folder):
        done = machine.exec("nsenter", "-t", str(pid), "-m", "touch", f"{folder}/touched", check=False)
        return done.stderr.rpartition(": ")[2].strip()

    found = {folder: touch(folder) for folder in READ_ONLY}
    booted.same("folders", found, {folder: "Read-only file system" for folder in READ_ONLY})
    own = (STATE, RUNTIME, "/tmp", "/var/tmp")
    booted.same("its own folders", {folder: touch(folder) for folder in own}, {folder: "" for folder in own})
    machine.exec("rm", f"{STATE}/touched", f"{RUNTIME}/touched")
    hidden = machine.exec("nsenter", "-t", str(pid), "-m", "ls", "-A", "/root", "/home").stdout.split()
    booted.same("/root and /home", hidden, ["/home:", "/root:"])


def _calls_nothing_else(machine):
    """The daemon's user in the daemon's sandbox, and the same user without it."""
    _put_asker(machine, {name: f"syscall({n}, {args}) >= 0" for name, (n, args, _) in CALLS.items()})
    inside, outside = _answers(_inside(machine)), _answers(_outside(machine))
    wanted = {name: inside[name] if inside[name] in _all(numbers) else numbers for name, (_, _, numbers) in CALLS.items()}
    booted.same("calls inside", inside, wanted)
    if same := [name for name in TELLING if inside[name] == outside[name]]:
        raise SceneFailed(f"the same without the sandbox: {same} in {outside}")


def _put_asker(machine, questions):
    """A program that prints, for each question in Perl's words, 0 for a yes and else the kernel's number."""
    asked = [f"print '{name}: ', ({question} ? 0 : $!+0), \"\\n\";" for name, question in questions.items()]
    machine.put(ASKER, "\n".join(["$| = 1;", *asked]) + "\n")


def _all(numbers):
    return numbers if isinstance(numbers, tuple) else (numbers,)


def _answers(text):
    return {name: int(number) for name, number in (line.split(": ") for line in text.splitlines())}


def _inside(machine):
    """What the asker prints as the unit's process."""
    unit = machine.exec("cat", UNIT_FILE).stdout
    for before, behind in {
        r"^Type=.*": "Type=oneshot",
        r"^ExecStart=.*": f"ExecStart=/usr/bin/perl {ASKER}\nStandardOutput=file:/run/asked",
        r"^(Restart|WatchdogSec|ExecReload).*\n": "",
        # Else the daemon's own would go with it.
        r"^RuntimeDirectoryPreserve=.*": "RuntimeDirectoryPreserve=yes",
    }.items():
        unit = re.sub(before, behind, unit, flags=re.M)
    machine.put("/etc/systemd/system/inside.service", unit)
    machine.exec("rm", "-f", "/run/asked")
    machine.exec("systemctl", "daemon-reload")
    try:
        machine.exec("systemctl", "start", "inside")
        return machine.exec("cat", "/run/asked").stdout
    finally:
        machine.exec("rm", "/etc/systemd/system/inside.service")
        machine.exec("systemctl", "daemon-reload")


def _outside(machine):
    return machine.exec("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "perl", ASKER).stdout


def sees_the_agent(machine, _):
    """amazon-ssm-agent by its unit and its control group: installed and stopped, then running."""
    machine.put(AGENT_FILE, "[Service]\nExecStart=/bin/sleep infinity\n")
    machine.exec("systemctl", "daemon-reload")
    until(lambda: "agent-not-running" in _host_causes(machine), 30, "agent-not-running, of an agent that is stopped")
    machine.exec("systemctl", "start", AGENT)
    until(lambda: not _host_causes(machine), 30, "no word of an agent that runs")
    machine.put(UPSTREAM_FILE, "nameserver 10.0.0.2\n")
    asked = {path: f"open(F, '<', '{path}') && read(F, $b, 1) > 0" for path in READABLE}
    link = _last(machine)["host"]["link"]["name"]
    asked["counters"] = f"socket(S, 2, 2, 0) && ioctl(S, {SIOCETHTOOL}, pack('a16P', '{link}', $d = pack('Lx8188', {GSTATS})))"
    asked["agent"] = f"-e '/proc/{machine.main_pid(AGENT)}'"
    _put_asker(machine, asked)
    try:
        booted.same("readable inside", _answers(_inside(machine)), {name: 0 for name in asked} | {"agent": 2})
    finally:
        machine.exec("rm", UPSTREAM_FILE)
    machine.exec("systemctl", "stop", AGENT)
    machine.exec("rm", AGENT_FILE)
    machine.exec("systemctl", "daemon-reload")
    return f"{len(READABLE)} files of others and the driver's counters read, the agent's process unseen"


def judges_as_root_does(machine, stage):
    """The daemon in its sandbox and root's `once` without it: the same facts and the same causes, also of the servers
    behind systemd-resolved's stub."""
    _same_judgement(machine)
    resolv_conf = machine.exec("cat", "/etc/resolv.conf").stdout
    (upstream,) = re.findall(r"^nameserver (\S+)", resolv_conf, re.M)[:1]
    machine.put(UPSTREAM_FILE, f"nameserver {upstream}\n")
    machine.put("/etc/resolv.conf", re.sub(r"^nameserver .*\n", "", resolv_conf, flags=re.M) + "nameserver 127.0.0.53\n")
    try:
        until(lambda: "127.0.0.53" in _last(machine)["host"]["resolvers"], 30, "a round with the stub")
        report = _same_judgement(machine)
    finally:
        machine.put("/etc/resolv.conf", resolv_conf)
        machine.exec("rm", UPSTREAM_FILE)
    booted.same("name servers, with those behind the stub", report["host"]["resolvers"], ["127.0.0.53", upstream])
    until(lambda: _last(machine)["verdict"] == "healthy", 45, "healthy again")
    return f"{len(report['targets'])} targets, {report['verdict']} with a dead stub"


def _same_judgement(machine):
    """Holds both against each other; returns the daemon's report."""
    done = machine.exec("vpce-probe", "once", "--format", "json", check=False)
    outside = json.loads(done.stdout)
    found, wanted = _judgement(_last(machine)), _judgement(outside)
    booted.same("the daemon's report, as root's `once` has it", found, wanted)
    return _last(machine)


def _judgement(report):
    """What must be the same for any two rounds of an unchanged world."""
    host = {key: report["host"][key] for key in ("instance_id", "region", "vpc_id", "source", "imds", "link", "resolvers")}
    host["problems"] = sorted(problem["cause"] for problem in report["host"]["problems"])
    targets = {}
    for target in report["targets"]:
        stages = [
            [a["address"], a["place"], a["subnet"], (a["mtu"] or {}).get("link_mtu")]
            + [(a[stage] or {}).get("outcome") for stage in ("connect", "tls", "mtu", "http")]
            for a in target["addresses"]
        ]
        problems = sorted((problem["cause"], problem["severity"]) for problem in target["problems"])
        targets[target["name"]] = (target["verdict"], target["cause"], problems, sorted(map(str, stages)))
    return {"verdict": report["verdict"], "host": host, "targets": targets}


def takes_the_example(machine, _):
    """example.conf: every line is good for this systemd, and with those that are for every host the textfile is written,
    which it is not without."""
    machine.put(CONFIG_FILE, CONFIG + f'[textfile]\npath = "{TEXTFILE}"\n')
    machine.put("/etc/sysusers.d/node_exporter.conf", f"g {NODE_EXPORTER} -\n")
    machine.exec("systemd-sysusers", "/etc/sysusers.d/node_exporter.conf")
    machine.exec("install", "-d", "-g", NODE_EXPORTER, "-m", "2775", TEXTFILE.rpartition("/")[0])
    told = len(machine.journal())
    machine.exec("systemctl", "restart", UNIT)
    until(lambda: TEXTFILE in str(machine.journal()[told:]), 30, "that the textfile cannot be written")
    paragraphs = _paragraphs(machine)
    _drop_in(machine, paragraphs)
    _drop_in(machine, [paragraph for paragraph in paragraphs if "-- Only " not in paragraph])
    machine.exec("systemctl", "restart", UNIT)
    shown = until(lambda: machine.exec("stat", "-c", "%U %G %a", TEXTFILE, check=False).stdout.strip(), 30, "the textfile")
    booted.same("the textfile", shown, f"{USER} {NODE_EXPORTER} 644")
    pid = machine.main_pid(UNIT)
    environment = machine.exec("cat", f"/proc/{pid}/environ").stdout.split("\0")
    if "AWS_REGION=eu-west-1" not in environment:
        raise SceneFailed(f"no AWS_REGION in {environment}")
    machine.put(CONFIG_FILE, CONFIG)
    machine.exec("systemctl", "reload", UNIT)
    booted.same("main process after a reload", machine.main_pid(UNIT), pid)
    kind = machine.show(UNIT, "Type")["Type"]
    machine.exec("rm", DROP_IN)
    machine.exec("systemctl", "daemon-reload")
    machine.exec("systemctl", "restart", UNIT)
    return f"Type={kind}, textfile {shown}"


def _paragraphs(machine):
    """Those of example.conf that are not for a later systemd."""
    version = int(machine.exec("systemctl", "--version").stdout.split()[1])
    paragraphs = machine.exec("cat", EXAMPLE_FILE).stdout.split("\n\n")
    since = [re.search(r"For systemd (\d+) and later", paragraph) for paragraph in paragraphs]
    return [p for p, later in zip(paragraphs, since) if not later or int(later.group(1)) <= version]


def _drop_in(machine, paragraphs):
    """Their settings as a drop-in, in which systemd finds no fault."""
    settings = re.findall(r"^#([A-Z]\w+=.*)", "\n".join(paragraphs), re.M)
    machine.put(DROP_IN, "\n".join(["[Service]", *settings]) + "\n")
    machine.exec("systemctl", "daemon-reload")
    done = machine.exec("systemd-analyze", "verify", "--man=no", UNIT, check=False)
    booted.same("verify with the drop-in", (done.returncode, done.stdout + done.stderr), (0, ""))


def as_systemd_219_sees_it(machine, stage):
    """Without the lines that 219 does not know, without its folders and variables: rounds, records with their fields, the
    spool in the folder that the package owns; and the longest interval is no matter for the watchdog."""
    text, dropped = systemd219.seen(machine.exec("cat", UNIT_FILE).stdout)
    machine.exec("systemctl", "stop", UNIT)
    machine.exec("rm", "-rf", STATE, RUNTIME)
    machine.exec("install", "-d", "-o", USER, "-g", USER, "-m", "750", STATE)
    try:
        # The mistake that this scene is for must be seen by it.
        _put_over(machine, re.sub(r"^SystemCallFilter=.*", f"SystemCallFilter={systemd219.OF_AN_ALLOW_LIST}", text, flags=re.M))
        if machine.exec("systemctl", "start", UNIT, check=False).returncode == 0:
            raise SceneFailed("it came up with what 219 leaves of a list of allowed calls")
        machine.exec("systemctl", "stop", UNIT)
        _put_over(machine, text)
        spool = _lives_on_219(machine, stage)
        longest = _longest_watchdog(machine)
    finally:
        machine.exec("systemctl", "stop", UNIT)
        machine.exec("rm", OVER)
        machine.put(CONFIG_FILE, CONFIG)
        machine.exec("systemctl", "daemon-reload")
        machine.exec("systemctl", "start", UNIT)
    return f"{dropped} lines unknown to it, spool {spool}, watchdog {longest}"


def _put_over(machine, text):
    machine.put(OVER, text)
    machine.exec("systemctl", "daemon-reload")


def _lives_on_219(machine, stage):
    """Rounds, records, files, and a restart; returns whose the spool is."""
    first, ticks = machine.journal()[-1], len(stage.books().ticks())
    machine.exec("systemctl", "start", UNIT)
    until(lambda: "healthy" in booted.status(machine), 30, "healthy in StatusText")
    until(lambda: len(stage.books().ticks()) >= ticks + 2, 60, "two rounds at CloudWatch")
    environment = machine.exec("cat", f"/proc/{machine.main_pid(UNIT)}/environ").stdout
    if late := [name for name in systemd219.LATER_VARIABLES.split() if f"{name}=" in environment]:
        raise SceneFailed(f"219 sets no {late}")
    paths = (f"{STATE}/spool", f"{RUNTIME}/last.json")
    owners = {path: machine.exec("stat", "-c", "%U %a", path).stdout.strip() for path in paths}
    booted.same("the files", list(owners.values()), [f"{USER} 750", f"{USER} 644"])
    records = [record for record in booted.after(machine, first) if record.get("_SYSTEMD_UNIT") == UNIT]
    nameless = [record["MESSAGE"] for record in records if "MESSAGE_ID" not in record]
    if not any(record.get("VPCE_EVENT") == "started" for record in records) or nameless:
        raise SceneFailed(f"records without their fields: {nameless or records}")
    before = booted.restarts(machine)
    machine.signal("KILL", machine.main_pid(UNIT))
    until(lambda: booted.restarts(machine) == before + 1 and booted.is_active(machine), 20, "active again after kill -9")
    return owners[f"{STATE}/spool"]


def _longest_watchdog(machine):
    """With the longest interval and round that a config may have, what the daemon asks for stays below the unit's own
    limit, which is the one that holds on 219."""
    machine.put(CONFIG_FILE, LONGEST)
    machine.exec("systemctl", "restart", UNIT)
    booted.active(machine)
    asked = machine.show(UNIT, "WatchdogUSec")["WatchdogUSec"]
    (unit,) = re.findall(r"^WatchdogSec=(.*)", machine.exec("cat", UNIT_FILE).stdout, re.M)
    seconds = [_seconds(machine, span) for span in (asked, unit)]
    if seconds[0] >= seconds[1] or seconds[0] < 3 * 24 * 3600:
        raise SceneFailed(f"the daemon needs {asked}, and on 219 has {unit}")
    return f"asked {asked}, unit {unit}"


def _seconds(machine, span):
    """A time span in systemd's words."""
    said = machine.exec("systemd-analyze", "timespan", span).stdout
    return int(re.search(r"(?:μs|us): (\d+)", said).group(1)) / 1e6


def _last(machine):
    return json.loads(machine.exec("cat", f"{RUNTIME}/last.json").stdout)


def _host_causes(machine):
    return [problem["cause"] for problem in _last(machine)["host"]["problems"]]


SCENES = {
    scene.__name__.replace("_", "-"): scene
    for scene in (analyzed, sandboxed, sees_the_agent, judges_as_root_does, takes_the_example, as_systemd_219_sees_it)
}
