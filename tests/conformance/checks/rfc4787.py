# SPDX-License-Identifier: BSD-3-Clause
"""RFC 4787: NAT and unicast UDP."""
import itertools
import time

import wire
from checks import check, must, other, same, should
from packets import Packet
from site_of_wires import ROUTER, SERVER, SERVER_B, SERVER_C, STRANGER
from wire import UDP

IDLE_S = 32  # waited out in earnest; what is longer is asked for
PIECE = 64


def servers(site):
    return [(site.remote(SERVER), 443), (site.remote(SERVER), 9999), (site.remote(SERVER_B), 443),
            (site.remote(SERVER_B), 53), (site.remote(STRANGER), 1)]


@must()
def rfc4787_req1_endpoint_independent_mapping(site):
    """An internal endpoint has one external endpoint towards all, also where another host has the same port."""
    for host in (site.host(10), site.host(11)):
        ports = [site.says(host, 5000, server, port).sport for server, port in servers(site)]
        same(len(set(ports)), 1, "external ports %s of %s: their number" % (ports, host.address))


@must()
def rfc4787_req1_answers_arrive(site):
    """What each of two hosts with the same port hears, from each server, is what was said to it."""
    for host in (site.host(10), site.host(11)):
        for server, port in servers(site):
            up = site.says(host, 5000, server, port)
            same(up.src, site.external, "external address")
            site.hears(server, port, up.sport, host, 5000)


@must()
def rfc4787_req3_no_port_overloading(site):
    """No two internal endpoints have one external port, whomever they speak with."""
    owner = {}
    remotes = [site.remote(a) for a in (SERVER, SERVER_B, SERVER_C, STRANGER)]
    for i in range(4):
        for port in range(5000, 5008):
            got = site.says(site.host(10 + i), port, remotes[i]).sport
            mine = (i, port)
            same(owner.setdefault(got, mine), mine, "whose external port %d is" % got)


@should()
def rfc4787_req3a_well_known_ports_stay_well_known(site):
    """A port below 1024 stays below and one above stays above, also for the sixth host that asks for the time from 124."""
    server = site.remote(SERVER)
    for port in (124, 123, 1, 1023, 1024, 5060, 65535):
        for i in range(6):
            got = site.says(site.host(10 + i), port, server, 123).sport
            same(got < 1024, port < 1024, "is the external port %d for port %d of host %d below 1024" % (got, port, i))
            site.hears(server, 123, got, site.host(10 + i), port)


@should()
def rfc4787_req4_parity(site):
    """A replaced port has the parity of the host's own."""
    server = site.remote(SERVER)
    for port in range(6000, 6016):
        for i in range(3):
            got = site.says(site.host(10 + i), port, server).sport
            same(got % 2, port % 2, "parity of %d for %d" % (got, port))


@must()
def rfc4787_req5_mapping_timer_of_two_minutes(site):
    """A mapping is kept two minutes or more, answered or not: as the gateway says."""
    host, server = site.host(10), site.remote(SERVER)
    up = site.says(host, 5000, server)
    site.expect_kept(120, "udp", host, 5000, server, "a mapping that was not answered")
    site.hears(server, 443, up.sport, host, 5000)
    site.expect_kept(120, "udp", host, 5000, server, "a mapping that was answered")


@should()
def rfc4787_req5c_default_of_five_minutes(site):
    """A mapping is kept five minutes or more by default: as the gateway says."""
    host, server = site.host(10), site.remote(SERVER)
    up = site.says(host, 5000, server)
    site.hears(server, 443, up.sport, host, 5000)
    site.expect_kept(300, "udp", host, 5000, server, "a mapping that was answered")


@must(slow_s=IDLE_S)
def rfc4787_req5_an_answer_after_32_seconds_arrives(site):
    """A server that takes 32 seconds to answer a datagram is heard: in real time."""
    host, server = site.host(10), site.remote(SERVER)
    up = site.says(host, 5000, server)
    time.sleep(IDLE_S)
    site.hears(server, 443, up.sport, host, 5000)


