# SPDX-License-Identifier: BSD-3-Clause
"""Results as text: a line for each run and direction, and what they come to over the LTE links in a vehicle."""
from . import figures

HEAD = ("%-36s %-9s %-5s %-5s %-4s %8s %6s | %-31s %6s | %-31s %6s | %-15s | %9s" %
        ("case", "mode", "tcp", "load", "way", "Mbit/s", "used", "bulk queueing ms", "lost", "sparse queueing ms", "lost", "sparse one way", "probes"))
HEAD2 = ("%-36s %-9s %-5s %-5s %-4s %8s %6s | %7s %7s %7s %7s %6s | %7s %7s %7s %7s %6s | %7s %7s | %9s" %
         ("", "", "", "", "", "capacity", "%", "mean", "p50", "p95", "p99", "%", "mean", "p50", "p95", "p99", "%", "mean", "p95", "octets"))
KEYS = ("mode", "congestion", "load")
FIGURES = (("used", "share"), ("bulk p95", "bulk_p95_ms"), ("sparse p95", "sparse_p95_ms"))
GOAL = {"sparse_p95_ms": 50, "bulk_p95_ms": 150, "share": 0.85}


def ms(value):
    if value is None:
        return "-"
    return "%.1f" % value if value < 9999 else "%.0f" % value


def percent(value):
    return "-" if value is None else "%.1f" % (100 * value)


def line(result, direction):
    """One run, one direction."""
    d, s = result[direction], result["settings"]
    bulk, sparse = d["bulk"], d["sparse"]
    mark = "*" if direction in result["assumed"] else ""
    return "%-36s %-9s %-5s %-5s %-4s %8.2f %6s | %7s %7s %7s %7s %6s | %7s %7s %7s %7s %6s | %7s %7s | %9d" % (
        result["case"], s["mode"], s["congestion"], s["load"], direction[:-4] + mark, d["capacity_mean_bps"] / 1e6, percent(d["share"]),
        *[ms(bulk["queueing_ms"][k]) for k in ("mean", "p50", "p95", "p99")], percent(bulk["loss"]),
        *[ms(sparse["queueing_ms"][k]) for k in ("mean", "p50", "p95", "p99")], percent(sparse["loss"]),
        ms(sparse["one_way_ms"]["mean"]), ms(sparse["one_way_ms"]["p95"]), d["probe_octets"])


def lines(result):
    """Both directions, and what makes them doubtful."""
    return [line(result, d) for d in figures.DIRECTIONS] + ["%38s! %s" % ("", doubt) for doubt in result["machine"]["doubts"]]


def mean(values):
    values = list(values)
    return sum(values) / len(values) if values and None not in values else None


def is_loaded(load, direction):
    """Was there bulk that way?"""
    return load in ("both", "blast") or direction.startswith(load)


def averages(results):
    """Over the LTE links in a vehicle, by mode, congestion control, load and loaded direction; assumed directions do not count."""
    rows = []
    for mode, congestion, load in sorted({tuple(r["settings"][key] for key in KEYS) for r in results}):
        for d in (d for d in figures.DIRECTIONS if is_loaded(load, d)):
            mine = [r[d] for r in results if r["driving"] and d not in r["assumed"]
                    and tuple(r["settings"][key] for key in KEYS) == (mode, congestion, load)]
            if mine:
                rows.append({"mode": mode, "congestion": congestion, "load": load, "direction": d, "runs": len(mine),
                             "share": mean(r["share"] for r in mine), "bulk_p95_ms": mean(r["bulk"]["queueing_ms"]["p95"] for r in mine),
                             "sparse_p95_ms": mean(r["sparse"]["queueing_ms"]["p95"] for r in mine),
                             "floor_p95_ms": mean(r["floor_ms"]["p95"] for r in mine), "probe_octets": sum(r["probe_octets"] for r in mine)})
    for row in rows:
        row["met"] = verdict(row)
    return rows


def verdict(row):
    """What the project wants of itself, in one direction; None where a figure is missing."""
    if None in (row["share"], row["bulk_p95_ms"], row["sparse_p95_ms"]):
        return None
    return (row["share"] >= GOAL["share"] and row["bulk_p95_ms"] <= GOAL["bulk_p95_ms"] and row["sparse_p95_ms"] <= GOAL["sparse_p95_ms"]
            and row["probe_octets"] == 0)


def delays_of(figures_):
    return {"bulk p95": figures_["bulk"]["queueing_ms"]["p95"], "sparse p95": figures_["sparse"]["queueing_ms"]["p95"]}


def compared(mine, rival, name, both):
    """Sentences on each delay that is longer than a rival's; with `both`, only where less is used too."""
    told = []
    for what, value in delays_of(mine).items():
        other = delays_of(rival)[what]
        if None in (value, other) or value <= other or (both and mine["share"] >= rival["share"]):
            continue
        told.append("%s is %s ms at %s %% used, %s %s ms at %s %%" % (
            what, ms(value), percent(mine["share"]), name, ms(other), percent(rival["share"])))
    return told


def regressions(results):
    """Where weir's own controller makes a delay longer than no shaper does, or is worse than active probes in use and delay at once."""
    by = {(r["case"],) + tuple(r["settings"][key] for key in KEYS): r for r in results}
    told = []
    for (case, mode, congestion, load), mine in by.items():
        for d in figures.DIRECTIONS if mode == "auto" else ():
            for rival, name, both in (("none", "without a shaper", False), ("autorate", "with active probes", True)):
                other = by.get((case, rival, congestion, load))
                if other and is_loaded(load, d):
                    told += ["%s, %s, %s, %s: %s" % (case, congestion, load, d, one) for one in compared(mine[d], other[d], name, both)]
    return told


def distances(rows):
    """How far weir's own controller is from each oracle, as quotients of the averages."""
    by = {tuple(r[key] for key in KEYS) + (r["direction"],): r for r in rows}
    text = []
    for (mode, congestion, load, direction), mine in by.items():
        for oracle in ("oracle", "oracle-fq") if mode == "auto" else ():
            other = by.get((oracle, congestion, load, direction))
            names = [(name, key) for name, key in FIGURES if other and mine[key] is not None and other[key]]
            if names:
                text.append("  %s, %s, %s, of %s: " % (congestion, load, direction, oracle)
                            + ", ".join("%s x %.2f" % (name, mine[key] / other[key]) for name, key in names))
    return (["", "weir's own controller beside the oracles:"] if text else []) + text


def summary(results):
    text = []
    rows = averages(results)
    if rows:
        text += ["", "LTE in a vehicle, averages (goal: used >= %d %%, bulk p95 <= %d ms, sparse p95 <= %d ms, no probes)" %
                 (100 * GOAL["share"], GOAL["bulk_p95_ms"], GOAL["sparse_p95_ms"]),
                 "%-9s %-5s %-5s %-8s %5s %7s %9s %10s %9s %8s  %s" % ("mode", "tcp", "load", "way", "runs", "used %", "bulk p95", "sparse p95", "floor p95", "probes", "goal")]
    for r in rows:
        text.append("%-9s %-5s %-5s %-8s %5d %7s %9s %10s %9s %8d  %s" % (
            r["mode"], r["congestion"], r["load"], r["direction"], r["runs"], percent(r["share"]), ms(r["bulk_p95_ms"]), ms(r["sparse_p95_ms"]),
            ms(r["floor_p95_ms"]), r["probe_octets"], {True: "met", False: "missed", None: "-"}[r["met"]]))
    worse = regressions(results)
    return text + distances(rows) + (["", "where weir's own controller is the worse one:"] if worse else []) + ["  " + one for one in worse]
