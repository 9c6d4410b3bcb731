"""`check --self-test`: a good folder, made by `pack` from tiny packages, in which nothing is found; and then one copy for each
way to spoil it, in which just that is found."""

import hashlib
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile

import payload
import tiny

DEB = "vpce-probe-0.1.0-deb-x86_64.zip"
RPM = "vpce-probe-0.1.0-rpm-arm64.zip"


def run(check):
    """Runs every case; what to leave with: nothing, or a complaint."""
    with tempfile.TemporaryDirectory() as place:
        dist = pathlib.Path(place) / "dist"
        dist.mkdir()
        for deb, rpm in (("amd64", "x86_64"), ("arm64", "aarch64")):
            tiny.deb(dist, architecture=deb)
            tiny.rpm(dist, architecture=rpm)
        subprocess.run([sys.executable, payload.HERE / "pack", dist], check=True, stdout=subprocess.DEVNULL)
        good = dist / "distributor"
        if found := check(good, "0.1.0"):
            return f"a good folder is refused: {found}"
        wrong = [problem for number, case in enumerate(CASES) if (problem := _spoil(check, good, number, *case))]
        wrong += _together(check, good)
    if wrong:
        return "\n".join(wrong)
    print(f"a good folder passes; {len(CASES)} spoilt ones are each found, and three mistakes in one folder all three")
    return None


def _spoil(check, good, number, name, spoil, *expected):
    """One case: what is wrong with the answer, or None."""
    folder = good.parent / f"spoilt-{number}"
    shutil.copytree(good, folder)
    spoil(folder)
    found = check(folder, "0.1.0")
    shutil.rmtree(folder)
    told = list(map(_line, found))
    if all(any(word in line for line in told) for word in expected) and told:
        return None
    return f"{name}: expected {expected}, found {told}"


def _together(check, good):
    folder = good.parent / "spoilt-together"
    shutil.copytree(good, folder)
    for _, spoil, *_ in (CASES[0], CASES[6], CASES[16]):
        spoil(folder)
    words = "\n".join(map(_line, check(folder, "0.1.0")))
    missing = [CASES[number][2] for number in (0, 6, 16) if CASES[number][2] not in words]
    return [f"three together: {missing} not found"] if missing else []


def _line(mistake):
    where, what, instead = mistake
    return f"{where}: {what}; instead: {instead}"


def manifest(change):
    """A spoiler of the manifest."""

    def spoil(folder):
        path = folder / "manifest.json"
        value = json.loads(path.read_text())
        change(value)
        path.write_text(json.dumps(value))

    return spoil


def archive(change, name=DEB):
    """A spoiler of a zip, whose sha256 in the manifest is then made right again. `change` has {name: (mode, bytes)}."""

    def spoil(folder):
        path = folder / name
        with zipfile.ZipFile(path) as old:
            members = {entry.filename: (entry.external_attr >> 16, old.read(entry)) for entry in old.infolist()}
        change(members)
        with zipfile.ZipFile(path, "w") as new:
            for member, (mode, data) in members.items():
                entry = zipfile.ZipInfo(member)
                entry.external_attr = mode << 16
                new.writestr(entry, data)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        manifest(lambda value: value["files"][name]["checksums"].update(sha256=digest))(folder)

    return spoil


def rename(value, old, new):
    """Gives a key another name."""
    value[new] = value.pop(old)


def text(members, name, old, new):
    """Replaces bytes in a member."""
    mode, data = members[name]
    members[name] = mode, data.replace(old, new)


def swap(folder):
    """The zip of one architecture under the name of the other; both checksums right."""
    other = "vpce-probe-0.1.0-deb-arm64.zip"
    shutil.copyfile(folder / other, folder / DEB)
    value = json.loads((folder / "manifest.json").read_text())
    value["files"][DEB] = value["files"][other]
    (folder / "manifest.json").write_text(json.dumps(value))


def many(value):
    """Twenty-one files."""
    for number in range(17):
        value["files"][f"more-{number}.zip"] = {"checksums": {"sha256": "0" * 64}}


def unused(packages):
    """No platform takes the zip for Debian's x86_64."""
    for platform in ("debian", "ubuntu"):
        for architectures in packages[platform].values():
            del architectures["x86_64"]


def twice(folder):
    """A key that comes twice."""
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"schemaVersion"', '"publisher": "x", "schemaVersion"', 1))


