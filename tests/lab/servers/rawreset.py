"""Resets a connection while it is being opened, so that connect() itself returns ECONNRESET, every time.

An RST that answers a SYN is "refused", and one that follows the SYN-ACK races with the client's next call. The one sure
way is a simultaneous open: the SYN is answered by a SYN without ACK (the client goes to SYN_RECV), then by an RST.
"""

import socket
import struct

SYN, RST = 0x02, 0x04
ETH_IP, ETH_ALL = 0x0800, 0x0003
SEQUENCE = 0x1AB00000


def open_listeners(addresses):
    """One packet socket for the whole namespace. The lab's firewall drops the SYN, lest the kernel answer it."""
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_ALL))
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
    mine = {socket.inet_aton(a) for a in addresses}
    return [lambda: _watch(packets, raw, mine)]


def _watch(packets, raw, mine):
    while True:
        packet, where = packets.recvfrom(2048)
        if (
            where[1] != ETH_IP
            or where[2] == socket.PACKET_OUTGOING
            or packet[9] != socket.IPPROTO_TCP
            or packet[16:20] not in mine
        ):
            continue
        tcp = packet[(packet[0] & 15) * 4 :]
        client_port, port = struct.unpack("!HH", tcp[:4])
        if port == 443 and tcp[13] & 0x17 == SYN:
            for flags, sequence in ((SYN, SEQUENCE), (RST, SEQUENCE + 1)):
                _send(raw, packet[16:20], packet[12:16], port, client_port, sequence, flags)


def _send(raw, source, target, port, client_port, sequence, flags):
    header = struct.pack("!HHIIBBHHH", port, client_port, sequence, 0, 5 << 4, flags, 65535, 0, 0)
    pseudo = source + target + struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(header))
    header = header[:16] + struct.pack("!H", _checksum(pseudo + header)) + header[18:]
    raw.bind((socket.inet_ntoa(source), 0))
    raw.sendto(header, (socket.inet_ntoa(target), 0))


def _checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
