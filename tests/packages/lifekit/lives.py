"""Which packages live where, all at once; and packages that are spoilt on purpose, which must be found out."""

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
    """What is wrong with which package, and the step that must notice, with these words. `which` is first, next, or zips:
    there `scripts` are other texts for some of their scripts.
    """

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
MOST_SEEN, MOST_NOTICED = 400, 90
TOLD = pathlib.Path(__file__).resolve().parents[3] / "docs" / "lifecycle.md"
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
    "spoilt-update": System(
        "Debian 12", "bookworm", ZIP_DEB, [steps.install, steps.rounds, steps.broken_upgrade],
        Spoil("zips", None, {"update.sh": "#!/bin/sh\ndpkg --force-confold -i ./*.deb\nexit 0\n"}, "broken upgrade", "says that all is well"),
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
    rows.sort(key=lambda row: names.index(row.life))
    print("\n" + _table(rows))
    matrix = _matrix(rows)
    (keep / "table.md").write_text("\n".join([*matrix, "", *_details(rows)]) + "\n")
    wrong = [f"left behind: {line}" for line in lab.remains(prefix)]
    failed = [row for row in rows if not row.ok]
    if not failed and names == list(ALL) and "\n".join(matrix) not in TOLD.read_text():
        wrong.append(f"{TOLD} has another table than {keep}/table.md")
    if failed:
        print(f"logs: {' '.join(sorted({str(keep / row.life) for row in failed}))}")
    else:
        shutil.rmtree(keep / "packages")
    for line in wrong:
        print(line)
    print(f"{time.monotonic() - began:.0f} s")
    print(f"{len(rows) - len(failed)} passed, {len(failed) + len(wrong)} failed")
    return int(bool(failed or wrong))


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
    except Exception as problem:
        rows.append(Row(name, system.name, system.package, step, False, _told(problem), time.monotonic() - began))
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
    except Exception as problem:
        seen = _told(problem)
        (folder / f"failed-{act.__name__}.txt").write_text(traceback.format_exc() + "\n" + _evidence(life.machine))
    try:
        steps.restore(life)
    except Exception:
        (folder / f"failed-{act.__name__}-restore.txt").write_text(traceback.format_exc())
    return Row(name, system.name, system.package, step, False, seen, 0)


def _judged(spoil, rows):
    """A spoilt package passes where exactly the step that should notice did."""
    failed = [row for row in rows if not row.ok]
    told = ", ".join(f"{row.step}: {row.seen}" for row in failed) or "nobody noticed"
    ok = [row.step for row in failed] == [spoil.notices] and spoil.words in failed[0].seen
    seen = told[:MOST_NOTICED] if ok else told
    return rows[-1]._replace(step=rows[-1].life, ok=ok, seen=f"found out by {seen}", seconds=sum(row.seconds for row in rows))


def _packages(name, system, found, folder):
    """First and next version, and for the agent three that cannot work; with the hashes of the first two's binaries."""
    kind, spoil = KINDS[system.package], system.spoil
    own = folder / name
    inner = found[kind.removeprefix("zip-")]
    revision = repack.revision_of(inner)
    later = str(int(revision) + 1)
    wrong = {"first": (_nothing, _nothing), "next": (repack.newer, _nothing)}
    if spoil and spoil.which in wrong:
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
    texts = spoil.scripts if spoil else {}
    zips = {which: repack.rezipped(found[kind], own / f"zip-{which}", package, texts) for which, package in inside.items()}
    return {"first": found[kind], **zips}, hashes


def _manager(system, machine, packages):
    if system.package == DEB:
        return managers.Deb(machine, packages)
    if system.package == RPM:
        return managers.Rpm(machine, packages)
    if system.package == ZIP_DEB:
        return managers.Distributor(machine, packages, managers.Deb, ("debian", "12", "debian"))
    return managers.Distributor(machine, packages, managers.Rpm, ("amazon", "2023", "rhel"))


def _told(problem):
    """An error in one line, as a table can hold it. The whole stands in the logs."""
    return " ".join(str(problem).split())[:MOST_SEEN] or repr(problem)


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


def _matrix(rows):
    """For docs/lifecycle.md: steps down, systems across."""
    rows = [row for row in rows if not ALL[row.life].spoil]
    lives, steps_ = (list(dict.fromkeys(values)) for values in ([row.life for row in rows], [row.step for row in rows]))
    ends = {(row.step, row.life): "ok" if row.ok else "FAILED" for row in rows}
    heads = [f"{ALL[life].name} {ALL[life].package}" for life in lives]
    lines = [f"| step | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    return lines + [f"| {step} | {' | '.join(ends.get((step, life), '–') for life in lives)} |" for step in steps_]


def _details(rows):
    """For docs/lifecycle.md: what the first system saw at each step, and what became of the spoilt packages."""
    seen = {}
    for row in rows:
        if not ALL[row.life].spoil:
            seen.setdefault(row.step, row.seen)
    spoilt = {row.life: row.seen for row in rows if ALL[row.life].spoil}
    lines = ["| step | seen |", "|---|---|", *(f"| {step} | {text} |" for step, text in seen.items())]
    return lines + ["", "| spoilt | seen |", "|---|---|", *(f"| {life} | {text} |" for life, text in spoilt.items())]
