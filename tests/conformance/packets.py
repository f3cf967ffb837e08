# SPDX-License-Identifier: BSD-3-Clause
"""What arrived, taken apart; and whether its checksums are true."""
import struct

import wire
from wire import ICMP, TCP, UDP

ERRORS = (3, 4, 5, 11, 12)
OFFSET = 0x1fff
NAMES = {ICMP: "ICMP", TCP: "TCP", UDP: "UDP"}
FLAGS = "FSRPAUEC"


class Packet:
    """An IPv4 packet, or as much of one as an ICMP error quotes."""

    def __init__(self, raw):
        total = struct.unpack_from("!H", raw, 2)[0]
        self.raw = raw[:total]
        self.is_whole = len(raw) >= total
        self.protocol, self.src, self.dst, self.l4 = wire.ip_fields(self.raw)
        self.tos, self.ttl = raw[1], raw[8]
        self.identification, self.fragment = struct.unpack_from("!HH", raw, 4)
        self.options = raw[20:(raw[0] & 15) * 4]
        self.is_fragment = bool(self.fragment & (OFFSET | wire.MORE_FRAGMENTS))
        self.offset = (self.fragment & OFFSET) * 8
        self.sport = self.dport = self.flags = self.sequence = self.acknowledgement = None
        self.kind = self.code = self.quote = None
        self.data = b""
        if self.offset == 0:
            self.read_l4()

    def read_l4(self):
        if self.protocol in (TCP, UDP) and len(self.l4) >= 8:
            self.sport, self.dport = struct.unpack_from("!HH", self.l4)
        if self.protocol == UDP:
            self.data = self.l4[8:]
        elif self.protocol == TCP and len(self.l4) >= 20:
            self.sequence, self.acknowledgement = struct.unpack_from("!II", self.l4, 4)
            self.flags = self.l4[13]
            self.data = self.l4[(self.l4[12] >> 4) * 4:]
        elif self.protocol == ICMP and len(self.l4) >= 8:
            self.read_icmp()

    def read_icmp(self):
        """An identifier stands for both ports."""
        self.kind, self.code = self.l4[0], self.l4[1]
        if self.kind not in ERRORS:
            self.sport = self.dport = struct.unpack_from("!H", self.l4, 4)[0]
            self.data = self.l4[8:]
        elif len(self.l4) >= 28:
            self.quote = Packet(self.l4[8:])

    @property
    def mtu(self):
        return struct.unpack_from("!H", self.l4, 6)[0]

    def mark(self):
        """What a translation leaves as it is: the same packet before and after has the same."""
        if self.protocol == TCP:
            return self.protocol, self.flags, self.sequence, self.acknowledgement, self.data
        if self.quote:
            return self.protocol, self.kind, self.code, self.quote.mark()
        if self.protocol == ICMP:
            return self.protocol, self.kind, self.code, self.data
        return self.protocol, self.data

    def has_true_l4_checksum(self):
        if self.is_fragment or not self.is_whole:
            return True
        if self.protocol == ICMP:
            return wire.checksum(self.l4) == 0
        if self.protocol == UDP and self.l4[6:8] == b"\0\0":
            return True
        if self.protocol in (TCP, UDP):
            return wire.checksum(wire.pseudo(self.src, self.dst, self.protocol, self.l4)) == 0
        return True

    def has_true_ip_checksum(self):
        return wire.checksum(self.raw[:(self.raw[0] & 15) * 4]) == 0

    def faults(self):
        """Checksums that are wrong, by name; of a quoted packet too."""
        found = [] if self.has_true_ip_checksum() else ["IP header"]
        if not self.has_true_l4_checksum():
            found.append(NAMES.get(self.protocol, "payload"))
        if self.quote:
            found += ["quoted " + name for name in self.quote.faults()]
        return found

    def __str__(self):
        what = "%s %s" % (NAMES.get(self.protocol, "protocol %d" % self.protocol), self.src)
        to = self.dst
        if self.quote:
            return "%s > %s type %d code %d about [%s]" % (what, to, self.kind, self.code, self.quote)
        if self.protocol == ICMP and self.kind is not None:
            return "%s > %s type %d id %s" % (what, to, self.kind, self.sport)
        if self.sport is not None:
            what, to = "%s:%d" % (what, self.sport), "%s:%d" % (to, self.dport)
        if self.flags is not None:
            to += " " + "".join(c for i, c in enumerate(FLAGS) if self.flags >> i & 1)
        if self.is_fragment:
            to += " fragment at %d" % self.offset
        return "%s > %s" % (what, to)
