#!/usr/bin/env python3
"""Runs the Distributor's scripts as the SSM agent does, on throw-away hosts: an overlay over a Debian root each, with a stand-in
for systemctl, in a network namespace without a network. Run it by: unshare --mount --net hosts.py PLACE (an empty folder)."""

import argparse
import base64
import concurrent.futures
import fcntl
import pathlib
import shutil
import subprocess
import sys
import threading
import time
import zipfile

sys.dont_write_bytecode = True
PROJECT = pathlib.Path(__file__).resolve().parents[2]
DISTRIBUTOR = PROJECT / "packaging" / "ssm-distributor"
sys.path.append(str(DISTRIBUTOR))
import tiny  # noqa: E402 (found by the line above)

DEBIAN = PROJECT / "target" / "roots" / "bookworm"
CONFIG = "etc/vpce-probe/config.toml"
CHROOT = shutil.which("chroot", path="/usr/sbin:/usr/bin")

# What sh is: dash on Debian and Ubuntu, bash on Amazon Linux, Red Hat and their kin.
SHELLS = {"dash": "dash", "bash": "bash --posix"}

# The agent's variables: a host has them or not, and the scripts do the same.
AGENT = {"BWS_ACTION_NAME": "install", "BWS_PLATFORM_NAME": "debian", "BWS_PLATFORM_VERSION": "12", "BWS_ARCHITECTURE": "x86_64",
         "BWS_PLATFORM_FAMILY": "debian", "BWS_INIT_SYSTEM": "systemd", "BWS_PACKAGE_MANAGER": "apt", "BWS_REGION": "eu-west-1",
         "http_proxy": "", "https_proxy": "", "no_proxy": ""}

# rpm on Debian wants to be forced, and has no libc in its books. Nothing else of it changes.
RPM = """\
#!/bin/sh
PATH=/usr/bin:/bin
case " $* " in *" -e "* | *" --upgrade "*) exec rpm --nodeps --force-debian "$@" ;; esac
exec rpm "$@"
"""


class Host:
    """One host: its root, and the folders of unpacked zips in it."""

    def __init__(self, place, kind, shell, booted=True):
        self.kind, self.shell, self.place = kind, shell, place
        self.root = place / "root"
        for name in ("upper", "work", "root"):
            (place / name).mkdir(parents=True)
        # This machine's own root has rpm; nothing of it is changed below an overlay.
        lower = DEBIAN if kind == "deb" else "/"
        layers = f"lowerdir={lower},upperdir={place / 'upper'},workdir={place / 'work'}"
        _run(["mount", "-t", "overlay", "overlay", "-o", layers, str(self.root)])
        _run(["mount", "-t", "proc", "proc", str(self.root / "proc")])
        _run(["mount", "-t", "tmpfs", "tmpfs", str(self.root / "run")])
        _run(["mount", "--bind", "/dev", str(self.root / "dev")])
        self.write("run/stand-in/calls", "")
        asleep = {"enabled": "disabled", "ActiveState": "inactive", "MainPID": "0", "last": "100", "broken": "none"}
        for name, value in asleep.items():
            self.write(f"run/stand-in/{name}", f"{value}\n")
        if booted:
            (self.root / "run/systemd/system").mkdir(parents=True)
        self.write("usr/local/sbin/systemctl", (PROJECT / "tests/distributor/systemctl").read_text(), 0o755)
        if kind == "rpm":
            self.write("usr/local/sbin/rpm", RPM, 0o755)

    def close(self):
        """Lets go of the root."""
        for inner in ("dev", "run", "proc", ""):
            _run(["umount", str(self.root / inner)])
        shutil.rmtree(self.place)

    def write(self, name, text, mode=0o644):
        """A file of the host's."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def read(self, name):
        """A file's text, or None."""
        path = self.root / name
        return path.read_text() if path.exists() else None

    def unpack(self, package, patch=None):
        """A zip's folder, as the agent unpacks it. `patch`: (old, new) in common.sh or validate.sh, to wait for less long."""
        folder = self.root / "var/lib/amazon/ssm/packages" / package.stem
        folder.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(package) as archive:
            archive.extractall(folder)
        for old, new in patch or ():
            for script in ("common.sh", "validate.sh"):
                path = folder / script
                path.write_text(path.read_text().replace(old, new))
        return folder

    def sh(self, folder, script, arguments=None, user=None):
        """`sh SCRIPT` with the folder as the working directory: (exit code, what it printed)."""
        inside = f"/{folder.relative_to(self.root)}"
        variables = AGENT | {"HOME": "/root", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"} | (arguments or {})
        if arguments and arguments.get("bare"):
            variables = {"PATH": "/usr/bin:/bin"}
        words = [f"--userspec={user}"] if user else []
        words += [str(self.root), "/bin/bash", "-c", f'cd "{inside}" && exec {SHELLS[self.shell]} {script}']
        quiet = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True}
        answer = subprocess.run([CHROOT, *words], env=variables, check=False, timeout=120, **quiet)
        return answer.returncode, answer.stdout + answer.stderr

    def program(self):
        """What the installed program says it is, or None."""
        path = self.root / "usr/bin/vpce-probe"
        return _run([CHROOT, str(self.root), "/usr/bin/vpce-probe", "--version"]).strip() if path.exists() else None

    def running(self):
        """The state and the process, by the stand-in."""
        return self.read("run/stand-in/ActiveState").strip(), self.read("run/stand-in/MainPID").strip()


