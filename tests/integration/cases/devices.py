# SPDX-License-Identifier: BSD-3-Clause
"""Quotas of devices: who is cut, who goes on, and what restarts and crashes remember."""
import json
import signal
import time

from cases import check, same, test, until
from lab import HOST, HOST2, SERVICE

QUOTA = 2000000
UNSAVED = QUOTA // 32 + 65536  # of a quota, what a crash may forget beside the last second


def site(bench, **quota):
    lab = bench.lab(lans=2)
    config = lab.config(plans={"sim1": {"quota": "1GB", "when_spent": "block"}},
                        groups={"cameras": {"devices": [HOST]}},
                        quotas={"cameras": dict({"group": "cameras", "quota": "2MB",
                                                 "ladder": [{"at": "50%", "do": "notify"}, {"at": "100%", "do": "block"}]},
                                                **quota)})
    config["ports"]["wan0"]["plan"] = "sim1"
    return lab, config, lab.weir(config)


def talk(lab, short, n, size=1000):
    """Datagrams up; returns how many the server got."""
    server = lab.udp("car", (SERVICE, 9))
    server.settimeout(3)
    client = lab.udp(short)
    got = 0
    for _ in range(n):
        client.sendto(bytes(size), (SERVICE, 9))
        try:
            server.recvfrom(2000)
            got += 1
        except OSError:
            break
    server.close()
    client.close()
    return got


def device_of(weir, address):
    return next((d for d in weir.show("devices") if d["address"] == address), {})


@test
def device_is_cut(bench):
    """A device is cut at its own quota to the packet, the other goes on; both ways; steps are logged, counted and shown."""
    lab, config, weir = site(bench)
    same(talk(lab, "lan", 1100), 1100, "datagrams of half the quota")
    until(lambda: "step=notify" in weir.log(), "the first step is logged")
    got = 1100 + talk(lab, "lan", 3000)
    check(QUOTA - 1100 * 2 < got * 1028 <= QUOTA, "%d datagrams of 1028 octets of 2 MB" % got)
    same(talk(lab, "lan2", 3000), 3000, "datagrams of the other")
    until(lambda: "step=block" in weir.log(), "the last step is logged")
    check(weir.drops().get("meter.device_blocked", 0) > 0, "no drops are counted: %s" % weir.drops())
    device = device_of(weir, HOST)
    same((device["quota"], device["step"], device["quota_octets"]), ("cameras", "block", QUOTA), "what is shown")
    check(device["quota_used_octets"] <= QUOTA, "used: %s" % device)
    check("quota" not in device_of(weir, HOST2), "the other is under one: %s" % device_of(weir, HOST2))
    same(weir.show("status")["devices_cut"], 1, "devices cut")
    config["quotas"]["cameras"]["quota"] = "3MB"
    weir.write(config)
    weir.process.send_signal(signal.SIGHUP)
    until(lambda: "step=notify" in weir.log().rsplit("step=block", 1)[1], "a larger quota takes the step back")
    same(talk(lab, "lan", 500), 500, "datagrams with a larger quota")
    weir.stop()


@test
def device_stays_cut(bench):
    """After an orderly end a device is cut as before, to the octet; under another address too."""
    lab = bench.lab(lans=2)
    mac = json.loads(lab.ip("lan", "-j", "link", "show", "eth0").stdout)[0]["address"]
    config = lab.config(plans={"sim1": {"quota": "1GB", "when_spent": "block"}},
                        groups={"cameras": {"devices": [mac]}},
                        quotas={"cameras": {"group": "cameras", "quota": "2MB"}})
    config["ports"]["wan0"]["plan"] = "sim1"
    weir = lab.weir(config)
    talk(lab, "lan", 3000)
    used = device_of(weir, HOST)["quota_used_octets"]
    weir.stop()
    weir.start()
    same(talk(lab, "lan", 5), 0, "datagrams after the restart")
    same(device_of(weir, HOST)["quota_used_octets"], used, "octets used after the restart")
    lab.ip("lan", "address", "flush", "dev", "eth0")
    lab.ip("lan", "address", "add", "192.168.50.99/24", "dev", "eth0")
    lab.ip("lan", "route", "replace", "default", "via", "192.168.50.1")
    same(talk(lab, "lan", 5), 0, "datagrams from another address")
    same(talk(lab, "lan2", 5), 5, "datagrams of the other")
    weir.stop()


@test
def device_stays_cut_after_kill(bench):
    """Killed while a device spends its quota, weir forgets no more of it than it says."""
    lab, _, weir = site(bench)
    sent = 0
    for n in range(1, 6):
        sent += talk(lab, "lan", 300) * 1028
        until(lambda: device_of(weir, HOST)["quota_used_octets"] > 0, "it is counted")
        weir.kill()
        weir.start()
        talk(lab, "lan", 1)
        sent += 1028
        used = device_of(weir, HOST)["quota_used_octets"]
        # A round of datagrams takes less than the second between two writes.
        check(used >= sent - n * (UNSAVED + 300 * 1028), "kill %d: %d sent, %d known" % (n, sent, used))
    talk(lab, "lan", 3000)
    until(lambda: device_of(weir, HOST)["step"] == "block", "it is cut")
    same(talk(lab, "lan", 5), 0, "datagrams when it is cut")
    until(lambda: weir.show("status")["ledger_writes_today"] > 0, "it is written")
    weir.kill()
    weir.start()
    got = talk(lab, "lan", 3000) * 1028
    check(got <= UNSAVED + 300 * 1028, "%d octets more after the last one" % got)
    weir.stop()


@test
def device_is_slowed(bench):
    """A device that a step slows has its rate, and the other has the link."""
    lab, _, weir = site(bench, ladder=[{"at": "50%", "do": "shape", "rate": "512kbps"}], quota="1MB")
    talk(lab, "lan", 600)
    until(lambda: device_of(weir, HOST).get("ceiling_bps") == 512000, "the rate holds")
    server, client = lab.udp("car", (SERVICE, 9)), lab.udp("lan")
    server.settimeout(1)
    start, got = time.monotonic(), 0
    for _ in range(400):  # 3.2 Mbit in a tenth of a second
        client.sendto(bytes(1000), (SERVICE, 9))
    while time.monotonic() - start < 2:
        try:
            server.recvfrom(2000)
            got += 1
        except OSError:
            break
    elapsed_s = time.monotonic() - start
    check(got * 1028 * 8 < 512000 * (elapsed_s + 2), "%d datagrams in %.1f seconds" % (got, elapsed_s))
    server.close()
    same(talk(lab, "lan2", 1000), 1000, "datagrams of the other")
    weir.stop()
