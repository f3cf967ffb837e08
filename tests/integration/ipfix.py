# SPDX-License-Identifier: BSD-3-Clause
"""A collector of IPFIX messages (RFC 7011), by their templates alone: it knows no record of weir's beforehand."""
import struct
import threading

REVERSE = 29305
NAMES = {1: "octets", 2: "packets", 4: "proto", 7: "source_port", 8: "source", 11: "port", 12: "destination",
         82: "interfaceName", 95: "application", 96: "applicationName", 225: "external", 227: "external_port",
         166: "notSentFlows", 41: "exportedMessages", 136: "reason"}


class Broken(Exception):
    pass


class Reader:
    """What came in one session."""

    def __init__(self):
        self.templates = {}
        self.rows = []  # of data, with names of the elements
        self.options = []
        self.sequence = None
        self.gaps = 0
        self.rest = b""

    def take(self, octets):
        """Octets of a stream."""
        self.rest += octets
        while len(self.rest) >= 16:
            version, length = struct.unpack("!HH", self.rest[:4])
            if version != 10 or length < 16:
                raise Broken("version %d, length %d" % (version, length))
            if len(self.rest) < length:
                return
            self.message(self.rest[:length])
            self.rest = self.rest[length:]

    def message(self, m):
        sequence = struct.unpack("!I", m[8:12])[0]
        if self.sequence is not None and sequence != self.sequence:
            self.gaps += 1
        self.sequence = sequence
        at = 16
        while at < len(m):
            kind, length = struct.unpack("!HH", m[at:at + 4])
            self.set(kind, m[at + 4:at + length])
            at += length

    def set(self, kind, body):
        if kind in (2, 3):
            self.template(body, kind == 3)
            return
        fields, is_options = self.templates[kind]
        at = 0
        while at < len(body):
            row = {}
            for name, length in fields:
                if length == 65535:
                    length = body[at]
                    at += 1
                row[name] = body[at:at + length]
                at += length
            (self.options if is_options else self.rows).append(row)
            self.sequence += 1
        if at != len(body):
            raise Broken("a record is longer than its set")

    def template(self, body, is_options):
        at = 0
        while at < len(body):
            kind, n = struct.unpack("!HH", body[at:at + 4])
            at += 6 if is_options else 4
            fields = []
            for _ in range(n):
                element, length = struct.unpack("!HH", body[at:at + 4])
                at += 4
                name = NAMES.get(element & 0x7fff, element & 0x7fff)
                if element & 0x8000:
                    if struct.unpack("!I", body[at:at + 4])[0] != REVERSE:
                        raise Broken("an enterprise nobody knows")
                    name = "reverse_%s" % name
                    at += 4
                fields.append((name, length))
            self.templates[kind] = (fields, is_options)

    def sum(self, name):
        return sum(int.from_bytes(r[name], "big") for r in self.rows)


class Listener:
    """Takes one connection after another, each with a Reader of its own."""

    def __init__(self, listener, wrap=lambda s: s):
        self.listener, self.wrap = listener, wrap
        self.readers = []
        self.errors = []
        self.connection = None
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                raw = self.listener.accept()[0]
            except OSError:
                return
            try:
                self.connection = self.wrap(raw)
                self.read()
            except (OSError, Broken) as why:
                self.errors.append(str(why))
            raw.close()

    def read(self):
        reader = Reader()
        self.readers.append(reader)
        while True:
            octets = self.connection.recv(65536)
            if not octets:
                return
            reader.take(octets)

    def octets(self):
        """(uplink, downlink)"""
        return [sum(r.sum(name) for r in self.readers) for name in ("octets", "reverse_octets")]

    def rows(self):
        return [row for r in self.readers for row in r.rows]