@must(slow_s=3)
def rfc4787_req6_outbound_refreshes(site):
    """What the host sends begins the mapping's time anew."""
    host, server = site.host(10), site.remote(SERVER)
    site.says(host, 5000, server)
    first = site.kept_s("udp", host, 5000, server)
    time.sleep(2.5)
    site.says(host, 5000, server)
    again = site.kept_s("udp", host, 5000, server)
    check(0 < first <= again + 1.5, "it is kept for %.1f s, and for %.1f after another datagram" % (first, again))


@must(conflict=True)
def rfc4787_req7_uplink_with_the_lans_numbers(site):
    """The world is reached by an uplink whose network has the LAN's numbers."""
    host, server = site.host(10), site.remote(SERVER)
    up = site.says(host, 5000, server)
    same(up.src, site.external, "external address")
    site.hears(server, 443, up.sport, host, 5000)


@must(conflict=True)
def rfc4787_req7_error_from_a_router_with_a_lan_number(site):
    """Time Exceeded from a router of that network reaches the host that it is about."""
    host, server, router = site.host(10), site.remote(SERVER), site.remote(site.next_hop)
    up = site.says(host, 5000, server)
    router.send(router.error(site.external, wire.TIME_EXCEEDED, 0, up))
    site.expect(site.lan, lambda p: p.quote and p.dst == host.address, "Time Exceeded")


@must(conflict=True)
def rfc4787_req7_external_node_with_a_lan_number(site):
    """A node of that network itself is reached by a host that sends to it by the gateway, and heard."""
    host = site.host(10)
    node = site.carrier.add("192.168.50.200", bytes.fromhex("02005e2000c8"))
    up = site.says(host, 5000, node)
    site.hears(node, 443, up.sport, host, 5000)


@should()
def rfc4787_req8_filter_is_endpoint_independent_or_by_address(site):
    """Whoever was spoken to is heard from another of its ports too."""
    host, server = site.host(10), site.remote(SERVER)
    up = site.says(host, 5000, server)
    site.hears(server, 1, up.sport, host, 5000)


@other(filtering="endpoint-independent")
def rfc4787_req8_filter_endpoint_independent(site):
    """Where that is configured, strangers are heard."""
    host = site.host(10)
    up = site.says(host, 5000, site.remote(SERVER))
    site.hears(site.remote(STRANGER), 7, up.sport, host, 5000)


@other(filtering="address-dependent")
def rfc4787_req8_filter_address_dependent(site):
    """Where that is configured, whoever was spoken to is heard from all its ports, and nobody else."""
    host, server, stranger = site.host(10), site.remote(SERVER), site.remote(STRANGER)
    up = site.says(host, 5000, server)
    site.hears(server, 1, up.sport, host, 5000)
    site.refuse(stranger, stranger.udp(443, (site.external, up.sport)), what="a stranger's datagram")
    site.quiet("an answer")


@other(filtering="address-and-port-dependent")
def rfc4787_req8_filter_address_and_port_dependent(site):
    """Where that is configured, only the endpoints that were spoken to are heard."""
    host, server, stranger = site.host(10), site.remote(SERVER), site.remote(STRANGER)
    up = site.says(host, 5000, server)
    site.hears(server, 443, up.sport, host, 5000)
    site.refuse(server, server.udp(1, (site.external, up.sport)), what="a datagram from another port")
    site.refuse(stranger, stranger.udp(443, (site.external, up.sport)), what="a stranger's datagram")
    site.quiet("an answer")


def meet(site, a, b, server):
    """Both have a mapping and have sent to the other's. Returns the external ports."""
    a_port, b_port = site.says(a, 7000, server).sport, site.says(b, 8000, server).sport
    a.send(a.udp(7000, (site.external, b_port)))
    b.send(b.udp(8000, (site.external, a_port)))
    site.clear()
    return a_port, b_port


def hairpin(site, a, b):
    a_port, b_port = meet(site, a, b, site.remote(SERVER))
    for one, port, mine, his, other_one, other_port in ((a, 7000, a_port, b_port, b, 8000), (b, 8000, b_port, a_port, a, 7000)):
        got = site.cross(one, one.udp(port, (site.external, his)), to=other_one.wire)
        same((got.src, got.sport), (site.external, mine), "source of a hairpinned datagram")
        same((got.dst, got.dport), (other_one.address, other_port), "its destination")


