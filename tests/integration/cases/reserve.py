# SPDX-License-Identifier: BSD-3-Clause
"""Servicing through a spent plan, over links that fade: and who lies gets nothing but his own."""
import contextlib
import hashlib
import os
import socket
import ssl
import struct
import threading
import time

from capture import Capture
from cases import check, same, test, until
from cases.ledger import chatter, plan_of
from cases.names import answer_of, question_of
from lab import GATEWAY, HOST, SERVICE, Failed, Skipped, run
from wire import UDP, ip_fields, ipv4, udp

MB = 1000000
DNS, NTP, FLEET, LIE = "203.0.113.53", "203.0.113.123", "203.0.113.90", "203.0.113.66"
SERVICES = ("prod.deviceauth.sphere.azure.net", "prod.core.sphere.azure.net", "prod.releases.sphere.azure.net")
CLOCK = "prod.time.sphere.azure.net"
UPDATES = "prodmsimg.blob.core.windows.net"
DEVICE, DEVICE_MAC = "192.168.50.20", "02:00:5e:10:00:20"
OTHER, OTHER_MAC = "192.168.50.66", "02:00:5e:10:00:66"
CUSTOMER_MAC = "02:00:5e:10:00:10"
CUSTOMER_PORT, BULK_PORT = 9, 8080
CUSTOMERS = 1 * MB  # what is theirs of the plan
LAST = 16384  # the end of which is kept back, and given out as packets turn out not to have been sent
DRAIN_S = 8  # most of what stands in the modem leaves it
UPDATE_OCTETS = 5 * MB
TRIES = 8


def add_device(lab, short, address, mac):
    """A station of the LAN with a MAC and a namespace of its own."""
    lab.add_namespace(short)
    lab.ip("lan", "link", "add", "link", "eth0", "name", "station", "address", mac, "netns", lab.ns(short),
           "type", "macvlan", "mode", "bridge")
    lab.ip(short, "link", "set", "station", "name", "eth0")
    lab.ip(short, "address", "add", address + "/24", "dev", "eth0")
    lab.ip(short, "link", "set", "eth0", "up")
    lab.ip(short, "route", "add", "default", "via", GATEWAY)


