# SPDX-License-Identifier: BSD-3-Clause
"""What weir takes of the machine's memory."""
import json
import os
import subprocess

from cases import Books, check, same, test
from cases.traffic import iperf3
from lab import SERVICE, Skipped

MIB = 1 << 20

# In a mount namespace of its own the machine says that it has free huge pages; whoever asks for them gets none. That is what
# is left when others take them between weir's look and its grasp. The root of a chroot cannot be made private, the two mounts
# can.
PROMISED = """
set -eu
mount --make-private /proc
mount --make-private /sys
mkdir -p "$0/hugepages/hugepages-2048kB"
sed -e 's/^HugePages_Free:.*/HugePages_Free: 4096/; s/^Hugepagesize:.*/Hugepagesize: 2048 kB/' /proc/meminfo >"$0/meminfo"
for file in nr free; do echo 4096 >"$0/hugepages/hugepages-2048kB/${file}_hugepages"; done
for file in resv surplus nr_overcommit; do echo 0 >"$0/hugepages/hugepages-2048kB/${file}_hugepages"; done
mount --bind "$0/meminfo" /proc/meminfo
mount --bind "$0/hugepages" /sys/kernel/mm/hugepages
exec "$@"
"""


def promised(lab):
    return ("unshare", "--mount", "--propagation", "unchanged", "sh", "-c", PROMISED, lab.dir)


def skip_with_huge_pages():
    with open("/proc/meminfo", encoding="utf-8") as f:
        free = next(int(line.split()[1]) for line in f if line.startswith("HugePages_Free:"))
    if free > 0:
        raise Skipped("this machine has huge pages, so they can be had")


def n_descriptors(weir):
    return len(os.listdir("/proc/%d/fd" % weir.process.pid))


@test
def huge_pages_vanish(bench):
    """Huge pages are free when weir counts them and gone when it takes them: it says so and runs on ordinary ones."""
    skip_with_huge_pages()
    lab = bench.lab()
    before = lab.state_of_machine()
    weir = lab.weir(start=False)
    weir.start(through=promised(lab))
    log = weir.log()
    same(log.count("start.huge_pages_gone"), 1, "warnings in " + log)
    check("remedy=\"raise vm.nr_hugepages" in log, "no remedy in " + log)
    same(log.count("start.done"), 1, "starts")
    lab.ping("lan", SERVICE)
    same(n_descriptors(weir), n_descriptors(bench.site()[1]), "open descriptors, beside those of a weir that asks for none")
    weir.stop()
    same(lab.state_of_machine(), before, "the machine's state")


@test
def huge_pages_vanish_for_bench(bench):
    """The same for weir bench, with the arguments that it was given."""
    skip_with_huge_pages()
    lab = bench.lab()
    done = lab.exec("gw", *promised(lab), lab.options.weir, "bench", "--flows", "1,7", "--seconds", "0.05")
    check("start.huge_pages_gone" in done.stderr, "no warning: " + done.stderr)
    check("vm.nr_hugepages=" in done.stderr, "no remedy: " + done.stderr)
    counts = [line.split()[0] for line in done.stdout.splitlines() if line[:9].strip().isdigit()]
    same(counts, ["1", "7"], "flows measured")


@test
def fits_a_small_machine(bench):
    """A plain site on ordinary pages takes less than 64 MiB, program, packet buffers and receive rings included."""
    skip_with_sanitizer(bench.options)
    lab, weir = bench.site({"runtime": {"huge_pages": "off"}})
    lab.ping("lan", SERVICE)
    with open("/proc/%d/status" % weir.process.pid, encoding="utf-8") as f:
        status = dict(line.split(":", 1) for line in f)
    for key in ("VmHWM", "VmRSS"):
        bytes_ = int(status[key].split()[0]) * 1024
        check(bytes_ < 64 * MIB, "%s is %d MiB" % (key, bytes_ // MIB))
    same(status["VmLck"].split()[0], "0", "kB locked")


def skip_with_sanitizer(options):
    with open(options.weir, "rb") as program:
        if b"__asan_init" in program.read():
            raise Skipped("a sanitizer takes memory of its own")


def peak_bytes(weir, n_flows):
    """What weir bench takes at most, with so many flows set up."""
    process = subprocess.Popen([weir, "bench", "--flows", str(n_flows), "--count", "64"], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    same(process.returncode, 0, "exit of weir bench")
    return usage.ru_maxrss * 1024


@test
def a_million_flows(bench):
    """A million flows take no more than 256 MiB beyond what weir takes without."""
    skip_with_sanitizer(bench.options)
    taken = peak_bytes(bench.options.weir, 1000000) - peak_bytes(bench.options.weir, 256)
    check(taken <= 256 * MIB, "%.1f MiB" % (taken / MIB))


@test
def new_flows_for_bench(bench):
    """weir bench --new-flows: as many flows end as begin, none is refused, and each step ends a bounded number."""
    lab = bench.lab()
    done = lab.exec("gw", lab.options.weir, "bench", "--new-flows", "--flows", "3000", "--seconds", "0.3", "--json")
    check("dropped" not in done.stderr, done.stderr)
    run = json.loads(done.stdout)["new_flows"][0]
    same(run["flows"], 3000, "flows")
    check(run["flows_per_second"] > 0 and run["stages"]["end"] > 0, done.stdout)
    check(run["step_cycles_all_due"]["steps"] >= 3000 // 128, done.stdout)
    counted = json.loads(lab.exec("gw", lab.options.weir, "bench", "--new-flows", "--flows", "3000", "--count", "6000").stdout)
    same(counted["created"], counted["packets"], "flows begun")
    check(abs(counted["ended"] - counted["created"]) < 1000, "as many end as begin: %s" % counted)


@test
def buffers_for_devices(bench):
    """A LAN by AF_XDP: buffers as a device wants them, on ordinary pages, and as many as it keeps; the books add up."""
    lab = bench.lab(offloads=False)
    config = lab.config(runtime={"huge_pages": "off"})
    config["ports"]["lan0"]["driver"] = "af-xdp"
    weir = lab.weir(config)
    books = Books(lab, weir)
    lab.ping("lan", SERVICE, "-s", "1400", count=3)
    report = iperf3(lab, "-t", "1")
    check(report["end"]["sum_received"]["bytes"] > 0, "nothing arrived")
    same({name: port["rx_no_buffer"] for name, port in books.close().items()}, {"lan0": 0, "wan0": 0}, "frames without a buffer")


@test
def buffers_for_large_packets(bench):
    """Buffers sized for 9000 octets fit what was set aside for them."""
    lab = bench.lab()
    config = lab.config(runtime={"huge_pages": "off", "packet_buffers": 20000})
    config["ports"]["lan0"]["mtu"] = 9000
    lab.weir(config)
    lab.ping("lan", SERVICE)
