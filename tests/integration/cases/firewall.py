# SPDX-License-Identifier: BSD-3-Clause
"""Rules, groups and admission, as a user has them: in the file, by SIGHUP, by the clock."""
import signal
import socket
import time

from capture import Capture
from cases import Books, check, same, test, until
from cases.services import TAP, serve_dns, start_sshd, with_tap
from lab import EXTERNAL, GATEWAY, HOST, LAN_NET, SERVICE, Skipped
from wire import SYN, TCP, UDP, ipv4, tcp, udp

LISTED, STRANGER = "02:00:5e:10:00:01", "02:00:5e:10:00:02"
PORTS = (5001, 5002)
FORCED_END = 4  # flowEndReason, RFC 5102


def connect(lab, port):
    """(client on the LAN, server at the carrier) of one connection."""
    listener = lab.listen("car", SERVICE, port)
    client = lab.connect("lan", (SERVICE, port))
    server, _ = listener.accept()
    for s in (client, server):
        s.settimeout(10)
    return client, server


def lives(pair):
    client, server = pair
    try:
        client.sendall(b"there")
        got = server.recv(100)
        server.sendall(b"back")
        return got == b"there" and client.recv(100) == b"back"
    except TimeoutError:
        return False


def reload(weir, config, n):
    weir.write(config)
    weir.process.send_signal(signal.SIGHUP)
    until(lambda: weir.show("status")["reloads"] == n, "the reload is counted")


def rules(*rows):
    return {"rules": list(rows)}


@test
def rules_by_sighup(bench):
    """SIGHUP with a new rule cuts one of two live connections and not the other; taking it back lets a new one begin."""
    lab = bench.lab()
    config = lab.config()
    weir = lab.weir(config)
    cut, kept = (connect(lab, port) for port in PORTS)
    check(lives(cut) and lives(kept), "a connection does not work")
    created = weir.show("status")["flows_created"]
    config["policy"] = rules({"protocol": "tcp", "port": 5001, "action": "drop", "log": True}, {"action": "allow"})
    reload(weir, config, 1)
    until(lambda: [r for r in weir.records() if r["destinationTransportPort"] == 5001
                   and r["flowEndReason"] == FORCED_END], lambda: "a record of the forced end: %s" % weir.records())
    cut[0].settimeout(2)
    cut[1].settimeout(2)
    check(not lives(cut), "the denied connection goes on")
    check(lives(kept), "the other one was cut too")
    same(weir.show("status")["flows_created"], created, "flows created")
    until(lambda: "rule.matched rule=1 action=drop" in weir.log(), "the match is told")
    first = weir.show("rules")[0]
    same((first["rule"], first["action"], first["matches"]), ("1", "drop", "protocol=6 port=5001"), "rule shown")
    check(first["flows"] >= 1, "no match is counted: %s" % first)
    check("RULE" in weir.ctl("rules").stdout, "no table of rules")
    config["policy"] = rules({"action": "allow"})
    reload(weir, config, 2)
    check(lives(kept), "the connection did not outlive the second change")
    lab.connect("lan", (SERVICE, 5001))


@test
def rules_for_groups(bench):
    """A group's device goes to its destinations and nowhere else; rules name it by MAC and by group."""
    lab = bench.lab()
    lab.ip("lan", "link", "set", "eth0", "address", LISTED)
    lab.ip("car", "address", "add", "203.0.113.2/32", "dev", "lo")
    config = lab.config(groups={"cameras": {"devices": [LISTED], "destinations": [SERVICE]}})
    config["policy"] = rules({"group": "cameras", "protocol": "udp", "action": "reject"})
    weir = lab.weir(config)
    lab.ping("lan", SERVICE)
    drops = weir.drops()
    check(lab.ping("lan", "203.0.113.2", "-W", "1", may_fail=True).returncode != 0, "it gets beyond its destinations")
    weir.wait_drop("policy.destination", 1, drops)
    until(lambda: "destination.denied" in weir.log(), "the refusal is told")
    s = lab.udp("lan")
    s.connect((SERVICE, 9))
    s.settimeout(10)
    s.send(b"x")
    try:
        s.recv(1)
        check(False, "an answer to what is rejected")
    except OSError as why:  # administratively prohibited
        check(not isinstance(why, TimeoutError), "the sender is not told")
    weir.wait_drop("policy.denied", 1, drops)


