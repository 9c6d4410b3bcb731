"""A security agent's policy: every command on the instance runs in a cgroup whose BPF program refuses some connect()s.

The cgroup needs no mount to stay, hence the private one while it is made, joined and removed.
"""

import os
import subprocess
import time

from labkit import native, netns

HIERARCHY = "/sys"  # any directory: nobody else sees what is mounted there
PREFIX = "vpce-lab-"
GONE_SECONDS = 5


def refuse(cache, lab_id, addresses):
    """Makes the lab's cgroup, in which connect() to these IPv4 addresses fails with EPERM."""
    path = _path(lab_id)

    def become():
        _see_hierarchy()
        os.mkdir(path)

    _run([str(native.deny(cache)), path, *addresses], become)


def join(lab_id):
    """Moves the calling process, whose mounts are its own, into the lab's cgroup."""
    _mount()
    with open(f"{_path(lab_id)}/cgroup.procs", "w") as procs:
        procs.write("0")


def remove(lab_id):
    """Removes the lab's cgroup, and the program with it, as soon as its last process is gone."""
    deadline = time.monotonic() + GONE_SECONDS
    while PREFIX + lab_id in left(lab_id):
        try:
            _run(["rmdir", _path(lab_id)], _see_hierarchy)
        except netns.CommandFailed:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)


def left(prefix):
    """The cgroups of labs whose ids start with `prefix`."""
    return [name for name in _run(["ls", HIERARCHY], _see_hierarchy).split() if name.startswith(PREFIX + prefix)]


def _path(lab_id):
    return f"{HIERARCHY}/{PREFIX}{lab_id}"


def _see_hierarchy():
    netns.unshare_mounts()
    _mount()


def _mount():
    netns.mount("cgroup2", HIERARCHY, "cgroup2")


def _run(command, become):
    done = subprocess.run(command, preexec_fn=become, capture_output=True, text=True)
    if done.returncode:
        raise netns.CommandFailed(f"{command[0]}: exit {done.returncode}\n{done.stderr}")
    return done.stdout
