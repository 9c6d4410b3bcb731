"""Scenes of the way to CloudWatch: through the path's hole, with a small ClientHello, and without the daemon."""

import json
import signal

from cloudkit.bench import SceneFailed, until
from cloudkit.scenes import SOON, await_ticks, same, scene, settle
from labkit import firewall, netns

HOLE = {"path": {"narrow": 1400, "icmp": "dropped"}, "names": {"monitoring": ["10.0.2.14"]}}
WITHOUT_MONITORING = '[[target]]\nservice = "monitoring"\nenabled = false\n'
# A TLS record with a key share of ML-KEM takes more, one without it less.
SMALL_HELLO = 1000


@scene(60, lab=HOLE)
def shipped_through_the_hole(stage):
    """The path swallows what is larger than 1,400 bytes, both ways: the daemon says so, and what it says arrives."""
    (stage.state / "upload").write_bytes(b"x" * 8192)
    monitoring = stage.scenario.host_name("monitoring")
    upload = ["curl", "-sk", "-m", "4", "-o", "/dev/null", "--data-binary", f"@{stage.state}/upload", f"https://{monitoring}/"]
    same("curl's exit code (28: timed out) of 8 kB to CloudWatch", stage.run(upload, 10).returncode, 28)
    daemon = stage.daemon.start()
    until(lambda: "path-mtu" in [f["cause"] for f in (daemon.last() or {"findings": []})["findings"]], SOON, "path-mtu")
    await_ticks(stage, 3)
    same("outcomes", set(stage.books().outcomes()), {"accepted"})
    same("shipping problems", daemon.causes(), [])
    return settle(stage, f"{max(entry['wire'] for entry in stage.books().entries)} bytes in one request")


@scene(60, top=f"{WITHOUT_MONITORING}[tls]\npost_quantum = false")
def post_quantum_off(stage):
    """tls.post_quantum = false: the delivery's ClientHello is small as well; a reload turns it back."""
    _count_hellos(stage)
    daemon = stage.daemon.start()
    await_ticks(stage, 2)
    small, large = _hellos(stage)
    if large or not small:
        raise SceneFailed(f"{small} small and {large} large hellos with post_quantum = false")
    stage.configure(top=WITHOUT_MONITORING)
    before = len(daemon.notes)
    daemon.send(signal.SIGHUP)
    until(lambda: daemon.told("READY=1", before), 20, "READY")
    await_ticks(stage, len(stage.books().ticks()) + 2)
    after = _hellos(stage)
    if not after[1]:
        raise SceneFailed("no large hello with post_quantum = true: the filter sees nothing")
    return settle(stage, f"{small} small hellos, then {after[1]} large ones")


@scene(60)
def once_publish(stage):
    """`once --publish` ships one round, says so on stderr, and its exit code is the verdict, whatever became of that."""
    seen = []

    def once(code, said, cause=None):
        done = stage.command("once", "--publish", "--format", "json")
        report = json.loads(done.stdout)
        same(f"exit code, with {said!r} expected on stderr", done.returncode, code)
        same("verdict", report["verdict"], {0: "healthy", 2: "failed"}[code])
        same("shipping's causes", [problem["cause"] for problem in report["shipping"]["problems"]], [cause] * bool(cause))
        line = next((line for line in done.stderr.splitlines() if said in line), None)
        if not line:
            raise SceneFailed(f"{said!r} is not said: {done.stderr}")
        seen.append(line.removeprefix("vpce-probe: "))
        return report

    report = once(0, "published")
    (entry,) = stage.books().entries
    words = f"published {len(entry['datums'])} datums into VpceProbe: 1 requests, "
    if not seen[0].startswith(words):
        raise SceneFailed(f"{seen[0]}, not {words}")
    same("targets with Success", sorted(_targets(entry)), sorted(target["name"] for target in report["targets"]))
    stage.silence(*stage.addresses_of("ssm"))
    once(2, "published")
    same("Success of ssm", _targets(stage.books().entries[-1])["ssm"], [0.0])
    stage.silence()
    stage.cloudwatch(mode="denied-by-iam")
    once(0, "not published", "publish-denied")
    stage.cloudwatch(heal=True)
    stage.imds(mode="no-role")
    once(0, "not published", "credentials-missing")
    same("requests", dict(stage.books().outcomes()), {"accepted": 2, "AccessDenied": 1})
    return None, {"": "; ".join(seen)}


def _targets(entry):
    return {d["dimensions"]["Target"]: d["values"] for d in entry["datums"] if d["metric"] == "Success"}


def _count_hellos(stage):
    """Counts the ClientHellos to CloudWatch by the length of their TLS record."""
    to = f"ip daddr {{ {', '.join(stage.addresses_of('monitoring'))} }} tcp dport 443 {firewall.HELLO}"
    sizes = [f"{to} {firewall.RECORD_LENGTH} {size} counter" for size in (f"<= {SMALL_HELLO}", f"> {SMALL_HELLO}")]
    chain = "\n".join(["chain input {", "type filter hook input priority -20;", *sizes, "}"])
    netns.run("ip", "netns", "exec", f"vp{stage.id}-world", "nft", "-f", "-", stdin=f"table inet hellos {{\n{chain}\n}}\n")


def _hellos(stage):
    """How many small and how many large ones."""
    shown = json.loads(stage.run_inside("world", ["nft", "-j", "list", "table", "inet", "hellos"]).stdout)
    rules = [entry["rule"]["expr"] for entry in shown["nftables"] if "rule" in entry]
    return [part["counter"]["packets"] for rule in rules for part in rule if "counter" in part]
