# SPDX-License-Identifier: BSD-3-Clause
"""One run: a site, weir or its rival, the emulated bearer, traffic both ways, and the figures."""
import json
import os
import re
import signal
import subprocess
import threading
import time

from lab import CARRIER, SERVICE, EXTERNAL, Failed, Lab, run, until

from . import figures, traffic

HERE = os.path.dirname(os.path.abspath(__file__))
MODES = {
    "none": "no shaper: the bearer's deep buffer",
    "fixed": "weir at the capacity's mean",
    "oracle": "CoDel in the bearer, which knows its capacity",
    "oracle-fq": "the same with a queue a flow",
    "autorate": "weir at a rate that active probes find",
    "auto": "weir's own controller",
}
SHAPED = ("fixed", "autorate", "auto")
ORACLES = {"oracle": "codel", "oracle-fq": "fq-codel"}
FOLLOWED = {"follow": True}
LEAD_S = 0.5  # for the client to wait where it is told to begin
DRAIN_S = 0.5  # what was on the way at the end
SAMPLE_S = 1.0
LATE_US = 5000  # an emulator that hands over later than this has distorted what it measures
ARITHMETIC_NICE = 19  # other runs may be under way meanwhile
AUTORATE_LEAST, AUTORATE_MOST = 0.1, 4  # of the mean, which is its base rate


