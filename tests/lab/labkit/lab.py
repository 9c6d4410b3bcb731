"""One raised lab: wires, servers, firewalls, the instance's files; and the way down again, also from half-way."""

import functools
import json
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from labkit import cast, certs, firewall, hostview, https, native, netns, policy, resolved, resolver, topology
from labkit.scenario import load

LAB_DIR = pathlib.Path(__file__).resolve().parent.parent
CACHE = pathlib.Path(os.environ.get("VPCE_LAB_CACHE") or LAB_DIR.parent.parent / "target" / "lab-certs")
STATE_PREFIX = "vpce-lab-"
POLICY = "policy"  # a file that says that there may be a cgroup to remove
CAPTURED = {"capture_output": True, "text": True, "stdin": subprocess.DEVNULL}
READY_SECONDS, GONE_SECONDS, PREPARE_SECONDS = 20, 10, 10


class Lab:
    """A lab with an id; several ids live side by side."""

    def __init__(self, lab_id, binary=None):
        if not re.fullmatch(r"[A-Za-z0-9]{1,24}", lab_id):
            raise ValueError(f"a lab id is letters and digits: {lab_id}")
        self.id, self.binary = lab_id, binary
        self.state = pathlib.Path(tempfile.gettempdir()) / f"{STATE_PREFIX}{lab_id}"
        self.scenario = None
        self._children = []

    # -- life --

    def up(self, scenario):
        """Raises the lab with a scenario's faults in place; what was raised under this id before goes first."""
        self.down()
        self.scenario = scenario
        try:
            self._raise()
        except BaseException:
            self.down()
            raise
        return self

    def attach(self):
        """Takes over a lab that another process raised."""
        marker = self.state / "scenario"
        if not marker.exists():
            raise SystemExit(f"no lab {self.id} is up; `lab up --id {self.id}` raises one")
        self.scenario = load(marker.read_text())
        return self

    def down(self):
        """Ends every process in the lab's namespaces, then the namespaces and the files. Safe at any time."""
        # A second ^C must not leave a half behind.
        masked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            self._remove()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, masked)

    def _remove(self):
        namespaces = netns.names(f"vp{self.id}-")
        # A server that was started by a command which is gone may not have entered its namespace yet.
        _end(lambda: netns.processes_in(namespaces) + netns.processes_naming(f"{self.state}/"))
        for child in self._children:
            child.kill()  # it may not have entered its namespace yet
            child.wait()
        self._children = []
        if namespaces:
            netns.ip_batch([f"netns del {n}" for n in namespaces])
        if (self.state / POLICY).exists():
            policy.remove(self.id)
        shutil.rmtree(self.state, ignore_errors=True)

    # -- use --

    def run(self, command, timeout):
        """Runs a command as a user of the instance would and returns the finished process, its output captured."""
        return subprocess.run(command, timeout=timeout, env=self._environment(), preexec_fn=self._become, **CAPTURED)

    def probe(self, binary, arguments, timeout, extra_env=None):
        """Runs vpce-probe on the instance, as the scenario's user, with what the scenario adds to its command line."""
        command, env = self.probe_command(*arguments), self._environment(extra_env)
        become = functools.partial(self._become, binary, self.scenario["probe"]["user"])
        return subprocess.run(command, timeout=timeout, env=env, preexec_fn=become, **CAPTURED)

    def popen(self, command, binary):
        """Starts a command with the binary in place; its standard output is a pipe."""
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self._environment(),
            preexec_fn=lambda: self._become(binary),
        )

    def exec(self, command, binary):
        """Replaces this process by a command on the instance."""
        env = self._environment({k: os.environ[k] for k in ("TERM", "COLUMNS", "LANG") if k in os.environ})
        self._become(binary)
        os.execvpe(command[0], command, env)

    def run_inside(self, where, command, timeout=10):
        """Runs a command in a namespace beside the instance's (witnesses read firewall counters there)."""
        enter = ["ip", "netns", "exec", f"vp{self.id}-{where}"]
        return subprocess.run([*enter, *command], timeout=timeout, **CAPTURED)

    def forget_paths(self):
        """Has both ends forget what they learnt of the path: path MTUs from ICMP live for ten minutes."""
        forget = "ip route flush cache && ip -6 route flush cache && ip tcp_metrics flush all"
        for where in ("host", "world"):
            done = self.run_inside(where, ["sh", "-c", forget])
            if done.returncode:
                raise netns.CommandFailed(f"{forget}: {done.stderr}")

    def run_where(self, command, timeout):
        """Runs a shell command on the instance or, after `fabric: ` and the like, in that namespace."""
        command = self.scenario.substitute(command)
        where, colon, rest = command.partition(": ")
        if colon and where in topology.INSIDE:
            return self.run_inside(where, ["sh", "-c", rest], timeout)
        return self.run(["sh", "-c", command], timeout)

    def prepare(self, commands):
        """Changes the raised lab; a command that fails is an error of the scenario."""
        for command in commands:
            done = self.run_where(command, PREPARE_SECONDS)
            if done.returncode:
                raise netns.CommandFailed(f"{command}: exit {done.returncode}\n{done.stdout}{done.stderr}")

    def probe_command(self, *arguments):
        """The probe's command line, with what the scenario adds."""
        probe = self.scenario["probe"]
        config = ["--config", f"{self.state}/config.toml"] if probe["config"] is not None else []
        return [hostview.PROBE, *arguments, *config, *map(self.scenario.substitute, probe["args"])]

    def _environment(self, extra=None):
        return hostview.environment(self.scenario, self.state, CACHE) | (extra or {})

    def _become(self, binary=None, user="root"):
        hostview.become_instance(self.id, self.state, self.scenario, binary, user)

    # -- raising --

    def _raise(self):
        scenario = self.scenario
        self.state.mkdir()
        (self.state / "scenario").write_text(scenario.name)
        modes = {a: scenario.mode_of(a, s) for a, s in scenario.addresses().items()}
        certificates = certs.Certificates(CACHE).prepare(scenario.region, https.flavours(modes.values()))
        present = [a for a, mode in modes.items() if mode != "absent"]
        wires = topology.Topology(self.id, scenario)
        wires.raise_wires(present + cast.corporate_addresses(scenario))
        self._start_plan(cast.own_servers(scenario, wires, modes, certificates))
        self._start_resolvers(wires)
        self._start_https(wires, modes, certificates)
        self._raise_firewalls(wires, modes)
        hostview.build(self.state, scenario, certificates, self._start_agent(wires))
        self._start_stub(wires)

    def _start_plan(self, plan):
        path = self.state / "servers.json"
        path.write_text(json.dumps(plan))
        reader, writer = os.pipe()
        command = [sys.executable, "-S", str(LAB_DIR / "servers" / "main.py"), str(path), str(writer)]
        with open(self.state / "servers.log", "w") as log:
            self._start(command, pass_fds=[writer], stdout=log, stderr=log)
        os.close(writer)
        self._wait_until_ready(reader, "servers.log")

    def _wait_until_ready(self, reader, log):
        ready = select.select([reader], [], [], READY_SECONDS)[0] and os.read(reader, 16)
        os.close(reader)
        if ready not in (b"ready", b"ready\n"):
            raise netns.CommandFailed("the lab's servers did not start:\n" + (self.state / log).read_text())

    def _start_resolvers(self, wires):
        for number, view in enumerate(cast.name_servers(self.scenario, wires)):
            if not resolver.needs_own_server(view["mode"], view["zone"]):
                resolver.start_unbound(CACHE, self.state, f"unbound{number}", **view)

    def _start_stub(self, wires):
        host = self.scenario["host"]
        if host["stub"]:
            domain = hostview.search_domain(self.scenario.region)
            servers = host["nameservers"]
            child = resolved.start(CACHE, self.state, self._start, namespace=wires.host, servers=servers, domain=domain)
            if host["stub"] == "dead":  # its files stay, as after a crash
                child.kill()
                child.wait()

    def _start_https(self, wires, modes, certificates):
        nginx, post_quantum = {}, {}
        for address, service in self.scenario.addresses().items():
            mode = "aws" if modes[address] in firewall.VERDICTS else modes[address]
            if mode in https.PQ_MODES:
                post_quantum.setdefault((mode, service == "s3"), []).append(address)
            elif mode != "absent" and https.is_nginx_mode(mode):
                nginx.setdefault((mode, service == "s3"), []).append(address)
        if nginx:
            https.start(wires.world, self.state, certificates, self.scenario.region, nginx)
        if post_quantum:
            program = native.pq_server(self.binary)
            command = https.pq_command(program, certificates, self.scenario.region, post_quantum)
            self._start_pq_server(wires.world, command)

    def _start_pq_server(self, namespace, command):
        reader, writer = os.pipe()
        with open(self.state / "pqserver.log", "w") as log:
            self._start(command, stdout=writer, stderr=log, preexec_fn=lambda: netns.enter(namespace))
        os.close(writer)
        self._wait_until_ready(reader, "pqserver.log")

    def _raise_firewalls(self, wires, modes):
        network = self.scenario["network"]
        guarded = {a: mode for a, mode in modes.items() if mode in firewall.VERDICTS}
        # The raw reset server answers for the kernel, which must not see the SYN.
        guarded |= {a: "drop" for a in _with(modes, "reset-in-handshake")}
        firewall.guard_endpoints(wires.world, guarded)
        firewall.filter_fabric(wires.fabric, network["egress_drop"], network["loss_percent"])
        firewall.inspect_hellos(wires.host, wires.world, **self.scenario["inspection"])
        firewall.filter_host(wires.host, self.scenario["host"]["nft"])
        if denied := self.scenario["host"]["denied"]:
            (self.state / POLICY).touch()
            policy.refuse(CACHE, self.id, denied)

    def _start_agent(self, wires):
        """A process that stands for amazon-ssm-agent; returns its PID, or None where the agent does not run."""
        host = self.scenario["host"]
        if host["agent"] not in ("running", "old", "connected"):
            return None
        hold = ""
        if host["agent"] == "connected":
            address = self.scenario.names["ssmmessages"][0]
            hold = f"exec 3<>/dev/tcp/{address}/443; "
        command = ["bash", "-c", hold + "exec -a amazon-ssm-agent sleep infinity"]
        env = {"PATH": "/usr/bin:/bin"} | host["agent_environ"]
        return self._start(command, env=env, preexec_fn=lambda: netns.enter(wires.host)).pid

    def _start(self, command, **options):
        """Starts a process that stays until `down`; a ^C in the terminal is not for it."""
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        child = subprocess.Popen(command, start_new_session=True, **quiet | options)
        self._children.append(child)
        return child