def _run(command):
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise RuntimeError(f"{command}: {answer.stdout}{answer.stderr}")
    return answer.stdout


class Zips:
    """The zips of one kind, made once: two versions, one that never starts, and spoilt ones."""

    def __init__(self, place, kind):
        self.kind, self.place = kind, place
        self.v1, self.v2 = self.make("0.1.0"), self.make("0.2.0")
        self.not_here = self.make("0.3.0", program="\x7fELF no program\n")
        if kind == "deb":
            self.postinst_fails = self.make("0.4.0", scripts={"postinst": "#!/bin/sh\nexit 3\n"})

    def make(self, version, **more):
        """A zip of a tiny package."""
        folder = self.place / f"{version}{'-'.join(more)}"
        folder.mkdir(parents=True)
        package = getattr(tiny, self.kind)(folder, version=version, **more)
        return self.zip(package, package.read_bytes())

    def zip(self, package, data):
        """The scripts and a package, as `pack` does it (its own zips are the checker's matter)."""
        target = package.with_suffix(".zip")
        with zipfile.ZipFile(target, "w") as archive:
            for script in sorted(DISTRIBUTOR.glob("*.sh")):
                archive.write(script, script.name)
            archive.writestr(package.name, data)
        return target


def expect(answer, code, *words):
    """Holds an answer against what should come."""
    found, text = answer
    missing = [word for word in words if word not in text]
    if found != code or missing:
        raise AssertionError(f"exit code {found} (expected {code}), without {missing}:\n{text}")
    return text


def same(found, expected):
    """As assert, with both told."""
    if found != expected:
        raise AssertionError(f"found {found!r}, expected {expected!r}")


def b64(text):
    """As `base64 -w 0`."""
    return base64.b64encode(text.encode()).decode()


def fresh_and_again(host, zips):
    """Installs, validates, installs again, and uninstalls twice."""
    folder = host.unpack(zips.v1)
    expect(host.sh(folder, "uninstall.sh"), 0, "is not installed here")
    words = "nothing is installed here; installing 0.1.0-1", "vpce-probe.service is ready, and says: ", "0.1.0-1 is installed"
    expect(host.sh(folder, "install.sh"), 0, *words)
    same((host.program(), host.running()[0], host.read("run/stand-in/enabled")), ("vpce-probe 0.1.0", "active", "enabled\n"))
    # A round that found a broken endpoint is a good one.
    expect(host.sh(folder, "validate.sh"), 0, "its last round is fresh: failed: ssm tcp-timeout")
    expect(host.sh(folder, "install.sh"), 0, "0.1.0-1 is installed here; installing 0.1.0-1")
    expect(host.sh(folder, "update.sh"), 0, "0.1.0-1 is installed here; installing 0.1.0-1")
    expect(host.sh(folder, "install.sh", {"bare": "yes"}), 0, "0.1.0-1 is installed")
    expect(host.sh(folder, "uninstall.sh"), 0, "vpce-probe 0.1.0-1 is removed")
    same(host.program(), None)
    expect(host.sh(folder, "uninstall.sh"), 0, "is not installed here")
    same(sorted(path.name for path in (host.root / "usr/lib").glob("vpce-probe.*")), [])


