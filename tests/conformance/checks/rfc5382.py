# SPDX-License-Identifier: BSD-3-Clause
"""RFC 5382: NAT and TCP, with what RFC 7857 adds."""
import time

import wire
from checks import check, must, other, same, should
from site_of_wires import ROUTER, SERVER, SERVER_B, SERVER_C, STRANGER
from talk import HANDSHAKE, Talk
from wire import ACK, RST, SYN

ESTABLISHED_S, TRANSITORY_S = 7440, 240


def talk(site, n=10, port=5000, server=SERVER, server_port=80):
    return Talk(site, site.host(n), port, site.remote(server), server_port)


@must()
def rfc5382_req1_endpoint_independent_mapping(site):
    """An internal endpoint has one external endpoint towards all, also where another host has the same port."""
    for n in (10, 11):
        ports = []
        for server in (SERVER, SERVER_B, STRANGER):
            for server_port in (80, 81):
                one = talk(site, n, 5000, server, server_port)
                one.play(HANDSHAKE + ">PA <PA")
                ports.append(one.external_port)
        same(len(set(ports)), 1, "external ports %s: their number" % ports)


OPENED_INSIDE = (
    HANDSHAKE + ">PA <A <PA >A >FA <FA >A",  # plain
    ">S >s <SA <SA >A >A <PA",  # both repeat themselves
    HANDSHAKE + "<PA >A >PA <A",  # the server speaks first
    ">SEC <SAE >A >PA <PA",  # ECN (RFC 3168 6.1.1)
    HANDSHAKE + ">FA <A <PA >A <PA >A <FA >A",  # half closed, the server goes on
    HANDSHAKE + "<FA >A >PA <A >PA <A >FA <A",  # half closed, the host goes on
    HANDSHAKE + ">FA <FA >A <A",  # both close at once
    HANDSHAKE + ">FA <FA >A <FA >A",  # the last ACK was lost
    HANDSHAKE + ">FA <A <FA >A >N <SA >A >PA",  # the same ports again (RFC 6191)
    ">S <RA",  # refused
    ">S <RA >N <RA >N <SA >A",  # refused until the server is there
    HANDSHAKE + ">R",  # given up
    HANDSHAKE + ">PA <PA >A <RA",  # reset by the server
)


@must()
def rfc5382_req2_every_valid_sequence_opened_inside(site):
    """Connections that the inside opens pass whole: plain, repeated, half closed, closed by both, refused, reset, begun again."""
    for n, script in enumerate(OPENED_INSIDE):
        talk(site, 10, 5000 + n).play(script)


@must()
def rfc5382_req2_data_on_the_syn(site):
    """Data on a SYN and its SYN-ACK passes (RFC 7413)."""
    one = talk(site)
    one.play(">SP <SAP >A <PA >PA")


@other(filtering="endpoint-independent")
def rfc5382_req2_opened_outside_where_the_filter_admits(site):
    """Where strangers are admitted, connections that they open towards a mapped endpoint pass whole."""
    first = talk(site)
    first.play(HANDSHAKE)
    for n, script in enumerate(("<S >SA <A >PA <PA >A <FA >A >FA <A", "<S >RA", "<S >SA <A <FA >A >PA <A >FA <A")):
        one = talk(site, server=SERVER_B, server_port=1000 + n)
        one.external_port = first.external_port
        one.play(script)


@must()
def rfc5382_req2a_simultaneous_open_inside_first(site):
    """A simultaneous open passes: both SYNs, both SYN-ACKs, data."""
    for n, script in enumerate((">S <S >SA <SA >PA <PA >A", ">S <S >SA <A >PA <A <PA >A >FA <FA >A <A")):
        talk(site, 10, 5000 + n).play(script)


@must()
def rfc5382_req2a_simultaneous_open_outside_first(site):
    """A simultaneous open works where the outside's SYN is first, and lost: it is repeated."""
    first, one = talk(site), talk(site, server=SERVER_B)
    first.play(HANDSHAKE)
    one.external_port = first.external_port
    one.server.send(one.packet_down(*one.down.segment("S")))
    site.clear()
    one.send_up("S")
    same(one.external_port, first.external_port, "external port of the SYN")
    one.up.expects = one.down.next
    one.play("<s >SA <SA >PA <PA >A")


@should()
def rfc5382_req3_filter_is_endpoint_independent_or_by_address(site):
    """Whoever was spoken to may open a connection from another of its ports to the mapped endpoint."""
    first, one = talk(site), talk(site, server_port=1234)
    first.play(HANDSHAKE)
    one.external_port = first.external_port
    one.play("<S >SA <A <PA >A")


def unsolicited_syns(site):
    """One to a port that a host has, one to a port that nobody has. Returns them."""
    first, stranger = talk(site), site.remote(STRANGER)
    first.play(HANDSHAKE)
    syns = [stranger.tcp(5555 + n, (site.external, port), SYN) for n, port in enumerate((first.external_port, 22))]
    stranger.send(*syns)
    return syns


