"""Tiny packages for tests: the paths and the scripts' view of a real one, with a shell script for the program.

By itself it puts both kinds for both architectures into a folder: tiny.py FOLDER"""

import pathlib
import subprocess
import sys

# It answers what the Distributor's scripts ask. A config with the word REFUSED is a bad one; a host with
# /etc/vpce-probe/silent has no round, and one with /etc/vpce-probe/stale one of another version.
PROGRAM = """\
#!/bin/sh
case $1 in
    --version) echo 'vpce-probe {version}' ;;
    check) ! grep -n REFUSED "$3" || exit 78 ;;
    status)
        [ ! -e /etc/vpce-probe/silent ] || {{ echo 'there is no last.json' >&2; exit 3; }}
        [ ! -e /etc/vpce-probe/stale ] || {{ echo '{{"schema_version":1,"version":"0.0.1"}}'; exit 0; }}
        [ "$3" = short ] && echo 'failed: ssm tcp-timeout' || echo '{{"schema_version":1,"version":"{version}"}}'
        exit 2
        ;;
esac
"""

UNIT = """\
[Unit]
Description=tiny vpce-probe {version}
[Service]
ExecStart=/usr/bin/vpce-probe run
[Install]
WantedBy=multi-user.target
"""

# Another one in each version: an upgrade then has to decide about a host's own.
CONFIG = "# of {version}\n# interval = \"60s\"\n"

SPEC = """\
Name: vpce-probe
Version: {version}
Release: {revision}
Summary: tiny
License: MIT
AutoReqProv: no
%description
tiny
%install
cp -a {root}/. %{{buildroot}}/
%files
/usr/bin/vpce-probe
/usr/lib/systemd/system/vpce-probe.service
%config(noreplace) /etc/vpce-probe/config.toml
%changelog
"""


def deb(folder, version="0.1.0", architecture="amd64", program=PROGRAM, scripts=None, revision="1"):
    """Builds a .deb; `scripts`: maintainer script → its text."""
    root = _root(folder / f"deb-{version}-{revision}-{architecture}", version, program)
    control = root / "DEBIAN"
    control.mkdir()
    (control / "control").write_text(
        f"Package: vpce-probe\nVersion: {version}-{revision}\nArchitecture: {architecture}\n"
        "Maintainer: nobody <nobody@localhost>\nDescription: tiny\n"
    )
    (control / "conffiles").write_text("/etc/vpce-probe/config.toml\n")
    for name, text in (scripts or {}).items():
        (control / name).write_text(text)
        (control / name).chmod(0o755)
    target = folder / f"vpce-probe_{version}-{revision}_{architecture}.deb"
    _run("dpkg-deb", "--root-owner-group", "-Zgzip", "--build", str(root), str(target))
    return target


def rpm(folder, version="0.1.0", architecture="x86_64", program=PROGRAM, revision="1"):
    """Builds an .rpm."""
    work = folder / f"rpm-{version}-{revision}-{architecture}"
    root = _root(work / "root", version, program)
    spec = work / "vpce-probe.spec"
    spec.write_text(SPEC.format(version=version, revision=revision, root=root))
    macros = {"_topdir": work, "_rpmdir": folder, "_rpmfilename": "%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm",
              "_binary_payload": "w6.gzdio", "__os_install_post": "%{nil}", "_dbpath": work / "db"}
    defines = [word for name, value in macros.items() for word in ("--define", f"{name} {value}")]
    _run("rpmbuild", "--quiet", "--target", f"{architecture}-linux", *defines, "-bb", str(spec))
    return folder / f"vpce-probe-{version}-{revision}.{architecture}.rpm"


def _root(root, version, program):
    files = {"usr/bin/vpce-probe": program, "usr/lib/systemd/system/vpce-probe.service": UNIT, "etc/vpce-probe/config.toml": CONFIG}
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True)
        path.write_text(text.format(version=version))
    (root / "usr/bin/vpce-probe").chmod(0o755)
    return pathlib.Path(root)


def _run(*words):
    made = subprocess.run(words, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}\n{made.stdout}{made.stderr}")


if __name__ == "__main__":
    for debian, red_hat in (("amd64", "x86_64"), ("arm64", "aarch64")):
        print(deb(pathlib.Path(sys.argv[1]), architecture=debian), rpm(pathlib.Path(sys.argv[1]), architecture=red_hat))
