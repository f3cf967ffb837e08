# SPDX-License-Identifier: BSD-3-Clause
"""The control socket, weirctl, and weir check."""
import contextlib
import json
import os
import socket
import stat
import struct

from cases import check, same, test, until
from lab import HOST, SERVICE, run

VIEWS = ("status", "flows", "devices", "plans", "classes", "ports", "forwards", "drops", "stages", "link")
REQUEST, MORE, END, ERROR = 1, 2, 3, 4


@test
def every_view(bench):
    """weirctl shows everything as a table and as JSON that parses, and the figures agree."""
    lab = bench.lab()
    config = lab.config(plans={"sim1": {"quota": "1GB"}}, classes={"pings": {"protocol": "icmp"}})
    config["ports"]["wan0"]["plan"] = "sim1"
    weir = lab.weir(config)
    lab.ping("lan", SERVICE)
    for view in VIEWS:
        table = weir.ctl(view).stdout
        check(len(table.splitlines()) >= 1 and "{" not in table, "%s as a table: %s" % (view, table))
        check(isinstance(json.loads(weir.ctl(view, "--json").stdout), dict), "%s --json is no object" % view)
    flows = weir.show("flows")
    same([f["uplink_octets"] for f in flows if f["protocol"] == "icmp"], [84], "octets of the flow")
    same([d["address"] for d in weir.show("devices")], [HOST], "devices")
    same(weir.show("status")["gateway"], "gw-test", "gateway")
    same(sorted(p["name"] for p in weir.show("ports")), ["lan0", "wan0"], "ports")
    check(len(weir.show("drops", "--all")) > 40, "too few reasons with --all")


@test
def weirctl_mistakes(bench):
    """weirctl says what is wrong, on stderr, and exits with a failure."""
    lab, weir = bench.site()
    for words in (["nonsense"], [], ["flows", "--device", "nobody"], ["flows", "--limit", "-3"]):
        done = weir.ctl(*words, may_fail=True)
        check(done.returncode != 0 and done.stderr, "show %s: exit %d, %s" % (" ".join(words), done.returncode, done.stdout))
    done = run(lab.options.weirctl, "--socket", weir.dir + "/none", "show", "status", may_fail=True)
    check(done.returncode != 0 and "none" in done.stderr, "no socket there: %s" % done.stderr)
    weir.stop()
    check(weir.ctl("status", may_fail=True).returncode != 0, "weirctl succeeds without weir")


def talk(weir, *pieces, wait_s=2):
    """Sends bytes; returns what comes until the other side is silent or closes."""
    got = b""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        s.settimeout(wait_s)
        s.connect(weir.socket)
        try:
            for piece in pieces:
                s.sendall(piece)
            while True:
                data = s.recv(65536)
                if not data:
                    break
                got += data
        except OSError:
            pass
    return got


def message(kind, payload, version=1, magic=b"WEIR", n=None):
    return magic + struct.pack("!BBHI", version, kind, 0, len(payload) if n is None else n) + payload


@test
def hostile_bytes(bench):
    """Whatever is written to the control socket is refused with a reason, and weir works on."""
    lab, weir = bench.site()
    lab.ping("lan", SERVICE)
    hostile = [os.urandom(5000), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\0" * 4096, message(REQUEST, b"", n=0xffffffff),
               message(REQUEST, b"{}", version=9), message(END, b"{}"), message(77, b"{}"), message(REQUEST, b"{" * 60000),
               message(REQUEST, b"[]"), message(REQUEST, b'{"show": 5}'), message(REQUEST, b'{"show": "flows", "limit": -1}'),
               message(REQUEST, b'{"show": "flows", "show": "drops"}'), message(REQUEST, b'{"show": "\xff\xfe"}'),
               message(REQUEST, b'{"show": "flows", "device": "' + b"9" * 5000 + b'"}')]
    for data in hostile:
        talk(weir, data, wait_s=0.3)
        check(weir.process.poll() is None, "weir ended at %r" % data[:40])
    check(b'"error"' in talk(weir, message(REQUEST, b"[]")), "a refusal without a reason")
    idle = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(40)]
    for s in idle:
        s.settimeout(5)
        with contextlib.suppress(OSError):  # more than it has room for are turned away
            s.connect(weir.socket)
            s.send(b"WE")
    lab.ping("lan", SERVICE)
    for s in idle:
        s.close()
    until(lambda: weir.ctl("status", may_fail=True).returncode == 0, "weirctl is served again")
    # Byte by byte is slow, and right.
    whole = message(REQUEST, b'{"show": "status"}')
    check(b"gw-test" in talk(weir, *[whole[i:i + 1] for i in range(len(whole))]), "no answer to a request in pieces")
    lab.ping("lan", SERVICE)


