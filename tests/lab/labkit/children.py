"""Work in parallel child processes that clean up after themselves however the parent ends."""

import os
import pickle
import select
import signal
import sys

from labkit import netns


def each(tasks, jobs, work):
    """Calls `work(task)` for every task, `jobs` at once, each in a child of its own; yields (task, result) as they end.

    A child that ends without a result yields None. When the caller stops early (an error, ^C, SIGTERM) the children are
    told to end and waited for, so that none outlives its lab.
    """
    waiting, running = list(reversed(tasks)), {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                task = waiting.pop()
                reader, pid = _start(task, work)
                running[reader] = (pid, task)
            for reader in select.select(list(running), [], [])[0]:
                data = reader.read()
                pid, task = running.pop(reader)
                os.waitpid(pid, 0)
                reader.close()
                yield task, pickle.loads(data) if data else None
    finally:
        for pid, _ in running.values():
            os.kill(pid, signal.SIGTERM)
        for pid, _ in running.values():
            os.waitpid(pid, 0)


def end_on_sigterm():
    """SIGTERM unwinds like ^C: every `finally` runs."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def _start(task, work):
    sys.stdout.flush()  # or the child would print the buffer once more
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        return os.fdopen(reader, "rb"), pid
    code = 1
    try:
        os.close(reader)
        end_on_sigterm()
        netns.end_with_parent()
        result = pickle.dumps(work(task))
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(result)
        code = 0
    finally:
        os._exit(code)  # never into the parent's code