@must()
def rfc4787_req9_hairpinning_with_external_source(site):
    """Two hosts of a LAN that both speak to the other's external endpoint hear each other, from the external endpoint."""
    hairpin(site, site.host(10), site.host(11))


@must(lan_to_lan=True)
def rfc4787_req9_hairpinning_between_lans(site):
    """So do hosts of two LANs."""
    hairpin(site, site.host(10), site.host2(20))


@must()
def rfc4787_req9_fragments_are_hairpinned(site):
    """Fragments too are hairpinned, out of order too."""
    a, b = site.host(10), site.host(11)
    _, b_port = meet(site, a, b, site.remote(SERVER))
    data = bytes(range(200)) * 2
    segment = wire.udp((a.address, 7000), (site.external, b_port), data)
    a.send(*wire.fragments(a.address, site.external, UDP, segment, 77, PIECE)[::-1])
    same(gather(site, site.lan, len(segment))[8:], data, "the datagram put together")


@should()
def rfc4787_req10_payloads_are_nobodys_business(site):
    """A SIP message that speaks of addresses leaves as it came."""
    host, server = site.host(10), site.remote(SERVER)
    sip = (b"REGISTER sip:203.0.113.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.168.50.10:5060;branch=z9hG4bK1\r\n"
           b"Contact: <sip:a@192.168.50.10:5060>\r\nContent-Length: 0\r\n\r\n")
    site.cross(host, host.udp(5060, (server.address, 5060), sip))


@must()
def rfc4787_req11_a_neighbours_session_does_not_change_the_mapping(site):
    """A host that speaks with a server after another host did, from the same port, has its one external endpoint there too."""
    a, b = site.host(10), site.host(11)
    site.says(a, 5000, site.remote(SERVER))
    ports = [site.says(b, 5000, site.remote(address)).sport for address in (SERVER_B, SERVER, SERVER_C)]
    same(len(set(ports)), 1, "external ports %s: their number" % ports)


@must()
def rfc4787_req11_neighbours_change_no_mapping(site):
    """What is mapped stays as it is while other hosts ask for the same port, and after that."""
    b, server = site.host(11), site.remote(SERVER)
    site.says(site.host(10), 5000, server)
    port = site.says(b, 5000, server).sport
    for i in range(12, 18):
        site.says(site.host(i), 5000, server)
        same(site.says(b, 5000, server).sport, port, "external port of a session that is there")
        site.hears(server, 443, port, b, 5000)


@must()
def rfc4787_req12_icmp_ends_no_mapping(site):
    """After errors of each type and code, from whatever address, the server is heard as before."""
    host, server = site.host(10), site.remote(SERVER)
    up = site.says(host, 5000, server)
    for sender in (ROUTER, SERVER, "10.1.1.1", "100.64.0.1"):
        router = site.remote(sender)
        for kind, codes in ((3, 16), (4, 1), (11, 2), (12, 1)):
            router.send(*[router.error(site.external, kind, code, up) for code in range(codes)])
    site.clear()
    site.hears(server, 443, up.sport, host, 5000)
    same(site.says(host, 5000, server).sport, up.sport, "external port afterwards")


@should()
def rfc4787_req12b_unreachables_arrive(site):
    """Destination Unreachable of each code reaches the host, with the quote in its terms."""
    host, server, router = site.host(10), site.remote(SERVER), site.remote(ROUTER)
    up = site.says(host, 5000, server)
    for code in range(16):
        router.send(router.error(site.external, wire.UNREACHABLE, code, up, b"\0\0\5\x78"))
        got = site.expect(site.lan, lambda p: p.kind == wire.UNREACHABLE and p.code == code, "code %d" % code)
        same((got.dst, got.quote.src, got.quote.sport), (host.address, host.address, 5000), "whom code %d is about" % code)


@must(uplink_mtu=1400)
def rfc4787_req13_fragmentation_needed(site):
    """A packet with DF that is too large for the uplink is answered with Fragmentation Needed and the MTU; what fits goes."""
    host, server = site.host(10), site.remote(SERVER)
    site.says(host, 5000, server)
    packet = host.udp(5000, (SERVER, 443), bytes(1373), fragment=wire.DONT_FRAGMENT)
    host.send(packet)
    got = site.expect(site.lan, lambda p: p.quote, "Fragmentation Needed")
    same((got.kind, got.code, got.mtu), (wire.UNREACHABLE, 4, 1400), "type, code, MTU")
    same((got.quote.src, got.quote.sport, got.quote.dst), (host.address, 5000, SERVER), "whom it is about")
    site.cross(host, host.udp(5000, (SERVER, 443), bytes(1372), fragment=wire.DONT_FRAGMENT))
    site.quiet("something else")


