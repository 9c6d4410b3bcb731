"""Network and mount namespaces, without a process per step: batches for `ip`, ctypes for setns, unshare and mount."""

import ctypes
import os
import signal
import subprocess

CLONE_NEWNS, CLONE_NEWNET = 0x0002_0000, 0x4000_0000
MS_RDONLY, MS_BIND, MS_REC, MS_PRIVATE = 0x1, 0x1000, 0x4000, 0x40000
NETNS_DIR = "/run/netns"
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


class CommandFailed(RuntimeError):
    """A tool that the lab needs said no: the message holds the command, its input and what it printed."""


def run(*command, stdin=None, cwd=None):
    """Runs a tool to its end and returns what it printed."""
    done = subprocess.run(command, input=stdin, text=True, capture_output=True, cwd=cwd)
    if done.returncode:
        raise CommandFailed(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr}{stdin or ''}")
    return done.stdout


def ip_batch(lines, namespace=None):
    """Feeds many `ip` commands to one process; those that begin with -6 to a second one: a batch has one family."""
    where = ["-n", namespace] if namespace else []
    six = [line.removeprefix("-6 ") for line in lines if line.startswith("-6 ")]
    other = [line for line in lines if not line.startswith("-6 ")]
    for family, batch in ([], other), (["-6"], six):
        if batch:
            run("ip", *family, *where, "-batch", "-", stdin="\n".join(batch) + "\n")


def _check(result, what):
    if result != 0:
        errno = ctypes.get_errno()
        raise OSError(errno, f"{what}: {os.strerror(errno)}")


def enter(namespace):
    """Moves the calling thread into a named network namespace."""
    fd = os.open(f"{NETNS_DIR}/{namespace}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(_libc.setns(fd, CLONE_NEWNET), f"setns {namespace}")
    finally:
        os.close(fd)


def unshare_mounts():
    """Gives the calling process mounts of its own, which end with it."""
    _check(_libc.unshare(CLONE_NEWNS), "unshare")
    mount("none", "/", None, MS_REC | MS_PRIVATE)


def mount(source, target, kind, flags=0, options=None):
    """mount(2)."""
    texts = [None if text is None else text.encode() for text in (source, target, kind, options)]
    _check(_libc.mount(*texts[:3], flags, texts[3]), f"mount {target}")


def set_sysctls(namespace, settings):
    """Writes net.* sysctls of a namespace; /proc/sys/net is that of the task which opens it, hence the child."""
    child = os.fork()
    if child == 0:
        try:
            enter(namespace)
            for name, value in settings.items():
                with open("/proc/sys/" + name.replace(".", "/"), "w") as knob:
                    knob.write(str(value))
            os._exit(0)
        except BaseException as problem:  # the child must never return into the parent's code
            os.write(2, f"sysctl in {namespace}: {problem}\n".encode())
            os._exit(1)
    if os.waitpid(child, 0)[1]:
        raise CommandFailed(f"sysctls of {namespace} could not be set")


def end_with_parent():
    """Has the kernel send SIGTERM to this process when its parent dies, however that dies."""
    _check(_libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0), "prctl")


def names(prefix):
    """The namespaces whose names start with `prefix`."""
    return sorted(n for n in os.listdir(NETNS_DIR) if n.startswith(prefix)) if os.path.isdir(NETNS_DIR) else []


def processes_in(namespaces):
    """PIDs of the processes that live in any of these namespaces."""
    inodes = {f"net:[{os.stat(f'{NETNS_DIR}/{n}').st_ino}]" for n in namespaces}
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/ns/net") in inodes:
                found.append(int(pid))
        except OSError:
            pass  # it ended meanwhile
    return found


def processes_naming(path):
    """PIDs of the processes whose command line has `path` in it."""
    mark, found = path.encode(), []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as command_line:
                if int(pid) != os.getpid() and mark in command_line.read():
                    found.append(int(pid))
        except OSError:
            pass  # it ended meanwhile
    return found
