"""What a user on the instance sees: files laid over /etc, /run and /sys, a trust store, the cgroup tree, the ENA counters.

Nothing is mounted while no command runs: every command gets a mount namespace of its own that ends with it.
"""

import os
import pwd
import resource
import time

from labkit import certs, native, netns, policy, resolved

AGENT_UNIT = "amazon-ssm-agent.service"
PROBE = "/run/lab/vpce-probe"
STALE_SECONDS, FRESH_SECONDS = 1800, 120


def build(state, scenario, certificates, agent_pid):
    """Writes the files of the instance below the state directory."""
    host = scenario["host"]
    etc, run = state / "etc", state / "run"
    (etc / "systemd/system").mkdir(parents=True)
    (run / "lab").mkdir(parents=True)
    (run / "lab/vpce-probe").touch()
    if host["stub"]:
        (etc / "resolv.conf").symlink_to(".." + resolved.STUB_FILE)
    else:
        (etc / "resolv.conf").write_text(_resolv_conf(host, scenario.region))
    (etc / "hosts").write_text("\n".join(["127.0.0.1 localhost", "::1 localhost ip6-localhost", *host["hosts"]]) + "\n")
    (etc / "hostname").write_text("ip-10-0-1-50\n")
    (etc / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n")
    for path, text in host["files"].items():
        target = state / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(scenario.substitute(text))
    if host["agent_dropin"]:
        dropin = etc / f"systemd/system/{AGENT_UNIT}.d"
        dropin.mkdir()
        lines = "".join(f'Environment="{key}={value}"\n' for key, value in host["agent_dropin"].items())
        (dropin / "proxy.conf").write_text("[Service]\n" + lines)
    certs.trust_directory(certificates, state / "trust", host["trust"])
    _cgroup(state / "sys/fs/cgroup", host["agent"], agent_pid)
    firmware = state / "sys/class/dmi/id"
    firmware.mkdir(parents=True)
    (firmware / "sys_vendor").write_text(host["vendor"] + "\n")
    if scenario["probe"]["config"] is not None:
        (state / "config.toml").write_text(scenario["probe"]["config"])


def _resolv_conf(host, region):
    if host["resolv_conf"] is not None:
        return host["resolv_conf"]
    return "".join(f"nameserver {a}\n" for a in host["nameservers"]) + f"search {search_domain(region)}\n"


def search_domain(region):
    """The domain that the VPC's DHCP hands out."""
    return "ec2.internal" if region == "us-east-1" else f"{region}.compute.internal"


def _cgroup(root, agent, pid):
    """agent: running (just started) · old (running for long) · empty (a unit without a process) · stopped · unknown."""
    root.mkdir(parents=True)
    if agent == "unknown":
        return  # no unit tree at all, as inside a container: nothing can be told
    unit = root / "system.slice" / AGENT_UNIT
    (root / "system.slice" / "ssh.service").mkdir(parents=True)
    if agent == "stopped":
        return
    unit.mkdir()
    for name, text in {
        "cgroup.procs": f"{pid}\n" * (agent != "empty"),
        "cgroup.events": f"populated {int(agent != 'empty')}\nfrozen 0\n",
        "cgroup.type": "domain\n",
        "pids.current": f"{int(agent != 'empty')}\n",
    }.items():
        (unit / name).write_text(text)
    started = time.time() - (FRESH_SECONDS if agent == "running" else STALE_SECONDS)
    os.utime(unit, (started, started))


def environment(scenario, state, cache):
    """A clean environment plus what the scenario sets."""
    env = {
        "PATH": "/run/lab:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "LANG": "C.UTF-8",
    }
    ena = scenario["host"]["ena"]
    if ena:
        env |= {
            "LD_PRELOAD": str(native.ena_shim(cache)),
            "LAB_ENA": ",".join(f"{k}={v}" for k, v in ena.items()),
            "LAB_ENA_STATE": f"{state}/ena",
        }
    return env | {k: scenario.substitute(v).replace("{lab}", str(state)) for k, v in scenario["probe"]["env"].items()}


def become_instance(lab_id, state, scenario, binary=None, user="root"):
    """Turns the calling process (a fresh child) into one on the instance; `binary` appears there as PROBE."""
    netns.enter(f"vp{lab_id}-host")
    netns.unshare_mounts()
    if scenario["host"]["denied"]:
        policy.join(lab_id)
    netns.mount("overlay", "/etc", "overlay", netns.MS_RDONLY, f"lowerdir={state}/etc:/etc")
    netns.mount(f"{state}/trust", "/etc/ssl/certs", None, netns.MS_BIND)
    netns.mount("overlay", "/run", "overlay", netns.MS_RDONLY, f"lowerdir={state}/run:/run")
    netns.mount("sysfs", "/sys", "sysfs")  # /sys/class/net of this network namespace
    netns.mount("overlay", "/sys", "overlay", netns.MS_RDONLY, f"lowerdir={state}/sys:/sys")
    if binary:  # the build tree may lie where only root can go
        netns.mount(str(binary), PROBE, None, netns.MS_BIND)
    for name, value in scenario["host"]["limits"].items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))
    if user != "root":
        account = pwd.getpwnam(user)
        os.setgroups([])
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)
