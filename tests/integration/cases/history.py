# SPDX-License-Identifier: BSD-3-Clause
"""The history that weir-web keeps: is it what weir counted, to the octet, whoever ends or is killed in between?"""
import contextlib
import json
import os
import signal
import sqlite3
import time

from cases import check, same, test, until
from cases.monitoring import get, web_site
from lab import HOST, SERVICE, run

URL = "http://127.0.0.1:9469/"
DIRECTIONS = ("uplink", "downlink")


class History:
    """weir, and a weir-web that looks and writes each second."""

    def __init__(self, bench, *words):
        self.lab, self.weir, self.web_words = web_site(bench)
        folder = os.path.join(self.lab.dir, "history")
        os.mkdir(folder)
        os.chmod(folder, 0o777)  # weir-web is nobody
        self.file = os.path.join(folder, "history.db")
        self.log = os.path.join(self.lab.dir, "log")
        self.more = words
        self.sender, self.taker = self.lab.udp("lan"), self.lab.udp("car", (SERVICE, 4000))
        self.gone = {}  # what runs of weir that ended had counted
        self.web = None

    def pour(self, n_octets):
        """Sends so many octets of UDP to a server that takes them, and half of them come back."""
        for i in range(n_octets // 1000):
            self.sender.sendto(b"x" * 972, (SERVICE, 4000))
            _, source = self.taker.recvfrom(2000)
            if i % 2 == 0:
                self.taker.sendto(b"y" * 972, source)
                self.sender.recv(2000)

    def start(self):
        with open(self.log, "a", encoding="utf-8") as log:
            self.web = self.lab.spawn("gw", *self.web_words, "--history", self.file, "--history-every", "1s", "--history-flash", "1TB", *self.more, stdout=log, stderr=log)
        until(lambda: get(self.lab, "gw", URL + "healthz", may_fail=True).returncode == 0, "weir-web answers")

    def stop(self):
        self.web.terminate()
        same(self.web.wait(10), 0, "exit of weir-web")

    def kill(self):
        self.web.send_signal(signal.SIGKILL)
        self.web.wait(10)

    def said(self):
        with open(self.log, encoding="utf-8") as f:
            return f.read()

    def ask_all(self, *texts):
        """Answers of one state of the file: weir-web goes on writing."""
        with contextlib.closing(sqlite3.connect("file:%s?mode=ro" % self.file, uri=True, timeout=10, isolation_level=None)) as db:
            db.execute("BEGIN")
            return [db.execute(text).fetchall() for text in texts]

    def ask(self, text):
        return self.ask_all(text)[0]

    def held(self):
        """{(series, key, direction): octets} by days, which minutes and hours must add up to."""
        question = ("SELECT k.series, k.key, sum(u.uplink_octets), sum(u.downlink_octets) FROM usage u JOIN key k ON k.id = u.key"
                    " WHERE per = %d GROUP BY 1, 2 UNION ALL SELECT 'total', '', sum(uplink_octets), sum(downlink_octets) FROM total WHERE per = %d")
        answers = [{(series, key, d): n for series, key, *octets in rows for d, n in zip(DIRECTIONS, octets) if n}
                   for rows in self.ask_all(*(question % (per, per) for per in (60, 3600, 86400)))]
        same(answers[0], answers[2], "minutes, against days")
        same(answers[1], answers[2], "hours, against days")
        return answers[2]

    def counted(self):
        """The same as weir shows it now, with the runs that ended."""
        sums = dict(self.gone)

        def add(series, key, row, prefix=""):
            for d in DIRECTIONS:
                n = row["%s%s_octets" % (prefix, d)]
                if n:
                    sums[series, key, d] = sums.get((series, key, d), 0) + n

        for row in self.weir.settled_ports().values():
            add("port", row["name"], row)
            if row["role"] == "uplink":
                add("total", "", row)
        for series, view, key in (("class", "classes", "name"), ("device", "devices", "address")):
            for row in self.weir.show(view):
                add(series, row[key], row)
        for row in self.weir.show("plans"):
            add("plan", row["name"], row, "billed_")
        return sums

    def wait(self):
        """Until the file has all that weir counted."""
        want = self.counted()
        until(lambda: self.held() == want, lambda: "the history has %s, and weir counted %s" % (self.held(), want), patience_s=15)


@test
def history_is_exact(bench):
    """Sums of the history are what weir counted, to the octet: after traffic, a weir-web killed and traffic without it, a weir that began anew
    with and without a weir-web to see it, and an orderly end."""
    h = History(bench)
    lab, weir = h.lab, h.weir
    h.pour(30000)  # before anybody looks
    h.start()
    lab.ping("lan", SERVICE, count=3)
    h.pour(50000)
    h.wait()
    h.pour(20000)
    h.kill()
    h.pour(40000)
    h.start()
    h.wait()
    check(h.ask("SELECT count(*) FROM total WHERE per = 60 AND marks & 1") != [(0,)], "no mark where nobody looked")
    h.gone = h.counted()
    weir.stop()
    weir.start()
    h.pour(15000)
    h.wait()
    check(h.ask("SELECT count(*) FROM total WHERE per = 60 AND marks & 4") != [(0,)], "no mark where weir began anew")
    check("history: weir answers again" in h.said(), "weir-web does not tell of weir's absence")
    h.gone = h.counted()
    h.stop()
    weir.stop()
    weir.start()
    h.pour(70000)  # more than the last run: a counter that grew
    h.start()
    h.wait()
    h.pour(5000)
    want = h.counted()
    h.stop()
    same(os.listdir(os.path.dirname(h.file)), ["history.db"], "files after an orderly end")
    same(h.held(), want, "after an orderly end")
    same(h.ask("PRAGMA integrity_check"), [("ok",)], "the file")


@test
def history_is_read(bench):
    """weirctl history and /api/history show the file's figures; a root that reads without a writer leaves nothing that keeps weir-web from it."""
    h = History(bench)
    lab = h.lab
    h.start()
    h.pour(50000)
    h.wait()
    with open(h.web_words[h.web_words.index("--token") + 1], encoding="utf-8") as f:
        token = f.read().strip()

    def api(query, want=200):
        got = get(lab, "gw", URL + "api/history?" + query, "-H", "Authorization: Bearer " + token, "-w", "\n%{http_code}").stdout
        body, status = got.rsplit("\n", 1)
        same(int(status), want, "status of %s: %s" % (query, body))
        return json.loads(body)

    held = h.held()
    for per, seconds in (("minute", 60), ("hour", 3600), ("day", 86400)):
        answer = api("series=total&per=" + per)
        same(answer["per"], seconds, "per")
        at = answer["columns"].index("uplink_octets")
        same(sum(row[at] for row in answer["rows"]), held["total", "", "uplink"], "octets by " + per)
        keys = {k["key"]: k for k in api("series=device&per=" + per)["keys"]}
        same(keys[HOST]["uplink_octets"], held["device", HOST, "uplink"], "octets of the device by " + per)
        answer = api("series=device&key=%s&per=%s" % (HOST, per))
        same(sum(row[1] for row in answer["rows"]), held["device", HOST, "uplink"], "the device over time by " + per)
    for query, word in (("series=moon", "total"), ("per=week", "hour"), ("from=x", "1970"), ("per=minute&from=0", "shorter"),
                        ("series=device&per=minute&from=0", "shorter"), ("key=a", "no keys"), ("from=5&to=4", "begins")):
        check(word in api(query, 400)["error"], "what is said of " + query)
    weirctl = (lab.options.weirctl, "history", "--file", h.file)
    words = json.loads(run(*weirctl, "--series", "class", "--json").stdout)["keys"]
    same({k["key"]: k["uplink_octets"] for k in words}, {k: n for (s, k, d), n in held.items() if s == "class" and d == "uplink"}, "classes")
    text = run(*weirctl, "--since", "1h").stdout
    check("SINCE" in text and len(text.splitlines()) >= 2, "weirctl history: " + text)
    check(HOST in run(*weirctl, "--series", "device").stdout, "no device")
    check("SINCE" in run(*weirctl, "--series", "device", "--key", HOST, "--per", "day").stdout, "no days of the device")
    h.kill()
    check("SINCE" in run(*weirctl).stdout, "after a crash")
    h.start()
    h.pour(5000)
    h.wait()
    h.stop()
    check("SINCE" in run(*weirctl).stdout, "without a writer")
    h.start()
    h.pour(5000)
    h.wait()
    same(h.said().count("history:"), 0, "what weir-web says of it")
    done = run(lab.options.weirctl, "history", "--file", "/nonexistent", may_fail=True)
    check(done.returncode == 1 and "no history" in done.stderr, "where there is none: " + done.stderr)


@test
def history_without_a_file(bench):
    """A file that cannot be made, or is another's, costs the history and not the page; once the way is free it is kept, with what was missed."""
    h = History(bench)
    folder = os.path.dirname(h.file)
    os.chmod(folder, 0o755)
    h.start()
    until(lambda: "history: cannot open" in h.said(), lambda: "it is told: " + h.said())
    time.sleep(2)
    same(h.said().count("cannot open"), 1, "times it is told")
    check(not os.path.exists(h.file), "it is there")
    h.pour(20000)
    os.chmod(folder, 0o777)
    until(lambda: os.path.exists(h.file), "the file is made")
    h.wait()
    h.stop()
    with contextlib.closing(sqlite3.connect(h.file)) as db:
        db.execute("PRAGMA user_version = 99")
    before = open(h.file, "rb").read()
    h.start()
    until(lambda: "newer" in h.said(), lambda: "it is told: " + h.said())
    same(get(h.lab, "gw", URL + "healthz").stdout, "well\n", "weir-web")
    h.stop()
    same(open(h.file, "rb").read() == before, True, "a newer file stays as it was")
