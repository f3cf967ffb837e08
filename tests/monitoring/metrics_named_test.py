#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The alert rules and the dashboard name metrics that exist, with labels that they have; every metric's name keeps the conventions;
what is a sound expression to promtool is one. usage: metrics_named_test.py WEIRCTL"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
WEIRCTL = "build/src/client/weirctl"
EVERYWHERE = {"instance", "job"}  # Prometheus' own


def metrics():
    """{name: (type, labels)} of docs/metrics.md as the program writes it."""
    text = subprocess.run([WEIRCTL, "metrics", "--format", "markdown"], check=True, capture_output=True, text=True).stdout
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|([^|]*)\|", text, re.MULTILINE)
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def dashboard():
    return json.loads((ROOT / "config/grafana/weir.json").read_text())


def expressions():
    """[(where, expression)]"""
    found = [(p["title"], t["expr"]) for p in dashboard()["panels"] for t in p.get("targets", [])]
    alerts = (ROOT / "config/prometheus/alerts.yaml").read_text()
    return found + [("alerts.yaml", e) for e in re.findall(r"^\s+expr: (.*)$", alerts, re.MULTILINE)]


def selectors(expression):
    """[(metric, labels it is selected by)]"""
    found = re.findall(r"(weir_\w+)(?:\{([^}]*)\})?", expression)
    return [(name, re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"', inside)) for name, inside in found]


class MetricsNamed(unittest.TestCase):
    def test_there_are_metrics_and_expressions(self):
        self.assertGreater(len(metrics()), 60)
        self.assertGreater(len(expressions()), 30)

    def test_every_expression_names_metrics_that_exist(self):
        there = metrics()
        for where, expression in expressions():
            for name, labels in selectors(expression):
                self.assertIn(name, there, where)
                self.assertLessEqual(set(labels), there[name][1] | EVERYWHERE, "%s: %s" % (where, name))

    def test_every_grouping_is_by_labels_that_exist(self):
        there = metrics()
        for where, expression in expressions():
            labels = set().union(*[there[name][1] for name, _ in selectors(expression)], EVERYWHERE)
            for group in re.findall(r"\b(?:by|on|without|group_left)\s*\(([^)]*)\)", expression):
                self.assertLessEqual(set(re.findall(r"\w+", group)), labels, where)

    def test_counters_are_told_by_their_rate_and_gauges_are_not(self):
        there = metrics()
        for where, expression in expressions():
            for name, _ in selectors(expression):
                is_rated = re.search(r"(rate|increase)\(" + name, expression) is not None
                self.assertEqual(is_rated, there[name][0] == "counter", "%s: %s" % (where, name))

    def test_names_keep_the_conventions(self):
        for name, (kind, labels) in metrics().items():
            self.assertRegex(name, r"^weir_[a-z0-9_]+$")
            self.assertEqual(name.endswith("_total"), kind == "counter", name)
            self.assertNotRegex(name, r"octets|_us\b|_ms\b|bps|_count$|_sum$", name)
            self.assertFalse(labels & EVERYWHERE, name)

    def test_legends_use_labels_that_exist(self):
        there = metrics()
        for panel in dashboard()["panels"]:
            for target in panel.get("targets", []):
                labels = set().union(*[there[name][1] for name, _ in selectors(target["expr"])], EVERYWHERE)
                self.assertLessEqual(set(re.findall(r"{{(\w+)}}", target["legendFormat"])), labels, panel["title"])

    def test_panels_have_ids_of_their_own_and_do_not_overlap(self):
        panels = dashboard()["panels"]
        self.assertEqual(len({p["id"] for p in panels}), len(panels))
        taken = set()
        for p in panels:
            at = p["gridPos"]
            self.assertLessEqual(at["x"] + at["w"], 24, p["title"])
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            self.assertFalse(cells & taken, p["title"])
            taken |= cells

    def test_promtool_takes_every_expression(self):
        rules = [{"record": "check:%d" % i, "expr": e.replace("$__rate_interval", "5m").replace("$instance", "a")}
                 for i, (_, e) in enumerate(expressions())]
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
            json.dump({"groups": [{"name": "expressions", "rules": rules}]}, f)
            f.flush()
            done = subprocess.run(["promtool", "check", "rules", f.name], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        WEIRCTL = sys.argv.pop(1)
    unittest.main()