def both_ways(host, zips):
    """A first installation by update.sh, an upgrade, a downgrade; the config that was changed here stays."""
    old, new = host.unpack(zips.v1), host.unpack(zips.v2)
    expect(host.sh(old, "update.sh"), 0, "installing 0.1.0-1")
    expect(host.sh(new, "update.sh"), 0, "installing 0.2.0-1")
    same(host.read(CONFIG), tiny.CONFIG.format(version="0.2.0"))
    expect(host.sh(old, "update.sh"), 0, "installing 0.1.0-1")
    host.write(CONFIG, "interval = \"30s\"\n")
    expect(host.sh(new, "update.sh"), 0, "0.1.0-1 is installed here; installing 0.2.0-1")
    same((host.program(), host.read(CONFIG)), ("vpce-probe 0.2.0", "interval = \"30s\"\n"))
    expect(host.sh(old, "validate.sh"), 80, "0.2.0-1 is installed, and this folder holds 0.1.0-1")
    expect(host.sh(old, "install.sh"), 0, "0.2.0-1 is installed here; installing 0.1.0-1")
    same((host.program(), host.read(CONFIG)), ("vpce-probe 0.1.0", "interval = \"30s\"\n"))
    expect(host.sh(old, "validate.sh"), 0)


def uninstall_and_reinstall(host, zips):
    """What the agent does with that type: the old uninstall.sh, the new install.sh. Config and state stay; a purge takes them."""
    old, new = host.unpack(zips.v1), host.unpack(zips.v2)
    expect(host.sh(old, "install.sh"), 0)
    host.write(CONFIG, "interval = \"30s\"\n")
    host.write("etc/vpce-probe/corp.pem", "ours\n")
    host.write("var/lib/vpce-probe/spool/1", "data\n")
    expect(host.sh(old, "uninstall.sh"), 0, "kept: /etc/vpce-probe and /var/lib/vpce-probe")
    expect(host.sh(new, "install.sh"), 0)
    same((host.program(), host.read(CONFIG)), ("vpce-probe 0.2.0", "interval = \"30s\"\n"))
    same((host.read("var/lib/vpce-probe/spool/1"), host.read("etc/vpce-probe/corp.pem")), ("data\n", "ours\n"))
    expect(host.sh(new, "uninstall.sh", {"SSM_VPCE_PROBE_PURGE": "yes"}), 64, "SSM_VPCE_PROBE_PURGE is 'yes'")
    same(host.program(), "vpce-probe 0.2.0")
    expect(host.sh(new, "uninstall.sh", {"SSM_VPCE_PROBE_PURGE": "1"}), 0, "is removed", "purged")
    left = [name for name in ("etc/vpce-probe", "var/lib/vpce-probe", "usr/bin/vpce-probe") if (host.root / name).exists()]
    same(left, [])
    # And after a plain removal.
    expect(host.sh(new, "install.sh"), 0)
    expect(host.sh(new, "uninstall.sh"), 0)
    expect(host.sh(new, "uninstall.sh", {"SSM_VPCE_PROBE_PURGE": "1"}), 0, "is not installed here", "purged")
    same((host.root / "etc/vpce-probe").exists(), False)


