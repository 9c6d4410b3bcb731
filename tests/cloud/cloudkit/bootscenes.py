"""The unit on a booted machine: what it promises systemd and journald, and they it. One machine, one scene after
the other; each begins with an active daemon and ends with one.
"""

import os
import pathlib
import re
import time
import traceback

from cloudkit import boot, booted, unitscenes
from cloudkit.bench import INTERVAL, SceneFailed, Stage, until
from cloudkit.booted import BAD_CONFIG, CONFIG, CONFIG_FILE, UNIT, UNIT_FILE
from labkit import lab

MESSAGE_ID = "MESSAGE_ID"


def run(options):
    """Plays the scenes of these names, or all; 1 if one failed or left something behind."""
    if unknown := set(options.names) - set(SCENES):
        print(f"cloud: no scene {', '.join(sorted(unknown))} on the booted machine: {', '.join(SCENES)}")
        return 2
    lab_id = f"b{os.getpid()}"
    stage, failed = Stage(lab_id, options.bin), []
    machine = boot.Machine(lab_id, f"vp{lab_id}-host", f"/run/{lab_id}.log", options.root)
    try:
        stage.raise_all()
        machine.up()
        install(machine, stage, options)
        if options.names and starts.__name__ not in options.names:
            machine.exec("systemctl", "start", UNIT)
        for name, scene in SCENES.items():
            if options.names and name not in options.names:
                continue
            began = time.monotonic()
            try:
                said = scene(machine, stage)
                print(f"ok      {name:20}{time.monotonic() - began:4.0f} s  {said or ''}", flush=True)
            except Exception:
                failed.append(name)
                print(f"FAILED  {name}\n{traceback.format_exc(limit=-3)}{_evidence(machine)}", flush=True)
                restore(machine)
        if options.keep:
            _keep(machine, options.keep)
    finally:
        machine.down()
        stage.down()
        pathlib.Path(f"/run/{lab_id}.log").unlink(missing_ok=True)
    left = lab.remains(lab_id)
    for line in left:
        print(f"left behind: {line}")
    print(f"{len(failed)} scenes failed" if failed else "every scene passed")
    return int(bool(failed or left))


def install(machine, stage, options):
    """What the package brings: the unit, its user, its preset, the binary, a config; and the lab's name server and root."""
    files = options.unit.parent
    machine.put("/usr/bin/vpce-probe", pathlib.Path(options.bin).read_bytes(), "755")
    machine.put(UNIT_FILE, options.unit.read_text())
    machine.put("/usr/lib/sysusers.d/vpce-probe.conf", (files / "vpce-probe.sysusers").read_text())
    machine.put("/usr/lib/systemd/system-preset/80-vpce-probe.preset", (files / "vpce-probe.preset").read_text())
    machine.put(booted.EXAMPLE_FILE, (files / "example.conf").read_text())
    machine.put(CONFIG_FILE, CONFIG)
    machine.put("/etc/resolv.conf", (stage.state / "etc" / "resolv.conf").read_text())
    machine.put("/etc/ssl/certs/ca-certificates.crt", (stage.state / "trust" / "ca-certificates.crt").read_text())
    machine.exec("systemd-sysusers", "/usr/lib/sysusers.d/vpce-probe.conf")
    machine.exec("systemctl", "daemon-reload")
    machine.exec("systemctl", "preset", UNIT)


def restore(machine):
    """An active daemon with a good config, whatever was before."""
    machine.exec("systemctl", "start", "systemd-journald.socket", "systemd-journald.service", check=False)
    machine.put(CONFIG_FILE, CONFIG)
    machine.exec("systemctl", "reset-failed", check=False)
    machine.exec("systemctl", "restart", UNIT, check=False)


# -- scenes --


def starts(machine, stage):
    """Active by READY, a STATUS in words, rounds in CloudWatch."""
    machine.exec("systemctl", "start", UNIT)
    booted.active(machine)
    status = until(lambda: booted.status(machine) if "healthy" in booted.status(machine) else None, 30, "healthy in StatusText")
    until(lambda: len(stage.books().ticks()) >= 2, 60, "two rounds at CloudWatch")
    pid = machine.main_pid(UNIT)
    fields = machine.exec("cat", f"/proc/{pid}/status").stdout
    for line in ("CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"):
        if line not in fields:
            raise SceneFailed(f"{line!r} is not so:\n{fields}")
    return status


