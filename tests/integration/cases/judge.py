# SPDX-License-Identifier: BSD-3-Clause
"""The judge of delay and use on cellular links: what it measures is what arithmetic says, and it keeps what it found."""
import json
import os
import signal
import subprocess
import time

from cases import test
from lab import Skipped, check, run, same, until

PER_DIRECTION = {"bulk", "sparse", "ack", "probe", "capacity_octets", "capacity_mean_bps", "delivered_octets", "share", "probe_octets", "floor_ms",
                 "series"}
PER_KIND = {"packets", "octets", "lost_packets", "loss", "one_way_ms", "queueing_ms"}
SPREAD = {"mean", "p50", "p95", "p99", "max"}
SERIES = {"step_s", "capacity_mbps", "delivered_mbps", "bulk_queueing_max_ms", "sparse_queueing_max_ms"}
SECONDS = 2


def judge(bench, *words):
    """The command; skips where a program of it is missing."""
    options = bench.options
    delays = os.path.join(os.path.dirname(options.cellink), "delays")
    for path in (options.cellink, delays):
        if not os.access(path, os.X_OK):
            raise Skipped("no %s" % path)
    return [os.path.join(options.source, "bench", "cellular"), "--weir", options.weir, "--cellink", options.cellink, "--delays", delays, *words]


def data(folder):
    """12 Mbit/s down, 6 up, as a trace."""
    os.makedirs(os.path.join(folder, "mahimahi"))
    for way, ms in (("down", "1"), ("up", "2")):
        with open(os.path.join(folder, "mahimahi", "steady." + way), "w", encoding="ascii") as f:
            f.write(ms + "\n")
    return folder


def namespaces():
    return [line.split()[0] for line in run("ip", "netns", "list").stdout.splitlines()]


def namespaces_of(pid):
    """Those of the process's runs, each of which is a child of its."""
    with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as f:
        runs = tuple("weir-%s-" % child for child in f.read().split())
    return [name for name in namespaces() if name.startswith(runs)]


@test
def judge_agrees_with_arithmetic(bench):
    """A blast through a link of known rate and buffer: share, loss and both queueing delays are what can be calculated."""
    run(*judge(bench, "--calibrate"), patience_s=120)


@test
def judge_keeps_results(bench):
    """A run's JSON has all its figures, for TCP and the call, each way; it is not repeated until its settings change."""
    lab = bench.lab()
    out = os.path.join(lab.dir, "out")
    words = judge(bench, "--data", data(os.path.join(lab.dir, "data")), "--case", "steady", "--seconds", str(SECONDS), "--out", out)
    run(*words, "--mode", "none,oracle-fq", patience_s=120)
    for mode in ("none", "oracle-fq"):
        path = os.path.join(out, "mahimahi.steady", mode + "-cubic-both.json")
        with open(path, encoding="utf-8") as f:
            result = json.load(f)
        for d in ("uplink", "downlink"):
            same(set(result[d]), PER_DIRECTION, "figures of " + d)
            for kind in ("bulk", "sparse"):
                same(set(result[d][kind]), PER_KIND, "figures of %s, %s" % (d, kind))
                same(set(result[d][kind]["queueing_ms"]), SPREAD, "queueing of " + kind)
                check(result[d][kind]["packets"] > 0, "no %s packets %s" % (kind, d))
            same(set(result[d]["series"]), SERIES, "series")
            same(len(result[d]["series"]["capacity_mbps"]), SECONDS * 10, "values in a series")
            check(0 < result[d]["share"] <= 1.01, "share of %s: %s" % (d, result[d]["share"]))
        same(result["downlink"]["capacity_octets"], SECONDS * 1500000, "what the bearer could carry")
        same(result["machine"]["captures"]["strangers_uplink"], 0, "packets that came out and had never gone in")
    written = os.stat(path).st_mtime_ns
    said = run(*words, "--mode", "oracle-fq", patience_s=120).stdout
    same(os.stat(path).st_mtime_ns, written, "time of the result")
    check("oracle-fq" in said, "the kept result is not shown: " + said)
    run(*words, "--mode", "oracle-fq", "--seed", "2", patience_s=120)
    check(os.stat(path).st_mtime_ns != written, "another seed, and the old result was taken")


@test
def judge_interrupted(bench):
    """Ctrl-C in the middle of a run: namespaces and programs go, results so far stay."""
    lab = bench.lab()
    out = os.path.join(lab.dir, "out")
    words = judge(bench, "--data", data(os.path.join(lab.dir, "data")), "--case", "steady", "--seconds", "600", "--mode", "none", "--out", out)
    p = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    lab.processes.append(p)
    until(lambda: p.poll() is not None or len(namespaces_of(p.pid)) == 3, "its namespaces are there")
    made = namespaces_of(p.pid)
    time.sleep(2)
    p.send_signal(signal.SIGINT)
    said = p.communicate(timeout=60)[1]
    check(p.returncode != 0 and "interrupted" in said and "Traceback" not in said, "exit %d: %s" % (p.returncode, said))
    same(set(made) & set(namespaces()), set(), "namespaces left")
