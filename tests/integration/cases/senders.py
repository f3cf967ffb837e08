# SPDX-License-Identifier: BSD-3-Clause
"""Senders beside the worker: what they send is in the books like all else."""
from cases import Books, check, same, test
from cases.traffic import iperf3

SENDERS = {"runtime": {"senders": 1}}


@test
def senders_send_datagrams(bench):
    """More datagrams of eight flows than one thread sends: many of them lent to a sender, and none uncounted."""
    lab, weir = bench.site(SENDERS, offloads=False)
    books = Books(lab, weir)
    iperf3(lab, "-u", "-b", "0", "-l", "200", "-P", "8", "-t", "3")
    status = weir.show("status")
    check(status["sender_packets"] > 1000, "the sender sent %d packets" % status["sender_packets"])
    same(weir.drops().get("tx.refused", 0), status["sender_refused"], "packets that came back, and were dropped")
    books.close()


@test
def senders_send_streams(bench):
    """TCP both ways at once."""
    lab, weir = bench.site(SENDERS)
    books = Books(lab, weir)
    report = iperf3(lab, "--bidir", "-P", "4", "-t", "3")
    check(report["end"]["sum_received"]["bytes"] > 0 and report["end"]["sum_received_bidir_reverse"]["bytes"] > 0,
          "a direction carried nothing")
    books.close()