@test
def client_that_does_not_read(bench):
    """A client that asks and never reads costs others nothing."""
    lab, weir = bench.site()
    deaf = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    deaf.setblocking(False)
    deaf.connect(weir.socket)
    try:
        for _ in range(5000):
            deaf.send(message(REQUEST, b'{"show": "drops", "all": true}'))
    except BlockingIOError:
        pass
    for _ in range(5):
        weir.show("status")
    lab.ping("lan", SERVICE)
    deaf.close()


@test
def socket_is_private(bench):
    """The control socket is its owner's alone, and goes with weir."""
    lab, weir = bench.site()
    same(oct(stat.S_IMODE(os.stat(weir.socket).st_mode)), "0o600", "mode of the socket")
    weir.stop()
    check(not os.path.exists(weir.socket), "the socket is still there")


@test
def second_weir_refused(bench):
    """A second weir on the same socket, or on the same interface, is refused and disturbs nothing."""
    lab, weir = bench.site()
    lab.ping("lan", SERVICE)
    config = json.load(open(weir.conf, encoding="utf-8"))
    for what in ("socket", "interface"):
        other = lab.weir(name="other-" + what, start=False)
        mine = json.loads(json.dumps(config))
        if what == "socket":
            mine["runtime"].update(state_dir=other.dir + "/state", socket=weir.socket)
            lab.ip("gw", "link", "add", "idle0", "type", "veth", "peer", "name", "idle1")
            lab.ip("gw", "link", "set", "idle0", "up")
            lab.ip("gw", "link", "set", "idle1", "up")
            mine["ports"]["lan0"]["device"], mine["ports"]["wan0"]["device"] = "idle0", "idle1"
        else:
            mine["runtime"]["socket"] = other.dir + "/other.sock"
        other.write(mine)
        other.start(wait=False)
        check(other.process.wait(60) != 0, "a second weir on the same %s ran" % what)
        check("error" in other.log(), "it did not say why: " + other.log())
        lab.ping("lan", SERVICE)
        same(weir.show("status")["pid"], weir.process.pid, "process that answers")
    weir.stop()


MISTAKES = """gateway: gw
ports:
  lan0: { role: lan, device: lan0, address: 192.168.50.1/24, speed: fast }
  wan0: { role: uplink, device: nosuch0, address: 198.51.100.300/24, plan: none }
timeouts: { udp: 3 bananas }
"""


@test
def check_command(bench):
    """weir check names every mistake with its line and fails; a good file passes."""
    lab, weir = bench.site()
    same(run(lab.options.weir, "check", "--elsewhere", weir.conf).returncode, 0, "exit for a good file")
    bad = os.path.join(lab.dir, "bad.yaml")
    with open(bad, "w", encoding="utf-8") as f:
        f.write(MISTAKES)
    done = lab.exec("gw", lab.options.weir, "check", bad, may_fail=True)
    same(done.returncode, 1, "exit for a bad file")
    for line, word in ((3, "speed"), (4, "198.51.100.300"), (4, "nosuch0"), (5, "bananas")):
        check(any(":%d: error:" % line in said and word in said for said in done.stdout.splitlines()),
              "no error for line %d about %s: %s" % (line, word, done.stdout))
    for words in (["run", bad], ["run", lab.dir + "/none.yaml"]):
        check(lab.exec("gw", lab.options.weir, *words, may_fail=True).returncode != 0, "weir %s succeeds" % words)


@test
def examples_pass_check(bench):
    """The examples that are handed out are right."""
    folder = os.path.join(bench.options.source, "config", "examples")
    for name in sorted(os.listdir(folder)):
        run(bench.options.weir, "check", "--elsewhere", os.path.join(folder, name))
