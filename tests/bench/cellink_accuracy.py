#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Does cellink carry what its trace says, and no sooner or later than its profile says?

Sends numbered, stamped packets through it, both ways at once, in two network namespaces of its own.
Order and conservation must hold always; rate and delay depend on the machine, so by default they are
held to loose bounds, and with --assert to 1 % over ten seconds and 1 ms at low load.
Needs root, ip(8) and /dev/net/tun; exits 77 (skipped) where it lacks one of them.
"""
import argparse
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

MODEM, CARRIER = "10.64.3.7", "10.64.0.1"
PORT = 5001
HEADERS = 28  # IPv4 and UDP
SIZE = 1200  # octets of IP: not a divisor of 1500, so packets straddle opportunities
SETTLE_S = 1.2  # a round of each trace here, in which the buffer fills
STAMP = struct.Struct("!QQ")
SO_TIMESTAMPNS = 35
SKIPPED = 77


def send(address, mbps, seconds):
    """Sends at this rate; after a stall it goes on from now and does not catch up in a burst."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect((address, PORT))
    gap = SIZE * 8 / (mbps * 1e6)
    padding = bytes(SIZE - HEADERS - STAMP.size)
    start = due = time.monotonic()
    seq = 0
    while due - start < seconds:
        now = time.monotonic()
        if now < due:
            time.sleep(due - now)
            continue
        due = max(due + gap, now - 0.005)
        try:
            sock.send(STAMP.pack(seq, time.time_ns()) + padding)
            seq += 1
        except OSError:
            pass
    print(json.dumps({"sent": seq}))


