"""The packages of `make packages`, their next version, and spoilt ones: what a life needs beside the package itself.

The next version is the same package with a higher revision, one byte more in the binary, and another default config. It is
made from the package as it is, not from its sources, so that whatever its scripts do is what is tried.
"""

import gzip
import hashlib
import io
import os
import pathlib
import platform
import re
import shutil
import subprocess
import tarfile
import tempfile
import zipfile

ARCHITECTURES = {"x86_64": ("amd64", "x86_64", "x86_64"), "aarch64": ("arm64", "aarch64", "arm64")}
CONFIG, BINARY, UNIT = "etc/vpce-probe/config.toml", "usr/bin/vpce-probe", "usr/lib/systemd/system/vpce-probe.service"
NEXT_DEFAULTS = "\n# What a later version explains anew.\n"
SCRIPTS = {"PREIN": "%pre", "POSTIN": "%post", "PREUN": "%preun", "POSTUN": "%postun", "PRETRANS": "%pretrans", "POSTTRANS": "%posttrans"}


class NoPackage(RuntimeError):
    """A package is missing, or cannot be taken apart."""


def find(dist):
    """The packages of this machine's kind: deb, rpm, zip-deb, zip-rpm."""
    deb, rpm, archive = ARCHITECTURES[platform.machine()]
    patterns = {"deb": f"vpce-probe_*_{deb}.deb", "rpm": f"vpce-probe-*.{rpm}.rpm"}
    patterns |= {f"zip-{kind}": f"distributor/vpce-probe-*-{kind}-{archive}.zip" for kind in ("deb", "rpm")}
    found = {}
    for kind, pattern in patterns.items():
        matches = sorted(dist.glob(pattern))
        if len(matches) > 1:
            raise NoPackage(f"several of {dist}/{pattern}: {', '.join(path.name for path in matches)}")
        found |= {kind: path for path in matches}
    return found


def newer(tree):
    """Makes an unpacked package the next version, but for its number."""
    with open(tree / BINARY, "ab") as binary:
        binary.write(b"\n")  # behind an ELF's sections nobody looks
    with open(tree / CONFIG, "a") as config:
        config.write(NEXT_DEFAULTS)


def foreign(tree):
    """Makes an unpacked package one whose program does not run here at all."""
    newer(tree)
    (tree / BINARY).write_text("#!/bin/sh\necho 'not for this machine' >&2\nexit 126\n")


def mute(tree):
    """Makes an unpacked package one whose daemon starts and never gets ready; everything else of it works."""
    newer(tree)
    program, real = tree / BINARY, tree / f"{BINARY}.real"
    program.rename(real)
    program.write_text(f'#!/bin/sh\n[ "$1" != run ] || {{ echo "no luck today" >&2; exit 1; }}\nexec "$0.real" "$@"\n')
    program.chmod(0o755)


def remade(source, folder, revision, change, scripts=lambda folder: None):
    """A package like `source` with another revision, its files changed by `change(tree)`; for a .deb `scripts(DEBIAN)` may
    change its scripts, for an .rpm the spec in that folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="vpce-life-") as work:
        make = {".deb": _remade_deb, ".rpm": _remade_rpm}[source.suffix]
        made = make(source, pathlib.Path(work), revision, change, scripts)
        return pathlib.Path(shutil.move(made, folder / made.name))


def rezipped(source, folder, package, texts):
    """A Distributor zip like `source` around another package: names and checksums in its texts follow; some are others."""
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(source) as archive:
        members = {info: archive.read(info) for info in archive.infolist()}
    (old,) = [info for info in members if info.filename.endswith(package.suffix)]
    data = package.read_bytes()
    swaps = {
        old.filename.encode(): package.name.encode(),
        hashlib.sha256(members[old]).hexdigest().encode(): hashlib.sha256(data).hexdigest().encode(),
    }
    path = folder / source.name
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(package.name, data)
        for info, content in members.items():
            if info is not old:
                for this, other in swaps.items():
                    content = content.replace(this, other)
                archive.writestr(info, texts.get(info.filename, content))
    return path


def revision_of(package):
    """What stands behind the upstream version."""
    if package.suffix == ".deb":
        return _run("dpkg-deb", "-f", package, "Version").strip().rpartition("-")[2]
    return _query(package, "%{RELEASE}")


def binary_hash(package):
    """SHA-256 of a package's binary."""
    with tempfile.TemporaryDirectory(prefix="vpce-life-") as work:
        tree = pathlib.Path(work)
        if package.suffix == ".deb":
            _run("dpkg-deb", "-x", package, tree)
        else:
            _unpack_rpm(package, tree)
        return hashlib.sha256((tree / BINARY).read_bytes()).hexdigest()


