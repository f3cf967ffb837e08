# SPDX-License-Identifier: BSD-3-Clause
"""Fragmented datagrams, both ways, in any order."""
import os
import socket

from cases import Books, check, same, test
from cases.errors import IP_MTU_DISCOVER, IP_PMTUDISC_DONT, uplink_of_1400
from lab import EXTERNAL, HOST, SERVICE
from wire import UDP, fragments, udp

SIZE = 4000


def exchange_by_hand(lab, order):
    """A datagram and its answer, whose fragments `order` arranges."""
    server, client = lab.udp("car", (SERVICE, 7000)), lab.udp("lan", (HOST, 6000))
    data = os.urandom(SIZE)
    lan, carrier = lab.raw("lan"), lab.raw("car")
    for packet in order(fragments(HOST, SERVICE, UDP, udp((HOST, 6000), (SERVICE, 7000), data), 4711)):
        lan.sendto(packet, (SERVICE, 0))
    got, peer = server.recvfrom(65535)
    check(got == data, "the datagram came changed")
    same(peer[0], EXTERNAL, "its source")
    for packet in order(fragments(SERVICE, EXTERNAL, UDP, udp((SERVICE, 7000), peer, data[::-1]), 4712)):
        carrier.sendto(packet, (EXTERNAL, 0))
    got, peer = client.recvfrom(65535)
    check(got == data[::-1] and peer == (SERVICE, 7000), "the answer came changed")


@test
def fragments_in_order(bench):
    """UDP of 4000 octets both ways, as the kernels fragment it."""
    lab, weir = bench.site()
    books = Books(lab, weir)
    server, client = lab.udp("car", (SERVICE, 7000)), lab.udp("lan", HOST)
    data = os.urandom(SIZE)
    for _ in range(3):
        client.sendto(data, (SERVICE, 7000))
        got, peer = server.recvfrom(65535)
        check(got == data, "the datagram came changed")
        server.sendto(data[::-1], peer)
        check(client.recv(65535) == data[::-1], "the answer came changed")
    ports = books.close()
    same(ports["wan0"]["uplink_octets"], 3 * (SIZE + 8 + 3 * 20), "octets of three datagrams in three fragments each")


@test
def fragments_by_hand(bench):
    """The same from raw sockets, first fragment first."""
    lab, weir = bench.site()
    books = Books(lab, weir)
    exchange_by_hand(lab, lambda packets: packets)
    books.close()


@test
def fragments_reversed(bench):
    """The first fragment comes last: the others wait for it."""
    lab, weir = bench.site()
    books = Books(lab, weir)
    exchange_by_hand(lab, lambda packets: packets[::-1])
    books.close()


@test
def fragments_without_first(bench):
    """Later fragments whose first never comes are dropped in time, and counted."""
    lab = bench.lab()
    weir = lab.weir(lab.config(fragments={"capacity": 16}, timeouts={"fragment": "2s"}))
    for packet in fragments(HOST, SERVICE, UDP, udp((HOST, 6000), (SERVICE, 7000), bytes(SIZE)), 4713)[1:]:
        lab.raw("lan").sendto(packet, (SERVICE, 0))
    weir.wait_drop("flow.fragment_timeout", 2)
    lab.ping("lan", SERVICE)


@test
def too_large_without_df(bench):
    """Packets with DF clear that exceed the uplink's MTU get through in fragments, and each fragment is counted."""
    lab = bench.lab()
    weir = lab.weir(uplink_of_1400(lab))
    books = Books(lab, weir)
    lab.ping("lan", SERVICE, "-M", "dont", "-s", "1472", count=3)
    server, client = lab.udp("car", (SERVICE, 7000)), lab.udp("lan", HOST)
    client.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
    data = os.urandom(1472)
    client.sendto(data, (SERVICE, 7000))
    check(server.recv(65535) == data, "the datagram came changed")
    ports = books.close()
    same(ports["wan0"]["uplink_octets"], 4 * (1500 + 20), "octets of four packets in two fragments each")
