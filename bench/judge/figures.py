# SPDX-License-Identifier: BSD-3-Clause
"""From packets' stamps to figures. Pure: tests/bench/judge_test.py steps through it with packets made by hand."""
import math
import struct

RECORD = struct.Struct("<QQIBB2x")  # struct record of bench/delays.c
NOT_SEEN = 2 ** 64 - 1
KINDS = ("data", "ack", "sparse", "probe", "blast", "other")
DATA, ACK, SPARSE, PROBE, BLAST, OTHER = range(len(KINDS))
BULK = (DATA, BLAST)
DIRECTIONS = ("uplink", "downlink")
SERIES_STEP_S = 0.1
CALL_EVERY_S, CALL_OCTETS, CALL_SHARE = 0.02, 200, 0.1
PERCENTILES = (50, 95, 99)
NS = 1e9


def read_records(path):
    with open(path, "rb") as f:
        return list(RECORD.iter_unpack(f.read()))


def percentile(ordered, percent):
    """The smallest value that so many percent do not exceed (nearest rank); None of nothing."""
    if not ordered:
        return None
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def spread(values_ms):
    """Mean and percentiles, in ms."""
    ordered = sorted(values_ms)
    figures = {"mean": sum(ordered) / len(ordered) if ordered else None}
    figures.update({"p%d" % p: percentile(ordered, p) for p in PERCENTILES})
    figures["max"] = ordered[-1] if ordered else None
    return {key: None if value is None else round(value, 3) for key, value in figures.items()}


class Window:
    """The time that counts, on the clock of the captures. A packet belongs to it when it would have come out within without
    the way's own delay."""

    def __init__(self, begin_ns, seconds, delay_us):
        self.begin_ns = begin_ns
        self.seconds = seconds
        self.delay_ns = delay_us * 1000

    def at_s(self, sent_ns, took_ns=0):
        return (sent_ns + took_ns - self.begin_ns) / NS

    def out_s(self, sent_ns, took_ns):
        return self.at_s(sent_ns, took_ns - self.delay_ns)


def lost_and_sent(records, window):
    """A packet is lost when a later one of its kind has come out and it has not: what still waits at the end is neither."""
    last_out_ns = max((r[0] for r in records if r[1] != NOT_SEEN), default=0)
    decided = [r for r in records if r[0] <= last_out_ns and 0 <= window.at_s(r[0]) < window.seconds]
    return sum(1 for r in decided if r[1] == NOT_SEEN), len(decided)


def kind_figures(records, window):
    """Of one kind of packet in one direction."""
    came = [r for r in records if r[1] != NOT_SEEN and 0 <= window.out_s(r[0], r[1]) < window.seconds]
    lost, sent = lost_and_sent(records, window)
    return {"packets": len(came), "octets": sum(r[2] for r in came), "lost_packets": lost, "loss": round(lost / sent, 6) if sent else None,
            "one_way_ms": spread([r[1] / 1e6 for r in came]),
            "queueing_ms": spread([max(0, r[1] - window.delay_ns) / 1e6 for r in came])}


def capacity_between(capacity, direction, from_s, to_s):
    """Octets that the bearer could carry, from cellink's steps; parts of a step count in proportion."""
    step, octets = capacity["step_s"], capacity[direction]["octets"]
    total = 0.0
    for i in range(max(0, int(from_s / step)), min(len(octets), math.ceil(to_s / step - 1e-9))):
        part = min(to_s, (i + 1) * step) - max(from_s, i * step)
        total += octets[i] * max(0.0, min(1.0, part / step))
    return total


def floor_ms(capacity, direction, seconds):
    """What a packet of any millisecond would have waited for the bearer had nothing else ever been sent: no scheduler does better. Rather too
    little: a step is taken to carry from its begin."""
    step, octets = capacity["step_s"], capacity[direction]["octets"]
    ready = [float(seconds)] * (len(octets) + 1)  # when the packet of a moment could go; not at all: at the end
    for i in range(len(octets) - 1, -1, -1):
        ready[i] = i * step if octets[i] > 0 else ready[i + 1]
    moments = [i / 1000 for i in range(int(seconds * 1000))]
    return spread([max(0.0, ready[min(len(octets), int(at / step + 1e-9))] - at) * 1000 for at in moments])


def call_every_s(capacity, seconds):
    """A packet each 20 ms, as calls have it; on a link that this would fill, so few that they take a tenth of its slower way."""
    slower_bps = min(capacity_between(capacity, d, 0, seconds) for d in DIRECTIONS) * 8 / seconds
    return max(CALL_EVERY_S, CALL_OCTETS * 8 / (CALL_SHARE * slower_bps)) if slower_bps > 0 else CALL_EVERY_S


def put(series, window, at_s, value, how):
    i = int(at_s / SERIES_STEP_S)
    if 0 <= at_s < window.seconds and i < len(series):
        series[i] = value if series[i] is None else how(series[i], value)


def series_of(records, window, capacity, direction):
    """What plots show: a value each 100 ms; None where nothing came."""
    n = math.ceil(window.seconds / SERIES_STEP_S - 1e-9)
    delivered, bulk, sparse = [0] * n, [None] * n, [None] * n
    for sent_ns, took_ns, octets, kind, _ in records:
        if took_ns == NOT_SEEN:
            continue
        queued_ms = round(max(0, took_ns - window.delay_ns) / 1e6, 3)
        if kind != PROBE:
            put(delivered, window, window.out_s(sent_ns, took_ns), octets, lambda a, b: a + b)
        if kind in BULK:
            put(bulk, window, window.at_s(sent_ns), queued_ms, max)
        elif kind == SPARSE:
            put(sparse, window, window.at_s(sent_ns), queued_ms, max)
    mbps = 8 / SERIES_STEP_S / 1e6
    return {"step_s": SERIES_STEP_S,
            "capacity_mbps": [round(capacity_between(capacity, direction, i * SERIES_STEP_S, min((i + 1) * SERIES_STEP_S, window.seconds)) * mbps, 4)
                              for i in range(n)],
            "delivered_mbps": [round(d * mbps, 4) for d in delivered], "bulk_queueing_max_ms": bulk, "sparse_queueing_max_ms": sparse}


def direction_figures(records, direction, begin_ns, seconds, capacity):
    """All of one direction. `records`: of bench/delays, both directions; `capacity`: what cellink --capacity wrote."""
    mine = [r for r in records if r[4] == DIRECTIONS.index(direction)]
    window = Window(begin_ns, seconds, capacity[direction]["delay_us"])
    figures = {name: kind_figures([r for r in mine if r[3] in kinds], window)
               for name, kinds in (("bulk", BULK), ("sparse", (SPARSE,)), ("ack", (ACK,)), ("probe", (PROBE,)))}
    used = sum(r[2] for r in mine if r[1] != NOT_SEEN and r[3] != PROBE and 0 <= window.out_s(r[0], r[1]) < seconds)
    could = capacity_between(capacity, direction, 0, seconds)
    probes = sum(r[2] for r in mine if r[3] == PROBE and 0 <= window.at_s(r[0]) < seconds)
    figures.update(capacity_octets=round(could), capacity_mean_bps=round(could * 8 / seconds), delivered_octets=used,
                   share=round(used / could, 5) if could else None, probe_octets=probes, floor_ms=floor_ms(capacity, direction, seconds),
                   series=series_of(mine, window, capacity, direction))
    return figures