@must(slow_s=6)
def rfc5382_req4_unsolicited_syn_is_not_answered_for_six_seconds(site):
    """Nothing is said to an unsolicited SYN for six seconds: in real time."""
    unsolicited_syns(site)
    time.sleep(5.5)
    answer = site.carrier.pick(lambda p: p.dst == STRANGER, 0)
    check(answer is None, "within six seconds came %s" % answer)


@should(slow_s=10, unsolicited_syn="tell")
def rfc5382_req4_else_port_unreachable(site):
    """After that Port Unreachable is said, once, about that SYN, where no policy wants silence."""
    syns = unsolicited_syns(site)
    answers = []
    for _ in syns:
        answer = site.carrier.pick(lambda p: p.dst == STRANGER, 60)
        check(answer is not None, "nothing is said")
        same((answer.src, answer.kind, answer.code), (site.external, wire.UNREACHABLE, 3), "source, type, code of %s" % answer)
        answers.append((answer.quote.sport, answer.quote.dport))
    same(sorted(port for port, _ in answers), [5555, 5556], "ports of the SYNs that it is about")


@must(slow_s=9, unsolicited_syn="tell")
def rfc5382_req4_unsolicited_syn_is_forgotten_when_the_inside_opens(site):
    """When the inside opens the connection within six seconds, nothing is ever said about the SYN."""
    first, one = talk(site), talk(site, server=STRANGER, server_port=5555)
    first.play(HANDSHAKE)
    one.external_port = first.external_port
    one.server.send(one.packet_down(*one.down.segment("S")))
    time.sleep(1)
    one.send_up("S")
    time.sleep(7)
    answer = site.carrier.pick(lambda p: p.dst == STRANGER, 0)
    check(answer is None, "there came %s" % answer)


def keeps(site, port, script, least_s):
    one = talk(site, 10, port)
    one.play(script)
    site.expect_kept(least_s, "tcp", one.host, port, one.server, "\"%s\"" % script)


@must()
def rfc5382_req5_opening_connection_is_kept_four_minutes(site):
    """A connection that is partly open is kept four minutes or more: as the gateway says."""
    for n, script in enumerate((">S", ">S <SA", ">S <S")):
        keeps(site, 5000 + n, script, TRANSITORY_S)


@must()
def rfc5382_req5_established_connection_is_kept_two_hours_and_four_minutes(site):
    """An established connection is kept two hours and four minutes or more: as the gateway says."""
    for n, script in enumerate((HANDSHAKE, HANDSHAKE + ">PA <A", ">S <S >SA <SA >PA <A")):
        keeps(site, 5000 + n, script, ESTABLISHED_S)


@must()
def rfc5382_req5_half_closed_connection_is_kept_like_an_open_one(site):
    """One FIN does not begin the closing phase: two hours and four minutes: as the gateway says."""
    for n, script in enumerate((HANDSHAKE + ">FA <A", HANDSHAKE + "<FA >A")):
        keeps(site, 5000 + n, script, ESTABLISHED_S)


@must()
def rfc5382_req5_closing_connection_is_kept_four_minutes(site):
    """With both FINs sent and not both acknowledged a connection is kept four minutes or more: as the gateway says."""
    keeps(site, 5000, HANDSHAKE + ">FA <FA", TRANSITORY_S)


@should()
def rfc5382_req6_payloads_are_nobodys_business(site):
    """What FTP says of addresses leaves as it came."""
    one = talk(site, server_port=21)
    one.play(HANDSHAKE)
    ftp = b"PORT 192,168,50,10,156,64\r\n"
    site.cross(one.host, one.packet_up(ACK | wire.PSH, one.up.next, one.up.expects, ftp))


@must()
def rfc5382_req7_no_port_overloading(site):
    """No two internal endpoints have one external port, whomever they speak with."""
    owner = {}
    for i, server in enumerate((SERVER, SERVER_B, SERVER_C, STRANGER)):
        for port in range(5000, 5004):
            one = talk(site, 10 + i, port, server)
            one.play(HANDSHAKE)
            same(owner.setdefault(one.external_port, (i, port)), (i, port), "whose external port %d is" % one.external_port)


@must()
def rfc5382_req8_simultaneous_open_is_hairpinned_with_external_source(site):
    """Two hosts of a LAN that open towards each other's external endpoints connect, and see them."""
    a, b = talk(site, 10, 7000), talk(site, 11, 8000)
    a.play(">S")
    b.play(">S")
    ends = ((a, b), (b, a))
    for one, peer in ends:  # each opens its own filter
        one.host.send(one.host.tcp(one.port, (site.external, peer.external_port), SYN, 1000))
    site.clear()
    for flags, sequence, acknowledgement in ((SYN, 1000, 0), (SYN | ACK, 1000, 1001), (ACK | wire.PSH, 1001, 1001)):
        for one, peer in ends:
            data = b"data" if flags & wire.PSH else b""
            got = site.cross(one.host, one.host.tcp(one.port, (site.external, peer.external_port), flags, sequence,
                                                    acknowledgement, data + str(one.port).encode() if data else b""),
                             to=site.lan, what="a hairpinned segment")
            same((got.src, got.sport, got.dst, got.dport), (site.external, one.external_port, peer.host.address, peer.port),
                 "source and destination of a hairpinned segment")


