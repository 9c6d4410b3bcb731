"""Plays scenes side by side, and prints the fault table."""

import os
import pathlib
import shutil
import signal
import time
import traceback
import typing

from cloudkit import metricscenes, scenes, spoolscenes, wayscenes  # noqa: F401: they put their scenes into scenes.ALL
from cloudkit.bench import Stage
from labkit import children, lab

HEAD = ("scene", "s", "due", "delivered", "spooled", "lost", "doubled", "requests")


class Outcome(typing.NamedTuple):
    """What one scene gave."""

    seconds: float
    account: object
    said: dict
    problem: str | None


def show():
    """Prints all scenes."""
    for name, scene in scenes.ALL.items():
        print(f"{name:26}{'soak  ' if scene.soak else '      '}{scene.play.__doc__.splitlines()[0]}")


def run(options, soak):
    """Plays the scenes of these names, or all; 1 if one failed or left something behind."""
    names = options.names or [name for name, scene in scenes.ALL.items() if scene.soak == soak]
    if unknown := [name for name in names if name not in scenes.ALL]:
        print(f"cloud: no scene {', '.join(unknown)}; `cloud list` shows all")
        return 2
    prefix = f"c{os.getpid()}x"
    tasks = [(name, f"{prefix}{number}") for number, name in enumerate(names)]
    # The longest first.
    tasks.sort(key=lambda task: -scenes.ALL[task[0]].seconds)
    print(_row(HEAD), flush=True)
    failed = []
    for (name, _), outcome in children.each(tasks, options.jobs, lambda task: _play(*task, options)):
        if outcome is None:
            outcome = Outcome(0, None, {}, "its process ended without a result")
        print(_told(name, outcome), flush=True)
        if outcome.problem:
            failed.append(name)
            print(outcome.problem, flush=True)
    left = lab.remains(prefix)
    for line in left:
        print(f"left behind: {line}")
    print(f"{len(names) - len(failed)} of {len(names)} scenes passed" + (f"; failed: {' '.join(failed)}" if failed else ""))
    return int(bool(failed or left))


def _play(name, lab_id, options):
    scene, began, problem, account, said = scenes.ALL[name], time.monotonic(), None, None, {}
    stage = Stage(lab_id, options.bin, scene.life_seconds)
    try:
        stage.raise_all(**scene.setting)
        account, said = scene.play(stage)
    except Exception:
        problem = traceback.format_exc(limit=-4) + _evidence(stage)
    finally:
        # A second SIGTERM (the terminal's, and that of the parent's end) must not break the way down off.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if options.keep:
            _keep(stage, options.keep / name)
        stage.down()
    return Outcome(time.monotonic() - began, account, said, problem)


def _evidence(stage):
    """The ends of what was written, for the reader of a failure."""
    lines = []
    for name, most in (("daemon.log", 25), ("cloudwatch.log", 10), ("imds.log", 5), ("ledger.jsonl", 3)):
        path = stage.state / name
        if path.exists():
            lines += [f"--- {name}", *(line[:300] for line in path.read_text().splitlines()[-most:])]
    if stage.daemon:
        lines += ["--- notify", *(text.replace("\n", " | ")[:300] for _, text in stage.daemon.notes[-6:])]
    return "\n".join(lines)


def _keep(stage, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("daemon.log", "ledger.jsonl", "cloudwatch.log", "imds.log", "config.toml", "runtime/last.json"):
        if (source := stage.state / name).exists():
            shutil.copy(source, folder / pathlib.Path(name).name)


def _told(name, outcome):
    account = outcome.account
    if account is None:
        counts = ["-"] * 5
    else:
        counts = [account.due, account.delivered, outcome.said.pop("spooled", 0), outcome.said.pop("lost", 0)]
        counts.append(f"{account.doubled}" if account.doubled == 0 else f"{account.doubled} (x{account.most})")
    words = ", ".join(f"{key} {value}" for key, value in outcome.said.items())
    mark = "FAILED " if outcome.problem else ""
    return _row([name, f"{outcome.seconds:.0f}", *counts, mark + words])


def _row(cells):
    widths = (26, 5, 5, 10, 8, 6, 9)
    return "".join(str(cell).ljust(width) for cell, width in zip(cells, (*widths, 0)))
