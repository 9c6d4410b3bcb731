"""A scenario file: what is played, how the fault is shown independently, and what the probe must say.

Every key is optional but `title`, `plays` and `expect`; what a file leaves out is the healthy private subnet below.
"""

import copy
import ipaddress
import pathlib

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10 (Ubuntu 22.04)
    import tomli as tomllib

SCENARIO_DIR = pathlib.Path(__file__).resolve().parent.parent / "scenarios"

# One interface endpoint per service with an ENI in each of two AZs; S3 through a gateway endpoint (public addresses).
DEFAULT_NAMES = {
    "ssm": ["10.0.1.10", "10.0.2.10"],
    "ssmmessages": ["10.0.1.11", "10.0.2.11"],
    "ec2messages": ["10.0.1.12", "10.0.2.12"],
    "logs": ["10.0.1.13", "10.0.2.13"],
    "monitoring": ["10.0.1.14", "10.0.2.14"],
    "s3": ["52.218.10.10", "52.218.10.11"],
}

# With a `[path]` every address lies behind its routers; a dual-stack VPC plays it over IPv6.
PATH_NAMES = {
    False: {
        "ssm": ["10.0.2.10", "10.0.3.10"],
        "ssmmessages": ["10.0.2.11"],
        "s3": ["52.218.10.10"],
    },
    True: {
        "ssm": ["2600:1f18:1234:1a01::10", "2600:1f18:1234:1a02::10"],
        "ssmmessages": ["2600:1f18:1234:1a01::11"],
        "s3": ["2a05:d018:40::10"],
    },
}

DEFAULTS = {
    "title": None,
    "plays": None,
    "vpc": {
        "region": "eu-west-1",
        "cidrs": ["10.0.0.0/16"],
        "ipv6_cidrs": ["2600:1f18:1234:1a00::/56"],
        "subnet": "10.0.1.0/24",
        "subnet_ipv6": "2600:1f18:1234:1a00::/64",
        "host": "10.0.1.50",
        "host_ipv6": "2600:1f18:1234:1a00::50",
        "ipv6": False,
        "ipv4": True,
    },
    "names": {},
    "serve": {},
    "network": {"egress_drop": [], "loss_percent": 0, "far_rtt_ms": 0},
    "path": {
        "mtu": 9001,
        "narrow": None,
        "l2": None,
        "icmp": "sent",
        "drop_out_above": None,
        "drop_in_above": None,
        "only": [],
        "clamp_syn": None,
        "clamp_syn_ack": None,
        "loss_percent": 0,
        "nft": [],
        "host_sysctls": {},
        "world_sysctls": {},
        "offloads": False,
        "learnt": False,
    },
    "inspection": {"hello": None, "over": None, "to": []},
    "resolver": {"mode": "ok", "also": []},
    "imds": {"mode": "ok", "role": True, "region": None},
    "proxy": {"mode": None, "upstreams": {}},
    "host": {
        "nameservers": ["10.0.0.2"],
        "resolv_conf": None,
        "hosts": [],
        "stub": False,
        "nft": [],
        "denied": [],
        "routes": [],
        "vendor": "Amazon EC2",
        "agent": "running",
        "agent_dropin": {},
        "agent_environ": {},
        "ena": {},
        "trust": "lab",
        "files": {},
        "limits": {},
    },
    "probe": {"args": [], "config": None, "env": {}, "user": "root"},
    "witness": [],
    "expect": {},
    "step": [],
    "soak": {"right_percent": 100, "inconclusive_percent": 100},
}

STEP_KEYS = {"plays", "run", "witness", "expect"}
WITNESS_KEYS = {"run", "prints", "not_prints", "exit"}
OWN_KEYS = {"names", "serve", "expect"}  # tables whose keys are data

ANSWERS = {"nxdomain", "nodata", "servfail", "refused", "silent", "malformed"}


class ScenarioError(ValueError):
    """The scenario file itself is wrong."""


def dns_suffix(region):
    """The DNS suffix of a region's partition (only those that scenarios use)."""
    return "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"