def raised_labs():
    """Ids of the labs of this temporary directory, whole or half."""
    states = pathlib.Path(tempfile.gettempdir()).glob(f"{STATE_PREFIX}*")
    return sorted({path.name.removeprefix(STATE_PREFIX) for path in states})


def remains(prefix):
    """What is left on this machine of labs whose ids start with `prefix`: must be nothing after `down`."""
    left = [f"namespace {n}" for n in netns.names(f"vp{prefix}")]
    left += [f"process {pid}" for pid in netns.processes_in(netns.names(f"vp{prefix}"))]
    left += [f"process {pid}" for pid in netns.processes_naming(f"{tempfile.gettempdir()}/{STATE_PREFIX}{prefix}")]
    left += [f"directory {p}" for p in pathlib.Path(tempfile.gettempdir()).glob(f"{STATE_PREFIX}{prefix}*")]
    left += [f"cgroup {name}" for name in policy.left(prefix)]
    mounts = pathlib.Path("/proc/self/mountinfo").read_text()
    left += [f"mount {line}" for line in mounts.splitlines() if f"{STATE_PREFIX}{prefix}" in line]
    return left


def _with(modes, wanted):
    return [address for address, mode in modes.items() if mode == wanted]


def _end(find):
    deadline = time.monotonic() + GONE_SECONDS
    while pids := find():
        if time.monotonic() > deadline:
            raise netns.CommandFailed(f"processes {pids} outlive SIGKILL")
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)  # none of them has anything to save
            except ProcessLookupError:
                pass
        time.sleep(0.005)
