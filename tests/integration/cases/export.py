# SPDX-License-Identifier: BSD-3-Clause
"""Flow records to collectors that others have written: nfcapd and nfacctd."""
import json
import os
import signal
import socket
import ssl

from capture import Capture
from cases import check, same, test, until
from cases.quota import spend
from cases.traffic import MB
from ipfix import Listener, Reader
from lab import EXTERNAL, GATEWAY, HOST, SERVICE, hang_up, need, run

LOCAL = "127.0.0.1"
PORT = 4739


def exporting(lab, transport, collector=LOCAL, **more):
    """The usual site, with a collector: that of the gateway itself is reached without weir."""
    ipfix = {"collector": "%s:%d" % (collector, PORT), "transport": transport}
    ipfix.update(more)
    config = lab.config(export={"ipfix": ipfix})
    config["runtime"] = {"interim": "5s"}
    return config


class Collector:
    """A program that collects, in a namespace; what it says goes to `out`."""

    def __init__(self, lab, short, name):
        self.lab, self.short = lab, short
        self.dir = os.path.join(lab.dir, name)
        os.makedirs(self.dir, exist_ok=True)
        self.out_file = os.path.join(self.dir, "out")
        self.process = None

    def run(self, port, *command):
        with open(self.out_file, "a", encoding="utf-8") as out:
            self.process = self.lab.spawn(self.short, *command, stdout=out, stderr=out)
        until(lambda: ":%d " % port in self.lab.exec(self.short, "ss", "-Hlun").stdout, "%s listens" % command[0])

    def out(self):
        with open(self.out_file, encoding="utf-8", errors="replace") as f:
            return f.read()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)


class Nfcapd(Collector):
    """nfcapd, whose files nfdump reads."""

    def __init__(self, lab, short, port=PORT, name="nfcapd"):
        need("nfcapd", "nfdump")
        super().__init__(lab, short, name)
        self.run(port, "nfcapd", "-w", self.dir, "-p", str(port), "-t", "3600")

    def flows(self):
        """Rows of nfdump, once nfcapd has ended. One row is an object, and there is no list around them."""
        self.stop()
        text = run("nfdump", "-R", self.dir, "-o", "json", "-q", "-N").stdout
        decoder, rows, at = json.JSONDecoder(), [], 0
        while at < len(text.rstrip()):
            row, at = decoder.raw_decode(text, at)
            rows.append(row)
            at += len(text[at:]) - len(text[at:].lstrip(" \n,"))
        return rows

    def octets(self, flows):
        """(uplink, downlink)"""
        return [sum(f.get(k, 0) for f in flows) for k in ("in_bytes", "out_bytes")]


PRIMITIVES = """name=reverse_octets field_type=29305:1 len=8 semantics=u_int
name=flow_end_reason field_type=136 len=1 semantics=u_int
name=application field_type=95 len=4 semantics=u_int
"""

NFACCTD = """daemonize: false
nfacctd_ip: 127.0.0.1
nfacctd_port: %(port)d
plugins: print
aggregate: src_host, dst_host, src_port, dst_port, proto, post_nat_src_host, post_nat_src_port, in_iface, out_iface, src_mac, application, timestamp_start, timestamp_end, reverse_octets, flow_end_reason
aggregate_primitives: %(dir)s/primitives
print_refresh_time: 2
print_output: json
print_output_file: %(dir)s/rows.json
print_output_file_append: true
"""


class Nfacctd(Collector):
    """pmacct's, which knows nothing of bidirectional flows: the reverse octets are a primitive of its configuration."""

    def __init__(self, lab, short, port=PORT):
        need("nfacctd")
        super().__init__(lab, short, "nfacctd")
        self.rows_file = os.path.join(self.dir, "rows.json")
        for name, text in (("primitives", PRIMITIVES), ("conf", NFACCTD % {"port": port, "dir": self.dir})):
            with open(os.path.join(self.dir, name), "w", encoding="utf-8") as f:
                f.write(text)
        self.run(port, "nfacctd", "-f", os.path.join(self.dir, "conf"))

    def rows(self):
        if not os.path.exists(self.rows_file):
            return []
        with open(self.rows_file, encoding="utf-8") as f:
            return [json.loads(line) for line in f if line.endswith("\n")]

    def octets(self):
        """(uplink, downlink)"""
        rows = self.rows()
        return [sum(int(r[k]) for r in rows) for k in ("bytes", "reverse_octets")]


