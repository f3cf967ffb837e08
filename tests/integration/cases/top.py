# SPDX-License-Identifier: BSD-3-Clause
"""weirctl top, in a terminal that is a tmux of its own."""
import json
import os
import re
import shlex
import signal
import threading

from cases import check, same, test, until
from lab import HOST, SERVICE, need, run

PORT = 9000


class Terminal:
    """A tmux server with one window; its shell outlives the program in it, and says how that ended."""

    def __init__(self, lab, command, columns=80, rows=24, **environment):
        need("tmux")
        self.socket = os.path.join(lab.dir, "tmux-%d" % len(lab.closers))
        variables = " ".join("%s=%s" % (k, shlex.quote(v)) for k, v in {"LANG": "C.UTF-8", **environment}.items())
        shell = "trap : INT; env %s %s; echo ended with $?; stty -a; exec sleep 1000" % (variables, shlex.join(command))
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(rows), "sh -c " + shlex.quote(shell))
        lab.closers.append(lambda: self.tmux("kill-server", may_fail=True))

    def tmux(self, *words, may_fail=False):
        environment = {k: v for k, v in os.environ.items() if k != "TMUX"}
        return run("tmux", "-S", self.socket, *words, may_fail=may_fail, env=environment).stdout

    def lines(self):
        return self.tmux("capture-pane", "-p").split("\n")

    def text(self):
        return "\n".join(self.lines())

    def keys(self, *keys):
        self.tmux("send-keys", *keys)

    def resize(self, columns, rows):
        self.tmux("resize-window", "-x", str(columns), "-y", str(rows))

    def wait(self, *patterns):
        """Until the screen has all of them."""
        until(lambda: all(re.search(p, self.text()) for p in patterns),
              lambda: "the screen shows %s:\n%s" % (" and ".join(patterns), self.text()))

    def wait_restored(self, status=0):
        """Until the program has ended and the terminal is as a shell wants it."""
        self.wait("ended with %d\n" % status, r"[^-]icanon", r"[^-]echo\b")
        same(self.tmux("display-message", "-p", "#{alternate_on} #{cursor_flag}").strip(), "0 1", "alternate screen, cursor")


def traffic(lab):
    """A device that asks, and a service that gives ten times as much, until the lab ends."""
    service, device = lab.udp("car", (SERVICE, PORT)), lab.udp("lan", HOST)
    over = threading.Event()
    lab.closers.append(over.set)

    def give():
        while not over.is_set():
            try:
                service.sendto(b"x" * 1000, service.recvfrom(2000)[1])
            except OSError:
                return

    def ask():
        while not over.wait(0.01):
            try:
                device.sendto(b"y" * 100, (SERVICE, PORT))
            except OSError:
                return

    for work in (give, ask):
        threading.Thread(target=work, daemon=True).start()


def site(bench, **more):
    lab = bench.lab()
    config = lab.config(plans={"sim1": {"quota": "1GB"}}, **more)
    config["ports"]["wan0"].update(plan="sim1", rate={"uplink": "5Mbps", "downlink": "20Mbps"})
    return lab, lab.weir(config)


def top(lab, weir, *words):
    return [lab.options.weirctl, "--socket", weir.socket, "top", *words]


@test
def top_once(bench):
    """weirctl top --once prints a screen and JSON, whose rates are those of the traffic."""
    lab, weir = site(bench)
    traffic(lab)
    until(lambda: weir.show("flows"), "a flow")
    screen = run(*top(lab, weir, "--once")).stdout
    check(HOST in screen and "sim1" in screen and "wan0" in screen, "a screen without them: " + screen)
    check("\x1b" not in screen and max(len(line) for line in screen.split("\n")) <= 80, "no plain text: " + screen)
    for pane in ("devices", "classes", "flows", "plans", "link", "drops"):
        known = json.loads(run(*top(lab, weir, pane, "--once", "--json", "-d", "1")).stdout)
        check(pane in known and known["status"]["gateway"] == "gw-test", "%s: %s" % (pane, sorted(known)))
        if pane not in ("devices", "flows"):
            continue
        # 100 a second of 1028 octets and of 128, less what a busy machine sleeps
        row = known[pane][0]
        check(100000 < row["downlink_bps"] <= 900000, "rate of %s: %s" % (pane, row))
        check(6 < row["downlink_bps"] / row["uplink_bps"] < 10, "both ways, %s: %s" % (pane, row))
    for words in (["nothing"], ["--json"], ["-d", "0"], ["--once", "--sort", "colour"]):
        same(run(*top(lab, weir, *words), may_fail=True).returncode, 2, "exit of top " + " ".join(words))
    done = run(*top(lab, weir), may_fail=True)
    check(done.returncode == 1 and "--once" in done.stderr, "without a terminal: " + done.stderr)


