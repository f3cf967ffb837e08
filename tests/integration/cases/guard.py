# SPDX-License-Identifier: BSD-3-Clause
"""What must not pass, and the ways between LANs."""
import json
import socket

from capture import Capture
from cases import Books, check, same, test, until
from lab import EXTERNAL, GATEWAY, HOST, HOST2, SERVICE
from wire import ACK, ICMP, SYN, TCP, UDP, checksum, ip_fields, ipv4, tcp, udp


def send(lab, short, *packets):
    raw = lab.raw(short)
    for packet in packets:
        raw.sendto(packet, (socket.inet_ntoa(packet[16:20]), 0))


def echo_request(identifier=77):
    body = b"\x08\0\0\0" + identifier.to_bytes(2, "big") + b"\0\1" + b"weir" * 10
    return body[:2] + checksum(body).to_bytes(2, "big") + body[4:]


@test
def unsolicited_inbound(bench):
    """What nobody asked for is dropped, counted and billed, and not answered."""
    lab, weir = bench.site()
    lab.ping("lan", SERVICE)
    answers = Capture(lab, "car", "car0", lambda ip: ip_fields(ip)[1] == EXTERNAL)
    at_lan = Capture(lab, "lan", "eth0", lambda ip: True)
    before, drops = weir.settled_ports()["wan0"], weir.drops()
    here = (SERVICE, 4000)
    packets = [ipv4(SERVICE, EXTERNAL, UDP, udp(here, (EXTERNAL, 5000), b"hello")),
               ipv4(SERVICE, EXTERNAL, TCP, tcp(here, (EXTERNAL, 22), SYN)),
               ipv4(SERVICE, EXTERNAL, TCP, tcp(here, (EXTERNAL, 80), ACK, 5, 5)),
               ipv4(SERVICE, EXTERNAL, ICMP, echo_request())]
    send(lab, "car", *packets)
    weir.wait_drop("policy.inbound", len(packets), drops)
    after = weir.settled_ports()["wan0"]
    octets = sum(len(p) for p in packets)
    same(after["downlink_octets"] - before["downlink_octets"], octets, "octets billed")
    same(after["unattributed_downlink_octets"] - before["unattributed_downlink_octets"], octets, "octets of no flow")
    answers.stop()
    at_lan.stop()
    same([p for sent, p in answers.kept if not sent], [], "answers at the carrier")
    same(at_lan.kept, [], "packets on the LAN")


def frames_at(lab, short, device):
    """A socket that sees what arrives there."""
    return lab.socket(short, socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3), bind=(device, 0x0003), wait_s=0.5)


def arrived(frames):
    """What has arrived since, less what was sent from there."""
    got = []
    while True:
        try:
            frame, address = frames.recvfrom(2048)
        except TimeoutError:
            return got
        if address[2] != socket.PACKET_OUTGOING:
            got.append(frame)


def let_the_kernel_send(lab):
    """IPv6 begins (MLD, a look for duplicates, a router solicitation), and programs ping."""
    lab.sysctl("gw", net__ipv6__conf__wan0__disable_ipv6=0, net__ipv6__conf__wan0__router_solicitation_delay=0)
    lab.ip("gw", "address", "add", "10.77.0.1/24", "dev", "wan0")
    lab.ping("gw", "ff02::2%wan0", "-6", "-W", "1", may_fail=True)
    lab.ping("gw", "10.77.0.2", "-I", "wan0", "-W", "1", may_fail=True)
    lab.sysctl("gw", net__ipv6__conf__wan0__disable_ipv6=1)
    lab.ip("gw", "address", "del", "10.77.0.1/24", "dev", "wan0")


@test
def kernel_keeps_off_the_uplink(bench):
    """Whatever the kernel would send by itself on the uplink: nothing but weir's frames leaves there."""
    lab = bench.lab()
    frames = frames_at(lab, "car", "car0")
    let_the_kernel_send(lab)
    types = {frame[12:14].hex() for frame in arrived(frames)}
    same(types, {"0806", "86dd"}, "types of frames without weir, or this test shows nothing")
    weir = lab.weir()
    lab.ping("lan", SERVICE)
    arrived(frames)
    let_the_kernel_send(lab)
    lab.ping("lan", SERVICE, count=3)
    got = arrived(frames)
    mac = bytes.fromhex(json.loads(lab.ip("gw", "-j", "link", "show", "wan0").stdout)[0]["address"].replace(":", ""))
    own = [f for f in got if f[6:12] == mac and (f[26:30] if f[12:14] == b"\x08\0" else f[28:32]) == socket.inet_aton(EXTERNAL)]
    same([f[:64].hex() for f in got if f not in own], [], "frames that are not weir's")
    same(len([f for f in own if f[12:14] == b"\x08\0"]), 3, "packets of weir's")
    weir.kill()
    let_the_kernel_send(lab)
    check({f[12:14].hex() for f in arrived(frames)} >= {"0806", "86dd"}, "the kernel cannot send after weir was killed")


