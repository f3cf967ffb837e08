#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The judge's arithmetic, on packets made by hand; and what bench/cellular says to mistakes."""
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
for folder in ("bench", os.path.join("tests", "integration")):
    sys.path.insert(0, os.path.join(SOURCE, folder))
sys.dont_write_bytecode = True

from judge import autorate, cases, figures, side_by_side, tables  # noqa: E402

BEGIN_NS = 1_700_000_000_000_000_000
MS_NS = 1_000_000
UP, DOWN = 0, 1


def packet(sent_ms, took_ms, kind=figures.DATA, octets=1500, direction=UP):
    """took_ms None: never came out."""
    return (BEGIN_NS + round(sent_ms * MS_NS), figures.NOT_SEEN if took_ms is None else round(took_ms * MS_NS), octets, kind, direction)


def bearer(octets_a_step, steps, delay_ms=20):
    one = {"delay_us": delay_ms * 1000, "jitter_us": 0, "octets": [octets_a_step] * steps}
    return {"step_s": 0.01, "uplink": one, "downlink": one}


def of(records, seconds=1, capacity=None, direction="uplink"):
    return figures.direction_figures(records, direction, BEGIN_NS, seconds, capacity or bearer(15000, 100 * seconds))


class Figures(unittest.TestCase):
    def test_percentiles_are_of_the_nearest_rank(self):
        ordered = list(range(1, 101))
        for percent, value in ((50, 50), (95, 95), (99, 99), (100, 100), (0, 1)):
            self.assertEqual(figures.percentile(ordered, percent), value)
        self.assertEqual(figures.percentile([7], 99), 7)
        self.assertIsNone(figures.percentile([], 50))

    def test_queueing_is_what_the_way_itself_does_not_take(self):
        bulk = of([packet(i * 10, 20 + i) for i in range(50)])["bulk"]
        self.assertEqual(bulk["queueing_ms"]["p50"], 24)
        self.assertEqual(bulk["queueing_ms"]["max"], 49)
        self.assertEqual(bulk["one_way_ms"]["p50"], 44)
        self.assertEqual(bulk["queueing_ms"]["mean"], 24.5)

    def test_share_is_octets_delivered_of_those_that_could_have_been(self):
        d = of([packet(i, 30) for i in range(1, 501)])
        self.assertEqual(d["capacity_octets"], 1500000)
        self.assertEqual(d["share"], 0.5)

    def test_probes_are_counted_and_are_no_use_of_the_link(self):
        d = of([packet(i, 30) for i in range(100)] + [packet(i, 30, figures.PROBE, 84) for i in range(10)])
        self.assertEqual((d["delivered_octets"], d["probe_octets"]), (150000, 840))

    def test_only_what_came_out_within_the_time_counts(self):
        records = [packet(-30, 40), packet(-10, 40), packet(985, 30), packet(995, 30)]
        self.assertEqual(of(records)["bulk"]["packets"], 2)

    def test_directions_and_kinds_stay_apart(self):
        records = [packet(1, 30), packet(1, 90, direction=DOWN), packet(2, 50, figures.SPARSE, 200), packet(3, 21, figures.ACK, 52)]
        up, down = of(records), of(records, direction="downlink")
        self.assertEqual((up["bulk"]["packets"], up["sparse"]["packets"], up["ack"]["packets"]), (1, 1, 1))
        self.assertEqual(up["sparse"]["queueing_ms"]["p99"], 30)
        self.assertEqual((down["bulk"]["queueing_ms"]["p50"], down["sparse"]["queueing_ms"]["p50"]), (70, None))

    def test_lost_is_what_a_later_packet_of_its_kind_has_overtaken(self):
        records = [packet(1, 30), packet(2, None), packet(3, 30), packet(4, None), packet(2.5, None, figures.SPARSE)]
        d = of(records)
        self.assertEqual((d["bulk"]["lost_packets"], d["bulk"]["loss"]), (1, round(1 / 3, 6)))
        self.assertEqual((d["sparse"]["lost_packets"], d["sparse"]["loss"]), (0, None))

    def test_capacity_of_a_part_of_a_step_is_a_part_of_its_octets(self):
        self.assertAlmostEqual(figures.capacity_between(bearer(1000, 10), "uplink", 0.005, 0.025), 2000)
        self.assertAlmostEqual(figures.capacity_between(bearer(1000, 10), "uplink", 0, 9), 10000)

    def test_a_call_takes_a_tenth_of_a_slow_link_at_most(self):
        self.assertEqual(figures.call_every_s(bearer(15000, 100), 1), 0.02)
        self.assertAlmostEqual(figures.call_every_s(bearer(25, 100), 1), 0.8)

    def test_series_hold_a_value_each_100_ms_and_none_where_nothing_came(self):
        series = of([packet(250, 30), packet(260, 40)])["series"]
        self.assertEqual(len(series["capacity_mbps"]), 10)
        self.assertEqual(series["capacity_mbps"][3], 12)
        self.assertEqual(series["delivered_mbps"][2], 0.24)
        self.assertEqual(series["bulk_queueing_max_ms"][2], 20)
        self.assertIsNone(series["sparse_queueing_max_ms"][2])

    def test_the_floor_is_what_an_empty_link_makes_a_call_wait(self):
        capacity = bearer(1500, 100)
        capacity["uplink"]["octets"] = [1500] * 40 + [0] * 20 + [1500] * 40
        floor = of([], capacity=capacity)["floor_ms"]
        self.assertEqual((floor["p50"], floor["max"]), (0, 200))
        self.assertEqual(floor["mean"], 20.1)
        capacity["uplink"]["octets"] = [0] * 100
        self.assertEqual(of([], capacity=capacity)["floor_ms"]["max"], 1000)

    def test_records_are_read_as_delays_writes_them(self):
        with tempfile.NamedTemporaryFile() as f:
            f.write(figures.RECORD.pack(5, figures.NOT_SEEN, 1500, figures.SPARSE, DOWN))
            f.flush()
            self.assertEqual(figures.read_records(f.name), [(5, figures.NOT_SEEN, 1500, figures.SPARSE, DOWN)])
        self.assertEqual(figures.RECORD.size, 24)


