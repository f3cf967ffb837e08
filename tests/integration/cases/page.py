# SPDX-License-Identifier: BSD-3-Clause
"""weir-web's page: who may see it, and what a real Chromium shows of it."""
import json
import os
import re
import stat
import time
from urllib.parse import urlsplit

from browser import Browser
from cases import check, same, test, until
from cases.monitoring import get, status_of
from cases.services import TAP
from lab import EXTERNAL, GATEWAY, HOST, LAN_NET, SERVICE, need
from wire import UDP, ipv4, udp

PORT = 9469
URL = "http://%s:%d/" % (GATEWAY, PORT)
MANY = 500
NAME = "till-2"
PHONE, DESK = (360, 740), (1280, 800)
PICTURES = "WEIR_PICTURES"  # of the environment: a folder that screenshots are kept in


class Site:
    """weir, weir-web on the LAN's address, and its token."""

    def __init__(self, bench, *words, **more):
        self.lab = lab = bench.lab()
        os.chmod(lab.dir, 0o711)
        self.weir = weir = lab.weir(start=False)
        self.view = os.path.join(weir.dir, "view", "view.sock")
        config = lab.config(plans={"sim1": {"quota": "20MB", "cycle": {"day": 1}, "ladder": [{"at": "10%", "do": "notify"}, {"at": "100%", "do": "reserve-only"}]}},
                            classes={"pings": {"protocol": "icmp", "reserve": "2MB"}},
                            runtime={"view_socket": self.view, "view_group": "nogroup", "clock": "trusted", "records": weir.records_file,
                                     "state_dir": os.path.join(weir.dir, "state"), "leases": os.path.join(lab.dir, "leases")}, **more)
        config["ports"]["lan0"].update(tap=TAP, address=GATEWAY + "/22")
        config["ports"]["wan0"].update(plan="sim1", rate={"uplink": "20Mbps", "downlink": "50Mbps"})
        mac = json.loads(lab.ip("lan", "-j", "link", "show", "eth0").stdout)[0]["address"]
        with open(os.path.join(lab.dir, "leases"), "w", encoding="utf-8") as f:
            f.write("1893456000 %s %s %s *\n" % (mac, HOST, NAME))
        weir.write(config)
        weir.start()
        self.token_file = os.path.join(lab.dir, "token", "token")
        self.web = self.start("--listen", "%s:%d" % (GATEWAY, PORT), *words)

    def start(self, *words):
        words = (os.path.join(os.path.dirname(self.lab.options.weirctl), "weir-web"), "--socket", self.view, "--token", self.token_file, *words)
        with open(os.path.join(self.lab.dir, "web.log"), "a", encoding="utf-8") as log:
            web = self.lab.spawn("gw", *words, stdout=log, stderr=log)
        until(lambda: self.ask("healthz", may_fail=True).stdout == "well\n", "weir-web answers")
        return web

    def ask(self, path, *options, may_fail=False):
        return get(self.lab, "lan", URL + path, *options, may_fail=may_fail)

    def status(self, path, *options):
        return int(self.ask(path, "-o", "/dev/null", "-w", "%{http_code}", *options).stdout)

    def token(self):
        with open(self.token_file, encoding="utf-8") as f:
            return f.read().strip()

    def bearer(self):
        return ("-H", "Authorization: Bearer " + self.token())

    def login(self, token):
        """The status of a login, which leaves its cookie in a jar."""
        return self.status("api/login", "-c", self.jar(), "-H", "Content-Type: application/json", "-d", json.dumps({"token": token}))

    def jar(self):
        return os.path.join(self.lab.dir, "jar")

    def devices(self, n):
        """So many devices, each with a packet or more, and answers to some."""
        raw = self.lab.raw("lan")
        for i in range(n - 1):
            source = "192.168.%d.%d" % (48 + i // 250, 2 + i % 250)
            for _ in range(1 + i % 4):
                raw.sendto(ipv4(source, SERVICE, UDP, udp((source, 5000), (SERVICE, 4000), b"x" * (100 + i))), (SERVICE, 0))
            if i % 20 == 19:
                time.sleep(0.01)
        self.lab.ping("lan", SERVICE, count=3)
        until(lambda: self.weir.show("status")["devices"] >= n, lambda: "%d devices: there are %d" % (n, self.weir.show("status")["devices"]))
        self.lab.ip("lan", "route", "del", "default")  # a browser looks for its maker: that is not to change what is counted


def log_in(site, browser):
    browser.open(URL)
    until(lambda: browser.is_seen("#token"), "the page asks for the token")
    browser.click("#token")
    browser.keys(site.token(), "Enter")
    until(lambda: browser.is_seen("#plans") and browser.text(".plan .big"), lambda: "the page opens: " + browser.text("body"))


def plain(words):
    """A figure as weirctl writes it."""
    return words.replace("\u202f", "")


def three(n, units=(("B", 1), ("kB", 10**3), ("MB", 10**6), ("GB", 10**9))):
    """Octets as weirctl shows them, worked out anew."""
    name, size = [u for u in units if n >= u[1] or u[1] == 1][-1]
    for digits in (2, 1, 0):
        words = "%.*f" % (digits, (n * 10**digits * 2 + size) // (2 * size) / 10**digits)
        if len(words.replace(".", "")) <= 3 or digits == 0:
            return "%s %s" % (words.rstrip("0").rstrip(".") if "." in words else words, name)
    return ""


@test
def page_login(bench):
    """Nothing of weir is told without the token, in which file nobody else can read; guesses have to wait, a session ends when one logs out."""
    need("curl")
    site = Site(bench)
    same(stat.S_IMODE(os.stat(site.token_file).st_mode), 0o600, "mode of the token's file")
    check(re.fullmatch("([a-z2-9]{4}-){5}[a-z2-9]{4}", site.token()), "odd token " + site.token())
    for path in ("api/view/status", "api/events", "api/history", "metrics"):
        same(site.status(path), 401, "status of %s without the token" % path)
        same(site.status(path, "-H", "Cookie: weir_session=" + "0" * 64), 401, path + " with an invented session")
    same(site.status("metrics", *site.bearer()), 200, "/metrics with the token")
    for path in ("", "app.js", "weir.css", "uPlot.iife.min.js"):
        same(site.status(path), 200, "status of /" + path)
        tag = re.search(r"(?i)etag: *(\S+)", site.ask(path, "-D", "-", "-o", "/dev/null").stdout).group(1)
        same(site.status(path, "-H", "If-None-Match: " + tag), 304, "status of /%s that is known" % path)
    head = site.ask("", "-D", "-", "-o", "/dev/null").stdout.lower()
    for words in ("content-security-policy: default-src 'none'; script-src 'self'", "frame-ancestors 'none'", "x-content-type-options: nosniff",
                  "referrer-policy: no-referrer"):
        check(words in head, "no %s in %s" % (words, head))
    same(site.status("metrics", "-H", "Host: evil.example"), 421, "for another name")
    same(site.status("api/view/status", *site.bearer(), "-H", "Host: evil.example:%d" % PORT), 421, "for another name, with the token")
    same(site.status("api/login", "-d", "token=" + site.token()), 415, "a form of another site")
    same(site.login(site.token()), 204, "login")
    with open(site.jar(), encoding="utf-8") as f:
        jar = f.read()
    check("#HttpOnly_" in jar and "weir_session" in jar, "a script can read the cookie: " + jar)
    same(json.loads(site.ask("api/view/status", "-b", site.jar()).stdout)["gateway"], "gw-test", "gateway")
    same(site.status("api/view/status", "-b", site.jar(), "-H", "Sec-Fetch-Site: cross-site"), 403, "asked by another site's page")
    same(site.status("api/view/nonsense", "-b", site.jar()), 404, "a view that is none")
    same(site.status("api/history", "-b", site.jar()) in (200, 400, 404), True, "history is answered")
    events = json.loads(site.ask("api/events?after=0", "-b", site.jar()).stdout)
    same(json.loads(site.ask("api/events?after=%d" % events["newest"], "-b", site.jar()).stdout)["events"], [], "events behind the newest")
    same(site.status("api/events?after=-1", "-b", site.jar()), 400, "a cursor that is none")
    same(site.status("api/logout", "-b", site.jar(), "-H", "Content-Type: application/json", "-d", "{}"), 204, "logout")
    same(site.status("api/view/status", "-b", site.jar()), 401, "after the logout")
    guesses = [site.login("k7qf-2m3x-k7qf-2m3x-k7qf-%04d" % i) for i in range(6)]
    same((guesses[:3], guesses[-1]), ([403] * 3, 429), "statuses of wrong tokens")
    same(site.login(site.token()), 429, "the right one, too soon")
    until(lambda: site.login(site.token()) == 204, "the right one after the wait")
    check(site.token() not in open(os.path.join(site.lab.dir, "web.log"), encoding="utf-8").read(), "the token is in the log")
    site.web.terminate()
    site.web.wait(10)
    os.chmod(site.token_file, 0o644)
    done = site.lab.exec("gw", site.web.args[2], "--socket", site.view, "--token", site.token_file, may_fail=True)
    check(done.returncode == 1 and "chmod 600" in done.stderr, "a token that all can read: " + done.stderr)


def check_kept_to_itself(browser, what):
    outside = [url for url in browser.requests() if urlsplit(url).netloc != urlsplit(URL).netloc and not url.startswith(("data:", "chrome:", "about:"))]
    same(outside, [], "requests that left the page's origin, " + what)
    same(browser.complaints(), [], "complaints of the browser, " + what)


def rows_of(browser, name):
    return browser.run("return [...document.querySelectorAll(arguments[0])].map(r => [...r.children].map(c => c.textContent))", "#%s-table tbody tr" % name)


def check_figures(site, browser, n):
    """The page's figures are weirctl's."""
    def plan():
        row = site.weir.show("plans")[0]
        return "%s of %s" % (three(row["bill_high_octets"]), three(row["quota_octets"]))

    until(lambda: browser.text(".plan .big") == plan(), lambda: "the plan's use: %s, not %s" % (browser.text(".plan .big"), plan()))

    def drops():
        return {d["help"]: str(d["packets"]) for d in sorted(site.weir.show("drops"), key=lambda d: -d["packets"])[:12]}

    def drops_seen():
        return {r[0]: plain(r[1]) for r in rows_of(browser, "drops")}

    until(lambda: drops_seen() == drops(), lambda: "drops: %s, not %s" % (drops_seen(), drops()))

    def devices_are_right():
        devices = {d["address"]: d for d in site.weir.show("devices")}
        rows = rows_of(browser, "devices")
        same(len(devices), n, "devices")
        return len(rows) == min(n, 25) and all(
            (row[4], row[5], plain(row[6])) == (three(devices[row[1]]["uplink_octets"]), three(devices[row[1]]["downlink_octets"]), str(devices[row[1]]["flows"]))
            for row in rows)

    check(n > 25 or NAME in browser.text("#devices-table tbody th"), "the device's name: " + browser.text("#devices-table"))
    until(devices_are_right, lambda: "the devices: %s" % rows_of(browser, "devices")[:3])

    def port():
        row = site.weir.port("wan0")
        return [three(row["uplink_octets"]), three(row["downlink_octets"])]

    def port_seen():
        return next(r[7:9] for r in rows_of(browser, "ports") if r[0] == "wan0")

    until(lambda: port_seen() == port(), lambda: "the uplink's octets: %s, not %s" % (port_seen(), port()))


def check_sorted_by_keys(browser):
    """A heading that has the focus sorts by Enter, and the other way by Enter again."""
    heading = "#devices-table thead th:nth-child(2) button"
    if not browser.is_seen(heading):  # a phone has no room for addresses
        heading = "#devices-table thead th:nth-child(1) button"
    browser.run("document.querySelector(arguments[0]).focus()", heading)
    column = int(heading.split("child(")[1][0]) - 1
    orders = []
    for _ in range(2):
        browser.keys("Enter")
        orders.append((browser.run("return document.querySelector(arguments[0]).parentNode.getAttribute('aria-sort')", heading),
                       [row[column] for row in rows_of(browser, "devices")]))
        check(browser.focus().startswith("BUTTON"), "the focus is lost: " + browser.focus())
    same({order for order, _ in orders}, {"ascending", "descending"}, "aria-sort")
    if len(orders[0][1]) > 2:
        check(orders[0][1] != orders[1][1], "the order stays the same: %s" % orders[0][1])


def check_accessible(browser):
    """What a screen reader goes by is there, and nothing hangs out of the page."""
    found = browser.run("""
        const all = s => [...document.querySelectorAll(s)];
        const named = e => e.innerText.trim() || e.getAttribute("aria-label") || document.querySelector(`label[for="${e.id}"]`);
        return {
            landmarks: all("header, nav, main").filter(e => e.checkVisibility()).map(e => e.tagName),
            captions: all("#main table").filter(t => t.checkVisibility() && !t.closest(".picture") && !t.caption).length,
            scopes: all(".scroll th").filter(t => !t.scope).length,
            nameless: all("button, input, select, a").filter(e => e.checkVisibility() && !named(e)).map(e => e.outerHTML),
            pictures: all("[role=img]").filter(e => !e.getAttribute("aria-label")).length,
            lang: document.documentElement.lang,
            overflow: document.documentElement.scrollWidth - innerWidth,
        }""")
    same(found, {"landmarks": ["HEADER", "NAV", "MAIN"], "captions": 0, "scopes": 0, "nameless": [], "pictures": 0, "lang": "en",
                 "overflow": found["overflow"]}, "what a screen reader goes by")
    check(found["overflow"] <= 0, "%d pixels hang out of the page" % found["overflow"])


def keep_picture(browser, name):
    folder = os.environ.get(PICTURES)
    if folder:
        os.makedirs(folder, exist_ok=True)
        browser.picture(os.path.join(folder, name + ".png"))


def see_page(bench, n):
    site = Site(bench)
    site.devices(n)
    for size, dark in ((DESK, False), (DESK, True), (PHONE, False), (PHONE, True)):
        what = "%d devices, %dx%d, %s" % (n, *size, "dark" if dark else "light")
        browser = Browser(site.lab, "lan", *size, dark=dark, still=dark)
        log_in(site, browser)
        check_figures(site, browser, n)
        check_sorted_by_keys(browser)
        check_accessible(browser)
        until(lambda b=browser: "at most" in b.text("#rate-chart .words"), "rates are drawn, " + what)
        keep_picture(browser, "page-%d-%d-%s" % (n, size[0], "dark" if dark else "light"))
        check_kept_to_itself(browser, what)
        browser.close()
    return site


@test
def page_of_one_device(bench):
    """With one device, on a desk and on a phone, light and dark: the figures are weirctl's, keys sort, nothing leaves the page's origin, no policy is broken."""
    see_page(bench, 1)


@test
def page_of_500_devices(bench):
    """The same with 500 devices; a filter finds one, all can be shown; what weir-web takes for it is bounded."""
    site = see_page(bench, MANY)
    browser = Browser(site.lab, "lan", *DESK)
    log_in(site, browser)
    until(lambda: len(rows_of(browser, "devices")) == 25, "rows")
    browser.click("#devices-table-filter")
    browser.keys("192.168.49.77")
    until(lambda: [r[1] for r in rows_of(browser, "devices")] == ["192.168.49.77"], lambda: "the device that was looked for: %s" % rows_of(browser, "devices")[:3])
    browser.run("const f = document.querySelector('#devices-table-filter'); f.value = ''; f.dispatchEvent(new Event('input'))")
    browser.click("#devices-table .bar button")
    until(lambda: len(rows_of(browser, "devices")) == MANY, "all rows")
    resident = int(status_of(site.web)["VmRSS"][0])
    check(resident < 200000, "%d kB resident" % resident)


@test
def page_without_weir(bench):
    """When weir goes, the page says so and since when, keeps what it had, and goes on by itself when weir is back; a history that is not there is
    no mistake; nobody on the uplink sees a page."""
    site = Site(bench)
    site.lab.ping("lan", SERVICE)
    browser = Browser(site.lab, "lan", *DESK)
    log_in(site, browser)
    until(lambda: NAME in browser.text("#devices-table"), "the device")
    until(lambda: "history" in browser.text("#history-note"), "it says that there is no history")
    same(browser.run("return [...document.querySelectorAll('#spans button')].filter(b => !b.disabled).map(b => b.innerText)"), ["10 minutes"], "spans")
    check(not browser.text("#state"), "a complaint: " + browser.text("#state"))
    site.weir.stop()
    # weir's address goes with it, and comes back with it: the page's server is reached through the kernel's own until then
    until(lambda: re.search(r"not reachable since \d\d:\d\d:\d\d", browser.text("#state")), lambda: "it says so: " + browser.text("#state"))
    keep_picture(browser, "page-lost")
    check(NAME in browser.text("#devices-table"), "what was known is gone")
    site.weir.start()
    until(lambda: browser.text("#state") == "", lambda: "it goes on: " + browser.text("#state"))
    site.lab.ip("car", "route", "replace", GATEWAY + "/32", "via", EXTERNAL)
    for address in (EXTERNAL, GATEWAY):
        done = get(site.lab, "car", "http://%s:%d/" % (address, PORT), "--max-time", "2", may_fail=True)
        check(done.returncode != 0, "the uplink is answered at " + address)
    browser.click("#logout")
    until(lambda: browser.is_seen("#token") and not browser.is_seen("#plans"), "logged out")
    keep_picture(browser, "page-login")
    same(rows_of(browser, "devices"), [], "rows after the logout")
    same(browser.complaints(), [], "complaints")
