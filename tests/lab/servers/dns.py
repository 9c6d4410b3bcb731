"""A small DNS server for what no sound resolver does. Modes:

ok · silent (never answers) · garbage (an answer that is no DNS message) · truncate (TC over UDP, whole over TCP) ·
cut-short (TC over UDP, TCP refused) ·
slow (2 s) · lossy (the first two sends of every question are ignored) · servfail · refused (for every question);
and for one name the answers servfail, refused, nxdomain, nodata, silent, malformed.
"""

import socket
import struct
import threading

TYPE_A, TYPE_AAAA = 1, 28
NOERROR, SERVFAIL, NXDOMAIN, REFUSED = 0, 2, 3, 5
TTL = 60
SLOW_SECONDS = 2.0
LOST_SENDS = 2
RCODES = {"servfail": SERVFAIL, "refused": REFUSED, "nxdomain": NXDOMAIN, "nodata": NOERROR}
# A header that promises one answer, and an answer that points beyond the message: malformed for every parser.
BROKEN_RECORD = b"\xc0\xff\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x40\x0a"


def open_listeners(entry):
    """UDP and TCP on port 53 of every address."""
    server = _Server(entry["mode"], entry["zone"])
    loops = []
    for address in entry["addresses"]:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        udp = socket.socket(family, socket.SOCK_DGRAM)
        udp.bind((address, 53))
        loops.append(lambda s=udp: server.serve_udp(s))
        if entry["mode"] != "cut-short":
            tcp = socket.create_server((address, 53), family=family)
            loops.append(lambda s=tcp: server.serve_tcp(s))
    return loops


class _Server:
    def __init__(self, mode, zone):
        self.mode = mode
        self.zone = {name.lower(): answer for name, answer in zone.items()}
        self.sends = {}

    def serve_udp(self, sock):
        while True:
            query, peer = sock.recvfrom(4096)
            if self._is_lost(query):
                continue
            answer = self._answer(query, truncate=self.mode in ("truncate", "cut-short"))
            if not answer:
                continue
            if self.mode == "slow":
                threading.Timer(SLOW_SECONDS, sock.sendto, (answer, peer)).start()
            else:
                sock.sendto(answer, peer)

    def serve_tcp(self, listener):
        while True:
            stream, _ = listener.accept()
            threading.Thread(target=self._stream, args=(stream,), daemon=True).start()

    def _stream(self, stream):
        with stream:
            while (length := _read(stream, 2)) and (query := _read(stream, *struct.unpack("!H", length))):
                answer = self._answer(query, truncate=False)
                if answer:
                    stream.sendall(struct.pack("!H", len(answer)) + answer)

    def _is_lost(self, query):
        """In mode `lossy` the first two sends of every question never arrive."""
        if self.mode != "lossy":
            return False
        question = query[12:].lower()
        self.sends[question] = self.sends.get(question, 0) + 1
        return self.sends[question] <= LOST_SENDS

    def _answer(self, query, truncate):
        name, kind, end = _question(query)
        if self.mode == "silent":
            return None
        if self.mode == "garbage":
            return query[:2] + b"SSH-2.0-OpenSSH_9.6\r\n"
        answer = self.mode if self.mode in RCODES else self.zone.get(name, "nxdomain")
        if answer == "silent":
            return None
        if answer == "malformed":
            return query[:2] + struct.pack("!HHHHH", 0x8180, 1, 1, 0, 0) + query[12:end] + BROKEN_RECORD
        if truncate:
            return _message(query, end, NOERROR, [], truncated=True)
        if isinstance(answer, str):
            return _message(query, end, RCODES[answer], [])
        wanted = {TYPE_A: [a for a in answer if ":" not in a], TYPE_AAAA: [a for a in answer if ":" in a]}.get(kind, [])
        return _message(query, end, NOERROR, [_record(kind, a) for a in wanted])


def _message(query, end, rcode, records, truncated=False):
    flags = 0x8180 | (0x0200 if truncated else 0) | rcode
    return query[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, 0) + query[12:end] + b"".join(records)


def _record(kind, address):
    data = socket.inet_pton(socket.AF_INET6 if kind == TYPE_AAAA else socket.AF_INET, address)
    return struct.pack("!HHHIH", 0xC00C, kind, 1, TTL, len(data)) + data


def _question(query):
    """Name, type and end of the first question."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode("ascii", "replace"))
        at += 1 + query[at]
    return ".".join(labels).lower(), struct.unpack("!H", query[at + 1 : at + 3])[0], at + 5


def _read(stream, count):
    data = b""
    while len(data) < count:
        more = stream.recv(count - len(data))
        if not more:
            return b""
        data += more
    return data