CASES = [
    ("schema version", manifest(lambda m: m.update(schemaVersion="2.2")), "schemaVersion: is '2.2'"),
    ("unknown key", manifest(lambda m: m.update(packageArn="x")), "packageArn: is not a key"),
    ("key of files", manifest(lambda m: m["files"][DEB].update(size=1)), f"files.{DEB}.size: is not a key"),
    ("no publisher", manifest(lambda m: m.pop("publisher")), "publisher: is None"),
    ("version's characters", manifest(lambda m: m.update(version="0.1.0+x")), "version: is '0.1.0+x'"),
    ("version's length", manifest(lambda m: m.update(version="1" * 129)), "1 to 128"),
    ("version name", manifest(lambda m: m.update(version="0.2.0")), "--version-name is '0.1.0'", "is version 0.1.0-1"),
    ("platform of os-release", manifest(lambda m: rename(m["packages"], "redhat", "rhel")), "instead: redhat"),
    ("platform unknown", manifest(lambda m: rename(m["packages"], "debian", "devuan")), "devuan: is no name"),
    ("platform of others", manifest(lambda m: rename(m["packages"], "debian", "alpine")), "alpine: is a platform where"),
    ("any platform", manifest(lambda m: rename(m["packages"], "debian", "_any")), "takes hosts that no package"),
    ("architecture of rpm", manifest(lambda m: rename(m["packages"]["amazon"]["2"], "arm64", "aarch64")), "instead: arm64"),
    ("release", manifest(lambda m: rename(m["packages"]["ubuntu"], "22.*", "jammy")), "'jammy' matches no release"),
    ("wild card within", manifest(lambda m: rename(m["packages"]["amazon"], "2023", "2023*")), "'2023*' matches no release"),
    ("key of a package", manifest(lambda m: m["packages"]["debian"]["12"]["arm64"].update(url="x")), "arm64.url: is not a key"),
    ("file not listed", manifest(lambda m: m["files"].pop(DEB)), f"names {DEB}, which is not in files", "is not in the manifest"),
    ("file missing", lambda folder: (folder / RPM).unlink(), f"files.{RPM}: is not in"),
    ("file changed", lambda folder: (folder / DEB).write_bytes((folder / DEB).read_bytes() + b"x"), "sha256 is"),
    ("checksum's form", manifest(lambda m: m["files"][DEB]["checksums"].update(sha256="ABC")), "sha256: is 'ABC'"),
    ("file outside", manifest(lambda m: rename(m["files"], DEB, f"../{DEB}")), "is no name of a zip in this folder"),
    ("too many files", manifest(many), "21 files"),
    ("file unused", manifest(lambda m: unused(m["packages"])), f"files.{DEB}: is used by no platform"),
    ("key twice", twice, "'publisher' comes twice"),
    ("packages empty", manifest(lambda m: m.update(packages={})), "packages: is missing or empty"),
    ("releases a text", manifest(lambda m: m["packages"].update(debian="x")), "packages.debian: is 'x'"),
    ("not JSON", lambda folder: (folder / "manifest.json").write_text("{"), "is not JSON"),
    ("no uninstall.sh", archive(lambda z: z.pop("uninstall.sh")), "has no uninstall.sh"),
    ("no update.sh", archive(lambda z: z.pop("update.sh")), "has no update.sh"),
    ("not executable", archive(lambda z: z.update({"install.sh": (0o644, z["install.sh"][1])})), "install.sh: is not executable"),
    ("carriage returns", archive(lambda z: text(z, "install.sh", b"\n", b"\r\n")), "carriage returns"),
    ("another shell", archive(lambda z: text(z, "validate.sh", b"#!/bin/sh", b"#!/bin/bash")), "does not begin with #!/bin/sh"),
    ("a reboot", archive(lambda z: text(z, "common.sh", b"EX_USAGE=64", b"EX_USAGE=194")), "reboot"),
    ("in a folder", archive(lambda z: rename(z, "install.sh", "scripts/install.sh")), "is in a folder of the zip"),
    ("path upwards", archive(lambda z: z.update({"../../etc/cron.d/x": (0o644, b"")})), "outside of its folder"),
    ("absolute path", archive(lambda z: z.update({"/etc/cron.d/x": (0o644, b"")})), "outside of its folder"),
    ("two packages", archive(lambda z: z.update({"other.deb": (0o644, b"")})), "holds 2 packages"),
    ("no package", archive(lambda z: z.pop("vpce-probe_0.1.0-1_amd64.deb")), "holds 0 packages"),
    ("package torn", archive(lambda z: text(z, "vpce-probe_0.1.0-1_amd64.deb", b"debian-binary", b"debian-bonary")), "cannot read"),
    ("another architecture", swap, "is for arm64, and debian x86_64 takes it"),
    ("another kind", manifest(lambda m: m["packages"]["debian"]["12"]["arm64"].update(file=RPM)), "is a .rpm, and debian takes it"),
    ("no zip", lambda folder: (folder / DEB).write_bytes(b"x"), "is no zip"),
]
