"""CloudWatch for the bench: Smithy RPC v2 CBOR over HTTP and HTTPS in front of moto, with AWS's checks, a ledger and faults.

Faults (`control.ask(path, mode=…)`):
  ok · throttle:PERCENT · 500 · hang (reads, never answers) · slow:SECONDS (answers late) · close-early (closes before it
  reads the body) · lost-reply[:TIMES] (does what it is asked, closes without an answer) · refuse (nobody listens) ·
  garbage (a captive portal's page) · denied-by-iam · denied-by-endpoint-policy · expired-token
Beside the mode: `poison` (a metric's name that is refused: its whole request is) and `clock_offset` (seconds by which the
service's clock, so its Date and its check of signatures, differs from this machine's).

Only PutMetricData meets a mode other than `refuse`: a probe of the same address sees a healthy endpoint.
"""

import datetime
import email.utils
import gzip
import http.server
import io
import json
import math
import os
import random
import select
import socket
import ssl
import struct
import threading
import time
import uuid

import cbor2
from moto.server import DomainDispatcherApplication, create_backend_app

from cloudkit import control, rules, signing
from cloudkit.rules import ApiError

SERVICE = "GraniteServiceVersion20100801"
MODES = {"ok", "throttle", "500", "hang", "slow", "close-early", "lost-reply", "refuse", "garbage"} | {
    "denied-by-iam", "denied-by-endpoint-policy", "expired-token"
}
WHO = "User: arn:aws:sts::111122223333:assumed-role/lab-role/i-0123456789abcdef0 is not authorized to perform: cloudwatch:PutMetricData"
DENIED = {
    "denied-by-iam": f"{WHO} because no identity-based policy allows the cloudwatch:PutMetricData action",
    "denied-by-endpoint-policy": f"{WHO} because no VPC endpoint policy allows the cloudwatch:PutMetricData action",
}
PORTAL = b"<!DOCTYPE html><html><body>Please log in to the guest network</body></html>"
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST


