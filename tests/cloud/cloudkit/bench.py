"""One stage: a lab whose `monitoring` and IMDS are the bench's own, and the daemon on its instance."""

import functools
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time

import boto3

from cloudkit import books, cloudwatch, control, imds
from labkit import hostview, lab, netns
from labkit.scenario import Scenario

INTERVAL = 10
READ_PORT = 8079
ENDS_SECONDS = 10
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"

CONFIG = """
interval = "10s"
round_deadline = "5s"
state_dir = "{state}/var"
runtime_dir = "{state}/runtime"
{top}
# Short, so that a round never lasts longer than the books allow for at the ends of a life.
[timeouts]
resolve = "2s"
connect = "2s"
tls = "2s"
http = "2s"
mtu = "3s"
imds = "1s"
[cloudwatch]
flush_interval = "{flush}"
{cloudwatch}
"""


class SceneFailed(AssertionError):
    """The daemon did not do what the scene asks for."""


class Stage(lab.Lab):
    """A raised lab with CloudWatch, IMDS and books."""

    def __init__(self, lab_id, binary, life_seconds=3600):
        super().__init__(lab_id, binary)
        self.life_seconds = life_seconds
        self.daemon = None
        self._wires = None

    def raise_all(self, lab=None, flush="10s", top="", more=""):
        """Raises everything but the daemon; `lab` is what a scenario of the lab's would say."""
        self.up(Scenario("cloud", {"title": "the daemon's", "plays": "a healthy subnet"} | (lab or {})))
        for folder in ("var", "runtime"):
            (self.state / folder).mkdir()
        self.configure(flush=flush, top=top, cloudwatch=more)
        self.daemon = Daemon(self)
        return self

    def configure(self, flush="10s", top="", cloudwatch=""):
        """Writes the daemon's config."""
        text = CONFIG.format(state=self.state, flush=flush, top=top, cloudwatch=cloudwatch)
        (self.state / "config.toml").write_text(text)

    @property
    def ledger(self):
        return self.state / "ledger.jsonl"

    def cloudwatch(self, **words):
        """Turns switches of CloudWatch."""
        return control.ask(self.state / "cloudwatch.sock", **words)

    def imds(self, **words):
        """Turns switches of IMDS."""
        return control.ask(self.state / "imds.sock", **words)

    def books(self):
        """What CloudWatch's ledger says now."""
        return books.Books(self.ledger)

    def silence(self, *addresses, port=443):
        """Swallows what is sent to these addresses, as a closed security group does; without any, nothing more."""
        rules = "\n".join(f"ip daddr {a} tcp dport {port} counter drop" for a in addresses)
        chain = f"chain input {{\ntype filter hook input priority -10;\n{rules}\n}}"
        text = f"table inet away {{}}\ndelete table inet away\ntable inet away {{\n{chain}\n}}\n"
        netns.run("ip", "netns", "exec", f"vp{self.id}-world", "nft", "-f", "-", stdin=text)

    def command(self, *arguments, seconds=40):
        """Runs the probe on the instance with the daemon's config; returns the finished process."""
        return self.probe(self.binary, [*arguments, "--config", f"{self.state}/config.toml"], seconds)

    def addresses_of(self, service):
        return self.scenario.names[service]

    def ask_moto(self, work):
        """Calls `work(boto3 client)` where moto can be reached, and returns what it returns."""
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                netns.enter(f"vp{self.id}-world")
                client = boto3.client(
                    "cloudwatch",
                    endpoint_url=f"http://127.0.0.1:{READ_PORT}",
                    region_name="eu-west-1",
                    aws_access_key_id="AKIAREADER",
                    aws_secret_access_key="any",
                )
                answer = {"answer": work(client)}
            except Exception as problem:
                answer = {"problem": repr(problem)}
            try:
                os.write(writer, json.dumps(answer, default=str).encode())
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as pipe:
            said = json.loads(pipe.read())
        os.waitpid(child, 0)
        if "problem" in said:
            raise SceneFailed(said["problem"])
        return said["answer"]

    # -- what the lab would serve itself --

    def _start_plan(self, plan):
        entry = next(entry for entry in plan if entry["server"] == "imds")
        super()._start_plan([other for other in plan if other is not entry])
        run = functools.partial(
            imds.run, self.state, entry["addresses"], entry["tree"], self.state / "keys.jsonl", self.life_seconds
        )
        self._serve(entry["namespace"], "imds.log", run)

    def _start_https(self, wires, modes, certificates):
        ours = self.scenario.names["monitoring"]
        super()._start_https(wires, {a: "absent" if a in ours else mode for a, mode in modes.items()}, certificates)
        chain, key = str(certificates.chain(self.scenario.region, "good")), str(certificates.key("good"))
        places = [(address, 443, chain, key) for address in ours] + [("127.0.0.1", READ_PORT, None, None)]
        run = functools.partial(
            cloudwatch.run, self.state, self.scenario.region, self.state / "keys.jsonl", places
        )
        self._serve(wires.world, "cloudwatch.log", run)

    def _serve(self, namespace, log, run):
        """Forks a server into a namespace: moto is loaded already, so that it is there at once."""
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                netns.end_with_parent()
                os.close(reader)
                out = os.open(self.state / log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
                os.dup2(out, 1)
                os.dup2(out, 2)
                netns.enter(namespace)
                run(ready=lambda: os.write(writer, b"ready"))
            finally:
                os._exit(1)  # never into the parent's code
        os.close(writer)
        self._children.append(_Forked(pid))
        self._wait_until_ready(reader, log)


class _Forked:
    """A forked server, as the lab knows its children."""

    def __init__(self, pid):
        self.pid = pid

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)

    def wait(self):
        os.waitpid(self.pid, 0)