def body_of(n):
    return (bytes(range(256)) * (n // 256 + 1))[:n]


class Internet:
    """What lies beyond the carrier: DNS with aliases, NTP, a fleet's service over TLS, a sink for uploads; and a liar's server."""

    def __init__(self, lab):
        self.lab = lab
        for address in (DNS, NTP, FLEET, LIE):
            lab.ip("car", "address", "replace", address + "/32", "dev", "lo")
        self.certificate, key = self.make_certificate()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.certificate, key)
        self.in_thread(self.serve_dns, lab.udp("car", (DNS, 53)), FLEET)
        self.in_thread(self.serve_dns, lab.udp("car", (LIE, 53)), LIE)
        self.in_thread(self.serve_ntp, lab.udp("car", (NTP, 123)))
        for address in (FLEET, LIE):
            self.in_thread(self.serve_tls, lab.listen("car", address, 443))
        self.in_thread(self.serve_sink, lab.listen("car", SERVICE, BULK_PORT))

    @staticmethod
    def in_thread(function, *arguments):
        def go():
            with contextlib.suppress(OSError, ssl.SSLError, ValueError, TypeError):
                function(*arguments)
        threading.Thread(target=go, daemon=True).start()

    def make_certificate(self):
        key, certificate = self.lab.dir + "/fleet.key", self.lab.dir + "/fleet.pem"
        names = ",".join("DNS:" + name for name in (*SERVICES, UPDATES))
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", "/CN=fleet", "-addext", "subjectAltName=" + names, "-keyout", key, "-out", certificate)
        return certificate, key

    def serve_dns(self, server, address):
        server.settimeout(None)
        while True:
            question, client = server.recvfrom(512)
            is_time = question[13:].startswith(CLOCK.split(".", maxsplit=1)[0].encode() + b"\x04time")
            server.sendto(answer_of(question, "edge.cdn.example", NTP if is_time else address), client)

    @staticmethod
    def serve_ntp(server):
        server.settimeout(None)
        while True:
            request, client = server.recvfrom(100)
            if len(request) == 48:
                server.sendto(b"\x24\x02" + bytes(22) + request[40:48] + bytes(16), client)

    def serve_tls(self, listener):
        listener.settimeout(None)
        while True:
            self.in_thread(self.answer, listener.accept()[0])

    def answer(self, connection):
        """A line says how much is wanted; what else the client sends is taken."""
        connection.settimeout(300)
        with self.context.wrap_socket(connection, server_side=True) as s:
            while True:
                wanted = b""
                while not wanted.endswith(b"\n"):
                    got = s.recv(1)
                    if not got:
                        return
                    wanted += got
                s.sendall(body_of(int(wanted)))

    def serve_sink(self, listener):
        listener.settimeout(None)
        while True:
            connection = listener.accept()[0]
            connection.settimeout(None)
            self.in_thread(self.swallow, connection)

    @staticmethod
    def swallow(connection):
        while connection.recv(1 << 16):
            pass


class Device:
    """What a device of the fleet does: the time from source port 124, names from its own resolver, TLS, an update."""

    def __init__(self, lab, internet, short="dev", source=None, tries=TRIES):
        self.lab, self.internet, self.short, self.source, self.tries = lab, internet, short, source, tries
        self.n_retries = 0

    def ask(self, s, request, address, fits):
        """As devices do: again and again, within limits."""
        for n in range(self.tries):
            self.n_retries += n > 0
            s.sendto(request, address)
            end = time.monotonic() + 5
            while time.monotonic() < end:
                s.settimeout(max(0.01, end - time.monotonic()))
                with contextlib.suppress(TimeoutError):
                    answer = s.recvfrom(1500)[0]
                    if fits(answer):
                        return answer
        raise Failed("no answer from %s:%d" % address)

    def set_clock(self):
        server = self.resolve(CLOCK)
        with self.lab.udp(self.short, (self.source or "", 124)) as s:
            stamp = struct.pack("!Q", time.monotonic_ns())
            self.ask(s, b"\x23" + bytes(39) + stamp, (server, 123), lambda a: len(a) == 48 and a[24:32] == stamp)

    def resolve(self, name, server=DNS):
        with self.lab.udp(self.short, self.source or "") as s:
            number = time.monotonic_ns() & 0xffff
            answer = self.ask(s, question_of(name, number), (server, 53), lambda a: a[:2] == struct.pack("!H", number))
            return socket.inet_ntoa(answer[-4:])

    def open(self, name, address, wait_s=120):
        """TLS to an address under a name."""
        context = ssl.create_default_context(cafile=self.internet.certificate)
        s = self.lab.connect(self.short, (address, 443), source=(self.source, 0) if self.source else None, wait_s=wait_s)
        return context.wrap_socket(s, server_hostname=name)

    def fetch(self, name, address, n):
        with self.open(name, address) as s:
            s.sendall(b"%d\n" % n)
            digest, got = hashlib.sha256(), 0
            while got < n:
                block = s.recv(1 << 16)
                check(block, "%s hung up after %d of %d octets" % (name, got, n))
                digest.update(block)
                got += len(block)
        same(digest.hexdigest(), hashlib.sha256(body_of(n)).hexdigest(), "what came from " + name)

    def be_serviced(self, update_octets):
        """A day of a device's; returns how long it took."""
        start = time.monotonic()
        self.set_clock()
        for name in SERVICES:
            self.fetch(name, self.resolve(name), 2000)
        self.fetch(UPDATES, self.resolve(UPDATES), update_octets)
        return time.monotonic() - start


def customers(lab):
    """Another device, which never stops sending."""
    return chatter(lab, 1500, source=HOST, port=CUSTOMER_PORT, octets=1200, burst=10)


@contextlib.contextmanager
def uploads(lab, short, n=3):
    """A third device, whose class has plenty: as many connections as that keep the radio's uplink and its buffer full."""
    stop = threading.Event()

    def push():
        with contextlib.suppress(OSError):
            s = lab.connect(short, (SERVICE, BULK_PORT), wait_s=300)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
            s.settimeout(1)
            while not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    s.send(bytes(1 << 16))
            s.close()

    threads = [threading.Thread(target=push, daemon=True) for _ in range(n)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(10)


def classes_for(bench, per_device, n_devices=1):
    """What the fleet's devices need, by their profile where weir has it; the update goes by the same class as the services."""
    reserve = {"reserve": "%dB" % (per_device * n_devices), "reserve_per_device": "%dB" % per_device}
    if os.path.exists(os.path.join(bench.options.source, "config", "profiles", "azure-sphere.yaml")):
        return {"servicing": dict(reserve, profile="azure-sphere")}
    return {"time": {"protocol": "udp", "port": 123, "reserve": "1MB"},
            "dns": {"protocol": "udp", "port": 53, "reserve": "1MB"},
            "servicing": dict(reserve, protocol="tcp", port=443, names=[*SERVICES, UPDATES], sni=True)}


def octets_reserved(classes):
    return sum(int(c["reserve"].replace("MB", "000000").rstrip("B")) for c in classes.values())


def spent_site(bench, profile, update_octets, n_runs):
    """A site over an emulated bearer whose customers have nothing left; (lab, weir, internet, what the carrier sees of customers)."""
    lab = bench.lab(bearer="cellink", profile=profile)
    lab.ip("lan", "link", "set", "eth0", "address", CUSTOMER_MAC)
    add_device(lab, "dev", DEVICE, DEVICE_MAC)
    add_device(lab, "dev2", OTHER, OTHER_MAC)
    classes = dict(classes_for(bench, n_runs * (update_octets * 12 // 10 + MB)),
                   bulk={"protocol": "tcp", "port": BULK_PORT, "reserve": "1000MB"})
    # Reserves this large would leave the customers nothing of a bill that may be 0.2 % higher than what arrives.
    config = lab.config(plans={"sim1": {"quota": "%dB" % (octets_reserved(classes) + CUSTOMERS), "ladder": [{"at": "100%", "do": "reserve-only"}],
                                        "counting": {"lost_uplink": "0%", "unseen_downlink": "0%"}}},
                        classes=classes)
    config["ports"]["wan0"]["plan"] = "sim1"
    weir = lab.weir(config)
    until(lambda: lab.ping("lan", SERVICE, may_fail=True).returncode == 0, "the bearer carries")
    seen = Capture(lab, "car", "car0", lambda ip: ip_fields(ip)[0] == UDP and ip[22:24] == struct.pack("!H", CUSTOMER_PORT))
    return lab, weir, Internet(lab), seen


def octets_of(capture):
    return sum(struct.unpack_from("!H", ip, 2)[0] for _, ip in capture.kept)


def customers_sent(weir):
    """By weir's own count at the modem; what stands in the modem's buffer comes later to the carrier, or never."""
    return sum(f["uplink_octets"] for f in weir.show("flows", "--all") if f["remote_port"] == CUSTOMER_PORT)


def campaign(bench, profile, update_octets=UPDATE_OCTETS, n_runs=1, tell=None):
    """Customers have spent theirs and go on sending, a third device fills the uplink, and a device is serviced, each time."""
    lab, weir, internet, seen = spent_site(bench, profile, update_octets, n_runs)
    with customers(lab):
        until(lambda: plan_of(weir)["step"] == "reserve-only", "customers spend theirs", patience_s=180)
        spent = customers_sent(weir)
        check(0 < spent <= CUSTOMERS, "customers sent %d octets of %d" % (spent, CUSTOMERS))
        time.sleep(DRAIN_S)
        device = Device(lab, internet)
        with uploads(lab, "dev2"):
            time.sleep(3)
            for n in range(n_runs):
                try:
                    took = device.be_serviced(update_octets)
                except Exception as why:
                    plan = plan_of(weir)
                    raise Failed("run %d of %d over %s: %s: %s; plan %s, drops %s" % (
                        n + 1, n_runs, profile, type(why).__name__, why, {k: plan[k] for k in (
                            "step", "used_octets", "leased_octets", "reserve_used_octets", "unrecorded")}, weir.drops())) from why
                if tell:
                    tell(n + 1, took, device.n_retries)
        until(lambda: plan_of(weir)["reserve_used_octets"] > n_runs * update_octets, "the reserve has paid")
        # A flow that gets nothing through is over after five minutes, and begins anew, with nothing.
        check(customers_sent(weir) <= min(spent + LAST, CUSTOMERS),
              "customers sent %d octets after theirs were spent" % (customers_sent(weir) - spent))
    plan = plan_of(weir)
    check(plan["used_octets"] <= plan["quota_octets"], "more than the quota was used")
    check(weir.drops().get("meter.plan_spent", 0) > 1000, "customers did not try: %s" % weir.drops())
    weir.stop()
    seen.stop()
    check(octets_of(seen) <= min(spent + LAST, CUSTOMERS), "the carrier has seen %d octets of customers, not %d" % (octets_of(seen), spent))
    return {"customer_octets": spent, "at_carrier": octets_of(seen), "retries": device.n_retries}


@test
def reserve_over_lte(bench):
    """In a moving car, with the plan spent and the uplink full, a device gets the time, names, its services and 5 MB of update."""
    campaign(bench, "lte-driving", n_runs=5 if bench.options.long else 1)


@test
def reserve_over_evdo(bench):
    """The same over a modem of 2004; the update is a smaller one, unless there is time."""
    campaign(bench, "evdo", UPDATE_OCTETS if bench.options.long else 200000, n_runs=3 if bench.options.long else 1)


LIAR_CAP = MB // 2
LIAR_MORE = tuple("192.168.50.%d" % n for n in range(67, 69))  # addresses that it takes besides


def liars_site(bench):
    """A device and a liar, both admitted, on a wire; the customers have spent theirs."""
    lab = bench.lab()
    lab.ip("lan", "link", "set", "eth0", "address", CUSTOMER_MAC)
    add_device(lab, "dev", DEVICE, DEVICE_MAC)
    add_device(lab, "liar", OTHER, OTHER_MAC)
    classes = classes_for(bench, LIAR_CAP, 10)
    config = lab.config(plans={"sim1": {"quota": "%dB" % (octets_reserved(classes) + CUSTOMERS), "ladder": [{"at": "100%", "do": "reserve-only"}]}},
                        classes=classes, devices={"admission": "listed", "allow": [CUSTOMER_MAC, DEVICE_MAC, OTHER_MAC]})
    config["ports"]["wan0"]["plan"] = "sim1"
    weir = lab.weir(config)
    internet = Internet(lab)
    with customers(lab):
        until(lambda: plan_of(weir)["step"] == "reserve-only", "customers spend theirs")
    return lab, weir, internet


def paid(weir):
    """What reserves have paid, once that has come to rest."""
    weir.settled_ports()
    return plan_of(weir)["reserve_used_octets"]


def gets(device, name, address, wanted=3 * MB):
    """How many octets come before nothing more does."""
    got = 0
    with contextlib.suppress(OSError, ssl.SSLError), device.open(name, address, wait_s=4) as s:
        s.sendall(b"%d\n" % wanted)
        s.settimeout(4)
        while got < wanted:
            block = s.recv(1 << 16)
            if not block:
                break
            got += len(block)
    return got


@test
def liar_by_name(bench):
    """A service's name in TLS towards another host, and its address without having asked for it, open no reserve."""
    lab, weir, internet = liars_site(bench)
    liar = Device(lab, internet, "liar")
    before = paid(weir)
    same(gets(liar, UPDATES, LIE), 0, "octets for a name that was never asked for, from elsewhere")
    same(gets(liar, UPDATES, FLEET), 0, "octets from the service's own address, pinned")
    same(liar.resolve("innocent.example"), FLEET, "another name at the service's address")
    same(gets(liar, UPDATES, FLEET), 0, "octets by another name's answer")
    check(paid(weir) - before < 2000, "the reserve has paid %d octets" % (paid(weir) - before))
    honest = Device(lab, internet)
    same(honest.resolve(UPDATES), FLEET, "the update's address")
    same(gets(liar, UPDATES, FLEET), 0, "octets by what another device was answered")
    honest.fetch(UPDATES, FLEET, 300000)
    weir.check_alive()


@test
def liar_with_his_own_dns(bench):
    """Who poisons his own names spends his own cap and not an octet more; the others' is theirs."""
    lab, weir, internet = liars_site(bench)
    liar = Device(lab, internet, "liar")
    before = paid(weir)
    same(liar.resolve(UPDATES, LIE), LIE, "the liar's own answer")
    got = gets(liar, UPDATES, LIE)
    check(LIAR_CAP // 2 < got < LIAR_CAP, "%d octets came, of a cap of %d" % (got, LIAR_CAP))
    same(gets(liar, UPDATES, LIE, 1000), 0, "octets beyond the cap")
    check(paid(weir) - before < LIAR_CAP + 20000, "the reserves have paid %d octets" % (paid(weir) - before))
    honest = Device(lab, internet)
    honest.be_serviced(300000)
    weir.check_alive()


@test
def liar_with_many_addresses(bench):
    """Nor does he when he takes further addresses: a device is whoever has its MAC."""
    if not os.path.exists(os.path.join(bench.options.source, "include", "weir", "flow", "station.h")):
        raise Skipped("this version knows devices by their addresses")
    lab, weir, internet = liars_site(bench)
    liar = Device(lab, internet, "liar")
    before = paid(weir)
    liar.resolve(UPDATES, LIE)
    got = gets(liar, UPDATES, LIE)
    for address in LIAR_MORE:
        lab.ip("liar", "address", "add", address + "/24", "dev", "eth0")
        another = Device(lab, internet, "liar", source=address, tries=2)
        with contextlib.suppress(Failed):
            another.resolve(UPDATES, LIE)
        got += gets(another, UPDATES, LIE)
    spent = paid(weir) - before
    check(got < LIAR_CAP and spent < LIAR_CAP + 20000, "%d octets came under %d addresses, the reserves paid %d: more than a cap of %d" % (
        got, 1 + len(LIAR_MORE), spent, LIAR_CAP))
    Device(lab, internet).be_serviced(300000)
    weir.check_alive()


@test
def liar_under_anothers_address(bench):
    """While a device speaks nobody else does under its address; and whoever takes that while it is silent spends nothing of its cap."""
    lab, weir, internet = liars_site(bench)
    honest, liar = Device(lab, internet), Device(lab, internet, "liar")
    same(honest.resolve(UPDATES), FLEET, "the update's address")
    with honest.open(UPDATES, FLEET) as s:
        s.sendall(b"1000\n")
        drops, before = weir.drops(), paid(weir)
        raw = lab.raw("liar")
        for n in range(300):
            raw.sendto(ipv4(DEVICE, NTP, UDP, udp((DEVICE, 1024 + n), (NTP, 123), bytes(1000))), (NTP, 0))
        weir.wait_drop("policy.mac_changed", 300, drops)
        check(paid(weir) - before < 5000, "the reserves have paid %d octets for a forger" % (paid(weir) - before))
        s.sendall(b"100000\n")
        got = 0
        while got < 101000:
            block = s.recv(1 << 16)
            check(block, "the connection has ended")
            got += len(block)
    check("device.mac_changed port=lan0 address=%s mac=%s" % (DEVICE, OTHER_MAC) in weir.log(), "it is not told")
    # From the start: nobody has spoken under the address yet.
    weir.stop()
    weir.start()
    lab.ip("liar", "address", "add", DEVICE + "/24", "dev", "eth0")
    liar = Device(lab, internet, "liar", source=DEVICE, tries=2)
    with contextlib.suppress(Failed):
        liar.resolve(UPDATES, LIE)
    check(gets(liar, UPDATES, LIE) < LIAR_CAP, "more than a cap")
    lab.ip("liar", "address", "del", DEVICE + "/24", "dev", "eth0")
    weir.stop()  # its flows end; what was used is remembered
    weir.start()
    # Of his own cap he has used a fifth, which is remembered too.
    honest.fetch(SERVICES[0], honest.resolve(SERVICES[0]), LIAR_CAP * 6 // 10)
    weir.check_alive()
