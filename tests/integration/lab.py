# SPDX-License-Identifier: BSD-3-Clause
"""A site in network namespaces: LANs, a gateway that runs weir, and a carrier.

    lan, lan2 --- veth --- gw (weir) --- veth or cellink --- car

Whatever a Lab makes has this process's id in its name and ends with Lab.close(), also after a failure.
"""
import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

LAN_NET = "192.168.50."
LAN2_NET = "192.168.60."
GATEWAY = LAN_NET + "1"
HOST = LAN_NET + "10"
HOST2 = LAN2_NET + "10"
EXTERNAL = "198.51.100.2"  # of weir, on the uplink
CARRIER = "198.51.100.1"  # next router there
SERVICE = "203.0.113.1"  # a server beyond it
PATIENCE_S = 60  # for what takes a moment on an idle machine
CLONE_NEWNET = 0x40000000

libc = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """What a test asserts is not so."""


class Skipped(Exception):
    """This machine cannot run the test."""


def check(condition, why):
    if not condition:
        raise Failed(why)


def same(got, want, what):
    if got != want:
        raise Failed("%s: %s, not %s" % (what, got, want))


def until(question, what, patience_s=PATIENCE_S, every_s=0.1):
    """Asks until the answer is true, and returns it."""
    end = time.monotonic() + patience_s
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > end:
            raise Failed("not within %d s: %s" % (patience_s, what() if callable(what) else what))
        time.sleep(every_s)


def need(*programs):
    for program in programs:
        if shutil.which(program) is None:
            raise Skipped("%s is not installed" % program)


def run(*command, may_fail=False, patience_s=PATIENCE_S, **options):
    """Runs a program to its end; returns the CompletedProcess with text."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
                          stdin=options.pop("stdin", subprocess.DEVNULL), timeout=patience_s, **options)
    if done.returncode != 0 and not may_fail:
        raise Failed("%s: exit %d: %s" % (" ".join(command), done.returncode, (done.stderr or done.stdout).strip()[-300:]))
    return done


def hang_up(s):
    """Closes a socket also under a thread that waits on it: else it would hold its namespace for as long as it waits."""
    with contextlib.suppress(OSError):
        s.shutdown(socket.SHUT_RDWR)
    s.close()


class Weir:
    """One weir process, its configuration and its files."""

    def __init__(self, lab, name="weir"):
        self.lab = lab
        self.dir = os.path.join(lab.dir, name)
        os.makedirs(self.dir, exist_ok=True)
        self.conf = os.path.join(self.dir, "weir.yaml")
        self.socket = os.path.join(self.dir, "state", "weir.sock")
        self.records_file = os.path.join(self.dir, "flows.json")
        self.log_file = os.path.join(self.dir, "log")
        self.process = None

    def write(self, config):
        """JSON is YAML."""
        with open(self.conf, "w", encoding="utf-8") as f:
            json.dump(config, f, indent=1)

    def log(self):
        with open(self.log_file, encoding="utf-8", errors="replace") as f:
            return f.read()

    def tail(self):
        return " | ".join(self.log().strip().splitlines()[-4:])

    def start(self, wait=True, through=()):
        """`through`: a command that ends by executing weir."""
        log = open(self.log_file, "a", encoding="utf-8")
        self.log_start = os.path.getsize(self.log_file)
        self.process = self.lab.spawn("gw", *through, self.lab.options.weir, "run", self.conf, stdout=log, stderr=log)
        log.close()
        if wait:
            until(self.is_ready, lambda: "weir starts: " + self.tail())

    def is_ready(self):
        if self.process.poll() is not None:
            raise Failed("weir ended at start, exit %d: %s" % (self.process.returncode, self.tail()))
        return "start.done" in self.log()[self.log_start:]

    def check_alive(self):
        check(self.process.poll() is None, "weir has ended by itself: " + self.tail())

    def stop(self):
        """SIGTERM, and a clean end."""
        self.check_alive()
        self.process.send_signal(signal.SIGTERM)
        same(self.process.wait(PATIENCE_S), 0, "weir's exit status (%s)" % self.tail())

    def kill(self):
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def ctl(self, *words, may_fail=False):
        return run(self.lab.options.weirctl, "--socket", self.socket, "show", *words, may_fail=may_fail)

    def show(self, *words):
        """Rows of a view, or its object."""
        answer = json.loads(self.ctl(*words, "--json").stdout)
        return answer.get(words[0], answer)

    def port(self, name):
        return next(p for p in self.show("ports") if p["name"] == name)

    def drops(self):
        return {d["reason"]: d["packets"] for d in self.show("drops")}

    def wait_drop(self, reason, n, before=None):
        """Until `reason` has been counted n times since `before`."""
        start = (before or {}).get(reason, 0)
        until(lambda: self.drops().get(reason, 0) - start >= n,
              lambda: "%d packets dropped as %s: there is %s" % (n, reason, self.drops()))

    def wait_port(self, name, state):
        until(lambda: self.port(name)["state"] == state, lambda: "port %s is %s: %s" % (name, state, self.tail()))

    def records(self):
        if not os.path.exists(self.records_file):
            return []
        with open(self.records_file, encoding="utf-8") as f:
            return [json.loads(line) for line in f]

    def settled_ports(self):
        """Ports' counters once nothing moves any more."""
        last = None
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            now = {p["name"]: p for p in self.show("ports")}
            counts = {n: (p["rx_packets"], p["tx_packets"], p["uplink_octets"], p["downlink_octets"]) for n, p in now.items()}
            if counts == last:
                return now
            last = counts
            time.sleep(0.6)
        raise Failed("the counters of weir's ports do not come to rest")


