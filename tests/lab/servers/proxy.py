"""A forward proxy. Modes: connect (tunnels to where the scenario's map leads) · deny (403 to every CONNECT)."""

import selectors
import socket
import threading

PORT = 3128


def open_listeners(entry):
    """One listener; `upstreams` maps host names to the address that the proxy can reach."""
    listener = socket.create_server((entry["address"], PORT))
    return [lambda: _accept(listener, entry["mode"], entry["upstreams"])]


def _accept(listener, mode, upstreams):
    while True:
        client, _ = listener.accept()
        threading.Thread(target=_guarded, args=(client, mode, upstreams), daemon=True).start()


def _guarded(client, mode, upstreams):
    with client:
        try:
            _serve(client, mode, upstreams)
        except OSError:
            pass  # either side gave up


def _serve(client, mode, upstreams):
    head = b""
    while b"\r\n\r\n" not in head:
        more = client.recv(4096)
        if not more:
            return
        head += more
    method, target, *_ = head.split(b" ", 2)
    name = target.decode().rpartition(":")[0].strip("[]")
    if mode == "deny" or method != b"CONNECT":
        client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        return
    with socket.create_connection((upstreams.get(name, name), 443), timeout=10) as upstream:
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        _pump(client, upstream)


def _pump(left, right):
    other = {left: right, right: left}
    with selectors.DefaultSelector() as ready:
        for side in other:
            ready.register(side, selectors.EVENT_READ)
        while True:
            for key, _ in ready.select():
                data = key.fileobj.recv(65536)
                if not data:
                    return
                other[key.fileobj].sendall(data)