def gather(site, end, n_octets, in_order=False):
    """Payload of a fragmented datagram as it came; where pieces overlap the last one counts."""
    pieces = []

    def is_whole():
        ends = [p for p in pieces if not p.fragment & wire.MORE_FRAGMENTS]
        return ends and {o for p in pieces for o in range(p.offset, p.offset + len(p.l4), 8)} == set(range(0, n_octets, 8))
    while not is_whole():
        pieces.append(site.expect(end, lambda p: p.is_fragment, "a fragment (of %d octets, %d have come)"
                                  % (n_octets, sum(len(p.l4) for p in pieces))))
        same(pieces[-1].identification, pieces[0].identification, "identification of a fragment")
    if in_order:
        same([p.offset for p in pieces], sorted(p.offset for p in pieces), "order of the fragments")
    data = bytearray(n_octets)
    for p in pieces:
        data[p.offset:p.offset + len(p.l4)] = p.l4
    whole = Packet(wire.ipv4(pieces[0].src, pieces[0].dst, pieces[0].protocol, bytes(data)))
    check(not whole.faults(), "the datagram put together has a wrong checksum: %s" % whole.faults())
    return bytes(data)


@must(uplink_mtu=1400)
def rfc4787_req13a_fragmented_upwards(site):
    """A packet without DF that is too large for the uplink goes in fragments, in order."""
    host = site.host(10)
    data = bytes(range(184)) * 8
    host.send(host.udp(5000, (SERVER, 443), data))
    same(gather(site, site.carrier, len(data) + 8, in_order=True)[8:], data, "the datagram")


@must(lan_mtu=1400)
def rfc4787_req13a_fragmented_downwards(site):
    """So does one that is too large for the LAN."""
    host, server = site.host(10), site.remote(SERVER)
    up = site.says(host, 5000, server)
    data = bytes(range(184)) * 8
    server.send(server.udp(443, (site.external, up.sport), data))
    same(gather(site, site.lan, len(data) + 8, in_order=True)[8:], data, "the datagram")


def arrange(pieces, order):
    return [pieces[i] for i in order]


@must()
def rfc4787_req14_fragments_in_every_order_upwards(site):
    """A datagram in four fragments passes in each of the 24 orders."""
    host = site.host(10)
    for n, order in enumerate(itertools.permutations(range(4))):
        data = bytes([n]) * (4 * PIECE - 8)
        segment = wire.udp((host.address, 5000), (SERVER, 443), data)
        host.send(*arrange(wire.fragments(host.address, SERVER, UDP, segment, 1000 + n, PIECE), order))
        same(gather(site, site.carrier, len(segment))[8:], data, "the datagram in order %s" % (order,))
        site.clear()


@must()
def rfc4787_req14_fragments_in_every_order_downwards(site):
    """So does the answer."""
    host, server = site.host(10), site.remote(SERVER)
    port = site.says(host, 5000, server).sport
    for n, order in enumerate(itertools.permutations(range(4))):
        data = bytes([n]) * (4 * PIECE - 8)
        segment = wire.udp((SERVER, 443), (site.external, port), data)
        server.send(*arrange(wire.fragments(SERVER, site.external, UDP, segment, 1000 + n, PIECE), order))
        same(gather(site, site.lan, len(segment))[8:], data, "the datagram in order %s" % (order,))
        site.clear()


