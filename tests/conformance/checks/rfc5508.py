# SPDX-License-Identifier: BSD-3-Clause
"""RFC 5508: NAT and ICMP."""
import struct
import time

import wire
from checks import check, must, other, same, should
from packets import Packet
from site_of_wires import ROUTER, SERVER, SERVER_B, STRANGER
from wire import ECHO_REPLY, TIME_EXCEEDED, UNREACHABLE

IDLE_S = 32
TIMESTAMP, TIMESTAMP_REPLY = 13, 14
ERRORS = ((UNREACHABLE, 1), (UNREACHABLE, 3), (4, 0), (TIME_EXCEEDED, 0), (12, 0))
PORT = 5000


def saying(host, protocol, data=bytes(range(40)), **header):
    """What a host says to SERVER, to be quoted by an error."""
    if protocol == wire.UDP:
        return host.udp(PORT, (SERVER, 443), data, **header)
    if protocol == wire.TCP:
        return host.tcp(PORT, (SERVER, 443), wire.SYN, 1000, 0, **header)
    return host.echo(PORT, SERVER, data, **header)


def sayings(site, **header):
    """For each protocol (host, packet as it left the host, packet as it left the gateway), of a host whose port is replaced."""
    for protocol in (wire.UDP, wire.TCP, wire.ICMP):
        site.cross(site.host(10), saying(site.host(10), protocol))
        host = site.host(11)
        said = saying(host, protocol, bytes(range(44)), **header)
        yield host, Packet(said), site.cross(host, said)


def answer(site, left):
    """What SERVER answers to what left, for the host that said it."""
    server = site.remote(SERVER)
    if left.protocol == wire.UDP:
        return server.udp(443, (site.external, left.sport), b"answer")
    if left.protocol == wire.TCP:
        return server.tcp(443, (site.external, left.sport), wire.SYN | wire.ACK, 9000, 1001)
    return server.echo(left.sport, site.external, b"answer", kind=ECHO_REPLY)


def expect_error(site, end, sender, to, error, quoted):
    """An error of (kind, code) from `sender` to `to` about the packet `quoted`, all checksums true."""
    got = site.expect(end, lambda p: p.quote and (p.kind, p.code) == error, "error %s about %s" % (error, quoted))
    same((got.src, got.dst), (sender, to), "source and destination of the error")
    same((got.quote.src, got.quote.sport, got.quote.dst, got.quote.dport),
         (quoted.src, quoted.sport, quoted.dst, quoted.dport), "what it quotes")
    return got


@must()
def rfc5508_req1_queries_and_their_answers_pass(site):
    """Echo and timestamp pass, and so do their answers, for two hosts with the same identifier."""
    server = site.remote(SERVER)
    for host in (site.host(10), site.host(11)):
        stamps = bytes([host.mac[5]]) * 12
        for kind, reply, data in ((wire.ECHO_REQUEST, ECHO_REPLY, None), (TIMESTAMP, TIMESTAMP_REPLY, stamps)):
            up = site.cross(host, host.echo(7, SERVER, data, kind=kind))
            same(up.src, site.external, "external address")
            down = site.cross(server, server.echo(up.sport, site.external, data, kind=reply))
            same((down.dst, down.sport), (host.address, 7), "address and identifier of the answer")


@should()
def rfc5508_req1a_identifiers_are_endpoint_independent(site):
    """An identifier is mapped alike towards all, also where another host has the same."""
    for host in (site.host(10), site.host(11)):
        found = [site.cross(host, host.echo(7, server)).sport for server in (SERVER, SERVER_B, STRANGER)]
        same(len(set(found)), 1, "external identifiers %s: their number" % found)


@must()
def rfc5508_req2_query_timer_of_sixty_seconds(site):
    """A query is remembered for 60 seconds or more: as the gateway says."""
    host, server = site.host(10), site.remote(SERVER)
    site.cross(host, host.echo(7, SERVER))
    site.expect_kept(60, "icmp", host, 7, server, "a query")


@must(slow_s=IDLE_S)
def rfc5508_req2_an_answer_after_32_seconds_arrives(site):
    """An answer that takes 32 seconds arrives: in real time."""
    host, server = site.host(10), site.remote(SERVER)
    up = site.cross(host, host.echo(7, SERVER))
    time.sleep(IDLE_S)
    site.cross(server, server.echo(up.sport, site.external, kind=ECHO_REPLY))


def spoil(packet, at):
    return packet[:at] + bytes([packet[at] ^ 0x55]) + packet[at + 1:]


@should()
def rfc5508_req3_error_with_a_wrong_checksum_is_dropped(site):
    """An error whose ICMP checksum is wrong goes no further, in either direction, and is not answered."""
    router = site.remote(ROUTER)
    for host, _, left in sayings(site):
        came = site.cross(site.remote(SERVER), answer(site, left))
        site.refuse(router, spoil(router.error(site.external, UNREACHABLE, 1, left), 22), what="an error with a wrong checksum")
        site.refuse(host, spoil(host.error(SERVER, UNREACHABLE, 1, came), 22), what="an error with a wrong checksum")
    site.quiet("something was said about it")


