# SPDX-License-Identifier: BSD-3-Clause
"""Ports that devices open themselves, with natpmpc and with PCP."""
import contextlib
import re
import select
import signal
import socket
import struct

from cases import check, same, test, until
from cases.forwards import refused, talk
from lab import CARRIER, EXTERNAL, GATEWAY, HOST, SERVICE, Skipped, need

SERVER = (GATEWAY, 5351)
ANNOUNCE, MAP, PEER = 0, 1, 2
TCP, UDP = 6, 17
PREFER_FAILURE = struct.pack("!BxH", 2, 0)
SUCCESS, NOT_AUTHORIZED, UNSUPP_OPTION, CANNOT_PROVIDE_EXTERNAL, ADDRESS_MISMATCH = 0, 2, 5, 11, 12


def with_pcp(lab, **more):
    config = lab.config(**more)
    config["ports"]["lan0"]["pcp"] = True
    return config


def mapped(address):
    return bytes(10) + b"\xff\xff" + socket.inet_aton(address)


def request(opcode, lifetime, body=b"", client=HOST):
    return struct.pack("!BBxxI", 2, opcode, lifetime) + mapped(client) + body


def map_body(protocol, port, wanted=0, nonce=b"weir's nonce"):
    return nonce + struct.pack("!B3xHH", protocol, port, wanted) + mapped("0.0.0.0")


def ask(s, message):
    """What the gateway answers: (result, lifetime, epoch, what follows the header)"""
    s.sendto(message, SERVER)
    answer, server = s.recvfrom(2000)
    same(server, SERVER, "who answers")
    version, opcode, result, lifetime, epoch = struct.unpack("!BBxBII", answer[:12])
    same((version, opcode), (2, message[1] | 0x80), "version and opcode of the answer")
    return result, lifetime, epoch, answer[24:]


def open_port(s, protocol, port, wanted=0, lifetime=600, options=b""):
    """The external port and the lifetime that PCP gives."""
    result, lifetime, _, body = ask(s, request(MAP, lifetime, map_body(protocol, port, wanted) + options))
    same(result, SUCCESS, "result")
    same(body[20:36], mapped(EXTERNAL), "external address")
    return struct.unpack("!H", body[18:20])[0], lifetime


def leases(weir):
    return [(f["protocol"], f["port"], f["to"], f["to_port"]) for f in weir.show("forwards") if f["by"] == "pcp"]


def arrives(udp, caller, port):
    """True when a datagram from outside reaches the service, and the answer the caller."""
    caller.sendto(b"ping", (EXTERNAL, port))
    if not select.select([udp], [], [], 1)[0]:
        return False
    data, address = udp.recvfrom(100)
    udp.sendto(data[::-1], address)
    same(caller.recvfrom(100), (b"gnip", (EXTERNAL, port)), "answer")
    return True


def end(weir):
    same(weir.show("status")["conservation_errors"], 0, "stages that lost packets")
    weir.stop()


def natpmpc(lab, *words, may_fail=False):
    return lab.exec("lan", "natpmpc", "-g", GATEWAY, *words, may_fail=may_fail).stdout


@test
def nat_pmp(bench):
    """natpmpc opens a TCP port that strangers then reach, and closes it."""
    need("natpmpc")
    lab = bench.lab()
    weir = lab.weir(with_pcp(lab))
    check("Public IP address : " + EXTERNAL in natpmpc(lab), "natpmpc does not learn the external address")
    web = lab.listen("lan", HOST, 8080)
    check(refused(lab, "car", (EXTERNAL, 9090)), "open before it was asked for")
    said = natpmpc(lab, "-a", "9090", "8080", "tcp", "600")
    check(re.search(r"Mapped public port 9090 protocol TCP to local port 8080 liftime 600", said), said)
    same(talk(lab, "car", (EXTERNAL, 9090), web, b"from outside")[0], CARRIER, "caller")
    same(leases(weir), [("tcp", "9090", HOST, "8080")], "show forwards")
    until(lambda: "lease.opened port=lan0 protocol=6 device=%s:8080 external=%s:9090" % (HOST, EXTERNAL) in weir.log(),
          "the log tells of it")
    natpmpc(lab, "-a", "0", "8080", "tcp", "0")
    same(leases(weir), [], "show forwards")
    until(lambda: "lease.ended" in weir.log(), "the log tells of its end")
    check(refused(lab, "car", (EXTERNAL, 9090), source=(SERVICE, 0)), "open after it was given up")
    end(weir)


