"""A booted machine with the lab's name server and trust store, and a transcript of all that was asked of it."""

import json
import pathlib
import time

from cloudkit import boot
from cloudkit.bench import SceneFailed

UNIT = "vpce-probe.service"
CONFIG_FILE = "/etc/vpce-probe/config.toml"
BINARY = "/usr/bin/vpce-probe"
STATE_DIR = "/var/lib/vpce-probe"
# A root shell's, whatever the caller has.
CLEAN = ["env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8"]
POLL_SECONDS, COMMAND_SECONDS = 0.4, 120


class Host(boot.Machine):
    """One such machine."""

    def __init__(self, name, root, folder):
        super().__init__(name, f"vp{name}-host", folder / "boot.log", root)
        self._transcript = open(folder / "commands.log", "w")
        self._before = None

    def exec(self, *command, check=True, stdin=None, timeout=COMMAND_SECONDS):
        done = super().exec(*CLEAN, *command, check=False, stdin=stdin, timeout=timeout)
        self._record(command, done)
        if check and done.returncode:
            raise SceneFailed(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def sh(self, script, *words, check=True):
        """Runs a line of shell; returns its output, both streams."""
        done = self.exec("sh", "-c", f"exec 2>&1; {script}", "sh", *words, check=check)
        return done.stdout.strip()

    def join_lab(self, stage):
        """The lab's name server and authorities are the machine's."""
        self.put("/etc/resolv.conf", (stage.state / "etc" / "resolv.conf").read_text())
        self.put("/etc/ssl/certs/ca-certificates.crt", (stage.state / "trust" / "ca-certificates.crt").read_text())

    def state(self, *names):
        """Properties of the unit, in this order."""
        shown = self.show(UNIT, *names)
        return [shown.get(name, "") for name in names]

    def status(self):
        """The unit's STATUS= line."""
        return self.state("StatusText")[0]

    def is_active(self):
        """Whether it runs, and has said READY."""
        return self.state("ActiveState", "SubState") == ["active", "running"]

    def pid(self):
        """The daemon's, by the machine's count."""
        return self.main_pid(UNIT)

    def restarts(self):
        """How often systemd has started it again by itself."""
        return int(self.state("NRestarts")[0])

    def running_hash(self):
        """SHA-256 of what runs."""
        return self.sh(f"sha256sum /proc/{self.pid()}/exe").split()[0]

    def waiting(self):
        """How many rounds wait on disk, as the daemon says."""
        text = self.sh("cat /run/vpce-probe/last.json", check=False)
        try:
            shipping = json.loads(text)["shipping"] or {}
        except ValueError:
            return 0  # none yet
        return int(shipping.get("spooled") or 0)

    def text(self, path):
        """A file's text; None where there is no such file."""
        done = self.exec("cat", path, check=False)
        return None if done.returncode else done.stdout

    def _record(self, command, done):
        said = (command, done.returncode, done.stdout, done.stderr)
        if said == self._before:
            return  # asked again while waiting
        self._before = said
        out, err = (text if isinstance(text, str) else text.decode(errors="replace") for text in (done.stdout, done.stderr))
        marks = f"{time.strftime('%H:%M:%S')} {' '.join(command)}"[:400]
        self._transcript.write(f"{marks}\n{out[-4000:]}{err[-4000:]}[{done.returncode}]\n")
        self._transcript.flush()


def until(condition, seconds, what):
    """Waits for a condition and returns what it gave; less often than the bench's, for each look starts a process."""
    deadline = time.monotonic() + seconds
    while True:
        if found := condition():
            return found
        if time.monotonic() > deadline:
            raise SceneFailed(f"not within {seconds} s: {what}")
        time.sleep(POLL_SECONDS)


def same(what, found, expected):
    """Fails with both where they differ."""
    if found != expected:
        raise SceneFailed(f"{what}: {found!r}, not {expected!r}")


def whole(path):
    """A file of the caller's, in bytes."""
    return pathlib.Path(path).read_bytes()
