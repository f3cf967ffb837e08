# SPDX-License-Identifier: BSD-3-Clause
"""What devices and their remotes are called: by DHCP and DNS that pass, with the programs that sites use."""
import json
import os
import signal
import socket

from cases import check, same, test, until
from cases.names import resolve, resolver
from cases.services import DISCOVER, SO_BINDTODEVICE, dhcp_message, with_tap
from cases.top import top
from cases.traffic import dig, serve_dns
from lab import GATEWAY, HOST, LAN_NET, SERVICE, need, run


def events(weir, name):
    """The fields of the events of this name."""
    lines = run(weir.lab.options.weirctl, "--socket", weir.socket, "events", "--json").stdout.splitlines()
    return [e["fields"] for e in map(json.loads, lines) if e.get("event") == name]


def name_of_host(weir):
    return next((d.get("name") for d in weir.show("devices") if d["address"].startswith(LAN_NET)), None)


def dhclient(lab, host_name):
    """The host asks for an address as Debian's client does, which goes on renewing it; returns the address."""
    need("dhclient")
    lab.ip("lan", "address", "flush", "dev", "eth0")
    conf, leases = os.path.join(lab.dir, "dhclient.conf"), os.path.join(lab.dir, "dhclient.leases")
    with open(conf, "w", encoding="utf-8") as f:
        f.write('send host-name "%s";\nrequest subnet-mask, routers;\ntimeout 60;\nretry 1;\n' % host_name)
    open(leases, "w", encoding="utf-8").close()
    # Its script would set the machine's own address and resolver up: the test does what is needed of that.
    lab.spawn("lan", "dhclient", "-4", "-d", "--no-pid", "-cf", conf, "-lf", leases, "-sf", "/bin/true", "eth0")

    def address():
        with open(leases, encoding="utf-8") as f:
            return next((line.split()[1].strip(";") for line in f if "fixed-address" in line), None)

    until(address, "a lease")
    lab.ip("lan", "address", "add", address() + "/24", "dev", "eth0")
    lab.ip("lan", "route", "replace", "default", "via", GATEWAY)
    return address()


def flow_to(weir, port):
    return next((f for f in weir.show("flows") if f["remote_port"] == port), None)


@test
def names_of_hosts(bench):
    """A device that dhclient names is called so in listings, in top and in events; dnsmasq's lease counts before that."""
    lab = bench.lab()
    config = with_tap(lab)
    leases = os.path.join(lab.dir, "leases")
    weir = lab.weir(config)
    serve_dns(lab, "gw", GATEWAY, "--no-resolv", "--dhcp-range=%s100,%s150,1h" % (LAN_NET, LAN_NET), "--dhcp-leasefile=" + leases,
              "--dhcp-authoritative", "--interface=weir-lan0", "--no-ping")
    address = dhclient(lab, "kitchen-tv")
    lab.ping("lan", SERVICE)
    until(lambda: name_of_host(weir) == "kitchen-tv", lambda: "the name: %s" % weir.show("devices"))
    (device,) = [d for d in weir.show("devices") if d["address"] == address]
    same([(e["mac"], e["name"]) for e in events(weir, "device.named")], [(device["mac"], "kitchen-tv")], "device.named")
    until(lambda: "kitchen-tv" in [e.get("name") for e in events(weir, "device.seen")], "device.seen with its name")
    check("kitchen-tv" in weir.ctl("devices").stdout, "a table without the name")
    check("kitchen-tv" in run(*top(lab, weir, "--once", "-d", "0.2")).stdout, "top without the name")
    same(weir.show("flows")[0].get("name"), "kitchen-tv", "name with the flow")
    weir.stop()
    config["runtime"]["leases"] = leases
    with open(leases, encoding="utf-8") as f:
        lease = f.read().split()
    same(lease[1:4], [device["mac"], address, "kitchen-tv"], "dnsmasq's lease")
    weir = lab.weir(config)
    lab.ping("lan", SERVICE)
    until(lambda: name_of_host(weir) == "kitchen-tv", "the name of the lease, which a restart finds again")
    weir.check_alive()


