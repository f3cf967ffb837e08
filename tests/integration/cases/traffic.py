# SPDX-License-Identifier: BSD-3-Clause
"""Programs of every day through the gateway, and every octet of theirs in the books."""
import asyncio
import hashlib
import json
import os
import resource
import socket
import ssl
import threading

from cases import Books, check, close_records, same, test, until
from lab import HOST, SERVICE, need, run

MB = 1000 * 1000


@test
def ping(bench):
    """Echo of small and of full packets, to the byte in the books."""
    lab, weir = bench.site()
    books = Books(lab, weir)
    for size in ("0", "56", "1472"):
        lab.ping("lan", SERVICE, "-s", size, count=3)
    ports = books.close()
    same(ports["wan0"]["uplink_octets"], 3 * (28 + 84 + 1500), "octets of nine pings")


def iperf3(lab, *client, patience_s=300):
    """One run; returns its report."""
    need("iperf3")
    server = lab.spawn("car", "iperf3", "-s", "-1", "-B", SERVICE)
    until(lambda: SERVICE + ":5201" in lab.exec("car", "ss", "-Hltn").stdout, "iperf3 listens")
    done = lab.exec("lan", "iperf3", "-c", SERVICE, "-J", *client, patience_s=patience_s)
    server.wait(60)
    return json.loads(done.stdout)


@test
def tcp_both_ways(bench):
    """iperf3 over TCP, 20 MB up and 20 MB down, offloads as the kernel has them."""
    lab, weir = bench.site()
    books = Books(lab, weir)
    for way in ([], ["-R"]):
        report = iperf3(lab, "-n", "20M", *way)
        check(report["end"]["sum_sent"]["bytes"] >= 20 * MB, "20 MB were not sent: %s" % report["end"]["sum_sent"])
    ports = books.close()
    check(ports["wan0"]["downlink_octets"] > 20 * MB, "fewer octets counted than iperf3 sent")


@test
def tcp_without_offloads(bench):
    """The same where frames are already as they are on a wire."""
    lab, weir = bench.site(offloads=False)
    books = Books(lab, weir)
    for way in ([], ["-R"]):
        iperf3(lab, "-n", "10M", *way)
    books.close()


@test
def tcp_parallel_streams(bench):
    """Eight iperf3 streams in both directions at once."""
    lab, weir = bench.site()
    books = Books(lab, weir)
    report = iperf3(lab, "--bidir", "-P", "4", "-t", "3")
    check(report["end"]["sum_received"]["bytes"] > 0 and report["end"]["sum_received_bidir_reverse"]["bytes"] > 0,
          "a direction carried nothing")
    books.close()


def echo_udp(server, n):
    for _ in range(n):
        data, peer = server.recvfrom(65535)
        server.sendto(data[::-1], peer)


@test
def udp_both_ways(bench):
    """Datagrams of every size up to the MTU, answered one by one, from several sockets."""
    lab, weir = bench.site()
    books = Books(lab, weir)
    server = lab.udp("car", (SERVICE, 7000))
    sizes = [0, 1, 17, 511, 512, 513, 1399, 1471, 1472]
    thread = threading.Thread(target=echo_udp, args=(server, 4 * len(sizes)), daemon=True)
    thread.start()
    for _ in range(4):
        client = lab.udp("lan", HOST)
        for size in sizes:
            data = os.urandom(size)
            client.sendto(data, (SERVICE, 7000))
            answer, peer = client.recvfrom(65535)
            same(peer, (SERVICE, 7000), "who answers")
            check(answer == data[::-1], "%d octets came back changed" % size)
    ports = books.close()
    same(ports["wan0"]["uplink_octets"], 4 * sum(28 + s for s in sizes), "octets of the datagrams")


def serve_dns(lab, short, address, *more):
    need("dnsmasq", "dig")
    server = lab.spawn(short, "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=", "--user=root",
                       "--no-hosts", "--listen-address=" + address, "--bind-interfaces", *more)
    until(lambda: server.poll() is None and address + ":53" in lab.exec(short, "ss", "-Hlun").stdout, "dnsmasq listens")
    return server


def dig(lab, short, server, name, *more):
    return lab.exec(short, "dig", "+short", "+tries=5", "+timeout=10", *more, "@" + server, name).stdout.strip()


@test
def dns(bench):
    """dig asks dnsmasq beyond the uplink, over UDP and TCP."""
    lab, weir = bench.site()
    books = Books(lab, weir)
    serve_dns(lab, "car", SERVICE, "--no-resolv", "--address=/site.test/203.0.113.9")
    same(dig(lab, "lan", SERVICE, "a.site.test"), "203.0.113.9", "answer over UDP")
    same(dig(lab, "lan", SERVICE, "b.site.test", "+tcp"), "203.0.113.9", "answer over TCP")
    books.close()


def make_certificate(lab):
    need("openssl")
    key, certificate = os.path.join(lab.dir, "key.pem"), os.path.join(lab.dir, "cert.pem")
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
        "-subj", "/CN=site.test", "-addext", "subjectAltName=DNS:site.test", "-keyout", key, "-out", certificate)
    return key, certificate