class Cases(unittest.TestCase):
    def folder(self):
        top = tempfile.TemporaryDirectory()
        self.addCleanup(top.cleanup)
        for name, text in (("mahimahi/here.down", "1\n2000\n"), ("mahimahi/here.up", "1\n2\n"), ("mahimahi/half.down", "1\n"),
                           ("lumos5g/5g_trace_1_driving", "1.0\t100\n2.0\t400\n"), ("lumos5g/4g_trace_driving_7", "0 10\n1 20\n")):
            path = os.path.join(top.name, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="ascii") as f:
                f.write(text)
        return top.name

    def test_pairs_traces_and_profiles_are_found(self):
        found = {c.name: c for c in cases.find(self.folder(), SOURCE, 200)}
        self.assertNotIn("mahimahi/half", found)
        self.assertEqual(found["mahimahi/here"].length_s, 2)
        self.assertTrue(found["lumos5g/4g_trace_driving_7"].driving)
        self.assertEqual(found["lumos5g/4g_trace_driving_7"].assumed, ["uplink"])
        self.assertIn("profile/lte-driving", found)

    def test_a_trace_too_fast_to_emulate_is_scaled_as_a_whole(self):
        folder = self.folder()
        case = next(c for c in cases.find(folder, SOURCE, 200) if c.group == "5g")
        self.assertEqual(case.scale, 0.5)
        words = case.arguments(folder)
        with open(words[words.index("--downlink-trace") + 1], encoding="ascii") as f:
            self.assertEqual([tuple(float(w) for w in line.split()) for line in f], [(1, 50), (2, 200)])
        self.assertEqual(words[words.index("--uplink-rate") + 1], "12500kbps")
        self.assertEqual(words[words.index("--downlink-buffer") + 1], "2000kB")

    def test_without_data_there_are_the_profiles(self):
        self.assertEqual({c.group for c in cases.find("/nonexistent", SOURCE, 200)}, {"profiles"})

    def test_what_fits_nothing_is_a_mistake(self):
        found = cases.find("/nonexistent", SOURCE, 200)
        self.assertEqual([c.name for c in cases.choose(found, [], ["lte-m"])], ["profile/lte-m"])
        for groups, patterns in (([], ["nowhere"]), (["5g"], [])):
            with self.assertRaises(cases.Bad):
                cases.choose(found, groups, patterns)