@should()
def rfc5508_req3a_error_with_a_wrong_quoted_ip_checksum_is_dropped(site):
    """An error whose quoted IP header has a wrong checksum goes no further."""
    router = site.remote(ROUTER)
    for _, _, left in sayings(site):
        site.refuse(router, router.error(site.external, UNREACHABLE, 1, spoil(left.raw, 10)), what="such an error")
    site.quiet("something was said about it")


@must()
def rfc5508_req3b_the_quoted_packet_may_have_ip_options(site):
    """An error about a packet with IP options reaches the host, translated behind them."""
    router = site.remote(ROUTER)
    for host, said, left in sayings(site, options=bytes([1, 1, 1, 1, 148, 4, 0, 0])):
        router.send(router.error(site.external, TIME_EXCEEDED, 0, left))
        expect_error(site, site.lan, ROUTER, host.address, (TIME_EXCEEDED, 0), said)


@should()
def rfc5508_req3c_the_quoted_transport_checksum_is_not_validated(site):
    """An error whose quoted segment has a wrong checksum reaches the host."""
    router = site.remote(ROUTER)
    for host, _, left in sayings(site):
        at = {wire.UDP: 26, wire.TCP: 36, wire.ICMP: 22}[left.protocol]
        router.send(router.error(site.external, UNREACHABLE, 1, spoil(left.raw, at)))
        got = site.expect(site.lan, lambda p: p.quote and p.dst == host.address, "the error", is_sound=False)
        same(got.quote.sport, PORT, "quoted port")


@should()
def rfc5508_req3d_extensions_behind_the_quote_are_left_alone(site):
    """Extensions behind the quote (RFC 4884) arrive as they were."""
    extension = bytes([0x20, 0, 0xdf, 0xff, 0, 8, 1, 1, 0, 1, 0x23, 0x45])
    router = site.remote(ROUTER)
    for host, said, left in sayings(site):
        quoted = left.raw + bytes(128 - len(left.raw)) + extension
        router.send(router.error(site.external, TIME_EXCEEDED, 0, quoted, bytes([0, 32, 0, 0])))
        got = expect_error(site, site.lan, ROUTER, host.address, (TIME_EXCEEDED, 0), said)
        same((got.l4[5], got.l4[8 + 128:].hex()), (32, extension.hex()), "length field and extension")


@must()
def rfc5508_req4_errors_from_outside_are_told_in_the_hosts_terms(site):
    """Errors from outside about UDP, TCP and echo reach the host, the quote as the host sent it, all checksums true."""
    router = site.remote(ROUTER)
    for host, said, left in sayings(site):
        for kind, code in ERRORS:
            router.send(router.error(site.external, kind, code, left))
            expect_error(site, site.lan, ROUTER, host.address, (kind, code), said)


@must()
def rfc5508_req4_truncated_quotes_are_translated(site):
    """So do those that quote the first 8 octets of the transport, or any more."""
    router = site.remote(ROUTER)
    for host, said, left in sayings(site):
        for octets in range(28, len(left.raw)):
            router.send(router.error(site.external, UNREACHABLE, 1, left.raw[:octets]))
            got = expect_error(site, site.lan, ROUTER, host.address, (UNREACHABLE, 1), said)
            same(len(got.l4) - 8, octets, "octets that are quoted")


@should()
def rfc5508_req4_error_about_no_session_is_dropped(site):
    """Errors about nothing the gateway knows go no further, in either direction, and are not answered."""
    router, host = site.remote(ROUTER), site.host(10)
    nobody, server = site.remote(site.external), site.remote(SERVER)
    for protocol in (wire.UDP, wire.TCP, wire.ICMP):
        down = router.error(site.external, UNREACHABLE, 1, saying(nobody, protocol))
        up = host.error(SERVER, UNREACHABLE, 1, server.udp(443, (host.address, 77)))
        site.refuse(router, down, what="an error about nothing")
        site.refuse(host, up, what="an error about nothing")
    site.quiet("something was said about it")


@must()
def rfc5508_req5_errors_from_inside_are_told_in_the_servers_terms(site):
    """Errors of a host about what it got leave from the external address, the quote as the server sent it, checksums true."""
    for host, _, left in sayings(site):
        sent = answer(site, left)
        came = site.cross(site.remote(SERVER), sent)
        for kind, code in ERRORS:
            host.send(host.error(SERVER, kind, code, came))
            expect_error(site, site.carrier, site.external, SERVER, (kind, code), Packet(sent))


@must()
def rfc5508_req6_an_error_neither_ends_nor_refreshes_a_query(site):
    """After an error about a query its answer arrives, and the query's time has gone on."""
    host, server, router = site.host(10), site.remote(SERVER), site.remote(ROUTER)
    up = site.cross(host, host.echo(7, SERVER))
    time.sleep(2.5)
    before = site.gateway.seconds_left("icmp", host.address, 7, SERVER)
    router.send(router.error(site.external, UNREACHABLE, 1, up))
    site.expect(site.lan, lambda p: p.quote, "the error")
    after = site.gateway.seconds_left("icmp", host.address, 7, SERVER)
    check(0 < after <= before + 0.1, "%.1f s are left, and %.1f after an error" % (before, after))
    site.cross(server, server.echo(up.sport, site.external, kind=ECHO_REPLY))