@test
def admission_by_mac(bench):
    """An unlisted MAC gets DNS from the gateway and nothing beyond it; a listed one is admitted; SIGHUP changes who is."""
    lab = bench.lab()
    lab.ip("lan", "link", "set", "eth0", "address", STRANGER)
    config = with_tap(lab)
    config["devices"] = {"admission": "listed", "allow": [LISTED]}
    weir = lab.weir(config)
    lab.ping("lan", GATEWAY)
    check(lab.ping("lan", SERVICE, "-W", "1", may_fail=True).returncode != 0, "a stranger gets out")
    weir.wait_drop("policy.quarantined", 1)
    until(lambda: "device.quarantined port=lan0 address=%s mac=%s" % (HOST, STRANGER) in weir.log(), "it is told")
    config["devices"]["quarantine"] = "nothing"
    reload(weir, config, 1)
    check(lab.ping("lan", GATEWAY, "-W", "1", may_fail=True).returncode != 0, "nothing is something")
    config["devices"]["allow"].append(STRANGER)
    reload(weir, config, 2)
    lab.ping("lan", SERVICE)
    pair = connect(lab, 5001)
    check(lives(pair), "the connection does not work")
    # Another one, listed too, takes the address over while its owner speaks.
    lab.ip("lan", "link", "set", "eth0", "address", LISTED)
    for s in pair:
        s.settimeout(2)
    drops = weir.drops()
    check(not lives(pair), "another MAC carries the connection on")
    weir.wait_drop("policy.mac_changed", 1, drops)
    until(lambda: "device.mac_changed" in weir.log(), "it is told")


@test
def nothing_listens_on_the_uplink(bench):
    """A scan of every TCP and UDP port from the carrier's side finds nothing, while sshd and dnsmasq serve the LAN."""
    lab = bench.lab()
    weir = lab.weir(with_tap(lab))
    start_sshd(lab)
    serve_dns(lab, "gw", GATEWAY, "--no-resolv", "--address=/gw.test/" + GATEWAY, "--interface=" + TAP)
    with lab.connect("lan", (GATEWAY, 22)) as s:
        check(s.recv(4) == b"SSH-", "sshd does not serve the LAN")
    lab.ip("car", "route", "add", LAN_NET + "0/24", "via", EXTERNAL)
    seen = Capture(lab, "car", "car0", lambda ip: ip[9] in (TCP, UDP) or ip[9] == 1)
    for target in (EXTERNAL, GATEWAY):
        scan_by_connect(lab, target)
        scan_raw(lab, weir, target)
    weir.wait_drop("policy.inbound", 2 * 65535)
    weir.wait_drop("local.from_uplink", 2 * 65535)
    seen.stop()
    same([p for sent, p in seen.kept if not sent], [], "answers of the gateway")
    same(weir.show("flows"), [], "flows that the scan began")


def scan_by_connect(lab, target):
    tries = []
    for port in (21, 22, 23, 25, 53, 67, 80, 123, 161, 443, 547, 1900, 5351, 8080, 8443, 9100):
        s = lab.socket("car", socket.AF_INET, socket.SOCK_STREAM)
        s.setblocking(False)
        check(s.connect_ex((target, port)) != 0, "port %d answers" % port)
        tries.append((port, s))
    time.sleep(1.5)
    for port, s in tries:
        why = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        check(why != 111, "port %d refuses: somebody is there" % port)
        try:
            s.getpeername()
            check(False, "port %d accepts" % port)
        except OSError:
            s.close()


def scan_raw(lab, weir, target):
    """Every port, TCP and UDP, no faster than weir takes them: a port that was lost on the way was not asked."""
    raw = lab.raw("car")
    before = weir.port("wan0")["rx_packets"]
    for port in range(1, 65536):
        raw.sendto(ipv4(SERVICE, target, TCP, tcp((SERVICE, 4000), (target, port), SYN)), (target, 0))
        raw.sendto(ipv4(SERVICE, target, UDP, udp((SERVICE, 4000), (target, port), b"?")), (target, 0))
        if port % 256 == 0:
            until(lambda: weir.port("wan0")["rx_packets"] - before >= 2 * port, "the scan arrives", every_s=0.005)


@test
def rules_by_the_clock(bench):
    """A schedule's minute comes: its rule begins to hold and cuts what it denies. Without a trusted clock drops hold from the start."""
    lab = bench.lab()
    config = lab.config(schedules={"soon": {"from": "00:00", "to": "00:01", "timezone": "UTC"}})
    begin = time.gmtime(time.time() + 70 - time.time() % 60)
    end = time.gmtime(time.mktime(begin) - time.timezone + 7200)
    config["schedules"]["soon"].update({"from": time.strftime("%H:%M", begin), "to": time.strftime("%H:%M", end)})
    config["policy"] = rules({"port": 5001, "protocol": "tcp", "schedule": "soon", "action": "drop"})
    config["runtime"] = {"clock": "trusted"}
    weir = lab.weir(config)
    if time.gmtime().tm_min == begin.tm_min:
        raise Skipped("the minute came too early")
    cut, kept = (connect(lab, port) for port in PORTS)
    same(weir.show("rules")[0]["state"], "idle", "the rule before its time")
    until(lambda: "schedule.changed schedule=soon holds=yes" in weir.log(), "the schedule begins", patience_s=90)
    same(weir.show("rules")[0]["state"], "holds", "the rule in its time")
    for s in cut:
        s.settimeout(2)
    until(lambda: not lives(cut), "the connection is cut")  # the worker takes the rules over a moment after they are shown
    check(lives(kept), "the other one was cut too")