def never_ready(host, zips):
    """The new version does not start: the earlier one is put back, with its config, and runs."""
    old, new = host.unpack(zips.v1), host.unpack(zips.v2)
    host.write("run/stand-in/broken", "vpce-probe 0.2.0\n")
    brought = {"SSM_VPCE_PROBE_CONFIG_B64": b64("interval = \"10s\"\n")}
    expect(host.sh(new, "install.sh", brought), 72, "did not become ready", "its last words")
    # Over nothing: it stays, and with its own config.
    same((host.program(), host.read(CONFIG)), ("vpce-probe 0.2.0", "interval = \"10s\"\n"))
    expect(host.sh(new, "uninstall.sh", {"SSM_VPCE_PROBE_PURGE": "1"}), 0)
    expect(host.sh(old, "install.sh"), 0)
    host.write(CONFIG, "interval = \"30s\"\n")
    before = host.running()
    words = "did not become ready", "the files of vpce-probe 0.1.0 were put back, and it runs again"
    expect(host.sh(new, "update.sh", brought), 72, *words)
    same((host.program(), host.read(CONFIG), host.running()[0]), ("vpce-probe 0.1.0", "interval = \"30s\"\n", "active"))
    same(host.running() != before, True)
    same("tiny vpce-probe 0.1.0" in host.read("usr/lib/systemd/system/vpce-probe.service"), True)
    # What the agent does next: the new uninstall.sh, the old install.sh.
    expect(host.sh(new, "uninstall.sh"), 0)
    expect(host.sh(old, "install.sh"), 0)
    expect(host.sh(old, "validate.sh"), 0)
    same(host.read(CONFIG), "interval = \"30s\"\n")
    # A host whose owner removed the config.
    (host.root / CONFIG).unlink()
    expect(host.sh(new, "update.sh", brought), 72, "did not become ready")
    same(host.read(CONFIG), None)
    expect(host.sh(old, "install.sh"), 0)
    # The earlier one cannot be started either.
    host.write("run/stand-in/broken", "vpce-probe 0.1.0\nvpce-probe 0.2.0\n")
    expect(host.sh(new, "update.sh"), 73, "do not become ready either")
    # Somebody had stopped it: it is not started by a failure.
    host.write("run/stand-in/broken", "vpce-probe 0.2.0\n")
    expect(host.sh(old, "install.sh"), 0)
    host.write("run/stand-in/ActiveState", "inactive\n")
    expect(host.sh(new, "install.sh"), 72, "the files of vpce-probe 0.1.0 were put back;")
    same(host.running()[0], "inactive")


def refused_before_anything_changes(host, zips):
    """A program that does not run here, a damaged package, a config that the new program refuses."""
    old, new = host.unpack(zips.v1), host.unpack(zips.v2)
    expect(host.sh(old, "install.sh"), 0)
    before = host.running()
    expect(host.sh(host.unpack(zips.not_here), "update.sh"), 70, "does not run on this host", "nothing was changed")
    package = next(path for path in new.iterdir() if path.suffix in (".deb", ".rpm"))
    whole = package.read_bytes()
    package.write_bytes(b"no package")
    expect(host.sh(new, "update.sh"), 65, "cannot be read; nothing was changed")
    package.write_bytes(whole[:-200])
    text = expect(host.sh(new, "update.sh"), 65, "nothing was changed")
    same("cannot be" in text, True)
    package.write_bytes(whole)
    host.write(CONFIG, "REFUSED = 1\n")
    expect(host.sh(new, "update.sh"), 78, "0.2.0-1 refuses /etc/vpce-probe/config.toml; nothing was changed", "1:REFUSED = 1")
    same((host.program(), host.running()), ("vpce-probe 0.1.0", before))


def delivered_config(host, zips):
    """A config in additionalArguments: taken, refused, not base64."""
    folder = host.unpack(zips.v1)
    good = {"SSM_VPCE_PROBE_CONFIG_B64": b64("interval = \"20s\"\n")}
    expect(host.sh(folder, "install.sh", good), 0, "/etc/vpce-probe/config.toml is what was delivered")
    same(host.read(CONFIG), "interval = \"20s\"\n")
    first = host.running()
    expect(host.sh(folder, "install.sh", good), 0, "is what was delivered already")
    host.write(CONFIG, "interval = \"30s\"\n", 0o640)
    for text, words in ((b64("REFUSED = 1\n"), "refuses the config in SSM_VPCE_PROBE_CONFIG_B64"), ("no base64!", "is not base64")):
        expect(host.sh(folder, "install.sh", {"SSM_VPCE_PROBE_CONFIG_B64": text}), 78, words, "nothing was changed")
    same(host.read(CONFIG), "interval = \"30s\"\n")
    expect(host.sh(folder, "install.sh", good), 0, "is what was delivered")
    mode = (host.root / CONFIG).stat().st_mode & 0o777
    same((host.read(CONFIG), host.read(f"{CONFIG}.earlier"), mode), ("interval = \"20s\"\n", "interval = \"30s\"\n", 0o640))
    same(host.running() != first, True)