def serve_tls(lab, short, address, body):
    """An HTTPS server for one page; returns the certificate to trust."""
    key, certificate = make_certificate(lab)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listener = lab.listen(short, *address)
    head = b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)

    def serve():
        while True:
            try:
                with context.wrap_socket(listener.accept()[0], server_side=True) as s:
                    s.recv(65536)
                    s.sendall(head + body)
                    s.unwrap()
            except (OSError, ssl.SSLError):
                if listener.fileno() < 0:
                    return

    threading.Thread(target=serve, daemon=True).start()
    return certificate


def fetch_tls(lab, short, certificate, address):
    need("curl")
    out = os.path.join(lab.dir, "page")
    lab.exec(short, "curl", "--silent", "--show-error", "--noproxy", "*", "--cacert", certificate, "--max-time", "60",
             "--output", out, "--resolve", "site.test:%d:%s" % (address[1], address[0]), "https://site.test:%d/" % address[1],
             patience_s=90)
    with open(out, "rb") as f:
        return f.read()


@test
def tls(bench):
    """curl verifies a certificate and fetches 3 MB over TLS."""
    lab, weir = bench.site()
    body = os.urandom(3 * MB)
    certificate = serve_tls(lab, "car", (SERVICE, 8443), body)
    books = Books(lab, weir)
    check(fetch_tls(lab, "lan", certificate, (SERVICE, 8443)) == body, "the page came changed")
    books.close()


async def answer(reader, writer):
    data = await reader.readexactly(4096)
    writer.write(data[::-1])
    await writer.drain()
    await reader.read()
    writer.close()


async def ask(lab, i, gate, done):
    loop = asyncio.get_running_loop()
    s = lab.socket("lan", socket.AF_INET, socket.SOCK_STREAM)
    s.setblocking(False)
    await loop.sock_connect(s, (SERVICE, 9000))
    done[0] += 1
    if done[0] == done[1]:
        gate.set()
    await gate.wait()  # all are open at once
    reader, writer = await asyncio.open_connection(sock=s)
    data = i.to_bytes(4, "big") * 1024
    writer.write(data)
    answered = await reader.readexactly(4096)
    writer.close()
    return answered == data[::-1]


async def crowd(lab, n):
    listener = lab.listen("car", SERVICE, 9000)
    listener.setblocking(False)
    server = await asyncio.start_server(answer, sock=listener, backlog=4096)
    gate = asyncio.Event()
    done = [0, n]
    results = await asyncio.wait_for(asyncio.gather(*(ask(lab, i, gate, done) for i in range(n))), 240)
    server.close()
    return results


@test
def many_connections(bench):
    """2000 TCP connections open at once; each gets its own data back."""
    n = 2000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 3 * n)), hard))
    lab, weir = bench.site()
    lab.sysctl("car", net__core__somaxconn=4096, net__ipv4__tcp_max_syn_backlog=8192)
    books = Books(lab, weir)
    results = asyncio.run(crowd(lab, n))
    same(sum(results), n, "connections that got their own data back")
    same(weir.show("status")["flows_created"], n, "flows")
    books.close()


def send_blocks(listener, n_blocks, block):
    s = listener.accept()[0]
    with s:
        for i in range(n_blocks):
            s.sendall(i.to_bytes(8, "big") + block)


def digest_of(n_blocks, block):
    sum_ = hashlib.sha256()
    for i in range(n_blocks):
        sum_.update(i.to_bytes(8, "big") + block)
    return sum_.hexdigest()


def receive_all(s):
    sum_ = hashlib.sha256()
    n = 0
    while True:
        data = s.recv(1 << 20)
        if not data:
            return n, sum_.hexdigest()
        n += len(data)
        sum_.update(data)


def transfer(lab, n_blocks, block, is_upload):
    # The LAN opens the connection in both cases; who sends differs.
    listener = lab.listen("car", SERVICE, 9100 + is_upload)
    result = []
    if is_upload:
        thread = threading.Thread(target=lambda: result.append(receive_all(listener.accept()[0])), daemon=True)
        thread.start()
        with lab.connect("lan", (SERVICE, 9101)) as s:
            for i in range(n_blocks):
                s.sendall(i.to_bytes(8, "big") + block)
        thread.join(600)
    else:
        threading.Thread(target=send_blocks, args=(listener, n_blocks, block), daemon=True).start()
        with lab.connect("lan", (SERVICE, 9100)) as s:
            result.append(receive_all(s))
    check(result, "the transfer did not end")
    same(result[0][0], n_blocks * (8 + len(block)), "octets that arrived")
    same(result[0][1], digest_of(n_blocks, block), "their checksum")


@test
def large_transfer(bench):
    """200 MB (1 GB with --long) down and up again; checksums are compared."""
    lab, weir = bench.site()
    n_mb = 1000 if bench.options.long else 200
    block = os.urandom(MB - 8)
    for is_upload in (False, True):
        transfer(lab, n_mb, block, is_upload)
    ports = weir.settled_ports()
    check(ports["wan0"]["downlink_octets"] > n_mb * MB, "fewer octets counted than were carried")
    close_records(weir, ports["wan0"])
