# SPDX-License-Identifier: BSD-3-Clause
"""The gateway's own programs, behind the tap: DHCP, DNS, ssh; and the kernel, which must keep silent."""
import json
import os
import socket
import struct

from capture import Capture
from cases import Books, check, same, test, until
from cases.traffic import dig, fetch_tls, serve_dns, serve_tls
from lab import EXTERNAL, GATEWAY, HOST, LAN_NET, SERVICE, need, run
from wire import TCP

TAP = "weir-lan0"
MAGIC = b"\x63\x82\x53\x63"
DISCOVER, OFFER, REQUEST, ACKNOWLEDGE = 1, 2, 3, 5
SO_BINDTODEVICE = 25


def with_tap(lab):
    config = lab.config()
    config["ports"]["lan0"]["tap"] = TAP
    return config


def dhcp_message(kind, mac, transaction, *options):
    """`options` are (code, bytes). The broadcast flag is set: this client has no address to be sent to."""
    head = struct.pack("!BBBBIHH16x6s10x192x", 1, 1, 6, 0, transaction, 0, 0x8000, mac)
    body = MAGIC + bytes([53, 1, kind])
    for code, value in options:
        body += bytes([code, len(value)]) + value
    return head + body + b"\xff"


def dhcp_options(message):
    found, rest = {}, message[240:]
    while rest and rest[0] != 255:
        if rest[0] == 0:
            rest = rest[1:]
            continue
        found[rest[0]] = rest[2:2 + rest[1]]
        rest = rest[2 + rest[1]:]
    return found


def dhcp_ask(s, message, want):
    """Asks until the answer of kind `want` comes; returns (offered address, options)."""
    transaction = message[4:8]
    for _ in range(20):
        s.sendto(message, ("255.255.255.255", 67))
        s.settimeout(3)
        try:
            while True:
                answer = s.recv(2000)
                options = dhcp_options(answer)
                if answer[4:8] == transaction and options.get(53) == bytes([want]):
                    return socket.inet_ntoa(answer[16:20]), options
        except TimeoutError:
            continue
    check(False, "no answer to DHCP message %d" % message[242])
    return None


def lease(lab, short):
    """A host without an address gets one; returns it with the options."""
    lab.ip(short, "address", "flush", "dev", "eth0")
    (link,) = json.loads(lab.ip(short, "-j", "link", "show", "eth0").stdout)
    mac = bytes.fromhex(link["address"].replace(":", ""))
    s = lab.socket(short, socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, b"eth0")
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    s.bind(("0.0.0.0", 68))
    address, options = dhcp_ask(s, dhcp_message(DISCOVER, mac, 0x77656972), OFFER)
    request = dhcp_message(REQUEST, mac, 0x77656973, (50, socket.inet_aton(address)), (54, options[54]))
    address, options = dhcp_ask(s, request, ACKNOWLEDGE)
    return address, options


@test
def dhcp_and_dns(bench):
    """dnsmasq on the gateway gives a host its address and answers its names, asking beyond the uplink."""
    lab = bench.lab()
    serve_dns(lab, "car", SERVICE, "--no-resolv", "--address=/far.test/203.0.113.9")
    weir = lab.weir(with_tap(lab))
    leases = os.path.join(lab.dir, "leases")
    serve_dns(lab, "gw", GATEWAY, "--no-resolv", "--server=" + SERVICE, "--address=/gw.test/" + GATEWAY,
              "--dhcp-range=%s100,%s150,1h" % (LAN_NET, LAN_NET), "--dhcp-leasefile=" + leases, "--dhcp-authoritative",
              "--interface=" + TAP, "--no-ping")
    address, options = lease(lab, "lan")
    check(address.startswith(LAN_NET) and 100 <= int(address.split(".")[3]) <= 150, "odd address %s" % address)
    same(socket.inet_ntoa(options[3]), GATEWAY, "router in the lease")
    same(socket.inet_ntoa(options[6][:4]), GATEWAY, "DNS server in the lease")
    lab.ip("lan", "address", "add", address + "/24", "dev", "eth0")
    lab.ip("lan", "route", "replace", "default", "via", GATEWAY)
    same(dig(lab, "lan", GATEWAY, "gw.test"), GATEWAY, "a name that dnsmasq knows")
    same(dig(lab, "lan", GATEWAY, "a.far.test"), "203.0.113.9", "a name that it has to ask for")
    same(dig(lab, "lan", GATEWAY, "b.far.test", "+tcp"), "203.0.113.9", "the same over TCP")
    lab.ping("lan", SERVICE)
    weir.check_alive()


