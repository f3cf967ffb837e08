# SPDX-License-Identifier: BSD-3-Clause
"""What plans remember: over restarts, crashes and full disks."""
import contextlib
import os
import random
import threading
import time

from capture import Capture
from cases import check, same, test, until
from cases.quota import spend
from cases.traffic import MB
from lab import SERVICE, run

LEASE = 4 << 20  # no lease is larger below some megabits a second


def site(bench, classes=None, **plan):
    lab = bench.lab()
    config = lab.config(plans={"sim1": plan}, classes=classes or {})
    config["ports"]["wan0"]["plan"] = "sim1"
    return lab, lab.weir(config)


def plan_of(weir):
    return weir.show("plans")[0]


@contextlib.contextmanager
def chatter(lab, kbytes_s=400, source="", port=9, octets=1000, burst=1):
    """Datagrams up, all the time."""
    stop = threading.Event()
    s = lab.udp("lan", source)

    def talk():
        while not stop.is_set():
            with contextlib.suppress(OSError):
                for _ in range(burst):
                    s.sendto(bytes(octets), (SERVICE, port))
            stop.wait(burst * octets / 1000 / kbytes_s)

    thread = threading.Thread(target=talk, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@test
def usage_survives_restart(bench):
    """An orderly end writes down every octet: the next weir goes on from there, to the byte."""
    lab, weir = site(bench, quota="100MB", when_spent="block")
    lab.ping("lan", SERVICE, count=3)
    spent = spend(lab, True)
    until(lambda: plan_of(weir)["used_octets"] > spent, "it is counted")
    port = weir.settled_ports()["wan0"]
    weir.stop()
    weir.start()
    plan = plan_of(weir)
    same(plan["used_octets"], port["uplink_octets"] + port["downlink_octets"], "used after the restart")
    same(plan["lost_octets"], 0, "lost")
    weir.stop()
    weir.start()
    same(plan_of(weir)["used_octets"], plan["used_octets"], "used after another")


@test
def usage_survives_kill(bench):
    """Killed at any moment under traffic, weir never forgets an octet that it sent, and gives up less than a lease."""
    n_kills = 200 if bench.options.long else 12
    lab, weir = site(bench, quota="100GB", when_spent="block")
    carrier = Capture(lab, "car", "car0")
    chance = random.Random(4)
    may_lose = 0
    with chatter(lab):
        for n in range(1, n_kills + 1):
            time.sleep(chance.uniform(0.05, 0.6))
            # A lease is renewed when half of it is left. It grows as the day's writes are used up, which every start does.
            may_lose += max(LEASE, 2 * plan_of(weir)["leased_octets"])
            weir.kill()
            sent = carrier.received[0] + carrier.sent[0]
            weir.start()
            used = plan_of(weir)["used_octets"]
            check(used >= sent, "kill %d: %d octets sent, %d on disk" % (n, sent, used))
            check(used - sent <= may_lose, "kill %d: %d octets lost of %d" % (n, used - sent, may_lose))
    carrier.stop()
    check(carrier.received[0] > 100 * n_kills, "there was no traffic to speak of: %d octets" % carrier.received[0])
    check("ledger.open health=whole" in weir.log(), "the ledger was found damaged: " + weir.tail())
    weir.stop()


@test
def disk_full(bench):
    """With no room for the ledger only the reserve's traffic goes on; with room again all of it does, and nothing was forgotten."""
    lab = bench.lab()
    config = lab.config(plans={"sim1": {"quota": "1GB", "when_spent": "block"}},
                        classes={"servicing": {"protocol": "udp", "port": 9, "reserve": "10MB"}})
    config["ports"]["wan0"]["plan"] = "sim1"
    weir = lab.weir(config, start=False)
    state = os.path.join(weir.dir, "state")
    os.makedirs(state)
    run("mount", "-t", "tmpfs", "-o", "size=1200k", "none", state)
    try:
        weir.start()
        for name in ("ledger.0", "ledger.1"):  # a disk that is full, and loses what was there
            os.unlink(os.path.join(state, name))
        with open(os.path.join(state, "hog"), "wb", buffering=0) as hog, contextlib.suppress(OSError):
            while True:
                hog.write(bytes(4096))
        with chatter(lab, 4000):
            until(lambda: plan_of(weir)["unrecorded"], "the ledger is told to be broken")
        check("ledger.broken" in weir.log(), "not in the log")
        done = lab.ping("lan", SERVICE, "-W", "1", may_fail=True)
        check(done.returncode != 0, "a customer's ping passes unrecorded")
        s, server = lab.udp("lan"), lab.udp("car", (SERVICE, 9))
        s.sendto(b"attest", (SERVICE, 9))
        same(server.recvfrom(100)[0], b"attest", "what the server got")
        os.unlink(os.path.join(state, "hog"))
        until(lambda: not plan_of(weir)["unrecorded"], "it is mended")
        until(lambda: lab.ping("lan", SERVICE, may_fail=True).returncode == 0, "a ping passes again")
        weir.stop()
    finally:
        run("umount", "-l", state)


@test
def reserve_gets_through(bench):
    """When customers have spent all of theirs, not one more octet of theirs goes, and servicing does its own to the end."""
    lab, weir = site(bench, quota="2MB", ladder=[{"at": "100%", "do": "reserve-only"}],
                     classes={"servicing": {"protocol": "tcp", "remote": SERVICE, "port": 443, "reserve": "1MB"}})
    n = spend(lab, True)
    check(0 < n <= MB, "customers sent %d octets of 1 MB" % n)
    plan = plan_of(weir)
    check(plan["used_octets"] <= MB + 60000, "%d octets used, of 1 MB that customers had" % plan["used_octets"])
    check(lab.ping("lan", SERVICE, "-W", "1", "-s", "1400", may_fail=True).returncode != 0, "a customer's ping passes")
    listener = lab.listen("car", SERVICE, 443)
    client = lab.connect("lan", (SERVICE, 443))
    server = listener.accept()[0]
    server.settimeout(60)
    client.sendall(bytes(300000))
    got = 0
    while got < 300000:
        got += len(server.recv(65536))
    until(lambda: plan_of(weir)["reserve_used_octets"] > 300000, "the reserve has paid for it")
    check(plan_of(weir)["used_octets"] <= 2 * MB, "more than the quota was used")
