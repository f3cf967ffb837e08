# SPDX-License-Identifier: BSD-3-Clause
"""RFC 1812: routers, and what came after it."""
import struct
import time

import wire
from checks import check, must, other, same, should
from checks.rfc4787 import gather
from lab import GATEWAY, LAN2_NET
from site_of_wires import BROADCAST, CALM_S, ROUTER, SERVER, STRANGER, Node, unique
from wire import DONT_FRAGMENT, ECHO_REPLY, TIME_EXCEEDED, UDP, UNREACHABLE

RESERVED = 0x8000
GROUP = bytes.fromhex("01005e010203")


def spoofed(node, address):
    """As if the node had this address."""
    return Node(node.wire, address, node.mac)


def refuse_octets(site, node, needle, *packets, what, to_mac=None):
    """Nothing that has these octets in it goes anywhere, be it the packet or an error about it."""
    node.send(*packets, to_mac=to_mac)
    site.settle()
    time.sleep(CALM_S)
    for end in site.wires:
        came = end.pick(lambda p: needle in p.raw, 0)
        check(came is None, "%s came to %s: %s" % (what, end.name, came))


def spoilt_headers(packet):
    """(what is wrong, the packet with it), each with the checksum its header ought to have, but for the one whose is wrong."""
    yield "version 6", wire.sum_header(b"\x65" + packet[1:])
    yield "a header of 16 octets", wire.sum_header(b"\x44" + packet[1:])
    yield "a wrong checksum", packet[:11] + bytes([packet[11] ^ 1]) + packet[12:]
    yield "a total length below the header's", wire.sum_header(packet[:2] + struct.pack("!H", 19) + packet[4:])
    yield "a total length beyond the frame", wire.sum_header(packet[:2] + struct.pack("!H", 1000) + packet[4:])
    yield "a header longer than the packet", wire.sum_header(b"\x4f" + packet[1:2] + struct.pack("!H", 40) + packet[4:40])


@must()
def rfc1812_s5_2_2_invalid_headers_are_dropped(site):
    """What is no IPv4 packet goes no further, in either direction."""
    host, server = site.host(10), site.remote(SERVER)
    up = site.says(host, 5000, server)
    for _ in range(2):
        for what, packet in spoilt_headers(host.udp(5000, (SERVER, 443), b"spoilt %d" % unique(), tos=4)):
            refuse_octets(site, host, b"spoilt", packet, what="a packet with " + what)
        for what, packet in spoilt_headers(server.udp(443, (site.external, up.sport), b"spoilt %d" % unique())):
            refuse_octets(site, server, b"spoilt", packet, what="a packet with " + what)


@must()
def rfc1812_s4_2_2_3_service_bits_and_the_reserved_flag_pass_unchanged(site):
    """Each of the 256 values of the service octet passes as it is, and so does the reserved flag."""
    host = site.host(10)
    for tos in range(256):
        got = site.cross(host, host.udp(5000, (SERVER, 443), tos=tos, fragment=RESERVED | DONT_FRAGMENT))
        same((got.tos, got.fragment), (tos, RESERVED | DONT_FRAGMENT), "service octet and flags")


@other()
def rfc1812_s5_2_wrong_transport_checksums_stay_wrong(site):
    """A wrong transport checksum is the end host's to find: the packet leaves translated, and as wrong as it was."""
    host = site.host(10)
    for packet in (host.udp(5000, (SERVER, 443)), host.tcp(5000, (SERVER, 443), wire.SYN), host.echo(5, SERVER)):
        at = {wire.UDP: 26, wire.TCP: 36, wire.ICMP: 22}[packet[9]]
        got = site.cross(host, packet[:at] + bytes([packet[at] ^ 0x55]) + packet[at + 1:], is_sound=False)
        same(got.src, site.external, "source")
        check(not got.has_true_l4_checksum(), "the wrong checksum was made right")