def start_sshd(lab):
    """An sshd on every address of the gateway; returns its host key."""
    need("sshd", "ssh-keyscan", "ssh-keygen")
    key = os.path.join(lab.dir, "host_key")
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
    if not os.path.isdir("/run/sshd"):
        os.mkdir("/run/sshd", 0o755)
        lab.closers.append(lambda: os.rmdir("/run/sshd"))
    config = os.path.join(lab.dir, "sshd_config")
    with open(config, "w", encoding="utf-8") as f:
        f.write("HostKey %s\nPidFile none\nUsePAM no\nPort 22\n" % key)
    lab.spawn("gw", "/usr/sbin/sshd", "-D", "-f", config)
    until(lambda: ":22 " in lab.exec("gw", "ss", "-Hltn").stdout, "sshd listens")
    with open(key + ".pub", encoding="utf-8") as f:
        return f.read().split()[1]


@test
def sshd(bench):
    """sshd on the gateway is reached from the LAN, and not from the uplink."""
    lab = bench.lab()
    key = start_sshd(lab)
    lab.weir(with_tap(lab))
    books = Capture(lab, "car", "car0", lambda ip: ip[9] == TCP)
    got = lab.exec("lan", "ssh-keyscan", "-T", "30", "-t", "ed25519", GATEWAY).stdout
    check(key in got, "no host key from %s: %s" % (GATEWAY, got))
    for address in (EXTERNAL, GATEWAY):
        if address == GATEWAY:
            lab.ip("car", "route", "add", LAN_NET + "0/24", "via", EXTERNAL)
        got = lab.exec("car", "ssh-keyscan", "-T", "2", "-t", "ed25519", address, may_fail=True).stdout
        check(key not in got, "sshd answers the carrier on %s" % address)
    books.stop()
    same([p for sent, p in books.kept if not sent], [], "TCP from the gateway to the carrier")


@test
def local_programs(bench):
    """Programs of the gateway reach the carrier through the tap, and their octets are in the books."""
    lab = bench.lab()
    weir = lab.weir(with_tap(lab))
    body = os.urandom(300000)
    certificate = serve_tls(lab, "car", (SERVICE, 8443), body)
    books = Books(lab, weir)
    lab.ping("gw", SERVICE, count=2)
    check(fetch_tls(lab, "gw", certificate, (SERVICE, 8443)) == body, "the page came changed")
    lab.ping("gw", HOST)
    lab.ping("lan", GATEWAY)
    lab.ping("lan", SERVICE)
    ports = books.close()
    check(ports["wan0"]["downlink_octets"] > 300000, "too few octets on the uplink")


@test
def two_taps(bench):
    """With two LANs each has its tap; a local program is reached from both, each by its own address."""
    lab = bench.lab(lans=2)
    config = with_tap(lab)
    config["ports"]["lan1"].update(tap="weir-lan1", tap_default_route=False)
    lab.weir(config)
    key = start_sshd(lab)
    for short, address in (("lan", GATEWAY), ("lan2", "192.168.60.1")):
        got = lab.exec(short, "ssh-keyscan", "-T", "30", "-t", "ed25519", address).stdout
        check(key in got, "no host key from %s" % address)
    lab.ping("gw", SERVICE)


@test
def kernel_is_silent(bench):
    """A kernel with the same addresses, forwarding on, neither answers nor forwards what weir has taken over."""
    lab = bench.lab()
    lab.sysctl("gw", net__ipv4__ip_forward=1)
    lab.ip("gw", "address", "add", "192.168.50.254/24", "dev", "lan0")
    lab.ip("gw", "address", "add", EXTERNAL + "/24", "dev", "wan0")
    lab.ping("lan", "192.168.50.254")  # it can, before weir
    weir = lab.weir()
    lab.ip("lan", "neigh", "flush", "dev", "eth0")  # it has weir's MAC, by which weir would route
    at_lan, at_carrier = Capture(lab, "lan", "eth0", lambda ip: True), Capture(lab, "car", "car0", lambda ip: True)
    check(lab.ping("lan", "192.168.50.254", "-W", "1", may_fail=True).returncode != 0, "the kernel answers on the LAN")
    check(lab.ping("car", EXTERNAL, "-W", "1", may_fail=True).returncode != 0, "the kernel answers on the uplink")
    lab.ip("lan", "route", "add", "203.0.113.77/32", "via", "192.168.50.254")
    lab.ping("lan", "203.0.113.77", "-W", "1", may_fail=True)
    at_lan.stop()
    at_carrier.stop()
    same([p for sent, p in at_lan.kept if not sent], [], "packets that the LAN got")
    same([p for sent, p in at_carrier.kept if not sent], [], "packets that the carrier got")
    # A kernel that saw the server's answers would reset the connection: it has the address, and no such socket.
    listener = lab.listen("car", SERVICE, 9000)
    client = lab.connect("lan", (SERVICE, 9000))
    server = listener.accept()[0]
    for i in range(20):
        client.sendall(b"%d" % i)
        check(server.recv(10) == b"%d" % i, "the data came changed")
        server.sendall(b"ok")
        check(client.recv(10) == b"ok", "the answer came changed")
    weir.check_alive()
