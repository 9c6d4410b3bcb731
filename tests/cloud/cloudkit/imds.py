"""The lab's fake IMDSv2 with what a daemon meets in months: a role whose credentials end, and faults that come and go.

Modes (`control.ask(path, mode=…)`): those of the lab's (tests/lab/servers/imds.py) · gone (nobody listens) · no-role
"""

import datetime
import http.server
import json
import secrets
import socket
import threading
import time

from cloudkit import control, signing
from servers import imds as lab

ROLE = "meta-data/iam/security-credentials/lab-role"
MODES = {"ok", "off", "forbidden-token", "v1-only", "hop-limit", "garbage", "slow", "silent", "gone", "no-role"}


class Metadata:
    """What one instance is told."""

    def __init__(self, tree, keys_file, life_seconds):
        self.mode, self._tree = "ok", tree
        self._keys_file, self._life = keys_file, life_seconds
        self._lock = threading.Lock()
        self._credentials, self._renew_at = None, 0.0
        self._places, self._servers = [], []
        self.issued = 0

    def listen(self, address):
        """Serves an address. Bound when this returns."""
        self._places.append(address)
        self._open(address)

    def switch(self, mode=None):
        """What `control` is told."""
        if mode is not None:
            if mode not in MODES:
                raise ValueError(f"unknown mode {mode}")
            was, self.mode = self.mode, mode
            if mode == "gone":
                for server in self._servers:
                    server.shutdown()
                    server.server_close()
                self._servers = []
            elif was == "gone":
                for address in self._places:
                    self._open(address)
        return {"mode": self.mode, "issued": self.issued}

    def tree(self):
        """Path → value, as of now."""
        if self.mode == "no-role":
            return {path: value for path, value in self._tree.items() if "meta-data/iam/" not in path}
        return self._tree | {ROLE: json.dumps(self._current())}

    def _open(self, address):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        kind = type("Server", (http.server.ThreadingHTTPServer,), {"address_family": family, "daemon_threads": True})
        server = kind((address, 80), type("Handler", (_Handler,), {"metadata": self}))
        self._servers.append(server)
        # Short, so that `gone` is soon so.
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def _current(self):
        """As AWS does: what is handed out always lives for a while, and each renewal is a new key."""
        with self._lock:
            if time.time() >= self._renew_at:
                self._issue()
            return self._credentials

    def _issue(self):
        now = time.time()
        ends, self._renew_at = now + self._life, now + self._life / 2
        self.issued += 1
        key, secret, token = f"ASIA{secrets.token_hex(8).upper()}", secrets.token_hex(20), secrets.token_hex(300)
        signing.add_key(self._keys_file, key, secret, token, ends)
        self._credentials = {
            "Code": "Success",
            "Type": "AWS-HMAC",
            "AccessKeyId": key,
            "SecretAccessKey": secret,
            "Token": token,
            "LastUpdated": _stamp(now),
            "Expiration": _stamp(ends),
        }


class _Handler(lab._Handler):
    """The lab's, with a tree that changes."""

    metadata = None

    @property
    def mode(self):
        return {"no-role": "ok", "gone": "silent"}.get(self.metadata.mode, self.metadata.mode)

    @property
    def tree(self):
        return self.metadata.tree()


def _stamp(seconds):
    return datetime.datetime.fromtimestamp(int(seconds), datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def run(state, addresses, tree, keys_file, life_seconds, ready):
    """Serves until it is killed; `ready` is called when all is bound."""
    metadata = Metadata(tree, keys_file, life_seconds)
    for address in addresses:
        metadata.listen(address)
    control.serve(state / "imds.sock", metadata.switch)
    ready()
    threading.Event().wait()
