"""Who plays what: from a scenario to the list of servers that `servers/main.py` and unbound are to run."""

from labkit import firewall, https, resolver, topology
from servers import imds, web

PROXY_ADDRESS = "10.9.0.8"


def own_servers(scenario, wires, modes, certificates):
    """The plan for the lab's own servers, which play what no ready-made server does. `modes`: address → behaviour."""
    plan = _imds(scenario, wires)
    elsewhere = {"absent", *firewall.VERDICTS, *https.PQ_MODES}
    for mode in sorted(set(modes.values())):
        if mode not in elsewhere and not https.is_nginx_mode(mode):
            addresses = [address for address, played in modes.items() if played == mode]
            chain, key = str(certificates.chain(scenario.region, "good")), str(certificates.key("good"))
            server = "web" if web.plays(mode) else "odd"
            where = {"server": server, "namespace": wires.world, "addresses": addresses}
            plan.append(where | {"mode": mode, "chain": chain, "key": key})
    for view in name_servers(scenario, wires):
        if resolver.needs_own_server(view["mode"], view["zone"]):
            plan.append({"server": "dns"} | view)
    plan += _proxy(scenario, wires)
    if wires.has_delay:
        seconds = scenario["network"]["far_rtt_ms"] / 2000
        plan.append({"server": "delayline", "namespace": wires.delay, "seconds": seconds})
    return plan


def name_servers(scenario, wires):
    """Every name server but the instance's own stub: the VPC's, and those elsewhere with another view."""
    own = wires.resolvers_v4() + topology.RESOLVERS_V6
    views = [_view(wires.fabric, own, scenario.zone(), scenario["resolver"]["mode"])]
    for also in scenario["resolver"]["also"]:
        views.append(_view(wires.world, [also["address"]], scenario.zone(also.get("names")), also.get("mode", "ok")))
    return [view for view in views if view["mode"] != "closed"]


def corporate_addresses(scenario):
    """What the world holds beside endpoints: the company's name servers and its proxy."""
    proxy = [PROXY_ADDRESS] if scenario["proxy"]["mode"] else []
    return [also["address"] for also in scenario["resolver"]["also"]] + proxy


def _view(namespace, addresses, zone, mode="ok"):
    return {"namespace": namespace, "addresses": addresses, "zone": zone, "mode": mode}


def _imds(scenario, wires):
    if scenario["imds"]["mode"] == "unreachable":
        return []
    vpc = scenario["vpc"]
    addresses = [topology.IMDS_V4] * vpc["ipv4"] + [topology.IMDS_V6] * vpc["ipv6"]
    where = {"server": "imds", "namespace": wires.fabric, "addresses": addresses}
    return [where | {"mode": scenario["imds"]["mode"], "tree": imds.metadata(scenario)}]


def _proxy(scenario, wires):
    proxy = scenario["proxy"]
    if not proxy["mode"]:
        return []
    upstreams = {scenario.host_name(service): address for service, address in proxy["upstreams"].items()}
    where = {"server": "proxy", "namespace": wires.world, "address": PROXY_ADDRESS}
    return [where | {"mode": proxy["mode"], "upstreams": upstreams}]