@must(uplink_mtu=600)
def rfc1812_s4_2_2_7_fragments_are_fragmented_again(site):
    """A fragment that is too large for the uplink goes in smaller ones."""
    host = site.host(10)
    segment = wire.udp((host.address, 5000), (SERVER, 443), bytes(range(250)) * 8)
    host.send(*wire.fragments(host.address, SERVER, UDP, segment, 9, 1000))
    same(gather(site, site.carrier, len(segment))[8:], segment[8:], "the datagram put together")


@must()
def rfc1812_s5_3_1_the_ttl_falls_by_one(site):
    """The TTL falls by one, in either direction."""
    host, server = site.host(10), site.remote(SERVER)
    for ttl in (2, 64, 255):
        up = site.cross(host, host.udp(5000, (SERVER, 443), ttl=ttl))
        same(up.ttl, ttl - 1, "TTL upwards")
        down = site.cross(server, server.udp(443, (site.external, up.sport), ttl=ttl))
        same(down.ttl, ttl - 1, "TTL downwards")


@must()
def rfc1812_s5_3_1_ttl_0_and_1_go_no_further(site):
    """A packet with TTL 0 or 1 is not forwarded, in either direction."""
    host, server = site.host(10), site.remote(SERVER)
    up = site.says(host, 5000, server)
    for ttl in (0, 1):
        site.refuse(host, host.udp(5000, (SERVER, 443), ttl=ttl), what="TTL %d" % ttl)
        site.refuse(server, server.udp(443, (site.external, up.sport), ttl=ttl), what="TTL %d" % ttl)


@must()
def rfc1812_s4_2_2_9_the_ttl_of_what_is_for_the_gateway_does_not_matter(site):
    """Echo for the gateway is answered whatever its TTL."""
    host = site.host(10)
    host.send(host.echo(9, GATEWAY, ttl=1))
    site.expect(site.lan, lambda p: p.kind == ECHO_REPLY, "the reply")


def error_about_its_end(site, host, data=b"", **header):
    packet = host.udp(5000, (SERVER, 443), data, ttl=1, **header)
    host.send(packet)
    return site.expect(host.wire, lambda p: p.quote, "Time Exceeded"), packet


@should()
def rfc1812_s4_3_2_3_an_error_quotes_as_much_as_fits_into_576_octets(site):
    """An error quotes as much of its packet as fits into 576 octets, as it came."""
    for size in (0, 100, 520, 521, 1400):
        got, packet = error_about_its_end(site, site.host(10), bytes(size))
        same(len(got.raw), min(576, len(packet) + 28), "octets of an error about %d" % len(packet))
        same(got.l4[8:].hex(), packet[:len(got.raw) - 28].hex(), "what it quotes")


@must()
def rfc1812_s4_3_2_4_an_error_comes_from_the_interface_it_leaves_by(site):
    """An error's source is an address of the interface by which it leaves."""
    same(error_about_its_end(site, site.host(10))[0].src, GATEWAY, "source on the first LAN")
    same(error_about_its_end(site, site.host2(20))[0].src, LAN2_NET + "1", "source on the second LAN")


@should()
def rfc1812_s4_3_2_5_an_error_has_precedence_6_or_7(site):
    """An error has precedence 6 or 7."""
    got = error_about_its_end(site, site.host(10))[0]
    check(got.tos >> 5 >= 6, "its precedence is %d" % (got.tos >> 5))


@must()
def rfc1812_s4_3_2_7_no_error_about_what_must_not_cause_one(site):
    """Nothing is said about errors, later fragments, broadcasts, groups and sources that are no host's, whose TTL ends."""
    host = site.host(10)
    quoted = wire.ipv4(SERVER, host.address, UDP, wire.udp((SERVER, 443), (host.address, 5000), b""))
    host.send(host.error(SERVER, UNREACHABLE, 1, quoted, ttl=1), host.error(SERVER, TIME_EXCEEDED, 0, quoted, ttl=1),
              host.ip(SERVER, UDP, bytes(8), fragment=8, ttl=1),
              host.udp(5000, ("224.1.2.3", 443), ttl=1), host.udp(5000, ("255.255.255.255", 443), ttl=1))
    for mac in (BROADCAST, GROUP):
        host.send(host.udp(5000, (SERVER, 443), ttl=1), to_mac=mac)
    for source in ("0.0.0.0", "127.0.0.1", "224.0.0.9", "255.255.255.255", "192.168.50.255"):
        other_one = spoofed(host, source)
        other_one.send(other_one.udp(5000, (SERVER, 443), ttl=1))
    site.quiet("an error")


