# SPDX-License-Identifier: BSD-3-Clause
"""Classes by the names that devices ask for."""
import contextlib
import socket
import struct
import threading

from cases import check, same, test, until
from cases.quota import spend
from cases.traffic import MB
from lab import CARRIER, SERVICE

OTHER = "192.168.50.11"


def name_wire(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def question_of(name, number):
    return struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + name_wire(name) + struct.pack("!2H", 1, 1)


def answer_of(question, alias, address):
    """NAME → alias → address, with compressed names, as content networks answer."""
    head = question[:2] + struct.pack("!5H", 0x8180, 1, 2, 0, 0) + question[12:]
    target = name_wire(alias)
    chain = struct.pack("!3HIH", 0xc00c, 5, 1, 60, len(target)) + target
    return head + chain + struct.pack("!3HIH", 0xc000 | (len(head) + 12), 1, 1, 60, 4) + socket.inet_aton(address)


def resolver(lab):
    """A DNS server at the carrier that knows one address for every name."""
    server = lab.udp("car", (CARRIER, 53))

    def serve():
        with contextlib.suppress(OSError):
            while True:
                question, client = server.recvfrom(512)
                server.sendto(answer_of(question, "edge.cdn.example", SERVICE), client)

    threading.Thread(target=serve, daemon=True).start()


def resolve(lab, address, name):
    s = lab.udp("lan", address)
    s.settimeout(20)
    s.sendto(question_of(name, 7), (CARRIER, 53))
    return s.recvfrom(512)[0][-4:]


def reaches(lab, listener, source, n):
    """True when `n` octets get from a host to the service."""
    try:
        client = lab.connect("lan", (SERVICE, 443), source=(source, 0), wait_s=2)
    except OSError:
        return False
    server = listener.accept()[0]
    server.settimeout(60)
    client.sendall(bytes(n))
    got = 0
    while got < n:
        got += len(server.recv(65536))
    return True


@test
def class_by_name(bench):
    """The reserve of a service is for devices that asked for its name, and for what they were answered alone."""
    lab = bench.lab()
    lab.ip("lan", "address", "add", OTHER + "/24", "dev", "eth0")
    config = lab.config(plans={"sim1": {"quota": "2MB", "ladder": [{"at": "100%", "do": "reserve-only"}]}},
                        classes={"dns": {"protocol": "udp", "port": 53, "reserve": "100kB"},
                                 "servicing": {"protocol": "tcp", "port": 443, "names": ["service.example"], "reserve": "900kB"}})
    config["ports"]["wan0"]["plan"] = "sim1"
    weir = lab.weir(config)
    resolver(lab)
    listener = lab.listen("car", SERVICE, 443)
    host = "192.168.50.10"
    spent = spend(lab, True)
    check(0 < spent <= MB, "customers sent %d octets of 1 MB" % spent)
    check(not reaches(lab, listener, host, 1), "nobody has asked for the service yet")
    same(socket.inet_ntoa(resolve(lab, host, "elsewhere.example")), SERVICE, "another name's address")
    check(not reaches(lab, listener, host, 1), "another name at the same address opens the reserve")
    same(socket.inet_ntoa(resolve(lab, host, "Service.Example")), SERVICE, "the service's address")
    check(reaches(lab, listener, host, 100000), "the service is not reached")
    check(not reaches(lab, listener, OTHER, 1), "a device uses what another one was answered")
    until(lambda: weir.show("plans")[0]["reserve_used_octets"] > 100000, "the reserve has paid")
    weir.check_alive()
