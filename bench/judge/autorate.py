#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Moves weir's rate by active probes, in the manner of cake-autorate: what weir's own controller is compared with.

Reflectors answer a few probes each, all the time; each answer tells the delay of each way. When several of the last ones are above
their baseline, the rate goes down; while the link is well used and they are not, it goes up; while it is not used, it goes back to
where it began. Written from that description; the figures are its defaults as its documentation gives them."""
import argparse
import collections
import json
import os
import signal
import socket
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

import traffic  # noqa: E402

REFLECTORS = 6
PROBE_EVERY_S = 0.3  # of each reflector
PROBE_OCTETS = 56  # of payload, as ping has; 84 of IP
BASELINE_UP, BASELINE_DOWN = 0.001, 0.9  # how far the baseline follows a longer and a shorter delay
LATE_MS, VERY_LATE_MS = 30, 60  # above the baseline: of one answer, and the mean at which the rate falls fastest
EARLY_MS = 10  # a mean below this lets the rate rise fastest
WINDOW, LATE_IN_WINDOW = 6, 3
FALL_LEAST, FALL_MOST = 0.99, 0.75
RISE_LEAST, RISE_MOST = 1.0, 1.04
REST_S, RETURN_EVERY_S = 0.3, 1.0
RETURN = 0.01
HIGH_LOAD = 0.75
DEAF_S = 2.0  # no answer for so long: the least rate until there is one
APPLY_SHARE = 0.005  # smaller changes wait


class Way:
    """The rate of one direction."""

    def __init__(self, rates):
        self.least, self.base, self.most = rates
        self.rate = self.base
        self.baseline = {}
        self.deltas = collections.deque(maxlen=WINDOW)
        self.fell = self.returned = 0.0

    def clamp(self):
        self.rate = min(self.most, max(self.least, self.rate))

    def answer(self, reflector, owd_ms, load, now):
        base = self.baseline.get(reflector, owd_ms)
        base += (owd_ms - base) * (BASELINE_UP if owd_ms > base else BASELINE_DOWN)
        self.baseline[reflector] = base
        self.deltas.append(owd_ms - base)
        mean = sum(self.deltas) / len(self.deltas)
        if sum(1 for d in self.deltas if d > LATE_MS) >= LATE_IN_WINDOW:
            if now - self.fell > REST_S:
                part = min(1.0, max(0.0, (mean - LATE_MS) / (VERY_LATE_MS - LATE_MS)))
                self.rate *= FALL_LEAST + (FALL_MOST - FALL_LEAST) * part
                self.fell = now
                self.deltas.clear()
        elif load > HIGH_LOAD and now - self.fell > REST_S:
            part = min(1.0, max(0.0, (LATE_MS - mean) / (LATE_MS - EARLY_MS)))
            self.rate *= RISE_LEAST + (RISE_MOST - RISE_LEAST) * part
        elif load <= HIGH_LOAD and now - self.returned > RETURN_EVERY_S and now - self.fell > RETURN_EVERY_S:
            self.rate += (self.base - self.rate) * RETURN
            self.returned = now
        self.clamp()


class Counters:
    """Octets of the uplink port, as the kernel counts them; the load is what passed of what may pass."""

    def __init__(self, pid, device):
        self.path, self.device = "/proc/%d/net/dev" % pid, device
        self.last = None
        self.load = [0.0, 0.0]

    def read(self, rates, now):
        with open(self.path, encoding="ascii") as f:
            words = next(line.split(":")[1].split() for line in f if line.strip().startswith(self.device + ":"))
        count = (int(words[8]), int(words[0]))  # sent: uplink; received: downlink
        if self.last is None:
            self.last = (now, count)
        elif now - self.last[0] >= 0.2:
            spent = now - self.last[0]
            self.load = [(c - b) * 8 / spent / max(1.0, rate) for c, b, rate in zip(count, self.last[1], rates)]
            self.last = (now, count)
        return self.load


class Autorate:
    def __init__(self, options):
        self.options = options
        self.ways = [Way(options.uplink), Way(options.downlink)]
        self.counters = Counters(options.pid, options.device)
        self.applied = [0.0, 0.0]
        self.number = 0
        self.heard = time.monotonic()
        with open(options.config, encoding="utf-8") as f:
            self.config = json.load(f)
        self.s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.s.connect((options.server, traffic.PROBE_PORT))

    def apply(self):
        """The configuration with the new rates, which weir reads again."""
        rates = [w.rate for w in self.ways]
        if all(abs(r - a) <= APPLY_SHARE * r for r, a in zip(rates, self.applied)):
            return
        self.applied = rates
        self.config["ports"][self.options.device]["rate"] = dict(zip(("uplink", "downlink"), ("%dkbps" % max(8, r / 1000) for r in rates)))
        fresh = self.options.config + ".new"
        with open(fresh, "w", encoding="utf-8") as f:
            json.dump(self.config, f)
        os.rename(fresh, self.options.config)
        os.kill(self.options.pid, signal.SIGHUP)

    def answered(self, payload):
        """A probe's way up ends when it was received there, its way down now."""
        letters, number, sent_ns = traffic.MARK.unpack_from(payload)
        there_ns = int.from_bytes(payload[traffic.MARK.size:traffic.MARK.size + 8], "big")
        if letters != b"PROB":
            return
        now = self.heard = time.monotonic()
        load = self.counters.read([w.rate for w in self.ways], now)
        for way, owd_ns, its_load in zip(self.ways, (there_ns - sent_ns, time.time_ns() - there_ns), load):
            way.answer(number % REFLECTORS, owd_ns / 1e6, its_load, now)

    def run(self):
        end = time.monotonic() + self.options.seconds
        due = time.monotonic()
        while time.monotonic() < end:
            self.s.settimeout(max(0.001, due - time.monotonic()))
            try:
                self.answered(self.s.recv(2048))
            except TimeoutError:
                self.s.send(traffic.marked(b"PROB", self.number, PROBE_OCTETS))
                self.number += 1
                due = max(due + PROBE_EVERY_S / REFLECTORS, time.monotonic() - 1)
            except OSError:
                pass
            if time.monotonic() - self.heard > DEAF_S:
                for way in self.ways:
                    way.rate = way.least
            self.apply()


def three_rates(text):
    rates = tuple(float(word) for word in text.split(","))
    if len(rates) != 3:
        raise ValueError
    return rates


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("server", metavar="ADDRESS")
    p.add_argument("--config", required=True, help="weir's, as JSON")
    p.add_argument("--pid", type=int, required=True, help="weir's")
    p.add_argument("--device", default="wan0", help="uplink port and its device")
    p.add_argument("--seconds", type=float, required=True)
    p.add_argument("--uplink", type=three_rates, required=True, metavar="LEAST,BASE,MOST")
    p.add_argument("--downlink", type=three_rates, required=True, metavar="LEAST,BASE,MOST")
    Autorate(p.parse_args()).run()


if __name__ == "__main__":
    main()