def say(lab, kind, *options, mac=None):
    """The host says something by DHCP, without waiting for an answer."""
    (link,) = json.loads(lab.ip("lan", "-j", "link", "show", "eth0").stdout)
    s = lab.socket("lan", socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, b"eth0")
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    s.bind((HOST, 68))
    s.sendto(dhcp_message(kind, mac or bytes.fromhex(link["address"].replace(":", "")), 0x77656972, *options), ("255.255.255.255", 67))
    s.close()


@test
def names_that_are_none(bench):
    """Without any DHCP server of ours: a device's name is heard, none that could do harm anywhere, and nobody names another."""
    lab, weir = bench.site()
    lab.ping("lan", SERVICE)
    (device,) = weir.show("devices")
    for name in (b"a\x1b[2J", b"<script>", b'"},{"', b"caf\xc3\xa9", b"a b", b"-", b"x" * 64):
        say(lab, DISCOVER, (12, name))
    say(lab, DISCOVER, (12, b"stolen"), mac=bytes(6))
    say(lab, DISCOVER, (12, b"good"))
    until(lambda: name_of_host(weir) == "good", lambda: "the one good name: %s" % weir.show("devices"))
    same([(e["mac"], e["name"]) for e in events(weir, "device.named")], [(device["mac"], "good")], "what was heard")
    weir.check_alive()


@test
def names_of_remotes(bench):
    """A flow's remote has the name that its device asked for, of the gateway's dnsmasq or beyond it, in listings, top and records."""
    lab = bench.lab()
    serve_dns(lab, "car", SERVICE, "--no-resolv", "--cname=www.far.test,edge.cdn.test", "--host-record=edge.cdn.test," + SERVICE)
    config = with_tap(lab)
    weir = lab.weir(config)
    serve_dns(lab, "gw", GATEWAY, "--no-resolv", "--server=" + SERVICE, "--interface=weir-lan0")
    listeners = [lab.listen("car", SERVICE, port) for port in (8001, 8002, 8003)]
    keep = [lab.connect("lan", (SERVICE, 8001))]
    check(SERVICE in dig(lab, "lan", GATEWAY, "www.far.test"), "the gateway's dnsmasq does not know www.far.test")
    keep.append(lab.connect("lan", (SERVICE, 8002)))
    until(lambda: flow_to(weir, 8002), "the second flow")
    same(flow_to(weir, 8002).get("remote_name"), "www.far.test", "name of a flow that began after the answer")
    same(flow_to(weir, 8001).get("remote_name"), None, "name of a flow that began before it")
    resolver(lab)
    resolve(lab, HOST, "Direct.Example")
    keep.append(lab.connect("lan", (SERVICE, 8003)))
    until(lambda: flow_to(weir, 8003), "the third flow")
    same(flow_to(weir, 8003).get("remote_name"), "direct.example", "name that was asked for beyond the gateway")
    same(flow_to(weir, 8002).get("remote_name"), "www.far.test", "the former flow's name stays")
    check("direct.example" in weir.ctl("flows").stdout, "a table without the name")
    check("direct.example" in run(*top(lab, weir, "flows", "--once", "-d", "0.2")).stdout, "top without the name")
    config["runtime"]["remote_names"] = False
    weir.write(config)
    weir.process.send_signal(signal.SIGHUP)
    until(lambda: "remote_name" not in flow_to(weir, 8003), "names are forgotten")
    config["runtime"]["remote_names"] = True
    weir.write(config)
    weir.process.send_signal(signal.SIGHUP)
    until(lambda: weir.show("status")["reloads"] == 2, "names are learned again")
    resolve(lab, HOST, "late.example")
    keep.append(lab.connect("lan", (SERVICE, 8001)))
    until(lambda: "late.example" in [f.get("remote_name") for f in weir.show("flows")], lambda: "the new name: %s" % weir.show("flows"))
    weir.stop()
    names = {r["destinationTransportPort"]: r.get("destinationName") for r in weir.records()
             if r["destinationTransportPort"] in (8002, 8003)}
    same(names, {8002: None, 8003: None}, "names in records of flows whose names were forgotten")
    check("late.example" in [r.get("destinationName") for r in weir.records()], "a record without the name")
    for s in keep + listeners:
        s.close()
