# SPDX-License-Identifier: BSD-3-Clause
"""A TCP connection told segment by segment, both ends by hand, with the sequence numbers that stacks would use.

    ">S <SA >A >PA <A"    up and down; S, A, F, R are flags, P pushes ten octets, E and C are those of ECN
    ">N"                  a SYN with a new initial sequence number: the same ports again
    ">s"                  the SYN once more"""
import wire
from site_of_wires import unique

BITS = {"F": 1, "S": 2, "N": 2, "s": 2, "R": 4, "P": 8, "A": 16, "E": 64, "C": 128}
HANDSHAKE = ">S <SA >A "
DATA = b"ten octets"
N_ISNS = 4000  # none so high that a connection's numbers would begin anew


class Side:
    """What one end has sent, and what it expects."""

    def __init__(self, isn):
        self.isn = self.next = isn
        self.expects = 0
        self.fin = None

    def segment(self, word):
        """(flags, sequence, acknowledgement, data) of the next."""
        flags = 0
        for letter in word:
            flags |= BITS[letter]
        data = DATA if "P" in word else b""
        if "N" in word:
            self.isn = self.next = self.next + (1 << 16)
            self.fin = None
        sequence = self.isn if flags & wire.SYN else self.next
        if flags & wire.FIN and self.fin is not None:
            sequence = self.fin  # sent once more
        elif flags & wire.FIN:
            self.fin = sequence + len(data)
        length = len(data) + bool(flags & wire.SYN) + bool(flags & wire.FIN)
        self.next = max(self.next, sequence + length)
        return flags, sequence, self.expects if flags & wire.ACK else 0, data


class Talk:
    """Between `host` at `port` and `server` at `server_port`."""

    def __init__(self, site, host, port, server, server_port=80):
        self.site, self.host, self.port, self.server, self.server_port = site, host, port, server, server_port
        self.up, self.down = (Side((unique() % N_ISNS) << 20) for _ in range(2))
        self.external_port = None

    def packet_up(self, flags, sequence, acknowledgement=0, data=b"", options=b""):
        to = (self.server.address, self.server_port)
        return self.host.tcp(self.port, to, flags, sequence, acknowledgement, data, options)

    def packet_down(self, flags, sequence, acknowledgement=0, data=b"", options=b""):
        to = (self.site.external, self.external_port)
        return self.server.tcp(self.server_port, to, flags, sequence, acknowledgement, data, options)

    def send_up(self, word):
        got = self.site.cross(self.host, self.packet_up(*self.up.segment(word)), what="segment >" + word)
        self.external_port = got.sport
        self.down.expects = max(self.down.expects, self.up.next) if "N" not in word else self.up.next
        return got

    def send_down(self, word):
        packet = self.packet_down(*self.down.segment(word))
        got = self.site.cross(self.server, packet, to=self.host.wire, what="segment <" + word)
        self.up.expects = max(self.up.expects, self.down.next) if "N" not in word else self.down.next
        return got

    def play(self, script):
        """Each segment passes. Returns the last as it arrived."""
        got = None
        for word in script.split():
            got = self.send_up(word[1:]) if word[0] == ">" else self.send_down(word[1:])
        return got
