"""A booted Debian: systemd, journald and dbus for real, in systemd-nspawn, on the instance's place in a lab.

Its root is one of those of tests/lab/setup; what a machine writes lies in memory and is gone with it. Its network is the
lab's `host` namespace, so `Lab.down` ends whatever of it may be left.
"""

import json
import os
import pathlib
import signal
import subprocess
import time

from cloudkit.bench import SceneFailed, until
from labkit import netns

ROOTS = pathlib.Path(__file__).resolve().parents[3] / "target" / "roots"
ROOT = "bookworm"
CGROUPS = [pathlib.Path("/sys/fs/cgroup/unified"), pathlib.Path("/sys/fs/cgroup")]
BOOT_SECONDS, DOWN_SECONDS = 60, 15
POWER_OFF = signal.SIGRTMIN + 4


class Machine:
    """One booted machine; `root` is the name of one of tests/lab/setup's."""

    def __init__(self, name, namespace, log, root=ROOT):
        self.name, self._namespace, self._log = name, namespace, log
        self._root = ROOTS / root
        base = next(path for path in CGROUPS if (path / "cgroup.procs").exists())
        self._cgroup = base / f"vp-{name}"
        self._nspawn, self._leader = None, None

    def up(self):
        """Boots it, and waits until systemd has started everything."""
        if not self._root.is_dir():
            raise SceneFailed(f"{self._root} is missing: run tests/lab/setup")
        self._cgroup.mkdir()
        command = [
            "systemd-nspawn", "--quiet", f"--directory={self._root}", "--boot", f"--machine={self.name}", "--volatile=overlay",
            f"--network-namespace-path={netns.NETNS_DIR}/{self._namespace}", "--register=no", "--keep-unit",
            "--resolv-conf=off", "--timezone=off", "--link-journal=no", "--console=read-only",
        ]  # fmt: skip
        env = os.environ | {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
        with open(self._log, "w") as log:
            quiet = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, "start_new_session": True}
            self._nspawn = subprocess.Popen(command, env=env, preexec_fn=self._enter_cgroup, **quiet)
        self._leader = until(self._find_leader, BOOT_SECONDS, "the machine's first process")
        states = ("running", "degraded")
        until(lambda: self.exec("systemctl", "is-system-running", check=False).stdout.strip() in states, BOOT_SECONDS, "boot")
        return self

    def exec(self, *command, check=True, stdin=None, timeout=60):
        """Runs a command inside; returns the finished process."""
        enter = ["nsenter", "-t", str(self._leader), "-a", *command]
        done = subprocess.run(enter, input=stdin, capture_output=True, text=not isinstance(stdin, bytes), timeout=timeout)
        if check and done.returncode:
            raise SceneFailed(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def signal(self, name, pid):
        """Sends a signal to a process, by the machine's count; the shell's own kill, as there is no procps."""
        self.exec("sh", "-c", f"kill -{name} {int(pid)}")

    def put(self, path, content, mode="644"):
        """Writes a file inside."""
        data = content if isinstance(content, bytes) else content.encode()
        self.exec("sh", "-c", f"mkdir -p $(dirname {path}); cat >{path}.new && chmod {mode} {path}.new && mv {path}.new {path}", stdin=data)

    def journal(self, *words):
        """Records of the daemon's, as journald kept them."""
        done = self.exec("journalctl", "-o", "json", "--no-pager", "-q", "-t", "vpce-probe", *words)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def show(self, unit, *names):
        """Properties of a unit."""
        done = self.exec("systemctl", "show", unit, "-p", ",".join(names))
        return dict(line.split("=", 1) for line in done.stdout.splitlines())

    def main_pid(self, unit):
        """The unit's main process, by the machine's count; fails if there is none."""
        pid = int(self.show(unit, "MainPID")["MainPID"])
        if pid <= 1:  # `kill 0` would end the caller
            raise SceneFailed(f"{unit} has no main process")
        return pid

    def down(self):
        """Powers it off; whatever does not go by itself is killed. Safe at any time."""
        if self._leader:
            _kill(self._leader, POWER_OFF)
        if self._nspawn:
            try:
                self._nspawn.wait(DOWN_SECONDS if self._leader else 0.1)
            except subprocess.TimeoutExpired:
                # nspawn first would leave the machine's own systemd behind.
                for pid in (self._leader, self._nspawn.pid):
                    if pid:
                        _kill(pid, signal.SIGKILL)
                self._nspawn.wait()
        self._remove_cgroup()

    def _enter_cgroup(self):
        (self._cgroup / "cgroup.procs").write_text(str(os.getpid()))

    def _find_leader(self):
        if self._nspawn.poll() is not None:
            raise SceneFailed("systemd-nspawn ended:\n" + pathlib.Path(self._log).read_text())
        children = pathlib.Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children").read_text().split()
        for pid in map(int, children):
            try:
                if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "systemd":
                    return pid
            except FileNotFoundError:
                pass  # it was a helper
        return None

    def _remove_cgroup(self):
        deadline = time.monotonic() + DOWN_SECONDS
        while self._cgroup.exists():
            for folder, _, _ in os.walk(self._cgroup, topdown=False):
                try:
                    os.rmdir(folder)
                except OSError:
                    pass  # its last process is still going
            if time.monotonic() > deadline:
                raise SceneFailed(f"{self._cgroup} cannot be removed")
            time.sleep(0.05)


def _kill(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
