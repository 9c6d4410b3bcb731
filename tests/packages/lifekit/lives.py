"""Which packages live where, all at once; and packages that are spoilt on purpose, which must be found out."""

import collections
import os
import pathlib
import shutil
import signal
import time
import traceback
import typing

from cloudkit.bench import Stage
from labkit import children, lab
from lifekit import managers, repack, steps
from lifekit.machine import UNIT, Host


class Row(typing.NamedTuple):
    """One line of the table."""

    life: str
    system: str
    package: str
    step: str
    ok: bool
    seen: str
    seconds: float


class System(typing.NamedTuple):
    """A booted system and what is installed on it; `spoil` is what is wrong on purpose."""

    name: str
    root: str
    package: str
    steps: list
    spoil: object = None


class Spoil(typing.NamedTuple):
    """What is wrong with which package, and the step that must notice, with these words."""

    which: str
    change: object
    scripts: object
    notices: str
    words: str


def _nothing(_):
    pass


def _edit(name, old, new):
    """A change of one text below the folder; `old` must be in it."""

    def change(folder):
        text = (folder / name).read_text()
        if old not in text:
            raise repack.NoPackage(f"{name} has no {old!r} to spoil")
        (folder / name).write_text(text.replace(old, new))

    return change


def _script(name, text):
    """Another script in place of a .deb's."""

    def change(folder):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)

    return change


DEB, RPM, ZIP_DEB, ZIP_RPM = ".deb", ".rpm", "zip of .deb", "zip of .rpm"
KINDS = {DEB: "deb", RPM: "rpm", ZIP_DEB: "zip-deb", ZIP_RPM: "zip-rpm"}
MOST_SEEN = 400
IDLE = "#!/bin/sh\nexit 0\n"
_UPGRADE = [steps.install, steps.rounds, steps.upgrade]

ALL = {
    "debian11-deb": System("Debian 11", "bullseye", DEB, steps.BY_HAND),
    "debian12-deb": System("Debian 12", "bookworm", DEB, steps.BY_HAND),
    "debian13-deb": System("Debian 13", "trixie", DEB, steps.BY_HAND),
    "debian12-rpm": System("Debian 12", "bookworm-rpm", RPM, steps.BY_HAND),
    "debian12-zip-deb": System("Debian 12", "bookworm", ZIP_DEB, steps.BY_AGENT),
    "debian12-zip-rpm": System("Debian 12", "bookworm-rpm", ZIP_RPM, steps.BY_AGENT),
    "spoilt-user": System(
        "Debian 12", "bookworm", DEB, [steps.install, steps.sandbox],
        Spoil("first", _edit(repack.UNIT, "\nUser=vpce-probe", ""), _nothing, "sandbox", "Uid, Gid"),
    ),
    "spoilt-config": System(
        "Debian 12", "bookworm", DEB, _UPGRADE,
        Spoil("next", repack.newer, _edit("postinst", "#!/bin/sh\n", "#!/bin/sh\necho >/etc/vpce-probe/config.toml\n"), "upgrade", "the config"),
    ),
    "spoilt-restart": System(
        "Debian 12", "bookworm", DEB, _UPGRADE, Spoil("next", repack.newer, _script("postinst", IDLE), "upgrade", "next package's binary"),
    ),
    "spoilt-purge": System(
        "Debian 12", "bookworm", DEB, [steps.install, steps.rounds, steps.purge],
        Spoil("first", _nothing, _script("postrm", IDLE), "purge", "left behind"),
    ),
    "spoilt-noreplace": System(
        "Debian 12", "bookworm-rpm", RPM, _UPGRADE,
        Spoil("next", repack.newer, _edit("next.spec", "%config(noreplace)", ""), "upgrade", "the config"),
    ),
    "spoilt-stop": System(
        "Debian 12", "bookworm-rpm", RPM, [steps.install, steps.rounds, steps.remove],
        Spoil("first", _nothing, _edit("next.spec", "%preun\n", "%preun\nexit 0\n"), "remove", "processes"),
    ),
}  # fmt: skip