def octets_of_records(weir):
    """(uplink, downlink) of weir's own records."""
    flows = [r for r in weir.records() if r["egressInterface"] == "wan0"]
    return [sum(r[k] for r in flows) for k in ("octetDeltaCount", "reverseOctetDeltaCount")]


def datagrams(s, first, n=100):
    """As many flows of one datagram."""
    for i in range(first, first + n):
        s.sendto(bytes(i), (SERVICE, 20000 + i))


def some_traffic(lab):
    """Both ways, of three protocols; the datagrams make as many flows."""
    lab.ping("lan", SERVICE, count=3)
    spend(lab, False, MB)
    s = lab.udp("lan")
    datagrams(s, 0, 200)


@test
def ipfix_nfcapd(bench):
    """nfcapd's flows add up to the uplink's counters, to the byte; none is missing by their sequence numbers."""
    lab = bench.lab()
    collector = Nfcapd(lab, "gw")
    weir = lab.weir(exporting(lab, "udp"))
    some_traffic(lab)
    wan = weir.settled_ports()["wan0"]
    weir.stop()
    flows = collector.flows()
    octets = collector.octets(flows)
    same(octets, octets_of_records(weir), "octets at nfcapd")
    for n, direction in zip(octets, ("uplink", "downlink")):
        same(n + wan["unattributed_%s_octets" % direction], wan[direction + "_octets"], direction)
    check("Sequence Errors: 0, Bad Packets: 0" in collector.out(), collector.out()[-300:])
    for flow in flows:
        same((flow["src4_addr"], flow["src4_xlt_ip"], flow["output_snmp"]), (HOST, EXTERNAL, 2), "of each flow")


@test
def ipfix_nfacctd(bench):
    """nfacctd's flows add up to weir's records, with class and translation."""
    lab = bench.lab()
    collector = Nfacctd(lab, "gw")
    weir = lab.weir(exporting(lab, "udp"))
    some_traffic(lab)
    weir.settled_ports()
    weir.stop()
    until(lambda: collector.octets() == octets_of_records(weir),
          lambda: "octets at nfacctd are %s, and %s in weir's records: %s" % (
              collector.octets(), octets_of_records(weir), collector.out()[-300:]), 20)
    for row in collector.rows():
        same((row["ip_src"], row["post_nat_ip_src"]), (HOST, EXTERNAL), "of each flow")


@test
def ipfix_tcp_collector_back(bench):
    """A collector over TCP that goes and comes back has every record once, as nothing was lost with it unread."""
    lab = bench.lab()
    weir = lab.weir(exporting(lab, "tcp"))
    lab.ping("lan", SERVICE)  # later datagrams find their way known
    s = lab.udp("lan")
    sent = 0
    collectors = []
    for _ in range(2):
        collectors.append(Listener(lab.listen("gw", LOCAL, PORT)))
        until(lambda: weir.show("status")["ipfix"] == "up", "the collector is there")
        datagrams(s, sent)
        sent += 100
        until(lambda: weir.show("status")["ipfix_sent"] >= sent, "its records arrive", 120)
        until(lambda: sum(len(c.rows()) for c in collectors) >= sent, "and are read")
        hang_up(collectors[-1].connection)
        hang_up(collectors[-1].listener)
        until(lambda: weir.show("status")["ipfix"] != "up", "the collector is gone")
        datagrams(s, sent)
        sent += 100
    collectors.append(Listener(lab.listen("gw", LOCAL, PORT)))
    until(lambda: weir.show("status")["ipfix"] == "up", "the collector is there")
    same(weir.show("status")["ipfix_lost"], 0, "lost")
    weir.stop()
    until(lambda: sum(len(c.rows()) for c in collectors) >= len(weir.records()), "all are read")
    same([sum(c.octets()[d] for c in collectors) for d in (0, 1)], octets_of_records(weir), "octets")
    same(sum(len(c.rows()) for c in collectors), len(weir.records()), "records")
    same([r.gaps for c in collectors for r in c.readers], [0] * 3, "gaps in each session")
    same([c.errors for c in collectors if c.errors], [], "errors")
    names = [row["interfaceName"] for row in collectors[-1].readers[0].options if "interfaceName" in row]
    same(names, [b"lan0", b"wan0"], "names of interfaces")


