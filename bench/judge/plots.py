# SPDX-License-Identifier: BSD-3-Clause
"""A picture of a run: capacity, what was delivered and the shaper's rate, and the queueing delay below, each way."""
import os

from . import figures

KINDS = ("png", "svg")
LEAST_MS = 0.1  # the axis of delay is logarithmic


def at(series, n):
    return [i * series["step_s"] for i in range(n)]


def draw_rate(axes, result, direction):
    series = result[direction]["series"]
    x = at(series, len(series["capacity_mbps"]))
    axes.fill_between(x, series["capacity_mbps"], step="post", color="0.85", label="capacity")
    axes.step(x, series["delivered_mbps"], where="post", linewidth=0.8, color="tab:blue", label="delivered")
    rates = [(r["at_s"], r[direction] / 1e6) for r in result["rates"] if r.get(direction)]
    if rates:
        axes.step(*zip(*rates), where="post", linewidth=1.0, color="tab:red", label="weir's rate")
    axes.set_ylabel("Mbit/s")
    axes.set_title("%s: %.1f %% of the capacity used" % (direction, 100 * (result[direction]["share"] or 0)), fontsize=9)
    axes.legend(fontsize=7, loc="upper right")


def draw_delay(axes, result, direction):
    series = result[direction]["series"]
    for key, name, color in (("bulk_queueing_max_ms", "bulk", "tab:orange"), ("sparse_queueing_max_ms", "sparse", "tab:green")):
        points = [(x, max(LEAST_MS, y)) for x, y in zip(at(series, len(series[key])), series[key]) if y is not None]
        if points:
            axes.plot(*zip(*points), ".", markersize=2, color=color, label=name)
    axes.set_yscale("log")
    axes.set_ylabel("queueing, ms")
    axes.set_xlabel("s")
    axes.grid(True, axis="y", linewidth=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=7, loc="upper right")


def draw(result, path):
    """Writes path.png and path.svg."""
    import matplotlib  # Debian's, and only where plots are wanted
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(4, 1, figsize=(10, 9), sharex=True, constrained_layout=True)
    s = result["settings"]
    figure.suptitle("%s, %s, %s, %s" % (result["case"], s["mode"], s["congestion"], s["load"]), fontsize=10)
    for i, d in enumerate(reversed(figures.DIRECTIONS)):
        draw_rate(axes[2 * i], result, d)
        draw_delay(axes[2 * i + 1], result, d)
    for kind in KINDS:
        fresh = "%s.new.%s" % (path, kind)
        figure.savefig(fresh, dpi=100, metadata={"Date": None} if kind == "svg" else None)
        os.rename(fresh, "%s.%s" % (path, kind))
    pyplot.close(figure)