def run(names, dist, keep):
    """Plays these lives side by side and prints the table; 1 if a step failed or something was left behind."""
    began = time.monotonic()
    prefix = f"l{os.getpid()}x"
    shutil.rmtree(keep, ignore_errors=True)
    (keep / "packages").mkdir(parents=True)
    found = repack.find(dist)
    if missing := sorted({KINDS[ALL[name].package] for name in names} - found.keys()):
        print(f"life: {dist} has no package of the kind {', '.join(missing)}: make packages")
        return 2
    tasks = [(name, f"{prefix}{number}") for number, name in enumerate(names)]
    rows = []
    for (name, _), result in children.each(tasks, len(tasks), lambda task: _live(*task, found, keep)):
        system = ALL[name]
        result = result or [Row(name, system.name, system.package, "life", False, "its process ended without a result", 0)]
        rows += result
        failed = [row.step for row in result if not row.ok]
        print(f"{name}: {len(result) - len(failed)} of {len(result)} ok" + (f"; failed: {', '.join(failed)}" if failed else ""), flush=True)
    left = [f"left behind: {line}" for line in lab.remains(prefix)]
    rows.sort(key=lambda row: names.index(row.life))
    table = _table(rows)
    print("\n" + table)
    (keep / "table.md").write_text(_markdown(rows))
    for line in left:
        print(line)
    failed = [row for row in rows if not row.ok]
    if failed:
        print(f"logs: {' '.join(sorted({str(keep / row.life) for row in failed}))}")
    print(f"{time.monotonic() - began:.0f} s")
    print(f"{len(rows) - len(failed)} passed, {len(failed) + len(left)} failed")
    return int(bool(failed or left))


class Life:
    """One package on one machine, and what its steps remember of each other."""

    def __init__(self, machine, stage, manager, hashes):
        self.machine, self.stage, self.manager, self.hashes = machine, stage, manager, hashes
        self.before, self.owed = {}, []


def _live(name, lab_id, found, keep):
    system, folder, rows = ALL[name], keep / name, []
    folder.mkdir()
    stage, machine = Stage(lab_id, None), Host(lab_id, system.root, folder)
    began, step = time.monotonic(), "boot"
    try:
        packages, hashes = _packages(name, system, found, keep / "packages")
        stage.raise_all()
        machine.up().join_lab(stage)
        life = Life(machine, stage, _manager(system, machine, packages), hashes)
        for act in system.steps:
            step, began = act.__name__.replace("_", " "), time.monotonic()
            row = _play(system, name, act, step, life, folder)
            rows.append(row._replace(seconds=time.monotonic() - began))
            if not row.ok and act is steps.install:
                break  # nothing that follows would mean anything
    except Exception:
        rows.append(Row(name, system.name, system.package, step, False, _problem(), time.monotonic() - began))
        (folder / "failed-boot.txt").write_text(traceback.format_exc())
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not break the way down off
        _keep(machine, stage, folder)
        machine.down()
        stage.down()
    return [_judged(system.spoil, rows)] if system.spoil else rows


def _play(system, name, act, step, life, folder):
    try:
        return Row(name, system.name, system.package, step, True, act(life), 0)
    except Exception:
        problem = _problem()
        (folder / f"failed-{act.__name__}.txt").write_text(traceback.format_exc() + "\n" + _evidence(life.machine))
    try:
        steps.restore(life)
    except Exception:
        (folder / f"failed-{act.__name__}-restore.txt").write_text(traceback.format_exc())
    return Row(name, system.name, system.package, step, False, problem, 0)


def _judged(spoil, rows):
    """A spoilt package passes where exactly the step that should notice did."""
    failed = [row for row in rows if not row.ok]
    told = ", ".join(f"{row.step}: {row.seen}" for row in failed) or "nobody noticed"
    ok = [row.step for row in failed] == [spoil.notices] and spoil.words in failed[0].seen
    return rows[-1]._replace(step=f"spoilt: {spoil.notices} notices", ok=ok, seen=told, seconds=sum(row.seconds for row in rows))