class Averages(unittest.TestCase):
    @staticmethod
    def result(case, mode, share, bulk, sparse, probes=0, driving=True, assumed=(), load="both"):
        one = {"share": share, "floor_ms": {"p95": 1}, "probe_octets": probes, "bulk": {"queueing_ms": {"p95": bulk}}, "sparse": {"queueing_ms": {"p95": sparse}}}
        return {"case": case, "driving": driving, "assumed": list(assumed), "settings": {"mode": mode, "congestion": "cubic", "load": load}, "uplink": one, "downlink": one}

    def test_goals_are_of_averages_over_vehicles_and_capacities_that_were_measured(self):
        rows = tables.averages([self.result("a", "auto", 0.8, 100, 40), self.result("b", "auto", 0.94, 190, 50, assumed=["uplink"]),
                                self.result("c", "auto", 0, 9999, 9999, driving=False)])
        self.assertEqual([(r["direction"], r["runs"], r["met"]) for r in rows], [("uplink", 1, False), ("downlink", 2, True)])
        self.assertAlmostEqual(rows[1]["share"], 0.87)

    def test_a_direction_without_load_is_not_averaged(self):
        rows = tables.averages([self.result("a", "auto", 0.9, 100, 40, load="down"), self.result("a", "auto", 0.9, 100, 40, load="up")])
        self.assertEqual([(r["load"], r["direction"]) for r in rows], [("down", "downlink"), ("up", "uplink")])

    def test_the_distance_to_an_oracle_is_a_quotient(self):
        text = tables.distances(tables.averages([self.result("a", "auto", 0.8, 100, 30), self.result("a", "oracle-fq", 0.4, 50, 20)]))
        self.assertIn("  cubic, both, uplink, of oracle-fq: used x 2.00, bulk p95 x 2.00, sparse p95 x 1.50", text)
        self.assertEqual(tables.distances([]), [])

    def test_each_figure_can_miss_the_goal(self):
        for share, bulk, sparse, probes in ((0.84, 1, 1, 0), (0.9, 151, 1, 0), (0.9, 1, 51, 0), (0.9, 1, 1, 84)):
            self.assertFalse(tables.averages([self.result("a", "auto", share, bulk, sparse, probes)])[0]["met"])

    def test_weir_worse_than_no_shaper_or_than_probes_in_all_figures_is_told(self):
        worse = tables.regressions([self.result("a", "none", 0.9, 100, 100), self.result("a", "autorate", 0.8, 90, 90), self.result("a", "auto", 0.7, 120, 95)])
        self.assertEqual(len(worse), 6, worse)  # each way: bulk against none; both delays against probes that used more
        self.assertEqual(tables.regressions([self.result("a", "none", 0.9, 100, 100), self.result("a", "autorate", 0.8, 90, 90),
                                             self.result("a", "auto", 0.85, 99, 95)]), [])


class Autorate(unittest.TestCase):
    RATES = (1e6, 5e6, 20e6)

    def test_several_late_answers_lower_the_rate_and_one_does_not(self):
        way = autorate.Way(self.RATES)
        for i in range(20):
            way.answer(i % 6, 20, 0.5, i * 0.05)
        before = way.rate
        way.answer(0, 100, 0.5, 2)
        self.assertEqual(way.rate, before)
        way.answer(1, 100, 0.5, 2.05)
        way.answer(2, 100, 0.5, 2.1)
        self.assertLess(way.rate, before)

    def test_a_used_link_without_delay_raises_it_to_the_most(self):
        way = autorate.Way(self.RATES)
        for i in range(200):
            way.answer(i % 6, 20, 0.9, 10 + i * 0.05)
        self.assertEqual(way.rate, self.RATES[2])

    def test_it_never_falls_below_the_least(self):
        way = autorate.Way(self.RATES)
        way.baseline = dict.fromkeys(range(6), 20)
        for i in range(500):
            way.answer(i % 6, 500, 1.0, 10 + i * 0.1)
        self.assertEqual(way.rate, self.RATES[0])

    def test_an_unused_link_goes_back_to_its_base(self):
        way = autorate.Way(self.RATES)
        way.rate = 20e6
        for i in range(4000):
            way.answer(i % 6, 20, 0.1, 10 + i * 0.5)
        self.assertAlmostEqual(way.rate / 5e6, 1, places=2)


