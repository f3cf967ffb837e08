# SPDX-License-Identifier: BSD-3-Clause
"""Events, and metrics as Prometheus has them."""
import contextlib
import json
import os
import subprocess
import time

from cases import check, same, test, until
from cases.life import check_idle
from cases.services import TAP
from lab import EXTERNAL, GATEWAY, HOST, LAN_NET, SERVICE, need, run


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

    def wait(self, name, after=0, **fields):
        """Until there is one of that name and those fields behind number `after`; returns the newest."""
        def found():
            return [e for e in self.events(name) if e["seq"] > after and all(e["fields"].get(k) == v for k, v in fields.items())]
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
    down = follower.wait("port.down", port="wan0")
    lab.ip("gw", "link", "set", "wan0", "up")
    follower.wait("port.up", after=down["seq"], port="wan0")
    config = json.load(open(weir.conf, encoding="utf-8"))
    config["plans"]["sim1"]["quota"] = "2MB"
    weir.write(config)
    weir.process.send_signal(1)
    follower.wait("config.applied", changes=1, live=1)
    with open(weir.conf, "a", encoding="utf-8") as f:
        f.write("\nnonsense: 1\n")
    weir.process.send_signal(1)
    refused = follower.wait("config.refused")["fields"]
    check(refused["line"] > 1 and "not YAML" in refused["error"], "why it was refused: %s" % refused)
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
    check("drops.above reason=policy.denied" in weir.log(), "a thousand drops a second are no event")
    lab.ping("lan", SERVICE)


