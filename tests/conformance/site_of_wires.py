# SPDX-License-Identifier: BSD-3-Clause
"""A gateway between wires whose other ends are raw: hosts on two LANs, servers and a router at the carrier, all made by hand.

No kernel answers at these ends. A thread takes what arrives, answers ARP for the nodes there are, and keeps IPv4 packets
until a check asks for them. "Nothing came" is known by a probe: packets that are sent after it, both ways, have come."""
import itertools
import json
import select
import socket
import struct
import threading
import time

import lab as labs
import wire
from lab import Failed
from packets import Packet
from wire import ICMP, TCP, UDP

ETH_P_ALL, ETH_P_IP, ETH_P_ARP, ETH_P_VLAN = 0x0003, 0x0800, 0x0806, 0x8100
SO_RCVBUFFORCE = 33
IGMP = 2
BROADCAST = b"\xff" * 6
PROBE = b"conformance probe "
PATIENCE_S = labs.PATIENCE_S
GRACE_S = 2.0  # what a probe has overtaken is waited for so long, before it is said not to come
PROBE_S = 2  # then it is taken for lost, and another is sent
CALM_S = 0.1  # and so long where nothing is to come
SERVER, SERVER_B, SERVER_C, STRANGER = "203.0.113.1", "203.0.113.2", "203.0.113.3", "192.0.2.77"
PROBE_SERVER = "203.0.113.250"
ROUTER = "198.51.100.77"  # of the carrier, not the next hop

unique = itertools.count(1).__next__


class Node:
    """An address at one of the wires."""

    def __init__(self, end, address, mac):
        self.wire, self.address, self.mac = end, address, mac

    def ip(self, to, protocol, payload, **header):
        header.setdefault("identification", unique() & 0xffff)
        return wire.ipv4(self.address, to, protocol, payload, **header)

    def udp(self, port, to, data=None, **header):
        """`to` is (address, port); without data it is told apart from all others."""
        data = b"datagram %d" % unique() if data is None else data
        return self.ip(to[0], UDP, wire.udp((self.address, port), to, data), **header)

    def tcp(self, port, to, flags, sequence=None, acknowledgement=0, data=b"", options=b"", **header):
        sequence = (unique() & 0xfffff) << 12 if sequence is None else sequence
        segment = wire.tcp((self.address, port), to, flags, sequence, acknowledgement, data, options)
        return self.ip(to[0], TCP, segment, **header)

    def echo(self, identifier, to, data=None, kind=wire.ECHO_REQUEST, **header):
        data = b"echo %d" % unique() if data is None else data
        return self.ip(to, ICMP, wire.echo(identifier, data, kind=kind), **header)

    def error(self, to, kind, code, quoted, rest=b"\0\0\0\0", **header):
        """`quoted`: a Packet, or octets."""
        quoted = quoted.raw if isinstance(quoted, Packet) else quoted
        return self.ip(to, ICMP, wire.icmp(kind, code, rest, quoted), **header)

    def send(self, *packets, to_mac=None):
        for packet in packets:
            self.wire.put((to_mac or self.wire.gateway_mac) + self.mac + struct.pack("!H", ETH_P_IP) + packet)


class Wire:
    """The raw end of a link to the gateway."""

    def __init__(self, lab, short, device, gateway_mac):
        self.name, self.gateway_mac = short, gateway_mac
        self.nodes = {}  # by address: whom ARP finds here
        self.packets = []
        self.probes = set()
        self.arp_heard = set()
        self.changed = threading.Condition()
        with lab.inside(short):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        with lab.inside(short):
            self.socket.bind((device, ETH_P_ALL))

    def put(self, frame):
        self.socket.send(frame)

    def add(self, address, mac):
        self.nodes[address] = node = Node(self, address, mac)
        return node

    def ask_arp(self, node, address):
        self.put(BROADCAST + node.mac + struct.pack("!HHHBBH", ETH_P_ARP, 1, ETH_P_IP, 6, 4, 1) + node.mac
                 + socket.inet_aton(node.address) + bytes(6) + socket.inet_aton(address))

    def take(self):
        frame, address = self.socket.recvfrom(65535)
        if address[2] == socket.PACKET_OUTGOING or len(frame) < 34:
            return
        kind = struct.unpack_from("!H", frame, 12)[0]
        if kind == ETH_P_ARP:
            self.take_arp(frame[14:])
        elif kind == ETH_P_IP and frame[14 + 9] != IGMP:
            self.take_packet(Packet(frame[14:]))

    def take_arp(self, arp):
        operation, sender_mac, sender, target = struct.unpack("!6xH6s4s6x4s", arp[:28])
        node = self.nodes.get(socket.inet_ntoa(target))
        if operation == 1 and node:
            self.put(sender_mac + node.mac + struct.pack("!HHHBBH", ETH_P_ARP, 1, ETH_P_IP, 6, 4, 2) + node.mac + target
                     + sender_mac + sender)
        with self.changed:
            self.arp_heard.add(socket.inet_ntoa(sender))
            self.changed.notify_all()

    def take_packet(self, packet):
        with self.changed:
            if packet.data.startswith(PROBE):
                self.probes.add(packet.data)
                self.probe_source = packet.sport, packet.src
            else:
                self.packets.append(packet)
            self.changed.notify_all()

    def wait(self, question, seconds):
        with self.changed:
            return self.changed.wait_for(question, seconds)

    def pick(self, is_wanted, seconds):
        """The first packet that is; it is then no longer here. None: none came in time."""
        def find():
            return next((p for p in self.packets if is_wanted(p)), None)
        with self.changed:
            packet = self.changed.wait_for(find, seconds)
            if packet:
                self.packets.remove(packet)
            return packet


