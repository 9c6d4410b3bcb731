"""The lab's small programs: those in C are compiled once for each state of their source, cargo builds the one in Rust."""

import os
import pathlib

from labkit import netns

SOURCES = pathlib.Path(__file__).resolve().parent.parent / "native"
TARGET = SOURCES.parents[2] / "target"


def ena_shim(cache):
    """A library to preload: ENA's counters on the instance's eth0."""
    return _compiled(cache, "ena", ["-shared", "-fPIC", "-ldl"])


def measure(cache):
    """A program that runs another and tells what it cost."""
    return _compiled(cache, "measure", [])


def deny(cache):
    """A program that has a cgroup's connect() to some addresses refused."""
    return _compiled(cache, "deny", [])


def pq_server(binary=None):
    """The server that completes X25519MLKEM768: built beside the binary under test, or else in this tree."""
    beside = [pathlib.Path(binary).resolve().parent] if binary else []
    for folder in [*beside, TARGET / "debug", TARGET / "release"]:
        if (program := folder / "examples" / "pqserver").exists():
            return program
    raise netns.CommandFailed("the lab's post-quantum server is not built: cargo build --example pqserver")


def _compiled(cache, name, flags):
    source = SOURCES / f"{name}.c"
    target = pathlib.Path(cache).resolve() / f"{name}-{source.stat().st_mtime_ns}"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f"{target.name}.{os.getpid()}")
        netns.run("cc", "-O1", "-Wall", "-o", str(partial), str(source), *flags)
        partial.rename(target)
    return target
