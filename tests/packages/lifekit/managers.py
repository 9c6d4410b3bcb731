"""What installs, upgrades and removes: dpkg, rpm, and a Distributor package as the SSM agent runs it."""

import io
import pathlib
import zipfile

from cloudkit.bench import SceneFailed
from lifekit.machine import CONFIG_FILE, STATE_DIR, same, whole

FOLDER = "/root/packages"
AGENT_FOLDER = "/var/lib/amazon/ssm/packages/vpce-probe"


class Deb:
    """dpkg's own commands."""

    # What an upgrade leaves of the new defaults beside an edited config, and where the edited one lies after a removal.
    # Debian's helpers mask a unit that is removed and not purged.
    new_defaults, config_after_removal = CONFIG_FILE + ".dpkg-dist", CONFIG_FILE
    removed_unit, shared_folders = ("not-found", "masked"), ()

    def __init__(self, machine, packages):
        self.machine, self.packages = machine, packages
        for path in packages.values():
            machine.put(f"{FOLDER}/{path.name}", whole(path))

    def install(self, which):
        return self._dpkg("-i", self.path(which))

    def upgrade(self, which):
        # As unattended upgrades do: what the administrator wrote stays.
        return self._dpkg("--force-confold", "-i", self.path(which))

    downgrade = reinstall = upgrade

    def remove(self):
        return self._dpkg("-r", "vpce-probe")

    def purge(self):
        """Removes everything; returns what is expected to stay."""
        self._dpkg("-P", "vpce-probe")
        same("dpkg knows it still", self.machine.sh("dpkg-query -W vpce-probe", check=False)[:10], "dpkg-query")
        return []

    def verify(self, edited):
        """The package's own check of its files."""
        # A ? for what dpkg does not look at, a 5 for another checksum.
        allowed = {f"??5?????? c {CONFIG_FILE}"} if edited else set()
        wrong = set(self.machine.sh("dpkg --verify vpce-probe", check=False).splitlines()) - allowed
        same("dpkg --verify", wrong, set())

    def version(self):
        return self.machine.sh("dpkg-query -W -f '${db:Status-Abbrev}${Version}' vpce-probe")

    def path(self, which):
        return f"{FOLDER}/{self.packages[which].name}"

    def _dpkg(self, *words):
        return self.machine.sh("DEBIAN_FRONTEND=noninteractive dpkg \"$@\"", *words)


class Rpm:
    """rpm's own commands. On Debian it wants a word more, and knows nothing of the libc there."""

    new_defaults, config_after_removal = CONFIG_FILE + ".rpmnew", CONFIG_FILE + ".rpmsave"
    removed_unit = ("not-found",)
    # The shells' own or the package filesystem's where rpm is at home; here nobody's, so that rpm makes them and leaves them.
    shared_folders = ("/usr/share/fish", "/usr/share/fish/vendor_completions.d", "/usr/share/zsh", "/usr/share/zsh/site-functions")
    _foreign = ("--force-debian", "--nodeps")

    def __init__(self, machine, packages):
        self.machine, self.packages = machine, packages
        for path in packages.values():
            machine.put(f"{FOLDER}/{path.name}", whole(path))

    def install(self, which):
        return self._rpm("-i", *self._foreign, self.path(which))

    def upgrade(self, which):
        return self._rpm("-U", *self._foreign, self.path(which))

    def downgrade(self, which):
        return self._rpm("-U", "--oldpackage", *self._foreign, self.path(which))

    def reinstall(self, which):
        return self._rpm("-U", "--replacepkgs", *self._foreign, self.path(which))

    def remove(self):
        return self._rpm("-e", "vpce-probe")

    def purge(self):
        """rpm knows no purge: an edited config and what waits for delivery stay; returns them."""
        self._rpm("-e", "vpce-probe")
        same("rpm's answer", self.machine.sh("rpm -q vpce-probe", check=False), "package vpce-probe is not installed")
        return [pathlib.PurePath(CONFIG_FILE).parent.as_posix(), STATE_DIR]

    def verify(self, edited):
        """The package's own check of its files."""
        wrong = self.machine.sh("rpm -V --nodeps vpce-probe", check=False).splitlines()
        if edited:
            wrong = [line for line in wrong if not line.endswith(f"c {CONFIG_FILE}")]
        same("rpm -V", wrong, [])

    def version(self):
        return self.machine.sh("rpm -q vpce-probe")

    def path(self, which):
        return f"{FOLDER}/{self.packages[which].name}"

    def _rpm(self, *words):
        return self.machine.sh("rpm \"$@\"", *words)


