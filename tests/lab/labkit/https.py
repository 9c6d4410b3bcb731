"""nginx as AWS's front ends: one server block for every (mode, kind of service), one listen line for every address."""

import email.utils
import time

from labkit import netns

# mode → certificate flavour; every other nginx mode presents the good one
CERTIFICATE_MODES = {
    "expired",
    "not-yet-valid",
    "expiring",
    "wrong-name",
    "missing-intermediate",
    "foreign-ca",
    "self-signed",
    "small-chain",
}
# played by native/pqserver.rs, which answers as `aws` does
PQ_MODES = {"pq", "pq-only"}
HTTP_MODES = {"aws", "tls12", "http-500", "not-aws", "http-closed", "s3-denied", "s3-moved", "s3-missing"}

SERVER = """
  server {{
    {listens}
    ssl_certificate {chain};
    ssl_certificate_key {key};
    ssl_protocols {protocols};
    more_set_headers "Server: {banner}";
    {headers}
    {body}
  }}
"""

CONFIG = """
user root;
worker_processes {workers};
pid {state}/nginx.pid;
error_log {state}/nginx.log warn;
load_module /usr/lib/nginx/modules/ngx_http_headers_more_filter_module.so;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  default_type application/x-amz-json-1.1;
  # Tickets stay on, as on AWS: a probe that resumes sessions verifies nothing from its second round on.
  ssl_session_tickets on;
  ssl_session_cache shared:lab:1m;
  # A connection that an idle agent holds must stay open for as long as the scenario lasts.
  client_header_timeout 1h;
  client_body_temp_path {state}; proxy_temp_path {state}; fastcgi_temp_path {state};
  uwsgi_temp_path {state}; scgi_temp_path {state};
  {servers}
}}
"""

DENIED = (
    '<?xml version="1.0" encoding="UTF-8"?>\\n<Error><Code>AccessDenied</Code><Message>Access Denied</Message>'
    "<RequestId>LABREQUEST0000001</RequestId></Error>"
)
MISSING = DENIED.replace("AccessDenied", "NoSuchBucket").replace("Access Denied", "The specified bucket does not exist")
MOVED = DENIED.replace("AccessDenied", "PermanentRedirect").replace("Access Denied", "Use the other endpoint")


def is_nginx_mode(mode):
    """Whether nginx can play a mode; `skew:±SECONDS` is aws with a wrong Date."""
    return mode in CERTIFICATE_MODES or mode in HTTP_MODES or mode.startswith("skew:")


def flavours(modes):
    """The certificate flavours that a set of modes needs."""
    return {"good"} | (CERTIFICATE_MODES & set(modes))


def start(namespace, state, certificates, region, sites):
    """`sites` maps (mode, is S3) to addresses. nginx listens before its parent returns: no wait is needed."""
    servers = "".join(
        _server(mode, is_s3, addresses, certificates, region) for (mode, is_s3), addresses in sites.items()
    )
    config = f"{state}/nginx.conf"
    with open(config, "w") as out:
        out.write(CONFIG.format(state=state, servers=servers, workers=2))
    netns.run("ip", "netns", "exec", namespace, "nginx", "-e", f"{state}/nginx.log", "-p", str(state), "-c", config)


def pq_command(program, certificates, region, sites):
    """The command line of the post-quantum server; `sites` as for `start`."""
    chain = certificates.chain(region, "good")
    kinds = {True: "s3", False: "api"}
    where = [f"{mode}:{kinds[is_s3]}:{a}" for (mode, is_s3), addresses in sites.items() for a in addresses]
    return [str(program), str(chain), str(certificates.key("good")), region, *where]


def _server(mode, is_s3, addresses, certificates, region):
    flavour = mode if mode in CERTIFICATE_MODES else "good"
    return SERVER.format(
        listens=" ".join(f"listen {f'[{a}]' if ':' in a else a}:443 ssl;" for a in addresses),
        chain=certificates.chain(region, flavour),
        key=certificates.key(flavour),
        protocols="TLSv1.2" if mode == "tls12" else "TLSv1.2 TLSv1.3",
        banner="corporate-gateway" if mode == "not-aws" else "AmazonS3" if is_s3 else "Server",
        headers=_headers(mode, is_s3),
        body=_body(mode, is_s3, region),
    )


def _headers(mode, is_s3):
    lines = []
    if mode.startswith("skew:"):
        date = email.utils.formatdate(time.time() + int(mode.removeprefix("skew:")), usegmt=True)
        lines.append(f'more_set_headers "Date: {date}";')
    if mode == "s3-moved":
        lines.append('more_set_headers "x-amz-bucket-region: us-east-1";')
    if mode != "not-aws":
        names = (
            [("x-amz-request-id", "LABREQUEST0000001"), ("x-amz-id-2", "bGFiIGhvc3QgaWQ=")]
            if is_s3
            else [("x-amzn-RequestId", "01234567-89ab-cdef-0123-456789abcdef")]
        )
        lines += [f'more_set_headers "{name}: {value}";' for name, value in names]
    return "\n    ".join(lines)


def _body(mode, is_s3, region):
    if mode == "http-closed":
        return "location / { return 444; }"
    if mode == "http-500":
        return 'location / { return 500 "<InternalFailure/>"; }'
    if mode == "not-aws":
        return 'location / { return 200 "<html>It works!</html>"; }'
    if not is_s3:
        return 'location / { return 404 "<UnknownOperationException/>\\n"; }'
    version = {
        "s3-denied": f"return 403 '{DENIED}';",
        "s3-missing": f"return 404 '{MISSING}';",
        "s3-moved": "return 418;",  # `return 301` would take the text for a URL
    }.get(mode, 'return 200 "3.3.2299.0\\n";')
    moved = (
        f"error_page 418 =301 @moved;\n    location @moved {{ return 200 '{MOVED}'; }}" if mode == "s3-moved" else ""
    )
    return f"""location = /amazon-ssm-{region}/latest/VERSION {{ {version} }}
    location / {{ return 403 '{DENIED}'; }}
    {moved}"""