@test
def ipfix_udp_collector_back(bench):
    """What nfcapd's host refuses while it is gone, the next nfcapd gets: together they have every octet."""
    lab = bench.lab()
    first = Nfcapd(lab, "gw", name="first")
    weir = lab.weir(exporting(lab, "udp"))
    lab.ping("lan", SERVICE)
    s = lab.udp("lan")
    datagrams(s, 0)
    until(lambda: weir.show("status")["ipfix_sent"] >= 100, "records arrive")
    first.stop()
    datagrams(s, 100)
    until(lambda: weir.show("status")["ipfix"] == "Connection refused", "the host refuses")
    second = Nfcapd(lab, "gw", name="second")
    until(lambda: weir.show("status")["ipfix_sent"] >= 200, "the others arrive")
    same(weir.show("status")["ipfix_lost"], 0, "lost")
    weir.stop()
    octets = [first.octets(first.flows()), second.octets(second.flows())]
    same([a + b for a, b in zip(*octets)], octets_of_records(weir), "octets at both")
    check(min(o[0] for o in octets) > 0, "both have some")


@test
def ipfix_file(bench):
    """A file holds every record over a restart; what was moved away is whole, and the next file begins with templates."""
    lab = bench.lab()
    path = os.path.join(lab.dir, "flows.ipfix")
    config = lab.config(export={"ipfix": {"file": path}})
    weir = lab.weir(config)
    some_traffic(lab)
    weir.settled_ports()
    weir.stop()
    os.rename(path, path + ".1")
    weir.start()
    datagrams(lab.udp("lan"), 0)
    weir.settled_ports()
    told = weir.ctl("status").stdout
    check("IPFIX file" in told and "IPFIX collector" not in told, "weirctl tells: " + told)
    weir.stop()
    weir.start()
    lab.ping("lan", SERVICE)
    weir.settled_ports()
    weir.stop()
    readers = []
    for name in (path + ".1", path):
        readers.append(Reader())
        with open(name, "rb") as f:
            readers[-1].take(f.read())
        same(readers[-1].rest, b"", "a cut message")
    same([sum(r.sum(name) for r in readers) for name in ("octets", "reverse_octets")], octets_of_records(weir), "octets")
    same([r.gaps for r in readers], [0, 1], "sessions begun within each file")


def make_authority(lab, name):
    """A CA of that name, and certificates of it for the collector's address and for weir."""
    def path(what):
        return os.path.join(lab.dir, "%s-%s" % (name, what))

    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
        "-subj", "/CN=" + name, "-keyout", path("ca.key"), "-out", path("ca.pem"))
    for who, extension in (("collector", "subjectAltName=IP:" + LOCAL), ("weir", "extendedKeyUsage=clientAuth")):
        with open(path("ext"), "w", encoding="utf-8") as f:
            f.write(extension + "\n")
        run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=" + who,
            "-keyout", path(who + ".key"), "-out", path(who + ".csr"))
        run("openssl", "x509", "-req", "-in", path(who + ".csr"), "-CA", path("ca.pem"), "-CAkey", path("ca.key"),
            "-CAcreateserial", "-days", "2", "-extfile", path("ext"), "-out", path(who + ".pem"))
    return path


def tls_collector(lab, path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path("collector.pem"), path("collector.key"))
    context.load_verify_locations(path("ca.pem"))
    context.verify_mode = ssl.CERT_REQUIRED
    return Listener(lab.listen("gw", LOCAL, PORT), lambda s: context.wrap_socket(s, server_side=True))


@test
def ipfix_tls(bench):
    """Over TLS, both sides showing certificates, every record arrives."""
    lab = bench.lab()
    path = make_authority(lab, "good")
    collector = tls_collector(lab, path)
    weir = lab.weir(exporting(lab, "tls", ca_file=path("ca.pem"), certificate=path("weir.pem"), key=path("weir.key")))
    until(lambda: weir.show("status")["ipfix"] == "up", lambda: "the session is there: " + weir.tail())
    some_traffic(lab)
    weir.settled_ports()
    weir.stop()
    until(lambda: collector.octets() == octets_of_records(weir),
          lambda: "%s octets arrive of %s; %s" % (collector.octets(), octets_of_records(weir), collector.errors))
    same(collector.readers[0].gaps, 0, "gaps")