class Distributor:
    """A zip of SSM Distributor: unpacked and run as the agent does, as root, by `sh SCRIPT` in the package's folder."""

    def __init__(self, machine, packages, inner, platform):
        self.machine, self.packages, self.inner = machine, packages, inner
        self.new_defaults, self.removed_unit, self.shared_folders = inner.new_defaults, inner.removed_unit, inner.shared_folders
        self.config_after_removal = CONFIG_FILE
        name, version, family = platform
        self._facts = {
            "BWS_PLATFORM_NAME": name, "BWS_PLATFORM_VERSION": version, "BWS_PLATFORM_FAMILY": family, "BWS_ARCHITECTURE": "x86_64",
            "BWS_INIT_SYSTEM": "systemd", "BWS_PACKAGE_MANAGER": {"debian": "apt"}.get(family, "yum"), "BWS_REGION": "eu-west-1",
            "BWS_INSTANCE_ID": "i-0123456789abcdef0", "BWS_INSTANCE_TYPE": "m7g.large", "BWS_ACCOUNT_ID": "111122223333",
            "BWS_AVAILABILITY_ZONE": "eu-west-1a",
        }  # fmt: skip
        if inner is Rpm:
            # Where rpm is at home it needs neither word; on Debian this stands before it.
            machine.put("/usr/local/sbin/rpm", WRAPPER, "755")
        self._now = None
        for which in packages:
            self._unpack(which)

    def install(self, which):
        self.run(which, "install.sh", "Install")
        self.run(which, "validate.sh", "Install")
        self._now = which

    def upgrade(self, which):
        """In place."""
        self.run(which, "update.sh", "Update")
        self.run(which, "validate.sh", "Update")
        self._now = which

    def downgrade(self, which):
        """Uninstall and reinstall, with another version's folder."""
        self.remove()
        self.install(which)

    reinstall = install

    def remove(self):
        self.run(self._now, "uninstall.sh", "Uninstall")

    def purge(self):
        """The agent's removal with the word that takes config and spool along; returns what is expected to stay."""
        self.run(self._now, "uninstall.sh", "Uninstall", SSM_VPCE_PROBE_PURGE="1")
        self.run(self._now, "uninstall.sh", "Uninstall")  # a second time is no failure
        return []

    def verify(self, edited):
        self.inner.verify(self, edited)

    def version(self):
        return self.inner.version(self)

    def run(self, which, script, action, check=True, **more):
        """Runs one of the package's scripts; returns the finished process."""
        facts = [f"{name}={value}" for name, value in (self._facts | {"BWS_ACTION_NAME": action} | more).items()]
        done = self.machine.exec("env", f"--chdir={self.path(which)}", *facts, "sh", script, check=False)
        if check and done.returncode:
            raise SceneFailed(f"{script} of {which}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def path(self, which):
        return f"{AGENT_FOLDER}/{which}"

    def _unpack(self, which):
        with zipfile.ZipFile(io.BytesIO(whole(self.packages[which]))) as archive:
            for info in archive.infolist():
                if not info.is_dir():
                    self.machine.put(f"{self.path(which)}/{info.filename}", archive.read(info))


WRAPPER = """#!/bin/sh
case $1 in
  -[iUF]* | --install | --upgrade | --freshen) exec /usr/bin/rpm "$@" --force-debian --nodeps ;;
  -V* | --verify) exec /usr/bin/rpm "$@" --nodeps ;;
  *) exec /usr/bin/rpm "$@" ;;
esac
"""