@should()
def rfc1812_s4_3_2_8_errors_are_limited_in_rate(site):
    """Of 400 packets whose TTL ends within a moment not each is answered."""
    host = site.host(10)
    start = time.monotonic()
    host.send(*[host.udp(5000, (SERVER, 443), ttl=1) for _ in range(400)])
    site.settle()
    n = len([p for p in site.lan.packets if p.quote])
    check(0 < n < 200 + 100 * (time.monotonic() - start), "%d of 400 were answered" % n)


@must()
def rfc1812_s4_3_3_5_a_malformed_option_is_told_as_a_parameter_problem(site):
    """An option whose length makes no sense is answered with Parameter Problem, pointing at it."""
    host = site.host(10)
    host.send(host.udp(5000, (SERVER, 443), options=bytes([1, 1, 1, 7, 60, 4, 0, 0])))
    got = site.expect(site.lan, lambda p: p.quote, "Parameter Problem")
    same((got.kind, got.code), (12, 0), "type and code")
    check(got.l4[4] in (23, 24), "its pointer is %d" % got.l4[4])


@other()
def rfc1812_s5_2_1_frames_for_other_stations_are_let_alone(site):
    """What is in a frame to another station is neither forwarded nor answered: datagrams, echo, a TTL that ends, bad options."""
    host = site.host(10)
    site.says(host, 5000, site.remote(SERVER))
    host.send(host.udp(5000, (SERVER, 443)), host.udp(5000, (SERVER, 443), ttl=1), host.echo(9, GATEWAY),
              host.udp(5000, (SERVER, 443), options=bytes([1, 1, 1, 7, 60, 4, 0, 0])), to_mac=bytes.fromhex("02005e999999"))
    site.quiet("something was done about it")


@must()
def rfc1812_s4_3_3_6_echo_is_answered_at_every_address_from_inside(site):
    """Echo from a LAN is answered at each of the gateway's addresses, from that address."""
    host = site.host(10)
    for address in (GATEWAY, LAN2_NET + "1", site.external):
        host.send(host.echo(9, address))
        got = site.expect(site.lan, lambda p: p.kind == ECHO_REPLY, "the reply of %s" % address)
        same((got.src, got.dst), (address, host.address), "source and destination")


@must(slow_s=8)
def rfc1812_s5_2_7_1_a_next_hop_that_does_not_answer_is_told(site):
    """A packet whose next hop does not answer ARP is answered with Host Unreachable."""
    host = site.host(10)
    packet = host.udp(5000, (site.external_net + "99", 443))
    host.send(packet)
    got = site.lan.pick(lambda p: p.quote, 60)
    check(got is not None, "nothing is said")
    check(not got.faults(), "wrong checksum: %s" % got.faults())
    same((got.kind, got.code), (UNREACHABLE, 1), "type and code")
    same((got.quote.src, got.quote.sport), (host.address, 5000), "whom it is about")


@must(lan_to_lan=True)
def rfc1812_s5_2_7_2_a_packet_for_a_neighbour_is_led_there_with_a_redirect(site):
    """A packet for a host of its sender's LAN is led there, and its sender told of the shorter way."""
    a, b = site.host(10), site.host(11)
    for _ in range(5):  # whoever tells at all may be sparing with it
        site.cross(a, a.udp(5000, (b.address, 443)), to=site.lan)
        time.sleep(0.2)
    got = site.expect(site.lan, lambda p: p.kind == 5, "the redirect")
    same((got.code in (0, 1), got.dst, wire.socket.inet_ntoa(got.l4[4:8])), (True, a.address, b.address), "the redirect")


