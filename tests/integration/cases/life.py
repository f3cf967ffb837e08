# SPDX-License-Identifier: BSD-3-Clause
"""Interfaces that come and go, reloads, crashes, and the end."""
import os
import signal
import time

from cases import check, same, test, until
from cases.services import TAP, with_tap
from lab import CARRIER, GATEWAY, HOST, SERVICE, need


def cpu_seconds(pid):
    with open("/proc/%d/stat" % pid, encoding="utf-8") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def check_idle(weir, what):
    """Less than a third of a core over two seconds."""
    start, before = time.monotonic(), cpu_seconds(weir.process.pid)
    time.sleep(2)
    share = (cpu_seconds(weir.process.pid) - before) / (time.monotonic() - start)
    check(share < 0.33, "weir uses %d %% of a core while %s" % (share * 100, what))


def wait_ping(lab, short="lan", to=SERVICE):
    until(lambda: lab.ping(short, to, "-W", "1", may_fail=True).returncode == 0, "%s answers %s again" % (to, short))


@test
def idle_costs_little(bench):
    """Without traffic weir sleeps."""
    lab, weir = bench.site()
    lab.ping("lan", SERVICE)
    time.sleep(0.5)
    check_idle(weir, "there is no traffic")


def down_and_up(lab, weir, port):
    lab.ping("lan", SERVICE)
    lab.ip("gw", "link", "set", port, "down")
    weir.wait_port(port, "failed")
    until(lambda: "port.down port=%s" % port in weir.log(), "port.down is logged")
    if port == "wan0":
        done = lab.ping("lan", SERVICE, "-W", "1", may_fail=True)
        check(done.returncode != 0, "an answer through a port that is down")
    check_idle(weir, "%s is down" % port)
    lab.ip("gw", "link", "set", port, "up")
    weir.wait_port(port, "up")
    wait_ping(lab)
    check(weir.port(port)["failures"] >= 1, "the failure was not counted")
    same(weir.log().count("port.up port=%s " % port), 2, "port.up lines")
    weir.check_alive()


@test
def uplink_down_and_up(bench):
    """The uplink's interface goes down and comes up: counted, logged, no core burnt, traffic resumes."""
    lab, weir = bench.site()
    down_and_up(lab, weir, "wan0")


@test
def lan_down_and_up(bench):
    """The same for a LAN."""
    lab, weir = bench.site()
    down_and_up(lab, weir, "lan0")


@test
def peer_loses_carrier(bench):
    """The other end of the cable is pulled and put back."""
    lab, weir = bench.site()
    lab.ip("car", "link", "set", "car0", "down")
    weir.wait_port("wan0", "failed")
    lab.ip("car", "link", "set", "car0", "up")
    weir.wait_port("wan0", "up")
    wait_ping(lab)
    weir.check_alive()


@test
def uplink_recreated(bench):
    """The uplink's interface is deleted and made anew, twice: weir takes it over again, the kernel stays silent on it."""
    lab, weir = bench.site()
    lab.ping("lan", SERVICE)
    for _ in range(2):
        lab.ip("gw", "link", "del", "wan0")
        weir.wait_port("wan0", "failed")
        check_idle(weir, "its uplink is gone")
        lab.add_veth("wan0", "car", "car0")
        lab.ip("car", "address", "add", CARRIER + "/24", "dev", "car0")
        weir.wait_port("wan0", "up")
        wait_ping(lab)
        check("wan0" in lab.exec("gw", "nft", "list", "ruleset").stdout, "no table keeps the kernel off the new interface")
    check(weir.port("wan0")["failures"] >= 2, "the failures were not counted")
    weir.stop()
    check("wan0" not in lab.exec("gw", "nft", "list", "ruleset").stdout, "a table was left behind")


@test
def lan_recreated(bench):
    """A LAN's interface is deleted and made anew under a gateway with a tap."""
    lab = bench.lab()
    weir = lab.weir(with_tap(lab))
    lab.ping("lan", SERVICE)
    lab.ip("gw", "link", "del", "lan0")
    weir.wait_port("lan0", "failed")
    check_idle(weir, "its LAN is gone")
    lab.add_veth("lan0", "lan", "eth0")
    lab.ip("lan", "address", "add", HOST + "/24", "dev", "eth0")
    lab.ip("lan", "route", "add", "default", "via", GATEWAY)
    weir.wait_port("lan0", "up")
    wait_ping(lab)
    wait_ping(lab, "gw", HOST)
    weir.check_alive()


@test
def starts_without_uplink(bench):
    """weir starts while the modem is not there yet, and uses it when it comes."""
    lab = bench.lab()
    lab.ip("gw", "link", "del", "wan0")
    config = lab.config()
    config["ports"]["wan0"]["link"] = "cellular"
    weir = lab.weir(config)
    done = lab.ping("lan", SERVICE, "-W", "1", may_fail=True)
    check("Unreachable" in done.stdout or done.returncode != 0, "an answer without an uplink")
    check_idle(weir, "its uplink is absent")
    lab.add_veth("wan0", "car", "car0")
    lab.ip("car", "address", "add", CARRIER + "/24", "dev", "car0")
    weir.wait_port("wan0", "up")
    wait_ping(lab)


@test
def tap_deleted(bench):
    """Somebody deletes the tap: it is made again."""
    lab = bench.lab()
    weir = lab.weir(with_tap(lab))
    lab.ip("gw", "link", "del", TAP)
    until(lambda: lab.ip("gw", "link", "show", TAP, may_fail=True).returncode == 0, "the tap is back")
    wait_ping(lab, "gw", SERVICE)
    weir.check_alive()


