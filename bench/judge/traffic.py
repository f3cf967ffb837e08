#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The two ends of the judge's traffic: bulk TCP, a call (UDP, a packet each 20 ms both ways), probes' reflector, and blasts.

Its own clock judges nothing: packets carry a mark and a number, and are stamped by the kernel where they pass (bench/delays)."""
import argparse
import contextlib
import signal
import socket
import struct
import sys
import threading
import time

BULK_PORT, VOICE_PORT, PROBE_PORT, BLAST_PORT = 7001, 7002, 7003, 7004
MARK = struct.Struct("!4sIQ")  # what it is, its number, when it was sent
VOICE_OCTETS = 172  # of UDP payload: G.711's 160 and an RTP header
BLAST_OCTETS = 1472
HELLO = b"HELO"
CHUNK = bytes(65536)
SILENCE_S = 3
RECEIVE_BYTES = 1 << 18


def marked(letters, number, octets):
    return MARK.pack(letters, number & 0xffffffff, time.time_ns()).ljust(octets, b"\0")


def paced(end, every_s, send):
    """Calls send(number) at a steady pace until `end`; after a stall it does not try to catch up with more than a few."""
    start, number = time.monotonic(), 0
    while time.monotonic() < end:
        send(number)
        number += 1
        wait = start + number * every_s - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        elif wait < -0.1:
            start = time.monotonic() - number * every_s


def congestion(s, name):
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, name.encode())


def abort(s):
    """RST: what the kernel still had to send is not the next measurement's business."""
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def send_bulk(s, end):
    s.settimeout(0.2)
    while time.monotonic() < end:
        with contextlib.suppress(socket.timeout):
            s.send(CHUNK)


def receive_bulk(s, end):
    buffer = bytearray(RECEIVE_BYTES)
    s.settimeout(0.2)
    while time.monotonic() < end:
        with contextlib.suppress(socket.timeout):
            if s.recv_into(buffer) == 0:
                return


def start(function, *arguments):
    def quiet():
        with contextlib.suppress(OSError):  # the other end went first
            function(*arguments)
    t = threading.Thread(target=quiet, daemon=True)
    t.start()
    return t


def serve_one(s):
    """The first line: who sends, with which congestion control, and for how long."""
    with s:
        way, name, seconds = s.makefile("rb", buffering=0).readline().decode().split()
        end = time.monotonic() + float(seconds)
        if way == "up":
            receive_bulk(s, end)
        else:
            congestion(s, name)
            send_bulk(s, end)
        abort(s)


def serve_bulk(address):
    with socket.create_server((address, BULK_PORT)) as listener:
        while True:
            start(serve_one, listener.accept()[0])


def udp(address, port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    s.bind((address, port))
    return s


def serve_stream(address, port, answer):
    """One stream back to whoever says hello: `answer` gets the socket, the peer and the words of the hello."""
    s = udp(address, port)
    known = set()
    while True:
        payload, peer = s.recvfrom(2048)
        if payload.startswith(HELLO) and peer not in known:
            known.add(peer)
            start(answer, s, peer, payload.split())


def voice_back(s, peer, words):
    paced(time.monotonic() + float(words[1]), float(words[2]), lambda n: s.sendto(marked(b"VOIP", n, VOICE_OCTETS), peer))


def blast_back(s, peer, words):
    every_s = BLAST_OCTETS * 8 / float(words[2])
    paced(time.monotonic() + float(words[1]), every_s, lambda n: s.sendto(marked(b"BLST", n, BLAST_OCTETS), peer))


def serve_probes(address):
    """Answers with what came and when it came, so that a probe tells each way's delay."""
    s = udp(address, PROBE_PORT)
    while True:
        payload, peer = s.recvfrom(2048)
        s.sendto(payload[:MARK.size] + struct.pack("!Q", time.time_ns()) + payload[MARK.size + 8:], peer)


def serve(options):
    for function, arguments in ((serve_bulk, ()), (serve_stream, (VOICE_PORT, voice_back)), (serve_stream, (BLAST_PORT, blast_back)),
                                (serve_probes, ())):
        start(function, options.server, *arguments)
    signal.pause()


def bulk(options, way, end):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
        congestion(s, options.congestion)
        s.connect((options.server, BULK_PORT))
        s.sendall(("%s %s %.3f\n" % (way, options.congestion, end - time.monotonic())).encode())
        (send_bulk if way == "up" else receive_bulk)(s, end)
        abort(s)


def stream(options, port, letters, every_s, octets, hello):
    """Both ways at once; hellos until the other end has heard one: the first may find the radio asleep, and be lost."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect((options.server, port))
    start(lambda: [s.recv(2048) for _ in iter(int, 1)])

    def send(number):
        if number in (0, 25, 50):
            s.send(hello)
        s.send(marked(letters, number, octets))
    paced(options.end, every_s, send)


def client(options):
    sys.stdin.readline()  # the word to begin: the bearer's time is 0 now
    options.end = time.monotonic() + options.seconds
    threads = []
    hello = b"%s %.3f %.6f" % (HELLO, options.seconds, options.call_every)
    threads.append(start(stream, options, VOICE_PORT, b"VOIP", options.call_every, VOICE_OCTETS, hello))
    if options.blast_bps > 0:
        hello = b"%s %.3f %d" % (HELLO, options.seconds, options.blast_bps)
        threads.append(start(stream, options, BLAST_PORT, b"BLST", BLAST_OCTETS * 8 / options.blast_bps, BLAST_OCTETS, hello))
    for way, n in (("up", options.up), ("down", options.down)):
        threads += [start(bulk, options, way, options.end) for _ in range(n)]
    for t in threads:  # one may still wait for its connection
        t.join(max(0.0, options.end + 1 - time.monotonic()))


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("role", choices=("server", "client"))
    p.add_argument("server", metavar="ADDRESS", help="where the server is")
    p.add_argument("--seconds", type=float, default=10, help="from the first line on standard input")
    p.add_argument("--up", type=int, default=0, metavar="N", help="bulk connections that send")
    p.add_argument("--down", type=int, default=0, metavar="N", help="bulk connections that receive")
    p.add_argument("--congestion", default="cubic")
    p.add_argument("--call-every", type=float, default=0.02, metavar="SECONDS", help="between two packets of the call")
    p.add_argument("--blast-bps", type=float, default=0, help="UDP both ways at this rate, listening to nobody")
    options = p.parse_args()
    sys.setswitchinterval(0.0005)
    (serve if options.role == "server" else client)(options)


if __name__ == "__main__":
    main()
