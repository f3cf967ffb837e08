# SPDX-License-Identifier: BSD-3-Clause
"""Classes by profile: a device of the kind that the profile describes, beside one that only goes where that one goes."""
import contextlib
import ssl
import threading

from cases import check, close_records, same, test, until
from cases.names import OTHER, resolve, resolver
from lab import HOST, SERVICE

ATTESTATION = "prod.deviceauth.sphere.azure.net"
TIME = "prod.time.sphere.azure.net"
NTP_PORT = 123
DEVICE_NTP_PORT = 124  # Azure Sphere asks from here


def hello(name):
    """The first message of a real client."""
    sent = ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), sent, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return sent.read()


def time_server(lab):
    server = lab.udp("car", (SERVICE, NTP_PORT))

    def serve():
        with contextlib.suppress(OSError):
            while True:
                request, client = server.recvfrom(512)
                server.sendto(b"\x24" + request[1:], client)

    threading.Thread(target=serve, daemon=True).start()


def ask_time(lab, host):
    s = lab.udp("lan", (host, DEVICE_NTP_PORT))
    s.sendto(b"\x23" + bytes(47), (SERVICE, NTP_PORT))
    same(len(s.recv(512)), 48, "octets of the time server's answer to " + host)


def attest(lab, listener, host, name):
    """A connection that stays open: the service says something to a hello."""
    client = lab.connect("lan", (SERVICE, 443), source=(host, 0))
    server = listener.accept()[0]
    server.settimeout(60)
    client.sendall(hello(name))
    check(len(server.recv(65536)) > 100, "the hello arrives")
    server.sendall(b"certificate")
    check(client.recv(100) == b"certificate", "the service answers")
    return client, server


def classes_of(weir, host):
    """By remote port, of the flows that the host has."""
    return {f["remote_port"]: f["class"] for f in weir.show("flows") if f["internal_address"] == host}


@test
def class_by_profile(bench):
    """The site of the manual: what an Azure Sphere device needs is its class, and only where that device has asked for it."""
    lab = bench.lab()
    lab.ip("lan", "address", "add", OTHER + "/24", "dev", "eth0")
    config = lab.config(
        plans={"sim1": {"quota": "500MB", "cycle": {"day": 15, "hour": 0, "timezone": "Europe/Berlin"},
                        "ladder": [{"at": "80%", "do": "notify"}, {"at": "90%", "do": "shape", "rate": "256kbps"},
                                   {"at": "100%", "do": "reserve-only"}]}},
        classes={"servicing": {"profile": "azure-sphere", "reserve": "64MB", "priority": "high"}},
        runtime={"interim": "5s", "clock": "trusted"})
    config["ports"]["wan0"]["plan"] = "sim1"
    weir = lab.weir(config)
    resolver(lab)
    time_server(lab)
    listener = lab.listen("car", SERVICE, 443)
    resolve(lab, HOST, TIME)
    ask_time(lab, HOST)
    resolve(lab, HOST, ATTESTATION)
    open_ = [attest(lab, listener, HOST, ATTESTATION)]
    same(classes_of(weir, HOST), {53: "servicing", NTP_PORT: "servicing", 443: "servicing"}, "classes of the device's flows")
    ask_time(lab, OTHER)
    open_.append(attest(lab, listener, OTHER, ATTESTATION))
    same(classes_of(weir, OTHER), {NTP_PORT: "default", 443: "default"}, "classes of a neighbour that has not asked")
    for s in open_.pop(0):
        s.close()
    open_.append(attest(lab, listener, HOST, "www.elsewhere.example"))
    until(lambda: {f["class"] for f in weir.show("flows") if f["internal_address"] == HOST and f["remote_port"] == 443
                   and f["state"] == "established"} == {"default"}, "a hello that names another server leaves the class")

    def row():
        rows = weir.show("clocks")
        return rows[0] if len(rows) == 1 and {"service_ago_us", "time_ago_us", "dns_ago_us"} <= rows[0].keys() else None

    clock = until(row, lambda: "one device has clocks: %s" % weir.show("clocks"))
    same((clock["address"], clock["class"], clock["state"]), (HOST, "servicing", "fine"), "whose clocks they are")
    check("update_ago_us" not in clock, "nothing was updated")
    wan = weir.settled_ports()["wan0"]
    close_records(weir, wan)
    weir.start()
    clock = until(row, lambda: "its clocks outlive a restart: %s" % weir.show("clocks"))
    check(clock["service_ago_us"] > 1000000, "as long ago as it was")
    weir.stop()