def connection(lab):
    listener = lab.listen("car", SERVICE, 9000)
    client = lab.connect("lan", (SERVICE, 9000))
    return client, listener.accept()[0]


def check_connection(client, server):
    client.sendall(b"up")
    check(server.recv(10) == b"up", "the data came changed")
    server.sendall(b"down")
    check(client.recv(10) == b"down", "the answer came changed")


@test
def reload_good(bench):
    """SIGHUP with a new rate: it applies, and connections live on."""
    lab = bench.lab()
    config = lab.config()
    weir = lab.weir(config)
    pair = connection(lab)
    check_connection(*pair)
    created = weir.show("status")["flows_created"]
    config["ports"]["wan0"]["rate"] = {"uplink": "9Mbps", "downlink": "8Mbps"}
    config["flows"] = {"capacity": 1024}
    weir.write(config)
    weir.process.send_signal(signal.SIGHUP)
    until(lambda: weir.show("status")["reloads"] == 1, "the reload is counted")
    same({r["direction"]: r.get("shaped_bps") for r in weir.show("link")}, {"uplink": 9000000, "downlink": 8000000}, "rates")
    check("config.applied" in weir.log(), "no config.applied line")
    check("config.needs_restart key=flows.capacity" in weir.log(), "what needs a restart is not said: " + weir.tail())
    check_connection(*pair)
    same(weir.show("status")["flows_created"], created, "flows created")


@test
def reload_bad(bench):
    """SIGHUP with a mistake: nothing changes, and the log says where and why."""
    lab = bench.lab()
    config = lab.config()
    config["ports"]["wan0"]["rate"] = {"uplink": "9Mbps"}
    weir = lab.weir(config)
    pair = connection(lab)
    config["ports"]["wan0"]["rate"] = {"uplink": "9 parsecs"}
    weir.write(config)
    weir.process.send_signal(signal.SIGHUP)
    until(lambda: "config.refused" in weir.log(), "the refusal is logged")
    check("weir.yaml:" in weir.log() and "9 parsecs" in weir.log(), "not said where or why: " + weir.tail())
    os.unlink(weir.conf)
    weir.process.send_signal(signal.SIGHUP)
    until(lambda: weir.log().count("config.refused") == 2, "a missing file is refused")
    same(weir.show("status")["reloads"], 0, "reloads")
    same(weir.show("link")[0]["shaped_bps"], 9000000, "rate")
    check_connection(*pair)


@test
def killed_and_restarted(bench):
    """kill -9 under load, start again: the machine is tidied, and open connections are taken up from the LAN side."""
    lab = bench.lab()
    before = lab.state_of_machine()
    weir = lab.weir(with_tap(lab))
    client, server = connection(lab)
    check_connection(client, server)
    weir.kill()
    # With weir gone its tables are gone, so the kernel resets what reaches it; nothing does: it has no addresses here.
    weir.start()
    client.sendall(b"still there?")
    same(server.recv(100), b"still there?", "what the server got")
    server.sendall(b"yes")
    same(client.recv(100), b"yes", "what the client got")
    lab.ping("lan", SERVICE)
    weir.stop()
    same_machine(lab.state_of_machine(), before)


def same_machine(after, before):
    changed = sorted(set(after.splitlines()) ^ set(before.splitlines()))
    check(after == before, "not put back: %s" % "; ".join(line.strip() for line in changed[:6]))


@test
def killed_then_tidied(bench):
    """After kill -9 a start that fails later still puts the offloads back; so does a start and a stop."""
    lab = bench.lab()
    before = lab.state_of_machine()
    weir = lab.weir()
    check(lab.state_of_machine() != before, "weir changed nothing: this test shows nothing")
    weir.kill()
    weir.start()
    weir.stop()
    same_machine(lab.state_of_machine(), before)


@test
def stop_restores(bench):
    """SIGTERM leaves offloads, nft, links, addresses and routes as they were found."""
    need("ethtool", "nft")
    lab = bench.lab()
    lab.exec("gw", "nft", "add", "table", "inet", "mine")
    lab.exec("gw", "ethtool", "-K", "lan0", "gro", "on", may_fail=True)
    before = lab.state_of_machine()
    weir = lab.weir(with_tap(lab))
    lab.ping("lan", SERVICE)
    lab.ping("gw", SERVICE)
    check(lab.state_of_machine() != before, "weir changed nothing: this test shows nothing")
    weir.stop()
    same_machine(lab.state_of_machine(), before)
    left = sorted(os.listdir(os.path.join(weir.dir, "state")))
    same(left, ["ledger.0", "ledger.1"], "files left in the state directory")


@test
def stop_under_load(bench):
    """SIGTERM while iperf3 runs: a clean end, and the flow is in the records."""
    lab, weir = bench.site()
    lab.spawn("car", "iperf3", "-s", "-B", SERVICE)
    until(lambda: SERVICE + ":5201" in lab.exec("car", "ss", "-Hltn").stdout, "iperf3 listens")
    lab.spawn("lan", "iperf3", "-c", SERVICE, "-t", "60")
    until(lambda: weir.port("wan0")["uplink_octets"] > 1000000, "iperf3 sends")
    weir.stop()
    check(sum(r["octetDeltaCount"] for r in weir.records()) > 1000000, "the flow is not in the records")
