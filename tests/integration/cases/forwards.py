# SPDX-License-Identifier: BSD-3-Clause
"""Servers behind weir that the carrier's side reaches."""
import contextlib
import signal

from cases import Books, check, same, test, until
from lab import CARRIER, EXTERNAL, HOST, HOST2, SERVICE

FORWARDS = [
    {"protocol": "tcp", "port": 8443, "to": HOST, "to_port": 443},
    {"protocol": "udp", "port": "5000-5009", "to": HOST, "to_port": 6000},
    {"protocol": "tcp", "port": 2222, "to": HOST, "to_port": 22, "source": SERVICE},
]


def ask(s, peer, text, n=20000):
    """`text` back and forth over a connection, in pieces of all sizes, both ways at once."""
    for i in range(1, n, 1499):
        piece = (text * i)[:i]
        s.sendall(piece)
        got = b""
        while len(got) < i:
            got += peer.recv(65536)
        same(got, piece, "what the other end got")


def talk(lab, short, address, server, what, source=None):
    """A connection to a server behind weir, both ways; returns who the server says is calling."""
    s = lab.connect(short, address, source=source)
    peer, caller = server.accept()
    peer.settimeout(60)
    ask(s, peer, what)
    ask(peer, s, what[::-1])
    s.close()
    peer.close()
    return caller


def refused(lab, short, address, source=None):
    with contextlib.suppress(OSError):
        lab.connect(short, address, source=source, wait_s=1.5).close()
        return False
    return True


@test
def forwarded_ports(bench):
    """A server behind weir is reached from the carrier's side by its forwarded port, and nothing else is."""
    lab, weir = bench.site({"forwards": FORWARDS})
    books = Books(lab, weir)
    web, shell = lab.listen("lan", HOST, 443), lab.listen("lan", HOST, 22)
    same(talk(lab, "car", (EXTERNAL, 8443), web, b"from outside")[0], CARRIER, "caller")
    same(talk(lab, "car", (EXTERNAL, 2222), shell, b"from him who may", source=(SERVICE, 0))[0], SERVICE, "caller")
    drops = weir.drops()
    check(refused(lab, "car", (EXTERNAL, 2222)), "a source that may not is let in")
    check(refused(lab, "car", (EXTERNAL, 443)), "the server's own port is open")
    check(weir.drops()["policy.inbound"] >= drops.get("policy.inbound", 0) + 2, "not dropped as inbound: %s" % weir.drops())
    udp, caller = lab.udp("lan", (HOST, 6007)), lab.udp("car", CARRIER)
    caller.sendto(b"ping", (EXTERNAL, 5007))
    data, address = udp.recvfrom(100)
    same((data, address[0]), (b"ping", CARRIER), "datagram")
    udp.sendto(b"pong", address)
    same(caller.recvfrom(100), (b"pong", (EXTERNAL, 5007)), "answer")
    same([(f["protocol"], f["port"], f["to"], f["to_port"], f["source"]) for f in weir.show("forwards")],
         [("tcp", "8443", HOST, "443", "any"), ("udp", "5000-5009", HOST, "6000-6009", "any"),
          ("tcp", "2222", HOST, "22", SERVICE + "/32")], "show forwards")
    books.close()


@test
def forwards_change(bench):
    """SIGHUP opens and closes forwards; a connection through one that goes lives on."""
    lab, weir = bench.site()
    web = lab.listen("lan", HOST, 443)
    check(refused(lab, "car", (EXTERNAL, 8443)), "open without a forward")
    config = lab.config(forwards=FORWARDS, nat={"dmz": HOST}, runtime={"state_dir": weir.dir + "/state",
                                                                       "records": weir.records_file, "interim": "0s"})
    weir.write(config)
    weir.process.send_signal(signal.SIGHUP)
    until(lambda: weir.show("status")["reloads"] == 1, "the reload is counted")
    s = lab.connect("car", (EXTERNAL, 8443))
    peer, _ = web.accept()
    other = lab.listen("lan", HOST, 7777)
    talk(lab, "car", (EXTERNAL, 7777), other, b"for the DMZ host")
    del config["forwards"], config["nat"]
    weir.write(config)
    weir.process.send_signal(signal.SIGHUP)
    until(lambda: weir.show("status")["reloads"] == 2, "the reload is counted")
    same(weir.show("forwards"), [], "show forwards")
    ask(s, peer, b"still here")
    check(refused(lab, "car", (EXTERNAL, 8443)), "open after its forward has gone")
    check(refused(lab, "car", (EXTERNAL, 7777)), "open after the DMZ host has gone")
    weir.check_alive()


@test
def forwards_from_inside(bench):
    """A device reaches the server by the external address, from its own LAN and from another."""
    lab, weir = bench.site({"forwards": FORWARDS}, lans=2)
    web = lab.listen("lan", HOST, 443)
    same(talk(lab, "lan2", (EXTERNAL, 8443), web, b"hairpin")[0], EXTERNAL, "caller from %s" % HOST2)
    same(talk(lab, "lan", (EXTERNAL, 8443), web, b"hairpin")[0], EXTERNAL, "caller from the server's own host")
    weir.check_alive()


@test
def untranslated(bench):
    """To a network that has routes to the LAN a device goes under its own address, elsewhere under the uplink's."""
    lab, weir = bench.site({"classes": {"branch": {"remote": SERVICE, "translate": False}}})
    lab.ip("car", "route", "add", HOST, "via", EXTERNAL)
    books = Books(lab, weir)
    branch, world = lab.listen("car", SERVICE), lab.listen("car", CARRIER)
    for server, caller in ((branch, HOST), (world, EXTERNAL)):
        s = lab.connect("lan", server.getsockname())
        peer, address = server.accept()
        ask(s, peer, b"to and fro")
        same(address[0], caller, "caller at %s" % server.getsockname()[0])
        s.close()
        peer.close()
    lab.listen("lan", HOST, 443)
    check(refused(lab, "car", (HOST, 443), source=(SERVICE, 0)), "the branch opens connections to the LAN")
    books.close()
