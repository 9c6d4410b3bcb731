"""systemd-resolved itself, on the instance: its stub on 127.0.0.53, and the files in /run/systemd/resolve that it writes.

It runs without D-Bus, as in a container. `setup` unpacks it: its package, once installed, takes over /etc/resolv.conf.
"""

import pathlib
import time

from labkit import netns

STUB_FILE = "/run/systemd/resolve/stub-resolv.conf"
STUB_SOCKET = " 3500007F:0035 "  # 127.0.0.53:53, as /proc/net/udp spells it
READY_SECONDS = 10

CONFIG = """[Resolve]
DNS={servers}
FallbackDNS=
Domains={domain}
LLMNR=no
MulticastDNS=no
DNSSEC=no
"""


def start(cache, state, spawn, *, namespace, servers, domain):
    """Starts it with `spawn` (as Popen) after the instance's files are there; returns it when its stub takes questions."""
    folder = pathlib.Path(cache).resolve() / "resolved"
    program = folder / "systemd-resolved"
    if not program.exists():
        raise netns.CommandFailed("systemd-resolved is not in the lab's cache: run tests/lab/setup")
    own_etc = state / "resolved-etc"  # the user that it becomes need not exist on this machine
    own_etc.mkdir()
    (own_etc / "passwd").write_text("root:x:0:0::/root:/bin/sh\nsystemd-resolve:x:990:990::/:/usr/sbin/nologin\n")
    (own_etc / "group").write_text("root:x:0:\nsystemd-resolve:x:990:\n")
    (state / "etc/systemd/resolved.conf").write_text(CONFIG.format(servers=" ".join(servers), domain=domain))
    (state / "run/systemd").mkdir(exist_ok=True)

    def become():
        netns.enter(namespace)
        netns.unshare_mounts()
        netns.mount("overlay", "/etc", "overlay", netns.MS_RDONLY, f"lowerdir={own_etc}:{state}/etc:/etc")
        netns.mount(f"{state}/run", "/run", None, netns.MS_BIND)  # what it writes there, the instance sees

    log = state / "resolved.log"
    with open(log, "w") as out:
        child = spawn([str(program)], env={"LD_LIBRARY_PATH": str(folder)}, preexec_fn=become, stdout=out, stderr=out)
    deadline = time.monotonic() + READY_SECONDS
    while not _is_ready(child.pid, state):
        if child.poll() is not None or time.monotonic() > deadline:
            raise netns.CommandFailed("systemd-resolved does not start:\n" + log.read_text())
        time.sleep(0.005)
    return child


def _is_ready(pid, state):
    try:
        sockets = pathlib.Path(f"/proc/{pid}/net/udp").read_text()  # those of its network namespace
    except OSError:
        return False  # it ended
    return STUB_SOCKET in sockets and (state / STUB_FILE.lstrip("/")).exists()