def says_it_in_fields(machine, stage):
    """Records carry the fields that the contract promises; priorities filter; an outage of CloudWatch is told likewise."""
    count, first = len(booted.changes(machine)), machine.journal()[-1]
    stage.silence(*stage.addresses_of("ssm"))
    until(lambda: len(booted.changes(machine)) > count, 45, "ssm's failure in the journal")
    failure = booted.changes(machine)[-1]
    stage.silence()
    until(lambda: len(booted.changes(machine)) > count + 1, 45, "ssm's recovery in the journal")
    recovery = booted.changes(machine)[-1]
    wanted = {
        "VPCE_TARGET": "ssm",
        "VPCE_HOST": "ssm.eu-west-1.amazonaws.com",
        "VPCE_STAGE": "connect",
        "VPCE_CAUSE": "tcp-timeout",
        "VPCE_SEVERITY": "failure",
        "VPCE_VERDICT": "failed",
        "VPCE_PREVIOUS": "healthy",
        "PRIORITY": "3",
        "SYSLOG_IDENTIFIER": "vpce-probe",
    }
    booted.same("the failure's fields", {field: failure.get(field) for field in wanted}, wanted)
    if failure.get("VPCE_ADDRESS") not in stage.addresses_of("ssm") or not failure.get("VPCE_ADVICE"):
        raise SceneFailed(f"no address or no advice: {failure}")
    booted.same("the recovery", [recovery.get(f) for f in ("VPCE_VERDICT", "VPCE_PREVIOUS", "PRIORITY")], ["healthy", "failed", "6"])
    since = booted.after(machine, first)
    if nameless := [record["MESSAGE"] for record in since if not re.fullmatch("[0-9a-f]{32}", record.get(MESSAGE_ID, ""))]:
        raise SceneFailed(f"records without a MESSAGE_ID: {nameless}")
    # Elapsed is a round's: it stands in the records of rounds.
    rounds = [r for r in since if r[MESSAGE_ID] != failure[MESSAGE_ID]]
    if not rounds or not all(float(r["VPCE_ELAPSED_MS"]) > 0 for r in rounds):
        raise SceneFailed(f"records of rounds without VPCE_ELAPSED_MS: {rounds}")
    errors = booted.after(machine, first, "-p", "err")
    booted.same("errors", [(r.get("VPCE_TARGET"), r["VPCE_VERDICT"]) for r in errors], [("ssm", "failed"), (None, "failed")])
    by_id = booted.after(machine, first, f"MESSAGE_ID={failure[MESSAGE_ID]}")
    booted.same("records found by the MESSAGE_ID", [r["VPCE_VERDICT"] for r in by_id], ["failed", "healthy"])
    return f"{failure['VPCE_PREVIOUS']} -> {failure['VPCE_VERDICT']}: {failure['VPCE_CAUSE']} of {failure['VPCE_ADDRESS']}"


def says_what_is_not_delivered(machine, stage):
    """An outage of CloudWatch: one record when it begins, with cause and MESSAGE_ID, one when it is over; nothing in between."""
    first = machine.journal()[-1]

    def told(event):
        return [record for record in booted.after(machine, first) if record.get("VPCE_EVENT") == event]

    stage.cloudwatch(mode="throttle")
    try:
        until(lambda: told("shipping-trouble"), 45, "the trouble in the journal")
        time.sleep(INTERVAL)
    finally:
        stage.cloudwatch(heal=True)
    (recovery,) = until(lambda: told("shipping-recovered"), 45, "the end of it in the journal")
    (trouble,) = told("shipping-trouble")
    booted.same("the trouble", [trouble[f] for f in ("VPCE_CAUSE", "VPCE_SEVERITY", "PRIORITY")], ["publish-throttled", "note", "4"])
    booted.same("the recovery", [recovery[f] for f in ("VPCE_PREVIOUS", "PRIORITY")], ["publish-throttled", "6"])
    for record in (trouble, recovery):
        if not re.fullmatch("[0-9a-f]{32}", record[MESSAGE_ID]):
            raise SceneFailed(f"no MESSAGE_ID: {record}")
    return trouble["MESSAGE"].partition(". Next")[0]


def reloads(machine, stage):
    """`systemctl reload` takes a new config without a restart, and refuses a bad one."""
    pid = machine.main_pid(UNIT)
    machine.put(CONFIG_FILE, CONFIG + 'detail = "heartbeat"\n')
    machine.exec("systemctl", "reload", UNIT)
    until(lambda: stage.books().ticks("Heartbeat"), 60, "Heartbeat, which the new config asks for")
    machine.put(CONFIG_FILE, BAD_CONFIG)
    machine.exec("systemctl", "reload", UNIT)
    until(lambda: any("unknown" in r["MESSAGE"] for r in machine.journal("-p", "warning")), 15, "the mistake in the journal")
    until(lambda: "config" in booted.status(machine), 15, "the refusal in StatusText")
    status = booted.status(machine)
    machine.put(CONFIG_FILE, CONFIG)
    machine.exec("systemctl", "reload", UNIT)
    booted.same("main process", machine.main_pid(UNIT), pid)
    return status


def journald_restarts(machine, stage):
    """journald restarted: rounds go on, and what is said afterwards is there."""
    machine.exec("systemctl", "restart", "systemd-journald")
    booted.still_in_time(machine, stage, 2)
    booted.says_a_change(machine, stage)


def journald_stalls(machine, stage):
    """journald stopped with SIGSTOP for 15 s: no round is late."""
    pid = machine.main_pid("systemd-journald.service")
    machine.signal("STOP", pid)
    try:
        booted.still_in_time(machine, stage, 2)
    finally:
        machine.signal("CONT", pid)
    booted.says_a_change(machine, stage)


