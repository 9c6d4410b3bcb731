"""What `pack` and `check` share: the platforms, and what a .deb or .rpm says about itself."""

import json
import pathlib
import shutil
import subprocess
import typing

HERE = pathlib.Path(__file__).resolve().parent
PLATFORMS = json.loads((HERE / "platforms.json").read_text())
SCRIPTS = ("install.sh", "uninstall.sh", "update.sh", "validate.sh")
SOURCED = ("common.sh",)

# The agent's name of an architecture, by the package's own. The agent says arm64 where rpm says aarch64.
ARCHITECTURES = {"deb": {"amd64": "x86_64", "arm64": "arm64"}, "rpm": {"x86_64": "x86_64", "aarch64": "arm64"}}

_QUESTIONS = {
    "deb": ["dpkg-deb", "--show", "--showformat", "${Package}\\n${Version}\\n${Architecture}\\n"],
    "rpm": ["rpm", "--query", "--package", "--queryformat", "%{NAME}\\n%{VERSION}-%{RELEASE}\\n%{ARCH}\\n"],
}


class Unreadable(Exception):
    """A package that its own manager cannot read, or no manager to read it."""


class Payload(typing.NamedTuple):
    """A package's words about itself."""

    kind: str
    name: str
    version: str
    architecture: str

    @property
    def agents_architecture(self):
        """As the agent calls it, or None."""
        return ARCHITECTURES[self.kind].get(self.architecture)

    @property
    def version_name(self):
        """0.1.0 of 0.1.0-1; a later revision of the same version is another version to Distributor: 0.1.0-2."""
        upstream, _, revision = self.version.rpartition("-")
        return upstream if revision == "1" else self.version


def read(path):
    """Asks dpkg-deb or rpm about a package file."""
    kind = path.suffix.removeprefix(".")
    question = _QUESTIONS[kind]
    if shutil.which(question[0]) is None:
        raise Unreadable(f"{question[0]} is not on this machine, so {path.name} cannot be read (apt-get install dpkg rpm)")
    answer = subprocess.run([*question, str(path)], capture_output=True, text=True, check=False)
    words = answer.stdout.split()
    if answer.returncode != 0 or len(words) != 3:
        raise Unreadable(f"{question[0]} cannot read {path.name}: {answer.stderr.strip()}")
    return Payload(kind, *words)
