# SPDX-License-Identifier: BSD-3-Clause
"""Flow records to collectors that others have written: nfcapd and nfacctd."""
import json
import os
import signal

from cases import check, same, test, until
from cases.quota import spend
from lab import SERVICE, need, run

LOCAL = "127.0.0.1"


def exporting(lab, collector, transport, **more):
    """The usual site, with a collector."""
    ipfix = {"collector": collector, "transport": transport}
    ipfix.update(more)
    config = lab.config(export={"ipfix": ipfix})
    config["runtime"] = {"interim": "5s"}
    return config


class Nfcapd:
    """nfcapd in a namespace; its flows as nfdump reads them."""

    def __init__(self, lab, short, port):
        need("nfcapd", "nfdump")
        self.lab, self.short, self.port = lab, short, port
        self.dir = os.path.join(lab.dir, "nfcapd")
        os.makedirs(self.dir, exist_ok=True)
        self.start()

    def start(self):
        self.process = self.lab.spawn(self.short, "nfcapd", "-w", self.dir, "-p", str(self.port), "-t", "3600",
                                      stdout=open(os.path.join(self.dir, "out"), "a", encoding="utf-8"), stderr=-2)
        until(lambda: ":%d " % self.port in self.lab.exec(self.short, "ss", "-Hlun").stdout, "nfcapd listens")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)

    def flows(self):
        """Rows of nfdump, once nfcapd has ended."""
        self.stop()
        out = run("nfdump", "-R", self.dir, "-o", "json", "-q").stdout
        print(out)
        decoder, rows, at = json.JSONDecoder(), [], 0
        while at < len(out.rstrip()):
            row, at = decoder.raw_decode(out, at)
            rows.append(row)
            at += len(out[at:]) - len(out[at:].lstrip(" \n,[]"))
        return rows


def sums(lab, weir):
    """(uplink, downlink) octets of the flows in weir's own records."""
    flows = [r for r in weir.records() if r["egressInterface"] == "wan0"]
    return [sum(r[k] for r in flows) for k in ("octetDeltaCount", "reverseOctetDeltaCount")]


@test
def ipfix_nfcapd(bench):
    """nfcapd's sums are weir's, to the byte, over UDP."""
    lab = bench.lab()
    collector = Nfcapd(lab, "gw", 4739)
    weir = lab.weir(exporting(lab, LOCAL + ":4739", "udp"))
    lab.ping("lan", SERVICE, count=3)
    spend(lab, True)
    weir.settled_ports()
    weir.stop()
    flows = collector.flows()
    print(json.dumps(flows[:3], indent=1), open(os.path.join(collector.dir, "out")).read()[-3000:])
    print(sums(lab, weir), len(weir.records()), weir.log()[-1500:])
    check(flows, "nfcapd has no flows")
