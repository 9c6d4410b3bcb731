"""HTTPS servers that work, each with a habit that nginx has not. Modes:

slow:SECONDS (waits before the handshake) · close-each (`Connection: close` with every answer) ·
http-server (Python's own, untouched: HTTP/1.0, 501 for a POST, whose body it leaves unread)
"""

import http.server
import socket
import ssl
import threading
import time

HABITS = {"close-each", "http-server"}


def plays(mode):
    """Whether this module plays a mode."""
    return mode in HABITS or mode.startswith("slow:")


def open_listeners(entry):
    """One listener for each address."""
    mode = entry["mode"]
    seconds = float(mode.removeprefix("slow:")) if mode.startswith("slow:") else 0
    handler = {"close-each": _CloseEach, "http-server": _HttpServer}.get(mode, _Aws)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(entry["chain"], entry["key"])
    context.set_alpn_protocols(["http/1.1"])
    listeners = [
        socket.create_server((a, 443), family=socket.AF_INET6 if ":" in a else socket.AF_INET, backlog=256)
        for a in entry["addresses"]
    ]
    return [lambda s=listener: _accept(s, context, handler, seconds) for listener in listeners]


def _accept(listener, context, handler, seconds):
    while True:
        stream, peer = listener.accept()
        threading.Thread(target=_serve, args=(stream, peer, context, handler, seconds), daemon=True).start()


def _serve(stream, peer, context, handler, seconds):
    time.sleep(seconds)
    try:
        with context.wrap_socket(stream, server_side=True) as tls:
            handler(tls, peer, None)
    except OSError:
        pass  # the peer gave up first: that is its right


class _HttpServer(http.server.BaseHTTPRequestHandler):
    """`python3 -m http.server`, but for the header that marks an answer as AWS's."""

    def do_GET(self):
        self.answer()

    def answer(self):
        body = b"<UnknownOperationException/>\n"
        self.send_response(404)
        self.send_header("x-amzn-RequestId", "01234567-89ab-cdef-0123-456789abcdef")
        self.send_header("Content-Length", str(len(body)))
        self.more_headers()
        self.end_headers()
        self.wfile.write(body)

    def more_headers(self):
        """Nothing more."""

    def log_message(self, *_):
        """Nobody reads it."""


class _Aws(_HttpServer):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer()


class _CloseEach(_Aws):
    def more_headers(self):
        self.send_header("Connection", "close")  # the handler then ends as well
