"""Servers on port 443 that misbehave in a way that nginx cannot. Each mode is one function over an accepted connection.

tcp-silent · tcp-close · tcp-rst · ssh · plain-http · tls-old · tls-alert · tls-close · tls-rst · http-mute ·
http-half · reset-in-handshake
"""

import socket
import ssl
import struct
import threading

from servers import rawreset

HANDSHAKE_FAILURE = bytes((21, 3, 3, 0, 2, 2, 40))  # record: alert, TLS 1.2, 2 bytes, fatal, handshake_failure
LINGER_RST = struct.pack("ii", 1, 0)


def open_listeners(entry):
    """One listener for each address; `reset-in-handshake` sits below TCP and needs the whole namespace."""
    mode, addresses = entry["mode"], entry["addresses"]
    if mode == "reset-in-handshake":
        return rawreset.open_listeners(addresses)
    behave = _BEHAVIOURS[mode]
    context = (
        _context(entry["chain"], entry["key"], old=mode == "tls-old")
        if mode in ("tls-old", "http-mute", "http-half")
        else None
    )
    listeners = [
        socket.create_server((a, 443), family=socket.AF_INET6 if ":" in a else socket.AF_INET, backlog=256)
        for a in addresses
    ]
    return [lambda s=listener: _accept(s, behave, context) for listener in listeners]


def _accept(listener, behave, context):
    while True:
        stream, _ = listener.accept()
        threading.Thread(target=_guarded, args=(behave, stream, context), daemon=True).start()


def _guarded(behave, stream, context):
    with stream:
        try:
            behave(stream, context)
        except OSError:
            pass  # the peer gave up first: that is its right


def _silent(stream, _):
    while stream.recv(65536):
        pass


def _close(_stream, _):
    """Says nothing and goes."""


def _rst(stream, _):
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RST)


def _after_hello(then):
    def behave(stream, context):
        stream.recv(65536)
        then(stream, context)

    return behave


def _say(text):
    def behave(stream, _):
        stream.sendall(text)
        stream.settimeout(5)
        stream.recv(65536)

    return behave


def _handshake_only(stream, context):
    with context.wrap_socket(stream, server_side=True) as tls:
        _silent(tls, context)


def _half_an_error(stream, context):
    """The head of S3's 403, and never the text that it promises."""
    with context.wrap_socket(stream, server_side=True) as tls:
        tls.recv(65536)
        tls.sendall(b"HTTP/1.1 403 Forbidden\r\nServer: AmazonS3\r\nx-amz-request-id: LAB\r\nContent-Length: 200\r\n\r\n")
        _silent(tls, context)


_BEHAVIOURS = {
    "tcp-silent": _silent,
    "tcp-close": _close,
    "tcp-rst": _rst,
    "tls-close": _after_hello(_close),
    "tls-rst": _after_hello(_rst),
    "tls-alert": _after_hello(_say(HANDSHAKE_FAILURE)),
    "ssh": _say(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "plain-http": _after_hello(
        _say(b"HTTP/1.1 400 Bad Request\r\nServer: squid\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    ),
    "tls-old": _handshake_only,
    "http-mute": _handshake_only,
    "http-half": _half_an_error,
}


def _context(chain, key, old):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if old:
        context.set_ciphers("ALL:@SECLEVEL=0")  # OpenSSL 3 refuses TLS 1.1 above level 0
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    context.load_cert_chain(chain, key)
    return context