class Daemon:
    """`vpce-probe run` on the stage's instance, and all that it says."""

    def __init__(self, stage):
        self.stage, self.state = stage, stage.state
        self.child, self.lives, self.env = None, [], {}
        self.notes = []
        self.arguments, self.become = [], _become_without_journal
        self._log = self.state / "daemon.log"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.state / "notify"))
        threading.Thread(target=self._listen, daemon=True).start()

    def start(self, **env):
        """Starts it, and waits until it says READY."""
        self.env = env or self.env
        before = len(self.notes)
        self.child = self.spawn()
        self.lives.append([time.time(), None])
        until(lambda: self.told("READY=1", before), 20, "READY")
        return self

    def spawn(self):
        """One more process of it, which nobody waits for."""
        command = [hostview.PROBE, "run", "--config", f"{self.state}/config.toml", *self.arguments]
        env = {"NOTIFY_SOCKET": f"{self.state}/notify", "WATCHDOG_USEC": "180000000", "STANDIN_VENV": sys.prefix}
        env |= self.env
        env |= {key: os.environ[key] for key in ("STANDIN",) if key in os.environ}
        log = open(self._log, "a")
        # Its journal is this log, also on a machine that has journald.
        become = functools.partial(self.become, self.stage)
        quiet = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
        return subprocess.Popen(command, env=self.stage._environment(env), preexec_fn=become, start_new_session=True, **quiet)

    def told(self, word, since=0):
        """The moments at which a line that starts with `word` came over the notify socket."""
        return [at for at, text in self.notes[since:] if any(line.startswith(word) for line in text.splitlines())]

    def status_times(self):
        """The moments at which a round was told as finished."""
        return [at for at, text in self.notes if "; last round " in text]

    def status_lines(self):
        return [line[7:] for _, text in self.notes for line in text.splitlines() if line.startswith("STATUS=")]

    def send(self, number):
        self.child.send_signal(number)

    def stop(self, number=signal.SIGTERM):
        """Ends it; returns its exit code and how long that took."""
        # What is measured ends here; what follows is delivery.
        self.lives[-1][1], began = time.time(), time.monotonic()
        self.send(number)
        try:
            code = self.child.wait(ENDS_SECONDS)
        except subprocess.TimeoutExpired:
            raise SceneFailed(f"still there {ENDS_SECONDS} s after signal {number}") from None
        return code, time.monotonic() - began

    def last(self):
        """last.json; None while there is none."""
        path = self.state / "runtime" / "last.json"
        return json.loads(path.read_text()) if path.exists() else None

    def shipping(self):
        return (self.last() or {}).get("shipping") or {}

    def causes(self):
        """What it says of its deliveries: causes of shipping problems."""
        return [problem["cause"] for problem in self.shipping().get("problems", [])]

    def log(self):
        return self._log.read_text()

    def alive(self):
        return self.child.poll() is None

    def footprint(self):
        """Resident kB, descriptors and threads."""
        status = pathlib.Path(f"/proc/{self.child.pid}/status").read_text()
        fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        descriptors = len(os.listdir(f"/proc/{self.child.pid}/fd"))
        return int(fields["VmRSS"].split()[0]), descriptors, int(fields["Threads"])

    def closed_lives(self):
        """(start, end) of all its lives so far, the present one until now."""
        return [(start, end or time.time()) for start, end in self.lives]

    def _listen(self):
        while True:
            text = self._socket.recv(65536).decode()
            self.notes.append((time.time(), text))


def _become_without_journal(stage):
    stage._become(stage.binary)
    if os.path.isdir("/run/systemd/journal"):
        netns.mount("tmpfs", "/run/systemd/journal", "tmpfs")


def until(condition, seconds, what):
    """Waits for a condition and returns what it gave; the scene fails if it does not come in time."""
    deadline = time.monotonic() + seconds
    while True:
        if found := condition():
            return found
        if time.monotonic() > deadline:
            raise SceneFailed(f"not within {seconds} s: {what}")
        time.sleep(0.1)