def wrong_use(host, zips):
    """Not root, purge at the installation, two packages, none, a host of the other kind."""
    folder = host.unpack(zips.v1)
    expect(host.sh(folder, "install.sh", user="65534:65534"), 64, "only root may do this")
    expect(host.sh(folder, "install.sh", {"SSM_VPCE_PROBE_PURGE": "1"}), 64, "belongs to the action Uninstall")
    (folder / f"other.{host.kind}").write_text("")
    expect(host.sh(folder, "install.sh"), 64, "holds two packages")
    for path in (*folder.glob("*.deb"), *folder.glob("*.rpm")):
        path.unlink()
    expect(host.sh(folder, "install.sh"), 64, "no .deb and no .rpm")
    if host.kind == "deb":
        (folder / "vpce-probe.rpm").write_text("")
        expect(host.sh(folder, "install.sh"), 69, "is for hosts with rpm, and this has none")
    same(host.program(), None)


def not_booted(host, zips):
    """An image that is being built; a container without systemctl; a masked unit."""
    folder = host.unpack(zips.v1)
    shutil.rmtree(host.root / "run/systemd")
    expect(host.sh(folder, "install.sh"), 0, "enabled for the next boot, nothing was started")
    same((host.read("run/stand-in/enabled"), "restart" in host.read("run/stand-in/calls")), ("enabled\n", False))
    expect(host.sh(folder, "validate.sh"), 0, "systemd does not run here")
    (host.root / "usr/local/sbin/systemctl").unlink()
    (host.root / "usr/bin/systemctl").unlink()
    expect(host.sh(folder, "install.sh"), 0, "no systemctl here")
    expect(host.sh(folder, "validate.sh"), 0)
    expect(host.sh(folder, "uninstall.sh"), 0)


def masked(host, zips):
    """Somebody wants this host quiet: it stays so, and that is no failure."""
    old, new = host.unpack(zips.v1), host.unpack(zips.v2)
    expect(host.sh(old, "install.sh"), 0)
    host.write("run/stand-in/enabled", "masked\n")
    host.write("run/stand-in/ActiveState", "inactive\n")
    expect(host.sh(new, "update.sh"), 0, "is masked on this host: not started")
    expect(host.sh(new, "validate.sh"), 0, "is masked")
    same((host.program(), host.running()[0]), ("vpce-probe 0.2.0", "inactive"))


def validation(host, zips):
    """A stopped service, no round, a file that is not the package's."""
    folder = host.unpack(zips.v1, [("ROUND_SECONDS=120", "ROUND_SECONDS=2")])
    expect(host.sh(folder, "validate.sh"), 80, "nothing is installed")
    expect(host.sh(folder, "install.sh"), 0)
    expect(host.sh(folder, "validate.sh"), 0)
    host.write("etc/vpce-probe/silent", "")
    expect(host.sh(folder, "validate.sh"), 82, "no round of vpce-probe 0.1.0-1 within 2 s")
    (host.root / "etc/vpce-probe/silent").rename(host.root / "etc/vpce-probe/stale")
    expect(host.sh(folder, "validate.sh"), 82, "no round of vpce-probe 0.1.0-1 within 2 s")
    (host.root / "etc/vpce-probe/stale").unlink()
    host.write("run/stand-in/ActiveState", "failed\n")
    expect(host.sh(folder, "validate.sh"), 81, "vpce-probe.service is failed")
    # The association's next run: the agent sees that, and installs again.
    expect(host.sh(folder, "install.sh"), 0, "is ready")
    expect(host.sh(folder, "validate.sh"), 0)
    host.write("usr/bin/vpce-probe", tiny.PROGRAM.format(version="0.0.9"), 0o755)
    expect(host.sh(folder, "validate.sh"), 80, "says 'vpce-probe 0.0.9', and the package is 0.1.0-1")


