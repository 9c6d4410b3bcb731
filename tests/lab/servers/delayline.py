"""A delay line, for kernels without netem: a frame that enters one port leaves the other some time later."""

import collections
import select
import socket
import time

ETH_ALL = 0x0003
SO_RCVBUFFORCE = 33
# A burst of jumbo frames waits here while another is carried: a line that lost frames would play loss as well.
BUFFER = 64 << 20


def open_listeners(entry):
    """One loop over both ports of the namespace."""
    left, right = _port("left"), _port("right")
    return [lambda: _carry({left: right, right: left}, entry["seconds"])]


def _port(name):
    port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_ALL))
    port.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
    port.bind((name, 0))
    port.setblocking(False)
    return port


def _carry(peers, delay):
    under_way = collections.deque()  # the delay is constant: first in, first out
    while True:
        wait = max(0, under_way[0][0] - time.monotonic()) if under_way else None
        for port in select.select(list(peers), [], [], wait)[0]:
            for frame in _arrived(port):
                under_way.append((time.monotonic() + delay, peers[port], frame))
        while under_way and under_way[0][0] <= time.monotonic():
            _, port, frame = under_way.popleft()
            try:
                port.send(frame)
            except OSError:
                pass  # the port behind is smaller than the frame, or full: lost, as on any wire


def _arrived(port):
    """All frames that wait at a port, but those that went out there."""
    while True:
        try:
            frame, where = port.recvfrom(65600)
        except BlockingIOError:
            return
        if where[2] != socket.PACKET_OUTGOING:
            yield frame