def promtool(*words, text=None):
    need("promtool")
    return subprocess.run(["promtool", *words], input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


def metrics(lab, weir, *words):
    return run(lab.options.weirctl, "--socket", weir.socket, "metrics", *words).stdout


def samples(text):
    """{name{labels}: number} of what is no comment."""
    pairs = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
    check(len({name for name, _ in pairs}) == len(pairs), "a sample is there twice")
    return {name: float(value) for name, value in pairs}


@test
def metrics_text(bench):
    """weirctl metrics writes what promtool has nothing to say against, every figure as weirctl show has it."""
    lab = bench.lab()
    config = planned(lab, classes={"pings": {"protocol": "icmp"}})
    config["ports"]["wan0"]["rate"] = {"uplink": "50Mbps", "downlink": "50Mbps"}
    weir = lab.weir(config)
    lab.ping("lan", SERVICE)
    pour(lab, 50000)
    ports = weir.settled_ports()
    text = metrics(lab, weir)
    done = promtool("check", "metrics", text=text)
    same((done.returncode, done.stdout), (0, ""), "promtool check metrics")
    got = samples(text)
    for name, port in ports.items():
        for direction in ("uplink", "downlink"):
            for key, unit in (("octets", "bytes"), ("packets", "packets")):
                same(got['weir_port_ip_%s_total{port="%s",direction="%s"}' % (unit, name, direction)],
                     port["%s_%s" % (direction, key)], "%s %s of %s" % (direction, key, name))
        same(got['weir_port_up{port="%s"}' % name], 1, "weir_port_up of " + name)
    for drop in weir.show("drops", "--all"):
        same(got['weir_drop_packets_total{reason="%s"}' % drop["reason"]], drop["packets"], "drops " + drop["reason"])
    for row in weir.show("classes"):
        same(got['weir_class_bytes_total{class="%s",direction="uplink"}' % row["name"]], row["uplink_octets"], row["name"])
    plan = weir.show("plans")[0]
    same(got['weir_plan_quota_bytes{plan="sim1"}'], 1000000, "quota")
    same(got['weir_plan_used_bytes{plan="sim1"}'], plan["used_octets"], "used")
    same([name for name in got if name.startswith("weir_plan_step{") and got[name] == 1],
         ['weir_plan_step{plan="sim1",step="%s"}' % plan["step"]], "steps that hold")
    same(got['weir_link_shaped_bytes_per_second{port="wan0",direction="uplink"}'], 50e6 / 8, "shaped rate")
    check(got['weir_link_wait_seconds{port="wan0",direction="uplink",quantile="0.99"}'] < 1, "the wait is not in seconds")
    check(any(name.startswith("weir_device_bytes_total{device=\"%s\"" % HOST) for name in got), "no sample of the device")
    none = samples(metrics(lab, weir, "--devices", "0"))
    device = next(d for d in weir.show("devices") if d["address"] == HOST)
    same(none['weir_device_bytes_total{device="other",mac="",port="",direction="uplink"}'], device["uplink_octets"], "other devices")
    check(metrics(lab, weir, "--format", "openmetrics").endswith("# EOF\n"), "OpenMetrics without an end")


@test
def metrics_bounded(bench):
    """With a hundred devices, metrics are as many as with 65: each of the first 64 has its own, the others one sum that is right."""
    lab, weir = bench.site()
    addresses = [LAN_NET + str(20 + i) for i in range(100)]
    for address in addresses:
        lab.ip("lan", "address", "add", address + "/24", "dev", "eth0")
    for address in addresses:
        lab.ping("lan", SERVICE, "-I", address)
    weir.settled_ports()
    text = metrics(lab, weir)
    same((promtool("check", "metrics", text=text).stdout), "", "promtool check metrics")
    mine = {name: v for name, v in samples(text).items() if name.startswith("weir_device_bytes_total{")}
    same(len(mine), (64 + 1) * 2, "samples of devices")
    same(sum(v for name, v in mine.items() if "uplink" in name), sum(d["uplink_octets"] for d in weir.show("devices")),
         "octets of all devices")
    check(len(text) < 80000, "%d octets" % len(text))


def status_of(process):
    with open("/proc/%d/status" % process.pid, encoding="utf-8") as f:
        return {line.split(":", 1)[0]: line.split(":", 1)[1].split() for line in f}


def web_site(bench):
    """(lab, weir, words that start weir-web)"""
    lab = bench.lab()
    os.chmod(lab.dir, 0o711)  # weir-web has no rights: it must be able to reach the socket
    weir = lab.weir(start=False)
    view = os.path.join(weir.dir, "view", "view.sock")
    config = planned(lab, runtime={"view_socket": view, "view_group": "nogroup", "state_dir": os.path.join(weir.dir, "state"),
                                   "records": weir.records_file})
    weir.write(config)
    weir.start()
    return lab, weir, (os.path.join(os.path.dirname(lab.options.weirctl), "weir-web"), "--socket", view,
                       "--token", os.path.join(lab.dir, "token"))


def get(lab, short, url, *options, may_fail=False):
    need("curl")
    return lab.exec(short, "curl", "-sS", "--max-time", "5", *options, url, may_fail=may_fail)


@test
def web_has_no_rights(bench):
    """weir-web runs as nobody, listens on no uplink, and its socket shows and changes nothing."""
    lab, weir, words = web_site(bench)
    for address in ("0.0.0.0:9469", "[::]:9469", "198.51.100.2:9469", "nonsense", "127.0.0.1:"):
        done = lab.exec("gw", *words, "--listen", address, may_fail=True)
        check(done.returncode != 0 and done.stderr, "weir-web listens on " + address)
    done = lab.exec("gw", words[0], "--socket", weir.socket, may_fail=True)
    check(done.returncode != 0 and "view_socket" in done.stderr, "weir-web takes the socket of root: " + done.stderr)
    web = lab.spawn("gw", *words, "--listen", "127.0.0.1:9469")
    until(lambda: get(lab, "gw", "http://127.0.0.1:9469/healthz", may_fail=True).returncode == 0, "weir-web answers")
    status = status_of(web)
    check("0" not in status["Uid"] and "0" not in status["Gid"], "weir-web is root: %s" % status["Uid"])
    same((status["CapEff"], status["CapPrm"], status["NoNewPrivs"], status["Groups"]),
         (["0" * 16], ["0" * 16], ["1"], []), "rights of weir-web")
    for path, options, code in (("/", (), 200), ("/metrics", (), 200), ("/nothing", (), 404), ("/../etc/passwd", ("--path-as-is",), 404),
                                ("/metrics", ("-X", "POST", "-d", "x"), 405), ("/metrics", ("-I",), 200)):
        got = get(lab, "gw", "http://127.0.0.1:9469" + path, "-o", "/dev/null", "-w", "%{http_code}", *options).stdout
        same(got[-3:], str(code), "status of " + path)
    check(get(lab, "lan", "http://127.0.0.1:9469/", may_fail=True).returncode != 0, "it answers in another namespace")
    done = run(lab.options.weirctl, "--socket", words[2], "plan", "top-up", "sim1", "1MB", may_fail=True)
    check(done.returncode != 0, "the socket for those who look took a command")
    same(weir.show("plans")[0]["top_up_octets"], 0, "octets bought through it")
    weir.stop()
    url = "http://127.0.0.1:9469/metrics"
    until(lambda: get(lab, "gw", url, "-w", "%{http_code}").stdout.endswith("503"), "without weir a scrape fails")
    check("no weir answers" in get(lab, "gw", url).stdout, "it does not say why")
    web.terminate()
    same(web.wait(10), 0, "exit of weir-web")


@test
def web_on_the_lan(bench):
    """On a LAN's address weir-web answers the LAN, before and after weir came, and never the uplink; who holds connections or sends
    nonsense keeps nobody else out."""
    lab, weir, words = web_site(bench)
    config = json.load(open(weir.conf, encoding="utf-8"))
    weir.stop()
    config["ports"]["lan0"]["tap"] = TAP
    weir.write(config)
    weir.start()
    web = lab.spawn("gw", *words, "--listen", GATEWAY + ":9469", "--open-metrics")
    url = "http://%s:9469/" % GATEWAY
    until(lambda: get(lab, "lan", url + "healthz", may_fail=True).stdout == "well\n", "the LAN is answered")
    check("weir_flows " in get(lab, "lan", url + "metrics").stdout, "no metrics on the LAN")
    for address in (EXTERNAL, GATEWAY):
        lab.ip("car", "route", "replace", GATEWAY + "/32", "via", EXTERNAL)
        done = get(lab, "car", "http://%s:9469/metrics" % address, "--max-time", "2", may_fail=True)
        check(done.returncode != 0 and "weir_" not in done.stdout, "the uplink is answered at " + address)
    lab.ip("lan", "address", "add", LAN_NET + "66/24", "dev", "eth0")
    held = [lab.connect("lan", (GATEWAY, 9469), (LAN_NET + "66", 0)) for _ in range(40)]
    for i, s in enumerate(held):
        with contextlib.suppress(OSError):  # more than a few from one address are turned away
            s.sendall((b"GET /metrics HTTP/1.1\r\n", os.urandom(3000), b"\0" * 100, b"GET " + b"/" * 60000)[i % 4])
    for _ in range(5):
        check("weir_flows " in get(lab, "lan", url + "metrics").stdout, "others are kept out")
    check(web.poll() is None, "weir-web has ended")
    weir.stop()
    weir.start()
    until(lambda: get(lab, "lan", url + "metrics", may_fail=True).stdout.startswith("# HELP"), "it serves the weir that came back")
    web.terminate()
    same(web.wait(10), 0, "exit of weir-web")


PROMETHEUS = """global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: [ "%s" ]
scrape_configs:
  - job_name: weir
    static_configs: [ { targets: [ "127.0.0.1:9469" ] } ]
"""


class Prometheus:
    """A real one, that scrapes weir-web each second."""

    def __init__(self, lab):
        need("prometheus", "curl")
        self.lab = lab
        folder = os.path.join(lab.dir, "prometheus")
        os.makedirs(folder)
        rules = os.path.join(lab.options.source, "config", "prometheus", "alerts.yaml")
        with open(folder + "/prometheus.yaml", "w", encoding="utf-8") as f:
            f.write(PROMETHEUS % rules)
        with open(folder + "/log", "w", encoding="utf-8") as log:
            lab.spawn("gw", "prometheus", "--config.file=" + folder + "/prometheus.yaml", "--storage.tsdb.path=" + folder + "/data",
                      "--web.listen-address=127.0.0.1:9490", stdout=log, stderr=log)
        until(lambda: get(lab, "gw", "http://127.0.0.1:9490/-/ready", may_fail=True).stdout.startswith("Prometheus"), "Prometheus is ready")

    def ask(self, expression):
        """[(labels, number)]"""
        done = self.lab.exec("gw", "curl", "-sS", "-G", "--data-urlencode", "query=" + expression, "http://127.0.0.1:9490/api/v1/query")
        answer = json.loads(done.stdout)
        same(answer["status"], "success", "answer to " + expression)
        return [(r["metric"], float(r["value"][1])) for r in answer["data"]["result"]]


@test
def prometheus_scrapes(bench):
    """What a real Prometheus has scraped is what weirctl shows, to the octet, and one alert comes of it."""
    lab, weir, words = web_site(bench)
    lab.spawn("gw", *words)
    prometheus = Prometheus(lab)
    until(lambda: prometheus.ask("up") and prometheus.ask("up")[0][1] == 1, "a scrape that succeeds")
    before = prometheus.ask("scrape_samples_scraped")[0][1]
    lab.ping("lan", SERVICE, count=3)
    pour(lab, 150000)
    ports = weir.settled_ports()

    def has_all():
        rows = prometheus.ask("weir_port_ip_bytes_total")
        return {(m["port"], m["direction"]): v for m, v in rows} == {
            (name, d): port[d + "_octets"] for name, port in ports.items() for d in ("uplink", "downlink")}

    until(has_all, lambda: "the octets of %s: there are %s" % (ports, prometheus.ask("weir_port_ip_bytes_total")))
    plan = weir.show("plans")[0]
    same([v for _, v in prometheus.ask("weir_plan_used_bytes")], [plan["used_octets"]], "used")
    same([m["step"] for m, v in prometheus.ask("weir_plan_step == 1")], ["notify"], "step")
    check(before > 200, "%d samples" % before)
    same(prometheus.ask("sum(weir_drop_packets_total)")[0][1], sum(weir.drops().values()), "drops")
    until(lambda: prometheus.ask('ALERTS{alertname="WeirPlanStep"}'), "an alert of the plan's step")