def _packages(name, system, found, folder):
    """First and next version, and for the agent three that cannot work; with the hashes of the first two's binaries."""
    kind, spoil = KINDS[system.package], system.spoil
    own = folder / name
    inner = found[kind.removeprefix("zip-")]
    revision = repack.revision_of(inner)
    later = str(int(revision) + 1)
    wrong = {"first": (_nothing, _nothing), "next": (repack.newer, _nothing)}
    if spoil:
        wrong[spoil.which] = (spoil.change, spoil.scripts)
    first = repack.remade(inner, own, revision, *wrong["first"]) if spoil and spoil.which == "first" else inner
    later_one = repack.remade(inner, own, later, *wrong["next"])
    hashes = {"first": repack.binary_hash(first), "next": repack.binary_hash(later_one)}
    if hashes["first"] == hashes["next"]:
        raise repack.NoPackage("the next version's binary is the first one's")
    if kind == inner.suffix[1:]:
        return {"first": first, "next": later_one}, hashes
    inside = {"next": later_one} | {
        change.__name__: repack.remade(inner, own / change.__name__, later, change) for change in (repack.foreign, repack.mute)
    }
    inside["torn"] = own / "torn" / later_one.name
    inside["torn"].parent.mkdir()
    inside["torn"].write_bytes(later_one.read_bytes()[: later_one.stat().st_size * 2 // 3])
    zips = {which: repack.rezipped(found[kind], own / f"zip-{which}", package) for which, package in inside.items()}
    return {"first": found[kind], **zips}, hashes


def _manager(system, machine, packages):
    if system.package == DEB:
        return managers.Deb(machine, packages)
    if system.package == RPM:
        return managers.Rpm(machine, packages)
    if system.package == ZIP_DEB:
        return managers.Distributor(machine, packages, managers.Deb, ("debian", "12", "debian"))
    return managers.Distributor(machine, packages, managers.Rpm, ("amazon", "2023", "rhel"))


def _problem():
    """The error in one line: what a table can hold. The whole stands in the logs."""
    text = traceback.format_exc(limit=0).strip().partition("\n")[2]
    return " ".join((text.partition(": ")[2] or text).split())[:MOST_SEEN]


def _evidence(machine):
    said = [machine.sh(f"systemctl status --no-pager -n 30 {UNIT}", check=False)]
    said.append(machine.sh(f"journalctl --no-pager -n 60 -u {UNIT}", check=False))
    return "\n".join(said)


def _keep(machine, stage, folder):
    try:
        (folder / "journal.txt").write_text(machine.sh("journalctl --no-pager -o short-precise", check=False))
    except Exception as problem:
        (folder / "journal.txt").write_text(f"not to be had: {problem!r}\n")
    for name in ("ledger.jsonl", "cloudwatch.log", "imds.log"):
        if (stage.state / name).exists():
            shutil.copy(stage.state / name, folder / name)


def _table(rows):
    lines = []
    for row in rows:
        mark, seen = ("ok    ", row.seen) if row.ok else ("FAILED", row.seen)
        lines.append(f"{row.system:10} {row.package:12} {row.step:26} {mark} {row.seconds:4.0f} s  {seen}")
    return "\n".join(lines)


def _markdown(rows):
    """For docs/lifecycle.md: steps down, systems across, and what one of them saw."""
    good = [row for row in rows if not ALL[row.life].spoil]
    lives = list(dict.fromkeys(row.life for row in good))
    cells = collections.defaultdict(dict)
    for row in good:
        cells[row.step][row.life] = row
    heads = [f"{ALL[life].name} {ALL[life].package}" for life in lives]
    lines = ["| step | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for step, by_life in cells.items():
        marks = [("ok" if by_life[life].ok else "FAILED") if life in by_life else "–" for life in lives]
        lines.append(f"| {step} | " + " | ".join(marks) + " |")
    lines += ["", "| step | seen |", "|---|---|"]
    lines += [f"| {step} | {next(iter(by_life.values())).seen} |" for step, by_life in cells.items()]
    spoilt = [row for row in rows if ALL[row.life].spoil]
    if spoilt:
        lines += ["", "| spoilt on purpose | found out |", "|---|---|"]
        lines += [f"| {row.life.removeprefix('spoilt-')} ({row.package}) | {row.seen} |" for row in spoilt]
    return "\n".join(lines) + "\n"