class Site:
    """Two LANs, a gateway, a carrier. What a check wants to be otherwise than usual are the gateway's knobs."""

    def __init__(self, options, kind, knobs):
        self.knobs = knobs
        self.has_conflict = knobs.get("conflict", False)
        self.external = "192.168.50.77" if self.has_conflict else labs.EXTERNAL
        self.next_hop = "192.168.50.254" if self.has_conflict else labs.CARRIER
        self.external_net = self.external[:self.external.rindex(".") + 1]
        self.gateway = None
        self.last_said = time.monotonic()
        self.is_over = threading.Event()
        self.thread = None
        self.wires = []
        self.lab = labs.Lab(options, lans=2, uplink_mtu=knobs.get("uplink_mtu", 1500))
        try:
            self.build(kind)
        except BaseException:
            self.close()
            raise

    def build(self, kind):
        for short, device in (("lan", "eth0"), ("lan2", "eth0"), ("car", "car0")):
            self.lab.ip(short, "address", "flush", "dev", device)
        if "lan_mtu" in self.knobs:
            self.lab.ip("gw", "link", "set", "lan0", "mtu", str(self.knobs["lan_mtu"]))
        macs = {link["ifname"]: bytes.fromhex(link["address"].replace(":", ""))
                for link in json.loads(self.lab.ip("gw", "-j", "link").stdout)}
        self.gateway = kind(self)
        self.lan = Wire(self.lab, "lan", "eth0", macs["lan0"])
        self.lan2 = Wire(self.lab, "lan2", "eth0", macs["lan1"])
        self.carrier = Wire(self.lab, "car", "car0", macs["wan0"])
        self.wires = [self.lan, self.lan2, self.carrier]
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()
        self.gateway.start()
        self.carrier_mac = bytes.fromhex("02005e200001")
        self.greet(self.carrier.add(self.next_hop, self.carrier_mac), self.external)
        self.probes = {self.lan: self.host(250)}
        self.probe_server = self.remote(PROBE_SERVER)

    def listen(self):
        while not self.is_over.is_set():
            for s in select.select([w.socket for w in self.wires], [], [], 0.1)[0]:
                next(w for w in self.wires if w.socket is s).take()

    def close(self):
        self.is_over.set()
        if self.thread:
            self.thread.join()
        if self.gateway:
            self.gateway.stop()
        for end in self.wires:
            end.socket.close()
        self.lab.close()

    def greet(self, node, address):
        """Each knows the other's MAC from then on."""
        def is_heard():
            node.wire.ask_arp(node, address)
            return node.wire.wait(lambda: address in node.wire.arp_heard, 0.2)
        labs.until(is_heard, "%s answers ARP" % address, every_s=0)
        return node

    def host(self, n):
        """A host on the first LAN."""
        if labs.LAN_NET + str(n) not in self.lan.nodes:
            self.greet(self.lan.add(labs.LAN_NET + str(n), bytes.fromhex("02005e1000%02x" % n)), labs.GATEWAY)
        return self.lan.nodes[labs.LAN_NET + str(n)]

    def host2(self, n):
        """A host on the second LAN."""
        if labs.LAN2_NET + str(n) not in self.lan2.nodes:
            self.greet(self.lan2.add(labs.LAN2_NET + str(n), bytes.fromhex("02005e1100%02x" % n)), labs.LAN2_NET + "1")
        return self.lan2.nodes[labs.LAN2_NET + str(n)]

    def remote(self, address):
        """Somebody beyond the next hop."""
        return Node(self.carrier, address, self.carrier_mac)

    def settle(self):
        """All that was sent before has been dealt with: probes sent after it have gone up from each LAN and come back."""
        for end in [w for w in (self.lan, self.lan2) if w.nodes]:
            if end not in self.probes:
                self.probes[end] = self.host2(250)
            labs.until(lambda: self.probe_round(self.probes[end]), "a probe passes the gateway and returns", every_s=0)

    def probe_round(self, host):
        up, down = PROBE + b"%d up" % unique(), PROBE + b"%d down" % unique()
        host.send(host.udp(40000, (PROBE_SERVER, 40000), up))
        if not self.carrier.wait(lambda: up in self.carrier.probes, PROBE_S):
            return False
        port, address = self.carrier.probe_source
        self.probe_server.send(self.probe_server.udp(40000, (address, port), down))
        return host.wire.wait(lambda: down in host.wire.probes, PROBE_S)

    def look(self, end, is_wanted):
        """The packet, or None when it does not come although what was sent after it does."""
        packet = end.pick(is_wanted, 0.3)
        if packet is None:
            self.settle()
            packet = end.pick(is_wanted, GRACE_S)
        return packet

    def expect(self, end, is_wanted, what, is_sound=True):
        packet = self.look(end, is_wanted)
        if packet is None:
            raise Failed("%s: did not come; %s" % (what, self.describe()))
        if is_sound and packet.faults():
            raise Failed("%s: wrong checksum: %s, of %s" % (what, ", ".join(packet.faults()), packet))
        return packet

    def describe(self):
        left = [(w.name, p) for w in self.wires for p in w.packets]
        return "instead: " + ", ".join("at %s %s" % pair for pair in left[:3]) if left else "nothing came instead"

    def cross(self, node, packet, to=None, what=None, may_fail=False, is_sound=True):
        """Sends it; returns what comes of it on the other side, or, where it may fail, None."""
        sent = Packet(packet)
        mark = sent.mark()
        end = to or (self.lan if node.wire is self.carrier else self.carrier)
        node.send(packet)
        self.last_said = time.monotonic()
        def is_it(p):
            return p.mark() == mark
        if may_fail:
            return self.look(end, is_it)
        return self.expect(end, is_it, what or str(sent), is_sound)

    def says(self, host, port, server, server_port=443, **more):
        """A datagram of a LAN host; returns it as it left."""
        return self.cross(host, host.udp(port, (server.address, server_port)), **more)

    def hears(self, server, server_port, external_port, host, port, **more):
        """A datagram to the external port; returns it as `host` got it at `port`, fails when it did not."""
        got = self.cross(server, server.udp(server_port, (self.external, external_port)), to=host.wire, **more)
        if got is not None:
            labs.same((got.dst, got.dport), (host.address, port), "where the answer arrived")
            labs.same((got.src, got.sport), (server.address, server_port), "whom the answer is from")
        return got

    def refuse(self, node, *packets, what="a packet that must not pass"):
        """None of these goes anywhere."""
        marks = [Packet(p).mark() for p in packets]
        node.send(*packets)
        self.settle()
        time.sleep(CALM_S)
        for end in self.wires:
            came = end.pick(lambda p: p.mark() in marks, 0)
            if came:
                raise Failed("%s came to %s: %s" % (what, end.name, came))

    def quiet(self, what):
        """Nothing else has come to anybody."""
        self.settle()
        time.sleep(CALM_S)
        left = [(w.name, p) for w in self.wires for p in w.packets]
        if left:
            raise Failed("%s: at %s came %s" % (what, *left[0]))

    def clear(self):
        """Forgets what came and nobody asked for."""
        self.settle()
        for end in self.wires:
            with end.changed:
                end.packets.clear()

    def kept_s(self, protocol, host, port, server):
        """How long the gateway keeps this session without another packet, counted from the last one, as it says itself."""
        left = self.gateway.seconds_left(protocol, host.address, port, server.address)
        return left + (time.monotonic() - self.last_said)

    def expect_kept(self, least_s, protocol, host, port, server, what):
        kept = self.kept_s(protocol, host, port, server)
        if kept + 1 < least_s:  # whole seconds are shown
            raise Failed("%s is kept %d s, less than %d" % (what, round(kept), least_s))