def locked(host, zips):
    """Another package manager holds its lock: for a moment, and for too long."""
    patch = [("LOCK_SECONDS=120", "LOCK_SECONDS=3")]
    old, new = host.unpack(zips.v1, patch), host.unpack(zips.v2, patch)
    expect(host.sh(old, "install.sh"), 0)
    path = "/var/lib/dpkg/lock-frontend"
    if host.kind == "rpm":
        path = _run([CHROOT, str(host.root), "/usr/bin/rpm", "--eval", "%{_dbpath}/.rpm.lock"]).strip()
    with open(f"{host.root}{path}", "a+") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        brought = {"SSM_VPCE_PROBE_CONFIG_B64": b64("interval = \"20s\"\n")}
        words = "waiting for its lock, at most 3 s", "held its lock for 3 s; nothing was changed"
        expect(host.sh(new, "update.sh", brought), 75, *words)
        same((host.program(), host.read(CONFIG)), ("vpce-probe 0.1.0", tiny.CONFIG.format(version="0.1.0")))
        expect(host.sh(new, "uninstall.sh"), 75, "nothing was changed")
        same(host.program(), "vpce-probe 0.1.0")
        free = threading.Thread(target=lambda: (time.sleep(1), fcntl.lockf(lock, fcntl.LOCK_UN)))
        free.start()
        expect(host.sh(new, "update.sh"), 0, "waiting for its lock", "0.2.0-1 is installed")
        free.join()


def package_fails(host, zips):
    """The package manager refuses: a maintainer script that fails (deb), a file where a folder must be (both)."""
    old, new = host.unpack(zips.v1), host.unpack(zips.v2)
    expect(host.sh(old, "install.sh"), 0)
    before = host.running()
    if host.kind == "deb":
        broken = host.unpack(zips.postinst_fails)
        words = "returned error exit status 3", "the files of vpce-probe 0.1.0 were put back, and it runs again"
        expect(host.sh(broken, "update.sh"), 71, *words)
        same((host.program(), host.running()[0]), ("vpce-probe 0.1.0", "active"))
        expect(host.sh(old, "uninstall.sh"), 0)
        expect(host.sh(broken, "install.sh"), 71, "did not install")
        same((host.program(), host.read("run/stand-in/ActiveState") is not None), (None, True))
        return
    _run([CHROOT, str(host.root), "/usr/bin/rpm", "--nodeps", "-e", "vpce-probe"])
    expect(host.sh(old, "install.sh"), 0)
    before = host.running()
    # dpkg's books say 0.1.0; a read-only /usr/bin refuses the new one.
    _run(["mount", "--bind", str(host.root / "usr/bin"), str(host.root / "usr/bin")])
    _run(["mount", "-o", "remount,bind,ro", str(host.root / "usr/bin")])
    try:
        expect(host.sh(new, "update.sh"), 73, "did not install")
    finally:
        _run(["umount", str(host.root / "usr/bin")])
    same((host.program(), host.running()), ("vpce-probe 0.1.0", before))


SCENES = (fresh_and_again, both_ways, uninstall_and_reinstall, never_ready, refused_before_anything_changes, delivered_config,
          wrong_use, not_booted, masked, validation, locked, package_fails)


def main():
    """Plays every scene with dpkg and rpm, and with dash and bash for sh."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("place", type=pathlib.Path)
    parser.add_argument("--scene", action="append", help="only these")
    options = parser.parse_args()
    _run(["mount", "--make-rprivate", "/"])
    _run(["mount", "-t", "tmpfs", "tmpfs", str(options.place)])
    if not DEBIAN.is_dir():
        sys.exit(f"{DEBIAN} is missing: make setup")
    scenes = [scene for scene in SCENES if not options.scene or scene.__name__ in options.scene]
    zips = {kind: Zips(options.place / "zips" / kind, kind) for kind in ("deb", "rpm")}
    plays = [(kind, shell, scene) for scene in scenes for kind in zips for shell in SHELLS]
    # Processes: a thread's child would hold another thread's files for a moment, and keep its root from being unmounted.
    with concurrent.futures.ProcessPoolExecutor(4) as pool:
        wrong = [problem for problem in pool.map(_play, *zip(*((options.place, zips, *play) for play in plays))) if problem]
    print(f"{len(plays) - len(wrong)} of {len(plays)} scenes are as they should be")
    sys.exit(1 if wrong or not plays else 0)


def _play(place, zips, kind, shell, scene):
    """Plays one scene on a host of its own: what is wrong with it, or None."""
    name = f"{kind}-{shell}-{scene.__name__}"
    host = Host(place / name, kind, shell)
    try:
        scene(host, zips[kind])
    except AssertionError as problem:
        print(f"{name}: {problem}\n", end="", flush=True)
        return str(problem)
    finally:
        host.close()
    print(f"{name}: ok\n", end="", flush=True)
    return None


if __name__ == "__main__":
    main()
