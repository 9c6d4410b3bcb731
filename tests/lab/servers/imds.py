"""A fake IMDSv2 with the metadata of one instance, and the ways in which IMDS fails.

Modes: ok · off (403 to everything) · forbidden-token (PUT 403) · v1-only (no PUT; GET without a token) · hop-limit
(PUT is never answered; GET without a token is 401) · garbage · slow (a pause before every answer) · silent (accepts,
says nothing). `unreachable` needs no server.
"""

import http.server
import json
import socket
import threading
import time

TOKEN = "AQAEALabToken=="
SLOW_SECONDS = 0.4


def open_listeners(entry):
    """One HTTP server for each address."""
    handler = type("Handler", (_Handler,), {"mode": entry["mode"], "tree": entry["tree"]})
    servers = []
    for address in entry["addresses"]:
        kind = type(
            "Server",
            (http.server.ThreadingHTTPServer,),
            {"address_family": socket.AF_INET6 if ":" in address else socket.AF_INET, "daemon_threads": True},
        )
        servers.append(kind((address, 80), handler))
    return [server.serve_forever for server in servers]


class _Handler(http.server.BaseHTTPRequestHandler):
    mode, tree = "ok", {}
    server_version, sys_version = "EC2ws", ""
    protocol_version = "HTTP/1.1"
    # Head and body in one segment, as any real server sends them: apart, the body waits 40 ms for a delayed ACK (Nagle).
    wbufsize, disable_nagle_algorithm = -1, True

    def do_PUT(self):
        self._prelude()
        if self.mode == "hop-limit":
            threading.Event().wait()
        if self.mode in ("off", "forbidden-token"):
            return self._answer(403)
        if self.mode == "v1-only":
            return self._answer(405)
        ttl = self.headers.get("x-aws-ec2-metadata-token-ttl-seconds")
        if self.path != "/latest/api/token" or "x-forwarded-for" in self.headers:
            return self._answer(403)
        if not ttl or not ttl.isdigit() or not 1 <= int(ttl) <= 21600:
            return self._answer(400)
        self._answer(200, TOKEN, {"x-aws-ec2-metadata-token-ttl-seconds": ttl})

    def do_GET(self):
        self._prelude()
        if self.mode == "off":
            return self._answer(403)
        if self.mode != "v1-only" and self.headers.get("x-aws-ec2-metadata-token") != TOKEN:
            return self._answer(401)
        path = self.path.removeprefix("/latest/").removesuffix("/")
        if path in self.tree:
            return self._answer(200, self.tree[path])
        children = {}  # a directory lists its children, sub-directories with a slash
        for leaf in self.tree:
            if leaf.startswith(path + "/"):
                child, slash, _ = leaf[len(path) + 1 :].partition("/")
                children[child + slash] = None
        return self._answer(200, "\n".join(children)) if children else self._answer(404, "Not Found")

    def _prelude(self):
        if self.mode == "silent":
            threading.Event().wait()
        if self.mode == "slow":
            time.sleep(SLOW_SECONDS)

    def _answer(self, status, body="", headers=()):
        if self.mode == "garbage" and status == 200:
            body = "<html><body>\x01\x02 captive portal, please log in</body></html>" if self.command == "GET" else body
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(data)))
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


def metadata(scenario):
    """The tree of an instance, path under /latest → value."""
    vpc, imds = scenario["vpc"], scenario["imds"]
    region = imds["region"] or scenario.region
    mac = "0a:1b:2c:3d:4e:5f"
    interface = {
        "device-number": "0",
        "interface-id": "eni-0123456789abcdef0",
        "mac": mac,
        "owner-id": "111122223333",
        "vpc-id": "vpc-0123456789abcdef0",
        "subnet-id": "subnet-0aaaaaaaaaaaaaaaa",
        "security-groups": "instance",
    }
    if vpc["ipv4"]:
        interface |= {
            "local-ipv4s": vpc["host"],
            "subnet-ipv4-cidr-block": vpc["subnet"],
            "vpc-ipv4-cidr-block": vpc["cidrs"][0],
            "vpc-ipv4-cidr-blocks": "\n".join(vpc["cidrs"]),
        }
    if vpc["ipv6"]:
        interface |= {
            "ipv6s": vpc["host_ipv6"],
            "subnet-ipv6-cidr-blocks": vpc["subnet_ipv6"],
            "vpc-ipv6-cidr-blocks": "\n".join(vpc["ipv6_cidrs"]),
        }
    meta = {
        "instance-id": "i-0123456789abcdef0",
        "instance-type": "t4g.small",
        "ami-id": "ami-0123456789abcdef0",
        "mac": mac,
        "placement/region": region,
        "placement/availability-zone": region + "a",
        "placement/availability-zone-id": "euw1-az1",
        "services/domain": scenario.suffix,
        "services/partition": "aws-cn" if region.startswith("cn-") else "aws",
    } | {f"network/interfaces/macs/{mac}/{key}": value for key, value in interface.items()}
    if vpc["ipv4"]:
        meta["local-ipv4"] = vpc["host"]
    if imds["role"]:
        meta["iam/info"] = json.dumps(
            {
                "Code": "Success",
                "InstanceProfileArn": "arn:aws:iam::111122223333:instance-profile/lab",
                "InstanceProfileId": "AIPALAB",
            }
        )
        meta["iam/security-credentials/lab-role"] = json.dumps(
            {
                "Code": "Success",
                "Type": "AWS-HMAC",
                "AccessKeyId": "ASIALABLABLABLAB",
                "SecretAccessKey": "lab",
                "Token": "lab",
                "LastUpdated": "2026-01-01T00:00:00Z",
                "Expiration": "2036-01-01T00:00:00Z",
            }
        )
    document = json.dumps(
        {
            "region": region,
            "instanceId": "i-0123456789abcdef0",
            "availabilityZone": region + "a",
            "accountId": "111122223333",
        }
    )
    return {f"meta-data/{key}": value for key, value in meta.items()} | {"dynamic/instance-identity/document": document}