class SideBySide(unittest.TestCase):
    """Items are (name, seconds that it takes); each leaves its begin and end in a file of its name."""

    def setUp(self):
        top = tempfile.TemporaryDirectory()
        self.addCleanup(top.cleanup)
        self.folder = top.name
        self.told = []

    def work(self, item):
        name, takes_s = item
        begin = time.monotonic()
        try:
            time.sleep(takes_s)
        finally:
            with open(os.path.join(self.folder, name), "w", encoding="ascii") as f:
                f.write("%f %f" % (begin, time.monotonic()))
        if name == "bad":
            return "it is bad"
        return os._exit(7) if name == "dies" else None

    def run_all(self, items, jobs, alone=()):
        side_by_side.run(items, jobs, self.work, lambda item: item[0] in alone, lambda item, why: self.told.append((item[0], why)))
        spans = {}
        for name in os.listdir(self.folder):
            with open(os.path.join(self.folder, name), encoding="ascii") as f:
                spans[name] = tuple(float(word) for word in f.read().split())
        return spans

    @staticmethod
    def overlap(a, b):
        return a[0] < b[1] and b[0] < a[1]

    def test_results_are_told_in_the_order_they_were_asked_for(self):
        self.run_all([("a", 0.3), ("b", 0), ("c", 0.1), ("d", 0)], 3)
        self.assertEqual(self.told, [(name, None) for name in "abcd"])

    def test_so_many_run_at_a_time_and_no_more(self):
        for jobs in (1, 2, 4):
            spans = self.run_all([(name, 0.3) for name in "abcd"], jobs).values()
            self.assertEqual(max(sum(1 for other in spans if other[0] <= one[0] < other[1]) for one in spans), jobs)

    def test_nothing_runs_beside_one_that_is_to_run_alone(self):
        spans = self.run_all([("a", 0.1), ("fast", 0.1), ("b", 0.1), ("c", 0.1)], 3, alone=("fast",))
        self.assertFalse(any(self.overlap(spans["fast"], spans[name]) for name in "abc"))
        self.assertTrue(self.overlap(spans["b"], spans["c"]))

    def test_one_that_fails_or_dies_is_told_and_the_others_go_on(self):
        self.run_all([("bad", 0), ("dies", 0), ("good", 0)], 2)
        self.assertEqual(self.told, [("bad", "it is bad"), ("dies", "its process ended with 7"), ("good", None)])

    def test_an_interrupt_takes_all_down_and_lets_each_clean_up(self):
        def interrupted(number, frame):
            signal.signal(number, signal.SIG_IGN)
            raise KeyboardInterrupt
        for number in (signal.SIGINT, signal.SIGTERM):
            self.addCleanup(signal.signal, number, signal.signal(number, interrupted))
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
        begin = time.monotonic()
        with self.assertRaises(KeyboardInterrupt):
            self.run_all([("a", 60), ("b", 60), ("c", 60)], 2)
        self.assertLess(time.monotonic() - begin, 30)
        self.assertEqual(sorted(os.listdir(self.folder)), ["a", "b"])


class Mistakes(unittest.TestCase):
    def test_each_is_told_with_what_to_do(self):
        for words, said in (([], "--list"), (["--all"], "--out"), (["--all", "--out", "/tmp/x", "--mode", "magic"], "oracle-fq"),
                            (["--all", "--out", "/tmp/x", "--congestion", "reno"], "cubic, bbr"), (["--set", "3g", "--out", "/tmp/x"], "profiles"),
                            (["--case", "nowhere", "--out", "/tmp/x"], "--list"), (["--all", "--out", "/tmp/x", "--seconds", "0"], "more than 0"),
                            (["--all", "--out", "/tmp/x", "--flows", "0"], "at least 1"),
                            (["--all", "--out", "/tmp/x", "--jobs", "0"], "--jobs: at least 1"),
                            (["--calibrate", "--weir", "/nonexistent"], "root" if os.geteuid() != 0 else "scripts/setup")):
            done = subprocess.run([os.path.join(SOURCE, "bench", "cellular"), *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            self.assertNotEqual(done.returncode, 0, words)
            self.assertIn(said, done.stderr, words)
            self.assertNotIn("Traceback", done.stderr, words)


if __name__ == "__main__":
    unittest.main()
