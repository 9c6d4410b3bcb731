"""The VPC resolver: unbound with local data, or the lab's own DNS server for what no sound resolver would do."""

import os
import pathlib
import shutil

from labkit import netns

UNBOUND_ANSWERS = {"nxdomain", "nodata", "refused", "silent"}

CONFIG = """
server:
  {interfaces}
  pidfile: "{state}/{name}.pid"
  logfile: "{state}/{name}.log"
  use-syslog: no
  directory: "{state}"
  chroot: ""
  username: ""
  do-daemonize: yes
  num-threads: 1
  so-rcvbuf: 0
  module-config: "iterator"
  access-control: 0.0.0.0/0 allow
  access-control: ::/0 allow
  local-zone: "." static
  local-data: ". 60 IN SOA lab.invalid. lab.invalid. 1 900 900 900 60"
  {zone}
remote-control:
  control-enable: no
"""


def needs_own_server(mode, zone):
    """Whether unbound cannot play this: a mode other than ok, or an answer that a sound resolver never gives."""
    return mode != "ok" or any(isinstance(a, str) and a not in UNBOUND_ANSWERS for a in zone.values())


def start_unbound(cache, state, name, *, namespace, addresses, zone, mode):
    """Starts unbound; its sockets are bound before its parent returns: the first query waits there at worst."""
    assert mode == "ok", mode
    config = f"{state}/{name}.conf"
    with open(config, "w") as out:
        out.write(
            CONFIG.format(
                state=state,
                name=name,
                interfaces="\n  ".join(f"interface: {a}" for a in addresses),
                zone="\n  ".join(line for host, answer in zone.items() for line in _local_data(host, answer)),
            )
        )
    netns.run("ip", "netns", "exec", namespace, unbound(cache), "-c", config)


def unbound(cache):
    """A copy of unbound: Ubuntu's AppArmor profile, bound to its path, forbids a configuration outside of /etc."""
    source = pathlib.Path(shutil.which("unbound"))
    copy = pathlib.Path(cache).resolve() / f"unbound-{source.stat().st_mtime_ns}"
    if not copy.exists():
        partial = copy.with_name(f"{copy.name}.{os.getpid()}")
        shutil.copy(source, partial)
        partial.rename(copy)
    return str(copy)


def _local_data(host, answer):
    if isinstance(answer, list):
        return [f'local-data: "{host}. 60 IN {"AAAA" if ":" in a else "A"} {a}"' for a in answer]
    return {
        "nxdomain": [],
        "nodata": [f"local-data: '{host}. 60 IN TXT \"no address here\"'"],
        "refused": [f'local-zone: "{host}." refuse'],
        "silent": [f'local-zone: "{host}." deny'],
    }[answer]