@test
def kernel_keeps_off_the_modem(bench):
    """The same on a raw-IP modem: it is handed as many packets as weir says it has sent."""
    lab, weir = bench.site(bearer="cellink")
    until(lambda: lab.ping("lan", SERVICE, may_fail=True).returncode == 0, "the bearer carries")
    before = weir.settled_ports()["wan0"]["tx_packets"], handed(lab)
    let_the_kernel_send(lab)
    lab.ping("lan", SERVICE, count=3)
    after = weir.settled_ports()["wan0"]["tx_packets"], handed(lab)
    same((after[0] - before[0], after[1] - before[1]), (3, 3), "packets that weir sent, and that the modem got")


def handed(lab):
    return json.loads(lab.ip("gw", "-j", "-s", "link", "show", "wan0").stdout)[0]["stats64"]["tx"]["packets"]


@test
def inbound_past_the_gateway(bench):
    """The carrier cannot reach a LAN address, nor the gateway's own, by naming it."""
    lab, weir = bench.site()
    lab.ping("lan", SERVICE)
    lab.ip("car", "route", "add", "192.168.50.0/24", "via", EXTERNAL)
    at_lan = Capture(lab, "lan", "eth0", lambda ip: True)
    for address in (HOST, GATEWAY):
        check(lab.ping("car", address, "-W", "1", may_fail=True).returncode != 0, "%s answers the carrier" % address)
    drops = weir.drops()
    same(drops.get("policy.inbound", 0) + drops.get("local.from_uplink", 0), 2, "packets dropped (%s)" % drops)
    at_lan.stop()
    same(at_lan.kept, [], "packets on the LAN")


@test
def spoofed_sources(bench):
    """A source that cannot be where it comes from is dropped, on both sides, and nothing is sent for it."""
    lab, weir = bench.site()
    lab.ping("lan", SERVICE)
    at_carrier = Capture(lab, "car", "car0", lambda ip: True)
    at_lan = Capture(lab, "lan", "eth0", lambda ip: True)

    def of(source, destination):
        return ipv4(source, destination, UDP, udp((source, 1000), (destination, 2000), b"false"))

    before = weir.drops()
    send(lab, "lan", of("10.9.9.9", SERVICE), of(GATEWAY, SERVICE), of("192.168.60.5", SERVICE), of(EXTERNAL, SERVICE))
    weir.wait_drop("flow.spoofed_lan", 4, before)
    send(lab, "lan", of("192.168.50.255", SERVICE))
    weir.wait_drop("flow.broadcast_source", 1, before)
    send(lab, "car", of(HOST, EXTERNAL), of(EXTERNAL, EXTERNAL))
    weir.wait_drop("flow.spoofed_uplink", 2, before)
    weir.settled_ports()
    at_carrier.stop()
    at_lan.stop()
    same([p for sent, p in at_carrier.kept if not sent], [], "packets at the carrier")
    same([p for sent, p in at_lan.kept if not sent], [], "packets on the LAN")


def mapped(lab, short, host, port):
    """A UDP socket and the external endpoint under which the world sees it."""
    server = lab.udp("car", (SERVICE, 7000 + port % 1000))
    s = lab.udp(short, (host, port))
    s.sendto(b"who am I?", server.getsockname())
    external = server.recvfrom(100)[1]
    server.sendto(b"you are", external)
    same(s.recvfrom(100)[0], b"you are", "answer")
    return s, external


