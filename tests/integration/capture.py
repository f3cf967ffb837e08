# SPDX-License-Identifier: BSD-3-Clause
"""Counts and keeps what passes an interface, in octets of IP as they are on the wire.

A super-frame of the kernel counts as the packets it stands for: its offload header says how it would be cut.
"""
import select
import socket
import struct
import threading

ETH_P_ALL = 0x0003
ETH_P_IP = 0x0800
SOL_PACKET = 263
PACKET_STATISTICS = 6
PACKET_VNET_HDR = 15
SO_RCVBUFFORCE = 33
OUTGOING = 4
VNET_BYTES = 10
ARPHRD_ETHER = 1
SNAP = 2048
IP_TCP, IP_UDP = 6, 17


def octets_of(offload, ip, n_bytes):
    """(octets, packets) that `n_bytes` of IP stand for."""
    gso_type, gso_size = offload[1] & 0x7f, struct.unpack_from("<H", offload, 4)[0]
    if gso_type == 0 or gso_size == 0:
        return min(n_bytes, struct.unpack_from("!H", ip, 2)[0]), 1
    header = (ip[0] & 15) * 4
    header += (ip[header + 12] >> 4) * 4 if ip[9] == IP_TCP else 8
    n = -(-(n_bytes - header) // gso_size)
    return n_bytes + (n - 1) * header, n


class Capture:
    """From construction to stop(). `sent` and `received` are [octets, packets] from where it listens."""

    def __init__(self, lab, short, device, keep=None):
        self.sent, self.received, self.lost = [0, 0], [0, 0], 0
        self.keep = keep
        self.kept = []  # (is_sent, IP packet, cut at SNAP) that `keep` chose
        with lab.inside(short):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.socket.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 256 << 20)
        with lab.inside(short):
            self.socket.bind((device, ETH_P_ALL))
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.loop, daemon=True)
        self.thread.start()
        lab.closers.append(self.stop)

    def take(self, view, n_bytes, address):
        start = VNET_BYTES + (14 if address[3] == ARPHRD_ETHER else 0)
        if address[1] != ETH_P_IP and view[start] >> 4 != 4:
            return
        if address[1] != ETH_P_IP and address[3] == ARPHRD_ETHER:
            return
        octets, packets = octets_of(view[:VNET_BYTES], view[start:], n_bytes - start)
        sums = self.sent if address[2] == OUTGOING else self.received
        sums[0] += octets
        sums[1] += packets
        ip = bytes(view[start:min(n_bytes, SNAP)])
        if self.keep is not None and self.keep(ip):
            self.kept.append((address[2] == OUTGOING, ip))

    def loop(self):
        buffer = bytearray(SNAP)
        view = memoryview(buffer)
        while True:
            ready = select.select([self.socket], [], [], 0.2)[0]
            if not ready and self.ended.is_set():
                return
            if ready:
                n_bytes, address = self.socket.recvfrom_into(buffer, SNAP, socket.MSG_TRUNC)
                self.take(view, n_bytes, address)

    def stop(self):
        """Ends it once all that came is counted."""
        if self.ended.is_set():
            return
        self.ended.set()
        self.thread.join()
        self.lost = struct.unpack("II", self.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]
        self.socket.close()
