# SPDX-License-Identifier: BSD-3-Clause
"""IPv4 packets made and read by hand."""
import socket
import struct

TCP, UDP, ICMP = 6, 17, 1
MORE_FRAGMENTS = 0x2000
DONT_FRAGMENT = 0x4000
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
ECHO_REPLY, UNREACHABLE, ECHO_REQUEST, TIME_EXCEEDED = 0, 3, 8, 11


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ipv4(source, destination, protocol, payload, identification=1, fragment=0, ttl=64, tos=0, options=b""):
    """`fragment` is the header's field: flags and offset in units of eight octets; `options` are a multiple of four."""
    header = struct.pack("!BBHHHBBH4s4s", 0x45 + len(options) // 4, tos, 20 + len(options) + len(payload), identification,
                         fragment, ttl, protocol, 0, socket.inet_aton(source), socket.inet_aton(destination)) + options
    return sum_header(header) + payload


def sum_header(packet):
    """The packet with the checksum that its header ought to have."""
    n = max(20, (packet[0] & 15) * 4)
    header = packet[:10] + b"\0\0" + packet[12:n]
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + packet[n:]


def pseudo(source, destination, protocol, payload):
    return socket.inet_aton(source) + socket.inet_aton(destination) + struct.pack("!HH", protocol, len(payload)) + payload


def udp(source, destination, data):
    """Endpoints are (address, port)."""
    segment = struct.pack("!HHHH", source[1], destination[1], 8 + len(data), 0) + data
    total = checksum(pseudo(source[0], destination[0], UDP, segment)) or 0xffff
    return segment[:6] + struct.pack("!H", total) + segment[8:]


def tcp(source, destination, flags, sequence=1, acknowledgement=0, data=b"", options=b""):
    segment = struct.pack("!HHIIBBHHH", source[1], destination[1], sequence, acknowledgement, (5 + len(options) // 4) << 4,
                          flags, 65535, 0, 0) + options + data
    total = checksum(pseudo(source[0], destination[0], TCP, segment))
    return segment[:16] + struct.pack("!H", total) + segment[18:]


def icmp(kind, code, rest, data=b""):
    """`rest` is the second word of the header."""
    message = bytes([kind, code, 0, 0]) + rest + data
    return message[:2] + struct.pack("!H", checksum(message)) + message[4:]


def echo(identifier, data=b"", sequence=1, kind=ECHO_REQUEST):
    return icmp(kind, 0, struct.pack("!HH", identifier, sequence), data)


def fragments(source, destination, protocol, payload, identification, size=1400):
    """The datagram as packets, first to last; `size` is a multiple of eight."""
    packets = []
    for start in range(0, len(payload), size):
        more = MORE_FRAGMENTS if start + size < len(payload) else 0
        packets.append(ipv4(source, destination, protocol, payload[start:start + size], identification, more | start // 8))
    return packets


def ip_fields(packet):
    """(protocol, source, destination, payload)"""
    header = (packet[0] & 15) * 4
    return packet[9], socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20]), packet[header:]


def tcp_mss(packet):
    """Maximum segment size that a SYN announces, or None."""
    segment = ip_fields(packet)[3]
    options = segment[20:(segment[12] >> 4) * 4]
    while options and options[0] != 0:
        if options[0] == 1:
            options = options[1:]
        elif options[0] == 2:
            return struct.unpack("!H", options[2:4])[0]
        else:
            options = options[options[1]:]
    return None
