#!/usr/bin/env python3
"""All of one lab's own servers in one process: main.py PLAN.json READY_FD

The plan is a list of {"server": module, "namespace": …, …}. A socket stays in the namespace in which it was made, so
the main thread walks through the namespaces, opens every listener, and only then says that it is ready.
"""

import importlib
import json
import os
import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from labkit import netns  # noqa: E402  (the path above comes first)


def main():
    plan, ready = json.loads(pathlib.Path(sys.argv[1]).read_text()), int(sys.argv[2])
    loops = []
    for entry in plan:
        netns.enter(entry["namespace"])
        loops += importlib.import_module(f"servers.{entry['server']}").open_listeners(entry)
    for loop in loops:
        threading.Thread(target=loop, daemon=True).start()
    os.write(ready, b"ready")
    os.close(ready)
    threading.Event().wait()


if __name__ == "__main__":
    main()