class World(Lab):
    """A Lab whose bearer is a case's."""

    def __init__(self, options, case, mode, seed):
        self.case, self.mode, self.seed = case, mode, seed
        super().__init__(options, bearer="cellink", offloads=False)

    def stats_file(self):
        return os.path.join(self.dir, "cellink.json")

    def start_cellink(self):
        more = ["--aqm", ORACLES[self.mode]] if self.mode in ORACLES else []
        self.cellink_log = os.path.join(self.dir, "cellink.log")
        with open(self.cellink_log, "w", encoding="utf-8") as log:
            self.cellink = subprocess.Popen(
                [self.options.cellink, *self.case.arguments(self.dir), "--seed", str(self.seed), *more, "--modem", "wan0", "--modem-netns",
                 self.ns("gw"), "--carrier", "car0", "--carrier-netns", self.ns("car"), "--carrier-address", CARRIER + "/24",
                 "--stats", self.stats_file()], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.processes.append(self.cellink)
        until(lambda: self.said("cellink.ready") or self.cellink.poll() is not None, "cellink starts")
        if self.cellink.poll() is not None:
            raise Failed("cellink: " + self.log_text().splitlines()[0])

    def log_text(self):
        with open(self.cellink_log, encoding="utf-8") as f:
            return f.read()

    def said(self, word):
        return re.search(r"^%s(.*)$" % re.escape(word), self.log_text(), re.M)

    def begin(self):
        """Time 0 of the bearer is now; returns it on the clock of the captures."""
        self.cellink.send_signal(signal.SIGUSR2)
        return int(until(lambda: self.said("cellink.begin realtime_ns="), "cellink begins anew", every_s=0.005).group(1))


class Rates(threading.Thread):
    """What weir shapes to, once a second; weirctl is the cost, so not more often."""

    def __init__(self, weir, begin):
        super().__init__(daemon=True)
        self.weir, self.begin, self.seen, self.stop = weir, begin, [], threading.Event()

    def run(self):
        while not self.stop.wait(SAMPLE_S):
            at = time.monotonic() - self.begin
            try:
                rows = self.weir.show("link")
            except (Failed, ValueError, subprocess.TimeoutExpired):
                continue
            self.seen.append({"at_s": round(at, 2), **{r["direction"]: r.get("shaped_bps") for r in rows if "direction" in r}})


def capacity_of(options, case, seed, seconds, folder):
    """What the bearer could carry in so many seconds from its time 0."""
    path = os.path.join(folder, "capacity.json")
    done = subprocess.run([options.cellink, *case.arguments(folder), "--seed", str(seed), "--duration", "%gs" % seconds, "--capacity", path],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise Failed(done.stdout.strip().splitlines()[0])
    with open(path, encoding="utf-8") as f:
        capacity = json.load(f)
    os.remove(path)
    return capacity


def kbps(bps):
    return "%dkbps" % max(8, round(bps / 1000))


def config_of(lab, mode, capacity):
    config = lab.config()
    mean = {d: capacity[d]["mean_bps"] for d in figures.DIRECTIONS}
    if mode in ("fixed", "autorate"):
        config["ports"]["wan0"]["rate"] = {d: kbps(mean[d]) for d in mean}
    elif mode == "auto":
        config["ports"]["wan0"]["rate"] = FOLLOWED
    return config


def lacks(options, folder):
    """Why this weir cannot be judged in its own mode; None when it can."""
    path = os.path.join(folder, "auto.yaml")
    ports = {"lan0": {"role": "lan", "device": "lan0", "address": "192.168.50.1/24"},
             "wan0": {"role": "uplink", "device": "wan0", "link": "cellular", "framing": "raw-ip", "address": EXTERNAL + "/32", "rate": FOLLOWED}}
    with open(path, "w", encoding="utf-8") as f:
        json.dump({"gateway": "gw-judge", "ports": ports}, f)
    done = run(options.weir, "check", path, may_fail=True)
    os.remove(path)
    said = [line for line in (done.stderr + done.stdout).splitlines() if ".rate" in line]  # not that there is no such interface here
    return "this weir has no `rate: { follow: true }`: " + said[0].split("error: ")[-1] if said else None


def start_autorate(lab, weir, capacity, seconds):
    rates = ["%s=%s" % ("--" + d, ",".join("%d" % (capacity[d]["mean_bps"] * part) for part in (AUTORATE_LEAST, 1, AUTORATE_MOST)))
             for d in figures.DIRECTIONS]
    return lab.spawn("lan", "/usr/bin/python3", os.path.join(HERE, "autorate.py"), SERVICE, "--config", weir.conf, "--pid",
                     str(weir.process.pid), "--seconds", "%g" % seconds, *rates)


def spawn_traffic(lab, short, *words, **options):
    with open(os.path.join(lab.dir, "traffic.log"), "a", encoding="utf-8") as log:
        return lab.spawn(short, "/usr/bin/python3", os.path.join(HERE, "traffic.py"), *words, stderr=log, **options)


def start_delays(lab):
    log = open(os.path.join(lab.dir, "delays.log"), "w", encoding="utf-8")
    p = subprocess.Popen([lab.options.delays, lab.ns("lan") + ":eth0", lab.ns("car") + ":car0", os.path.join(lab.dir, "records")],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True)
    log.close()
    lab.processes.append(p)

    def ready():
        with open(os.path.join(lab.dir, "delays.log"), encoding="utf-8") as f:
            return "delays.ready" in f.read() or p.poll() is not None
    until(ready, "delays starts")
    return p


def emulator(lab, captures):
    """How well the machine kept up, and what makes the figures doubtful."""
    lab.cellink.terminate()
    lab.cellink.wait(20)
    with open(lab.stats_file(), encoding="utf-8") as f:
        stats = json.load(f)
    late = {d: stats[d]["handed_over_late"]["p99_us"] for d in figures.DIRECTIONS}
    doubts = ["cellink was late by %.1f ms (p99, %s)" % (us / 1000, d) for d, us in late.items() if us > LATE_US]
    doubts += ["cellink did not see %d packets (%s)" % (stats[d]["tun_dropped_packets"], d) for d in late if stats[d]["tun_dropped_packets"] > 0]
    if not stats["realtime"]:
        doubts.append("cellink had no real-time priority")
    if captures["missed_near"] + captures["missed_far"] > 0:
        doubts.append("captures missed %d packets" % (captures["missed_near"] + captures["missed_far"]))
    return {"late_p99_us": late, "captures": captures, "load_average": round(os.getloadavg()[0], 2), "doubts": doubts,
            "bearer": {d: {key: stats[d][key] for key in ("queueing_delay", "dropped_by", "max_buffer_octets")} for d in late}}


def client_words(settings, capacity):
    up = settings["flows"] if settings["load"] in ("both", "up") else 0
    down = settings["flows"] if settings["load"] in ("both", "down") else 0
    words = ["--up", str(up), "--down", str(down), "--congestion", settings["congestion"],
             "--call-every", "%.6f" % figures.call_every_s(capacity, settings["seconds"])]
    if settings["load"] == "blast":
        words += ["--blast-bps", str(settings["blast_bps"])]
    return words


def measure(lab, weir, capacity, settings):
    """Traffic for so long; (time 0 on the captures' clock, rates that weir had)."""
    seconds = settings["seconds"]
    spawn_traffic(lab, "car", "server", SERVICE)
    until(lambda: str(traffic.BULK_PORT) in lab.exec("car", "ss", "-Hltn").stdout, "the server listens")
    client = spawn_traffic(lab, "lan", "client", SERVICE, "--seconds", "%g" % seconds, *client_words(settings, capacity), stdin=subprocess.PIPE)
    time.sleep(LEAD_S)
    begin_ns = lab.begin()
    begin = time.monotonic()
    client.stdin.write(b"\n")
    client.stdin.close()
    rates = Rates(weir, begin)
    if settings["mode"] == "autorate":
        start_autorate(lab, weir, capacity, seconds)
    if settings["mode"] in SHAPED:
        rates.start()
    time.sleep(max(0.0, begin + seconds + DRAIN_S - time.monotonic()))
    rates.stop.set()
    if client.poll() not in (None, 0):
        with open(os.path.join(lab.dir, "traffic.log"), encoding="utf-8") as f:
            raise Failed("the traffic ended: " + " ".join(f.read().split())[-300:])
    weir.check_alive()
    return begin_ns, rates.seen


def judge(options, case, settings):
    """The result of one run, as it is written to its file."""
    lab = World(options, case, settings["mode"], settings["seed"])
    try:
        capacity = capacity_of(options, case, settings["seed"], settings["seconds"], lab.dir)
        weir = lab.weir(config_of(lab, settings["mode"], capacity))
        delays = start_delays(lab)
        begin_ns, rates = measure(lab, weir, capacity, settings)
        delays.terminate()
        captures = json.loads(delays.communicate(timeout=60)[0] or "{}")
        if delays.returncode != 0:
            raise Failed("delays ended with %d" % delays.returncode)
        os.nice(ARITHMETIC_NICE)
        records = figures.read_records(os.path.join(lab.dir, "records"))
        result = {"version": 1, "case": case.name, "set": case.group, "driving": case.driving, "assumed": case.assumed, "scale": case.scale,
                  "settings": settings, "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(begin_ns // 10**9)), "kernel": os.uname().release,
                  "call_every_s": round(figures.call_every_s(capacity, settings["seconds"]), 6), "machine": emulator(lab, captures), "rates": rates}
        for d in figures.DIRECTIONS:
            result[d] = figures.direction_figures(records, d, begin_ns, settings["seconds"], capacity)
        return result
    finally:
        lab.close()