@test
def ipfix_tls_refuses(bench):
    """A collector whose certificate is another CA's, or another host's, gets nothing, and the reason is told."""
    lab = bench.lab()
    good, bad = make_authority(lab, "good"), make_authority(lab, "bad")
    collector = tls_collector(lab, bad)
    weir = lab.weir(exporting(lab, "tls", ca_file=good("ca.pem")))
    until(lambda: "certificate" in weir.show("status")["ipfix"], lambda: "it is told: %s" % weir.show("status")["ipfix"])
    weir.stop()
    weir = lab.weir(exporting(lab, "tls", ca_file=bad("ca.pem"), certificate=bad("weir.pem"), key=bad("weir.key"),
                              server_name="collector.test"), name="other")
    until(lambda: "name" in weir.show("status")["ipfix"], lambda: "it is told: %s" % weir.show("status")["ipfix"])
    same(collector.rows(), [], "records at the wrong collector")


@test
def ipfix_own_class(bench):
    """Records that cross the uplink themselves are of the class that is for them, counted and billed; all that were made before
    the end arrive."""
    lab = bench.lab()
    config = exporting(lab, "tcp", SERVICE)
    config["ports"]["lan0"]["tap"] = "weir-lan0"
    config["ports"]["wan0"]["plan"] = "sim1"
    config["plans"] = {"sim1": {"quota": "100MB", "when_spent": "block"}}
    config["classes"] = {"export": {"device": GATEWAY, "protocol": "tcp", "remote": SERVICE, "port": PORT,
                                    "reserve": "10MB", "priority": "low"}}
    collector = Listener(lab.listen("car", SERVICE, PORT))
    weir = lab.weir(config, start=False)
    carrier = Capture(lab, "car", "car0")
    weir.start()
    until(lambda: weir.show("status")["ipfix"] == "up", lambda: "the collector is reached: " + weir.tail())
    some_traffic(lab)
    until(lambda: len(collector.rows()) > 200, "the datagrams' records arrive", 200)
    row = next(c for c in weir.show("classes") if c["name"] == "export")
    check(row["uplink_octets"] > 200 * 77, "the class has counted %s" % row)
    plan = weir.show("plans")[0]
    check(plan["reserve_used_octets"] >= row["uplink_octets"] * 0.9, "the reserve paid for %s" % plan)
    same(weir.port("wan0")["unattributed_uplink_octets"], 0, "unattributed")
    weir.stop()
    carrier.stop()
    same(octets_of_records(weir)[0], carrier.received[0], "octets at the carrier, those of the last records too")
    own = [r for r in weir.records() if r["className"] == "export"]
    same({r["sourceIPv4Address"] for r in own}, {GATEWAY}, "who exports")
    others = [r for r in weir.records() if r["className"] != "export"]
    exported = [r for r in collector.rows() if not (r["source"] == socket.inet_aton(GATEWAY))]
    same(len(exported), len(others), "records of others' flows")
    same(sum(int.from_bytes(r["octets"], "big") for r in exported), sum(r["octetDeltaCount"] for r in others), "octets")


@test
def ipfix_udp_by_the_uplink(bench):
    """nfcapd beyond the uplink has all that was made before the end."""
    lab = bench.lab()
    collector = Nfcapd(lab, "car")
    config = exporting(lab, "udp", SERVICE)
    config["ports"]["lan0"]["tap"] = "weir-lan0"
    weir = lab.weir(config)
    some_traffic(lab)
    until(lambda: weir.show("status")["ipfix_sent"] > 200, "records arrive")
    weir.stop()
    own, others = [], []
    for flow in collector.flows():
        (own if flow["src4_addr"] == GATEWAY else others).append(flow)
    want = [r for r in weir.records() if r["sourceIPv4Address"] != GATEWAY]
    same(collector.octets(others), [sum(r[k] for r in want) for k in ("octetDeltaCount", "reverseOctetDeltaCount")], "octets")
    check(own, "of its own flow, what was before the end")
