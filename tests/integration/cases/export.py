# SPDX-License-Identifier: BSD-3-Clause
"""Flow records to collectors that others have written: nfcapd and nfacctd."""
import json
import os
import signal

from cases import check, same, test, until
from cases.quota import spend
from cases.traffic import MB
from lab import EXTERNAL, HOST, SERVICE, need, run

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

    def __init__(self, lab, short, port=PORT):
        need("nfcapd", "nfdump")
        super().__init__(lab, short, "nfcapd")
        self.port = port
        self.start()

    def start(self):
        self.run(self.port, "nfcapd", "-w", self.dir, "-p", str(self.port), "-t", "3600")

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


def some_traffic(lab):
    """Both ways, of three protocols; the datagrams make as many flows."""
    lab.ping("lan", SERVICE, count=3)
    spend(lab, False, MB)
    s = lab.udp("lan")
    for i in range(200):
        s.sendto(bytes(i), (SERVICE, 20000 + i))


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
    print(collector.rows()[:2])
    for row in collector.rows():
        same((row["ip_src"], row["post_nat_ip_src"]), (HOST, EXTERNAL), "of each flow")