@test
def pcp_maps(bench):
    """PCP opens UDP and TCP ports to whom asks for them, for others' callers, until it is deleted; mistakes are told."""
    lab = bench.lab()
    weir = lab.weir(with_pcp(lab))
    s, udp, web = lab.udp("lan", HOST), lab.udp("lan", (HOST, 6000)), lab.listen("lan", HOST, 443)
    caller, other = lab.udp("car", CARRIER), lab.udp("car", SERVICE)
    check(not arrives(udp, caller, 6000), "open before it was asked for")
    same(open_port(s, UDP, 6000, 6000), (6000, 600), "what was given")
    same(open_port(s, TCP, 443, 443)[0] >= 1024, True, "no well-known port")
    port, _ = open_port(s, TCP, 443, 8443)
    talk(lab, "car", (EXTERNAL, port), web, b"from outside")
    check(arrives(udp, caller, 6000), "closed to a stranger")
    check(arrives(udp, other, 6000), "closed to another")
    same(ask(s, request(MAP, 0, map_body(UDP, 6000, nonce=b"another one.")))[0], NOT_AUTHORIZED, "wrong nonce")
    same(ask(s, request(MAP, 600, map_body(UDP, 6001, 6000) + PREFER_FAILURE))[0], CANNOT_PROVIDE_EXTERNAL, "taken port")
    same(ask(s, request(MAP, 600, map_body(UDP, 6001), client="192.168.50.77"))[0], ADDRESS_MISMATCH, "another's address")
    third = struct.pack("!BxH", 1, 16) + mapped("192.168.50.77")
    same(ask(s, request(MAP, 600, map_body(UDP, 6001) + third))[0], UNSUPP_OPTION, "third party")
    same(len(leases(weir)), 2, "leases")
    same(ask(s, request(MAP, 0, map_body(0, 0)))[:2], (SUCCESS, 0), "deletion of all")
    same(leases(weir), [], "leases")
    check(refused(lab, "car", (EXTERNAL, port), source=(SERVICE, 0)), "open after it was deleted")
    end(weir)


@test
def pcp_expires(bench):
    """A port that nobody asks for again closes by itself, after two minutes at the least."""
    if not bench.options.long:
        raise Skipped("two minutes: --long runs it; tests/path/rfc6887_test.c shows it by the clock")
    lab = bench.lab()
    weir = lab.weir(with_pcp(lab, nat={"pcp": {"lifetime_max": "2m"}}))
    s, udp = lab.udp("lan", HOST), lab.udp("lan", (HOST, 6000))
    same(open_port(s, UDP, 6000, 6000, lifetime=7200), (6000, 120), "what was given")
    check(arrives(udp, lab.udp("car", CARRIER), 6000), "closed to a stranger")
    until(lambda: leases(weir) == [], "it ends", patience_s=180, every_s=1)
    check(not arrives(udp, lab.udp("car", SERVICE), 6000), "open after its end")
    end(weir)


@test
def pcp_is_off(bench):
    """By default nobody answers; SIGHUP switches it on, tells the LAN, and off, which closes what was open."""
    lab, weir = bench.site()
    s, udp = lab.udp("lan", HOST), lab.udp("lan", (HOST, 6000))
    s.settimeout(1)
    with contextlib.suppress(OSError):
        ask(s, request(ANNOUNCE, 0))
        check(False, "answered though it is off")
    s.settimeout(60)
    with lab.inside("lan"):
        heard = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    heard.bind(("", 5350))
    heard.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("224.0.0.1") + socket.inet_aton(HOST))
    heard.settimeout(60)
    runtime = {"state_dir": weir.dir + "/state", "records": weir.records_file, "interim": "0s"}
    weir.write(with_pcp(lab, runtime=runtime))
    weir.process.send_signal(signal.SIGHUP)
    got, server = heard.recvfrom(2000)
    same((got[:2], server), (b"\x02\x80", SERVER), "announcement")
    heard.close()
    until(lambda: weir.show("status")["reloads"] == 1, "the reload is counted")
    same(open_port(s, UDP, 6000, 6000)[0], 6000, "what was given")
    check(arrives(udp, lab.udp("car", CARRIER), 6000), "closed to a stranger")
    weir.write(lab.config(runtime=runtime))
    weir.process.send_signal(signal.SIGHUP)
    until(lambda: weir.show("status")["reloads"] == 2, "the reload is counted")
    same(leases(weir), [], "leases")
    check(not arrives(udp, lab.udp("car", SERVICE), 6000), "open after it was switched off")
    end(weir)
