# SPDX-License-Identifier: BSD-3-Clause
"""Plans and rates."""
import json
import signal
import threading

from cases import Books, check, same, test, until
from cases.traffic import MB, iperf3
from lab import SERVICE, run

CHUNK = 10000
LEASE = 256 << 10


def spend(lab, is_upload, n_max=3 * MB):
    """Sends up to so much over TCP; returns what arrived before nothing more did."""
    listener = lab.listen("car", SERVICE, 9000)
    client = lab.connect("lan", (SERVICE, 9000))
    server = listener.accept()[0]
    source, sink = (client, server) if is_upload else (server, client)
    source.settimeout(3)
    sink.settimeout(3)

    def push():
        try:
            for _ in range(n_max // CHUNK):
                source.sendall(bytes(CHUNK))
        except OSError:
            pass

    thread = threading.Thread(target=push, daemon=True)
    thread.start()
    n = 0
    try:
        while n < n_max:
            got = len(sink.recv(1 << 16))
            if got == 0:
                break
            n += got
    except OSError:
        pass
    thread.join(30)
    return n


def plan_site(bench, **plan):
    lab = bench.lab()
    config = lab.config(plans={"sim1": dict({"quota": "1MB", "when_spent": "block"}, **plan)})
    config["ports"]["wan0"]["plan"] = "sim1"
    return lab, lab.weir(config)


@test
def plan_blocks_uploads(bench):
    """A plan of 1 MB stops an upload before it is overspent; it is logged, counted, and told by weirctl."""
    lab, weir = plan_site(bench)
    n = spend(lab, True)
    check(0 < n <= MB, "%d octets arrived" % n)
    until(lambda: "plan.spent plan=sim1" in weir.log(), "plan.spent is logged")
    check(weir.drops().get("meter.plan_spent", 0) > 0, "no drops are counted")
    plan = weir.show("plans")[0]
    check(plan["left_octets"] < 20000, "%d octets left" % plan["left_octets"])
    check(plan["bill_low_octets"] <= plan["used_octets"] <= plan["bill_high_octets"] <= MB, "the bill: %s" % plan)
    same(plan["steps"]["block"], {"reached": 1, "taken_back": 0}, "the step's counters")
    same(weir.log().count("plan.spent"), 1, "plan.spent lines")
    done = lab.ping("lan", SERVICE, "-W", "1", "-s", "1400", may_fail=True)
    check(done.returncode != 0, "a ping passes after the plan is spent")


@test
def plan_blocks_downloads(bench):
    """A download ends near the quota; what the carrier delivers beyond it is billed, and no more than a window of it comes."""
    lab, weir = plan_site(bench)
    n = spend(lab, False)
    check(0 < n <= MB, "%d octets arrived" % n)
    weir.wait_drop("meter.plan_spent", 1)
    plan, port = weir.show("plans")[0], weir.settled_ports()["wan0"]
    check(plan["used_octets"] >= MB - LEASE, "the plan is not spent: %s" % plan)
    same(weir.show("plans")[0]["billed_downlink_octets"], port["downlink_octets"], "octets billed for the downlink")


@test
def plan_ends_a_fast_download(bench):
    """10 MB at the speed of the wire end within a quarter of a megabyte of the quota, and nothing that is billed above it passes."""
    lab, weir = plan_site(bench, quota="10MB")
    spend(lab, False, 12 * MB)
    weir.wait_drop("meter.plan_spent", 1)
    plan = weir.show("plans")[0]
    # What is on its way when the machine gives weir no turn arrives, and is dropped: a few packets.
    refused = sum(d["octets"] for d in weir.show("drops") if d["reason"] == "meter.plan_spent")
    above = plan["bill_high_octets"] - 10 * MB
    check(above <= min(refused, 64 * 1024), "the bill may be %d, %d octets of it refused" % (plan["bill_high_octets"], refused))
    check(plan["used_octets"] > 10 * MB - 256 * 1024, "%d octets were used" % plan["used_octets"])


@test
def plan_notifies(bench):
    """With when_spent: notify traffic goes on."""
    lab, weir = plan_site(bench, when_spent="notify")
    same(spend(lab, True), 3 * MB, "octets that arrived")
    until(lambda: "plan.step plan=sim1 step=notify" in weir.log(), "the step is logged")


@test
def plan_counts_overhead(bench):
    """What the carrier adds to each packet is billed, both ways."""
    lab, weir = plan_site(bench, quota="100MB", overhead="54B")
    books = Books(lab, weir)
    lab.ping("lan", SERVICE, count=5)
    plan = weir.show("plans")[0]
    same((plan["billed_uplink_octets"], plan["billed_downlink_octets"]), (5 * (84 + 54),) * 2, "octets billed")
    books.close()


@test
def plan_raised(bench):
    """A quota raised by a reload lets traffic pass again, and what was used stays used."""
    lab, weir = plan_site(bench)
    spend(lab, True)
    used = weir.show("plans")[0]["used_octets"]
    config = lab.config(plans={"sim1": {"quota": "50MB"}}, runtime={})
    config["ports"]["wan0"]["plan"] = "sim1"
    config["runtime"] = {"state_dir": weir.dir + "/state", "records": weir.records_file, "interim": "0s"}
    weir.write(config)
    weir.process.send_signal(signal.SIGHUP)
    until(lambda: weir.show("status")["reloads"] == 1, "the reload is counted")
    until(lambda: lab.ping("lan", SERVICE, may_fail=True).returncode == 0, "a ping passes")
    check(weir.show("plans")[0]["used_octets"] >= used, "used octets went down")


def tell(weir, *words, may_fail=False):
    return run(weir.lab.options.weirctl, "--socket", weir.socket, "plan", *words, may_fail=may_fail)


@test
def plan_topped_up(bench):
    """A top-up opens a plan that was spent, at once, and outlives a kill -9 the moment it is answered."""
    lab, weir = plan_site(bench)
    spend(lab, True)
    until(lambda: weir.show("plans")[0]["step"] == "block", "the plan is spent")
    check(lab.ping("lan", SERVICE, "-W", "1", may_fail=True).returncode != 0, "a ping passes after the plan is spent")
    said = tell(weir, "top-up", "sim1", "2MB").stdout
    check(said.startswith("sim1: ") and "left of 3 MB" in said, "weirctl says: " + said)
    weir.kill()
    weir.start()
    plan = weir.show("plans")[0]
    same((plan["quota_octets"], plan["top_up_octets"]), (3 * MB, 2 * MB), "quota and top-up")
    until(lambda: lab.ping("lan", SERVICE, may_fail=True).returncode == 0, "a ping passes")
    check("plan.top_up plan=sim1 octets=2000000 by=operator" in weir.log(), "it is not in the log")


@test
def plan_told_what_was_used(bench):
    """The carrier's own figure takes the place of weir's, and is there after a restart."""
    lab, weir = plan_site(bench, quota="10MB")
    spend(lab, True)
    answer = json.loads(tell(weir, "set-used", "sim1", "123kB", "--json").stdout)
    same(answer["used_octets"], 123000, "used, as answered")
    weir.stop()
    weir.start()
    plan = weir.show("plans")[0]
    check(123000 <= plan["used_octets"] < 130000, "%d octets used after the restart" % plan["used_octets"])
    check(123000 <= plan["bill_low_octets"] <= plan["bill_high_octets"] < 130000, "the bill: %s" % plan)


@test
def plan_mistakes(bench):
    """What cannot be told of a plan is refused with what can be."""
    lab, weir = plan_site(bench)
    for words, says in ((("top-up", "sim2", "1MB"), 'no plan is called "sim2"; there are: sim1'),
                        (("top-up", "sim1", "0B"), "octets are from"),
                        (("top-up", "sim1", "100"), "no amount of octets"),
                        (("top-up", "sim1"), "say which plan and how much"),
                        (("forget", "sim1", "1MB"), "nothing to tell of a plan")):
        done = tell(weir, *words, may_fail=True)
        check(done.returncode != 0 and says in done.stderr, "%s: %s" % (words, done.stderr))


@test
def shaped(bench):
    """A rate of 5 Mbit/s holds in both directions, within 3 and 6; nothing is lost from the books."""
    lab = bench.lab()
    config = lab.config()
    config["ports"]["wan0"]["rate"] = {"uplink": "5Mbps", "downlink": "5Mbps"}
    weir = lab.weir(config)
    books = Books(lab, weir)
    for way, options in (("uplink", []), ("downlink", ["-R"])):
        report = iperf3(lab, "-t", "6", "-O", "1", *options)
        mbps = report["end"]["sum_received"]["bits_per_second"] / 1e6
        check(3 < mbps < 6, "%s: %.1f Mbit/s" % (way, mbps))
    books.close()


@test
def shaped_datagrams(bench):
    """UDP at four times the rate: the excess is dropped by the shaper, counted, and not billed on the uplink."""
    lab = bench.lab()
    config = lab.config()
    config["ports"]["wan0"]["rate"] = {"uplink": "5Mbps"}
    weir = lab.weir(config)
    books = Books(lab, weir)
    iperf3(lab, "-u", "-b", "20M", "-t", "3", "-l", "1400")
    check(weir.drops().get("shape.queue_full", 0) > 0, "the shaper dropped nothing: %s" % weir.drops())
    books.close()
