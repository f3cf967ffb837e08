# SPDX-License-Identifier: BSD-3-Clause
"""A raw-IP uplink over an emulated LTE bearer: what a site has."""
import os
import re
import threading
import time

from cases import check, close_records, same, test, until
from cases.quota import iperf3
from cases.services import with_tap
from cases.traffic import dig, fetch_tls, serve_dns, serve_tls
from lab import SERVICE, run


def cellular_site(bench, **more):
    lab = bench.lab(bearer="cellink", profile="lte-good")
    config = with_tap(lab)
    config["ports"]["wan0"].update(more)
    weir = lab.weir(config)
    same(weir.port("wan0")["framing"], "raw-ip", "framing of the uplink")
    until(lambda: lab.ping("lan", SERVICE, may_fail=True).returncode == 0, "the bearer carries")
    return lab, weir


@test
def cellular_programs(bench):
    """ping, dig and curl over TLS through lte-good, also from the gateway itself; the records add up."""
    lab, weir = cellular_site(bench)
    serve_dns(lab, "car", SERVICE, "--no-resolv", "--address=/site.test/203.0.113.9")
    body = os.urandom(500000)
    certificate = serve_tls(lab, "car", (SERVICE, 8443), body)
    for short in ("lan", "gw"):
        lab.ping(short, SERVICE, "-s", "1400", count=3)
        same(dig(lab, short, SERVICE, "a.site.test"), "203.0.113.9", "answer to dig from %s" % short)
        check(fetch_tls(lab, short, certificate, (SERVICE, 8443)) == body, "the page came changed to %s" % short)
    close_records(weir, weir.settled_ports()["wan0"])


@test
def cellular_iperf3(bench):
    """iperf3 up and down through lte-good."""
    lab, weir = cellular_site(bench)
    for way in ([], ["-R"]):
        report = iperf3(lab, "-t", "5", *way)
        check(report["end"]["sum_received"]["bytes"] > 100000, "hardly anything arrived: %s" % report["end"]["sum_received"])
    close_records(weir, weir.settled_ports()["wan0"])


@test
def cellular_shaped(bench):
    """Shaped below the bearer's rate, the queue stands in weir: up and down stay within the rates."""
    lab, weir = cellular_site(bench, rate={"uplink": "5Mbps", "downlink": "10Mbps"})
    for options, low, high in (([], 2.5, 6), (["-R"], 5, 12)):
        report = iperf3(lab, "-t", "6", "-O", "1", *options)
        mbps = report["end"]["sum_received"]["bits_per_second"] / 1e6
        check(low < mbps < high, "%.1f Mbit/s %s" % (mbps, " ".join(options)))
    close_records(weir, weir.settled_ports()["wan0"])


def pinged_under(lab, *options):
    """Round trips in ms of pings beside a transfer, sorted."""
    transfer = threading.Thread(target=iperf3, args=(lab, "-t", "12", *options))
    transfer.start()
    time.sleep(4)
    said = lab.ping("lan", SERVICE, "-i", "0.05", "-W", "3", count=100, may_fail=True).stdout
    transfer.join()
    return sorted(float(ms) for ms in re.findall(r"time=([0-9.]+) ms", said))