@must()
def rfc5382_req10_icmp_ends_no_connection(site):
    """After errors of each kind about an established connection data passes both ways."""
    one, router = talk(site), site.remote(ROUTER)
    one.play(HANDSHAKE)
    up = one.send_up("PA")
    for kind, codes in ((3, 16), (4, 1), (11, 2), (12, 1)):
        router.send(*[router.error(site.external, kind, code, up) for code in range(codes)])
    site.clear()
    one.play("<PA >PA <A")
    site.expect_kept(ESTABLISHED_S, "tcp", one.host, one.port, one.server, "the connection afterwards")


@should()
def rfc5382_req9_unreachables_arrive(site):
    """Destination Unreachable about a connection reaches the host, with the quote in its terms."""
    one, router = talk(site), site.remote(ROUTER)
    one.play(HANDSHAKE)
    up = one.send_up("PA")
    for code in (0, 1, 2, 3, 4, 9, 10, 13):
        router.send(router.error(site.external, wire.UNREACHABLE, code, up, b"\0\0\5\x78"))
        got = site.expect(site.lan, lambda p: p.kind == wire.UNREACHABLE and p.code == code, "code %d" % code)
        here = one.host.address
        same((got.dst, got.quote.src, got.quote.sport), (here, here, one.port), "whom code %d is about" % code)


@must()
def rfc7857_s2_2_a_reset_is_translated(site):
    """A reset passes, up and down."""
    for n, word in enumerate(("<R", ">R", "<RA", ">RA")):
        talk(site, 10, 5000 + n).play(HANDSHAKE + "<PA >A " + word)


@should()
def rfc7857_s2_2_a_reset_connection_is_kept_four_minutes(site):
    """A connection that was reset is kept four minutes: as the gateway says."""
    for n, script in enumerate((HANDSHAKE + "<R", HANDSHAKE + ">R", ">S <RA")):
        keeps(site, 5000 + n, script, TRANSITORY_S)


@should()
def rfc7857_s2_data_after_a_reset_makes_the_connection_established_again(site):
    """What both ends say after a reset shows that they did not believe it: two hours and four minutes, as the gateway says."""
    keeps(site, 5000, HANDSHAKE + "<R >PA <A", ESTABLISHED_S)


@must()
def rfc7857_s2_2_a_blind_reset_changes_nothing(site):
    """A reset from outside whose sequence number is far off ends no connection: it is kept, and data passes both ways."""
    one = talk(site)
    one.play(HANDSHAKE + ">PA <PA >A")
    for off in (1 << 30, -(1 << 30)):
        one.server.send(one.packet_down(RST, one.down.next + off & 0xffffffff))
    site.clear()
    site.expect_kept(ESTABLISHED_S, "tcp", one.host, one.port, one.server, "the connection afterwards")
    one.play("<PA >PA <A")


@should()
def rfc7857_s8_replaced_ports_do_not_follow_each_other(site):
    """Ports that must be other ones are no guess from the last."""
    last, n_near = 0, 0
    for port in range(5000, 5050):
        talk(site, 10, port).play(">S")
        one = talk(site, 11, port)
        one.play(">S")
        n_near += abs(one.external_port - last) < 64
        last = one.external_port
    check(n_near <= 3, "%d of 50 ports lie beside the one before" % n_near)


MSS_CASES = (  # options, where the value stands or None where nothing may change
    (bytes([2, 4, 5, 180]), 2),
    (bytes([1, 2, 4, 5, 180, 1, 1, 1]), 3),
    (bytes([4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 2, 4, 5, 180]), 14),
    (bytes([3, 3, 7, 2, 4, 5, 180, 0]), 5),
    (bytes([254, 6, 1, 2, 3, 4, 2, 4, 5, 180, 1, 1]), 8),
    (bytes([0, 2, 4, 5, 180, 0, 0, 0]), None),
    (bytes([254, 6, 2, 4, 5, 180, 1, 1]), None),
    (bytes([2, 3, 5, 180]), None),
    (bytes([1, 2, 4, 5]), None),
    (bytes([2, 4, 2, 24]), None),
)


@other(uplink_mtu=1400)
def rfc6691_the_mss_fits_the_uplink_wherever_its_option_stands(site):
    """The MSS of a SYN is brought down to the uplink's, wherever its option stands, and nothing else is changed."""
    for n, (options, at) in enumerate(MSS_CASES):
        host = site.host(10)
        got = site.cross(host, host.tcp(5000 + n, (SERVER, 80), SYN, options=options))
        wanted = options if at is None else options[:at] + (1360).to_bytes(2, "big") + options[at + 2:]
        same(got.l4[20:20 + len(options)].hex(), wanted.hex(), "options")
