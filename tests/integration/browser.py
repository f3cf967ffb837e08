# SPDX-License-Identifier: BSD-3-Clause
"""A real Chromium in a namespace, driven by chromedriver as W3C's WebDriver says: JSON over HTTP, by Python's own library."""
import base64
import http.client
import json
import os
import shutil

from lab import Failed, need, until

PORT = 9515
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
SWITCHES = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", "--disable-default-apps", "--disable-extensions", "--no-proxy-server",
            "--force-device-scale-factor=1", "--hide-scrollbars"]
KEYS = {"Enter": "\ue007", "Tab": "\ue004", "Space": "\ue00d"}


class Browser:
    """One window. `width` and `height` are the page's; a phone's is drawn as phones do."""

    def __init__(self, lab, short, width=1280, height=800, dark=False, still=False):
        need("chromium", "chromedriver")
        self.lab, self.short, self.port = lab, short, PORT + len(lab.processes)
        self.dir = os.path.join(lab.dir, "browser-%d" % self.port)
        os.makedirs(self.dir)
        environment = {**os.environ, "HOME": self.dir, "XDG_CONFIG_HOME": self.dir, "XDG_CACHE_HOME": self.dir}
        with open(os.path.join(self.dir, "driver.log"), "w", encoding="utf-8") as log:
            self.process = lab.spawn(short, "chromedriver", "--port=%d" % self.port, stdout=log, stderr=log, env=environment)
        until(self.is_ready, "chromedriver is ready")
        options = {"binary": shutil.which("chromium"), "args": [*SWITCHES, "--user-data-dir=" + os.path.join(self.dir, "profile")]}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
        self.session = ""
        self.session = "/session/" + self.ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
        lab.closers.append(self.close)
        self.messages = []
        self.console = []
        self.look_like(width, height, dark, still)

    def ask(self, method, path, body=None, patience_s=60):
        with self.lab.inside(self.short):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=patience_s)
            connection.connect()
        try:
            connection.request(method, self.session + path, None if body is None else json.dumps(body), {"Content-Type": "application/json"})
            value = json.loads(connection.getresponse().read())["value"]
        finally:
            connection.close()
        if isinstance(value, dict) and "error" in value:
            raise Failed("the browser: %s: %s" % (value["error"], value["message"].splitlines()[0]))
        return value

    def is_ready(self):
        self.session = ""
        try:
            return self.ask("GET", "/status")["ready"]
        except OSError:
            return False

    def close(self):
        try:
            self.ask("DELETE", "", patience_s=10)
        except (OSError, Failed, ValueError):
            pass

    def cdp(self, command, **parameters):
        return self.ask("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def look_like(self, width, height, dark=False, still=False):
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
                                                        {"name": "prefers-reduced-motion", "value": "reduce" if still else "no-preference"}])

    def open(self, url):
        self.ask("POST", "/url", {"url": url})

    def run(self, script, *arguments):
        """What a function of this body returns in the page."""
        return self.ask("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector)

    def texts(self, selector):
        return self.run("return [...document.querySelectorAll(arguments[0])].map(e => e.innerText)", selector)

    def is_seen(self, selector):
        return self.run("const e = document.querySelector(arguments[0]); return Boolean(e) && e.checkVisibility()", selector)

    def click(self, selector):
        found = self.ask("POST", "/element", {"using": "css selector", "value": selector})
        self.ask("POST", "/element/%s/click" % found[ELEMENT], {})

    def keys(self, *keys):
        """Pressed and let go, wherever the focus is."""
        actions = []
        for key in keys:
            for letter in [KEYS[key]] if key in KEYS else key:
                actions += [{"type": "keyDown", "value": letter}, {"type": "keyUp", "value": letter}]
        self.ask("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def focus(self):
        """What has the focus, in words."""
        return self.run("const e = document.activeElement; return `${e.tagName} ${e.id} ${e.textContent.trim().slice(0, 40)}`")

    def picture(self, path, whole=True):
        self.run("document.activeElement?.blur(); scrollTo({ top: 0, behavior: 'instant' })")
        size = self.cdp("Page.getLayoutMetrics")["cssContentSize"]
        view = self.cdp("Page.getLayoutMetrics")["cssLayoutViewport"]
        clip = {"x": 0, "y": 0, "width": view["clientWidth"], "height": min(size["height"], 6000) if whole else view["clientHeight"], "scale": 1}
        data = self.cdp("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)["data"]
        with open(path, "wb") as f:
            f.write(base64.b64decode(data))

    def collect(self):
        """Takes what the browser has logged since the last time."""
        for entry in self.ask("POST", "/se/log", {"type": "performance"}):
            self.messages.append(json.loads(entry["message"])["message"])
        self.console += self.ask("POST", "/se/log", {"type": "browser"})

    def requests(self):
        """URLs of all that the page has asked for."""
        self.collect()
        return [m["params"]["request"]["url"] for m in self.messages if m["method"] == "Network.requestWillBeSent"]

    def complaints(self):
        """What the console has of errors and of the Content-Security-Policy; requests that were refused are not among it."""
        self.collect()
        return [e["message"] for e in self.console if (e["level"] == "SEVERE" and e["source"] != "network") or "Content Security Policy" in e["message"]]