@test
def cellular_followed(bench):
    """Where no rate is configured but followed, a transfer fills the bearer and a ping beside it does not wait for a deep buffer."""
    lab, weir = cellular_site(bench, rate={"follow": True})
    for options in ([], ["-R"]):
        times = pinged_under(lab, *options)
        p95 = times[len(times) * 95 // 100]
        check(len(times) >= 90, "%d of 100 pings came back" % len(times))
        check(p95 < 200, "p95 of ping beside iperf3 %s: %.0f ms" % (" ".join(options), p95))
    rows = weir.show("link")
    check(all(row["answers_tcp"] > 20 for row in rows), "hardly any evidence: %s" % rows)
    check(all(row["carried_bps"] > 4e6 for row in rows), "lte-good carries more: %s" % rows)
    close_records(weir, weir.settled_ports()["wan0"])


def tell(weir, *words, may_fail=False):
    return run(weir.lab.options.weirctl, "--socket", weir.socket, "link", *words, may_fail=may_fail)


@test
def cellular_hints(bench):
    """What a modem tells by weirctl is shown, logged when the cell is another one, and refused when it makes no sense."""
    lab, weir = cellular_site(bench, rate={"follow": True})
    check("technology" not in weir.show("link")[0], "nothing was told yet")
    for rsrp in ("-97", "-98"):
        tell(weir, "wan0", "--technology", "lte", "--cell", "1a2b03", "--rsrp", rsrp)
    row = weir.show("link")[0]
    same((row["technology"], row["cell"], row["rsrp_dbm"]), ("lte", "1A2B03", -98), "the hint")
    check(row["hint_age_us"] < 30e6, "the hint is %d us old" % row["hint_age_us"])
    check("1A2B03" in weir.ctl("link").stdout, "no cell in the table")
    same(len(re.findall(r"link.hint port=wan0 technology=lte cell=1A2B03 rsrp_dbm=-97", weir.log())), 1, "lines in the log")
    same(weir.log().count("link.hint"), 1, "all such lines")
    for words, says in (("wan0 --technology 6g", "lte-m"), ("wan7 --cell 1", "wan0"), ("wan0 --rsrp 5", "-156"), ("lan0 --cell 1", "wan0")):
        refused = tell(weir, *words.split(), may_fail=True)
        check(refused.returncode == 1 and says in refused.stderr, "%s: %d %s" % (words, refused.returncode, refused.stderr))
    same(tell(weir, "wan0", may_fail=True).returncode, 2, "exit status without anything to tell")
    lab.ping("lan", SERVICE)


PROBED = "192.0.2.53"
PROBE_OCTETS = 28


class Stream:
    """Datagrams from a LAN to the carrier that nobody answers, so many bits a second."""

    def __init__(self, lab, bps, size=1200):
        self.every_s = size * 8 / bps
        self.data = bytes(size - 28)
        self.receiver = lab.udp("car", (SERVICE, 51820))
        self.sender = lab.udp("lan")
        self.ends = False
        self.thread = threading.Thread(target=self.send)
        self.thread.start()

    def send(self):
        due = time.monotonic()
        while not self.ends:
            self.sender.sendto(self.data, (SERVICE, 51820))
            due += self.every_s
            time.sleep(max(0, due - time.monotonic()))

    def stop(self):
        self.ends = True
        self.thread.join()


def pinged_under_udp(bench, mbps, **rate):
    """Round trips in ms of pings beside a one-way load through lte-driving, sorted; and what they went through."""
    lab = bench.lab(bearer="cellink", profile="lte-driving")
    config = lab.config()
    if rate:
        config["ports"]["wan0"]["rate"] = rate
    weir = lab.weir(config)
    lab.ip("car", "address", "add", PROBED + "/32", "dev", "lo")
    until(lambda: lab.ping("lan", SERVICE, may_fail=True).returncode == 0, "the bearer carries")
    stream = Stream(lab, mbps * 1e6)
    time.sleep(5)
    said = lab.ping("lan", SERVICE, "-i", "0.05", "-W", "5", count=400, may_fail=True).stdout
    stream.stop()
    return lab, weir, sorted(float(ms) for ms in re.findall(r"time=([0-9.]+) ms", said))


def percentile(values, percent):
    return values[len(values) * percent // 100]


@test
def cellular_probed(bench):
    """Where all is UDP that nobody answers, probes keep the queue out of the modem; they cost what is counted, and no more than allowed."""
    quota = 15000
    _, _, unshaped = pinged_under_udp(bench, 10)
    lab, weir, probed = pinged_under_udp(bench, 10, follow=True, probe={"to": PROBED, "quota": "%dB" % quota})
    port = weir.settled_ports()["wan0"]
    up, down = weir.show("link")
    figures = "ping beside it, p50 and p95 in ms: unshaped %.0f %.0f, probed %.0f %.0f; %d probes, %d + %d octets, %d answers" % (
        percentile(unshaped, 50), percentile(unshaped, 95), percentile(probed, 50), percentile(probed, 95), up["probes"],
        up["probe_octets"], down["probe_octets"], up["answers_probe"])
    print(figures)
    check(percentile(probed, 95) < percentile(unshaped, 95) / 2, figures)
    check(up["answers_probe"] > 20 and up["probe_octets"] + down["probe_octets"] <= quota, figures)
    same(up["probe_octets"], up["probes"] * PROBE_OCTETS, "octets of probes")
    same(down["probe_octets"], up["answers_probe"] * PROBE_OCTETS, "octets of answers")
    row = next(c for c in weir.show("classes") if c["name"] == "link-probe")
    same((row["uplink_octets"], row["downlink_octets"]), (up["probe_octets"], down["probe_octets"]), "the class link-probe")
    same(port["unattributed_uplink_octets"], up["probe_octets"], "octets of the uplink that no flow has")


@test
def cellular_probes_within_quota(bench):
    """Probes end at their quota with room for every answer; the ledger remembers what they have used across a restart."""
    lab = bench.lab(bearer="cellink", profile="lte-good")
    config = lab.config(plans={"sim1": {"quota": "1GB"}})
    config["ports"]["wan0"].update(plan="sim1", rate={"follow": True, "probe": {"to": PROBED, "every": "50ms", "quota": "%dB" % (40 * PROBE_OCTETS)}})
    weir = lab.weir(config)
    lab.ip("car", "address", "add", PROBED + "/32", "dev", "lo")
    until(lambda: lab.ping("lan", SERVICE, may_fail=True).returncode == 0, "the bearer carries")
    stream = Stream(lab, 20e6)
    until(lambda: weir.show("link")[1]["probe_octets"] == 20 * PROBE_OCTETS, lambda: "20 answers: %s" % weir.show("link"))
    time.sleep(2)
    same(weir.show("link")[0]["probes"], 20, "probes within the quota")
    weir.stop()
    weir.start()
    time.sleep(4)
    stream.stop()
    same(weir.show("link")[0]["probes"], 0, "probes after a restart in the same cycle")


@test
def cellular_modem_reset(bench):
    """The modem goes away and comes back under load: weir waits and takes it again."""
    lab, weir = cellular_site(bench)
    lab.processes[0].terminate()
    lab.processes[0].wait(30)
    weir.wait_port("wan0", "failed")
    lab.start_cellink()
    lab.ip("car", "address", "replace", SERVICE + "/32", "dev", "lo")
    weir.wait_port("wan0", "up")
    until(lambda: lab.ping("lan", SERVICE, "-W", "1", may_fail=True).returncode == 0, "traffic resumes")
    weir.check_alive()