@must()
def rfc1812_s5_3_4_link_layer_broadcasts_are_not_forwarded(site):
    """A packet in a frame to all stations or to a group is not forwarded."""
    host = site.host(10)
    site.says(host, 5000, site.remote(SERVER))
    for mac in (BROADCAST, GROUP):
        packet = host.udp(5000, (SERVER, 443), b"to everyone")
        refuse_octets(site, host, b"to everyone", packet, to_mac=mac, what="such a packet")


@must(lan_to_lan=True)
def rfc1812_s5_3_5_broadcasts_are_not_forwarded(site):
    """Limited broadcasts, and the LANs' broadcasts from outside, are not forwarded."""
    host, server = site.host(10), site.remote(SERVER)
    site.host2(20)
    site.says(host, 5000, server)
    site.refuse(host, host.udp(5000, ("255.255.255.255", 443)), host.udp(5000, ("192.168.50.255", 443)), what="a broadcast")
    for address in ("255.255.255.255", "192.168.50.255", "192.168.60.0"):
        site.refuse(server, server.udp(443, (address, 5000)), what="a datagram to %s" % address)


@must(lan_to_lan=True)
def rfc2644_directed_broadcasts_to_another_lan_are_not_forwarded(site):
    """A directed broadcast to another LAN is not forwarded, nor one in its old form."""
    host, neighbour = site.host(10), site.host2(20)
    site.cross(host, host.udp(5000, (neighbour.address, 443)), to=site.lan2)
    for address in (LAN2_NET + "255", LAN2_NET + "0"):
        site.refuse(host, host.udp(5000, (address, 443)), what="a datagram to %s" % address)


def refuse_addresses(site, addresses):
    host, server = site.host(10), site.remote(SERVER)
    up = site.says(host, 5000, server)
    for address in addresses:
        one, far = spoofed(host, address), spoofed(server, address)
        refuse_octets(site, host, b"to a martian", host.udp(5000, (address, 443), b"to a martian"),
                      what="a datagram to " + address)
        refuse_octets(site, host, b"by a martian", one.udp(5000, (SERVER, 443), b"by a martian"),
                      what="a datagram from " + address)
        refuse_octets(site, server, b"by a martian", far.udp(443, (site.external, up.sport), b"by a martian"),
                      what="a datagram from outside, from " + address)
        refuse_octets(site, server, b"to a martian", server.udp(443, (address, 5000), b"to a martian"),
                      what="a datagram from outside, to " + address)


@should()
def rfc1812_s5_3_7_martians_are_not_forwarded(site):
    """Nothing from or to addresses that no host may have is forwarded or answered."""
    refuse_addresses(site, ("0.0.0.1", "0.255.255.255", "127.0.0.1", "127.255.1.1", "240.0.0.1", "255.255.255.254"))


@must()
def rfc3927_s7_link_local_addresses_are_not_forwarded(site):
    """Nothing from or to a link-local address is forwarded."""
    host, server = site.host(10), site.remote(SERVER)
    site.says(host, 5000, server)
    for address in ("169.254.0.1", "169.254.169.254"):
        one = spoofed(host, address)
        site.refuse(host, host.udp(5000, (address, 443)), what="a datagram to " + address)
        site.refuse(host, one.udp(5000, (SERVER, 443)), what="a datagram from " + address)


@should()
def rfc1812_s5_3_8_sources_of_other_networks_are_not_forwarded(site):
    """A source must be of the network that it comes from."""
    host, server = site.host(10), site.remote(SERVER)
    up = site.says(host, 5000, server)
    for address in (LAN2_NET + "20", "10.9.8.7", GATEWAY, site.external, STRANGER):
        one = spoofed(host, address)
        site.refuse(host, one.udp(5000, (SERVER, 443)), what="a datagram of %s from the LAN" % address)
    for address in (host.address, GATEWAY, LAN2_NET + "20", site.external):
        one = spoofed(server, address)
        site.refuse(server, one.udp(443, (site.external, up.sport)), what="a datagram of %s from outside" % address)