class CloudWatch:
    """One service: its listeners, its switches, its books."""

    def __init__(self, state, region, keys_file):
        self.ledger = state / "ledger.jsonl"
        self.ledger.touch()
        self.region, self.keys_file = region, keys_file
        self.mode, self.times, self.poison, self.clock_offset = ("ok", None), math.inf, None, 0.0
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._lock = threading.RLock()
        self._places, self._listeners, self._streams = [], [], set()

    def listen(self, address, port, chain=None, key=None):
        """Serves an address: HTTPS with a certificate, else HTTP. Bound when this returns."""
        context = None
        if chain:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(chain, key)
            context.set_alpn_protocols(["http/1.1"])
        self._places.append((address, port, context))
        self._open(address, port, context)

    def switch(self, mode=None, poison=None, clock_offset=None, heal=False):
        """What `control` is told."""
        with self._lock:
            if heal:
                self.poison, self.clock_offset, mode = None, 0.0, "ok"
            if poison is not None:
                self.poison = poison
            if clock_offset is not None:
                self.clock_offset = clock_offset
            if mode is not None:
                self._change_mode(*mode.partition(":")[::2])
        return {"mode": self.mode, "poison": self.poison, "clock_offset": self.clock_offset}

    def now(self):
        """The service's clock."""
        return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=self.clock_offset)

    # -- what a handler asks --

    def current_mode(self):
        """The mode and its argument; a mode that holds for some requests only is used up by this."""
        with self._lock:
            mode = self.mode
            if mode[0] == "lost-reply":
                self.times -= 1
                if self.times <= 0:
                    self.mode = ("ok", None)
            return mode

    def put(self, method, path, headers, wire, entry):
        """Does what one signed request asks for; fills the ledger's entry on the way. Returns the document to answer."""
        encoding = headers.get("content-encoding")
        entry |= {"encoding": encoding, "token": "x-amz-security-token" in headers}
        entry["scheme"], _, rest = headers.get("authorization", "").partition(" ")
        entry["key"] = rest.removeprefix("Credential=").partition("/")[0]
        plain = gzip.decompress(wire) if encoding == "gzip" else wire
        document = cbor2.loads(plain)
        entry |= {"plain": len(plain), "namespace": document.get("Namespace")}
        entry["datums"] = [_recorded(datum) for datum in document.get("MetricData", [])]
        signing.verify(method, path, headers, wire, self.keys_file, self.region, "monitoring", self.now())
        rules.check(document, len(plain), self.now().timestamp())
        if self.poison and any(datum["MetricName"] == self.poison for datum in document["MetricData"]):
            raise ApiError(400, "InvalidParameterValue", f"The parameter MetricName is not valid: {self.poison}")
        return self._ask_moto(path.rpartition("/")[2], document)

    def record(self, entry):
        """Writes a line into the ledger."""
        line = json.dumps(entry)
        with self._lock, open(self.ledger, "a") as out:
            out.write(line + "\n")

    def pass_on(self, method, path, headers, body):
        """Gives a request of boto3's to moto as it is: (status line, headers, body)."""
        host, _, port = headers.get("host", "localhost:80").partition(":")
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "QUERY_STRING": "",
            "SERVER_NAME": host,
            "SERVER_PORT": port or "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_LENGTH": str(len(body)),
            "CONTENT_TYPE": headers.get("content-type", ""),
            "REQUEST_URI": path,
            "RAW_URI": path,
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        unwanted = {"content-length", "content-type", "content-encoding", "smithy-protocol"}
        environ |= {f"HTTP_{n.upper().replace('-', '_')}": v for n, v in headers.items() if n not in unwanted}
        answer = {}

        def start_response(status, head, _=None):
            answer.update(status=status, head=head)

        with self._lock:
            data = b"".join(self._moto(environ, start_response))
        return answer["status"], answer["head"], data

    # -- below --

    def _change_mode(self, name, argument):
        if name not in MODES:
            raise ValueError(f"unknown mode {name}")
        was, self.mode = self.mode[0], (name, float(argument) if argument else None)
        self.times = float(argument) if name == "lost-reply" and argument else math.inf
        if name == "refuse":
            self._close()
        elif was == "refuse":
            for place in self._places:
                self._open(*place)

    def _open(self, address, port, context):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        listener = socket.create_server((address, port), family=family, backlog=256)
        self._listeners.append(listener)
        threading.Thread(target=self._accept, args=(listener, context), daemon=True).start()

    def _close(self):
        for listener in self._listeners:
            listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
            listener.close()
        self._listeners = []
        for stream in list(self._streams):
            _reset(stream)

    def _accept(self, listener, context):
        while True:
            try:
                stream, peer = listener.accept()
            except OSError:
                return  # closed by `refuse`
            threading.Thread(target=self._serve, args=(stream, peer, context), daemon=True).start()

    def _serve(self, stream, peer, context):
        try:
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if context:
                stream = context.wrap_socket(stream, server_side=True)
            with self._lock:
                self._streams.add(stream)
            _Handler(stream, peer, self)
        except OSError:
            pass  # the peer gave up first: that is its right
        finally:
            with self._lock:
                self._streams.discard(stream)
            stream.close()

    def _ask_moto(self, operation, document):
        headers = {
            "host": f"monitoring.{self.region}.amazonaws.com",
            "content-type": "application/x-amz-json-1.0",
            "x-amz-target": f"{SERVICE}.{operation}",
            "authorization": f"{signing.SCHEME} Credential=AKIA/20260101/{self.region}/monitoring/aws4_request",
        }
        body = json.dumps(document, default=lambda moment: moment.timestamp()).encode()
        status, _, data = self.pass_on("POST", "/", headers, body)
        if not status.startswith("200"):
            raise ApiError(int(status[:3]), "ValidationError", data.decode())
        return json.loads(data) if data.strip() else {}


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize, disable_nagle_algorithm = -1, False

    def do_GET(self):
        self._answer("404 Not Found", {}, b"<UnknownOperationException/>\n")

    def do_POST(self):
        headers = {name.lower(): value for name, value in self.headers.items()}
        path = self.path.partition("?")[0]
        if headers.get("smithy-protocol") == "rpc-v2-cbor":
            return self._put(path, headers)
        body = self._body(headers)
        if "x-amz-target" in headers:
            status, head, data = self.server.pass_on("POST", path, headers, body)
            kept = {name: value for name, value in head if name.lower() not in ("content-length", "date", "server")}
            return self._answer(status, kept, data)
        self.do_GET()

    def _put(self, path, headers):
        service = self.server
        mode, argument = service.current_mode()
        self.request_id = str(uuid.uuid4())
        entry = {"time": service.now().timestamp(), "request": self.request_id, "path": path, "mode": mode}
        entry |= {"agent": headers.get("user-agent"), "attempt": headers.get("amz-sdk-request")}
        if mode == "close-early":
            service.record(entry | {"outcome": "lost", "answered": False})
            return self._hang_up()
        wire = self._body(headers)
        entry["wire"] = len(wire)
        if mode == "hang":
            service.record(entry | {"outcome": "lost", "answered": False})
            return self._say_nothing()
        if mode == "slow":
            time.sleep(argument)
        if mode == "garbage":
            service.record(entry | {"outcome": "lost", "answered": True})
            return self._answer("200 OK", {"Content-Type": "text/html"}, PORTAL)
        try:
            _refuse(mode, argument)
            answer = service.put("POST", path, headers, wire, entry)
        except ApiError as error:
            service.record(entry | {"outcome": "refused", "answered": True, "code": error.code, "text": error.message})
            return self._refuse(error)
        except Exception as problem:  # whatever a body holds, the bench must hear of it
            service.record(entry | {"outcome": "refused", "answered": True, "code": "SerializationException", "text": repr(problem)})
            return self._refuse(ApiError(400, "SerializationException", repr(problem)))
        service.record(entry | {"outcome": "accepted", "answered": mode != "lost-reply"})
        if mode == "lost-reply":
            return self._hang_up()
        self._cbor("200 OK", {}, answer)

    def _refuse(self, error):
        fault = "Sender" if error.status < 500 else "Receiver"
        document = {"__type": f"com.amazon.coral.service#{error.code}", "message": error.message}
        self._cbor(f"{error.status} Refused", {"x-amzn-query-error": f"{error.code};{fault}"}, document)

    def _cbor(self, status, head, document):
        more = {"Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
        self._answer(status, more | head, cbor2.dumps(document))

    def _answer(self, status, head, data):
        code, _, reason = status.partition(" ")
        self.send_response_only(int(code), reason)
        self.send_header("Date", email.utils.format_datetime(self.server.now(), usegmt=True))
        self.send_header("x-amzn-RequestId", getattr(self, "request_id", str(uuid.uuid4())))
        self.send_header("Content-Length", str(len(data)))
        for name, value in head.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _body(self, headers):
        if headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(headers.get("content-length", 0)))
        parts = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # trailers
        return b"".join(parts)

    def _hang_up(self):
        self.close_connection = True

    def _say_nothing(self):
        """Until the other side has had enough."""
        select.select([self.connection], [], [])
        self.close_connection = True

    def log_message(self, *_):
        """The ledger says it."""


