# SPDX-License-Identifier: BSD-3-Clause
"""What there is to judge: traces of real links where the data is there, and the profiles that come with the project."""
import glob
import os

SETS = ("lte", "5g", "profiles")
LTE = {"delay": "25ms", "downlink-buffer": "2000kB", "uplink-buffer": "1000kB", "mtu": "1500"}
NR = {"delay": "20ms", "downlink-buffer": "4000kB", "uplink-buffer": "1500kB", "mtu": "1500"}
BUFFER_LEAST_KB = 150
# Lumos5G measured downlinks alone: figures of these uplinks are marked as assumed.
ASSUMED_UPLINK_MBPS = {"4g": 10, "5g": 25}


class Bad(Exception):
    """What was asked for cannot be done; the message is for the person who asked."""


class Case:
    """A bearer: options for cellink, and what to know when reading its figures."""

    def __init__(self, name, group, bearer, driving=False):
        self.name = name
        self.group = group
        self.bearer = dict(bearer)
        self.driving = driving  # an LTE link in a vehicle: the goal speaks of these
        self.assumed = []  # directions whose capacity is not from the data
        self.scale = 1.0
        self.length_s = None  # of the trace; None where it never ends
        self.steps = None  # a scaled trace, to be written before the run

    def file_name(self):
        return self.name.replace("/", ".")

    def arguments(self, folder):
        """For cellink; writes the scaled trace into `folder` where there is one."""
        if self.steps is not None:
            path = os.path.join(folder, "scaled.trace")
            with open(path, "w", encoding="ascii") as f:
                f.writelines("%g %.6f\n" % (at, mbps * self.scale) for at, mbps in self.steps)
            self.bearer["downlink-trace"] = path
        return [word for key, value in self.bearer.items() for word in ("--" + key, str(value))]


def mahimahi(folder):
    cases = []
    for down in sorted(glob.glob(os.path.join(folder, "mahimahi", "*.down"))):
        up = down[:-len("down")] + "up"
        if not os.path.exists(up):
            continue
        case = Case("mahimahi/" + os.path.basename(down)[:-len(".down")], "lte", {"downlink-trace": down, "uplink-trace": up, **LTE}, driving=True)
        with open(down, encoding="ascii") as f:
            case.length_s = int(f.read().split()[-1]) / 1000
        cases.append(case)
    return cases


def read_steps(path):
    with open(path, encoding="ascii") as f:
        return [tuple(float(word) for word in line.split()) for line in f if line.strip() and not line.startswith("#")]


def lumos5g(folder, ceiling_mbps):
    """Faster than one machine can emulate: a trace whose peak is above the ceiling is scaled down as a whole, its swings kept."""
    cases = []
    for path in sorted(glob.glob(os.path.join(folder, "lumos5g", "[45]g_*"))):
        base = os.path.basename(path)
        kind = base[:2]
        steps = read_steps(path)
        case = Case("lumos5g/" + base, "lte" if kind == "4g" else "5g", LTE if kind == "4g" else NR, driving=kind == "4g" and "driving" in base)
        case.scale = round(min(1.0, ceiling_mbps / max(mbps for _, mbps in steps)), 6)
        case.bearer["downlink-buffer"] = "%dkB" % max(BUFFER_LEAST_KB, round(int(case.bearer["downlink-buffer"][:-2]) * case.scale))
        case.bearer["downlink-trace"] = path
        case.bearer["uplink-rate"] = "%dkbps" % round(ASSUMED_UPLINK_MBPS[kind] * case.scale * 1000)
        case.assumed = ["uplink"]
        case.length_s = steps[-1][0] - steps[0][0] + 1
        case.steps = steps if case.scale < 1 else None
        cases.append(case)
    return cases


def profiles(folder):
    return [Case("profile/" + os.path.basename(path)[:-len(".profile")], "profiles", {"profile": path})
            for path in sorted(glob.glob(os.path.join(folder, "*.profile")))]


def constant(rate_kbps, buffer_octets, delay_ms):
    """A link whose figures arithmetic knows."""
    return Case("constant", "constant", {"rate": "%dkbps" % rate_kbps, "buffer": "%dB" % buffer_octets, "delay": "%dms" % delay_ms, "mtu": "1500"})


def find(data, source, ceiling_mbps):
    """Every case of this machine, in the order of the report."""
    found = profiles(os.path.join(source, "bench", "profiles"))
    if os.path.isdir(data):
        found = mahimahi(data) + lumos5g(data, ceiling_mbps) + found
    return found


def choose(found, groups, patterns):
    """Those of the sets and patterns asked for; a pattern is a part of a name. Bad when one fits nothing."""
    chosen = [c for c in found if not groups and not patterns or c.group in groups or any(p in c.name for p in patterns)]
    for p in patterns:
        if not any(p in c.name for c in found):
            raise Bad("no case has %r in its name; --list shows them" % p)
    for g in groups:
        if not any(c.group == g for c in found):
            raise Bad("no case of the set %r: is the data there (--data)?" % g)
    return chosen