@must()
def rfc4787_req14_fragments_of_tcp_and_echo_reversed(site):
    """Fragments of TCP segments and of echo pass in reverse, both ways, for a host whose port and identifier are replaced."""
    a, b, server = site.host(10), site.host(11), site.remote(SERVER)
    for host in (a, b):
        syn = site.cross(host, host.tcp(5000, (SERVER, 80), wire.SYN, 100))
        site.cross(server, server.tcp(80, (site.external, syn.sport), wire.SYN | wire.ACK, 900, 101))
        echo = site.cross(host, host.echo(7, SERVER))
    data = bytes(range(100)) * 2
    for up, down, protocol in (
            (wire.tcp((b.address, 5000), (SERVER, 80), wire.ACK, 101, 901, data),
             wire.tcp((SERVER, 80), (site.external, syn.sport), wire.ACK, 901, 101, data), wire.TCP),
            (wire.echo(7, data), wire.echo(echo.sport, data, kind=wire.ECHO_REPLY), wire.ICMP)):
        b.send(*wire.fragments(b.address, SERVER, protocol, up, 5, PIECE)[::-1])
        gather(site, site.carrier, len(up))
        server.send(*wire.fragments(SERVER, site.external, protocol, down, 6, PIECE)[::-1])
        gather(site, site.lan, len(down))


@other()
def rfc4787_req14_overlapping_fragments_leave_to_the_host(site):
    """Fragments that overlap reach the end host under one translation, for it to judge."""
    host = site.host(10)
    segment = wire.udp((host.address, 5000), (SERVER, 443), bytes(184))
    pieces = wire.fragments(host.address, SERVER, UDP, segment, 9, PIECE)
    pieces.insert(1, wire.ipv4(host.address, SERVER, UDP, segment[56:120], 9, wire.MORE_FRAGMENTS | 7))
    host.send(*pieces)
    for _ in pieces:
        same(site.expect(site.carrier, lambda p: p.is_fragment, "a fragment").src, site.external, "its source")


@must()
def rfc4787_req14_the_largest_datagram_reversed(site):
    """A datagram of 64 kB in reverse order is a flow's first packet."""
    host = site.host(10)
    segment = wire.udp((host.address, 5000), (SERVER, 443), bytes(65507))
    host.send(*wire.fragments(host.address, SERVER, UDP, segment, 9, 1480)[::-1])
    gather(site, site.carrier, len(segment))


def flood(sender, to, identifications):
    """Later fragments of datagrams whose first never comes."""
    sender.send(*[wire.ipv4(sender.address, to, UDP, bytes(64), i, wire.MORE_FRAGMENTS | 8) for i in identifications])


def flood_and_try(site, sender, to):
    host, server = site.host(10), site.remote(SERVER)
    port = site.says(host, 5000, server).sport
    for n in range(5):
        flood(sender, to, range(2000 * n, 2000 * (n + 1)))
        site.settle()
        site.says(host, 5000, server)
        site.hears(server, 443, port, host, 5000)
        segment = wire.udp((SERVER, 443), (site.external, port), bytes([n]) * 184)
        server.send(*wire.fragments(SERVER, site.external, UDP, segment, 1000 + n, PIECE))
        gather(site, site.lan, len(segment))
        site.clear()


@must()
def rfc4787_req14a_flood_of_fragments_from_outside(site):
    """10000 fragments of nothing from outside cost nobody his packets, nor fragments that come in order."""
    flood_and_try(site, site.remote(STRANGER), site.external)


@must()
def rfc4787_req14a_flood_of_fragments_from_inside(site):
    """10000 fragments of nothing from one host cost no other his packets, nor fragments that come in order."""
    flood_and_try(site, site.host(66), SERVER)


def identifications(site, make):
    """Of the fragments that leave for two hosts."""
    found = []
    for host in (site.host(10), site.host(11)):
        host.send(*make(host))
        found.append(site.expect(site.carrier, lambda p: p.is_fragment and p.offset == 0, "a first fragment").identification)
        site.clear()
    return found


@should()
def rfc7857_s9_fragments_of_two_hosts_share_no_identification(site):
    """Fragmented datagrams of two hosts to one server do not leave with the same identification."""
    a, b = identifications(site, lambda host: wire.fragments(
        host.address, SERVER, UDP, wire.udp((host.address, 5000), (SERVER, 443), bytes(120)), 4711, PIECE))
    check(a != b, "both left with %d" % a)


@should(uplink_mtu=1400)
def rfc7857_s9_fragments_made_by_the_gateway_share_none(site):
    """Nor do those of datagrams that the gateway fragments."""
    a, b = identifications(site, lambda host: [host.udp(5000, (SERVER, 443), bytes(1472), identification=4711)])
    check(a != b, "both left with %d" % a)