def _refuse(mode, argument):
    if mode == "throttle" and random.random() * 100 < (100 if argument is None else argument):
        raise ApiError(400, "Throttling", "Rate exceeded")
    if mode == "500":
        raise ApiError(500, "InternalFailure", "The request processing has failed because of an unknown error.")
    if mode in DENIED:
        raise ApiError(403, "AccessDenied", DENIED[mode])
    if mode == "expired-token":
        raise ApiError(403, "ExpiredToken", "The security token included in the request is expired")


def _recorded(datum):
    moment = datum.get("Timestamp")
    values = datum["Values"] if "Values" in datum else [datum.get("Value")]
    return {
        "metric": datum.get("MetricName"),
        "dimensions": {d.get("Name"): d.get("Value") for d in datum.get("Dimensions") or []},
        "timestamp": moment.timestamp() if isinstance(moment, datetime.datetime) else moment,
        # NaN is no JSON: the ledger must be readable even where a request was wrong.
        "values": [value if isinstance(value, (int, float)) and math.isfinite(value) else repr(value) for value in values],
        "counts": datum.get("Counts"),
        # A set of statistics: no percentile can be had of it.
        "is_set": "StatisticValues" in datum,
        "unit": datum.get("Unit"),
    }


def _reset(stream):
    try:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        stream.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it is closed already


def run(state, region, keys_file, places, ready):
    """Serves until it is killed. `places`: (address, port, chain, key); `ready` is called when all is bound."""
    service = CloudWatch(state, region, keys_file)
    for place in places:
        service.listen(*place)
    control.serve(state / "cloudwatch.sock", service.switch)
    ready()
    threading.Event().wait()


def by_hand(options):
    """`cloud serve`: on loopback, with the key AKIDTEST/secret."""
    state = options.state
    os.makedirs(state, exist_ok=True)
    (state / "cloudwatch.sock").unlink(missing_ok=True)
    keys = state / "keys.jsonl"
    signing.add_key(keys, "AKIDTEST", "secret")
    places = [("127.0.0.1", options.port, options.chain, options.key)]
    run(state, options.region, keys, places, lambda: print(f"port {options.port}; ledger and control in {state}", flush=True))
