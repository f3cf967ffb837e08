# SPDX-License-Identifier: BSD-3-Clause
"""RFC 6888: many hosts behind one address."""
import time

import wire
from checks import check, must, other, same, should
from site_of_wires import SERVER, SERVER_B, STRANGER


def n_open(site, n, ports):
    """How many datagrams of the host, one from each port, leave."""
    host = site.host(n)
    packets = [host.udp(port, (SERVER, 443)) for port in ports]
    wanted = {p[28:] for p in packets}
    host.send(*packets)
    site.settle()
    site.carrier.wait(lambda: len([p for p in site.carrier.packets if p.data in wanted]) == len(wanted), 0.3)
    left = len([p for p in site.carrier.packets if p.data in wanted])
    site.clear()
    return left


@must()
def rfc6888_req2_a_device_has_one_external_address(site):
    """All of a host, whatever the protocol, has one external address."""
    for n in range(10, 14):
        host = site.host(n)
        for server in (SERVER, SERVER_B, STRANGER):
            for packet in (host.udp(3000 + n, (server, 443)), host.tcp(3000 + n, (server, 80), wire.SYN), host.echo(n, server)):
                same(site.cross(host, packet).src, site.external, "external address")


@must(per_device=30)
def rfc6888_req4_the_sessions_of_a_device_are_limited_as_configured(site):
    """A host has as many sessions as are configured, the next one as many of its own."""
    for n in (10, 11):
        left = n_open(site, n, range(5000, 5060))
        check(25 <= left <= 30, "%d of 60 left" % left)


@should(new_per_second=20)
def rfc6888_req4c_new_mappings_of_a_device_are_limited_in_rate(site):
    """A host makes no more new mappings a second than are configured, and another one its own."""
    for n in (10, 11):
        start = time.monotonic()
        left = n_open(site, n, range(5000, 5200))
        check(0 < left <= 21 + 20 * (time.monotonic() - start), "%d of 200 left at once" % left)


@should(capacity=256)
def rfc6888_req5_one_device_cannot_take_the_memory_of_another(site):
    """A host that opens all it can leaves room for the next."""
    taken = n_open(site, 10, range(5000, 5400))
    left = n_open(site, 11, range(5000, 5020))
    same(left, 20, "sessions of the second host, after %d of the first" % taken)


@should(ports="60000-60063")
def rfc6888_req5_one_device_cannot_take_the_ports_of_another(site):
    """A host that wants all the ports there are leaves some for the next."""
    n_open(site, 10, range(5000, 5100))  # keeps its own, so that the second needs others
    n_open(site, 11, range(5000, 5100))
    same(n_open(site, 12, range(5000, 5005)), 5, "sessions of the third host")


@must(untranslated="203.0.113.0/24")
def rfc6888_req6_destinations_can_be_left_untranslated(site):
    """Where that is configured for a destination, both ways pass with the host's own address, and all else is translated."""
    host, server, other_one = site.host(10), site.remote(SERVER), site.remote(STRANGER)
    same(site.says(host, 5000, server).src, host.address, "source towards a destination that is left untranslated")
    down = server.udp(443, (host.address, 5000))
    same(site.cross(server, down).dst, host.address, "destination of the answer")
    same(site.says(host, 5000, other_one).src, site.external, "source towards another destination")


@other(filtering="endpoint-independent")
def rfc6888_req7_filtering_can_be_endpoint_independent(site):
    """Where that is configured, strangers are heard."""
    host, stranger = site.host(10), site.remote(STRANGER)
    up = site.says(host, 5000, site.remote(SERVER))
    site.hears(stranger, 9, up.sport, host, 5000)


@must(slow_s=5, capacity=256)
def rfc6888_req11_a_full_table_drops_and_evicts_nobody(site):
    """When there is no room for more the packet is dropped, and every session that is there goes on."""
    hosts = range(10, 50)
    first = {n: n_open(site, n, range(5000, 5100)) for n in hosts}
    check(0 in first.values(), "the table does not fill: %s" % first)
    for n in hosts:
        again = n_open(site, n, range(5000, 5000 + first[n]))
        same(again, first[n], "sessions of host %d that go on" % n)


@should(per_device=1)
def rfc6888_req11b_who_finds_no_room_is_told(site):
    """Whoever finds no room is told: Destination Unreachable, code 1 or 13."""
    host = site.host(10)
    site.says(host, 5000, site.remote(SERVER))
    host.send(host.udp(5001, (SERVER, 443)))
    got = site.expect(site.lan, lambda p: p.quote, "an error")
    check(got.kind == wire.UNREACHABLE and got.code in (1, 13), "it is %s" % got)


@should()
def rfc6888_req15_chosen_ports_are_spread_over_the_range(site):
    """Replaced ports are hard to guess: none lies beside the one before."""
    last, n_near = 0, 0
    for port in range(5000, 5100):
        site.says(site.host(10), port, site.remote(SERVER))
        got = site.says(site.host(11), port, site.remote(SERVER)).sport
        n_near += abs(got - last) < 64
        last = got
    check(n_near <= 5, "%d of 100 lie beside the one before" % n_near)
