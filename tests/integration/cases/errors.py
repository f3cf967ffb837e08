# SPDX-License-Identifier: BSD-3-Clause
"""ICMP: what the gateway says itself, and what it lets through."""
import socket
import threading

from capture import Capture
from cases import Books, check, same, test, until
from lab import CARRIER, GATEWAY, HOST, SERVICE
from wire import SYN, TCP, ip_fields, tcp_mss

IP_MTU_DISCOVER, IP_PMTUDISC_DONT, IP_PMTUDISC_DO, IP_MTU = 10, 0, 2, 14


@test
def echo_of_gateway(bench):
    """The gateway answers echo on its LAN address itself; nothing of it is billed."""
    lab, weir = bench.site()
    books = Books(lab, weir)
    lab.ping("lan", GATEWAY, "-s", "1472", count=3)
    lab.ping("lan", GATEWAY, "-s", "0", count=3)
    same(books.close()["wan0"]["uplink_octets"], 0, "octets on the uplink")


@test
def ttl_exceeded(bench):
    """A packet whose time to live ends here is answered by the gateway, one hop more by the server."""
    lab, weir = bench.site()
    books = Books(lab, weir)
    done = lab.ping("lan", SERVICE, "-t", "1", may_fail=True)
    check("From %s" % GATEWAY in done.stdout and "Time to live exceeded" in done.stdout, "no Time Exceeded: %s" % done.stdout)
    lab.ping("lan", SERVICE, "-t", "2")
    weir.wait_drop("flow.ttl", 1)
    books.close()


@test
def ttl_exceeded_beyond(bench):
    """Time Exceeded from a router beyond the uplink finds its way back to the host."""
    lab, weir = bench.site()
    lab.sysctl("car", net__ipv4__ip_forward=1)
    lab.add_namespace("far")
    lab.ip("car", "link", "add", "far0", "type", "veth", "peer", "name", "eth0", "netns", lab.ns("far"))
    lab.ip("car", "link", "set", "far0", "up")
    lab.ip("far", "link", "set", "eth0", "up")
    lab.ip("car", "route", "add", "203.0.113.128/25", "dev", "far0")
    done = lab.ping("lan", "203.0.113.129", "-t", "2", may_fail=True)
    check("From %s" % CARRIER in done.stdout and "Time to live exceeded" in done.stdout, "no Time Exceeded: %s" % done.stdout)


@test
def port_unreachable(bench):
    """A server's Port Unreachable reaches the very socket: it sees ECONNREFUSED."""
    lab, weir = bench.site()
    books = Books(lab, weir)
    s = lab.udp("lan", HOST)
    s.connect((SERVICE, 9999))
    s.send(b"anybody?")
    try:
        s.recv(100)
        refused = False
    except ConnectionRefusedError:
        refused = True
    check(refused, "no ECONNREFUSED")
    books.close()


def uplink_of_1400(lab):
    """The carrier takes 1400 octets; its own interface does not know."""
    config = lab.config()
    config["ports"]["wan0"]["mtu"] = 1400
    return config


@test
def fragmentation_needed(bench):
    """A packet too large for the uplink, with DF, is answered with the right MTU; TCP then finds its size."""
    lab = bench.lab()
    weir = lab.weir(uplink_of_1400(lab))
    books = Books(lab, weir)
    done = lab.ping("lan", SERVICE, "-M", "do", "-s", "1373", may_fail=True)
    check("mtu = 1400" in done.stdout + done.stderr or "mtu=1400" in done.stdout + done.stderr,
          "no Fragmentation Needed with 1400: %s %s" % (done.stdout, done.stderr))
    lab.ping("lan", SERVICE, "-M", "do", "-s", "1372")
    weir.wait_drop("flow.too_big", 1)
    s = lab.udp("lan", HOST)
    s.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
    s.connect((SERVICE, 9))
    until(lambda: s.getsockopt(socket.IPPROTO_IP, IP_MTU) == 1400, "the host's path MTU is 1400")
    books.close()


@test
def mss_clamped(bench):
    """SYNs in both directions announce no more than the uplink takes."""
    lab = bench.lab()
    lab.weir(uplink_of_1400(lab))
    is_syn = lambda ip: ip[9] == TCP and ip_fields(ip)[3][13] & SYN  # noqa: E731
    at_carrier, at_lan = Capture(lab, "car", "car0", is_syn), Capture(lab, "lan", "eth0", is_syn)
    listener = lab.listen("car", SERVICE, 9000)
    client = lab.connect("lan", (SERVICE, 9000))
    server = listener.accept()[0]
    data = bytes(range(256)) * 4000
    threading.Thread(target=server.sendall, args=(data,), daemon=True).start()
    got = b""
    while len(got) < len(data):
        got += client.recv(1 << 20)
    check(got == data, "the data came changed")
    at_carrier.stop()
    at_lan.stop()
    same([tcp_mss(ip) for sent, ip in at_carrier.kept if not sent], [1360], "MSS of the SYN at the server")
    same([tcp_mss(ip) for sent, ip in at_lan.kept if not sent], [1360], "MSS of the SYN-ACK at the host")
