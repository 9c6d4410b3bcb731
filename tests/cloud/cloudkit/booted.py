"""What the scenes of a booted machine share: the unit's files, its state, and the daemon's records."""

from cloudkit.bench import INTERVAL, SceneFailed, until

UNIT = "vpce-probe.service"
UNIT_FILE = f"/usr/lib/systemd/system/{UNIT}"
DROP_INS = f"/etc/systemd/system/{UNIT}.d"
EXAMPLE_FILE = "/usr/share/doc/vpce-probe/systemd/example.conf"
CONFIG_FILE = "/etc/vpce-probe/config.toml"
CONFIG = """
interval = "10s"
round_deadline = "4s"
[timeouts]
resolve = "1s"
connect = "1s"
tls = "1s"
http = "1s"
mtu = "3s"
[cloudwatch]
flush_interval = "10s"
"""
BAD_CONFIG = 'interval = "1s"\nunknown = 1\n'


def status(machine):
    return machine.show(UNIT, "StatusText")["StatusText"]


def is_active(machine):
    return machine.show(UNIT, "ActiveState")["ActiveState"] == "active"


def active(machine):
    if not is_active(machine):
        raise SceneFailed(machine.exec("systemctl", "status", UNIT, "--no-pager", check=False).stdout)


def restarts(machine):
    return int(machine.show(UNIT, "NRestarts")["NRestarts"])


def changes(machine):
    """Records of changes of ssm's verdict."""
    return [r for r in machine.journal() if r.get("VPCE_TARGET") == "ssm" and r.get("VPCE_PREVIOUS")]


def after(machine, record, *words):
    """Records behind this one. journalctl's own --after-cursor passes over one more where a filter is given."""
    since = int(record["__REALTIME_TIMESTAMP"])
    return [other for other in machine.journal(*words) if int(other["__REALTIME_TIMESTAMP"]) > since]


def says_a_change(machine, stage):
    """Something happens, and the journal tells it: it takes records again."""
    count = len(machine.journal())
    stage.silence(*stage.addresses_of("ssm"))
    try:
        until(lambda: len(machine.journal()) > count, 45, "a record in the journal")
    finally:
        stage.silence()
    until(lambda: len(machine.journal()) > count + 1, 45, "the recovery in the journal")


def still_in_time(machine, stage, rounds):
    """So many more rounds are made, none later than an interval and a round's length after the one before."""
    last = written(machine)
    for _ in range(rounds):
        last = until(lambda: written(machine) if written(machine) > last else None, INTERVAL + 6, "the next round")


def written(machine):
    return float(machine.exec("stat", "-c", "%.Y", "/run/vpce-probe/last.json").stdout)


def same(what, found, expected):
    if found != expected:
        raise SceneFailed(f"{what}: {found!r}, not {expected!r}")