def check_hairpin(lab, weir, a, b):
    """`a` and `b` are (namespace, address)."""
    callee, external = mapped(lab, *b, 6001)
    caller, caller_external = mapped(lab, *a, 6002)
    before = weir.settled_ports()["wan0"]
    caller.sendto(b"over the top", external)
    got, peer = callee.recvfrom(100)
    same((got, peer), (b"over the top", caller_external), "what the called host sees")
    callee.sendto(b"and back", peer)
    same(caller.recvfrom(100), (b"and back", external), "what the calling host sees")
    after = weir.settled_ports()["wan0"]
    for key in ("uplink_octets", "downlink_octets"):
        same(after[key], before[key], key + " of the uplink, which a hairpin must not touch")


@test
def hairpin(bench):
    """Two hosts of one LAN speak by the external address, through a mapping that admits it."""
    lab, weir = bench.site({"nat": {"filtering": "endpoint-independent"}})
    lab.ip("lan", "address", "add", "192.168.50.11/24", "dev", "eth0")
    check_hairpin(lab, weir, ("lan", HOST), ("lan", "192.168.50.11"))


@test
def hairpin_between_lans(bench):
    """The same for hosts of two LANs."""
    lab, weir = bench.site({"nat": {"filtering": "endpoint-independent"}}, lans=2)
    check_hairpin(lab, weir, ("lan", HOST), ("lan2", HOST2))


@test
def hairpin_filtered(bench):
    """A mapping that admits only whom it spoke to does not admit a neighbour either."""
    lab, weir = bench.site(lans=2)
    callee, external = mapped(lab, "lan2", HOST2, 6001)
    before = weir.drops()
    caller = lab.udp("lan", HOST)
    caller.sendto(b"let me in", external)
    until(lambda: weir.drops().get("policy.filtered", 0) + weir.drops().get("nat.hairpin", 0)
          > before.get("policy.filtered", 0) + before.get("nat.hairpin", 0), "the packet is dropped")


@test
def lan_to_lan_denied(bench):
    """Two LANs do not see each other unless told to; both have the uplink."""
    lab, weir = bench.site(lans=2)
    lab.ping("lan", SERVICE)
    lab.ping("lan2", SERVICE)
    listener = lab.listen("lan2", HOST2, 9000)
    before = weir.drops()
    s = lab.socket("lan", socket.AF_INET, socket.SOCK_STREAM, wait_s=1.5)
    try:
        s.connect((HOST2, 9000))
        check(False, "a host of the other LAN answers")
    except OSError:
        pass
    listener.close()
    weir.wait_drop("policy.denied", 1, before)


@test
def lan_to_lan_allowed(bench):
    """With lan_to_lan they speak under their own addresses, and the uplink does not pay."""
    lab, weir = bench.site({"policy": {"lan_to_lan": True}}, lans=2)
    books = Books(lab, weir, ("lan", "lan2"))
    listener = lab.listen("lan2", HOST2, 9000)
    client = lab.connect("lan", (HOST2, 9000))
    server, peer = listener.accept()
    same(peer[0], HOST, "address of the client")
    data = bytes(range(256)) * 40  # fits the sockets' buffers: one thread serves both ends
    server.sendall(data)
    server.close()
    got = b""
    while len(got) < len(data):
        got += client.recv(1 << 20)
    check(got == data, "the data came changed")
    client.close()
    same(books.close()["wan0"]["uplink_octets"], 0, "octets on the uplink")


@test
def rules(bench):
    """The first rule that matches decides: rejected is told, dropped is silent, the rest passes."""
    lab, weir = bench.site({"policy": {"rules": [{"from": "lan", "protocol": "udp", "port": 7001, "action": "reject"},
                                                 {"from": "lan", "protocol": "udp", "port": "7002-7003", "action": "drop"}]}})
    at_carrier = Capture(lab, "car", "car0", lambda ip: ip[9] == UDP)
    s = lab.udp("lan", HOST)
    s.connect((SERVICE, 7001))
    s.send(b"no")
    try:
        s.recv(10)
        check(False, "an answer to a rejected packet")
    except OSError as told:
        check(not isinstance(told, TimeoutError), "the reject was not told")
    before = weir.drops()
    lab.udp("lan", HOST).sendto(b"no", (SERVICE, 7003))
    weir.wait_drop("policy.denied", 1, before)
    mapped(lab, "lan", HOST, 6004)
    at_carrier.stop()
    same(sorted({int.from_bytes(ip_fields(p)[3][2:4], "big") for sent, p in at_carrier.kept if not sent}), [7004],
         "ports seen at the carrier")