# -- deb --


def _remade_deb(source, work, revision, change, scripts):
    tree = work / "tree"
    _run("dpkg-deb", "-R", source, tree)
    change(tree)
    control = tree / "DEBIAN" / "control"
    control.write_text(re.sub(r"^(Version: *\S+-)[^-\s]+$", rf"\g<1>{revision}", control.read_text(), count=1, flags=re.M))
    scripts(tree / "DEBIAN")
    _sum_up(tree)
    _run("dpkg-deb", "-Zgzip", "-z1", "-b", tree, work)
    (made,) = work.glob("*.deb")
    return made


def _sum_up(tree):
    sums = tree / "DEBIAN" / "md5sums"
    if sums.exists():
        names = [line.split(None, 1)[1] for line in sums.read_text().splitlines()]
        sums.write_text("".join(f"{hashlib.md5((tree / name).read_bytes()).hexdigest()}  {name}\n" for name in names))


# -- rpm --


def _remade_rpm(source, work, revision, change, scripts):
    tree = work / "tree"
    tree.mkdir()
    _unpack_rpm(source, tree)
    change(tree)
    spec = work / "next.spec"
    spec.write_text(_spec(source, revision, tree))
    scripts(work)
    # rpmbuild empties its build root, so the files come by %install.
    macros = {"_topdir": work / "top", "_build_id_links": "none", "__os_install_post": "%{nil}", "debug_package": "%{nil}", "life_tree": tree}
    defines = [word for name, value in macros.items() for word in ("--define", f"{name} {value}")]
    _run("rpmbuild", "-bb", "--quiet", "--target", _query(source, "%{ARCH}"), *defines, spec)
    (made,) = (work / "top" / "RPMS").glob("*/*.rpm")
    return made


def _spec(source, revision, tree):
    fields = dict(zip(("name", "version", "licence"), _query(source, "%{NAME}\n%{VERSION}\n%{LICENSE}").splitlines()))
    lines = [
        f"Name: {fields['name']}", f"Version: {fields['version']}", f"Release: {revision}", f"License: {fields['licence']}",
        "Summary: the next version", "AutoReqProv: no", "%description", "The next version.", "%install", "cp -a %{life_tree}/. %{buildroot}/",
    ]  # fmt: skip
    for tag, section in SCRIPTS.items():
        body = _query(source, f"%{{{tag}}}")
        if body != "(none)":
            program = _query(source, f"[%{{{tag}PROG}} ]").strip()
            lines += [f"{section} -p {program}" if program not in ("", "/bin/sh") else section, body.replace("%", "%%")]
    lines.append("%files")
    fields = "[%{FILEMODES:octal}\t%{FILEUSERNAME}\t%{FILEGROUPNAME}\t%{FILEFLAGS:fflags}\t%{FILENAMES}\n]"
    for line in _query(source, fields).splitlines():
        mode, user, group, flags, path = line.split("\t")
        words = [f"%attr({mode[-4:]},{user},{group})"]
        words += ["%dir"] * mode.startswith("04") + ["%ghost"] * ("g" in flags) + ["%doc"] * ("d" in flags)
        if "c" in flags:
            words.append("%config(noreplace)" if "n" in flags else "%config")
        lines.append(" ".join([*words, path]))
    if (tree / f"{BINARY}.real").exists():
        lines.append(f"%attr(0755,root,root) /{BINARY}.real")
    return "\n".join(lines) + "\n"


def _query(source, form):
    return _run("rpm", "-qp", "--qf", form, source)


def _unpack_rpm(source, tree):
    with open(source, "rb") as package:
        data = subprocess.run(["rpm2archive", "-"], stdin=package, capture_output=True, check=True).stdout
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        archive.extractall(tree, filter="tar")


def _run(*command):
    env = os.environ | {"LC_ALL": "C.UTF-8", "SOURCE_DATE_EPOCH": "1700000000"}
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, env=env)
    if done.returncode:
        raise NoPackage(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout
