# SPDX-License-Identifier: BSD-3-Clause
"""What nobody asked for: billed, attributed, alarmed, and not answered."""
import socket

from capture import Capture
from cases import check, same, test, until
from cases.ledger import plan_of
from lab import EXTERNAL, SERVICE
from wire import SYN, TCP, UDP, ip_fields, ipv4, tcp, udp

STRANGERS = ("203.0.113.77", "203.0.113.78")
OVERHEAD = 54


def flood(lab, n):
    """SYNs and datagrams from two strangers, three of four by the first; returns octets and packets."""
    raw = lab.raw("car")
    octets = 0
    for i in range(n):
        source = (STRANGERS[i % 4 == 0], 1024 + i % 60000)
        if i % 2:
            packet = ipv4(source[0], EXTERNAL, TCP, tcp(source, (EXTERNAL, 23), SYN))
        else:
            packet = ipv4(source[0], EXTERNAL, UDP, udp(source, (EXTERNAL, 161), bytes(200)))
        raw.sendto(packet, (EXTERNAL, 0))
        octets += len(packet)
    return octets


def class_of(weir, name):
    return next(c for c in weir.show("classes") if c["name"] == name)


@test
def unsolicited_attributed(bench):
    """A flood from outside is of the class `unsolicited`, its senders and targets are named, an alarm stands, and nothing goes back."""
    lab = bench.lab()
    config = lab.config(plans={"sim1": {"quota": "100MB", "overhead": "%dB" % OVERHEAD}})
    config["ports"]["wan0"]["plan"] = "sim1"
    weir = lab.weir(config)
    lab.ping("lan", SERVICE)
    before = plan_of(weir)
    check(not before["unsolicited_alarm"], "there is an alarm before anything came")
    answers = Capture(lab, "car", "car0", lambda ip: ip_fields(ip)[1] == EXTERNAL)
    n = 2000
    octets = flood(lab, n)
    until(lambda: class_of(weir, "unsolicited")["downlink_packets"] == n, lambda: "%s" % class_of(weir, "unsolicited"))
    same(class_of(weir, "unsolicited")["downlink_octets"], octets, "octets of the class")
    until(lambda: plan_of(weir)["unsolicited_octets"] == octets + n * OVERHEAD,
          lambda: "%d octets in the plan's books, of %d" % (plan_of(weir)["unsolicited_octets"], octets + n * OVERHEAD))
    rows = weir.show("unsolicited")
    named = {(r["by"], r["what"]): r["packets"] for r in rows}
    same(named, {("sender", STRANGERS[0]): n * 3 // 4, ("sender", STRANGERS[1]): n // 4, ("network", "203.0.113.0/24"): n,
                 ("target", "tcp/23"): n // 2, ("target", "udp/161"): n // 2}, "who sent what")
    until(lambda: plan_of(weir)["unsolicited_alarm"], "the alarm")
    same(plan_of(weir)["unsolicited_sender"], STRANGERS[0], "the sender that it names")
    check("plan.unsolicited plan=sim1 alarm=on" in weir.log() and "sender=" + STRANGERS[0] in weir.log(), weir.tail())
    check("udp/161" in weir.ctl("unsolicited").stdout, "people are not told")
    answers.stop()
    same([p for sent, p in answers.kept if not sent], [], "answers at the carrier")
    weir.stop()
    weir.start()
    until(lambda: plan_of(weir)["unsolicited_octets"] == octets + n * OVERHEAD, "the books have it after a restart")


@test
def unsolicited_alarm_ends(bench):
    """The alarm ends when the configuration allows more; that is logged, too."""
    lab = bench.lab()
    plan = {"quota": "100MB", "unsolicited_alarm": "1%"}
    config = lab.config(plans={"sim1": plan})
    config["ports"]["wan0"]["plan"] = "sim1"
    weir = lab.weir(config)
    flood(lab, 200)
    until(lambda: plan_of(weir)["unsolicited_alarm"], "the alarm")
    plan["quota"] = "1TB"
    weir.write(config)
    weir.process.send_signal(1)
    until(lambda: not plan_of(weir)["unsolicited_alarm"], "the end of the alarm")
    same(plan_of(weir)["unsolicited_alarms"], 1, "alarms counted")
    check("plan.unsolicited plan=sim1 alarm=off" in weir.log(), weir.tail())
    check(socket.inet_aton(plan_of(weir)["unsolicited_sender"]), "a sender is named")