@should()
def rfc7126_s4_3_source_routes_are_dropped(site):
    """A packet with a source route, loose or strict, is not forwarded."""
    host = site.host(10)
    for options in (bytes([131, 7, 4, 203, 0, 113, 9, 0]), bytes([137, 7, 4, 203, 0, 113, 9, 0]),
                    bytes([131, 7, 8, 203, 0, 113, 9, 0]), bytes([1, 137, 7, 4, 203, 0, 113, 9])):
        site.refuse(host, host.udp(5000, (SERVER, 443), options=options), what="a packet with the options %s" % options.hex())


@must()
def rfc1812_s4_2_2_1_other_options_pass_unchanged(site):
    """Padding, Router Alert and options that a router does not know pass as they are."""
    host = site.host(10)
    for options in (bytes([1, 1, 1, 1, 1, 1, 1, 0]), bytes([148, 4, 0, 0, 0, 0, 0, 0]), bytes([0x9e, 8, 1, 2, 3, 4, 5, 6])):
        got = site.cross(host, host.udp(5000, (SERVER, 443), options=options), may_fail=True)
        check(got is not None, "a packet with the options %s does not pass" % options.hex())
        same(got.options.hex(), options.hex(), "options")


@should()
def rfc6918_deprecated_messages_are_not_answered(site):
    """The gateway answers no ICMP message that is deprecated."""
    host = site.host(10)
    for kind in (4, 6, 15, 16, 17, 18, *range(30, 40)):
        host.send(host.ip(GATEWAY, wire.ICMP, wire.icmp(kind, 0, struct.pack("!HH", 7, 1), bytes(12))))
    site.quiet("an answer")


@must(uplink_mtu=1280)
def rfc1191_fragmentation_needed_says_the_mtu_of_the_next_hop(site):
    """Fragmentation Needed about TCP and echo says the MTU of the next hop."""
    one, other_one = site.host(10), site.host(11)
    for host, packet in ((one, one.tcp(5000, (SERVER, 443), wire.SYN, data=bytes(1300), fragment=DONT_FRAGMENT)),
                         (other_one, other_one.echo(5, SERVER, bytes(1300), fragment=DONT_FRAGMENT))):
        host.send(packet)
        got = site.expect(site.lan, lambda p: p.quote, "Fragmentation Needed")
        same((got.kind, got.code, got.mtu, got.l4[4:6]), (UNREACHABLE, 4, 1280, b"\0\0"), "type, code, MTU, unused octets")
        same(got.quote.raw[:20].hex(), packet[:20].hex(), "header that it quotes")
        same(got.dst, host.address, "whom it is told")


@must()
def rfc8900_fragmentation_needed_from_outside_arrives_with_its_mtu(site):
    """Fragmentation Needed from a router with a private address reaches the host, with its MTU."""
    host = site.host(10)
    left = site.cross(host, host.tcp(5000, (SERVER, 443), wire.SYN, fragment=DONT_FRAGMENT))
    for address in (ROUTER, "10.0.0.1"):
        router = site.remote(address)
        router.send(router.error(site.external, UNREACHABLE, 4, left, b"\0\0" + struct.pack("!H", 872)))
        got = site.expect(site.lan, lambda p: p.quote, "Fragmentation Needed from %s" % address)
        same((got.dst, got.mtu), (host.address, 872), "whom it is told, and which MTU")
        same((got.quote.src, got.quote.sport), (host.address, 5000), "whom it is about")


@should()
def rfc8900_fragments_pass_also_where_they_begin_a_flow(site):
    """A fragmented datagram passes both ways, as the first that is said."""
    host, server = site.host(10), site.remote(SERVER)
    data = bytes(range(200)) * 10
    segment = wire.udp((host.address, 5000), (SERVER, 443), data)
    host.send(*wire.fragments(host.address, SERVER, UDP, segment, 8, 1000))
    came = site.expect(site.carrier, lambda p: p.is_fragment and p.offset == 0, "the first fragment")
    down = wire.udp((SERVER, 443), (site.external, came.sport), data)
    server.send(*wire.fragments(SERVER, site.external, UDP, down, 8, 1000))
    same(gather(site, site.lan, len(down))[8:], data, "the answer")