class Scenario:
    """One scenario with every default filled in."""

    def __init__(self, name, raw):
        self.name = name
        self.raw = _merge(DEFAULTS, raw, name)
        for key in ("title", "plays"):
            if not self.raw[key]:
                raise ScenarioError(f"{name}: {key} is missing")
        for step in self.raw["step"]:
            if unknown := set(step) ^ STEP_KEYS:
                raise ScenarioError(f"{name}: step: unknown or missing: {unknown}")
        for witness in [witness for step in self.steps() for witness in step["witness"]]:
            if unknown := set(witness) - WITNESS_KEYS:
                raise ScenarioError(f"{name}: witness: unknown {unknown}")
        self.has_path = "path" in raw
        defaults = PATH_NAMES[self["vpc"]["ipv6"]] if self.has_path else DEFAULT_NAMES
        self.names = defaults | self.raw["names"]
        if self.has_path and (near := [a for a in self.addresses() if self.is_near(a)]):
            raise ScenarioError(f"{name}: {near} lie in the own subnet, so the path does not lead to them")
        if self["path"]["icmp"] not in ("sent", "dropped"):
            raise ScenarioError(f"{name}: path.icmp is sent or dropped")
        for service, answer in self.names.items():
            if isinstance(answer, str) and answer not in ANSWERS:
                raise ScenarioError(f"{name}: names.{service}: {answer} is none of {sorted(ANSWERS)}")

    def __getitem__(self, key):
        return self.raw[key]

    def steps(self):
        """What happens one after the other in the raised lab; the first step is that of the file itself."""
        return [{"run": [], "witness": self["witness"], "expect": self["expect"]}, *self["step"]]

    @property
    def region(self):
        return self["vpc"]["region"]

    @property
    def suffix(self):
        return dns_suffix(self.region)

    def host_name(self, service):
        """`ssm` → `ssm.eu-west-1.amazonaws.com`; a name with a dot is one already."""
        return service if "." in service else f"{service}.{self.region}.{self.suffix}"

    def zone(self, overrides=None):
        """Host name → list of addresses or one of ANSWERS, as one resolver sees it."""
        return {self.host_name(k): v for k, v in (self.names | (overrides or {})).items()}

    def addresses(self):
        """Every endpoint address that some resolver hands out → the service it belongs to."""
        views = [self.names] + [also.get("names", {}) for also in self["resolver"]["also"]]
        return {
            a: service for view in views for service, answer in view.items() if isinstance(answer, list) for a in answer
        }

    def mode_of(self, address, service):
        """How the server at an address behaves: by address, else by service, else like AWS."""
        serve = self["serve"]
        return serve.get(address, serve.get(service, "aws"))

    def is_near(self, address):
        """Whether an address lies in the instance's own subnet (and so is reached by ARP, not through the router)."""
        parsed = ipaddress.ip_address(address)
        return any(parsed in ipaddress.ip_network(self["vpc"][k]) for k in ("subnet", "subnet_ipv6"))

    def substitute(self, text):
        """Fills {region} and {suffix} into a witness command or an argument."""
        return text.replace("{region}", self.region).replace("{suffix}", self.suffix)


def load(name):
    """Reads scenarios/NAME.toml."""
    path = SCENARIO_DIR / f"{name}.toml"
    if not path.exists():
        raise ScenarioError(f"no scenario {name}; `lab list` shows all")
    try:
        return Scenario(name, tomllib.loads(path.read_text()))
    except tomllib.TOMLDecodeError as problem:
        raise ScenarioError(f"{path.name}: {problem}") from problem


def all_names():
    """The scenarios, healthy ones first."""
    return sorted((p.stem for p in SCENARIO_DIR.glob("*.toml")), key=lambda n: (not n.startswith("healthy"), n))


def _merge(defaults, raw, where):
    """Defaults overlaid with the file, one table deep; unknown keys are errors."""
    merged = copy.deepcopy(defaults)
    for key, value in raw.items():
        if key not in defaults:
            raise ScenarioError(f"{where}: unknown key {key}")
        if isinstance(defaults[key], dict) and key not in OWN_KEYS:
            if unknown := set(value) - set(defaults[key]):
                raise ScenarioError(f"{where}: {key}: unknown {sorted(unknown)}")
            merged[key] |= value
        else:
            merged[key] = value
    return merged
