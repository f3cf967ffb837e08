# SPDX-License-Identifier: BSD-3-Clause
"""Events, and metrics as Prometheus has them."""
import json
import os
import subprocess
import time

from cases import check, same, test, until
from cases.life import check_idle
from lab import HOST, SERVICE, need, run


class Follower:
    """weirctl events --follow --json, its lines as they come."""

    def __init__(self, lab, weir, *words):
        self.file = os.path.join(lab.dir, "events-%d" % len(lab.processes))
        with open(self.file, "w", encoding="utf-8") as out:
            self.process = lab.spawn("gw", lab.options.weirctl, "--socket", weir.socket, "events", "--follow", "--json", *words,
                                     stdout=out, stderr=out)

    def events(self, name=None):
        with open(self.file, encoding="utf-8") as f:
            lines = [line for line in f if line.endswith("\n")]
        found = [json.loads(line) for line in lines]
        return [e for e in found if name is None or e["event"] == name]

    def wait(self, name, **fields):
        """Until there is one of that name and those fields; returns the newest."""
        def found():
            return [e for e in self.events(name) if all(e["fields"].get(k) == v for k, v in fields.items())]
        return until(found, lambda: "event %s %s: there is %s" % (name, fields, [e["event"] for e in self.events()]))[-1]


def planned(lab, **more):
    config = lab.config(plans={"sim1": {"quota": "1MB", "cycle": {"day": 1}, "ladder": [{"at": "10%", "do": "notify"}]}}, **more)
    config["ports"]["wan0"]["plan"] = "sim1"
    config.setdefault("runtime", {})["clock"] = "trusted"
    return config


def pour(lab, n_octets):
    """Sends so many octets of UDP to a server that takes them."""
    sender, taker = lab.udp("lan"), lab.udp("car", (SERVICE, 4000))
    for _ in range(n_octets // 1000):
        sender.sendto(b"x" * 972, (SERVICE, 4000))
        taker.recv(2000)


@test
def events_follow(bench):
    """weirctl events --follow tells of a device, a plan's step, a port that went and came, a reload, in order and without a gap."""
    lab = bench.lab()
    weir = lab.weir(planned(lab))
    follower = Follower(lab, weir)
    follower.wait("start.done", gateway="gw-test")
    check_idle(weir, "a client waits for events")
    lab.ping("lan", SERVICE)
    seen = follower.wait("device.seen", address=HOST, port="lan0")
    same(seen["severity"], "info", "severity of device.seen")
    pour(lab, 150000)
    step = follower.wait("plan.step", plan="sim1", step="notify")
    check(100000 <= step["fields"]["used_octets"] < 200000, "octets at the step: %s" % step)
    same(step["fields"]["quota_octets"], 1000000, "quota at the step")
    lab.ip("gw", "link", "set", "wan0", "down")
    follower.wait("port.down", port="wan0")
    lab.ip("gw", "link", "set", "wan0", "up")
    follower.wait("port.up", port="wan0")
    config = json.load(open(weir.conf, encoding="utf-8"))
    config["plans"]["sim1"]["quota"] = "2MB"
    weir.write(config)
    weir.process.send_signal(1)
    follower.wait("config.applied", changes=1, live=1)
    with open(weir.conf, "a", encoding="utf-8") as f:
        f.write("nonsense: 1\n")
    weir.process.send_signal(1)
    follower.wait("config.refused")
    sequence = [e["seq"] for e in follower.events()]
    same(sequence, list(range(1, len(sequence) + 1)), "numbers of the events")
    held = [json.loads(line) for line in weir_events(lab, weir, "--json").splitlines()]
    same([e["seq"] for e in held], sequence, "events that are held")
    people = weir_events(lab, weir, "--limit", "3").splitlines()
    same(len(people), 3, "lines with --limit 3")
    check("config.refused" in people[-1] and "error" in people[-1], "the last line: " + people[-1])
    for name in ("device.seen", "plan.step", "config.refused"):
        check(name in weir.log(), "%s is not in the log" % name)
    weir.stop()
    same(follower.process.wait(10), 1, "exit of the follower when weir ends")


def weir_events(lab, weir, *words):
    return run(lab.options.weirctl, "--socket", weir.socket, "events", *words).stdout


@test
def events_slow_follower(bench):
    """A follower that does not read holds nobody up, and when it reads again it is told how many events it has lost."""
    lab = bench.lab()
    config = lab.config(policy={"rules": [{"from": "lan", "to": "uplink", "protocol": "udp", "action": "drop", "log": True}],
                                "events_per_second": 1000})
    weir = lab.weir(config)
    slow = lab.spawn("gw", lab.options.weirctl, "--socket", weir.socket, "events", "--follow", "--json", stdout=subprocess.PIPE)
    slow.stdout.readline()
    sender = lab.udp("lan")

    def newest():
        for i in range(500):
            sender.sendto(b"x", (SERVICE, 1 + newest.n + i))
        newest.n += 500
        time.sleep(0.5)
        return [json.loads(line) for line in weir_events(lab, weir, "--json", "--limit", "1").splitlines()][0]["seq"]

    newest.n = 0
    until(lambda: newest() > 3000, "3000 events")
    start = time.monotonic()
    for _ in range(20):
        weir.show("status")
    check(time.monotonic() - start < 10, "others wait")
    last = newest()
    lost, taken = 0, 1
    while lost + taken < last:
        event = json.loads(slow.stdout.readline())
        if "lost" in event:
            lost += event["lost"]
        else:
            taken += 1
            same(event["seq"], lost + taken, "number of an event behind %d lost" % lost)
    check(lost > 0, "none of %d events were lost: the test shows nothing" % last)
    slow.kill()
    lab.ping("lan", SERVICE)