def receive(silence):
    """Writes a line `seq sent_ns received_ns` for each packet; received is the kernel's stamp."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, getattr(socket, "SO_RCVBUFFORCE", 33), 64 << 20)
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    sock.bind(("", PORT))
    sock.settimeout(10)
    print("ready", flush=True)
    lines = []
    while True:
        try:
            data, ancillary, _, _ = sock.recvmsg(2048, 64)
        except TimeoutError:
            break
        sock.settimeout(silence)
        stamp = next(value for level, kind, value in ancillary if kind == SO_TIMESTAMPNS)
        second, nanosecond = struct.unpack("@qq", stamp)
        seq, sent = STAMP.unpack_from(data)
        lines.append(f"{seq} {sent} {second * 1_000_000_000 + nanosecond}\n")
    sys.stdout.writelines(lines)


class World:
    """Two namespaces and cellink between them; gone at the end, however it ends."""

    def __init__(self, cellink, folder, options):
        self.modem, self.carrier = (f"cellink-{os.getpid()}-{side}" for side in "mc")
        self.stats_path = os.path.join(folder, "stats.json")
        self.command = [cellink, "--modem-netns", self.modem, "--carrier-netns", self.carrier,
                        "--carrier-address", f"{CARRIER}/16", "--stats", self.stats_path, *options]
        self.process = None

    def __enter__(self):
        for name in (self.modem, self.carrier):
            subprocess.run(["ip", "netns", "add", name], check=True)
        try:
            self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL,
                                            stderr=subprocess.PIPE, text=True)
            line = self.process.stderr.readline()
            if not line.startswith("cellink.ready"):
                raise RuntimeError(line.strip() or "cellink ended at once")
            for command in (["addr", "add", f"{MODEM}/32", "dev", "wwan0"],
                            ["route", "add", "default", "dev", "wwan0"]):
                subprocess.run(["nsenter", "--net=/run/netns/" + self.modem, "ip", *command], check=True)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(10)
        for name in (self.modem, self.carrier):
            subprocess.run(["ip", "netns", "del", name], check=False)

    def start(self, netns, *role):
        return subprocess.Popen(["nsenter", "--net=/run/netns/" + netns, sys.executable, __file__, *role],
                                stdout=subprocess.PIPE, text=True)

    def blast(self, mbps, seconds, silence):
        """Both ways at once. Returns for each direction (packets sent, [(seq, sent, received)])."""
        receivers = [self.start(netns, "--receive", str(silence))
                     for netns in (self.carrier, self.modem)]
        for receiver in receivers:
            receiver.stdout.readline()
        senders = [self.start(netns, "--send", address, str(rate), str(seconds))
                   for netns, address, rate in ((self.modem, CARRIER, mbps[0]),
                                                (self.carrier, MODEM, mbps[1]))]
        outputs = [receiver.communicate()[0] for receiver in receivers]
        sent = [json.loads(sender.communicate()[0])["sent"] for sender in senders]
        return [(n, [tuple(map(int, line.split())) for line in output.splitlines()])
                for n, output in zip(sent, outputs)]

    def stop(self):
        """Ends cellink and returns its report."""
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait(10) != 0:
            raise RuntimeError("cellink did not end cleanly")
        with open(self.stats_path, encoding="utf-8") as file:
            return json.load(file)


class Judge:
    """Prints each figure and remembers what was wrong."""

    def __init__(self):
        self.n_wrong = 0

    def check(self, what, good, figure=""):
        print(f"  {'ok   ' if good else 'WRONG'} {what} {figure}", flush=True)
        self.n_wrong += not good


def check_order_and_counts(judge, name, sent, packets, stats):
    seqs = [seq for seq, _, _ in packets]
    judge.check(f"{name} in order", all(a < b for a, b in zip(seqs, seqs[1:])), len(seqs))
    for unit in ("packets", "octets"):
        total = sum(stats[end][unit] for end in ("delivered", "dropped", "queued"))
        judge.check(f"{name} offered = delivered + dropped + queued, {unit}",
                    stats["offered"][unit] == total, total)
    judge.check(f"{name} packets sent are offered, or lost before and counted",
                sent == stats["offered"]["packets"] + stats["tun_dropped_packets"], sent)
    judge.check(f"{name} packets delivered are received",
                len(packets) == stats["delivered"]["packets"], len(packets))


def rate_mbps(packets, window_s):
    """Over a window that begins with an arrival, once the queue stands; that packet is not counted."""
    settled = [packet for packet in packets if packet[2] - packets[0][2] >= SETTLE_S * 1e9]
    if not settled:
        return 0.0
    first = settled[0][2]
    n = sum(1 for _, _, at in settled[1:] if at - first <= window_s * 1e9)
    return n * SIZE * 8 / window_s / 1e6


def test_rate(judge, arguments, folder, name, options, mbps, window_s):
    print(f"{name}: {mbps[0]:g} up, {mbps[1]:g} Mbit/s down, over {window_s} s")
    with World(arguments.cellink, folder, [*options, "--buffer", "2MB"]) as world:
        results = world.blast([1.4 * rate for rate in mbps], window_s + SETTLE_S + 0.5, 3)
        stats = world.stop()
    for direction, expected, (sent, packets) in zip(("uplink", "downlink"), mbps, results):
        check_order_and_counts(judge, direction, sent, packets, stats[direction])
        measured = rate_mbps(packets, window_s)
        error = measured / expected - 1
        judge.check(f"{direction} rate", abs(error) <= (0.01 if arguments.strict else 0.5),
                    f"{measured:.3f} Mbit/s ({error:+.2%})")


def test_delay(judge, arguments, folder, seconds):
    profile = {"uplink": 30.0, "downlink": 20.0}
    print("delay at low load: 30 ms up, 20 ms down")
    with World(arguments.cellink, folder,
               ["--rate", "100Mbps", "--uplink-delay", "30ms", "--downlink-delay", "20ms"]) as world:
        results = world.blast([1, 1], seconds, 1)
        stats = world.stop()
    for (name, base), (sent, packets) in zip(profile.items(), results):
        check_order_and_counts(judge, name, sent, packets, stats[name])
        expected = base + SIZE * 8 / 100e3
        extra = sorted((at - stamp) / 1e6 - expected for _, stamp, at in packets)
        p50, p95, p99 = (extra[int(share * (len(extra) - 1))] for share in (0.5, 0.95, 0.99))
        judge.check(f"{name} never early", extra[0] > -0.05, f"{extra[0]:+.3f} ms")
        judge.check(f"{name} not late", p95 <= (1 if arguments.strict else 200),
                    f"p50 {p50:+.3f}  p95 {p95:+.3f}  p99 {p99:+.3f}  max {extra[-1]:+.3f} ms")


def write(folder, name, lines):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)
    return path


def opportunities(per_ms):
    """A second of a trace: in each tenth of a second another number of opportunities a millisecond."""
    return [ms for ms in range(1, 1001) for _ in range(per_ms[ms // 100 % len(per_ms)])] + [1000]


def run(arguments):
    judge = Judge()
    long = 10 if arguments.strict else 2
    with tempfile.TemporaryDirectory(prefix="cellink-") as folder:
        up, down = opportunities([1, 0, 2, 1, 3]), opportunities([2, 4, 0, 1, 2])
        steps = ["0 4", "0.5 20", "1 1", "1.5 11"]
        test_delay(judge, arguments, folder, long)
        test_rate(judge, arguments, folder, "fixed rate",
                  ["--uplink-rate", "10Mbps", "--downlink-rate", "25Mbps"], (10, 25), long)
        test_rate(judge, arguments, folder, "opportunities",
                  ["--uplink-trace", write(folder, "up", up), "--downlink-trace",
                   write(folder, "down", down)],
                  (len(up) * 0.012, len(down) * 0.012), long)
        test_rate(judge, arguments, folder, "second Mbit/s",
                  ["--trace", write(folder, "steps", steps)], (9, 9), long)
    print("all well" if judge.n_wrong == 0 else f"{judge.n_wrong} wrong")
    return 1 if judge.n_wrong else 0


def missing():
    if os.geteuid() != 0:
        return "needs root"
    if shutil.which("ip") is None:
        return "needs ip(8), of the package iproute2"
    if not os.path.exists("/dev/net/tun"):
        return "needs /dev/net/tun"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cellink", default="build/bench/cellink")
    parser.add_argument("--assert", dest="strict", action="store_true",
                        help="hold rate to 1 %% over 10 s and delay to 1 ms")
    parser.add_argument("--send", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--receive", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.send:
        address, mbps, seconds = arguments.send
        send(address, float(mbps), float(seconds))
        return 0
    if arguments.receive:
        receive(float(arguments.receive))
        return 0
    lacking = missing()
    if lacking:
        print(f"skipped: {lacking}")
        return SKIPPED
    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
