"""What lies on a machine's disk, before an install and after a purge."""

import difflib

# Not the package's: they belong to the system, or live in memory.
PRUNED = ["/proc", "/sys", "/dev", "/run", "/tmp", "/root/packages", "/var/tmp"]
# What package managers and systemd keep about any package and any boot.
BOOKKEEPING = [
    "/var/lib/dpkg", "/var/lib/rpm", "/var/lib/apt", "/var/cache", "/var/log", "/var/lib/systemd/catalog", "/var/lib/systemd/timers",
    "/var/lib/systemd/random-seed", "/var/lib/systemd/timesync", "/var/lib/amazon", "/root/.rpmdb", "/etc/ld.so.cache", "/etc/.pwd.lock",
]  # fmt: skip
# The system user stays, as Debian's and Fedora's own packages leave theirs: files of its number may be anywhere.
USERS = ["/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow", "/etc/subuid", "/etc/subgid"]
OURS = "vpce-probe"


def listing(machine):
    """Path → what is there, for everything that a package might leave or change."""
    found = {}
    prune = " -o ".join(f"-path {path}" for path in PRUNED)
    # %T@ only of files: a folder's time changes with each name that comes and goes.
    script = f"find / -xdev \\( {prune} \\) -prune -o ! -type f -printf '%p\\t%y %m %U:%G %l\\n' -o -printf '%p\\t%y %m %U:%G %s %T@\\n'"
    for line in machine.exec("sh", "-c", script).stdout.splitlines():
        path, _, what = line.partition("\t")
        if not any(path == kept or path.startswith(kept + "/") for kept in BOOKKEEPING):
            found[path] = what
    for path in USERS:
        for copy in (path, path + "-"):
            found.pop(copy, None)
    return found | {f"{path} (text)": machine.text(path) or "" for path in USERS}


def changes(before, after):
    """Lines: what came, went and changed; the user's own lines are left out."""
    lines = []
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if old == new:
            continue
        if path.endswith("(text)"):
            differing = [line for line in difflib.ndiff(old.splitlines(), new.splitlines()) if line[0] in "+-" and OURS not in line]
            lines += [f"{path}: {line}" for line in differing]
        else:
            lines.append(f"{'came' if old is None else 'went' if new is None else 'changed'}: {path} ({old} -> {new})")
    return lines
