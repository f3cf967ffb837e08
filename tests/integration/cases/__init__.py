# SPDX-License-Identifier: BSD-3-Clause
"""The tests, in the order in which they run. A test is a function that takes a Bench; its first line says what it shows."""
import sys

from lab import Lab
from capture import Capture
from lab import check, same, until

TESTS = []


def test(function):
    TESTS.append(function)
    return function


class Bench:
    """What one test makes, and what ends with it."""

    def __init__(self, options):
        self.options = options
        self.labs = []

    def lab(self, **options):
        self.labs.append(Lab(self.options, **options))
        return self.labs[-1]

    def site(self, config=None, **options):
        """(lab, weir that runs with the usual configuration and `config` on top)"""
        lab = self.lab(**options)
        return lab, lab.weir(lab.config(**(config or {})))

    def print_logs(self):
        for lab in self.labs:
            for path in lab.log_files():
                print("--- %s" % path, file=sys.stderr)
                with open(path, encoding="utf-8", errors="replace") as f:
                    print(f.read()[-6000:], file=sys.stderr)

    def close(self):
        """Returns what sanitizers had to say."""
        for lab in self.labs:
            lab.close()
        return [line for lab in self.labs for line in lab.complaints]


class Books:
    """What passed the LAN and the carrier, against what weir says it counted."""

    def __init__(self, lab, weir, lans=("lan",)):
        self.lab, self.weir = lab, weir
        self.lans = {("lan0" if short == "lan" else "lan1"): Capture(lab, short, "eth0") for short in lans}
        self.carrier = Capture(lab, "car", "car0")
        self.ports = {}

    def compare(self, what, counted, captured, is_exact):
        if is_exact:
            same(counted, captured, "octets counted at %s" % what)

    def close(self):
        """Captures against ports, then flow records against the uplink; weir ends with it. Returns the ports."""
        self.ports = ports = self.weir.settled_ports()
        captures = [self.carrier, *self.lans.values()]
        for capture in captures:
            capture.stop()
        lost = self.lab.frames_lost_between() + sum(p["rx_kernel_drops"] + p["rx_no_buffer"] for p in ports.values())
        is_exact = lost == 0 and all(c.lost == 0 for c in captures)
        wan = ports["wan0"]
        self.compare("wan0 uplink", wan["uplink_octets"], self.carrier.received[0], is_exact)
        self.compare("wan0 downlink", wan["downlink_octets"], self.carrier.sent[0], is_exact)
        for name, capture in self.lans.items():
            self.compare(name + " uplink", ports[name]["uplink_octets"], capture.sent[0], is_exact)
            self.compare(name + " downlink", ports[name]["downlink_octets"], capture.received[0], is_exact)
        same(self.weir.show("status")["conservation_errors"], 0, "stages that lost packets")
        close_records(self.weir, wan)
        return ports


def close_records(weir, wan):
    """Ends weir, and compares its flow records with `wan`, the uplink's counters of before."""
    weir.stop()
    flows = [r for r in weir.records() if r["egressInterface"] == "wan0"]
    for direction, key in (("uplink", "octetDeltaCount"), ("downlink", "reverseOctetDeltaCount")):
        same(sum(r[key] for r in flows) + wan["unattributed_%s_octets" % direction], wan[direction + "_octets"],
             "octets of flow records and unattributed, " + direction)


__all__ = ["TESTS", "Bench", "Books", "check", "close_records", "same", "test", "until"]