def journald_stops(machine, stage):
    """journald away for 15 s, its sockets too: no round is late, and the daemon lives."""
    pid = machine.main_pid(UNIT)
    machine.exec("systemctl", "stop", "systemd-journald.socket", "systemd-journald-dev-log.socket", "systemd-journald")
    try:
        booted.still_in_time(machine, stage, 2)
    finally:
        machine.exec("systemctl", "start", "systemd-journald.socket", "systemd-journald-dev-log.socket", "systemd-journald")
    booted.says_a_change(machine, stage)
    booted.same("main process", machine.main_pid(UNIT), pid)


def second_instance(machine, _):
    """A second unit beside it ends with 75, and is not started again."""
    unit = machine.exec("cat", UNIT_FILE).stdout
    # Without the unit's directories: systemd would remove the first one's together with the second.
    kept = ("[", "Type=", "NotifyAccess=", "ExecStart=", "Restart")
    second = "\n".join(line for line in unit.splitlines() if line.startswith(kept))
    machine.put("/etc/systemd/system/second.service", second)
    machine.exec("systemctl", "daemon-reload")
    done = machine.exec("systemctl", "start", "second", check=False)
    if done.returncode == 0:
        raise SceneFailed("a second instance became active")
    time.sleep(7)  # longer than RestartSec
    shown = machine.show("second", "ExecMainStatus", "NRestarts", "ActiveState")
    machine.exec("systemctl", "reset-failed", "second")
    machine.exec("rm", "/etc/systemd/system/second.service")
    machine.exec("systemctl", "daemon-reload")
    booted.same("the second", shown, {"ExecMainStatus": "75", "NRestarts": "0", "ActiveState": "failed"})
    booted.active(machine)


def killed(machine, _):
    """kill -9: started again after RestartSec."""
    before = booted.restarts(machine)
    machine.signal("KILL", machine.main_pid(UNIT))
    until(lambda: booted.restarts(machine) == before + 1 and booted.is_active(machine), 20, "active again")


def watchdog(machine, _):
    """A daemon that hangs is killed by the watchdog, and started again."""
    before = booted.restarts(machine)
    limit = machine.show(UNIT, "WatchdogUSec")["WatchdogUSec"]
    began = time.monotonic()
    machine.signal("STOP", machine.main_pid(UNIT))
    until(lambda: booted.restarts(machine) == before + 1 and booted.is_active(machine), 100, f"active again (watchdog {limit})")
    return f"limit {limit}, active again after {time.monotonic() - began:.0f} s"


def bad_config(machine, _):
    """A bad config: failed before READY with 78, and not started again."""
    machine.exec("systemctl", "stop", UNIT)
    machine.put(CONFIG_FILE, BAD_CONFIG)
    if machine.exec("systemctl", "start", UNIT, check=False).returncode == 0:
        raise SceneFailed("it became active with a bad config")
    time.sleep(7)  # longer than RestartSec
    shown = machine.show(UNIT, "ExecMainStatus", "ActiveState")
    booted.same("the unit", shown, {"ExecMainStatus": "78", "ActiveState": "failed"})
    booted.same("restarts since that start", booted.restarts(machine), 0)
    said = machine.exec("journalctl", "-u", UNIT, "-n", "20", "-o", "cat", "--no-pager").stdout
    for word in ("interval", "unknown"):
        if word not in said:
            raise SceneFailed(f"{word} is not named in the journal:\n{said}")
    machine.put(CONFIG_FILE, CONFIG)
    machine.exec("systemctl", "reset-failed", UNIT)
    machine.exec("systemctl", "start", UNIT)


def stops(machine, stage):
    """`systemctl stop`: clean, within 4 s; every round that was due has arrived."""
    began = time.monotonic()
    machine.exec("systemctl", "stop", UNIT)
    seconds = time.monotonic() - began
    shown = machine.show(UNIT, "ActiveState", "Result", "ExecMainStatus")
    booted.same("the unit", shown, {"ActiveState": "inactive", "Result": "success", "ExecMainStatus": "0"})
    if seconds > 4:
        raise SceneFailed(f"took {seconds:.1f} s to stop")
    machine.exec("systemctl", "start", UNIT)
    return f"{seconds:.1f} s"


SCENES = {
    scene.__name__.replace("_", "-"): scene
    for scene in (
        starts, says_it_in_fields, says_what_is_not_delivered, reloads, journald_restarts, journald_stalls, journald_stops, second_instance, killed,
        watchdog, bad_config, stops,
    )
} | unitscenes.SCENES  # fmt: skip


def _evidence(machine):
    status = machine.exec("systemctl", "status", UNIT, "--no-pager", "-n", "15", check=False)
    return status.stdout + status.stderr


def _keep(machine, folder):
    """Screens for the docs."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, command in {
        "systemctl-status.txt": ["systemctl", "status", UNIT, "--no-pager", "-n", "5"],
        "journal.txt": ["journalctl", "-t", "vpce-probe", "--no-pager", "-n", "200"],
        "journal.json": ["journalctl", "-t", "vpce-probe", "-o", "json", "--no-pager"],
        "vpce-probe-status.txt": ["vpce-probe", "status"],
        "last.json": ["cat", "/run/vpce-probe/last.json"],
    }.items():
        (folder / name).write_text(machine.exec(*command, check=False).stdout)