@test
def top_by_keys(bench):
    """Panes, a filter, orders, a device's flows, pause and quit, by keys in a terminal."""
    lab, weir = site(bench)
    traffic(lab)
    t = Terminal(lab, top(lab, weir, "-d", "0.5"))
    t.wait("wan0 +down .*bps of 20 Mbps", "sim1 +plan .*of 1 GB", "Devices: 1, by rate", r"192\.168\.50\.10 +[1-9]\S* kbps")
    for key, heading in (("c", "Classes: "), ("f", "Flows: 1, "), ("p", "Plans: 1, "), ("l", "Uplinks: 2, "), ("x", "Drops: "),
                         ("d", "Devices: 1, ")):
        t.keys(key)
        t.wait(heading)
    t.keys("Enter")
    t.wait(r"Flows of 192\.168\.50\.10: 1", r"203\.0\.113\.1:%d" % PORT)
    t.keys("Escape")
    t.wait("Devices: 1, ", r"192\.168\.50\.10")
    t.keys("/", "nosuch")
    t.wait("rows with: nosuch_", 'Devices: 0 of 1 with "nosuch"', "no such rows")
    t.keys("Escape", "n")
    t.wait("by name")
    t.keys("o")
    t.wait("by name, backwards")
    t.keys("?")
    t.wait("Ctrl-C +quit")
    t.keys("Space")
    t.wait("Devices: 1, ")
    t.keys("Space")
    t.wait("PAUSED")
    t.keys("Space", "q")
    t.wait_restored()


@test
def top_sizes(bench):
    """Any size of the terminal will do, also while it changes, on a serial line and without colours."""
    lab, weir = site(bench)
    traffic(lab)
    t = Terminal(lab, top(lab, weir, "-d", "0.5"))
    t.wait("Devices: 1")
    for columns, rows in ((200, 60), (40, 10), (3, 2), (400, 100), (80, 24)):
        t.resize(columns, rows)
        if columns >= 40:
            until(lambda: len(t.lines()) - 1 == rows and "Devices: 1" in t.text() and len(t.lines()[0]) > columns * 0.7
                  and t.lines()[rows - 1].startswith("d devices"),
                  lambda: "%d x %d:\n%s" % (columns, rows, t.text()))
    t.keys("C-c")
    t.wait_restored()
    for environment in ({"TERM": "vt100"}, {"TERM": "linux"}, {"TERM": "xterm-256color", "NO_COLOR": "1"}, {"LANG": "C", "LC_ALL": "C"}):
        t = Terminal(lab, top(lab, weir, "-d", "0.5"), **environment)
        t.wait("Devices: 1", "sim1")
        check("█" not in t.text() or environment.get("TERM") in ("linux", "xterm-256color"), "more than ASCII:\n" + t.text())
        t.keys("q")
        t.wait_restored()
    t = Terminal(lab, top(lab, weir), TERM="nonsense")
    t.wait('"nonsense" is not known', "ended with 1")


@test
def top_outlives_weir(bench):
    """weir dies and comes back while top runs: top says so, keeps what it knew, and goes on; no rate is made of the restart."""
    lab, weir = site(bench)
    traffic(lab)
    t = Terminal(lab, top(lab, weir, "-d", "0.5"))
    t.wait(r"192\.168\.50\.10 +[1-9]\S* kbps")
    weir.kill()
    t.wait("no weir answers on", "Devices: 1")
    weir.start()
    t.wait("d devices  c classes", r"192\.168\.50\.10 +[1-9]\S* kbps")
    weir.process.send_signal(signal.SIGSTOP)
    t.keys("f", "d")
    t.wait("Devices: ")
    weir.process.send_signal(signal.SIGCONT)
    t.wait(r"192\.168\.50\.10 +[1-9]\S* kbps")
    for name in ("HUP", "TERM", "QUIT"):
        pane = t.tmux("display-message", "-p", "#{pane_pid}").strip()
        run("pkill", "-" + name, "-P", pane)  # the shell's child
        t.wait_restored()
        t.tmux("respawn-pane", "-k", "sh", "-c", "env LANG=C.UTF-8 %s; echo ended with $?; stty -a; exec sleep 1000"
               % shlex.join(top(lab, weir)))
        t.wait("Devices: 1")


@test
def device_names(bench):
    """A device has the name of its lease, once dnsmasq has written it, in the listing and in top; who takes the address has not."""
    lab = bench.lab()
    leases = os.path.join(lab.dir, "leases")
    config = lab.config()
    config["runtime"] = {"leases": leases}
    weir = lab.weir(config)
    lab.ping("lan", SERVICE)
    device = weir.show("devices")[0]
    check("name" not in device, "a name without a lease: %s" % device)

    def write(mac):
        with open(leases, "w", encoding="utf-8") as f:
            f.write("1700000000 %s %s kitchen-tv *\n" % (mac, HOST))

    write(device["mac"])
    until(lambda: weir.show("devices")[0].get("name") == "kitchen-tv", "the name of the lease")
    check("kitchen-tv" in weir.ctl("devices").stdout, "a table without the name")
    check("kitchen-tv" in run(*top(lab, weir, "--once", "-d", "0.2")).stdout, "top without the name")
    same(weir.show("flows")[0].get("name"), "kitchen-tv", "name with the flow")
    write("02:00:00:00:00:99")
    until(lambda: "name" not in weir.show("devices")[0], "another's name is gone")