class Lab:
    """Namespaces by short name: gw, car, lan, lan2."""

    def __init__(self, options, lans=1, bearer="veth", offloads=True, uplink_mtu=1500, profile="lte-good"):
        self.options = options
        self.bearer = bearer
        self.lans = lans
        self.uplink_mtu = uplink_mtu
        self.profile = profile
        self.processes = []
        self.closers = []
        self.n = options.count()
        self.owner = os.getpid()  # also in processes that it forks
        self.dir = tempfile.mkdtemp(prefix="weir-%d-" % os.getpid())
        self.made = []
        self.complaints = []  # of sanitizers, once it is closed
        try:
            self.build(offloads)
        except BaseException:
            self.close()
            raise

    def ns(self, short):
        return "weir-%d-%d-%s" % (self.owner, self.n, short)

    def ip(self, short, *words, may_fail=False):
        return run("nsenter", "--net=/run/netns/" + self.ns(short), "ip", *words, may_fail=may_fail)

    def exec(self, short, *command, **options):
        return run("nsenter", "--net=/run/netns/" + self.ns(short), *command, **options)

    def spawn(self, short, *command, **options):
        options.setdefault("stdout", subprocess.DEVNULL)
        options.setdefault("stderr", subprocess.DEVNULL)
        options.setdefault("stdin", subprocess.DEVNULL)
        p = subprocess.Popen(["nsenter", "--net=/run/netns/" + self.ns(short), *command], **options)
        self.processes.append(p)
        return p

    def sysctl(self, short, **values):
        self.exec(short, "sysctl", "-qw", *["%s=%s" % (k.replace("__", "/"), v) for k, v in values.items()])

    def add_namespace(self, short):
        run("ip", "netns", "add", self.ns(short))
        self.made.append(self.ns(short))
        self.sysctl(short, net__ipv6__conf__all__disable_ipv6=1, net__ipv6__conf__default__disable_ipv6=1,
                    net__ipv4__conf__all__rp_filter=0, net__ipv4__conf__default__rp_filter=0,
                    net__ipv4__ping_group_range="0 2147483647")
        self.ip(short, "link", "set", "lo", "up")

    def add_veth(self, gw_device, short, device, mtu=1500):
        self.ip("gw", "link", "add", gw_device, "mtu", str(mtu), "type", "veth", "peer", "name", device,
                "mtu", str(mtu), "netns", self.ns(short))
        self.ip("gw", "link", "set", gw_device, "up")
        self.ip(short, "link", "set", device, "up")

    def add_lan(self, i):
        short, net = (("lan", LAN_NET), ("lan2", LAN2_NET))[i]
        self.add_namespace(short)
        self.add_veth("lan%d" % i, short, "eth0")
        self.ip(short, "address", "add", net + "10/24", "dev", "eth0")
        self.ip(short, "route", "add", "default", "via", net + "1")

    def build(self, offloads):
        self.add_namespace("gw")
        self.add_namespace("car")
        for i in range(self.lans):
            self.add_lan(i)
        if self.bearer == "veth":
            self.add_veth("wan0", "car", "car0", self.uplink_mtu)
            self.ip("car", "address", "add", CARRIER + "/24", "dev", "car0")
        else:
            self.start_cellink()
        self.ip("car", "address", "add", SERVICE + "/32", "dev", "lo")
        if not offloads:
            for short, device in [("gw", "lan0"), ("gw", "wan0"), ("lan", "eth0"), ("car", "car0")]:
                self.exec(short, "ethtool", "-K", device, "tx", "off", "rx", "off", "tso", "off", "gso", "off",
                          "gro", "off", "sg", "off", may_fail=True)

    def start_cellink(self):
        if not os.access(self.options.cellink, os.X_OK):
            raise Skipped("no cellink at %s" % self.options.cellink)
        profiles = os.path.join(self.options.source, "bench", "profiles")
        log = open(os.path.join(self.dir, "cellink.log"), "w", encoding="utf-8")
        p = subprocess.Popen([self.options.cellink, "--profile", self.profile, "--profiles", profiles,
                              "--modem", "wan0", "--modem-netns", self.ns("gw"), "--carrier", "car0",
                              "--carrier-netns", self.ns("car"), "--carrier-address", CARRIER + "/24"],
                             stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()
        self.processes.append(p)
        until(lambda: self.ip("car", "link", "show", "car0", may_fail=True).returncode == 0
              and self.ip("gw", "link", "show", "wan0", may_fail=True).returncode == 0, "cellink makes its interfaces")
        self.ip("gw", "link", "set", "wan0", "up")
        self.ip("car", "link", "set", "car0", "up")

    def config(self, **more):
        """The usual site; `more` replaces or adds top-level keys."""
        ports = {}
        for i in range(self.lans):
            ports["lan%d" % i] = {"role": "lan", "device": "lan%d" % i, "tap": "none",
                                  "address": "%s1/24" % (LAN_NET, LAN2_NET)[i]}
        uplink = {"role": "uplink", "device": "wan0", "address": EXTERNAL + "/24"}
        if self.bearer == "veth":
            uplink["gateway"] = CARRIER
        else:
            uplink.update(link="cellular", framing="raw-ip", address=EXTERNAL + "/32")
        ports["wan0"] = uplink
        config = {"gateway": "gw-test", "ports": ports}
        config.update(more)
        return config

    def weir(self, config=None, name="weir", start=True):
        w = Weir(self, name)
        config = config or self.config()
        config.setdefault("runtime", {}).update(state_dir=os.path.join(w.dir, "state"), records=w.records_file)
        config["runtime"].setdefault("interim", "0s")
        w.write(config)
        if start:
            w.start()
        return w

    @contextlib.contextmanager
    def inside(self, short):
        """Sockets made in here are the namespace's."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open("/run/netns/" + self.ns(short), os.O_RDONLY)
        try:
            if libc.setns(there, CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            yield
        finally:
            libc.setns(home, CLONE_NEWNET)
            os.close(there)
            os.close(home)

    def socket(self, short, *arguments, bind=None, listen=None, wait_s=PATIENCE_S):
        with self.inside(short):
            s = socket.socket(*arguments)
        self.closers.append(lambda: hang_up(s))
        if s.type == socket.SOCK_STREAM:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if bind is not None:
            s.bind(bind)
        if listen is not None:
            s.listen(listen)
        s.settimeout(wait_s)
        return s

    def udp(self, short, address=""):
        """(address, port) or an address with a port of the kernel's choice."""
        return self.socket(short, socket.AF_INET, socket.SOCK_DGRAM,
                           bind=address if isinstance(address, tuple) else (address, 0))

    def listen(self, short, address, port=0):
        return self.socket(short, socket.AF_INET, socket.SOCK_STREAM, bind=(address, port), listen=4096)

    def connect(self, short, address, source=None, wait_s=PATIENCE_S):
        """One that fails is closed at once: its kernel would go on to send SYNs, some of them after the books are read."""
        s = self.socket(short, socket.AF_INET, socket.SOCK_STREAM, bind=source, wait_s=wait_s)
        try:
            s.connect(address)
        except OSError:
            s.close()
            raise
        return s

    def raw(self, short):
        """Sends IP packets with headers as given; the kernel fills in their checksum."""
        return self.socket(short, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)

    def ping(self, short, to, *options, count=1, may_fail=False):
        return self.exec(short, "ping", "-n", "-c", str(count), "-i", "0.2", "-W", "10", *options, to, may_fail=may_fail)

    def state_of_machine(self):
        """All that weir may change and has to put back, as text."""
        parts = [self.exec("gw", "nft", "list", "ruleset").stdout, self.exec("gw", "ip", "route", "show", "table", "all").stdout]
        links = json.loads(self.exec("gw", "ip", "-j", "address").stdout)
        for link in links:
            parts.append(json.dumps(link, sort_keys=True))
            if link["ifname"] != "lo":
                parts.append(self.exec("gw", "ethtool", "-k", link["ifname"]).stdout)
        return "\n".join(re.sub(r'"(valid|preferred)_life_time": \d+', "", p) for p in parts)

    def frames_lost_between(self):
        """Frames that the machine's own queues lost between two namespaces."""
        lost = 0
        for short in ("gw", "car", "lan", "lan2"):
            if self.ns(short) not in self.made:
                continue
            for link in json.loads(self.exec(short, "ip", "-j", "-s", "link").stdout):
                stats = link.get("stats64", {})
                if link["ifname"] != "lo":
                    lost += stats.get("rx", {}).get("dropped", 0) + stats.get("tx", {}).get("dropped", 0)
        return lost

    def log_files(self):
        return [os.path.join(top, f) for top, _, files in os.walk(self.dir) for f in files if f in ("log", "cellink.log")]

    def sanitizers_complain(self):
        """What they wrote into weir's log: a program that ends badly after its test is over has failed it."""
        lines = []
        for path in self.log_files():
            with open(path, encoding="utf-8", errors="replace") as f:
                lines += [line.strip() for line in f if re.search(r"ERROR: \w+Sanitizer|: runtime error: ", line)]
        return lines

    def close(self):
        for closer in reversed(self.closers):
            with contextlib.suppress(OSError):
                closer()
        for p in reversed(self.processes):
            if p.poll() is None:
                p.terminate()
        end = time.monotonic() + 10
        for p in self.processes:
            try:
                p.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        for name in self.made:
            self.delete_namespace(name)
        self.made = []
        self.complaints += self.sanitizers_complain()
        shutil.rmtree(self.dir, ignore_errors=True)

    def delete_namespace(self, name):
        with contextlib.suppress(subprocess.TimeoutExpired):  # the others are to go all the same
            pids = run("ip", "netns", "pids", name, may_fail=True).stdout.split()
            for pid in pids:  # children of ours that went their own way
                with contextlib.suppress(OSError, ValueError):
                    os.kill(int(pid), signal.SIGKILL)
            run("ip", "netns", "del", name, may_fail=True)