@must()
def rfc5508_req7_errors_about_hairpinned_packets_reach_their_sender(site):
    """A host's error about a hairpinned datagram reaches who sent it, from the external address, the quote in its terms."""
    a, b, server = site.host(10), site.host(11), site.remote(SERVER)
    a_port, b_port = site.says(a, 7000, server).sport, site.says(b, 8000, server).sport
    a.send(a.udp(7000, (site.external, b_port)))
    site.clear()
    packet = b.udp(8000, (site.external, a_port))
    came = site.cross(b, packet, to=site.lan)
    a.send(a.error(came.src, UNREACHABLE, 3, came))
    expect_error(site, site.lan, site.external, b.address, (UNREACHABLE, 3), Packet(packet))


@should(per_device=1)
def rfc5508_req8_who_finds_no_room_is_told(site):
    """A session that cannot be for want of resources is answered with Unreachable, code 13."""
    host = site.host(10)
    site.says(host, 5000, site.remote(SERVER))
    packet = host.udp(5001, (SERVER, 443))
    host.send(packet)
    expect_error(site, site.lan, "192.168.50.1", host.address, (UNREACHABLE, 13), Packet(packet))


@must()
def rfc5508_req10a_time_exceeded_to_the_inside(site):
    """A host's packet whose TTL ends at the gateway is answered by it, in the host's terms."""
    for host, said, _ in sayings(site):
        packet = saying(host, said.protocol, b"its last hop", ttl=1)
        host.send(packet)
        expect_error(site, site.lan, "192.168.50.1", host.address, (TIME_EXCEEDED, 0), Packet(packet))


@must()
def rfc5508_req10a_time_exceeded_to_the_outside(site):
    """A server's packet whose TTL ends at the gateway is answered by it, in the server's terms."""
    server = site.remote(SERVER)
    for _, _, left in sayings(site):
        packet = answer(site, left)
        packet = wire.sum_header(packet[:8] + b"\1" + packet[9:])
        server.send(packet)
        expect_error(site, site.carrier, site.external, SERVER, (TIME_EXCEEDED, 0), Packet(packet))


@must(lan_mtu=1400)
def rfc5508_req10a_fragmentation_needed_to_the_outside(site):
    """A server's packet with DF that is too large for the LAN is answered with its MTU, in the server's terms."""
    host, server = site.host(10), site.remote(SERVER)
    site.says(site.host(11), 5000, server)
    up = site.says(host, 5000, server)
    packet = server.udp(443, (site.external, up.sport), bytes(1400), fragment=wire.DONT_FRAGMENT)
    server.send(packet)
    got = expect_error(site, site.carrier, site.external, SERVER, (UNREACHABLE, 4), Packet(packet))
    same(got.mtu, 1400, "MTU")


@must()
def rfc5508_req10a_echo_is_answered_on_the_lan(site):
    """The gateway answers echo at its LAN address, whole, also one of nothing but zeros."""
    host = site.host(10)
    for identifier, data in ((9, bytes(range(250)) * 5), (0, bytes(64)), (1, b"")):
        host.send(host.echo(identifier, "192.168.50.1", data))
        got = site.expect(site.lan, lambda p: p.kind == ECHO_REPLY, "the reply")
        same((got.src, got.dst, got.sport, got.data), ("192.168.50.1", host.address, identifier, data), "the reply")


@other()
def rfc5508_req9_nothing_of_the_gateway_answers_on_the_uplink(site):
    """Echo, datagrams and segments that nobody waits for are not answered on the uplink: the carrier bills answers."""
    stranger = site.remote(STRANGER)
    site.says(site.host(10), 5000, site.remote(SERVER))
    to = (site.external, 22)
    site.refuse(stranger, stranger.echo(7, site.external), stranger.udp(5, to), stranger.tcp(5, to, wire.SYN),
                stranger.tcp(6, to, wire.ACK, 5, 5), stranger.tcp(7, to, wire.RST, 5), stranger.udp(5, (site.external, 5000)))
    site.quiet("an answer")


@other()
def rfc5508_req11_other_icmp_messages_are_not_forwarded(site):
    """Messages that are neither error nor query of a session go no further: redirects, routers' advertisements, old queries."""
    host, router = site.host(10), site.remote(ROUTER)
    left = site.says(host, 5000, site.remote(SERVER))
    for kind in (9, 10, 15, 17, 30, 37, 40, 41, 200):
        message = wire.icmp(kind, 0, struct.pack("!HH", kind, 1), bytes(12))
        site.refuse(host, host.ip(SERVER, wire.ICMP, message), what="type %d" % kind)
    site.refuse(router, router.error(site.external, 5, 1, left, bytes([203, 0, 113, 9])), what="a redirect")
