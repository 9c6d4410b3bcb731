"""The lab's small C programs, compiled once for each state of their source."""

import os
import pathlib

from labkit import netns

SOURCES = pathlib.Path(__file__).resolve().parent.parent / "native"


def ena_shim(cache):
    """A library to preload: ENA's counters on the instance's eth0."""
    return _compiled(cache, "ena", ["-shared", "-fPIC", "-ldl"])


def measure(cache):
    """A program that runs another and tells what it cost."""
    return _compiled(cache, "measure", [])


def deny(cache):
    """A program that has a cgroup's connect() to some addresses refused."""
    return _compiled(cache, "deny", [])


def _compiled(cache, name, flags):
    source = SOURCES / f"{name}.c"
    target = pathlib.Path(cache).resolve() / f"{name}-{source.stat().st_mtime_ns}"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f"{target.name}.{os.getpid()}")
        netns.run("cc", "-O1", "-Wall", "-o", str(partial), str(source), *flags)
        partial.rename(target)
    return target
